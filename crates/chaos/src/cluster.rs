//! A durable PostgreSQL of the run's own, made by `scripts/postgres.sh`, that can be crashed without touching any other.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

/// Deleted with the value.
pub struct Cluster {
    script: PathBuf,
    dir: PathBuf,
    url: String,
}

impl Cluster {
    /// Makes and starts a new one in `dir`, in place of one that an earlier run may have left there. Blocks for seconds.
    pub fn start(repository: &Path, dir: &Path) -> anyhow::Result<Self> {
        let script = repository.join("scripts/postgres.sh");
        // A first start can fail half way; what there is of it goes with the value.
        let mut cluster = Cluster {
            script,
            dir: dir.to_owned(),
            url: String::new(),
        };
        cluster.script("destroy")?;
        cluster.url = cluster.script("start")?;
        Ok(cluster)
    }

    /// The `postgres` database, as superuser. The same for as long as the cluster is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it as a crash would: PostgreSQL's immediate shutdown, without a word to anybody. Blocks until it is gone.
    pub fn crash(&self) -> anyhow::Result<()> {
        let status = self.script("status")?;
        let pid = status
            .strip_prefix("running: pid ")
            .and_then(|rest| rest.split(',').next())
            .with_context(|| format!("PostgreSQL does not run: {status}"))?;
        let killed = Command::new("kill").args(["-QUIT", pid]).status()?;
        ensure!(
            killed.success(),
            "PostgreSQL (pid {pid}) could not be sent a signal"
        );
        for _ in 0..600 {
            if self.output("status")?.status.code() == Some(3) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("PostgreSQL (pid {pid}) did not end")
    }

    /// Starts it again and waits until it has recovered. Blocks.
    pub fn restart(&self) -> anyhow::Result<()> {
        let url = self.script("start")?;
        ensure!(
            url == self.url,
            "somebody took PostgreSQL's port while it was down: start the run again"
        );
        Ok(())
    }

    fn script(&self, command: &str) -> anyhow::Result<String> {
        let output = self.output(command)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "scripts/postgres.sh {command} failed: {said}"
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn output(&self, command: &str) -> anyhow::Result<std::process::Output> {
        let mut script = Command::new(&self.script);
        script
            .arg(command)
            .arg(&self.dir)
            .arg("--durable")
            .stdin(Stdio::null());
        script
            .output()
            .with_context(|| format!("{} cannot be run", self.script.display()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.script("destroy") {
            eprintln!("the cluster in {} is left over: {error:#}", self.dir.display());
        }
    }
}
