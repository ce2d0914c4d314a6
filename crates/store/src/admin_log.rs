//! `admin_log`: what people changed, and who. An entry is written in the transaction of its change. No
//! secrets.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use serde_json::Value;

use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::schema::{admin_log, rastro_now};

/// The longest name of a person that is kept, in characters.
const LONGEST_WHO: usize = 200;

/// A change that somebody made.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminLogEntry {
    pub entry_id: i64,
    pub at: DateTime<Utc>,
    pub who: String,
    /// `dataset.create`, `dataset.change`, `dataset.token`, `dataset.retire`, `dataset.restore`,
    /// `key.create`, `key.revoke`, `person.find`, `person.export`, `person.erase`, `events.set_aside`,
    /// `payment.match`, or a word of a newer program.
    pub action: String,
    pub dataset_id: Option<DatasetId>,
    pub key_id: Option<i64>,
    /// An object. Of a change: each setting with its values `from` and `to`. Of a person: by what one was
    /// named, never who.
    pub detail: Value,
}

/// An entry to be written.
pub(crate) struct NewEntry<'e> {
    pub(crate) who: &'e str,
    pub(crate) action: &'static str,
    pub(crate) dataset: Option<DatasetId>,
    pub(crate) key_id: Option<i64>,
    pub(crate) detail: Value,
}

/// Writes the entry, within the transaction of what it tells.
pub(crate) async fn insert(
    connection: &mut AsyncPgConnection,
    entry: NewEntry<'_>,
) -> Result<(), StoreError> {
    let who: String = entry
        .who
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_WHO)
        .collect();
    diesel::insert_into(admin_log::table)
        .values((
            admin_log::at.eq(rastro_now()),
            admin_log::who.eq(if who.is_empty() { "?".to_owned() } else { who }),
            admin_log::action.eq(entry.action),
            admin_log::dataset_id.eq(entry.dataset.map(DatasetId::as_i64)),
            admin_log::key_id.eq(entry.key_id),
            admin_log::detail.eq(entry.detail),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

impl Store {
    /// The newest changes first, of one dataset or of all, at most `limit`. `before`: only entries with a
    /// lower number, to read on.
    pub async fn admin_log(
        &self,
        dataset: Option<DatasetId>,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<AdminLogEntry>, StoreError> {
        type Row = (
            i64,
            DateTime<Utc>,
            String,
            String,
            Option<i64>,
            Option<i64>,
            Value,
        );
        let mut entries = admin_log::table
            .order(admin_log::entry_id.desc())
            .limit(limit)
            .into_boxed();
        if let Some(dataset) = dataset {
            entries = entries.filter(admin_log::dataset_id.eq(dataset.as_i64()));
        }
        if let Some(before) = before {
            entries = entries.filter(admin_log::entry_id.lt(before));
        }
        let rows: Vec<Row> = entries.load(&mut self.connection().await?).await?;
        let entry = |(entry_id, at, who, action, dataset, key_id, detail): Row| {
            Ok(AdminLogEntry {
                entry_id,
                at,
                who,
                action,
                dataset_id: dataset.map(dataset_id).transpose()?,
                key_id,
                detail,
            })
        };
        rows.into_iter().map(entry).collect()
    }
}
