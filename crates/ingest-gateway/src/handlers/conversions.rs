//! `POST /api/meta/conversions`: conversion events, one or many.

use std::borrow::Cow;
use std::collections::BTreeMap;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use chrono::Datelike;
use rastro_core::event::{Event, Intake};
use rastro_core::finding::{Finding, Findings};
use rastro_core::json::{Json, without_half_characters};
use rastro_core::person::PersonKeys;
use rastro_core::touchpoint::Touchpoint;
use rastro_core::user_agent;
use rastro_service::telemetry::trace_context;
use rastro_store::{
    Acceptance, ApiKeyKind, KeptAnswer, NewEvent, NewRequest, NewTouchpoint, Origin, Refusal, Stored,
};
use tracing::Instrument;
use uuid::Uuid;

use crate::app::App;
use crate::auth::KnownKey;
use crate::browser::{Caller, Envelope};
use crate::cors;
use crate::group_commit::NotStored;
use crate::handlers::capture::{accepted, touches};
use crate::handlers::span;
use crate::idempotency::{self, Idempotent};
use crate::metrics::EventResult;
use crate::openapi::parts::problems;
use crate::problem::Problem;
use crate::visitor::RequestVisitor;
use crate::wire::{BatchReceipt, Body, Item, ItemResult, Receipt, Submission};

/// A page's event tells of a contact with an ad if it happened within this time of it, in milliseconds: later
/// ones tell of it again and again.
const VISIT_MS: i64 = 30 * 60 * 1_000;

problems! {
    /// How events can be refused.
    EventProblems {
        "400" => "The body is not JSON.",
        "401" => "There is no valid API key.",
        "403" => "The key may not send this (errors names the field), not from this page, or was shown to a browser.",
        "408" => "The request did not arrive in time.",
        "409" => "The event was received before. It is not sent again.",
        "413" => "The body is too large (with a publishable key: larger than 64 KiB), or holds more than 1,000 events.",
        "415" => "The body is not sent as application/json in UTF-8, plain or compressed by gzip.",
        "422" => "The event, or the batch as a whole, is not valid. Every wrong field is listed.",
        "429" => "The key sends more events than it may. Retry-After says when to go on.",
        "503" => "Nothing is known to be stored. Send the same again: what was stored is then a duplicate.",
    }
}

/// Takes events in. Answers when they are stored, or when it is known that they are not.
#[utoipa::path(
    post,
    path = "/api/meta/conversions",
    tag = "events",
    operation_id = "sendConversions",
    summary = "Send conversion events",
    params(("X-Idempotency-Key" = Option<String>, Header, description = "The same key and body again: the first answer again, for 48 hours.")),
    request_body(content(
        (crate::openapi::ConversionsBody = "application/json"),
        (String = "text/plain")
    ), description = "With a publishable key the same JSON may come as text/plain, which spares a page the preflight."),
    security(("apiKey" = []), ("keyInQuery" = [])),
    responses(
        (status = 200, description = "A batch was read. Every event has its own result.", body = BatchReceipt<'static>),
        (status = 202, description = "The event is stored and will be sent to Meta.", body = Receipt<'static>),
        EventProblems,
    )
)]
pub(crate) async fn receive(app: Data<App>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let request_id = cors::request_id(&request);
    let response = answer(&app, &request, payload, request_id).await;
    let response = response.unwrap_or_else(|problem| problem.into_response(request_id));
    app.metrics.answered(response.status());
    response
}

async fn answer(
    app: &App,
    request: &HttpRequest,
    payload: Payload,
    request_id: Uuid,
) -> Result<HttpResponse, Problem> {
    let caller = Caller::of(app, request, request_id).await?;
    if !app.traces {
        return take_in(app, &caller, request, payload, request_id, None).await;
    }
    let span = span::of(request, request_id, caller.key.caller.kind == ApiKeyKind::Secret);
    let traceparent = trace_context::traceparent(&span);
    let answered = take_in(app, &caller, request, payload, request_id, traceparent)
        .instrument(span.clone())
        .await;
    span::answered(
        &span,
        answered
            .as_ref()
            .map_or_else(Problem::status, HttpResponse::status),
    );
    answered
}

