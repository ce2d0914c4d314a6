//! How every service of Rastro starts. `rastro-service` has the parts and knows nothing of the domain; here
//! they are put together with the database and the settings that all services share, so that a service's
//! `main` is a table of contents:
//!
//! ```ignore
//! let config = Config::load()?;
//! let service = Service::start("capi-forwarder", env!("CARGO_PKG_VERSION"), &config.common,
//! Metrics::register)?; let _health = service.serve_health(service.readiness())?;
//! service.database_opens().await?; work(service.store.clone(), &config, service.metrics.clone(),
//! service.shutdown.clone()).await; service.end(); ```

mod command;
mod config;
mod partitions;
mod service;

pub use command::{REVISION, answered};
#[cfg(feature = "testing")]
pub use config::testing;
pub use config::{CommonConfig, ServiceConfig, load, load_from, load_unchecked};
pub use partitions::Partitions;
pub use service::{Service, refuse_arguments};
