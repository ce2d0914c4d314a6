//! COPY into the tables that accepting an event writes.

use bytes::Bytes;
use serde::Serialize;
use tokio_postgres::Client;

use crate::bench::copy::{scattered, wire};

/// Days since 2000-01-01, in UTC, as the server has them: where PostgreSQL's dates begin.
pub async fn days_since_2000(sql: &Client) -> anyhow::Result<i32> {
    let today = "SELECT (rastro_now() AT TIME ZONE 'UTC')::date - date '2000-01-01'";
    Ok(sql.query_one(today, &[]).await?.get(0))
}

/// What accepting an event writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    Dedup,
    Events,
    Queue,
}

impl Table {
    pub const ALL: [Table; 3] = [Table::Dedup, Table::Events, Table::Queue];
}

/// The tables as they are, and with one thing less each, to see what that thing costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tables {
    AsTheyAre,
    WithoutTypedColumns,
    WithoutEventIdIndex,
    WithoutExpiryIndex,
    BareKeys,
    QueueOfSingleEvents,
}

impl Tables {
    pub const ALL: [Tables; 6] = [
        Tables::AsTheyAre,
        Tables::WithoutTypedColumns,
        Tables::WithoutEventIdIndex,
        Tables::WithoutExpiryIndex,
        Tables::BareKeys,
        Tables::QueueOfSingleEvents,
    ];

    /// What is missing, in the words of the report.
    pub fn describe(self) -> &'static str {
        match self {
            Tables::AsTheyAre => "all of it",
            Tables::WithoutTypedColumns => "values, page and campaign as columns beside the payload",
            Tables::WithoutEventIdIndex => "the index of events by event id",
            Tables::WithoutExpiryIndex => "the index of event keys by expiry",
            Tables::BareKeys => "dataset, day and number in the row of an event key",
            Tables::QueueOfSingleEvents => {
                "runs in the queue: a row for each event instead (this one costs more)"
            }
        }
    }

    /// What makes a migrated database one of this kind.
    pub fn change(self) -> &'static str {
        match self {
            Tables::AsTheyAre | Tables::WithoutTypedColumns | Tables::QueueOfSingleEvents => "",
            Tables::WithoutEventIdIndex => "DROP INDEX events_by_event_id",
            Tables::WithoutExpiryIndex => "DROP INDEX meta_events_dedup_expiry",
            Tables::BareKeys => {
                "ALTER TABLE meta_events_dedup DROP COLUMN dataset_id, DROP COLUMN day, DROP COLUMN event_number,
                    ADD PRIMARY KEY (event_key)"
            }
        }
    }

    /// A table and the columns that are copied into it.
    pub fn columns(self, table: Table) -> &'static str {
        match (table, self) {
            (Table::Dedup, Tables::BareKeys) => "meta_events_dedup (event_key, created_at, expires_at)",
            (Table::Dedup, _) => {
                "meta_events_dedup (event_key, created_at, expires_at, dataset_id, day, event_number)"
            }
            (Table::Events, Tables::WithoutTypedColumns) => {
                "events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by, action_source,
                    test_event_code, key_id, request_id, payload)"
            }
            (Table::Events, _) => {
                "events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by, action_source,
                    test_event_code, key_id, request_id, payload, value, currency, page_host, page_path, utm_source,
                    utm_campaign)"
            }
            (Table::Queue, _) => "send_queue (dataset_id, test_event_code, first_number, last_number, day, retries, send_by)",
        }
    }

    /// Events that a row of the queue stands for.
    pub fn events_a_run(self) -> u64 {
        if self == Tables::QueueOfSingleEvents {
            1
        } else {
            1_000
        }
    }

    /// A row of a table, in the order of its columns.
    pub fn fields(self, table: Table, today: i32, number: u64, payload: &str) -> Vec<Bytes> {
        let (dataset, key) = (wire::bigint(1), Bytes::copy_from_slice(&scattered(number)));
        let (day, noon, number_field) = (wire::date(today), wire::noon(today), wire::bigint(number));
        let mut fields = match table {
            Table::Dedup => vec![key, noon.clone(), noon, dataset, day, number_field],
            Table::Events => {
                let event_id = wire::text(&format!("bench-{number:015}"));
                vec![
                    dataset,
                    day,
                    number_field,
                    wire::text("Lead"),
                    event_id,
                    noon.clone(),
                    noon.clone(),
                    noon,
                    wire::text("website"),
                    wire::text(""),
                    wire::bigint(1),
                    key,
                    wire::text(payload),
                    wire::price(),
                    wire::text("BRL"),
                    wire::text("www.clinica.example"),
                    wire::text("/contato"),
                    wire::text("meta"),
                    wire::text("clareamento"),
                ]
            }
            Table::Queue => vec![
                dataset,
                wire::text(""),
                number_field,
                wire::bigint(number + self.events_a_run() - 1),
                day,
                wire::smallint(0),
                noon,
            ],
        };
        match (table, self) {
            (Table::Dedup, Tables::BareKeys) => fields.truncate(3),
            (Table::Events, Tables::WithoutTypedColumns) => fields.truncate(13),
            _ => {}
        }
        fields
    }
}
