//! Payments that only their orders tell of. The list of payments, which comparisons go by, has none of them:
//! what was lost of one of these comes in when its order is read again, or is found in the list of orders. They
//! are in no sum of a comparison, for that list has no sums.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use rastro_core::payment::Payment;
use rastro_store::{Comparison, FindingAction, FindingKind, PaymentAccount, ToldByOrder};
use tracing::warn;

use super::compare::{SWEPT, Slice};
use super::{CompareError, Listed};
use crate::mercado_pago::ReadError;
use crate::mercado_pago::orders::ListedPart;
use crate::payments::{FollowError, Payments};

/// Reads the orders again of payments from the comparison's cursor until before `until`, and those of that time
/// of which a payment is unknown; brings the books to them, and keeps what differed. What `of_list` has is
/// compared with the list of payments, which has its sums.
pub(super) async fn read_again(
    payments: &Payments,
    account: &PaymentAccount,
    comparison: &Comparison,
    until: DateTime<Utc>,
    of_list: &Listed,
) -> Result<(), CompareError> {
    let (store, dataset) = (&payments.store, account.dataset_id);
    let end = until - TimeDelta::milliseconds(1);
    let told = store
        .told_by_orders(dataset, account.account_id, comparison.cursor, end)
        .await?;
    let mut orders: BTreeMap<String, Vec<ToldByOrder>> = BTreeMap::new();
    for payment in told {
        orders
            .entry(payment.remote_order_id.clone())
            .or_default()
            .push(payment);
    }
    let unknown = unknown(payments, account, (comparison.cursor, end), of_list).await?;
    for order in unknown.orders {
        orders.entry(order).or_default();
    }
    let slice = Slice::new(payments, account, comparison);
    let mut listed = Vec::new();
    for (id, known) in orders {
        let read = payments.mercado_pago.order(account, &id).await;
        let parts = match payments.check(account, read).await {
            Ok(order) => {
                let unreadable = order.unreadable.iter().map(|part| {
                    let detail = "its order tells less of it than of every payment";
                    let part = if part.is_empty() { &id } else { part };
                    slice.finding(part, FindingKind::Unreadable, (0, 0), detail)
                });
                listed.extend(unreadable);
                order.payments
            }
            Err(error) if is_about_it(&error) => {
                let unreadable = known.iter().map(|known| {
                    let detail = "its order cannot be read";
                    slice.finding(&known.payment_id, FindingKind::Unreadable, (0, 0), detail)
                });
                listed.extend(unreadable);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for part in parts {
            // The list of payments has it: it is compared with that, and is in its sums.
            if known.is_empty() && !unknown.payments.contains(&part.payment.id) {
                continue;
            }
            let is_it = |known: &&ToldByOrder| {
                known.payment_id == part.payment.id || Some(&known.payment_id) == part.reference_id.as_ref()
            };
            let found = known.iter().find(is_it).and_then(|known| {
                let kind = difference(known, &part.payment)?;
                let detail = format!("{}/{}", part.payment.status, part.payment.status_detail);
                let mut finding = slice.finding(&known.payment_id, kind, (0, 0), &detail);
                finding.action = FindingAction::Applied;
                Some(finding)
            });
            let found = found.or_else(|| {
                let own = &part.payment.id;
                unknown.payments.contains(own).then(|| {
                    let detail = format!("{}/{}", part.payment.status, part.payment.status_detail);
                    let mut finding = slice.finding(own, FindingKind::MissingLocal, (0, 0), &detail);
                    finding.action = FindingAction::Applied;
                    // It is in no sum of the slice.
                    finding.slice_from = None;
                    finding
                })
            });
            payments.metrics.findings.inc_by(u64::from(found.is_some()));
            let own = part.payment.id.clone();
            let found = found.into_iter().collect();
            match payments.follow_part(account, part, SWEPT, found).await {
                Ok(()) => {}
                Err(error) if is_about_it(&error) => {
                    let detail = "its order names a payment that cannot be read";
                    listed.push(slice.finding(&own, FindingKind::Unreadable, (0, 0), detail));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    payments
        .metrics
        .findings
        .inc_by(u64::try_from(listed.len()).unwrap_or_default());
    store.list_findings(dataset, &listed).await?;
    Ok(())
}

/// What the list of orders has that is not ours.
#[derive(Default)]
struct Unknown {
    orders: Vec<String>,
    /// By their orders' numbers of them.
    payments: HashSet<String>,
}

/// Orders of a time (its end included) with a payment that is known under neither of its numbers.
async fn unknown(
    payments: &Payments,
    account: &PaymentAccount,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    of_list: &Listed,
) -> Result<Unknown, CompareError> {
    let listed = payments.mercado_pago.orders(account, from, to).await;
    let listed = match payments.check(account, listed).await {
        Ok(listed) => listed,
        // Not every integration may use the Orders API.
        Err(FollowError::Read(error @ (ReadError::NotFound | ReadError::Refused { .. }))) => {
            warn!(
                "the orders of account {} cannot be listed; a payment that only its order tells of is found by \
                 its webhook alone: {error}",
                account.account_id
            );
            return Ok(Unknown::default());
        }
        Err(error) => return Err(error.into()),
    };
    let parts = || listed.iter().flat_map(|order| &order.payments);
    let numbers: Vec<&str> = parts()
        .flat_map(|part| [Some(&part.id), part.reference_id.as_ref()])
        .flatten()
        .map(String::as_str)
        .collect();
    let mut known: HashSet<String> = of_list
        .payments
        .iter()
        .map(|payment| payment.id.clone())
        .collect();
    known.extend(of_list.unreadable.iter().cloned());
    if !numbers.is_empty() {
        let (store, dataset) = (&payments.store, account.dataset_id);
        known.extend(store.local_payments(dataset, &numbers).await?.into_keys());
        let aliases = store.payment_aliases(dataset, &numbers).await?;
        known.extend(
            aliases
                .into_iter()
                .flat_map(|alias| [alias.payment_id, alias.booked_as]),
        );
    }
    let mut unknown = Unknown::default();
    for order in listed {
        let is_known = |part: &ListedPart| {
            known.contains(&part.id) || part.reference_id.as_ref().is_some_and(|id| known.contains(id))
        };
        let missing: Vec<String> = order
            .payments
            .iter()
            .filter(|part| !is_known(part))
            .map(|part| part.id.clone())
            .collect();
        if !missing.is_empty() {
            unknown.orders.push(order.id);
            unknown.payments.extend(missing);
        }
    }
    Ok(unknown)
}

/// Whether others can be read all the same.
fn is_about_it(error: &FollowError) -> bool {
    matches!(
        error,
        FollowError::Read(ReadError::NotFound | ReadError::Invalid(_) | ReadError::Refused { .. })
            | FollowError::OtherAccount
    )
}

fn difference(known: &ToldByOrder, payment: &Payment) -> Option<FindingKind> {
    if (&known.status, &known.status_detail) != (&payment.status, &payment.status_detail) {
        return Some(FindingKind::StatusDrift);
    }
    let amounts = (payment.amount_minor, payment.refunded_minor);
    ((known.amount_minor, known.refunded_minor) != amounts).then_some(FindingKind::AmountDrift)
}
