//! Statements that the diesel DSL cannot say, kept in `.sql` files next to this one. Each begins with its
//! name, what it does and what its parameters are.
//!
//! ```text
//! sql_query(include_str!("sql/claim_keys.sql"))
//!     .bind::<Array<BigInt>, _>(dataset_ids)
//!     .prepared()
//!     .load::<ClaimedKey>(connection)
//! ```
//!
//! One that stands alone takes a connection of the pool: `.prepared().rows(store)`.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::{OptionalExtension, QueryResult};
use diesel_async::methods::{ExecuteDsl, LoadQuery};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::connection::Store;
use crate::error::StoreError;
use crate::transaction;

const BY_TIME: [&str; 2] = [
    "SET LOCAL enable_bitmapscan = on",
    "SET LOCAL enable_seqscan = on",
];

/// A raw statement that each connection prepares once. diesel prepares `sql_query` anew at each call, which
/// costs a parse, a plan and a round trip; it cannot know that our texts never change.
pub(crate) struct Prepared<Q>(Q);

pub(crate) trait Prepare: Sized {
    /// Keeps the prepared statement. For texts that are constant.
    fn prepared(self) -> Prepared<Self> {
        Prepared(self)
    }
}

impl<Q: QueryFragment<Pg>> Prepare for Q {}

/// Over a connection of the pool, as a transaction of its own.
impl<Q> Prepared<Q> {
    pub(crate) async fn rows<'q, T>(self, store: &Store) -> Result<Vec<T>, StoreError>
    where
        Self: LoadQuery<'q, AsyncPgConnection, T> + 'q,
        T: Send + 'static,
    {
        Ok(self.load(&mut *store.connection().await?).await?)
    }

    /// The first row. That there is none is an error.
    pub(crate) async fn row<'q, T>(self, store: &Store) -> Result<T, StoreError>
    where
        Self: LoadQuery<'q, AsyncPgConnection, T> + 'q,
        T: Send + 'static,
    {
        Ok(self.get_result(&mut *store.connection().await?).await?)
    }

    /// As [`Prepared::rows`], of a stretch of time: a partition is then read by its BRIN index, and a year of
    /// counts from end to end. The pool's connections avoid both, which suits queues and not this.
    pub(crate) async fn rows_by_time<'q, T>(self, store: &Store) -> Result<Vec<T>, StoreError>
    where
        Self: LoadQuery<'q, AsyncPgConnection, T> + 'q,
        T: Send + 'static,
    {
        let mut connection = store.connection().await?;
        transaction::begin(&mut connection, &BY_TIME).await?;
        let rows = self.load(&mut *connection).await.map_err(StoreError::from);
        transaction::end(&mut connection, rows).await
    }

    /// The first row, if there is one.
    pub(crate) async fn maybe_row<'q, T>(self, store: &Store) -> Result<Option<T>, StoreError>
    where
        Self: LoadQuery<'q, AsyncPgConnection, T> + 'q,
        T: Send + 'static,
    {
        let row = self.get_result(&mut *store.connection().await?).await;
        Ok(row.optional()?)
    }

    /// How many rows it changed.
    pub(crate) async fn run<'q>(self, store: &Store) -> Result<usize, StoreError>
    where
        Self: ExecuteDsl<AsyncPgConnection> + 'q,
    {
        Ok(self.execute(&mut *store.connection().await?).await?)
    }
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Prepared<Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _: &Pg) -> QueryResult<bool> {
        Ok(true)
    }
}

/// A list for a parameter: what a column has of each row.
pub(crate) fn column<'r, R, T>(rows: &'r [R], value: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// Found by its text.
impl<Q> QueryId for Prepared<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

/// Rows are read by the names of their columns.
impl<Q: Query> Query for Prepared<Q> {
    type SqlType = Q::SqlType;
}
