//! What operators send and get about dead letters.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rastro_core::dataset::DatasetId;
use rastro_core::json::Json;
use rastro_store::{DeadLetter, DeadLetterFilter, DeadLetterGroup, DeadLetterReason, RetryCount};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::Problem;
use crate::wire::fields::{Fields, list, time};

/// Of one kind of id in one request.
const MOST_IDS: usize = 10_000;
const MOST_RETRIED: i64 = 100_000;
const LONGEST_PAGE: i64 = 1_000;

/// A request for `POST /api/meta/retry-failed`.
#[derive(Debug, PartialEq)]
pub(crate) struct RetryOrder {
    pub(crate) filter: DeadLetterFilter,
    pub(crate) dry_run: bool,
    pub(crate) limit: i64,
    pub(crate) spread: Duration,
}

impl RetryOrder {
    /// Reads a body. Without any condition it must say `"all": true`: nobody retries everything by a slip.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Problem> {
        let mut fields = Fields::of_body(text)?;
        let flag = |value: Json<'_>| match value {
            Json::Bool(flag) => Some(flag),
            _ => None,
        };
        let ids = format!("a list of 1 to {MOST_IDS} of them");
        let filter = DeadLetterFilter {
            dataset_id: fields.take("dataset_id", DATASET_ID, |id| id.as_str()?.parse().ok()),
            event_numbers: fields.take("event_numbers", &ids, |value| {
                list(value, MOST_IDS, |id| id.as_i64())
            }),
            event_ids: fields.take("event_ids", &ids, |value| {
                list(value, MOST_IDS, |id| {
                    Some(id.into_identifier().ok()?.into_owned())
                })
            }),
            error_code: fields.take("error_code", ERROR_CODE, |code| {
                i32::try_from(code.as_i64()?).ok()
            }),
            failed_from: fields.take("failed_from", TIME, time),
            failed_before: fields.take("failed_before", TIME, time),
            reason: fields.take(
                "reason",
                "refused, exhausted or set_aside: what has expired stays too old",
                |reason| reason_of(reason.as_str()?).filter(|reason| *reason != DeadLetterReason::Expired),
            ),
        };
        let all = fields.take("all", "true or false", flag).unwrap_or(false);
        let dry_run = fields.take("dry_run", "true or false", flag).unwrap_or(false);
        let limit = fields.take("limit", &format!("a number from 1 to {MOST_RETRIED}"), |limit| {
            limit.as_i64().filter(|limit| (1..=MOST_RETRIED).contains(limit))
        });
        let spread = fields.take("spread_seconds", "a number from 0 to 86400", |seconds| {
            u64::try_from(seconds.as_i64()?)
                .ok()
                .filter(|seconds| *seconds <= 86_400)
        });
        if filter
            .failed_from
            .zip(filter.failed_before)
            .is_some_and(|(from, before)| from >= before)
        {
            fields.wrong("failed_before", "must be after failed_from");
        }
        let is_narrowed = filter != DeadLetterFilter::default();
        if all && is_narrowed {
            fields.wrong("all", "contradicts the conditions beside it");
        }
        if !all && !is_narrowed {
            fields.wrong("", "must have at least one condition, or \"all\": true");
        }
        fields.finish()?;
        Ok(RetryOrder {
            filter,
            dry_run,
            limit: limit.unwrap_or(10_000),
            spread: Duration::from_secs(spread.unwrap_or(10)),
        })
    }
}

/// A query of `GET /api/meta/failed`.
#[derive(Debug, PartialEq)]
pub(crate) struct FailedQuery {
    pub(crate) filter: DeadLetterFilter,
    pub(crate) wanted: Wanted,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Wanted {
    Groups,
    Page { after: i64, limit: i64 },
}

impl FailedQuery {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let mut fields = Fields::of_query(text);
        let filter = DeadLetterFilter {
            dataset_id: fields.take("dataset_id", DATASET_ID, |id| id.as_str()?.parse().ok()),
            error_code: fields.take("error_code", ERROR_CODE, |code| code.as_str()?.parse().ok()),
            reason: fields.take(
                "reason",
                "refused, exhausted, expired, missing, dataset_deleted or set_aside",
                |reason| reason_of(reason.as_str()?),
            ),
            ..DeadLetterFilter::default()
        };
        let grouped = fields.take("group", "true or false", |value| value.as_str()?.parse().ok());
        let after = fields.take("after", "the next of an earlier answer", |after| {
            after.as_str()?.parse().ok().filter(|after: &i64| *after >= 0)
        });
        let limit = fields.take("limit", &format!("a number from 1 to {LONGEST_PAGE}"), |limit| {
            limit
                .as_str()?
                .parse()
                .ok()
                .filter(|limit| (1..=LONGEST_PAGE).contains(limit))
        });
        let wanted = if grouped.unwrap_or(true) {
            for (name, given) in [("after", after), ("limit", limit)] {
                if given.is_some() {
                    fields.wrong(name, "goes with group=false");
                }
            }
            Wanted::Groups
        } else {
            Wanted::Page {
                after: after.unwrap_or(0),
                limit: limit.unwrap_or(100),
            }
        };
        fields.finish()?;
        Ok(FailedQuery { filter, wanted })
    }
}

