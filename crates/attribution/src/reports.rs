//! Reports of what Mercado Pago really credited: ordered once a day, imported as they come, each once. They
//! are the last word on fees; what a payment told before was an estimate.
//!
//! Nothing is kept of an order: one that was lost is placed again, and a report that came twice changes
//! nothing.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use rastro_core::payment::major_units;
use rastro_core::settlement::read;
use rastro_service::shutdown::Shutdown;
use rastro_store::{Imported, NewReport, PaymentAccount, Settled, Store};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::config::ReportsConfig;
use crate::payments::Payments;

/// Mercado Pago makes a report within minutes; after so long it is ordered again.
const ORDER_HOURS: i64 = 6;
/// Older reports are not looked at.
const OLDEST_DAYS: i64 = 90;

/// When reports were ordered last, by account.
pub type Orders = HashMap<i64, DateTime<Utc>>;

/// Until shutdown.
pub(crate) async fn run(payments: &Payments, config: &ReportsConfig, shutdown: &Shutdown) {
    if !config.enabled {
        return;
    }
    let mut orders = Orders::new();
    loop {
        let pass = async {
            let accounts = match payments.store.open_payment_accounts().await {
                Ok(accounts) => accounts,
                Err(error) => return warn!("reports cannot be read, trying on: {error}"),
            };
            for account in accounts {
                if let Err(error) = round(payments, config, &account, &mut orders).await {
                    warn!("the reports of account {}: {error:#}", account.account_id);
                }
            }
        };
        tokio::select! {
            () = pass => {}
            () = shutdown.requested() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(config.interval_seconds)) => {}
            () = shutdown.requested() => return,
        }
    }
}

/// Imports an account's reports that are new, books what they correct, and orders the next when it is due.
///
/// # Errors
/// When one cannot be read. The others are imported all the same.
pub async fn round(
    payments: &Payments,
    config: &ReportsConfig,
    account: &PaymentAccount,
    orders: &mut Orders,
) -> anyhow::Result<()> {
    let (store, remote) = (&payments.store, &payments.mercado_pago);
    let known = remote.report_config(account).await;
    match payments.check(account, known).await? {
        Some(config) if !config.lacks().is_empty() => bail!(
            "its settlement reports lack columns: {}; add them at Mercado Pago, with report_translation en",
            config.lacks().join(", ")
        ),
        Some(_) => {}
        None => {
            let created = remote.create_report_config(account).await;
            payments.check(account, created).await?;
        }
    }
    let listed = remote.reports(account).await;
    let mut listed = payments.check(account, listed).await?;
    let now = store.now().await?;
    listed.retain(|report| report.date_created > now - TimeDelta::days(OLDEST_DAYS));
    listed.sort_by(|one, other| {
        (one.date_created, &one.file_name).cmp(&(other.date_created, &other.file_name))
    });
    let imported = store.imported_reports(account).await?;
    let mut problem = None;
    for report in listed
        .iter()
        .filter(|report| !imported.contains(&report.file_name))
    {
        let file = remote.report_file(account, &report.file_name).await;
        let file = payments.check(account, file).await?;
        if let Err(error) = import(store, account, &report.file_name, &file).await {
            problem.get_or_insert(error.context(report.file_name.clone()));
        }
    }
    let late = store.settle_due(account).await?;
    if late > 0 {
        info!(
            "corrected the fees of {late} payments of account {} by reports of before",
            account.account_id
        );
    }
    let to = now.date_naive().and_time(NaiveTime::MIN).and_utc();
    let first = to - TimeDelta::days(config.first_days);
    let from = listed
        .iter()
        .map(|report| report.end_date)
        .max()
        .unwrap_or(first)
        .max(first);
    let was_ordered = orders
        .get(&account.account_id)
        .is_some_and(|at| *at > now - TimeDelta::hours(ORDER_HOURS));
    if to - from >= TimeDelta::days(1) && !was_ordered {
        let ordered = remote.order_report(account, from, to).await;
        payments.check(account, ordered).await?;
        orders.insert(account.account_id, now);
    }
    problem.map_or(Ok(()), Err)
}

/// Imports one report's file, as a whole or not at all.
///
/// # Errors
/// When anything in the file is wrong: every wrong cell is named.
pub async fn import(
    store: &Store,
    account: &PaymentAccount,
    file_name: &str,
    bytes: &[u8],
) -> anyhow::Result<Option<Settled>> {
    let report = match read(bytes, account.currency) {
        Ok(report) => report,
        Err(errors) => {
            let mut said = format!(
                "nothing was imported: {} cell(s) of the report are wrong",
                errors.len()
            );
            for error in errors {
                said.push_str(&format!("\n  {error}"));
            }
            bail!(said)
        }
    };
    ensure!(!file_name.is_empty(), "the report has no name");
    let new = NewReport {
        file_name,
        content_hash: Sha256::digest(bytes).into(),
        report: &report,
    };
    let imported = store.import_report(account, &new).await;
    match imported.context("the report could not be imported")? {
        Imported::Now(settled) => {
            info!("report {file_name}: {}", summary(account, &settled));
            Ok(Some(settled))
        }
        Imported::Before => Ok(None),
        Imported::OtherKind => bail!(
            "account {} is settled by reports of the other kind: both tell of the same money",
            account.account_id
        ),
    }
}

/// What an import changed, for a person.
pub fn summary(account: &PaymentAccount, settled: &Settled) -> String {
    format!(
        "{} payments, {} new rows; the fees of {} were corrected by {} {} in all; {} other differences are listed",
        settled.payments,
        settled.new_rows,
        settled.corrected,
        account.currency.as_str(),
        major_units(settled.fee_minor, account.currency),
        settled.listed
    )
}
