//! What the program does beside serving: one answer on standard output.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use attribution::AttributionMetrics;
use attribution::config::Config;
use attribution::mercado_pago::MercadoPago;
use attribution::payments::Payments;
use attribution::sync::Orders;
use attribution::{matching, privacy, reconcile, reports};
use rastro_core::payment::major_units;
use rastro_service::metrics::Metrics;
use rastro_service::shutdown::Shutdown;
use rastro_store::{PaymentAccount, Store};

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn account() -> anyhow::Result<()> {
    let config: Config = rastro_boot::load()?;
    let store = Store::new(&config.common.database, "attribution")?;
    match attribution::put_account(&store, &config).await? {
        Some(account) => print(&format!("Mercado Pago account {account} is as configured")),
        None => print("no Mercado Pago account is configured"),
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn reconcile(days: &str) -> anyhow::Result<()> {
    let days: i64 = days.parse().context("DAYS is a whole number")?;
    ensure!(
        (1..365).contains(&days),
        "DAYS must be 1 to 364: Mercado Pago lists a year"
    );
    let (store, payments) = (store_of_commands()?, payments_of_commands()?);
    let shutdown = Shutdown::on_signal()?;
    let accounts = store.open_payment_accounts().await?;
    ensure!(!accounts.is_empty(), "there is no account that may be asked now");
    for account in accounts {
        reconcile::compare_now(&payments, &account, days, &shutdown)
            .await
            .with_context(|| format!("the comparison of account {} was interrupted", account.account_id))?;
        print(&shown(&store, &account, 1).await?)?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn match_payment(dataset: &str, payment: &str, lead: &str) -> anyhow::Result<()> {
    let lead: i64 = lead.parse().context("LEAD is a number")?;
    let payments = payments_of_commands()?;
    print(&matching::by_hand(&payments, dataset.parse()?, payment, lead, &user()).await?)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn books() -> anyhow::Result<()> {
    let config: Config = rastro_boot::load()?;
    let store = Store::new(&config.common.database, "attribution")?;
    for account in store.open_payment_accounts().await? {
        print(&shown(&store, &account, 10).await?)?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn report(file: &str, account: &str) -> anyhow::Result<()> {
    let account_id: i64 = account.parse().context("--account is a number")?;
    let store = store_of_commands()?;
    let account = store.payment_account(account_id).await?;
    let account = account.with_context(|| format!("there is no payment account {account_id}"))?;
    let bytes = std::fs::read(file).with_context(|| format!("{file} cannot be read"))?;
    let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
    match reports::import(&store, &account, &name, &bytes).await? {
        Some(settled) => print(&reports::summary(&account, &settled)),
        None => print("this report was imported before; nothing is changed"),
    }
}

/// The newest comparisons of an account: both sums, and what lies between them.
async fn shown(store: &Store, account: &PaymentAccount, most: i64) -> anyhow::Result<String> {
    let money = |minor| {
        format!(
            "{} {}",
            account.currency.as_str(),
            major_units(minor, account.currency)
        )
    };
    let mut text = format!("account {} ({})", account.account_id, account.label);
    for run in store.comparisons(account.account_id, most).await? {
        write!(
            text,
            "\n  {} {}: payments of {} to {}\n    at Mercado Pago {} ({}), in the books before {} ({}), after {}",
            run.kind,
            run.state,
            run.window_from.format("%Y-%m-%d %H:%M"),
            run.window_to.format("%Y-%m-%d %H:%M UTC"),
            money(run.remote_minor),
            run.remote_count,
            money(run.local_minor),
            run.local_count,
            money(run.after_minor),
        )?;
        for (kind, count, difference) in store.findings_by_kind(account.dataset_id, run.run_id).await? {
            write!(text, "\n    {kind}: {count}, difference {}", money(difference))?;
        }
        write!(text, "\n    difference {}", money(run.difference_minor))?;
        if let Some(problem) = run.problem {
            write!(text, "\n    {problem}")?;
        }
    }
    Ok(text)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn export(dataset: &str, person: &[&str], csv: bool) -> anyhow::Result<()> {
    let store = store_of_commands()?;
    print(
        privacy::export(&store, dataset.parse()?, person, csv, &user())
            .await?
            .trim_end(),
    )
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn would_erase(dataset: &str, person: &[&str]) -> anyhow::Result<()> {
    let store = store_of_commands()?;
    print(&privacy::would_erase(&store, dataset.parse()?, person).await?)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn erase(dataset: &str, person: &[&str]) -> anyhow::Result<()> {
    let store = store_of_commands()?;
    print(&privacy::erase(&store, dataset.parse()?, person, &user()).await?)
}

/// Brings the configured ad account to what is declared, or says what that would be.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn sync(options: &[&str]) -> anyhow::Result<()> {
    let (mut apply, mut orders) = (false, Orders::default());
    for option in options {
        match *option {
            "--apply" => apply = true,
            "--replace" => orders.replace = true,
            "--delete" => orders.delete = true,
            other => bail!("{other} is no option: --apply, --replace, --delete"),
        }
    }
    let config: Config = rastro_boot::load()?;
    let sync = config.sync.reader(&config.graph_api)?;
    let sync = sync.context("no ad account is configured: sync.account_id")?;
    let report = match apply {
        true => sync.apply(orders).await?,
        false => sync.plan(orders).await?,
    };
    print(&report.to_string())?;
    ensure!(
        !apply || report.unsettled() == 0,
        "{} of it is not as declared",
        report.unsettled()
    );
    Ok(())
}

/// Who is logged in, for the log.
#[expect(
    clippy::disallowed_methods,
    reason = "who types a command is no setting of the service"
)]
fn user() -> String {
    std::env::var("USER").unwrap_or_default()
}

fn payments_of_commands() -> anyhow::Result<Payments> {
    let config: Config = rastro_boot::load()?;
    let store = Store::new(&config.common.database, "attribution")?;
    let version = env!("CARGO_PKG_VERSION");
    let (_, metrics) = Metrics::new("attribution", version, AttributionMetrics::register);
    Ok(Payments::new(
        store,
        MercadoPago::new(&config.mercado_pago)?,
        metrics,
    ))
}

fn store_of_commands() -> anyhow::Result<Store> {
    let config: Config = rastro_boot::load()?;
    Ok(Store::new(&config.common.database, "attribution")?)
}

#[expect(clippy::print_stdout, reason = "the answer to a command typed at a terminal")]
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    println!("{text}");
    Ok(())
}