const DATASET_ID: &str = "a dataset's id, as a string";
const ERROR_CODE: &str = "a code of Meta's, a whole number";
const TIME: &str = "a time as RFC 3339 writes it, such as \"2026-11-23T18:00:00-03:00\"";

fn reason_of(word: &str) -> Option<DeadLetterReason> {
    use DeadLetterReason::{DatasetDeleted, Exhausted, Expired, Missing, Refused, SetAside};
    [Refused, Exhausted, Expired, Missing, DatasetDeleted, SetAside]
        .into_iter()
        .find(|reason| reason.as_str() == word)
}

/// What a retry by hand did, or would do.
#[derive(Serialize, ToSchema)]
pub(crate) struct RetryReceipt {
    /// This request, as it stands beside each retried event in the log.
    request_id: Uuid,
    dry_run: bool,
    /// Dead letters that match and that Meta may still take.
    #[schema(example = 42)]
    matched: i64,
    /// Those of them that are due again: at most limit, and none in a dry run.
    #[schema(example = 42)]
    retried: i64,
    /// Dead letters that match, but that Meta would refuse for their age. They stay.
    #[schema(example = 0)]
    too_old: i64,
}

impl RetryReceipt {
    pub(crate) fn new(request_id: Uuid, dry_run: bool, count: RetryCount) -> Self {
        RetryReceipt {
            request_id,
            dry_run,
            matched: count.matched,
            retried: count.retried,
            too_old: count.too_old,
        }
    }
}

/// Dead letters, counted or listed.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum FailedEvents {
    #[schema(title = "Counted")]
    Groups { groups: Vec<FailedGroup> },
    #[schema(title = "Listed")]
    Page {
        dead_letters: Vec<FailedEvent>,
        /// For `after` of the next request; null: there are no more.
        next: Option<i64>,
    },
}

/// How many events failed for one reason.
#[derive(Serialize, ToSchema)]
pub(crate) struct FailedGroup {
    #[schema(value_type = String, example = "123456789012345")]
    dataset_id: DatasetId,
    /// refused: Meta will not take it as it is. exhausted: no retry was left. expired: too old for Meta.
    #[schema(example = "refused")]
    reason: String,
    /// Meta's codes, if Meta gave any.
    #[schema(example = 100)]
    error_code: Option<i32>,
    #[schema(example = 2804019)]
    error_subcode: Option<i32>,
    count: i64,
    /// Those of them that Meta may still take.
    retryable: i64,
    first_failed_at: DateTime<Utc>,
    last_failed_at: DateTime<Utc>,
    /// What was said of the latest one.
    newest_error: String,
}

/// An event that is not tried again by itself. What it says stays in the database.
#[derive(Serialize, ToSchema)]
pub(crate) struct FailedEvent {
    #[schema(value_type = String, example = "123456789012345")]
    dataset_id: DatasetId,
    /// Our number of the event, over all datasets.
    event_number: i64,
    #[schema(example = "Purchase")]
    event_name: Option<String>,
    /// The client's id of the event.
    #[schema(example = "order-1042")]
    event_id: Option<String>,
    #[schema(example = "refused")]
    reason: String,
    /// After the first attempt.
    retry_count: i16,
    last_error: String,
    error_code: Option<i32>,
    error_subcode: Option<i32>,
    failed_at: DateTime<Utc>,
    /// From then on Meta would refuse it for its age.
    send_by: DateTime<Utc>,
}

impl FailedEvents {
    pub(crate) fn groups(groups: Vec<DeadLetterGroup>) -> Self {
        FailedEvents::Groups {
            groups: groups.into_iter().map(FailedGroup::from).collect(),
        }
    }

    /// A page that was asked for with this limit.
    pub(crate) fn page(dead_letters: Vec<DeadLetter>, limit: i64) -> Self {
        let is_full = i64::try_from(dead_letters.len()).is_ok_and(|found| found >= limit);
        FailedEvents::Page {
            next: dead_letters
                .last()
                .filter(|_| is_full)
                .map(|last| last.event_number),
            dead_letters: dead_letters.into_iter().map(FailedEvent::from).collect(),
        }
    }
}

impl From<DeadLetterGroup> for FailedGroup {
    fn from(group: DeadLetterGroup) -> Self {
        FailedGroup {
            dataset_id: group.dataset_id,
            reason: group.reason,
            error_code: group.error_code,
            error_subcode: group.error_subcode,
            count: group.count,
            retryable: group.retryable,
            first_failed_at: group.first_failed_at,
            last_failed_at: group.last_failed_at,
            newest_error: group.newest_error,
        }
    }
}

