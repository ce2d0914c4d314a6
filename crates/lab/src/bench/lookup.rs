//! One event of ten million, found by the id that its client gave it, and its story told.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rastro_core::dataset::DatasetId;
use rastro_store::Store;
use rastro_test_support::cluster::Cluster;
use serde::Serialize;
use tokio_postgres::Client;

use crate::bench::DATASET;
use crate::books::{self, SEALING_KEY, Server};
use crate::{heading, local, print, say, variable};

/// What is asked of a look-up, in milliseconds.
const WANTED_MS: f64 = 5.0;
const EVENTS: i64 = 10_000_000;
/// Events of each request to Meta.
const BATCH: i64 = 1_000;
const LOOKUPS: i64 = 500;

/// Milliseconds for one look-up, over many events that were never looked at before.
#[derive(Clone, Debug, Serialize)]
pub struct Times {
    pub median_ms: f64,
    pub p99_ms: f64,
    pub most_ms: f64,
}

/// `make lookup`: whether an event is found in the time that is asked. Its story, which is in three tables,
/// is timed beside it.
pub async fn lookup() -> anyhow::Result<bool> {
    let events = match variable("EVENTS") {
        Some(events) => events.parse().context("EVENTS is not a number")?,
        None => EVENTS,
    };
    heading("database");
    let cluster = Cluster::fresh(&local().join("lookup/postgres"), "--bench")?;
    let server = Server::connect(cluster.url()).await?;
    let url = server.create_migrated("lab_lookup").await?;
    say(&format!(
        "{events} events of all the days that are kept, each sent in a request of {BATCH}"
    ));
    let (sql, dataset) = (books::connect(&url).await?, DATASET.parse::<DatasetId>()?);
    books::fill_history(&url, dataset.as_i64(), events, BATCH).await?;
    let store = books::store(&url, SEALING_KEY)?;
    let (mut found, mut told) = (Vec::new(), Vec::new());
    for lookup in 0..LOOKUPS {
        // Far from each other, and on every day.
        let number = 1 + (lookup * 7_919_777) % events;
        let id = books::history_id(number);
        found.push(find(&sql, dataset, &id, number).await?);
        told.push(tell(&store, dataset, &id, number).await?);
    }
    let (found, told) = (times(found), times(told));
    print(&format!(
        "{events} events, {LOOKUPS} look-ups by (dataset_id, event_id), each for the first time; milliseconds:\n\
         \x20 the row in events           median {:.2}, P99 {:.2}, most {:.2} (wanted: median below {WANTED_MS})\n\
         \x20 the story (event_story)     median {:.2}, P99 {:.2}, most {:.2}\n",
        found.median_ms, found.p99_ms, found.most_ms, told.median_ms, told.p99_ms, told.most_ms
    ));
    Ok(found.median_ms < WANTED_MS)
}

async fn find(sql: &Client, dataset: DatasetId, id: &str, number: i64) -> anyhow::Result<f64> {
    let began = Instant::now();
    let found = books::event_number(sql, dataset.as_i64(), id).await?;
    let took = milliseconds(began.elapsed());
    ensure!(found == number, "event {id} is {number}, and {found} was found");
    Ok(took)
}

async fn tell(store: &Store, dataset: DatasetId, id: &str, number: i64) -> anyhow::Result<f64> {
    let began = Instant::now();
    let story = store.event_story(dataset, id).await?;
    let took = milliseconds(began.elapsed());
    let outcomes: Vec<_> = story
        .iter()
        .map(|line| (line.event_number, line.outcome.as_str()))
        .collect();
    ensure!(
        outcomes == [(number, "accepted"), (number, "success")],
        "the story of {id}: {outcomes:?}"
    );
    Ok(took)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn times(mut all: Vec<f64>) -> Times {
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
    Times {
        median_ms: at(0.5),
        p99_ms: at(0.99),
        most_ms: at(1.0),
    }
}
