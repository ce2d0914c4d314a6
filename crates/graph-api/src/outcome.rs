//! What a failed request means for its events, decided by code and subcode. Never by text, which Meta translates, and
//! never by `type`, which is `OAuthException` for nearly everything.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::client::header;

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// Meta could not just now; it took nothing. The same request may succeed later.
    Transient,
    /// The request left, and no verdict came back. Send it again with the same ids: Meta drops what it has.
    Unknown,
    /// Too many calls. Calling on makes the block longer.
    Throttled,
    /// The token, a permission or the configuration of the dataset is wrong. A person must act; the events are fine.
    Blocked,
    /// Meta will never take this request as it is: at least one of its events is at fault.
    Refused,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub class: FailureClass,
    /// For people and the log. It holds no token and nothing of an event but what Meta quotes.
    pub message: String,
    /// How long Meta asked us to wait, at least.
    pub wait: Option<Duration>,
    /// What Meta answered, if it did.
    pub error: Option<GraphError>,
}

/// Meta's error envelope. Every field may be missing.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct GraphError {
    pub message: String,
    pub code: Option<i32>,
    pub error_subcode: Option<i32>,
    pub is_transient: Option<bool>,
    pub error_user_title: Option<String>,
    pub error_user_msg: Option<String>,
    pub fbtrace_id: Option<String>,
}

/// A block for breaking a policy lasts hours; Meta gives no time.
const POLICY_HOLD: Duration = Duration::from_secs(60 * 60);
/// A wait longer than this is taken for a mistake.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest message kept, in characters.
const LONGEST_MESSAGE: usize = 1_000;

/// The class of an error that Meta answered.
pub(crate) fn classify(status: u16, headers: &HeaderMap, error: GraphError) -> Failure {
    let class = class_of(status, &error);
    let wait = match class {
        FailureClass::Throttled if matches!(error.code, Some(368 | 1_404_078 | 2_859_015 | 3_910_001)) => {
            Some(asked_wait(headers).map_or(POLICY_HOLD, |asked| asked.max(POLICY_HOLD)))
        }
        FailureClass::Throttled | FailureClass::Transient => asked_wait(headers),
        _ => None,
    };
    Failure {
        class,
        message: describe(status, &error),
        wait,
        error: Some(error),
    }
}

fn class_of(status: u16, error: &GraphError) -> FailureClass {
    use FailureClass::{Blocked, Refused, Throttled, Transient};
    match (error.code, error.error_subcode) {
        // The limit of a business use case, whatever code it comes under.
        (_, Some(2_446_079)) => return Throttled,
        // The object is missing, or the token may not see it: not the events' fault.
        (Some(100), Some(33)) => return Blocked,
        // The dataset has no Page, which messaging events need.
        (Some(100), Some(2_804_131)) => return Blocked,
        (Some(1), Some(99)) => return Refused,
        _ => {}
    }
    match error.code {
        Some(1 | 2 | 5_000 | 21_009) => Transient,
        Some(4 | 17 | 32 | 341 | 613 | 80_000..=80_014) => Throttled,
        Some(368 | 1_404_078 | 2_859_015 | 3_910_001) => Throttled,
        Some(3 | 10 | 102 | 104 | 190 | 200..=299 | 803) => Blocked,
        Some(100 | 506) => Refused,
        Some(code) if code < 0 => Transient,
        _ if error.is_transient == Some(true) => Transient,
        _ if status == 429 => Throttled,
        _ if status == 408 || status >= 500 => Transient,
        // An unknown code is Meta's verdict; no code at all is nobody's.
        Some(_) => Refused,
        None if status == 401 || status == 403 => Blocked,
        None => Transient,
    }
}

/// One line for the log: Meta's words, and the codes that stay the same in every language.
fn describe(status: u16, error: &GraphError) -> String {
    let mut text = format!("HTTP {status}");
    if let Some(code) = error.code {
        text.push_str(&format!(", code {code}"));
    }
    if let Some(subcode) = error.error_subcode {
        text.push_str(&format!("/{subcode}"));
    }
    let words = [
        Some(&error.message),
        error.error_user_title.as_ref(),
        error.error_user_msg.as_ref(),
    ];
    for words in words.into_iter().flatten().filter(|words| !words.is_empty()) {
        text.push_str(": ");
        text.push_str(words);
    }
    text.chars().take(LONGEST_MESSAGE).collect()
}

/// The longest of all the times that the headers ask us to wait.
pub(crate) fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let retry_after = header(headers, "retry-after").and_then(|seconds| seconds.trim().parse::<u64>().ok());
    let account = usage(headers, "x-ad-account-usage").and_then(|usage| {
        usage
            .get("reset_time_duration")
            .and_then(serde_json::Value::as_u64)
    });
    // Minutes, unlike the others; one list of objects per business.
    let business = usage(headers, "x-business-use-case-usage").and_then(|usage| {
        let businesses = usage
            .as_object()?
            .values()
            .filter_map(serde_json::Value::as_array)
            .flatten();
        businesses
            .filter_map(|use_case| use_case.get("estimated_time_to_regain_access")?.as_u64())
            .max()
    });
    let seconds = [
        retry_after,
        account,
        business.map(|minutes| minutes.saturating_mul(60)),
    ];
    let longest = seconds
        .into_iter()
        .flatten()
        .max()
        .filter(|seconds| *seconds > 0)?;
    Some(Duration::from_secs(longest).min(LONGEST_WAIT))
}

