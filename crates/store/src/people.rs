//! A person, as somebody who may ask names one: found, shown, and written down who asked. Forgetting is
//! [`crate::erasures`].

use diesel_async::AsyncPgConnection;
use rastro_core::dataset::DatasetId;
use rastro_core::match_keys::{HashedKeys, MatchKey, Reading};
use rastro_core::person::PersonKeys;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::admin_log::{self, NewEntry};
use crate::connection::Store;
use crate::erasures::PersonSought;
use crate::error::StoreError;

/// By what a person is named. Several name the same person.
#[derive(Clone, Default)]
pub struct PersonNamed {
    pub email: Option<String>,
    pub phone: Option<String>,
    pub cpf: Option<String>,
    pub lead_id: Option<i64>,
}

/// Nothing of the person.
impl std::fmt::Debug for PersonNamed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a person")
    }
}

/// Why a person cannot be looked for. Quotes nothing of what was given.
#[derive(Debug, thiserror::Error)]
pub enum NamedWrongly {
    #[error("there is no such dataset")]
    UnknownDataset,
    /// Each wrong name with what is wrong about it.
    #[error("{}", wrong.iter().map(|(name, why)| format!("{name} {why}")).collect::<Vec<_>>().join("; "))]
    Wrong { wrong: Vec<(&'static str, String)> },
    #[error("name the person: by email, phone, cpf or lead")]
    Nobody,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is kept of a person.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PersonExport {
    /// Each lead with its form. `None`: it was erased.
    pub leads: Vec<(i64, Option<Value>)>,
    /// When, and over which channel.
    pub contacts_with_ads: Vec<String>,
    pub orders: Vec<String>,
    pub payments: Vec<String>,
    /// As Meta gets them.
    pub events: Vec<Value>,
}

impl Store {
    /// Whom a name means in this dataset.
    pub async fn seek(&self, dataset: DatasetId, named: &PersonNamed) -> Result<PersonSought, NamedWrongly> {
        let settings = self.dataset_settings(dataset).await?;
        let settings = settings.ok_or(NamedWrongly::UnknownDataset)?;
        let reading = Reading {
            country: settings.defaults.country,
            current_year: 0,
            variants: true,
        };
        let (mut keys, mut wrong) = (PersonKeys::default(), Vec::new());
        let mut sought = PersonSought {
            lead_id: named.lead_id,
            ..PersonSought::default()
        };
        for (name, key, value) in [
            ("email", MatchKey::Email, &named.email),
            ("phone", MatchKey::Phone, &named.phone),
        ] {
            let Some(value) = value else { continue };
            let mut hashed = HashedKeys::new();
            if let Err(dropped) = hashed.add(key, value, &reading) {
                wrong.push((name, format!("cannot be read: {dropped}")));
                continue;
            }
            keys.add(key, value, &reading);
            sought.named_by.push(name);
            sought
                .hashes
                .extend(hashed.get(key).map(|hash| hash.hash().to_owned()));
        }
        if let Some(cpf) = &named.cpf {
            keys.cpf = PersonKeys::of_cpf(cpf);
            match keys.cpf {
                Some(_) => sought.named_by.push("cpf"),
                None => wrong.push((
                    "cpf",
                    "is not a CPF: eleven digits, of which the last two must fit the others".to_owned(),
                )),
            }
        }
        if named.lead_id.is_some() {
            sought.named_by.push("lead");
        }
        if !wrong.is_empty() {
            return Err(NamedWrongly::Wrong { wrong });
        }
        if sought.named_by.is_empty() {
            return Err(NamedWrongly::Nobody);
        }
        sought.lookups = self.lookups(dataset, &keys);
        Ok(sought)
    }

    /// Writes down that somebody looked for a person, or saw what is kept of one: who, when, and by what the
    /// person was named. Nothing of the person. `action`: `person.find` or `person.export`.
    pub async fn log_look(
        &self,
        dataset: DatasetId,
        sought: &PersonSought,
        action: &'static str,
        who: &str,
    ) -> Result<(), StoreError> {
        let connection: &mut AsyncPgConnection = &mut *self.connection().await?;
        let entry = NewEntry {
            who,
            action,
            dataset: Some(dataset),
            key_id: None,
            detail: json!({ "named_by": sought.named_by }),
        };
        admin_log::insert(connection, entry).await
    }

    /// What is kept of a person: the forms as they were left, contacts with ads, orders, payments, and the
    /// events as Meta gets them. Logged as `person.export` before anything is shown.
    pub async fn export_person(
        &self,
        dataset: DatasetId,
        sought: &PersonSought,
        who: &str,
    ) -> Result<PersonExport, StoreError> {
        self.log_look(dataset, sought, "person.export", who).await?;
        let found = self.find_person(dataset, sought).await?;
        let mut leads = Vec::new();
        for lead in found.leads {
            let contact = self.lead_contact(dataset, lead).await?;
            let contact = contact.map(|contact| serde_json::from_str(contact.expose_secret()));
            let contact = contact.transpose().map_err(|_| StoreError::Invalid {
                what: "contact of a lead",
            })?;
            leads.push((lead, contact));
        }
        let mut events = Vec::new();
        for number in found.events {
            let payload = self.payload(dataset, number).await?.unwrap_or_default();
            // Erased since it was found.
            if payload.is_empty() {
                continue;
            }
            let payload = serde_json::from_str(&payload).map_err(|_| StoreError::Invalid {
                what: "payload of an event",
            })?;
            events.push(payload);
        }
        Ok(PersonExport {
            leads,
            contacts_with_ads: found.touchpoints,
            orders: found.purchases,
            payments: found.payments,
            events,
        })
    }
}

impl PersonExport {
    /// As JSON: `leads` (`lead_id`, `contact`), `contacts_with_ads`, `orders`, `payments`, `events`.
    pub fn to_json(&self) -> Value {
        let leads: Vec<Value> = self
            .leads
            .iter()
            .map(|(lead, contact)| json!({ "lead_id": lead, "contact": contact }))
            .collect();
        json!({
            "leads": leads,
            "contacts_with_ads": self.contacts_with_ads,
            "orders": self.orders,
            "payments": self.payments,
            "events": self.events,
        })
    }

    /// As CSV (RFC 4180), one fact a line: `kind` (lead, contact_with_ad, order, payment, event), `number`,
    /// `field`, `value`. A value that a spreadsheet would calculate has an apostrophe before it.
    pub fn to_csv(&self) -> String {
        let mut csv = String::from("kind,number,field,value\r\n");
        for (lead, contact) in &self.leads {
            let number = lead.to_string();
            facts(
                &mut csv,
                "lead",
                &number,
                "",
                contact.as_ref().unwrap_or(&Value::Null),
            );
        }
        for (index, contact) in self.contacts_with_ads.iter().enumerate() {
            line(
                &mut csv,
                ["contact_with_ad", &(index + 1).to_string(), "", contact],
            );
        }
        for order in &self.orders {
            line(&mut csv, ["order", order, "", ""]);
        }
        for payment in &self.payments {
            line(&mut csv, ["payment", payment, "", ""]);
        }
        for (index, event) in self.events.iter().enumerate() {
            facts(&mut csv, "event", &(index + 1).to_string(), "", event);
        }
        csv
    }
}

/// A line for each value within, named by its path.
fn facts(csv: &mut String, kind: &str, number: &str, path: &str, value: &Value) {
    let within = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                facts(csv, kind, number, &within(name), value);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                facts(csv, kind, number, &within(&index.to_string()), value);
            }
        }
        Value::Null => line(csv, [kind, number, path, ""]),
        Value::String(text) => line(csv, [kind, number, path, text]),
        other => line(csv, [kind, number, path, &other.to_string()]),
    }
}

