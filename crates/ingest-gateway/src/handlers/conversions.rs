//! `POST /api/meta/conversions`: conversion events, one or many.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use chrono::Datelike;
use rastro_core::event::{Event, Intake, names};
use rastro_core::finding::Finding;
use rastro_core::json::{Json, without_half_characters};
use rastro_service::telemetry::trace_context;
use rastro_store::{ApiKeyKind, NewEvent};
use tracing::Instrument;
use uuid::Uuid;

use crate::app::App;
use crate::auth::KnownKey;
use crate::body;
use crate::group_commit::{NotStored, Stored};
use crate::handlers::authorization;
use crate::metrics::{EventResult, RequestLabels};
use crate::problem::Problem;
use crate::visitor::RequestVisitor;
use crate::wire::{BatchReceipt, Body, Item, ItemResult, Receipt, Submission, finding};

/// A page sends one event, or the few that waited for its end.
const MOST_BYTES_OF_A_BROWSER: usize = 64 * 1_024;
const NO_TEST_CODES: &str = "was left out: it is not taken with a publishable key, which anyone can copy";
const NOT_FROM_PAGES: &str =
    "is not among the events that a publishable key may send; send it from your server";

/// Takes events in. Answers when they are stored, or when it is known that they are not.
#[utoipa::path(
    post,
    path = "/api/meta/conversions",
    tag = "events",
    operation_id = "sendConversions",
    summary = "Send conversion events",
    request_body(content = crate::openapi::ConversionsBody, content_type = "application/json"),
    security(("apiKey" = [])),
    responses(
        (status = 200, description = "A batch was read. Every event has its own result.", body = BatchReceipt<'static>),
        (status = 202, description = "The event is stored and will be sent to Meta.", body = Receipt<'static>),
        (status = 400, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "There is no valid API key.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The key is an operator's.", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The request did not arrive in time.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The event was received before. It is not sent again.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large (with a publishable key: larger than 64 KiB), or holds more than 1,000 events.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not sent as application/json in UTF-8, plain or compressed by gzip.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The event, or the batch as a whole, is not valid. Every wrong field is listed.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The key sends more events than it may. Retry-After says when to go on.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Nothing is known to be stored. Send the same again: what was stored is then a duplicate.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn receive(app: Data<App>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let request_id = Uuid::now_v7();
    let response = answer(&app, &request, payload, request_id).await;
    let response = response.unwrap_or_else(|problem| problem.into_response(request_id));
    app.metrics
        .requests
        .get_or_create(&RequestLabels {
            status: response.status().as_u16(),
        })
        .inc();
    response
}

async fn answer(
    app: &App,
    request: &HttpRequest,
    payload: Payload,
    request_id: Uuid,
) -> Result<HttpResponse, Problem> {
    let key = app.keyring.caller(authorization(request)).await?;
    if !app.traces {
        return take_in(app, &key, request, payload, request_id, None).await;
    }
    let span = tracing::info_span!("receive", otel.kind = "server", request.id = %request_id);
    // A browser must not decide what is traced.
    if key.caller.kind == ApiKeyKind::Secret
        && let Some(caller) = request
            .headers()
            .get("traceparent")
            .and_then(|value| value.to_str().ok())
    {
        trace_context::set_parent(&span, caller);
    }
    let traceparent = trace_context::traceparent(&span);
    take_in(app, &key, request, payload, request_id, traceparent)
        .instrument(span)
        .await
}

async fn take_in(
    app: &App,
    key: &KnownKey,
    request: &HttpRequest,
    payload: Payload,
    request_id: Uuid,
    traceparent: Option<String>,
) -> Result<HttpResponse, Problem> {
    let is_publishable = key.caller.kind == ApiKeyKind::Publishable;
    let most = if is_publishable {
        app.max_body_bytes.min(MOST_BYTES_OF_A_BROWSER)
    } else {
        app.max_body_bytes
    };
    let text = body::read(request, payload, most, app.request_timeout).await?;
    let text = without_half_characters(&text);
    let mut body = Body::parse(&text)?;
    if is_publishable && body.test_event_code.take().is_some() {
        body.warnings
            .push(finding("/test_event_code", NO_TEST_CODES.to_owned()));
    }

    let now = app.clock.now();
    let visitor = RequestVisitor::of(request, key.caller.kind, &app.trusted_proxies);
    let intake = Intake {
        now_ms: now.timestamp_millis(),
        current_year: now.year(),
        defaults: key.caller.settings.defaults,
        visitor: visitor.as_visitor(),
    };
    let for_tests = key
        .caller
        .settings
        .test_event_code
        .as_ref()
        .filter(|(_, expires_at)| *expires_at > now);
    let test_event_code = body
        .test_event_code
        .as_deref()
        .or(for_tests.map(|(code, _)| code.as_str()));
    let reader = Reader {
        app,
        key,
        intake,
        test_event_code: test_event_code.unwrap_or_default(),
        warnings: body.warnings,
        is_publishable,
        request_id,
        traceparent,
    };
    match body.submission {
        Submission::One(event) => reader.one(event).await,
        Submission::Batch(events) => reader.batch(events).await,
    }
}

/// What is the same for every event of a request.
struct Reader<'r> {
    app: &'r App,
    key: &'r KnownKey,
    intake: Intake<'r>,
    test_event_code: &'r str,
    /// What was left out beside the events, true of each.
    warnings: Vec<Finding>,
    /// Whether the key is in every page, for anyone to copy.
    is_publishable: bool,
    request_id: Uuid,
    traceparent: Option<String>,
}

/// The events that are warned of, or the errors that refuse one.
type Reading<'r> = Result<(Event<'r>, Vec<Finding>), Vec<Finding>>;

impl<'r> Reader<'r> {
    async fn one(&self, event: Json<'r>) -> Result<HttpResponse, Problem> {
        self.key.admit(1)?;
        let (event, mut warnings) = self.read(event).map_err(|errors| {
            self.app.metrics.count(EventResult::rejected, 1);
            Problem::invalid("The event is not valid", errors)
        })?;
        warnings.extend_from_slice(&self.warnings);
        let stored = self.store(vec![self.new_event(&event, None)]).await?;
        match stored.first() {
            Some(Stored::Duplicate(first_received_at)) => Err(Problem::duplicate(*first_received_at)),
            _ => Ok(HttpResponse::Accepted().json(Receipt {
                status: "accepted",
                event_name: &event.name,
                event_id: &event.id,
                request_id: self.request_id,
                warnings: &warnings,
            })),
        }
    }

    /// Reads an event, and refuses one that the key may not send.
    fn read(&self, event: Json<'r>) -> Reading<'r> {
        let (event, warnings) = Event::read(event, &self.intake)?;
        if self.is_publishable && !names::OF_PAGES.contains(&&*event.name) {
            return Err(vec![finding("/event_name", NOT_FROM_PAGES.to_owned())]);
        }
        Ok((event, warnings))
    }

    async fn batch(&self, events: Vec<Item<'r>>) -> Result<HttpResponse, Problem> {
        self.key.admit(events.len())?;
        let mut valid = Vec::with_capacity(events.len());
        let mut read: Vec<Result<_, Option<Vec<Finding>>>> = events
            .into_iter()
            .map(|mut item| {
                let event = item.event.map_err(|error| Some(vec![error]))?;
                let (event, mut warnings) = self.read(event).map_err(Some)?;
                if self.is_publishable && item.test_event_code.take().is_some() {
                    warnings.push(finding("/test_event_code", NO_TEST_CODES.to_owned()));
                }
                warnings.append(&mut item.warnings);
                valid.push(self.new_event(&event, item.test_event_code.as_deref()));
                Ok((event.name, event.id, warnings))
            })
            .collect();
        let mut stored = if valid.is_empty() {
            Vec::new()
        } else {
            self.store(valid).await?
        }
        .into_iter();

        let mut receipt = BatchReceipt {
            request_id: self.request_id,
            accepted: 0,
            duplicate: 0,
            rejected: 0,
            results: Vec::with_capacity(read.len()),
        };
        for (index, event) in read.iter_mut().enumerate() {
            let result = match event {
                Err(errors) => {
                    receipt.rejected += 1;
                    ItemResult {
                        errors: within_batch(index, errors.take().unwrap_or_default()),
                        ..ItemResult::new(index, "rejected")
                    }
                }
                Ok((name, id, warnings)) => {
                    let described = ItemResult {
                        event_name: Some(name),
                        event_id: Some(id),
                        ..ItemResult::new(index, "accepted")
                    };
                    match stored.next() {
                        Some(Stored::Duplicate(first_received_at)) => {
                            receipt.duplicate += 1;
                            ItemResult {
                                status: "duplicate",
                                first_received_at,
                                ..described
                            }
                        }
                        _ => {
                            receipt.accepted += 1;
                            let mut warnings = within_batch(index, std::mem::take(warnings));
                            warnings.extend_from_slice(&self.warnings);
                            ItemResult {
                                warnings,
                                ..described
                            }
                        }
                    }
                }
            };
            receipt.results.push(result);
        }
        self.app.metrics.count(EventResult::rejected, receipt.rejected);
        Ok(HttpResponse::Ok().json(receipt))
    }

    fn new_event(&self, event: &Event<'_>, own_test_event_code: Option<&str>) -> NewEvent {
        NewEvent::new(
            event,
            self.key.caller.dataset_id,
            own_test_event_code.unwrap_or(self.test_event_code).to_owned(),
            self.request_id,
            self.traceparent.clone(),
        )
    }

    async fn store(&self, events: Vec<NewEvent>) -> Result<Vec<Stored>, Problem> {
        let stored = self
            .app
            .group_commit
            .store(events)
            .await
            .map_err(|reason| match reason {
                NotStored::Full | NotStored::Unavailable => Problem::unavailable(),
                NotStored::Refused => Problem::not_storable(),
            })?;
        let accepted = stored
            .iter()
            .filter(|stored| **stored == Stored::Accepted)
            .count();
        self.app.metrics.count(EventResult::accepted, accepted);
        self.app
            .metrics
            .count(EventResult::duplicate, stored.len() - accepted);
        Ok(stored)
    }
}

impl ItemResult<'_> {
    fn new(index: usize, status: &'static str) -> Self {
        ItemResult {
            index,
            status,
            event_name: None,
            event_id: None,
            first_received_at: None,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// Pointers into an event become pointers into the batch that brought it.
fn within_batch(index: usize, mut findings: Vec<Finding>) -> Vec<Finding> {
    for finding in &mut findings {
        finding.pointer.insert_str(0, &format!("/events/{index}"));
    }
    findings
}
