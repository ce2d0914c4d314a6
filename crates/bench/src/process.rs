//! The services as processes: started with nothing but their own variables, stopped by SIGTERM.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::time::Instant;

use crate::http;

/// How long a service may take to become ready, or to drain and end.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A running service. Killed with the value.
pub struct Service {
    name: &'static str,
    child: Child,
}

/// Where the programs are, and where what they print goes.
#[derive(Clone, Debug)]
pub struct Programs<'p> {
    pub folder: &'p Path,
    pub logs: &'p Path,
}

impl Programs<'_> {
    /// Starts a program and waits until a GET of this address is answered with 200.
    pub async fn start(
        &self,
        name: &'static str,
        arguments: &[&str],
        variables: &[(&str, &str)],
        ready: (SocketAddr, &str),
    ) -> anyhow::Result<Service> {
        let label = arguments.first().filter(|argument| !argument.starts_with('-'));
        let log = match label {
            Some(label) => format!("{name}-{label}.log"),
            None => format!("{name}.log"),
        };
        let path = self.logs.join(log);
        let log = File::options().create(true).append(true).open(&path);
        let log = log.with_context(|| format!("cannot write {}", path.display()))?;
        let child = Command::new(self.folder.join(name))
            .args(arguments)
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot share a log file")?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {name} from {}", self.folder.display()))?;
        let mut service = Service { name, child };
        let deadline = Instant::now() + PATIENCE;
        while !http::get(ready.0, ready.1)
            .await
            .is_ok_and(|(status, _)| status == 200)
        {
            if let Some(status) = service.child.try_wait().context("cannot wait for a child")? {
                bail!(
                    "{name} ended before it was ready ({status}); see {}",
                    path.display()
                );
            }
            ensure!(
                Instant::now() < deadline,
                "{name} was not ready within {PATIENCE:?}; see {}",
                path.display()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(service)
    }
}

impl Service {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits until it has done what it was doing.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let name = self.name;
        let asked = Command::new("kill")
            .args(["-TERM", &self.pid().to_string()])
            .status();
        ensure!(
            asked.context("cannot run kill")?.success(),
            "{name} had ended by itself"
        );
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().context("cannot wait for a child")? {
                ensure!(status.success(), "{name} ended with {status}");
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{name} did not end within {PATIENCE:?}"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already; then both have nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of this machine on which nobody listens just now.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    listener.local_addr().context("no free port")
}
