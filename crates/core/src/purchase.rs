//! A purchase: an order as a page or a server records it, and the event that it becomes.

use std::borrow::Cow;

use crate::dataset::Currency;
use crate::event::{Draft, Event, Intake};
use crate::finding::{At, Finding, Findings};
use crate::json::{Json, Object, repeated_names};
use crate::match_keys::{HashedKeys, MatchKey};
use crate::person::PersonKeys;
use crate::personal_data;
use crate::placeholder::is_no_id;

const LONGEST_ID: usize = 200;
const LONGEST_LINE: usize = 500;
const MOST_FIELDS: usize = 50;
const MOST_ITEMS: usize = 500;
/// An amount beyond this, in major units, is a mistake.
const MOST: i64 = 100_000_000;

/// Who says of a dataset's orders that they were paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PurchaseSource {
    /// Whoever records them.
    #[default]
    Recorded,
    /// Only a confirmed payment. What is recorded is a claim.
    Verified,
}

impl PurchaseSource {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            PurchaseSource::Recorded => "recorded",
            PurchaseSource::Verified => "verified",
        }
    }

    /// From the word that is stored.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "recorded" => Some(PurchaseSource::Recorded),
            "verified" => Some(PurchaseSource::Verified),
            _ => None,
        }
    }
}

/// Where an order stands. It only moves on: from pending to approved, and from either to one of the last two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurchaseStatus {
    Pending,
    Approved,
    Refunded,
    Cancelled,
}

impl PurchaseStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            PurchaseStatus::Pending => "pending",
            PurchaseStatus::Approved => "approved",
            PurchaseStatus::Refunded => "refunded",
            PurchaseStatus::Cancelled => "cancelled",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [
            PurchaseStatus::Pending,
            PurchaseStatus::Approved,
            PurchaseStatus::Refunded,
            PurchaseStatus::Cancelled,
        ]
        .into_iter()
        .find(|status| status.as_str() == word)
    }
}

/// What of the event of a claim, or of a lead, is also true of the order that came of it: where it was, and
/// who.
const CARRIED_ON: [&str; 8] = [
    "action_source",
    "event_source_url",
    "referrer_url",
    "user_data",
    "opt_out",
    "data_processing_options",
    "data_processing_options_country",
    "data_processing_options_state",
];

/// What of an earlier finished event is true of the order, too. Nothing of one that cannot be read.
pub fn carried_on(payload: &str) -> Object<'static> {
    let Ok(Json::Object(mut fields)) = Json::parse(payload.as_bytes()) else {
        return Object::new();
    };
    fields.retain(|(name, _)| CARRIED_ON.contains(&&**name));
    let owned = fields
        .into_iter()
        .map(|(name, value)| (name.into_owned().into(), value.into_owned()));
    owned.collect()
}

/// The event of an order as its sender says it, with what was carried on where it says nothing. Who it is
/// comes later: see [`Purchase::event`].
pub fn completed<'a>(event: Option<Json<'a>>, carried: &Object<'a>) -> Option<Json<'a>> {
    let mut fields = match event {
        None => Object::new(),
        Some(Json::Object(fields)) => fields,
        other => return other,
    };
    for (name, value) in carried.iter().filter(|(name, _)| name != "user_data") {
        if !fields
            .iter()
            .any(|(said, value)| said == name && !value.is_nothing())
        {
            fields.retain(|(said, _)| said != name);
            fields.push((name.clone(), value.clone()));
        }
    }
    Some(Json::Object(fields))
}

/// An order, valid.
pub struct Purchase<'a> {
    pub order_id: Cow<'a, str>,
    /// In the smallest unit of the currency.
    pub amount_minor: i64,
    pub currency: Currency,
    pub status: PurchaseStatus,
    /// Our number of the lead that became it, if whoever records it knows.
    pub lead_id: Option<i64>,
    /// The business's own fields as a JSON object, without personal data.
    pub details: String,
    pub keys: PersonKeys,
    user_data: Object<'a>,
    value: Json<'a>,
    contents: Option<Json<'a>>,
}

