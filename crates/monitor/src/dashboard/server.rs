//! The server: finds the route, finds out who asks, and puts the frame around what the page says.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse, HttpServer};
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use maud::{Markup, PreEscaped, html};
use rastro_boot::Service;
use rastro_core::circuit_breaker::BreakerSettings;
use rastro_graph_api::GraphApi;
use rastro_service::clock::Clock;
use rastro_service::config::ExposeSecret as _;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::dashboard::FrameFacts;
use rastro_store::{DatabaseConfig, Store, StoreError};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::MonitorMetrics;
use crate::config::Config;
use crate::dashboard::assets::Asset;
use crate::dashboard::config::DashboardConfig;
use crate::dashboard::layout::{self, Banner, Frame, Page, Tone, Viewer};
use crate::dashboard::pages;
use crate::dashboard::replica::{self, Lag, Source};
use crate::dashboard::routes::{self, Access, Found, Route};
use crate::dashboard::visitor::{self, Door, Role, Visitor};
use crate::dashboard::watchdog::Watchdog;
use crate::dashboard::words::{Lang, Zone};
use crate::notify::{self, Channel};

/// A page never competes with the gateway: few connections, and no statement runs long.
const CONNECTIONS: usize = 4;
const STATEMENT_TIMEOUT_SECONDS: u64 = 2;
/// The largest form.
const MOST_FORM_BYTES: usize = 64 * 1024;
/// How often a database is asked whether it is there.
const PULSE: Duration = Duration::from_secs(5);
/// A check that went well longer ago than this is worth a word on every page.
const SILENT_AFTER_MS: i64 = 5 * 60 * 1000;
/// Pages that are kept for when the database is away.
const PAGES_KEPT: usize = 64;

const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What all requests share.
pub struct App {
    pub store: Store,
    /// For what writes events: a statement of its own time.
    pub writing: Store,
    pub clock: Clock,
    pub zone: Zone,
    pub config: DashboardConfig,
    pub rules: rastro_core::alert::AlertRules,
    pub channels: Vec<&'static str>,
    pub breaker: BreakerSettings,
    pub graph_api: GraphApi,
    door: Door,
    kept: Mutex<VecDeque<(String, Kept)>>,
    /// Since when the database does not answer.
    away_since: Mutex<Option<DateTime<Utc>>>,
    /// The same over a replica, for pages that only look.
    on_replica: Option<Box<(App, Lag)>>,
}

/// A page as it was when the database last answered.
#[derive(Clone)]
struct Kept {
    title: String,
    content: String,
    at: DateTime<Utc>,
}

/// What a page says.
pub struct Content {
    pub title: String,
    pub body: Markup,
    pub live: bool,
    pub status: StatusCode,
}

/// The answer to a request.
pub enum Reply {
    Page(Content),
    /// After something was changed, or for somebody who has to sign in.
    Redirect(String),
    /// The same, with a session that begins or ends.
    WithSession(String, Option<String>),
    /// To be kept, not to be looked at.
    File(Download),
}

/// A file.
pub struct Download {
    /// ASCII, without quotes.
    pub name: String,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn page(title: impl Into<String>, body: Markup) -> Result<Reply, Failed> {
        Ok(Reply::Page(Content {
            title: title.into(),
            body,
            live: false,
            status: StatusCode::OK,
        }))
    }

    /// One that keeps itself fresh.
    pub fn live(title: impl Into<String>, body: Markup) -> Result<Reply, Failed> {
        Ok(Reply::Page(Content {
            title: title.into(),
            body,
            live: true,
            status: StatusCode::OK,
        }))
    }

    /// A form that was not right, shown again.
    pub fn wrong(title: impl Into<String>, body: Markup) -> Result<Reply, Failed> {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Ok(Reply::Page(Content {
            title: title.into(),
            body,
            live: false,
            status,
        }))
    }
}

/// Why there is no page.
#[derive(Debug)]
pub enum Failed {
    NotFound,
    Forbidden(&'static str, &'static str),
    TooManyTries,
    /// A field of a form or address, in both languages.
    Invalid(String),
    Store(StoreError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Failed::Store(error)
    }
}

