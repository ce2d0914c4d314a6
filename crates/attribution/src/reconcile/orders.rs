//! Payments that only their orders tell of. The list of payments, which comparisons go by, has none of them:
//! what was lost of one of these comes in when its order is read again. They are in no sum of a comparison,
//! for there is no list to sum.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rastro_core::payment::Payment;
use rastro_store::{Comparison, FindingAction, FindingKind, PaymentAccount, ToldByOrder};

use super::CompareError;
use super::compare::{SWEPT, Slice};
use crate::mercado_pago::ReadError;
use crate::payments::{FollowError, Payments};

/// Reads the orders again of payments from the comparison's cursor until before `until`, brings the books to
/// them, and keeps what differed.
pub(super) async fn read_again(
    payments: &Payments,
    account: &PaymentAccount,
    comparison: &Comparison,
    until: DateTime<Utc>,
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
    let slice = Slice::new(payments, account, comparison);
    let mut listed = Vec::new();
    for (id, known) in orders {
        let read = payments.mercado_pago.order(account, &id).await;
        let parts = match payments.check(account, read).await {
            Ok(order) => order.payments,
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
