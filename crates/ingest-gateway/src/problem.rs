//! Answers that are not a success, as problem documents (RFC 9457) that name every field that is wrong.

use std::borrow::Cow;
use std::num::NonZeroI64;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use chrono::{DateTime, Utc};
use rastro_core::finding::Finding;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// What went wrong, in words for a developer and in codes for a program.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// `urn:rastro:problem:` and a name that does not change.
    #[serde(rename = "type", serialize_with = "urn")]
    #[schema(example = "urn:rastro:problem:invalid-event")]
    kind: &'static str,
    #[schema(example = "The event is not valid")]
    title: &'static str,
    #[schema(value_type = u16, example = 422)]
    #[serde(serialize_with = "status_code")]
    status: StatusCode,
    detail: Cow<'static, str>,
    /// This request. Where events were stored or refused as duplicates it stands with them in the log.
    request_id: Uuid,
    /// Every field that is wrong.
    #[serde(skip_serializing_if = "<[Finding]>::is_empty")]
    #[schema(value_type = Vec<FieldError>)]
    errors: Box<[Finding]>,
    /// Of a duplicate: when the event was first received.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_received_at: Option<DateTime<Utc>>,
    /// Of a lead that a server captured before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    lead_id: Option<NonZeroI64>,
    #[serde(skip)]
    retry_after_seconds: Option<u32>,
}

/// One field and what is wrong with it.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes rastro_core's Finding in the OpenAPI document")]
pub(crate) struct FieldError {
    /// JSON pointer (RFC 6901) into the request's body, or `/` and the name of a parameter.
    #[schema(example = "/custom_data/currency")]
    pointer: String,
    #[schema(example = "is required for a Purchase, such as \"BRL\"")]
    detail: String,
}

fn urn<S: serde::Serializer>(kind: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("urn:rastro:problem:{kind}"))
}

