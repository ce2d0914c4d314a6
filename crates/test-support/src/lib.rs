//! The one harness of the tests that need more than values: a [`World`] with its own database, a sandbox in
//! Meta's place, services, and a clock that the test moves. When a world ends, it counts: every event it
//! accepted must be delivered, expired, or still on its way, whatever the test was about.
//!
//! [`process`] runs built programs, [`services`] names those of the product, and [`cluster`] is a PostgreSQL
//! of one's own: for tests that kill them, and for the lab. [`http`] is the lab's client.
//!
//! What fails here panics: a test has nobody to return an error to.

pub mod cluster;
mod database;
pub mod events;
pub mod http;
pub mod process;
pub mod services;
mod world;

pub use database::TestDatabase;
pub use world::{ACCESS_TOKEN, Answer, DATASET_ID, Key, World, eventually};
