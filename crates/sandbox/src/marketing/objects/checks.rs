//! What Meta refuses of these objects.

use serde_json::{Map, Value, json};

use super::super::Book;
use super::{Edge, Object};
use crate::refusal::Refusal;

type Parameters = Map<String, Value>;

const EVENT_TYPES: [&str; 21] = [
    "ADD_PAYMENT_INFO",
    "ADD_TO_CART",
    "ADD_TO_WISHLIST",
    "COMPLETE_REGISTRATION",
    "CONTACT",
    "CONTENT_VIEW",
    "CUSTOMIZE_PRODUCT",
    "DONATE",
    "FACEBOOK_SELECTED",
    "FIND_LOCATION",
    "INITIATED_CHECKOUT",
    "LEAD",
    "LISTING_INTERACTION",
    "OTHER",
    "PURCHASE",
    "SCHEDULE",
    "SEARCH",
    "START_TRIAL",
    "SUBMIT_APPLICATION",
    "SUBSCRIBE",
    "VIEW_CONTENT",
];
/// The evaluator of Meta's Android SDK knows these.
const OPERATORS: [&str; 10] = [
    "eq",
    "neq",
    "contains",
    "i_contains",
    "i_not_contains",
    "regex_match",
    "lt",
    "lte",
    "gt",
    "gte",
];
const LONGEST_NAME: usize = 255;
const MOST_RULES: usize = 10;
const MOST_FILTERS: usize = 100;
const LONGEST_RETENTION_DAYS: i64 = 180;
const DAY_SECONDS: i64 = 86_400;
/// Of the seed of a lookalike.
const FEWEST_PEOPLE: i64 = 100;

pub(super) fn conversion(book: &Book, account: &str, asked: &Parameters) -> Result<Parameters, Refusal> {
    known_only(
        asked,
        &[
            "name",
            "description",
            "event_source_id",
            "rule",
            "advanced_rule",
            "custom_event_type",
            "action_source_type",
            "default_conversion_value",
        ],
    )?;
    free_name(book, account, Edge::Conversions, text(asked, "name")?)?;
    pixel(book, account, text(asked, "event_source_id")?)?;
    let event_type = text(asked, "custom_event_type")?;
    if !EVENT_TYPES.contains(&event_type) {
        return Err(Refusal::parameter(format!(
            "(#100) Param custom_event_type must be one of {{{}}}",
            EVENT_TYPES.join(", ")
        )));
    }
    let needs_rule = || Refusal::plain(100, Some(1_760_020), "A conversion rule is required");
    let rule = asked.get("rule").and_then(Value::as_str).ok_or_else(needs_rule)?;
    let rule = parsed("rule", rule)?;
    let mut names_url = false;
    clause(&rule, &mut names_url, 0)?;
    if !names_url {
        return Err(needs_rule());
    }
    let same = |other: &Object| parsed("rule", other.text("rule")).is_ok_and(|other| other == rule);
    if book.objects_of(account, Edge::Conversions).any(same) {
        let message = "A custom conversion with this rule exists already";
        return Err(Refusal::plain(100, Some(1_760_002), message));
    }
    let most = book.access[account].most_conversions;
    within(
        book.objects_of(account, Edge::Conversions).count(),
        most,
        "custom conversions",
    )?;
    Ok(asked.clone())
}

/// `{"and": [...]}`, `{"or": [...]}`, `{"not": {...}}`, or `{"<variable>": {"<operator>": "<value>"}}`.
fn clause(rule: &Value, names_url: &mut bool, depth: usize) -> Result<(), Refusal> {
    let wrong = || Refusal::parameter("(#100) Param rule is not a valid rule");
    let members = rule
        .as_object()
        .filter(|members| members.len() == 1 && depth < 10);
    let (name, value) = members
        .and_then(|members| members.iter().next())
        .ok_or_else(wrong)?;
    match name.as_str() {
        "and" | "or" => {
            let clauses = value
                .as_array()
                .filter(|clauses| !clauses.is_empty())
                .ok_or_else(wrong)?;
            clauses
                .iter()
                .try_for_each(|rule| clause(rule, names_url, depth + 1))
        }
        "not" => clause(value, names_url, depth + 1),
        variable => {
            let test = value
                .as_object()
                .filter(|test| test.len() == 1)
                .ok_or_else(wrong)?;
            let (operator, value) = test.iter().next().ok_or_else(wrong)?;
            *names_url |= variable.eq_ignore_ascii_case("url");
            let is_test = OPERATORS.contains(&operator.as_str()) && value.is_string();
            is_test.then_some(()).ok_or_else(wrong)
        }
    }
}

pub(super) fn audience(book: &Book, account: &str, asked: &Parameters) -> Result<Parameters, Refusal> {
    if !book.access[account].terms_accepted {
        let message = "(#200) Custom Audience terms of service have not been accepted";
        return Err(Refusal::plain(200, Some(1_870_090), message));
    }
    free_name(book, account, Edge::Audiences, text(asked, "name")?)?;
    match asked.get("subtype").and_then(Value::as_str) {
        None | Some("WEBSITE") => website(book, account, asked),
        Some("LOOKALIKE") => lookalike(book, account, asked),
        Some(other) => Err(Refusal::parameter(format!(
            "the sandbox knows no subtype {other}"
        ))),
    }
}

