//! What is declared, held against what is at Meta.

use rastro_core::dataset::DatasetId;
use rastro_graph_api::AccountObject;
use serde_json::{Map, Value, json};

use super::declared::{Declared, Kind, What, bears_a_mark, mark, ratio};
use super::{Orders, Remote};

/// One declared object, or one that is declared no more, and what is to be done about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub kind: Kind,
    pub name: String,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// As declared. `note`: what a person should know of it.
    InPlace {
        note: Option<String>,
    },
    Create,
    /// What differs can be changed.
    Change {
        id: String,
        differences: Vec<Difference>,
    },
    /// What differs cannot be changed: it stays.
    Differs {
        id: String,
        differences: Vec<Difference>,
    },
    /// As [`Differs`](Self::Differs), by order: the one that is there is renamed, and another one made.
    Replace {
        id: String,
        differences: Vec<Difference>,
    },
    /// Several could be meant: a person must rename all but one.
    Ambiguous {
        ids: Vec<String>,
    },
    /// It bears our mark and is declared no more: it stays.
    Undeclared {
        id: String,
    },
    /// As [`Undeclared`](Self::Undeclared), by order.
    Delete {
        id: String,
    },
}

/// What is another than declared.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub field: &'static str,
    pub there: String,
    pub declared: String,
    /// What brings it to what is declared. Empty: nothing does.
    pub parameters: Map<String, Value>,
}

pub(crate) fn plan(declared: &[Declared], remote: &Remote, dataset: DatasetId, orders: Orders) -> Vec<Item> {
    let mut known: Vec<&str> = Vec::new();
    let mut items: Vec<Item> = Vec::new();
    for wanted in declared {
        let found = found(wanted, remote);
        known.extend(found.iter().map(|object| object.id.as_str()));
        items.push(Item {
            kind: wanted.kind(),
            name: wanted.name.clone(),
            action: action(wanted, &found, remote, dataset, orders),
        });
    }
    let mut gone: Vec<Item> = Vec::new();
    for kind in [Kind::Conversion, Kind::Audience] {
        let ours = |object: &&AccountObject| {
            bears_a_mark(text(object, "description")) && !known.contains(&object.id.as_str())
        };
        gone.extend(remote.of(kind).iter().filter(ours).map(|object| {
            let kind = match text(object, "subtype") {
                "LOOKALIKE" => Kind::Lookalike,
                _ => kind,
            };
            let id = object.id.clone();
            Item {
                kind,
                name: text(object, "name").to_owned(),
                // A custom conversion can only be archived, by hand.
                action: match orders.delete && kind != Kind::Conversion {
                    true => Action::Delete { id },
                    false => Action::Undeclared { id },
                },
            }
        }));
    }
    // A lookalike before its seed.
    gone.sort_by_key(|item| item.kind != Kind::Lookalike);
    items.extend(gone);
    items
}

/// The objects that a declared one can be: by its mark, or else by its name.
pub(crate) fn found<'r>(wanted: &Declared, remote: &'r Remote) -> Vec<&'r AccountObject> {
    let same_kind = |object: &&AccountObject| {
        (text(object, "subtype") == "LOOKALIKE") == (wanted.kind() == Kind::Lookalike)
    };
    let all = || remote.of(wanted.kind()).iter().filter(same_kind);
    let description = mark(&wanted.name);
    let marked: Vec<_> = all()
        .filter(|object| text(object, "description") == description)
        .collect();
    match marked.is_empty() {
        true => all()
            .filter(|object| text(object, "name") == wanted.name)
            .collect(),
        false => marked,
    }
}

/// The id of a declared audience.
pub(crate) fn audience_of(name: &str, remote: &Remote) -> Option<String> {
    let description = mark(name);
    let websites = || {
        remote
            .audiences
            .iter()
            .filter(|object| text(object, "subtype") != "LOOKALIKE")
    };
    let marked = websites().find(|object| text(object, "description") == description);
    marked
        .or_else(|| websites().find(|object| text(object, "name") == name))
        .map(|object| object.id.clone())
}

fn action(
    wanted: &Declared,
    found: &[&AccountObject],
    remote: &Remote,
    dataset: DatasetId,
    orders: Orders,
) -> Action {
    let object = match found {
        [] => return Action::Create,
        [object] => *object,
        several => {
            return Action::Ambiguous {
                ids: several.iter().map(|object| object.id.clone()).collect(),
            };
        }
    };
    let (changes, fixed): (Vec<Difference>, Vec<Difference>) = differences(wanted, object, remote, dataset)
        .into_iter()
        .partition(|difference| !difference.parameters.is_empty());
    let id = object.id.clone();
    match (fixed.is_empty(), changes.is_empty()) {
        (false, _) if orders.replace => Action::Replace {
            id,
            differences: fixed,
        },
        (false, _) => Action::Differs {
            id,
            differences: fixed,
        },
        (true, false) => Action::Change {
            id,
            differences: changes,
        },
        (true, true) => Action::InPlace {
            note: note(wanted, object),
        },
    }
}

