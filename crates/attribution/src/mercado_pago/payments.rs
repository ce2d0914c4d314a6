//! `GET /v1/payments/{id}` and `/v1/payments/search`; the commercial order and the chargeback only say which
//! payments they are about.

use chrono::{DateTime, SecondsFormat, Utc};
use rastro_core::dataset::Currency;
use rastro_core::match_keys::{CountryCode, MatchKey, Reading};
use rastro_core::payment::{self, Payment, Refund};
use rastro_core::person::PersonKeys;
use rastro_store::PaymentAccount;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::wire::{Amount, Word, moment};
use super::{MercadoPago, ReadError, Window};

/// How many payments are asked for at once, as Mercado Pago's own libraries do.
const PAGE: u64 = 100;
/// Mercado Pago refuses to list many rows (code 1000), without saying how many: none beyond these is asked for.
pub(crate) const MOST_ROWS: u64 = 1_000;

/// A page of a search.
#[derive(Clone, Debug)]
pub struct SearchPage {
    /// How many the window holds.
    pub total: u64,
    pub payments: Vec<Payment>,
    /// Those of the page that lack what every payment has, by their ids.
    pub unreadable: Vec<String>,
}

impl MercadoPago {
    /// Reads a payment as it is now.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn payment(&self, account: &PaymentAccount, id: &str) -> Result<Payment, ReadError> {
        let wire: WirePayment = self.get(account, &["v1", "payments", id], &[]).await?;
        wire.read()
    }

    /// Lists payments of a window, in the order of its date, from the given place on.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn search(
        &self,
        account: &PaymentAccount,
        window: &Window,
        offset: u64,
    ) -> Result<SearchPage, ReadError> {
        #[derive(Deserialize)]
        struct Paging {
            total: Word,
        }
        #[derive(Deserialize)]
        struct Found {
            paging: Paging,
            results: Vec<WirePayment>,
        }
        let limit = PAGE.min(MOST_ROWS.saturating_sub(offset)).max(1);
        let (of, offset, limit) = (window.of.as_str(), offset.to_string(), limit.to_string());
        // Dates that are left out mean the last three months.
        let (from, to) = (instant(window.from), instant(window.to));
        let query = [
            ("sort", of),
            ("criteria", "asc"),
            ("range", of),
            ("begin_date", &from),
            ("end_date", &to),
            ("limit", &limit),
            ("offset", &offset),
        ];
        let found: Found = self.get(account, &["v1", "payments", "search"], &query).await?;
        let total = found.paging.total.0.parse();
        let (mut payments, mut unreadable) = (Vec::new(), Vec::new());
        for wire in found.results {
            let id = wire.id.0.clone();
            match wire.read() {
                Ok(payment) => payments.push(payment),
                Err(_) => unreadable.push(id),
            }
        }
        Ok(SearchPage {
            total: total.map_err(|_| ReadError::Invalid("paging.total"))?,
            payments,
            unreadable,
        })
    }

    /// The payments of a commercial order, by their ids.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn payments_of_merchant_order(
        &self,
        account: &PaymentAccount,
        id: &str,
    ) -> Result<Vec<String>, ReadError> {
        #[derive(Deserialize)]
        struct Part {
            id: Word,
        }
        #[derive(Deserialize)]
        struct MerchantOrder {
            #[serde(default)]
            payments: Vec<Part>,
        }
        let order: MerchantOrder = self.get(account, &["merchant_orders", id], &[]).await?;
        let ids = order.payments.into_iter().map(|payment| payment.id.0);
        Ok(ids.filter(|id| !id.is_empty()).collect())
    }

    /// The payments of a chargeback, by their ids: one, in older answers a list.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn payments_of_chargeback(
        &self,
        account: &PaymentAccount,
        id: &str,
    ) -> Result<Vec<String>, ReadError> {
        #[derive(Deserialize)]
        struct Chargeback {
            payment_id: Option<Word>,
            #[serde(default)]
            payments: Vec<Word>,
        }
        let chargeback: Chargeback = self.get(account, &["v1", "chargebacks", id], &[]).await?;
        let ids = chargeback.payment_id.into_iter().chain(chargeback.payments);
        Ok(ids.map(|id| id.0).filter(|id| !id.is_empty()).collect())
    }
}