fn line(csv: &mut String, cells: [&str; 4]) {
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            csv.push(',');
        }
        let calculates = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let quoted = cell.contains([',', '"', '\r', '\n']) || calculates;
        if !quoted {
            csv.push_str(cell);
            continue;
        }
        csv.push('"');
        if calculates {
            csv.push('\'');
        }
        csv.push_str(&cell.replace('"', "\"\""));
        csv.push('"');
    }
    csv.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_one_fact_a_line_and_nothing_that_a_spreadsheet_calculates() {
        let export = PersonExport {
            leads: vec![
                (
                    7,
                    Some(
                        json!({ "name": "Ana \"Aninha\", de Souza", "phone": "+55 11", "tags": ["a", true] }),
                    ),
                ),
                (8, None),
            ],
            contacts_with_ads: vec!["2026-11-01T10:00:00Z meta".to_owned()],
            orders: vec!["=1+1".to_owned()],
            payments: vec!["9001".to_owned()],
            events: vec![json!({ "event_name": "Lead", "user_data": { "em": ["x"] } })],
        };
        let expected = [
            "kind,number,field,value",
            "lead,7,name,\"Ana \"\"Aninha\"\", de Souza\"",
            "lead,7,phone,\"'+55 11\"",
            "lead,7,tags.0,a",
            "lead,7,tags.1,true",
            "lead,8,,",
            "contact_with_ad,1,,2026-11-01T10:00:00Z meta",
            "order,\"'=1+1\",,",
            "payment,9001,,",
            "event,1,event_name,Lead",
            "event,1,user_data.em.0,x",
            "",
        ];
        assert_eq!(export.to_csv(), expected.join("\r\n"));
    }
}
