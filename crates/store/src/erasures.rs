//! Forgetting a person: what is personal goes, what is money stays, and nothing brings the person back.
//!
//! The tombstone comes first, and that nobody is found by the person's leads any more, nor anything of them
//! is for advertising. Whoever writes what was read of a person, [`epoch`] sends back to read again; whoever
//! moves a lead on looks at the lead under its lock. So nothing is made of the person behind the back of what
//! follows. Then come the events, day by day, and last the rows by which the person is found, contact
//! included: it tells which hashes stand in events. One that is interrupted finds the person again when it is
//! asked for again.

pub(crate) mod epoch;
mod shared;
mod traces;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::{self, Array, BigInt, Binary, Bool, Date, Integer, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension, QueryableByName, sql_query};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use rastro_core::dataset::DatasetId;
use serde_json::json;
use uuid::Uuid;

use crate::admin_log::{self, NewEntry};
use crate::connection::Store;
use crate::error::StoreError;
use crate::event_outcomes::{self, EventOutcome, Outcome};
use crate::lookup::PersonLookups;

use traces::Traces;

/// How often it is looked again for what others wrote of the person while the erasure began.
const ROUNDS: u32 = 5;

/// Whom to look for.
#[derive(Clone, Debug, Default)]
pub struct PersonSought {
    pub lookups: PersonLookups,
    pub lead_id: Option<i64>,
    /// Hashes as they stand in payloads: of the e-mail, and of every form of the phone.
    pub hashes: Vec<String>,
    /// email, phone, cpf, lead.
    pub named_by: Vec<&'static str>,
}

/// What is kept of a person, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonFound {
    pub leads: Vec<i64>,
    pub touchpoints: Vec<String>,
    pub purchases: Vec<String>,
    pub payments: Vec<String>,
    /// Their numbers.
    pub events: Vec<i64>,
    /// How many e-mails, phones and browsers of the leads were not followed, as more than five people share
    /// each.
    pub shared_keys: usize,
}

/// How much was erased, and when.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct ErasureReceipt {
    #[diesel(sql_type = sql_types::Uuid)]
    pub erasure_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    pub asked_at: DateTime<Utc>,
    /// `None`: under way, or interrupted.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub finished_at: Option<DateTime<Utc>>,
    /// By what the person was named: email, phone, cpf, lead.
    #[diesel(sql_type = Array<Text>)]
    pub named_by: Vec<String>,
    #[diesel(sql_type = Integer)]
    pub leads: i32,
    #[diesel(sql_type = Integer)]
    pub touchpoints: i32,
    #[diesel(sql_type = Integer)]
    pub purchases: i32,
    #[diesel(sql_type = Integer)]
    pub payments: i32,
    #[diesel(sql_type = Integer)]
    pub events: i32,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    word: String,
}

#[derive(QueryableByName)]
struct EventRow {
    #[diesel(sql_type = BigInt)]
    event_number: i64,
    #[diesel(sql_type = Text)]
    event_name: String,
    #[diesel(sql_type = Text)]
    event_id: String,
}

