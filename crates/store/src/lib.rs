//! The database: one PostgreSQL whose tables are the queues between the services.
//!
//! One module per table owns all SQL on it; nobody else writes SQL. Statements on the hot path are `.sql` files run
//! through [`statement`], which lets PostgreSQL keep their plans. Rows become the types of `rastro-core` here.
//!
//! Time is the database's own (`rastro_now()`): workers on machines with different clocks agree about leases.

mod account;
mod api_keys;
mod circuit_breakers;
mod connection;
mod datasets;
mod error;
mod events;
mod maintenance;
mod meta_events_log;
mod meta_retry_queue;
mod migrations;
mod schema;
mod seal;
mod segment;
mod send_batches;
mod send_queue;
mod statement;
mod tls;

pub use account::Account;
pub use api_keys::{ApiKeyKind, Caller, Identities, Identity, KeyHash, KeyState, NewApiKey};
pub use circuit_breakers::{BreakerReport, WatchedBreaker};
pub use connection::{DatabaseConfig, Store};
pub use datasets::{Dataset, DatasetSettings};
pub use error::StoreError;
pub use events::{EventWriter, NewEvent};
pub use maintenance::Leadership;
pub use meta_events_log::AttemptRecord;
pub use meta_retry_queue::{DeadLetter, DeadLetterFilter, DeadLetterGroup, RetryCount, RetryRequest};
pub use migrations::{MigrationError, Migrator, migration_names};
pub use send_batches::{Batch, BatchId, DeadLetterReason, Evidence, Fate, QueuedEvent};
pub use send_queue::{Lane, ReadyLane};
