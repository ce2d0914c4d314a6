//! The ceiling: the same rows in the same tables by `COPY ... (FORMAT BINARY)`, a thousand events to a
//! commit.
//!
//! COPY asks nothing (no key that might be taken), waits for no client, hashes nothing and parses no JSON.
//! There is no faster way into these tables that keeps their indexes and their durability.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Context;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::{Client, Statement};

use crate::bench::measure::{Measurement, Meter};
use crate::books::{self, Table, signed};
use crate::load::Window;

/// Connections that copy at the same time: as many as the gateway has writers.
const CONNECTIONS: usize = 2;
/// Events in one commit: as many as a full group of the gateway.
pub const EVENTS: u64 = 1_000;

/// Copies into a database, and measures what that costs in the window. `stored` is what is stored of a
/// thousand events.
pub async fn measure(
    meter: &Meter<'_>,
    url: &str,
    stored: &[String],
    numbers: &Arc<AtomicU64>,
    window: Window,
) -> anyhow::Result<Measurement> {
    let mut copiers = Vec::new();
    for _ in 0..CONNECTIONS {
        copiers.push(Copier::new(url, stored).await?);
    }
    let from = Instant::now() + window.warm_up;
    let until = from + window.measured;
    let running: Vec<_> = copiers
        .into_iter()
        .map(|copier| tokio::spawn(copier.run(numbers.clone(), from, until)))
        .collect();
    tokio::time::sleep_until(from.into()).await;
    let before = meter.read().await?;
    tokio::time::sleep_until(until.into()).await;
    let after = meter.read().await?;
    let mut events = 0;
    for copied in running {
        events += copied.await.context("the copy broke down")??;
    }
    Ok(Measurement {
        events_per_second: events as f64 / window.measured.as_secs_f64(),
        ..Measurement::between(&before, &after, events)
    })
}

struct Copier {
    client: Client,
    statements: Vec<(Table, Statement)>,
    stored: Vec<String>,
    /// Days since 2000-01-01: where PostgreSQL's dates begin.
    today: i32,
}

impl Copier {
    async fn new(url: &str, stored: &[String]) -> anyhow::Result<Self> {
        let client = books::connect(url).await?;
        let mut statements = Vec::new();
        for table in Table::ALL {
            let copy = format!("COPY {} FROM STDIN (FORMAT BINARY)", table.columns());
            statements.push((table, client.prepare(&copy).await?));
        }
        let today = books::days_since_2000(&client).await?;
        Ok(Copier {
            client,
            statements,
            stored: stored.to_vec(),
            today,
        })
    }

    /// Copies until the time is over; returns the events of commits that ended in the window.
    async fn run(self, numbers: Arc<AtomicU64>, from: Instant, until: Instant) -> anyhow::Result<u64> {
        let mut copied = 0;
        while Instant::now() < until {
            let first = numbers.fetch_add(EVENTS, Ordering::Relaxed);
            self.client.batch_execute("BEGIN").await?;
            for (table, statement) in &self.statements {
                let rows = self.rows(*table, first);
                let mut sink = std::pin::pin!(self.client.copy_in(statement).await?);
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
        let mut rows = BytesMut::with_capacity(2 << 20);
        rows.put_slice(b"PGCOPY\n\xff\r\n\0");
        rows.put_u64(0);
        for (number, payload) in (first..first + table.rows(EVENTS)).zip(&self.stored) {
            let fields = table.fields(self.today, number, EVENTS, payload);
            rows.put_i16(i16::try_from(fields.len()).expect("tables have few columns"));
            for field in fields {
                rows.put_i32(i32::try_from(field.len()).expect("a field is far below 2 GiB"));
                rows.put_slice(&field);
            }
        }
        rows.put_i16(-1);
        rows.freeze()
    }
}

/// 16 bytes that differ for every number and lie anywhere in the index, as hashes do (the mixing of
/// SplitMix64).
pub fn scattered(number: u64) -> [u8; 16] {
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

/// A field of each type, as PostgreSQL has it on the wire.
pub mod wire {
    use super::{Bytes, signed};

    pub fn bigint(number: u64) -> Bytes {
        Bytes::copy_from_slice(&signed(number).to_be_bytes())
    }

    pub fn smallint(number: i16) -> Bytes {
        Bytes::copy_from_slice(&number.to_be_bytes())
    }

    pub fn date(day: i32) -> Bytes {
        Bytes::copy_from_slice(&day.to_be_bytes())
    }

    /// Noon of a day: the time does not matter to the cost.
    pub fn noon(day: i32) -> Bytes {
        Bytes::copy_from_slice(&((i64::from(day) * 24 + 12) * 3_600 * 1_000_000).to_be_bytes())
    }

    pub fn text(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    /// 129.9: two digits to the base of 10,000, the first of weight 0, no sign, one decimal place.
    pub fn price() -> Bytes {
        let words = [2_i16, 0, 0, 1, 129, 9_000];
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }
}
