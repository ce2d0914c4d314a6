//! The payment accounts that webhooks are for, all of them kept in memory for a few seconds: a webhook costs
//! one statement, the one that stores it, and a stranger who tries numbers costs none.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use rastro_store::{PaymentAccount, Store, StoreError};

/// How soon a new secret is known, at the latest.
const FRESH: Duration = Duration::from_secs(10);
/// A number that nobody has makes the accounts be read again, but not more often than this.
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);
/// Notifications that nobody signed, of each account, on average: each is a read of the few that Mercado Pago
/// answers.
const HINTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(1).expect("not zero");
/// And at once.
const HINTS_AT_ONCE: NonZeroU32 = NonZeroU32::new(5).expect("not zero");

/// An account as webhooks see it.
pub(crate) struct WebhookAccount {
    pub(crate) account: PaymentAccount,
    hints: Arc<DefaultDirectRateLimiter>,
}

impl WebhookAccount {
    /// Whether one more notification that nobody signed is worth a look.
    pub(crate) fn takes_a_hint(&self) -> bool {
        self.hints.check().is_ok()
    }
}

/// All accounts, as they were read last.
#[derive(Default)]
struct Known {
    read_at: Option<Instant>,
    accounts: HashMap<i64, Arc<WebhookAccount>>,
}

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

    /// The account of this number, if there is one. Numbers that nobody has cost a statement a second, all
    /// together.
    ///
    /// # Errors
    /// When the accounts were never read, or this one cannot be. A database that went away costs no webhook
    /// its account.
    pub(crate) async fn get(&self, account_id: i64) -> Result<Option<Arc<WebhookAccount>>, StoreError> {
        let (account, age) = self.look(account_id);
        let fresh_for = if account.is_some() {
            FRESH
        } else {
            SHORTEST_REFRESH
        };
        if age.is_some_and(|age| age < fresh_for) {
            return Ok(account);
        }
        let mut accounts = match self.store.payment_accounts().await {
            Ok(accounts) => accounts,
            Err(error) => return account.map(Some).ok_or(error),
        };
        let unread = accounts
            .iter()
            .position(|(number, account)| *number == account_id && account.is_err());
        let unread = unread.map(|at| accounts.swap_remove(at).1);
        self.put(accounts);
        match unread {
            Some(Err(error)) => Err(error),
            _ => Ok(self.look(account_id).0),
        }
    }

    /// The account, and how long ago all of them were read.
    fn look(&self, account_id: i64) -> (Option<Arc<WebhookAccount>>, Option<Duration>) {
        let known = self.lock();
        let account = known.accounts.get(&account_id).cloned();
        (account, known.read_at.map(|at| at.elapsed()))
    }

    /// What is counted of hints stays counted.
    fn put(&self, accounts: Vec<(i64, Result<PaymentAccount, StoreError>)>) {
        let mut known = self.lock();
        let before = std::mem::take(&mut known.accounts);
        let with_hints = accounts.into_iter().filter_map(|(number, account)| {
            let hints = before.get(&number).map_or_else(
                || {
                    Arc::new(RateLimiter::direct(
                        Quota::per_second(HINTS_PER_SECOND).allow_burst(HINTS_AT_ONCE),
                    ))
                },
                |known| Arc::clone(&known.hints),
            );
            let account = account.ok()?;
            Some((number, Arc::new(WebhookAccount { account, hints })))
        });
        known.accounts = with_hints.collect();
        known.read_at = Some(Instant::now());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
