//! `custom_data`: what was bought, asked for or looked at, and for how much. Known fields are checked; any other
//! name is the business's own and passes as it is, unless it is personal data.
//!
//! Source: Meta, "Custom data parameters".

use std::borrow::Cow;

use serde::ser::{Serialize, Serializer};

use crate::dataset::Currency;
use crate::finding::{At, Findings};
use crate::json::{Json, Object};
use crate::personal_data;

/// The custom data of one event, known fields in the form Meta takes.
#[derive(Debug, Default)]
pub struct CustomData<'a> {
    fields: Object<'a>,
}

const DELIVERY_CATEGORIES: [&str; 3] = ["in_store", "curbside", "home_delivery"];

pub(crate) const CUSTOMER_SEGMENTATIONS: [&str; 9] = [
    "new_customer_to_business",
    "new_customer_to_business_line",
    "new_customer_to_product_area",
    "new_customer_to_medium",
    "existing_customer_to_business",
    "existing_customer_to_business_line",
    "existing_customer_to_product_area",
    "existing_customer_to_medium",
    "customer_in_loyalty_program",
];

/// The longest string taken, in bytes.
const LONGEST: usize = 5_000;

impl<'a> CustomData<'a> {
    /// Reads the object, naming every field that is wrong.
    pub(crate) fn read(object: Object<'a>, findings: &mut Findings) -> Self {
        let at = At::Event.field("custom_data");
        let object = personal_data::cleaned(object, at, findings);
        let read = |(name, value): (Cow<'a, str>, Json<'a>)| {
            let value = read_field(&name, value, at.field(&name), findings)?;
            Some((name, value))
        };
        CustomData {
            fields: object.into_iter().filter_map(read).collect(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// Adds a field that is not there yet.
    pub(crate) fn add(&mut self, name: &'static str, value: Json<'a>) {
        self.fields.push((Cow::Borrowed(name), value));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether the value is below zero.
    pub(crate) fn has_negative_value(&self) -> bool {
        match self.get("value") {
            Some(Json::Negative(_)) => true,
            Some(Json::Float(value)) => *value < 0.0,
            _ => false,
        }
    }
}

impl Serialize for CustomData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.fields.iter().map(|(name, value)| (name, value)))
    }
}

/// One field in the form Meta takes, or `None` if it says nothing or after saying what is wrong with it.
fn read_field<'a>(name: &str, value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    if value == Json::Null {
        return None; // Meta's SDKs write null for what they were not given.
    }
    match name {
        "value" | "net_revenue" | "predicted_ltv" => amount(value, at, findings),
        "currency" => currency(value, at, findings),
        "num_items" => count(value, at, findings),
        "content_ids" => strings(value, at, findings),
        "contents" => contents(value, at, findings),
        "content_type" => one_of(&["product", "product_group"], value, at, findings),
        "delivery_category" => one_of(&DELIVERY_CATEGORIES, value, at, findings),
        "customer_segmentation" => one_of(&CUSTOMER_SEGMENTATIONS, value, at, findings),
        "status" => match value {
            // What Meta's Pixel takes for a finished registration, and its servers as a string.
            Json::Bool(done) => Some(Json::String(Cow::Borrowed(if done { "true" } else { "false" }))),
            value => text(value, at, findings),
        },
        "content_category" | "content_name" | "order_id" | "item_number" | "search_string"
        | "lead_event_source" => text(value, at, findings),
        "store_data" => match value {
            Json::Object(_) => Some(value),
            other => {
                findings.wrong_kind(at, "an object", &other);
                None
            }
        },
        "" => {
            findings.error(at, "has no name");
            None
        }
        _ => Some(match value {
            Json::Array(items) => Json::Array(without_nulls(items)),
            value => value,
        }),
    }
}

