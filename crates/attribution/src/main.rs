//! The attribution service's process. Without arguments it serves; see `USAGE` for the rest.

mod commands;
mod credit_commands;

use anyhow::bail;
use attribution::AttributionMetrics;
use attribution::config::Config;
use rastro_boot::Service;
use rastro_service::health::Routes;

const USAGE: &str = "usage: attribution                    serve
       attribution account            write the configured Mercado Pago account over the stored one
       attribution reconcile [DAYS]   compare the payments of the last days (35) with the books, and show both
       attribution books              show the last comparisons of every account
       attribution match DATASET PAYMENT LEAD
                                      say that a lead paid, where nobody was found: credits follow, and its
                                      Purchase goes to Meta if that takes it still
       attribution report FILE --account NUMBER
                                      import a settlement or release report: final fees, all of it or nothing
       attribution recompute [--dataset ID] [--days 365]
                                      credit all orders again; stopped, it goes on where it was
       attribution spend FILE --dataset ID [--format rastro|google-ads] [--dry-run]
                         [--decimal-comma] [--day-first] [--account ID]
                                      import what was paid for ads, the whole file or nothing
       attribution sync [--apply] [--replace] [--delete]
                                      show what would bring custom conversions and audiences at Meta to what
                                      [sync] declares; --apply does it. --replace makes anew what cannot be changed,
                                      --delete deletes audiences that are declared no more
       attribution export DATASET PERSON... [--csv]    print what is kept of a person, as JSON or CSV
       attribution erase DATASET PERSON... [--dry-run] forget a person; print the receipt, or what would be erased
       attribution healthcheck        whether the one that runs here lives; with `ready`: whether it can work
       attribution --version
PERSON is email=ana@example.com, phone=11987654321, cpf=... or lead=1042; several name the same person";

fn main() -> anyhow::Result<()> {
    if rastro_boot::answered::<Config>("attribution", env!("CARGO_PKG_VERSION"))? {
        return Ok(());
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => serve(),
        ["account"] => commands::account(),
        ["reconcile"] => commands::reconcile("35"),
        ["reconcile", days] => commands::reconcile(days),
        ["books"] => commands::books(),
        ["match", dataset, payment, lead] => commands::match_payment(dataset, payment, lead),
        ["report", file, "--account", account] => commands::report(file, account),
        ["recompute", options @ ..] => credit_commands::recompute(options),
        ["spend", file, options @ ..] => credit_commands::spend(file, options),
        ["sync", options @ ..] => commands::sync(options),
        ["export", dataset, person @ .., "--csv"] => commands::export(dataset, person, true),
        ["export", dataset, person @ ..] => commands::export(dataset, person, false),
        ["erase", dataset, person @ .., "--dry-run"] => commands::would_erase(dataset, person),
        ["erase", dataset, person @ ..] => commands::erase(dataset, person),
        ["--help" | "-h" | "help"] => commands::print(USAGE),
        _ => bail!(USAGE),
    }
}

#[tokio::main(worker_threads = 2)]
async fn serve() -> anyhow::Result<()> {
    let config: Config = rastro_boot::load()?;
    let version = env!("CARGO_PKG_VERSION");
    let service = Service::start(
        "attribution",
        version,
        &config.common,
        AttributionMetrics::register,
    )?;
    let _health = service.serve_health(service.readiness(), Routes::default())?;
    service.database_opens().await?;
    attribution::run(
        service.store.clone(),
        &config,
        service.metrics.clone(),
        service.shutdown.clone(),
    )
    .await?;
    service.end();
    Ok(())
}
