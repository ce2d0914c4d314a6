//! The sum of all events: what the gateway said it accepted, what the tables hold, and what Meta has.

use rastro_store::Account;
use serde::Serialize;

use crate::arena::Arena;
use crate::sandbox::Counts;

/// Everything that went through the product in this run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Books {
    /// By the gateway's answers.
    pub(crate) accepted: i64,
    /// Rows of `events`.
    pub(crate) stored: i64,
    /// Still in `send_queue` or `send_batches`.
    pub(crate) pending: i64,
    /// By `meta_events_log`: events confirmed, and confirmations.
    pub(crate) delivered: i64,
    pub(crate) confirmations: i64,
    /// At the stand-in for Meta: events it keeps, events it drops as repeats, requests it refused.
    pub(crate) arrived: i64,
    pub(crate) repeated: i64,
    pub(crate) refused_requests: u64,
    /// By the account of the tables: events that are nowhere.
    pub(crate) missing: i64,
}

impl Books {
    fn new(accepted: u64, account: &Account, counts: &Counts) -> Self {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Books {
            accepted: signed(accepted),
            stored: account.accepted,
            pending: account.pending(),
            delivered: account.delivered,
            confirmations: account.confirmations,
            arrived: signed(counts.unique),
            repeated: signed(counts.repeated),
            refused_requests: counts.refused.values().sum(),
            missing: account.lost(),
        }
    }

    /// Accepted events that are not stored, or did not arrive, or are nowhere.
    pub(crate) fn lost(&self) -> i64 {
        let not_stored = self.accepted - self.stored;
        let not_arrived = self.accepted - self.arrived;
        not_stored.max(not_arrived).max(self.missing).max(0)
    }

    /// Events that arrived, were stored or were confirmed more than once.
    pub(crate) fn doubled(&self) -> i64 {
        let unasked = (self.stored - self.accepted).max(self.arrived - self.accepted);
        let twice = self.repeated.max(self.confirmations - self.delivered);
        unasked.max(twice).max(-self.missing).max(0)
    }
}

/// Waits until all is delivered, and counts.
pub(crate) async fn draw_up(arena: &mut Arena) -> anyhow::Result<Books> {
    arena.await_delivery().await?;
    let account = arena.store.account().await?;
    Ok(Books::new(
        arena.accepted(),
        &account,
        &arena.sandbox.counts().await?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books() -> Books {
        Books {
            accepted: 100,
            stored: 100,
            pending: 0,
            delivered: 100,
            confirmations: 100,
            arrived: 100,
            repeated: 0,
            refused_requests: 0,
            missing: 0,
        }
    }

    #[test]
    fn books_that_balance_show_nothing_lost_and_nothing_doubled() {
        assert_eq!((books().lost(), books().doubled()), (0, 0));
    }

    #[test]
    fn an_event_missing_anywhere_is_lost() {
        for broken in [
            Books {
                stored: 99,
                ..books()
            },
            Books {
                arrived: 99,
                ..books()
            },
            Books {
                missing: 1,
                ..books()
            },
        ] {
            assert_eq!((broken.lost(), broken.doubled()), (1, 0), "{broken:?}");
        }
    }

    #[test]
    fn an_event_too_many_anywhere_is_doubled() {
        for broken in [
            Books {
                stored: 101,
                ..books()
            },
            Books {
                arrived: 101,
                ..books()
            },
            Books {
                repeated: 1,
                ..books()
            },
            Books {
                confirmations: 101,
                ..books()
            },
            Books {
                missing: -1,
                ..books()
            },
        ] {
            assert_eq!((broken.lost(), broken.doubled()), (0, 1), "{broken:?}");
        }
    }

    #[test]
    fn a_loss_and_a_repeat_do_not_cancel_out() {
        let broken = Books {
            arrived: 99,
            repeated: 1,
            ..books()
        };
        assert_eq!((broken.lost(), broken.doubled()), (1, 1));
    }
}
