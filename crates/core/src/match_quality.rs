//! Our own estimate of how well Meta can match events to people, until Meta's score is there and beside it.
//! Meta publishes no weights; these are ours, from what it calls high quality and from the medians in its
//! documentation. It is always labelled an estimate.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

/// Points of each match key that an event carries.
pub const WEIGHTS: [(&str, f64); 15] = [
    ("em", 2.5),
    ("ph", 2.0),
    ("fbc", 1.5),
    ("external_id", 1.2),
    ("fbp", 1.0),
    ("client_ip_address", 0.8),
    ("client_user_agent", 0.4),
    ("fn", 0.4),
    ("ln", 0.4),
    ("db", 0.4),
    ("zp", 0.2),
    ("ct", 0.15),
    ("st", 0.1),
    ("country", 0.1),
    ("ge", 0.1),
];
/// An IPv6 address is nearly a person's own.
const IPV6_EXTRA: f64 = 0.2;
/// So many points are a 10.
const FULL: f64 = 9.0;
/// Below this many events there is no estimate.
const LEAST_EVENTS: usize = 50;
/// A value that more events than this share carry is nobody's own: an office's address, a bot, a placeholder.
const SHARED_ABOVE: f64 = 0.05;
const LEAST_FACTOR: f64 = 0.2;

/// The estimates of a dataset's event names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimates(BTreeMap<String, Estimate>);

/// Of one event name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    pub events: usize,
    /// 0 to 10; `None`: too few events.
    pub score: Option<f64>,
    /// Of each match key, the share of events that carry it, 0 to 1.
    pub coverage: Vec<(&'static str, f64)>,
}

impl Estimates {
    pub fn score(&self, event_name: &str) -> Option<f64> {
        self.0.get(event_name)?.score
    }

    pub fn of(&self, event_name: &str) -> Option<&Estimate> {
        self.0.get(event_name)
    }
}

/// One event: the hash of the value of each key it carries, and whether its address is an IPv6 one.
struct Carried {
    values: [Option<u64>; WEIGHTS.len()],
    is_ipv6: bool,
}

/// Estimates from finished events: name and JSON as it goes to Meta. One that is no JSON is left out.
pub fn estimate<'e>(events: impl Iterator<Item = (&'e str, &'e str)>) -> Estimates {
    let mut by_name: BTreeMap<String, Vec<Carried>> = BTreeMap::new();
    for (name, payload) in events {
        if let Ok(event) = serde_json::from_str::<Value>(payload) {
            by_name.entry(name.to_owned()).or_default().push(carried(&event));
        }
    }
    Estimates(
        by_name
            .into_iter()
            .map(|(name, events)| (name, of_events(&events)))
            .collect(),
    )
}

fn carried(event: &Value) -> Carried {
    let user_data = &event["user_data"];
    let text = |key: &str| {
        let value = &user_data[key];
        let first = value.as_array().map_or(Some(value), |values| values.first());
        first.and_then(Value::as_str).filter(|text| !text.is_empty())
    };
    let hash = |text: &str| {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        hasher.finish()
    };
    Carried {
        values: WEIGHTS.map(|(key, _)| text(key).map(hash)),
        is_ipv6: text("client_ip_address").is_some_and(|address| address.contains(':')),
    }
}

fn of_events(events: &[Carried]) -> Estimate {
    let total = events.len() as f64;
    let mut factors = [1.0; WEIGHTS.len()];
    let mut coverage = Vec::with_capacity(WEIGHTS.len());
    for (index, (key, _)) in WEIGHTS.into_iter().enumerate() {
        let mut times: HashMap<u64, usize> = HashMap::new();
        for value in events.iter().filter_map(|event| event.values[index]) {
            *times.entry(value).or_default() += 1;
        }
        let carrying: usize = times.values().sum();
        let most = times.values().copied().max().unwrap_or_default();
        // These are the same for many by their nature.
        let may_be_shared = matches!(
            key,
            "client_user_agent" | "ct" | "st" | "country" | "ge" | "fn" | "ln" | "zp"
        );
        if !may_be_shared && carrying > 0 && most as f64 > SHARED_ABOVE * total {
            factors[index] = (times.len() as f64 / carrying as f64).clamp(LEAST_FACTOR, 1.0);
        }
        coverage.push((key, if total > 0.0 { carrying as f64 / total } else { 0.0 }));
    }
    let points = |event: &Carried| {
        let keys: f64 = WEIGHTS
            .iter()
            .zip(&event.values)
            .zip(factors)
            .filter(|((_, value), _)| value.is_some())
            .map(|(((_, weight), _), factor)| weight * factor)
            .sum();
        let extra = if event.is_ipv6 { IPV6_EXTRA } else { 0.0 };
        (10.0 * (keys + extra) / FULL).min(10.0)
    };
    let score = (events.len() >= LEAST_EVENTS).then(|| events.iter().map(points).sum::<f64>() / total);
    Estimate {
        events: events.len(),
        score,
        coverage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(user_data: impl Fn(usize) -> String, count: usize) -> Vec<(String, String)> {
        (0..count)
            .map(|number| {
                (
                    "Lead".to_owned(),
                    format!(r#"{{"user_data":{{{}}}}}"#, user_data(number)),
                )
            })
            .collect()
    }

    fn estimate_of(events: &[(String, String)]) -> Estimate {
        let all = estimate(
            events
                .iter()
                .map(|(name, payload)| (name.as_str(), payload.as_str())),
        );
        all.of("Lead").cloned().unwrap_or_default()
    }

    /// By hand: e-mail 2.5 and phone 2.0 of 9.0 points.
    #[test]
    fn e_mail_and_phone_on_every_event_are_a_five() {
        let events = events(|number| format!(r#""em":["{number}a"],"ph":["{number}b"]"#), 50);
        let estimate = estimate_of(&events);
        assert_eq!(estimate.score, Some(5.0));
    }

    #[test]
    fn too_few_events_are_no_estimate() {
        let events = events(|number| format!(r#""em":["{number}"]"#), 49);
        assert_eq!(estimate_of(&events).score, None);
    }

    /// By hand: the same e-mail on all of 50 events counts a fifth of its 2.5 points.
    #[test]
    fn an_e_mail_that_everybody_has_is_nobodys() {
        let shared = events(|_| r#""em":["same"]"#.to_owned(), 50);
        let score = estimate_of(&shared).score.unwrap();
        assert!((score - 10.0 * 0.5 / 9.0).abs() < 1e-9, "{score}");
    }

    #[test]
    fn no_event_scores_above_ten() {
        let all = |number: usize| {
            let mut keys: Vec<String> = WEIGHTS
                .iter()
                .map(|(key, _)| format!(r#""{key}":["{key}{number}"]"#))
                .collect();
            keys.push(format!(r#""x":"{number}""#));
            keys.join(",")
        };
        assert_eq!(estimate_of(&events(all, 60)).score, Some(10.0));
    }

    #[test]
    fn what_is_no_json_or_says_nothing_is_no_reason_to_fail() {
        let mut events = events(|_| String::new(), 60);
        events.push(("Lead".into(), "no json".into()));
        let estimate = estimate_of(&events);
        assert_eq!((estimate.events, estimate.score), (60, Some(0.0)));
    }
}
