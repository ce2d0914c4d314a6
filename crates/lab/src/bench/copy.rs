//! The ceiling: the same rows in the same tables by `COPY ... (FORMAT BINARY)`, a thousand events to a commit.
//!
//! COPY asks nothing (no key that might be taken), waits for no client, parses no JSON and compresses nothing: the body of
//! its segments is made once. There is no faster way into these tables that keeps their indexes and their durability.
//! Beside it, a row for each event, which is what these tables spare.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::{BufMut, Bytes, BytesMut};
use chrono::NaiveDate;
use futures_util::SinkExt;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::database::{connect, segment_body, today};

/// Connections that copy at the same time: as many as the gateway has writers.
const CONNECTIONS: usize = 2;
/// Events in one commit: as many as a full group of the gateway.
const EVENTS: u64 = 1_000;

/// Which tables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// `meta_events_dedup`, `event_segments` and `send_queue`: what accepting an event writes.
    All,
    /// `meta_events_dedup`, and the event in a row of its own.
    Rows,
}

/// A table with a row for each event.
pub const ROWS_SCHEMA: &str = "CREATE TABLE event_rows (
    event_number bigint PRIMARY KEY, event_name text NOT NULL, event_id text NOT NULL, request_id uuid NOT NULL,
    received_at timestamptz NOT NULL, payload text NOT NULL)";

/// What a copy did in its measured time.
pub struct Copied {
    pub from: Instant,
    pub until: Instant,
    pub events: u64,
}

/// A copy under way.
pub struct Copying {
    pub from: Instant,
    pub until: Instant,
    copied: tokio::task::JoinHandle<anyhow::Result<u64>>,
}

impl Copying {
    /// Waits for its end.
    pub async fn copied(self) -> anyhow::Result<Copied> {
        Ok(Copied {
            from: self.from,
            until: self.until,
            events: self.copied.await.context("the copy broke down")??,
        })
    }
}

/// Starts copying into a database with the product's schema and [`ROWS_SCHEMA`]. `stored` is what is stored of a thousand
/// events.
pub async fn start(
    url: &str,
    stored: &[String],
    tables: Tables,
    numbers: Arc<AtomicU64>,
    warm_up: Duration,
    measured: Duration,
) -> anyhow::Result<Copying> {
    let mut copiers = Vec::new();
    for _ in 0..CONNECTIONS {
        copiers.push(Copier::new(url, stored, tables).await?);
    }
    let from = Instant::now() + warm_up;
    let until = from + measured;
    let copied = tokio::spawn(async move {
        let running = copiers
            .into_iter()
            .map(|copier| tokio::spawn(copier.run(numbers.clone(), from, until)));
        let mut events = 0;
        for copied in futures_util::future::join_all(running).await {
            events += copied.context("the copy broke down")??;
        }
        Ok(events)
    });
    Ok(Copying { from, until, copied })
}

struct Copier {
    client: Client,
    tables: Vec<(Table, Statement)>,
    stored: Vec<String>,
    body: Vec<u8>,
    today: i32,
}

#[derive(Clone, Copy)]
enum Table {
    Dedup,
    Segments,
    Queue,
    Rows,
}

impl Table {
    fn sql(self) -> &'static str {
        match self {
            Table::Dedup => {
                "COPY meta_events_dedup (event_key, created_at, expires_at) FROM STDIN (FORMAT BINARY)"
            }
            Table::Segments => {
                "COPY event_segments (dataset_id, day, segment_number, test_event_code, event_count, event_numbers,
                    heads, body, received_at) FROM STDIN (FORMAT BINARY)"
            }
            Table::Queue => {
                "COPY send_queue (dataset_id, test_event_code, first_number, day, event_count, event_numbers)
                    FROM STDIN (FORMAT BINARY)"
            }
            Table::Rows => {
                "COPY event_rows (event_number, event_name, event_id, request_id, received_at, payload)
                    FROM STDIN (FORMAT BINARY)"
            }
        }
    }
}

impl Copier {
    async fn new(url: &str, stored: &[String], tables: Tables) -> anyhow::Result<Self> {
        anyhow::ensure!(
            stored.len() as u64 == EVENTS,
            "a segment of {EVENTS} events is copied"
        );
        let client = connect(url).await?;
        let mut prepared = Vec::new();
        let tables: &[Table] = match tables {
            Tables::All => &[Table::Dedup, Table::Segments, Table::Queue],
            Tables::Rows => &[Table::Dedup, Table::Rows],
        };
        for table in tables {
            prepared.push((*table, client.prepare(table.sql()).await?));
        }
        let epoch = NaiveDate::from_ymd_opt(2000, 1, 1).context("a date")?;
        let today = today(&client).await?.signed_duration_since(epoch).num_days();
        Ok(Copier {
            client,
            tables: prepared,
            stored: stored.to_vec(),
            body: segment_body(stored)?,
            today: i32::try_from(today)?,
        })
    }

