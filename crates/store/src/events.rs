//! `events`: what was accepted. One transaction claims the events' keys, stores the events and makes them
//! ready to be sent.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{self, Array, BigInt, Date, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use rastro_core::dedup::EventKey;
use rastro_core::event::{Event, Facts};
use uuid::Uuid;

use crate::connection::Store;
use crate::erasures::epoch::{self, ErasureEpoch};
use crate::error::StoreError;
use crate::event_outcomes::{self, EventOutcome, Outcome, Refusal};
use crate::idempotency_keys::{self, IdempotencyKey};
use crate::leads::{self, NewLead};
use crate::purchases::{self, MadeEvent, NewPurchase, PurchaseChange};
use crate::recall::{self, Recall};
use crate::schema::events;
use crate::send_queue::{self, ReadyEvent};
use crate::statement::{Prepare, column};
use crate::touchpoints::{self, NewTouchpoint};
use crate::transaction;

/// Meta counts an event's age when it has read it: an event is not sent in the last minute of its time.
const SEND_MARGIN_SECONDS: i64 = 60;

/// An event as it is stored.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub key: EventKey,
    pub dataset_id: DatasetId,
    pub name: String,
    pub id: String,
    /// When it happened, in seconds since 1970.
    pub event_time: i64,
    /// From then on Meta would refuse it, in seconds since 1970.
    pub send_by: i64,
    /// How long its key is remembered, in seconds.
    pub dedup_window_seconds: i64,
    /// Meta's word for where it happened.
    pub action_source: &'static str,
    pub facts: Facts,
    /// Empty for real events.
    pub test_event_code: String,
    /// The API key that sent it.
    pub key_id: Option<i64>,
    /// The request that brought it.
    pub request_id: Uuid,
    /// W3C trace context, if that request was traced.
    pub traceparent: Option<String>,
    /// Stored and never sent: the person refused advertising.
    pub withheld: bool,
    /// The finished server event as JSON.
    pub payload: String,
    /// By what its browser is looked up, if it comes without one. `None`: it is stored as it is.
    pub recall: Option<Recall>,
}

/// Where an event comes from: the same for all events of a request.
#[derive(Clone, Debug)]
pub struct Origin {
    pub dataset_id: DatasetId,
    /// Empty for real events.
    pub test_event_code: String,
    pub key_id: Option<i64>,
    pub request_id: Uuid,
    pub traceparent: Option<String>,
    /// See [`NewEvent::withheld`].
    pub withheld: bool,
}

impl NewEvent {
    /// What is stored of an event.
    pub fn new(event: &Event<'_>, origin: Origin) -> Self {
        NewEvent {
            key: event.key(origin.dataset_id),
            dataset_id: origin.dataset_id,
            name: event.name.clone().into_owned(),
            id: event.id.clone().into_owned(),
            event_time: event.time,
            send_by: event.time + event.action_source.max_age_seconds() - SEND_MARGIN_SECONDS,
            dedup_window_seconds: event.dedup_window_seconds(),
            action_source: event.action_source.as_str(),
            facts: event.facts(),
            test_event_code: origin.test_event_code,
            key_id: origin.key_id,
            request_id: origin.request_id,
            traceparent: origin.traceparent,
            withheld: origin.withheld,
            payload: event.to_json(),
            recall: None,
        }
    }

    /// The same, stored without anything of the person and never sent.
    pub(crate) fn without_person(&self) -> NewEvent {
        NewEvent {
            withheld: true,
            payload: String::new(),
            facts: Facts {
                page: Default::default(),
                ..self.facts.clone()
            },
            ..self.clone()
        }
    }
}

/// What became of an event that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Stored, and ready to be sent unless it is withheld.
    Accepted { event_number: i64 },
    /// Its key was claimed before, at that time by that event. `None`: the key expired in between.
    Duplicate(Option<FirstClaim>),
}

/// The event that has a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstClaim {
    pub event_number: i64,
    /// Under which `events` keeps it.
    pub day: NaiveDate,
    pub at: DateTime<Utc>,
}

/// Writes groups of events over a connection of its own, whose statements keep their plans.
pub struct EventWriter {
    connection: AsyncPgConnection,
    patience: Duration,
}

impl Store {
    /// Opens a writer. After an error other than [`StoreError::Query`] its connection is of no more use.
    pub async fn event_writer(&self) -> Result<EventWriter, StoreError> {
        Ok(EventWriter {
            connection: self.dedicated_connection().await?,
            patience: self.patience(),
        })
    }

