//! `leads`: who wrote to the business. Contact data is sealed; a lead is found again by [`crate::lookup`].

mod step;

use std::collections::HashSet;
use std::fmt;

use chrono::NaiveDate;
use diesel::sql_types::{self, Array, BigInt, Binary, Bool, Date, Nullable, Text};
use diesel::{OptionalExtension, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::connection::Store;
use crate::error::StoreError;
use crate::events::{NewEvent, Offer};
use crate::lookup::PersonLookups;
use crate::statement::Prepare;

pub use step::{LeadStep, Stepped, StoredLead};

/// What is stored of a lead beside its event, which brings it.
#[derive(Clone, Debug)]
pub struct NewLead {
    contact: Vec<u8>,
    pub lookups: PersonLookups,
    pub fbp: Option<String>,
    pub fbc: Option<String>,
    /// As JSON.
    pub consent: Option<String>,
    /// It may be that of an event which came before by another way. Not of a page, which could guess the id of
    /// another's event.
    pub may_come_late: bool,
}

/// A lead and where it is stored.
pub(crate) struct Row<'l> {
    pub(crate) lead: &'l NewLead,
    pub(crate) event: &'l NewEvent,
    /// The number of its event.
    pub(crate) lead_id: i64,
    /// Under which `events` keeps that.
    pub(crate) day: NaiveDate,
}

/// By what a purchase's lead was found, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchMethod {
    LeadId,
    ExternalId,
    Email,
    Phone,
    Cpf,
    Visitor,
}

impl MatchMethod {
    pub fn as_str(self) -> &'static str {
        match self {
            MatchMethod::LeadId => "lead_id",
            MatchMethod::ExternalId => "external_id",
            MatchMethod::Email => "email",
            MatchMethod::Phone => "phone",
            MatchMethod::Cpf => "cpf",
            MatchMethod::Visitor => "visitor",
        }
    }
}

/// A lead that was found.
#[derive(Clone)]
pub struct KnownLead {
    pub lead_id: i64,
    pub method: MatchMethod,
    pub fbp: Option<String>,
    pub fbc: Option<String>,
    pub ads_refused: bool,
}

/// Browser and click ids belong in no log.
impl fmt::Debug for KnownLead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lead {} by {}", self.lead_id, self.method.as_str())
    }
}

/// What the contact is sealed for: moved to another lead, it does not open.
pub(crate) fn contact_of(dataset: DatasetId, event_id: &str) -> String {
    format!("contact of lead {event_id} of dataset {dataset}")
}

impl Store {
    /// The form's fields as JSON, sealed for the lead of this event.
    pub fn sealed_contact(&self, dataset: DatasetId, event_id: &str, contact: &str) -> Vec<u8> {
        self.sealer.seal(contact, &contact_of(dataset, event_id))
    }

    /// A lead that comes with this event. `contact`: the form's fields as JSON.
    pub fn new_lead(&self, event: &NewEvent, contact: &str, lookups: PersonLookups) -> NewLead {
        NewLead {
            contact: self.sealed_contact(event.dataset_id, &event.id, contact),
            lookups,
            fbp: None,
            fbc: None,
            consent: None,
            may_come_late: false,
        }
    }

    /// The form's fields of a lead, as JSON. `None`: there is no such lead, or it was erased.
    pub async fn lead_contact(
        &self,
        dataset: DatasetId,
        lead_id: i64,
    ) -> Result<Option<SecretString>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Binary)]
            contact: Vec<u8>,
            #[diesel(sql_type = Text)]
            event_id: String,
        }
        let row: Option<Row> =
            sql_query("SELECT contact, event_id FROM leads WHERE dataset_id = $1 AND lead_id = $2")
                .bind::<BigInt, _>(dataset.as_i64())
                .bind::<BigInt, _>(lead_id)
                .get_result(&mut self.connection().await?)
                .await
                .optional()?;
        let Some(row) = row else { return Ok(None) };
        if row.contact.is_empty() {
            return Ok(None);
        }
        match self
            .sealer
            .open(&row.contact, &contact_of(dataset, &row.event_id))
        {
            Some(contact) => Ok(Some(contact.expose_secret().to_owned().into())),
            None => Err(StoreError::Invalid {
                what: "contact of a lead",
            }),
        }
    }

    /// Deletes leads that nothing happened to for so many days, at most `limit`; returns how many. Their
    /// orders stay.
    pub async fn forget_leads(&self, days: i32, limit: i64) -> Result<usize, StoreError> {
        let forgotten = sql_query(include_str!("sql/forget_leads.sql"))
            .bind::<sql_types::Integer, _>(days)
            .bind::<BigInt, _>(limit)
            .prepared()
            .execute(&mut self.connection().await?)
            .await?;
        Ok(forgotten)
    }

    /// How many leads the dataset has.
    pub async fn count_leads(&self, dataset: DatasetId) -> Result<i64, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        let row: Row = sql_query("SELECT count(*) AS count FROM leads WHERE dataset_id = $1")
            .bind::<BigInt, _>(dataset.as_i64())
            .get_result(&mut self.connection().await?)
            .await?;
        Ok(row.count)
    }

    /// The lead that became a purchase: the one that is named, or the newest of the last 90 days by the
    /// strongest identifier that finds one.
    pub async fn find_lead(
        &self,
        dataset: DatasetId,
        lead_id: Option<i64>,
        lookups: &PersonLookups,
    ) -> Result<Option<KnownLead>, StoreError> {
        if lead_id.is_none() && lookups.is_empty() {
            return Ok(None);
        }
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            lead_id: i64,
            #[diesel(sql_type = sql_types::Integer)]
            rank: i32,
            #[diesel(sql_type = Nullable<Text>)]
            fbp: Option<String>,
            #[diesel(sql_type = Nullable<Text>)]
            fbc: Option<String>,
            #[diesel(sql_type = Bool)]
            ads_refused: bool,
        }
        let row: Option<Row> = sql_query(include_str!("sql/find_lead.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Nullable<BigInt>, _>(lead_id)
            .bind::<Nullable<Binary>, _>(lookups.external_id.as_deref())
            .bind::<Nullable<Binary>, _>(lookups.email.as_deref())
            .bind::<Nullable<Binary>, _>(lookups.phone.as_deref())
            .bind::<Nullable<Binary>, _>(lookups.cpf.as_deref())
            .bind::<Nullable<Binary>, _>(lookups.visitor.as_deref())
            .prepared()
            .get_result(&mut self.connection().await?)
            .await
            .optional()?;
        Ok(row.map(|row| KnownLead {
            lead_id: row.lead_id,
            method: match row.rank {
                0 => MatchMethod::LeadId,
                1 => MatchMethod::ExternalId,
                2 => MatchMethod::Email,
                3 => MatchMethod::Phone,
                4 => MatchMethod::Cpf,
                _ => MatchMethod::Visitor,
            },
            fbp: row.fbp,
            fbc: row.fbc,
            ads_refused: row.ads_refused,
        }))
    }
}

