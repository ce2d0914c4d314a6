//! The bookkeeper: what the gateway said it accepted, what the database holds, and what Meta counted. All SQL
//! of the lab is here, and everything else that knows a table.

pub mod money;
mod server;
mod tables;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
pub use rastro_store::Census;
use rastro_store::{DatabaseConfig, Store};
use rastro_test_support::http;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, NoTls};

pub use server::{
    NAIVE_SCHEMA, NAIVE_STATEMENTS, Server, bytes_by_table, count_keys, event_number, fill_backlog,
    fill_history, history_id, insert_keys, make_partitions_of_production, vacuum_keys,
};
pub use tables::{Table, days_since_2000};

/// Seals access tokens that open nothing outside of a run's own, short-lived database. 32 zero bytes.
pub const SEALING_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A database before its first event.
pub const NOTHING: Census = Census {
    accepted: 0,
    ready: 0,
    in_flight: 0,
    waiting: 0,
    dead: 0,
    withheld: 0,
    delivered: 0,
    confirmations: 0,
    duplicates: 0,
};

/// What the clients were told: events, each counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Told {
    pub accepted: u64,
    pub duplicate: u64,
}

/// What the stand-in for Meta counted of a dataset: what deduplication by name and id keeps, and what it
/// drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct AtMeta {
    pub unique: u64,
    pub repeated: u64,
}

/// What became of a load's events, by three witnesses.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Books {
    pub told: Told,
    /// Events that an earlier run had left on their way.
    pub pending_before: i64,
    pub stored: i64,
    pub duplicates: i64,
    pub pending: i64,
    pub delivered: i64,
    /// Confirmations by Meta; more than `delivered` would mean that an event was finished twice.
    pub confirmations: i64,
    pub dead: i64,
    pub at_meta: AtMeta,
}

impl Books {
    /// What happened between two counts.
    pub fn between(told: Told, (before, after): (&Census, &Census), (then, now): (AtMeta, AtMeta)) -> Self {
        Books {
            told,
            pending_before: before.pending(),
            stored: after.accepted - before.accepted,
            duplicates: after.duplicates - before.duplicates,
            pending: after.pending(),
            delivered: after.delivered - before.delivered,
            confirmations: after.confirmations - before.confirmations,
            dead: after.dead - before.dead,
            at_meta: AtMeta {
                unique: now.unique.saturating_sub(then.unique),
                repeated: now.repeated.saturating_sub(then.repeated),
            },
        }
    }

    /// Events that the gateway promised to deliver and that are nowhere, minus those that are in two places.
    fn missing(&self) -> i64 {
        signed(self.told.accepted) + self.pending_before - self.delivered - self.pending - self.dead
    }

    /// Accepted events that are not stored, or nowhere.
    pub fn lost(&self) -> i64 {
        (signed(self.told.accepted) - self.stored)
            .max(self.missing())
            .max(self.delivered - signed(self.at_meta.unique))
            .max(0)
    }

    /// Events that were stored, confirmed or received more than once.
    pub fn doubled(&self) -> i64 {
        (self.stored - signed(self.told.accepted))
            .max(-self.missing())
            .max(self.confirmations - self.delivered)
            .max(signed(self.at_meta.unique) - self.delivered)
            .max(signed(self.at_meta.repeated))
            .max(0)
    }

