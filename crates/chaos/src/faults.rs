//! Breaking things, and mending them again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rastro_sandbox::{Fault, FaultKind as MetaFault, Sandbox};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio_postgres::{Client, NoTls};

use crate::POISON;
use crate::cluster::Cluster;
use crate::fleet::{Fleet, Service};
use crate::load::Book;
use crate::plan::{FaultKind, PlannedFault};

/// How long a fault looks for PostgreSQL, which may be down for another fault's sake.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that can be broken.
pub struct Scene {
    pub cluster: Arc<Cluster>,
    pub database_url: String,
    pub sandbox: Sandbox,
    pub fleet: Fleet,
    pub book: Arc<Book>,
    /// One crash of PostgreSQL at a time.
    pub crashing: Mutex<()>,
}

impl Scene {
    /// Breaks something for as long as the plan says, and mends it. An error means that it could not be broken or mended.
    pub async fn inflict(&self, fault: PlannedFault) -> anyhow::Result<()> {
        let PlannedFault {
            kind,
            lasts,
            target,
            seed,
            ..
        } = fault;
        match kind {
            FaultKind::GatewayKilled => kill(&self.fleet.gateways[target], lasts).await,
            FaultKind::ForwarderKilled => kill(&self.fleet.forwarders[target], lasts).await,
            FaultKind::RetryWorkerKilled => kill(&self.fleet.retry_workers[target], lasts).await,
            FaultKind::ForwarderFrozen => {
                let forwarder = self.fleet.forwarders[target].lock().await;
                forwarder.signal("STOP")?;
                tokio::time::sleep(lasts).await;
                forwarder.signal("CONT")
            }
            FaultKind::PostgresCrashed => {
                let _one = self.crashing.lock().await;
                let cluster = self.cluster.clone();
                spawn_blocking(move || cluster.crash()).await??;
                tokio::time::sleep(lasts).await;
                let cluster = self.cluster.clone();
                spawn_blocking(move || cluster.restart()).await?
            }
            FaultKind::BackendsTerminated => {
                let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                           WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.5";
                self.database()
                    .await?
                    .batch_execute(cut)
                    .await
                    .context("connections could not be cut")
            }
            FaultKind::TransactionLeftOpen => {
                let idle = self.database().await?;
                idle.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM send_queue")
                    .await
                    .context("no transaction could be begun")?;
                tokio::time::sleep(lasts).await;
                Ok(())
            }
            FaultKind::EventsPoisoned => {
                let (began, before) = (Instant::now(), self.book.poisoned());
                self.book.begin_poisoning();
                tokio::time::sleep(lasts).await;
                // While nothing can be stored the clients send nothing new.
                while self.book.poisoned() == before && began.elapsed() < PATIENCE {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                self.book.end_poisoning();
                Ok(())
            }
            FaultKind::MetaFails
            | FaultKind::MetaHangs
            | FaultKind::MetaResetsBefore
            | FaultKind::MetaResetsAfter
            | FaultKind::MetaThrottles
            | FaultKind::TokenRevoked => {
                let set = self
                    .sandbox
                    .fail_with(meta_fault(kind, seed))
                    .map_err(anyhow::Error::msg)?;
                tokio::time::sleep(lasts).await;
                self.sandbox.clear_fault(set);
                Ok(())
            }
        }
    }

    /// A connection, as soon as there can be one.
    async fn database(&self) -> anyhow::Result<Client> {
        connect(&self.database_url, PATIENCE).await
    }
}

/// Connects, again and again while PostgreSQL is away.
pub(crate) async fn connect(url: &str, patience: Duration) -> anyhow::Result<Client> {
    let connecting = async {
        loop {
            if let Ok((client, connection)) = tokio_postgres::connect(url, NoTls).await {
                // Its end is the end of what the client asks for.
                tokio::spawn(connection);
                return client;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(patience, connecting)
        .await
        .context("PostgreSQL could not be reached")
}

/// Whatever else happens, Meta never takes a poisoned event.
pub(crate) fn poison() -> Fault {
    let event_id_contains = POISON.to_owned();
    Fault::new(MetaFault::RefuseEvent {
        event_id_contains,
        code: 100,
        subcode: Some(2_804_036),
    })
}

/// Meta's answers take a while, so that requests are under way whenever something breaks.
pub(crate) fn distance() -> Fault {
    Fault::new(MetaFault::Latency { ms: 40 })
}

async fn kill(service: &Mutex<Service>, lasts: Duration) -> anyhow::Result<()> {
    let mut service = service.lock().await;
    service.kill()?;
    tokio::time::sleep(lasts).await;
    service.revive()
}

fn meta_fault(kind: FaultKind, seed: u64) -> Fault {
    let mut chance = StdRng::seed_from_u64(seed);
    let error = |http_status, code, subcode, retry_after| MetaFault::Error {
        http_status,
        code,
        subcode,
        is_transient: false,
        message: None,
        retry_after,
        headers: Default::default(),
        processed: false,
    };
    // Of an outage some requests get through, except where it is about the dataset.
    let (meta_fault, probability) = match kind {
        FaultKind::MetaFails => {
            let answer = match chance.random_range(0..4) {
                0 => error(500, 1, None, None),
                1 => error(503, 2, None, Some(1)),
                2 => MetaFault::Html {
                    http_status: 502,
                    processed: chance.random(),
                },
                _ => MetaFault::ErrorIn200 {
                    code: 2,
                    subcode: None,
                },
            };
            (answer, 0.7)
        }
        FaultKind::MetaHangs => (
            MetaFault::Timeout {
                processed: chance.random(),
            },
            0.5,
        ),
        FaultKind::MetaResetsBefore => (MetaFault::ResetBefore, 0.6),
        FaultKind::MetaResetsAfter => (MetaFault::ResetAfter, 0.6),
        FaultKind::MetaThrottles => (error(400, 4, None, Some(1)), 1.0),
        _ => (error(400, 190, Some(460), None), 1.0),
    };
    Fault::new(meta_fault).with_probability(probability, seed)
}
