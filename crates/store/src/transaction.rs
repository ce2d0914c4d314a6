//! Transactions that begin with more than `BEGIN`.

use diesel::connection::TransactionManagerStatus;
use diesel::result::Error as QueryError;
use diesel_async::{AnsiTransactionManager, AsyncPgConnection, SimpleAsyncConnection, TransactionManager};

use crate::error::StoreError;

/// Begins a transaction with these statements, in their order and in one round trip. It is to be followed by
/// [`end`]; after an error there is no transaction.
pub(crate) async fn begin(connection: &mut AsyncPgConnection, statements: &[&str]) -> Result<(), StoreError> {
    let statements: String = std::iter::once(&"BEGIN")
        .chain(statements)
        .flat_map(|statement| [statement, "; "])
        .collect();
    // All of it is one simple query: no statement overtakes another, as one might that this connection has
    // yet to prepare.
    let begun = AnsiTransactionManager::begin_transaction_sql(connection, &statements).await;
    if let Err(error) = begun {
        // PostgreSQL is in a transaction that diesel knows nothing of when a statement behind BEGIN failed.
        // Until that is over nobody else may use the connection.
        status(connection).set_in_error();
        connection.batch_execute("ROLLBACK").await?;
        *status(connection) = TransactionManagerStatus::default();
        return Err(error.into());
    }
    Ok(())
}

/// Commits what went well, and rolls everything else back.
pub(crate) async fn end<T, E: From<StoreError>>(
    connection: &mut AsyncPgConnection,
    outcome: Result<T, E>,
) -> Result<T, E> {
    let ended = match &outcome {
        Ok(_) => AnsiTransactionManager::commit_transaction(connection).await,
        Err(_) => AnsiTransactionManager::rollback_transaction(connection).await,
    };
    match (ended, outcome) {
        // The first error says more than that its connection is of no more use.
        (Err(QueryError::BrokenTransactionManager), Err(error)) => Err(error),
        (Err(error), _) => Err(StoreError::from(error).into()),
        (Ok(()), outcome) => outcome,
    }
}

fn status(connection: &mut AsyncPgConnection) -> &mut TransactionManagerStatus {
    AnsiTransactionManager::transaction_manager_status_mut(connection)
}