/// One request, as pages see it.
pub struct Cx<'a> {
    pub app: &'a App,
    pub frame: Frame,
    pub visitor: Option<Visitor>,
    /// What stands at the places of the path.
    pub places: Vec<String>,
    pub query: Vec<(String, String)>,
    pub form: Vec<(String, String)>,
    pub request: &'a HttpRequest,
}

impl Cx<'_> {
    pub fn lang(&self) -> Lang {
        self.frame.lang
    }

    pub fn asked(&self, name: &str) -> &str {
        value(&self.query, name)
    }

    pub fn field(&self, name: &str) -> &str {
        value(&self.form, name).trim()
    }

    /// Who goes into the log.
    pub fn signature(&self) -> String {
        self.visitor
            .as_ref()
            .map(|visitor| visitor.name.clone())
            .unwrap_or_default()
    }

    /// The dataset in a path, if this visitor may see it. One that they may not see does not exist.
    pub fn dataset_at(&self, place: usize) -> Result<i64, Failed> {
        let id: i64 = self
            .places
            .get(place)
            .and_then(|text| text.parse().ok())
            .ok_or(Failed::NotFound)?;
        let is_known = self.frame.datasets.iter().any(|(known, _)| *known == id);
        is_known.then_some(id).ok_or(Failed::NotFound)
    }

    /// The dataset of a form, if there is such a one.
    pub fn dataset_in_form(&self, name: &str) -> Result<Option<i64>, Failed> {
        match self.field(name) {
            "" => Ok(None),
            text => {
                let id: i64 = text.parse().map_err(|_| Failed::NotFound)?;
                let is_known = self.frame.datasets.iter().any(|(known, _)| *known == id);
                is_known.then_some(Some(id)).ok_or(Failed::NotFound)
            }
        }
    }
}

fn value<'v>(pairs: &'v [(String, String)], name: &str) -> &'v str {
    pairs
        .iter()
        .find(|(other, _)| other == name)
        .map_or("", |(_, value)| value)
}

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
        let reading = DatabaseConfig {
            max_connections: CONNECTIONS,
            statement_timeout_seconds: STATEMENT_TIMEOUT_SECONDS,
            ..config.common.database.clone()
        };
        let channels = notify::channels(config)?;
        let zone = Zone(config.zone());
        let names: Vec<&'static str> = channels.iter().map(Channel::name).collect();
        let over = |reading: &DatabaseConfig| {
            anyhow::Ok(App {
                store: Store::new(reading, "dashboard")?,
                writing: Store::new(
                    &DatabaseConfig {
                        max_connections: 2,
                        ..config.common.database.clone()
                    },
                    "dashboard",
                )?,
                clock: clock.clone(),
                zone,
                config: config.dashboard.clone(),
                rules: config.alerts.clone(),
                channels: names.clone(),
                breaker: config.common.breaker,
                graph_api: GraphApi::new(&config.graph_api)?,
                door: Door::default(),
                kept: Mutex::default(),
                away_since: Mutex::default(),
                on_replica: None,
            })
        };
        let mut app = over(&reading)?;
        let replica_url = &config.dashboard.replica_url;
        if !replica_url.expose_secret().is_empty() {
            let url = replica_url.clone();
            let replica = over(&DatabaseConfig { url, ..reading }).context("dashboard.replica_url")?;
            app.on_replica = Some(Box::new((replica, Lag::default())));
        }
        let watchdog = Watchdog::new(channels, config.alerts.clone(), zone, app.clock.now());
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
            .away_since()
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

impl App {
    /// Remembers since when the database does not answer, and says so once.
    fn note(&self, error: Option<&StoreError>) {
        let mut away = self.away_since.lock().unwrap_or_else(PoisonError::into_inner);
        match (error, *away) {
            (Some(StoreError::Unreachable(_) | StoreError::TimedOut), None) => {
                *away = Some(self.clock.now());
                if let Some(error) = error {
                    warn!("the database does not answer: {}", ErrorChain(error));
                }
            }
            (None, Some(_)) => {
                *away = None;
                info!("the database answers again");
            }
            _ => {}
        }
    }

