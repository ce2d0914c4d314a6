//! `GET /v1/orders/{id}` and `/v1/orders`: the Orders API, which nests payments, writes amounts as texts and has other words
//! for the same states.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rastro_core::dataset::Currency;
use rastro_core::payment::{self, Payment, Refund};
use rastro_core::person::PersonKeys;
use rastro_store::PaymentAccount;
use serde::Deserialize;

use super::payments::{instant, is_id};
use super::wire::{Amount, Word, moment};
use super::{MercadoPago, ReadError};

/// How many orders are asked for at once.
const PAGE: &str = "50";
/// No list is asked for further: it would have ended.
const MOST_PAGES: u32 = 1_000;

/// An order with its payments.
#[derive(Clone, Debug)]
pub struct Order {
    pub id: String,
    pub payments: Vec<OrderPayment>,
    /// Those that lack what every payment has, by their ids, and what the first of them lacks.
    pub unreadable: Vec<String>,
    pub problem: Option<ReadError>,
}

/// A payment as its order tells of it.
#[derive(Clone, Debug)]
pub struct OrderPayment {
    /// The same payment in the Payments API, which knows its fees. Where there is one, that one is counted:
    /// both are the same money.
    pub reference_id: Option<String>,
    pub payment: Payment,
}

impl MercadoPago {
    /// Reads an order as it is now.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn order(&self, account: &PaymentAccount, id: &str) -> Result<Order, ReadError> {
        let wire: WireOrder = self.get(account, &["v1", "orders", id], &[]).await?;
        wire.read(account.live_mode)
    }

    /// The orders that were made from the one moment to the other (included), each once, with the numbers of
    /// their payments.
    ///
    /// # Errors
    /// See [`ReadError`]; also when fewer are listed than are said to be there.
    pub async fn orders(
        &self,
        account: &PaymentAccount,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<ListedOrder>, ReadError> {
        let (from, to) = (instant(from), instant(to));
        let mut listed: BTreeMap<String, ListedOrder> = BTreeMap::new();
        for page in 1..=MOST_PAGES {
            let page = page.to_string();
            let query = [
                ("begin_date", from.as_str()),
                ("end_date", &to),
                ("page", &page),
                ("page_size", PAGE),
            ];
            let found: FoundOrders = self.get(account, &["v1", "orders"], &query).await?;
            let total = found.paging.total.0.parse::<usize>();
            let total = total.map_err(|_| ReadError::Invalid("paging.total"))?;
            let before = listed.len();
            for wire in found.data {
                let order = ListedOrder::of(wire).ok_or(ReadError::Invalid("an order's id"))?;
                listed.insert(order.id.clone(), order);
            }
            if listed.len() >= total {
                return Ok(listed.into_values().collect());
            }
            // A page that shows nothing new was the last.
            if listed.len() == before {
                break;
            }
        }
        Err(ReadError::Unavailable(
            "the list of orders stays incomplete".to_owned(),
        ))
    }
}

/// An order in a list: of its payments only which they are.
#[derive(Clone, Debug)]
pub struct ListedOrder {
    pub id: String,
    pub payments: Vec<ListedPart>,
}

/// The numbers of a payment of a listed order.
#[derive(Clone, Debug)]
pub struct ListedPart {
    pub id: String,
    /// In the Payments API.
    pub reference_id: Option<String>,
}

impl ListedOrder {
    fn of(wire: WireOrder) -> Option<Self> {
        let parts = wire.transactions.and_then(|all| all.payments).unwrap_or_default();
        let part = |part: WireOrderPayment| ListedPart {
            reference_id: reference(part.reference_id),
            id: part.id.0,
        };
        is_id(&wire.id.0).then(|| ListedOrder {
            id: wire.id.0,
            payments: parts.into_iter().map(part).collect(),
        })
    }
}

#[derive(Deserialize)]
struct FoundOrders {
    data: Vec<WireOrder>,
    paging: Paging,
}

#[derive(Deserialize)]
struct Paging {
    total: Word,
}

/// A number of the Payments API.
fn reference(word: Option<Word>) -> Option<String> {
    Word::some(word).filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()))
}

#[derive(Deserialize)]
struct WireOrder {
    #[serde(default)]
    id: Word,
    user_id: Option<Word>,
    collector_id: Option<Word>,
    currency: Option<Word>,
    live_mode: Option<bool>,
    external_reference: Option<Word>,
    created_date: Option<String>,
    last_updated_date: Option<String>,
    transactions: Option<Transactions>,
}

#[derive(Deserialize)]
struct Transactions {
    payments: Option<Vec<WireOrderPayment>>,
    refunds: Option<Vec<WireOrderRefund>>,
}

