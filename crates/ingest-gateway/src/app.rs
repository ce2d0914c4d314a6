//! The routes, what handlers share, and the server around them.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::{ServerHandle, Service, ServiceRequest};
use actix_web::http::Uri;
use actix_web::http::header::{ALLOW, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse, HttpServer, Resource};
use anyhow::Context;
use ipnet::IpNet;
use rastro_graph_api::GraphApi;
use rastro_service::clock::Clock;
use rastro_service::health::{Readiness, Routes};
use rastro_service::shutdown::Shutdown;
use rastro_store::Store;
use tokio::task::JoinHandle;
use tracing::info;
use uuid::Uuid;

use crate::administration::Administration;
use crate::auth::Keyring;
use crate::browser::Visitors;
use crate::config::{Config, GatewayConfig};
use crate::cors;
use crate::group_commit::{GroupCommit, Turns};
use crate::handlers::{
    admin, breaker, conversions, dead_letters, graph, lead_status, leads, people, purchases, webhooks,
};
use crate::idempotency::InFlight;
use crate::lead_values::LeadValues;
use crate::memory::Memory;
use crate::metrics::GatewayMetrics;
use crate::problem::Problem;
use crate::readiness::StoreHealth;
use crate::sdk::{self, Sdk};
use crate::webhook_accounts::WebhookAccounts;

/// What the handlers of events share. Each worker has its own, with its own writer.
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) in_flight: InFlight,
    pub(crate) keyring: Keyring,
    pub(crate) group_commit: GroupCommit,
    pub(crate) memory: Memory,
    /// What bodies may take whose key is in them, and so is not known before they are read: those of Meta's
    /// edge. Strangers can fill it, and with it nobody else's room.
    pub(crate) memory_of_strangers: Memory,
    pub(crate) metrics: GatewayMetrics,
    pub(crate) clock: Clock,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) max_body_bytes: usize,
    pub(crate) max_publishable_body_bytes: usize,
    /// Whose cookies were refreshed today.
    pub(crate) visitors: Visitors,
    pub(crate) webhook_accounts: WebhookAccounts,
    pub(crate) lead_values: LeadValues,
    /// Whether requests are traced at all.
    pub(crate) traces: bool,
}

/// What the handlers of operators' requests share.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) store: Store,
    pub(crate) keyring: Keyring,
    pub(crate) memory: Memory,
    pub(crate) clock: Clock,
    pub(crate) max_body_bytes: usize,
    /// How far back a breaker looks.
    pub(crate) breaker_window_ms: i64,
    pub(crate) administration: Administration,
}

/// A gateway that does not listen yet.
pub struct Gateway {
    config: GatewayConfig,
    desk: Desk,
    metrics: GatewayMetrics,
    store_health: StoreHealth,
    traces: bool,
}

