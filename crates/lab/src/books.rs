//! The bookkeeper: what the gateway said it accepted, what the database holds, and what Meta counted. All SQL
//! of the lab is here, and everything else that knows a table.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
pub use rastro_store::Census;
use rastro_store::{DatabaseConfig, Store};
use rastro_test_support::http;
use rastro_test_support::services::Services;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, NoTls};

use crate::bench::copy::{scattered, wire};

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

/// Events that were tried more often than they may be, or given up before they had all their tries.
pub async fn wrong_retries(sql: &Client, retries: i16) -> anyhow::Result<i64> {
    let query = "SELECT count(*) FROM meta_retry_queue
        WHERE retry_count > $1 OR reason = 'exhausted' AND retry_count <> $1";
    Ok(sql.query_one(query, &[&retries]).await?.get(0))
}

/// What PostgreSQL holds in the end, event by event.
pub struct Ledger {
    /// The ids of all stored events.
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
        )";
        Ok(Ledger {
            stored: texts("SELECT event_id FROM events").await?,
            dead: dead.iter().map(|row| (row.get(0), row.get(1))).collect(),
            unlogged: sql.query_one(unlogged, &[]).await?.get(0),
            recorded: texts(
                "SELECT fbtrace_id FROM send_attempts WHERE outcome = 'delivered' AND fbtrace_id IS NOT NULL",
            )
            .await?,
        })
    }
}

// ---- what the benchmark compares with ----

/// The naive way's tables: a text key, and the payload in the log, as jsonb.
pub const NAIVE_SCHEMA: &str = "
    CREATE TABLE meta_events_dedup (
        event_key text PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL DEFAULT now() + interval '8 days'
    );
    CREATE TABLE meta_events_log (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_key text NOT NULL, status text NOT NULL,
        payload jsonb NOT NULL, request_id uuid NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
    )";

/// Its three statements: is the key there, insert the key, insert the event.
pub const NAIVE_STATEMENTS: [&str; 3] = [
    "SELECT EXISTS (SELECT FROM meta_events_dedup WHERE event_key = $1)",
    "INSERT INTO meta_events_dedup (event_key) VALUES ($1) ON CONFLICT DO NOTHING",
    "INSERT INTO meta_events_log (event_key, status, payload, request_id) \
        VALUES ($1, 'pending', $2::text::jsonb, $3::text::uuid)",
];

// ---- what the benchmark needs of a server ----

/// A PostgreSQL server that is ours alone.
pub struct Server {
    /// Of its maintenance database; everything before the last `/` is the same for all databases.
    url: String,
    admin: Client,
    pub postmaster: u32,
}

impl Server {
    /// Connects to the server's maintenance database as its superuser.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let admin = connect(url).await?;
        let row = admin
            .query_one("SELECT pg_read_file('postmaster.pid')", &[])
            .await?;
        let file: String = row.get(0);
        let postmaster = file.lines().next().and_then(|line| line.trim().parse().ok());
        Ok(Server {
            url: url.to_owned(),
            admin,
            postmaster: postmaster.context("postmaster.pid does not begin with a number")?,
        })
    }

    /// Makes an empty database.
    pub async fn create(&self, database: &str) -> anyhow::Result<String> {
        let created = self
            .admin
            .batch_execute(&format!("CREATE DATABASE {database}"))
            .await;
        created.with_context(|| format!("cannot make database {database}"))?;
        let (server, _) = self.url.rsplit_once('/').context("the URL names no database")?;
        Ok(format!("{server}/{database}"))
    }

    /// Makes a database with the product's schema and as many partitions as production has.
    pub async fn create_migrated(&self, database: &str) -> anyhow::Result<String> {
        let url = self.create(database).await?;
        Services::beside_this_program(&url, SEALING_KEY).migrate().await?;
        make_partitions_of_production(&url).await?;
        Ok(url)
    }

    /// Bytes of write-ahead log written so far, by the whole server.
    pub async fn wal_bytes(&self) -> anyhow::Result<u64> {
        let wal = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint";
        let bytes: i64 = self.admin.query_one(wal, &[]).await?.get(0);
        u64::try_from(bytes).context("a WAL position is positive")
    }

    /// Version and the settings that decide what a commit costs.
    pub async fn describe(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let settings = "SELECT name, current_setting(name) FROM unnest(ARRAY['server_version', 'fsync', 'synchronous_commit',
            'full_page_writes', 'shared_buffers', 'max_wal_size', 'checkpoint_timeout', 'autovacuum']) AS name";
        let rows = self.admin.query(settings, &[]).await?;
        let described: BTreeMap<String, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            ensure!(
                described[name] == "on",
                "{name} is off: nothing measured here would be durable"
            );
        }
        Ok(described)
    }
}

/// Ninety days that are kept and seven ahead: planning a statement costs what the number of partitions costs.
pub async fn make_partitions_of_production(url: &str) -> anyhow::Result<()> {
    let made = connect(url)
        .await?
        .batch_execute("SELECT create_day_partitions(97)")
        .await;
    made.context("partitions cannot be made")
}

