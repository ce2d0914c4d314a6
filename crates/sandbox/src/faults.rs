//! Faults on command: what the network and Meta do to a request on a bad day, chosen from outside.
//!
//! Every request to `/events` is held against the active faults in the order they were set. Latencies add up;
//! of the faults that replace the answer the first that fires wins and the others keep their turn, so
//! "latency and error" is two faults. `refuse_event` looks at the events of a request that no other fault has
//! stopped from being judged.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::refusal::Refusal;
use crate::rules::Facts;

/// A fault and the requests it strikes. As JSON it is one flat object: `{"kind": "latency", "ms": 200,
/// "times": 3}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Fault {
    #[serde(flatten)]
    pub kind: FaultKind,
    #[serde(flatten)]
    pub strikes: Strikes,
}

/// What goes wrong. `processed` says whether the events are judged and counted before the answer is spoilt;
/// clients cannot tell the two apart, which is the point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// Waits this long before doing anything else.
    Latency { ms: u64 },
    /// Answers with Meta's error envelope.
    Error {
        http_status: u16,
        code: i32,
        #[serde(default)]
        subcode: Option<i32>,
        #[serde(default)]
        is_transient: bool,
        #[serde(default)]
        message: Option<String>,
        /// Seconds, sent as `Retry-After`.
        #[serde(default)]
        retry_after: Option<u64>,
        /// Sent as they are, such as `X-Business-Use-Case-Usage`.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        #[serde(default)]
        processed: bool,
    },
    /// Answers with an HTML page, as Meta's front end does in an outage.
    Html {
        http_status: u16,
        #[serde(default)]
        processed: bool,
    },
    /// Answers with no body at all.
    Empty {
        http_status: u16,
        #[serde(default)]
        processed: bool,
    },
    /// Answers with this body whatever it is, and these headers: for shapes of answers that were seen in the
    /// wild. `$N` in the body becomes the number of events.
    Answer {
        http_status: u16,
        body: String,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        #[serde(default)]
        processed: bool,
    },
    /// Never answers, for as long as the client waits.
    Timeout {
        #[serde(default)]
        processed: bool,
    },
    /// Resets the TCP connection; the events are lost.
    ResetBefore,
    /// Judges and counts the events, then resets the TCP connection without an answer.
    ResetAfter,
    /// Answers 200 with `events_received` one too small. A request that breaks a rule is refused as ever.
    WrongCount,
    /// Answers 200 with an error envelope in the body; nothing is processed.
    #[serde(rename = "error_in_200")]
    ErrorIn200 {
        #[serde(default = "service_unavailable")]
        code: i32,
        #[serde(default)]
        subcode: Option<i32>,
    },
    /// Refuses the whole request when the id of one of its events contains this text: an event that only Meta
    /// dislikes.
    RefuseEvent {
        event_id_contains: String,
        code: i32,
        #[serde(default)]
        subcode: Option<i32>,
    },
}

fn service_unavailable() -> i32 {
    2
}

impl FaultKind {
    /// Whether the request's events are judged and counted although its answer is spoilt.
    pub(crate) fn processes(&self) -> bool {
        match self {
            Self::Error { processed, .. }
            | Self::Html { processed, .. }
            | Self::Empty { processed, .. }
            | Self::Answer { processed, .. }
            | Self::Timeout { processed } => *processed,
            Self::ResetBefore | Self::ErrorIn200 { .. } => false,
            Self::ResetAfter | Self::WrongCount | Self::Latency { .. } | Self::RefuseEvent { .. } => true,
        }
    }

    /// Its `kind` as written in JSON.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Error { .. } => "error",
            Self::Html { .. } => "html",
            Self::Empty { .. } => "empty",
            Self::Answer { .. } => "answer",
            Self::Timeout { .. } => "timeout",
            Self::ResetBefore => "reset_before",
            Self::ResetAfter => "reset_after",
            Self::WrongCount => "wrong_count",
            Self::ErrorIn200 { .. } => "error_in_200",
            Self::RefuseEvent { .. } => "refuse_event",
        }
    }
}

/// Which requests a fault strikes. The default is every request, until the fault is cleared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strikes {
    /// Only requests to this dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset_id: Option<String>,
    /// How many requests it strikes before it is spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// The chance, 0 to 1, that it strikes a request it could strike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Makes the draws of `probability` the same in every run. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// Why a fault cannot be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFault(String);

impl std::fmt::Display for InvalidFault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "invalid fault: {}", self.0)
    }
}

impl std::error::Error for InvalidFault {}

impl TryFrom<Map<String, Value>> for Fault {
    type Error = serde_json::Error;

