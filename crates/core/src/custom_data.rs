//! `custom_data`: what was bought, asked for or looked at, and for how much. Known fields are checked; any
//! other name is the business's own and passes as it is, unless it is personal data.
//!
//! A detail that cannot be read is left out with a warning, and an odd number of things is rounded: half a
//! kilo of cheese must not cost the sale. Only a Purchase's value and currency are required
//! (`event/check.rs`).
//!
//! Source: Meta, "Custom data parameters".

use std::borrow::Cow;

use serde::ser::{Serialize, Serializer};

use crate::dataset::Currency;
use crate::finding::{At, Findings};
use crate::json::{Json, Object};
use crate::match_keys::{is_invisible, visible};
use crate::personal_data;

/// The custom data of one event, known fields in the form Meta takes.
#[derive(Debug, Default)]
pub struct CustomData<'a> {
    fields: Object<'a>,
    /// A currency came that could not be read. Then the value is in no other.
    has_unreadable_currency: bool,
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
        let has_currency = object
            .iter()
            .any(|(name, value)| name == "currency" && !value.is_nothing());
        let read = |(name, value): (Cow<'a, str>, Json<'a>)| {
            let value = read_field(&name, value, at.field(&name), findings)?;
            Some((name, value))
        };
        let fields: Object<'a> = object.into_iter().filter_map(read).collect();
        CustomData {
            has_unreadable_currency: has_currency && !fields.iter().any(|(name, _)| name == "currency"),
            fields,
        }
    }

    /// Whether the value may be taken to be in the currency that the owner of the dataset assumes.
    pub(crate) fn lacks_currency(&self) -> bool {
        self.get("value").is_some() && self.get("currency").is_none() && !self.has_unreadable_currency
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

/// One field in the form Meta takes, or `None` if it says nothing or after saying why it was left out.
fn read_field<'a>(name: &str, value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    if value.is_nothing() {
        return None;
    }
    match name {
        "value" | "net_revenue" | "predicted_ltv" => amount(value, at, findings),
        "currency" => currency(value, at, findings),
        "num_items" => count(value, at, findings),
        "content_ids" => strings(value, at, findings),
        "contents" => contents(value, at, findings),
        "delivery_category" => one_of(&DELIVERY_CATEGORIES, value, at, findings),
        "customer_segmentation" => one_of(&CUSTOMER_SEGMENTATIONS, value, at, findings),
        "status" => match value {
            // What Meta's Pixel takes for a finished registration, and its servers as a string.
            Json::Bool(done) => Some(Json::String(Cow::Borrowed(if done { "true" } else { "false" }))),
            value => text(value, at, findings),
        },
        // Meta's types are many and grow: hotel, flight, destination, vehicle, home_listing, ...
        "content_type" | "order_id" | "item_number" => id(value, at, findings),
        "content_category" | "content_name" | "search_string" | "lead_event_source" => {
            text(value, at, findings)
        }
        "store_data" => match value {
            Json::Object(_) => Some(value),
            other => {
                findings.left_out_kind(at, "an object", &other);
                None
            }
        },
        "" => {
            findings.left_out(at, "it has no name");
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
    findings.left_out(at, "it must be a number with a decimal point, such as 129.90");
    None
}

/// A number of things: a whole number, perhaps written as a string, as shops' data layers do. Half a kilo is
/// one thing.
fn count<'a>(value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    /// More of anything was not sold.
    const MOST: f64 = 1e15;
    const DETAIL: &str = "it must be a whole number of items";
    if let Some(count) = value.whole_number().and_then(|count| u64::try_from(count).ok()) {
        return Some(Json::Unsigned(count));
    }
    let count = match &value {
        Json::Float(count) => Some(*count),
        Json::String(text) => Some(text.trim())
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
            .and_then(|text| text.parse().ok()),
        _ => None,
    };
    let Some(count) = count.filter(|count: &f64| (0.0..MOST).contains(count)) else {
        findings.left_out(at, DETAIL);
        return None;
    };
    let rounded = if count > 0.0 { count.round().max(1.0) } else { 0.0 };
    if rounded != count {
        findings.warn(at, format!("was rounded to {rounded}: {DETAIL}"));
    }
    Some(Json::Unsigned(rounded as u64))
}

fn currency<'a>(value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    match value.as_str().and_then(Currency::parse) {
        Some(currency) => Some(Json::String(Cow::Owned(currency.as_str().to_owned()))),
        None => {
            findings.left_out(at, "it must be an ISO 4217 code, such as \"BRL\"");
            None
        }
    }
}

/// A text for people: several are joined, and what is too long is cut.
fn text<'a>(value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    let value = match value {
        Json::Array(items)
            if items
                .iter()
                .all(|item| matches!(item, Json::String(_) | Json::Null)) =>
        {
            let texts: Vec<&str> = items.iter().filter_map(Json::as_str).collect();
            Json::String(Cow::Owned(texts.join(", ")))
        }
        other => other,
    };
    match value.into_identifier() {
        Ok(text) if text.trim().is_empty() => None,
        Ok(text) if text.len() > LONGEST => {
            findings.warn(at, "was cut to 5,000 bytes");
            let mut text = text.into_owned();
            text.truncate(text.floor_char_boundary(LONGEST));
            Some(Json::String(Cow::Owned(text)))
        }
        Ok(text) => Some(Json::String(text)),
        Err(other) => {
            findings.left_out_kind(at, "a string", &other);
            None
        }
    }
}