    /// What does not add up, a sentence each. Empty when all is well.
    pub fn problems(&self) -> Vec<String> {
        let missing = self.missing();
        let Books {
            told,
            stored,
            duplicates,
            pending,
            delivered,
            confirmations,
            at_meta,
            ..
        } = *self;
        let (accepted, duplicate) = (signed(told.accepted), signed(told.duplicate));
        let unique = signed(at_meta.unique);
        let checks = [
            (
                accepted == stored,
                format!("Events that the gateway accepted: {accepted}, but stored: {stored}."),
            ),
            (
                duplicate == duplicates,
                format!("Duplicates that the gateway refused: {duplicate}, but logged: {duplicates}."),
            ),
            (missing <= 0, format!("Lost events: {missing}.")),
            (missing >= 0, format!("Events in two places: {}.", -missing)),
            (
                pending == 0,
                format!("Events that have not reached Meta yet: {pending}; the forwarder's log says why."),
            ),
            (
                confirmations == delivered,
                format!("Events delivered: {delivered}, but confirmations: {confirmations}."),
            ),
            (
                unique == delivered,
                format!("Events delivered: {delivered}, but different events received by Meta: {unique}."),
            ),
            (
                at_meta.repeated == 0,
                format!("Events that Meta received again: {}.", at_meta.repeated),
            ),
        ];
        let broken = checks.into_iter().filter(|(holds, _)| !holds);
        broken.map(|(_, sentence)| sentence).collect()
    }
}

pub fn signed(count: u64) -> i64 {
    i64::try_from(count).expect("nobody counts beyond 2^63 events")
}

/// What the stand-in for Meta has counted of a dataset so far.
pub async fn at_meta(sandbox: SocketAddr, dataset: &str) -> anyhow::Result<AtMeta> {
    #[derive(Deserialize)]
    struct Counts {
        datasets: BTreeMap<String, AtMeta>,
    }
    let (_, text) = http::get(sandbox, "/sandbox/counts").await?;
    let counts: Counts = serde_json::from_str(&text).context("the sandbox's counts cannot be read")?;
    Ok(counts.datasets.get(dataset).copied().unwrap_or_default())
}

