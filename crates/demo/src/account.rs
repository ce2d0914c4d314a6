//! The account: what was sent, what was answered, what the database knows and what arrived, counted apart from each
//! other and then compared.

use std::fmt::Write;

use rastro_store::Account as Books;
use serde_json::{Value, json};

use crate::client::{Answers, AtMeta};
use crate::stream::Expected;

/// How the database's books changed over the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Movement {
    pub accepted: i64,
    pub duplicates: i64,
    /// Events that an earlier run left on the way.
    pub waiting_before: i64,
    pub on_the_way: i64,
    pub delivered: i64,
    /// Confirmations by Meta; more than `delivered` would mean that an event was finished twice.
    pub confirmations: i64,
    pub failed: i64,
}

impl Movement {
    /// From one snapshot of the books to a later one.
    pub fn between(before: &Books, after: &Books) -> Self {
        Movement {
            accepted: after.accepted - before.accepted,
            duplicates: after.duplicates - before.duplicates,
            waiting_before: before.pending(),
            on_the_way: after.pending(),
            delivered: after.delivered - before.delivered,
            confirmations: after.confirmations - before.confirmations,
            failed: after.failed - before.failed,
        }
    }
}

/// What became of the stream, as four witnesses tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The stream's author: what was sent, and what had to come of it.
    pub expected: Expected,
    /// The gateway, in its answers.
    pub answers: Answers,
    /// The database.
    pub books: Movement,
    /// The stand-in for Meta.
    pub at_meta: AtMeta,
}

impl Account {
    pub fn sent(&self) -> u64 {
        self.expected.accepted + self.expected.duplicate + self.expected.rejected
    }

    /// Events that the gateway promised to deliver and that are nowhere. Below 0, some are in two places.
    pub fn lost(&self) -> i64 {
        signed(self.answers.accepted) + self.books.waiting_before
            - self.books.delivered
            - self.books.on_the_way
            - self.books.failed
    }

    /// What does not add up, a sentence each. Empty when all is well.
    pub fn problems(&self) -> Vec<String> {
        let (expected, answers, books, at_meta) = (&self.expected, &self.answers, &self.books, &self.at_meta);
        let mut problems = Vec::new();
        let mut check = |holds: bool, sentence: String| {
            if !holds {
                problems.push(sentence);
            }
        };
        let (sent, answered, lost) = (self.sent(), answers.sent(), self.lost());
        check(
            sent == answered,
            format!("Events sent: {sent}, but answered: {answered}."),
        );
        let by_kind = [
            ("accepted", expected.accepted, answers.accepted),
            ("refused as duplicates", expected.duplicate, answers.duplicate),
            ("refused as invalid", expected.rejected, answers.rejected()),
        ];
        for (kind, expected, answered) in by_kind {
            check(
                expected == answered,
                format!("Events that had to be {kind}: {expected}, but were: {answered}."),
            );
        }
        check(
            signed(answers.accepted) == books.accepted,
            format!(
                "Events that the gateway accepted: {}, but stored: {}.",
                answers.accepted, books.accepted
            ),
        );
        check(
            signed(answers.duplicate) == books.duplicates,
            format!(
                "Duplicates that the gateway refused: {}, but logged: {}.",
                answers.duplicate, books.duplicates
            ),
        );
        check(lost <= 0, format!("Lost events: {lost}."));
        check(lost >= 0, format!("Events in two places: {}.", -lost));
        check(
            books.on_the_way == 0,
            format!(
                "Events that have not reached Meta yet: {}; the forwarder's log says why.",
                books.on_the_way
            ),
        );
        check(
            books.confirmations == books.delivered,
            format!(
                "Events delivered: {}, but confirmations: {}.",
                books.delivered, books.confirmations
            ),
        );
        check(
            signed(at_meta.unique) == books.delivered,
            format!(
                "Events delivered: {}, but different events received by Meta: {}.",
                books.delivered, at_meta.unique
            ),
        );
        check(
            at_meta.repeated == 0,
            format!("Events that Meta received again: {}.", at_meta.repeated),
        );
        problems
    }