async fn take_in(
    app: &App,
    caller: &Caller,
    request: &HttpRequest,
    payload: Payload,
    request_id: Uuid,
    traceparent: Option<String>,
) -> Result<HttpResponse, Problem> {
    let key = &*caller.key;
    let text = caller.read_body(app, request, payload).await;
    let text = caller.refused(app, request_id, text).await?;
    let text = without_half_characters(&text);
    let now = app.clock.now();
    let body = Body::parse(&text, key.caller.kind, now.timestamp_millis());
    let mut body = caller.refused(app, request_id, body).await?;
    let may_test = key.may_test(body.test_event_code.as_deref());
    caller.refused(app, request_id, may_test).await?;
    // Before anything is looked up: whoever sends more than the key may keeps nobody from the database.
    key.admit(match &body.submission {
        Submission::One(_) => 1,
        Submission::Batch(events) => events.len(),
    })?;
    let idempotent = match idempotency::key_of(request, body.envelope.idempotency_key.as_deref())? {
        None => None,
        Some(idempotency_key) => {
            let json = Json::parse(&text).map_err(|error| Problem::malformed(error.to_string()))?;
            let hash = idempotency::hash(request.path(), &json);
            match idempotency::begin(app, key, idempotency_key, hash).await? {
                Ok(idempotent) => Some(idempotent),
                Err(answered) => return Ok(answered),
            }
        }
    };

    let visitor = RequestVisitor::of(request, key.caller.kind, &app.trusted_proxies);
    let intake = Intake {
        now_ms: now.timestamp_millis(),
        current_year: now.year(),
        defaults: key.caller.settings.defaults,
        visitor: visitor.as_visitor(),
        clock_shift_seconds: body.envelope.clock_shift_seconds,
        consent_refused: body.envelope.consent.is_refused(),
        can_ask: false,
    };
    let is_bot = intake.visitor.user_agent.is_some_and(user_agent::is_bot);
    let last_touch = match key.caller.kind == ApiKeyKind::Publishable && !is_bot {
        true => last_touch(&mut body.envelope, &intake),
        false => None,
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
        request_id,
        traceparent,
        idempotent,
        is_bot,
        last_touch,
    };
    let mut response = match body.submission {
        Submission::One(event) => reader.one(event).await?,
        Submission::Batch(events) => reader.batch(events).await?,
    };
    if response.status().is_success() {
        body.envelope.refresh_cookies(caller, app, request, &mut response);
    }
    Ok(response)
}

/// What is the same for every event of a request.
pub(super) struct Reader<'r> {
    pub(super) app: &'r App,
    pub(super) key: &'r KnownKey,
    pub(super) intake: Intake<'r>,
    pub(super) test_event_code: &'r str,
    /// What was left out beside the events, true of each.
    pub(super) warnings: Vec<Finding>,
    pub(super) request_id: Uuid,
    pub(super) traceparent: Option<String>,
    pub(super) idempotent: Option<Idempotent>,
    /// A crawler's: stored, and not sent.
    pub(super) is_bot: bool,
    /// What brought the visitor to the page.
    pub(super) last_touch: Option<Touchpoint>,
}

fn last_touch(envelope: &mut Envelope<'_>, intake: &Intake<'_>) -> Option<Touchpoint> {
    // The first one came with an event of its own visit.
    envelope.attribution.as_mut()?.retain(|(name, _)| name == "last");
    touches(envelope, intake, &mut Findings::default())?.pop()
}

/// What is to be stored of a request.
#[derive(Default)]
pub(super) struct Offered {
    pub(super) events: Vec<NewEvent>,
    pub(super) refusals: Vec<Refusal>,
    /// Stored when an event is new.
    pub(super) touchpoints: Vec<NewTouchpoint>,
}

/// Why an event is not taken.
pub(super) enum Refused {
    Invalid(Vec<Finding>),
    NotForThisKey(Finding),
}

/// An event and what its sender is warned of.
pub(super) type Reading<'r> = Result<(Event<'r>, Vec<Finding>), Refused>;

/// How a request is answered by what became of its events, to be kept.
pub(super) type Answer = Box<dyn Fn(&[Acceptance]) -> KeptAnswer + Send + Sync>;

/// An event that may be stored, its name and id, and what its sender is warned of.
struct TakenEvent<'r> {
    new_event: NewEvent,
    touchpoint: Option<NewTouchpoint>,
    name: Cow<'r, str>,
    id: Cow<'r, str>,
    warnings: Vec<Finding>,
}

/// An event of a batch: its name, id and warnings, or its name as far as it can be told and what is wrong
/// with it.
type ReadEvent<T> = Result<(T, T, Vec<Finding>), (Option<String>, Vec<Finding>)>;