    /// The server event as it goes to Meta. `None`: there is no such event, or it is older than what is kept.
    /// Empty: it was erased.
    pub async fn payload(
        &self,
        dataset_id: DatasetId,
        event_number: i64,
    ) -> Result<Option<String>, StoreError> {
        let payload = events::table
            .filter(events::dataset_id.eq(dataset_id.as_i64()))
            .filter(events::event_number.eq(event_number))
            .select(events::payload)
            .get_result(&mut self.connection().await?)
            .await
            .optional()?;
        Ok(payload)
    }
}

/// What one request brings: all of it is stored, or nothing.
#[derive(Debug, Default)]
pub struct NewRequest {
    pub events: Vec<NewEvent>,
    /// What was refused of the request before it came here.
    pub refusals: Vec<Refusal>,
    /// What the one event of the request came of, if it did not come by itself.
    pub record: Option<Record>,
    /// Stored with the record, when it is new; without one, when an event is.
    pub touchpoints: Vec<NewTouchpoint>,
    pub idempotency: Option<IdempotencyKey>,
    /// When that was read which it brings of people that were known before. `None`: it brings nothing of
    /// them.
    pub read_at: Option<ErasureEpoch>,
}

/// A row of the business's own beside an event.
#[derive(Debug)]
pub enum Record {
    /// Stored when its event is accepted; or, of a server, was before by another way, without a lead.
    Lead(Box<NewLead>),
    /// Its event, if there is one, is offered when the order is new or moves on.
    Purchase(Box<NewPurchase>),
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    Now {
        /// Of each event, in their order. Empty: it was not offered, because the order stayed as it was.
        acceptances: Vec<Acceptance>,
        purchase: Option<PurchaseChange>,
        /// The lead is that of an event which came before by another way.
        is_late_lead: bool,
    },
    /// Its idempotency key was used before: nothing of it is stored.
    KeyTaken,
    /// Somebody was erased since [`NewRequest::read_at`]: nothing of it is stored, and it may be offered
    /// again with what is read anew.
    Outdated,
}

impl EventWriter {
    /// Stores what the requests bring, in one commit: those events whose key was never claimed before, the
    /// others as duplicates in the log, what was refused before it came here, and the leads, orders, contacts
    /// and idempotency keys. Says which event is which. Of a key that comes twice the first event wins. What
    /// is accepted is durable when this returns; on an error nothing is known to be stored.
    pub async fn accept_requests(&mut self, requests: &[&NewRequest]) -> Result<Vec<Stored>, StoreError> {
        let connection = &mut self.connection;
        let of_known_people = requests.iter().any(|request| request.is_of_known_people());
        let first: &[&str] = match of_known_people {
            true => &[NEW_NUMBERS, epoch::KEEP_OUT],
            false => &[NEW_NUMBERS],
        };
        let accepting = async {
            transaction::begin(connection, first).await?;
            let stored = accept_requests(connection, requests).await;
            transaction::end(connection, stored).await
        };
        tokio::time::timeout(self.patience, accepting)
            .await
            .map_err(|_| StoreError::TimedOut)?
    }
}

/// What a transaction that accepts events begins with. What is left of the numbers that an earlier commit took
/// is forgotten: numbers grow with time, and those of one commit are consecutive.
pub(crate) const NEW_NUMBERS: &str = "DISCARD SEQUENCES";

