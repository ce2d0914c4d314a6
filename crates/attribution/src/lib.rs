//! The attribution service: what each real of advertising brought back, measured against money that was really paid.
//!
//! [`mercado_pago`] reads payments, with the account's own token, and says facts; [`payments`] takes what was notified, reads
//! the payment again, and writes it, its movements and the Purchase it becomes in one transaction; [`reconcile`] compares
//! accounts with the books and shows every difference. [`crediting`] keeps what orders are credited to, and the sums, cohorts and
//! forecasts made of it; [`spend_import`] reads what was paid for ads. Any number of them may run.

pub mod config;
pub mod crediting;
pub mod forecasts;
pub mod mercado_pago;
pub mod spend_import;

mod account;
mod metrics;

use rastro_service::clock::Clock;
use rastro_service::shutdown::Shutdown;
use rastro_store::Store;

pub use account::{put_account, seed_account};
pub use metrics::AttributionMetrics;

use crate::config::Config;

/// Works until shutdown, and finishes the step it is at.
///
/// # Errors
/// When the configured account makes no sense.
pub async fn run(
    store: Store,
    _clock: Clock,
    config: &Config,
    _metrics: AttributionMetrics,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    seed_account(&store, config, &shutdown).await?;
    if config.crediting.enabled {
        crediting::Crediting::new(store.clone(), &config.crediting)?
            .run(shutdown.clone())
            .await;
    }
    shutdown.requested().await;
    Ok(())
}
