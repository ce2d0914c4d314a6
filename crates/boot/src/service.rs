//! One running service.

use std::time::Duration;

use anyhow::{bail, ensure};
use rastro_service::clock::Clock;
use rastro_service::health::{self, HealthServer, Readiness, Routes};
use rastro_service::metrics::Metrics;
use rastro_service::metrics::prometheus_client::registry::Registry;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::{self, ErrorChain, Telemetry};
use rastro_store::{Store, StoreError};
use tracing::warn;

use crate::config::CommonConfig;
use crate::partitions::Partitions;

/// How often a database that is away is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// What every service has. `M` is its own metrics.
pub struct Service<M> {
    pub store: Store,
    pub clock: Clock,
    pub shutdown: Shutdown,
    pub metrics: M,
    /// Whether there is anywhere to send traces to.
    pub traces: bool,
    telemetry: Telemetry,
    page: Metrics,
    health: health::HealthConfig,
    partitions: Partitions,
}

impl<M> Service<M> {
    /// Starts logs, traces, signal handling and metrics, and prepares the database's pool. Nothing is
    /// connected yet: a service starts, and says that it is not ready, while the database is away. `version`
    /// is `env!("CARGO_PKG_VERSION")`.
    ///
    /// # Errors
    /// When a setting makes no sense, or the process was set up before.
    pub fn start(
        name: &'static str,
        version: &'static str,
        config: &CommonConfig,
        register: impl FnOnce(&mut Registry) -> M,
    ) -> anyhow::Result<Self> {
        let telemetry = telemetry::init(name, &config.telemetry)?;
        let shutdown = Shutdown::on_signal()?;
        let store = Store::new(&config.database, name)?;
        let (page, metrics) = Metrics::new(name, version, register);
        let partitions = Partitions::new(store.clone());
        tokio::spawn(partitions.clone().keep(shutdown.clone()));
        Ok(Service {
            store,
            clock: Clock::system(),
            shutdown,
            metrics,
            traces: config.telemetry.exports_traces(),
            telemetry,
            page,
            health: config.health.clone(),
            partitions,
        })
    }

    /// What `/readyz` of every service asks: the database with its schema, and partitions for today. A
    /// service adds its own.
    pub fn readiness(&self) -> Readiness {
        let (store, partitions) = (self.store.clone(), self.partitions.clone());
        Readiness::new()
            .check("database", move || {
                let store = store.clone();
                async move {
                    store
                        .check_ready()
                        .await
                        .map_err(|error| ErrorChain(&error).to_string())
                }
            })
            .check("partitions", move || {
                let partitions = partitions.clone();
                async move { partitions.ensure().await }
            })
    }

    /// Starts the private listener: health, readiness, metrics, and these routes. It stops with the returned
    /// value.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn serve_health(&self, readiness: Readiness, routes: Routes) -> anyhow::Result<HealthServer> {
        health::serve(
            &self.health,
            self.page.clone(),
            readiness,
            routes,
            self.shutdown.clone(),
        )
    }

    /// Waits for a database that takes writes and has the schema of this program, and makes sure that our
    /// sealing keys open the access tokens and the leads in it. A service with another key would take every
    /// dataset for blocked, for the whole fleet.
    ///
    /// # Errors
    /// When there are tokens, or leads, and none of them opens.
    pub async fn database_opens(&self) -> anyhow::Result<()> {
        let mut said = String::new();
        while let Err(error) = self.look_at_database().await {
            if let StoreError::SealingKey | StoreError::SealingKeyOfLeads = error {
                bail!(error);
            }
            let what = format!("waiting for the database: {}", ErrorChain(&error));
            if what != said {
                warn!("{what}");
                said = what;
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = self.shutdown.requested() => return Ok(()),
            }
        }
        if let Ok(false) = self.store.speaks_english().await {
            warn!(
                "the database tells its errors in another language than English, in which deadlocks and lock timeouts are \
                 not known: ALTER ROLE ... SET lc_messages = 'C', or GRANT SET ON PARAMETER lc_messages TO the role"
            );
        }
        Ok(())
    }

    /// The same without waiting, for what is over in a minute. A database that is away is not an error here.
    ///
    /// # Errors
    /// When waiting a minute would mend nothing: the schema, the sealing keys, a database without writes.
    pub async fn database_is_ours(&self) -> anyhow::Result<()> {
        match self.look_at_database().await {
            Err(
                error @ (StoreError::SealingKey
                | StoreError::SealingKeyOfLeads
                | StoreError::SchemaTooOld
                | StoreError::ReadOnly),
            ) => bail!(error),
            _ => Ok(()),
        }
    }

    async fn look_at_database(&self) -> Result<(), StoreError> {
        self.store.check_ready().await?;
        self.store.check_sealing_keys().await
    }

    /// Sends the last traces. The last thing that `main` does.
    pub fn end(self) {
        self.telemetry.flush();
    }
}

/// For services that are configured by variables alone.
///
/// # Errors
/// When the process was started with arguments.
pub fn refuse_arguments() -> anyhow::Result<()> {
    ensure!(
        std::env::args().len() == 1,
        "this service takes no arguments but healthcheck, healthcheck ready and --version: \
         it is configured by RASTRO__ variables"
    );
    Ok(())
}