/// Within a transaction that begins with [`NEW_NUMBERS`], and with [`epoch::KEEP_OUT`] if it is of people who
/// were known before. Locks are taken in one order by everybody: that of erasures, idempotency keys, orders,
/// event keys, contacts; each kind sorted.
pub(crate) async fn accept_requests(
    connection: &AsyncPgConnection,
    requests: &[&NewRequest],
) -> Result<Vec<Stored>, StoreError> {
    let readings: Vec<_> = requests.iter().map(|request| request.read_at).collect();
    let is_current = epoch::are_current(connection, &readings).await?;
    let keys: Vec<_> = requests
        .iter()
        .zip(&is_current)
        .map(|(request, current)| request.idempotency.as_ref().filter(|_| *current))
        .collect();
    let is_free = idempotency_keys::claim(connection, &keys).await?;
    let fates: Vec<Option<Stored>> = is_current
        .iter()
        .zip(&is_free)
        .map(|(current, free)| match (current, free) {
            (false, _) => Some(Stored::Outdated),
            (true, false) => Some(Stored::KeyTaken),
            (true, true) => None,
        })
        .collect();
    let taken_in = || {
        requests
            .iter()
            .zip(&fates)
            .filter(|(_, fate)| fate.is_none())
            .map(|(request, _)| *request)
    };

    let orders: Vec<&NewPurchase> = taken_in().filter_map(NewRequest::purchase).collect();
    let mut changes = purchases::record(connection, &orders).await?.into_iter();
    let mut offers: Vec<Offer<'_>> = taken_in()
        .map(|request| Offer::of(request, request.purchase().and_then(|_| changes.next())))
        .collect();

    let events: Vec<&NewEvent> = offers.iter().flat_map(Offer::events).collect();
    let mut accepted = accept(connection, &events).await?.into_iter();
    drop(events);
    for offer in &mut offers {
        offer.accepted = accepted.by_ref().take(offer.events().count()).collect();
    }

    leads::insert_late(connection, &mut offers).await?;
    let (mut leads, mut made, mut touchpoints, mut answers) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for offer in &offers {
        let first = offer.accepted.as_slice().first();
        let is_new = match (&offer.request.record, first) {
            (Some(Record::Lead(lead)), Some((Acceptance::Accepted { .. }, Some(claim)))) => {
                leads.extend(offer.events().next().map(|event| leads::Row {
                    lead,
                    event,
                    lead_id: claim.event_number,
                    day: claim.day,
                }));
                true
            }
            (Some(Record::Lead(_)), _) => offer.is_late_lead,
            (Some(Record::Purchase(purchase)), first) => {
                let (event_number, day) = match first {
                    Some((Acceptance::Accepted { event_number }, claim)) => {
                        (Some(*event_number), claim.map(|claim| claim.day))
                    }
                    Some((Acceptance::Duplicate(known), _)) => (known.map(|known| known.event_number), None),
                    None => (None, None),
                };
                made.extend(event_number.map(|event_number| MadeEvent {
                    purchase,
                    event_number,
                    day,
                }));
                offer.purchase.is_some_and(|change| change.changed)
            }
            (None, _) => offer.accepted.iter().any(|(_, claim)| claim.is_some()),
        };
        if is_new {
            touchpoints.extend(&offer.request.touchpoints);
        }
        if let Some(key) = &offer.request.idempotency {
            answers.push((key, (key.answer)(&offer.stored())));
        }
    }
    let refusals = taken_in().flat_map(|request| &request.refusals);
    tokio::try_join!(
        event_outcomes::insert(connection, refusals.map(Refusal::outcome)),
        leads::insert(connection, &leads),
        purchases::note_events(connection, &made),
        touchpoints::insert(connection, &touchpoints),
        idempotency_keys::keep(connection, &answers),
    )?;
    let mut offers = offers.into_iter();
    let stored = fates.into_iter().map(|fate| match fate {
        None => offers.next().map_or(Stored::KeyTaken, |offer| offer.stored()),
        Some(fate) => fate,
    });
    Ok(stored.collect())
}

impl NewRequest {
    /// An order may have a claim of before, and an event may be completed by what is remembered.
    fn is_of_known_people(&self) -> bool {
        let recalls = self.events.iter().any(|event| event.recall.is_some());
        self.read_at.is_some() || self.purchase().is_some() || recalls
    }

    fn purchase(&self) -> Option<&NewPurchase> {
        match &self.record {
            Some(Record::Purchase(purchase)) => Some(purchase),
            _ => None,
        }
    }
}

/// A request on its way, and what became of it so far.
pub(crate) struct Offer<'r> {
    request: &'r NewRequest,
    purchase: Option<PurchaseChange>,
    /// Instead of the request's event, of an order whose visitor refused advertising when it was recorded
    /// before.
    withheld: Option<NewEvent>,
    accepted: Vec<(Acceptance, Option<ClaimedKey>)>,
    /// See [`Stored::Now`].
    pub(crate) is_late_lead: bool,
}