    /// Refuses unknown fields, which serde cannot do here by itself: a misspelt `times` must not become a
    /// fault that strikes for ever.
    fn try_from(mut fields: Map<String, Value>) -> Result<Self, Self::Error> {
        let strikes = ["dataset_id", "times", "probability", "seed"];
        let strikes = strikes
            .iter()
            .filter_map(|field| fields.remove_entry(*field))
            .collect();
        let strikes = serde_json::from_value(Value::Object(strikes))?;
        let kind: FaultKind = serde_json::from_value(Value::Object(fields.clone()))?;
        // A kind writes all of its fields, so whatever it does not write back it did not know.
        let known = serde_json::to_value(&kind)?;
        match fields.keys().find(|field| known.get(field.as_str()).is_none()) {
            Some(unknown) => Err(serde::de::Error::custom(format!(
                "unknown field `{unknown}` of {}",
                kind.name()
            ))),
            None => Ok(Self { kind, strikes }),
        }
    }
}

impl Fault {
    /// A fault that strikes every request until it is cleared.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            strikes: Strikes::default(),
        }
    }

    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.strikes.times = Some(times);
        self
    }

    #[must_use]
    pub fn on_dataset(mut self, dataset_id: impl Into<String>) -> Self {
        self.strikes.dataset_id = Some(dataset_id.into());
        self
    }

    #[must_use]
    pub fn with_probability(mut self, probability: f64, seed: u64) -> Self {
        self.strikes.probability = Some(probability);
        self.strikes.seed = Some(seed);
        self
    }

    fn check(&self) -> Result<(), InvalidFault> {
        if self
            .strikes
            .probability
            .is_some_and(|probability| !(0.0..=1.0).contains(&probability))
        {
            return Err(InvalidFault("probability must be between 0 and 1".to_owned()));
        }
        match &self.kind {
            FaultKind::Error {
                http_status, headers, ..
            }
            | FaultKind::Answer {
                http_status, headers, ..
            } => {
                check_status(*http_status)?;
                for (name, value) in headers {
                    let sendable = HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok();
                    if !sendable {
                        return Err(InvalidFault(format!("header {name} cannot be sent")));
                    }
                }
                Ok(())
            }
            FaultKind::Html { http_status, .. } | FaultKind::Empty { http_status, .. } => {
                check_status(*http_status)
            }
            FaultKind::RefuseEvent {
                event_id_contains, ..
            } if event_id_contains.is_empty() => {
                Err(InvalidFault("event_id_contains must not be empty".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

fn check_status(http_status: u16) -> Result<(), InvalidFault> {
    // 1xx would not end the exchange.
    match StatusCode::from_u16(http_status) {
        Ok(status) if !status.is_informational() => Ok(()),
        _ => Err(InvalidFault(format!(
            "http_status {http_status} is not a final status"
        ))),
    }
}

/// Names a fault for as long as the sandbox runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultId(u64);

/// A fault that was set, and how often it has struck.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultStatus {
    pub id: FaultId,
    #[serde(flatten)]
    pub fault: Fault,
    pub struck: u64,
}

/// What the faults do to one request, apart from `refuse_event`.
#[derive(Debug, Default)]
pub(crate) struct Drawn {
    pub(crate) latency: Duration,
    pub(crate) answer: Option<FaultKind>,
}

/// The active faults.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Board>);

#[derive(Default)]
struct Board {
    last_id: u64,
    active: Vec<Active>,
}

struct Active {
    status: FaultStatus,
    chance: StdRng,
}

impl Faults {
    pub(crate) fn set(&self, fault: Fault) -> Result<FaultId, InvalidFault> {
        fault.check()?;
        let mut board = self.board();
        board.last_id += 1;
        let id = FaultId(board.last_id);
        let chance = StdRng::seed_from_u64(fault.strikes.seed.unwrap_or(0));
        board.active.push(Active {
            status: FaultStatus { id, fault, struck: 0 },
            chance,
        });
        Ok(id)
    }

    /// Every fault not cleared, spent ones included, in the order they were set.
    pub(crate) fn list(&self) -> Vec<FaultStatus> {
        self.board()
            .active
            .iter()
            .map(|active| active.status.clone())
            .collect()
    }

    /// Says whether there was such a fault.
    pub(crate) fn clear(&self, id: FaultId) -> bool {
        let mut board = self.board();
        let before = board.active.len();
        board.active.retain(|active| active.status.id != id);
        board.active.len() < before
    }

    pub(crate) fn clear_all(&self) {
        self.board().active.clear();
    }

    pub(crate) fn draw(&self, dataset_id: &str) -> Drawn {
        let mut drawn = Drawn::default();
        for active in &mut self.board().active {
            match &active.status.fault.kind {
                FaultKind::RefuseEvent { .. } => {}
                FaultKind::Latency { ms } => {
                    let latency = Duration::from_millis(*ms);
                    if active.strikes(dataset_id) {
                        drawn.latency += latency;
                    }
                }
                _ => {
                    if drawn.answer.is_none() && active.strikes(dataset_id) {
                        drawn.answer = Some(active.status.fault.kind.clone());
                    }
                }
            }
        }
        drawn
    }

    /// The refusal for the first event that a `refuse_event` fault matches.
    pub(crate) fn refuse(&self, dataset_id: &str, events: &[Facts<'_>]) -> Option<Refusal> {
        for active in &mut self.board().active {
            let FaultKind::RefuseEvent {
                event_id_contains,
                code,
                subcode,
            } = &active.status.fault.kind
            else {
                continue;
            };
            let matches = |event: &Facts<'_>| {
                event
                    .event_id
                    .as_ref()
                    .is_some_and(|id| id.contains(event_id_contains))
            };
            let Some(index) = events.iter().position(matches) else {
                continue;
            };
            let mut refusal = Refusal::plain(*code, *subcode, "Invalid parameter");
            refusal.detail = Some(format!("Refused on command (on param \"$['data'][{index}]\")"));
            if active.strikes(dataset_id) {
                return Some(refusal);
            }
        }
        None
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock().expect("nothing panics while it holds the faults")
    }
}

impl Active {
    /// Decides whether it strikes this request, and counts it if so.
    fn strikes(&mut self, dataset_id: &str) -> bool {
        let Strikes {
            dataset_id: only,
            times,
            probability,
            ..
        } = &self.status.fault.strikes;
        let elsewhere = only.as_ref().is_some_and(|only| only != dataset_id);
        let spent = times.is_some_and(|times| self.status.struck >= times);
        let strikes =
            !elsewhere && !spent && probability.is_none_or(|chance| self.chance.random_bool(chance));
        self.status.struck += u64::from(strikes);
        strikes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Fault, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        assert!(parse(r#"{"kind":"reset_before","times":1}"#).is_ok());
        for misspelt in [
            r#"{"kind":"reset_before","time":1}"#,
            r#"{"kind":"latency","ms":1,"sm":2}"#,
            r#"{"kind":"reset"}"#,
            "{}",
        ] {
            assert!(parse(misspelt).is_err(), "{misspelt}");
        }
    }

    #[test]
    fn a_fault_reads_back_what_it_wrote() {
        let json = r#"{"kind":"error","http_status":400,"code":17,"subcode":2446079,"is_transient":false,
            "message":null,"retry_after":60,"headers":{"X-App-Usage":"{}"},"processed":false,"dataset_id":"1","times":2}"#;
        let fault = parse(json).unwrap();
        assert_eq!(
            serde_json::to_value(&fault).unwrap(),
            serde_json::from_str::<Value>(json).unwrap()
        );
        assert_eq!(
            fault.strikes,
            Strikes {
                dataset_id: Some("1".into()),
                times: Some(2),
                ..Strikes::default()
            }
        );
    }

    #[test]
    fn nonsense_cannot_be_set() {
        for nonsense in [
            r#"{"kind":"reset_before","probability":1.5}"#,
            r#"{"kind":"html","http_status":99}"#,
            r#"{"kind":"empty","http_status":101}"#,
            r#"{"kind":"error","http_status":400,"code":1,"headers":{"a b":"c"}}"#,
            r#"{"kind":"answer","http_status":200,"body":"","headers":{"a":"\n"}}"#,
            r#"{"kind":"refuse_event","event_id_contains":"","code":100}"#,
        ] {
            assert!(
                Faults::default().set(parse(nonsense).unwrap()).is_err(),
                "{nonsense}"
            );
        }
    }

    #[test]
    fn latencies_add_up_and_the_first_answer_fault_wins_until_it_is_spent() {
        let faults = Faults::default();
        faults.set(Fault::new(FaultKind::Latency { ms: 2 })).unwrap();
        faults
            .set(Fault::new(FaultKind::ResetBefore).times(1).on_dataset("1"))
            .unwrap();
        faults.set(Fault::new(FaultKind::Latency { ms: 3 })).unwrap();
        faults.set(Fault::new(FaultKind::WrongCount)).unwrap();
        assert_eq!(faults.draw("2").answer, Some(FaultKind::WrongCount));
        let drawn = faults.draw("1");
        assert_eq!(
            (drawn.latency, drawn.answer),
            (Duration::from_millis(5), Some(FaultKind::ResetBefore))
        );
        assert_eq!(faults.draw("1").answer, Some(FaultKind::WrongCount));
        assert_eq!(
            faults
                .list()
                .iter()
                .map(|status| status.struck)
                .collect::<Vec<_>>(),
            [3, 1, 3, 2]
        );
    }

    #[test]
    fn probability_draws_the_same_for_the_same_seed() {
        let struck = |seed| {
            let faults = Faults::default();
            faults
                .set(Fault::new(FaultKind::ResetAfter).with_probability(0.3, seed))
                .unwrap();
            (0..1000)
                .map(|_| faults.draw("1").answer.is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(struck(7), struck(7));
        assert_ne!(struck(7), struck(8));
        // 1000 draws at 0.3: mean 300, standard deviation 14.5; ten of those either way.
        let count = struck(7).iter().filter(|&&struck| struck).count();
        assert!((155..=445).contains(&count), "{count}");
    }
}
