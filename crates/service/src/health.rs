//! The endpoint that orchestrators and Prometheus ask: `GET /healthz`, `GET /readyz`, `GET /metrics`.
//!
//! It has its own listener, thread and worker, so that a service that is busy, or stuck, still answers. What
//! it cannot do alone is ask the service's parts: readiness checks run on the service's own runtime, because
//! the pools they ask belong to it, and a runtime that is too busy to run them in a second is not ready.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use tracing::{error, info};

use crate::http_thread::HttpThread;
use crate::metrics::{self, Metrics};
use crate::shutdown::Shutdown;

/// How long all checks of one `/readyz` may take together. Kubernetes' default probe timeout is one second,
/// too.
const CHECK_LIMIT: Duration = Duration::from_secs(1);
/// A client that has not sent its request, or taken its answer, by then is cut off.
const CLIENT_LIMIT: Duration = Duration::from_secs(2);
/// Probes and scrapers are a handful; anyone beyond this waits in the kernel's queue.
const MAX_CONNECTIONS: usize = 64;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthConfig {
    /// Address and port, such as `0.0.0.0:9101`; port 0 takes a free one. Not for the public: metrics and the
    /// reasons why a check fails are shown to whoever asks.
    pub listen: SocketAddr,
}

/// Whether one thing the service depends on is usable; the error says why it is not, without secrets.
pub type Check = Arc<dyn Fn() -> CheckFuture + Send + Sync>;
type CheckFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// The checks that must all succeed for the service to be given work.
#[derive(Clone, Default)]
pub struct Readiness(Vec<(&'static str, Check)>);

impl Readiness {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check. `name` is what `/readyz` calls it.
    #[must_use]
    pub fn check<F>(mut self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.0.push((name, Arc::new(move || Box::pin(check()))));
        self
    }

    /// Runs all checks at once on `runtime`; the failing ones and why.
    async fn failing(&self, runtime: &Handle) -> BTreeMap<&'static str, String> {
        let deadline = Instant::now() + CHECK_LIMIT;
        let running: Vec<_> = self
            .0
            .iter()
            .map(|(name, check)| (*name, runtime.spawn(check())))
            .collect();
        let mut failing = BTreeMap::new();
        for (name, mut task) in running {
            let reason = match timeout_at(deadline, &mut task).await {
                Ok(Ok(Ok(()))) => continue,
                Ok(Ok(Err(reason))) => reason,
                Ok(Err(_)) => "the check panicked or its runtime is gone".to_owned(),
                Err(_) => {
                    // Or probes would pile up checks on a runtime that is already stuck.
                    task.abort();
                    format!("no answer within {} s", CHECK_LIMIT.as_secs())
                }
            };
            failing.insert(name, reason);
        }
        failing
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// A running health endpoint; it stops when this is dropped, so keep it until the process has drained.
#[derive(Debug)]
pub struct HealthServer {
    addr: SocketAddr,
    _thread: HttpThread,
}

impl HealthServer {
    /// Where it listens, with the real port if the configured one was 0.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// What else the endpoint serves: routes that are as private as it is.
#[derive(Clone, Default)]
pub struct Routes(Option<Arc<Configure>>);

type Configure = dyn Fn(&mut ServiceConfig) + Send + Sync;

impl Routes {
    pub fn new(configure: impl Fn(&mut ServiceConfig) + Send + Sync + 'static) -> Self {
        Routes(Some(Arc::new(configure)))
    }
}

/// Starts the endpoint. From the moment `shutdown` is requested, `/readyz` says that the service is draining.
///
/// # Errors
/// When the address cannot be bound, a thread cannot be started, or the caller is not on a tokio runtime.
pub fn serve(
    config: &HealthConfig,
    metrics: Metrics,
    readiness: Readiness,
    routes: Routes,
    shutdown: Shutdown,
) -> anyhow::Result<HealthServer> {
    let runtime =
        Handle::try_current().context("the health endpoint needs the service's runtime for its checks")?;
    let listener = TcpListener::bind(config.listen)
        .with_context(|| format!("cannot listen on {} for health checks", config.listen))?;
    let addr = listener
        .local_addr()
        .context("the health endpoint's socket has no address")?;
    let state = Data::new(State {
        metrics,
        readiness,
        shutdown,
        runtime,
    });
    let thread = HttpThread::start("health", move || {
        let app = move || {
            let app = App::new().app_data(state.clone()).configure(health_routes);
            match &routes.0 {
                Some(configure) => app.configure(|config| configure(config)),
                None => app,
            }
        };
        let server = HttpServer::new(app)
            .workers(1)
            .disable_signals()
            .max_connections(MAX_CONNECTIONS)
            .client_request_timeout(CLIENT_LIMIT)
            .client_disconnect_timeout(CLIENT_LIMIT)
            .keep_alive(CLIENT_LIMIT)
            .listen(listener)?;
        Ok(server.run())
    })?;
    info!("health endpoint listens on {addr}");
    Ok(HealthServer {
        addr,
        _thread: thread,
    })
}

struct State {
    metrics: Metrics,
    readiness: Readiness,
    shutdown: Shutdown,
    runtime: Handle,
}

fn health_routes(app: &mut ServiceConfig) {
    app.route("/healthz", web::get().to(alive))
        .route("/readyz", web::get().to(ready))
        .route("/metrics", web::get().to(scrape));
}

async fn alive() -> &'static str {
    "ok"
}

/// The body of `/readyz`.
#[derive(Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum ReadyBody {
    Ready,
    Draining,
    /// Each failing check and its reason.
    Unready {
        failing: BTreeMap<&'static str, String>,
    },
}

async fn ready(state: Data<State>) -> HttpResponse {
    if state.shutdown.is_requested() {
        return HttpResponse::ServiceUnavailable().json(ReadyBody::Draining);
    }
    let failing = state.readiness.failing(&state.runtime).await;
    if failing.is_empty() {
        HttpResponse::Ok().json(ReadyBody::Ready)
    } else {
        HttpResponse::ServiceUnavailable().json(ReadyBody::Unready { failing })
    }
}

async fn scrape(state: Data<State>) -> HttpResponse {
    match state.metrics.encode() {
        Ok(page) => HttpResponse::Ok().content_type(metrics::CONTENT_TYPE).body(page),
        Err(_) => {
            error!("a metric of this service cannot be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}
