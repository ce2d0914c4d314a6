//! A breaker's past: what was ordered, and each change.

use chrono::{DateTime, Utc};
use diesel::sql_query;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};

use super::row;
use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

row! {
    /// Who ordered what of a dataset's breaker last.
    pub BreakerNote {
        dataset_id: BigInt => i64,
        note: Text => String,
        manual_until: Nullable<Timestamptz> => Option<DateTime<Utc>>,
    }
}

row! {
    /// One change of a breaker.
    pub Transition {
        changed_at: Timestamptz => DateTime<Utc>,
        state: Text => String,
        reason: Nullable<Text> => Option<String>,
        manual: Text => String,
        note: Text => String,
    }
}

impl Store {
    /// The notes of all breakers that were ever ordered.
    pub async fn breaker_notes(&self) -> Result<Vec<BreakerNote>, StoreError> {
        let text = "SELECT dataset_id, note, manual_until FROM circuit_breakers WHERE note <> ''";
        sql_query(text).prepared().rows(self).await
    }

    /// The latest changes of one breaker, the newest first.
    pub async fn transitions(&self, dataset: i64, limit: i64) -> Result<Vec<Transition>, StoreError> {
        let text = "SELECT changed_at, state, reason, manual, note FROM breaker_transitions \
                    WHERE dataset_id = $1 ORDER BY transition_id DESC LIMIT $2";
        sql_query(text)
            .bind::<BigInt, _>(dataset)
            .bind::<BigInt, _>(limit)
            .prepared()
            .rows(self)
            .await
    }

    /// How many events of a dataset wait to be sent: ready, or to be tried again.
    pub async fn events_held(&self, dataset: i64) -> Result<i64, StoreError> {
        row! { Held { events: BigInt => i64, } }
        let text = "SELECT (SELECT count(*) FROM ready_events WHERE dataset_id = $1) \
                    + (SELECT count(*) FROM meta_retry_queue WHERE dataset_id = $1 AND status = 'waiting') AS events";
        let held: Held = sql_query(text)
            .bind::<BigInt, _>(dataset)
            .prepared()
            .row(self)
            .await?;
        Ok(held.events)
    }
}
