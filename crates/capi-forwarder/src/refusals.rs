//! Refusals in a row: whether Meta refuses single events, or everything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rastro_core::dataset::DatasetId;

/// Counts, for each dataset, the events that Meta refused standing alone, with the same code and without a
/// delivery in between. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Refusals {
    limit: u32,
    runs: Arc<Mutex<HashMap<DatasetId, Run>>>,
}

/// Meta's code and subcode.
pub(crate) type Code = (Option<i32>, Option<i32>);

#[derive(Clone, Copy, Debug)]
struct Run {
    code: Code,
    length: u32,
}

impl Refusals {
    /// So many refusals in a row are systematic.
    pub(crate) fn new(limit: u32) -> Self {
        Refusals {
            limit,
            runs: Arc::default(),
        }
    }

    /// Meta took something: its refusals are about single events.
    pub(crate) fn delivered(&self, dataset: DatasetId) {
        self.runs().remove(&dataset);
    }

    /// Meta refused an event that stood alone. Whether that is systematic by now; then the count begins anew,
    /// because the breaker knows.
    pub(crate) fn refused(&self, dataset: DatasetId, code: Code) -> bool {
        let mut runs = self.runs();
        let run = runs.entry(dataset).or_insert(Run { code, length: 0 });
        if run.code != code {
            *run = Run { code, length: 0 };
        }
        run.length = run.length.saturating_add(1);
        let is_systematic = run.length >= self.limit;
        if is_systematic {
            runs.remove(&dataset);
        }
        is_systematic
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<DatasetId, Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: Code = (Some(100), Some(2_804_016));

    fn dataset(id: i64) -> DatasetId {
        id.try_into().unwrap()
    }

    #[test]
    fn only_refusals_of_one_code_with_nothing_delivered_in_between_are_systematic() {
        let refusals = Refusals::new(3);
        let refused = |code| refusals.refused(dataset(1), code);
        assert_eq!([refused(CODE), refused(CODE)], [false, false]);
        refusals.delivered(dataset(1));
        assert_eq!([refused(CODE), refused(CODE)], [false, false]);
        let other = (Some(100), Some(2_804_003));
        assert_eq!(
            [refused(other), refused(CODE), refused(CODE)],
            [false, false, false]
        );
        assert!(refused(CODE));
        assert!(!refused(CODE), "it begins anew");
    }

    #[test]
    fn each_dataset_is_counted_by_itself() {
        let refusals = Refusals::new(2);
        assert!(!refusals.refused(dataset(1), CODE));
        assert!(!refusals.refused(dataset(2), CODE));
        refusals.delivered(dataset(2));
        assert!(refusals.clone().refused(dataset(1), CODE), "clones share it");
    }
}