fn website(book: &Book, account: &str, asked: &Parameters) -> Result<Parameters, Refusal> {
    known_only(
        asked,
        &[
            "name",
            "description",
            "subtype",
            "rule",
            "retention_days",
            "prefill",
        ],
    )?;
    let days = retention_days(asked)?;
    audience_rule(book, account, &parsed("rule", text(asked, "rule")?)?, days)?;
    let websites = book
        .objects_of(account, Edge::Audiences)
        .filter(|other| !other.is_lookalike());
    within(
        websites.count(),
        book.access[account].most_audiences,
        "website audiences",
    )?;
    let mut fields = asked.clone();
    fields.insert("subtype".to_owned(), json!("WEBSITE"));
    Ok(fields)
}

fn retention_days(asked: &Parameters) -> Result<i64, Refusal> {
    let days = asked.get("retention_days").and_then(Value::as_i64);
    let days = days.filter(|days| (1..=LONGEST_RETENTION_DAYS).contains(days));
    days.ok_or_else(|| Refusal::parameter("(#100) Param retention_days must be between 1 and 180"))
}

fn audience_rule(book: &Book, account: &str, rule: &Value, days: i64) -> Result<(), Refusal> {
    let wrong = |why: &str| Refusal::parameter(format!("(#100) Param rule is not valid: {why}"));
    let set = &rule["inclusions"];
    let operator = |set: &Value| matches!(set["operator"].as_str(), Some("and" | "or"));
    let rules = set["rules"]
        .as_array()
        .filter(|rules| operator(set) && !rules.is_empty());
    let rules = rules.ok_or_else(|| wrong("inclusions need an operator and rules"))?;
    if rules.len() > MOST_RULES {
        return Err(wrong("an audience has at most 10 rules"));
    }
    for rule in rules {
        let sources = rule["event_sources"]
            .as_array()
            .filter(|sources| !sources.is_empty());
        for source in sources.ok_or_else(|| wrong("event_sources are required"))? {
            if source["type"] != "pixel" {
                return Err(wrong("the sandbox knows event sources of type pixel"));
            }
            pixel(book, account, source["id"].as_str().unwrap_or_default())?;
        }
        let seconds = rule["retention_seconds"].as_i64();
        if seconds.is_none_or(|seconds| !(1..=days * DAY_SECONDS).contains(&seconds)) {
            return Err(wrong(
                "retention_seconds must be at least 1 and within retention_days",
            ));
        }
        let filter = &rule["filter"];
        let filters = filter["filters"].as_array().filter(|_| operator(filter));
        let filters = filters.filter(|filters| (1..=MOST_FILTERS).contains(&filters.len()));
        for filter in filters.ok_or_else(|| wrong("a filter needs an operator and 1 to 100 filters"))? {
            let word = filter["operator"].as_str().unwrap_or_default();
            let is_test =
                filter["field"].is_string() && OPERATORS.contains(&word) && filter["value"].is_string();
            if !is_test || filter["field"] == "event" && word != "eq" {
                return Err(wrong(
                    "a filter needs a field, an operator and a value; of event the operator is eq",
                ));
            }
        }
    }
    Ok(())
}

fn lookalike(book: &Book, account: &str, asked: &Parameters) -> Result<Parameters, Refusal> {
    known_only(
        asked,
        &[
            "name",
            "description",
            "subtype",
            "origin_audience_id",
            "lookalike_spec",
        ],
    )?;
    let origin = text(asked, "origin_audience_id")?;
    let seed = book
        .objects_of(account, Edge::Audiences)
        .find(|other| other.id == origin);
    let seed = seed.filter(|seed| !seed.is_lookalike());
    let seed = seed.ok_or_else(|| Refusal::parameter("(#100) Invalid origin_audience_id"))?;
    if book.people_of(seed) < FEWEST_PEOPLE {
        let message = "(#100) Your source audience must have at least 100 people from the country";
        return Err(Refusal::parameter(message));
    }
    let spec = match asked.get("lookalike_spec") {
        Some(Value::String(spec)) => parsed("lookalike_spec", spec)?,
        Some(spec) => spec.clone(),
        None => Value::Null,
    };
    check_spec(&spec)?;
    let fields = |spec: &Value| {
        (
            spec["ratio"].clone(),
            spec["type"].clone(),
            spec["country"].clone(),
        )
    };
    let same = |other: &Object| {
        other.is_lookalike()
            && other.fields["lookalike_spec"]["origin"][0]["id"] == origin
            && fields(&other.fields["lookalike_spec"]) == fields(&spec)
    };
    if book.objects_of(account, Edge::Audiences).any(same) {
        let message = "(#2654) Can't Create a Duplicate Lookalike: You've already created a lookalike audience with the same \
                       source, country and size.";
        return Err(Refusal::plain(2_654, None, message));
    }
    let lookalikes = book
        .objects_of(account, Edge::Audiences)
        .filter(|other| other.is_lookalike());
    within(
        lookalikes.count(),
        book.access[account].most_lookalikes,
        "lookalike audiences",
    )?;
    let mut made = asked.clone();
    let mut spec = spec;
    spec["origin"] = json!([{ "id": origin, "name": seed.text("name"), "type": "custom_audience" }]);
    made.insert("lookalike_spec".to_owned(), spec);
    made.remove("origin_audience_id");
    Ok(made)
}