impl<'a> Purchase<'a> {
    /// Reads `purchase`, naming every field that is wrong. `None` after saying so.
    pub fn read(json: Json<'a>, intake: &Intake<'_>, findings: &mut Findings) -> Option<Self> {
        let root = At::Event;
        let at = root.field("purchase");
        let object = match json {
            Json::Object(object) => object,
            other => {
                findings.wrong_kind(at, "an object", &other);
                return None;
            }
        };
        let errors = findings.errors.len();
        for name in repeated_names(&object) {
            findings.error(at.field(name), "stands twice");
        }
        if object.len() > MOST_FIELDS {
            findings.error(at, "has more than 50 fields");
            return None;
        }
        let (mut order_id, mut value, mut currency, mut status) =
            (None, None, None, PurchaseStatus::Approved);
        let (mut lead_id, mut contents) = (None, None);
        let (mut keys, mut user_data) = (PersonKeys::default(), Object::new());
        let mut details = Object::new();
        for (name, field) in object {
            let at = at.field(&name);
            match &*name {
                _ if field == Json::Null => {}
                "order_id" => order_id = id(field, at, findings),
                "value" => value = Some(field),
                "currency" => match field.as_str().and_then(Currency::parse) {
                    Some(code) => currency = Some(code),
                    None => findings.error(at, "must be an ISO 4217 code, such as \"BRL\""),
                },
                "status" => match field.as_str().and_then(PurchaseStatus::parse) {
                    Some(known) => status = known,
                    None => findings.error(at, "must be pending, approved, refunded or cancelled"),
                },
                "lead_id" => match field.as_i64().filter(|id| *id > 0) {
                    Some(id) => lead_id = Some(id),
                    None => findings.error(
                        at,
                        "must be the lead_id that POST /api/leads/capture answered with",
                    ),
                },
                "items" => contents = items(field, at, findings),
                "email" | "phone" | "external_id" | "cpf" => {
                    let text = match field {
                        // A spreadsheet takes a CPF for a number, and the zeros in front of it.
                        Json::Unsigned(number) if name == "cpf" => Ok(Cow::Owned(format!("{number:011}"))),
                        other => other.into_identifier(),
                    };
                    let Ok(text) = text else {
                        findings.error(at, "must be a text");
                        continue;
                    };
                    if name == "cpf" {
                        keys.cpf = PersonKeys::of_cpf(&text);
                        if keys.cpf.is_none() {
                            findings.error(at, "is not a CPF");
                        }
                        continue;
                    }
                    let key = match &*name {
                        "email" => MatchKey::Email,
                        "phone" => MatchKey::Phone,
                        _ => MatchKey::ExternalId,
                    };
                    match HashedKeys::new().add(key, &text, &intake.reading()) {
                        Err(dropped) => findings.error(at, format!("cannot be read: {dropped}")),
                        Ok(()) => {
                            keys.add(key, &text, &intake.reading());
                            user_data.push((Cow::Borrowed(key.wire_name()), Json::String(text)));
                        }
                    }
                }
                _ => {
                    if is_detail(&field) {
                        details.push((name, field));
                    } else {
                        findings.error(
                            at,
                            "must be a text of at most 500 bytes, a number, or true or false",
                        );
                    }
                }
            }
        }
        let details = personal_data::cleaned(details, at, findings);
        if order_id.is_none() {
            findings.missing(at.field("order_id"), "is required: your own number of the order");
        }
        let own = intake.defaults.currency;
        if let (Some(named), Some(own)) = (currency, own)
            && named != own
        {
            let own = own.as_str();
            findings.error(
                at.field("currency"),
                format!("is not {own}, the currency of this dataset: sums of two currencies mean nothing. Convert it"),
            );
        }
        let currency = currency.or(own);
        if currency.is_none() {
            findings.missing(at.field("currency"), "is required, such as \"BRL\"");
        }
        let amount = match (value, currency) {
            (None, _) => {
                findings.missing(at.field("value"), "is required: what was paid, such as 129.90");
                None
            }
            (Some(value), currency) => {
                let decimals = currency.map_or(3, Currency::decimals);
                match amount(&value, decimals) {
                    Ok(amount) => Some(amount),
                    Err(wrong) => {
                        findings.error(at.field("value"), wrong);
                        None
                    }
                }
            }
        };
        if findings.errors.len() > errors {
            return None;
        }
        let (amount_minor, currency) = (amount?, currency?);
        Some(Purchase {
            order_id: order_id?,
            amount_minor,
            currency,
            status,
            lead_id,
            details: serde_json::to_string(&Json::Object(details)).expect("text and numbers can be written"),
            keys,
            user_data,
            value: major(amount_minor, currency.decimals()),
            contents,
        })
    }

