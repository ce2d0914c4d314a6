//! The books: a payment's movements, each once, for ever. What is read of a payment is compared with what was
//! booked of it, and only the difference is booked, so that a month that was reported never changes.

use chrono::{DateTime, Utc};

use super::Payment;

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MovementKind {
    /// The payment was credited.
    Approval,
    /// Some or all of it was given back.
    Refund,
    /// The card's bank took it back.
    Chargeback,
    /// A chargeback was decided for the seller.
    Reimbursement,
    /// The total changed, and nothing that the provider lists says why.
    Adjustment,
    /// What the seller pays for it changed. Moves no revenue.
    Fee,
}

impl MovementKind {
    /// The word that is stored, with which its keys begin.
    pub fn as_str(self) -> &'static str {
        match self {
            MovementKind::Approval => "approval",
            MovementKind::Refund => "refund",
            MovementKind::Chargeback => "chargeback",
            MovementKind::Reimbursement => "reimbursement",
            MovementKind::Adjustment => "adjustment",
            MovementKind::Fee => "fee",
        }
    }

    /// From the word that is stored.
    pub fn parse(word: &str) -> Option<Self> {
        [
            MovementKind::Approval,
            MovementKind::Refund,
            MovementKind::Chargeback,
            MovementKind::Reimbursement,
            MovementKind::Adjustment,
            MovementKind::Fee,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == word)
    }
}

/// A movement that is in the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    pub kind: MovementKind,
    pub key: String,
    pub amount_minor: i64,
    pub fee_minor: i64,
}

/// A movement to book. Amounts are signed, in the smallest unit of the payment's currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    pub kind: MovementKind,
    /// Unique for the payment.
    pub key: String,
    pub amount_minor: i64,
    pub fee_minor: i64,
    pub occurred_at: DateTime<Utc>,
}

/// How the keys of movements begin by which a provider's report settled the fee: it is final, and what the
/// payment itself tells of it, then and later, an estimate.
pub const SETTLED: &str = "settled:";

