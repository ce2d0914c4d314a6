//! A lead moves on: its status and the event that it becomes there, in one transaction.

use std::fmt;

use diesel::result::Error as QueryError;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text};
use diesel::{OptionalExtension, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use rastro_core::lead_status::LeadStatus;
use secrecy::SecretString;

use super::contact_of;
use crate::connection::Store;
use crate::error::StoreError;
use crate::events::{self, Acceptance, NewEvent};
use crate::idempotency_keys::{self, IdempotencyKey, KeptAnswer};
use crate::statement::Prepare;
use crate::transaction;

/// A lead, with what an event of it is made of.
#[derive(Clone)]
pub struct StoredLead {
    pub status: LeadStatus,
    /// The form's fields as JSON. `None`: the person was erased.
    pub contact: Option<SecretString>,
    pub fbp: Option<String>,
    pub fbc: Option<String>,
    pub ads_refused: bool,
}

/// Nothing of the person.
impl fmt::Debug for StoredLead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a lead that is {}", self.status.as_str())
    }
}

/// A status that a lead is to come to.
#[derive(Debug)]
pub struct LeadStep {
    pub dataset_id: DatasetId,
    pub lead_id: i64,
    pub status: LeadStatus,
    /// What the lead becomes there; offered once for ever.
    pub event: Option<NewEvent>,
    pub idempotency: Option<IdempotencyKey>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// `None`: nothing was to be sent, or it was offered before, or the person was erased meanwhile. Not
    /// changed: the lead was there already.
    Now {
        changed: bool,
        acceptance: Option<Acceptance>,
    },
    /// There is no such lead.
    Unknown,
    /// It does not go there from where it is.
    NotFrom(LeadStatus),
    /// The idempotency key was used before: nothing was changed.
    KeyTaken,
}

/// Why the transaction is given up.
enum Stop {
    Refused(Stepped),
    Failed(StoreError),
}

impl From<QueryError> for Stop {
    fn from(error: QueryError) -> Self {
        Stop::Failed(error.into())
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Failed(error)
    }
}

#[derive(QueryableByName)]
struct Place {
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Array<Text>)]
    events_of: Vec<String>,
    #[diesel(sql_type = Bool)]
    is_erased: bool,
    #[diesel(sql_type = Bool)]
    ads_refused: bool,
}

impl Place {
    /// Whether the event may still be stored. It was made of what the lead was before this transaction: the
    /// person may have been erased meanwhile, or be about to be, which [`crate::erasures`] says by
    /// `ads_refused` before it looks for events.
    fn still_allows(&self, event: &NewEvent) -> bool {
        !self.is_erased && (event.withheld || !self.ads_refused)
    }
}

fn status_of(word: &str) -> Result<LeadStatus, StoreError> {
    LeadStatus::parse(word).ok_or(StoreError::Invalid {
        what: "status of a lead",
    })
}

impl Store {
    /// A lead as it stands now. `None`: the dataset has no such lead.
    pub async fn lead(&self, dataset: DatasetId, lead_id: i64) -> Result<Option<StoredLead>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            status: String,
            #[diesel(sql_type = Binary)]
            contact: Vec<u8>,
            #[diesel(sql_type = Text)]
            event_id: String,
            #[diesel(sql_type = Nullable<Text>)]
            fbp: Option<String>,
            #[diesel(sql_type = Nullable<Text>)]
            fbc: Option<String>,
            #[diesel(sql_type = Bool)]
            ads_refused: bool,
        }
        let row: Option<Row> = sql_query(include_str!("../sql/stored_lead.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<BigInt, _>(lead_id)
            .prepared()
            .get_result(&mut self.connection().await?)
            .await
            .optional()?;
        let Some(row) = row else { return Ok(None) };
        let contact = match row.contact.is_empty() {
            true => None,
            false => {
                let opened = self
                    .sealer
                    .open(&row.contact, &contact_of(dataset, &row.event_id));
                Some(opened.ok_or(StoreError::Invalid {
                    what: "contact of a lead",
                })?)
            }
        };
        Ok(Some(StoredLead {
            status: status_of(&row.status)?,
            contact,
            fbp: row.fbp,
            fbc: row.fbc,
            ads_refused: row.ads_refused,
        }))
    }

    /// Moves a lead on and offers its event, in one commit; `answer` is what is kept under the idempotency
    /// key. What is refused keeps no key. Whoever moves the same lead meanwhile waits, and then sees where it
    /// is.
    pub async fn move_lead(
        &self,
        step: &LeadStep,
        answer: impl Fn(&Stepped) -> KeptAnswer + Send + Sync,
    ) -> Result<Stepped, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        transaction::begin(connection, &[events::NEW_NUMBERS]).await?;
        let moved = moved(connection, step, &answer).await;
        match transaction::end(connection, moved).await {
            Ok(stepped) | Err(Stop::Refused(stepped)) => Ok(stepped),
            Err(Stop::Failed(error)) => Err(error),
        }
    }
}

/// Locks are taken as by everybody: the idempotency key, the lead, the event's key.
async fn moved(
    connection: &mut AsyncPgConnection,
    step: &LeadStep,
    answer: &(impl Fn(&Stepped) -> KeptAnswer + Sync),
) -> Result<Stepped, Stop> {
    let free = idempotency_keys::claim(connection, &[step.idempotency.as_ref()]).await?;
    if free != [true] {
        return Ok(Stepped::KeyTaken);
    }
    let place: Option<Place> = sql_query(include_str!("../sql/lead_to_move.sql"))
        .bind::<BigInt, _>(step.dataset_id.as_i64())
        .bind::<BigInt, _>(step.lead_id)
        .prepared()
        .get_result(connection)
        .await
        .optional()?;
    let place = place.ok_or(Stop::Refused(Stepped::Unknown))?;
    let status = status_of(&place.status)?;
    let stepped = if status == step.status {
        Stepped::Now {
            changed: false,
            acceptance: None,
        }
    } else if status.may_become(step.status) {
        let is_first = !place
            .events_of
            .iter()
            .any(|before| before == step.status.as_str());
        let event = step.event.as_ref();
        let event = event.filter(|event| is_first && place.still_allows(event));
        sql_query(include_str!("../sql/move_lead.sql"))
            .bind::<BigInt, _>(step.dataset_id.as_i64())
            .bind::<BigInt, _>(step.lead_id)
            .bind::<Text, _>(step.status.as_str())
            .bind::<Bool, _>(event.is_some())
            .prepared()
            .execute(connection)
            .await?;
        let offered: Vec<&NewEvent> = event.into_iter().collect();
        let accepted = events::accept(connection, &offered).await?;
        Stepped::Now {
            changed: true,
            acceptance: accepted.as_slice().first().map(|(acceptance, _)| *acceptance),
        }
    } else {
        return Err(Stop::Refused(Stepped::NotFrom(status)));
    };
    if let Some(key) = &step.idempotency {
        idempotency_keys::keep(connection, &[(key, answer(&stepped))]).await?;
    }
    Ok(stepped)
}
