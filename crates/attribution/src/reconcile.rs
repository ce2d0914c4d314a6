//! Comparisons of an account's payments with the books. What was lost on the way (a webhook, an update, a
//! refund) comes in here, through the same code as webhooks; what differs is shown, payment by payment, and
//! no difference is smoothed over.

mod compare;
mod orders;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt as _;
use rastro_core::payment::Payment;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{Comparison, ComparisonKind, NewComparison, PaymentAccount, StoreError};
use tracing::{info, warn};

use crate::config::ReconcileConfig;
use crate::mercado_pago::payments::MOST_ROWS;
use crate::mercado_pago::{ReadError, Window, WindowOf};
use crate::metrics::{ComparisonLabels, ComparisonOutcome};
use crate::payments::{FollowError, Payments};

/// The shortest slice; more than that in one second is listed whole.
const SHORTEST_SLICE_MS: i64 = 1_000;
/// How many accounts are compared at once. Each has its own limit of requests.
const ACCOUNTS_AT_ONCE: usize = 4;
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

impl Payments {
    fn count_comparison(&self, outcome: ComparisonOutcome) {
        let labels = ComparisonLabels { outcome };
        self.metrics.comparisons.get_or_create(&labels).inc();
    }
}

/// Compares what is due, again and again until shutdown.
pub(crate) async fn run(payments: &Payments, config: &ReconcileConfig, shutdown: &Shutdown) {
    if !config.enabled {
        return;
    }
    loop {
        let wait = match round(payments, config, shutdown).await {
            // Everybody has had a turn meanwhile.
            Ok(true) => Duration::ZERO,
            Ok(false) => Duration::from_secs(config.interval_seconds),
            Err(error) => {
                warn!("accounts cannot be compared, trying on: {}", ErrorChain(&error));
                Duration::from_secs(config.interval_seconds)
            }
        };
        if shutdown.is_requested() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.requested() => return,
        }
    }
}

/// Makes every comparison that is due now, of some accounts at once. Says whether a long one was left at the
/// end of its turn: the next round goes on with it.
///
/// # Errors
/// When the accounts could not be listed. What goes wrong with one of them is logged.
pub async fn round(
    payments: &Payments,
    config: &ReconcileConfig,
    shutdown: &Shutdown,
) -> Result<bool, StoreError> {
    let accounts = payments.store.open_payment_accounts().await?;
    // One that is slow, or has much to compare, keeps others waiting for no longer than its turn.
    let left: Vec<bool> = futures_util::stream::iter(accounts)
        .map(|account| async move { compare_due(payments, config, &account, shutdown).await })
        .buffer_unordered(ACCOUNTS_AT_ONCE)
        .collect()
        .await;
    Ok(left.contains(&true))
}

/// Every comparison of an account that is due. Says whether one was left at the end of its turn.
async fn compare_due(
    payments: &Payments,
    config: &ReconcileConfig,
    account: &PaymentAccount,
    shutdown: &Shutdown,
) -> bool {
    let mut is_left = false;
    for kind in [
        ComparisonKind::Hourly,
        ComparisonKind::Nightly,
        ComparisonKind::Weekly,
    ] {
        if shutdown.is_requested() {
            return false;
        }
        match compare_if_due(payments, config, account, kind, shutdown).await {
            // What was lost since the last one goes before what happened long ago.
            Ok(true) if kind == ComparisonKind::Hourly => return true,
            Ok(left) => is_left |= left,
            Err(CompareError::Lost) => {}
            // It goes on where it was, when its lease is over; and keeps no other from being made.
            Err(error) => {
                payments.count_comparison(ComparisonOutcome::interrupted);
                interrupted(payments, account, kind, &error).await;
            }
        }
    }
    is_left
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

/// Says whether it was left at the end of its turn.
async fn compare_if_due(
    payments: &Payments,
    config: &ReconcileConfig,
    account: &PaymentAccount,
    kind: ComparisonKind,
    shutdown: &Shutdown,
) -> Result<bool, CompareError> {
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
    let Some(comparison) = comparison else {
        return Ok(false);
    };
    let turn = Turn {
        lease,
        turn: Some(Duration::from_secs(config.turn_seconds)),
    };
    compare_all(payments, account, comparison, turn, shutdown).await
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
        Some(comparison) => {
            let turn = Turn {
                lease: LEASE_SECONDS,
                turn: None,
            };
            compare_all(payments, account, comparison, turn, shutdown).await?;
            Ok(())
        }
        None => Err(CompareError::Lost),
    }
}

