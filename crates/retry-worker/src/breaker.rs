//! What time and evidence do to circuit breakers. The rules are `rastro_core::circuit_breaker`; this applies
//! them to every breaker, writes what changed, and makes due again what an outage held up.

use std::time::Duration;

use rastro_core::circuit_breaker::{Breaker, BreakerSettings, State};
use rastro_core::dataset::DatasetId;
use rastro_store::{Store, StoreError, WatchedBreaker};
use tracing::{error, info};

use crate::config::Config;
use crate::metrics::{BreakerState, ChangeLabels, Step};
use crate::rounds::{Rounds, first_failure};

pub(crate) async fn run(store: &Store, config: &Config, rounds: &Rounds) {
    let mut backoff = rounds.backoff(config.sweep.interval(), "looking after circuit breakers");
    while backoff.wait(round(store, config, rounds).await).await {}
}

async fn round(store: &Store, config: &Config, rounds: &Rounds) -> Result<(), StoreError> {
    let ticking = tick(store, &config.common.breaker, rounds);
    let ticked = rounds.step(Step::tick_breakers, ticking).await.map(drop);
    let revived = revive(store, config, rounds).await;
    first_failure([ticked, revived])
}

/// Makes due again what an outage held up. Whoever closed the breaker: the forwarder does, after the last
/// probe.
async fn revive(store: &Store, config: &Config, rounds: &Rounds) -> Result<(), StoreError> {
    let spread = Duration::from_secs(config.sweep.spread_after_outage_seconds);
    let revive = |limit| store.revive_after_outage(config.window(), spread, limit);
    let revived = rounds
        .repeat(Step::revive_after_outage, config.sweep.step_events, revive)
        .await?;
    if revived > 0 {
        info!("after an outage {revived} events are due again, with all their retries");
    }
    Ok(())
}

/// Changes what is to be changed, and returns how many breakers that was. One breaker that cannot be changed
/// keeps none of the others from it.
async fn tick(store: &Store, settings: &BreakerSettings, rounds: &Rounds) -> Result<u64, StoreError> {
    let mut changed = 0;
    let mut failure = None;
    for watched in store.watched_breakers(settings.window_ms).await? {
        match tick_one(store, settings, rounds, &watched).await {
            Ok(is_changed) => changed += u64::from(is_changed),
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(changed), Err)
}

/// Whether the breaker was changed here. Of two workers that decide at once one wins, and only that one logs
/// and counts it.
async fn tick_one(
    store: &Store,
    settings: &BreakerSettings,
    rounds: &Rounds,
    watched: &WatchedBreaker,
) -> Result<bool, StoreError> {
    let (dataset, before) = (watched.dataset_id, &watched.breaker);
    let Some(after) = before.tick(&watched.evidence, watched.now_ms, settings, rand::random()) else {
        return Ok(false);
    };
    if !store.change_breaker(dataset, before, &after, None).await? {
        return Ok(false);
    }
    if before.manual != after.manual {
        info!(dataset_id = %dataset, "the operator's order for the breaker ({}) has lapsed", before.manual.as_str());
    }
    if before.state != after.state {
        let to = match after.state {
            State::Closed => BreakerState::closed,
            State::Open => BreakerState::open,
            State::HalfOpen => BreakerState::half_open,
        };
        rounds
            .metrics
            .breaker_changes
            .get_or_create(&ChangeLabels { to })
            .inc();
        let (requests, failures) = (watched.evidence.requests, watched.evidence.failures);
        let evidence = format!("{failures} of the last {requests} requests failed");
        log(dataset, &after, watched.now_ms, &evidence);
    }
    Ok(true)
}

fn log(dataset: DatasetId, after: &Breaker, now_ms: i64, evidence: &str) {
    match after.state {
        // For errors: for any other reason the forwarder opens it, which hears it from Meta.
        State::Open => {
            let seconds = after
                .open_until_ms
                .map_or(0, |until_ms| (until_ms - now_ms) / 1_000);
            error!(
                dataset_id = %dataset,
                "Meta API down: {evidence}; the dataset is left alone for {seconds} s, then probed; its events wait"
            );
        }
        State::HalfOpen => {
            info!(dataset_id = %dataset, "the breaker is half-open: a probe will show whether Meta answers");
        }
        State::Closed => info!(dataset_id = %dataset, "the breaker is closed: events flow again"),
    }
}