impl<'r> Offer<'r> {
    /// The lead of an event that was there before.
    pub(crate) fn lead_of_duplicate(&self) -> Option<leads::Row<'_>> {
        match (&self.request.record, self.accepted.as_slice()) {
            (Some(Record::Lead(lead)), [(Acceptance::Duplicate(Some(first)), _)]) => Some(leads::Row {
                lead,
                event: self.request.events.as_slice().first()?,
                lead_id: first.event_number,
                day: first.day,
            }),
            _ => None,
        }
    }

    /// The number of the lead that is new with its event.
    pub(crate) fn new_lead(&self) -> Option<i64> {
        match (&self.request.record, self.accepted.as_slice()) {
            (Some(Record::Lead(_)), [(_, Some(claim))]) => Some(claim.event_number),
            _ => None,
        }
    }

    fn of(request: &'r NewRequest, purchase: Option<PurchaseChange>) -> Self {
        let refused = purchase.is_some_and(|change| change.ads_refused);
        let event = request
            .events
            .as_slice()
            .first()
            .filter(|event| refused && !event.withheld);
        let withheld = event.map(NewEvent::without_person);
        Offer {
            request,
            purchase,
            withheld,
            accepted: Vec::new(),
            is_late_lead: false,
        }
    }

    fn events(&self) -> impl Iterator<Item = &NewEvent> {
        let own = match (&self.withheld, &self.purchase) {
            (Some(withheld), Some(change)) if change.changed => std::slice::from_ref(withheld),
            (_, Some(change)) if !change.changed => &[],
            _ => self.request.events.as_slice(),
        };
        own.iter()
    }

    fn stored(&self) -> Stored {
        Stored::Now {
            acceptances: self.accepted.iter().map(|(acceptance, _)| *acceptance).collect(),
            purchase: self.purchase,
            is_late_lead: self.is_late_lead,
        }
    }
}

#[derive(Clone, Copy, QueryableByName)]
pub(crate) struct ClaimedKey {
    #[diesel(sql_type = sql_types::Uuid)]
    event_key: Uuid,
    #[diesel(sql_type = Date)]
    pub(crate) day: NaiveDate,
    #[diesel(sql_type = BigInt)]
    pub(crate) event_number: i64,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
}

/// What became of each event, and the key of each that was accepted. Within a transaction of the caller's as
/// [`accept_requests`] is: something may be remembered of a browser.
pub(crate) async fn accept(
    connection: &AsyncPgConnection,
    events: &[&NewEvent],
) -> Result<Vec<(Acceptance, Option<ClaimedKey>)>, StoreError> {
    // Sorted, so that two writers with the same keys never wait for each other, and the events of a dataset
    // get consecutive numbers, which make one run of the queue; stable, so that the first of a key comes
    // first.
    let mut by_key: Vec<&NewEvent> = events.to_vec();
    by_key.sort_by_key(|event| (event.dataset_id, event.key));
    by_key.dedup_by_key(|event| event.key);

    let (claimed, recalled) = tokio::try_join!(
        claim_keys(connection, &by_key),
        recall::look_up(connection, &by_key)
    )?;
    let mut claimed: HashMap<Uuid, ClaimedKey> = claimed
        .into_iter()
        .map(|claim| (claim.event_key, claim))
        .collect();

    let mut fresh: Vec<(&NewEvent, ClaimedKey)> = Vec::with_capacity(claimed.len());
    let mut duplicates: Vec<&NewEvent> = Vec::new();
    let mut acceptances: Vec<Option<ClaimedKey>> = Vec::with_capacity(events.len());
    for event in events {
        match claimed.remove(&event.key.0) {
            Some(claim) => {
                acceptances.push(Some(claim));
                fresh.push((event, claim));
            }
            None => {
                acceptances.push(None);
                duplicates.push(event);
            }
        }
    }
    let completed: Vec<Option<NewEvent>> = fresh.iter().map(|(event, _)| recalled.complete(event)).collect();
    for ((event, _), completed) in fresh.iter_mut().zip(&completed) {
        *event = completed.as_ref().unwrap_or(event);
    }
    // One after another on the wire, and each without waiting for the one before it.
    let sent = fresh.iter().filter(|(event, _)| !event.withheld);
    let withheld = fresh.iter().filter(|(event, _)| event.withheld);
    let ((), (), (), first_claims) = tokio::try_join!(
        insert_events(connection, &fresh),
        send_queue::insert_ready(connection, sent.map(|(event, claim)| ready(event, claim))),
        event_outcomes::insert(
            connection,
            withheld.map(|(event, claim)| withholding(event, claim))
        ),
        log_duplicates(connection, &duplicates),
    )?;
    let mut first_claims = first_claims.into_iter();
    let acceptance = |claim: Option<ClaimedKey>| {
        let acceptance = match claim {
            Some(ClaimedKey { event_number, .. }) => Acceptance::Accepted { event_number },
            None => Acceptance::Duplicate(first_claims.next().flatten()),
        };
        (acceptance, claim)
    };
    Ok(acceptances.into_iter().map(acceptance).collect())
}

