//! What the law gives a person: to see what is kept, and to be forgotten (LGPD, articles 18 and 16).
//!
//! The answers are JSON. They hold the person's data (an export) or none of it (a receipt).

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, SecondsFormat, Utc};
use rastro_core::dataset::DatasetId;
use rastro_core::match_keys::{HashedKeys, MatchKey, Reading};
use rastro_core::person::PersonKeys;
use rastro_store::{PersonSought, Store};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// What is kept of a person: the forms as they were left, contacts with ads, orders, payments, and the events as Meta gets
/// them.
///
/// # Errors
/// When the person is not named rightly, or the database fails.
pub async fn export(store: &Store, dataset: DatasetId, person: &[&str]) -> anyhow::Result<String> {
    let sought = sought(store, dataset, person).await?;
    let found = store.find_person(dataset, &sought).await?;
    let mut leads = Vec::new();
    for lead in &found.leads {
        let contact = store.lead_contact(dataset, *lead).await?;
        let contact: Option<Value> = contact
            .map(|contact| serde_json::from_str(contact.expose_secret()))
            .transpose()
            .context("a lead's contact is no JSON")?;
        leads.push(json!({ "lead_id": lead, "contact": contact }));
    }
    let mut events = Vec::new();
    for number in &found.events {
        let payload = store.payload(dataset, *number).await?.unwrap_or_default();
        let payload: Value = serde_json::from_str(&payload).unwrap_or_default();
        events.push(payload);
    }
    written(&json!({
        "leads": leads,
        "contacts_with_ads": found.touchpoints,
        "orders": found.purchases,
        "payments": found.payments,
        "events": events,
    }))
}

/// How much would be erased. Changes nothing.
///
/// # Errors
/// As [`export`].
pub async fn would_erase(store: &Store, dataset: DatasetId, person: &[&str]) -> anyhow::Result<String> {
    let sought = sought(store, dataset, person).await?;
    let found = store.find_person(dataset, &sought).await?;
    written(&json!({
        "dry_run": true,
        "leads": found.leads.len(),
        "touchpoints": found.touchpoints.len(),
        "purchases": found.purchases.len(),
        "payments": found.payments.len(),
        "events": found.events.len(),
    }))
}

/// Forgets a person, and says when and how much. Money stays in the books, and is nobody's. Asked for again it finds nothing.
///
/// # Errors
/// As [`export`]. Asked for again it goes on.
pub async fn erase(store: &Store, dataset: DatasetId, person: &[&str]) -> anyhow::Result<String> {
    let sought = sought(store, dataset, person).await?;
    let receipt = store.erase_person(dataset, &sought).await?;
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    written(&json!({
        "erasure_id": receipt.erasure_id,
        "asked_at": time(receipt.asked_at),
        "finished_at": receipt.finished_at.map(time),
        "leads": receipt.leads,
        "touchpoints": receipt.touchpoints,
        "purchases": receipt.purchases,
        "payments": receipt.payments,
        "events": receipt.events,
    }))
}

fn written(answer: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(answer)?)
}

/// By what the person is named: `email=...`, `phone=...`, `lead=...`.
async fn sought(store: &Store, dataset: DatasetId, person: &[&str]) -> anyhow::Result<PersonSought> {
    let settings = store
        .dataset_settings(dataset)
        .await?
        .context("there is no such dataset")?;
    let reading = Reading {
        country: settings.defaults.country,
        current_year: 0,
        variants: true,
    };
    let (mut keys, mut hashed) = (PersonKeys::default(), HashedKeys::new());
    let mut sought = PersonSought::default();
    for word in person {
        let (name, value) = word.split_once('=').with_context(|| {
            // What was typed may be the address itself.
            "a person is named by email=..., phone=... or lead=..."
        })?;
        let key = match name {
            "email" => MatchKey::Email,
            "phone" => MatchKey::Phone,
            "lead" => {
                sought.lead_id = Some(value.parse().context("lead= takes a lead's number")?);
                sought.named_by.push("lead");
                continue;
            }
            _ => bail!("a person is named by email=..., phone=... or lead=..."),
        };
        hashed
            .add(key, value, &reading)
            .map_err(|dropped| anyhow::anyhow!("{name}= cannot be read: {dropped}"))?;
        keys.add(key, value, &reading);
        sought
            .named_by
            .push(if key == MatchKey::Email { "email" } else { "phone" });
        sought
            .hashes
            .extend(hashed.get(key).map(|hash| hash.hash().to_owned()));
    }
    ensure!(
        !sought.named_by.is_empty(),
        "name the person: email=..., phone=... or lead=..."
    );
    sought.lookups = store.lookups(dataset, &keys);
    Ok(sought)
}
