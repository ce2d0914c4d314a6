//! What operators send and get about a dataset's circuit breaker.

use chrono::{DateTime, Utc};
use rastro_core::circuit_breaker::{Manual, Permission, Reason, State};
use rastro_core::dataset::DatasetId;
use rastro_store::BreakerReport;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::wire::fields::{Fields, line, time};

const LONGEST_NOTE: usize = 500;

/// A request for `PUT /api/meta/breaker/{dataset_id}`.
#[derive(Debug, PartialEq)]
pub(crate) struct BreakerOrder {
    pub(crate) mode: Manual,
    pub(crate) until_ms: Option<i64>,
    pub(crate) note: Option<String>,
}

impl BreakerOrder {
    /// Reads a body, at the given time.
    pub(crate) fn parse(text: &[u8], now: DateTime<Utc>) -> Result<Self, Problem> {
        let mut fields = Fields::of_body(text)?;
        let (names_mode, names_note) = (fields.names("mode"), fields.names("note"));
        let mode = fields.take("mode", "automatic, forced_open or forced_closed", |mode| {
            Manual::parse(mode.as_str()?)
        });
        let until = fields.take(
            "until",
            "a time to come, as RFC 3339 writes it, such as \"2026-11-23T18:00:00-03:00\"",
            |until| time(until).filter(|until| *until > now),
        );
        let note = fields.take(
            "note",
            &format!("1 to {LONGEST_NOTE} characters on one line"),
            |note| line(note.as_str()?, LONGEST_NOTE).map(str::to_owned),
        );
        if !names_mode {
            fields.wrong("mode", "is required: automatic, forced_open or forced_closed");
        }
        match mode {
            Some(Manual::Automatic) if until.is_some() => fields.wrong("until", "goes with a forced mode"),
            Some(Manual::ForcedOpen | Manual::ForcedClosed) if !names_note => {
                fields.wrong(
                    "note",
                    "is required with a forced mode: why, for whoever looks next",
                );
            }
            _ => {}
        }
        fields.finish()?;
        Ok(BreakerOrder {
            // One that could not be read was refused.
            mode: mode.unwrap_or(Manual::Automatic),
            until_ms: until.map(|until| until.timestamp_millis()),
            note,
        })
    }
}

/// A dataset's circuit breaker: whether its events are sent just now, and why not.
#[derive(Serialize, ToSchema)]
pub(crate) struct BreakerStatus {
    #[schema(value_type = String, example = "123456789012345")]
    dataset_id: DatasetId,
    /// flows: events are sent. probing: a few are, to find out whether Meta answers again. stopped: none are;
    /// they wait.
    #[schema(example = "stopped")]
    permission: &'static str,
    /// closed, open or half_open. It goes on being recorded beneath a forced mode.
    #[schema(example = "open")]
    state: &'static str,
    /// Why it is not closed. throttled: Meta said wait. errors: Meta fails. blocked: Meta refuses the
    /// dataset, somebody must act.
    #[schema(example = "blocked")]
    reason: Option<&'static str>,
    /// When the state last changed; null: never.
    since: Option<DateTime<Utc>>,
    /// While open: when it looks again.
    open_until: Option<DateTime<Utc>>,
    probe: Probe,
    /// automatic, forced_open or forced_closed: what operators ordered.
    #[schema(example = "automatic")]
    mode: &'static str,
    /// When the forced mode ends by itself; null: never.
    until: Option<DateTime<Utc>>,
    /// Who last ordered something, and why.
    #[schema(example = "ana (admin key from the configuration): new token on its way")]
    note: String,
    evidence: BreakerEvidence,
}

/// The requests that find out whether Meta answers again.
#[derive(Serialize, ToSchema)]
pub(crate) struct Probe {
    /// One is out, and counts as lost from then on.
    out_until: Option<DateTime<Utc>>,
    /// Since it is half-open.
    succeeded: i32,
    failed: i32,
}