    /// The account for a person.
    pub fn to_text(&self) -> String {
        let (answers, books, at_meta) = (&self.answers, &self.books, &self.at_meta);
        let mut text = String::new();
        let mut line = |name: &str, count: i64, meaning: &str| {
            writeln!(text, "  {name:<22}{count:>5}   {meaning}").expect("writing to memory cannot fail");
        };
        line(
            "sent",
            signed(self.sent()),
            "by browsers one at a time, by a server in batches",
        );
        line(
            "accepted",
            signed(answers.accepted),
            "stored on disk before the gateway answered",
        );
        line(
            "refused as duplicate",
            signed(answers.duplicate),
            "sent before: ten clicks at once, page and server both",
        );
        line(
            "refused as invalid",
            signed(answers.rejected()),
            "each with the gateway's reason:",
        );
        let mut reasons: Vec<_> = answers.rejected.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in reasons {
            line("", signed(*count), reason);
        }
        if books.waiting_before > 0 {
            line(
                "from an earlier run",
                books.waiting_before,
                "accepted before, and still on the way at the start",
            );
        }
        line(
            "delivered",
            books.delivered,
            "confirmed by Meta, by the outcomes in meta_events_log",
        );
        line(
            "received by Meta",
            signed(at_meta.unique),
            "different events, as the stand-in for Meta counts them",
        );
        line(
            "received again",
            signed(at_meta.repeated),
            "the same event a second time; Meta drops it",
        );
        line(
            "still on the way",
            books.on_the_way,
            "waiting in send_queue or send_batches",
        );
        line("lost", self.lost(), "accepted, and nowhere to be found");
        text.push('\n');
        text.push_str(&self.sums());
        text
    }

    fn sums(&self) -> String {
        let (answers, books) = (&self.answers, &self.books);
        let earlier = match books.waiting_before {
            0 => String::new(),
            earlier => format!(" + from an earlier run {earlier}"),
        };
        format!(
            "  sent {} = accepted {} + duplicate {} + invalid {}\n  \
             accepted {}{earlier} = delivered {} + on the way {} + dead letters {}; lost {}\n",
            self.sent(),
            answers.accepted,
            answers.duplicate,
            answers.rejected(),
            answers.accepted,
            books.delivered,
            books.on_the_way,
            books.failed,
            self.lost(),
        )
    }