    /// The Purchase that it becomes: its id is the order's. `remembered` is what its claim or its lead knew of
    /// the person, by Meta's names.
    ///
    /// Returns what [`Event::read`] does; pointers begin with `/event`.
    pub fn event(
        &self,
        event: Option<Json<'a>>,
        remembered: &[(Cow<'a, str>, Json<'a>)],
        intake: &Intake<'a>,
    ) -> Result<(Event<'a>, Vec<Finding>), Vec<Finding>> {
        let mut draft = Draft::of(event, "Purchase", intake)?;
        let mut warnings = Vec::new();
        let mut say = |pointer: &str, detail: &'static str| {
            warnings.push(Finding {
                pointer: pointer.to_owned(),
                detail: detail.into(),
            });
        };
        if draft.set("event_name", Json::String(Cow::Borrowed("Purchase"))) {
            say("/event/event_name", "was replaced: an order is a Purchase");
        }
        let order_id = || Json::String(self.order_id.clone());
        if draft.set("event_id", order_id()) {
            say(
                "/event/event_id",
                "was replaced: the event of an order has the order's id",
            );
        }
        let mut custom_data: Object<'a> = vec![
            (Cow::Borrowed("value"), self.value.clone()),
            (
                Cow::Borrowed("currency"),
                Json::String(self.currency.as_str().to_owned().into()),
            ),
            (Cow::Borrowed("order_id"), order_id()),
        ];
        if let Some(contents) = &self.contents {
            custom_data.push((Cow::Borrowed("contents"), contents.clone()));
            custom_data.push((
                Cow::Borrowed("content_type"),
                Json::String(Cow::Borrowed("product")),
            ));
        }
        if draft.set("custom_data", Json::Object(custom_data)) {
            say("/event/custom_data", "was replaced by what the purchase says");
        }
        draft.add_person(&self.user_data);
        draft.add_person(remembered);
        let (event, more) = draft.finish(intake)?;
        warnings.extend(more);
        Ok((event, warnings))
    }
}

fn id<'a>(value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Cow<'a, str>> {
    let wrong = match value.into_identifier() {
        Ok(id) if id.trim().is_empty() => "must not be empty",
        Ok(id) if id.len() > LONGEST_ID => "is longer than 200 bytes",
        Ok(id) if id.contains(char::is_control) => "must not contain control characters",
        // The first that came would take it for all that follow.
        Ok(id) if is_no_id(&id) || id.contains(char::REPLACEMENT_CHARACTER) => {
            "is no id but what stands for one that was not filled in"
        }
        Ok(id) if personal_data::holds_personal_data(&id) => {
            "must not hold personal data: it is sent as it is"
        }
        Ok(id) => return Some(id),
        Err(_) => "must be a text",
    };
    findings.error(at, wrong);
    None
}

fn items<'a>(value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    match value {
        Json::Array(items) if items.is_empty() => None,
        Json::Array(items) if items.len() <= MOST_ITEMS => Some(Json::Array(items)),
        Json::Array(_) => {
            findings.error(at, "has more than 500 items");
            None
        }
        other => {
            findings.wrong_kind(at, "a list of items, as in custom_data.contents", &other);
            None
        }
    }
}

