//! The account of the money: what was paid at Mercado Pago, by its own books; what is in ours; what Meta was
//! told; and what the ads cost, by those who ran them and by our books.

use std::collections::BTreeMap;
use std::fmt::Write;

use rastro_sandbox::mercado_pago::Told;
use serde_json::{Value, json};

use crate::books::money::Booked;

/// So many orders, and their sum in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub orders: i64,
    pub cents: i64,
}

impl Sum {
    fn add(&mut self, cents: i64) {
        self.orders += 1;
        self.cents += cents;
    }
}

/// What ads of a channel cost, in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    pub channel: &'static str,
    /// By the stand-in's own books.
    pub told: i64,
    /// As we read it.
    pub booked: i64,
}

impl Spent {
    /// Whom the channel's money goes to.
    fn platform(&self) -> &'static str {
        match self.channel {
            "meta" => "Meta",
            _ => "Google",
        }
    }
}

/// What three witnesses say of the same orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// Paid at Mercado Pago, whatever became of it later.
    pub paid: Sum,
    /// Of which were paid before the time that Meta takes events of.
    pub too_old: Sum,
    /// Given back there, in whole or in part.
    pub given_back: i64,
    pub booked: Booked,
    pub at_meta: Sum,
    /// Purchases that came to Meta once more, or with another value than was paid.
    pub repeated: u64,
    pub wrong: Vec<String>,
    pub spent: Vec<Spent>,
}

impl Money {
    /// What Mercado Pago's own books and Meta's say of the same orders. `taken_from_ms`: what was paid
    /// earlier is too old for Meta.
    pub fn of(
        told: &[Told],
        taken_from_ms: i64,
        booked: Booked,
        (purchases, repeated): (&[(String, i64)], u64),
    ) -> Self {
        let mut money = Money {
            booked,
            repeated,
            ..Money::default()
        };
        let mut due: BTreeMap<&str, i64> = BTreeMap::new();
        for payment in told {
            let Some(approved_ms) = payment.approved_ms else {
                continue;
            };
            money.paid.add(payment.cents);
            money.given_back += match payment.status.as_str() {
                "charged_back" => payment.cents,
                _ => payment.refunded_cents,
            };
            if approved_ms < taken_from_ms {
                money.too_old.add(payment.cents);
            } else if let Some(reference) = payment.external_reference.as_deref() {
                due.insert(reference, payment.cents);
            }
        }
        for (order, cents) in purchases {
            money.at_meta.add(*cents);
            match due.remove(order.as_str()) {
                Some(paid) if paid == *cents => {}
                Some(paid) => money.wrong.push(format!(
                    "Order {order} was paid with {}, but Meta was told {}.",
                    reais(paid),
                    reais(*cents)
                )),
                None => money
                    .wrong
                    .push(format!("Meta has a Purchase of {order}, which was not due.")),
            }
        }
        money.wrong.extend(
            due.keys()
                .map(|order| format!("Meta has no Purchase of {order}.")),
        );
        money
    }

    /// What does not add up, a sentence each. Empty when all is well.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let (paid, booked) = (self.paid, self.booked);
        if (paid.orders, paid.cents) != (booked.orders, booked.approved) {
            problems.push(format!(
                "Paid at Mercado Pago: {} orders, {}; but booked: {}, {}.",
                paid.orders,
                reais(paid.cents),
                booked.orders,
                reais(booked.approved)
            ));
        }
        if self.given_back != booked.given_back {
            problems.push(format!(
                "Given back at Mercado Pago: {}, but in our books: {}.",
                reais(self.given_back),
                reais(booked.given_back)
            ));
        }
        if paid.cents != self.too_old.cents + self.at_meta.cents {
            problems.push(format!(
                "Paid: {}, but sent to Meta: {}, and too old for it: {}.",
                reais(paid.cents),
                reais(self.at_meta.cents),
                reais(self.too_old.cents)
            ));
        }
        if self.repeated > 0 {
            problems.push(format!("Purchases that Meta received again: {}.", self.repeated));
        }
        problems.extend(self.wrong.iter().take(5).cloned());
        for spent in self.spent.iter().filter(|spent| spent.told != spent.booked) {
            problems.push(format!(
                "Spent at {}: {}, but read by us: {}.",
                spent.platform(),
                reais(spent.told),
                reais(spent.booked)
            ));
        }
        problems
    }

    /// The account for a person.
    pub fn to_text(&self) -> String {
        let (paid, booked, old, meta) = (self.paid, self.booked, self.too_old, self.at_meta);
        let lines = [
            (
                "paid",
                Some(paid.orders),
                paid.cents,
                "at Mercado Pago, by the stand-in's own books",
            ),
            (
                "in our books",
                Some(booked.orders),
                booked.approved,
                "read payment by payment, and booked once",
            ),
            (
                "given back",
                None,
                self.given_back,
                "at Mercado Pago: refunds and chargebacks",
            ),
            (
                "in our books",
                None,
                booked.given_back,
                "the same; Meta is told of no refund",
            ),
            (
                "too old for Meta",
                Some(old.orders),
                old.cents,
                "paid more than seven days before we knew of it",
            ),
            (
                "sent to Meta",
                Some(meta.orders),
                meta.cents,
                "Purchases, by the stand-in's own count",
            ),
        ];
        let mut text = String::new();
        for (name, orders, cents, meaning) in lines {
            let orders = orders.map(|orders| orders.to_string()).unwrap_or_default();
            let line = writeln!(text, "  {name:<22}{orders:>5}{:>16}   {meaning}", reais(cents));
            line.expect("writing to memory cannot fail");
        }
        for spent in &self.spent {
            let (name, meaning) = match spent.channel {
                "meta" => (
                    "spent at Meta",
                    "by the stand-in's Insights, in asynchronous reports",
                ),
                _ => ("spent at Google", "by the stand-in's searchStream, in batches"),
            };
            let line = writeln!(
                text,
                "  {name:<22}{:>5}{:>16}   {meaning}; read by us {}",
                "",
                reais(spent.told),
                reais(spent.booked)
            );
            line.expect("writing to memory cannot fail");
        }
        text + &format!(
            "\n  paid {} = in our books {}; given back {} = {}\n  paid {} = sent to Meta {} + too old for it {}\n",
            reais(paid.cents),
            reais(booked.approved),
            reais(self.given_back),
            reais(booked.given_back),
            reais(paid.cents),
            reais(meta.cents),
            reais(old.cents),
        )
    }

    /// The account for a program.
    pub fn to_json(&self) -> Value {
        json!({
            "paid_orders": self.paid.orders, "paid_cents": self.paid.cents,
            "booked_orders": self.booked.orders, "booked_cents": self.booked.approved,
            "given_back_cents": self.given_back, "booked_back_cents": self.booked.given_back,
            "too_old_orders": self.too_old.orders, "too_old_cents": self.too_old.cents,
            "meta_orders": self.at_meta.orders, "meta_cents": self.at_meta.cents,
            "repeated_at_meta": self.repeated, "problems": self.problems(),
            "spent": self.spent.iter().map(|spent| json!({
                "channel": spent.channel, "told_cents": spent.told, "booked_cents": spent.booked,
            })).collect::<Vec<_>>(),
        })
    }
}

