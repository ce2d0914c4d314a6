//! What was read of a person before an erasure is not written after it.
//!
//! An erasure takes a lock for the short transaction in which it begins, and counts the dataset's epoch on.
//! Whoever writes something that was read of a person takes the same lock shared, first in the transaction
//! that writes. So each write is either committed before an erasure looks for what is to go, or sees that one
//! began since the reading, and is given up: what is read anew is what the erasure left.

use std::collections::HashMap;

use diesel::sql_types::{Array, BigInt};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// How many erasures of a dataset had begun when something was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasureEpoch {
    dataset_id: i64,
    epoch: i64,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = BigInt)]
    erasure_epoch: i64,
}

impl Store {
    /// To be asked before anything is read of a person that is written later.
    pub async fn erasure_epoch(&self, dataset: DatasetId) -> Result<ErasureEpoch, StoreError> {
        let connection = self.connection().await?;
        let epochs = epochs(&connection, &[dataset.as_i64()]).await?;
        Ok(ErasureEpoch {
            dataset_id: dataset.as_i64(),
            epoch: epochs.get(&dataset.as_i64()).copied().unwrap_or_default(),
        })
    }
}

/// No erasure begins until the caller's transaction ends. One that writes what was read of a person begins with
/// it (see [`crate::transaction`]), before it locks any row: an erasure that waits for this one lets nobody
/// else in.
pub(crate) const KEEP_OUT: &str =
    "SELECT pg_advisory_xact_lock_shared(hashtextextended('erasures of ' || current_schema(), 0))";

/// Of each reading whether nobody was erased since. Says so for good only behind [`KEEP_OUT`].
pub(crate) async fn are_current(
    connection: &AsyncPgConnection,
    readings: &[Option<ErasureEpoch>],
) -> Result<Vec<bool>, StoreError> {
    let mut datasets: Vec<i64> = readings
        .iter()
        .flatten()
        .map(|reading| reading.dataset_id)
        .collect();
    datasets.sort_unstable();
    datasets.dedup();
    let now = match datasets.is_empty() {
        true => HashMap::new(),
        false => epochs(connection, &datasets).await?,
    };
    let is_current =
        |reading: &ErasureEpoch| reading.epoch == now.get(&reading.dataset_id).copied().unwrap_or_default();
    Ok(readings
        .iter()
        .map(|reading| reading.as_ref().is_none_or(is_current))
        .collect())
}

/// An erasure begins: waits for those that are writing, lets nobody else write until the caller's transaction
/// ends, and makes what was read before it old.
pub(super) async fn advance(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
) -> Result<(), StoreError> {
    // First, since whoever makes cohorts holds this row for seconds, and nobody waits behind it.
    sql_query("UPDATE datasets SET erasure_epoch = erasure_epoch + 1 WHERE dataset_id = $1")
        .bind::<BigInt, _>(dataset.as_i64())
        .execute(&mut connection)
        .await?;
    // Whoever comes after waits behind this lock: not for long, whoever is before.
    sql_query("SET LOCAL lock_timeout = '5s'")
        .execute(&mut connection)
        .await?;
    sql_query("SELECT pg_advisory_xact_lock(hashtextextended('erasures of ' || current_schema(), 0))")
        .execute(&mut connection)
        .await?;
    Ok(())
}

async fn epochs(
    mut connection: &AsyncPgConnection,
    datasets: &[i64],
) -> Result<HashMap<i64, i64>, StoreError> {
    let rows: Vec<Row> =
        sql_query("SELECT dataset_id, erasure_epoch FROM datasets WHERE dataset_id = ANY($1)")
            .bind::<Array<BigInt>, _>(datasets)
            .prepared()
            .load(&mut connection)
            .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.dataset_id, row.erasure_epoch))
        .collect())
}
