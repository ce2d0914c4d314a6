//! The payment accounts that webhooks are for, kept in memory for a few seconds: a webhook costs one statement, the one that
//! stores it.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use rastro_store::{PaymentAccount, Store, StoreError};

/// How soon a new secret is known, at the latest.
const FRESH: Duration = Duration::from_secs(10);
/// Numbers that nobody has are remembered, too, but not without bound.
const MOST: usize = 1_000;
/// Notifications that nobody signed, of each account, on average and at once.
const HINTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(5).expect("not zero");

/// An account as webhooks see it.
pub(crate) struct WebhookAccount {
    pub(crate) account: PaymentAccount,
    hints: DefaultDirectRateLimiter,
}

impl WebhookAccount {
    /// Whether one more notification that nobody signed is worth a look.
    pub(crate) fn takes_a_hint(&self) -> bool {
        self.hints.check().is_ok()
    }
}

type Known = HashMap<i64, (Instant, Option<Arc<WebhookAccount>>)>;

/// Clones share what is known.
#[derive(Clone)]
pub(crate) struct WebhookAccounts {
    store: Store,
    known: Arc<Mutex<Known>>,
}

impl WebhookAccounts {
    pub(crate) fn new(store: Store) -> Self {
        WebhookAccounts {
            store,
            known: Arc::default(),
        }
    }

    /// The account of this number, if there is one.
    pub(crate) async fn get(&self, account_id: i64) -> Result<Option<Arc<WebhookAccount>>, StoreError> {
        let known = self.lock().get(&account_id).cloned();
        if let Some((at, account)) = &known
            && at.elapsed() < FRESH
        {
            return Ok(account.clone());
        }
        let account = match self.store.payment_account(account_id).await {
            Ok(account) => account,
            // A database that is away costs no webhook its account; whether it is stored is another question.
            Err(error) => return known.map(|(_, account)| account).ok_or(error),
        };
        let account = account.map(|account| {
            Arc::new(WebhookAccount {
                account,
                hints: RateLimiter::direct(Quota::per_second(HINTS_PER_SECOND)),
            })
        });
        let mut known = self.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(account_id, (Instant::now(), account.clone()));
        Ok(account)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
