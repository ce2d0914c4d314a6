//! Statements that the diesel DSL cannot say, kept in `.sql` files.
//!
//! `diesel::sql_query` would do, but diesel never keeps the prepared statement of one: each call would cost a parse,
//! a plan and a round trip. A [`statement!`] has a static query id, so each connection prepares it once. Its text may
//! name a parameter (`$1`) more than once; diesel then sends the value again.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::AstPass;

/// The one row of a statement that was read to its end, as everything that writes must be.
///
/// diesel's `get_result` returns as soon as it has seen a row, which PostgreSQL writes before it commits. Row and commit
/// usually arrive together; but if the commit fails, or the server dies in it, the row arrives alone, and says that something
/// was stored which was not. `load` waits for the commit.
pub(crate) fn only_row<R>(rows: Vec<R>) -> QueryResult<R> {
    rows.into_iter().next().ok_or(diesel::result::Error::NotFound)
}

/// Writes the text of a statement, handing each `$n` to `bind`.
pub(crate) fn walk<'b>(
    text: &'static str,
    mut out: AstPass<'_, 'b, Pg>,
    mut bind: impl FnMut(usize, AstPass<'_, 'b, Pg>) -> QueryResult<()>,
) -> QueryResult<()> {
    let mut pieces = text.split('$');
    out.push_sql(pieces.next().unwrap_or_default());
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let number = piece[..digits].parse().map_err(|_| {
            diesel::result::Error::QueryBuilderError("a $ that no parameter number follows".into())
        })?;
        bind(number, out.reborrow())?;
        out.push_sql(&piece[digits..]);
    }
    Ok(())
}

/// Declares a statement: its parameters in the order of their numbers, each with its SQL type, and what a row holds.
macro_rules! statement {
    ($(#[$doc:meta])* $name:ident<$life:lifetime>($file:literal) -> $row:ty {
        $($field:ident: $rust:ty as $sql:ty),* $(,)?
    }) => {
        $(#[$doc])*
        pub(crate) struct $name<$life> {
            $(pub(crate) $field: $rust,)*
            pub(crate) lifetime: std::marker::PhantomData<&$life ()>,
        }

        impl<$life> diesel::query_builder::QueryFragment<diesel::pg::Pg> for $name<$life> {
            #[allow(
                unused_assignments, unused_mut, unused_variables,
                reason = "a statement may have no parameters, and the last count is not read"
            )]
            fn walk_ast<'binds>(
                &'binds self,
                out: diesel::query_builder::AstPass<'_, 'binds, diesel::pg::Pg>,
            ) -> diesel::QueryResult<()> {
                crate::statement::walk(include_str!($file), out, |wanted, mut out| {
                    let mut number = 0;
                    $(
                        number += 1;
                        if number == wanted {
                            return out.push_bind_param::<$sql, _>(&self.$field);
                        }
                    )*
                    Err(diesel::result::Error::QueryBuilderError("a parameter number that is not declared".into()))
                })
            }
        }

        impl<$life> diesel::query_builder::QueryId for $name<$life> {
            type QueryId = $name<'static>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl<$life> diesel::query_builder::Query for $name<$life> {
            type SqlType = $row;
        }
    };
}
pub(crate) use statement;
