//! What is remembered of a person's browser, for an event that comes days later from a server that knows
//! nothing of any browser.
//!
//! The look-ups of a whole group of events are one statement, sent together with the claim of their keys: no
//! event waits for a round trip of its own, and a group without such an event asks nothing.

use std::collections::HashMap;

use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::click_id;
use rastro_core::dataset::DatasetId;
use rastro_core::event::{ActionSource, Event, with_browser_ids};
use rastro_core::match_keys::MatchKey;

use crate::connection::Store;
use crate::error::StoreError;
use crate::events::NewEvent;
use crate::statement::Prepare;

/// A kind of identifier, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ExternalId,
    Email,
    Phone,
    Visitor,
}

/// By what a person's browser is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recall {
    lookups: Vec<(Kind, Vec<u8>)>,
    /// The event brings its browser's id, which stays.
    has_fbp: bool,
}

impl Store {
    /// By what the browser behind this event is looked up. `None`: it brings its click itself, there was
    /// none, nobody is known by it, or the person wants no ads. `is_browser`: its external id is the
    /// visitor's.
    pub fn recall(&self, dataset: DatasetId, event: &Event<'_>, is_browser: bool) -> Option<Recall> {
        let user_data = &event.user_data;
        let has_browser = event.action_source != ActionSource::BusinessMessaging;
        if user_data.fbc.is_some() || event.opt_out == Some(true) || !has_browser {
            return None;
        }
        let mut lookups = Vec::new();
        let mut add = |kind, name, key| lookups.push((kind, self.pepper.of(dataset, name, key)));
        if let Some(id) = user_data.hashed.get(MatchKey::ExternalId).next() {
            if !is_browser {
                add(Kind::ExternalId, "external_id", id);
            }
            // A server may have the visitor's id from the page's cookie.
            add(Kind::Visitor, "visitor", id);
        }
        if let Some(email) = user_data.hashed.get(MatchKey::Email).next() {
            add(Kind::Email, "email", email);
        }
        if let Some(phone) = user_data.phone_to_find_by() {
            add(Kind::Phone, "phone", phone);
        }
        (!lookups.is_empty()).then_some(Recall {
            lookups,
            has_fbp: user_data.fbp.is_some(),
        })
    }
}

/// A lead that was found, or a contact with an ad.
#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Binary)]
    lookup: Vec<u8>,
    /// Of a contact, in milliseconds since 1970. `None`: it is a lead.
    #[diesel(sql_type = Nullable<BigInt>)]
    touched_at_ms: Option<i64>,
    #[diesel(sql_type = Bool)]
    ads_refused: bool,
    #[diesel(sql_type = Nullable<Text>)]
    fbp: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    fbc: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    fbclid: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    gclid: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    gbraid: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    wbraid: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    msclkid: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    ttclid: Option<String>,
}

/// What was found of the browsers that a group of events asks for, by look-up.
pub(crate) struct Recalled(HashMap<Vec<u8>, Vec<Row>>);

/// Looks up what the events ask for, all at once.
pub(crate) async fn look_up(
    mut connection: &AsyncPgConnection,
    events: &[&NewEvent],
) -> Result<Recalled, StoreError> {
    let mut lists: [(Vec<i64>, Vec<&[u8]>); 4] = Default::default();
    // The events come sorted by their dataset.
    let mut asking: Vec<i64> = Vec::new();
    for event in events {
        for (kind, lookup) in event.recall.iter().flat_map(|recall| &recall.lookups) {
            let (datasets, lookups) = &mut lists[*kind as usize];
            datasets.push(event.dataset_id.as_i64());
            lookups.push(lookup);
            asking.push(event.dataset_id.as_i64());
        }
    }
    asking.dedup();
    if asking.is_empty() {
        return Ok(Recalled(HashMap::new()));
    }
    let [external_ids, emails, phones, visitors] = lists;
    let rows: Vec<Row> = sql_query(include_str!("sql/recall.sql"))
        .bind::<Array<BigInt>, _>(asking)
        .bind::<Array<BigInt>, _>(external_ids.0)
        .bind::<Array<Binary>, _>(external_ids.1)
        .bind::<Array<BigInt>, _>(emails.0)
        .bind::<Array<Binary>, _>(emails.1)
        .bind::<Array<BigInt>, _>(phones.0)
        .bind::<Array<Binary>, _>(phones.1)
        .bind::<Array<BigInt>, _>(visitors.0)
        .bind::<Array<Binary>, _>(visitors.1)
        .prepared()
        .load(&mut connection)
        .await?;
    let mut found: HashMap<Vec<u8>, Vec<Row>> = HashMap::new();
    for row in rows {
        found.entry(row.lookup.clone()).or_default().push(row);
    }
    Ok(Recalled(found))
}

