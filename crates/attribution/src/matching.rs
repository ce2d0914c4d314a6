//! A payment that nobody was found for, and a person knows whose it is.

use anyhow::{Context, bail};
use rastro_core::dataset::DatasetId;
use rastro_store::{Conversion, Discovery, MatchedByHand};

use crate::payments::{Payments, Told};

/// Says that a lead paid, and reads the payment again, for its Purchase may be sent now that somebody is known
/// to have paid. Returns what became of it, in a sentence. It is logged that `who` said so.
///
/// # Errors
/// When there is no such payment or lead. Also when the payment could not be read again: then it is matched,
/// and asked for once more its Purchase is looked at once more.
pub async fn by_hand(
    payments: &Payments,
    dataset: DatasetId,
    payment_id: &str,
    lead_id: i64,
    who: &str,
) -> anyhow::Result<String> {
    let store = &payments.store;
    let (payment_id, account_id, before) =
        match store.match_payment(dataset, payment_id, lead_id, who).await? {
            MatchedByHand::Matched {
                payment_id,
                account_id,
                before,
            } => (payment_id, account_id, before),
            MatchedByHand::NoPayment => bail!("dataset {dataset} has no payment {payment_id}"),
            MatchedByHand::NoLead => bail!("dataset {dataset} has no lead {lead_id}, or it was erased"),
        };
    let told = Told {
        by: Discovery::Operator,
        traceparent: None,
    };
    let again = async {
        let account = store.payment_account(account_id).await?;
        let account = account.with_context(|| format!("there is no payment account {account_id}"))?;
        let payment = payments.read(&account, &payment_id).await?;
        anyhow::Ok(payments.apply(&account, &payment, told, None, Vec::new()).await?)
    };
    let applied = again.await.with_context(|| {
        format!(
            "payment {payment_id} is lead {lead_id}'s, and could not be read again for its Purchase: ask \
             once more"
        )
    })?;
    let instead = before.filter(|before| *before != lead_id);
    let instead = instead.map(|before| format!(", and no longer lead {before}'s"));
    let purchase = match (applied.became_purchase, applied.conversion) {
        (true, _) => "its Purchase goes to Meta now",
        (false, Conversion::Sent | Conversion::Duplicate) => "Meta had its Purchase before",
        (false, Conversion::TooOld) => "it is too old for Meta, which gets no Purchase of it",
        (false, _) => "no Purchase goes to Meta",
    };
    Ok(format!(
        "payment {payment_id} is lead {lead_id}'s{}; {purchase}",
        instead.unwrap_or_default()
    ))
}
