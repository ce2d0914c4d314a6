//! `rastro-bench`: the whole benchmark. It needs a PostgreSQL server of its own and the built programs; scripts/bench.sh
//! provides both.

mod arena;
mod books;
mod churn;
mod claims;
mod fairness;
mod measure;
mod options;
mod report;
mod rounds;
mod sandbox;
mod steady;

use std::process::ExitCode;

use crate::arena::Arena;
use crate::options::Options;
use crate::report::Report;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rastro-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every event is accounted for.
async fn run() -> anyhow::Result<bool> {
    let Some(options) = Options::read(std::env::args().skip(1))? else {
        report::print(options::USAGE);
        return Ok(true);
    };
    let plan = options.plan();
    let mut arena = Arena::open(&options).await?;
    let mut report = Report::new(&arena, &plan).await?;

    report.everyday = Some(steady::thousand_a_minute(&mut arena, &plan).await?);
    let claims_before = churn::time_claims(&mut arena, &plan).await?;
    for number in 1..=plan.rounds {
        say(&format!("round {number} of {}", plan.rounds));
        report.rounds.push(rounds::round(&mut arena, &plan).await?);
    }
    report.million = Some(steady::million_a_minute(&mut arena, &plan).await?);
    report.fairness = Some(fairness::measure(&mut arena, &plan).await?);
    report.claims = Some(claims::measure(&arena, &plan).await?);
    report.churn = Some(churn::measure(&mut arena, &plan, claims_before).await?);
    say("the sum of all events");
    report.books = Some(books::draw_up(&mut arena).await?);
    report.gateway_rss_peak = arena.gateway_memory()?.1;
    arena.close().await?;

    report.write(&options.out)?;
    report::print(&report.text());
    Ok(report.problems().is_empty())
}

/// Progress, for whoever waits.
fn say(what: &str) {
    eprintln!("    {what}");
}
