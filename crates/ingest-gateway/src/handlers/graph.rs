//! `POST /v{version}/{dataset}/events`: Meta's own edge, for clients that speak to Meta and are given another
//! host.
//!
//! A request is stored whole or not at all, as it is at Meta: every SDK takes an error to mean that nothing
//! arrived, and sends the batch again once it is mended. Storing its good events meanwhile would lose nothing
//! either (the repeat is known by its key), but would answer an error to what was taken; answering success
//! would hide the bad one, for which Meta's answer has no place. What was refused is in the log.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, ORIGIN};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use chrono::Datelike;
use rastro_core::event::Intake;
use rastro_core::finding::Finding;
use rastro_core::json::without_half_characters;
use rastro_core::user_data::Visitor;
use rastro_service::telemetry::trace_context;
use rastro_store::{ApiKeyKind, NewEvent};
use tracing::{Instrument, warn};
use uuid::Uuid;

use super::conversions::{Offered, Reader, Refused, name_of, rest_now_and_then};
use crate::app::App;
use crate::auth::{Known, KnownKey, bearer};
use crate::body;
use crate::browser::Caller;
use crate::handlers::{authorization, span};
use crate::metrics::EventResult;
use crate::problem::Problem;
use crate::wire::graph::{Clues, Encoding, Parameters, event};
use crate::wire::graph_answer::{GraphError, GraphErrorEnvelope, GraphReceipt, messages};

