//! `monitor dashboard`: the web page.

use rastro_boot::Service;

use crate::MonitorMetrics;
use crate::config::Config;

/// Serves the pages until shutdown.
///
/// # Errors
/// When the address cannot be bound.
pub async fn run(_config: &Config, _service: &Service<MonitorMetrics>) -> anyhow::Result<()> {
    anyhow::bail!("the dashboard is not built yet")
}

/// The `[dashboard]` section.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DashboardConfig {
    pub public_url: String,
    /// The reporting zone, by its IANA name.
    pub time_zone: String,
    pub listen: std::net::SocketAddr,
}
