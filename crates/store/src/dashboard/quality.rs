//! Meta's score of the events, ours beside it, and which keys events lack.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_query;
use diesel::sql_types::{BigInt, Date, Double, Integer, Nullable, Text, Timestamptz};

use super::row;
use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

row! {
    /// One event name of a dataset on one day.
    pub QualityRow {
        dataset_id: BigInt => i64,
        day: Date => NaiveDate,
        event_name: Text => String,
        score: Nullable<Double> => Option<f64>,
        estimate: Nullable<Double> => Option<f64>,
        dedupe_coverage: Nullable<Double> => Option<f64>,
        event_coverage: Nullable<Double> => Option<f64>,
        freshness: Nullable<Text> => Option<String>,
        fetched_at: Timestamptz => DateTime<Utc>,
    }
}

row! {
    /// How many events of a name carry a key, on the newest day that is known.
    pub QualityKey {
        dataset_id: BigInt => i64,
        event_name: Text => String,
        identifier: Text => String,
        coverage_percent: Nullable<Double> => Option<f64>,
        gain_percent: Nullable<Double> => Option<f64>,
    }
}

row! {
    /// Whether a dataset's score can be read.
    pub QualityState {
        dataset_id: BigInt => i64,
        state: Text => String,
        since: Timestamptz => DateTime<Utc>,
        asked_at: Timestamptz => DateTime<Utc>,
        next_at: Timestamptz => DateTime<Utc>,
        error_code: Nullable<Integer> => Option<i32>,
        last_error: Nullable<Text> => Option<String>,
    }
}

impl Store {
    /// Scores of the last so many days, the newest first.
    pub async fn quality(&self, dataset: Option<i64>, days: i32) -> Result<Vec<QualityRow>, StoreError> {
        sql_query(include_str!("../sql/dashboard/quality.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .bind::<Integer, _>(days)
            .prepared()
            .rows(self)
            .await
    }

    /// Keys of the newest day of each event name.
    pub async fn quality_keys(&self, dataset: Option<i64>) -> Result<Vec<QualityKey>, StoreError> {
        sql_query(include_str!("../sql/dashboard/quality_keys.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .prepared()
            .rows(self)
            .await
    }

    /// When Meta was asked, and what came of it.
    pub async fn quality_states(&self, dataset: Option<i64>) -> Result<Vec<QualityState>, StoreError> {
        let text = "SELECT dataset_id, state, since, asked_at, next_at, error_code, last_error \
                    FROM dataset_quality_fetches WHERE $1::bigint IS NULL OR dataset_id = $1";
        sql_query(text)
            .bind::<Nullable<BigInt>, _>(dataset)
            .prepared()
            .rows(self)
            .await
    }

    /// Has the next run of `monitor check` ask Meta, but at most once an hour. `false`: it was asked within
    /// the hour.
    pub async fn ask_quality_again(&self, dataset: i64) -> Result<bool, StoreError> {
        let text = "UPDATE dataset_quality_fetches SET next_at = rastro_now() \
                    WHERE dataset_id = $1 AND asked_at < rastro_now() - interval '1 hour'";
        let changed = sql_query(text)
            .bind::<BigInt, _>(dataset)
            .prepared()
            .run(self)
            .await?;
        Ok(changed == 1)
    }
}
