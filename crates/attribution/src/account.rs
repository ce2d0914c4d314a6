//! The configured Mercado Pago account. A start only creates it, as the gateway does with its dataset: what
//! is stored may be newer than this process's configuration.

use std::time::Duration;

use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{Store, StoreError};
use tracing::{info, warn};

use crate::config::Config;

const RETRY: Duration = Duration::from_secs(1);

/// Creates the account if it is configured and not there, as soon as the database and its dataset are.
///
/// # Errors
/// When what is configured makes no sense.
pub async fn seed_account(store: &Store, config: &Config, shutdown: &Shutdown) -> anyhow::Result<()> {
    let Some(account) = config.account.read()? else {
        return Ok(());
    };
    loop {
        match store.create_payment_account(&account).await {
            Ok(true) => {
                info!("created Mercado Pago account {}", account.account_id);
                return Ok(());
            }
            Ok(false) => return Ok(()),
            Err(error) => warn!(
                "the Mercado Pago account could not be created yet; is its dataset there? {}",
                ErrorChain(&error)
            ),
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = shutdown.requested() => return Ok(()),
        }
    }
}

/// Writes the configured account over the stored one; returns its number, if one is configured.
///
/// # Errors
/// When what is configured makes no sense, or the database fails.
pub async fn put_account(store: &Store, config: &Config) -> anyhow::Result<Option<i64>> {
    let Some(account) = config.account.read()? else {
        return Ok(None);
    };
    store
        .put_payment_account(&account)
        .await
        .map_err(|error: StoreError| anyhow::Error::from(error))?;
    Ok(Some(account.account_id))
}