impl<'r> Reader<'r> {
    async fn one(&self, event: Json<'r>) -> Result<HttpResponse, Problem> {
        let taken = match self.take(event, None) {
            Ok(taken) => taken,
            Err((name, Refused::Invalid(errors))) => {
                self.refuse(name, &errors).await?;
                return Err(Problem::invalid("The event is not valid", errors));
            }
            Err((name, Refused::NotForThisKey(error))) => {
                let errors = vec![error];
                self.refuse(name, &errors).await?;
                return Err(Problem::not_for_this_key(errors));
            }
        };
        let TakenEvent {
            new_event,
            touchpoint,
            name,
            id,
            mut warnings,
        } = taken;
        warnings.extend_from_slice(&self.warnings);
        let (forwarding, request_id) = (self.forwarding(), self.request_id);
        let answer = self.idempotent.as_ref().map(|_| -> Answer {
            let (name, id) = (name.clone().into_owned(), id.clone().into_owned());
            let warnings = warnings.clone();
            Box::new(move |stored: &[Acceptance]| {
                answer_to_one(stored, &name, &id, forwarding, request_id, &warnings)
            })
        });
        let offered = Offered {
            events: vec![new_event],
            touchpoints: touchpoint.into_iter().collect(),
            ..Offered::default()
        };
        let stored = self.store(offered, answer).await?;
        Ok(match stored {
            Err(answered) => answered,
            Ok(stored) => idempotency::respond(answer_to_one(
                &stored, &name, &id, forwarding, request_id, &warnings,
            )),
        })
    }

