//! What the stand-in knows: payments as their own JSON, and what is to be told of them.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::payments::Payments;
use super::reports::Reports;
use super::webhooks::{Delivery, WebhookFault};
use super::{ApiFault, Seller};

const DAY_MS: i64 = 86_400_000;

/// How a buyer pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Waits for the payer; expires after a day.
    Pix,
    /// Waits for the payer; expires after three days.
    Boleto,
    /// Approved at once.
    Card,
    /// Refused at once: the buyer may try again, as a new payment.
    RefusedCard,
}

/// A payment that a buyer begins.
#[derive(Clone, Debug)]
pub struct Charge {
    pub method: Method,
    pub cents: i64,
    pub currency: &'static str,
    pub external_reference: Option<String>,
    pub metadata: Value,
    pub email: Option<String>,
    /// `regular_payment`, `money_transfer`, ...
    pub operation_type: &'static str,
}

impl Charge {
    /// So many cents of BRL.
    pub fn new(method: Method, cents: i64) -> Self {
        Charge {
            method,
            cents,
            currency: "BRL",
            external_reference: None,
            metadata: json!({}),
            email: None,
            operation_type: "regular_payment",
        }
    }

    #[must_use]
    pub fn reference(mut self, reference: &str) -> Self {
        self.external_reference = Some(reference.to_owned());
        self
    }

    #[must_use]
    pub fn metadata(mut self, metadata: Value) -> Self {
        self.metadata = metadata;
        self
    }

    #[must_use]
    pub fn by(mut self, email: &str) -> Self {
        self.email = Some(email.to_owned());
        self
    }
}

/// A payment in the stand-in's own books. Amounts are in cents, times in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub id: String,
    pub user_id: i64,
    pub status: String,
    pub method: String,
    pub external_reference: Option<String>,
    pub currency: String,
    pub cents: i64,
    pub refunded_cents: i64,
    pub created_ms: i64,
    pub approved_ms: Option<i64>,
}

/// What outlives the process.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept {
    payments: BTreeMap<String, Value>,
    merchant_orders: BTreeMap<String, Value>,
    chargebacks: BTreeMap<String, Value>,
    last_id: u64,
}

#[derive(Default)]
pub(crate) struct Book {
    payments: Payments,
    before: BTreeMap<String, Value>,
    pub(crate) merchant_orders: BTreeMap<String, Value>,
    pub(crate) chargebacks: BTreeMap<String, Value>,
    pub(crate) orders: BTreeMap<(i64, String), Value>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) webhook_faults: Vec<(WebhookFault, u32)>,
    pub(crate) faults: Vec<(ApiFault, u32)>,
    pub(crate) payment_faults: BTreeMap<String, VecDeque<ApiFault>>,
    pub(crate) requests: u64,
    pub(crate) reports: Reports,
    pub(crate) lists: ListHabits,
    last_id: u64,
}

/// What lists do that nothing documents.
#[derive(Clone, Copy, Default)]
pub(crate) struct ListHabits {
    /// No page has more rows, whatever is asked for.
    pub(crate) most_rows_a_page: Option<usize>,
    /// So many more are said to be there than any page shows.
    pub(crate) never_shown: usize,
}

/// As Mercado Pago stamps: at -04:00, which is not Brazil's offset.
pub(crate) fn stamp(ms: i64) -> String {
    let offset = FixedOffset::west_opt(4 * 3_600).expect("four hours are an offset");
    let time = DateTime::from_timestamp_millis(ms).expect("a time of this age");
    time.with_timezone(&offset)
        .to_rfc3339_opts(SecondsFormat::Millis, false)
}

pub(crate) fn milliseconds(stamp: &Value) -> Option<i64> {
    let time = DateTime::parse_from_rfc3339(stamp.as_str()?).ok()?;
    Some(time.timestamp_millis())
}