/// What the books lack of this payment. With it, their sum is what of the payment is revenue.
pub fn movements_due(payment: &Payment, booked: &[Booked]) -> Vec<Movement> {
    let mut due = Vec::new();
    let has = |key: &str| booked.iter().any(|known| known.key == key);
    let fee = payment.fee_minor.unwrap_or(0);

    if payment.was_paid() && !has("approval") {
        due.push(Movement {
            kind: MovementKind::Approval,
            key: "approval".to_owned(),
            amount_minor: payment.amount_minor,
            fee_minor: fee,
            occurred_at: payment.approved_at.unwrap_or(payment.created_at),
        });
    }
    // A reservation that was never captured is given back without ever having been revenue.
    let is_booked = payment.was_paid() || !booked.is_empty();
    if !is_booked {
        return due;
    }
    for refund in &payment.refunds {
        let key = format!("refund:{}", refund.id);
        if refund.amount_minor > 0 && !has(&key) && !due.iter().any(|known| known.key == key) {
            due.push(Movement {
                kind: MovementKind::Refund,
                key,
                amount_minor: -refund.amount_minor,
                fee_minor: 0,
                occurred_at: refund.at,
            });
        }
    }

    let sum = |amount: fn(&Booked) -> i64| booked.iter().map(amount).sum::<i64>();
    let total = sum(|known| known.amount_minor) + due.iter().map(|new| new.amount_minor).sum::<i64>();
    let rest = payment.recognised_minor() - total;
    let count = |kind| booked.iter().filter(|known| known.kind == kind).count();
    if rest != 0 {
        let is_charged_back = payment.status == "charged_back" && payment.status_detail != "reimbursed";
        let kind = if is_charged_back && rest < 0 {
            MovementKind::Chargeback
        } else if rest > 0 && count(MovementKind::Chargeback) > 0 {
            MovementKind::Reimbursement
        } else {
            MovementKind::Adjustment
        };
        due.push(Movement {
            kind,
            key: format!("{}:{}", kind.as_str(), count(kind) + 1),
            amount_minor: rest,
            fee_minor: 0,
            occurred_at: payment.updated_at,
        });
    }
    let is_settled = booked.iter().any(|known| known.key.starts_with(SETTLED));
    if let Some(fee) = payment.fee_minor.filter(|_| !is_settled) {
        let known = sum(|known| known.fee_minor) + due.iter().map(|new| new.fee_minor).sum::<i64>();
        if fee != known {
            due.push(Movement {
                kind: MovementKind::Fee,
                key: format!("fee:{}", count(MovementKind::Fee) + 1),
                amount_minor: 0,
                fee_minor: fee - known,
                occurred_at: payment.updated_at,
            });
        }
    }
    due
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Refund;
    use super::*;
    use crate::dataset::Currency;
    use crate::person::PersonKeys;

    #[test]
    fn a_settled_fee_is_no_longer_what_the_payment_tells() {
        let booked = |key: &str, amount_minor, fee_minor| Booked {
            kind: MovementKind::Fee,
            key: key.to_owned(),
            amount_minor,
            fee_minor,
        };
        let mut books = vec![booked("approval", 1_234, 60)];
        let due = movements_due(&payment("approved", "accredited"), &books);
        assert_eq!((due.len(), due[0].fee_minor), (1, 2));
        books.push(booked("settled:1", 0, 9));
        assert_eq!(movements_due(&payment("approved", "accredited"), &books), []);
    }

    fn at(day: u32) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + i64::from(day) * 86_400, 0).unwrap()
    }

    /// 12.34 with a fee of 0.62, as in Mercado Pago's own mock.
    fn payment(status: &str, detail: &str) -> Payment {
        Payment {
            id: "1".into(),
            account_id: 44_444,
            status: status.into(),
            status_detail: detail.into(),
            live_mode: true,
            operation_type: "regular_payment".into(),
            currency: Currency::parse("BRL").unwrap(),
            amount_minor: 1_234,
            refunded_minor: 0,
            net_minor: Some(1_172),
            fee_minor: Some(62),
            total_paid_minor: Some(1_234),
            payment_method: "pix".into(),
            payment_type: "bank_transfer".into(),
            installments: Some(1),
            external_reference: None,
            lead_id: None,
            remote_order_id: None,
            refunds: Vec::new(),
            payer: PersonKeys::default(),
            created_at: at(0),
            approved_at: Some(at(1)),
            updated_at: at(9),
            told_by_order: false,
            expires_at: None,
            money_release_at: None,
        }
    }

    fn refunded(mut payment: Payment, refunds: &[(&str, i64)]) -> Payment {
        payment.refunds = refunds
            .iter()
            .enumerate()
            .map(|(index, (id, amount_minor))| Refund {
                id: (*id).to_owned(),
                amount_minor: *amount_minor,
                at: at(2 + u32::try_from(index).unwrap()),
            })
            .collect();
        payment.refunded_minor = refunds.iter().map(|(_, amount)| amount).sum();
        payment
    }

    fn book(books: &mut Vec<Booked>, payment: &Payment) -> Vec<(String, i64, i64)> {
        let due = movements_due(payment, books);
        books.extend(due.iter().map(|new| Booked {
            kind: new.kind,
            key: new.key.clone(),
            amount_minor: new.amount_minor,
            fee_minor: new.fee_minor,
        }));
        due.into_iter()
            .map(|new| (new.key, new.amount_minor, new.fee_minor))
            .collect()
    }

    #[test]
    fn the_life_of_a_payment_is_booked_step_by_step_and_nothing_twice() {
        let mut books = Vec::new();
        let key = |key: &str, amount, fee| (key.to_owned(), amount, fee);
        assert_eq!(
            book(&mut books, &payment("pending", "pending_waiting_transfer")),
            []
        );
        let approved = payment("approved", "accredited");
        assert_eq!(book(&mut books, &approved), [key("approval", 1_234, 62)]);
        assert_eq!(book(&mut books, &approved), []);
        let partly = refunded(payment("approved", "partially_refunded"), &[("r1", 234)]);
        assert_eq!(book(&mut books, &partly), [key("refund:r1", -234, 0)]);
        let disputed = refunded(payment("in_mediation", "pending"), &[("r1", 234)]);
        assert_eq!(book(&mut books, &disputed), []);
        let lost = refunded(payment("charged_back", "in_process"), &[("r1", 234)]);
        assert_eq!(book(&mut books, &lost), [key("chargeback:1", -1_000, 0)]);
        let won = refunded(payment("charged_back", "reimbursed"), &[("r1", 234)]);
        assert_eq!(book(&mut books, &won), [key("reimbursement:1", 1_000, 0)]);
        assert_eq!(book(&mut books, &lost), [key("chargeback:2", -1_000, 0)]);
        let mut dearer = lost.clone();
        dearer.fee_minor = Some(70);
        assert_eq!(book(&mut books, &dearer), [key("fee:1", 0, 8)]);
        let sum: i64 = books.iter().map(|known| known.amount_minor).sum();
        let fees: i64 = books.iter().map(|known| known.fee_minor).sum();
        assert_eq!((sum, fees), (0, 70));
    }

    #[test]
    fn a_payment_first_seen_after_its_refund_is_booked_whole() {
        let late = refunded(payment("refunded", "refunded"), &[("a", 234), ("b", 1_000)]);
        let keys: Vec<_> = book(&mut Vec::new(), &late);
        assert_eq!(
            keys,
            [
                ("approval".to_owned(), 1_234, 62),
                ("refund:a".to_owned(), -234, 0),
                ("refund:b".to_owned(), -1_000, 0)
            ]
        );
    }

    #[test]
    fn what_the_refunds_do_not_explain_is_an_adjustment() {
        let mut partly = refunded(payment("approved", "partially_refunded"), &[("r1", 200)]);
        partly.refunded_minor = 234;
        let mut books = Vec::new();
        let keys: Vec<_> = book(&mut books, &partly)
            .into_iter()
            .map(|(key, amount, _)| (key, amount))
            .collect();
        assert_eq!(
            keys,
            [
                ("approval".to_owned(), 1_234),
                ("refund:r1".to_owned(), -200),
                ("adjustment:1".to_owned(), -34)
            ]
        );
        // The amount itself changed after it was approved.
        let mut smaller = partly.clone();
        smaller.amount_minor = 1_200;
        assert_eq!(book(&mut books, &smaller), [("adjustment:2".to_owned(), -34, 0)]);
    }

    #[test]
    fn what_was_never_paid_is_never_booked() {
        for (status, detail) in [
            ("pending", "pending_waiting_payment"),
            ("in_process", "pending_contingency"),
            ("authorized", "pending_capture"),
            ("rejected", "cc_rejected_high_risk"),
            ("cancelled", "expired"),
            ("something_new", ""),
        ] {
            assert_eq!(book(&mut Vec::new(), &payment(status, detail)), [], "{status}");
        }
    }

    proptest! {
        /// Whatever order snapshots are read in, the books end at what the last one says, and booking it
        /// again changes nothing.
        #[test]
        fn the_books_end_at_what_the_last_snapshot_recognises(
            steps in proptest::collection::vec((0_usize..7, 0_i64..=1_234, proptest::option::of(0_i64..100)), 1..12)
        ) {
            let states = [
                ("pending", ""), ("approved", "accredited"), ("approved", "partially_refunded"), ("refunded", "refunded"),
                ("charged_back", "settled"), ("charged_back", "reimbursed"), ("cancelled", "expired"),
            ];
            let mut books = Vec::new();
            for (state, given_back, fee) in steps {
                let mut read = payment(states[state].0, states[state].1);
                read.refunded_minor = given_back;
                read.fee_minor = fee;
                if given_back > 0 {
                    read.refunds = vec![Refund { id: given_back.to_string(), amount_minor: given_back, at: at(2) }];
                }
                book(&mut books, &read);
                let sum: i64 = books.iter().map(|known| known.amount_minor).sum();
                let expected = if books.is_empty() { 0 } else { read.recognised_minor() };
                prop_assert_eq!(sum, expected);
                prop_assert_eq!(book(&mut books, &read), vec![]);
                let mut keys: Vec<&str> = books.iter().map(|known| &*known.key).collect();
                keys.sort_unstable();
                keys.dedup();
                prop_assert_eq!(keys.len(), books.len(), "no key twice");
            }
        }
    }
}
