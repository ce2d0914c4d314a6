//! What all requests share: the databases, the settings, and what is remembered between two requests.

use anyhow::Context as _;
use rastro_core::alert::AlertRules;
use rastro_core::circuit_breaker::BreakerSettings;
use rastro_graph_api::GraphApi;
use rastro_service::clock::Clock;
use rastro_service::config::ExposeSecret as _;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{DatabaseConfig, Store, StoreError};
use tracing::{info, warn};

use crate::config::Config;
use crate::dashboard::away::{Away, KeptPages};
use crate::dashboard::config::DashboardConfig;
use crate::dashboard::layout::Frame;
use crate::dashboard::replica::{self, Lag, Source};
use crate::dashboard::routes::Route;
use crate::dashboard::visitor::Door;
use crate::dashboard::words::Zone;

/// A page never competes with the gateway: few connections, and no statement runs long.
const CONNECTIONS: usize = 4;
const STATEMENT_TIMEOUT_SECONDS: u64 = 2;

pub struct App {
    pub store: Store,
    /// For what writes events: a statement of its own time.
    pub writing: Store,
    pub clock: Clock,
    pub zone: Zone,
    pub config: DashboardConfig,
    pub rules: AlertRules,
    pub channels: Vec<&'static str>,
    pub breaker: BreakerSettings,
    pub graph_api: GraphApi,
    pub(super) door: Door,
    pub(super) kept: KeptPages,
    pub(super) away: Away,
    /// The same over a replica, for pages that only look.
    pub(super) on_replica: Option<Box<(App, Lag)>>,
}

impl App {
    /// With its replica, if the settings name one.
    ///
    /// # Errors
    /// When a setting makes no sense.
    pub(super) fn new(config: &Config, clock: &Clock, channels: &[&'static str]) -> anyhow::Result<App> {
        let database = DatabaseConfig {
            max_connections: CONNECTIONS,
            statement_timeout_seconds: STATEMENT_TIMEOUT_SECONDS,
            ..config.common.database.clone()
        };
        let mut app = App::over(&database, config, clock, channels)?;
        let replica_url = &config.dashboard.replica_url;
        if !replica_url.expose_secret().is_empty() {
            let url = replica_url.clone();
            let replica = App::over(&DatabaseConfig { url, ..database }, config, clock, channels)
                .context("dashboard.replica_url")?;
            app.on_replica = Some(Box::new((replica, Lag::default())));
        }
        Ok(app)
    }

    fn over(
        database: &DatabaseConfig,
        config: &Config,
        clock: &Clock,
        channels: &[&'static str],
    ) -> anyhow::Result<App> {
        let writing = DatabaseConfig {
            max_connections: 2,
            ..config.common.database.clone()
        };
        Ok(App {
            store: Store::new(database, "dashboard")?,
            writing: Store::new(&writing, "dashboard")?,
            clock: clock.clone(),
            zone: Zone(config.zone()),
            config: config.dashboard.clone(),
            rules: config.alerts.clone(),
            channels: channels.to_vec(),
            breaker: config.common.breaker,
            graph_api: GraphApi::new(&config.graph_api)?,
            door: Door::default(),
            kept: KeptPages::default(),
            away: Away::default(),
            on_replica: None,
        })
    }

    /// Remembers since when the database does not answer, and says so once.
    pub(super) fn note(&self, error: Option<&StoreError>) {
        match error {
            Some(error @ (StoreError::Unreachable(_) | StoreError::TimedOut)) => {
                if self.away.begins(self.clock.now()) {
                    warn!("the database does not answer: {}", ErrorChain(error));
                }
            }
            Some(_) => {}
            None => {
                if self.away.ends() {
                    info!("the database answers again");
                }
            }
        }
    }

    /// The same of a replica, of which every error is one too many.
    pub(super) fn note_replica(&self, error: Option<&StoreError>) {
        match error {
            Some(error) => {
                if self.away.begins(self.clock.now()) {
                    warn!(
                        "the replica does not answer, pages are read from the primary: {}",
                        ErrorChain(error)
                    );
                }
            }
            None => {
                if self.away.ends() {
                    info!("the replica answers again");
                }
            }
        }
    }

    /// From where a page that only looks is read.
    pub(super) fn reading(&self, route: &Route, frame: &mut Frame) -> &App {
        let Some((replica, lag)) = self.on_replica.as_deref() else {
            return self;
        };
        let now = self.clock.now();
        if route.method != "GET" {
            lag.note_order(now);
            return self;
        }
        let source = lag.source(now);
        frame.banners.extend(replica::banner(source, frame.lang));
        frame.read_from = replica::foot(source, frame.lang);
        match source {
            Source::Replica(_) => replica,
            Source::Primary(_) | Source::PrimaryAfterOrder => self,
        }
    }

    /// The replica did not answer: this page and the next ones are read from the primary.
    pub(super) fn leave_replica(&self, frame: &mut Frame, error: &StoreError) -> &App {
        if let Some((replica, lag)) = self.on_replica.as_deref() {
            lag.note_away();
            replica.note_replica(Some(error));
            let source = lag.source(self.clock.now());
            frame.banners.extend(replica::banner(source, frame.lang));
            frame.read_from = None;
        }
        self
    }
}
