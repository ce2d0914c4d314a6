//! What leads and orders have in common on their way in.

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Datelike, Utc};
use rastro_core::consent;
use rastro_core::event::{ActionSource, Event, Intake};
use rastro_core::finding::{Finding, Findings};
use rastro_core::json::{Json, without_half_characters};
use rastro_core::lead_value::Worth;
use rastro_core::page::CLICKS;
use rastro_core::person::PersonKeys;
use rastro_core::touchpoint::Touchpoint;
use rastro_core::user_data::UserData;
use rastro_service::telemetry::trace_context;
use rastro_store::{
    Acceptance, ApiKeyKind, KeptAnswer, NewEvent, NewRequest, NewTouchpoint, Origin, PersonLookups, Refusal,
    Stored,
};
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::app::App;
use crate::auth::KnownKey;
use crate::browser::{Caller, Envelope};
use crate::cors;
use crate::group_commit::NotStored;
use crate::handlers::span;
use crate::idempotency::{self, Idempotent};
use crate::metrics::EventResult;
use crate::openapi::parts::problems;
use crate::problem::Problem;
use crate::visitor::RequestVisitor;
use crate::wire::capture::Captured;

problems! {
    /// How requests to capture something are answered that come to nothing, whatever they are about.
    pub(crate) RequestProblems {
        "400" => "The body is not JSON.",
        "401" => "There is no valid API key.",
        "403" => "The key may not send this.",
        "408" => "The request did not arrive in time.",
        "413" => "The body is too large.",
        "415" => "The body is not sent as JSON.",
        "429" => "The key sends more than it may.",
        "503" => "Nothing is known to be stored. Send the same again.",
    }
}

/// One kind of thing that is captured.
pub(super) trait Subject {
    /// The field of the body that it is in, and the name of the event that it becomes.
    const FIELD: &'static str;
    const EVENT: &'static str;

    async fn take_in<'r>(
        capture: &Capture<'r>,
        subject: Json<'r>,
        event: Option<Json<'r>>,
    ) -> Result<Ready, Refused>;
}

/// Everything of a request but what it is about.
pub(super) struct Capture<'r> {
    pub(super) app: &'r App,
    pub(super) key: &'r KnownKey,
    pub(super) intake: Intake<'r>,
    pub(super) envelope: &'r Envelope<'r>,
    test_event_code: &'r str,
    pub(super) request_id: Uuid,
}

/// What is to be stored, and how it is answered.
pub(super) struct Ready {
    pub(super) request: NewRequest,
    pub(super) answer: Box<dyn Fn(&Stored) -> KeptAnswer + Send + Sync>,
}

/// Why nothing of it is stored.
pub(super) enum Refused {
    Invalid(Vec<Finding>),
    NotForThisKey(Vec<Finding>),
    /// It is nobody's fault.
    Unavailable,
}

pub(super) async fn receive<S: Subject>(app: &App, request: &HttpRequest, payload: Payload) -> HttpResponse {
    let request_id = cors::request_id(request);
    let response = answer::<S>(app, request, payload, request_id).await;
    let response = response.unwrap_or_else(|problem| problem.into_response(request_id));
    app.metrics.answered(response.status());
    response
}