    /// What is stored of an event, with what is said of it: all else of it is gone before anybody waits. The
    /// error has its name, as far as it can be told.
    fn take(
        &self,
        event: Json<'r>,
        own_test_event_code: Option<&str>,
    ) -> Result<TakenEvent<'r>, (Option<String>, Refused)> {
        let name = name_of(&event);
        let read = self.read(event).and_then(|read| {
            let may_test = self.key.may_test_item(own_test_event_code);
            may_test.map(|()| read).map_err(Refused::NotForThisKey)
        });
        match read {
            Ok((event, warnings)) => Ok(TakenEvent {
                new_event: self.new_event(&event, own_test_event_code),
                touchpoint: self.touchpoint(&event),
                name: event.name,
                id: event.id,
                warnings,
            }),
            Err(refused) => Err((name.map(Cow::into_owned), refused)),
        }
    }

    /// Reads an event, and refuses one that the key may not send.
    pub(super) fn read(&self, event: Json<'r>) -> Reading<'r> {
        let (event, warnings) = Event::read(event, &self.intake).map_err(Refused::Invalid)?;
        self.key.may_send(&event.name).map_err(Refused::NotForThisKey)?;
        let source = self.key.may_be_from(event.action_source);
        source.map_err(Refused::NotForThisKey)?;
        Ok((event, warnings))
    }

    async fn batch(&self, events: Vec<Item<'r>>) -> Result<HttpResponse, Problem> {
        let mut valid = Vec::with_capacity(events.len());
        let mut touchpoint = None;
        let mut read: Vec<ReadEvent<Cow<'r, str>>> = Vec::with_capacity(events.len());
        for (index, item) in events.into_iter().enumerate() {
            rest_now_and_then(index).await;
            read.push(self.take_item(item).map(|taken| {
                valid.push(taken.new_event);
                touchpoint = touchpoint.take().or(taken.touchpoint);
                (taken.name, taken.id, taken.warnings)
            }));
        }
        let refused = read.iter().filter_map(|event| event.as_ref().err());
        let refusals = self.refusals(refused.map(|(name, errors)| (name.clone(), errors.as_slice())));
        let (forwarding, request_id) = (self.forwarding(), self.request_id);
        let answer = self.idempotent.as_ref().map(|_| -> Answer {
            let owned = |event: &ReadEvent<Cow<'_, str>>| match event {
                Ok((name, id, warnings)) => Ok((name.to_string(), id.to_string(), warnings.clone())),
                Err(refused) => Err(refused.clone()),
            };
            let read: Vec<ReadEvent<String>> = read.iter().map(owned).collect();
            let of_all = self.warnings.clone();
            Box::new(move |stored: &[Acceptance]| {
                let receipt = receipt(&read, stored, &of_all, forwarding, request_id);
                KeptAnswer {
                    status: 200,
                    body: serde_json::to_string(&receipt).expect("text, numbers and lists can be written"),
                }
            })
        });
        let offered = Offered {
            events: valid,
            refusals,
            touchpoints: touchpoint.into_iter().collect(),
        };
        let stored = match self.store(offered, answer).await? {
            Ok(stored) => stored,
            Err(answered) => return Ok(answered),
        };
        let receipt = receipt(&read, &stored, &self.warnings, forwarding, request_id);
        self.app.metrics.count(EventResult::rejected, receipt.rejected);
        Ok(HttpResponse::Ok().json(receipt))
    }

    /// The same of an event of a batch.
    fn take_item(&self, item: Item<'r>) -> Result<TakenEvent<'r>, (Option<String>, Vec<Finding>)> {
        let event = item.event.map_err(|error| (None, vec![error]))?;
        let taken = self.take(event, item.test_event_code.as_deref());
        let mut taken = taken.map_err(|(name, refused)| match refused {
            Refused::Invalid(errors) => (name, errors),
            Refused::NotForThisKey(error) => (name, vec![error]),
        })?;
        taken.warnings.extend(item.warnings);
        Ok(taken)
    }

    /// What to say of the way to Meta, if anything.
    fn forwarding(&self) -> Option<&'static str> {
        self.is_withheld().then_some("withheld")
    }

    fn is_withheld(&self) -> bool {
        self.intake.consent_refused || self.is_bot
    }

    /// The contact with an ad that the visit of this event began with, if its visitor is known.
    fn touchpoint(&self, event: &Event<'_>) -> Option<NewTouchpoint> {
        let touch = self.last_touch.as_ref()?;
        if (event.time * 1_000 - touch.at_ms).abs() > VISIT_MS {
            return None;
        }
        let mut told = PersonKeys::default();
        told.add_event(&event.user_data, true);
        let visitor = PersonKeys {
            visitor: told.visitor,
            ..PersonKeys::default()
        };
        let dataset_id = self.key.caller.dataset_id;
        let lookups = self.app.store.lookups(dataset_id, &visitor);
        NewTouchpoint::of(dataset_id.as_i64(), &lookups, touch.clone())
    }

    pub(super) fn new_event(&self, event: &Event<'_>, own_test_event_code: Option<&str>) -> NewEvent {
        let origin = Origin {
            dataset_id: self.key.caller.dataset_id,
            test_event_code: own_test_event_code.unwrap_or(self.test_event_code).to_owned(),
            key_id: Some(self.key.caller.key_id),
            request_id: self.request_id,
            traceparent: self.traceparent.clone(),
            withheld: self.is_withheld(),
        };
        let mut new_event = NewEvent::new(event, origin);
        new_event.facts.is_bot = self.is_bot;
        let caller = &self.key.caller;
        if caller.settings.remember_clicks && !self.intake.consent_refused {
            let is_browser = caller.kind == ApiKeyKind::Publishable;
            new_event.recall = self.app.store.recall(caller.dataset_id, event, is_browser);
        }
        new_event
    }

    /// Logs and counts a single event that is refused.
    async fn refuse(&self, name: Option<String>, errors: &[Finding]) -> Result<(), Problem> {
        self.app.metrics.count(EventResult::rejected, 1);
        let offered = Offered {
            refusals: self.refusals([(name, errors)]),
            ..Offered::default()
        };
        self.store(offered, None).await.map(drop)
    }

    /// What is logged of refused events: those alike are one.
    pub(super) fn refusals<'f>(
        &self,
        refused: impl IntoIterator<Item = (Option<String>, &'f [Finding])>,
    ) -> Vec<Refusal> {
        let mut counts: BTreeMap<(Option<String>, &str), usize> = BTreeMap::new();
        for (name, errors) in refused {
            let field = errors.first().map_or("", |error| error.pointer.as_str());
            *counts.entry((name, field)).or_default() += 1;
        }
        let refusal = |((event_name, field), event_count): ((Option<String>, &str), usize)| Refusal {
            dataset_id: self.key.caller.dataset_id,
            event_name,
            key_id: Some(self.key.caller.key_id),
            request_id: self.request_id,
            field: field.to_owned(),
            event_count,
        };
        counts.into_iter().map(refusal).collect()
    }

    /// Stores what came. The error inside is the answer of whoever used the idempotency key first.
    pub(super) async fn store(
        &self,
        offered: Offered,
        answer: Option<Answer>,
    ) -> Result<Result<Vec<Acceptance>, HttpResponse>, Problem> {
        let Offered {
            events,
            refusals,
            touchpoints,
        } = offered;
        if events.is_empty() && refusals.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let idempotency = self.idempotent.as_ref().zip(answer).map(|(idempotent, answer)| {
            let kept = move |stored: &Stored| match stored {
                Stored::Now { acceptances, .. } => answer(acceptances),
                Stored::KeyTaken | Stored::Outdated => answer(&[]),
            };
            idempotent.stored_as(self.key, Box::new(kept))
        });
        let request = NewRequest {
            events,
            refusals,
            touchpoints,
            idempotency,
            ..NewRequest::default()
        };
        let stored = self
            .app
            .group_commit
            .store_request(request)
            .instrument(span::commit(self.app.traces))
            .await
            .map_err(|reason| match reason {
                NotStored::Full | NotStored::Unavailable => Problem::unavailable(),
                NotStored::TooLarge => Problem::too_large(
                    "the events are more than this gateway can hold at once; send them in several requests",
                ),
                NotStored::Refused => Problem::not_storable(),
            })?;
        let stored = match (stored, &self.idempotent) {
            (Stored::Now { acceptances, .. }, _) => acceptances,
            (Stored::KeyTaken, Some(idempotent)) => {
                return idempotent.answer_of_the_first(self.app, self.key).await.map(Err);
            }
            (Stored::KeyTaken, None) | (Stored::Outdated, _) => return Err(Problem::unavailable()),
        };
        let accepted = stored
            .iter()
            .filter(|stored| matches!(stored, Acceptance::Accepted { .. }))
            .count();
        self.app.metrics.count(EventResult::accepted, accepted);
        self.app
            .metrics
            .count(EventResult::duplicate, stored.len() - accepted);
        Ok(Ok(stored))
    }
}