/// Bytes on disk by table, its partitions and indexes included; the largest first.
pub async fn bytes_by_table(url: &str) -> anyhow::Result<Vec<(String, u64)>> {
    let sizes = "SELECT coalesce(parent.relname, c.relname)::text, sum(pg_total_relation_size(c.oid))::bigint
        FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
        WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
        GROUP BY 1 HAVING sum(pg_total_relation_size(c.oid)) > 1000000 ORDER BY 2 DESC";
    let rows = connect(url).await?.query(sizes, &[]).await?;
    let size = |row: &tokio_postgres::Row| {
        (
            row.get(0),
            u64::try_from(row.get::<_, i64>(1)).unwrap_or_default(),
        )
    };
    Ok(rows.iter().map(size).collect())
}

/// Puts events that are ready to be sent straight into new tables: a backlog of any size in little time.
/// `thin`: with an empty payload, so that what remains is what the backlog's size costs.
pub async fn fill_backlog(url: &str, dataset: i64, events: i64, thin: bool) -> anyhow::Result<()> {
    const CONNECTIONS: i64 = 2;
    let payload = if thin {
        "{}".to_owned()
    } else {
        format!("{{\"pad\":\"{}\"}}", "0123456789abcdef".repeat(75))
    };
    let sql = connect(url).await?;
    let dataset_row =
        "INSERT INTO datasets (dataset_id, name, access_token_sealed) VALUES ($1, 'benchmark', '\\x00')";
    sql.execute(dataset_row, &[&dataset]).await?;
    let filling = (0..CONNECTIONS).map(|part| {
        let payload = &payload;
        async move {
            let sql = connect(url).await?;
            let (first, last) = (events * part / CONNECTIONS + 1, events * (part + 1) / CONNECTIONS);
            let insert = "INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at,
                    send_by, action_source, test_event_code, request_id, payload)
                SELECT $1, (rastro_now() AT TIME ZONE 'UTC')::date, n, 'Lead', 'filled-' || n, rastro_now(), rastro_now(),
                    rastro_now() + interval '7 days', 'website', '', gen_random_uuid(), $4
                FROM generate_series($2::bigint, $3::bigint) AS n";
            sql.execute(insert, &[&dataset, &first, &last, payload]).await?;
            let insert = "INSERT INTO send_queue (dataset_id, test_event_code, event_number, day, send_by)
                SELECT $1, '', n, (rastro_now() AT TIME ZONE 'UTC')::date, rastro_now() + interval '7 days'
                FROM generate_series($2::bigint, $3::bigint) AS n";
            sql.execute(insert, &[&dataset, &first, &last]).await?;
            anyhow::Ok(())
        }
    });
    futures_util::future::try_join_all(filling)
        .await
        .context("the backlog could not be made")?;
    // As autovacuum would leave them, which would come by while claims are timed.
    sql.batch_execute("VACUUM (ANALYZE) events, send_queue").await?;
    Ok(())
}

/// Event keys that expire in so many days, or did so long ago.
pub async fn insert_keys(sql: &Client, keys: i64, days: i32) -> anyhow::Result<()> {
    let insert =
        "INSERT INTO meta_events_dedup (dataset_id, event_key, day, event_number, created_at, expires_at)
        SELECT 1, gen_random_uuid(), (rastro_now() AT TIME ZONE 'UTC')::date, n, rastro_now(),
            rastro_now() + $2 * interval '1 day' + n * interval '1 microsecond'
        FROM generate_series(1, $1::bigint) AS n";
    sql.execute(insert, &[&keys, &f64::from(days)]).await?;
    Ok(())
}

pub async fn count_keys(sql: &Client) -> anyhow::Result<i64> {
    let count = "SELECT count(*) FROM meta_events_dedup";
    Ok(sql.query_one(count, &[]).await?.get(0))
}

/// As autovacuum does: the room of keys that are gone is used again.
pub async fn vacuum_keys(sql: &Client) -> anyhow::Result<()> {
    Ok(sql.batch_execute("VACUUM (ANALYZE) meta_events_dedup").await?)
}

// ---- COPY into the tables that accepting an event writes ----

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
    QueueOfRuns,
}

impl Tables {
    pub const ALL: [Tables; 6] = [
        Tables::AsTheyAre,
        Tables::WithoutTypedColumns,
        Tables::WithoutEventIdIndex,
        Tables::WithoutExpiryIndex,
        Tables::BareKeys,
        Tables::QueueOfRuns,
    ];

    /// What is missing, in the words of the report.
    pub fn describe(self) -> &'static str {
        match self {
            Tables::AsTheyAre => "all of it",
            Tables::WithoutTypedColumns => "values, page and campaign as columns beside the payload",
            Tables::WithoutEventIdIndex => "the index of events by event id",
            Tables::WithoutExpiryIndex => "the index of event keys by expiry",
            Tables::BareKeys => "dataset, day and number in the row of an event key",
            Tables::QueueOfRuns => "a queue row for each event instead of one for a thousand",
        }
    }

    /// What makes a migrated database one of this kind.
    pub fn change(self) -> &'static str {
        match self {
            Tables::AsTheyAre | Tables::WithoutTypedColumns | Tables::QueueOfRuns => "",
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
            (Table::Queue, _) => "send_queue (dataset_id, test_event_code, event_number, day, retries, send_by)",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn balanced() -> Books {
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
