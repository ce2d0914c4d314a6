//! Who is calling: the API key in `Authorization: Bearer`, and the dataset or the operator it stands for.
//!
//! Keys are looked up by their SHA-256, which is all that is stored of them: how long a look-up takes tells
//! nothing about a key. All keys are kept in memory and read again every few seconds, so that a request costs
//! no query and a database that is away costs no caller its identity.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use rastro_core::event::ActionSource;
use rastro_core::finding::Finding;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{ApiKeyKind, Caller, Identity, KeyHash, Store, StoreError};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tracing::{error, warn};

use crate::metrics::GatewayMetrics;
use crate::problem::Problem;

/// A key that nobody knows makes the keys be read again, but not more often than this.
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);

/// What a publishable key may send that has no list of its own: what a page sees, up to a lead. Not
/// `Purchase`, `Subscribe` and `Donate`, of which a page cannot know that they were paid: anyone can read the
/// key there and claim the ids of the orders to come, and the event of the server that does know would then
/// be the duplicate.
const PAGE_EVENTS: [&str; 15] = [
    "AddPaymentInfo",
    "AddToCart",
    "AddToWishlist",
    "CompleteRegistration",
    "Contact",
    "CustomizeProduct",
    "FindLocation",
    "InitiateCheckout",
    "Lead",
    "PageView",
    "Schedule",
    "Search",
    "StartTrial",
    "SubmitApplication",
    "ViewContent",
];

/// A second, of each key.
const LOGGED_STRANGERS: NonZeroU32 = NonZeroU32::new(10).expect("it is not zero");
const VIEWER: &str = "a viewer key is for the dashboard, and sends no events";
const RETIRED: &str = "the dataset of this key was retired, and takes no events any more";

/// How many events a second a key may send, on average.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) any_key: Option<NonZeroU32>,
    pub(crate) publishable_key: Option<NonZeroU32>,
}

impl Limits {
    fn of(&self, kind: ApiKeyKind) -> Option<NonZeroU32> {
        match kind {
            ApiKeyKind::Secret => self.any_key,
            ApiKeyKind::Publishable => [self.any_key, self.publishable_key].into_iter().flatten().min(),
        }
    }
}

/// A caller and what it may still send.
pub(crate) struct KnownKey {
    pub(crate) caller: Caller,
    limiter: Option<Arc<DefaultDirectRateLimiter>>,
    /// Of the log's rows for origins that are refused.
    strangers: Arc<DefaultDirectRateLimiter>,
}

impl KnownKey {
    fn new(caller: Caller, quota: Option<NonZeroU32>) -> Self {
        let limiter = |quota| Arc::new(RateLimiter::direct(Quota::per_second(quota)));
        KnownKey {
            caller,
            limiter: quota.map(limiter),
            strangers: limiter(LOGGED_STRANGERS),
        }
    }

    /// Whether one more origin that may not use the key is written to the log. A tag that was copied to a busy
    /// page fills no log, and uses up nothing of what the owner's own pages may send.
    pub(crate) fn logs_stranger(&self) -> bool {
        self.strangers.check().is_ok()
    }

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

    /// Whether the key may send events of this name; if not, what is wrong with the event.
    pub(crate) fn may_send(&self, event_name: &str) -> Result<(), Finding> {
        let is_on_list = match (&self.caller.event_names, self.caller.kind) {
            (Some(names), _) => names.iter().any(|name| name == event_name),
            (None, ApiKeyKind::Publishable) => PAGE_EVENTS.binary_search(&event_name).is_ok(),
            (None, ApiKeyKind::Secret) => true,
        };
        match is_on_list {
            true => Ok(()),
            false => Err(Finding {
                pointer: "/event_name".to_owned(),
                detail:
                    "is not among the event names of this key; send it from your server, with a secret key"
                        .into(),
            }),
        }
    }

    /// Whether the key may tell of something that happened there. Anyone can read a page's key: it tells of
    /// what happens on a page, and of what a form or an order without an event becomes.
    pub(crate) fn may_be_from(&self, source: ActionSource) -> Result<(), Finding> {
        let is_a_pages = matches!(source, ActionSource::Website | ActionSource::SystemGenerated);
        match self.caller.kind == ApiKeyKind::Secret || is_a_pages {
            true => Ok(()),
            false => Err(Finding {
                pointer: "/action_source".to_owned(),
                detail: "must be website with a publishable key; send it from your server, with a secret key"
                    .into(),
            }),
        }
    }

    /// Whether the request may carry a test event code. Each code goes to Meta in requests of its own, and
    /// its events show up in the business's Test Events: not for everyone who can read the key in a page.
    pub(crate) fn may_test(&self, test_event_code: Option<&str>) -> Result<(), Problem> {
        self.may_test_item(test_event_code)
            .map_err(|error| Problem::not_for_this_key(vec![error]))
    }