/// Waits until nothing was on its way for as long as `quiet`, or until nothing has moved for as long as
/// `patience`; returns the last count. PostgreSQL may be away meanwhile.
pub async fn settle(
    store: &Store,
    quiet: Duration,
    patience: Duration,
    mut show: impl FnMut(i64),
) -> anyhow::Result<Census> {
    let (mut last, mut moved) = (None, Instant::now());
    loop {
        let census = census(store).await;
        let pending = census.as_ref().ok().map(Census::pending);
        if pending != last {
            (last, moved) = (pending, Instant::now());
        }
        let limit = if pending == Some(0) { quiet } else { patience };
        if moved.elapsed() >= limit {
            return census;
        }
        show(pending.unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Where every event is.
pub async fn census(store: &Store) -> anyhow::Result<Census> {
    store.census().await.context("the books could not be counted")
}

/// The product's store over a database. Its limits are those of somebody who counts whole tables.
pub fn store(url: &str, sealing_key: &str) -> anyhow::Result<Store> {
    let config = DatabaseConfig {
        max_connections: 4,
        statement_timeout_seconds: 600,
        ..DatabaseConfig::new(url.into(), sealing_key.into())
    };
    Ok(Store::new(&config, "rastro-lab")?)
}

/// A connection of one's own.
pub async fn connect(url: &str) -> anyhow::Result<Client> {
    let connecting = tokio_postgres::connect(url, NoTls).await;
    let (client, connection) = connecting.context("cannot connect to PostgreSQL")?;
    // It ends with the client; an error shows in the client's next call.
    tokio::spawn(connection);
    Ok(client)
}

/// Connects, again and again while PostgreSQL is away.
pub async fn connect_within(url: &str, patience: Duration) -> anyhow::Result<Client> {
    let began = Instant::now();
    loop {
        match connect(url).await {
            Err(_) if began.elapsed() < patience => tokio::time::sleep(Duration::from_millis(100)).await,
            connected => return connected,
        }
    }
}

/// For whoever looks further after a demo.
pub const QUERIES_TO_LOOK: [&str; 2] = [
    "SELECT event_name, outcome, count(*) FROM meta_events_log GROUP BY 1, 2 ORDER BY 1, 2;",
    "SELECT event_number, event_name, event_id, value, utm_campaign FROM events ORDER BY event_number DESC LIMIT 3;",
];

// ---- what chaos breaks and audits ----

/// Cuts half of the services' connections.
pub const TERMINATE_BACKENDS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.5";

/// Holds a snapshot until the connection ends.
pub const OPEN_TRANSACTION: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM send_queue";

/// Standbys that have every commit before it is answered.
pub const SYNCHRONOUS_STANDBYS: &str =
    "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'";

/// Ids of events that this database does not know to be delivered.
pub const WITHOUT_A_DELIVERY: &str = "SELECT event_id FROM events e WHERE NOT EXISTS (
    SELECT FROM meta_events_log l WHERE l.dataset_id = e.dataset_id AND l.event_number = e.event_number
        AND l.outcome = 'success')";

/// Ends the current file of the write-ahead log, and names it.
pub const END_OF_LOG_FILE: &str = "SELECT pg_walfile_name(pg_switch_wal())";

/// The newest file of the log that is in the archive.
pub const LAST_ARCHIVED: &str = "SELECT last_archived_wal FROM pg_stat_archiver";

/// Whether it does not take writes yet.
pub const IS_IN_RECOVERY: &str = "SELECT pg_is_in_recovery()";

/// Now, as PostgreSQL writes it, with its zone.
pub const MOMENT: &str = "SELECT clock_timestamp()::text";

/// The query of the ids of events that were received after a moment and before so many milliseconds of the
/// epoch.
pub fn received_between(moment: &str, before: i64) -> String {
    format!(
        "SELECT event_id FROM events WHERE received_at > '{moment}' AND received_at < to_timestamp({before} / 1000.0)"
    )
}

/// Events that were tried more often than they may be, or given up before they had all their tries.
pub async fn wrong_retries(sql: &Client, retries: i16) -> anyhow::Result<i64> {
    let query = "SELECT count(*) FROM meta_retry_queue
        WHERE retry_count > $1 OR reason = 'exhausted' AND retry_count <> $1";
    Ok(sql.query_one(query, &[&retries]).await?.get(0))
}

/// The dataset of events that were put there for their weight alone. No client was told of them.
pub const HISTORY: i64 = 1;

/// What PostgreSQL holds in the end, event by event.
pub struct Ledger {
    /// The ids of all stored events, but for the history.
    pub stored: HashSet<String>,
    /// The ids of dead letters, and why.
    pub dead: HashMap<String, String>,
    /// Events of which the log does not say what became of them.
    pub unlogged: i64,
    /// Meta's ids (`fbtrace_id`) of the answers whose outcome was recorded as delivered.
    pub recorded: HashSet<String>,
}

impl Ledger {
    pub async fn read(sql: &Client) -> anyhow::Result<Self> {
        let texts = async |query: &str| -> anyhow::Result<HashSet<String>> {
            let rows = sql.query(query, &[]).await?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        };
        let dead = "SELECT event_id, reason FROM meta_retry_queue WHERE status = 'failed'";
        let dead = sql.query(dead, &[]).await?;
        // All but "accepted", which every event is by itself.
        let unlogged = "SELECT count(*) FROM events e WHERE NOT EXISTS (
            SELECT FROM meta_events_log l WHERE l.dataset_id = e.dataset_id AND l.event_number = e.event_number
                AND l.outcome <> 'accepted'
        ) AND e.dataset_id <> $1";
        let stored = sql.query("SELECT event_id FROM events WHERE dataset_id <> $1", &[&HISTORY]);
        Ok(Ledger {
            stored: stored.await?.iter().map(|row| row.get(0)).collect(),
            dead: dead.iter().map(|row| (row.get(0), row.get(1))).collect(),
            unlogged: sql.query_one(unlogged, &[&HISTORY]).await?.get(0),
            recorded: texts(
                "SELECT fbtrace_id FROM send_attempts WHERE outcome = 'delivered' AND fbtrace_id IS NOT NULL",
            )
            .await?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// 7 accepted and delivered, 3 duplicates.
    pub(crate) fn balanced() -> Books {
        Books {
            told: Told {
                accepted: 7,
                duplicate: 3,
            },
            pending_before: 0,
            stored: 7,
            duplicates: 3,
            pending: 0,
            delivered: 7,
            confirmations: 7,
            dead: 0,
            at_meta: AtMeta {
                unique: 7,
                repeated: 0,
            },
        }
    }

    #[test]
    fn books_that_balance_show_nothing_lost_and_nothing_doubled() {
        let books = balanced();
        assert_eq!((books.lost(), books.doubled()), (0, 0));
        assert_eq!(books.problems(), Vec::<String>::new());
    }

    type Spoil = fn(&mut Books);

    #[test]
    fn each_witness_that_disagrees_is_named_and_counted() {
        let spoilt: [(Spoil, (i64, i64), &str); 9] = [
            (
                |books| books.stored = 8,
                (0, 1),
                "Events that the gateway accepted: 7, but stored: 8.",
            ),
            (
                |books| books.stored = 6,
                (1, 0),
                "Events that the gateway accepted: 7, but stored: 6.",
            ),
            (
                |books| books.duplicates = 0,
                (0, 0),
                "Duplicates that the gateway refused: 3, but logged: 0.",
            ),
            (
                |books| (books.delivered, books.confirmations, books.at_meta.unique) = (6, 6, 6),
                (1, 0),
                "Lost events: 1.",
            ),
            (|books| books.dead = 1, (0, 1), "Events in two places: 1."),
            (
                |books| books.confirmations = 8,
                (0, 1),
                "Events delivered: 7, but confirmations: 8.",
            ),
            (
                |books| books.at_meta.unique = 6,
                (1, 0),
                "Events delivered: 7, but different events received by Meta: 6.",
            ),
            (
                |books| books.at_meta.unique = 8,
                (0, 1),
                "Events delivered: 7, but different events received by Meta: 8.",
            ),
            (
                |books| books.at_meta.repeated = 1,
                (0, 1),
                "Events that Meta received again: 1.",
            ),
        ];
        for (spoil, counts, sentence) in spoilt {
            let mut books = balanced();
            spoil(&mut books);
            assert_eq!((books.lost(), books.doubled()), counts, "{sentence}");
            assert!(books.problems().iter().any(|problem| problem == sentence));
        }
    }

    #[test]
    fn a_loss_and_a_repeat_do_not_cancel_out() {
        let books = Books {
            at_meta: AtMeta {
                unique: 6,
                repeated: 1,
            },
            ..balanced()
        };
        assert_eq!((books.lost(), books.doubled()), (1, 1));
    }

    #[test]
    fn an_event_on_the_way_is_not_lost_but_the_run_is_not_done() {
        let mut books = balanced();
        (books.delivered, books.confirmations, books.pending) = (6, 6, 1);
        books.at_meta.unique = 6;
        assert_eq!(books.lost(), 0);
        assert_eq!(
            books.problems(),
            ["Events that have not reached Meta yet: 1; the forwarder's log says why."]
        );
    }

    #[test]
    fn only_what_happened_between_two_counts_counts() {
        let before = Census {
            waiting: 0,
            accepted: 100,
            ready: 2,
            in_flight: 1,
            delivered: 95,
            confirmations: 95,
            dead: 2,
            withheld: 0,
            duplicates: 40,
        };
        let after = Census {
            ready: 0,
            in_flight: 0,
            accepted: 107,
            delivered: 105,
            confirmations: 105,
            duplicates: 43,
            ..before
        };
        let at_meta = |unique| AtMeta { unique, repeated: 4 };
        // 7 of this run, and 3 that an earlier one had left on their way.
        let books = Books::between(balanced().told, (&before, &after), (at_meta(95), at_meta(105)));
        assert_eq!((books.lost(), books.doubled()), (0, 0));
        assert_eq!(books.problems(), Vec::<String>::new());
    }
}