fn status_code<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Problem {
            kind,
            title,
            status,
            detail: detail.into(),
            request_id: Uuid::nil(),
            errors: Box::default(),
            first_received_at: None,
            lead_id: None,
            retry_after_seconds: None,
        }
    }

    pub(crate) fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed",
            "The body is not JSON",
            detail,
        )
    }

    pub(crate) fn unauthorized(detail: &'static str) -> Self {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "No valid API key",
            detail,
        )
    }

    /// The key is known, but it is not for this.
    pub(crate) fn forbidden(detail: &'static str) -> Self {
        Problem::new(StatusCode::FORBIDDEN, "forbidden", "Not for this key", detail)
    }

    /// The key is known, but it may not send this.
    pub(crate) fn not_for_this_key(errors: Vec<Finding>) -> Self {
        let problem = Problem::forbidden("a key of this kind may not send what the request brings");
        Problem {
            errors: errors.into(),
            ..problem
        }
    }

    /// Whoever reads the page has the key.
    pub(crate) fn shown_to_a_browser() -> Self {
        let detail = "this key is for servers and was shown to a browser: revoke it, and give the page a publishable key";
        Problem::new(
            StatusCode::FORBIDDEN,
            "secret-key-in-browser",
            "The key is not for browsers",
            detail,
        )
    }

    pub(crate) fn origin_not_allowed(origin: &str) -> Self {
        let origin: String = origin.chars().take(200).collect();
        let detail = format!("{origin} is not among the dataset's allowed origins (its allowed_origins)");
        Problem::new(
            StatusCode::FORBIDDEN,
            "origin-not-allowed",
            "Not from this page",
            detail,
        )
    }

    pub(crate) fn not_found() -> Self {
        let detail = "there is nothing at this address; see proto-docs/openapi.yaml";
        Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    pub(crate) fn unknown_dataset() -> Self {
        let detail = "there is no dataset of this id here";
        Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    pub(crate) fn unknown_key() -> Self {
        let detail = "there is no key of this number here";
        Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    pub(crate) fn unknown_lead() -> Self {
        let detail = "the dataset of this key has no lead of this number";
        Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    pub(crate) fn dataset_exists() -> Self {
        let detail = "there is a dataset of this id; it stays as it is (change it with PATCH, its token with PUT .../token)";
        Problem::new(StatusCode::CONFLICT, "exists", "Already there", detail)
    }

    /// A lead does not go back.
    pub(crate) fn not_a_step(from: &str, to: &str) -> Self {
        let detail = format!("the lead is {from}, and from there does not become {to}; nothing was changed");
        Problem::new(
            StatusCode::CONFLICT,
            "not-a-step",
            "The lead has come further",
            detail,
        )
    }

    /// `message`: Meta's words.
    pub(crate) fn token_refused(message: &str) -> Self {
        let errors = vec![Finding {
            pointer: "/access_token".to_owned(),
            detail: format!("was refused by Meta, and is not stored: {message}").into(),
        }];
        Problem::with_errors("token-refused", "Meta does not accept the access token", errors)
    }

    pub(crate) fn unknown_account() -> Self {
        let detail = "there is no payment account of this number here";
        Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// `allowed`: the methods that the address answers to.
    pub(crate) fn method_not_allowed(allowed: &str) -> Self {
        let detail = format!("this address answers to {allowed}");
        Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
            detail,
        )
    }

    pub(crate) fn too_slow() -> Self {
        let detail = "the request did not arrive in time";
        Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "too-slow",
            "The request took too long",
            detail,
        )
    }

    pub(crate) fn duplicate(first_received_at: Option<DateTime<Utc>>) -> Self {
        let detail = "an event with this name and id was received before; it is not sent again";
        let problem = Problem::new(StatusCode::CONFLICT, "duplicate", "Already received", detail);
        Problem {
            first_received_at,
            ..problem
        }
    }

    /// Of a lead of a server, which may move it on.
    pub(crate) fn lead_received(first_received_at: DateTime<Utc>, lead_id: i64) -> Self {
        let problem = Problem::duplicate(Some(first_received_at));
        Problem {
            lead_id: NonZeroI64::new(lead_id),
            ..problem
        }
    }

    /// Of an order: everything that it says is known.
    pub(crate) fn recorded_before() -> Self {
        let detail = "this order was recorded before with this status or a later one; nothing was changed";
        Problem::new(StatusCode::CONFLICT, "duplicate", "Already recorded", detail)
    }

    /// An idempotency key whose first request has no answer yet.
    pub(crate) fn still_working() -> Self {
        let detail = "a request with this idempotency key is being answered; send it again for its answer";
        let problem = Problem::new(StatusCode::CONFLICT, "in-flight", "Still working on it", detail);
        Problem {
            retry_after_seconds: Some(1),
            ..problem
        }
    }

    /// An idempotency key that came with something else before. `pointer`: where it stands in this request.
    pub(crate) fn key_reused(pointer: &str) -> Self {
        let errors = vec![Finding {
            pointer: pointer.to_owned(),
            detail: "was used for another body before; a new request takes a new key".into(),
        }];
        Problem::with_errors(
            "idempotency-key-reused",
            "The idempotency key was used before",
            errors,
        )
    }

    /// As it is kept to be sent again.
    pub(crate) fn kept(mut self, request_id: Uuid) -> rastro_store::KeptAnswer {
        self.request_id = request_id;
        rastro_store::KeptAnswer {
            status: self.status.as_u16(),
            body: serde_json::to_string(&self).expect("text, numbers and lists can be written"),
        }
    }

    pub(crate) fn too_large(detail: impl Into<Cow<'static, str>>) -> Self {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The request is too large",
            detail,
        )
    }

    pub(crate) fn unsupported_media_type() -> Self {
        let detail = "send application/json in UTF-8 (with a publishable key also text/plain), plain or compressed by gzip";
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "Unsupported media type",
            detail,
        )
    }

    /// What Meta's edge takes.
    pub(crate) fn not_a_graph_body() -> Self {
        let detail = "send application/json, application/x-www-form-urlencoded or multipart/form-data";
        let problem = Problem::unsupported_media_type();
        Problem {
            detail: detail.into(),
            ..problem
        }
    }

    pub(crate) fn invalid(title: &'static str, errors: Vec<Finding>) -> Self {
        Problem::with_errors("invalid-event", title, errors)
    }

    /// A request that brings no event.
    pub(crate) fn invalid_request(errors: Vec<Finding>) -> Self {
        Problem::with_errors("invalid-request", "The request is not valid", errors)
    }

    fn with_errors(kind: &'static str, title: &'static str, errors: Vec<Finding>) -> Self {
        let detail = match errors.len() {
            1 => "1 field is wrong".to_owned(),
            count => format!("{count} fields are wrong"),
        };
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, kind, title, detail);
        Problem {
            errors: errors.into(),
            ..problem
        }
    }

    pub(crate) fn too_many_requests(retry_after_seconds: u32) -> Self {
        let detail = "this key sends more events than it may";
        let problem = Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "Too many events",
            detail,
        );
        Problem {
            retry_after_seconds: Some(retry_after_seconds),
            ..problem
        }
    }

    /// Nothing is known to be stored. Sending the same again is safe, and is the right thing to do.
    pub(crate) fn unavailable() -> Self {
        Problem::try_again("the events could not be stored just now; send them again")
    }

    /// It could not be done just now. Asking for the same again is safe.
    pub(crate) fn try_again(detail: &'static str) -> Self {
        let problem = Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Temporarily unavailable",
            detail,
        );
        Problem {
            retry_after_seconds: Some(1),
            ..problem
        }
    }

    /// The database refuses what passed every check: a defect of ours.
    pub(crate) fn not_storable() -> Self {
        let detail = "the event could not be stored; this is a defect of the gateway, and is logged";
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "not-storable",
            "Internal error",
            detail,
        )
    }

    /// How the log names what was wrong with the request: its first wrong field, else the kind of problem.
    /// `None`: it was not the request's fault.
    pub(crate) fn logged_as(&self) -> Option<String> {
        let is_its_fault = matches!(self.status.as_u16(), 400 | 403 | 413 | 415 | 422);
        let field = self.errors.first().map(|error| error.pointer.clone());
        let named = field
            .filter(|field| !field.is_empty())
            .unwrap_or_else(|| self.kind.to_owned());
        is_its_fault.then_some(named)
    }

    /// For a terminal: what it is, and each wrong field on a line of its own, named by `named` from its
    /// pointer.
    pub(crate) fn as_text(&self, named: impl Fn(&str) -> String) -> String {
        let mut text = format!("{}: {}", self.title, self.detail);
        for error in self.errors.iter() {
            text.push_str(&format!("\n  {} {}", named(&error.pointer), error.detail));
        }
        text
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn retry_after_seconds(&self) -> Option<u32> {
        self.retry_after_seconds
    }

    pub(crate) fn into_response(mut self, request_id: Uuid) -> HttpResponse {
        self.request_id = request_id;
        let mut response = HttpResponse::build(self.status);
        response.content_type("application/problem+json");
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        response.json(self)
    }
}
