//! The account: what the stream's author expected and what was answered, beside the books.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::books::{Books, signed};
use crate::demo::stream::Expected;
use crate::demo::visitors::Answers;

/// The forms of the landing page: each is an event, and a lead beside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leads {
    pub sent: u64,
    /// Rows of leads that are new.
    pub kept: u64,
}

/// What became of the stream.
#[derive(Clone, Debug)]
pub struct Account {
    /// What was sent, and what had to come of it.
    pub expected: Expected,
    pub leads: Leads,
    pub answers: Answers,
    pub books: Books,
}

impl Account {
    pub fn sent(&self) -> u64 {
        self.expected.accepted + self.expected.duplicate + self.expected.rejected
    }

    /// What does not add up, a sentence each. Empty when all is well.
    pub fn problems(&self) -> Vec<String> {
        let (expected, answers) = (&self.expected, &self.answers);
        let mut problems = Vec::new();
        if self.sent() != answers.sent() {
            problems.push(format!(
                "Events sent: {}, but answered: {}.",
                self.sent(),
                answers.sent()
            ));
        }
        for (kind, expected, answered) in [
            ("accepted", expected.accepted, answers.accepted),
            ("refused as duplicates", expected.duplicate, answers.duplicate),
            ("refused as invalid", expected.rejected, answers.rejected()),
        ] {
            if expected != answered {
                problems.push(format!(
                    "Events that had to be {kind}: {expected}, but were: {answered}."
                ));
            }
        }
        if self.leads.sent != self.leads.kept {
            problems.push(format!(
                "Forms sent: {}, but leads kept: {}.",
                self.leads.sent, self.leads.kept
            ));
        }
        problems.extend(self.books.problems());
        problems
    }

    /// The account for a person.
    pub fn to_text(&self) -> String {
        let (answers, books) = (&self.answers, &self.books);
        let (accepted, duplicate) = (signed(answers.accepted), signed(answers.duplicate));
        let mut lines = vec![
            (
                "sent",
                signed(self.sent()),
                "by browsers one at a time, by a server in batches",
            ),
            (
                "of which forms",
                signed(self.leads.sent),
                "of the landing page, across origins, each a lead beside its event",
            ),
            ("accepted", accepted, "stored on disk before the gateway answered"),
            (
                "refused as duplicate",
                duplicate,
                "sent before: ten clicks at once, page and server both",
            ),
            (
                "refused as invalid",
                signed(answers.rejected()),
                "each with the gateway's reason:",
            ),
        ];
        let mut reasons: Vec<_> = answers.rejected.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        lines.extend(
            reasons
                .into_iter()
                .map(|(reason, count)| ("", signed(*count), reason.as_str())),
        );
        if books.pending_before > 0 {
            let what = "accepted before, and still on the way at the start";
            lines.push(("from an earlier run", books.pending_before, what));
        }
        lines.push((
            "leads kept",
            signed(self.leads.kept),
            "rows of leads, contact data sealed",
        ));
        lines.extend([
            (
                "delivered",
                books.delivered,
                "confirmed by Meta, by the outcomes in meta_events_log",
            ),
            (
                "received by Meta",
                signed(books.at_meta.unique),
                "different events, as the stand-in for Meta counts them",
            ),
            (
                "received again",
                signed(books.at_meta.repeated),
                "the same event a second time; Meta drops it",
            ),
            (
                "still on the way",
                books.pending,
                "waiting in send_queue or send_batches",
            ),
            ("lost", books.lost(), "accepted, and nowhere to be found"),
        ]);
        let mut text = String::new();
        for (name, count, meaning) in lines {
            writeln!(text, "  {name:<22}{count:>5}   {meaning}").expect("writing to memory cannot fail");
        }
        let earlier = match books.pending_before {
            0 => String::new(),
            earlier => format!(" + from an earlier run {earlier}"),
        };
        let (sent, invalid) = (self.sent(), answers.rejected());
        let (delivered, pending, dead, lost) = (books.delivered, books.pending, books.dead, books.lost());
        text + &format!(
            "\n  sent {sent} = accepted {accepted} + duplicate {duplicate} + invalid {invalid}\n  \
             accepted {accepted}{earlier} = delivered {delivered} + on the way {pending} + dead letters {dead}; lost {lost}\n"
        )
    }

    /// The account for a program.
    pub fn to_json(&self) -> Value {
        let reasons = self.answers.rejected.iter();
        let reasons = reasons.map(|(reason, count)| json!({"reason": reason, "count": count}));
        json!({
            "sent": self.sent(),
            "leads": self.leads.kept,
            "accepted": self.answers.accepted,
            "duplicate": self.answers.duplicate,
            "rejected": self.answers.rejected(),
            "rejected_reasons": reasons.collect::<Vec<_>>(),
            "delivered": self.books.delivered,
            "on_the_way": self.books.pending,
            "failed": self.books.dead,
            "unique_at_meta": self.books.at_meta.unique,
            "repeated_at_meta": self.books.at_meta.repeated,
            "lost": self.books.lost(),
            "problems": self.problems(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 12 sent: 7 accepted, 3 duplicates, 2 invalid; all 7 delivered.
    fn balanced() -> Account {
        Account {
            expected: Expected {
                accepted: 7,
                duplicate: 3,
                rejected: 2,
            },
            leads: Leads { sent: 1, kept: 1 },
            answers: Answers {
                accepted: 7,
                duplicate: 3,
                rejected: [("/event_time is in the future".to_owned(), 2)].into(),
            },
            books: crate::books::tests::balanced(),
        }
    }

    #[test]
    fn an_account_that_adds_up_has_no_problems_and_says_so_as_a_sum() {
        let account = balanced();
        assert_eq!(account.problems(), Vec::<String>::new());
        let text = account.to_text();
        for line in [
            "sent 12 = accepted 7 + duplicate 3 + invalid 2\n",
            "accepted 7 = delivered 7 + on the way 0 + dead letters 0; lost 0\n",
            "    2   /event_time is in the future\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn an_answer_that_was_not_expected_is_named_and_so_is_what_the_books_say() {
        let mut account = balanced();
        account.answers.duplicate = 2;
        account.books.at_meta.repeated = 1;
        assert_eq!(
            account.problems(),
            [
                "Events sent: 12, but answered: 11.",
                "Events that had to be refused as duplicates: 3, but were: 2.",
                "Events that Meta received again: 1."
            ]
        );
    }

    #[test]
    fn events_of_an_earlier_run_are_part_of_the_sum() {
        let mut account = balanced();
        (account.books.pending_before, account.books.delivered) = (3, 10);
        let sum = "accepted 7 + from an earlier run 3 = delivered 10 +";
        assert!(account.to_text().contains(sum));
    }

    #[test]
    fn the_json_has_the_keys_that_programs_read() {
        let json = balanced().to_json();
        for (key, count) in [
            ("sent", 12),
            ("accepted", 7),
            ("duplicate", 3),
            ("rejected", 2),
            ("delivered", 7),
            ("on_the_way", 0),
            ("failed", 0),
            ("unique_at_meta", 7),
            ("repeated_at_meta", 0),
            ("lost", 0),
        ] {
            assert_eq!(json[key], count, "{key}");
        }
        let reasons = json!([{"reason": "/event_time is in the future", "count": 2}]);
        assert_eq!(json["rejected_reasons"], reasons);
        assert_eq!(json["problems"], json!([]));
    }
}
