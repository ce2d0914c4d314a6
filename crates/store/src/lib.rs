//! The database: one PostgreSQL whose tables are the queues between the services.
//!
//! One module per table owns all SQL on it; nobody else writes SQL. Statements on the hot path are `.sql` files run
//! through [`statement`], which lets PostgreSQL keep their plans. Rows become the types of `rastro-core` here.
//!
//! Time is the database's own (`rastro_now()`): workers on machines with different clocks agree about leases.

mod account;
mod api_keys;
mod connection;
mod datasets;
mod error;
mod events;
mod meta_events_log;
mod migrations;
mod partitions;
mod schema;
mod seal;
mod send_batches;
mod send_queue;
mod statement;

pub use account::Account;
pub use api_keys::{ApiKeyKind, Caller, KeyHash};
pub use connection::{DatabaseConfig, Store};
pub use datasets::{Dataset, DatasetSettings};
pub use error::StoreError;
pub use events::{EventWriter, NewEvent};
pub use meta_events_log::{AttemptRecord, EventOutcome, Outcome};
pub use migrations::{MigrationError, Migrator, migration_names};
pub use send_batches::{Batch, BatchId, QueuedEvent};
pub use send_queue::Lane;
