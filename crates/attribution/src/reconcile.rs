//! Comparisons of an account's payments with the books. What was lost on the way (a webhook, an update, a
//! refund) comes in here, through the same code as webhooks; what differs is shown, payment by payment, and
//! no difference is smoothed over.

mod compare;
mod orders;

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rastro_core::payment::Payment;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{Comparison, ComparisonKind, NewComparison, PaymentAccount, StoreError};
use tracing::{info, warn};

use crate::config::ReconcileConfig;
use crate::mercado_pago::payments::PAGE;
use crate::mercado_pago::{ReadError, Window, WindowOf};
use crate::payments::{FollowError, Payments};

/// Mercado Pago refuses to list many rows (code 1000), without saying how many: windows are halved to this.
const MOST_IN_SLICE: u64 = 1_000;
/// The shortest slice; more than that in one second is listed whole.
const SHORTEST_SLICE_MS: i64 = 1_000;
/// How often a slice is listed whose payments move meanwhile.
const PASSES: u32 = 3;
/// How long a comparison on demand is held for one slice; then another process may go on with it.
const LEASE_SECONDS: i64 = 900;

/// Why a comparison did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process goes on with it.
    #[error("the comparison is another process's by now")]
    Lost,
}

impl From<ReadError> for CompareError {
    fn from(error: ReadError) -> Self {
        CompareError::Follow(error.into())
    }
}

/// Compares what is due, again and again until shutdown.
pub(crate) async fn run(payments: &Payments, config: &ReconcileConfig, shutdown: &Shutdown) {
    if !config.enabled {
        return;
    }
    loop {
        if let Err(error) = round(payments, config, shutdown).await {
            warn!("accounts cannot be compared, trying on: {}", ErrorChain(&error));
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(config.interval_seconds)) => {}
            () = shutdown.requested() => return,
        }
    }
}

/// Makes every comparison that is due now.
///
/// # Errors
/// When the accounts could not be listed. What goes wrong with one of them is logged.
pub async fn round(
    payments: &Payments,
    config: &ReconcileConfig,
    shutdown: &Shutdown,
) -> Result<(), StoreError> {
    for account in payments.store.open_payment_accounts().await? {
        for kind in [
            ComparisonKind::Hourly,
            ComparisonKind::Nightly,
            ComparisonKind::Weekly,
        ] {
            if shutdown.is_requested() {
                return Ok(());
            }
            match compare_if_due(payments, config, &account, kind, shutdown).await {
                Ok(()) | Err(CompareError::Lost) => {}
                // It goes on where it was, when its lease is over; and keeps no other from being made.
                Err(error) => interrupted(payments, &account, kind, &error).await,
            }
        }
    }
    Ok(())
}

/// Tells whoever reads the log, and whoever reads the books.
async fn interrupted(
    payments: &Payments,
    account: &PaymentAccount,
    kind: ComparisonKind,
    error: &CompareError,
) {
    let (kind_name, id, problem) = (kind.as_str(), account.account_id, ErrorChain(error).to_string());
    warn!("the {kind_name} comparison of account {id} was interrupted: {problem}");
    let store = &payments.store;
    let noted = store.note_problem(account.dataset_id, id, kind, &problem).await;
    if let Err(error) = noted {
        warn!(
            "and the page of the books does not say so: {}",
            ErrorChain(&error)
        );
    }
}

async fn compare_if_due(
    payments: &Payments,
    config: &ReconcileConfig,
    account: &PaymentAccount,
    kind: ComparisonKind,
    shutdown: &Shutdown,
) -> Result<(), CompareError> {
    let store = &payments.store;
    let (dataset, id) = (account.dataset_id, account.account_id);
    let lease = config.lease_seconds;
    let mut comparison = store.resume_comparison(dataset, id, kind, lease).await?;
    if comparison.is_none() {
        let until = store.compared_until(dataset, id, kind).await?;
        if let Some(new) = due(config, account, kind, until, store.now().await?) {
            comparison = store.begin_comparison(&new, lease).await?;
        }
    }
    match comparison {
        Some(comparison) => compare_all(payments, account, (comparison, lease), shutdown).await,
        None => Ok(()),
    }
}

