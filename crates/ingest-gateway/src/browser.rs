//! What pages do differently from servers. `web/README.md` is the contract with our own script.
//!
//! A page sends its key in the query and its JSON as `text/plain`, which spares it a preflight and lets it
//! use beacons; it says which origin it has; and around what it brings it tells of its clock, of the
//! visitor's consent and of where the visitor came from: the envelope, none of which reaches Meta.
//!
//! The origin list is no lock: a program can claim any origin. It keeps other sites' pages, and a copied tag,
//! from sending.

use std::borrow::Cow;
use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::header::{HOST, HeaderValue, ORIGIN, SET_COOKIE};
use actix_web::web::{Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};
use rastro_core::dataset::DatasetId;
use rastro_core::finding::Finding;
use rastro_core::json::{Json, Object};
use rastro_core::{click_id, origin};
use rastro_store::{ApiKeyKind, Refusal};
use tracing::warn;
use uuid::Uuid;

use crate::app::App;
use crate::auth::{Known, KnownKey, bearer};
use crate::body::{self, RequestBody};
use crate::handlers::authorization;
use crate::metrics::EventResult;
use crate::problem::Problem;

/// A device's clock that is off by less is taken to be right: the request was on its way, too.
const CLOCK_TOLERANCE_MS: i64 = 60_000;
/// The year 5138: a time in milliseconds is below, one in microseconds above.
const LATEST_MS: i64 = 100_000_000_000_000;
const LONGEST_IDEMPOTENCY_KEY: usize = 255;
/// How many visitors of a day are remembered, at about ten bytes each. Beyond that it begins anew, and some
/// get their cookies twice that day.
const MOST_VISITORS: usize = 500_000;

/// Who sends, and from where.
pub(crate) struct Caller {
    pub(crate) key: Arc<KnownKey>,
    /// The page's origin. Servers have none.
    pub(crate) origin: Option<String>,
}

impl Caller {
    /// Reads the key, in `Authorization` or in the query, and checks that it may be used where the request
    /// comes from. A refusal for that is logged as such.
    pub(crate) async fn of(app: &App, request: &HttpRequest, request_id: Uuid) -> Result<Self, Problem> {
        let origin = request.headers().get(ORIGIN);
        let origin = origin.map(|origin| String::from_utf8_lossy(origin.as_bytes()).into_owned());
        let in_query = key_in_query(request);
        let authorization = authorization(request);
        let key = match &in_query {
            Some(key) if authorization.is_none() => key.as_str(),
            Some(key) if bearer(authorization)? == key => key.as_str(),
            Some(_) => {
                return Err(Problem::unauthorized(
                    "the key in the query and the one in the Authorization header differ; send one",
                ));
            }
            None => bearer(authorization)?,
        };
        let was_shown = in_query.is_some() || origin.is_some();
        let key = match app.keyring.identify(key).await? {
            Known::Caller(key) => key,
            Known::Nothing(why) => return Err(Problem::forbidden(why)),
            Known::Operator(label) if was_shown => {
                warn!("the admin key {label:?} was shown to a browser: revoke it");
                return Err(Problem::shown_to_a_browser());
            }
            Known::Operator(_) => {
                return Err(Problem::forbidden(
                    "an admin key sends no events; use a dataset's own key",
                ));
            }
        };
        let caller = Caller { key, origin };
        match caller.check(request, was_shown) {
            Ok(()) => Ok(caller),
            Err(problem) => {
                if caller.key.logs_stranger() {
                    caller.log_refusal(app, request_id, "/Origin").await;
                }
                Err(problem)
            }
        }
    }

    fn check(&self, request: &HttpRequest, was_shown: bool) -> Result<(), Problem> {
        let known = &self.key.caller;
        if known.kind == ApiKeyKind::Secret {
            if was_shown {
                warn!(
                    dataset_id = %known.dataset_id,
                    "the secret key {} of dataset {} was shown to a browser: revoke it", known.key_id, known.dataset_id
                );
                return Err(Problem::shown_to_a_browser());
            }
            return Ok(());
        }
        let Some(origin) = &self.origin else { return Ok(()) };
        let allowed = &known.settings.allowed_origins;
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let is_allowed = match allowed.is_empty() {
            true => host.is_some_and(|host| origin::is_same(origin, host)),
            false => allowed.iter().any(|pattern| origin::matches(pattern, origin)),
        };
        match is_allowed {
            true => Ok(()),
            false => Err(Problem::origin_not_allowed(origin)),
        }
    }