    /// As [`may_test`](Self::may_test), for one event of a batch.
    pub(crate) fn may_test_item(&self, test_event_code: Option<&str>) -> Result<(), Finding> {
        match (test_event_code, self.caller.kind) {
            (Some(_), ApiKeyKind::Publishable) => Err(Finding {
                pointer: "/test_event_code".to_owned(),
                detail:
                    "is not for a publishable key; use a secret key, or the dataset's own test event code"
                        .into(),
            }),
            _ => Ok(()),
        }
    }
}

/// What a key of our list stands for.
#[derive(Clone)]
pub(crate) enum Known {
    Caller(Arc<KnownKey>),
    /// By the label of the key.
    Operator(Arc<str>),
    /// A key that is known and opens nothing here, and why.
    Nothing(&'static str),
}

/// The key in an `Authorization` header.
pub(crate) fn bearer(authorization: Option<&str>) -> Result<&str, Problem> {
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
    Ok(key.trim())
}

type Keys = HashMap<KeyHash, Known>;

/// Every key that is valid, as last read. Clones share it.
#[derive(Clone)]
pub(crate) struct Keyring {
    store: Store,
    limits: Limits,
    metrics: GatewayMetrics,
    keys: Arc<RwLock<Keys>>,
    last_reading: Arc<Mutex<Option<Reading>>>,
    skipped: Arc<std::sync::Mutex<BTreeMap<String, usize>>>,
}

/// One attempt to read the keys.
#[derive(Clone, Copy)]
struct Reading {
    ended: Instant,
    succeeded: bool,
}

impl Keyring {
    pub(crate) fn new(store: Store, limits: Limits, metrics: GatewayMetrics) -> Self {
        Keyring {
            store,
            limits,
            metrics,
            keys: Arc::default(),
            last_reading: Arc::default(),
            skipped: Arc::default(),
        }
    }

    /// Reads the keys again every so often, until shutdown.
    pub(crate) async fn keep_fresh(self, every: Duration, shutdown: Shutdown) {
        loop {
            let mut last_reading = self.last_reading.lock().await;
            if let Err(error) = self.read(&mut last_reading).await {
                warn!(
                    "API keys could not be read, the ones known stay valid: {}",
                    ErrorChain(&error)
                );
            }
            drop(last_reading);
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = shutdown.requested() => return,
            }
        }
    }

    /// The label of the admin key that an `Authorization` header names.
    pub(crate) async fn operator(&self, authorization: Option<&str>) -> Result<Arc<str>, Problem> {
        match self.identify(bearer(authorization)?).await? {
            Known::Operator(label) => Ok(label),
            Known::Caller(_) | Known::Nothing(_) => {
                Err(Problem::forbidden("this is for operators; it takes an admin key"))
            }
        }
    }

    /// Reads the keys at once, after a change that was made here. Should that fail, the next reading sees it.
    pub(crate) async fn refresh(&self) {
        let mut last_reading = self.last_reading.lock().await;
        if let Err(error) = self.read(&mut last_reading).await {
            warn!(
                "a changed API key is seen only at the next reading: {}",
                ErrorChain(&error)
            );
        }
    }

    /// Whose key it is.
    pub(crate) async fn identify(&self, key: &str) -> Result<Known, Problem> {
        let hash: KeyHash = Sha256::digest(key).into();
        if let Some(known) = self.known(&hash) {
            return Ok(known);
        }
        // It may be newer than our list.
        match self.read_again().await {
            true => self
                .known(&hash)
                .ok_or_else(|| Problem::unauthorized("this API key is not known")),
            false => Err(Problem::unavailable()),
        }
    }

    /// Reads the keys for somebody whose key is unknown, and says whether that worked. Everybody who waits
    /// meanwhile shares the answer: while the database is away nobody waits for more than the one attempt
    /// that is under way.
    async fn read_again(&self) -> bool {
        let came = Instant::now();
        let mut last_reading = self.last_reading.lock().await;
        if let Some(reading) = *last_reading
            && (reading.ended >= came || reading.ended.elapsed() < SHORTEST_REFRESH)
        {
            return reading.succeeded;
        }
        match self.read(&mut last_reading).await {
            Ok(()) => true,
            Err(error) => {
                warn!(
                    "an unknown API key could not be looked up: {}",
                    ErrorChain(&error)
                );
                false
            }
        }
    }

