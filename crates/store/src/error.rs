//! What can go wrong with the database, as far as a caller decides something by it.

use diesel::result::{DatabaseErrorKind, Error as QueryError};
use rastro_core::dataset::DatasetId;

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
    /// What this program does begins with a write.
    #[error(
        "the database takes no writes: it is a replica, or set to read-only; name its primary in database.url, or \
         all of its servers with ?target_session_attrs=read-write"
    )]
    ReadOnly,
    /// A row says something that this program cannot mean: a newer schema, or an edit by hand.
    #[error("the database holds an invalid {what}")]
    Invalid { what: &'static str },
    #[error("the access token of dataset {dataset_id} cannot be opened with the configured sealing key")]
    Sealed { dataset_id: i64 },
    #[error(
        "the configured sealing keys open none of the access tokens in the database; configure the key that \
         sealed them (database.sealing_keys), or enter the tokens again with `ingest-gateway reseed`"
    )]
    SealingKey,
    #[error(
        "the configured sealing keys open none of the leads that were looked at; put the key that sealed them back, \
         behind the first (database.sealing_keys)"
    )]
    SealingKeyOfLeads,
    /// The rest was sealed with the first key.
    #[error(
        "{tokens} access tokens, the secrets of {accounts} payment accounts and the contacts of {leads} leads open \
         with none of the configured sealing keys and stay as they are: keep the key that sealed them"
    )]
    Unopened {
        tokens: usize,
        accounts: usize,
        leads: usize,
    },
    #[error(
        "leads that another sealing key sealed come in all the while: give every service the same first key and restart \
         it, and do this again before the old key goes"
    )]
    SealedMeanwhile,
    /// The same money is in the books, under this number.
    #[error("the payment is booked under another number: {0}")]
    BookedAs(String),
    /// Somebody else has paid it, at the same moment.
    #[error("the order is another buyer's")]
    AnotherBuyers,
    /// What is read anew is what the erasure left.
    #[error("a person was erased since this was read")]
    ReadBeforeErasure,
    /// A key means one thing for ever: events would go where nobody expects them.
    #[error("the API key {label:?} is already known for something else: {known_for}")]
    KeyTaken { label: String, known_for: String },
    #[error("{what} is missing or not valid")]
    Configuration { what: &'static str },
}

impl StoreError {
    /// Whether the rows themselves were refused: others will be accepted without them, and these never.
    pub fn is_about_the_rows(&self) -> bool {
        match self {
            StoreError::Query(QueryError::DatabaseError(kind, info)) => match kind {
                // A check without a name is a row for a day that has no partition: nothing is wrong with the
                // row.
                DatabaseErrorKind::CheckViolation => info.constraint_name().is_some(),
                DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation => true,
                _ => false,
            },
            StoreError::Query(QueryError::SerializationError(_)) => true,
            _ => false,
        }
    }

    /// Whether the rows may be the cause, for all that diesel tells: it keeps PostgreSQL's code to itself,
    /// and under this kind come data errors, but also a statement timeout, a full disk and a server that
    /// shuts down.
    pub fn may_be_about_the_rows(&self) -> bool {
        matches!(
            self,
            StoreError::Query(QueryError::DatabaseError(DatabaseErrorKind::Unknown, _))
        ) || self.is_about_the_rows()
    }

    /// Whether the same may well succeed if it is read and written again at once: it lost against another one.
    pub fn is_conflict(&self) -> bool {
        match self {
            StoreError::AnotherBuyers | StoreError::ReadBeforeErasure => true,
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
            // diesel has no kind for 57P01 and 57P02: the server's last words on a connection that it closes.
            QueryError::DatabaseError(DatabaseErrorKind::Unknown, ref info)
                if info.message().starts_with("terminating connection") =>
            {
                StoreError::Unreachable(error.into())
            }
            other => StoreError::Query(other),
        }
    }
}

/// A dataset id as a row has it.
pub(crate) fn dataset_id(id: i64) -> Result<DatasetId, StoreError> {
    id.try_into()
        .map_err(|_| StoreError::Invalid { what: "dataset_id" })
}
