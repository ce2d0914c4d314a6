//! How far a streaming replica has come, as seen from both ends: a replica alone cannot know what it misses.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Bool, Nullable, Text};
use diesel_async::RunQueryDsl;

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// A place in the write-ahead log, as PostgreSQL writes it.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct LogPosition {
    #[diesel(sql_type = Text)]
    position: String,
}

#[derive(QueryableByName)]
struct Reached {
    #[diesel(sql_type = Nullable<Bool>)]
    reached: Option<bool>,
}

impl Store {
    /// Where the log of a primary ends on its disk: whatever was committed is before it.
    pub async fn log_position(&self) -> Result<LogPosition, StoreError> {
        let mut connection = self.connection().await?;
        let query = sql_query("SELECT pg_current_wal_flush_lsn()::text AS position").prepared();
        Ok(query.get_result(&mut connection).await?)
    }

    /// Whether a replica has come so far; `None`: this is no replica.
    pub async fn has_replayed(&self, position: &LogPosition) -> Result<Option<bool>, StoreError> {
        let mut connection = self.connection().await?;
        let query = sql_query(
            "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() >= $1::pg_lsn END AS reached",
        )
        .bind::<Text, _>(&position.position)
        .prepared();
        let row: Reached = query.get_result(&mut connection).await?;
        Ok(row.reached)
    }
}