/// As Brazilians write it: R$ 1.234,56.
pub fn reais(cents: i64) -> String {
    let (sign, cents) = (if cents < 0 { "-" } else { "" }, cents.unsigned_abs());
    let whole = (cents / 100).to_string();
    let grouped: Vec<&str> = whole
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|digits| std::str::from_utf8(digits).expect("digits"))
        .collect();
    format!("{sign}R$ {},{:02}", grouped.join("."), cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(order: &str, status: &str, cents: i64, refunded_cents: i64, approved_ms: Option<i64>) -> Told {
        Told {
            id: order.to_owned(),
            user_id: 1,
            status: status.to_owned(),
            method: "pix".to_owned(),
            external_reference: Some(order.to_owned()),
            currency: "BRL".to_owned(),
            cents,
            refunded_cents,
            created_ms: 0,
            approved_ms,
        }
    }

    /// One too old, one paid, one of which a part went back, one charged back, one never paid.
    fn told() -> [Told; 5] {
        [
            payment("a", "approved", 10_000, 0, Some(5)),
            payment("b", "approved", 20_000, 0, Some(50)),
            payment("c", "approved", 30_000, 1_000, Some(60)),
            payment("d", "charged_back", 40_000, 0, Some(70)),
            payment("e", "pending", 99_999, 0, None),
        ]
    }

    const BOOKED: Booked = Booked {
        orders: 4,
        approved: 100_000,
        given_back: 41_000,
    };

    fn spent(booked: i64) -> Vec<Spent> {
        let of = |channel, told, booked| Spent {
            channel,
            told,
            booked,
        };
        vec![of("meta", 5_000, 5_000), of("google", 7_000, booked)]
    }

    fn purchases() -> Vec<(String, i64)> {
        [("b", 20_000), ("c", 30_000), ("d", 40_000)]
            .map(|(order, cents)| (order.to_owned(), cents))
            .to_vec()
    }

    #[test]
    fn an_account_that_adds_up_says_so_as_sums() {
        let mut money = Money::of(&told(), 10, BOOKED, (&purchases(), 0));
        money.spent = spent(7_000);
        assert_eq!(money.problems(), Vec::<String>::new());
        let text = money.to_text();
        for line in [
            "paid R$ 1.000,00 = in our books R$ 1.000,00; given back R$ 410,00 = R$ 410,00\n",
            "paid R$ 1.000,00 = sent to Meta R$ 900,00 + too old for it R$ 100,00\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn what_is_missing_doubled_or_told_otherwise_is_named() {
        let mut sent = purchases();
        sent[0].1 = 20_001;
        sent.pop();
        sent.push(("z".to_owned(), 1));
        let booked = Booked { orders: 3, ..BOOKED };
        let mut money = Money::of(&told(), 10, booked, (&sent, 1));
        money.spent = spent(6_999);
        let problems = money.problems();
        assert_eq!(problems.len(), 7, "{problems:?}");
        let unread = "Spent at Google: R$ 70,00, but read by us: R$ 69,99.".to_owned();
        assert!(problems.contains(&unread), "{problems:?}");
        assert!(
            problems.contains(&"Meta has no Purchase of d.".to_owned()),
            "{problems:?}"
        );
        let told_otherwise = "Order b was paid with R$ 200,00, but Meta was told R$ 200,01.".to_owned();
        assert!(problems.contains(&told_otherwise), "{problems:?}");
    }

    #[test]
    fn amounts_are_written_as_in_brazil() {
        let written = [0, 5, 123_456, 100_000_000, -1_050].map(reais);
        assert_eq!(
            written,
            [
                "R$ 0,00",
                "R$ 0,05",
                "R$ 1.234,56",
                "R$ 1.000.000,00",
                "-R$ 10,50"
            ]
        );
    }
}
