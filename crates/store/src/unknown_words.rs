//! Rows that a newer program wrote in words that this one does not know. They are skipped, not fatal: one new
//! word must not stop everything else.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::error;

/// Counts what was skipped, and says of each table and dataset once that something was. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct UnknownWords {
    skipped: Arc<AtomicU64>,
    told: Arc<Mutex<HashSet<(&'static str, i64)>>>,
}

impl UnknownWords {
    /// Notes a row of the table that was skipped. `of`: the dataset or key.
    pub(crate) fn note(&self, table: &'static str, of: i64) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert((table, of)) {
            error!("a row of {table} (of {of}) is in words that this program does not know; it is left out");
        }
    }

    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}
