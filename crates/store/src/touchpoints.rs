//! `touchpoints`: contacts of visitors with ads. The same contact told again is stored once.

use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Binary, Integer, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::touchpoint::Touchpoint;

use crate::connection::Store;
use crate::error::StoreError;
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
    pub fn of(dataset_id: i64, person: &crate::lookup::PersonLookups, touch: Touchpoint) -> Option<Self> {
        let visitor = person.visitor.clone().or_else(|| person.external_id.clone())?;
        Some(NewTouchpoint {
            dataset_id,
            visitor,
            touch,
        })
    }
}

impl Store {
    /// Deletes contacts that are older than so many days, at most `limit`; returns how many.
    pub async fn forget_touchpoints(&self, days: i32, limit: i64) -> Result<usize, StoreError> {
        let forgotten = sql_query(include_str!("sql/forget_touchpoints.sql"))
            .bind::<Integer, _>(days)
            .bind::<BigInt, _>(limit)
            .prepared()
            .execute(&mut self.connection().await?)
            .await?;
        Ok(forgotten)
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
