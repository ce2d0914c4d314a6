//! What a run found, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use crate::chaos::plan::FaultKind;

/// The account of one run. Counts are events, unless they say otherwise.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub seed: u64,
    /// The load, without the start and the drain.
    pub load_seconds: f64,
    /// From the last fault until nothing was on its way any more.
    pub drain_seconds: f64,
    /// How often each kind struck.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Different events that a client was told are stored.
    pub accepted: u64,
    /// Answers "duplicate" to second copies and repeated requests.
    pub told_duplicate: u64,
    /// Requests without a verdict, which the clients sent again.
    pub requests_sent_again: u64,
    /// Accepted events that Meta has, each counted once.
    pub delivered: u64,
    /// Accepted events that are kept as dead letters.
    pub dead: u64,
    pub dead_by_reason: BTreeMap<String, u64>,
    /// Dead letters without a retry left, which were retried by hand after the faults.
    pub retried_by_hand: u64,
    /// What Meta got more than once and dropped by its id: the sum of the next three.
    pub repeated_at_meta: u64,
    /// Meta's answer had reached us, or could have: a defect.
    pub repeats_caused_by_us: u64,
    /// Caused by a lost answer, as nobody can know whether an unanswered request arrived: Meta withheld it,
    pub repeats_answer_withheld: u64,
    /// or the process that had it was killed or frozen before it could record it.
    pub repeats_process_ended: u64,
    /// Requests to Meta's `/events` edge.
    pub requests_to_meta: u64,
    /// How often the books were balanced while everything broke.
    pub balances: u64,
    /// Accepted events that are neither at Meta nor dead letters.
    pub lost: u64,
    /// Events that count twice: accepted twice, confirmed twice, or kept twice by Meta.
    pub doubled: u64,
    pub payments: Payments,
    /// Promises that were not kept, by name.
    pub violations: Vec<String>,
}

/// What became of what was paid. Counts are payments, sums cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Payments {
    /// At Mercado Pago, by its own books.
    pub paid: u64,
    pub paid_cents: i64,
    /// In our books.
    pub booked: u64,
    pub booked_cents: i64,
    /// Purchases that Meta counts.
    pub at_meta: u64,
    pub at_meta_cents: i64,
    /// Webhooks that were lost, or that nobody took.
    pub webhooks_lost: u64,
    /// Payments that no webhook told of first.
    pub found_by_comparing: u64,
}

impl Report {
    pub fn all_is_well(&self) -> bool {
        self.violations.is_empty()
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let struck: u64 = self.faults.values().sum();
        writeln!(f, "{struck} faults in {:.0} s of load:", self.load_seconds)?;
        for (kind, times) in &self.faults {
            writeln!(f, "  {times:>8}  {}", kind.describe())?;
        }
        let found = [
            (self.accepted, "accepted: a client was told that they are stored"),
            (self.delivered, "delivered: Meta counts them, each once"),
            (
                self.dead,
                "dead letters: Meta refuses them for good, kept for a person to look at",
            ),
            (self.lost, "lost"),
            (self.doubled, "doubled"),
            (self.repeats_caused_by_us, "repeats at Meta caused by us"),
            (
                self.repeats_answer_withheld,
                "repeats caused by a lost answer: Meta withheld it",
            ),
            (
                self.repeats_process_ended,
                "repeats caused by a lost answer: the process that had it ended",
            ),
            (
                self.requests_sent_again,
                "requests of clients had no verdict and were sent again",
            ),
            (self.told_duplicate, "copies were refused as duplicates"),
            (
                self.retried_by_hand,
                "had no retry left and were retried by hand, as an operator would",
            ),
            (self.balances, "times the books balanced while things broke"),
        ];
        writeln!(f, "The account, in events:")?;
        for (count, what) in found {
            writeln!(f, "  {count:>8}  {what}")?;
        }
        let payments = self.payments;
        if payments.paid > 0 {
            writeln!(f, "The account of the money, in payments and cents:")?;
            for (count, cents, what) in [
                (
                    payments.paid,
                    payments.paid_cents,
                    "paid at Mercado Pago, by its own books",
                ),
                (payments.booked, payments.booked_cents, "in our books"),
                (
                    payments.at_meta,
                    payments.at_meta_cents,
                    "Purchases that Meta counts",
                ),
            ] {
                writeln!(f, "  {count:>8} {cents:>14}  {what}")?;
            }
            let (lost, found) = (payments.webhooks_lost, payments.found_by_comparing);
            writeln!(f, "  {lost:>8}  webhooks were lost, forged or not taken")?;
            writeln!(
                f,
                "  {found:>8}  payments that no webhook told of were found by comparing"
            )?;
        }
        let drain = self.drain_seconds;
        writeln!(
            f,
            "Everything had come to its end {drain:.1} s after the last fault."
        )?;
        for violation in &self.violations {
            writeln!(f, "VIOLATED: {violation}")?;
        }
        let verdict = match self.all_is_well() {
            true => "Every promise was kept.",
            false => "Promises were broken.",
        };
        write!(f, "{verdict} Replay: SEED={} make chaos", self.seed)
    }
}