#[derive(Deserialize)]
struct WireOrderPayment {
    #[serde(default)]
    id: Word,
    reference_id: Option<Word>,
    status: Option<Word>,
    status_detail: Option<Word>,
    amount: Option<Amount>,
    paid_amount: Option<Amount>,
    refunded_amount: Option<Amount>,
    payment_method: Option<Method>,
    date_approved: Option<String>,
}

#[derive(Deserialize)]
struct Method {
    id: Option<Word>,
    #[serde(rename = "type")]
    kind: Option<Word>,
    installments: Option<i32>,
}

#[derive(Deserialize)]
struct WireOrderRefund {
    id: Option<Word>,
    transaction_id: Option<Word>,
    amount: Option<Amount>,
}

impl WireOrder {
    /// `live_mode`: that of the account, where the order does not say.
    fn read(self, live_mode: bool) -> Result<Order, ReadError> {
        let missing = ReadError::Invalid;
        let currency = Word::some(self.currency).and_then(|code| Currency::parse(&code));
        let currency = currency.ok_or(missing("currency"))?;
        let owner = Word::some(self.collector_id).or(Word::some(self.user_id));
        let account_id = owner.and_then(|id| id.parse().ok()).ok_or(missing("user_id"))?;
        let created_at = moment(self.created_date).ok_or(missing("created_date"))?;
        let updated_at = moment(self.last_updated_date).ok_or(missing("last_updated_date"))?;
        let external = Word::some(self.external_reference).and_then(payment::reference);
        let (payments, refunds) = self
            .transactions
            .map_or((None, None), |all| (all.payments, all.refunds));
        let refunds = refunds.unwrap_or_default();
        let live_mode = self.live_mode.unwrap_or(live_mode);
        let read = |wire: WireOrderPayment| -> Result<OrderPayment, ReadError> {
            let minor = |amount: &Option<Amount>| amount.as_ref().and_then(|amount| amount.minor(currency));
            let id = Some(wire.id.0.clone())
                .filter(|id| is_id(id))
                .ok_or(missing("transactions.payments.id"))?;
            let amount = minor(&wire.amount).filter(|minor| *minor >= 0);
            let status = Word::some(wire.status).unwrap_or_default();
            let detail = Word::some(wire.status_detail).unwrap_or_default();
            let (status, detail) = as_payment(&status, &detail);
            let was_approved = matches!(status.as_str(), "approved" | "refunded" | "charged_back");
            let refunds = refunds_of(&refunds, &id, currency, updated_at);
            let refunded = minor(&wire.refunded_amount)
                .unwrap_or_else(|| refunds.iter().map(|refund| refund.amount_minor).sum());
            let method = wire.payment_method;
            Ok(OrderPayment {
                reference_id: reference(wire.reference_id),
                payment: Payment {
                    account_id,
                    status,
                    status_detail: detail,
                    live_mode,
                    operation_type: "regular_payment".to_owned(),
                    currency,
                    amount_minor: amount.ok_or(missing("transactions.payments.amount"))?,
                    refunded_minor: refunded,
                    // An order does not tell what the seller pays.
                    net_minor: None,
                    fee_minor: None,
                    total_paid_minor: minor(&wire.paid_amount).filter(|paid| *paid != 0),
                    payment_method: method
                        .as_ref()
                        .and_then(|method| Word::some(method.id.clone()))
                        .unwrap_or_default(),
                    payment_type: method
                        .as_ref()
                        .and_then(|method| Word::some(method.kind.clone()))
                        .unwrap_or_default(),
                    installments: method.and_then(|method| method.installments),
                    external_reference: external.clone(),
                    lead_id: None,
                    remote_order_id: Some(self.id.0.clone()).filter(|id| !id.is_empty()),
                    refunds,
                    payer: PersonKeys::default(),
                    created_at,
                    // Not told by every product: the order's last change is the approval when it is first
                    // seen as paid.
                    approved_at: moment(wire.date_approved).or_else(|| was_approved.then_some(updated_at)),
                    updated_at,
                    expires_at: None,
                    money_release_at: None,
                    told_by_order: true,
                    id,
                },
            })
        };
        let mut order = Order {
            id: self.id.0.clone(),
            payments: Vec::new(),
            unreadable: Vec::new(),
            problem: None,
        };
        // One that cannot be read hides no other.
        for wire in payments.unwrap_or_default() {
            let id = wire.id.0.clone();
            match read(wire) {
                Ok(payment) => order.payments.push(payment),
                Err(problem) => {
                    order.unreadable.push(id);
                    order.problem.get_or_insert(problem);
                }
            }
        }
        Ok(order)
    }
}

fn refunds_of(
    refunds: &[WireOrderRefund],
    payment: &str,
    currency: Currency,
    at: DateTime<Utc>,
) -> Vec<Refund> {
    let own = refunds.iter().filter(|refund| {
        refund
            .transaction_id
            .as_ref()
            .is_some_and(|transaction| transaction.0 == payment)
    });
    own.filter_map(|refund| {
        Some(Refund {
            id: Word::some(refund.id.clone())?,
            amount_minor: refund.amount.as_ref()?.minor(currency)?,
            at,
        })
    })
    .collect()
}