/// Takes events in as Meta does.
#[utoipa::path(
    post,
    path = "/v{version}/{dataset_id}/events",
    tag = "drop-in",
    operation_id = "sendGraphEvents",
    summary = "Send events as to Meta's Graph API",
    params(
        ("version" = String, Path, pattern = "^[0-9.]+$", description = "Any, such as 24.0. The address without it is the same."),
        ("dataset_id" = String, Path, description = "The key's own dataset."),
        ("access_token" = Option<String>, Query, description = "A secret key of the dataset. Better in the body or in the Authorization header: addresses are logged by proxies. Where it comes several times, all must agree."),
    ),
    request_body(content(
        (crate::openapi::GraphBody = "application/json"),
        (crate::openapi::GraphForm = "application/x-www-form-urlencoded"),
        (crate::openapi::GraphForm = "multipart/form-data")
    ), description = "What Meta's SDKs send. One event that is not valid refuses the whole request, as at Meta."),
    security(("apiKey" = []), ()),
    responses(
        (status = 200, description = "All events are stored, now or before.", body = GraphReceipt),
        (status = 400, description = "A parameter or an event is not valid (100), or the dataset is not the key's (100, subcode 33). Nothing is stored.", body = GraphErrorEnvelope<'static>),
        (status = 401, description = "There is no valid secret key (190).", body = GraphErrorEnvelope<'static>),
        (status = 403, description = "The key may not send events of this name (200).", body = GraphErrorEnvelope<'static>),
        (status = 404, description = "There is no such version.", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The request did not arrive in time (2).", body = GraphErrorEnvelope<'static>),
        (status = 413, description = "The body is too large, or holds more than 1,000 events (100).", body = GraphErrorEnvelope<'static>),
        (status = 415, description = "The body is in none of the three encodings (100).", body = GraphErrorEnvelope<'static>),
        (status = 429, description = "The key sends more events than it may (4). Retry-After says when to go on.", body = GraphErrorEnvelope<'static>),
        (status = 500, description = "A defect of the gateway (1).", body = GraphErrorEnvelope<'static>),
        (status = 503, description = "Nothing is known to be stored (2). Send the same again.", body = GraphErrorEnvelope<'static>),
    )
)]
pub(crate) async fn receive(
    app: Data<App>,
    request: HttpRequest,
    path: Path<Address>,
    payload: Payload,
) -> HttpResponse {
    respond(&app, &request, &path.dataset_id, payload, HttpResponse::Ok).await
}

/// `POST /capi/{dataset}/events`, as Meta's PHP SDK speaks to Meta's own gateway (`CAPIGatewayEndpoint`): the
/// key is called accessKey, and success must be 202.
pub(crate) async fn receive_as_gateway(
    app: Data<App>,
    request: HttpRequest,
    path: Path<Address>,
    payload: Payload,
) -> HttpResponse {
    respond(&app, &request, &path.dataset_id, payload, HttpResponse::Accepted).await
}

/// Any other method.
pub(crate) async fn only_post() -> HttpResponse {
    let mut response = GraphError::method().into_response(Uuid::now_v7());
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

#[derive(serde::Deserialize)]
pub(crate) struct Address {
    dataset_id: String,
}

async fn respond(
    app: &App,
    request: &HttpRequest,
    dataset_id: &str,
    payload: Payload,
    success: fn() -> actix_web::HttpResponseBuilder,
) -> HttpResponse {
    let request_id = Uuid::now_v7();
    let response = match answer(app, request, dataset_id, payload, request_id).await {
        Ok(receipt) => success().json(receipt),
        Err(error) => error.into_response(request_id),
    };
    app.metrics.answered(response.status());
    response
}

async fn answer(
    app: &App,
    request: &HttpRequest,
    dataset_id: &str,
    payload: Payload,
    request_id: Uuid,
) -> Result<GraphReceipt, GraphError> {
    let mut parameters = Parameters::of_query(request.query_string());
    if let Some(header) = authorization(request) {
        parameters.keys.push(bearer(Some(header))?.into());
    }
    // A key beside the body is looked at before the body is read. Without one it may be a stranger's, who
    // takes no room of those with a key.
    let shown = match parameters.keys.first() {
        Some(shown) => Some(identify(app, shown).await?),
        None => None,
    };
    let memory = match shown {
        Some(_) => &app.memory,
        None => &app.memory_of_strangers,
    };
    let log = Log { app, request_id };
    let content_type = request.headers().get(CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let encoding = Encoding::of(content_type).ok_or_else(|| GraphError::from(Problem::not_a_graph_body()));
    let encoding = log.refused(shown.as_ref(), "/Content-Type", encoding).await?;
    let body = body::read_any(memory, request, payload, app.max_body_bytes).await;
    let body = log
        .refused(shown.as_ref(), "/body", body.map_err(GraphError::from))
        .await?;
    let text = match encoding {
        Encoding::Json => without_half_characters(&body),
        Encoding::Form | Encoding::Multipart => Cow::Borrowed(&*body),
    };
    let added = parameters.add_body(encoding, content_type, &text);
    log.refused(shown.as_ref(), "/body", added).await?;

    let Some((first, others)) = parameters.keys.split_first() else {
        return Err(GraphError::key("send a secret key as access_token"));
    };
    if others.iter().any(|other| other != first) {
        return Err(GraphError::key(
            "the keys of query, header and body differ; send one",
        ));
    }
    let key = identify(app, first).await?;
    if let Some(origin) = request.headers().get(ORIGIN) {
        return Err(shown_to_a_browser(app, key, origin, request_id).await?);
    }
    if key.caller.dataset_id.to_string() != dataset_id {
        return log
            .refused(Some(&key), "/dataset_id", Err(GraphError::dataset()))
            .await;
    }
    if !app.traces {
        return take_in(app, &key, &mut parameters, request_id, None).await;
    }
    let span = span::of(request, request_id, true);
    let traceparent = trace_context::traceparent(&span);
    let answered = take_in(app, &key, &mut parameters, request_id, traceparent)
        .instrument(span.clone())
        .await;
    let status = answered
        .as_ref()
        .map_or_else(GraphError::status, |_| StatusCode::OK);
    span::answered(&span, status);
    answered
}

/// Whose secret key it is.
async fn identify(app: &App, key: &str) -> Result<Arc<KnownKey>, GraphError> {
    match app.keyring.identify(key).await? {
        Known::Caller(key) if key.caller.kind == ApiKeyKind::Secret => Ok(key),
        Known::Caller(_) => Err(GraphError::key(
            "a publishable key sends no events here; use a secret key",
        )),
        Known::Operator(_) => Err(GraphError::key(
            "an admin key sends no events; use a dataset's own key",
        )),
        Known::Nothing(why) => Err(GraphError::key(why)),
    }
}

/// Where requests are logged that are refused as a whole.
struct Log<'a> {
    app: &'a App,
    request_id: Uuid,
}

impl Log<'_> {
    /// Passes a result on, and logs one that refuses the request for what it brings, if it is known whose it
    /// is: a host name that was changed and a dataset that was not are no silence.
    async fn refused<T>(
        &self,
        key: Option<&Arc<KnownKey>>,
        field: &str,
        result: Result<T, GraphError>,
    ) -> Result<T, GraphError> {
        if let (Err(error), Some(key)) = (&result, key)
            && matches!(error.status().as_u16(), 400 | 413 | 415)
        {
            // Whoever sends more than the key may is told so, and fills no log.
            key.admit(1)?;
            let caller = Caller {
                origin: None,
                key: key.clone(),
            };
            caller.log_refusal(self.app, self.request_id, field).await;
        }
        result
    }
}

/// Only pages say where they are from. Whoever reads this one has the key.
async fn shown_to_a_browser(
    app: &App,
    key: Arc<KnownKey>,
    origin: &HeaderValue,
    request_id: Uuid,
) -> Result<GraphError, GraphError> {
    key.admit(1)?;
    let known = &key.caller;
    warn!(
        dataset_id = %known.dataset_id,
        "the secret key {} of dataset {} was shown to a browser: revoke it", known.key_id, known.dataset_id
    );
    let caller = Caller {
        origin: Some(String::from_utf8_lossy(origin.as_bytes()).into_owned()),
        key,
    };
    caller.log_refusal(app, request_id, "/Origin").await;
    Ok(GraphError::from(Problem::shown_to_a_browser()))
}

async fn take_in(
    app: &App,
    key: &Arc<KnownKey>,
    parameters: &mut Parameters<'_>,
    request_id: Uuid,
    traceparent: Option<String>,
) -> Result<GraphReceipt, GraphError> {
    let mut list = Cow::Borrowed("");
    let elements = parameters.elements(&mut list);
    let log = Log { app, request_id };
    let mut elements = log.refused(Some(key), "/data", elements).await?;
    key.admit(elements.len())?;

    let now = app.clock.now();
    let for_tests = key.caller.settings.test_event_code.as_ref();
    let for_tests = for_tests.filter(|(_, expires_at)| *expires_at > now);
    let reader = Reader {
        app,
        key,
        intake: Intake {
            now_ms: now.timestamp_millis(),
            current_year: now.year(),
            defaults: key.caller.settings.defaults,
            visitor: Visitor::default(),
            clock_shift_seconds: 0,
            consent_refused: false,
            can_ask: false,
        },
        test_event_code: parameters
            .test_event_code
            .as_deref()
            .or(for_tests.map(|(code, _)| code.as_str()))
            .unwrap_or_default(),
        warnings: std::mem::take(&mut parameters.warnings),
        request_id,
        traceparent,
        idempotent: None,
        is_bot: false,
        last_touch: None,
    };
    let mut events: Vec<NewEvent> = Vec::with_capacity(elements.len());
    let mut warnings: Vec<(usize, Finding)> = Vec::new();
    let mut refused = Refusals::default();
    for (index, element) in elements.iter_mut().enumerate() {
        rest_now_and_then(index).await;
        let json = match event(element) {
            Ok(json) => json,
            Err(error) => {
                refused.invalid(index, None, vec![error], Clues::default());
                continue;
            }
        };
        let (name, clues) = (name_of(&json), Clues::of(&json));
        match reader.read(json) {
            Ok((event, of_event)) => {
                events.push(reader.new_event(&event, None));
                warnings.extend(of_event.into_iter().map(|warning| (index, warning)));
            }
            Err(Refused::Invalid(errors)) => {
                refused.invalid(index, name.map(Cow::into_owned), errors, clues);
            }
            Err(Refused::NotForThisKey(error)) => {
                refused.not_for_this_key(index, name.map(Cow::into_owned), error);
            }
        }
    }
    if !refused.events.is_empty() {
        return Err(refused.log(&reader, now.timestamp()).await?);
    }
    let events_received = events.len();
    // Without an idempotency key nobody was faster.
    let offered = Offered {
        events,
        ..Offered::default()
    };
    if reader.store(offered, None).await?.is_err() {
        return Err(Problem::unavailable().into());
    }
    let of_all = reader.warnings.iter().map(|warning| (None, warning));
    let of_events = warnings.iter().map(|(index, warning)| (Some(*index), warning));
    Ok(GraphReceipt {
        events_received,
        messages: messages(of_all.chain(of_events)),
        fbtrace_id: request_id,
    })
}

/// The events that refuse their request.
#[derive(Default)]
struct Refusals {
    events: Vec<(usize, Option<String>, Vec<Finding>)>,
    /// What the first invalid one said.
    clues: Option<(usize, Clues)>,
}

impl Refusals {
    fn invalid(&mut self, index: usize, name: Option<String>, errors: Vec<Finding>, clues: Clues) {
        self.clues.get_or_insert((self.events.len(), clues));
        self.events.push((index, name, errors));
    }

    fn not_for_this_key(&mut self, index: usize, name: Option<String>, error: Finding) {
        self.events.push((index, name, vec![error]));
    }

    /// Logs and counts them, and says what to answer. What is wrong with an event comes before who may send
    /// it: it must be mended either way.
    async fn log(self, reader: &Reader<'_>, now: i64) -> Result<GraphError, GraphError> {
        reader.app.metrics.count(EventResult::rejected, self.events.len());
        let alike = self.events.iter();
        let alike = alike.map(|(_, name, errors)| (name.clone(), errors.as_slice()));
        let offered = Offered {
            refusals: reader.refusals(alike),
            ..Offered::default()
        };
        let logged = reader.store(offered, None).await?;
        debug_assert!(logged.is_ok(), "without an idempotency key nobody was faster");
        let Some((first, clues)) = self.clues else {
            let (index, _, errors) = &self.events[0];
            return Ok(GraphError::permission(*index, errors));
        };
        let error = &self.events[first].2;
        let (subcode, title) = error
            .first()
            .map_or((2_804_019, "Server Side Api Parameter Error"), |error| {
                clues.subcode(error, now)
            });
        let listed: Vec<(usize, &[Finding])> = self.events[first..]
            .iter()
            .chain(&self.events[..first])
            .map(|(index, _, errors)| (*index, errors.as_slice()))
            .collect();
        Ok(GraphError::events(&listed, subcode, title))
    }
}
