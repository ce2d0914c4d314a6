//! What can go wrong with the database, as far as a caller decides something by it.

use diesel::result::{DatabaseErrorKind, Error as QueryError};

/// An error of the database. `Display` says the layer; the source says the rest.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database could not be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the database did not answer in time")]
    TimedOut,
    #[error("the database refused a statement")]
    Query(#[source] QueryError),
    #[error("the schema is older than this program; run `ingest-gateway migrate`")]
    SchemaTooOld,
    /// A row says something that this program cannot mean: a newer schema, or an edit by hand.
    #[error("the database holds an invalid {what}")]
    Invalid { what: &'static str },
    #[error("the access token of dataset {dataset_id} cannot be opened with the configured sealing key")]
    Sealed { dataset_id: i64 },
    #[error("the configured {what} is not valid")]
    Configuration { what: &'static str },
}

impl StoreError {
    /// Whether the statement itself was refused on an intact connection: the rows are the likely cause, and others
    /// may be accepted without them.
    pub fn is_about_the_rows(&self) -> bool {
        match self {
            StoreError::Query(QueryError::DatabaseError(kind, _)) => matches!(
                kind,
                DatabaseErrorKind::CheckViolation
                    | DatabaseErrorKind::NotNullViolation
                    | DatabaseErrorKind::UniqueViolation
                    | DatabaseErrorKind::ForeignKeyViolation
                    | DatabaseErrorKind::Unknown
            ),
            StoreError::Query(QueryError::SerializationError(_)) => true,
            _ => false,
        }
    }

    /// Whether the same statement may well succeed if it is run again at once: it lost against another one.
    pub fn is_conflict(&self) -> bool {
        match self {
            StoreError::Query(QueryError::DatabaseError(kind, info)) => {
                // diesel has no kind for 40P01.
                matches!(kind, DatabaseErrorKind::SerializationFailure)
                    || info.message() == "deadlock detected"
            }
            _ => false,
        }
    }
}

impl From<QueryError> for StoreError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::DatabaseError(
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
                _,
            )
            | QueryError::BrokenTransactionManager => StoreError::Unreachable(error.into()),
            other => StoreError::Query(other),
        }
    }
}