async fn claim_keys(
    mut connection: &AsyncPgConnection,
    events: &[&NewEvent],
) -> Result<Vec<ClaimedKey>, StoreError> {
    let claimed = sql_query(include_str!("sql/claim_keys.sql"))
        .bind::<Array<BigInt>, _>(column(events, |event| event.dataset_id.as_i64()))
        .bind::<Array<sql_types::Uuid>, _>(column(events, |event| event.key.0))
        .bind::<Array<BigInt>, _>(column(events, |event| event.dedup_window_seconds))
        .prepared()
        .load(&mut connection)
        .await?;
    Ok(claimed)
}

fn ready<'e>(event: &&'e NewEvent, claim: &ClaimedKey) -> ReadyEvent<'e> {
    ReadyEvent {
        dataset_id: event.dataset_id.as_i64(),
        test_event_code: &event.test_event_code,
        event_number: claim.event_number,
        day: claim.day,
        retries: 0,
        send_by: event.send_by,
    }
}

fn withholding<'e>(event: &&'e NewEvent, claim: &ClaimedKey) -> EventOutcome<'e> {
    EventOutcome {
        event_number: Some(claim.event_number),
        event_name: Some(&event.name),
        event_id: Some(&event.id),
        key_id: event.key_id,
        request_id: Some(event.request_id),
        detail: event.facts.is_bot.then_some("bot"),
        ..EventOutcome::new(event.dataset_id.as_i64(), Outcome::Withheld)
    }
}

async fn insert_events(
    mut connection: &AsyncPgConnection,
    events: &[(&NewEvent, ClaimedKey)],
) -> Result<(), StoreError> {
    let Some((_, ClaimedKey { created_at, day, .. })) = events.first() else {
        return Ok(());
    };
    type Texts = Array<Text>;
    type MaybeTexts = Array<Nullable<Text>>;
    // A column that no event of the group has is an empty list, which unnest fills up: most columns are, and
    // each value costs.
    fn sparse<T>(values: Vec<Option<T>>) -> Vec<Option<T>> {
        if values.iter().all(Option::is_none) {
            Vec::new()
        } else {
            values
        }
    }
    fn of<'e, T>(events: &[(&'e NewEvent, ClaimedKey)], value: impl Fn(&'e NewEvent) -> T) -> Vec<T> {
        events.iter().map(|(event, _)| value(event)).collect()
    }
    let page = |part: fn(&rastro_core::page::Page) -> &Option<String>| {
        sparse(of(events, |event| part(&event.facts.page).as_deref()))
    };
    let fact =
        |part: fn(&Facts) -> &Option<String>| sparse(of(events, |event| part(&event.facts).as_deref()));
    let trace = |part: fn(TraceContext<'_>) -> &str| {
        sparse(of(events, |event| {
            TraceContext::parse(event.traceparent.as_deref()?).map(part)
        }))
    };
    sql_query(include_str!("sql/insert_events.sql"))
        .bind::<Array<BigInt>, _>(of(events, |event| event.dataset_id.as_i64()))
        .bind::<Array<BigInt>, _>(
            events
                .iter()
                .map(|(_, claim)| claim.event_number)
                .collect::<Vec<_>>(),
        )
        .bind::<Texts, _>(of(events, |event| event.name.as_str()))
        .bind::<Texts, _>(of(events, |event| event.id.as_str()))
        .bind::<Array<BigInt>, _>(of(events, |event| event.event_time))
        .bind::<Array<BigInt>, _>(of(events, |event| event.send_by))
        .bind::<Texts, _>(of(events, |event| event.action_source))
        .bind::<MaybeTexts, _>(fact(|facts| &facts.value))
        .bind::<MaybeTexts, _>(fact(|facts| &facts.currency))
        .bind::<MaybeTexts, _>(fact(|facts| &facts.order_id))
        .bind::<MaybeTexts, _>(page(|page| &page.host))
        .bind::<MaybeTexts, _>(page(|page| &page.path))
        .bind::<MaybeTexts, _>(page(|page| &page.utm_source))
        .bind::<MaybeTexts, _>(page(|page| &page.utm_medium))
        .bind::<MaybeTexts, _>(page(|page| &page.utm_campaign))
        .bind::<MaybeTexts, _>(page(|page| &page.utm_content))
        .bind::<MaybeTexts, _>(page(|page| &page.utm_term))
        .bind::<MaybeTexts, _>(page(|page| &page.fbclid))
        .bind::<MaybeTexts, _>(page(|page| &page.gclid))
        .bind::<MaybeTexts, _>(page(|page| &page.gbraid))
        .bind::<MaybeTexts, _>(page(|page| &page.wbraid))
        .bind::<MaybeTexts, _>(page(|page| &page.msclkid))
        .bind::<MaybeTexts, _>(page(|page| &page.ttclid))
        .bind::<Texts, _>(of(events, |event| event.test_event_code.as_str()))
        .bind::<Array<Nullable<BigInt>>, _>(sparse(of(events, |event| event.key_id)))
        .bind::<Array<sql_types::Uuid>, _>(of(events, |event| event.request_id))
        .bind::<MaybeTexts, _>(trace(|trace| trace.trace_id))
        .bind::<MaybeTexts, _>(trace(|trace| trace.span_id))
        .bind::<Texts, _>(of(events, |event| event.payload.as_str()))
        .bind::<Timestamptz, _>(created_at)
        .bind::<Date, _>(day)
        .prepared()
        .execute(&mut connection)
        .await?;
    Ok(())
}

