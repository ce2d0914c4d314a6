//! Rows written by hand around one moment at which the clock stands: Tuesday 16 June 2026, half past twelve in
//! São Paulo. Times of day are of UTC.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use rastro_store::{Dataset, DatasetSettings, Store};
use rastro_test_support::TestDatabase;

use crate::panel::{OTHER, OWN};

pub(crate) const NOW: &str = "2026-06-16 15:30:00Z";
/// In São Paulo.
pub(crate) const MIDNIGHT: &str = "2026-06-16T03:00:00Z";

pub(crate) struct Books {
    pub(crate) database: TestDatabase,
    pub(crate) store: Store,
}

/// A time of day of the 16th, or another day and time.
pub(crate) fn at(time: &str) -> DateTime<Utc> {
    let text = match time.contains('-') {
        true => format!("{}:00Z", time.replace(' ', "T")),
        false => format!("2026-06-16T{time}:00Z"),
    };
    text.parse().unwrap_or_else(|_| panic!("{time}"))
}

fn sql(time: &str) -> String {
    format!("timestamptz '{}'", at(time).to_rfc3339())
}

fn text(value: Option<i32>) -> String {
    value.map_or("NULL".to_owned(), |value| value.to_string())
}

/// Stops a database's clock, and makes the tables of the days of which there are rows.
pub(crate) fn standing_clock() -> String {
    format!(
        "CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
         AS 'SELECT timestamptz ''{NOW}''';
         SELECT create_day_partition(parent, day) FROM (
             SELECT date '2026-05-12' UNION ALL SELECT date '2026-06-07' + n FROM generate_series(0, 10) AS n
         ) AS days (day) CROSS JOIN unnest(day_tables()) AS parent"
    )
}

impl Books {
    pub(crate) async fn open() -> Self {
        let database = TestDatabase::create().await;
        let store = Store::new(&database.config(), "test").unwrap();
        let books = Books { database, store };
        books.execute(&standing_clock()).await;
        for (id, name) in [(OWN, "Loja Aurora"), (OTHER, "Outra")] {
            let dataset = Dataset {
                id: id.try_into().unwrap(),
                settings: DatasetSettings {
                    name: name.into(),
                    ..DatasetSettings::default()
                },
                access_token: "EAAtest0token".to_owned().into(),
            };
            books.store.put_dataset(&dataset).await.unwrap();
        }
        books
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.database.execute(sql).await;
    }

