//! `circuit_breakers`: whether a dataset is left alone, as a row that every process agrees on; and `send_attempts`, what
//! that is decided by. The rules are `rastro_core::circuit_breaker`; every change is a compare-and-set on the generation.

use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use rastro_core::circuit_breaker::{Breaker, Evidence, Manual, Reason, State};
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::error::StoreError;
use crate::schema::circuit_breakers as b;
use crate::statement::{only_row, statement};

/// A breaker with what is known about its dataset's requests, at the database's own time.
#[derive(Clone, Copy, Debug)]
pub struct WatchedBreaker {
    pub dataset_id: DatasetId,
    pub breaker: Breaker,
    /// Within the window, and since the breaker last changed its state.
    pub evidence: Evidence,
    pub now_ms: i64,
}

/// One dataset's breaker, for people.
#[derive(Clone, Debug)]
pub struct BreakerReport {
    pub breaker: Breaker,
    /// Who overrode it last, and why.
    pub note: String,
    /// Within the window, and since the breaker last changed its state.
    pub evidence: Evidence,
    pub now_ms: i64,
}

/// A row, or the nulls of an outer join: a dataset without a row has never been left alone.
pub(crate) type BreakerRow = (
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<DateTime<Utc>>,
    Option<DateTime<Utc>>,
    Option<i32>,
    Option<DateTime<Utc>>,
    Option<i32>,
    Option<i32>,
    Option<String>,
    Option<DateTime<Utc>>,
);

pub(crate) type BreakerSql = (
    Nullable<Text>,
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
    Nullable<Integer>,
    Nullable<Timestamptz>,
    Nullable<Integer>,
    Nullable<Integer>,
    Nullable<Text>,
    Nullable<Timestamptz>,
);

pub(crate) fn breaker_from_row(row: BreakerRow, now: DateTime<Utc>) -> Result<Breaker, StoreError> {
    let (
        state,
        generation,
        reason,
        since,
        open_until,
        open_count,
        probe_until,
        successes,
        failures,
        manual,
        until,
    ) = row;
    let (Some(state), Some(generation), Some(since), Some(manual)) = (state, generation, since, manual)
    else {
        // Before now: against a breaker that closed at this very instant there is no evidence, and it would never open.
        return Ok(Breaker::closed(now.timestamp_millis() - 1));
    };
    let invalid = StoreError::Invalid {
        what: "circuit breaker",
    };
    let reason = match reason {
        Some(reason) => Some(Reason::parse(&reason).ok_or(StoreError::Invalid {
            what: "breaker's reason",
        })?),
        None => None,
    };
    let milliseconds = |time: Option<DateTime<Utc>>| time.map(|time| time.timestamp_millis());
    Ok(Breaker {
        state: State::parse(&state).ok_or(StoreError::Invalid {
            what: "breaker's state",
        })?,
        generation,
        reason,
        since_ms: since.timestamp_millis(),
        open_until_ms: milliseconds(open_until),
        open_count: open_count.unwrap_or_default(),
        probe_until_ms: milliseconds(probe_until),
        probe_successes: successes.unwrap_or_default(),
        probe_failures: failures.unwrap_or_default(),
        manual: Manual::parse(&manual).ok_or(invalid)?,
        manual_until_ms: milliseconds(until),
    })
}

fn evidence(requests: i64, failures: i64, consecutive: i64) -> Evidence {
    let count = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
    Evidence {
        requests: count(requests),
        failures: count(failures),
        consecutive_failures: count(consecutive),
    }
}

/// How often a change is decided anew when others come in between, before it is given up.
const ATTEMPTS: usize = 5;

impl Store {
    /// Every breaker there is, and every dataset that sent something within the window.
    pub async fn watched_breakers(&self, window_ms: i64) -> Result<Vec<WatchedBreaker>, StoreError> {
        type Row = (i64, DateTime<Utc>, BreakerRow, (i64, i64, i64));
        let statement = Watched {
            window_ms,
            lifetime: PhantomData,
        };
        let rows: Vec<Row> = statement.load(&mut self.connection().await?).await?;
        rows.into_iter()
            .map(|(dataset_id, now, breaker, (requests, failures, consecutive))| {
                Ok(WatchedBreaker {
                    dataset_id: dataset_id
                        .try_into()
                        .map_err(|_| StoreError::Invalid { what: "dataset_id" })?,
                    breaker: breaker_from_row(breaker, now)?,
                    evidence: evidence(requests, failures, consecutive),
                    now_ms: now.timestamp_millis(),
                })
            })
            .collect()
    }

