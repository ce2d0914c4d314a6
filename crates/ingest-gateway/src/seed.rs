//! What the gateway makes sure of in the database: the configured dataset, and room for the days to come.

use std::time::Duration;

use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{ApiKeyKind, Dataset, DatasetSettings, Store, StoreError};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tracing::{error, info, warn};

use crate::config::Seed;

/// How many days of partitions are made ahead, and how often that is looked at.
const DAYS_AHEAD: i32 = 7;
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
const LOOK_AGAIN_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Seeds as soon as the database lets it: a gateway that starts before its database, or before the first migration,
/// waits for it.
pub async fn seed_until_done(store: &Store, wanted: &Seed, shutdown: &Shutdown) {
    while let Err(error) = seed(store, wanted).await {
        warn!("the dataset could not be seeded yet: {}", ErrorChain(&error));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = shutdown.requested() => return,
        }
    }
}

/// Creates the dataset and its keys, or brings them to what is configured.
pub async fn seed(store: &Store, seed: &Seed) -> Result<(), StoreError> {
    let settings = DatasetSettings {
        name: seed.name.clone(),
        defaults: seed.defaults,
        test_event_code: seed.test_event_code.clone(),
    };
    store
        .put_dataset(&Dataset {
            id: seed.dataset_id,
            settings,
            access_token: seed.access_token.clone(),
        })
        .await?;
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

fn hash(key: &SecretString) -> [u8; 32] {
    Sha256::digest(key.expose_secret()).into()
}

/// Makes the partitions of the coming days, until shutdown. Without today's nothing can be stored.
pub async fn keep_partitions_ahead(store: Store, shutdown: Shutdown) {
    loop {
        let next = match store.create_partitions_ahead(DAYS_AHEAD).await {
            Ok(0) => LOOK_EVERY,
            Ok(created) => {
                info!("created {created} partitions");
                LOOK_EVERY
            }
            Err(error) => {
                error!("partitions could not be created: {}", ErrorChain(&error));
                LOOK_AGAIN_AFTER_FAILURE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = shutdown.requested() => return,
        }
    }
}
