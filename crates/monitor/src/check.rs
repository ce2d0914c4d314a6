//! `monitor check`: one run, or one after the other.

use std::time::Duration;

use anyhow::bail;
use rastro_boot::Service;
use rastro_service::shutdown::Shutdown;

use crate::MonitorMetrics;
use crate::config::Config;

/// How it was started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Again and again, so long after each other.
    pub every: Option<Duration>,
}

impl Options {
    /// From the command line.
    ///
    /// # Errors
    /// When there is a word that means nothing.
    pub fn parse(words: &[&str]) -> anyhow::Result<Self> {
        match words {
            [] => Ok(Options::default()),
            _ => bail!("unknown options: {words:?}"),
        }
    }
}

/// What a run works with.
pub struct Monitor {}

impl Monitor {
    /// # Errors
    /// When a channel cannot be set up.
    pub fn new(_config: &Config, _service: &Service<MonitorMetrics>) -> anyhow::Result<Self> {
        Ok(Monitor {})
    }
}

/// Runs once, or until shutdown.
///
/// # Errors
/// When a step of the run failed.
pub async fn run(_monitor: &Monitor, _options: &Options, _shutdown: &Shutdown) -> anyhow::Result<()> {
    bail!("check is not built yet")
}
