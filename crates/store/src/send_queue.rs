//! `send_queue`: events ready to be sent. A row is a run: consecutive events that became ready together. Runs
//! come with [`crate::events`] and [`crate::meta_retry_queue`], and go with [`crate::send_batches`].

use std::ops::RangeInclusive;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Date, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::circuit_breaker::Breaker;
use rastro_core::dataset::DatasetId;

use crate::circuit_breakers::BreakerRow;
use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::schema::send_queue as q;
use crate::statement::{Prepare, column};

/// Events that may share a request to Meta: one dataset, one test event code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    pub dataset_id: DatasetId,
    /// Empty for real events.
    pub test_event_code: String,
}

/// A lane in which something is ready, and whether its dataset may be sent to.
#[derive(Clone, Debug)]
pub struct ReadyLane {
    pub lane: Lane,
    /// The number of its oldest event that was ready. One of a lower number may still become ready: accepts
    /// commit in any order, and events come back.
    pub first_number: i64,
    pub breaker: Breaker,
    /// The database's time, which the breaker goes by.
    pub now_ms: i64,
}

#[derive(QueryableByName)]
struct LaneRow {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = Text)]
    test_event_code: String,
    #[diesel(sql_type = BigInt)]
    first_number: i64,
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
    #[diesel(embed)]
    breaker: BreakerRow,
}

impl Store {
    /// The lanes in which something is ready, by dataset. A dataset whose breaker this program does not
    /// understand (a newer one wrote it) is left out, logged and counted.
    pub async fn ready_lanes(&self) -> Result<Vec<ReadyLane>, StoreError> {
        let rows: Vec<LaneRow> = sql_query(include_str!("sql/ready_lanes.sql"))
            .prepared()
            .rows(self)
            .await?;
        let mut lanes = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(breaker) = row.breaker.breaker(row.now) else {
                self.unknown_words.note("circuit_breakers", row.dataset_id);
                continue;
            };
            lanes.push(ReadyLane {
                lane: Lane {
                    dataset_id: dataset_id(row.dataset_id)?,
                    test_event_code: row.test_event_code,
                },
                first_number: row.first_number,
                breaker,
                now_ms: row.now.timestamp_millis(),
            });
        }
        Ok(lanes)
    }
}

/// A place in the queue, whose rows are in the order of their key. The default is before all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, QueryableByName)]
pub struct QueuePlace {
    #[diesel(sql_type = BigInt)]
    pub(crate) dataset_id: i64,
    #[diesel(sql_type = Text)]
    pub(crate) test_event_code: String,
    #[diesel(sql_type = BigInt)]
    pub(crate) first_number: i64,
}

/// A part of the queue. The default is all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueStretch {
    /// Begins behind it.
    pub(crate) after: QueuePlace,
    /// Ends with it. `None`: with the queue.
    pub until: Option<QueuePlace>,
}

impl QueueStretch {
    /// The place with which it ends, or one behind all rows.
    pub(crate) fn last(&self) -> QueuePlace {
        self.until.clone().unwrap_or(QueuePlace {
            dataset_id: i64::MAX,
            ..QueuePlace::default()
        })
    }
}

impl Store {
    /// The next so many rows of the queue: the work of a step that looks at each of them stays the same
    /// however much is waiting.
    pub async fn queue_stretch(&self, after: QueuePlace, rows: i64) -> Result<QueueStretch, StoreError> {
        let until = sql_query(include_str!("sql/queue_stretch.sql"))
            .bind::<BigInt, _>(after.dataset_id)
            .bind::<Text, _>(after.test_event_code.clone())
            .bind::<BigInt, _>(after.first_number)
            .bind::<BigInt, _>(rows)
            .prepared()
            .maybe_row(self)
            .await?;
        Ok(QueueStretch { after, until })
    }
}

/// So many events a run holds at most: as many as a request to Meta.
const LONGEST_RUN: i64 = 1_000;
/// So many runs a claim locks first: under load a commit brings a run of 64 events or more, and of those they
/// are enough.
const FIRST_LOOK: i64 = 16;

/// An event that becomes ready.
pub(crate) struct ReadyEvent<'r> {
    pub(crate) dataset_id: i64,
    pub(crate) test_event_code: &'r str,
    pub(crate) event_number: i64,
    pub(crate) day: NaiveDate,
    pub(crate) retries: i16,
    /// In seconds since 1970.
    pub(crate) send_by: i64,
}

