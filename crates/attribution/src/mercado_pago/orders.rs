//! `GET /v1/orders/{id}`: the Orders API, which nests payments, writes amounts as texts and has other words
//! for the same states.

use chrono::{DateTime, Utc};
use rastro_core::dataset::Currency;
use rastro_core::payment::{self, Payment, Refund};
use rastro_core::person::PersonKeys;
use rastro_store::PaymentAccount;
use serde::Deserialize;

use super::payments::is_id;
use super::wire::{Amount, Word, moment};
use super::{MercadoPago, ReadError};

/// An order with its payments.
#[derive(Clone, Debug)]
pub struct Order {
    pub payments: Vec<OrderPayment>,
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
        let reference = Word::some(self.external_reference).and_then(payment::reference);
        let (payments, refunds) = self
            .transactions
            .map_or((None, None), |all| (all.payments, all.refunds));
        let refunds = refunds.unwrap_or_default();
        let live_mode = self.live_mode.unwrap_or(live_mode);
        let read = |wire: WireOrderPayment| {
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
                reference_id: Word::some(wire.reference_id)
                    .filter(|id| id.bytes().all(|byte| byte.is_ascii_digit())),
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
                    external_reference: reference.clone(),
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
        let payments = payments.unwrap_or_default().into_iter().map(read);
        Ok(Order {
            payments: payments.collect::<Result<_, ReadError>>()?,
        })
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