/// As a JSON number, such as 58.8.
pub(crate) fn amount(cents: i64) -> Value {
    let text = format!(
        "{}{}.{:02}",
        if cents < 0 { "-" } else { "" },
        cents.abs() / 100,
        cents.abs() % 100
    );
    serde_json::from_str(&text).expect("a number")
}

/// A document without what only the sandbox keeps, of payments within it, too.
pub(crate) fn shown(mut document: Value) -> Value {
    if let Some(fields) = document.as_object_mut() {
        fields.remove("sandbox_email");
        if let Some(payments) = fields.get_mut("payments").and_then(Value::as_array_mut) {
            for payment in payments {
                *payment = shown(payment.take());
            }
        }
    }
    document
}

/// Metadata as it comes back: whatever was sent, its keys are in lower case and split by `_`.
fn with_snake_keys(metadata: &Value) -> Value {
    let Value::Object(fields) = metadata else {
        return json!({});
    };
    let snake = |key: &str| {
        let mut name = String::new();
        for character in key.chars() {
            if character.is_uppercase() && !name.is_empty() && !name.ends_with('_') {
                name.push('_');
            }
            name.extend(character.to_lowercase());
        }
        name
    };
    fields
        .iter()
        .map(|(key, value)| (snake(key), value.clone()))
        .collect()
}

/// What a seller pays, in cents: 0.99 % for a Pix, 3.49 for a boleto, 4.98 % for a card.
fn fee(method_type: &str, cents: i64) -> i64 {
    match method_type {
        "bank_transfer" => (cents * 99 + 5_000) / 10_000,
        "ticket" => 349.min(cents),
        _ => (cents * 498 + 5_000) / 10_000,
    }
}

pub(crate) fn cents(value: &Value) -> i64 {
    let text = value.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction: i64 = format!("{fraction:0<2}").parse().expect("two digits");
    whole.parse::<i64>().expect("digits") * 100 + fraction
}