    /// Passes a result on, and logs one that refuses the request as a whole for what it brings: too large, no
    /// JSON, too many events.
    pub(crate) async fn refused<T>(
        &self,
        app: &App,
        request_id: Uuid,
        result: Result<T, Problem>,
    ) -> Result<T, Problem> {
        if let Err(problem) = &result
            && let Some(field) = problem.logged_as()
        {
            // Whoever sends more than the key may is told so, and fills no log.
            self.key.admit(1)?;
            self.log_refusal(app, request_id, &field).await;
        }
        result
    }

    /// As far as the database lets us: the request is refused either way.
    pub(crate) async fn log_refusal(&self, app: &App, request_id: Uuid, field: &str) {
        app.metrics.count(EventResult::rejected, 1);
        let refusal = Refusal {
            dataset_id: self.key.caller.dataset_id,
            event_name: None,
            key_id: Some(self.key.caller.key_id),
            request_id,
            field: field.to_owned(),
            event_count: 1,
        };
        if app.group_commit.store(Vec::new(), vec![refusal]).await.is_err() {
            warn!(request.id = %request_id, "a refusal could not be logged");
        }
    }

    /// The request's body, of at most as many bytes as this kind of key may send at once.
    pub(crate) async fn read_body(
        &self,
        app: &App,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<RequestBody, Problem> {
        let (most, takes_text) = match self.key.caller.kind {
            ApiKeyKind::Secret => (app.max_body_bytes, false),
            ApiKeyKind::Publishable => (app.max_publishable_body_bytes, true),
        };
        body::read(&app.memory, request, payload, most, takes_text).await
    }
}

fn key_in_query(request: &HttpRequest) -> Option<String> {
    let query = request.query_string();
    if query.is_empty() {
        return None;
    }
    let pairs = Query::<Vec<(String, String)>>::from_query(query)
        .ok()?
        .into_inner();
    pairs
        .into_iter()
        .find_map(|(name, key)| (name == "key").then_some(key))
}

/// Whether the visitor lets data be used for advertising.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// Nothing was said: the sender sends only what it may.
    NotSaid,
    Granted,
    /// Or not given yet.
    Refused,
}

/// What a page tells around what it brings.
pub(crate) struct Envelope<'a> {
    /// What to add to times that the sender's clock told. 0 if it is right.
    pub(crate) clock_shift_seconds: i64,
    pub(crate) consent: Consent,
    /// The consent as it was sent: when it was given, where, and for what else.
    pub(crate) consent_record: Option<Object<'a>>,
    /// First and last touch as they were sent.
    pub(crate) attribution: Option<Object<'a>>,
    pub(crate) idempotency_key: Option<Cow<'a, str>>,
}

