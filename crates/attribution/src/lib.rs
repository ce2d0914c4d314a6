//! The attribution service: what each real of advertising brought back, measured against money that was really paid.
//!
//! [`mercado_pago`] reads payments, with the account's own token, and says facts; [`payments`] takes what was notified, reads
//! the payment again, and writes it, its movements and the Purchase it becomes in one transaction; [`reconcile`] compares
//! accounts with the books and shows every difference; [`privacy`] forgets a person, and shows what is kept of one. Any number of them may run.

pub mod config;
pub mod mercado_pago;
pub mod payments;
pub mod privacy;
pub mod reconcile;

mod account;
mod conversion;
mod metrics;

use rastro_service::shutdown::Shutdown;
use rastro_store::Store;

pub use account::{put_account, seed_account};
pub use metrics::AttributionMetrics;

use crate::config::Config;
use crate::mercado_pago::MercadoPago;
use crate::payments::Payments;

/// Works until shutdown, and finishes the step it is at.
///
/// # Errors
/// When the configuration makes no sense.
pub async fn run(
    store: Store,
    config: &Config,
    metrics: AttributionMetrics,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let mercado_pago = MercadoPago::new(&config.mercado_pago)?;
    seed_account(&store, config, &shutdown).await?;
    let payments = Payments::new(store, mercado_pago, metrics);
    tokio::join!(
        payments.run(&config.payments, &shutdown),
        reconcile::run(&payments, &config.reconcile, &shutdown),
    );
    Ok(())
}
