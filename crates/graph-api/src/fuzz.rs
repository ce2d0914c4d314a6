//! Answers as Meta, or something on the way to it, might give them.

use rastro_fuzz::fuzz;
use reqwest::header::{HeaderMap, HeaderValue};

use crate::events::{Answer, EventsRequest};
use crate::outcome::FailureClass;

const SEEDS: [&[u8]; 6] = [
    br#"{"events_received":2,"messages":["a note"],"fbtrace_id":"AbCdEf"}"#,
    br#"{"error":{"message":"(#4) Application request limit reached","type":"OAuthException","is_transient":true,"code":4,
        "error_subcode":1504022,"error_user_title":"x","error_user_msg":"y","fbtrace_id":"F"}}"#,
    br#"{"error":{"message":"Invalid parameter","code":100,"error_subcode":2804003,"error_data":"{}","fbtrace_id":null}}"#,
    br#"{"error":{"message":"Error validating access token","type":"OAuthException","code":190,"error_subcode":463}}"#,
    b"<html><body>502 Bad Gateway</body></html>",
    b"\xef\xbb\xbf{\"events_received\":\"1\"}",
];

const WORDS: [&str; 16] = [
    "error",
    "message",
    "code",
    "error_subcode",
    "is_transient",
    "fbtrace_id",
    "events_received",
    "messages",
    "error_user_msg",
    "1",
    "2",
    "17",
    "80004",
    "200",
    "803",
    "506",
];

#[test]
fn fuzzed_answers_are_a_success_only_when_they_say_so_and_a_5xx_condemns_nothing() {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", HeaderValue::from_static("7"));
    fuzz(&SEEDS, &WORDS, |input| {
        let json: Option<serde_json::Value> =
            serde_json::from_slice(input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input)).ok();
        let has = |name: &str| {
            json.as_ref()
                .and_then(|json| json.get(name))
                .is_some_and(|value| !value.is_null())
        };
        let mut said = String::new();
        for status in [200, 400, 401, 403, 429, 500, 503] {
            let answer = Answer::read(status, &headers, input);
            match &answer.result {
                Ok(()) => assert!(status == 200 && !has("error"), "{status}"),
                Err(failure) => {
                    assert!(!failure.message.contains(char::is_control), "{failure:?}");
                    assert!(
                        status < 500 || has("error") || failure.class == FailureClass::Transient,
                        "{status}: {failure:?}"
                    );
                    said += &format!("{:?} ", failure.class);
                }
            }
            assert!(
                answer.messages.len() <= 10 && answer.messages.iter().all(|note| note.chars().count() <= 300)
            );
            let trace = answer.fbtrace_id.as_deref().unwrap_or_default();
            assert!(!trace.contains(char::is_control), "{trace:?}");
        }
        said
    });
}

#[test]
fn fuzzed_test_codes_never_break_a_requests_body() {
    fuzz(
        &[b"TEST123", b"\"},{\"data\":["],
        &["\"", "\\", "}", "]"],
        |input| {
            let code = String::from_utf8_lossy(input);
            let request = EventsRequest {
                events: &["{\"a\":1}", "{\"b\":2}"],
                test_event_code: &code,
            };
            let body: serde_json::Value = serde_json::from_slice(&request.to_body("rastro")).expect("JSON");
            assert_eq!(body["data"], serde_json::json!([{"a": 1}, {"b": 2}]));
            assert_eq!(body["test_event_code"].as_str().unwrap_or_default(), code);
            format!("{} {}", code.is_empty(), code.len().min(9))
        },
    );
}
