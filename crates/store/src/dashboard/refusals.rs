//! What was refused at the door: of which events, and for which field. Nothing else of them is kept.

use chrono::{DateTime, Utc};
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::row;
use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

row! {
    /// Events refused for one cause.
    pub RefusedAtDoor {
        dataset_id: BigInt => i64,
        event_name: Nullable<Text> => Option<String>,
        /// JSON pointer in the event; empty: the event as a whole, or the whole request.
        field: Text => String,
        /// What its owner called the key.
        key_label: Nullable<Text> => Option<String>,
        events: BigInt => i64,
        /// Of the newest.
        request_id: Nullable<SqlUuid> => Option<Uuid>,
        last_at: Timestamptz => DateTime<Utc>,
    }
}

impl Store {
    /// What was refused of these datasets since then, of all requests or of one, the newest first.
    pub async fn refused_at_door(
        &self,
        datasets: &[i64],
        since: DateTime<Utc>,
        request: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<RefusedAtDoor>, StoreError> {
        sql_query(include_str!("../sql/dashboard/refusals.sql"))
            .bind::<Array<BigInt>, _>(datasets)
            .bind::<Timestamptz, _>(since)
            .bind::<Nullable<SqlUuid>, _>(request)
            .bind::<BigInt, _>(limit)
            .prepared()
            .rows_by_time(self)
            .await
    }
}
