//! `circuit_breakers`: whether a dataset is left alone, as a row that every process agrees on, decided by
//! `send_attempts`; and `breaker_transitions`, each change of it. The rules are
//! `rastro_core::circuit_breaker`; every change is a compare-and-set on the generation.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection, RunQueryDsl};
use rastro_core::circuit_breaker::{Breaker, Evidence, Manual, Reason, State};
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::schema::{circuit_breakers as b, rastro_now};
use crate::send_attempts::clean;
use crate::statement::Prepare;

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
#[derive(Queryable, QueryableByName)]
pub(crate) struct BreakerRow {
    #[diesel(sql_type = Nullable<Text>)]
    state: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    generation: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    reason: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    since: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    open_until: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Integer>)]
    open_count: Option<i32>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    probe_until: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Integer>)]
    probe_successes: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    probe_failures: Option<i32>,
    #[diesel(sql_type = Nullable<Text>)]
    manual: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    manual_until: Option<DateTime<Utc>>,
}

impl BreakerRow {
    /// `None`: it is in words that this program does not know.
    pub(crate) fn breaker(self, now: DateTime<Utc>) -> Option<Breaker> {
        let (Some(state), Some(generation), Some(since), Some(manual)) =
            (self.state, self.generation, self.since, self.manual)
        else {
            // Before now: against a breaker that closed at this very instant there is no evidence, and it
            // would never open.
            return Some(Breaker::closed(now.timestamp_millis() - 1));
        };
        let reason = match self.reason {
            Some(reason) => Some(Reason::parse(&reason)?),
            None => None,
        };
        let milliseconds = |time: Option<DateTime<Utc>>| time.map(|time| time.timestamp_millis());
        Some(Breaker {
            state: State::parse(&state)?,
            generation,
            reason,
            since_ms: since.timestamp_millis(),
            open_until_ms: milliseconds(self.open_until),
            open_count: self.open_count.unwrap_or_default(),
            probe_until_ms: milliseconds(self.probe_until),
            probe_successes: self.probe_successes.unwrap_or_default(),
            probe_failures: self.probe_failures.unwrap_or_default(),
            manual: Manual::parse(&manual)?,
            manual_until_ms: milliseconds(self.manual_until),
        })
    }
}

/// How requests went lately.
#[derive(QueryableByName)]
struct EvidenceRow {
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = BigInt)]
    failures: i64,
    #[diesel(sql_type = BigInt)]
    consecutive: i64,
}

impl From<EvidenceRow> for Evidence {
    fn from(row: EvidenceRow) -> Self {
        let count = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
        Evidence {
            requests: count(row.requests),
            failures: count(row.failures),
            consecutive_failures: count(row.consecutive),
        }
    }
}

#[derive(QueryableByName)]
struct WatchedRow {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
    #[diesel(embed)]
    breaker: BreakerRow,
    #[diesel(embed)]
    evidence: EvidenceRow,
}

#[derive(QueryableByName)]
struct ReportRow {
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
    #[diesel(embed)]
    breaker: BreakerRow,
    #[diesel(sql_type = Text)]
    note: String,
    #[diesel(embed)]
    evidence: EvidenceRow,
}

const UNKNOWN_WORD: StoreError = StoreError::Invalid {
    what: "circuit breaker (a newer program wrote it?)",
};

/// How often a change is decided anew when others come in between, before it is given up.
const ATTEMPTS: usize = 5;

