//! Answers as Meta's Graph API gives them, so that Meta's own SDKs understand them.
//!
//! `fbtrace_id` is the request's id: the log has it beside each event (`meta_events_log.request_id`).
//!
//! Source: Meta, "Handling errors"; codes and envelope as in rastro-graph-api, which reads what is written
//! here.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use rastro_core::finding::Finding;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::Problem;

/// At most so many sentences are in one answer.
const MOST_SENTENCES: usize = 100;
/// Meta's word for nearly every error. Clients go by the code.
const ERROR_TYPE: &str = "OAuthException";

/// Every event is stored, or was before.
#[derive(Serialize, ToSchema)]
pub(crate) struct GraphReceipt {
    /// All of the request: a repeat counts as received.
    #[schema(example = 2)]
    pub(crate) events_received: usize,
    /// What was left out of the events, and why.
    pub(crate) messages: Vec<String>,
    /// This request, as request_id in the log.
    #[schema(value_type = Uuid)]
    pub(crate) fbtrace_id: Uuid,
}

/// The warnings of an answer, each with the event that it is about.
pub(crate) fn messages<'f>(warnings: impl IntoIterator<Item = (Option<usize>, &'f Finding)>) -> Vec<String> {
    let mut warnings = warnings.into_iter();
    let mut messages: Vec<String> = warnings
        .by_ref()
        .take(MOST_SENTENCES)
        .map(|(index, finding)| sentence(index, finding))
        .collect();
    let more = warnings.count();
    if more > 0 {
        messages.push(format!("and {more} more"));
    }
    messages
}

/// Such as `$['data'][0]['user_data']['ph'] was left out: it has too few digits`: Meta's own way to name a
/// place.
fn sentence(index: Option<usize>, finding: &Finding) -> String {
    let mut place = "$".to_owned();
    for step in path(index, finding) {
        match step.parse::<usize>() {
            Ok(number) => place += &format!("[{number}]"),
            Err(_) => place += &format!("['{step}']"),
        }
    }
    format!("{place} {}", finding.detail)
}

/// The steps to a field from the body: `data`, the event's place, the field's names.
fn path(index: Option<usize>, finding: &Finding) -> Vec<String> {
    let steps = finding.pointer.split('/').skip(1);
    let steps = steps.map(|step| step.replace("~1", "/").replace("~0", "~"));
    let event = index.map(|index| ["data".to_owned(), index.to_string()]);
    event.into_iter().flatten().chain(steps).collect()
}

/// Why nothing of a request is stored, in Meta's envelope.
#[derive(Debug)]
pub(crate) struct GraphError {
    status: StatusCode,
    code: i32,
    subcode: Option<i32>,
    message: Cow<'static, str>,
    title: Option<&'static str>,
    detail: Option<String>,
    fields: Vec<Vec<String>>,
    retry_after_seconds: Option<u32>,
}

/// The body of an answer that is not a success.
#[derive(Serialize, ToSchema)]
pub(crate) struct GraphErrorEnvelope<'a> {
    error: GraphErrorBody<'a>,
}

/// What went wrong, in Meta's words.
#[derive(Serialize, ToSchema)]
pub(crate) struct GraphErrorBody<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    #[schema(example = "OAuthException")]
    kind: &'static str,
    /// 190: no valid key. 100: a parameter or an event is wrong, with subcode 33 the dataset. 200: the key
    /// may not send this. 4: too many events. 1 and 2: try again.
    #[schema(example = 100)]
    code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_subcode: Option<i32>,
    /// Whether the same may be sent again as it is.
    is_transient: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_user_title: Option<&'a str>,
    /// Every field that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_user_msg: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_data: Option<GraphErrorData<'a>>,
    fbtrace_id: Uuid,
}

/// The fields that are wrong, each as the steps to it from the body.
#[derive(Serialize, ToSchema)]
pub(crate) struct GraphErrorData<'a> {
    #[schema(value_type = Vec<Vec<String>>)]
    blame_field_specs: &'a [Vec<String>],
}

impl GraphError {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    fn new(status: StatusCode, code: i32, message: impl Into<Cow<'static, str>>) -> Self {
        GraphError {
            status,
            code,
            subcode: None,
            message: message.into(),
            title: None,
            detail: None,
            fields: Vec::new(),
            retry_after_seconds: None,
        }
    }

    /// A parameter of the request as a whole.
    pub(crate) fn parameter(detail: impl Into<Cow<'static, str>>) -> Self {
        GraphError::new(StatusCode::BAD_REQUEST, 100, detail)
    }

    pub(crate) fn too_large(detail: impl Into<Cow<'static, str>>) -> Self {
        GraphError::new(StatusCode::PAYLOAD_TOO_LARGE, 100, detail)
    }

    /// No key, or none that may send here.
    pub(crate) fn key(detail: &str) -> Self {
        let message = format!("Invalid OAuth access token: {detail}");
        GraphError::new(StatusCode::UNAUTHORIZED, 190, message)
    }

    /// The path's dataset is not the key's. Whether there is one of that id is nobody else's business.
    pub(crate) fn dataset() -> Self {
        let message = "Unsupported post request. The dataset of this address does not exist, or the access token is not for it";
        let error = GraphError::new(StatusCode::BAD_REQUEST, 100, message);
        GraphError {
            subcode: Some(33),
            ..error
        }
    }

