//! One slice of a comparison: each payment there against the same payment here.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use rastro_core::payment::{Books, Payment};
use rastro_store::{
    Comparison, Conversion, Discovery, Finding, FindingAction, FindingKind, LocalPayment, PaymentAccount,
    SliceSums,
};

use super::{CompareError, Listed};
use crate::mercado_pago::{ReadError, WindowOf};
use crate::payments::{FollowError, Payments, Told};

/// No webhook told of what a comparison finds.
pub(super) const SWEPT: Told<'static> = Told {
    by: Discovery::Sweep,
    traceparent: None,
};

/// Net amounts and fees are rounded by the provider: a difference of one is none.
const NET_TOLERANCE: i64 = 1;
/// Ids of the Orders API's own payments, which the search does not list.
const ORDERS_PAYMENT: &str = "PAY";

/// Compares a slice: brings the books to what is there, keeps what differed, and returns the sums of both
/// sides.
pub(super) async fn slice(
    payments: &Payments,
    account: &PaymentAccount,
    comparison: &Comparison,
    of: WindowOf,
    until: DateTime<Utc>,
    listed: Listed,
) -> Result<SliceSums, CompareError> {
    let store = &payments.store;
    let dataset = account.dataset_id;
    let mut remote: Vec<Payment> = listed
        .payments
        .into_iter()
        .filter(|payment| payment.account_id == account.account_id)
        .collect();
    // Under the numbers that ours are booked under.
    let listed_ids: Vec<&str> = remote.iter().map(|payment| payment.id.as_str()).collect();
    let aliases = store.payment_aliases(dataset, &listed_ids).await?.into_iter();
    let aliases: HashMap<String, String> = aliases.map(|alias| (alias.payment_id, alias.booked_as)).collect();
    for payment in &mut remote {
        if let Some(booked_as) = aliases.get(&payment.id) {
            payment.id.clone_from(booked_as);
        }
    }
    let mut slice = Slice::new(payments, account, comparison);
    for id in &listed.unreadable {
        slice.list(
            id,
            FindingKind::Unreadable,
            (0, 0),
            "the list's entry lacks what every payment has",
        );
    }
    if of == WindowOf::Creation {
        let end = until - TimeDelta::milliseconds(1);
        let ours = store
            .payments_created(dataset, account.account_id, comparison.cursor, end)
            .await?;
        let is_listed =
            |id: &String| remote.iter().any(|payment| payment.id == *id) || listed.unreadable.contains(id);
        let missing: Vec<String> = ours
            .into_iter()
            .filter(|id| !is_listed(id) && !id.starts_with(ORDERS_PAYMENT) && !aliases.contains_key(id))
            .collect();
        for id in missing {
            match payments.read(account, &id).await {
                // The list is behind.
                Ok(payment) => remote.push(payment),
                Err(FollowError::Read(ReadError::NotFound) | FollowError::OtherAccount) => {
                    slice.missing_remote.push(id);
                }
                // One that cannot be read keeps no other from being compared.
                Err(FollowError::Read(ReadError::Refused { .. } | ReadError::Invalid(_))) => {
                    slice.list(
                        &id,
                        FindingKind::Unreadable,
                        (0, 0),
                        "it is ours and cannot be read",
                    );
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    let missing = slice.missing_remote.clone();
    slice.found_before = store.found_before(comparison).await?;
    let found_before: Vec<String> = slice.found_before.keys().cloned().collect();
    // Those too that were found and are not in the window any more.
    let ids: HashSet<&str> = remote
        .iter()
        .map(|payment| payment.id.as_str())
        .chain(missing.iter().chain(&found_before).map(String::as_str))
        .collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let before = store.local_payments(dataset, &ids).await?;
    for payment in &remote {
        slice.compare(payment, before.get(&payment.id)).await?;
    }
    for id in &missing {
        if let Some(local) = before.get(id) {
            slice.find_missing_remote(local);
        }
    }
    let after = store.local_payments(dataset, &ids).await?;
    slice.look_at_the_end(&remote, &after);
    store.list_findings(dataset, &slice.findings).await?;
    Ok(slice.sums)
}

pub(super) struct Slice<'s> {
    payments: &'s Payments,
    account: &'s PaymentAccount,
    comparison: &'s Comparison,
    /// Those that a finding of before an interruption counts, and whether it carries a difference.
    found_before: HashMap<String, bool>,
    missing_remote: Vec<String>,
    /// Those that change nothing in the books; the others are kept with the change.
    findings: Vec<Finding>,
    sums: SliceSums,
}

impl<'s> Slice<'s> {
    pub(super) fn new(
        payments: &'s Payments,
        account: &'s PaymentAccount,
        comparison: &'s Comparison,
    ) -> Self {
        Slice {
            payments,
            account,
            comparison,
            found_before: HashMap::new(),
            missing_remote: Vec::new(),
            findings: Vec::new(),
            sums: SliceSums::default(),
        }
    }

    pub(super) fn finding(&self, id: &str, kind: FindingKind, sums: (i64, i64), detail: &str) -> Finding {
        Finding {
            run_id: self.comparison.run_id,
            payment_id: id.to_owned(),
            kind,
            remote_minor: sums.0,
            local_minor: sums.1,
            action: FindingAction::Listed,
            detail: detail.to_owned(),
            slice_from: Some(self.comparison.cursor),
        }
    }

    fn list(&mut self, id: &str, kind: FindingKind, sums: (i64, i64), detail: &str) {
        let finding = self.finding(id, kind, sums, detail);
        self.findings.push(finding);
        self.payments.metrics.findings.inc();
    }

    fn is_summed(&self, payment: &Payment) -> bool {
        payment.books(self.account.live_mode) == Books::Counted && payment.currency == self.account.currency
    }

    /// Compares one payment, and brings the books to it where it differs.
    async fn compare(&mut self, listed: &Payment, local: Option<&LocalPayment>) -> Result<(), CompareError> {
        let books = listed.books(self.account.live_mode);
        if books == Books::NotASale && local.is_none() {
            return Ok(());
        }
        let local_minor = local.map_or(0, |local| local.booked_minor);
        if differences(listed, local, books, self.account).is_none() {
            self.count_equal(listed, local_minor);
            return Ok(());
        }
        let payment = match self.payments.read(self.account, &listed.id).await {
            Ok(payment) => payment,
            Err(
                FollowError::Read(ReadError::NotFound | ReadError::Invalid(_) | ReadError::Refused { .. })
                | FollowError::OtherAccount,
            ) => {
                self.list(
                    &listed.id,
                    FindingKind::Unreadable,
                    (0, 0),
                    "it is listed and cannot be read",
                );
                self.count_equal(listed, local_minor);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        // What was read, since it may be newer than what was listed.
        let books = payment.books(self.account.live_mode);
        let kinds = differences(&payment, local, books, self.account).unwrap_or_default();
        let findings = self.applied(&payment, &kinds, local_minor);
        if !findings.iter().any(Finding::is_counted) {
            self.count_equal(&payment, local_minor);
        }
        let kept = u64::try_from(findings.len()).unwrap_or_default();
        let applied = self
            .payments
            .apply(self.account, &payment, SWEPT, None, findings)
            .await?;
        self.payments.metrics.findings.inc_by(kept);
        if applied.became_purchase && local.is_some_and(was_paid) {
            let mut resent = self.finding(&listed.id, FindingKind::ConversionGap, (0, 0), "sent now");
            resent.action = FindingAction::Resent;
            self.findings.push(resent);
        }
        Ok(())
    }

    /// Findings that are kept with the change of the books. The first carries the difference.
    fn applied(&self, payment: &Payment, kinds: &[FindingKind], local_minor: i64) -> Vec<Finding> {
        // Of one whose difference was found before an interruption, the first sums stay.
        let is_found = self.found_before.get(&payment.id) == Some(&true);
        let mut difference = if self.is_summed(payment) && !is_found {
            (payment.recognised_minor(), local_minor)
        } else {
            (0, 0)
        };
        let finding = |kind: &FindingKind| {
            let mut finding = self.finding(
                &payment.id,
                *kind,
                std::mem::take(&mut difference),
                &format!("{}/{}", payment.status, payment.status_detail),
            );
            finding.action = FindingAction::Applied;
            finding
        };
        kinds.iter().map(finding).collect()
    }

    /// Counts a payment whose revenue is the same there and here, unless a finding counts it.
    fn count_equal(&mut self, payment: &Payment, minor: i64) {
        if self.is_summed(payment) && !self.found_before.contains_key(&payment.id) {
            self.sums.equal_count += 1;
            self.sums.equal_minor += minor;
        }
    }

    /// It stays in the books: a payment does not go away, but whom we ask may be the wrong account, or the
    /// time too long ago.
    fn find_missing_remote(&mut self, local: &LocalPayment) {
        if local.books != Books::Counted.as_str() || local.currency != self.account.currency.as_str() {
            return;
        }
        // One that was found to be missing here, or to differ, before an interruption is counted by that.
        let is_found = self.found_before.contains_key(&local.payment_id);
        let sums = if is_found { (0, 0) } else { (0, local.booked_minor) };
        self.list(
            &local.payment_id,
            FindingKind::MissingRemote,
            sums,
            "Mercado Pago does not know it: another token or account, or longer than a year ago",
        );
    }

    /// What is worth a person's look once everything is in the books.
    fn look_at_the_end(&mut self, remote: &[Payment], after: &HashMap<String, LocalPayment>) {
        for local in after.values() {
            let is_counted = local.books == Books::Counted.as_str();
            if is_counted && local.currency == self.account.currency.as_str() {
                self.sums.after_minor += local.booked_minor;
            }
        }
        for payment in remote {
            let Some(local) = after.get(&payment.id) else {
                continue;
            };
            let id = &payment.id;
            if local.books == Books::TestMode.as_str() {
                self.list(
                    id,
                    FindingKind::TestMode,
                    (0, 0),
                    "of the other mode than its account's",
                );
            }
            if local.books != Books::Counted.as_str() {
                continue;
            }
            if local.currency != self.account.currency.as_str() {
                let own = &local.currency;
                let detail = match &local.other_currencies {
                    Some(others) => {
                        format!(
                            "{own}; its order is paid in {others}, too, and credited in one currency alone"
                        )
                    }
                    None => own.clone(),
                };
                self.list(id, FindingKind::Currency, (0, 0), &detail);
            }
            if !was_paid(local) {
                continue;
            }
            if !local.has_lead {
                self.list(id, FindingKind::Unattributed, (0, 0), "no lead was found for it");
            }
            if local.paid_of_order > 1 {
                let detail = format!("its order was paid {} times", local.paid_of_order);
                self.list(id, FindingKind::DuplicateReference, (0, 0), &detail);
            }
            let gap = match (&local.dead_letter, local.conversion.as_str()) {
                (Some(reason), _) => Some(format!("its event is a dead letter: {reason}")),
                (None, reason @ ("none" | "too_old" | "invalid")) => Some(reason.to_owned()),
                _ => None,
            };
            if let Some(detail) = gap {
                self.list(id, FindingKind::ConversionGap, (0, 0), &detail);
            }
        }
    }
}

fn was_paid(local: &LocalPayment) -> bool {
    matches!(local.status.as_str(), "approved" | "in_mediation")
}

/// We know a later state: a webhook was faster than the list. An order's clock says nothing of it.
fn is_behind(payment: &Payment, local: &LocalPayment) -> bool {
    payment.updated_at < local.updated_at && !local.told_by_order
}

/// In what a payment differs from ours; `None`: in nothing. An empty list: only in what no finding is made
/// of.
fn differences(
    payment: &Payment,
    local: Option<&LocalPayment>,
    books: Books,
    account: &PaymentAccount,
) -> Option<Vec<FindingKind>> {
    let Some(local) = local else {
        // Kept apart, and not counted: its own kind says so at the end.
        let is_money = books == Books::Counted && payment.currency == account.currency;
        return Some(if is_money {
            vec![FindingKind::MissingLocal]
        } else {
            Vec::new()
        });
    };
    if is_behind(payment, local) {
        return None;
    }
    let mut kinds = Vec::new();
    if books == Books::Counted {
        let is_other_amount =
            payment.amount_minor != local.amount_minor || payment.refunded_minor != local.refunded_minor;
        if is_other_amount {
            kinds.push(FindingKind::AmountDrift);
        }
        if payment.status != local.status || payment.status_detail != local.status_detail {
            kinds.push(FindingKind::StatusDrift);
        }
        // Both say the same, and the books do not.
        if kinds.is_empty() && payment.recognised_minor() != local.booked_minor {
            kinds.push(FindingKind::AmountDrift);
        }
        let differs = |there: Option<i64>, here: Option<i64>| {
            there.is_some_and(|there| here.is_none_or(|here| (there - here).abs() > NET_TOLERANCE))
        };
        if kinds.is_empty()
            && (differs(payment.net_minor, local.net_minor) || differs(payment.fee_minor, local.fee_minor))
        {
            kinds.push(FindingKind::FeeDrift);
        }
    }
    let is_later = payment.updated_at > local.updated_at;
    let is_due =
        payment.is_paid() && books == Books::Counted && local.conversion == Conversion::None.as_str();
    let is_other = books.as_str() != local.books;
    (!kinds.is_empty() || is_later || is_due || is_other).then_some(kinds)
}