impl<'a> Envelope<'a> {
    /// Takes the envelope's fields out of a body. Wrong ones are added to the errors.
    pub(crate) fn take(
        fields: &mut Object<'a>,
        kind: ApiKeyKind,
        now_ms: i64,
        errors: &mut Vec<Finding>,
    ) -> Self {
        let mut take = |name: &str| {
            let index = fields.iter().position(|(known, _)| known == name)?;
            let value = fields.remove(index).1;
            if fields.iter().any(|(known, _)| known == name) {
                fields.retain(|(known, _)| known != name);
                errors.push(finding(name, "is there more than once"));
                return None;
            }
            (value != Json::Null).then_some(value)
        };
        let [sent_at, _sdk, consent, attribution, idempotency_key] =
            ["sent_at", "sdk", "consent", "attribution", "idempotency_key"].map(&mut take);
        let mut wrong = |name: &str, detail: &'static str| errors.push(finding(name, detail));

        let sent_at = sent_at.and_then(|value| {
            let time = value.as_i64().filter(|time| (0..LATEST_MS).contains(time));
            if time.is_none() {
                wrong("sent_at", "must be a time in milliseconds since 1970");
            }
            time
        });
        let late_ms = match kind {
            // A server's clock is its own affair.
            ApiKeyKind::Secret => 0,
            ApiKeyKind::Publishable => sent_at.map_or(0, |sent_at| now_ms - sent_at),
        };
        let mut object = |name: &str, value: Option<Json<'a>>| match value? {
            Json::Object(object) => Some(object),
            _ => {
                wrong(name, "must be an object");
                None
            }
        };
        let consent_record = object("consent", consent);
        let attribution = object("attribution", attribution);
        let idempotency_key = idempotency_key.and_then(|value| match value {
            Json::String(key)
                if (1..=LONGEST_IDEMPOTENCY_KEY).contains(&key.len())
                    && !key.chars().any(char::is_control) =>
            {
                Some(key)
            }
            _ => {
                wrong("idempotency_key", "must be a text of 1 to 255 bytes");
                None
            }
        });
        Envelope {
            clock_shift_seconds: match late_ms.abs() > CLOCK_TOLERANCE_MS {
                true => (late_ms + 500).div_euclid(1_000),
                false => 0,
            },
            consent: consent_record.as_ref().map_or(Consent::NotSaid, consent_of),
            consent_record,
            attribution,
            idempotency_key,
        }
    }

    /// Adds the visitor's cookies to a successful answer to a page, for as long as each lives: browsers
    /// forget what a script wrote within days. Once a day for each visitor, with consent, and where the
    /// dataset has a domain for them.
    pub(crate) fn refresh_cookies(
        &self,
        caller: &Caller,
        app: &App,
        request: &HttpRequest,
        response: &mut HttpResponse,
    ) {
        const DAY: u32 = 86_400;
        let known = &caller.key.caller;
        let (Some(origin), Some(domain), Consent::Granted) =
            (&caller.origin, &known.settings.cookie_domain, self.consent)
        else {
            return;
        };
        let cookie = |name, is_valid: fn(&str) -> bool| {
            let value = request.cookie(name)?.value().to_owned();
            is_valid(&value).then_some(value)
        };
        let Some(visitor) = cookie("_rid", is_visitor_id) else {
            return;
        };
        if !app
            .visitors
            .is_first_today(known.dataset_id, &visitor, app.clock.now())
        {
            return;
        }
        let secure = if origin.starts_with("https://") {
            "; Secure"
        } else {
            ""
        };
        for (name, value, days) in [
            ("_rid", Some(visitor), 395),
            ("_fbp", cookie("_fbp", click_id::is_valid), 90),
            ("_fbc", cookie("_fbc", click_id::is_valid), 90),
        ] {
            let Some(value) = value else { continue };
            let cookie = format!(
                "{name}={value}; Domain={domain}; Path=/; Max-Age={}; SameSite=Lax{secure}",
                days * DAY
            );
            if let Ok(cookie) = HeaderValue::try_from(cookie) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
        }
    }
}

impl Consent {
    pub(crate) fn is_refused(self) -> bool {
        self == Consent::Refused
    }
}

/// Both words that Meta's use of the data needs. What was not granted yet is not granted.
fn consent_of(record: &Object<'_>) -> Consent {
    let is_granted = |name: &str| {
        let mut values = record.iter().filter(|(known, _)| known == name);
        let value = values.next().and_then(|(_, value)| value.as_str());
        value == Some("granted") && values.next().is_none()
    };
    match is_granted("ad_storage") && is_granted("ad_user_data") {
        true => Consent::Granted,
        false => Consent::Refused,
    }
}

fn finding(name: &str, detail: &'static str) -> Finding {
    Finding {
        pointer: format!("/{name}"),
        detail: detail.into(),
    }
}