/// How long a comparison is ours: `lease` seconds for a slice, and until the end of its turn, if it has one.
#[derive(Clone, Copy)]
struct Turn {
    lease: i64,
    turn: Option<Duration>,
}

/// Goes on with a comparison to its end, slice by slice, or to the end of its turn. Says whether it was left
/// there.
async fn compare_all(
    payments: &Payments,
    account: &PaymentAccount,
    mut comparison: Comparison,
    Turn { lease, turn }: Turn,
    shutdown: &Shutdown,
) -> Result<bool, CompareError> {
    let began = Instant::now();
    let of = match comparison.window_of.as_str() {
        "date_created" => WindowOf::Creation,
        _ => WindowOf::LastUpdate,
    };
    let mut length = comparison.to - comparison.cursor;
    while comparison.cursor < comparison.to {
        if shutdown.is_requested() {
            return Ok(false);
        }
        let from = comparison.cursor;
        let (until, listed) = slice(payments, account, of, from, comparison.to, &mut length).await?;
        if of == WindowOf::Creation {
            orders::read_again(payments, account, &comparison, until, &listed).await?;
        }
        let sums = compare::slice(payments, account, &comparison, of, until, listed).await?;
        let counted = payments
            .store
            .count_slice(&mut comparison, until, &sums, lease)
            .await?;
        if !counted {
            return Err(CompareError::Lost);
        }
        let is_over = turn.is_some_and(|turn| began.elapsed() >= turn);
        if is_over && comparison.cursor < comparison.to {
            payments.store.release_comparison(&comparison).await?;
            return Ok(true);
        }
    }
    payments.count_comparison(ComparisonOutcome::complete);
    info!(
        "compared account {} from {} to {}",
        account.account_id, comparison.from, comparison.to
    );
    Ok(false)
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
        if first.total <= MOST_ROWS || is_short {
            return Ok((until, list(payments, account, &window).await?));
        }
        let half = (until - from).num_milliseconds() / 2;
        *length = TimeDelta::milliseconds(half.max(SHORTEST_SLICE_MS));
    }
}

/// Lists a window. One that moves while it is listed is listed again, until nothing is missing.
///
/// # Errors
/// Also when something still is after all passes: what was not listed must not be taken for compared.
async fn list(
    payments: &Payments,
    account: &PaymentAccount,
    window: &Window,
) -> Result<Listed, CompareError> {
    let mut found: HashMap<String, Payment> = HashMap::new();
    let mut unreadable: Vec<String> = Vec::new();
    // Entries without an id are not told apart: the most that one pass has.
    let mut unnamed = 0;
    for _ in 0..PASSES {
        let (mut offset, mut total, mut unnamed_now) = (0, 1, 0);
        while offset < total {
            let page = payments.mercado_pago.search(account, window, offset).await;
            let page = payments.check(account, page).await?;
            total = page.total;
            // However many were asked for: how many there are at most is not documented.
            let rows = count(page.payments.len() + page.unreadable.len());
            for payment in page.payments {
                let newer = |known: &Payment| known.updated_at < payment.updated_at;
                if found.get(&payment.id).is_none_or(newer) {
                    found.insert(payment.id.clone(), payment);
                }
            }
            unnamed_now += count(page.unreadable.iter().filter(|id| id.is_empty()).count());
            unreadable.extend(page.unreadable);
            if rows == 0 {
                break;
            }
            offset += rows;
        }
        unreadable.sort_unstable();
        unreadable.dedup();
        unnamed = unnamed.max(unnamed_now);
        let named = unreadable.iter().filter(|id| !id.is_empty()).count();
        if count(found.len() + named) + unnamed >= total {
            let mut listed: Vec<Payment> = found.into_values().collect();
            listed.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
            return Ok(Listed {
                payments: listed,
                unreadable,
            });
        }
    }
    let incomplete = "the list of payments stays incomplete".to_owned();
    Err(ReadError::Unavailable(incomplete).into())
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

/// As exact as Mercado Pago's dates are.
fn whole_milliseconds(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(time.timestamp_millis()).unwrap_or(time)
}