/// Logs events whose key was taken, and says for each who has it.
async fn log_duplicates(
    mut connection: &AsyncPgConnection,
    events: &[&NewEvent],
) -> Result<Vec<Option<FirstClaim>>, StoreError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = sql_types::Uuid)]
        event_key: Uuid,
        #[diesel(sql_type = BigInt)]
        event_number: i64,
        #[diesel(sql_type = Date)]
        day: NaiveDate,
        #[diesel(sql_type = Timestamptz)]
        created_at: DateTime<Utc>,
    }
    let rows: Vec<Row> = sql_query(include_str!("sql/claimed_keys.sql"))
        .bind::<Array<BigInt>, _>(column(events, |event| event.dataset_id.as_i64()))
        .bind::<Array<sql_types::Uuid>, _>(column(events, |event| event.key.0))
        .prepared()
        .load(&mut connection)
        .await?;
    let claims: HashMap<Uuid, FirstClaim> = rows
        .into_iter()
        .map(|row| {
            let claim = FirstClaim {
                event_number: row.event_number,
                day: row.day,
                at: row.created_at,
            };
            (row.event_key, claim)
        })
        .collect();
    let claims: Vec<Option<FirstClaim>> = events
        .iter()
        .map(|event| claims.get(&event.key.0).copied())
        .collect();
    let outcomes = events.iter().zip(&claims).map(|(event, claim)| EventOutcome {
        event_number: claim.map(|claim| claim.event_number),
        event_name: Some(&event.name),
        event_id: Some(&event.id),
        key_id: event.key_id,
        request_id: Some(event.request_id),
        ..EventOutcome::new(event.dataset_id.as_i64(), Outcome::Duplicate)
    });
    event_outcomes::insert(connection, outcomes).await?;
    Ok(claims)
}

/// The two parts of a `traceparent` that are kept. Version and flags say nothing more: only what is traced
/// has one.
pub(crate) struct TraceContext<'t> {
    pub(crate) trace_id: &'t str,
    pub(crate) span_id: &'t str,
}

impl<'t> TraceContext<'t> {
    pub(crate) fn parse(traceparent: &'t str) -> Option<Self> {
        let mut parts = traceparent.split('-').skip(1);
        let (trace_id, span_id) = (parts.next()?, parts.next()?);
        (trace_id.len() == 32 && span_id.len() == 16).then_some(TraceContext { trace_id, span_id })
    }
}

/// The `traceparent` of a stored event, as sampled as it was.
pub(crate) fn traceparent(trace_id: Option<String>, span_id: Option<String>) -> Option<String> {
    Some(format!("00-{}-{}-01", trace_id?, span_id?))
}
