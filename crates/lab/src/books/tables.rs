//! COPY into the tables that accepting an event writes.

use bytes::Bytes;
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

    /// The table and the columns that are copied into it.
    pub fn columns(self) -> &'static str {
        match self {
            Table::Dedup => "meta_events_dedup (event_key, created_at, expires_at, dataset_id, day, event_number)",
            Table::Events => {
                "events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by, action_source,
                    test_event_code, key_id, request_id, payload, value, currency, page_host, page_path, utm_source,
                    utm_campaign)"
            }
            Table::Queue => "send_queue (dataset_id, test_event_code, first_number, last_number, day, retries, send_by)",
        }
    }

    /// Rows for so many events: in the queue they are one run.
    pub fn rows(self, events: u64) -> u64 {
        match self {
            Table::Queue => 1,
            Table::Dedup | Table::Events => events,
        }
    }

    /// A row, in the order of its columns; in the queue for this event and the others of a commit.
    pub fn fields(self, today: i32, number: u64, events: u64, payload: &str) -> Vec<Bytes> {
        let (dataset, key) = (wire::bigint(1), Bytes::copy_from_slice(&scattered(number)));
        let (day, noon, number_field) = (wire::date(today), wire::noon(today), wire::bigint(number));
        match self {
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
                wire::bigint(number + events - 1),
                day,
                wire::smallint(0),
                noon,
            ],
        }
    }
}
