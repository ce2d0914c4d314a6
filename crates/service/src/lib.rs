//! What every service boots with: configuration, telemetry, metrics, the health endpoint, shutdown
//! and the clock. Nothing in here knows what the services are for.

pub mod clock;
pub mod config;
pub mod health;
mod http_thread;
pub mod metrics;
pub mod probe;
pub mod shutdown;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
