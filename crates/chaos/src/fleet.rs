//! The services as processes: two of each, with times so short that a run of minutes sees what takes hours in life.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail, ensure};
use rand::RngExt;
use tokio::sync::Mutex;

use crate::{ACCESS_TOKEN, DATASET_ID, SEALING_KEY, SECRET_KEY};

/// Must outlast a request to Meta and the statement after it.
const LEASE_SECONDS: &str = "5";
/// How often an event is tried again; as many as `RASTRO__RETRY__DELAYS_MS` has delays.
pub(crate) const RETRIES: i16 = 3;

/// One service that is killed and started again. Killed with the value.
pub struct Service {
    program: PathBuf,
    variables: Vec<(&'static str, String)>,
    log: PathBuf,
    child: Child,
}

impl Service {
    fn start(program: PathBuf, variables: Vec<(&'static str, String)>, log: PathBuf) -> anyhow::Result<Self> {
        let child = spawn(&program, &variables, &log)?;
        Ok(Service {
            program,
            variables,
            log,
            child,
        })
    }

    /// Ends it as a power cut would. An error if it had ended before, by itself.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.check()?;
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it anew after [`kill`](Self::kill).
    pub fn revive(&mut self) -> anyhow::Result<()> {
        self.child = spawn(&self.program, &self.variables, &self.log)?;
        Ok(())
    }

    /// Sends it a signal, such as `STOP`.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()?;
        ensure!(
            sent.success(),
            "{} could not be sent {name}",
            self.program.display()
        );
        Ok(())
    }

    /// Services go on whatever happens around them: one that ended by itself is a defect.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!(
                "{} ended by itself ({status}), see {}",
                self.program.display(),
                self.log.display()
            ),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already; there is nothing to do about either error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, variables: &[(&'static str, String)], log: &Path) -> anyhow::Result<Child> {
    let log: File = OpenOptions::new().create(true).append(true).open(log)?;
    Command::new(program)
        .env_clear()
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("{} cannot be started: build it first", program.display()))
}

/// All of them. A fault holds the lock of the service that it is about.
pub struct Fleet {
    pub gateways: [Mutex<Service>; 2],
    pub forwarders: [Mutex<Service>; 2],
    pub retry_workers: [Mutex<Service>; 2],
    /// Where each gateway takes conversions in, whatever happens to it.
    pub conversions: [String; 2],
}

impl Fleet {
    /// Starts everything: the programs in `programs`, over this database and in front of this Meta, with logs in `logs`.
    pub fn start(programs: &Path, database: &str, meta: &str, logs: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(logs).with_context(|| format!("{} cannot be made", logs.display()))?;
        let ports = [free_port()?, free_port()?];
        let service = |name: &str, number: usize, own: &[(&'static str, &str)]| {
            let mut variables = vec![
                ("RASTRO__DATABASE__URL", database.to_owned()),
                ("RASTRO__DATABASE__SEALING_KEY", SEALING_KEY.to_owned()),
                ("RASTRO__DATABASE__CONNECT_TIMEOUT_SECONDS", "1".to_owned()),
                ("RASTRO__DATABASE__STATEMENT_TIMEOUT_SECONDS", "2".to_owned()),
                ("RASTRO__HEALTH__LISTEN", "127.0.0.1:0".to_owned()),
                ("RASTRO__TELEMETRY__LOG_FORMAT", "json".to_owned()),
            ];
            variables.extend(own.iter().map(|(name, value)| (*name, (*value).to_owned())));
            let log = logs.join(format!("{name}-{number}.log"));
            Service::start(programs.join(name), variables, log).map(Mutex::new)
        };
        let gateway = |number: usize| {
            let listen = format!("127.0.0.1:{}", ports[number]);
            let own = [
                ("RASTRO__GATEWAY__LISTEN", listen.as_str()),
                ("RASTRO__SEED__DATASET_ID", DATASET_ID),
                ("RASTRO__SEED__ACCESS_TOKEN", ACCESS_TOKEN),
                ("RASTRO__SEED__SECRET_KEY", SECRET_KEY),
            ];
            service("ingest-gateway", number, &own)
        };
        let forwarder = |number: usize| {
            let mut own = vec![
                ("RASTRO__GRAPH_API__URL", meta),
                ("RASTRO__GRAPH_API__CONNECT_TIMEOUT_SECONDS", "1"),
                ("RASTRO__GRAPH_API__REQUEST_TIMEOUT_SECONDS", "1"),
                // Small batches: many requests under way whenever something breaks.
                ("RASTRO__FORWARDER__BATCH_SIZE", "20"),
                ("RASTRO__FORWARDER__LEASE_SECONDS", LEASE_SECONDS),
                ("RASTRO__FORWARDER__IDLE_POLL_MILLISECONDS", "50"),
                ("RASTRO__FORWARDER__GATHER_MILLISECONDS", "20"),
                ("RASTRO__RETRY__DELAYS_MS", "100,300,1000"),
            ];
            own.extend(BREAKER);
            service("capi-forwarder", number, &own)
        };
        let retry_worker = |number: usize| {
            let mut own = vec![
                ("RASTRO__SWEEP__INTERVAL_MILLISECONDS", "100"),
                ("RASTRO__SWEEP__SPREAD_AFTER_OUTAGE_SECONDS", "1"),
                ("RASTRO__MAINTENANCE__PARTITIONS_EVERY_SECONDS", "5"),
                ("RASTRO__MAINTENANCE__TIDY_EVERY_SECONDS", "2"),
            ];
            own.extend(BREAKER);
            service("retry-worker", number, &own)
        };
        Ok(Fleet {
            gateways: [gateway(0)?, gateway(1)?],
            forwarders: [forwarder(0)?, forwarder(1)?],
            retry_workers: [retry_worker(0)?, retry_worker(1)?],
            conversions: ports.map(|port| format!("http://127.0.0.1:{port}/api/meta/conversions")),
        })
    }

    /// That none of them ended by itself.
    pub async fn check(&self) -> anyhow::Result<()> {
        for service in self
            .gateways
            .iter()
            .chain(&self.forwarders)
            .chain(&self.retry_workers)
        {
            service.lock().await.check()?;
        }
        Ok(())
    }
}

// Patient enough that events spend retries before it opens.
const BREAKER: [(&str, &str); 7] = [
    ("RASTRO__BREAKER__WINDOW_MS", "10000"),
    ("RASTRO__BREAKER__MIN_REQUESTS", "20"),
    ("RASTRO__BREAKER__CONSECUTIVE_FAILURES", "8"),
    ("RASTRO__BREAKER__OPEN_FOR_MS", "500"),
    ("RASTRO__BREAKER__OPEN_FOR_LONGEST_MS", "1000"),
    ("RASTRO__BREAKER__PROBES_TO_CLOSE", "2"),
    ("RASTRO__BREAKER__PROBE_LEASE_MS", "4000"),
];

/// A port that a service can come back to: below those that outgoing connections are given.
fn free_port() -> anyhow::Result<u16> {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut chance = rand::rng();
    (0..200)
        .map(|_| chance.random_range(20_000..32_000))
        .find(is_free)
        .context("no free TCP port was found on 127.0.0.1")
}
