//! `event_counts`, `request_counts`, `event_counts_daily` and `counted_hours`: what a page shows without
//! reading the log. An hour is counted whole, again and again until it is closed, and never added to: a row
//! appears when its transaction commits, which can be after an hour was counted.

use std::time::{Duration, Instant};

use chrono::{DateTime, Days, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Date, Integer, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use rastro_core::alert::Rule;
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::schema::rastro_now;
use crate::statement::Prepare;

/// Events of physical stores are sent for 62 days.
const OLDEST_EVENT: Days = Days::new(64);

/// What came of counting an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourCounted {
    /// Rows written or deleted; 0 when it was counted before and nothing had changed.
    pub changed: usize,
    pub took: Duration,
}

/// How much of what is stored is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct CountProgress {
    #[diesel(sql_type = Integer)]
    pub days: i32,
    #[diesel(sql_type = Integer)]
    pub counted: i32,
}

/// An hour of a dataset: how many of all were bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourlyShare {
    pub dataset_id: DatasetId,
    pub dataset_name: String,
    pub hour: DateTime<Utc>,
    pub bad: i64,
    pub total: i64,
}

/// One day of all datasets in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, QueryableByName)]
pub struct DayInNumbers {
    #[diesel(sql_type = BigInt)]
    pub accepted: i64,
    #[diesel(sql_type = BigInt)]
    pub delivered: i64,
    #[diesel(sql_type = BigInt)]
    pub duplicates: i64,
    /// Now.
    #[diesel(sql_type = BigInt)]
    pub dead_letters: i64,
    /// Undelivered, and too old for Meta within 24 hours.
    #[diesel(sql_type = BigInt)]
    pub expiring: i64,
}

#[derive(QueryableByName)]
struct EventCount {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = Text)]
    event_name: String,
    #[diesel(sql_type = Text)]
    outcome: String,
    #[diesel(sql_type = BigInt)]
    events: i64,
}

#[derive(QueryableByName)]
struct RequestCount {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = SmallInt)]
    bucket: i16,
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = BigInt)]
    latency_ms: i64,
}

/// Lets the transaction read whole ranges of a table: our connections otherwise only follow indexes, which is
/// right for the queues. `limit` is the server's own for each statement.
pub(crate) async fn read_ranges(
    connection: &mut AsyncPgConnection,
    limit: Duration,
) -> Result<(), StoreError> {
    let ms = limit.as_millis();
    connection
        .batch_execute(&format!(
            "SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on; SET LOCAL statement_timeout = {ms}"
        ))
        .await?;
    Ok(())
}

