//! `touchpoints`: contacts of visitors with ads. The same contact told again is stored once.

use std::fmt;

use diesel::sql_types::{Array, BigInt, Binary, Integer, Nullable, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::click_id;
use rastro_core::dataset::DatasetId;
use rastro_core::page::Page;
use rastro_core::touchpoint::Touchpoint;

use crate::connection::Store;
use crate::error::StoreError;
use crate::lookup::PersonLookups;
use crate::statement::Prepare;

/// A contact of a visitor who is known, by the visitor's look-up.
#[derive(Clone, Debug)]
pub struct NewTouchpoint {
    pub(crate) dataset_id: i64,
    pub(crate) visitor: Vec<u8>,
    pub(crate) touch: Touchpoint,
}

impl NewTouchpoint {
    /// `None`: the visitor is not known, and whose contact it was neither.
    pub fn of(dataset_id: i64, person: &PersonLookups, touch: Touchpoint) -> Option<Self> {
        let visitor = person.visitor.clone().or_else(|| person.external_id.clone())?;
        Some(NewTouchpoint {
            dataset_id,
            visitor,
            touch,
        })
    }

    pub fn touch(&self) -> &Touchpoint {
        &self.touch
    }
}

/// The newest click of each network that a visitor came by.
#[derive(Clone, Default, QueryableByName)]
pub struct LastClicks {
    #[diesel(sql_type = Nullable<Text>)]
    pub fbclid: Option<String>,
    /// When that click was, in milliseconds since 1970.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub fbclid_at_ms: Option<i64>,
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

/// Click ids belong in no log.
impl fmt::Debug for LastClicks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the last clicks of a visitor")
    }
}

impl LastClicks {
    /// The last click at Meta as an `fbc`, with the time at which it was first heard of.
    pub fn fbc(&self) -> Option<String> {
        let fbc = click_id::fbc_from_click(self.fbclid.as_deref()?, self.fbclid_at_ms?);
        click_id::is_valid(&fbc).then_some(fbc)
    }

    /// Puts the clicks where an event's own page names none of their network.
    pub fn complete(&self, page: &mut Page) {
        for (name, id) in [
            ("fbclid", &self.fbclid),
            ("gclid", &self.gclid),
            ("gbraid", &self.gbraid),
            ("wbraid", &self.wbraid),
            ("msclkid", &self.msclkid),
            ("ttclid", &self.ttclid),
        ] {
            if let Some(id) = id {
                page.add_click(name, id);
            }
        }
    }
}

impl Store {
    /// The clicks of the visitor that is looked up, and of the one behind the lead. `None`: nobody is known.
    pub async fn last_clicks(
        &self,
        dataset: DatasetId,
        lead_id: Option<i64>,
        lookups: &PersonLookups,
    ) -> Result<Option<LastClicks>, StoreError> {
        if lead_id.is_none() && lookups.visitor.is_none() && lookups.external_id.is_none() {
            return Ok(None);
        }
        let clicks = sql_query(include_str!("sql/last_clicks.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Nullable<BigInt>, _>(lead_id)
            .bind::<Nullable<Binary>, _>(lookups.visitor.as_deref())
            .bind::<Nullable<Binary>, _>(lookups.external_id.as_deref())
            .prepared()
            .row(self)
            .await?;
        Ok(Some(clicks))
    }

    /// Deletes contacts that are older than so many days, at most `limit`; returns how many. From then on
    /// orders and leads that such contacts may have brought keep what they were credited to.
    pub async fn forget_touchpoints(&self, days: i32, limit: i64) -> Result<usize, StoreError> {
        let mut connection = self.connection().await?;
        let forgetting = connection.transaction(async |connection| {
            let forgotten = sql_query(include_str!("sql/forget_touchpoints.sql"))
                .bind::<Integer, _>(days)
                .bind::<BigInt, _>(limit)
                .prepared()
                .execute(connection)
                .await?;
            if forgotten > 0 {
                sql_query(
                    "INSERT INTO retention_marks AS mark (what, gone_before)
                     VALUES ('touchpoints', rastro_now() - make_interval(days => $1))
                     ON CONFLICT (what) DO UPDATE SET gone_before = greatest(mark.gone_before, excluded.gone_before)",
                )
                .bind::<Integer, _>(days)
                .prepared()
                .execute(connection)
                .await?;
            }
            Ok(forgotten)
        });
        forgetting.await
    }
}

pub(crate) async fn insert(
    mut connection: &AsyncPgConnection,
    touchpoints: &[&NewTouchpoint],
) -> Result<(), StoreError> {
    if touchpoints.is_empty() {
        return Ok(());
    }
    // In the order of their key, so that two writers with the same ones never wait for each other.
    let mut touchpoints = touchpoints.to_vec();
    touchpoints.sort_by_key(|touch| (touch.dataset_id, touch.visitor.clone(), touch.touch.at_ms));
    fn of<'t, T>(touchpoints: &[&'t NewTouchpoint], value: impl Fn(&'t NewTouchpoint) -> T) -> Vec<T> {
        touchpoints.iter().map(|touch| value(touch)).collect()
    }
    // Each field of a touch is a column, and all of them together one list: split again by their place.
    let width = rastro_core::touchpoint::TOUCH_FIELDS.len();
    let mut values: Vec<Option<&str>> = Vec::with_capacity(touchpoints.len() * width);
    for touch in &touchpoints {
        values.extend(touch.touch.values.iter().map(Option::as_deref));
    }
    sql_query(include_str!("sql/insert_touchpoints.sql"))
        .bind::<Array<BigInt>, _>(of(&touchpoints, |touch| touch.dataset_id))
        .bind::<Array<Binary>, _>(of(&touchpoints, |touch| touch.visitor.as_slice()))
        .bind::<Array<BigInt>, _>(of(&touchpoints, |touch| touch.touch.at_ms))
        .bind::<Array<Text>, _>(of(&touchpoints, |touch| touch.touch.channel))
        .bind::<Array<Nullable<Text>>, _>(values)
        .prepared()
        .execute(&mut connection)
        .await?;
    Ok(())
}
