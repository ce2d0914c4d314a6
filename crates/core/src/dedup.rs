//! When two events are the same event.
//!
//! Meta drops a repeat by dataset, event name and event id, and promises it only for a browser event against
//! a server event. So the sender must claim that triple once, durably, before it sends anything: this is the
//! key it claims. Nothing else is part of it: with the payload in the key, a corrected resend would look new.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::dataset::DatasetId;

/// The first 16 bytes of SHA-256 over dataset id, event name and event id. Fixed in size, so that the index
/// stays small; a collision among 10^12 live keys has a chance of about 10^-15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey(pub Uuid);

impl EventKey {
    /// Each part goes in with its length, so that ("a", "bc") and ("ab", "c") differ.
    pub fn new(dataset: DatasetId, event_name: &str, event_id: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(dataset.as_i64().to_be_bytes());
        for part in [event_name, event_id] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        EventKey(Uuid::from_bytes(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(dataset: i64, name: &str, id: &str) -> EventKey {
        EventKey::new(dataset.try_into().unwrap(), name, id)
    }

    #[test]
    fn the_key_is_the_documented_hash() {
        // printf '\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x04Lead\0\0\0\0\0\0\0\x01a' | sha256sum | cut -c1-32
        assert_eq!(
            key(1, "Lead", "a").0.simple().to_string(),
            "17da43aea95ba915fede038329a18d20"
        );
    }

    #[test]
    fn every_part_counts_and_none_runs_into_the_next() {
        let keys = [
            key(1, "Lead", "ab"),
            key(2, "Lead", "ab"),
            key(1, "lead", "ab"),
            key(1, "Leada", "b"),
            key(1, "Lead", "aB"),
        ];
        for (index, one) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(one), "{index}");
        }
    }
}