impl Store {
    /// Every breaker there is, and every dataset that sent something within the window. A breaker that this
    /// program does not understand (a newer one wrote it) is left out, logged and counted.
    pub async fn watched_breakers(&self, window_ms: i64) -> Result<Vec<WatchedBreaker>, StoreError> {
        let rows: Vec<WatchedRow> = sql_query(include_str!("sql/watched_breakers.sql"))
            .bind::<BigInt, _>(window_ms)
            .prepared()
            .rows(self)
            .await?;
        let mut watched = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(breaker) = row.breaker.breaker(row.now) else {
                self.unknown_words.note("circuit_breakers", row.dataset_id);
                continue;
            };
            watched.push(WatchedBreaker {
                dataset_id: dataset_id(row.dataset_id)?,
                breaker,
                evidence: row.evidence.into(),
                now_ms: row.now.timestamp_millis(),
            });
        }
        Ok(watched)
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
            Some((row, note)) => Ok((row.breaker(now).ok_or(UNKNOWN_WORD)?, note, now_ms)),
            None => Ok((Breaker::closed(now_ms), String::new(), now_ms)),
        }
    }

    /// The breaker of one dataset with what is known about its requests; `None` if we do not know the
    /// dataset.
    pub async fn breaker_report(
        &self,
        dataset: DatasetId,
        window_ms: i64,
    ) -> Result<Option<BreakerReport>, StoreError> {
        let row: Option<ReportRow> = sql_query(include_str!("sql/breaker_report.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<BigInt, _>(window_ms)
            .prepared()
            .maybe_row(self)
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(BreakerReport {
            breaker: row.breaker.breaker(row.now).ok_or(UNKNOWN_WORD)?,
            note: row.note,
            evidence: row.evidence.into(),
            now_ms: row.now.timestamp_millis(),
        }))
    }

    /// Reads the breaker, decides by it and by the time in milliseconds, and writes what was decided; again
    /// from the start if somebody else came in between. `false`: that happened every time, or the dataset
    /// does not exist.
    pub async fn update_breaker(
        &self,
        dataset: DatasetId,
        note: Option<&str>,
        mut decide: impl FnMut(&Breaker, i64) -> Option<Breaker>,
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

    /// Writes a change and logs it, unless somebody else has changed the breaker since `before` was read. A
    /// `note` replaces the old one. `false`: nothing was written (or the dataset does not exist).
    pub async fn change_breaker(
        &self,
        dataset: DatasetId,
        before: &Breaker,
        after: &Breaker,
        note: Option<&str>,
    ) -> Result<bool, StoreError> {
        self.connection()
            .await?
            .as_mut()
            .transaction(async |connection| {
                let changed = sql_query(include_str!("sql/change_breaker.sql"))
                    .bind::<BigInt, _>(dataset.as_i64())
                    .bind::<BigInt, _>(before.generation)
                    .bind::<Text, _>(after.state.as_str())
                    .bind::<BigInt, _>(after.generation)
                    .bind::<Nullable<Text>, _>(after.reason.map(Reason::as_str))
                    .bind::<BigInt, _>(after.since_ms)
                    .bind::<Nullable<BigInt>, _>(after.open_until_ms)
                    .bind::<Integer, _>(after.open_count)
                    .bind::<Nullable<BigInt>, _>(after.probe_until_ms)
                    .bind::<Integer, _>(after.probe_successes)
                    .bind::<Integer, _>(after.probe_failures)
                    .bind::<Text, _>(after.manual.as_str())
                    .bind::<Nullable<BigInt>, _>(after.manual_until_ms)
                    .bind::<Nullable<Text>, _>(note.map(clean))
                    .prepared()
                    .execute(connection)
                    .await?;
                if changed == 1
                    && (before.state, before.reason, before.manual)
                        != (after.state, after.reason, after.manual)
                {
                    sql_query(include_str!("sql/insert_transition.sql"))
                        .bind::<BigInt, _>(dataset.as_i64())
                        .prepared()
                        .execute(connection)
                        .await?;
                }
                Ok(changed == 1)
            })
            .await
    }

    /// Deletes changes of breakers of before the given number of days, at most `limit`; returns how many.
    pub async fn purge_transitions(&self, keep_days: i32, limit: i64) -> Result<usize, StoreError> {
        let purged = sql_query(include_str!("sql/purge_transitions.sql"))
            .bind::<Integer, _>(keep_days)
            .bind::<BigInt, _>(limit)
            .prepared()
            .run(self)
            .await?;
        Ok(purged)
    }
}
