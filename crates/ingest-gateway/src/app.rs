//! The routes, what handlers share, and the server around them.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::middleware::NormalizePath;
use actix_web::web::{self, Data};
use actix_web::{HttpResponse, HttpServer};
use anyhow::Context;
use ipnet::IpNet;
use rastro_service::clock::Clock;
use rastro_service::shutdown::Shutdown;
use rastro_store::Store;
use tokio::task::JoinHandle;
use tracing::info;
use uuid::Uuid;

use crate::auth::Keyring;
use crate::config::GatewayConfig;
use crate::group_commit::{GroupCommit, Turns};
use crate::handlers::{breaker, conversions, dead_letters};
use crate::metrics::GatewayMetrics;
use crate::problem::Problem;

/// What handlers share. Each worker has its own, with its own writer.
pub(crate) struct App {
    /// For operators. Events go through `group_commit`.
    pub(crate) store: Store,
    pub(crate) keyring: Keyring,
    pub(crate) group_commit: GroupCommit,
    pub(crate) metrics: GatewayMetrics,
    pub(crate) clock: Clock,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) max_body_bytes: usize,
    pub(crate) request_timeout: Duration,
    /// Whether requests are traced at all.
    pub(crate) traces: bool,
}

/// A gateway that is listening.
pub struct Gateway {
    address: SocketAddr,
    server: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
}

/// Starts listening. Requests are served until [`Gateway::stop`], or `shutdown`, which lets those in flight finish.
pub fn run(
    config: &GatewayConfig,
    store: Store,
    clock: Clock,
    metrics: GatewayMetrics,
    traces: bool,
    shutdown: Shutdown,
) -> anyhow::Result<Gateway> {
    let listener =
        TcpListener::bind(config.listen).with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let keyring = Keyring::new(store.clone(), config.max_events_per_second_per_key);
    let refresh = Duration::from_secs(config.key_refresh_seconds);
    tokio::spawn(keyring.clone().keep_fresh(refresh, shutdown.clone()));

    let settings = config.clone();
    let turns = Turns::new(config.workers);
    let timeout = Duration::from_secs(config.request_timeout_seconds);
    let server = HttpServer::new(move || {
        // Called once in each worker's own thread, whose runtime then runs its writer: a request is parsed, stored
        // and answered without crossing threads.
        let app = App {
            store: store.clone(),
            keyring: keyring.clone(),
            group_commit: GroupCommit::start(&store, &turns, settings.max_waiting_bytes, &metrics),
            metrics: metrics.clone(),
            clock: clock.clone(),
            trusted_proxies: settings.trusted_proxies.clone(),
            max_body_bytes: settings.max_body_bytes,
            request_timeout: timeout,
            traces,
        };
        actix_web::App::new()
            .app_data(Data::new(app))
            .wrap(NormalizePath::trim()) // a slash at the end of a path says nothing
            .configure(routes)
    })
    .workers(config.workers)
    .disable_signals()
    .client_request_timeout(timeout)
    .shutdown_timeout(config.shutdown_timeout_seconds)
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
    info!("listening on {address}");
    Ok(Gateway {
        address,
        server: handle,
        serving: tokio::spawn(server),
    })
}

impl Gateway {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has stopped: no connection is open, and every request that came in was answered.
    pub async fn stopped(self) -> anyhow::Result<()> {
        self.serving.await?.context("the server failed")
    }

    /// Finishes the requests in flight and stops.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.server.stop(true).await;
        self.stopped().await
    }
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/api/meta/conversions")
                .route(web::post().to(conversions::receive))
                .default_service(web::to(async || only("POST"))),
        )
        .service(
            web::resource("/api/meta/retry-failed")
                .route(web::post().to(dead_letters::retry))
                .default_service(web::to(async || only("POST"))),
        )
        .service(
            web::resource("/api/meta/failed")
                .route(web::get().to(dead_letters::list))
                .default_service(web::to(async || only("GET"))),
        )
        .service(
            web::resource("/api/meta/breaker/{dataset_id}")
                .route(web::get().to(breaker::show))
                .route(web::put().to(breaker::put))
                .default_service(web::to(async || only("GET, PUT"))),
        )
        .default_service(web::to(async || {
            Problem::not_found().into_response(Uuid::now_v7())
        }));
}

/// The answer to any other method.
fn only(allowed: &'static str) -> HttpResponse {
    let mut response = Problem::method_not_allowed(allowed).into_response(Uuid::now_v7());
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
