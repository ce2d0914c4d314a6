//! What the gateway makes sure of in the database: the configured dataset and keys.

use std::time::Duration;

use rastro_core::circuit_breaker::Reason;
use rastro_core::dataset::DatasetId;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{ApiKeyKind, Dataset, DatasetSettings, Store, StoreError};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::config::{DatasetSeed, Seed};

/// Seeds as soon as the database lets it: a gateway that starts before its database, or before the first migration,
/// waits for it.
pub async fn seed_until_done(store: &Store, wanted: &Seed, shutdown: &Shutdown) {
    while let Err(error) = seed(store, wanted).await {
        warn!(
            "what is configured could not be seeded yet: {}",
            ErrorChain(&error)
        );
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = shutdown.requested() => return,
        }
    }
}

/// Creates what is configured, or brings it to that.
pub async fn seed(store: &Store, seed: &Seed) -> Result<(), StoreError> {
    if let Some(key) = &seed.admin_key {
        store
            .put_admin_key(hash(key), "admin key from the configuration")
            .await?;
    }
    match &seed.dataset {
        Some(dataset) => seed_dataset(store, dataset).await,
        None => Ok(()),
    }
}

async fn seed_dataset(store: &Store, seed: &DatasetSeed) -> Result<(), StoreError> {
    let settings = DatasetSettings {
        name: seed.name.clone(),
        defaults: seed.defaults,
        test_event_code: seed.test_event_code.clone(),
    };
    let token_changes = is_new_token(store, seed).await?;
    store
        .put_dataset(&Dataset {
            id: seed.dataset_id,
            settings,
            access_token: seed.access_token.clone(),
        })
        .await?;
    if token_changes {
        probe_if_blocked(store, seed.dataset_id).await?;
    }
    let keys = [
        (&seed.secret_key, ApiKeyKind::Secret),
        (&seed.publishable_key, ApiKeyKind::Publishable),
    ];
    for (key, kind) in keys {
        if let Some(key) = key {
            store
                .put_api_key(hash(key), seed.dataset_id, kind, "from the configuration")
                .await?;
        }
    }
    info!(dataset_id = %seed.dataset_id, "seeded dataset {}", seed.dataset_id);
    Ok(())
}

async fn is_new_token(store: &Store, seed: &DatasetSeed) -> Result<bool, StoreError> {
    match store.access_token(seed.dataset_id).await {
        Ok(known) => {
            Ok(known.is_some_and(|known| known.expose_secret() != seed.access_token.expose_secret()))
        }
        // It was of no use to anybody; the one that is sealed now will be.
        Err(StoreError::Sealed { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// With a new token Meta may take again what it refused: that need not wait until the breaker would have looked by itself.
async fn probe_if_blocked(store: &Store, dataset: DatasetId) -> Result<(), StoreError> {
    let probed = store
        .update_breaker(dataset, None, |breaker, now_ms| {
            let is_blocked = breaker.reason == Some(Reason::Blocked);
            is_blocked.then(|| breaker.retry_at_once(now_ms)).flatten()
        })
        .await?;
    if probed {
        info!(dataset_id = %dataset, "the access token is a new one; if the dataset was blocked, it is tried again at once");
    } else {
        warn!(dataset_id = %dataset, "the breaker kept changing; with its new token the dataset waits for the next probe");
    }
    Ok(())
}

fn hash(key: &SecretString) -> [u8; 32] {
    Sha256::digest(key.expose_secret()).into()
}
