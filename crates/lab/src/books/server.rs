//! What the benchmark needs of a server: databases, what fills them, and what it compares with.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use rastro_test_support::services::Services;
use tokio_postgres::Client;

use super::{SEALING_KEY, connect};

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
/// A row of the queue for each, the most that a backlog can have: each event came alone.
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
            let insert = "INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, send_by)
                SELECT $1, '', n, n, (rastro_now() AT TIME ZONE 'UTC')::date, rastro_now() + interval '7 days'
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

/// The id of an event of [`fill_history`].
pub fn history_id(number: i64) -> String {
    format!("history-{number}")
}

/// Events of all the days that there are partitions for, each accepted and delivered in a request of so many.
/// They say little, so that what remains is what finding one costs.
pub async fn fill_history(url: &str, dataset: i64, events: i64, batch: i64) -> anyhow::Result<()> {
    const DAY: &str = "(rastro_now() AT TIME ZONE 'UTC')::date - 1 + ((n - 1) * 98 / $1::bigint)::integer";
    const PARTS: i64 = 2;
    let filling = (0..PARTS).map(|part| async move {
        let sql = connect(url).await?;
        let (first, last) = (events * part / PARTS + 1, events * (part + 1) / PARTS);
        let insert = format!(
            "INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by,
                 action_source, test_event_code, request_id, payload)
             SELECT $2, {DAY}, n, 'Lead', 'history-' || n, rastro_now(), rastro_now(), rastro_now() + interval '7 days',
                 'website', '', gen_random_uuid(), '{{}}'
             FROM generate_series($3::bigint, $4::bigint) AS n"
        );
        sql.execute(&insert, &[&events, &dataset, &first, &last]).await?;
        anyhow::Ok(())
    });
    futures_util::future::try_join_all(filling)
        .await
        .context("the events could not be made")?;
    let sql = connect(url).await?;
    let insert = format!(
        "INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, outcome, event_count,
             event_numbers, first_number, last_number, first_day, last_day)
         SELECT $2, day, n, 1, '', rastro_now() + interval '1 second', 'delivered', cardinality(numbers), numbers, n,
             numbers[cardinality(numbers)], day - 2, day
         FROM generate_series(1::bigint, $1::bigint, $3::bigint) AS n
         CROSS JOIN LATERAL (SELECT array(SELECT generate_series(n, least(n + $3 - 1, $1))) AS numbers, {DAY} + 1 AS day) AS made"
    );
    sql.execute(&insert, &[&events, &dataset, &batch]).await?;
    // As autovacuum would have left them.
    sql.batch_execute("VACUUM (ANALYZE) events, send_attempts")
        .await?;
    Ok(sql.batch_execute("CHECKPOINT").await?)
}

/// The number of the one event with this id.
pub async fn event_number(sql: &Client, dataset: i64, event_id: &str) -> anyhow::Result<i64> {
    let find = "SELECT event_number FROM events WHERE dataset_id = $1 AND event_id = $2";
    Ok(sql.query_one(find, &[&dataset, &event_id]).await?.get(0))
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
