//! What the law gives a person: to see what is kept, and to be forgotten (LGPD, articles 18 and 16).
//!
//! The answers are JSON. They hold the person's data (an export) or none of it (a receipt).

use anyhow::{Context, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use rastro_core::dataset::DatasetId;
use rastro_store::{NamedWrongly, PersonNamed, PersonSought, Store};
use serde_json::{Value, json};

/// What is kept of a person: the forms as they were left, contacts with ads, orders, payments, and the events
/// as Meta gets them, as JSON or (`csv`) a fact a line. It is logged that `who` saw it.
///
/// # Errors
/// When the person is not named rightly, or the database fails.
pub async fn export(
    store: &Store,
    dataset: DatasetId,
    person: &[&str],
    csv: bool,
    who: &str,
) -> anyhow::Result<String> {
    let sought = sought(store, dataset, person).await?;
    let export = store.export_person(dataset, &sought, who).await?;
    match csv {
        true => Ok(export.to_csv()),
        false => written(&export.to_json()),
    }
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
        // Of the leads, left alone as more than five people share each. Name the person by one that is.
        "shared_keys": found.shared_keys,
    }))
}

/// Forgets a person, and says when and how much. Money stays in the books, and is nobody's. Asked for again
/// it finds nothing. It is logged that `who` ordered it.
///
/// # Errors
/// As [`export`]. Asked for again it goes on.
pub async fn erase(store: &Store, dataset: DatasetId, person: &[&str], who: &str) -> anyhow::Result<String> {
    let sought = sought(store, dataset, person).await?;
    let receipt = store.erase_person(dataset, &sought, who).await?;
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

/// By what the person is named: `email=...`, `phone=...`, `cpf=...`, `lead=...`.
async fn sought(store: &Store, dataset: DatasetId, person: &[&str]) -> anyhow::Result<PersonSought> {
    let mut named = PersonNamed::default();
    for word in person {
        let (name, value) = word.split_once('=').with_context(|| {
            // What was typed may be the address itself.
            "a person is named by email=..., phone=..., cpf=... or lead=..."
        })?;
        let value = value.to_owned();
        match name {
            "email" => named.email = Some(value),
            "phone" => named.phone = Some(value),
            "cpf" => named.cpf = Some(value),
            "lead" => named.lead_id = Some(value.parse().context("lead= takes a lead's number")?),
            _ => bail!("a person is named by email=..., phone=..., cpf=... or lead=..."),
        }
    }
    match store.seek(dataset, &named).await {
        Ok(sought) => Ok(sought),
        Err(NamedWrongly::Store(error)) => Err(error.into()),
        Err(error) => bail!("{error}"),
    }
}
