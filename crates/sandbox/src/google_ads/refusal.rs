//! Failures as Google tells them: `google.rpc.Status` with a `GoogleAdsFailure` in it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};

/// A failure.
pub(super) struct Refusal {
    pub(super) http: u16,
    pub(super) status: String,
    /// `{"authenticationError": "OAUTH_TOKEN_INVALID"}`; `None` where it fails before Google Ads sees it.
    code: Option<Value>,
    message: String,
    details: Value,
}

impl Refusal {
    pub(super) fn new(http: u16, status: &str, (family, code): (&str, &str), message: &str) -> Self {
        Refusal {
            http,
            status: status.to_owned(),
            code: Some(json!({ family: code })),
            message: message.to_owned(),
            details: Value::Null,
        }
    }

    /// 400: what is wrong with the request.
    pub(super) fn invalid(code: (&str, &str), message: &str) -> Self {
        Refusal::new(400, "INVALID_ARGUMENT", code, message)
    }

    /// 400: the body is not the method's.
    pub(super) fn payload(message: String) -> Self {
        Refusal {
            http: 400,
            status: "INVALID_ARGUMENT".to_owned(),
            code: None,
            message,
            details: Value::Null,
        }
    }

    pub(super) fn quota(retry_delay: &str) -> Self {
        let code = ("quotaError", "RESOURCE_EXHAUSTED");
        Refusal {
            details: json!({ "quotaErrorDetails": {
                "rateScope": "DEVELOPER",
                "rateName": "Number of operations for basic access",
                "retryDelay": retry_delay,
            }}),
            ..Refusal::new(429, "RESOURCE_EXHAUSTED", code, "Too many requests.")
        }
    }

    /// `version`: of the request, such as `v26`.
    pub(super) fn json(&self, version: &str, request_id: &str) -> Value {
        let Some(code) = &self.code else {
            return json!({ "error": { "code": self.http, "message": self.message, "status": self.status } });
        };
        let mut error = json!({ "errorCode": code, "message": self.message });
        if !self.details.is_null() {
            error["details"] = self.details.clone();
        }
        json!({ "error": {
            "code": self.http,
            "message": "Request contains an invalid argument.",
            "status": self.status,
            "details": [{
                "@type": format!("type.googleapis.com/google.ads.googleads.{version}.errors.GoogleAdsFailure"),
                "errors": [error],
                "requestId": request_id,
            }],
        }})
    }

    pub(super) fn answer(&self, version: &str, request_id: &str) -> HttpResponse {
        let status = StatusCode::from_u16(self.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // In an array, as all that this method answers.
        HttpResponse::build(status)
            .insert_header(("request-id", request_id))
            .json(json!([self.json(version, request_id)]))
    }
}