    fn known(&self, hash: &KeyHash) -> Option<Known> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(hash)
            .cloned()
    }

    async fn read(&self, last_reading: &mut Option<Reading>) -> Result<(), StoreError> {
        let identities = self.store.identities().await;
        *last_reading = Some(Reading {
            ended: Instant::now(),
            succeeded: identities.is_ok(),
        });
        let identities = identities?;
        self.say_what_was_skipped(identities.skipped);
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *keys = identities
            .known
            .into_iter()
            .map(|(hash, identity)| {
                let caller = match identity {
                    Identity::Operator { label } => return (hash, Known::Operator(label.into())),
                    Identity::Viewer => return (hash, Known::Nothing(VIEWER)),
                    Identity::Retired => return (hash, Known::Nothing(RETIRED)),
                    Identity::Caller(caller) => caller,
                };
                let quota = self.limits.of(caller.kind);
                let known = match keys.get(&hash) {
                    // What a key has used up survives the reading.
                    Some(Known::Caller(known)) => KnownKey {
                        caller,
                        limiter: known.limiter.clone(),
                        strangers: known.strangers.clone(),
                    },
                    _ => KnownKey::new(caller, quota),
                };
                (hash, Known::Caller(Arc::new(known)))
            })
            .collect();
        Ok(())
    }

    /// Once, and again when it is something else.
    fn say_what_was_skipped(&self, skipped: BTreeMap<String, usize>) {
        let count: usize = skipped.values().sum();
        self.metrics
            .skipped_keys
            .set(i64::try_from(count).unwrap_or(i64::MAX));
        let mut said = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        if *said != skipped {
            for (why, count) in &skipped {
                error!("{count} API keys are not understood by this version and open nothing: {why}");
            }
            *said = skipped;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(kind: ApiKeyKind, event_names: Option<&[&str]>) -> Caller {
        let settings = rastro_store::DatasetSettings {
            name: "test".into(),
            ..Default::default()
        };
        Caller {
            key_id: 1,
            dataset_id: 1.try_into().unwrap(),
            kind,
            event_names: event_names.map(|names| names.iter().map(ToString::to_string).collect()),
            settings,
        }
    }

    fn key(events_per_second: u32) -> KnownKey {
        KnownKey::new(
            caller(ApiKeyKind::Secret, None),
            NonZeroU32::new(events_per_second),
        )
    }

    #[test]
    fn a_publishable_key_sends_what_a_page_sees_or_what_is_on_its_list() {
        let may = |kind, names: Option<&[&str]>, event: &str| {
            let key = KnownKey::new(caller(kind, names), None);
            key.may_send(event).is_ok()
        };
        let (page, server) = (ApiKeyKind::Publishable, ApiKeyKind::Secret);
        for event in PAGE_EVENTS {
            assert!(may(page, None, event), "{event}");
        }
        for event in ["Purchase", "Subscribe", "Donate", "pageview", "Anything else"] {
            assert!(!may(page, None, event), "{event}");
            assert!(may(server, None, event), "{event}");
        }
        assert!(may(page, Some(&["Purchase"]), "Purchase"));
        assert!(
            !may(page, Some(&["Purchase"]), "PageView"),
            "the list is the whole list"
        );
    }

    #[test]
    fn a_publishable_key_has_the_lower_of_both_limits() {
        let limits = |any_key, publishable_key| Limits {
            any_key: NonZeroU32::new(any_key),
            publishable_key: NonZeroU32::new(publishable_key),
        };
        let of = |limits: Limits, kind| limits.of(kind).map_or(0, NonZeroU32::get);
        for (limits, secret, publishable) in [
            (limits(0, 0), 0, 0),
            (limits(0, 100), 0, 100),
            (limits(50, 100), 50, 50),
            (limits(500, 100), 500, 100),
            (limits(50, 0), 50, 50),
        ] {
            assert_eq!(
                (
                    of(limits, ApiKeyKind::Secret),
                    of(limits, ApiKeyKind::Publishable)
                ),
                (secret, publishable),
                "{limits:?}"
            );
        }
    }

    /// However many come with keys that nobody knows: a database that never answers is asked once at a time,
    /// and once a second.
    #[tokio::test]
    async fn unknown_keys_do_not_queue_up_for_a_database_that_is_away() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "postgres://u:p@{}/x?sslmode=disable",
            silent.local_addr().unwrap()
        );
        let key = "mE1dNnKB1LGNsVlGXvbmYzTNFlh6W3mBtrdQi/0kfDQ=";
        let config = rastro_store::DatabaseConfig {
            connect_timeout_seconds: 1,
            ..rastro_store::DatabaseConfig::new(url.into(), key.into())
        };
        let store = Store::new(&config, "test").unwrap();
        let (_, metrics) = rastro_service::metrics::Metrics::new("test", "0", GatewayMetrics::register);
        let keyring = Keyring::new(store, Limits::default(), metrics);
        let asking = (0..100).map(|caller| {
            let keyring = keyring.clone();
            async move {
                let key = format!("sk_{caller}");
                keyring
                    .identify(&key)
                    .await
                    .err()
                    .unwrap()
                    .into_response(uuid::Uuid::nil())
                    .status()
                    .as_u16()
            }
        });
        let answers = futures_util::future::join_all(asking).await;
        assert_eq!(answers, [503; 100]);
        let connections = std::iter::from_fn(|| {
            let accepting = std::pin::pin!(silent.accept());
            futures_util::FutureExt::now_or_never(accepting)
        });
        assert_eq!(connections.count(), 1);
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