impl Book {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        // More than 31 bits, as real ones are.
        1_312_000_000_000 + self.last_id
    }

    pub(crate) fn payment(&self, id: &str) -> Option<&Value> {
        self.payments.get(id)
    }

    fn known(&self, id: &str) -> &Value {
        self.payments.get(id).expect("a payment of this sandbox")
    }

    pub(crate) fn before(&self, id: &str) -> Option<&Value> {
        self.before.get(id).or_else(|| self.payments.get(id))
    }

    pub(crate) fn payments(&self) -> &Payments {
        &self.payments
    }

    /// Every payment as people who balance books want it.
    pub(crate) fn told(&self) -> Vec<Told> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let told = |payment: &Value| Told {
            id: payment["id"].to_string(),
            user_id: payment["collector_id"].as_i64().unwrap_or_default(),
            status: text(&payment["status"]).unwrap_or_default(),
            method: text(&payment["payment_method_id"]).unwrap_or_default(),
            external_reference: text(&payment["external_reference"]),
            currency: text(&payment["currency_id"]).unwrap_or_default(),
            cents: cents(&payment["transaction_amount"]),
            refunded_cents: cents(&payment["transaction_amount_refunded"]),
            created_ms: milliseconds(&payment["date_created"]).unwrap_or_default(),
            approved_ms: milliseconds(&payment["date_approved"]),
        };
        self.payments.iter().map(told).collect()
    }

    /// All that was ever paid, to be kept in a file.
    pub(crate) fn kept(&self) -> Kept {
        Kept {
            payments: self.payments.by_id().clone(),
            merchant_orders: self.merchant_orders.clone(),
            chargebacks: self.chargebacks.clone(),
            last_id: self.last_id,
        }
    }

    pub(crate) fn restore(&mut self, kept: Kept) {
        self.payments = kept.payments.into_iter().collect();
        self.merchant_orders = kept.merchant_orders;
        self.chargebacks = kept.chargebacks;
        self.last_id = kept.last_id;
    }

    /// Numbers of payments go on after this one.
    pub(crate) fn number_from(&mut self, last_id: u64) {
        self.last_id = last_id;
    }

    /// The number given out last: it grows with every change.
    pub(crate) fn last_id(&self) -> u64 {
        self.last_id
    }

    /// The fault that strikes now, if any.
    pub(crate) fn draw(&mut self) -> Option<ApiFault> {
        self.requests += 1;
        let (fault, times) = self.faults.first_mut()?;
        let drawn = fault.clone();
        *times -= 1;
        if *times == 0 {
            self.faults.remove(0);
        }
        Some(drawn)
    }

    /// What the clock does: payments that nobody paid expire.
    pub(crate) fn tick(&mut self, now: i64) {
        for (id, at) in self.payments.expired(now) {
            self.set_status(at, &id, "cancelled", "expired");
        }
    }

    pub(crate) fn create(&mut self, now: i64, seller: &Seller, charge: &Charge) -> String {
        let id = self.next_id();
        let (method, kind, status, detail, days) = match charge.method {
            Method::Pix => ("pix", "bank_transfer", "pending", "pending_waiting_transfer", 1),
            Method::Boleto => ("bolbradesco", "ticket", "pending", "pending_waiting_payment", 3),
            Method::Card => ("visa", "credit_card", "pending", "pending", 0),
            Method::RefusedCard => (
                "visa",
                "credit_card",
                "rejected",
                "cc_rejected_insufficient_amount",
                0,
            ),
        };
        let expires = (days > 0).then(|| stamp(now + days * DAY_MS));
        let mut payment = json!({
            "id": id, "status": status, "status_detail": detail, "live_mode": seller.live_mode,
            "operation_type": charge.operation_type, "collector_id": seller.user_id,
            "currency_id": charge.currency, "transaction_amount": amount(charge.cents),
            "transaction_amount_refunded": 0, "installments": 1, "fee_details": [], "charges_details": [],
            "payment_method_id": method, "payment_type_id": kind, "external_reference": charge.external_reference,
            "metadata": with_snake_keys(&charge.metadata), "order": {}, "refunds": [],
        });
        // What is not known yet is null or zero. The payer's address is told only once it is paid.
        let more = json!({
            "coupon_amount": 0, "shipping_amount": 0, "taxes_amount": 0, "captured": true, "binary_mode": false,
            "transaction_details": {"net_received_amount": 0, "total_paid_amount": amount(charge.cents)},
            "payer": {"id": "9", "type": null, "email": null, "identification": {"type": null, "number": null},
                "first_name": null, "phone": {"area_code": null, "number": null, "extension": null}},
            "additional_info": {"items": []}, "point_of_interaction": {"type": "UNSPECIFIED"},
            "money_release_date": null, "money_release_status": "pending",
            "date_created": stamp(now), "date_approved": null, "date_last_updated": stamp(now), "date_of_expiration": expires,
            "sandbox_email": charge.email,
        });
        if let (Some(fields), Value::Object(more)) = (payment.as_object_mut(), more) {
            fields.extend(more);
        }
        let id = id.to_string();
        self.payments.put(id.clone(), payment);
        self.tell(now, &id, "payment.created");
        if charge.method == Method::Card {
            self.pay(now, &id);
        }
        id
    }

    pub(crate) fn pay(&mut self, now: i64, id: &str) {
        self.edit(now, id, |payment| {
            let paid = cents(&payment["transaction_amount"]);
            let fee = fee(payment["payment_type_id"].as_str().unwrap_or_default(), paid);
            payment["status"] = json!("approved");
            payment["status_detail"] = json!("accredited");
            payment["date_approved"] = json!(stamp(now));
            payment["money_release_date"] = json!(stamp(now));
            payment["transaction_details"]["net_received_amount"] = amount(paid - fee);
            payment["fee_details"] =
                json!([{"type": "mercadopago_fee", "amount": amount(fee), "fee_payer": "collector"}]);
            payment["payer"]["email"] = payment["sandbox_email"].clone();
        });
    }

    pub(crate) fn refund(&mut self, now: i64, id: &str, back: i64) {
        let refund_id = self.next_id();
        self.edit(now, id, |payment| {
            let refunded = cents(&payment["transaction_amount_refunded"]) + back;
            let is_all = refunded >= cents(&payment["transaction_amount"]);
            payment["transaction_amount_refunded"] = amount(refunded);
            let (status, detail) = match is_all {
                true => ("refunded", "refunded"),
                false => ("approved", "partially_refunded"),
            };
            payment["status"] = json!(status);
            payment["status_detail"] = json!(detail);
            let refund = json!({"id": refund_id, "payment_id": payment["id"], "amount": amount(back), "status": "approved",
                "date_created": stamp(now), "source": {"id": "1", "name": "seller", "type": "collector"}});
            payment["refunds"].as_array_mut().expect("a list").push(refund);
        });
    }

    pub(crate) fn set_status(&mut self, now: i64, id: &str, status: &str, detail: &str) {
        self.edit(now, id, |payment| {
            payment["status"] = json!(status);
            payment["status_detail"] = json!(detail);
        });
    }

    pub(crate) fn charge_back(&mut self, now: i64, id: &str) -> String {
        let case = self.next_id();
        self.set_status(now, id, "charged_back", "in_process");
        let payment = self.known(id);
        let (seller, paid) = (
            payment["collector_id"].clone(),
            payment["transaction_amount"].clone(),
        );
        let document = json!({"id": case, "payment_id": id, "amount": paid,
            "currency_id": "BRL", "status": "in_process", "date_created": stamp(now), "last_modified": stamp(now),
            "coverage_applied": null, "collector_id": seller});
        self.chargebacks.insert(case.to_string(), document);
        let body = json!({"type": "topic_chargebacks_wh", "actions": ["changed_case_status"], "id": self.next_id(),
            "data": {"id": case, "payment_id": id}, "user_id": seller, "live_mode": true, "api_version": "v1",
            "date_created": stamp(now)});
        self.deliveries.push(Delivery::new(
            now,
            &seller,
            "topic_chargebacks_wh",
            &case.to_string(),
            body,
        ));
        case.to_string()
    }

    pub(crate) fn merchant_order(&mut self, ids: &[&str]) -> String {
        let id = self.next_id();
        let payments: Vec<Value> = ids.iter().map(|id| self.known(id).clone()).collect();
        let seller = payments.first().map(|payment| payment["collector_id"].clone());
        let order = json!({"id": id, "status": "closed", "order_status": "paid", "site_id": "MLB", "payments": payments,
            "collector_id": seller});
        self.merchant_orders.insert(id.to_string(), order);
        id.to_string()
    }

    pub(crate) fn edit(&mut self, now: i64, id: &str, change: impl FnOnce(&mut Value)) {
        let mut payment = self.known(id).clone();
        self.before.insert(id.to_owned(), payment.clone());
        change(&mut payment);
        // Two changes in one millisecond are still two.
        let last = milliseconds(&payment["date_last_updated"]).unwrap_or_default();
        payment["date_last_updated"] = json!(stamp(now.max(last + 1)));
        self.payments.put(id.to_owned(), payment);
        self.tell(now, id, "payment.updated");
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.payments.remove(id);
        self.before.remove(id);
    }

    fn tell(&mut self, now: i64, id: &str, action: &str) {
        let notification = self.next_id();
        let seller = self.known(id)["collector_id"].clone();
        let body = json!({"id": notification, "live_mode": true, "type": "payment", "date_created": stamp(now),
            "user_id": seller, "api_version": "v1", "action": action, "data": {"id": id}});
        self.deliveries
            .push(Delivery::new(now, &seller, "payment", id, body));
    }
}