/// The comparison that is due, after one up to `until`.
fn due(
    config: &ReconcileConfig,
    account: &PaymentAccount,
    kind: ComparisonKind,
    until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<NewComparison> {
    let to = whole_milliseconds(now - TimeDelta::seconds(config.sweep_lag_seconds));
    let first = |days| to - TimeDelta::days(days);
    let (every, window_of, from) = match kind {
        ComparisonKind::Hourly => {
            let overlap = TimeDelta::seconds(config.sweep_overlap_seconds);
            // After a long pause no further back than a year, which is all that is listed.
            let from = until.map_or_else(|| first(config.nightly_days), |until| until - overlap);
            let from = from.max(first(364));
            (
                TimeDelta::seconds(config.sweep_every_seconds),
                WindowOf::LastUpdate,
                from,
            )
        }
        ComparisonKind::Weekly => (TimeDelta::days(7), WindowOf::Creation, first(config.weekly_days)),
        ComparisonKind::Nightly | ComparisonKind::Manual => {
            (TimeDelta::days(1), WindowOf::Creation, first(config.nightly_days))
        }
    };
    until
        .is_none_or(|until| until + every <= to)
        .then(|| NewComparison {
            dataset_id: account.dataset_id,
            account_id: account.account_id,
            kind,
            window_of: window_of.as_str(),
            from: whole_milliseconds(from),
            to,
        })
}

/// Compares the payments that were created in the last so many days, now.
///
/// # Errors
/// When it was interrupted. The same call goes on with it.
pub async fn compare_now(
    payments: &Payments,
    account: &PaymentAccount,
    days: i64,
    shutdown: &Shutdown,
) -> Result<(), CompareError> {
    let (store, kind) = (&payments.store, ComparisonKind::Manual);
    let (dataset, id) = (account.dataset_id, account.account_id);
    // Up to now: whoever asks wants to see the payment that was just made.
    let now = store.now().await?;
    let to = whole_milliseconds(now) + TimeDelta::milliseconds(1);
    let comparison = match store.resume_comparison(dataset, id, kind, LEASE_SECONDS).await? {
        Some(comparison) => Some(comparison),
        None => {
            let new = NewComparison {
                dataset_id: dataset,
                account_id: id,
                kind,
                window_of: WindowOf::Creation.as_str(),
                from: to - TimeDelta::days(days),
                to,
            };
            store.begin_comparison(&new, LEASE_SECONDS).await?
        }
    };
    match comparison {
        Some(comparison) => compare_all(payments, account, (comparison, LEASE_SECONDS), shutdown).await,
        None => Err(CompareError::Lost),
    }
}

/// Goes on with a comparison to its end, slice by slice.
async fn compare_all(
    payments: &Payments,
    account: &PaymentAccount,
    (mut comparison, lease): (Comparison, i64),
    shutdown: &Shutdown,
) -> Result<(), CompareError> {
    let of = match comparison.window_of.as_str() {
        "date_created" => WindowOf::Creation,
        _ => WindowOf::LastUpdate,
    };
    let mut length = comparison.to - comparison.cursor;
    while comparison.cursor < comparison.to {
        if shutdown.is_requested() {
            return Ok(());
        }
        let from = comparison.cursor;
        let (until, listed) = slice(payments, account, of, from, comparison.to, &mut length).await?;
        if of == WindowOf::Creation {
            orders::read_again(payments, account, &comparison, until).await?;
        }
        let sums = compare::slice(payments, account, &comparison, of, until, listed).await?;
        let counted = payments
            .store
            .count_slice(&mut comparison, until, &sums, lease)
            .await?;
        if !counted {
            return Err(CompareError::Lost);
        }
    }
    info!(
        "compared account {} from {} to {}",
        account.account_id, comparison.from, comparison.to
    );
    Ok(())
}

/// A slice's payments, each once, and the ids of those that cannot be read.
pub(crate) struct Listed {
    pub(crate) payments: Vec<Payment>,
    pub(crate) unreadable: Vec<String>,
}

/// Lists a slice from `from` on that is short enough to be listed whole; returns where it ends. `length` is
/// what was short enough last time.
async fn slice(
    payments: &Payments,
    account: &PaymentAccount,
    of: WindowOf,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    length: &mut TimeDelta,
) -> Result<(DateTime<Utc>, Listed), CompareError> {
    *length = (*length * 2).min(to - from);
    loop {
        let until = (from + *length).min(to);
        // Windows include their end; a payment in two slices would be counted twice.
        let window = Window {
            of,
            from,
            to: until - TimeDelta::milliseconds(1),
        };
        let first = payments.mercado_pago.search(account, &window, 0).await;
        let first = payments.check(account, first).await?;
        let is_short = (until - from).num_milliseconds() <= SHORTEST_SLICE_MS;
        if first.total <= MOST_IN_SLICE || is_short {
            return Ok((until, list(payments, account, &window).await?));
        }
        let half = (until - from).num_milliseconds() / 2;
        *length = TimeDelta::milliseconds(half.max(SHORTEST_SLICE_MS));
    }
}

/// Lists a window. One that moves while it is listed is listed again, until nothing is missing.
async fn list(
    payments: &Payments,
    account: &PaymentAccount,
    window: &Window,
) -> Result<Listed, CompareError> {
    let mut found: HashMap<String, Payment> = HashMap::new();
    let mut unreadable: Vec<String> = Vec::new();
    for _ in 0..PASSES {
        let (mut offset, mut total) = (0, 1);
        while offset < total {
            let page = payments.mercado_pago.search(account, window, offset).await;
            let page = payments.check(account, page).await?;
            total = page.total;
            for payment in page.payments {
                let newer = |known: &Payment| known.updated_at < payment.updated_at;
                if found.get(&payment.id).is_none_or(newer) {
                    found.insert(payment.id.clone(), payment);
                }
            }
            unreadable.extend(page.unreadable);
            offset += PAGE;
        }
        unreadable.sort_unstable();
        unreadable.dedup();
        let listed = u64::try_from(found.len() + unreadable.len()).unwrap_or(u64::MAX);
        if listed >= total {
            break;
        }
    }
    let mut listed: Vec<Payment> = found.into_values().collect();
    listed.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
    Ok(Listed {
        payments: listed,
        unreadable,
    })
}

/// As exact as Mercado Pago's dates are.
fn whole_milliseconds(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(time.timestamp_millis()).unwrap_or(time)
}
