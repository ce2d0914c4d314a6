//! A private PostgreSQL cluster, made by `scripts/postgres.sh`, that can be stopped and crashed without
//! touching any other.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// The folder of this checkout.
pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates are two folders deep")
}

/// A cluster. All calls block for seconds.
pub struct Cluster {
    dir: PathBuf,
    /// `--durable`, `--bench` or `--scratch`: see the script.
    mode: &'static str,
    url: String,
    is_ours_alone: bool,
}

impl Cluster {
    /// Makes a new cluster in place of one that an earlier run may have left there. It is deleted with the
    /// value.
    pub fn fresh(dir: &Path, mode: &'static str) -> anyhow::Result<Self> {
        let mut cluster = Cluster::at(dir, mode, true);
        cluster.script("destroy")?;
        cluster.url = cluster.script("start")?;
        Ok(cluster)
    }

    /// Starts the cluster of a folder, with the data that is there. It goes on running.
    pub fn kept(dir: &Path, mode: &'static str) -> anyhow::Result<Self> {
        let mut cluster = Cluster::at(dir, mode, false);
        cluster.url = cluster.script("start")?;
        Ok(cluster)
    }

    /// Makes a new cluster in place of one that an earlier run may have left there: a copy of a running one,
    /// which follows it. It is deleted with the value.
    pub fn following(dir: &Path, followed: &Cluster) -> anyhow::Result<Self> {
        let mut cluster = Cluster::at(dir, "--durable", true);
        cluster.script("destroy")?;
        cluster.run("follow", &followed.dir)?;
        cluster.url = cluster.script("start")?;
        Ok(cluster)
    }

    /// Makes a base backup of a running cluster in place of what an earlier run may have left there. It does
    /// not run yet, and is deleted with the value.
    pub fn backup(dir: &Path, of: &Cluster) -> anyhow::Result<Self> {
        let mut backup = Cluster::at(dir, "--durable", true);
        backup.script("destroy")?;
        backup.run("backup", &of.dir)?;
        backup.url.clone_from(&of.url);
        Ok(backup)
    }

    /// Starts a base backup at the address of the one that it is of, which is gone, and brings it to the end
    /// of the log in this folder, or to how it was at a moment (as PostgreSQL writes one, with its zone). It
    /// takes writes some moments later.
    pub fn recover(&self, archive: &Path, moment: Option<&str>) -> anyhow::Result<()> {
        let url = self.run_with("recover", archive, moment)?;
        ensure!(url == self.url, "PostgreSQL's port was taken while it was down");
        Ok(())
    }

    /// Lets a cluster that followed another one take writes.
    pub fn promote(&self) -> anyhow::Result<()> {
        self.script("promote").map(drop)
    }

    fn at(dir: &Path, mode: &'static str, is_ours_alone: bool) -> Self {
        Cluster {
            dir: dir.to_owned(),
            mode,
            url: String::new(),
            is_ours_alone,
        }
    }

    /// The `postgres` database, as superuser. The same for as long as the cluster is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it as a crash would: PostgreSQL's immediate shutdown.
    pub fn crash(&self) -> anyhow::Result<()> {
        self.script("crash").map(drop)
    }

    /// Ends it as an administrator would: PostgreSQL's fast shutdown.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.script("stop").map(drop)
    }

    /// Starts it again and waits until it has recovered.
    pub fn restart(&self) -> anyhow::Result<()> {
        let url = self.script("start")?;
        ensure!(url == self.url, "PostgreSQL's port was taken while it was down");
        Ok(())
    }

    fn script(&self, command: &str) -> anyhow::Result<String> {
        self.run(command, Path::new(self.mode))
    }

    fn run(&self, command: &str, last: &Path) -> anyhow::Result<String> {
        self.run_with(command, last, None)
    }

    fn run_with(&self, command: &str, other: &Path, more: Option<&str>) -> anyhow::Result<String> {
        let script = checkout().join("scripts/postgres.sh");
        let output = Command::new(&script)
            .arg(command)
            .arg(&self.dir)
            .arg(other)
            .args(more)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("{} cannot be run", script.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "scripts/postgres.sh {command} failed: {said}"
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.is_ours_alone
            && let Err(error) = self.script("destroy")
        {
            eprintln!("the cluster in {} is left over: {error:#}", self.dir.display());
        }
    }
}