/// How requests to Meta went lately, since the state last changed at the most.
#[derive(Serialize, ToSchema)]
pub(crate) struct BreakerEvidence {
    #[schema(example = 300)]
    window_seconds: i64,
    requests: u32,
    failures: u32,
    /// The latest requests that failed without a success between or after them.
    consecutive_failures: u32,
}

impl BreakerStatus {
    /// From what was read with this window.
    pub(crate) fn new(dataset_id: DatasetId, report: BreakerReport, window_ms: i64) -> Self {
        let BreakerReport {
            breaker,
            note,
            evidence,
            now_ms,
        } = report;
        let in_force = breaker.manual_in_force(now_ms);
        let permission = match breaker.permission(now_ms) {
            Permission::Freely => "flows",
            Permission::Probe => "probing",
            // The one probe that there may be is out.
            Permission::Nothing if in_force == Manual::Automatic && breaker.state == State::HalfOpen => {
                "probing"
            }
            Permission::Nothing => "stopped",
        };
        BreakerStatus {
            dataset_id,
            permission,
            state: breaker.state.as_str(),
            reason: breaker.reason.map(Reason::as_str),
            // The breaker of a dataset that was never left alone is made up on the spot.
            since: at(Some(breaker.since_ms).filter(|_| breaker.generation > 0)),
            open_until: at(breaker.open_until_ms),
            probe: Probe {
                out_until: at(breaker.probe_until_ms.filter(|until_ms| *until_ms > now_ms)),
                succeeded: breaker.probe_successes,
                failed: breaker.probe_failures,
            },
            mode: in_force.as_str(),
            until: at(breaker.manual_until_ms.filter(|_| in_force != Manual::Automatic)),
            note,
            evidence: BreakerEvidence {
                window_seconds: window_ms / 1_000,
                requests: evidence.requests,
                failures: evidence.failures,
                consecutive_failures: evidence.consecutive_failures,
            },
        }
    }
}

fn at(milliseconds: Option<i64>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(milliseconds?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<BreakerOrder, Vec<String>> {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        BreakerOrder::parse(text.as_bytes(), now).map_err(|problem| {
            let problem = serde_json::to_value(problem).unwrap();
            let errors = problem["errors"].as_array().unwrap();
            errors
                .iter()
                .map(|error| error["pointer"].as_str().unwrap().to_owned())
                .collect()
        })
    }

    #[test]
    fn a_forced_mode_says_why_and_may_end_by_itself() {
        let order =
            parse(r#"{"mode":"forced_open","until":"2026-11-23T09:00:01-03:00","note":" Meta asked "}"#);
        let expected = BreakerOrder {
            mode: Manual::ForcedOpen,
            // date -d 2026-11-23T12:00:01Z +%s
            until_ms: Some(1_795_435_201_000),
            note: Some("Meta asked".to_owned()),
        };
        assert_eq!(order, Ok(expected));
        let for_good = parse(r#"{"mode":"forced_closed","until":null,"note":"x"}"#).unwrap();
        assert_eq!((for_good.mode, for_good.until_ms), (Manual::ForcedClosed, None));
        assert_eq!(parse(r#"{"mode":"automatic"}"#).unwrap().note, None);
    }

    #[test]
    fn every_wrong_field_of_an_order_is_named() {
        assert_eq!(parse("{}"), Err(vec!["/mode".into()]));
        assert_eq!(
            parse(r#"{"mode":"open","notes":"x"}"#),
            Err(vec!["/mode".into(), "/notes".into()])
        );
        assert_eq!(parse(r#"{"mode":"forced_open"}"#), Err(vec!["/note".into()]));
        assert_eq!(
            parse(r#"{"mode":"forced_open","note":"a\nb"}"#),
            Err(vec!["/note".into()])
        );
        let past = r#"{"mode":"forced_open","note":"x","until":"2026-11-23T12:00:00Z"}"#;
        assert_eq!(parse(past), Err(vec!["/until".into()]));
        let no_end = r#"{"mode":"automatic","until":"2026-11-23T13:00:00Z"}"#;
        assert_eq!(parse(no_end), Err(vec!["/until".into()]));
    }
}