    /// The same of a replica.
    fn note_replica(&self, error: Option<&StoreError>) {
        let mut away = self.away_since.lock().unwrap_or_else(PoisonError::into_inner);
        match (error, *away) {
            (Some(error), None) => {
                *away = Some(self.clock.now());
                warn!(
                    "the replica does not answer, pages are read from the primary: {}",
                    ErrorChain(error)
                );
            }
            (None, Some(_)) => {
                *away = None;
                info!("the replica answers again");
            }
            _ => {}
        }
    }

    /// From where a page that only looks is read.
    fn reading(&self, route: &Route, frame: &mut Frame) -> &App {
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
    fn leave_replica(&self, frame: &mut Frame, error: &StoreError) -> &App {
        if let Some((replica, lag)) = self.on_replica.as_deref() {
            lag.note_away();
            replica.note_replica(Some(error));
            frame
                .banners
                .extend(replica::banner(lag.source(self.clock.now()), frame.lang));
            frame.read_from = None;
        }
        self
    }

    fn away_since(&self) -> Option<DateTime<Utc>> {
        *self.away_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, key: String, page: Kept) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(other, _)| *other != key);
        if kept.len() >= PAGES_KEPT {
            kept.pop_front();
        }
        kept.push_back((key, page));
    }

    fn kept(&self, key: &str) -> Option<Kept> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .find(|(other, _)| other == key)
            .map(|(_, page)| page.clone())
    }
}