impl From<DeadLetter> for FailedEvent {
    fn from(event: DeadLetter) -> Self {
        FailedEvent {
            dataset_id: event.dataset_id,
            event_number: event.event_number,
            event_name: event.event_name,
            event_id: event.event_id,
            reason: event.reason,
            retry_count: event.retry_count,
            last_error: event.last_error,
            error_code: event.error_code,
            error_subcode: event.error_subcode,
            failed_at: event.failed_at,
            send_by: event.send_by,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers<T: std::fmt::Debug>(parsed: Result<T, Problem>) -> Vec<String> {
        let problem = serde_json::to_value(parsed.unwrap_err()).unwrap();
        assert_eq!(
            (&problem["status"], &problem["type"]),
            (&422.into(), &"urn:rastro:problem:invalid-request".into())
        );
        let errors = problem["errors"].as_array().unwrap();
        errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn everything_is_retried_only_by_those_who_say_so() {
        for nothing in [
            "{}",
            r#"{"all":false}"#,
            r#"{"dry_run":true,"limit":5}"#,
            r#"{"dataset_id":null}"#,
        ] {
            assert_eq!(pointers(RetryOrder::parse(nothing.as_bytes())), [""], "{nothing}");
        }
        let order = RetryOrder::parse(br#"{"all":true}"#).unwrap();
        assert_eq!(
            (order.filter, order.dry_run),
            (DeadLetterFilter::default(), false)
        );
        assert_eq!((order.limit, order.spread), (10_000, Duration::from_secs(10)));
        assert_eq!(
            pointers(RetryOrder::parse(br#"{"all":true,"error_code":100}"#)),
            ["/all"]
        );
    }

    #[test]
    fn a_retry_is_narrowed_by_every_condition() {
        let order = RetryOrder::parse(
            br#"{"dataset_id":"123456789012345","event_numbers":[7,8],"event_ids":["a",9],"error_code":100,
                "reason":"refused","failed_from":"2026-11-23T18:00:00-03:00","failed_before":"2026-11-24T00:00:00Z",
                "dry_run":true,"limit":100000,"spread_seconds":0}"#,
        )
        .unwrap();
        let filter = order.filter;
        assert_eq!(
            filter.dataset_id.map(DatasetId::as_i64),
            Some(123_456_789_012_345)
        );
        assert_eq!(filter.event_numbers, Some(vec![7, 8]));
        assert_eq!(filter.event_ids, Some(vec!["a".to_owned(), "9".to_owned()]));
        assert_eq!(
            (filter.error_code, filter.reason),
            (Some(100), Some(DeadLetterReason::Refused))
        );
        assert_eq!(
            filter.failed_from.unwrap().to_rfc3339(),
            "2026-11-23T21:00:00+00:00"
        );
        assert!(order.dry_run && order.spread.is_zero() && order.limit == 100_000);
    }

    #[test]
    fn every_wrong_field_of_a_retry_is_named() {
        let text = br#"{"dataset_id":123456789012345,"event_numbers":[],"event_ids":"a","error_code":"100","reason":"expired",
            "failed_from":"yesterday","failed_before":1764000000,"all":1,"dry_run":"true","limit":100001,"spread_seconds":-1,
            "dataset":"1"}"#;
        let mut named = pointers(RetryOrder::parse(text));
        named.sort_unstable();
        let mut expected = [
            "",
            "/all",
            "/dataset",
            "/dataset_id",
            "/dry_run",
            "/error_code",
            "/event_ids",
            "/event_numbers",
            "/failed_before",
            "/failed_from",
            "/limit",
            "/reason",
            "/spread_seconds",
        ];
        expected.sort_unstable();
        assert_eq!(named, expected);
        let reversed = br#"{"failed_from":"2026-11-24T00:00:00Z","failed_before":"2026-11-23T00:00:00Z"}"#;
        assert_eq!(pointers(RetryOrder::parse(reversed)), ["/failed_before"]);
    }

    #[test]
    fn dead_letters_are_counted_unless_a_list_is_asked_for() {
        assert_eq!(FailedQuery::parse("").unwrap().wanted, Wanted::Groups);
        let query = FailedQuery::parse("group=false&after=41&limit=10&reason=expired&error_code=-3").unwrap();
        assert_eq!(query.wanted, Wanted::Page { after: 41, limit: 10 });
        assert_eq!(
            (query.filter.reason, query.filter.error_code),
            (Some(DeadLetterReason::Expired), Some(-3))
        );
        assert_eq!(pointers(FailedQuery::parse("limit=10")), ["/limit"]);
        assert_eq!(
            pointers(FailedQuery::parse("group=false&limit=0&after=-1&since=1")),
            ["/after", "/limit", "/since"]
        );
    }
}