    /// Copies until the time is over; returns the events of commits that ended in the measured time.
    async fn run(self, numbers: Arc<AtomicU64>, from: Instant, until: Instant) -> anyhow::Result<u64> {
        let mut copied = 0;
        while Instant::now() < until {
            // Numbers of events in segments are multiples of a thousand and what follows.
            let first = numbers.fetch_add(EVENTS, Ordering::Relaxed) * 1_000;
            self.client.batch_execute("BEGIN").await?;
            for (table, statement) in &self.tables {
                let rows = self.rows(*table, first);
                let sink = self.client.copy_in(statement).await?;
                let mut sink = std::pin::pin!(sink);
                sink.send(rows).await?;
                sink.finish().await?;
            }
            self.client.batch_execute("COMMIT").await?;
            if (from..until).contains(&Instant::now()) {
                copied += EVENTS;
            }
        }
        Ok(copied)
    }

    /// A thousand events as PostgreSQL's binary COPY format has them (its manual, "COPY", "Binary Format").
    fn rows(&self, table: Table, first: u64) -> Bytes {
        let numbers = first..first + EVENTS;
        let first = signed(first);
        // The times do not matter to the cost: noon of the day.
        let now = ((i64::from(self.today) * 24 + 12) * 3_600 * 1_000_000).to_be_bytes();
        let count = i32::try_from(EVENTS).unwrap_or(i32::MAX).to_be_bytes();
        let mut rows = BytesMut::with_capacity(2 << 20);
        rows.put_slice(b"PGCOPY\n\xff\r\n\0");
        rows.put_u64(0);
        match table {
            Table::Dedup => {
                for number in numbers {
                    rows.put_i16(3);
                    field(&mut rows, &scattered(number));
                    field(&mut rows, &now);
                    field(&mut rows, &now);
                }
            }
            Table::Segments => {
                rows.put_i16(9);
                field(&mut rows, &1_i64.to_be_bytes());
                field(&mut rows, &self.today.to_be_bytes());
                field(&mut rows, &first.to_be_bytes());
                field(&mut rows, b"");
                field(&mut rows, &count);
                field(&mut rows, &range(first));
                field(&mut rows, heads(numbers).as_bytes());
                field(&mut rows, &self.body);
                field(&mut rows, &now);
            }
            Table::Queue => {
                rows.put_i16(6);
                field(&mut rows, &1_i64.to_be_bytes());
                field(&mut rows, b"");
                field(&mut rows, &first.to_be_bytes());
                field(&mut rows, &self.today.to_be_bytes());
                field(&mut rows, &count);
                field(&mut rows, &range(first));
            }
            Table::Rows => {
                for (number, payload) in numbers.zip(&self.stored) {
                    rows.put_i16(6);
                    field(&mut rows, &signed(number).to_be_bytes());
                    field(&mut rows, b"Lead");
                    field(&mut rows, event_id(number).as_bytes());
                    field(&mut rows, &scattered(number));
                    field(&mut rows, &now);
                    field(&mut rows, payload.as_bytes());
                }
            }
        }
        rows.put_i16(-1);
        rows.freeze()
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn event_id(number: u64) -> String {
    format!("bench-{number:015}")
}

/// The multirange of a thousand numbers: one range that holds its lower bound and not its upper one.
fn range(first: i64) -> Vec<u8> {
    let mut range = BytesMut::new();
    range.put_u8(0x02);
    field(&mut range, &first.to_be_bytes());
    field(&mut range, &(first + 1_000).to_be_bytes());
    let mut ranges = BytesMut::new();
    ranges.put_i32(1);
    field(&mut ranges, &range);
    ranges.to_vec()
}

/// As the gateway makes them, each event with a request of its own.
fn heads(numbers: Range<u64>) -> String {
    let head = |number| {
        let request_id = Uuid::from_bytes(scattered(number));
        format!(
            r#"[1795000000,"{request_id}",null,"Lead","{}"]"#,
            event_id(number)
        )
    };
    format!("[{}]", numbers.map(head).collect::<Vec<_>>().join(","))
}

fn field(row: &mut BytesMut, value: &[u8]) {
    row.put_i32(i32::try_from(value.len()).expect("a field is far below 2 GiB"));
    row.put_slice(value);
}

/// 16 bytes that differ for every number and lie anywhere in the index, as hashes do (the mixing of SplitMix64).
fn scattered(number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (half, seed) in bytes.chunks_exact_mut(8).zip([1, 2]) {
        let mut mixed = number
            .wrapping_mul(2)
            .wrapping_add(seed)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        half.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes());
    }
    bytes
}