/// The Payments API's words for a state of the Orders API. What is paid is decided by the detail too: a full
/// refund is `processed/refunded` in one product and `refunded/refunded` in another.
fn as_payment(status: &str, detail: &str) -> (String, String) {
    let words = match (status, detail) {
        ("processed" | "refunded", "refunded") | ("refunded", _) => ("refunded", "refunded"),
        ("processed", "partially_refunded") => ("approved", "partially_refunded"),
        ("processed", _) => ("approved", detail),
        ("charged_back", _) => ("charged_back", detail),
        ("processing" | "in_review", _) => ("in_process", detail),
        ("action_required" | "created", _) => ("pending", detail),
        ("failed", _) => ("rejected", detail),
        ("canceled" | "cancelled" | "expired", _) => ("cancelled", detail),
        other => other,
    };
    (words.0.to_owned(), words.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: &str, detail: &str, more: &str) -> Payment {
        let json = format!(
            r#"{{"id":"ORD01JQ4S4KY8HWQ6NA5PXB65B3D3","user_id":"321","currency":"BRL","external_reference":"abc",
            "created_date":"2026-02-17T00:30:00.000Z","last_updated_date":"2026-02-17T00:31:00.000Z",
            "transactions":{{"payments":[{{"id":"PAY01JQ4S4KY8HWQ6NA5PXB65B3D4","amount":"150.00","paid_amount":"150.00",
            "reference_id":"123456789","status":"{status}","status_detail":"{detail}",
            "payment_method":{{"id":"visa","type":"credit_card","installments":1}}}}]{more}}}}}"#
        );
        let order = serde_json::from_str::<WireOrder>(&json)
            .unwrap()
            .read(true)
            .unwrap();
        let [only] = &order.payments[..] else {
            panic!("one payment")
        };
        assert_eq!(only.reference_id.as_deref(), Some("123456789"));
        only.payment.clone()
    }

    #[test]
    fn an_orders_payment_is_told_in_the_words_of_payments() {
        let paid = read("processed", "accredited", "");
        assert_eq!(
            (paid.amount_minor, paid.account_id, paid.recognised_minor()),
            (15_000, 321, 15_000)
        );
        assert_eq!((paid.order_id().as_str(), paid.fee_minor), ("abc", None));
        for (status, detail, words) in [
            ("created", "created", "pending"),
            ("action_required", "waiting_transfer", "pending"),
            ("processing", "in_process", "in_process"),
            ("processed", "refunded", "refunded"),
            ("refunded", "refunded", "refunded"),
            ("charged_back", "in_process", "charged_back"),
            ("failed", "high_risk", "rejected"),
            ("canceled", "canceled", "cancelled"),
            ("expired", "expired", "cancelled"),
        ] {
            let payment = read(status, detail, "");
            assert_eq!(
                (payment.status.as_str(), payment.recognised_minor()),
                (words, 0),
                "{status}/{detail}"
            );
        }
    }

    #[test]
    fn a_payment_that_cannot_be_read_hides_no_other_of_its_order() {
        let json = r#"{"id":"ORD01JQ4S4KY8HWQ6NA5PXB65B3D3","user_id":"321","currency":"BRL",
            "created_date":"2026-02-17T00:30:00.000Z","last_updated_date":"2026-02-17T00:31:00.000Z",
            "transactions":{"payments":[{"id":"PAY01JQ4S4KY8HWQ6NA5PXB65B3D4","amount":"many"},
            {"id":"PAY01JQ4S4KY8HWQ6NA5PXB65B3D5","amount":"1.00","status":"processed","status_detail":"accredited"}]}}"#;
        let order = serde_json::from_str::<WireOrder>(json).unwrap();
        let order = order.read(true).unwrap();
        assert_eq!(order.payments[0].payment.recognised_minor(), 100);
        assert_eq!(order.unreadable, ["PAY01JQ4S4KY8HWQ6NA5PXB65B3D4"]);
        assert_eq!(
            order.problem,
            Some(ReadError::Invalid("transactions.payments.amount"))
        );
    }

    #[test]
    fn its_refunds_are_those_of_its_own_payment() {
        let refunds = r#","refunds":[{"id":"REF1","transaction_id":"PAY01JQ4S4KY8HWQ6NA5PXB65B3D4","amount":"50.00"},
            {"id":"REF2","transaction_id":"PAY9","amount":"9.00"}]"#;
        let payment = read("processed", "partially_refunded", refunds);
        assert_eq!(
            (payment.refunded_minor, payment.recognised_minor()),
            (5_000, 10_000)
        );
        assert_eq!(payment.refunds.len(), 1);
    }
}