fn usage(headers: &HeaderMap, name: &str) -> Option<serde_json::Value> {
    serde_json::from_str(header(headers, name)?).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    /// The rows of Meta's error reference: status, code, subcode, what it means for the events.
    #[test]
    fn every_documented_error_has_its_class() {
        use FailureClass::{Blocked, Refused, Throttled, Transient};
        #[rustfmt::skip]
        let rows: &[(u16, Option<i32>, Option<i32>, FailureClass)] = &[
            (500, Some(1), None, Transient),
            (400, Some(1), Some(99), Refused),
            (503, Some(2), None, Transient),
            (400, Some(3), None, Blocked),
            (400, Some(4), None, Throttled),
            (400, Some(4), Some(1504022), Throttled),
            (403, Some(10), None, Blocked),
            (400, Some(17), Some(2446079), Throttled),
            (400, Some(32), None, Throttled),
            (400, Some(100), Some(33), Blocked),
            (400, Some(100), None, Refused),
            (400, Some(100), Some(2804003), Refused),
            (400, Some(100), Some(2804009), Refused),
            (400, Some(100), Some(2804010), Refused),
            (400, Some(100), Some(2804016), Refused),
            (400, Some(100), Some(2804019), Refused),
            (400, Some(100), Some(2804036), Refused),
            (400, Some(100), Some(2804050), Refused),
            (400, Some(100), Some(2804066), Refused),
            (400, Some(100), Some(2804116), Refused),
            (400, Some(100), Some(2804131), Blocked),
            (400, Some(102), None, Blocked),
            (400, Some(104), None, Blocked),
            (400, Some(190), Some(460), Blocked),
            (401, Some(190), Some(463), Blocked),
            (403, Some(200), None, Blocked),
            (403, Some(294), None, Blocked),
            (400, Some(341), None, Throttled),
            (400, Some(368), None, Throttled),
            (400, Some(506), None, Refused),
            (400, Some(613), Some(1487742), Throttled),
            (400, Some(803), None, Blocked),
            (500, Some(5000), None, Transient),
            (500, Some(-3), None, Transient),
            (400, Some(21009), None, Transient),
            (400, Some(80000), None, Throttled),
            (400, Some(80004), Some(2446079), Throttled),
            (400, Some(80014), None, Throttled),
            (400, Some(1404078), None, Throttled),
            (400, Some(2859015), None, Throttled),
            (400, Some(3910001), None, Throttled),
            (400, Some(999_999), None, Refused),
            (500, Some(999_999), None, Transient),
            (429, None, None, Throttled),
            (408, None, None, Transient),
            (500, None, None, Transient),
            (403, None, None, Blocked),
            (404, None, None, Transient),
        ];
        for (status, code, subcode, class) in rows {
            let error = GraphError {
                code: *code,
                error_subcode: *subcode,
                ..GraphError::default()
            };
            assert_eq!(
                class_of(*status, &error),
                *class,
                "HTTP {status}, {code:?}/{subcode:?}"
            );
        }
    }

    #[test]
    fn what_meta_calls_transient_is_tried_again_even_under_an_unknown_code() {
        let error = GraphError {
            code: Some(777_777),
            is_transient: Some(true),
            ..GraphError::default()
        };
        assert_eq!(class_of(400, &error), FailureClass::Transient);
    }

    #[test]
    fn error_data_may_be_an_object_or_a_string() {
        for data in [r#"{"blame_field_specs":[["data"]]}"#, r#""\"null\"""#] {
            let text = format!(r#"{{"message":"m","code":100,"error_data":{data}}}"#);
            let error: GraphError = serde_json::from_str(&text).unwrap();
            assert_eq!(error.code, Some(100));
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn the_longest_wait_that_is_asked_for_counts_each_in_its_own_unit() {
        let business =
            r#"{"123":[{"type":"ads_management","call_count":95,"total_cputime":20,"total_time":20,
            "estimated_time_to_regain_access":19,"ads_api_access_tier":"standard_access"}]}"#
                .replace('\n', "");
        let account = r#"{"acc_id_util_pct":9.67,"reset_time_duration":100,"ads_api_access_tier":"x"}"#;
        let seconds = |pairs: &[_]| asked_wait(&headers(pairs)).map(|wait| wait.as_secs());
        assert_eq!(seconds(&[]), None);
        assert_eq!(seconds(&[("retry-after", "30")]), Some(30));
        assert_eq!(
            seconds(&[("retry-after", "30"), ("x-ad-account-usage", account)]),
            Some(100)
        );
        assert_eq!(
            seconds(&[
                ("x-ad-account-usage", account),
                ("x-business-use-case-usage", &business)
            ]),
            Some(19 * 60)
        );
        assert_eq!(seconds(&[("retry-after", "-5")]), None);
        assert_eq!(seconds(&[("retry-after", "99999999")]), Some(24 * 60 * 60));
        assert_eq!(seconds(&[("x-business-use-case-usage", "not json")]), None);
    }
}
