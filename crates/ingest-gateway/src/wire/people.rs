//! A person in and out: how one is named, what is found, the receipt, and what is kept.

use chrono::{DateTime, Utc};
use rastro_core::json::Json;
use rastro_store::{ErasureReceipt, NamedWrongly, PersonExport, PersonFound, PersonNamed, PersonSought};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::fields::{Fields, line};
use crate::problem::Problem;

/// The longest e-mail, phone or CPF, in characters.
const LONGEST: usize = 320;

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
}

/// Reads by what a person is named. What is wrong is named by its field, and never quoted.
pub(crate) fn named(fields: &mut Fields<'_>) -> PersonNamed {
    let mut text = |name: &str| {
        fields.take(name, &format!("a text of 1 to {LONGEST} characters"), |value| {
            line(value.as_str()?, LONGEST).map(str::to_owned)
        })
    };
    PersonNamed {
        email: text("email"),
        phone: text("phone"),
        cpf: text("cpf"),
        lead_id: fields.take("lead_id", "the number of a lead", |id| {
            id.as_i64().filter(|id| *id > 0)
        }),
    }
}

/// Whether something is only counted.
pub(crate) fn dry_run(fields: &mut Fields<'_>) -> bool {
    let flag = |value: Json<'_>| match value {
        Json::Bool(flag) => Some(flag),
        _ => None,
    };
    fields.take("dry_run", "true or false", flag).unwrap_or(false)
}

pub(crate) fn format(fields: &mut Fields<'_>) -> Format {
    let word = |value: Json<'_>| match value.as_str()? {
        "json" => Some(Format::Json),
        "csv" => Some(Format::Csv),
        _ => None,
    };
    fields.take("format", "json or csv", word).unwrap_or(Format::Json)
}

/// What is said of a person who cannot be looked for.
pub(crate) fn named_wrongly(
    mut fields: Fields<'_>,
    error: NamedWrongly,
    unavailable: impl FnOnce(&rastro_store::StoreError) -> Problem,
) -> Problem {
    match error {
        NamedWrongly::UnknownDataset => return Problem::unknown_dataset(),
        NamedWrongly::Store(error) => return unavailable(&error),
        NamedWrongly::Nobody => fields.wrong("", "must name the person: by email, phone, cpf or lead_id"),
        NamedWrongly::Wrong { wrong } => {
            for (name, why) in wrong {
                fields.wrong(name, &why);
            }
        }
    }
    match fields.finish() {
        Err(problem) => problem,
        Ok(()) => Problem::try_again("nothing was done; ask again"),
    }
}

/// What is kept of a person, by number. Nothing is changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct PersonView {
    /// By what the person was named: email, phone, cpf, lead.
    #[schema(example = json!(["email"]))]
    named_by: Vec<&'static str>,
    /// Numbers of leads, the erased ones too if they were named.
    leads: Vec<i64>,
    /// Contacts with ads.
    touchpoints: usize,
    orders: Vec<String>,
    /// The provider's numbers of payments.
    payments: Vec<String>,
    /// Our numbers of events whose content is the person's.
    events: Vec<i64>,
    /// How many e-mails, phones and browsers of the leads more than five people share: they lead to nobody
    /// else, and to nothing of the person either. One that is the person's alone is to be named.
    shared_keys: usize,
}

impl PersonView {
    pub(crate) fn new(sought: PersonSought, found: PersonFound) -> Self {
        PersonView {
            named_by: sought.named_by,
            leads: found.leads,
            touchpoints: found.touchpoints.len(),
            orders: found.purchases,
            payments: found.payments,
            events: found.events,
            shared_keys: found.shared_keys,
        }
    }
}

/// How much was erased and when, or how much would be.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErasureView {
    /// Whether this only says what would be erased.
    dry_run: bool,
    /// The receipt's number. Not of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    erasure_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_at: Option<DateTime<Utc>>,
    /// Absent: it is under way, or was interrupted. Asked for again it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<DateTime<Utc>>,
    /// By what the person was named: email, phone, cpf, lead.
    named_by: Vec<String>,
    leads: i64,
    touchpoints: i64,
    /// Orders. They stay in the books, and are nobody's.
    purchases: i64,
    payments: i64,
    events: i64,
    /// Of a dry run: how many e-mails, phones and browsers of the leads are left alone, as more than five
    /// people share each. One that is the person's alone is to be named.
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_keys: Option<usize>,
}

impl ErasureView {
    pub(crate) fn would_be(sought: &PersonSought, found: &PersonFound) -> Self {
        let count = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        ErasureView {
            dry_run: true,
            erasure_id: None,
            asked_at: None,
            finished_at: None,
            named_by: sought.named_by.iter().map(|&word| word.to_owned()).collect(),
            leads: count(found.leads.len()),
            touchpoints: count(found.touchpoints.len()),
            purchases: count(found.purchases.len()),
            payments: count(found.payments.len()),
            events: count(found.events.len()),
            shared_keys: Some(found.shared_keys),
        }
    }
}

impl From<ErasureReceipt> for ErasureView {
    fn from(receipt: ErasureReceipt) -> Self {
        ErasureView {
            dry_run: false,
            erasure_id: Some(receipt.erasure_id),
            asked_at: Some(receipt.asked_at),
            finished_at: receipt.finished_at,
            named_by: receipt.named_by,
            leads: receipt.leads.into(),
            touchpoints: receipt.touchpoints.into(),
            purchases: receipt.purchases.into(),
            payments: receipt.payments.into(),
            events: receipt.events.into(),
            shared_keys: None,
        }
    }
}

/// Receipts, the newest first, at most 500.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErasureList {
    pub(crate) erasures: Vec<ErasureView>,
}

/// Everything that is kept of a person.
#[derive(Serialize, ToSchema)]
pub(crate) struct PersonExportView {
    leads: Vec<ExportedLead>,
    /// When, and over which channel.
    contacts_with_ads: Vec<String>,
    /// The business's numbers of orders.
    orders: Vec<String>,
    payments: Vec<String>,
    /// As Meta gets them.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Value>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ExportedLead {
    lead_id: i64,
    /// The form as it was left. null: it was erased.
    #[schema(value_type = Option<Object>)]
    contact: Option<Value>,
}

impl From<PersonExport> for PersonExportView {
    fn from(export: PersonExport) -> Self {
        let lead = |(lead_id, contact)| ExportedLead { lead_id, contact };
        PersonExportView {
            leads: export.leads.into_iter().map(lead).collect(),
            contacts_with_ads: export.contacts_with_ads,
            orders: export.orders,
            payments: export.payments,
            events: export.events,
        }
    }
}