    /// Only POST exists on this edge.
    pub(crate) fn method() -> Self {
        let error = GraphError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            100,
            "Unsupported request: send a POST",
        );
        GraphError {
            subcode: Some(33),
            ..error
        }
    }

    /// The key may not send events of this name.
    pub(crate) fn permission(index: usize, errors: &[Finding]) -> Self {
        let error = GraphError::new(
            StatusCode::FORBIDDEN,
            200,
            "The access token may not send this event",
        );
        error.blaming(&[(index, errors)])
    }

    /// Events that are not valid, of which `subcode` and `title` are about the first.
    pub(crate) fn events(events: &[(usize, &[Finding])], subcode: i32, title: &'static str) -> Self {
        let error = GraphError::new(StatusCode::BAD_REQUEST, 100, "Invalid parameter");
        let error = GraphError {
            subcode: Some(subcode),
            title: Some(title),
            ..error
        };
        error.blaming(events)
    }

    /// Names every field, and the first of them in the message, which is all that some clients show.
    fn blaming(mut self, events: &[(usize, &[Finding])]) -> Self {
        let of_event = |&(index, errors): &(usize, &'_ [Finding])| {
            let errors = errors.to_vec();
            errors.into_iter().map(move |error| (index, error))
        };
        let errors: Vec<(usize, Finding)> = events.iter().flat_map(of_event).collect();
        let sentences = messages(errors.iter().map(|(index, error)| (Some(*index), error)));
        if let Some(first) = sentences.first() {
            self.message = format!("{}: {first}", self.message).into();
        }
        self.detail = Some(sentences.join("; "));
        self.fields = errors
            .iter()
            .take(MOST_SENTENCES)
            .map(|(index, error)| path(Some(*index), error))
            .collect();
        self
    }

    fn is_transient(&self) -> bool {
        matches!(self.code, 1 | 2 | 4)
    }

    pub(crate) fn into_response(self, fbtrace_id: Uuid) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        response.json(GraphErrorEnvelope {
            error: GraphErrorBody {
                message: &self.message,
                kind: ERROR_TYPE,
                code: self.code,
                error_subcode: self.subcode,
                is_transient: self.is_transient(),
                error_user_title: self.title,
                error_user_msg: self.detail.as_deref(),
                error_data: (!self.fields.is_empty()).then_some(GraphErrorData {
                    blame_field_specs: &self.fields,
                }),
                fbtrace_id,
            },
        })
    }
}

/// What the rest of the gateway says, in Meta's codes: those after which clients try again are kept apart
/// from those after which they must not.
impl From<Problem> for GraphError {
    fn from(problem: Problem) -> Self {
        let detail = problem.detail().to_owned();
        let code = match problem.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return GraphError::key(&detail),
            StatusCode::TOO_MANY_REQUESTS => 4,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => 2,
            status if status.is_server_error() => 1,
            _ => 100,
        };
        GraphError {
            retry_after_seconds: problem.retry_after_seconds(),
            ..GraphError::new(problem.status(), code, detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(pointer: &str) -> Finding {
        Finding {
            pointer: pointer.to_owned(),
            detail: "is wrong".into(),
        }
    }

    #[test]
    fn places_are_named_as_meta_names_them() {
        assert_eq!(
            sentence(Some(3), &wrong("/user_data/em/0")),
            "$['data'][3]['user_data']['em'][0] is wrong"
        );
        assert_eq!(sentence(Some(0), &wrong("")), "$['data'][0] is wrong");
        assert_eq!(
            sentence(None, &wrong("/test_event_code")),
            "$['test_event_code'] is wrong"
        );
        assert_eq!(
            path(Some(1), &wrong("/custom_data/a~1b")),
            ["data", "1", "custom_data", "a/b"]
        );
    }

    #[test]
    fn an_answer_is_bounded() {
        let many = vec![wrong("/a"); 250];
        let listed = messages(many.iter().map(|finding| (Some(0), finding)));
        assert_eq!((listed.len(), listed[100].as_str()), (101, "and 150 more"));
    }

    #[test]
    fn problems_keep_their_status_and_say_whether_to_try_again() {
        for (problem, status, code, is_transient) in [
            (Problem::unavailable(), 503, 2, true),
            (Problem::too_slow(), 408, 2, true),
            (Problem::not_storable(), 500, 1, true),
            (Problem::too_many_requests(7), 429, 4, true),
            (Problem::too_large("much"), 413, 100, false),
            (Problem::unsupported_media_type(), 415, 100, false),
            (Problem::malformed("cut"), 400, 100, false),
            (Problem::unauthorized("unknown"), 401, 190, false),
            (Problem::forbidden("not yours"), 401, 190, false),
        ] {
            let error = GraphError::from(problem);
            assert_eq!(
                (error.status.as_u16(), error.code, error.is_transient()),
                (status, code, is_transient)
            );
        }
        assert_eq!(
            GraphError::from(Problem::too_many_requests(7)).retry_after_seconds,
            Some(7)
        );
    }
}