fn answer_to_one(
    stored: &[Acceptance],
    event_name: &str,
    event_id: &str,
    forwarding: Option<&'static str>,
    request_id: Uuid,
    warnings: &[Finding],
) -> KeptAnswer {
    if let Some(Acceptance::Duplicate(first)) = stored.first() {
        return Problem::duplicate(first.map(|first| first.at)).kept(request_id);
    }
    accepted(&Receipt {
        status: "accepted",
        event_name,
        event_id,
        forwarding,
        request_id,
        warnings,
    })
}

fn receipt<'e, T: AsRef<str>>(
    read: &'e [ReadEvent<T>],
    stored: &[Acceptance],
    warnings_of_all: &[Finding],
    forwarding: Option<&'static str>,
    request_id: Uuid,
) -> BatchReceipt<'e> {
    let mut stored = stored.iter();
    let mut receipt = BatchReceipt {
        request_id,
        forwarding,
        accepted: 0,
        duplicate: 0,
        rejected: 0,
        results: Vec::with_capacity(read.len()),
    };
    for (index, event) in read.iter().enumerate() {
        let result = match event {
            Err((_, errors)) => {
                receipt.rejected += 1;
                ItemResult {
                    errors: within_batch(index, errors.clone()),
                    ..ItemResult::new(index, "rejected")
                }
            }
            Ok((name, id, warnings)) => {
                let described = ItemResult {
                    event_name: Some(name.as_ref()),
                    event_id: Some(id.as_ref()),
                    ..ItemResult::new(index, "accepted")
                };
                match stored.next() {
                    Some(Acceptance::Duplicate(first)) => {
                        receipt.duplicate += 1;
                        ItemResult {
                            status: "duplicate",
                            first_received_at: first.map(|first| first.at),
                            ..described
                        }
                    }
                    _ => {
                        receipt.accepted += 1;
                        let mut warnings = within_batch(index, warnings.clone());
                        warnings.extend_from_slice(warnings_of_all);
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
    receipt
}

/// Before the event of this index is read: a batch of a thousand takes milliseconds, and neither the thread's
/// other requests nor its writer wait for all of it.
pub(super) async fn rest_now_and_then(index: usize) {
    const EVENTS_AT_A_TIME: usize = 32;
    if index % EVENTS_AT_A_TIME == EVENTS_AT_A_TIME - 1 {
        tokio::task::yield_now().await;
    }
}

/// The name of an event that was not read yet, if it looks like one: anything may stand there.
pub(super) fn name_of<'r>(event: &Json<'r>) -> Option<Cow<'r, str>> {
    const LONGEST: usize = 50;
    let Json::Object(fields) = event else { return None };
    let (_, name) = fields.iter().find(|(field, _)| field == "event_name")?;
    let Json::String(name) = name else { return None };
    let is_name = name.len() <= LONGEST
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    is_name.then(|| name.clone())
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
