//! What is declared, and how Meta is asked for it.

use rastro_core::dataset::DatasetId;
use rastro_graph_api::AccountEdge;
use serde_json::{Value, json};

use super::{Remote, compare};

const DAY_SECONDS: u64 = 86_400;

/// One of the three kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Conversion,
    Audience,
    Lookalike,
}

impl Kind {
    pub fn edge(self) -> AccountEdge {
        match self {
            Kind::Conversion => AccountEdge::CustomConversions,
            Kind::Audience | Kind::Lookalike => AccountEdge::CustomAudiences,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Conversion => "custom conversion",
            Kind::Audience => "audience",
            Kind::Lookalike => "lookalike",
        }
    }
}

/// Which events count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub event: String,
    /// Major units of the dataset's currency.
    pub value_above: Option<u64>,
    /// Where the events' page is.
    pub domain: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Conversion {
        rule: Rule,
        category: String,
    },
    Audience {
        rule: Rule,
        days: u16,
    },
    Lookalike {
        seed: String,
        country: String,
        percent: u8,
    },
}

/// An object that is to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    pub name: String,
    pub what: What,
}

/// By what it is known again, whatever it is called.
pub(crate) fn mark(name: &str) -> String {
    format!("Rastro: {name}")
}

/// Of one that was put aside: still ours, and no more the one that is declared.
pub(crate) fn replaced_mark(name: &str) -> String {
    format!("Rastro, replaced: {name}")
}

pub(crate) fn bears_a_mark(description: &str) -> bool {
    description.starts_with("Rastro: ") || description.starts_with("Rastro, replaced: ")
}

impl Declared {
    pub fn kind(&self) -> Kind {
        match self.what {
            What::Conversion { .. } => Kind::Conversion,
            What::Audience { .. } => Kind::Audience,
            What::Lookalike { .. } => Kind::Lookalike,
        }
    }

    pub(crate) fn is(&self, kind: Kind, name: &str) -> bool {
        self.kind() == kind && self.name == name
    }

    /// What Meta is asked to make. `Err`: why it cannot be asked yet.
    pub(crate) fn parameters(&self, dataset: DatasetId, remote: &Remote) -> Result<Value, String> {
        let (name, description) = (&self.name, mark(&self.name));
        Ok(match &self.what {
            What::Conversion { rule, category } => json!({
                "name": name, "description": description, "event_source_id": dataset.to_string(),
                "rule": rule.of_conversion().to_string(), "custom_event_type": category,
            }),
            What::Audience { rule, days } => json!({
                "name": name, "description": description, "rule": rule.of_audience(dataset, *days).to_string(),
                "retention_days": days, "prefill": true,
            }),
            What::Lookalike {
                seed,
                country,
                percent,
            } => {
                let origin = compare::audience_of(seed, remote).ok_or_else(|| {
                    format!(
                        "waits for its seed, the audience {seed}, which is not there: run it again when it is"
                    )
                })?;
                json!({
                    "name": name, "description": description, "subtype": "LOOKALIKE", "origin_audience_id": origin,
                    "lookalike_spec": json!({ "ratio": ratio(*percent), "country": country }).to_string(),
                })
            }
        })
    }
}

pub(crate) fn ratio(percent: u8) -> f64 {
    f64::from(percent) / 100.0
}

impl Rule {
    /// In the language of custom conversions. The event alone is refused, and `event_type` never matches.
    pub(crate) fn of_conversion(&self) -> Value {
        let mut all = vec![json!({ "event": { "eq": self.event } })];
        if let Some(value) = self.value_above {
            all.push(json!({ "value": { "gt": value.to_string() } }));
        }
        all.push(json!({ "or": [{ "URL": { "i_contains": self.domain } }] }));
        json!({ "and": all })
    }

    /// In the language of audiences, which is another one.
    pub(crate) fn of_audience(&self, dataset: DatasetId, days: u16) -> Value {
        let filter = |field: &str, operator: &str, value: &str| json!({ "field": field, "operator": operator, "value": value });
        let mut filters = vec![filter("event", "eq", &self.event)];
        if let Some(value) = self.value_above {
            filters.push(filter("value", "gt", &value.to_string()));
        }
        filters.push(filter("url", "i_contains", &self.domain));
        json!({ "inclusions": { "operator": "or", "rules": [{
            "event_sources": [{ "id": dataset.to_string(), "type": "pixel" }],
            "retention_seconds": u64::from(days) * DAY_SECONDS,
            "filter": { "operator": "and", "filters": filters },
        }] } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the reference on custom conversions prints them.
    #[test]
    fn rules_are_in_the_two_languages_of_meta() {
        let rule = Rule {
            event: "Lead".to_owned(),
            value_above: Some(500),
            domain: "clinica.com.br".to_owned(),
        };
        assert_eq!(
            rule.of_conversion().to_string(),
            r#"{"and":[{"event":{"eq":"Lead"}},{"value":{"gt":"500"}},{"or":[{"URL":{"i_contains":"clinica.com.br"}}]}]}"#
        );
        let audience = rule.of_audience(111.try_into().unwrap(), 30);
        let expected: Value = serde_json::from_str(
            r#"{"inclusions":{"operator":"or","rules":[{"event_sources":[{"id":"111","type":"pixel"}],
            "retention_seconds":2592000,"filter":{"operator":"and","filters":[
            {"field":"event","operator":"eq","value":"Lead"},{"field":"value","operator":"gt","value":"500"},
            {"field":"url","operator":"i_contains","value":"clinica.com.br"}]}}]}}"#,
        )
        .unwrap();
        assert_eq!(audience, expected);
    }
}
