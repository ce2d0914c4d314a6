//! The ceiling: the same rows in the same tables by `COPY ... (FORMAT BINARY)`, a thousand events to a commit.
//!
//! COPY asks nothing (no key that might be taken), waits for no client and parses no JSON; there is no faster way into
//! these tables that keeps their indexes and their durability.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::{BufMut, Bytes, BytesMut};
use chrono::NaiveDate;
use futures_util::SinkExt;
use tokio_postgres::{Client, Statement};

use crate::database::{connect, today};
use crate::sample::Template;

/// Connections that copy at the same time: as many as the gateway has writers.
const CONNECTIONS: usize = 2;
/// Events in one commit: as many as a full group of the gateway.
const EVENTS: u64 = 1_000;

/// Which tables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// `events`, `meta_events_dedup` and `send_queue`: what accepting an event writes.
    All,
    /// `events` alone: the payload and its primary key.
    Events,
}

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

/// Starts copying into a database with the product's schema. `payload` is the stored event, its number open.
pub async fn start(
    url: &str,
    payload: &str,
    tables: Tables,
    numbers: Arc<AtomicU64>,
    warm_up: Duration,
    measured: Duration,
) -> anyhow::Result<Copying> {
    let mut copiers = Vec::new();
    for _ in 0..CONNECTIONS {
        copiers.push(Copier::new(url, payload, tables).await?);
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
    payload: Template,
    today: i32,
}

#[derive(Clone, Copy)]
enum Table {
    Dedup,
    Events,
    Queue,
}

impl Table {
    fn sql(self) -> &'static str {
        match self {
            Table::Dedup => {
                "COPY meta_events_dedup (event_key, created_at, expires_at) FROM STDIN (FORMAT BINARY)"
            }
            Table::Events => {
                "COPY events (dataset_id, day, event_number, event_name, event_id, event_time, send_by,
                    test_event_code, payload, request_id, received_at) FROM STDIN (FORMAT BINARY)"
            }
            Table::Queue => {
                "COPY send_queue (dataset_id, test_event_code, event_number, day) FROM STDIN (FORMAT BINARY)"
            }
        }
    }
}

impl Copier {
    async fn new(url: &str, payload: &str, tables: Tables) -> anyhow::Result<Self> {
        let client = connect(url).await?;
        let mut prepared = Vec::new();
        let tables: &[Table] = match tables {
            Tables::All => &[Table::Dedup, Table::Events, Table::Queue],
            Tables::Events => &[Table::Events],
        };
        for table in tables {
            prepared.push((*table, client.prepare(table.sql()).await?));
        }
        let epoch = NaiveDate::from_ymd_opt(2000, 1, 1).context("a date")?;
        let today = today(&client).await?.signed_duration_since(epoch).num_days();
        Ok(Copier {
            client,
            tables: prepared,
            payload: Template::new(payload),
            today: i32::try_from(today)?,
        })
    }

    /// Copies until the time is over; returns the events of commits that ended in the measured time.
    async fn run(self, numbers: Arc<AtomicU64>, from: Instant, until: Instant) -> anyhow::Result<u64> {
        let mut payload = self.payload.text();
        let mut copied = 0;
        while Instant::now() < until {
            let first = numbers.fetch_add(EVENTS, Ordering::Relaxed);
            self.client.batch_execute("BEGIN").await?;
            for (table, statement) in &self.tables {
                let rows = self.rows(*table, first, &mut payload);
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

    /// A thousand rows as PostgreSQL's binary COPY format has them (its manual, "COPY", "Binary Format").
    fn rows(&self, table: Table, first: u64, payload: &mut [u8]) -> Bytes {
        // The times do not matter to the cost: noon of the day.
        let now = (i64::from(self.today) * 24 + 12) * 3_600 * 1_000_000;
        let mut rows = BytesMut::with_capacity(2 << 20);
        rows.put_slice(b"PGCOPY\n\xff\r\n\0");
        rows.put_u64(0);
        for number in first..first + EVENTS {
            let event_number = i64::try_from(number).unwrap_or(i64::MAX);
            match table {
                Table::Dedup => {
                    rows.put_i16(3);
                    field(&mut rows, &scattered(number));
                    field(&mut rows, &now.to_be_bytes());
                    field(&mut rows, &now.to_be_bytes());
                }
                Table::Events => {
                    self.payload.fill(payload, number);
                    rows.put_i16(11);
                    field(&mut rows, &1_i64.to_be_bytes());
                    field(&mut rows, &self.today.to_be_bytes());
                    field(&mut rows, &event_number.to_be_bytes());
                    field(&mut rows, b"Lead");
                    field(&mut rows, format!("bench-{number:012}").as_bytes());
                    field(&mut rows, &now.to_be_bytes());
                    field(&mut rows, &now.to_be_bytes());
                    field(&mut rows, b"");
                    field(&mut rows, payload);
                    field(&mut rows, &scattered(number));
                    field(&mut rows, &now.to_be_bytes());
                }
                Table::Queue => {
                    rows.put_i16(4);
                    field(&mut rows, &1_i64.to_be_bytes());
                    field(&mut rows, b"");
                    field(&mut rows, &event_number.to_be_bytes());
                    field(&mut rows, &self.today.to_be_bytes());
                }
            }
        }
        rows.put_i16(-1);
        rows.freeze()
    }
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
