//! `make chaos`: the real services, two of each, under constant load, while everything around them breaks at random; then
//! an account of every event.
//!
//! [`plan`] draws from a seed what breaks when. [`run`] brings up a durable PostgreSQL of its own ([`cluster`]), a stand-in
//! for Meta and the services ([`fleet`]), sends ([`load`]), breaks ([`faults`]), waits until all is quiet, and audits
//! ([`audit`]): what the clients were told against what is stored, what was stored against what Meta counted. What it finds
//! is a [`report::Report`].
//!
//! The plan is the same for the same seed, and so are the events. What the scheduler of the machine makes of it is not.

pub mod audit;
pub mod cluster;
pub mod faults;
pub mod fleet;
pub mod load;
pub mod plan;
pub mod report;
pub mod run;

pub use plan::{FaultKind, Plan};
pub use report::Report;
pub use run::{Options, run};

/// The dataset that everything is sent to.
pub(crate) const DATASET_ID: &str = "123456789012345";
pub(crate) const ACCESS_TOKEN: &str = "EAAchaos0token";
pub(crate) const SECRET_KEY: &str = "sk_0123456789abcdef0123456789abcdef";
/// `openssl rand -base64 32`, once.
pub(crate) const SEALING_KEY: &str = "mE1dNnKB1LGNsVlGXvbmYzTNFlh6W3mBtrdQi/0kfDQ=";
/// An event with this in its id is one that Meta will never take.
pub(crate) const POISON: &str = "poison";