/// A row of the queue: the events from the first number to the last, each of which is there.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub(crate) struct Run {
    #[diesel(sql_type = BigInt)]
    pub(crate) dataset_id: i64,
    #[diesel(sql_type = Text)]
    pub(crate) test_event_code: String,
    #[diesel(sql_type = BigInt)]
    pub(crate) first_number: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) last_number: i64,
    #[diesel(sql_type = Date)]
    pub(crate) day: NaiveDate,
    #[diesel(sql_type = SmallInt)]
    pub(crate) retries: i16,
    /// No later than that of any of its events, in seconds since 1970.
    #[diesel(sql_type = BigInt)]
    pub(crate) send_by: i64,
}

impl Run {
    pub(crate) fn numbers(&self) -> RangeInclusive<i64> {
        self.first_number..=self.last_number
    }

    fn len(&self) -> i64 {
        self.last_number - self.first_number + 1
    }

    /// Takes the event in, if it is the next one and may share the row.
    fn extend(&mut self, event: &ReadyEvent<'_>) -> bool {
        let follows = self.dataset_id == event.dataset_id
            && self.test_event_code == event.test_event_code
            && self.last_number + 1 == event.event_number
            && (self.day, self.retries) == (event.day, event.retries)
            && self.len() < LONGEST_RUN;
        if follows {
            self.last_number = event.event_number;
            self.send_by = self.send_by.min(event.send_by);
        }
        follows
    }

    /// Keeps so many events, at least one; returns the others, if there are any.
    fn cut(&mut self, keep: i64) -> Option<Run> {
        let rest = Run {
            first_number: self.first_number + keep.max(1),
            ..self.clone()
        };
        self.last_number = self.last_number.min(rest.first_number - 1);
        (rest.first_number <= rest.last_number).then_some(rest)
    }
}

/// As few rows as hold the events.
fn runs_of(mut events: Vec<ReadyEvent<'_>>) -> Vec<Run> {
    events.sort_unstable_by_key(|event| (event.dataset_id, event.test_event_code, event.event_number));
    let mut runs: Vec<Run> = Vec::new();
    for event in events {
        if !runs.last_mut().is_some_and(|run| run.extend(&event)) {
            runs.push(Run {
                dataset_id: event.dataset_id,
                test_event_code: event.test_event_code.to_owned(),
                first_number: event.event_number,
                last_number: event.event_number,
                day: event.day,
                retries: event.retries,
                send_by: event.send_by,
            });
        }
    }
    runs
}

/// Makes events ready, as a part of the caller's transaction.
pub(crate) async fn insert_ready<'r>(
    connection: &AsyncPgConnection,
    events: impl Iterator<Item = ReadyEvent<'r>>,
) -> Result<(), StoreError> {
    insert_runs(connection, &runs_of(events.collect())).await
}

async fn insert_runs(mut connection: &AsyncPgConnection, runs: &[Run]) -> Result<(), StoreError> {
    if runs.is_empty() {
        return Ok(());
    }
    sql_query(include_str!("sql/insert_ready.sql"))
        .bind::<Array<BigInt>, _>(column(runs, |run| run.dataset_id))
        .bind::<Array<Text>, _>(column(runs, |run| run.test_event_code.as_str()))
        .bind::<Array<BigInt>, _>(column(runs, |run| run.first_number))
        .bind::<Array<BigInt>, _>(column(runs, |run| run.last_number))
        .bind::<Array<Date>, _>(column(runs, |run| run.day))
        .bind::<Array<SmallInt>, _>(column(runs, |run| run.retries))
        .bind::<Array<BigInt>, _>(column(runs, |run| run.send_by))
        .prepared()
        .execute(&mut connection)
        .await?;
    Ok(())
}

/// What a claim found.
#[derive(Default)]
pub(crate) struct Locked {
    /// In the order of their numbers. The last one is cut to what was wanted.
    pub(crate) runs: Vec<Run>,
    /// What was cut off.
    rest: Option<Run>,
}

