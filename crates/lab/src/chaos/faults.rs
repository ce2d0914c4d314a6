//! Breaking things, and mending them again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rastro_sandbox::{Fault, FaultKind as MetaFault, Sandbox};
use rastro_service::clock::Clock;
use rastro_test_support::cluster::Cluster;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::books::{self, connect_within};
use crate::chaos::clients::{Book, POISON};
use crate::chaos::fleet::Fleet;
use crate::chaos::payments::Shop;
use crate::chaos::plan::{FaultKind, PlannedFault};

/// How long a fault looks for PostgreSQL, which may be down for other faults' sake.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that can be broken.
pub struct Scene {
    pub cluster: Arc<Cluster>,
    pub sandbox: Sandbox,
    pub fleet: Fleet,
    pub book: Arc<Book>,
    pub gateways: Vec<SocketAddr>,
    /// Where payments are made, if any are.
    pub shop: Option<Arc<Shop>>,
    /// When PostgreSQL was away, from and to in Unix milliseconds. Locked while it is: it is away once at a
    /// time.
    pub downtime: Mutex<Vec<(i64, i64)>>,
}

impl Scene {
    /// Breaks something for as long as the plan says, and mends it. An error means that it could not be
    /// broken or mended.
    pub async fn inflict(&self, fault: PlannedFault) -> anyhow::Result<()> {
        let PlannedFault {
            kind,
            lasts,
            target,
            seed,
            ..
        } = fault;
        match kind {
            FaultKind::GatewayKilled => self.fleet.gateways[target].lock().await.kill(lasts).await,
            FaultKind::RetryWorkerKilled => self.fleet.retry_workers[target].lock().await.kill(lasts).await,
            FaultKind::AttributionKilled => match self.fleet.attributions.get(target) {
                Some(service) => service.lock().await.kill(lasts).await,
                None => Ok(()),
            },
            FaultKind::MercadoPagoFails => {
                if let Some(shop) = &self.shop {
                    shop.spoil_answers(seed);
                    tokio::time::sleep(lasts).await;
                    shop.mercado_pago.clear_faults();
                }
                Ok(())
            }
            FaultKind::WebhooksSpoilt => {
                if let Some(shop) = &self.shop {
                    shop.spoil_webhooks(seed);
                }
                Ok(())
            }
            FaultKind::ForwarderKilled => self.fleet.forwarders[target].lock().await.kill(lasts).await,
            FaultKind::ForwarderFrozen => self.fleet.forwarders[target].lock().await.freeze(lasts).await,
            FaultKind::PostgresCrashed => self.stop_postgres(Cluster::crash, lasts).await,
            FaultKind::PostgresRestarted => self.stop_postgres(Cluster::stop, lasts).await,
            FaultKind::BackendsTerminated => self.tell_postgres(books::TERMINATE_BACKENDS).await.map(drop),
            FaultKind::TransactionLeftOpen => {
                let _open = self.tell_postgres(books::OPEN_TRANSACTION).await?;
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
                let set = self.sandbox.fail_with(meta_fault(kind, seed))?;
                tokio::time::sleep(lasts).await;
                self.sandbox.clear_fault(set);
                Ok(())
            }
        }
    }

    /// Says something to the database, and returns the connection. Another fault may cut it in the middle: then again.
    async fn tell_postgres(&self, statement: &str) -> anyhow::Result<tokio_postgres::Client> {
        let began = Instant::now();
        loop {
            let sql = connect_within(self.cluster.url(), PATIENCE).await?;
            match sql.batch_execute(statement).await {
                Ok(()) => return Ok(sql),
                Err(error) if began.elapsed() > PATIENCE => {
                    return Err(error).context("the database could not be told");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn stop_postgres(
        &self,
        stop: fn(&Cluster) -> anyhow::Result<()>,
        lasts: Duration,
    ) -> anyhow::Result<()> {
        let mut outages = self.downtime.lock().await;
        let now_ms = || Clock::system().now().timestamp_millis();
        let from = now_ms();
        let cluster = self.cluster.clone();
        spawn_blocking(move || stop(&cluster)).await??;
        tokio::time::sleep(lasts).await;
        let cluster = self.cluster.clone();
        spawn_blocking(move || cluster.restart()).await??;
        outages.push((from, now_ms()));
        Ok(())
    }

    /// When PostgreSQL was away, once every fault has ended.
    pub fn outages(&self) -> Vec<(i64, i64)> {
        self.downtime
            .try_lock()
            .map(|outages| outages.clone())
            .unwrap_or_default()
    }
}

/// Whatever else happens, Meta never takes a poisoned event.
pub(super) fn poison() -> Fault {
    let event_id_contains = POISON.to_owned();
    Fault::new(MetaFault::RefuseEvent {
        event_id_contains,
        code: 100,
        subcode: Some(2_804_036),
    })
}

/// Meta's answers take a while, so that requests are under way whenever something breaks.
pub(super) fn distance() -> Fault {
    Fault::new(MetaFault::Latency { ms: 40 })
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
