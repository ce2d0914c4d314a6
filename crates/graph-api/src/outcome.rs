//! What a failed request means for its events, decided by code and subcode. Never by text, which Meta
//! translates, and never by `type`, which is `OAuthException` for nearly everything.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::client::header;
use crate::lenient;

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// Meta could not just now; it took nothing. The same request may succeed later.
    Transient,
    /// The request left, and no verdict came back. Send it again with the same ids: Meta is known to drop
    /// what it has, but promises that for a browser's copy against a server's only. A repeat may count
    /// twice; an event that is not sent again may be lost.
    Unknown,
    /// Too many calls. Calling on makes the block longer.
    Throttled,
    /// The token, a permission or the configuration of the dataset is wrong. A person must act; the events
    /// are fine.
    Blocked,
    /// Meta will never take this request as it is: at least one of its events is at fault.
    Refused,
    /// Something on the way does not pass on a request of this size. Fewer events may pass; of one alone it
    /// is [`Transient`](Self::Transient), because it is no verdict of Meta's.
    TooLarge,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub class: FailureClass,
    /// For people and the log: one line of bounded length. It holds no token and nothing of an event but what
    /// Meta quotes.
    pub message: String,
    /// How long Meta asked us to wait, at least.
    pub wait: Option<Duration>,
    /// What Meta answered, if it did.
    pub error: Option<GraphError>,
}

/// Meta's error envelope. Every field may be missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphError {
    pub message: String,
    pub code: Option<i32>,
    pub error_subcode: Option<i32>,
    pub is_transient: Option<bool>,
    pub error_user_title: Option<String>,
    pub error_user_msg: Option<String>,
    pub fbtrace_id: Option<String>,
}

impl GraphError {
    /// Reads what stands under `error`: an object as documented, or a word, as of a proxy's login.
    pub(crate) fn read(error: &Value) -> Self {
        let text = |name: &str| error.get(name).and_then(lenient::text);
        GraphError {
            message: text("message")
                .or_else(|| lenient::text(error))
                .unwrap_or_default(),
            code: error.get("code").and_then(lenient::small),
            error_subcode: error.get("error_subcode").and_then(lenient::small),
            is_transient: error.get("is_transient").and_then(lenient::truth),
            error_user_title: text("error_user_title"),
            error_user_msg: text("error_user_msg"),
            fbtrace_id: error.get("fbtrace_id").and_then(trace_id),
        }
    }
}

/// A block for breaking a policy lasts hours; Meta gives no time.
const POLICY_HOLD: Duration = Duration::from_secs(60 * 60);
/// A wait longer than this is taken for a mistake.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest message kept, in characters.
const LONGEST_MESSAGE: usize = 1_000;
/// Meta's are of 23 characters.
const LONGEST_TRACE_ID: usize = 100;

/// The class of an error that Meta answered.
pub(crate) fn classify(status: u16, headers: &HeaderMap, error: GraphError) -> Failure {
    let class = class_of(status, &error);
    let wait = match class {
        FailureClass::Throttled if is_policy_hold(error.code) => {
            Some(asked_wait(headers, class).map_or(POLICY_HOLD, |asked| asked.max(POLICY_HOLD)))
        }
        class => asked_wait(headers, class),
    };
    Failure {
        class,
        message: describe(status, &error),
        wait,
        error: Some(error),
    }
}

/// The class of an answer that is not one of the Graph API: HTML of something on the way, or nothing at all.
pub(crate) fn unreadable(status: u16, headers: &HeaderMap) -> Failure {
    let class = match status {
        // A success that does not say so may still have been one.
        200..300 => FailureClass::Unknown,
        413 => FailureClass::TooLarge,
        429 => FailureClass::Throttled,
        _ => FailureClass::Transient,
    };
    Failure {
        class,
        message: format!("HTTP {status} without an answer of the Graph API"),
        wait: asked_wait(headers, class),
        error: None,
    }
}

fn class_of(status: u16, error: &GraphError) -> FailureClass {
    use FailureClass::{Refused, Throttled, Transient};
    match class_by_code(status, error) {
        // A refused event is lost unless a person sends it again. So it takes Meta's verdict on the events:
        // not what a failing server said, and not what Meta itself calls transient.
        Refused if status == 429 => Throttled,
        Refused if status == 408 || status >= 500 || error.is_transient == Some(true) => Transient,
        class => class,
    }
}