fn is_detail(value: &Json<'_>) -> bool {
    match value {
        Json::String(text) => text.len() <= LONGEST_LINE && !text.contains(char::is_control),
        Json::Array(_) | Json::Object(_) => false,
        _ => true,
    }
}

/// What was paid, in the smallest unit. No fraction of it is ever rounded; only what a sum of binary numbers
/// leaves behind (3 x 29.90 is 89.69999999999999 in JavaScript) is none.
fn amount(value: &Json<'_>, decimals: u32) -> Result<i64, &'static str> {
    const NOT_AN_AMOUNT: &str = "must be a number with a decimal point, such as 129.90";
    let text = match value {
        Json::Unsigned(number) => number.to_string(),
        Json::Negative(_) => return Err("must not be negative; a refund is the status refunded"),
        Json::Float(number) => format!("{number:.6}"),
        Json::String(text) => text.trim().to_owned(),
        _ => return Err(NOT_AN_AMOUNT),
    };
    if text.starts_with('-') {
        return Err("must not be negative; a refund is the status refunded");
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || !is_digits(whole)
        || !is_digits(fraction)
        || (fraction.is_empty() && text.contains('.'))
    {
        return Err(NOT_AN_AMOUNT);
    }
    let fraction = fraction.trim_end_matches('0');
    let places = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
    if places > decimals {
        return Err("has more decimals than its currency has");
    }
    const ABSURD: &str = "is more than 100,000,000: is it in cents?";
    let whole: i64 = whole.parse().ok().filter(|whole| *whole <= MOST).ok_or(ABSURD)?;
    let part = fraction.parse::<i64>().unwrap_or(0) * 10_i64.pow(decimals - places);
    match whole * 10_i64.pow(decimals) + part {
        0 => Err("must be more than zero"),
        minor => Ok(minor),
    }
}

/// As Meta takes it.
fn major(minor: i64, decimals: u32) -> Json<'static> {
    let unit = 10_i64.pow(decimals);
    let width = decimals as usize;
    let text = match decimals {
        0 => minor.to_string(),
        _ => format!("{}.{:0width$}", minor / unit, minor % unit),
    };
    match text.parse() {
        Ok(value) => Json::Float(value),
        Err(_) => Json::String(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intake() -> Intake<'static> {
        Intake {
            now_ms: 1_790_000_000_000,
            current_year: 2026,
            defaults: crate::dataset::DatasetDefaults {
                country: None,
                currency: Currency::parse("BRL"),
            },
            ..Intake::default()
        }
    }

    fn read(text: &str) -> Result<Purchase<'_>, Vec<Finding>> {
        let mut findings = Findings::default();
        Purchase::read(Json::parse(text.as_bytes()).unwrap(), &intake(), &mut findings).ok_or(findings.errors)
    }

    #[test]
    fn amounts_are_minor_units_of_their_currency_digit_by_digit() {
        for (text, currency, minor) in [
            ("129.9", "BRL", 12_990),
            ("0.29", "BRL", 29),
            ("\"1.10\"", "BRL", 110),
            ("4.35", "BRL", 435),
            ("1019.99", "BRL", 101_999),
            ("5", "JPY", 5),
            ("5.00", "JPY", 5),
            ("1.234", "KWD", 1_234),
            ("100000000", "BRL", 10_000_000_000),
            // 3 * 29.9, 3 * 19.9 and 0.1 + 0.2, as JavaScript and Python write them.
            ("89.69999999999999", "BRL", 8_970),
            ("59.699999999999996", "BRL", 5_970),
            ("0.30000000000000004", "BRL", 30),
        ] {
            let decimals = Currency::parse(currency).unwrap().decimals();
            let value = Json::parse(text.as_bytes()).unwrap();
            assert_eq!(amount(&value, decimals), Ok(minor), "{text} {currency}");
        }
        for (text, decimals) in [
            ("-1", 2),
            ("-0.01", 2),
            ("\"-5\"", 2),
            ("0", 2),
            ("0.00", 2),
            ("0.001", 2),
            ("129.994999", 2),
            ("\"89.69999999999999\"", 2),
            ("5.5", 0),
            ("100000001", 2),
            ("1e300", 2),
            ("18446744073709551615", 2),
            ("\"12,90\"", 2),
            ("\"1e3\"", 2),
            ("\"\"", 2),
            ("\"1.\"", 2),
            ("true", 2),
            ("[1]", 2),
        ] {
            assert!(
                amount(&Json::parse(text.as_bytes()).unwrap(), decimals).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn every_wrong_field_is_named_and_another_currency_is_one() {
        let wrong = read(
            r#"{"order_id":"","value":-3,"currency":"USD","status":"paid","lead_id":"x","items":{},"plan":{"a":1},"email":"x"}"#,
        );
        let Err(errors) = wrong else { panic!("not valid") };
        let mut named: Vec<&str> = errors.iter().map(|error| &*error.pointer).collect();
        named.sort_unstable();
        let expected = [
            "currency", "email", "items", "lead_id", "order_id", "plan", "status", "value",
        ];
        assert_eq!(named, expected.map(|name| format!("/purchase/{name}")));
        let currency = errors
            .iter()
            .find(|error| error.pointer == "/purchase/currency")
            .unwrap();
        assert!(currency.detail.contains("BRL"), "{}", currency.detail);
        assert_eq!(read("{}").err().map(|errors| errors.len()), Some(2));
    }

    #[test]
    fn an_order_id_that_nobody_filled_in_is_none() {
        for id in [
            "undefined",
            "{{order_id}}",
            "null",
            "[object Object]",
            "0",
            "1\u{fffd}2",
        ] {
            let purchase = format!(r#"{{"order_id":"{id}","value":10,"currency":"BRL"}}"#);
            let errors = read(&purchase).err().unwrap_or_default();
            assert_eq!(errors.len(), 1, "{id}");
            assert_eq!(errors[0].pointer, "/purchase/order_id");
        }
    }

    #[test]
    fn its_event_has_the_orders_id_and_value() {
        let text = r#"{"order_id":"1042","value":129.90,"service_type":"clareamento","email":"ana@example.com",
            "contact_email":"ana@example.com","items":[{"id":"7","quantity":1}]}"#;
        let purchase = read(text).unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(
            (purchase.amount_minor, purchase.currency.as_str()),
            (12_990, "BRL")
        );
        assert_eq!(purchase.details, r#"{"service_type":"clareamento"}"#);
        let sent = br#"{"event_id":"other","event_name":"Lead"}"#;
        let event = purchase.event(Some(Json::parse(sent).unwrap()), &[], &intake());
        let (event, warnings) = event.unwrap();
        assert_eq!(
            (&*event.name, &*event.id, warnings.len()),
            ("Purchase", "1042", 2)
        );
        let json = event.to_json();
        assert!(
            json.contains(r#""value":129.9"#) && json.contains(r#""order_id":"1042""#),
            "{json}"
        );
    }

    #[test]
    fn what_a_claim_says_stands_under_what_is_said_of_the_order() {
        let claim = r#"{"event_name":"Purchase","event_time":1,"event_id":"x","action_source":"website",
            "event_source_url":"https://loja.example/","user_data":{"fbp":"p"},"custom_data":{"value":1}}"#;
        let carried = carried_on(claim);
        let names: Vec<&str> = carried.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["action_source", "event_source_url", "user_data"]);
        let written = |event: Option<&str>| {
            let event = event.map(|event| Json::parse(event.as_bytes()).unwrap());
            serde_json::to_string(&completed(event, &carried)).unwrap()
        };
        assert_eq!(
            written(None),
            r#"{"action_source":"website","event_source_url":"https://loja.example/"}"#
        );
        assert_eq!(
            written(Some(r#"{"event_source_url":null,"action_source":"phone_call"}"#)),
            r#"{"action_source":"phone_call","event_source_url":"https://loja.example/"}"#
        );
        assert_eq!(written(Some("7")), "7", "refused where it is read");
        for nothing in ["", "[]", "{"] {
            assert!(carried_on(nothing).is_empty(), "{nothing}");
        }
    }
}