/// A gateway that is listening.
pub struct Listening {
    address: SocketAddr,
    server: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Gateway {
    /// # Errors
    /// When Meta's address, which access tokens are checked at, is not valid.
    pub fn new(
        config: &Config,
        store: Store,
        clock: Clock,
        metrics: GatewayMetrics,
        traces: bool,
    ) -> anyhow::Result<Self> {
        let gateway = &config.gateway;
        let memory = Memory::new(
            gateway.max_waiting_bytes,
            gateway.max_body_bytes,
            Duration::from_secs(gateway.request_timeout_seconds),
        );
        let administration = Administration {
            store: store.clone(),
            graph_api: GraphApi::new(&config.graph_api)?,
            clock: clock.clone(),
        };
        Ok(Gateway {
            desk: Desk {
                administration,
                keyring: Keyring::new(store.clone(), gateway.limits(), metrics.clone()),
                store,
                memory,
                clock,
                max_body_bytes: gateway.max_body_bytes,
                breaker_window_ms: config.common.breaker.window_ms,
            },
            metrics,
            store_health: StoreHealth::new(Duration::from_secs(gateway.not_storing_seconds)),
            traces,
            config: gateway.clone(),
        })
    }

    /// Adds what only a gateway can say: whether events are being stored.
    pub fn readiness(&self, readiness: Readiness) -> Readiness {
        let store_health = self.store_health.clone();
        readiness.check("storing", move || std::future::ready(store_health.check()))
    }

    /// What operators ask, for a listener that is not public.
    pub fn operator_routes(&self) -> Routes {
        let desk = self.desk.clone();
        Routes::new(move |config| {
            config.app_data(Data::new(desk.clone()));
            operator_routes(config);
        })
    }

    /// Starts listening. Requests are served until [`Listening::stop`], or `shutdown`: then, after a while in
    /// which `/readyz` keeps new ones away, those in flight may finish.
    pub fn listen(self, shutdown: Shutdown) -> anyhow::Result<Listening> {
        let Gateway {
            config,
            desk,
            metrics,
            store_health,
            traces,
        } = self;
        let listener = TcpListener::bind(config.listen)
            .with_context(|| format!("cannot listen on {}", config.listen))?;
        let address = listener.local_addr()?;
        let refresh = Duration::from_secs(config.key_refresh_seconds);
        tokio::spawn(desk.keyring.clone().keep_fresh(refresh, shutdown.clone()));
        let lead_values = LeadValues::new(desk.store.clone());
        tokio::spawn(lead_values.clone().keep_fresh(refresh, shutdown.clone()));

        let settings = config.clone();
        let turns = Turns::new(config.workers);
        let in_flight = InFlight::default();
        let (visitors, sdk) = (Visitors::default(), Sdk::new());
        let webhook_accounts = WebhookAccounts::new(desk.store.clone());
        let memory_of_strangers = Memory::new(
            2 * settings.max_body_bytes,
            settings.max_body_bytes,
            Duration::from_secs(settings.request_timeout_seconds),
        );
        let server = HttpServer::new(move || {
            // Called once in each worker's own thread, whose runtime then runs its writer: a request is
            // parsed, stored and answered without crossing threads.
            let app = App {
                store: desk.store.clone(),
                in_flight: in_flight.clone(),
                keyring: desk.keyring.clone(),
                group_commit: GroupCommit::start(&desk.store, &turns, &desk.memory, &store_health, &metrics),
                memory: desk.memory.clone(),
                memory_of_strangers: memory_of_strangers.clone(),
                metrics: metrics.clone(),
                clock: desk.clock.clone(),
                trusted_proxies: settings.trusted_proxies.clone(),
                max_body_bytes: settings.max_body_bytes,
                max_publishable_body_bytes: settings.max_publishable_body_bytes,
                visitors: visitors.clone(),
                webhook_accounts: webhook_accounts.clone(),
                lead_values: lead_values.clone(),
                traces,
            };
            let app = actix_web::App::new()
                .app_data(Data::new(app))
                .app_data(Data::new(sdk.clone()))
                .wrap(DefaultHeaders::new().add((X_CONTENT_TYPE_OPTIONS, "nosniff")))
                .wrap_fn(|mut request, routes| {
                    trim_slash(&mut request);
                    routes.call(request)
                })
                .configure(event_routes)
                .configure(graph_routes)
                .configure(sdk::routes);
            match settings.operators_on_public_listener {
                true => app.app_data(Data::new(desk.clone())).configure(operator_routes),
                false => app,
            }
            .default_service(web::to(async || {
                Problem::not_found().into_response(Uuid::now_v7())
            }))
        })
        .workers(config.workers)
        // Each worker counts its own.
        .max_connections(config.max_connections.div_ceil(config.workers))
        .disable_signals()
        .client_request_timeout(Duration::from_secs(config.request_timeout_seconds))
        .shutdown_timeout(config.shutdown_timeout_seconds)
        .listen(listener)?
        .run();

        let handle = server.handle();
        let drain = Duration::from_secs(config.drain_seconds);
        tokio::spawn({
            let server = handle.clone();
            async move {
                shutdown.requested().await;
                // Whoever sends events here learns only in a while that `/readyz` says no.
                tokio::time::sleep(drain).await;
                server.stop(true).await;
            }
        });
        info!("listening on {address}");
        Ok(Listening {
            address,
            server: handle,
            serving: tokio::spawn(server),
        })
    }
}

impl Listening {
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

/// A slash at the end of a path says nothing. (`NormalizePath` of actix searches every path with a regular
/// expression.)
fn trim_slash(request: &mut ServiceRequest) {
    let path = request.path().trim_end_matches('/');
    if path.is_empty() || path.len() == request.path().len() {
        return;
    }
    let trimmed = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = trimmed.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
}

fn event_routes(config: &mut web::ServiceConfig) {
    let only_post = async |request: HttpRequest| only(cors::request_id(&request), "POST");
    config
        .service(
            web::resource("/api/meta/conversions")
                .wrap(from_fn(cors::answer))
                .route(web::post().to(conversions::receive))
                .default_service(web::to(only_post)),
        )
        .service(
            web::resource("/api/leads/capture")
                .wrap(from_fn(cors::answer))
                .route(web::post().to(leads::capture))
                .default_service(web::to(only_post)),
        )
        .service(only_at("/api/leads/{lead_id}", "PATCH").route(web::patch().to(lead_status::change)))
        .service(
            web::resource("/api/purchases/record")
                .wrap(from_fn(cors::answer))
                .route(web::post().to(purchases::record))
                .default_service(web::to(only_post)),
        )
        .service(
            only_at("/api/webhooks/mercado-pago/{account}", "POST")
                .route(web::post().to(webhooks::mercado_pago)),
        );
}

/// Addresses of Meta's Graph API, and of Meta's own gateway.
fn graph_routes(config: &mut web::ServiceConfig) {
    for (address, handler) in [
        (
            r"/v{version:[0-9.]+}/{dataset_id}/events",
            web::post().to(graph::receive),
        ),
        (r"/{dataset_id:\d+}/events", web::post().to(graph::receive)),
        (
            "/capi/{dataset_id}/events",
            web::post().to(graph::receive_as_gateway),
        ),
    ] {
        config.service(
            web::resource(address)
                .route(handler)
                .default_service(web::to(graph::only_post)),
        );
    }
}

fn operator_routes(config: &mut web::ServiceConfig) {
    config
        .configure(admin::routes)
        .configure(people::routes)
        .service(only_at("/api/meta/retry-failed", "POST").route(web::post().to(dead_letters::retry)))
        .service(only_at("/api/meta/failed", "GET").route(web::get().to(dead_letters::list)))
        .service(
            only_at("/api/meta/breaker/{dataset_id}", "GET, PUT")
                .route(web::get().to(breaker::show))
                .route(web::put().to(breaker::put)),
        );
}

/// An address that takes these methods; its routes say what they do.
pub(crate) fn only_at(address: &str, allowed: &'static str) -> Resource {
    let other = move || async move { only(Uuid::now_v7(), allowed) };
    web::resource(address).default_service(web::to(other))
}

/// The answer to any other method.
pub(crate) fn only(request_id: Uuid, allowed: &'static str) -> HttpResponse {
    let mut response = Problem::method_not_allowed(allowed).into_response(request_id);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