impl Store {
    /// Everything that is kept of a person. Changes nothing.
    pub async fn find_person(
        &self,
        dataset: DatasetId,
        sought: &PersonSought,
    ) -> Result<PersonFound, StoreError> {
        let mut connection = self.dedicated_connection().await?;
        unhurried(&mut connection).await?;
        let traces = self.traces(&connection, dataset, sought).await?;
        let touchpoints: Vec<Word> = sql_query(
            "SELECT to_char(touched_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') || ' ' || channel AS word
             FROM touchpoints WHERE dataset_id = $1 AND visitor_hmac = ANY($2) ORDER BY touched_at",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Array<Binary>, _>(&traces.visitors)
        .load(&mut connection)
        .await?;
        let mut events = Vec::new();
        for day in days(&connection, dataset).await? {
            let rows: Vec<EventRow> = sql_query(
                "SELECT event_number, event_name, event_id FROM events
                 WHERE dataset_id = $1 AND day = $2 AND payload <> ''
                    AND (event_number = ANY($3) OR payload LIKE ANY($4) OR event_id = ANY($5))
                 ORDER BY event_number",
            )
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Date, _>(day)
            .bind::<Array<BigInt>, _>(&traces.events)
            .bind::<Array<Text>, _>(&traces.patterns)
            .bind::<Array<Text>, _>(&traces.event_ids)
            .load(&mut connection)
            .await?;
            events.extend(rows.into_iter().map(|row| row.event_number));
        }
        Ok(PersonFound {
            leads: traces.leads,
            touchpoints: touchpoints.into_iter().map(|row| row.word).collect(),
            purchases: traces.orders,
            payments: traces.payments,
            events,
            shared_keys: traces.shared.len(),
        })
    }

    /// Forgets a person: contacts, look-ups, contacts with ads, the payloads of events and of claims. Orders,
    /// payments and movements stay, and are nobody's. Payments made until now never find the person again. It
    /// is logged that `who` ordered it.
    pub async fn erase_person(
        &self,
        dataset: DatasetId,
        sought: &PersonSought,
        who: &str,
    ) -> Result<ErasureReceipt, StoreError> {
        let mut connection = self.dedicated_connection().await?;
        unhurried(&mut connection).await?;
        let erasure_id = Uuid::now_v7();
        let mut traces = self.traces(&connection, dataset, sought).await?;
        let connection = &mut connection;
        let mut touchpoints = connection
            .transaction(async |connection| {
                let touchpoints = begin(connection, dataset, &traces).await?;
                sql_query(
                    "INSERT INTO erasures (dataset_id, erasure_id, named_by, asked_at) VALUES ($1, $2, $3, rastro_now())",
                )
                .bind::<BigInt, _>(dataset.as_i64())
                .bind::<sql_types::Uuid, _>(erasure_id)
                .bind::<Array<Text>, _>(&sought.named_by)
                .execute(connection)
                .await?;
                let entry = NewEntry {
                    who,
                    action: "person.erase",
                    dataset: Some(dataset),
                    key_id: None,
                    detail: json!({ "erasure_id": erasure_id, "named_by": sought.named_by }),
                };
                admin_log::insert(connection, entry).await?;
                Ok::<usize, StoreError>(touchpoints)
            })
            .await?;
        // What was committed between the look and the lock. Only a person who writes on and on is never done
        // with, so the last round has the last word.
        for _ in 0..ROUNDS {
            let before = std::mem::replace(&mut traces, self.traces(connection, dataset, sought).await?);
            if traces.adds_nothing_to(&before) {
                break;
            }
            touchpoints += connection
                .transaction(async |connection| begin(connection, dataset, &traces).await)
                .await?;
        }
        let mut events = 0;
        for day in days(connection, dataset).await? {
            events += connection
                .transaction(async |connection| empty_events(connection, dataset, day, &traces).await)
                .await?;
        }
        connection
            .transaction(async |connection| {
                forget(connection, dataset, erasure_id, &traces, touchpoints, events).await
            })
            .await
    }

    /// The newest receipts of a dataset, at most 500.
    pub async fn erasures(&self, dataset: DatasetId) -> Result<Vec<ErasureReceipt>, StoreError> {
        let receipts = sql_query(
            "SELECT erasure_id, asked_at, finished_at, named_by, leads, touchpoints, purchases, payments, events FROM erasures
             WHERE dataset_id = $1 ORDER BY asked_at DESC, erasure_id DESC LIMIT 500",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .load(&mut self.connection().await?)
        .await?;
        Ok(receipts)
    }

    /// Whether somebody with one of these look-ups asked to be forgotten after this moment.
    pub async fn is_forgotten(
        &self,
        dataset: DatasetId,
        person: &PersonLookups,
        since: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Bool)]
            #[expect(dead_code, reason = "that there is a row is all that is asked")]
            found: bool,
        }
        let row: Option<Row> = sql_query(
            "SELECT true AS found FROM suppressed_people
             WHERE dataset_id = $1 AND suppressed_at >= $5
                AND (kind, hmac) IN (('email', $2), ('phone', $3), ('cpf', $4)) LIMIT 1",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Nullable<Binary>, _>(person.email.as_deref())
        .bind::<Nullable<Binary>, _>(person.phone.as_deref())
        .bind::<Nullable<Binary>, _>(person.cpf.as_deref())
        .bind::<Timestamptz, _>(since)
        .get_result(&mut self.connection().await?)
        .await
        .optional()?;
        Ok(row.is_some())
    }
}

/// A day of events is read whole, however long that takes; nobody waits for it.
async fn unhurried(connection: &mut AsyncPgConnection) -> Result<(), StoreError> {
    Ok(connection.batch_execute("SET statement_timeout = 0").await?)
}

async fn days(mut connection: &AsyncPgConnection, dataset: DatasetId) -> Result<Vec<NaiveDate>, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Date)]
        day: NaiveDate,
    }
    let rows: Vec<Row> = sql_query(
        "SELECT day::date AS day FROM (SELECT min(day) AS first, max(day) AS last FROM events WHERE dataset_id = $1) AS all_days,
         generate_series(first, last, interval '1 day') AS day",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .load(&mut connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.day).collect())
}

