//! Meta's error envelope, and the refusals the sandbox gives.
//!
//! Codes, subcodes and texts are those of captured answers where one is public; a refusal that nobody
//! published is a [`schema violation`](Refusal::schema), so that the guess stands in one place. `type` is
//! `OAuthException` throughout: clients must decide by code.

use serde::Serialize;

/// Subcode of "Server Side Api Parameter Error": what third parties report for events of the wrong shape.
/// Meta publishes no list of subcodes, so this is the best-known value and not a promise.
const SCHEMA_VIOLATION: i32 = 2_804_019;

/// Why a request is refused as a whole. Always answered with HTTP 400, as Meta answers bad payloads and bad
/// tokens alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: i32,
    pub(crate) subcode: Option<i32>,
    pub(crate) message: String,
    pub(crate) title: Option<&'static str>,
    /// Goes into `error_user_msg`. At Meta that text is localised; here it is English and says which event is
    /// meant.
    pub(crate) detail: Option<String>,
}

impl Refusal {
    /// An error with a message and nothing more.
    pub(crate) fn plain(code: i32, subcode: Option<i32>, message: impl Into<String>) -> Self {
        Self {
            code,
            subcode,
            message: message.into(),
            title: None,
            detail: None,
        }
    }

    /// An unusable request parameter, where no single event is to blame.
    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::plain(100, None, message)
    }

    /// Event `index` breaks a rule that has a subcode of its own. As captured, `message` says only "Invalid
    /// parameter": a client that wants to know which event it was has to look into the user message or
    /// bisect.
    pub(crate) fn rule(index: usize, subcode: i32, title: &'static str, detail: &str) -> Self {
        Self {
            code: 100,
            subcode: Some(subcode),
            message: "Invalid parameter".to_owned(),
            title: Some(title),
            detail: Some(format!("{detail} (on param \"$['data'][{index}]\")")),
        }
    }

    /// Event `index` does not have the documented shape; `problem` names the key, as in `Unexpected key "x"`.
    pub(crate) fn schema(index: usize, problem: &str) -> Self {
        Self::schema_at(index, "", problem)
    }

    /// The same of an object within event `index`, such as `['user_data']`.
    pub(crate) fn schema_at(index: usize, within: &str, problem: &str) -> Self {
        let message = format!("{problem} on param \"$['data'][{index}]{within}\"");
        Self {
            code: 100,
            subcode: Some(SCHEMA_VIOLATION),
            title: Some("Server Side Api Parameter Error"),
            detail: Some(message.clone()),
            message,
        }
    }

    /// How counts and the page name it: `100/2804003`, or `190` when there is no subcode.
    pub(crate) fn label(&self) -> String {
        label(self.code, self.subcode)
    }
}

pub(crate) fn label(code: i32, subcode: Option<i32>) -> String {
    subcode.map_or_else(|| code.to_string(), |subcode| format!("{code}/{subcode}"))
}

/// The body of every error answer: `{"error": {...}}`.
#[derive(Debug, Serialize)]
pub(crate) struct Envelope<'a> {
    error: ErrorBody<'a>,
}

#[derive(Debug, Serialize)]
struct ErrorBody<'a> {
    message: &'a str,
    r#type: &'static str,
    code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_subcode: Option<i32>,
    is_transient: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_user_title: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_user_msg: Option<&'a str>,
    fbtrace_id: &'a str,
}

impl<'a> Envelope<'a> {
    pub(crate) fn new(refusal: &'a Refusal, is_transient: bool, fbtrace_id: &'a str) -> Self {
        Self {
            error: ErrorBody {
                message: &refusal.message,
                r#type: "OAuthException",
                code: refusal.code,
                error_subcode: refusal.subcode,
                is_transient,
                error_user_title: refusal.title,
                error_user_msg: refusal.detail.as_deref(),
                fbtrace_id,
            },
        }
    }
}