async fn answer<S: Subject>(
    app: &App,
    request: &HttpRequest,
    payload: Payload,
    request_id: Uuid,
) -> Result<HttpResponse, Problem> {
    let caller = Caller::of(app, request, request_id).await?;
    if !app.traces {
        return take_in::<S>(app, &caller, request, payload, request_id).await;
    }
    let span = span::of(request, request_id, caller.key.caller.kind == ApiKeyKind::Secret);
    let answered = take_in::<S>(app, &caller, request, payload, request_id)
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

async fn take_in<S: Subject>(
    app: &App,
    caller: &Caller,
    request: &HttpRequest,
    payload: Payload,
    request_id: Uuid,
) -> Result<HttpResponse, Problem> {
    let key = &*caller.key;
    let text = caller.read_body(app, request, payload).await;
    let text = caller.refused(app, request_id, text).await?;
    let text = without_half_characters(&text);
    let now = app.clock.now();
    // The parser's sentence quotes nothing of the body.
    let body = Json::parse(&text).map_err(|error| Problem::malformed(error.to_string()));
    let body = caller.refused(app, request_id, body).await?;
    let has_key = request.headers().contains_key("x-idempotency-key")
        || matches!(&body, Json::Object(fields) if fields.iter().any(|(name, _)| name == "idempotency_key"));
    let body_hash = has_key.then(|| idempotency::hash(request.path(), &body));
    let body = Captured::read(body, S::FIELD, key.caller.kind, now.timestamp_millis());
    let body = caller.refused(app, request_id, body).await?;
    let may_test = key.may_test(body.test_event_code.as_deref());
    caller.refused(app, request_id, may_test).await?;
    key.admit(1)?;

    let idempotency_key = idempotency::key_of(request, body.envelope.idempotency_key.as_deref())?;
    let idempotent = match idempotency_key.zip(body_hash) {
        None => None,
        Some((idempotency_key, hash)) => match idempotency::begin(app, key, idempotency_key, hash).await? {
            Ok(idempotent) => Some(idempotent),
            Err(answered) => return Ok(answered),
        },
    };
    let visitor = RequestVisitor::of(request, key.caller.kind, &app.trusted_proxies);
    let for_tests = test_event_code(key, now);
    let capture = Capture {
        app,
        key,
        intake: Intake {
            now_ms: now.timestamp_millis(),
            current_year: now.year(),
            defaults: key.caller.settings.defaults,
            visitor: visitor.as_visitor(),
            clock_shift_seconds: body.envelope.clock_shift_seconds,
            consent_refused: body.envelope.consent.is_refused(),
            can_ask: body.can_ask,
        },
        envelope: &body.envelope,
        test_event_code: body.test_event_code.as_deref().unwrap_or(for_tests),
        request_id,
    };
    match S::take_in(&capture, body.subject, body.event).await {
        Ok(ready) => {
            let mut response = capture.store(ready, idempotent).await?;
            if response.status().is_success() {
                body.envelope.refresh_cookies(caller, app, request, &mut response);
            }
            Ok(response)
        }
        Err(Refused::Invalid(errors)) => {
            capture.log_refusal(S::EVENT, &errors).await?;
            Err(Problem::invalid("The request is not valid", errors))
        }
        Err(Refused::NotForThisKey(errors)) => {
            capture.log_refusal(S::EVENT, &errors).await?;
            Err(Problem::not_for_this_key(errors))
        }
        Err(Refused::Unavailable) => Err(Problem::unavailable()),
    }
}

/// The code with which the dataset's owner marks all events for now, or nothing.
pub(super) fn test_event_code(key: &KnownKey, now: DateTime<Utc>) -> &str {
    let code = key.caller.settings.test_event_code.as_ref();
    code.filter(|(_, expires_at)| *expires_at > now)
        .map_or("", |(code, _)| code)
}

impl Capture<'_> {
    /// Whether the key may send the event that this becomes.
    pub(super) fn may_send(&self, event_name: &str) -> Result<(), Refused> {
        self.key.may_send(event_name).map_err(of_the_event)
    }

    /// Whether the key may tell of something that happened there.
    pub(super) fn may_be_from(&self, source: ActionSource) -> Result<(), Refused> {
        self.key.may_be_from(source).map_err(of_the_event)
    }

    pub(super) fn new_event(&self, event: &Event<'_>) -> NewEvent {
        let origin = Origin {
            dataset_id: self.key.caller.dataset_id,
            test_event_code: self.test_event_code.to_owned(),
            key_id: Some(self.key.caller.key_id),
            request_id: self.request_id,
            traceparent: self.traceparent(),
            withheld: self.intake.consent_refused,
        };
        NewEvent::new(event, origin)
    }

    /// Of the request's span, within which this is called.
    fn traceparent(&self) -> Option<String> {
        let span = Span::current();
        self.app
            .traces
            .then(|| trace_context::traceparent(&span))
            .flatten()
    }

    /// By what the person is found: what was written down, and what the event tells.
    pub(super) fn lookups(&self, keys: &PersonKeys, user_data: &UserData<'_>) -> PersonLookups {
        let mut keys = keys.clone();
        keys.add_event(user_data, self.key.caller.kind == ApiKeyKind::Publishable);
        self.app.store.lookups(self.key.caller.dataset_id, &keys)
    }

    /// By what a person is sought that is known already. A server may have the visitor's id from the page's
    /// cookie.
    pub(super) fn lookups_to_seek(&self, keys: &PersonKeys, user_data: &UserData<'_>) -> PersonLookups {
        let mut keys = keys.clone();
        keys.add_event(user_data, self.key.caller.kind == ApiKeyKind::Publishable);
        keys.visitor = keys.visitor.or(keys.external_id);
        self.app.store.lookups(self.key.caller.dataset_id, &keys)
    }

    /// What the visitor said about the use of the data, as JSON.
    pub(super) fn consent_record(&self) -> Option<String> {
        self.envelope.consent_record.as_ref().map(consent::record)
    }

    /// What a lead is likely worth that comes by the contacts that the page told of.
    pub(super) fn predicted_value(&self) -> Option<Worth> {
        // What is wrong with them is said where they are stored.
        let touches = touches(self.envelope, &self.intake, &mut Findings::default())?;
        let caller = &self.key.caller;
        let values = &self.app.lead_values;
        values.of(caller.dataset_id, &caller.settings, &touches, self.intake.now_ms)
    }

    /// The contacts that the page told of. None of a visitor who refused, or who is not known.
    pub(super) fn touchpoints(
        &self,
        person: &PersonLookups,
        warnings: &mut Vec<Finding>,
    ) -> Vec<NewTouchpoint> {
        let mut findings = Findings::default();
        let touches = touches(self.envelope, &self.intake, &mut findings);
        warnings.extend(findings.warnings);
        let dataset_id = self.key.caller.dataset_id.as_i64();
        let touches = touches.unwrap_or_default().into_iter();
        touches
            .filter_map(|touch| NewTouchpoint::of(dataset_id, person, touch))
            .collect()
    }

    /// Puts the clicks that the page told of beside an event whose own page names none of their network: the
    /// form is rarely on the page that the ad led to.
    pub(super) fn add_clicks(event: &mut NewEvent, touchpoints: &[NewTouchpoint]) {
        let mut newest_first: Vec<&NewTouchpoint> = touchpoints.iter().collect();
        newest_first.sort_by_key(|touchpoint| std::cmp::Reverse(touchpoint.touch().at_ms));
        for touchpoint in newest_first {
            for name in CLICKS {
                if let Some(id) = touchpoint.touch().get(name) {
                    event.facts.page.add_click(name, id);
                }
            }
        }
    }

    async fn store(&self, ready: Ready, idempotent: Option<Idempotent>) -> Result<HttpResponse, Problem> {
        let Ready { mut request, answer } = ready;
        let answer = std::sync::Arc::new(answer);
        request.idempotency = idempotent.as_ref().map(|idempotent| {
            let answer = answer.clone();
            idempotent.stored_as(self.key, Box::new(move |stored| answer(stored)))
        });
        let stored = self
            .app
            .group_commit
            .store_request(request)
            .instrument(span::commit(self.app.traces))
            .await
            .map_err(not_stored)?;
        match (&stored, &idempotent) {
            (Stored::KeyTaken, Some(idempotent)) => idempotent.answer_of_the_first(self.app, self.key).await,
            // Sent again, what is known of the person is read again.
            (Stored::KeyTaken, None) | (Stored::Outdated, _) => Err(Problem::unavailable()),
            (Stored::Now { acceptances, .. }, _) => {
                for acceptance in acceptances {
                    let result = match acceptance {
                        Acceptance::Accepted { .. } => EventResult::accepted,
                        Acceptance::Duplicate(_) => EventResult::duplicate,
                    };
                    self.app.metrics.count(result, 1);
                }
                Ok(idempotency::respond(answer(&stored)))
            }
        }
    }

    async fn log_refusal(&self, event_name: &str, errors: &[Finding]) -> Result<(), Problem> {
        self.app.metrics.count(EventResult::rejected, 1);
        let refusal = Refusal {
            dataset_id: self.key.caller.dataset_id,
            event_name: Some(event_name.to_owned()),
            key_id: Some(self.key.caller.key_id),
            request_id: self.request_id,
            field: errors
                .first()
                .map_or(String::new(), |error| error.pointer.clone()),
            event_count: 1,
        };
        let logged = self.app.group_commit.store(Vec::new(), vec![refusal]).await;
        logged.map(drop).map_err(not_stored)
    }
}

/// The contacts that a page tells of around what it brings. `None`: it tells of none, or of a visitor who
/// refused.
pub(super) fn touches(
    envelope: &Envelope<'_>,
    intake: &Intake<'_>,
    findings: &mut Findings,
) -> Option<Vec<Touchpoint>> {
    let attribution = envelope.attribution.clone().filter(|_| !intake.consent_refused)?;
    Some(Touchpoint::read_all(Json::Object(attribution), intake, findings))
}

fn of_the_event(mut error: Finding) -> Refused {
    error.pointer.insert_str(0, "/event");
    Refused::NotForThisKey(vec![error])
}

fn not_stored(reason: NotStored) -> Problem {
    match reason {
        NotStored::Full | NotStored::Unavailable => Problem::unavailable(),
        NotStored::TooLarge => Problem::too_large("the request is more than this gateway can hold at once"),
        NotStored::Refused => Problem::not_storable(),
    }
}

/// An answer of 202.
pub(super) fn accepted(receipt: &impl serde::Serialize) -> KeptAnswer {
    KeptAnswer {
        status: 202,
        body: serde_json::to_string(receipt).expect("text, numbers and lists can be written"),
    }
}