/// From here on nothing that is written holds anything of the person: nobody is found by the leads, no
/// payment by its payer, no click by the visitor, and no claim is kept. Whoever is writing is waited for; what
/// becomes of that is found with the rest. Returns how many contacts with ads went.
async fn begin(
    connection: &mut AsyncPgConnection,
    dataset: DatasetId,
    traces: &Traces,
) -> Result<usize, StoreError> {
    epoch::advance(connection, dataset).await?;
    bury(connection, dataset, traces).await?;
    shared::remember(connection, dataset, &traces.shared).await?;
    sql_query(
        "UPDATE leads SET ads_refused = true, erased = true WHERE dataset_id = $1 AND lead_id = ANY($2)",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .bind::<Array<BigInt>, _>(&traces.leads)
    .execute(connection)
    .await?;
    sql_query(
        "UPDATE purchases SET claimed_event = NULL, consent = NULL, updated_at = rastro_now()
         WHERE dataset_id = $1 AND order_id = ANY($2) AND num_nonnulls(claimed_event, consent) > 0",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .bind::<Array<Text>, _>(&traces.orders)
    .execute(connection)
    .await?;
    forget_touchpoints(connection, dataset, traces).await
}

async fn forget_touchpoints(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    traces: &Traces,
) -> Result<usize, StoreError> {
    let forgotten = sql_query("DELETE FROM touchpoints WHERE dataset_id = $1 AND visitor_hmac = ANY($2)")
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Array<Binary>, _>(&traces.visitors)
        .execute(&mut connection)
        .await?;
    Ok(forgotten)
}

async fn bury(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    traces: &Traces,
) -> Result<(), StoreError> {
    for (kind, hmacs) in [
        ("email", &traces.emails),
        ("phone", &traces.phones),
        ("cpf", &traces.cpfs),
    ] {
        sql_query(
            "INSERT INTO suppressed_people (dataset_id, kind, hmac, suppressed_at)
             SELECT DISTINCT $1, $2, hmac, rastro_now() FROM unnest($3::bytea[]) AS hmac
             ON CONFLICT (dataset_id, kind, hmac) DO UPDATE SET suppressed_at = excluded.suppressed_at",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Text, _>(kind)
        .bind::<Array<Binary>, _>(hmacs)
        .execute(&mut connection)
        .await?;
    }
    Ok(())
}

/// Empties the person's events of a day. One that is still to be sent is not sent any more: the forwarder
/// finds it empty.
async fn empty_events(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    day: NaiveDate,
    traces: &Traces,
) -> Result<i32, StoreError> {
    let emptied: Vec<EventRow> = sql_query(include_str!("sql/empty_events_of_person.sql"))
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Date, _>(day)
        .bind::<Array<BigInt>, _>(&traces.events)
        .bind::<Array<Text>, _>(&traces.patterns)
        .bind::<Array<Text>, _>(&traces.event_ids)
        .load(&mut connection)
        .await?;
    let outcomes = emptied.iter().map(|event| EventOutcome {
        event_number: Some(event.event_number),
        event_name: Some(&event.event_name),
        event_id: Some(&event.event_id),
        ..EventOutcome::new(dataset.as_i64(), Outcome::Erased)
    });
    event_outcomes::insert(connection, outcomes).await?;
    Ok(i32::try_from(emptied.len()).unwrap_or(i32::MAX))
}

async fn forget(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    erasure_id: Uuid,
    traces: &Traces,
    touchpoints: usize,
    events: i32,
) -> Result<ErasureReceipt, StoreError> {
    let count = |rows: usize| i32::try_from(rows).unwrap_or(i32::MAX);
    let touchpoints = touchpoints + forget_touchpoints(connection, dataset, traces).await?;
    let purchases = sql_query(
        "UPDATE purchases SET lead_id = NULL, match_method = NULL, claimed_event = NULL, consent = NULL, updated_at = rastro_now()
         WHERE dataset_id = $1 AND order_id = ANY($2)",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .bind::<Array<Text>, _>(&traces.orders)
    .execute(&mut connection)
    .await?;
    let payments = sql_query(
        "UPDATE payments SET lead_id = NULL, match_method = NULL, match_confidence = NULL, payer_email_hmac = NULL,
            payer_phone_hmac = NULL, payer_cpf_hmac = NULL
         WHERE dataset_id = $1 AND payment_id = ANY($2)",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .bind::<Array<Text>, _>(&traces.payments)
    .execute(&mut connection)
    .await?;
    // The number of a buyer stays with the orders, and leads to nobody.
    let keys: Vec<&Vec<u8>> = [&traces.emails, &traces.phones, &traces.cpfs, &traces.visitors]
        .into_iter()
        .flatten()
        .collect();
    sql_query("DELETE FROM customers WHERE dataset_id = $1 AND key_hmac = ANY($2)")
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Array<Binary>, _>(keys)
        .execute(&mut connection)
        .await?;
    // The row stays, so that what was counted is counted the same.
    let leads = sql_query(
        "UPDATE leads SET contact = '', email_hmac = NULL, phone_hmac = NULL, cpf_hmac = NULL, external_id_hmac = NULL,
            visitor_hmac = NULL, fbp = NULL, fbc = NULL, consent = NULL, updated_at = rastro_now()
         WHERE dataset_id = $1 AND lead_id = ANY($2)",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .bind::<Array<BigInt>, _>(&traces.leads)
    .execute(&mut connection)
    .await?;
    let receipt = sql_query(
        "UPDATE erasures SET finished_at = rastro_now(), leads = $3, touchpoints = $4, purchases = $5, payments = $6, events = $7
         WHERE dataset_id = $1 AND erasure_id = $2
         RETURNING erasure_id, asked_at, finished_at, named_by, leads, touchpoints, purchases, payments, events",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .bind::<sql_types::Uuid, _>(erasure_id)
    .bind::<Integer, _>(count(leads))
    .bind::<Integer, _>(count(touchpoints))
    .bind::<Integer, _>(count(purchases))
    .bind::<Integer, _>(count(payments))
    .bind::<Integer, _>(events)
    .get_result(&mut connection)
    .await?;
    Ok(receipt)
}