    /// An event of this number, received then.
    pub(crate) async fn event(
        &self,
        dataset: i64,
        number: i64,
        name: &str,
        time: &str,
        value: Option<(&str, &str)>,
    ) {
        let (value, currency) = value.map_or(("NULL".to_owned(), "NULL".to_owned()), |(value, currency)| {
            (value.to_owned(), format!("'{currency}'"))
        });
        let time = sql(time);
        self.execute(&format!(
            "INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by, action_source,
                value, currency, test_event_code, request_id, payload)
             VALUES ({dataset}, ({time} AT TIME ZONE 'UTC')::date, {number}, '{name}', 'e{number}', {time}, {time},
                {time} + interval '7 days', 'website', {value}, {currency}, '', gen_random_uuid(), '{{}}')"
        ))
        .await;
    }

    /// A request to Meta with these events, at that time.
    pub(crate) async fn attempt(
        &self,
        dataset: i64,
        numbers: &[i64],
        time: &str,
        (outcome, code, subcode): (&str, Option<i32>, Option<i32>),
    ) {
        let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let (list, time) = (list.join(", "), sql(time));
        self.execute(&format!(
            "INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, latency_ms, outcome,
                http_status, error_code, error_subcode, fbtrace_id, event_count, event_numbers, first_number, last_number, first_day,
                last_day)
             SELECT {dataset}, ({time} AT TIME ZONE 'UTC')::date, 1, 1, '', {time}, 100, '{outcome}', 200, {}, {}, 'A' || min(n) || 'x',
                count(*), array_agg(n), min(n), max(n), date '2026-05-12', ({time} AT TIME ZONE 'UTC')::date
             FROM unnest(ARRAY[{list}]::bigint[]) AS n",
            text(code),
            text(subcode)
        ))
        .await;
    }

    /// A stored event is ready to be sent.
    pub(crate) async fn ready(&self, dataset: i64, first: i64, last: i64) {
        self.execute(&format!(
            "INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, send_by)
             SELECT {dataset}, '', {first}, {last}, day, send_by FROM events WHERE dataset_id = {dataset} AND event_number = {first}"
        ))
        .await;
    }

    /// A stored event waits to be tried again at that time.
    pub(crate) async fn waits(&self, dataset: i64, number: i64, time: &str) {
        let time = sql(time);
        self.execute(&format!(
            "INSERT INTO meta_retry_queue (dataset_id, event_number, day, test_event_code, event_name, event_id, send_by, retry_count,
                next_retry_at, last_error, status, failed_at)
             SELECT {dataset}, event_number, day, '', event_name, event_id, send_by, 1, {time}, 'no answer', 'waiting', rastro_now()
             FROM events WHERE dataset_id = {dataset} AND event_number = {number}"
        ))
        .await;
    }

    /// A stored event stopped at that time.
    pub(crate) async fn stops(
        &self,
        dataset: i64,
        number: i64,
        time: &str,
        (reason, code, subcode): (&str, Option<i32>, Option<i32>),
    ) {
        let time = sql(time);
        let said = match reason {
            "refused" => "HTTP 400, code 100: id is missing",
            _ => "no answer within 1.5 s",
        };
        self.execute(&format!(
            "INSERT INTO meta_retry_queue (dataset_id, event_number, day, test_event_code, event_name, event_id, send_by, retry_count,
                last_error, error_code, error_subcode, status, reason, failed_at)
             SELECT {dataset}, event_number, day, '', event_name, event_id, send_by, 3, '{said}', {}, {}, 'failed', '{reason}', {time}
             FROM events WHERE dataset_id = {dataset} AND event_number = {number}",
            text(code),
            text(subcode)
        ))
        .await;
    }

    /// What else happened to an event, or to so many of none.
    pub(crate) async fn outcome(
        &self,
        dataset: i64,
        outcome: &str,
        number: Option<i64>,
        count: i64,
        time: &str,
    ) {
        let number = number.map_or("NULL".to_owned(), |number| number.to_string());
        let time = sql(time);
        self.execute(&format!(
            "INSERT INTO event_outcomes (dataset_id, day, outcome, event_number, event_name, event_count, created_at)
             VALUES ({dataset}, ({time} AT TIME ZONE 'UTC')::date, '{outcome}', {number}, 'Lead', {count}, {time})"
        ))
        .await;
    }

    /// Counts of whole hours.
    pub(crate) async fn counts(&self, dataset: i64, rows: &[(&str, &str, i64)]) {
        let mut values = String::new();
        for (time, outcome, events) in rows {
            let comma = if values.is_empty() { "" } else { "," };
            write!(
                values,
                "{comma} ({dataset}, {}, 'Lead', '{outcome}', {events})",
                sql(time)
            )
            .unwrap();
        }
        self.execute(&format!(
            "INSERT INTO event_counts (dataset_id, hour, event_name, outcome, events) VALUES {values}"
        ))
        .await;
    }

    /// A change of a breaker.
    pub(crate) async fn change(
        &self,
        dataset: i64,
        time: &str,
        state: &str,
        reason: Option<&str>,
        manual: &str,
    ) {
        let reason = reason.map_or("NULL".to_owned(), |reason| format!("'{reason}'"));
        let note = if manual == "automatic" { "" } else { "Ana: teste" };
        self.execute(&format!(
            "INSERT INTO breaker_transitions (dataset_id, changed_at, generation, state, reason, manual, note)
             VALUES ({dataset}, {}, 1, '{state}', {reason}, '{manual}', '{note}')",
            sql(time)
        ))
        .await;
    }
}
