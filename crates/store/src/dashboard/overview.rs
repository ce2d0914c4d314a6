//! The first page: where today's events are, how many there were by day, how Meta answered.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_query;
use diesel::sql_types::{BigInt, Date, Double, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

use super::{by_time, row};
use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

row! {
    /// What stands around every page.
    pub FrameFacts {
        now: Timestamptz => DateTime<Utc>,
        dead_letters: BigInt => i64,
        /// When `monitor check` last ended well.
        checked_at: Nullable<Timestamptz> => Option<DateTime<Utc>>,
        counted_since: Nullable<Timestamptz> => Option<DateTime<Utc>>,
        /// Of the days that have events, how many are counted.
        history_days: Nullable<Integer> => Option<i32>,
        history_counted: Nullable<Integer> => Option<i32>,
        silences: BigInt => i64,
        silenced_until: Nullable<Timestamptz> => Option<DateTime<Utc>>,
    }
}

row! {
    NamedDataset {
        dataset_id: BigInt => i64,
        name: Text => String,
    }
}

row! {
    /// Where the events of today are, in one snapshot. In it: accepted = ready + in flight + waiting + dead +
    /// withheld + delivered, but for events around midnight.
    pub Trail {
        accepted: BigInt => i64,
        duplicates: BigInt => i64,
        datasets: BigInt => i64,
        ready: BigInt => i64,
        oldest_ready_at: Nullable<Timestamptz> => Option<DateTime<Utc>>,
        in_flight: BigInt => i64,
        batches: BigInt => i64,
        waiting: BigInt => i64,
        next_retry_at: Nullable<Timestamptz> => Option<DateTime<Utc>>,
        dead: BigInt => i64,
        dead_deadline: Nullable<Timestamptz> => Option<DateTime<Utc>>,
        withheld: BigInt => i64,
        delivered: BigInt => i64,
        now: Timestamptz => DateTime<Utc>,
    }
}

row! {
    /// Events of one outcome on one day of the reporting zone.
    pub DayCount {
        day: Date => NaiveDate,
        outcome: Text => String,
        events: BigInt => i64,
    }
}

row! {
    /// Events of one outcome in one hour.
    pub HourOutcome {
        hour: Timestamptz => DateTime<Utc>,
        outcome: Text => String,
        events: BigInt => i64,
    }
}

row! {
    /// Requests to Meta of one bucket in one hour. 99: not answered.
    pub LatencyRow {
        hour: Timestamptz => DateTime<Utc>,
        bucket: SmallInt => i16,
        requests: BigInt => i64,
        latency_ms: BigInt => i64,
    }
}

row! {
    /// Attempts of events that failed in one way.
    pub ErrorCause {
        outcome: Text => String,
        http_status: Nullable<SmallInt> => Option<i16>,
        error_code: Nullable<Integer> => Option<i32>,
        error_subcode: Nullable<Integer> => Option<i32>,
        events: BigInt => i64,
    }
}

row! {
    /// Events that stopped on one day.
    pub DeadByDay {
        day: Date => NaiveDate,
        events: BigInt => i64,
    }
}

row! {
    /// A time during which a dataset was left alone.
    pub Opening {
        dataset_id: BigInt => i64,
        opened_at: Timestamptz => DateTime<Utc>,
        /// `None`: it still is.
        closed_at: Nullable<Timestamptz> => Option<DateTime<Utc>>,
        reason: Nullable<Text> => Option<String>,
        manual: Text => String,
        note: Text => String,
        /// Events that stopped meanwhile, or as soon as it was over, because no attempt or no time was left to
        /// them. Those that were sent again since are not among them.
        stopped: BigInt => i64,
    }
}

row! {
    /// What did not arrive of what was accepted since, the last hour left out.
    pub Undelivered {
        accepted: BigInt => i64,
        dead: BigInt => i64,
        late: BigInt => i64,
    }
}

row! {
    /// Events delivered from midnight to this hour and minute, so many weeks ago.
    pub Sent {
        weeks_ago: Integer => i32,
        events: Double => f64,
    }
}

row! {
    /// What the cost of a customer is calculated from, as far as it is known here.
    pub Calculator {
        leads: BigInt => i64,
        orders: BigInt => i64,
        revenue: Nullable<Double> => Option<f64>,
        currencies: BigInt => i64,
        currency: Nullable<Text> => Option<String>,
    }
}

impl Store {
    /// What stands around every page, and the datasets by name.
    pub async fn frame_facts(
        &self,
        dataset: Option<i64>,
    ) -> Result<(FrameFacts, Vec<(i64, String)>), StoreError> {
        let mut connection = self.connection().await?;
        let facts: FrameFacts = sql_query(include_str!("../sql/dashboard/frame.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .prepared()
            .get_result(&mut connection)
            .await?;
        let named: Vec<NamedDataset> =
            sql_query("SELECT dataset_id, name FROM datasets ORDER BY lower(name), dataset_id")
                .prepared()
                .load(&mut connection)
                .await?;
        Ok((
            facts,
            named.into_iter().map(|row| (row.dataset_id, row.name)).collect(),
        ))
    }

    /// Where the events are that were received since `midnight`.
    pub async fn trail(&self, dataset: Option<i64>, midnight: DateTime<Utc>) -> Result<Trail, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                by_time(connection).await?;
                let trail = sql_query(include_str!("../sql/dashboard/trail.sql"))
                    .bind::<Nullable<BigInt>, _>(dataset)
                    .bind::<Timestamptz, _>(midnight)
                    .prepared()
                    .get_result(connection)
                    .await?;
                Ok(trail)
            })
            .await
    }

    /// Counts by day from the first to the last of them.
    pub async fn day_counts(
        &self,
        dataset: Option<i64>,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<Vec<DayCount>, StoreError> {
        sql_query(include_str!("../sql/dashboard/day_counts.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .bind::<Date, _>(first)
            .bind::<Date, _>(last)
            .prepared()
            .rows_by_time(self)
            .await
    }

    /// Counts by hour since then.
    pub async fn hour_counts(
        &self,
        dataset: Option<i64>,
        since: DateTime<Utc>,
    ) -> Result<Vec<HourOutcome>, StoreError> {
        sql_query(include_str!("../sql/dashboard/hour_counts.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .bind::<Timestamptz, _>(since)
            .prepared()
            .rows_by_time(self)
            .await
    }

    /// Requests by hour and bucket since then.
    pub async fn latency(
        &self,
        dataset: Option<i64>,
        since: DateTime<Utc>,
    ) -> Result<Vec<LatencyRow>, StoreError> {
        sql_query(include_str!("../sql/dashboard/latency.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .bind::<Timestamptz, _>(since)
            .prepared()
            .rows_by_time(self)
            .await
    }

    /// Failed attempts since then, by cause, the most frequent first.
    pub async fn error_causes(
        &self,
        dataset: Option<i64>,
        since: DateTime<Utc>,
    ) -> Result<Vec<ErrorCause>, StoreError> {
        sql_query(include_str!("../sql/dashboard/error_causes.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .bind::<Timestamptz, _>(since)
            .prepared()
            .rows_by_time(self)
            .await
    }

    /// Events that stopped and still are, by the day of this zone on which they did.
    pub async fn dead_by_day(
        &self,
        dataset: Option<i64>,
        since: DateTime<Utc>,
        zone: &str,
    ) -> Result<Vec<DeadByDay>, StoreError> {
        sql_query(include_str!("../sql/dashboard/dead_by_day.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .bind::<Timestamptz, _>(since)
            .bind::<Text, _>(zone)
            .prepared()
            .rows(self)
            .await
    }

    /// Times since then in which datasets were left alone, the newest first.
    pub async fn openings(
        &self,
        dataset: Option<i64>,
        since: DateTime<Utc>,
    ) -> Result<Vec<Opening>, StoreError> {
        sql_query(include_str!("../sql/dashboard/openings.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .bind::<Timestamptz, _>(since)
            .prepared()
            .rows(self)
            .await
    }

    /// What did not arrive of the last seven days, the last hour left out.
    pub async fn undelivered(&self, dataset: Option<i64>) -> Result<Undelivered, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                by_time(connection).await?;
                let row = sql_query(include_str!("../sql/dashboard/undelivered.sql"))
                    .bind::<Nullable<BigInt>, _>(dataset)
                    .prepared()
                    .get_result(connection)
                    .await?;
                Ok(row)
            })
            .await
    }

    /// What was delivered from midnight until now, and until this minute of the same weekday one to four
    /// weeks ago.
    pub async fn sent_until_now(
        &self,
        dataset: Option<i64>,
        midnight: DateTime<Utc>,
    ) -> Result<Vec<Sent>, StoreError> {
        sql_query(include_str!("../sql/dashboard/sent_until_now.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .bind::<Timestamptz, _>(midnight)
            .prepared()
            .rows(self)
            .await
    }

    /// Leads and approved orders since then.
    pub async fn calculator(
        &self,
        dataset: Option<i64>,
        since: DateTime<Utc>,
    ) -> Result<Calculator, StoreError> {
        sql_query(include_str!("../sql/dashboard/calculator.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .bind::<Timestamptz, _>(since)
            .prepared()
            .row(self)
            .await
    }
}