fn check_spec(spec: &Value) -> Result<(), Refusal> {
    let wrong = |why: &str| Err(Refusal::parameter(format!("(#100) Param lookalike_spec: {why}")));
    if !spec.is_object() {
        return wrong("is required");
    }
    if spec["type"].is_null() == spec["ratio"].is_null() {
        return wrong("exactly one of type and ratio");
    }
    if spec["country"].is_null() == spec["location_spec"].is_null() {
        return wrong("exactly one of country and location_spec");
    }
    let ratio = spec["ratio"].as_f64();
    if !spec["ratio"].is_null() && ratio.is_none_or(|ratio| !(0.01..=0.20).contains(&ratio)) {
        return wrong("ratio must be between 0.01 and 0.20");
    }
    let starting = spec["starting_ratio"].as_f64().unwrap_or(0.0);
    if ratio.is_some_and(|ratio| starting >= ratio) {
        return wrong("starting_ratio must be below ratio");
    }
    let is_country = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    match spec["country"].as_str() {
        Some(country) if !is_country(country) => wrong("country must be an ISO code"),
        _ => Ok(()),
    }
}

/// What may be changed of an object once it is there.
pub(super) fn update(book: &Book, index: usize, asked: &Parameters) -> Result<(), Refusal> {
    let object = &book.objects[index];
    let may_change: &[&str] = match (object.edge, object.is_lookalike()) {
        (Edge::Conversions, _) => &["name", "description", "default_conversion_value"],
        (Edge::Audiences, true) => &["name", "description"],
        (Edge::Audiences, false) => &["name", "description", "rule", "retention_days"],
    };
    if let Some(name) = asked.keys().find(|name| !may_change.contains(&name.as_str())) {
        return Err(Refusal::parameter(format!("(#100) {name} cannot be changed")));
    }
    if let Some(name) = asked
        .get("name")
        .and_then(Value::as_str)
        .filter(|name| *name != object.text("name"))
    {
        free_name(book, &object.account, object.edge, name)?;
    }
    let days = match asked.contains_key("retention_days") {
        true => retention_days(asked)?,
        false => object
            .fields
            .get("retention_days")
            .and_then(Value::as_i64)
            .unwrap_or(0),
    };
    if asked.contains_key("rule") {
        let rule = parsed("rule", text(asked, "rule")?)?;
        audience_rule(book, &object.account, &rule, days)?;
        if filters_of(&rule) != filters_of(&parsed("rule", object.text("rule"))?) {
            return Err(Refusal::parameter(
                "(#100) The filters of an audience cannot be changed",
            ));
        }
    }
    Ok(())
}

/// The rule without what may be changed of it.
fn filters_of(rule: &Value) -> Value {
    let mut rule = rule.clone();
    for rule in rule["inclusions"]["rules"].as_array_mut().into_iter().flatten() {
        if let Some(members) = rule.as_object_mut() {
            members.remove("retention_seconds");
            members.remove("aggregation");
        }
    }
    rule
}

fn parsed(name: &str, text: &str) -> Result<Value, Refusal> {
    serde_json::from_str(text)
        .map_err(|_| Refusal::parameter(format!("(#100) Param {name} must be JSON in a text")))
}

fn text<'p>(asked: &'p Parameters, name: &str) -> Result<&'p str, Refusal> {
    let text = asked
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty());
    text.ok_or_else(|| Refusal::parameter(format!("(#100) The parameter {name} is required")))
}

fn known_only(asked: &Parameters, known: &[&str]) -> Result<(), Refusal> {
    match asked.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Refusal::parameter(format!("(#100) Unexpected parameter {name}"))),
        None => Ok(()),
    }
}

fn free_name(book: &Book, account: &str, edge: Edge, name: &str) -> Result<(), Refusal> {
    if name.chars().count() > LONGEST_NAME {
        return Err(Refusal::parameter("(#100) Param name is too long"));
    }
    match book
        .objects_of(account, edge)
        .any(|other| other.text("name") == name)
    {
        true => Err(Refusal::parameter(format!("(sandbox) the name {name} is taken"))),
        false => Ok(()),
    }
}

fn pixel(book: &Book, account: &str, id: &str) -> Result<(), Refusal> {
    match book.access[account].pixels.iter().any(|known| known == id) {
        true => Ok(()),
        false => Err(Refusal::parameter(format!(
            "(#100) The ad account may not use the pixel {id}"
        ))),
    }
}

fn within(count: usize, most: usize, what: &str) -> Result<(), Refusal> {
    match count < most {
        true => Ok(()),
        false => Err(Refusal::parameter(format!(
            "(#100) The ad account has the most {what} that it may have ({most})"
        ))),
    }
}
