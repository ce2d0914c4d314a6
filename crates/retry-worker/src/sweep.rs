//! Waiting events: due again, or too old.

use rastro_store::{Store, StoreError};
use tracing::{info, warn};

use crate::config::Config;
use crate::metrics::Step;
use crate::rounds::Rounds;

/// Events that a dataset under probe gets back: as many as one probe takes.
const PROBE_EVENTS: i64 = 10;

pub(crate) async fn run(store: &Store, config: &Config, rounds: &Rounds) {
    let mut pace = rounds.pace(config.sweep.interval(), "looking for events that are due");
    while pace.goes_on() {
        pace.rest(round(store, config, rounds).await).await;
    }
}

async fn round(store: &Store, config: &Config, rounds: &Rounds) -> Result<(), StoreError> {
    let limit = config.sweep.step_events;
    // First, so that nothing is made due that Meta would refuse.
    let expired = rounds
        .repeat(Step::expire_waiting, limit, |limit| store.expire_waiting(limit))
        .await?;
    if expired > 0 {
        warn!("{expired} events became too old for Meta while they waited, and are dead letters");
    }
    let due = rounds
        .repeat(Step::requeue_due, limit, |limit| store.requeue_due(limit))
        .await?;
    let probing = store.requeue_for_probe(PROBE_EVENTS, config.window());
    let probing = rounds.step(Step::requeue_for_probe, probing).await?;
    if due + probing > 0 {
        info!("{due} events are due again, and {probing} more to find out whether Meta answers");
    }
    Ok(())
}