/// The script's own form is a UUID.
fn is_visitor_id(value: &str) -> bool {
    (8..=64).contains(&value.len())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Whose cookies this process refreshed today. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Visitors(Arc<Mutex<Today>>);

#[derive(Default)]
struct Today {
    /// Since 1970, in UTC.
    day: i64,
    /// Hashes: who it was cannot be read out of them.
    seen: HashSet<u64>,
    hasher: RandomState,
}

impl Visitors {
    fn is_first_today(&self, dataset: DatasetId, visitor: &str, now: DateTime<Utc>) -> bool {
        let mut today = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let day = now.timestamp().div_euclid(86_400);
        if today.day != day || today.seen.len() >= MOST_VISITORS {
            today.day = day;
            today.seen.clear();
        }
        let hash = today.hasher.hash_one((dataset.as_i64(), visitor));
        today.seen.insert(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_795_808_043_105;

    fn envelope(json: &str, kind: ApiKeyKind) -> (Envelope<'_>, Vec<String>, usize) {
        let Json::Object(mut fields) = Json::parse(json.as_bytes()).unwrap() else {
            panic!("an object")
        };
        let mut errors = Vec::new();
        let envelope = Envelope::take(&mut fields, kind, NOW_MS, &mut errors);
        let pointers = errors.into_iter().map(|error| error.pointer).collect();
        (envelope, pointers, fields.len())
    }

    #[test]
    fn a_device_clock_is_corrected_beyond_a_minute() {
        let shift = |sent_at: i64, kind| {
            let json = format!(r#"{{"sent_at":{sent_at}}}"#);
            envelope(&json, kind).0.clock_shift_seconds
        };
        let page = ApiKeyKind::Publishable;
        assert_eq!(shift(NOW_MS, page), 0);
        assert_eq!(shift(NOW_MS - 60_000, page), 0);
        assert_eq!(shift(NOW_MS + 60_000, page), 0);
        assert_eq!(shift(NOW_MS - 60_001, page), 60);
        assert_eq!(shift(NOW_MS + 3_600_400, page), -3_600);
        assert_eq!(shift(NOW_MS - 2_592_000_000, page), 2_592_000);
        assert_eq!(shift(NOW_MS - 2_592_000_000, ApiKeyKind::Secret), 0);
    }

    #[test]
    fn consent_is_both_words_granted() {
        let consent = |json: &str| envelope(json, ApiKeyKind::Publishable).0.consent;
        assert_eq!(consent("{}"), Consent::NotSaid);
        assert_eq!(consent(r#"{"consent":null}"#), Consent::NotSaid);
        let granted =
            r#"{"consent":{"ad_storage":"granted","ad_user_data":"granted","at":1,"source":"banner"}}"#;
        assert_eq!(consent(granted), Consent::Granted);
        for refused in [
            r#"{"consent":{}}"#,
            r#"{"consent":{"ad_storage":"granted"}}"#,
            r#"{"consent":{"ad_storage":"granted","ad_user_data":"denied"}}"#,
            r#"{"consent":{"ad_storage":"pending","ad_user_data":"granted"}}"#,
            r#"{"consent":{"ad_storage":true,"ad_user_data":"granted"}}"#,
            r#"{"consent":{"ad_storage":"granted","ad_storage":"denied","ad_user_data":"granted"}}"#,
        ] {
            assert_eq!(consent(refused), Consent::Refused, "{refused}");
        }
    }

    #[test]
    fn every_wrong_field_of_the_envelope_is_named_and_the_rest_is_left() {
        let json =
            r#"{"sent_at":"now","sdk":7,"consent":"yes","attribution":[],"idempotency_key":"","events":[]}"#;
        let (_, errors, left) = envelope(json, ApiKeyKind::Publishable);
        assert_eq!(
            errors,
            ["/sent_at", "/consent", "/attribution", "/idempotency_key"]
        );
        assert_eq!(left, 1);
        let (_, errors, _) = envelope(r#"{"sent_at":1,"sent_at":1}"#, ApiKeyKind::Publishable);
        assert_eq!(errors, ["/sent_at"]);
        let (_, errors, _) = envelope(r#"{"sent_at":-1}"#, ApiKeyKind::Publishable);
        assert_eq!(errors, ["/sent_at"]);
    }

    #[test]
    fn a_visitor_comes_for_the_first_time_once_a_day() {
        let visitors = Visitors::default();
        let (one, other) = (1.try_into().unwrap(), 2.try_into().unwrap());
        let monday = DateTime::from_timestamp(1_795_808_043, 0).unwrap();
        let first = |dataset, visitor, days| {
            visitors.is_first_today(dataset, visitor, monday + chrono::Duration::days(days))
        };
        assert!(first(one, "a", 0) && !first(one, "a", 0));
        assert!(first(one, "b", 0) && first(other, "a", 0));
        assert!(first(one, "a", 1) && !first(one, "a", 1));
    }
}