impl Store {
    /// The hours that are still to be counted, or to be counted again, newest first. `long`: an open hour
    /// that took longer is left for ten minutes.
    pub async fn hours_to_count(&self, long: Duration) -> Result<Vec<DateTime<Utc>>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Timestamptz)]
            hour: DateTime<Utc>,
        }
        let rows: Vec<Row> = sql_query(include_str!("sql/hours_to_count.sql"))
            .bind::<Integer, _>(i32::try_from(long.as_millis()).unwrap_or(i32::MAX))
            .prepared()
            .rows(self)
            .await?;
        Ok(rows.into_iter().map(|row| row.hour).collect())
    }

    /// Counts an hour, with the sums of its day, in one transaction. `limit`: for each statement of it.
    pub async fn count_hour(&self, hour: DateTime<Utc>, limit: Duration) -> Result<HourCounted, StoreError> {
        let began = Instant::now();
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        let day = hour.date_naive();
        let oldest: NaiveDate = day - OLDEST_EVENT;
        connection
            .transaction(async |connection| {
                // Of before the counting, so that an hour is not taken for closed that was counted while it
                // was not.
                let now: DateTime<Utc> = diesel::select(rastro_now()).get_result(connection).await?;
                read_ranges(connection, limit).await?;
                // By the key of each event that an attempt names: a hash of all its days would read all of
                // them.
                connection
                    .batch_execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")
                    .await?;
                let events: Vec<EventCount> = sql_query(include_str!("sql/count_events.sql"))
                    .bind::<Timestamptz, _>(hour)
                    .bind::<Date, _>(day)
                    .bind::<Date, _>(oldest)
                    .load(connection)
                    .await?;
                let requests: Vec<RequestCount> = sql_query(include_str!("sql/count_requests.sql"))
                    .bind::<Timestamptz, _>(hour)
                    .bind::<Date, _>(day)
                    .load(connection)
                    .await?;
                let mut changed = put_events(connection, hour, &events).await?;
                changed += put_requests(connection, hour, &requests).await?;
                if changed > 0 {
                    changed += add_up(connection, &[hour]).await?;
                }
                let took = began.elapsed();
                sql_query(include_str!("sql/note_counted_hour.sql"))
                    .bind::<Timestamptz, _>(hour)
                    .bind::<Integer, _>(i32::try_from(took.as_millis()).unwrap_or(i32::MAX))
                    .bind::<Timestamptz, _>(now)
                    .prepared()
                    .execute(connection)
                    .await?;
                Ok(HourCounted { changed, took })
            })
            .await
    }

    /// What the share of a rule was, hour by hour, of the last so many days: of the error rate failed
    /// attempts, of latency requests above 2 s or unanswered, of duplicates those among what was received. By
    /// dataset, and then by hour.
    pub async fn hourly_shares(&self, rule: Rule, days: u32) -> Result<Vec<HourlyShare>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            dataset_id: i64,
            #[diesel(sql_type = Text)]
            name: String,
            #[diesel(sql_type = Timestamptz)]
            hour: DateTime<Utc>,
            #[diesel(sql_type = BigInt)]
            bad: i64,
            #[diesel(sql_type = BigInt)]
            total: i64,
        }
        let statement = match rule {
            Rule::Latency => include_str!("sql/hourly_latency.sql"),
            _ => include_str!("sql/hourly_shares.sql"),
        };
        let (bad, all) = match rule {
            Rule::Duplicates => ("duplicate", ["accepted", "duplicate"]),
            _ => ("error", ["success", "error"]),
        };
        let rows: Vec<Row> = sql_query(statement)
            .bind::<Integer, _>(i32::try_from(days).unwrap_or(i32::MAX))
            .bind::<Text, _>(bad)
            .bind::<Array<Text>, _>(all.to_vec())
            .prepared()
            .rows(self)
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(HourlyShare {
                    dataset_id: dataset_id(row.dataset_id)?,
                    dataset_name: row.name,
                    hour: row.hour,
                    bad: row.bad,
                    total: row.total,
                })
            })
            .collect()
    }

    /// A day of the reporting zone, of all datasets together, with what is the matter now.
    pub async fn day_in_numbers(&self, day: NaiveDate) -> Result<DayInNumbers, StoreError> {
        sql_query(include_str!("sql/day_in_numbers.sql"))
            .bind::<Date, _>(day)
            .prepared()
            .row(self)
            .await
    }

    /// How far counting has come.
    pub async fn count_progress(&self) -> Result<CountProgress, StoreError> {
        sql_query(include_str!("sql/counted_days.sql"))
            .prepared()
            .row(self)
            .await
    }

    /// Makes this the reporting zone. If it is another than before, all days are added up anew; says whether.
    ///
    /// # Errors
    /// When PostgreSQL does not know the zone.
    pub async fn set_time_zone(&self, zone: &str) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                let changed = sql_query(
                    "UPDATE monitor_settings SET time_zone = $1
                     WHERE time_zone <> $1 AND rastro_now() AT TIME ZONE $1 IS NOT NULL",
                )
                .bind::<Text, _>(zone)
                .prepared()
                .execute(connection)
                .await?;
                if changed == 0 {
                    return Ok(false);
                }
                read_ranges(connection, Duration::from_secs(120)).await?;
                sql_query("DELETE FROM event_counts_daily")
                    .execute(connection)
                    .await?;
                sql_query(include_str!("sql/rebuild_daily_counts.sql"))
                    .execute(connection)
                    .await?;
                Ok(true)
            })
            .await
    }

    /// Forgets counts of more than so many months ago, of one dataset after the other; returns how many rows.
    pub async fn expire_counts(&self, keep_months: u32) -> Result<usize, StoreError> {
        let mut connection = self.connection().await?;
        let months = i32::try_from(keep_months).unwrap_or(i32::MAX);
        let mut deleted = 0;
        for statement in [
            "DELETE FROM event_counts c USING datasets d
             WHERE c.dataset_id = d.dataset_id AND c.hour < rastro_now() - $1 * interval '1 month'",
            "DELETE FROM request_counts c USING datasets d
             WHERE c.dataset_id = d.dataset_id AND c.hour < rastro_now() - $1 * interval '1 month'",
            "DELETE FROM event_counts_daily c USING datasets d
             WHERE c.dataset_id = d.dataset_id AND c.day < (rastro_now() - $1 * interval '1 month')::date",
            "DELETE FROM counted_hours WHERE hour < rastro_now() - $1 * interval '1 month'",
        ] {
            deleted += sql_query(statement)
                .bind::<Integer, _>(months)
                .prepared()
                .execute(&mut connection)
                .await?;
        }
        Ok(deleted)
    }
}

