//! What keeps the tables small and ready for tomorrow: daily partitions, expired keys, old evidence. Every
//! step is safe to run from several places at once.

use chrono::NaiveDate;
use diesel::result::Error as DieselError;
use diesel::sql_types::{BigInt, Bool, Date, Integer, Nullable, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

diesel::define_sql_function! { fn create_day_partitions(days_ahead: Integer) -> Integer; }

diesel::define_sql_function! { fn pg_try_advisory_lock(key: BigInt) -> Bool; }

/// Any constants that nothing else in this database locks.
const LEADER_LOCK: i64 = 7_266_100_002;
const MONITOR_LOCK: i64 = 7_266_100_003;

/// Whether this process does the maintenance, of all that could: an advisory lock on a connection of its own.
///
/// A lock of the session, because the work is many short statements over hours; a transaction that stayed
/// open for as long would keep vacuum from every table. It ends with the connection, however that ends. A
/// leader that does not know yet that it lost it does no harm: every step is safe to run twice. The lock only
/// spares the others the work.
pub struct Leadership {
    store: Store,
    lock: i64,
    connection: Option<AsyncPgConnection>,
    is_held: bool,
}

impl Leadership {
    /// Not the leader yet. Connects when first asked.
    pub fn new(store: Store) -> Self {
        Leadership::of(LEADER_LOCK, store)
    }

    /// The same for the one run of `monitor check` that may be under way.
    pub fn of_monitor(store: Store) -> Self {
        Leadership::of(MONITOR_LOCK, store)
    }

    fn of(lock: i64, store: Store) -> Self {
        Leadership {
            store,
            lock,
            connection: None,
            is_held: false,
        }
    }

    /// Becomes the leader if nobody is, and says whether we are. An error means that we are not.
    pub async fn take(&mut self) -> Result<bool, StoreError> {
        let (connection, was_held) = (self.connection.take(), std::mem::take(&mut self.is_held));
        let mut connection = match connection {
            Some(connection) => connection,
            None => self.store.dedicated_connection().await?,
        };
        let asking = async {
            if was_held {
                // Taken once more it would have to be given back twice; asked anything, the connection shows
                // whether it lives.
                diesel::select(diesel::dsl::sql::<Bool>("true"))
                    .get_result(&mut connection)
                    .await
            } else {
                diesel::select(pg_try_advisory_lock(self.store.advisory_lock(self.lock)))
                    .get_result(&mut connection)
                    .await
            }
        };
        let answer = tokio::time::timeout(self.store.patience(), asking).await;
        self.is_held = answer.map_err(|_| StoreError::TimedOut)??;
        self.connection = Some(connection);
        Ok(self.is_held)
    }
}

impl Store {
    /// Makes sure that today's partitions and those of the given number of days ahead exist; returns how many
    /// were missing. Without them nothing can be accepted, so they are made a week early.
    pub async fn create_partitions_ahead(&self, days: i32) -> Result<i32, StoreError> {
        let created = diesel::select(create_day_partitions(days))
            .get_result(&mut self.connection().await?)
            .await?;
        Ok(created)
    }

    /// Drops the partitions of days before the given number of days ago; returns how many. Each in a
    /// transaction of its own, because each locks its table against everybody. One that cannot be locked at
    /// once stays until the next time.
    ///
    /// # Errors
    /// The first that a partition brought, after the others were dropped: one that cannot be dropped keeps no
    /// other.
    pub async fn drop_old_partitions(&self, keep_days: i32) -> Result<usize, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            name: String,
        }
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        let old: Vec<Row> = sql_query(include_str!("sql/old_partitions.sql"))
            .bind::<Integer, _>(keep_days)
            .prepared()
            .load(connection)
            .await?;
        let (mut dropped, mut failure) = (0, None);
        for Row { name } in old {
            let dropping = connection.transaction(async |connection| {
                connection
                    .batch_execute("SET LOCAL lock_timeout = '500ms'")
                    .await?;
                connection
                    .batch_execute(&format!("DROP TABLE IF EXISTS {name}"))
                    .await
            });
            match dropping.await {
                Ok(()) => dropped += 1,
                // diesel has no kind for 55P03.
                Err(DieselError::DatabaseError(_, info)) if info.message().contains("lock timeout") => {}
                Err(error) => match StoreError::from(error) {
                    lost @ StoreError::Unreachable(_) => return Err(lost),
                    error => failure = failure.or(Some(error)),
                },
            }
        }
        failure.map_or(Ok(dropped), Err)
    }

    /// For how many days after today events can be accepted. Negative: not even today.
    pub async fn partition_days_ahead(&self) -> Result<i64, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Date)]
            today: NaiveDate,
            #[diesel(sql_type = Nullable<Date>)]
            last_day: Option<NaiveDate>,
        }
        let row: Row = sql_query(include_str!("sql/last_partition.sql"))
            .prepared()
            .row(self)
            .await?;
        Ok(row
            .last_day
            .map_or(-1, |last_day| (last_day - row.today).num_days()))
    }

    /// Forgets event keys that expired, at most `limit`; returns how many.
    pub async fn expire_dedup_keys(&self, limit: i64) -> Result<usize, StoreError> {
        let expired = sql_query(include_str!("sql/expire_dedup.sql"))
            .bind::<BigInt, _>(limit)
            .prepared()
            .run(self)
            .await?;
        Ok(expired)
    }

    /// Frees the room of rows that have left the queues, where they are many; returns how many queues were
    /// seen to.
    ///
    /// Autovacuum does so too, but comes by once a minute (`autovacuum_naptime`, which no table can set for
    /// itself), and a busy queue's files would grow by a minute's rows. Large queues are left to it: a
    /// statement here has its time limit.
    pub async fn vacuum_queues(&self) -> Result<usize, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            name: String,
        }
        let mut connection = self.connection().await?;
        let queues: Vec<Row> = sql_query(include_str!("sql/queues_to_vacuum.sql"))
            .prepared()
            .load(&mut connection)
            .await?;
        for Row { name } in &queues {
            // Not where autovacuum is at work already.
            connection
                .batch_execute(&format!("VACUUM (SKIP_LOCKED) {name}"))
                .await?;
        }
        Ok(queues.len())
    }
}
