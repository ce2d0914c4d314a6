//! `dataset_quality`, `dataset_quality_keys` and `dataset_quality_fetches`: Meta's own judgement of a
//! dataset's events, a row a day and event name, and when Meta was asked.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Date, Double, Integer, Jsonb, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::send_attempts::clean;
use crate::statement::Prepare;

/// What Meta said of one event name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quality {
    pub event_name: String,
    /// 0 to 10; `None`: Meta gives none, which is not zero.
    pub score: Option<f64>,
    /// Ours, 0 to 10.
    pub estimate: Option<f64>,
    /// In percent.
    pub dedupe_coverage: Option<f64>,
    pub event_coverage: Option<f64>,
    pub freshness: Option<String>,
    pub keys: Vec<KeyCoverage>,
    /// The entry as Meta sent it.
    pub raw: serde_json::Value,
}

/// How many events carry an identifier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyCoverage {
    /// Meta's word: email, phone, ip_address, ...
    pub identifier: String,
    pub coverage_percent: Option<f64>,
    pub gain_percent: Option<f64>,
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq)]
pub enum QualityFetched {
    Read(Vec<Quality>),
    /// The access token may send, and not read.
    Unreadable {
        code: Option<i32>,
        message: String,
    },
    /// Meta did not answer, or said wait. Next time after so many seconds.
    Failed {
        message: String,
        retry_seconds: i32,
    },
}

/// A dataset that is due to be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QualityFetch {
    pub dataset_id: DatasetId,
    /// Failures in a row before.
    pub failures: i16,
}

impl Store {
    /// The datasets about which Meta is due to be asked.
    pub async fn quality_due(&self) -> Result<Vec<QualityFetch>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            dataset_id: i64,
            #[diesel(sql_type = diesel::sql_types::SmallInt)]
            failures: i16,
        }
        let rows: Vec<Row> = sql_query(
            "SELECT d.dataset_id, coalesce(f.failures, 0)::smallint AS failures
             FROM datasets d LEFT JOIN dataset_quality_fetches f USING (dataset_id)
             WHERE f.next_at IS NULL OR f.next_at <= rastro_now() ORDER BY d.dataset_id",
        )
        .prepared()
        .rows(self)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(QualityFetch {
                    dataset_id: dataset_id(row.dataset_id)?,
                    failures: row.failures,
                })
            })
            .collect()
    }

    /// Writes what Meta answered, in one transaction. `day`: of the reporting zone. `next_at`: when to ask
    /// again, if it was read or is unreadable.
    pub async fn record_quality(
        &self,
        dataset: DatasetId,
        day: NaiveDate,
        fetched: &QualityFetched,
        next_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                if let QualityFetched::Read(names) = fetched {
                    for quality in names {
                        put(connection, dataset, day, quality).await?;
                    }
                }
                let (state, code, error, retry) = match fetched {
                    QualityFetched::Read(_) => ("readable", None, None, None),
                    QualityFetched::Unreadable { code, message } => ("unreadable", *code, Some(clean(message)), None),
                    QualityFetched::Failed { message, retry_seconds } => {
                        ("failed", None, Some(clean(message)), Some(*retry_seconds))
                    }
                };
                sql_query(include_str!("sql/note_quality_fetch.sql"))
                    .bind::<BigInt, _>(dataset.as_i64())
                    .bind::<Text, _>(state)
                    .bind::<Timestamptz, _>(next_at)
                    .bind::<Nullable<Integer>, _>(retry)
                    .bind::<Nullable<Integer>, _>(code)
                    .bind::<Nullable<Text>, _>(error)
                    .prepared()
                    .execute(connection)
                    .await?;
                sql_query(
                    "UPDATE dataset_quality SET raw = NULL
                     WHERE dataset_id = $1 AND raw IS NOT NULL AND fetched_at < rastro_now() - interval '30 days'",
                )
                .bind::<BigInt, _>(dataset.as_i64())
                .prepared()
                .execute(connection)
                .await?;
                Ok(())
            })
            .await
    }

    /// The finished events of the last 48 hours of an event name, at most so many, newest first: what our
    /// estimate looks at.
    pub async fn recent_payloads(
        &self,
        dataset: DatasetId,
        limit: i64,
    ) -> Result<Vec<(String, String)>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            event_name: String,
            #[diesel(sql_type = Text)]
            payload: String,
        }
        let rows: Vec<Row> = sql_query(include_str!("sql/recent_payloads.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<BigInt, _>(limit)
            .prepared()
            .rows(self)
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.event_name, row.payload))
            .collect())
    }
}

async fn put(
    connection: &mut AsyncPgConnection,
    dataset: DatasetId,
    day: NaiveDate,
    quality: &Quality,
) -> Result<(), StoreError> {
    sql_query(
        "INSERT INTO dataset_quality (dataset_id, day, event_name, score, estimate, dedupe_coverage, event_coverage, freshness,
            fetched_at, raw)
         VALUES ($1, $2, $3, $4::numeric(3, 1), $5::numeric(3, 1), $6, $7, $8, rastro_now(), $9)
         ON CONFLICT (dataset_id, day, event_name) DO UPDATE SET score = excluded.score, estimate = excluded.estimate,
            dedupe_coverage = excluded.dedupe_coverage, event_coverage = excluded.event_coverage,
            freshness = excluded.freshness, fetched_at = excluded.fetched_at, raw = excluded.raw",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .bind::<Date, _>(day)
    .bind::<Text, _>(&quality.event_name)
    .bind::<Nullable<Double>, _>(quality.score)
    .bind::<Nullable<Double>, _>(quality.estimate)
    .bind::<Nullable<Double>, _>(quality.dedupe_coverage)
    .bind::<Nullable<Double>, _>(quality.event_coverage)
    .bind::<Nullable<Text>, _>(quality.freshness.as_deref())
    .bind::<Jsonb, _>(&quality.raw)
    .prepared()
    .execute(connection)
    .await?;
    sql_query("DELETE FROM dataset_quality_keys WHERE dataset_id = $1 AND day = $2 AND event_name = $3")
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Date, _>(day)
        .bind::<Text, _>(&quality.event_name)
        .prepared()
        .execute(connection)
        .await?;
    for key in &quality.keys {
        sql_query(
            "INSERT INTO dataset_quality_keys (dataset_id, day, event_name, identifier, coverage_percent, gain_percent)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Date, _>(day)
        .bind::<Text, _>(&quality.event_name)
        .bind::<Text, _>(&key.identifier)
        .bind::<Nullable<Double>, _>(key.coverage_percent)
        .bind::<Nullable<Double>, _>(key.gain_percent)
        .prepared()
        .execute(connection)
        .await?;
    }
    Ok(())
}
