//! What "Meta" received: raw counts, and what is left after deduplication by event name and event id.
//!
//! Meta discards an event whose name and id it has already seen for the dataset within 48 hours of the first.
//! Only a 16-byte digest of each key is kept, so that tens of millions of events fit: an entry is 24 bytes
//! and one of hash-table bookkeeping, between 29 and 57 bytes per distinct event depending on how full the
//! tables happen to be.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::refusal::Refusal;
use crate::rules::Facts;

/// How long Meta remembers an event ("Deduplicate Pixel and Server Events").
const WINDOW_SECONDS: i64 = 48 * 60 * 60;

/// Tables grow by doubling, and a doubling moves every entry while requests wait. Many small tables make each
/// move short.
const TABLES: usize = 256;

/// Event names and datasets are counted one by one up to this many; whatever comes later is counted under
/// `(other)`.
const MAX_LABELS: usize = 1_000;

/// Identifies an event within the sandbox: the first half of SHA-256 over dataset, name and id.
type Key = [u64; 2];

/// Everything received since start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls of the `/events` edge, whatever became of them.
    pub requests: u64,
    /// Requests refused, by `code/subcode` (or `code` alone).
    pub refused: BTreeMap<String, u64>,
    /// Events in requests that were not refused: what Meta's Events Manager calls received.
    pub received: u64,
    /// Received events that deduplication keeps. An event without an id is always one.
    pub unique: u64,
    /// Received events that deduplication discards.
    pub repeated: u64,
    pub datasets: BTreeMap<String, DatasetCounts>,
}

/// The same for one dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DatasetCounts {
    pub requests: u64,
    pub refused: BTreeMap<String, u64>,
    pub received: u64,
    pub unique: u64,
    pub repeated: u64,
    /// By event name.
    pub events: BTreeMap<String, EventCounts>,
}

/// The same for one event name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct EventCounts {
    pub received: u64,
    pub unique: u64,
    pub repeated: u64,
}

/// The counts, and the memory that deduplication needs.
pub(crate) struct Ledger {
    counts: Counts,
    /// Unix second at which a key was first seen.
    first_seen: Vec<HashMap<Key, i64>>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            counts: Counts::default(),
            first_seen: (0..TABLES).map(|_| HashMap::new()).collect(),
        }
    }
}

impl Ledger {
    pub(crate) fn counts(&self) -> Counts {
        self.counts.clone()
    }

    pub(crate) fn count_request(&mut self, dataset_id: &str) {
        self.counts.requests += 1;
        labelled(&mut self.counts.datasets, dataset_id).requests += 1;
    }

    pub(crate) fn count_refusal(&mut self, dataset_id: &str, refusal: &Refusal) {
        let label = refusal.label();
        *labelled(
            &mut labelled(&mut self.counts.datasets, dataset_id).refused,
            &label,
        ) += 1;
        *labelled(&mut self.counts.refused, &label) += 1;
    }

    /// Counts an event and says whether deduplication discards it. `key` is [`key`] of the event, `now` Unix
    /// seconds.
    pub(crate) fn receive(&mut self, dataset_id: &str, event_name: &str, key: Option<Key>, now: i64) -> bool {
        let repeated = key.is_some_and(|key| self.seen_before(key, now));
        let dataset = labelled(&mut self.counts.datasets, dataset_id);
        let event = labelled(&mut dataset.events, event_name);
        event.received += 1;
        dataset.received += 1;
        self.counts.received += 1;
        if repeated {
            event.repeated += 1;
            dataset.repeated += 1;
            self.counts.repeated += 1;
        } else {
            event.unique += 1;
            dataset.unique += 1;
            self.counts.unique += 1;
        }
        repeated
    }