fn class_by_code(status: u16, error: &GraphError) -> FailureClass {
    use FailureClass::{Blocked, Refused, Throttled, TooLarge, Transient};
    match (error.code, error.error_subcode) {
        // The limit of a business use case, whatever code it comes under.
        (_, Some(2_446_079)) => return Throttled,
        // The object is missing, or the token may not see it: not the events' fault.
        (Some(100), Some(33)) => return Blocked,
        (Some(100), None) if asks_for_proof(error) => return Blocked,
        _ => {}
    }
    match error.code {
        // 1/99 is a bad parameter elsewhere; on this edge it was only seen in outages.
        Some(1 | 2 | 5_000 | 21_009) => Transient,
        Some(4 | 17 | 32 | 341 | 613 | 80_000..=80_014) => Throttled,
        code if is_policy_hold(code) => Throttled,
        Some(3 | 10 | 12 | 102 | 104 | 190 | 200..=299 | 803 | 2_500 | 2_635) => Blocked,
        Some(100 | 506) => Refused,
        Some(code) if code < 0 => Transient,
        _ if error.is_transient == Some(true) => Transient,
        _ if status == 429 => Throttled,
        _ if status == 408 || status >= 500 => Transient,
        // An unknown code is Meta's verdict; no code at all is nobody's.
        Some(_) => Refused,
        None if status == 401 || status == 403 => Blocked,
        None if status == 413 => TooLarge,
        None => Transient,
    }
}

fn is_policy_hold(code: Option<i32>) -> bool {
    matches!(code, Some(368 | 1_404_078 | 2_859_015 | 3_910_001))
}

/// Whether the app demands an `appsecret_proof`. This error has no subcode, and the name of a parameter is
/// not translated.
fn asks_for_proof(error: &GraphError) -> bool {
    let texts = [Some(&error.message), error.error_user_msg.as_ref()];
    texts
        .into_iter()
        .flatten()
        .any(|text| text.contains("appsecret_proof"))
}

/// What a person can do about a blocked dataset, where Meta's words do not say it.
fn advice(error: &GraphError) -> Option<&'static str> {
    match (error.code?, error.error_subcode) {
        (3, _) => Some("the access token's app may not call this edge"),
        (10 | 200..=299, _) => Some("the access token lacks a permission for this dataset"),
        (12 | 2_635, _) => Some("Meta no longer serves this version of the Graph API, see graph_api.version"),
        (100, Some(33)) => Some("there is no such dataset at Meta, or the access token may not write to it"),
        (100, Some(2_804_131)) => {
            Some("the dataset has no Page, which messaging events need: connect one, and retry the event")
        }
        (100, None) if asks_for_proof(error) => Some(
            "the access token's app wants an app secret proof, which is not sent: use a token of Events Manager",
        ),
        (102 | 104 | 190, _) => Some("Meta does not accept the access token"),
        (2_500, _) => Some("Meta does not know this address, see graph_api.url and graph_api.version"),
        _ => None,
    }
}

/// One line for the log: the codes, which stay the same in every language, what to do, and Meta's words.
fn describe(status: u16, error: &GraphError) -> String {
    let mut text = format!("HTTP {status}");
    if let Some(code) = error.code {
        text.push_str(&format!(", code {code}"));
    }
    if let Some(subcode) = error.error_subcode {
        text.push_str(&format!("/{subcode}"));
    }
    let words = [
        advice(error),
        Some(error.message.as_str()),
        error.error_user_title.as_deref(),
        error.error_user_msg.as_deref(),
    ];
    for words in words.into_iter().flatten().filter(|words| !words.is_empty()) {
        text.push_str(": ");
        text.push_str(words);
    }
    lenient::plain(&text, LONGEST_MESSAGE)
}

/// Meta's id of a request, as far as it can be one.
pub(crate) fn trace_id(value: &Value) -> Option<String> {
    Some(lenient::plain(&lenient::text(value)?, LONGEST_TRACE_ID)).filter(|id| !id.is_empty())
}

/// How long the headers ask us to wait: the longest of all. The headers on usage come with every answer, and
/// say how long a throttle lasts only where there is one.
pub(crate) fn asked_wait(headers: &HeaderMap, class: FailureClass) -> Option<Duration> {
    let usage = match class {
        FailureClass::Throttled => account_reset(headers).max(business_regain(headers)),
        FailureClass::Transient | FailureClass::Unknown | FailureClass::TooLarge => None,
        FailureClass::Blocked | FailureClass::Refused => return None,
    };
    let longest = retry_after(headers).max(usage).filter(|wait| !wait.is_zero())?;
    Some(longest.min(LONGEST_WAIT))
}

/// Seconds, or the date of HTTP.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = header(headers, "retry-after")?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    // By the clock that wrote the date, if it told us.
    let now = header(headers, "date").and_then(|date| httpdate::parse_http_date(date.trim()).ok());
    #[expect(
        clippy::disallowed_methods,
        reason = "a date of the network, held against the network's time"
    )]
    until.duration_since(now.unwrap_or_else(SystemTime::now)).ok()
}

