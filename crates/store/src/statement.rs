//! Statements that the diesel DSL cannot say, kept in `.sql` files next to this one. Each begins with its
//! name, what it does and what its parameters are.
//!
//! ```text
//! sql_query(include_str!("sql/claim_keys.sql"))
//!     .bind::<Array<BigInt>, _>(dataset_ids)
//!     .prepared()
//!     .load::<ClaimedKey>(connection)
//! ```

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};

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

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Prepared<Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _: &Pg) -> QueryResult<bool> {
        Ok(true)
    }
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