    fn seen_before(&mut self, key: Key, now: i64) -> bool {
        let table = &mut self.first_seen[key[0] as usize % TABLES];
        if let Some(first_seen) = table.get_mut(&key) {
            if now - *first_seen < WINDOW_SECONDS {
                return true;
            }
            *first_seen = now;
            return false;
        }
        if table.len() == table.capacity() {
            // About to grow: forget what the window no longer covers, and grow only if that freed too little.
            // Growing ahead of need keeps the next such sweep far away.
            table.retain(|_, first_seen| now - *first_seen < WINDOW_SECONDS);
            table.reserve(table.len() / 2 + 1);
        }
        table.insert(key, now);
        false
    }
}

/// The deduplication key of an event; `None` when it has no id and therefore equals no other.
pub(crate) fn key(dataset_id: &str, event: &Facts<'_>) -> Option<Key> {
    let event_id = event.event_id.as_deref()?;
    let mut digest = Sha256::new();
    for part in [dataset_id, &event.event_name, event_id] {
        // The length first, so that ("ab", "c") and ("a", "bc") differ.
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let digest = digest.finalize();
    let half = |from| u64::from_le_bytes(digest[from..from + 8].try_into().expect("a digest has 32 bytes"));
    Some([half(0), half(8)])
}

fn labelled<'m, T: Default>(counts: &'m mut BTreeMap<String, T>, label: &str) -> &'m mut T {
    let label = if counts.len() < MAX_LABELS || counts.contains_key(label) {
        label
    } else {
        "(other)"
    };
    // Almost always present: no allocation then.
    if !counts.contains_key(label) {
        counts.insert(label.to_owned(), T::default());
    }
    counts
        .get_mut(label)
        .expect("it was just inserted if it was not there")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event<'a>(event_name: &'a str, event_id: &'a str) -> Facts<'a> {
        Facts {
            event_name: event_name.into(),
            event_id: Some(event_id.into()),
        }
    }

    #[test]
    fn a_key_is_dataset_name_and_id_and_nothing_else() {
        assert_eq!(key("1", &event("Lead", "a")), key("1", &event("Lead", "a")));
        let others = [
            ("2", "Lead", "a"),
            ("1", "Purchase", "a"),
            ("1", "Lead", "A"),
            ("1", "Leada", ""),
            ("1L", "ead", "a"),
        ];
        for (dataset_id, name, id) in others {
            assert_ne!(
                key("1", &event("Lead", "a")),
                key(dataset_id, &event(name, id)),
                "{dataset_id} {name} {id}"
            );
        }
        assert_eq!(
            key(
                "1",
                &Facts {
                    event_name: "Lead".into(),
                    event_id: None
                }
            ),
            None
        );
    }

    #[test]
    fn the_key_is_the_first_half_of_sha256() {
        // printf '\1\0\0\0\0\0\0\0001\4\0\0\0\0\0\0\0Lead\1\0\0\0\0\0\0\0a' | sha256sum
        let [first, second] = key("1", &event("Lead", "a")).unwrap();
        let hex: String = [first, second]
            .iter()
            .flat_map(|half| half.to_le_bytes())
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, "907c04104e2a544899bd6ed562a23c61");
    }

    #[test]
    fn expired_keys_make_room_instead_of_growing_the_table() {
        let mut ledger = Ledger::default();
        let in_one_table = |number: u64| [number * TABLES as u64, 0];
        for number in 0..10_000 {
            ledger.seen_before(in_one_table(number), 0);
        }
        let capacity = ledger.first_seen[0].capacity();
        for round in 1..=20 {
            for number in 0..10_000 {
                assert!(!ledger.seen_before(
                    in_one_table(round * 10_000 + number),
                    round as i64 * WINDOW_SECONDS
                ));
            }
        }
        assert!(ledger.first_seen[0].capacity() <= 2 * capacity);
    }

    #[test]
    fn names_beyond_the_limit_are_counted_together() {
        let mut ledger = Ledger::default();
        for number in 0..MAX_LABELS + 5 {
            ledger.receive("1", &format!("Event{number}"), None, 0);
        }
        let dataset = &ledger.counts().datasets["1"];
        assert_eq!((dataset.received, dataset.events.len()), (1005, 1001));
        assert_eq!(dataset.events["(other)"].received, 5);
    }
}