async fn put_events(
    connection: &mut AsyncPgConnection,
    hour: DateTime<Utc>,
    counts: &[EventCount],
) -> Result<usize, StoreError> {
    let datasets: Vec<i64> = counts.iter().map(|count| count.dataset_id).collect();
    let names: Vec<&str> = counts.iter().map(|count| count.event_name.as_str()).collect();
    let outcomes: Vec<&str> = counts.iter().map(|count| count.outcome.as_str()).collect();
    let events: Vec<i64> = counts.iter().map(|count| count.events).collect();
    let put = sql_query(include_str!("sql/put_event_counts.sql"))
        .bind::<Timestamptz, _>(hour)
        .bind::<Array<BigInt>, _>(&datasets)
        .bind::<Array<Text>, _>(&names)
        .bind::<Array<Text>, _>(&outcomes)
        .bind::<Array<BigInt>, _>(&events)
        .prepared()
        .execute(connection)
        .await?;
    let forgotten = sql_query(include_str!("sql/forget_event_counts.sql"))
        .bind::<Timestamptz, _>(hour)
        .bind::<Array<BigInt>, _>(&datasets)
        .bind::<Array<Text>, _>(&names)
        .bind::<Array<Text>, _>(&outcomes)
        .prepared()
        .execute(connection)
        .await?;
    Ok(put + forgotten)
}

async fn put_requests(
    connection: &mut AsyncPgConnection,
    hour: DateTime<Utc>,
    counts: &[RequestCount],
) -> Result<usize, StoreError> {
    let datasets: Vec<i64> = counts.iter().map(|count| count.dataset_id).collect();
    let buckets: Vec<i16> = counts.iter().map(|count| count.bucket).collect();
    let requests: Vec<i64> = counts.iter().map(|count| count.requests).collect();
    let latencies: Vec<i64> = counts.iter().map(|count| count.latency_ms).collect();
    let put = sql_query(include_str!("sql/put_request_counts.sql"))
        .bind::<Timestamptz, _>(hour)
        .bind::<Array<BigInt>, _>(&datasets)
        .bind::<Array<SmallInt>, _>(&buckets)
        .bind::<Array<BigInt>, _>(&requests)
        .bind::<Array<BigInt>, _>(&latencies)
        .prepared()
        .execute(connection)
        .await?;
    let forgotten = sql_query(include_str!("sql/forget_request_counts.sql"))
        .bind::<Timestamptz, _>(hour)
        .bind::<Array<BigInt>, _>(&datasets)
        .bind::<Array<SmallInt>, _>(&buckets)
        .prepared()
        .execute(connection)
        .await?;
    Ok(put + forgotten)
}

/// Adds up the days of these hours.
async fn add_up(connection: &mut AsyncPgConnection, hours: &[DateTime<Utc>]) -> Result<usize, StoreError> {
    let put = sql_query(include_str!("sql/put_daily_counts.sql"))
        .bind::<Array<Timestamptz>, _>(hours)
        .prepared()
        .execute(connection)
        .await?;
    let forgotten = sql_query(include_str!("sql/forget_daily_counts.sql"))
        .bind::<Array<Timestamptz>, _>(hours)
        .prepared()
        .execute(connection)
        .await?;
    Ok(put + forgotten)
}
