//! What stays as it was after millions of events have passed through the tables, while the worker tidies them, and while
//! somebody's transaction is left open.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rastro_bench::database::connect;
use rastro_bench::load::Pace;
use rastro_bench::usage;
use serde::Serialize;
use tokio_postgres::Client;

use crate::arena::Arena;
use crate::claims::{self, Aged};
use crate::options::Plan;
use crate::say;

/// Connections that fill the queue, with requests of a hundred events: its rows are then many and small.
const CONNECTIONS: usize = 4;
const SLICE: Duration = Duration::from_millis(500);
/// Soon after the claims that are timed the forwarder takes over what nobody sends.
const LEASE: Duration = Duration::from_secs(1);
/// A step that makes no progress for so long has broken down.
const PATIENCE: Duration = Duration::from_secs(120);
/// Days ago, beyond those that the worker keeps by default.
const OLD_DAYS: i32 = 100;
const QUEUE_BYTES: &str = "SELECT pg_total_relation_size('send_queue')";

/// What was found, before and after.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Churn {
    /// Events that had passed through the tables by the end.
    pub(crate) events: u64,
    /// What waited when it began, in events and in rows of the queue, and the bytes of a queue just filled with that.
    pub(crate) backlog: u64,
    pub(crate) queue_rows: u64,
    pub(crate) queue_fresh_bytes: u64,
    /// The queue's files after that, before and after the open transaction.
    pub(crate) queue_bytes: u64,
    pub(crate) queue_bytes_open_transaction: u64,
    pub(crate) open_transaction_seconds: f64,
    /// Claims before all this, at the end of the open transaction, and after it.
    pub(crate) claims_before: Aged,
    pub(crate) claims_open_transaction: Aged,
    pub(crate) claims_after: Aged,
    pub(crate) forwarder_rss_mb: f64,
    /// Keys and partitions that the worker had to forget meanwhile, and those that are left of them.
    pub(crate) keys_to_expire: u64,
    pub(crate) keys_left: u64,
    pub(crate) partitions_left: u64,
    /// Requests that the gateway did not take.
    pub(crate) refused: u64,
}

impl Churn {
    /// The queue's files against those of a queue just filled with what waits.
    pub(crate) fn queue_ratio(&self) -> f64 {
        self.queue_bytes as f64 / self.queue_fresh_bytes as f64
    }
}

/// Times claims from a backlog made for it, and has it delivered.
pub(crate) async fn time_claims(arena: &mut Arena, plan: &Plan) -> anyhow::Result<Aged> {
    let refused = fill(arena, plan, claims::needed(plan), 1).await?;
    ensure!(
        refused == 0,
        "{refused} requests of a hundred events were refused or got no answer"
    );
    arena.await_quiet().await?;
    let events = i64::try_from(arena.backlog().await?)?;
    let aged = claims::against_fresh(arena, plan, events, LEASE).await?;
    let forwarder = arena.start_forwarder().await?;
    arena.await_delivery().await?;
    forwarder.stop().await?;
    Ok(aged)
}

pub(crate) async fn measure(arena: &mut Arena, plan: &Plan, claims_before: Aged) -> anyhow::Result<Churn> {
    let enough = plan.churn_events.max(arena.accepted() + 2 * plan.churn_backlog);
    say(&format!(
        "{enough} events through the same tables, then a transaction left open for {:?}",
        plan.open_transaction
    ));
    let client = connect(&arena.product_url).await?;
    leave_old_things(&client, plan.keys_to_expire).await?;
    // What the queue's files became before was not by what follows.
    client.batch_execute("VACUUM FULL send_queue").await?;
    let mut refused = fill(arena, plan, plan.churn_backlog, CONNECTIONS).await?;
    let backlog = arena.backlog().await?;
    let queue_rows = count(&client, "SELECT count(*) FROM send_queue").await?;
    let queue_fresh_bytes = fresh_queue_bytes(&client).await?;

    let worker = arena.start_worker().await?;
    let forwarder = arena.start_forwarder().await?;
    refused += churn(arena, plan, backlog, |arena| arena.accepted() >= enough).await?;
    let queue_bytes = count(&client, QUEUE_BYTES).await?;

    let reader = connect(&arena.product_url).await?;
    // Its snapshot keeps every row that is deleted from now on from being cleaned up.
    reader
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM send_queue")
        .await?;
    let opened = Instant::now();
    refused += churn(arena, plan, backlog, |_| {
        opened.elapsed() >= plan.open_transaction
    })
    .await?;
    arena.await_delivery().await?;
    let forwarder_rss_mb = usage::memory(forwarder.pid())?.1 as f64 / 1e6;
    forwarder.stop().await?;
    let claims_open_transaction = time_claims(arena, plan).await?;
    let queue_bytes_open_transaction = count(&client, QUEUE_BYTES).await?;
    let open_transaction_seconds = opened.elapsed().as_secs_f64();
    reader.batch_execute("COMMIT").await?;
    let claims_after = time_claims(arena, plan).await?;
    let (keys_left, partitions_left) = await_tidiness(&client).await?;
    worker.stop().await?;
    Ok(Churn {
        events: arena.accepted(),
        backlog,
        queue_rows,
        queue_fresh_bytes,
        queue_bytes,
        queue_bytes_open_transaction,
        open_transaction_seconds,
        claims_before,
        claims_open_transaction,
        claims_after,
        forwarder_rss_mb,
        keys_to_expire: plan.keys_to_expire,
        keys_left,
        partitions_left,
        refused,
    })
}