/// Locks the oldest ready events of a lane that nobody else is claiming, at most `limit`, until the caller's
/// transaction ends. None, if the breaker changed since the lane was looked at.
pub(crate) async fn lock(
    connection: &mut AsyncPgConnection,
    ready: &ReadyLane,
    limit: i64,
) -> Result<Locked, StoreError> {
    let mut locked = Locked::default();
    let (mut first_number, mut rows, mut missing) = (ready.first_number, FIRST_LOOK, limit);
    while missing > 0 {
        let found: Vec<Run> = sql_query(include_str!("sql/lock_ready.sql"))
            .bind::<BigInt, _>(ready.lane.dataset_id.as_i64())
            .bind::<Text, _>(ready.lane.test_event_code.as_str())
            .bind::<BigInt, _>(first_number)
            .bind::<BigInt, _>(ready.breaker.generation)
            .bind::<BigInt, _>(rows)
            .prepared()
            .load(connection)
            .await?;
        let are_all = i64::try_from(found.len()).is_ok_and(|found| found < rows);
        for mut run in found {
            if missing <= 0 {
                break;
            }
            locked.rest = run.cut(missing);
            missing -= run.len();
            first_number = run.last_number + 1;
            locked.runs.push(run);
        }
        if are_all {
            break;
        }
        // As many as will do if they are like those before, which the queue need not be.
        let found = i64::try_from(locked.runs.len()).unwrap_or(i64::MAX);
        let held = (limit - missing).max(1);
        rows = (rows * 2).max(missing.saturating_mul(found) / held + 1);
    }
    Ok(locked)
}

/// Takes what was locked out of the queue. What was cut off stays, as a run of its own.
pub(crate) async fn take(
    mut connection: &AsyncPgConnection,
    lane: &Lane,
    locked: &Locked,
) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (locked.runs.as_slice().first(), locked.runs.as_slice().last()) else {
        return Ok(());
    };
    let first_numbers: Vec<i64> = locked.runs.iter().map(|run| run.first_number).collect();
    diesel::delete(q::table)
        .filter(q::dataset_id.eq(lane.dataset_id.as_i64()))
        .filter(q::test_event_code.eq(&lane.test_event_code))
        .filter(q::first_number.eq_any(first_numbers))
        // Bounds the work of a plan that was made without statistics.
        .filter(q::first_number.between(first.first_number, last.first_number))
        .execute(&mut connection)
        .await?;
    insert_runs(connection, locked.rest.as_slice()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(dataset_id: i64, code: &'static str, event_number: i64) -> ReadyEvent<'static> {
        ReadyEvent {
            dataset_id,
            test_event_code: code,
            event_number,
            day: NaiveDate::default(),
            retries: 0,
            send_by: 1_000 - event_number,
        }
    }

    /// First and last number and send_by of each run.
    fn runs(events: Vec<ReadyEvent<'_>>) -> Vec<(i64, i64, i64)> {
        let runs = runs_of(events);
        runs.iter()
            .map(|run| (run.first_number, run.last_number, run.send_by))
            .collect()
    }

    #[test]
    fn consecutive_numbers_of_one_kind_are_one_run_which_goes_by_its_oldest_event() {
        let numbers = [5, 3, 4, 8, 1];
        let events = numbers.map(|number| event(1, "", number));
        assert_eq!(runs(events.into()), [(1, 1, 999), (3, 5, 995), (8, 8, 992)]);
        assert_eq!(runs(Vec::new()), []);

        let unlike: [fn(&mut ReadyEvent<'_>); 5] = [
            |event| event.dataset_id = 2,
            |event| event.test_event_code = "TEST1",
            |event| event.day = NaiveDate::MAX,
            |event| event.retries = 1,
            |event| event.event_number = 3,
        ];
        for change in unlike {
            let mut second = event(1, "", 2);
            change(&mut second);
            assert_eq!(runs(vec![event(1, "", 1), second]).len(), 2);
        }
    }

    #[test]
    fn a_run_is_no_longer_than_a_request_to_meta() {
        let events = (0..2_500).map(|number| event(1, "", number)).collect();
        assert_eq!(
            runs(events),
            [(0, 999, 1), (1_000, 1_999, -999), (2_000, 2_499, -1_499)]
        );
    }

    #[test]
    fn a_run_that_is_cut_loses_no_event() {
        let whole = runs_of((10..15).map(|number| event(1, "", number)).collect()).remove(0);
        for keep in 1..=6 {
            let mut kept = whole.clone();
            let rest = kept.cut(keep);
            let numbers: Vec<i64> = kept.numbers().chain(rest.iter().flat_map(Run::numbers)).collect();
            assert_eq!(numbers, [10, 11, 12, 13, 14]);
            assert_eq!(kept.len(), keep.min(5));
            assert_eq!(rest.is_none(), keep >= 5);
        }
    }
}