    /// The breaker of one dataset, its note, and the database's time in milliseconds.
    pub async fn breaker(&self, dataset: DatasetId) -> Result<(Breaker, String, i64), StoreError> {
        let mut connection = self.connection().await?;
        let now: DateTime<Utc> = diesel::select(rastro_now()).get_result(&mut connection).await?;
        let row: Option<(BreakerRow, String)> = b::table
            .find(dataset.as_i64())
            .select((
                (
                    b::state.nullable(),
                    b::generation.nullable(),
                    b::reason,
                    b::since.nullable(),
                    b::open_until,
                    b::open_count.nullable(),
                    b::probe_until,
                    b::probe_successes.nullable(),
                    b::probe_failures.nullable(),
                    b::manual.nullable(),
                    b::manual_until,
                ),
                b::note,
            ))
            .first(&mut connection)
            .await
            .optional()?;
        let now_ms = now.timestamp_millis();
        match row {
            Some((row, note)) => Ok((breaker_from_row(row, now)?, note, now_ms)),
            None => Ok((Breaker::closed(now_ms), String::new(), now_ms)),
        }
    }

    /// The breaker of one dataset with what is known about its requests; `None` if we do not know the dataset.
    pub async fn breaker_report(
        &self,
        dataset: DatasetId,
        window_ms: i64,
    ) -> Result<Option<BreakerReport>, StoreError> {
        type Row = (DateTime<Utc>, BreakerRow, String, (i64, i64, i64));
        let statement = Report {
            dataset_id: dataset.as_i64(),
            window_ms,
            lifetime: PhantomData,
        };
        let row: Option<Row> = statement
            .get_result(&mut self.connection().await?)
            .await
            .optional()?;
        let Some((now, breaker, note, (requests, failures, consecutive))) = row else {
            return Ok(None);
        };
        Ok(Some(BreakerReport {
            breaker: breaker_from_row(breaker, now)?,
            note,
            evidence: evidence(requests, failures, consecutive),
            now_ms: now.timestamp_millis(),
        }))
    }

    /// Reads the breaker, decides by it and by the time in milliseconds, and writes what was decided; again from the start if
    /// somebody else came in between. `false`: that happened every time, or the dataset does not exist.
    pub async fn update_breaker(
        &self,
        dataset: DatasetId,
        note: Option<&str>,
        decide: impl Fn(&Breaker, i64) -> Option<Breaker>,
    ) -> Result<bool, StoreError> {
        for _ in 0..ATTEMPTS {
            let (before, _, now_ms) = self.breaker(dataset).await?;
            let Some(after) = decide(&before, now_ms) else {
                return Ok(true);
            };
            if self.change_breaker(dataset, &before, &after, note).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes a change, unless somebody else has changed the breaker since `before` was read. A `note` replaces the old one.
    /// `false`: nothing was written (or the dataset does not exist).
    pub async fn change_breaker(
        &self,
        dataset: DatasetId,
        before: &Breaker,
        after: &Breaker,
        note: Option<&str>,
    ) -> Result<bool, StoreError> {
        let statement = Change {
            dataset_id: dataset.as_i64(),
            before: before.generation,
            state: after.state.as_str(),
            generation: after.generation,
            reason: after.reason.map(Reason::as_str),
            since_ms: after.since_ms,
            open_until_ms: after.open_until_ms,
            open_count: after.open_count,
            probe_until_ms: after.probe_until_ms,
            probe_successes: after.probe_successes,
            probe_failures: after.probe_failures,
            manual: after.manual.as_str(),
            manual_until_ms: after.manual_until_ms,
            note,
            lifetime: PhantomData,
        };
        let changed: i64 = only_row(statement.load(&mut self.connection().await?).await?)?;
        Ok(changed == 1)
    }
}

diesel::define_sql_function! { fn rastro_now() -> Timestamptz; }

statement! {
    Watched<'q>("sql/watched_breakers.sql") -> (BigInt, Timestamptz, BreakerSql, (BigInt, BigInt, BigInt)) {
        window_ms: i64 as BigInt,
    }
}

statement! {
    Report<'q>("sql/breaker_report.sql") -> (Timestamptz, BreakerSql, Text, (BigInt, BigInt, BigInt)) {
        dataset_id: i64 as BigInt,
        window_ms: i64 as BigInt,
    }
}

statement! {
    Change<'q>("sql/change_breaker.sql") -> BigInt {
        dataset_id: i64 as BigInt,
        before: i64 as BigInt,
        state: &'static str as Text,
        generation: i64 as BigInt,
        reason: Option<&'static str> as Nullable<Text>,
        since_ms: i64 as BigInt,
        open_until_ms: Option<i64> as Nullable<BigInt>,
        open_count: i32 as Integer,
        probe_until_ms: Option<i64> as Nullable<BigInt>,
        probe_successes: i32 as Integer,
        probe_failures: i32 as Integer,
        manual: &'static str as Text,
        manual_until_ms: Option<i64> as Nullable<BigInt>,
        note: Option<&'q str> as Nullable<Text>,
    }
}
