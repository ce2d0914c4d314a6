//! The attribution service: what each real of advertising brought back, measured against money that was
//! really paid.
//!
//! [`mercado_pago`] reads payments, with the account's own token, and says facts; [`payments`] takes what was
//! notified, reads the payment again, and writes it, its movements and the Purchase it becomes in one
//! transaction; [`reconcile`] compares accounts with the books and shows every difference; [`reports`] reads
//! what was really credited, which settles fees. [`crediting`] keeps what orders are credited to, and the
//! sums, cohorts and forecasts made of it; [`spend_import`] reads what was paid for ads from files, and
//! [`meta_spend`] from Meta, [`google_spend`] from Google; [`privacy`] forgets a person, and shows what is
//! kept of one; [`sync`] brings custom conversions and audiences at Meta to what is declared. Any number of
//! them may run.

pub mod config;
pub mod crediting;
pub mod forecasts;
pub mod google_ads;
pub mod google_spend;
pub mod matching;
pub mod mercado_pago;
pub mod meta_spend;
pub mod payments;
pub mod privacy;
pub mod reconcile;
pub mod reports;
pub mod spend_import;
pub mod sync;

mod account;
mod conversion;
mod metrics;

use std::time::Duration;

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
    let payments = Payments::new(store.clone(), mercado_pago, metrics);
    let (done, (), (), ()) = tokio::join!(
        credits_and_spend(&store, config, &shutdown),
        payments.run(&config.payments, &shutdown),
        reconcile::run(&payments, &config.reconcile, &shutdown),
        reports::run(&payments, &config.reports, &shutdown),
    );
    done
}

/// Keeps credits up to date, and reads what the configured ad accounts spent, until shutdown.
async fn credits_and_spend(store: &Store, config: &Config, shutdown: &Shutdown) -> anyhow::Result<()> {
    let crediting = async {
        if config.crediting.enabled {
            let crediting = crediting::Crediting::new(store.clone(), &config.crediting)?;
            crediting.run(shutdown.clone()).await;
        }
        anyhow::Ok(())
    };
    let spending = async {
        if let Some(spend) = config.meta_spend.reader(store, &config.graph_api)? {
            let interval = Duration::from_secs(config.meta_spend.interval_seconds);
            spend
                .run(interval, config.meta_spend.first_days, shutdown.clone())
                .await;
        }
        anyhow::Ok(())
    };
    let google = async {
        if let Some(spend) = config.google_ads.reader(store)? {
            let interval = Duration::from_secs(config.google_ads.interval_seconds);
            spend
                .run(interval, config.google_ads.first_days, shutdown.clone())
                .await;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(crediting, spending, google).map(drop)
}
