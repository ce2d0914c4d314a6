//! What keeps the tables small and ready for tomorrow: daily partitions, expired keys, old evidence. Every step is safe to
//! run from several places at once.

use std::marker::PhantomData;

use chrono::NaiveDate;
use diesel::sql_types::{BigInt, Bool, Date, Integer, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::{only_row, statement};

diesel::define_sql_function! { fn create_day_partitions(days_ahead: Integer) -> Integer; }
diesel::define_sql_function! { fn drop_day_partitions(keep_days: Integer) -> Integer; }

diesel::define_sql_function! { fn pg_try_advisory_lock(key: BigInt) -> Bool; }

/// Any constant that nothing else in this database locks.
const LEADER_LOCK: i64 = 7_266_100_002;

/// Whether this process does the maintenance, of all that could: an advisory lock on a connection of its own.
///
/// A lock of the session, because the work is many short statements over hours; a transaction that stayed open for as long
/// would keep vacuum from every table. It ends with the connection, however that ends. A leader that does not know yet that
/// it lost it does no harm: every step is safe to run twice. The lock only spares the others the work.
pub struct Leadership {
    store: Store,
    connection: Option<AsyncPgConnection>,
    is_held: bool,
}

impl Leadership {
    /// Not the leader yet. Connects when first asked.
    pub fn new(store: Store) -> Self {
        Leadership {
            store,
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
                // Taken once more it would have to be given back twice; asked anything, the connection shows whether it lives.
                diesel::select(diesel::dsl::sql::<Bool>("true"))
                    .get_result(&mut connection)
                    .await
            } else {
                diesel::select(pg_try_advisory_lock(self.store.advisory_lock(LEADER_LOCK)))
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
    /// Makes sure that today's partitions and those of the given number of days ahead exist; returns how many were
    /// missing. Without them nothing can be accepted, so they are made a week early.
    pub async fn create_partitions_ahead(&self, days: i32) -> Result<i32, StoreError> {
        let created = only_row(
            diesel::select(create_day_partitions(days))
                .load(&mut self.connection().await?)
                .await?,
        )?;
        Ok(created)
    }

    /// Drops the partitions of days before the given number of days ago, except those that an event on its way or a
    /// waiting one still needs; returns how many were dropped.
    pub async fn drop_old_partitions(&self, keep_days: i32) -> Result<i32, StoreError> {
        let dropped = only_row(
            diesel::select(drop_day_partitions(keep_days))
                .load(&mut self.connection().await?)
                .await?,
        )?;
        Ok(dropped)
    }

    /// For how many days after today events can be accepted. Negative: not even today.
    pub async fn partition_days_ahead(&self) -> Result<i64, StoreError> {
        let row: (NaiveDate, Option<NaiveDate>) = LastPartition {
            lifetime: PhantomData,
        }
        .get_result(&mut self.connection().await?)
        .await?;
        let (today, last) = row;
        Ok(last.map_or(-1, |last| (last - today).num_days()))
    }

    /// Forgets event keys that expired, at most `limit`; returns how many.
    pub async fn expire_dedup_keys(&self, limit: i64) -> Result<i64, StoreError> {
        let statement = ExpireDedup {
            limit,
            lifetime: PhantomData,
        };
        Ok(only_row(statement.load(&mut self.connection().await?).await?)?)
    }

    /// Frees the room of rows that have left the queues, where they are many; returns how many queues were seen to.
    ///
    /// Autovacuum does so too, but comes by once a minute (`autovacuum_naptime`, which no table can set for itself), and a
    /// busy queue's files would grow by a minute's rows. Large queues are left to it: a statement here has its time limit.
    pub async fn vacuum_queues(&self) -> Result<i64, StoreError> {
        let statement = QueuesToVacuum {
            lifetime: PhantomData,
        };
        let mut connection = self.connection().await?;
        let queues: Vec<String> = statement.load(&mut connection).await?;
        for queue in &queues {
            // Not where autovacuum is at work already.
            connection
                .batch_execute(&format!("VACUUM (SKIP_LOCKED) {queue}"))
                .await?;
        }
        Ok(i64::try_from(queues.len()).unwrap_or(i64::MAX))
    }

    /// Forgets how requests went that no breaker looks back to any more.
    pub async fn forget_attempts(&self, older_than_ms: i64) -> Result<i64, StoreError> {
        let statement = ForgetAttempts {
            older_than_ms,
            lifetime: PhantomData,
        };
        Ok(only_row(statement.load(&mut self.connection().await?).await?)?)
    }
}

statement! {
    LastPartition<'q>("sql/last_partition.sql") -> (Date, Nullable<Date>) {}
}

statement! {
    QueuesToVacuum<'q>("sql/queues_to_vacuum.sql") -> Text {}
}

statement! {
    ExpireDedup<'q>("sql/expire_dedup.sql") -> BigInt {
        limit: i64 as BigInt,
    }
}

statement! {
    ForgetAttempts<'q>("sql/forget_attempts.sql") -> BigInt {
        older_than_ms: i64 as BigInt,
    }
}