/// Takes events in until so many wait; returns how many requests were refused.
async fn fill(arena: &Arena, plan: &Plan, events: u64, connections: usize) -> anyhow::Result<u64> {
    let mut refused = 0;
    while arena.backlog().await? < events {
        refused += slice(arena, plan, connections).await?;
    }
    Ok(refused)
}

/// Takes in more as it is delivered, so that about as many wait all the time, until it is enough; returns how many requests
/// were refused.
async fn churn(
    arena: &Arena,
    plan: &Plan,
    backlog: u64,
    is_enough: impl Fn(&Arena) -> bool,
) -> anyhow::Result<u64> {
    let (mut refused, mut moved) = (0, Instant::now());
    while !is_enough(arena) {
        if arena.backlog().await? < backlog {
            refused += slice(arena, plan, CONNECTIONS).await?;
            moved = Instant::now();
        } else {
            ensure!(moved.elapsed() < PATIENCE, "the forwarder delivers nothing");
            tokio::time::sleep(SLICE / 10).await;
        }
    }
    Ok(refused)
}

async fn slice(arena: &Arena, plan: &Plan, connections: usize) -> anyhow::Result<u64> {
    let mut load = arena.load(&arena.hundred, connections, Pace::Closed, plan);
    (load.warm_up, load.measured) = (Duration::ZERO, SLICE);
    let answers = load.start().await?.answers().await?;
    ensure!(answers.accepted > 0, "the gateway takes nothing in");
    let answered: u64 = answers.statuses.values().sum();
    let taken = answers.statuses.get(&200).copied().unwrap_or_default();
    Ok(answered - taken + answers.unanswered)
}

/// What the worker has to clean up while all this goes on: expired keys, and the partitions of a day long ago.
async fn leave_old_things(client: &Client, keys: u64) -> anyhow::Result<()> {
    client
        .batch_execute(&format!(
            "INSERT INTO meta_events_dedup (event_key, created_at, expires_at)
            SELECT gen_random_uuid(), rastro_now() - interval '9 days', rastro_now() - interval '1 day'
            FROM generate_series(1, {keys});
            DO $$
            DECLARE
                parent text;
                old_day date := (rastro_now() AT TIME ZONE 'UTC')::date - {OLD_DAYS};
            BEGIN
                FOREACH parent IN ARRAY day_tables() LOOP
                    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                        parent || to_char(old_day, '_YYYYMMDD'), parent, old_day, old_day + 1);
                END LOOP;
            END $$"
        ))
        .await
        .context("expired keys and old partitions could not be made")
}

/// Waits until the worker has cleaned up, or has had its time; returns the expired keys and the old partitions that are left.
async fn await_tidiness(client: &Client) -> anyhow::Result<(u64, u64)> {
    let keys = "SELECT count(*) FROM meta_events_dedup WHERE expires_at < rastro_now()";
    let partitions = format!(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = ANY (day_tables()::regclass[])
        AND right(inhrelid::regclass::text, 8) = to_char((rastro_now() AT TIME ZONE 'UTC')::date - {OLD_DAYS}, 'YYYYMMDD')"
    );
    let started = Instant::now();
    loop {
        let left = (count(client, keys).await?, count(client, &partitions).await?);
        if left == (0, 0) || started.elapsed() > PATIENCE {
            return Ok(left);
        }
        tokio::time::sleep(SLICE).await;
    }
}

/// The size of a queue that holds just the rows that the queue holds now.
async fn fresh_queue_bytes(client: &Client) -> anyhow::Result<u64> {
    client
        .batch_execute(
            "CREATE TEMP TABLE fresh (LIKE send_queue INCLUDING ALL); INSERT INTO fresh SELECT * FROM send_queue",
        )
        .await?;
    let bytes = count(client, "SELECT pg_total_relation_size('fresh')").await?;
    client.batch_execute("DROP TABLE fresh").await?;
    Ok(bytes)
}

async fn count(client: &Client, sql: &str) -> anyhow::Result<u64> {
    let count: i64 = client.query_one(sql, &[]).await?.get(0);
    Ok(u64::try_from(count)?)
}