/// Stores the leads whose events were accepted.
pub(crate) async fn insert(connection: &AsyncPgConnection, leads: &[Row<'_>]) -> Result<(), StoreError> {
    match insert_where_free(connection, leads).await?.len() == leads.len() {
        true => Ok(()),
        // Their numbers are new.
        false => Err(StoreError::Invalid { what: "lead" }),
    }
}

/// Stores the leads of events that came before by another way and became no lead, and marks them.
pub(crate) async fn insert_late(
    connection: &AsyncPgConnection,
    offers: &mut [Offer<'_>],
) -> Result<(), StoreError> {
    // What is new in this very group is stored after it.
    let new: HashSet<i64> = offers.iter().filter_map(Offer::new_lead).collect();
    let mut late: Vec<Row<'_>> = offers
        .iter()
        .filter_map(Offer::lead_of_duplicate)
        .filter(|row| row.lead.may_come_late && !new.contains(&row.lead_id))
        .collect();
    // Sorted, so that two writers with the same ones never wait for each other; each once.
    late.sort_by_key(|row| row.lead_id);
    late.dedup_by_key(|row| row.lead_id);
    let requests: HashSet<Uuid> = late.iter().map(|row| row.event.request_id).collect();
    let stored = insert_where_free(connection, &late).await?;
    for offer in offers.iter_mut() {
        offer.is_late_lead = offer
            .lead_of_duplicate()
            .is_some_and(|row| stored.contains(&row.lead_id) && requests.contains(&row.event.request_id));
    }
    Ok(())
}

/// Stores leads where their number has none, and says which it stored.
async fn insert_where_free(
    mut connection: &AsyncPgConnection,
    leads: &[Row<'_>],
) -> Result<HashSet<i64>, StoreError> {
    if leads.is_empty() {
        return Ok(HashSet::new());
    }
    type Bytes = Array<Nullable<Binary>>;
    type MaybeTexts = Array<Nullable<Text>>;
    fn of<'l, T>(leads: &[Row<'l>], value: impl Fn(&'l NewLead) -> T) -> Vec<T> {
        leads.iter().map(|row| value(row.lead)).collect()
    }
    fn event<'l, T>(leads: &[Row<'l>], value: impl Fn(&'l NewEvent) -> T) -> Vec<T> {
        leads.iter().map(|row| value(row.event)).collect()
    }
    #[derive(QueryableByName)]
    struct Inserted {
        #[diesel(sql_type = BigInt)]
        lead_id: i64,
    }
    let inserted: Vec<Inserted> = sql_query(include_str!("sql/insert_leads.sql"))
        .bind::<Array<BigInt>, _>(event(leads, |event| event.dataset_id.as_i64()))
        .bind::<Array<BigInt>, _>(leads.iter().map(|row| row.lead_id).collect::<Vec<_>>())
        .bind::<Array<Binary>, _>(of(leads, |lead| lead.contact.as_slice()))
        .bind::<Bytes, _>(of(leads, |lead| lead.lookups.email.as_deref()))
        .bind::<Bytes, _>(of(leads, |lead| lead.lookups.phone.as_deref()))
        .bind::<Bytes, _>(of(leads, |lead| lead.lookups.cpf.as_deref()))
        .bind::<Bytes, _>(of(leads, |lead| lead.lookups.external_id.as_deref()))
        .bind::<Bytes, _>(of(leads, |lead| lead.lookups.visitor.as_deref()))
        .bind::<MaybeTexts, _>(of(leads, |lead| lead.fbp.as_deref()))
        .bind::<MaybeTexts, _>(of(leads, |lead| lead.fbc.as_deref()))
        .bind::<MaybeTexts, _>(of(leads, |lead| lead.consent.as_deref()))
        .bind::<Array<Bool>, _>(event(leads, |event| event.withheld))
        .bind::<Array<Date>, _>(leads.iter().map(|row| row.day).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(event(leads, |event| event.id.as_str()))
        .bind::<Array<Nullable<BigInt>>, _>(event(leads, |event| event.key_id))
        .bind::<Array<sql_types::Uuid>, _>(event(leads, |event| event.request_id))
        .prepared()
        .load(&mut connection)
        .await?;
    Ok(inserted.into_iter().map(|row| row.lead_id).collect())
}