fn account_reset(headers: &HeaderMap) -> Option<Duration> {
    let usage = usage(headers, "x-ad-account-usage")?;
    seconds(lenient::integer(usage.get("reset_time_duration")?)?)
}

/// Minutes, unlike the others; one list of objects per business.
fn business_regain(headers: &HeaderMap) -> Option<Duration> {
    let usage = usage(headers, "x-business-use-case-usage")?;
    let use_cases = usage.as_object()?.values().filter_map(Value::as_array).flatten();
    let minutes = use_cases
        .filter_map(|use_case| lenient::integer(use_case.get("estimated_time_to_regain_access")?))
        .max()?;
    seconds(minutes.saturating_mul(60))
}

fn seconds(seconds: i64) -> Option<Duration> {
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

fn usage(headers: &HeaderMap, name: &str) -> Option<Value> {
    serde_json::from_str(header(headers, name)?).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn error(code: Option<i32>, subcode: Option<i32>) -> GraphError {
        GraphError {
            code,
            error_subcode: subcode,
            ..GraphError::default()
        }
    }

    /// The rows of Meta's error reference: status, code, subcode, what it means for the events.
    #[test]
    fn every_documented_error_has_its_class() {
        use FailureClass::{Blocked, Refused, Throttled, Transient};
        #[rustfmt::skip]
        let rows: &[(u16, Option<i32>, Option<i32>, FailureClass)] = &[
            (500, Some(1), None, Transient),
            (400, Some(1), Some(99), Transient),
            (500, Some(1), Some(99), Transient),
            (503, Some(2), None, Transient),
            (400, Some(3), None, Blocked),
            (400, Some(4), None, Throttled),
            (400, Some(4), Some(1504022), Throttled),
            (403, Some(10), None, Blocked),
            (400, Some(12), None, Blocked),
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
            // Of the message alone: the dataset's other events need no Page.
            (400, Some(100), Some(2804131), Refused),
            (400, Some(102), None, Blocked),
            (400, Some(104), None, Blocked),
            (400, Some(190), Some(460), Blocked),
            (401, Some(190), Some(463), Blocked),
            (500, Some(190), None, Blocked),
            (403, Some(200), None, Blocked),
            (403, Some(294), None, Blocked),
            (400, Some(341), None, Throttled),
            (400, Some(368), None, Throttled),
            (400, Some(506), None, Refused),
            (400, Some(613), Some(1487742), Throttled),
            (400, Some(803), None, Blocked),
            (400, Some(2500), None, Blocked),
            (400, Some(2635), None, Blocked),
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
            (429, None, None, Throttled),
            (408, None, None, Transient),
            (500, None, None, Transient),
            (403, None, None, Blocked),
            (404, None, None, Transient),
        ];
        for (status, code, subcode, class) in rows {
            assert_eq!(
                class_of(*status, &error(*code, *subcode)),
                *class,
                "HTTP {status}, {code:?}/{subcode:?}"
            );
        }
    }

    #[test]
    fn nothing_condemns_an_event_on_a_5xx_or_on_what_meta_calls_transient() {
        for code in (-10..6_000)
            .chain([21_009, 80_000, 999_999, 2_804_003])
            .map(Some)
            .chain([None])
        {
            for subcode in [None, Some(33), Some(99), Some(2_804_003), Some(2_804_050)] {
                let error = error(code, subcode);
                for status in [408, 429, 500, 502, 503, 504, 599] {
                    assert_ne!(
                        class_of(status, &error),
                        FailureClass::Refused,
                        "{status} {error:?}"
                    );
                }
                let transient = GraphError {
                    is_transient: Some(true),
                    ..error
                };
                assert_ne!(class_of(400, &transient), FailureClass::Refused, "{transient:?}");
            }
        }
        assert_eq!(
            class_of(500, &error(Some(100), Some(2_804_003))),
            FailureClass::Transient
        );
        assert_eq!(class_of(429, &error(Some(100), None)), FailureClass::Throttled);
    }

    #[test]
    fn a_demand_for_an_app_secret_proof_blocks_and_says_so_in_every_language() {
        for message in [
            "API calls from the server require an appsecret_proof argument",
            "appsecret_proof inválido fornecido no argumento da API",
        ] {
            let failure = classify(
                400,
                &HeaderMap::new(),
                GraphError {
                    message: message.to_owned(),
                    ..error(Some(100), None)
                },
            );
            assert_eq!(failure.class, FailureClass::Blocked);
            assert!(
                failure.message.contains("wants an app secret proof"),
                "{}",
                failure.message
            );
        }
        // An event that quotes the word in a refusal with a subcode is at fault itself.
        let quoted = GraphError {
            message: "Unexpected key \"appsecret_proof\"".to_owned(),
            ..error(Some(100), Some(2_804_019))
        };
        assert_eq!(class_of(400, &quoted), FailureClass::Refused);
    }

    #[test]
    fn a_wrong_address_or_version_says_which_setting_to_look_at() {
        for (code, setting) in [
            (2_500, "graph_api.url"),
            (2_635, "graph_api.version"),
            (12, "graph_api.version"),
        ] {
            let failure = classify(400, &HeaderMap::new(), error(Some(code), None));
            assert!(failure.message.contains(setting), "{}", failure.message);
        }
    }

    #[test]
    fn a_message_is_one_line_of_at_most_a_thousand_characters() {
        let failure = classify(
            400,
            &HeaderMap::new(),
            GraphError {
                message: format!("first\nsecond\0{}", "x".repeat(5_000)),
                ..error(Some(100), None)
            },
        );
        assert!(failure.message.starts_with("HTTP 400, code 100: first second x"));
        assert_eq!(failure.message.chars().count(), 1_000);
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

    fn seconds_of(class: FailureClass, pairs: &[(&'static str, &str)]) -> Option<u64> {
        asked_wait(&headers(pairs), class).map(|wait| wait.as_secs())
    }

    const ACCOUNT: &str = r#"{"acc_id_util_pct":9.67,"reset_time_duration":100,"ads_api_access_tier":"x"}"#;

    #[test]
    fn the_longest_wait_that_is_asked_for_counts_each_in_its_own_unit() {
        let business = |minutes: &str| {
            format!(
                r#"{{"123":[{{"type":"ads_management","call_count":95,"total_cputime":20,"total_time":20,
                "estimated_time_to_regain_access":{minutes},"ads_api_access_tier":"standard_access"}}]}}"#
            )
            .replace('\n', "")
        };
        fn seconds(pairs: &[(&'static str, &str)]) -> Option<u64> {
            seconds_of(FailureClass::Throttled, pairs)
        }
        assert_eq!(seconds(&[]), None);
        assert_eq!(seconds(&[("retry-after", "30")]), Some(30));
        assert_eq!(
            seconds(&[("retry-after", "30"), ("x-ad-account-usage", ACCOUNT)]),
            Some(100)
        );
        for minutes in ["19", "\"19\"", "19.0", "18.4"] {
            let business = business(minutes);
            let pairs = [
                ("x-ad-account-usage", ACCOUNT),
                ("x-business-use-case-usage", &business),
            ];
            assert_eq!(seconds(&pairs), Some(19 * 60), "{minutes}");
        }
        assert_eq!(seconds(&[("retry-after", "-5")]), None);
        assert_eq!(seconds(&[("retry-after", "0")]), None);
        assert_eq!(seconds(&[("retry-after", "99999999")]), Some(24 * 60 * 60));
        assert_eq!(seconds(&[("x-business-use-case-usage", "not json")]), None);
        assert_eq!(seconds(&[("x-business-use-case-usage", &business("-1"))]), None);
    }

    #[test]
    fn a_header_on_usage_is_no_request_to_wait_unless_there_is_a_throttle() {
        let pairs = [("x-ad-account-usage", ACCOUNT)];
        assert_eq!(seconds_of(FailureClass::Transient, &pairs), None);
        let both = [("x-ad-account-usage", ACCOUNT), ("retry-after", "30")];
        assert_eq!(seconds_of(FailureClass::Transient, &both), Some(30));
        assert_eq!(seconds_of(FailureClass::Unknown, &both), Some(30));
        assert_eq!(seconds_of(FailureClass::Blocked, &both), None);
    }

    #[test]
    fn retry_after_may_be_a_date() {
        // RFC 9110's three forms of one instant, ten minutes after the answer's own date.
        for date in [
            "Sun, 06 Nov 1994 08:59:37 GMT",
            "Sunday, 06-Nov-94 08:59:37 GMT",
            "Sun Nov  6 08:59:37 1994",
        ] {
            let pairs = [("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("retry-after", date)];
            assert_eq!(seconds_of(FailureClass::Throttled, &pairs), Some(600), "{date}");
        }
        let past = [("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")];
        assert_eq!(seconds_of(FailureClass::Throttled, &past), None);
        let far = [("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")];
        assert_eq!(seconds_of(FailureClass::Throttled, &far), Some(24 * 60 * 60));
        assert_eq!(
            seconds_of(FailureClass::Throttled, &[("retry-after", "tomorrow")]),
            None
        );
    }
}
