//! Events that wait: due again, too old, or all that there is to probe with.

use rastro_service::telemetry::trace_context;
use rastro_store::{Store, StoreError, TracedEvent};
use tracing::{info, warn};

use crate::config::Config;
use crate::metrics::Step;
use crate::rounds::{Rounds, first_failure};

/// Events that a dataset under probe gets back: as many as one probe takes.
const PROBE_EVENTS: i64 = 10;
/// Events of one step whose traces say that they are due again.
const TRACED_EVENTS: usize = 100;
/// Lapsed batches dissolved by one statement. Each may hold a thousand events.
const DISSOLVE_BATCHES: u32 = 20;

pub(crate) async fn run(store: &Store, config: &Config, rounds: &Rounds) {
    let mut backoff = rounds.backoff(config.sweep.interval(), "looking for events that are due");
    let sweep = Sweep {
        store,
        config,
        rounds,
    };
    while backoff.wait(sweep.round().await).await {}
}

/// That an event is ready again, as a part of its trace, by OpenTelemetry's semantic conventions for
/// messages.
fn trace(event: &TracedEvent) {
    let span = tracing::info_span!(
        parent: None,
        "requeue",
        otel.kind = "producer",
        otel.name = "send send_queue",
        messaging.system = "postgresql",
        messaging.operation.name = "send",
        "messaging.operation.type" = "send",
        messaging.destination.name = "send_queue",
        request.id = %event.request_id,
        event.number = event.event_number,
    );
    trace_context::set_parent(&span, &event.traceparent);
    span.in_scope(|| {});
}

struct Sweep<'s> {
    store: &'s Store,
    config: &'s Config,
    rounds: &'s Rounds,
}

impl Sweep<'_> {
    /// Every step, whether or not the one before it failed: an expiry that fails must not keep events from
    /// being due.
    async fn round(&self) -> Result<(), StoreError> {
        // Before what makes events due, so that none is due that Meta would refuse.
        let expired = self.expire_waiting().await;
        let due = self.requeue_due().await;
        let dissolved = self.dissolve_lapsed().await;
        let probing = self.requeue_for_probe().await;
        first_failure([expired, due, dissolved, probing])
    }

    async fn expire_waiting(&self) -> Result<(), StoreError> {
        let expire = |limit| self.store.expire_waiting(limit);
        let limit = self.config.sweep.step_events;
        let expired = self.rounds.repeat(Step::expire_waiting, limit, expire).await?;
        if expired > 0 {
            warn!("{expired} events became too old for Meta while they waited, and are dead letters");
        }
        Ok(())
    }

    async fn requeue_due(&self) -> Result<(), StoreError> {
        let requeue = async |limit| {
            if !self.config.common.telemetry.exports_traces() {
                return self.store.requeue_due(limit).await;
            }
            let (due, traced) = self.store.requeue_due_traced(limit, TRACED_EVENTS).await?;
            traced.iter().for_each(trace);
            Ok(due)
        };
        let limit = self.config.sweep.step_events;
        let due = self.rounds.repeat(Step::requeue_due, limit, requeue).await?;
        if due > 0 {
            info!("{due} events are due again");
        }
        Ok(())
    }

    async fn dissolve_lapsed(&self) -> Result<(), StoreError> {
        let dissolve = |limit| self.store.dissolve_lapsed(limit);
        let dissolved = self
            .rounds
            .repeat(Step::dissolve_lapsed, DISSOLVE_BATCHES, dissolve)
            .await?;
        if dissolved > 0 {
            info!(
                "the events of {dissolved} batches are ready again whose sender died while their dataset is left alone"
            );
        }
        Ok(())
    }

    async fn requeue_for_probe(&self) -> Result<(), StoreError> {
        let requeue = self.store.requeue_for_probe(PROBE_EVENTS, self.config.window());
        let probing = self.rounds.step(Step::requeue_for_probe, requeue).await?;
        if probing > 0 {
            info!("{probing} events are due to find out whether Meta answers");
        }
        Ok(())
    }
}
