//! The schema, embedded. Applied by one process at a time; every service checks that it is there.

use std::time::Duration;

use diesel::QueryDsl;
use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::sql_types::{BigInt, Bool};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use secrecy::SecretString;
use tokio::runtime::Runtime;

use crate::carry_over;
use crate::connection::{Connector, DatabaseConfig, Plans, Store};
use crate::error::StoreError;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// Any constant that nothing else in this database locks.
const LOCK: i64 = 7_266_100_000;
/// How often somebody else's migration is looked at again.
const LOCK_RETRY: Duration = Duration::from_millis(200);

/// Applies and reverts migrations. Blocking, over a connection of its own: for an init job, not for a
/// service.
pub struct Migrator {
    connection: AsyncConnectionWrapper<AsyncPgConnection>,
    /// Drives the connection.
    _runtime: Runtime,
}

/// What went wrong with a migration, with its name.
pub type MigrationError = Box<dyn std::error::Error + Send + Sync>;

impl Migrator {
    /// For the tables of schema `public`. As [`for_database`](Self::for_database).
    pub fn connect(url: &SecretString) -> Result<Self, MigrationError> {
        Migrator::for_database(&DatabaseConfig::new(url.clone(), SecretString::default()))
    }

    /// Connects, makes the schema if there is none, and waits until no other migrator is at work on it. Call
    /// it outside of any async runtime.
    pub fn for_database(config: &DatabaseConfig) -> Result<Self, MigrationError> {
        use diesel::RunQueryDsl;
        let connector = Connector::for_migrations(config)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let mut connection =
            AsyncConnectionWrapper::from(runtime.block_on(connector.open(Plans::ForEachCall))?);
        // By trying, not by waiting inside PostgreSQL: a waiting statement holds a snapshot, and CREATE INDEX
        // CONCURRENTLY waits for all of those. The lock ends with the connection, however that ends.
        let lock = connector.advisory_lock(LOCK);
        while !diesel::select(pg_try_advisory_lock(lock)).get_result::<bool>(&mut connection)? {
            std::thread::sleep(LOCK_RETRY);
        }
        // Not for the one that every database has: creating it asks for a right on the whole database.
        if connector.schema() != "public" {
            let schema = format!("CREATE SCHEMA IF NOT EXISTS {}", connector.schema());
            connection.batch_execute(&schema)?;
        }
        Ok(Migrator {
            connection,
            _runtime: runtime,
        })
    }

    /// Applies what is missing, and returns the names of what was.
    pub fn run(&mut self) -> Result<Vec<String>, MigrationError> {
        let applied = self.connection.run_pending_migrations(MIGRATIONS)?;
        let applied = applied.into_iter().map(|version| version.to_string()).collect();
        carry_over::run(&mut self.connection)?;
        Ok(applied)
    }

    /// Reverts the newest.
    pub fn revert_last(&mut self) -> Result<(), MigrationError> {
        self.connection.revert_last_migration(MIGRATIONS)?;
        Ok(())
    }

    /// Reverts everything, newest first.
    pub fn revert_all(&mut self) -> Result<(), MigrationError> {
        self.connection.revert_all_migrations(MIGRATIONS)?;
        Ok(())
    }
}

impl Store {
    /// Whether the database answers, takes writes, and has every migration that this program knows of. A
    /// newer schema is fine: migrations are made so that the code before them still runs.
    pub async fn check_ready(&self) -> Result<(), StoreError> {
        use diesel_async::RunQueryDsl;
        let newest = MigrationSource::<Pg>::migrations(&MIGRATIONS)
            .map_err(|_| StoreError::Invalid {
                what: "embedded migrations",
            })?
            .iter()
            .map(|migration| migration.name().version().to_string())
            .max();
        let mut connection = self.connection().await?;
        let is_read_only = diesel::dsl::sql::<Bool>("current_setting('transaction_read_only')::boolean");
        if diesel::select(is_read_only)
            .get_result::<bool>(&mut connection)
            .await?
        {
            return Err(StoreError::ReadOnly);
        }
        let any_applied = diesel::select(diesel::dsl::sql::<Bool>(
            // While old tables are being carried over, their events are not where this program looks for
            // them.
            "to_regclass('__diesel_schema_migrations') IS NOT NULL AND to_regclass('old_event_segments') IS NULL",
        ))
        .get_result::<bool>(&mut connection)
        .await?;
        if !any_applied {
            return Err(StoreError::SchemaTooOld);
        }
        let applied: Option<String> = __diesel_schema_migrations::table
            .select(diesel::dsl::max(__diesel_schema_migrations::version))
            .get_result(&mut connection)
            .await?;
        if applied >= newest {
            Ok(())
        } else {
            Err(StoreError::SchemaTooOld)
        }
    }
}

diesel::table! {
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

diesel::define_sql_function! { fn pg_try_advisory_lock(key: BigInt) -> Bool; }

/// The name of every migration, a line each: whoever keeps a migrated database aside knows by it whether that
/// is still current.
pub fn migration_names() -> String {
    let migrations = MigrationSource::<Pg>::migrations(&MIGRATIONS).unwrap_or_default();
    migrations
        .iter()
        .map(|migration| format!("{}\n", migration.name()))
        .collect()
}
