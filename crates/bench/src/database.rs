//! The benchmark's own hand on the server: databases, WAL, sizes, and backlogs made by SQL.

use anyhow::{Context, ensure};
use chrono::NaiveDate;
use rastro_store::{DatabaseConfig, Migrator, Store};
use tokio_postgres::{Client, NoTls};

/// Seals access tokens that open nothing. 32 zero bytes.
pub const SEALING_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

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
        let file: String = admin
            .query_one("SELECT pg_read_file('postmaster.pid')", &[])
            .await
            .context("the benchmark needs a superuser")?
            .get(0);
        let postmaster = file.lines().next().and_then(|line| line.trim().parse().ok());
        Ok(Server {
            url: url.to_owned(),
            admin,
            postmaster: postmaster.context("postmaster.pid does not begin with a number")?,
        })
    }

    /// Where a database of this server is.
    pub fn url_of(&self, database: &str) -> String {
        let server = self
            .url
            .rsplit_once('/')
            .map_or(self.url.as_str(), |(server, _)| server);
        format!("{server}/{database}")
    }

    /// Makes an empty database, in place of one that is left of an earlier run.
    pub async fn create(&self, database: &str) -> anyhow::Result<String> {
        for statement in [
            format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
            format!("CREATE DATABASE {database}"),
        ] {
            self.admin
                .batch_execute(&statement)
                .await
                .with_context(|| format!("cannot make database {database}"))?;
        }
        Ok(self.url_of(database))
    }

    /// Makes a database with the product's schema.
    pub async fn create_migrated(&self, database: &str) -> anyhow::Result<String> {
        let url = self.create(database).await?;
        let secret = url.clone().into();
        tokio::task::spawn_blocking(move || Migrator::connect(&secret)?.run().map(drop))
            .await
            .context("the migration broke down")?
            .map_err(anyhow::Error::from_boxed)
            .context("a migration failed")?;
        Ok(url)
    }

    /// Bytes of write-ahead log written so far, by the whole server.
    pub async fn wal_bytes(&self) -> anyhow::Result<u64> {
        let bytes: i64 = self
            .admin
            .query_one("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint", &[])
            .await?
            .get(0);
        u64::try_from(bytes).context("a WAL position is positive")
    }

    /// Version and the settings that decide what a commit costs.
    pub async fn describe(&self) -> anyhow::Result<Vec<(String, String)>> {
        const SETTINGS: [&str; 8] = [
            "server_version",
            "fsync",
            "synchronous_commit",
            "full_page_writes",
            "shared_buffers",
            "max_wal_size",
            "checkpoint_timeout",
            "autovacuum",
        ];
        let mut described = Vec::new();
        for name in SETTINGS {
            let row = self
                .admin
                .query_one("SELECT current_setting($1)", &[&name])
                .await?;
            described.push((name.to_owned(), row.get(0)));
        }
        for (name, value) in &described {
            let must_be_on = ["fsync", "synchronous_commit", "full_page_writes"].contains(&name.as_str());
            ensure!(
                !must_be_on || value == "on",
                "{name} is {value}: nothing measured here would be durable"
            );
        }
        Ok(described)
    }
}

/// A connection of one's own.
pub async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .context("cannot connect to PostgreSQL")?;
    // It ends with the client; an error shows in the client's next call.
    tokio::spawn(connection);
    Ok(client)
}

/// The product's store over a database. Its limits are those of a benchmark that counts whole tables.
pub fn store(url: &str) -> anyhow::Result<Store> {
    let config = DatabaseConfig {
        connect_timeout_seconds: 10,
        statement_timeout_seconds: 600,
        ..DatabaseConfig::new(url.into(), SEALING_KEY.into())
    };
    Ok(Store::new(&config, "rastro-bench")?)
}

/// Puts events that are ready to be sent straight into the tables: a backlog of any size in little time, in segments of
/// these payloads.
pub async fn fill_backlog(url: &str, dataset: i64, payloads: &[String], events: i64) -> anyhow::Result<()> {
    const CONNECTIONS: i64 = 2;
    let body = &segment_body(payloads)?;
    let lines = i64::try_from(payloads.len())?;
    ensure!(events % lines == 0, "the last segment would not be full");
    let segments = events / lines;
    let filling = (0..CONNECTIONS).map(|part| async move {
        let client = connect(url).await?;
        let (first, last) = (segments * part / CONNECTIONS + 1, segments * (part + 1) / CONNECTIONS);
        let sql = "INSERT INTO event_segments (dataset_id, day, segment_number, test_event_code, event_count, event_numbers,
                heads, body, received_at)
            SELECT $1, (rastro_now() AT TIME ZONE 'UTC')::date, n * 1000, '', $4::integer,
                int8multirange(int8range(n * 1000, n * 1000 + $4::integer)), (
                    SELECT json_agg(json_build_array(extract(epoch FROM rastro_now())::bigint + 604800, gen_random_uuid(), NULL,
                        'Lead', 'filled-' || n * 1000 + line))
                    FROM generate_series(1, $4) AS line
                ), $5, rastro_now()
            FROM generate_series($2::bigint, $3::bigint) AS n";
        let lines = i32::try_from(lines)?;
        let inserted = client.execute(sql, &[&dataset, &first, &last, &lines, body]).await?;
        ensure!(inserted == u64::try_from(last - first + 1)?, "segments are missing");
        let sql = "INSERT INTO send_queue (dataset_id, test_event_code, first_number, day, event_count, event_numbers)
            SELECT $1, '', n * 1000, (rastro_now() AT TIME ZONE 'UTC')::date, $4::integer,
                int8multirange(int8range(n * 1000, n * 1000 + $4::integer))
            FROM generate_series($2::bigint, $3::bigint) AS n";
        client.execute(sql, &[&dataset, &first, &last, &lines]).await?;
        Ok(())
    });
    futures_util::future::try_join_all(filling)
        .await
        .context("the backlog could not be made")?;
    Ok(())
}

/// The body of a segment of these events, as the gateway makes it.
pub fn segment_body(payloads: &[String]) -> anyhow::Result<Vec<u8>> {
    let mut lines = payloads.join("\n");
    lines.push('\n');
    zstd::bulk::compress(lines.as_bytes(), 1).context("a body could not be compressed")
}

/// The day in UTC, as the server has it.
pub async fn today(client: &Client) -> anyhow::Result<NaiveDate> {
    let text: String = client
        .query_one("SELECT (rastro_now() AT TIME ZONE 'UTC')::date::text", &[])
        .await?
        .get(0);
    text.parse().context("not a date")
}