fn without_nulls(mut items: Vec<Json<'_>>) -> Vec<Json<'_>> {
    items.retain(|item| *item != Json::Null);
    items
}

/// An amount in major units ("129.90" is R$ 129,90): a number, or a decimal written as a string.
fn amount<'a>(value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    match value {
        Json::Unsigned(_) | Json::Negative(_) => return Some(value),
        // The sum turns -0.0, which some would call negative, into 0.0.
        Json::Float(amount) => return Some(Json::Float(amount + 0.0)),
        Json::String(text) => {
            let text = text.trim();
            // Digits only: `parse` also takes exponents, "inf" and "nan".
            let is_decimal = text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
            if let Some(amount) = text
                .parse()
                .ok()
                .filter(|amount: &f64| is_decimal && amount.is_finite())
            {
                return Some(Json::Float(amount + 0.0));
            }
        }
        _ => {}
    }
    findings.error(at, "must be a number with a decimal point, such as 129.90");
    None
}

/// A number of things: a whole number, perhaps written as a string, as shops' data layers do.
fn count<'a>(value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let count = match &value {
        Json::String(text) => Some(text.trim())
            .filter(|text| is_digits(text))
            .and_then(|text| text.parse().ok()),
        value => value.as_i64(),
    };
    let count = count.and_then(|count: i64| u64::try_from(count).ok());
    if count.is_none() {
        findings.error(at, "must be a whole number of items");
    }
    count.map(Json::Unsigned)
}

fn currency<'a>(value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    match value.as_str().and_then(Currency::parse) {
        Some(currency) => Some(Json::String(Cow::Owned(currency.as_str().to_owned()))),
        None => {
            findings.error(at, "must be an ISO 4217 code, such as \"BRL\"");
            None
        }
    }
}

fn text<'a>(value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    match value.into_identifier() {
        Ok(text) if text.len() > LONGEST => {
            findings.error(at, "is longer than 5,000 bytes");
            None
        }
        Ok(text) => Some(Json::String(text)),
        Err(other) => {
            findings.wrong_kind(at, "a string", &other);
            None
        }
    }
}

fn one_of<'a>(allowed: &[&str], value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    if value.as_str().is_some_and(|text| allowed.contains(&text)) {
        return Some(value);
    }
    findings.error(at, format!("must be one of {}", allowed.join(", ")));
    None
}

fn strings<'a>(value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    let Json::Array(items) = value else {
        findings.wrong_kind(at, "a list of strings", &value);
        return None;
    };
    let read = |(index, item)| match item {
        Json::Null => None,
        item => text(item, at.index(index), findings),
    };
    Some(Json::Array(
        items.into_iter().enumerate().filter_map(read).collect(),
    ))
}

fn contents<'a>(value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    let Json::Array(items) = value else {
        findings.wrong_kind(at, "a list of objects", &value);
        return None;
    };
    let read = |(index, item)| match item {
        Json::Null => None,
        Json::Object(fields) => Some(product(fields, at.index(index), findings)),
        other => {
            findings.wrong_kind(at.index(index), "an object", &other);
            None
        }
    };
    Some(Json::Array(
        items.into_iter().enumerate().filter_map(read).collect(),
    ))
}

/// One of the things bought, asked for or looked at.
fn product<'a>(fields: Object<'a>, at: At<'_>, findings: &mut Findings) -> Json<'a> {
    let read = |(name, value): (Cow<'a, str>, Json<'a>)| {
        let at = at.field(&name);
        let value = match &*name {
            _ if value == Json::Null => None,
            "id" => text(value, at, findings),
            "item_price" => amount(value, at, findings),
            "quantity" => count(value, at, findings),
            "delivery_category" => one_of(&DELIVERY_CATEGORIES, value, at, findings),
            "title" | "description" | "brand" | "category" => text(value, at, findings),
            _ => Some(value),
        };
        Some((name, value?))
    };
    let fields: Object<'a> = fields.into_iter().filter_map(read).collect();
    if !fields.iter().any(|(name, _)| name == "id") {
        findings.missing(at.field("id"), "is required: the product's id in the catalogue");
    }
    Json::Object(fields)
}