/// As the search takes it: three digits of milliseconds, and no `+` that would have to be encoded.
pub(super) fn instant(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[derive(Deserialize)]
struct WirePayment {
    #[serde(default)]
    id: Word,
    status: Option<Word>,
    status_detail: Option<Word>,
    live_mode: Option<bool>,
    operation_type: Option<Word>,
    collector_id: Option<Word>,
    collector: Option<Collector>,
    currency_id: Option<Word>,
    transaction_amount: Option<Amount>,
    transaction_amount_refunded: Option<Amount>,
    transaction_details: Option<Details>,
    fee_details: Option<Vec<Fee>>,
    payment_method_id: Option<Word>,
    payment_type_id: Option<Word>,
    installments: Option<i32>,
    external_reference: Option<Word>,
    metadata: Option<Value>,
    order: Option<RemoteOrder>,
    refunds: Option<Vec<WireRefund>>,
    payer: Option<Payer>,
    additional_info: Option<AdditionalInfo>,
    date_created: Option<String>,
    date_approved: Option<String>,
    date_last_updated: Option<String>,
    date_of_expiration: Option<String>,
    money_release_date: Option<String>,
}

#[derive(Deserialize)]
struct Collector {
    id: Option<Word>,
}

#[derive(Deserialize)]
struct Details {
    net_received_amount: Option<Amount>,
    total_paid_amount: Option<Amount>,
}

#[derive(Deserialize)]
struct Fee {
    amount: Option<Amount>,
    fee_payer: Option<Word>,
}

#[derive(Deserialize)]
struct RemoteOrder {
    id: Option<Word>,
}

#[derive(Deserialize)]
struct WireRefund {
    id: Option<Word>,
    amount: Option<Amount>,
    status: Option<Word>,
    date_created: Option<String>,
}

#[derive(Deserialize)]
struct Payer {
    email: Option<Word>,
    identification: Option<Identification>,
    phone: Option<Phone>,
}

#[derive(Deserialize)]
struct Identification {
    #[serde(rename = "type")]
    kind: Option<Word>,
    number: Option<Word>,
}

#[derive(Deserialize)]
struct Phone {
    area_code: Option<Word>,
    number: Option<Word>,
}

/// What the merchant sent with the payment: often the only place with a phone.
#[derive(Deserialize)]
struct AdditionalInfo {
    payer: Option<InfoPayer>,
}

#[derive(Deserialize)]
struct InfoPayer {
    phone: Option<Phone>,
}

impl WirePayment {
    fn read(self) -> Result<Payment, ReadError> {
        let missing = ReadError::Invalid;
        let currency = Word::some(self.currency_id).and_then(|code| Currency::parse(&code));
        let currency = currency.ok_or(missing("currency_id"))?;
        let minor = |amount: &Amount| amount.minor(currency);
        let amount = self.transaction_amount.as_ref().and_then(minor);
        let collector = Word::some(self.collector_id).or_else(|| Word::some(self.collector?.id));
        let collector = collector.and_then(|id| id.parse().ok());
        let refunded = match &self.transaction_amount_refunded {
            Some(amount) => minor(amount).ok_or(missing("transaction_amount_refunded"))?,
            None => 0,
        };
        let created_at = moment(self.date_created).ok_or(missing("date_created"))?;
        let updated_at = moment(self.date_last_updated).ok_or(missing("date_last_updated"))?;
        let net = self
            .transaction_details
            .as_ref()
            .and_then(|details| details.net_received_amount.as_ref().and_then(minor));
        let total_paid = self
            .transaction_details
            .as_ref()
            .and_then(|details| details.total_paid_amount.as_ref().and_then(minor));
        let fee = self.fee_details.map(|fees| {
            let by_seller = |fee: &Fee| fee.fee_payer.as_ref().is_none_or(|payer| payer.0 == "collector");
            fees.iter()
                .filter(|fee| by_seller(fee))
                .filter_map(|fee| minor(fee.amount.as_ref()?))
                .sum()
        });
        let refunds = self.refunds.unwrap_or_default().into_iter();
        let refunds = refunds.filter_map(|refund| {
            let is_done = refund.status.is_none_or(|status| status.0 == "approved");
            let at = moment(refund.date_created).unwrap_or(updated_at);
            is_done.then_some(())?;
            Some(Refund {
                id: Word::some(refund.id)?,
                amount_minor: minor(refund.amount.as_ref()?)?,
                at,
            })
        });
        let metadata = self.metadata.and_then(|metadata| match metadata {
            Value::Object(metadata) => Some(metadata),
            _ => None,
        });
        let reference = Word::some(self.external_reference).and_then(payment::reference);
        Ok(Payment {
            id: Some(self.id.0).filter(|id| is_id(id)).ok_or(missing("id"))?,
            account_id: collector.ok_or(missing("collector_id"))?,
            status: Word::some(self.status).ok_or(missing("status"))?,
            status_detail: Word::some(self.status_detail).unwrap_or_default(),
            live_mode: self.live_mode.ok_or(missing("live_mode"))?,
            operation_type: Word::some(self.operation_type).ok_or(missing("operation_type"))?,
            currency,
            amount_minor: amount
                .filter(|minor| *minor >= 0)
                .ok_or(missing("transaction_amount"))?,
            refunded_minor: refunded,
            net_minor: net.filter(|net| *net != 0),
            fee_minor: fee,
            total_paid_minor: total_paid.filter(|paid| *paid != 0),
            payment_method: Word::some(self.payment_method_id).unwrap_or_default(),
            payment_type: Word::some(self.payment_type_id).unwrap_or_default(),
            installments: self.installments,
            lead_id: metadata.as_ref().and_then(lead_id),
            external_reference: reference,
            remote_order_id: self.order.and_then(|order| Word::some(order.id)),
            refunds: refunds.collect(),
            payer: payer_keys(self.payer, self.additional_info),
            created_at,
            approved_at: moment(self.date_approved),
            updated_at,
            expires_at: moment(self.date_of_expiration),
            money_release_at: moment(self.money_release_date),
            told_by_order: false,
        })
    }
}

/// An id that may stand in a path and in the books.
pub(crate) fn is_id(id: &str) -> bool {
    (1..=60).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// `metadata.lead_id`, as a number or a text, with or without the prefix of a reference.
fn lead_id(metadata: &Map<String, Value>) -> Option<i64> {
    let text = match metadata.get("lead_id")? {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    payment::lead_of_reference(&text).or_else(|| text.parse().ok().filter(|id| *id > 0))
}

/// By what the payer is found again. E-mail and document are there only once it was paid.
fn payer_keys(payer: Option<Payer>, info: Option<AdditionalInfo>) -> PersonKeys {
    let reading = Reading {
        country: CountryCode::parse("br"),
        current_year: 0,
        variants: true,
    };
    let mut keys = PersonKeys::default();
    let phone = |phone: Option<Phone>| {
        let phone = phone?;
        let number = Word::some(phone.number)?;
        Some(Word::some(phone.area_code).unwrap_or_default() + &number)
    };
    let mut own_phone = None;
    if let Some(payer) = payer {
        own_phone = phone(payer.phone);
        if let Some(email) = Word::some(payer.email) {
            keys.add(MatchKey::Email, &email, &reading);
        }
        if let Some(document) = payer.identification {
            let is_cpf = Word::some(document.kind).is_none_or(|kind| kind.eq_ignore_ascii_case("cpf"));
            let number = Word::some(document.number).filter(|_| is_cpf);
            keys.cpf = number.and_then(|number| PersonKeys::of_cpf(&number));
        }
    }
    let merchants = || phone(info?.payer?.phone);
    if let Some(phone) = own_phone.or_else(merchants) {
        keys.add(MatchKey::Phone, &phone, &reading);
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Payment, ReadError> {
        serde_json::from_str::<WirePayment>(json).unwrap().read()
    }

    #[test]
    fn a_payment_is_read_with_its_cents_and_without_its_payers_contacts() {
        let payment = read(
            r#"{"id":1312345678901,"status":"approved","status_detail":"accredited","live_mode":true,
            "operation_type":"regular_payment","collector_id":44444,"currency_id":"BRL","transaction_amount":12.34,
            "transaction_amount_refunded":0,"transaction_details":{"net_received_amount":11.72,"total_paid_amount":12.34},
            "fee_details":[{"type":"mercadopago_fee","amount":0.62,"fee_payer":"collector"},
                {"type":"financing_fee","amount":9.99,"fee_payer":"payer"}],
            "payment_method_id":"pix","payment_type_id":"bank_transfer","installments":1,"external_reference":"1042",
            "metadata":{"lead_id":"ld_77"},"order":{},"payer":{"email":"Ana@Example.com",
            "identification":{"type":"CPF","number":"19119119100"},"phone":{"area_code":"11","number":"98765-4321"}},
            "additional_info":{"items":[{"unit_price":"12.34"}]},"refunds":[],
            "date_created":"2026-11-22T23:30:00.000-04:00","date_approved":"2026-11-22T23:30:07.000-04:00",
            "date_last_updated":"2026-11-22T23:30:07.000-04:00","money_release_date":null}"#,
        )
        .unwrap();
        assert_eq!(
            (payment.amount_minor, payment.net_minor, payment.fee_minor),
            (1_234, Some(1_172), Some(62))
        );
        assert_eq!(
            (payment.id.as_str(), payment.account_id, payment.lead_id),
            ("1312345678901", 44_444, Some(77))
        );
        assert_eq!(payment.created_at.to_rfc3339(), "2026-11-23T03:30:00+00:00");
        // printf ana@example.com | sha256sum
        assert_eq!(
            payment.payer.email.unwrap().hash(),
            "8e43ca37701228e74983efdbd0cff5c16b3b1e5d4e29a7c05626d4d25a018e11"
        );
        assert!(payment.payer.phone.is_some() && payment.payer.cpf.is_some());
        assert!(!format!("{payment:?}").contains("Ana"));
    }

    #[test]
    fn what_every_payment_has_is_asked_for_by_name() {
        let whole = r#"{"id":1,"status":"pending","live_mode":true,"operation_type":"regular_payment","collector_id":"44444",
            "currency_id":"BRL","transaction_amount":1,"date_created":"2026-11-22T23:30:00.000-04:00",
            "date_last_updated":"2026-11-22T23:30:00.000-04:00"}"#;
        let payment = read(whole).unwrap();
        assert_eq!(
            (payment.net_minor, payment.fee_minor, payment.refunded_minor),
            (None, None, 0)
        );
        for (field, named) in [
            (r#""id":1,"#, "id"),
            (r#""status":"pending","#, "status"),
            (r#""live_mode":true,"#, "live_mode"),
            (r#""collector_id":"44444","#, "collector_id"),
            (r#""currency_id":"BRL","#, "currency_id"),
            (r#""transaction_amount":1,"#, "transaction_amount"),
        ] {
            assert!(whole.contains(field), "{field}");
            assert_eq!(read(&whole.replace(field, "")), Err(ReadError::Invalid(named)));
        }
        let fraction = whole.replace("\"transaction_amount\":1", "\"transaction_amount\":1.005");
        assert_eq!(read(&fraction), Err(ReadError::Invalid("transaction_amount")));
    }
}