impl Recalled {
    /// The event with what is remembered of its person's browser. `None`: it stays as it came.
    pub(crate) fn complete(&self, event: &NewEvent) -> Option<NewEvent> {
        let Recall { lookups, has_fbp } = event.recall.as_ref()?;
        let rows = |kind: Kind| {
            let of_kind = lookups.iter().filter(move |(own, _)| *own == kind);
            of_kind.filter_map(|(_, lookup)| self.0.get(lookup)).flatten()
        };
        let kinds = [Kind::ExternalId, Kind::Email, Kind::Phone, Kind::Visitor];
        let found: Vec<&Row> = kinds.into_iter().flat_map(rows).collect();
        // One refusal counts, whichever of a person's leads has it.
        if found.is_empty() || found.iter().any(|row| row.ads_refused) {
            return None;
        }
        // What is sent late may be older than a click that is known by now, and such a click did not lead to
        // it.
        let last_ms = event.event_time * 1_000 + 999;
        let is_before = |id: &&str| click_id::time_ms(id).is_some_and(|at| at <= last_ms);
        let mut contacts: Vec<(i64, &Row)> = found
            .iter()
            .filter_map(|row| Some((row.touched_at_ms.filter(|at| *at <= last_ms)?, *row)))
            .collect();
        contacts.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let of_contact = newest_click(&contacts);
        let of_leads = found.iter().filter_map(|row| row.fbc.as_deref());
        let fbc = of_leads
            .chain(of_contact.as_deref())
            .filter(is_before)
            .max_by_key(|fbc| click_id::time_ms(fbc));
        let fbp = found.iter().find_map(|row| row.fbp.as_deref());
        let fbp = fbp.filter(|fbp| !has_fbp && is_before(fbp));

        let mut completed = event.clone();
        if let Some(payload) = with_browser_ids(&event.payload, fbp, fbc) {
            completed.payload = payload;
        }
        let page = &mut completed.facts.page;
        if let Some(click) = fbc.and_then(click_id::click_of) {
            page.add_click("fbclid", click);
        }
        for (_, row) in contacts {
            for (name, id) in [
                ("fbclid", &row.fbclid),
                ("gclid", &row.gclid),
                ("gbraid", &row.gbraid),
                ("wbraid", &row.wbraid),
                ("msclkid", &row.msclkid),
                ("ttclid", &row.ttclid),
            ] {
                if let Some(id) = id {
                    page.add_click(name, id);
                }
            }
        }
        Some(completed)
    }
}

/// The `fbc` of the newest of Meta's clicks, with the time at which it was first heard of: pages tell of a
/// click again and again.
fn newest_click(newest_first: &[(i64, &Row)]) -> Option<String> {
    let click = newest_first.iter().find_map(|(_, row)| row.fbclid.as_deref())?;
    let told = newest_first
        .iter()
        .filter(|(_, row)| row.fbclid.as_deref() == Some(click));
    let fbc = click_id::fbc_from_click(click, told.map(|(at, _)| *at).min()?);
    click_id::is_valid(&fbc).then_some(fbc)
}
