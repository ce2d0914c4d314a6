//! Who is calling: the API key in `Authorization: Bearer`, and the dataset or the operator it stands for.
//!
//! Keys are looked up by their SHA-256, which is all that is stored of them: how long a look-up takes tells nothing
//! about a key. All keys are kept in memory and read again every few seconds, so that a request costs no query and a
//! database that is away costs no caller its identity.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{Caller, Identity, KeyHash, Store, StoreError};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tracing::warn;

use crate::problem::Problem;

/// A key that nobody knows makes the keys be read again, but not more often than this.
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);

/// A caller and what it may still send.
pub(crate) struct KnownKey {
    pub(crate) caller: Caller,
    limiter: Option<Arc<DefaultDirectRateLimiter>>,
}

impl KnownKey {
    /// Takes the given number of events off what this key may send.
    pub(crate) fn admit(&self, events: usize) -> Result<(), Problem> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        let Some(events) = u32::try_from(events).ok().and_then(NonZeroU32::new) else {
            return Ok(());
        };
        match limiter.check_n(events) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refused)) => {
                let wait = refused.wait_time_from(DefaultClock::default().now());
                let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
                Err(Problem::too_many_requests(seconds.saturating_add(1)))
            }
            Err(_) => Err(Problem::too_large(
                "more events than this key may send in a second",
            )),
        }
    }
}

/// What a key of our list stands for.
#[derive(Clone)]
enum Known {
    Caller(Arc<KnownKey>),
    /// By the label of the key.
    Operator(Arc<str>),
}

type Keys = HashMap<KeyHash, Known>;

/// Every key that is valid, as last read. Clones share it.
#[derive(Clone)]
pub(crate) struct Keyring {
    store: Store,
    max_events_per_second: u32,
    keys: Arc<RwLock<Keys>>,
    last_read: Arc<Mutex<Option<Instant>>>,
}

impl Keyring {
    pub(crate) fn new(store: Store, max_events_per_second: u32) -> Self {
        Keyring {
            store,
            max_events_per_second,
            keys: Arc::default(),
            last_read: Arc::default(),
        }
    }

    /// Reads the keys again every so often, until shutdown.
    pub(crate) async fn keep_fresh(self, every: Duration, shutdown: Shutdown) {
        loop {
            let mut last_read = self.last_read.lock().await;
            if let Err(error) = self.read(&mut last_read).await {
                warn!(
                    "API keys could not be read, the ones known stay valid: {}",
                    ErrorChain(&error)
                );
            }
            drop(last_read);
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = shutdown.requested() => return,
            }
        }
    }

    /// The sender of events that an `Authorization` header names.
    pub(crate) async fn caller(&self, authorization: Option<&str>) -> Result<Arc<KnownKey>, Problem> {
        match self.authenticate(authorization).await? {
            Known::Caller(caller) => Ok(caller),
            Known::Operator(_) => Err(Problem::forbidden(
                "an admin key sends no events; use a dataset's own key",
            )),
        }
    }

    /// The label of the admin key that an `Authorization` header names.
    pub(crate) async fn operator(&self, authorization: Option<&str>) -> Result<Arc<str>, Problem> {
        match self.authenticate(authorization).await? {
            Known::Operator(label) => Ok(label),
            Known::Caller(_) => Err(Problem::forbidden("this is for operators; it takes an admin key")),
        }
    }

    async fn authenticate(&self, authorization: Option<&str>) -> Result<Known, Problem> {
        let Some(header) = authorization else {
            return Err(Problem::unauthorized(
                "send your API key as \"Authorization: Bearer <key>\"",
            ));
        };
        let key = header
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, key)) = key else {
            return Err(Problem::unauthorized(
                "the Authorization header must be \"Bearer <key>\"",
            ));
        };
        let hash: KeyHash = Sha256::digest(key.trim()).into();
        if let Some(known) = self.known(&hash) {
            return Ok(known);
        }
        // It may be newer than our list.
        let mut last_read = self.last_read.lock().await;
        if last_read.is_none_or(|at| at.elapsed() >= SHORTEST_REFRESH)
            && let Err(error) = self.read(&mut last_read).await
        {
            warn!(
                "an unknown API key could not be looked up: {}",
                ErrorChain(&error)
            );
            return Err(Problem::unavailable());
        }
        self.known(&hash)
            .ok_or_else(|| Problem::unauthorized("this API key is not known"))
    }

    fn known(&self, hash: &KeyHash) -> Option<Known> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(hash)
            .cloned()
    }

    async fn read(&self, last_read: &mut Option<Instant>) -> Result<(), StoreError> {
        let identities = self.store.identities().await?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let quota = NonZeroU32::new(self.max_events_per_second);
        *keys = identities
            .into_iter()
            .map(|(hash, identity)| {
                let caller = match identity {
                    Identity::Operator { label } => return (hash, Known::Operator(label.into())),
                    Identity::Caller(caller) => caller,
                };
                // What a key has used up survives the reading.
                let limiter = match keys.get(&hash) {
                    Some(Known::Caller(known)) => known.limiter.clone(),
                    _ => quota.map(|quota| Arc::new(RateLimiter::direct(Quota::per_second(quota)))),
                };
                (hash, Known::Caller(Arc::new(KnownKey { caller, limiter })))
            })
            .collect();
        *last_read = Some(Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(events_per_second: u32) -> KnownKey {
        let settings = rastro_store::DatasetSettings {
            name: "test".into(),
            defaults: Default::default(),
            test_event_code: None,
        };
        let caller = Caller {
            dataset_id: 1.try_into().unwrap(),
            kind: rastro_store::ApiKeyKind::Secret,
            settings,
        };
        let limiter = RateLimiter::direct(Quota::per_second(NonZeroU32::new(events_per_second).unwrap()));
        KnownKey {
            caller,
            limiter: Some(Arc::new(limiter)),
        }
    }

    #[test]
    fn a_key_over_its_limit_is_told_to_wait() {
        let key = key(1_000);
        assert!(key.admit(999).is_ok());
        let refused = key.admit(1_000).unwrap_err().into_response(uuid::Uuid::nil());
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers().get("retry-after").unwrap(), "1");
    }

    #[test]
    fn a_batch_that_can_never_pass_is_not_told_to_wait() {
        let refused = key(10).admit(11).unwrap_err().into_response(uuid::Uuid::nil());
        assert_eq!(refused.status(), 413);
    }
}
