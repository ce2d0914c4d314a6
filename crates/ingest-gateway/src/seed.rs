//! What the gateway makes sure of in the database: the configured dataset and keys.
//!
//! A start only creates. What is there stays as it is, however old the configuration of this process may be:
//! a token that was changed must not come back because a replica restarts. [`reseed`] is the order to write
//! the configuration over what is stored.

use std::time::Duration;

use rastro_core::circuit_breaker::Reason;
use rastro_core::dataset::DatasetId;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{ApiKeyKind, Dataset, DatasetSettings, KeyState, NewApiKey, Store, StoreError};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tracing::{error, info, warn};

use crate::config::{DatasetSeed, Seed};

const RETRY: Duration = Duration::from_secs(1);

/// Seeds as soon as the database lets it: a gateway that starts before its database, or before the first
/// migration, waits for it.
///
/// # Errors
/// When a key is known for something else: waiting would not mend that.
pub async fn seed_until_done(store: &Store, wanted: &Seed, shutdown: &Shutdown) -> Result<(), StoreError> {
    loop {
        match seed(store, wanted).await {
            Ok(()) => return Ok(()),
            Err(error @ StoreError::KeyTaken { .. }) => return Err(error),
            Err(error) => warn!(
                "what is configured could not be seeded yet: {}",
                ErrorChain(&error)
            ),
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = shutdown.requested() => return Ok(()),
        }
    }
}

/// Creates what is configured and not there yet, and says what it leaves alone.
///
/// # Errors
/// When a key is known for something else (nothing is created then), or the database fails.
pub async fn seed(store: &Store, seed: &Seed) -> Result<(), StoreError> {
    if let Some(seed) = &seed.dataset {
        for key in keys(seed) {
            store.check_api_key(&key, seed.dataset_id).await?;
        }
        if store.create_dataset(&dataset(seed)).await? {
            info!(dataset_id = %seed.dataset_id, "created dataset {}", seed.dataset_id);
        } else {
            say_what_stays(store, seed).await?;
        }
    }
    create_keys(store, seed).await
}

/// Writes the configuration over what is stored: the token, the settings, and keys that are not there yet.
///
/// # Errors
/// When a key is known for something else (nothing is written then), or the database fails.
pub async fn reseed(store: &Store, seed: &Seed) -> Result<(), StoreError> {
    if let Some(seed) = &seed.dataset {
        for key in keys(seed) {
            store.check_api_key(&key, seed.dataset_id).await?;
        }
        let token_changes = token_state(store, seed).await? != TokenState::Same;
        store.put_dataset(&dataset(seed)).await?;
        info!(dataset_id = %seed.dataset_id, "wrote the configured token and settings over the stored ones");
        if token_changes {
            probe_if_blocked(store, seed.dataset_id).await?;
        }
    }
    create_keys(store, seed).await
}

fn dataset(seed: &DatasetSeed) -> Dataset {
    Dataset {
        id: seed.dataset_id,
        settings: DatasetSettings {
            name: seed.name.clone(),
            defaults: seed.defaults,
            test_event_code: seed.test_event_code.clone(),
            allowed_origins: seed.allowed_origins.clone(),
            cookie_domain: seed.cookie_domain.clone(),
            ..DatasetSettings::default()
        },
        access_token: seed.access_token.clone(),
    }
}

fn keys(seed: &DatasetSeed) -> impl Iterator<Item = NewApiKey<'_>> {
    let secret = seed.secret_key.as_ref().map(|key| NewApiKey {
        hash: hash(key),
        kind: ApiKeyKind::Secret,
        label: "seed.secret_key",
        event_names: None,
    });
    let publishable = seed.publishable_key.as_ref().map(|key| NewApiKey {
        hash: hash(key),
        kind: ApiKeyKind::Publishable,
        label: "seed.publishable_key",
        event_names: seed.publishable_event_names.as_deref(),
    });
    secret.into_iter().chain(publishable)
}

async fn create_keys(store: &Store, seed: &Seed) -> Result<(), StoreError> {
    let say = |label: &str, state| match state {
        KeyState::Created => info!("created the key {label}"),
        KeyState::Known => {}
        KeyState::Revoked => warn!("the key {label} was revoked, and stays so: it opens nothing"),
    };
    if let Some(key) = &seed.admin_key {
        say(
            "seed.admin_key",
            store.put_admin_key(hash(key), "seed.admin_key").await?,
        );
    }
    if let Some(seed) = &seed.dataset {
        for key in keys(seed) {
            say(key.label, store.create_api_key(&key, seed.dataset_id).await?);
        }
    }
    Ok(())
}

async fn say_what_stays(store: &Store, seed: &DatasetSeed) -> Result<(), StoreError> {
    let dataset_id = seed.dataset_id;
    match token_state(store, seed).await? {
        TokenState::Same => {}
        TokenState::Other => warn!(
            dataset_id = %dataset_id,
            "dataset {dataset_id} has another access token than the configured one, and keeps it; \
             `ingest-gateway reseed` replaces it"
        ),
        TokenState::Sealed => error!(
            dataset_id = %dataset_id,
            "the access token of dataset {dataset_id} opens with none of the sealing keys; \
             `ingest-gateway reseed` replaces it"
        ),
    }
    let stored = store.dataset_settings(dataset_id).await?;
    if stored.is_some_and(|stored| stored != dataset(seed).settings) {
        warn!(
            dataset_id = %dataset_id,
            "dataset {dataset_id} has other settings than the configured ones, and keeps them; \
             `ingest-gateway reseed` replaces them"
        );
    }
    Ok(())
}

/// How the stored access token is related to the configured one.
#[derive(PartialEq, Eq)]
enum TokenState {
    Same,
    Other,
    /// Of no use to anybody.
    Sealed,
}

async fn token_state(store: &Store, seed: &DatasetSeed) -> Result<TokenState, StoreError> {
    match store.access_token(seed.dataset_id).await {
        Ok(Some(known)) if known.expose_secret() != seed.access_token.expose_secret() => {
            Ok(TokenState::Other)
        }
        Ok(_) => Ok(TokenState::Same),
        Err(StoreError::Sealed { .. }) => Ok(TokenState::Sealed),
        Err(error) => Err(error),
    }
}

/// With a new token Meta may take again what it refused: that need not wait until the breaker would have
/// looked by itself.
pub(crate) async fn probe_if_blocked(store: &Store, dataset: DatasetId) -> Result<(), StoreError> {
    let probed = store
        .update_breaker(dataset, None, |breaker, now_ms| {
            let may_end = matches!(breaker.reason, Some(Reason::Blocked | Reason::Refused));
            may_end.then(|| breaker.retry_at_once(now_ms)).flatten()
        })
        .await?;
    if probed {
        info!(dataset_id = %dataset, "the access token is a new one; if the dataset was blocked or refused, it is tried again at once");
    } else {
        warn!(dataset_id = %dataset, "the breaker kept changing; with its new token the dataset waits for the next probe");
    }
    Ok(())
}

fn hash(key: &SecretString) -> [u8; 32] {
    Sha256::digest(key.expose_secret()).into()
}