    /// The account for a program.
    pub fn to_json(&self) -> Value {
        let reasons = self.answers.rejected.iter();
        json!({
            "sent": self.sent(),
            "accepted": self.answers.accepted,
            "duplicate": self.answers.duplicate,
            "rejected": self.answers.rejected(),
            "rejected_reasons": reasons.map(|(reason, count)| json!({"reason": reason, "count": count})).collect::<Vec<_>>(),
            "delivered": self.books.delivered,
            "on_the_way": self.books.on_the_way,
            "failed": self.books.failed,
            "unique_at_meta": self.at_meta.unique,
            "repeated_at_meta": self.at_meta.repeated,
            "lost": self.lost(),
            "problems": self.problems(),
        })
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).expect("nobody counts beyond 2^63 events")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut Account);

    /// 12 sent: 7 accepted, 3 duplicates, 2 invalid; all 7 delivered.
    fn balanced() -> Account {
        Account {
            expected: Expected {
                accepted: 7,
                duplicate: 3,
                rejected: 2,
            },
            answers: Answers {
                accepted: 7,
                duplicate: 3,
                rejected: [("/event_time is in the future".to_owned(), 2)].into(),
            },
            books: Movement {
                accepted: 7,
                duplicates: 3,
                delivered: 7,
                confirmations: 7,
                ..Movement::default()
            },
            at_meta: AtMeta {
                unique: 7,
                repeated: 0,
            },
        }
    }

    #[test]
    fn an_account_that_adds_up_has_no_problems_and_says_so_as_a_sum() {
        let account = balanced();
        assert_eq!(account.problems(), Vec::<String>::new());
        let text = account.to_text();
        assert!(
            text.contains("sent 12 = accepted 7 + duplicate 3 + invalid 2\n"),
            "{text}"
        );
        assert!(
            text.contains("accepted 7 = delivered 7 + on the way 0 + dead letters 0; lost 0\n"),
            "{text}"
        );
        assert!(text.contains("    2   /event_time is in the future\n"), "{text}");
    }

    #[test]
    fn an_accepted_event_that_is_nowhere_is_lost() {
        let mut account = balanced();
        (
            account.books.delivered,
            account.books.confirmations,
            account.at_meta.unique,
        ) = (6, 6, 6);
        assert_eq!(account.lost(), 1);
        assert_eq!(account.problems(), ["Lost events: 1."]);
    }

    #[test]
    fn each_witness_that_disagrees_is_named() {
        let spoilt: [(Spoil, &str); 8] = [
            (
                |account| account.answers.duplicate = 2,
                "Events sent: 12, but answered: 11.",
            ),
            (
                |account| account.expected.accepted = 6,
                "Events that had to be accepted: 6, but were: 7.",
            ),
            (
                |account| account.books.accepted = 8,
                "Events that the gateway accepted: 7, but stored: 8.",
            ),
            (
                |account| account.books.duplicates = 0,
                "Duplicates that the gateway refused: 3, but logged: 0.",
            ),
            (|account| account.books.delivered = 8, "Events in two places: 1."),
            (
                |account| account.books.confirmations = 8,
                "Events delivered: 7, but confirmations: 8.",
            ),
            (
                |account| account.at_meta.unique = 6,
                "Events delivered: 7, but different events received by Meta: 6.",
            ),
            (
                |account| account.at_meta.repeated = 1,
                "Events that Meta received again: 1.",
            ),
        ];
        for (spoil, sentence) in spoilt {
            let mut account = balanced();
            spoil(&mut account);
            assert!(
                account.problems().iter().any(|problem| problem == sentence),
                "{sentence}: {:?}",
                account.problems()
            );
        }
    }

    #[test]
    fn an_event_on_the_way_is_not_lost_but_the_run_is_not_done() {
        let mut account = balanced();
        account.books = Movement {
            delivered: 6,
            confirmations: 6,
            on_the_way: 1,
            ..account.books
        };
        account.at_meta.unique = 6;
        assert_eq!(account.lost(), 0);
        assert_eq!(
            account.problems(),
            ["Events that have not reached Meta yet: 1; the forwarder's log says why."]
        );
    }

    #[test]
    fn only_what_happened_between_the_snapshots_counts() {
        let before = Books {
            waiting: 0,
            accepted: 100,
            ready: 2,
            in_flight: 1,
            delivered: 95,
            confirmations: 95,
            failed: 2,
            duplicates: 40,
        };
        let after = Books {
            waiting: 0,
            accepted: 107,
            ready: 0,
            in_flight: 0,
            delivered: 105,
            confirmations: 105,
            failed: 2,
            duplicates: 43,
        };
        let mut account = balanced();
        account.books = Movement::between(&before, &after);
        account.at_meta.unique = 10; // 7 of this run and 3 that an earlier one left behind
        assert_eq!((account.lost(), account.problems()), (0, vec![]));
        assert!(
            account
                .to_text()
                .contains("accepted 7 + from an earlier run 3 = delivered 10 +")
        );
    }

    #[test]
    fn the_json_has_the_keys_that_programs_read() {
        let json = balanced().to_json();
        let counts = [
            ("sent", 12),
            ("accepted", 7),
            ("duplicate", 3),
            ("rejected", 2),
            ("delivered", 7),
            ("unique_at_meta", 7),
            ("repeated_at_meta", 0),
            ("lost", 0),
        ];
        for (key, count) in counts {
            assert_eq!(json[key], count, "{key}");
        }
        assert_eq!(
            json["rejected_reasons"],
            json!([{"reason": "/event_time is in the future", "count": 2}])
        );
    }
}
