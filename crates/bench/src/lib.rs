//! The benchmark: what the product does on this machine, beside what simpler ways of doing the same would do.
//!
//! Absolute figures of a machine drift by a factor of two with no cause to be found, so what counts here are ratios
//! of figures taken in turn in one run. The baselines live here and nowhere else: [`baseline`] serves them over the
//! same HTTP, with the same parsing and hashing, and [`copy`] is what PostgreSQL can take in at most.
//!
//! [`load`] makes requests and times the answers; [`usage`] and [`database`] say what they cost; [`process`] keeps
//! the services. `rastro-bench` (in `main.rs`) puts them together, and ends with the sum of all events: a run that
//! loses or doubles one fails.

pub mod baseline;
pub mod copy;
pub mod database;
pub mod http;
pub mod latency;
pub mod load;
pub mod process;
pub mod sample;
pub mod usage;