async fn serve(app: Data<App>, request: HttpRequest, payload: Payload) -> HttpResponse {
    if let Some(asset) = Asset::at(request.path()) {
        return HttpResponse::Ok()
            .content_type(asset.content_type)
            .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .body(asset.content);
    }
    let mut response = answer(&app, &request, payload).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn answer(app: &App, request: &HttpRequest, payload: Payload) -> HttpResponse {
    let query = pairs(request.query_string().as_bytes());
    let lang = Lang::parse(value(&query, "lang"));
    let mut frame = bare_frame(app, request, lang, &query);
    let (route, places) = match routes::find(request.method().as_str(), request.path()) {
        Found::Route(route, places) => (route, places),
        Found::OtherMethod(allowed) => {
            let mut response = plain(&frame, StatusCode::METHOD_NOT_ALLOWED, &Failed::NotFound);
            if let Ok(allowed) = HeaderValue::from_str(allowed) {
                response.headers_mut().insert(header::ALLOW, allowed);
            }
            return response;
        }
        Found::Nothing => return plain(&frame, StatusCode::NOT_FOUND, &Failed::NotFound),
    };
    // Before the database is asked anything: it is read most of all when that is away.
    if route.action == routes::Action::Runbook {
        let (title, body) = (pages::runbook::TITLE, pages::runbook::body(lang));
        return html_answer(request, &frame, StatusCode::OK, title, &body);
    }
    let form = match route.method {
        "POST" => {
            if !visitor::is_from_our_page(&app.config, request) {
                return failed(
                    &frame,
                    &Failed::Forbidden(
                        "Este formulário não veio de uma página deste painel.",
                        "This form did not come from a page of this dashboard.",
                    ),
                );
            }
            match read_form(payload).await {
                Some(form) => form,
                None => {
                    return plain(
                        &frame,
                        StatusCode::PAYLOAD_TOO_LARGE,
                        &Failed::Invalid("too large".into()),
                    );
                }
            }
        }
        _ => Vec::new(),
    };
    // A form says its language in a field.
    if value(&form, "lang") == "en" {
        frame.lang = Lang::En;
    }
    let visitor = app.door.visitor(&app.store, &app.config, request).await;
    // Whoever is remembered, or named by a proxy, says nothing of the database.
    if !matches!(&visitor, Ok(Some(visitor)) if visitor.from_memory || visitor.by_proxy) {
        app.note(visitor.as_ref().err());
    }
    let visitor = match visitor {
        Ok(visitor) => visitor,
        Err(error) => return away(app, &mut frame, &error),
    };
    let role = visitor.as_ref().map(|visitor| visitor.role);
    if !route.access.allows(role) {
        return match role {
            None => to_login(&frame, request, route),
            Some(_) => failed(
                &frame,
                &Failed::Forbidden(
                    "Só quem opera pode fazer isto: entre com uma chave de operação.",
                    "Only operators can do this: sign in with an admin key.",
                ),
            ),
        };
    }
    if let Some(visitor) = &visitor {
        let token = value(&form, "token");
        if route.method == "POST"
            && route.access != Access::Anyone
            && !visitor::same(token, &visitor.form_token)
        {
            return failed(
                &frame,
                &Failed::Forbidden(
                    "Este formulário é de uma sessão que já terminou. Recarregue a página e tente de novo.",
                    "This form is of a session that has ended. Reload the page and try again.",
                ),
            );
        }
        if visitor.from_memory && route.method == "POST" {
            return away(app, &mut frame, &StoreError::TimedOut);
        }
        frame.viewer = Some(Viewer {
            name: visitor.name.clone(),
            is_operator: visitor.role == Role::Operator,
            form_token: visitor.form_token.clone(),
            by_proxy: visitor.by_proxy,
        });
    }
    let key = format!(
        "{} {} {}",
        visitor.as_ref().map_or("", |visitor| visitor.form_token.as_str()),
        frame.lang.tag(),
        request.uri()
    );
    let mut reading = app;
    if visitor.is_some() {
        reading = app.reading(&route, &mut frame);
        let mut completed = complete(reading, &mut frame, visitor.as_ref(), &query).await;
        if let Err(Failed::Store(error)) = &completed
            && !std::ptr::eq(reading, app)
        {
            reading = app.leave_replica(&mut frame, error);
            completed = complete(reading, &mut frame, visitor.as_ref(), &query).await;
        }
        match completed {
            Ok(()) if std::ptr::eq(reading, app) => app.note(None),
            Ok(()) if app.away_since().is_some() => {
                let (lang, zone) = (frame.lang, frame.zone);
                frame.banners.push(away_banner(app, lang, zone));
            }
            Ok(()) => {}
            Err(Failed::Store(error)) => {
                app.note(Some(&error));
                return kept_or_away(app, &mut frame, &key, &error);
            }
            Err(other) => return failed(&frame, &other),
        }
    }
    let new_cookie = visitor
        .as_ref()
        .and_then(|visitor| visitor.new_form_cookie.clone());
    let mut cx = Cx {
        app: reading,
        frame,
        visitor,
        places,
        query,
        form,
        request,
    };
    let mut reply = pages::act(route.action, &cx).await;
    if let Err(Failed::Store(error)) = &reply
        && !std::ptr::eq(reading, app)
    {
        cx.app = app.leave_replica(&mut cx.frame, error);
        reply = pages::act(route.action, &cx).await;
    }
    let mut frame = cx.frame;
    let mut response = match reply {
        Ok(Reply::Page(content)) => {
            if route.method == "GET" && content.status == StatusCode::OK && app.away_since().is_none() {
                let (title, body) = (content.title.clone(), content.body.0.clone());
                app.keep(
                    key,
                    Kept {
                        title,
                        content: body,
                        at: frame.now,
                    },
                );
            }
            frame.live = content.live;
            html_answer(request, &frame, content.status, &content.title, &content.body)
        }
        Ok(Reply::Redirect(to)) => see_other(&to),
        Ok(Reply::File(file)) => HttpResponse::Ok()
            .content_type(file.content_type)
            .insert_header((
                header::CONTENT_DISPOSITION,
                format!("attachment; filename=\"{}\"", file.name),
            ))
            .body(file.body),
        Ok(Reply::WithSession(to, session)) => {
            let mut response = see_other(&to);
            let cookie = visitor::cookie(
                &app.config,
                request,
                visitor::SESSION_COOKIE,
                session.unwrap_or_default(),
            );
            add_cookie(&mut response, &cookie);
            response
        }
        Err(Failed::Store(error)) => {
            app.note(Some(&error));
            kept_or_away(app, &mut frame, &key, &error)
        }
        Err(other) => failed(&frame, &other),
    };
    if let Some(secret) = new_cookie {
        add_cookie(
            &mut response,
            &visitor::cookie(&app.config, request, visitor::FORM_COOKIE, secret),
        );
    }
    response
}

fn add_cookie(response: &mut HttpResponse, cookie: &actix_web::cookie::Cookie<'_>) {
    if let Err(error) = response.add_cookie(cookie) {
        warn!("a cookie could not be written: {error}");
    }
}

/// The frame before anything is known.
fn bare_frame(app: &App, request: &HttpRequest, lang: Lang, query: &[(String, String)]) -> Frame {
    let kept: Vec<(&str, &str)> = query
        .iter()
        .filter(|(name, _)| name != "lang")
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .finish();
    let address = match query.as_str() {
        "" => request.path().to_owned(),
        query => format!("{}?{query}", request.path()),
    };
    let theme = request.cookie("theme").and_then(|cookie| match cookie.value() {
        "dark" => Some("dark"),
        "light" => Some("light"),
        _ => None,
    });
    let mut banners = Vec::new();
    if app.config.demo {
        let text = lang.t(
            "Dados de demonstração: nada aqui aconteceu de verdade.",
            "Demonstration data: nothing of this really happened.",
        );
        banners.push(Banner {
            tone: Tone::Neutral,
            text: text.to_owned(),
        });
    }
    Frame {
        lang,
        page: page_of(request.path()),
        address,
        viewer: None,
        datasets: Vec::new(),
        dataset: None,
        one_dataset_only: false,
        dead_letters: None,
        banners,
        now: app.clock.now(),
        zone: app.zone,
        theme,
        checked_ms_ago: None,
        counted_since: None,
        live: false,
        read_from: None,
    }
}

fn page_of(path: &str) -> Page {
    let pages = [
        Page::Login,
        Page::DeadLetters,
        Page::Event,
        Page::Revenue,
        Page::Alerts,
        Page::Quality,
        Page::Datasets,
        Page::Breaker,
        Page::Method,
    ];
    pages
        .into_iter()
        .find(|page| path.starts_with(page.path()))
        .unwrap_or(Page::Overview)
}

/// What the frame of somebody who signed in shows.
async fn complete(
    app: &App,
    frame: &mut Frame,
    visitor: Option<&Visitor>,
    query: &[(String, String)],
) -> Result<(), Failed> {
    let own = visitor.and_then(|visitor| visitor.dataset);
    let asked: Option<i64> = match value(query, "dataset") {
        "" => None,
        text => Some(text.parse().map_err(|_| Failed::NotFound)?),
    };
    // Another's dataset does not exist.
    let dataset = match (own, asked) {
        (Some(own), Some(asked)) if own != asked => return Err(Failed::NotFound),
        (own, asked) => own.or(asked),
    };
    let (facts, mut datasets) = app.store.frame_facts(dataset).await?;
    if let Some(own) = own {
        datasets.retain(|(id, _)| *id == own);
    }
    if dataset.is_some_and(|dataset| !datasets.iter().any(|(id, _)| *id == dataset)) {
        return Err(Failed::NotFound);
    }
    frame.now = facts.now;
    frame.datasets = datasets;
    frame.dataset = dataset;
    frame.one_dataset_only = own.is_some();
    frame.dead_letters = Some(facts.dead_letters);
    frame.checked_ms_ago = facts.checked_at.map(|at| (facts.now - at).num_milliseconds());
    frame.counted_since = facts.counted_since;
    frame.banners.extend(banners(frame.lang, frame.zone, &facts));
    Ok(())
}

/// What is said on every page while it is so.
fn banners(lang: Lang, zone: Zone, facts: &FrameFacts) -> Vec<Banner> {
    let mut banners = Vec::new();
    match facts.checked_at.map(|at| (facts.now - at).num_milliseconds()) {
        Some(silent @ SILENT_AFTER_MS..) => banners.push(Banner {
            tone: Tone::Bad,
            text: match lang {
                Lang::Pt => format!("O monitor não verifica nada há {}: contagens e alertas estão parados.", lang.duration(silent)),
                Lang::En => format!("The monitor has checked nothing for {}: counts and alerts stand still.", lang.duration(silent)),
            },
        }),
        Some(_) => {}
        None => banners.push(Banner {
            tone: Tone::Watch,
            text: lang
                .t(
                    "O monitor ainda não verificou nada: rode `monitor check` a cada minuto, ou não há contagens nem alertas.",
                    "The monitor has not checked anything yet: run `monitor check` every minute, or there are no counts and no alerts.",
                )
                .to_owned(),
        }),
    }
    if let (Some(counted), Some(all)) = (facts.history_counted, facts.history_days)
        && counted < all
    {
        banners.push(Banner {
            tone: Tone::Neutral,
            text: match lang {
                Lang::Pt => format!("Histórico sendo contado: {counted} de {all} dias."),
                Lang::En => format!("History is being counted: {counted} of {all} days."),
            },
        });
    }
    if facts.silences > 0 {
        let until = facts
            .silenced_until
            .map(|at| zone.short(lang, at, facts.now))
            .unwrap_or_default();
        banners.push(Banner {
            tone: Tone::Watch,
            text: match lang {
                Lang::Pt => format!("Alertas em silêncio por ordem, até {until}."),
                Lang::En => format!("Alerts are silenced by order, until {until}."),
            },
        });
    }
    banners
}

fn away_banner(app: &App, lang: Lang, zone: Zone) -> Banner {
    let now = app.clock.now();
    let since = app.away_since().unwrap_or(now);
    let (at, long) = (
        zone.short(lang, since, now),
        lang.duration((now - since).num_milliseconds()),
    );
    Banner {
        tone: Tone::Bad,
        text: match lang {
            Lang::Pt => format!(
                "O banco não responde desde {at} (há {long}); o gateway devolve 503 e quem envia tenta de novo. Nada do que foi aceito se perde."
            ),
            Lang::En => format!(
                "The database has not answered since {at} (for {long}); the gateway answers 503 and senders try again. Nothing that was accepted is lost."
            ),
        },
    }
}

/// The page as it last was, under a banner; without one, the banner alone.
fn kept_or_away(app: &App, frame: &mut Frame, key: &str, error: &StoreError) -> HttpResponse {
    let Some(kept) = app.kept(key) else {
        return away(app, frame, error);
    };
    let (lang, zone) = (frame.lang, frame.zone);
    frame.banners.push(away_banner(app, lang, zone));
    let at = zone.short(lang, kept.at, app.clock.now());
    let text = match lang {
        Lang::Pt => format!("A página abaixo é de {at}."),
        Lang::En => format!("The page below is of {at}."),
    };
    frame.banners.push(Banner {
        tone: Tone::Watch,
        text,
    });
    frame.live = true;
    let body = PreEscaped(kept.content);
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(layout::page(frame, &kept.title, &body).into_string())
}

fn away(app: &App, frame: &mut Frame, error: &StoreError) -> HttpResponse {
    let (lang, zone) = (frame.lang, frame.zone);
    let is_away = matches!(error, StoreError::Unreachable(_) | StoreError::TimedOut);
    if is_away {
        frame.banners.push(away_banner(app, lang, zone));
    } else {
        warn!("a page could not be made: {}", ErrorChain(error));
    }
    frame.live = true;
    let answer = match is_away {
        true => lang.t("Sem banco, sem números", "No database, no numbers"),
        false => lang.t("Esta página não pôde ser feita", "This page could not be made"),
    };
    let more = html! {
        (lang.t("A página tenta de novo sozinha. Enquanto isso: ", "The page tries again by itself. Meanwhile: "))
        a href={ (frame.link("/runbook", "")) "#database-down" } { (lang.t("o que fazer sem banco", "what to do without a database")) } "."
    };
    let body = layout::verdict(Tone::Bad, &html! { (answer) }, &more, &html! {});
    HttpResponse::ServiceUnavailable()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::RETRY_AFTER, "15"))
        .body(layout::page(frame, answer, &body).into_string())
}

