//! `rastro-demo`: sends the demo's events through a running gateway, prints the account of what became of them, and
//! writes it as JSON.

mod options;
mod output;

use std::process::ExitCode;

use rastro_demo::client::{self, Gateway};
use rastro_demo::run::Run;
use rastro_demo::stream::{Origin, stream};
use rastro_service::clock::Clock;
use rastro_store::{DatabaseConfig, Store};

use crate::options::Options;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rastro-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every event is accounted for.
async fn run() -> anyhow::Result<bool> {
    let Some(options) = Options::read(std::env::args().skip(1), options::variable)? else {
        output::print(options::USAGE);
        return Ok(true);
    };
    let database = DatabaseConfig {
        max_connections: 1,
        statement_timeout_seconds: 30,
        ..DatabaseConfig::new(options.database_url.clone(), options.sealing_key.clone())
    };
    let http = client::http()?;
    let (publishable_key, secret_key) = (options.publishable_key.clone(), options.secret_key.clone());
    let run = Run {
        gateway: Gateway::new(http.clone(), &options.gateway, publishable_key, secret_key),
        http,
        sandbox: options.sandbox.clone(),
        store: Store::new(&database, "rastro-demo")?,
        dataset_id: options.dataset_id.clone(),
    };
    let name = format!("{:012x}", rand::random::<u64>() >> 16);
    let origin = Origin {
        seed: options.seed,
        run: &name,
        now: Clock::system().now().timestamp(),
    };
    let account = run.account_for(&stream(&origin)).await?;

    output::write(&options, &account)?;
    output::print(&output::report(&options, &account));
    Ok(account.problems().is_empty())
}
