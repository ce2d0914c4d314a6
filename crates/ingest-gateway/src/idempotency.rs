//! `X-Idempotency-Key`: a request that comes again is answered as it was the first time, and nothing is done
//! twice.
//!
//! The answer is stored in the transaction of what it answers for, so that neither exists without the other.
//! Refusals are not kept: whoever mends a request may send it under the same key.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use rastro_core::finding::Finding;
use rastro_core::json::Json;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{IdempotencyKey, KeptAnswer, Stored};
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::app::App;
use crate::auth::KnownKey;
use crate::problem::Problem;

const HEADER: &str = "x-idempotency-key";
const IN_HEADER: &str = "/X-Idempotency-Key";
const REPLAYED: &str = "Idempotency-Replayed";
const LONGEST: usize = 255;
/// What differs between two tries of the same request.
const NOT_HASHED: [&str; 2] = ["sent_at", "idempotency_key"];

type Place = (i64, String);

/// The keys that requests to this process are being answered for. Clones share it. Between processes the
/// database decides, and the second waits for the first.
#[derive(Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<Place>>>);

impl InFlight {
    fn enter(&self, place: Place) -> Option<Entered> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.insert(place.clone()).then(|| Entered {
            in_flight: self.clone(),
            place,
        })
    }
}

struct Entered {
    in_flight: InFlight,
    place: Place,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut places = self.in_flight.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.remove(&self.place);
    }
}

/// A key as a request brings it.
pub(crate) struct Key {
    text: String,
    /// Where it stands.
    pointer: &'static str,
}

/// A request that carries a key which nobody used yet.
pub(crate) struct Idempotent {
    key: Key,
    body_hash: Vec<u8>,
    _entered: Entered,
}

/// The key of a request: its header's, or the one in its body.
pub(crate) fn key_of(request: &HttpRequest, in_body: Option<&str>) -> Result<Option<Key>, Problem> {
    let key = |text: &str, pointer| {
        Ok(Some(Key {
            text: text.to_owned(),
            pointer,
        }))
    };
    let Some(header) = request.headers().get(HEADER) else {
        return in_body.map_or(Ok(None), |text| key(text, "/idempotency_key"));
    };
    let text = header
        .to_str()
        .ok()
        .filter(|text| (1..=LONGEST).contains(&text.len()));
    match (text, in_body) {
        (Some(text), None) => key(text, IN_HEADER),
        (Some(text), Some(other)) if text == other => key(text, IN_HEADER),
        (Some(_), Some(_)) => Err(wrong("differs from the idempotency_key of the body")),
        (None, _) => Err(wrong("must be a text of 1 to 255 ASCII characters")),
    }
}

fn wrong(detail: &'static str) -> Problem {
    Problem::invalid_request(vec![Finding {
        pointer: IN_HEADER.to_owned(),
        detail: detail.into(),
    }])
}

/// What makes two requests the same.
pub(crate) fn hash(path: &str, body: &Json<'_>) -> Vec<u8> {
    let mut hasher = Sha256::new();
    hasher.update(path.as_bytes());
    hasher.update([0]);
    let mut add = |value: &Json<'_>| {
        hasher.update(serde_json::to_vec(value).expect("writing JSON to memory cannot fail"));
    };
    match body {
        Json::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !NOT_HASHED.contains(&&**name))
            .for_each(|(name, value)| {
                add(&Json::String(name.clone()));
                add(value);
            }),
        other => add(other),
    }
    hasher.finalize().to_vec()
}

/// Looks whether the request was answered before: the answer, or leave to go on.
pub(crate) async fn begin(
    app: &App,
    caller: &KnownKey,
    key: Key,
    body_hash: Vec<u8>,
) -> Result<Result<Idempotent, HttpResponse>, Problem> {
    let place = (caller.caller.key_id, key.text.clone());
    let entered = app.in_flight.enter(place).ok_or_else(Problem::still_working)?;
    match kept(app, caller, &key, &body_hash).await? {
        Some(answer) => Ok(Err(answer)),
        None => Ok(Ok(Idempotent {
            key,
            body_hash,
            _entered: entered,
        })),
    }
}

async fn kept(
    app: &App,
    caller: &KnownKey,
    key: &Key,
    body_hash: &[u8],
) -> Result<Option<HttpResponse>, Problem> {
    let caller = &caller.caller;
    let kept = app.store.kept_answer(caller.dataset_id, caller.key_id, &key.text);
    match kept.await {
        Ok(None) => Ok(None),
        Ok(Some((hash, _))) if hash != body_hash => Err(Problem::key_reused(key.pointer)),
        Ok(Some((_, answer))) => {
            let mut response = respond(answer);
            response.headers_mut().insert(
                actix_web::http::header::HeaderName::from_bytes(REPLAYED.as_bytes())
                    .expect("a valid header name"),
                actix_web::http::header::HeaderValue::from_static("true"),
            );
            Ok(Some(response))
        }
        Err(error) => {
            warn!(
                "an idempotency key could not be looked up: {}",
                ErrorChain(&error)
            );
            Err(Problem::unavailable())
        }
    }
}

impl Idempotent {
    /// What is stored with the request.
    pub(crate) fn stored_as(
        &self,
        caller: &KnownKey,
        answer: Box<dyn Fn(&Stored) -> KeptAnswer + Send + Sync>,
    ) -> IdempotencyKey {
        IdempotencyKey {
            dataset_id: caller.caller.dataset_id,
            key_id: caller.caller.key_id,
            key: self.key.text.clone(),
            body_hash: self.body_hash.clone(),
            answer,
        }
    }

    /// The answer of whoever was faster, through another process.
    pub(crate) async fn answer_of_the_first(
        &self,
        app: &App,
        caller: &KnownKey,
    ) -> Result<HttpResponse, Problem> {
        kept(app, caller, &self.key, &self.body_hash)
            .await?
            .ok_or_else(Problem::unavailable)
    }
}

/// An answer as it is sent.
pub(crate) fn respond(answer: KeptAnswer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let media_type = match status.is_success() {
        true => "application/json",
        false => "application/problem+json",
    };
    HttpResponse::build(status)
        .content_type(media_type)
        .body(answer.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tries_of_a_request_are_the_same_and_nothing_else_is() {
        let of = |path: &str, body: &str| hash(path, &Json::parse(body.as_bytes()).unwrap());
        let first = of("/a", r#"{"sent_at":1,"lead":{"name":"x"}}"#);
        assert_eq!(
            first,
            of("/a", r#"{"lead":{"name":"x"},"sent_at":2,"idempotency_key":"k"}"#)
        );
        assert_ne!(first, of("/b", r#"{"lead":{"name":"x"}}"#));
        assert_ne!(first, of("/a", r#"{"lead":{"name":"y"}}"#));
        assert_ne!(first, of("/a", r#"{"lead":{"name":"x"},"event":{}}"#));
    }

    #[test]
    fn a_key_is_in_flight_once() {
        let in_flight = InFlight::default();
        let first = in_flight.enter((1, "k".into()));
        assert!(first.is_some() && in_flight.enter((1, "k".into())).is_none());
        assert!(in_flight.enter((2, "k".into())).is_some());
        drop(first);
        assert!(in_flight.enter((1, "k".into())).is_some());
    }
}