/// A text that must equal another one somewhere: it is whole, or it is none.
fn id<'a>(value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    match value.into_identifier() {
        Ok(id) if id.trim().is_empty() => None,
        Ok(id) if id.len() > LONGEST => {
            findings.left_out(at, "it is longer than 5,000 bytes");
            None
        }
        Ok(id) if id.contains(is_invisible) => {
            let id = visible(&id).into_owned();
            (!id.trim().is_empty()).then_some(Json::String(Cow::Owned(id)))
        }
        Ok(id) => Some(Json::String(id)),
        Err(other) => {
            findings.left_out_kind(at, "a string", &other);
            None
        }
    }
}

fn one_of<'a>(allowed: &[&str], value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    if value.as_str().is_some_and(|text| allowed.contains(&text)) {
        return Some(value);
    }
    findings.left_out(at, format_args!("it must be one of {}", allowed.join(", ")));
    None
}

/// The items of a list, however it is written: as one, as the JSON of one inside a text, as PHP's list with
/// gaps (an object named by numbers), or as its only item where `is_item` says so. What came inside a text is
/// looked at for personal data here.
fn list<'a>(
    name: &str,
    value: Json<'a>,
    is_item: impl Fn(&Json<'_>) -> bool,
    at: At<'_>,
    findings: &mut Findings,
) -> Result<Vec<Json<'a>>, Json<'a>> {
    match value {
        Json::Array(items) => Ok(items),
        Json::String(text) if text.trim_start().starts_with(['[', '{']) => match Json::parse_within(&text) {
            Some(inside @ (Json::Array(_) | Json::Object(_))) => {
                match personal_data::cleaned_value(name, inside, at, findings) {
                    Some(inside) => list(name, inside, is_item, at, findings),
                    None => Ok(Vec::new()),
                }
            }
            _ => Err(Json::String(text)),
        },
        Json::Object(fields)
            if fields
                .iter()
                .all(|(name, _)| name.bytes().all(|byte| byte.is_ascii_digit())) =>
        {
            Ok(fields.into_iter().map(|(_, item)| item).collect())
        }
        item if is_item(&item) => Ok(vec![item]),
        other => Err(other),
    }
}

fn strings<'a>(value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    let is_item = |value: &Json<'_>| matches!(value, Json::Unsigned(_) | Json::Float(_));
    let items = match list("content_ids", value, is_item, at, findings) {
        Ok(items) => items,
        Err(Json::String(text)) if !text.trim_start().starts_with(['[', '{']) => text
            .split(',')
            .map(|item| Json::String(Cow::Owned(item.trim().to_owned())))
            .collect(),
        Err(other) => {
            findings.left_out_kind(at, "a list of strings", &other);
            return None;
        }
    };
    let read = |(index, item): (usize, Json<'a>)| match item.is_nothing() {
        true => None,
        false => id(item, at.index(index), findings),
    };
    Some(Json::Array(
        items.into_iter().enumerate().filter_map(read).collect(),
    ))
}

fn contents<'a>(value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    let has_id = |fields: &Object<'_>| fields.iter().any(|(name, _)| name == "id");
    let is_item = |value: &Json<'_>| matches!(value, Json::Object(fields) if has_id(fields));
    let items = match list("contents", value, is_item, at, findings) {
        Ok(items) => items,
        Err(other) => {
            findings.left_out_kind(at, "a list of objects", &other);
            return None;
        }
    };
    let read = |(index, item): (usize, Json<'a>)| match item {
        nothing if nothing.is_nothing() => None,
        Json::Object(fields) => product(fields, at.index(index), findings),
        other => match other.into_identifier() {
            Ok(text) => {
                let id = id(Json::String(text), at.index(index), findings)?;
                Some(Json::Object(vec![(Cow::Borrowed("id"), id)]))
            }
            Err(other) => {
                findings.left_out_kind(at.index(index), "an object", &other);
                None
            }
        },
    };
    Some(Json::Array(
        items.into_iter().enumerate().filter_map(read).collect(),
    ))
}

/// One of the things bought, asked for or looked at.
fn product<'a>(fields: Object<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    let read = |(name, value): (Cow<'a, str>, Json<'a>)| {
        let at = at.field(&name);
        let value = match &*name {
            _ if value.is_nothing() => None,
            "id" => id(value, at, findings),
            "item_price" => amount(value, at, findings),
            "quantity" => count(value, at, findings),
            "delivery_category" => one_of(&DELIVERY_CATEGORIES, value, at, findings),
            "title" | "description" | "brand" | "category" => text(value, at, findings),
            _ => Some(value),
        };
        Some((name, value?))
    };
    let fields: Object<'a> = fields.into_iter().filter_map(read).collect();
    if fields.iter().any(|(name, _)| name == "id") {
        return Some(Json::Object(fields));
    }
    findings.left_out(at, "it has no id, which is the product's id in the catalogue");
    None
}
