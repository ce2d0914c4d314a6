//! What the program does beside serving: one answer on standard output.

use anyhow::Context;
use ingest_gateway::config::Config;
use ingest_gateway::{command_line, openapi};
use rastro_service::telemetry;
use rastro_store::{Migrator, Store};

/// Needs the database's address and nothing else of the configuration.
pub(crate) fn migrate() -> anyhow::Result<()> {
    let config: Config = rastro_boot::load_unchecked()?;
    let mut migrator = Migrator::for_database(&config.common.database)
        .map_err(anyhow::Error::from_boxed)
        .context("cannot connect")?;
    let applied = migrator
        .run()
        .map_err(anyhow::Error::from_boxed)
        .context("a migration failed")?;
    match applied.as_slice() {
        [] => print("the schema is current"),
        applied => print(&format!("applied {}", applied.join(", "))),
    }
}

/// The order to write the configuration over what is stored, which no start of a service does.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn reseed() -> anyhow::Result<()> {
    let config: Config = rastro_boot::load()?;
    let telemetry = telemetry::init("ingest-gateway", &config.common.telemetry)?;
    let seed = config.seed.read()?;
    let store = Store::new(&config.common.database, "reseed")?;
    ingest_gateway::reseed(&store, &seed).await?;
    telemetry.flush();
    match seed.dataset {
        Some(dataset) => print(&format!("dataset {} is as configured", dataset.dataset_id)),
        None => print("no dataset is configured"),
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn reseal() -> anyhow::Result<()> {
    let config: Config = rastro_boot::load()?;
    let store = Store::new(&config.common.database, "reseal")?;
    let resealed = store.reseal().await?;
    print(&format!(
        "the first sealing key seals everything: {} access tokens, {} payment accounts, and {} leads that another had sealed",
        resealed.access_tokens, resealed.payment_accounts, resealed.leads
    ))
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn event(dataset: &str, number: &str) -> anyhow::Result<()> {
    let config: Config = rastro_boot::load_unchecked()?;
    let number = number.parse().context("an event's number is a whole number")?;
    let store = Store::new(&config.common.database, "ingest-gateway")?;
    let payload = store.payload(dataset.parse()?, number).await?;
    print(&payload.with_context(|| format!("dataset {dataset} has no event {number}"))?)
}

/// Keeps datasets and keys, by the name of whoever is logged in.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn administer(arguments: &[&str]) -> anyhow::Result<()> {
    if arguments.get(1) == Some(&"help") {
        return print(command_line::USAGE);
    }
    let config: Config = rastro_boot::load()?;
    let store = Store::new(&config.common.database, "administer")?;
    #[expect(
        clippy::disallowed_methods,
        reason = "who types a command is no setting of the service"
    )]
    let user = std::env::var("USER").unwrap_or_default();
    print(&command_line::run(&config, store, arguments, &user).await?)
}

pub(crate) fn openapi() -> anyhow::Result<()> {
    print(openapi::document()?.trim_end())
}

#[expect(clippy::print_stdout, reason = "the answer to a command typed at a terminal")]
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    println!("{text}");
    Ok(())
}