fn to_login(frame: &Frame, request: &HttpRequest, route: Route) -> HttpResponse {
    if route.method != "GET" {
        return failed(
            frame,
            &Failed::Forbidden(
                "Entre de novo: a sessão terminou.",
                "Sign in again: the session has ended.",
            ),
        );
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    if request.uri().path() != "/" || !request.query_string().is_empty() {
        query.append_pair("volta", &request.uri().to_string());
    }
    if frame.lang == Lang::En {
        query.append_pair("lang", "en");
    }
    match query.finish().as_str() {
        "" => see_other("/entrar"),
        query => see_other(&format!("/entrar?{query}")),
    }
}

fn see_other(to: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, to))
        .finish()
}

fn failed(frame: &Frame, why: &Failed) -> HttpResponse {
    let status = match why {
        Failed::NotFound => StatusCode::NOT_FOUND,
        Failed::Forbidden(..) => StatusCode::FORBIDDEN,
        Failed::TooManyTries => StatusCode::TOO_MANY_REQUESTS,
        Failed::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Failed::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    plain(frame, status, why)
}

/// A page with one sentence.
fn plain(frame: &Frame, status: StatusCode, why: &Failed) -> HttpResponse {
    let lang = frame.lang;
    let (answer, more) = match why {
        Failed::NotFound => (
            lang.t("Esta página não existe", "There is no such page")
                .to_owned(),
            lang.t("Ou você não pode vê-la.", "Or you may not see it.")
                .to_owned(),
        ),
        Failed::Forbidden(pt, en) => (
            lang.t("Isto não foi feito", "This was not done").to_owned(),
            lang.t(pt, en).to_owned(),
        ),
        Failed::TooManyTries => (
            lang.t("Tentativas demais", "Too many tries").to_owned(),
            lang.t(
                "Espere um minuto e tente de novo.",
                "Wait a minute and try again.",
            )
            .to_owned(),
        ),
        Failed::Invalid(text) => (lang.t("Assim não dá", "That cannot be").to_owned(), text.clone()),
        Failed::Store(_) => (
            lang.t("O banco não respondeu", "The database did not answer")
                .to_owned(),
            String::new(),
        ),
    };
    let body = html! {
        (layout::verdict(Tone::Watch, &html! { (answer) }, &html! { (more) }, &html! {}))
        p { a.btn href=(frame.link("/", "")) { (lang.t("Ir para a visão geral", "Go to the overview")) } }
    };
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .body(layout::page(frame, &answer, &body).into_string())
}

/// A page, or 304 if the browser has it already.
fn html_answer(
    request: &HttpRequest,
    frame: &Frame,
    status: StatusCode,
    title: &str,
    body: &Markup,
) -> HttpResponse {
    let text = layout::page(frame, title, body).into_string();
    let hash = Sha256::digest(&text);
    let etag = format!("\"{}\"", visitor::hex(&hash[..12]));
    let known = request
        .headers()
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    if status == StatusCode::OK && known == Some(etag.as_str()) {
        return HttpResponse::NotModified()
            .insert_header((header::ETAG, etag))
            .finish();
    }
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((header::ETAG, etag))
        .body(text)
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .take(200)
        .collect()
}

/// The fields of a form; `None`: it is too large, or did not come whole.
async fn read_form(mut payload: Payload) -> Option<Vec<(String, String)>> {
    let mut text = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.ok()?;
        if text.len() + chunk.len() > MOST_FORM_BYTES {
            return None;
        }
        text.extend_from_slice(&chunk);
    }
    Some(pairs(&text))
}

impl App {
    pub fn door(&self) -> &Door {
        &self.door
    }
}
