//! Reports of what Mercado Pago really credited: ordered once a day, imported as they come, each once. They
//! are the last word on fees; what a payment told before was an estimate.
//!
//! Nothing is kept of an order: one that was lost is placed again, and a report that came twice changes
//! nothing.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use rastro_core::payment::major_units;
use rastro_core::settlement::read;
use rastro_service::shutdown::Shutdown;
use rastro_store::{Imported, NewReport, PaymentAccount, Settled, Store};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::config::ReportsConfig;
use crate::mercado_pago::reports::ListedReport;
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
    let mut spans: Vec<(NaiveDate, NaiveDate)> = listed
        .iter()
        .filter(|report| imported.contains(&report.file_name))
        .map(whole_days)
        .collect();
    for report in listed
        .iter()
        .filter(|report| !imported.contains(&report.file_name))
    {
        let file = remote.report_file(account, &report.file_name).await;
        let file = payments.check(account, file).await?;
        match import(store, account, &report.file_name, &file).await {
            Ok(_) => spans.push(whole_days(report)),
            Err(error) => {
                problem.get_or_insert(error.context(report.file_name.clone()));
            }
        }
    }
    let late = store.settle_due(account).await?;
    if late > 0 {
        info!(
            "corrected the fees of {late} payments of account {} by reports of before",
            account.account_id
        );
    }
    let today = now.date_naive();
    let without = newest_without(today - TimeDelta::days(config.first_days), today, spans);
    let was_ordered = orders
        .get(&account.account_id)
        .is_some_and(|at| *at > now - TimeDelta::hours(ORDER_HOURS));
    if let Some((from, to)) = without.filter(|_| !was_ordered) {
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        let ordered = remote.order_report(account, midnight(from), midnight(to)).await;
        payments.check(account, ordered).await?;
        orders.insert(account.account_id, now);
    }
    problem.map_or(Ok(()), Err)
}

/// The days (UTC) that a report tells of from their beginning to their end, within a minute: from the first
/// until before the second.
fn whole_days(report: &ListedReport) -> (NaiveDate, NaiveDate) {
    let minute = TimeDelta::minutes(1);
    let begin = (report.begin_date - minute).date_naive() + TimeDelta::days(1);
    (begin, (report.end_date + minute).date_naive())
}

/// The newest days from `first` until before `today` that none of these spans has, as a span. The newest:
/// days whose report cannot be read keep no others from having one.
fn newest_without(
    first: NaiveDate,
    today: NaiveDate,
    mut spans: Vec<(NaiveDate, NaiveDate)>,
) -> Option<(NaiveDate, NaiveDate)> {
    spans.retain(|(begin, end)| begin < end);
    spans.sort_unstable_by_key(|(_, end)| std::cmp::Reverse(*end));
    let mut until = today;
    for (begin, end) in spans {
        if end < until {
            return (first < until).then_some((end.max(first), until));
        }
        until = until.min(begin);
    }
    (first < until).then_some((first, until))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_days_without_a_report_are_ordered() {
        let day = |day: u32| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        let without = |spans: &[(u32, u32)]| {
            let spans = spans
                .iter()
                .map(|(begin, end)| (day(*begin), day(*end)))
                .collect();
            newest_without(day(1), day(20), spans)
        };
        let all = |begin, end| Some((day(begin), day(end)));
        assert_eq!(without(&[]), all(1, 20));
        assert_eq!(without(&[(1, 20)]), None);
        // Of yesterday alone, made by hand.
        assert_eq!(without(&[(19, 20)]), all(1, 19));
        assert_eq!(without(&[(1, 5), (7, 10)]), all(10, 20));
        assert_eq!(without(&[(1, 5), (7, 10), (10, 20)]), all(5, 7));
        // One within another, one that ends after today, and one of no whole day.
        assert_eq!(without(&[(1, 15), (3, 4), (12, 25)]), None);
        assert_eq!(without(&[(9, 9)]), all(1, 20));
        assert_eq!(without(&[(5, 20)]), all(1, 5));
    }

    #[test]
    fn a_day_that_is_cut_is_not_told_of() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let report = |begin, end| ListedReport {
            file_name: "report".into(),
            begin_date: at(begin),
            end_date: at(end),
            date_created: at(end),
        };
        let days = |begin, end| whole_days(&report(begin, end));
        let day = |day: u32| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        assert_eq!(
            days("2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z"),
            (day(1), day(3))
        );
        assert_eq!(
            days("2026-11-01T10:00:00Z", "2026-11-03T23:59:59Z"),
            (day(2), day(4))
        );
        let (begin, end) = days("2026-11-03T10:00:00Z", "2026-11-03T10:00:01Z");
        assert!(begin > end);
    }
}