/// What only time shows.
fn note(wanted: &Declared, object: &AccountObject) -> Option<String> {
    match wanted.kind() {
        Kind::Conversion => Some(match text(object, "last_fired_time") {
            "" => {
                "has never fired: a day after events flow that means that its rule does not match".to_owned()
            }
            last => format!("fired last {last}"),
        }),
        Kind::Audience | Kind::Lookalike => None,
    }
}

fn differences(
    wanted: &Declared,
    object: &AccountObject,
    remote: &Remote,
    dataset: DatasetId,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut differs = |field, there: String, declared: String, parameters: Option<Value>| {
        if there != declared {
            let parameters = parameters.and_then(|parameters| parameters.as_object().cloned());
            differences.push(Difference {
                field,
                there,
                declared,
                parameters: parameters.unwrap_or_default(),
            });
        }
    };
    let (name, description) = (wanted.name.clone(), mark(&wanted.name));
    let there = |field: &str| text(object, field).to_owned();
    differs("name", there("name"), name.clone(), Some(json!({ "name": name })));
    differs(
        "description",
        there("description"),
        description.clone(),
        Some(json!({ "description": description })),
    );
    match &wanted.what {
        What::Conversion { rule, category } => {
            differs(
                "rule",
                written(&json_of(object, "rule")),
                written(&rule.of_conversion()),
                None,
            );
            differs(
                "custom_event_type",
                there("custom_event_type"),
                category.clone(),
                None,
            );
            if let Some(pixel) = object.fields.get("pixel").and_then(|pixel| pixel["id"].as_str()) {
                differs("dataset", pixel.to_owned(), dataset.to_string(), None);
            }
            let archived = object.fields.get("is_archived") == Some(&Value::Bool(true));
            differs("is_archived", archived.to_string(), false.to_string(), None);
        }
        What::Audience { rule, days } => {
            let wanted = rule.of_audience(dataset, *days);
            let rule = json_of(object, "rule");
            let (same, seconds) = (without_retention(&rule), retention(&rule));
            differs("rule", written(&same), written(&without_retention(&wanted)), None);
            let kept = object.fields.get("retention_days").map(plain).unwrap_or_default();
            // Both say it, and both are changed together.
            differs(
                "retention",
                format!("{kept} days, {seconds} s"),
                format!("{days} days, {} s", retention(&wanted)),
                Some(json!({ "retention_days": days, "rule": wanted.to_string() })),
            );
        }
        What::Lookalike {
            seed,
            country,
            percent,
        } => {
            let spec = json_of(object, "lookalike_spec");
            let part = spec["ratio"]
                .as_f64()
                .or_else(|| spec["ratio"].as_str()?.parse().ok());
            differs(
                "ratio",
                part.map(|part| format!("{part:.2}")).unwrap_or_default(),
                format!("{:.2}", ratio(*percent)),
                None,
            );
            differs(
                "country",
                spec["country"].as_str().unwrap_or_default().to_owned(),
                country.clone(),
                None,
            );
            let origins = spec["origin"].as_array().cloned().unwrap_or_default();
            let origins: Vec<String> = origins.iter().map(|origin| plain(&origin["id"])).collect();
            let declared = audience_of(seed, remote).unwrap_or_default();
            if !origins.is_empty() {
                differs("seed", origins.join(", "), declared, None);
            }
        }
    }
    differences
}

/// How long, in seconds, as the rule itself says it.
fn retention(rule: &Value) -> i64 {
    rule["inclusions"]["rules"][0]["retention_seconds"]
        .as_i64()
        .unwrap_or(0)
}

fn without_retention(rule: &Value) -> Value {
    let mut rule = rule.clone();
    for rule in rule["inclusions"]["rules"].as_array_mut().into_iter().flatten() {
        if let Some(members) = rule.as_object_mut() {
            members.remove("retention_seconds");
        }
    }
    rule
}

fn text<'o>(object: &'o AccountObject, field: &str) -> &'o str {
    object
        .fields
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// An object, or the text of one. Null: neither.
fn json_of(object: &AccountObject, field: &str) -> Value {
    match object.fields.get(field) {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(value) => value.clone(),
        None => Value::Null,
    }
}

/// With members in the order of their names, so that the same is written the same.
fn written(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| name.as_str());
            let members: Vec<String> = members
                .into_iter()
                .map(|(name, value)| format!("{}:{}", json!(name), written(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(written).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}
