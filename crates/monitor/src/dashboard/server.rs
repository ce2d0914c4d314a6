//! The server: binds the address, serves until shutdown, and watches the database in between.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpServer;
use actix_web::dev::ServerHandle;
use actix_web::web::{self, Data};
use anyhow::Context as _;
use rastro_boot::Service;
use rastro_service::clock::Clock;
use rastro_service::shutdown::Shutdown;
use tokio::task::JoinHandle;
use tracing::info;

use crate::MonitorMetrics;
use crate::config::Config;
use crate::dashboard::app::App;
use crate::dashboard::serve::serve;
use crate::dashboard::watchdog::Watchdog;
use crate::notify::{self, Channel};

/// How often a database is asked whether it is there.
const PULSE: Duration = Duration::from_secs(5);

/// A dashboard that does not listen yet.
pub struct Dashboard {
    app: Arc<App>,
    watchdog: Watchdog,
    listen: SocketAddr,
}

/// One that does.
pub struct Listening {
    address: SocketAddr,
    server: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Dashboard {
    /// # Errors
    /// When a setting makes no sense.
    pub fn new(config: &Config, clock: Clock) -> anyhow::Result<Self> {
        let channels = notify::channels(config)?;
        let names: Vec<&'static str> = channels.iter().map(Channel::name).collect();
        let app = App::new(config, &clock, &names)?;
        let public_url = config.dashboard.public_url.clone();
        let watchdog = Watchdog::new(
            channels,
            config.alerts.clone(),
            app.zone,
            public_url,
            app.clock.now(),
        );
        Ok(Dashboard {
            app: Arc::new(app),
            watchdog,
            listen: config.dashboard.listen,
        })
    }

    /// Starts listening. Requests are served until shutdown; those in flight may finish.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn listen(self, shutdown: Shutdown) -> anyhow::Result<Listening> {
        let listener =
            TcpListener::bind(self.listen).with_context(|| format!("cannot listen on {}", self.listen))?;
        let address = listener.local_addr()?;
        tokio::spawn(watch(Arc::clone(&self.app), self.watchdog, shutdown.clone()));
        let app = self.app;
        let server = HttpServer::new(move || {
            actix_web::App::new()
                .app_data(Data::from(Arc::clone(&app)))
                .default_service(web::to(serve))
        })
        .workers(2)
        .max_connections(256)
        .disable_signals()
        .client_request_timeout(Duration::from_secs(10))
        .shutdown_timeout(5)
        .listen(listener)?
        .run();
        let handle = server.handle();
        tokio::spawn({
            let server = handle.clone();
            async move {
                shutdown.requested().await;
                server.stop(true).await;
            }
        });
        info!("the dashboard listens on {address}");
        Ok(Listening {
            address,
            server: handle,
            serving: tokio::spawn(server),
        })
    }
}

impl Listening {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has stopped.
    ///
    /// # Errors
    /// When the server failed.
    pub async fn stopped(self) -> anyhow::Result<()> {
        self.serving.await?.context("the server failed")
    }

    /// # Errors
    /// When the server failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.server.stop(true).await;
        self.stopped().await
    }
}

/// Serves the pages until shutdown.
///
/// # Errors
/// When a setting makes no sense, or the address cannot be bound.
pub async fn run(config: &Config, service: &Service<MonitorMetrics>) -> anyhow::Result<()> {
    let dashboard = Dashboard::new(config, service.clock.clone())?;
    dashboard.listen(service.shutdown.clone())?.stopped().await
}

/// Notices a database that is away, also when nobody looks at a page.
async fn watch(app: Arc<App>, mut watchdog: Watchdog, shutdown: Shutdown) {
    loop {
        let runs = app.store.last_runs().await;
        app.note(runs.as_ref().err());
        let now = app.clock.now();
        let away = app
            .away
            .since()
            .map_or(Duration::ZERO, |since| (now - since).to_std().unwrap_or_default());
        watchdog.look(now, away, runs.as_ref().ok()).await;
        if let Some((replica, lag)) = app.on_replica.as_deref() {
            let measured = lag.measure(&app.store, &replica.store, now).await;
            replica.note_replica(measured.as_ref().err());
        }
        tokio::select! {
            () = tokio::time::sleep(PULSE) => {}
            () = shutdown.requested() => return,
        }
    }
}
