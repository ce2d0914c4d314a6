//! What keeps the tables small and ready for tomorrow. One worker at a time leads and does it; the others
//! stand by.

use std::time::Duration;

use rastro_store::{Leadership, QueuePlace, QueueStretch, Store, StoreError};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::{Config, MaintenanceConfig};
use crate::metrics::Step;
use crate::rounds::{Rounds, first_failure};

/// So many rows of the queue are looked at in a round, however many there are.
const QUEUE_STRETCH_ROWS: i64 = 50_000;

pub(crate) async fn run(store: &Store, config: &Config, rounds: &Rounds) {
    let step_events = config.sweep.step_events;
    let config = &config.maintenance;
    let mut leader = Leader {
        store,
        config,
        step_events,
        rounds,
        leadership: Leadership::new(store.clone()),
        leads: false,
        partitions_at: Instant::now(),
        customers_at: Instant::now(),
        vacuum_at: Instant::now(),
        dedup_at: Instant::now(),
        queue_at: Instant::now(),
        queue_place: QueuePlace::default(),
        tidy_at: Instant::now(),
    };
    let interval = Duration::from_millis(config.interval_milliseconds);
    let mut backoff = rounds.backoff(interval, "maintenance of the tables");
    while backoff.wait(leader.round().await).await {}
}

struct Leader<'m> {
    store: &'m Store,
    config: &'m MaintenanceConfig,
    /// How many rows of a queue one statement takes.
    step_events: u32,
    rounds: &'m Rounds,
    leadership: Leadership,
    leads: bool,
    /// When each step is next due.
    partitions_at: Instant,
    customers_at: Instant,
    vacuum_at: Instant,
    dedup_at: Instant,
    queue_at: Instant,
    tidy_at: Instant,
    /// Where the walk through the queue has come to.
    queue_place: QueuePlace,
}

impl Leader<'_> {
    /// Each step that is due. One that fails keeps none of the others from being done.
    async fn round(&mut self) -> Result<(), StoreError> {
        if !self.take_the_lead().await? {
            return Ok(());
        }
        let now = Instant::now();
        let is_due = |at: Instant| at <= now;
        let (mut partitions, mut queues, mut dedup) = (Ok(()), Ok(()), Ok(()));
        let (mut queue, mut tidy, mut customers) = (Ok(()), Ok(()), Ok(()));
        if is_due(self.partitions_at) {
            partitions = self.partitions().await;
        }
        if is_due(self.vacuum_at) {
            queues = self.vacuum_queues().await;
        }
        if is_due(self.dedup_at) {
            dedup = self.expire_dedup_keys().await;
        }
        if is_due(self.queue_at) {
            queue = self.walk_the_queue().await;
        }
        if is_due(self.tidy_at) {
            tidy = self.tidy().await;
        }
        if is_due(self.customers_at) {
            customers = self.forget_customers().await;
        }
        first_failure([partitions, queues, dedup, queue, tidy, customers])
    }

    async fn take_the_lead(&mut self) -> Result<bool, StoreError> {
        let taking = async { self.leadership.take().await.map(u64::from) };
        let leads = self.rounds.step(Step::take_the_lead, taking).await;
        let leads_now = matches!(leads, Ok(1));
        self.rounds.metrics.leads.set(leads_now.into());
        if leads_now && !self.leads {
            info!("this worker does the maintenance now");
            // Whatever the leader before it last did.
            self.partitions_at = Instant::now();
        }
        self.leads = leads_now;
        leads.map(|_| leads_now)
    }

    /// First those to come: without tomorrow's nothing can be stored tomorrow. A failure is tried again in
    /// the next round, and shows in the readiness long before it matters.
    async fn partitions(&mut self) -> Result<(), StoreError> {
        let created = self
            .store
            .create_partitions_ahead(self.config.partition_days_ahead);
        let created = self.rounds.step(Step::create_partitions, created).await?;
        self.rounds
            .metrics
            .partition_days_ahead
            .set(self.store.partition_days_ahead().await?);
        let dropped = self.store.drop_old_partitions(self.config.keep_days);
        let dropped = self.rounds.step(Step::drop_partitions, dropped).await?;
        if created > 0 || dropped > 0 {
            info!("made {created} partitions for the coming days, dropped {dropped} old ones");
        }
        self.partitions_at = Instant::now() + Duration::from_secs(self.config.partitions_every_seconds);
        Ok(())
    }

    async fn vacuum_queues(&mut self) -> Result<(), StoreError> {
        self.rounds
            .step(Step::vacuum_queues, self.store.vacuum_queues())
            .await?;
        // While somebody's transaction keeps dead tuples from being freed, vacuum does nothing, so not at
        // once again.
        self.vacuum_at = Instant::now() + Duration::from_secs(self.config.vacuum_every_seconds);
        Ok(())
    }

    /// A step at a time, so that it never takes much from those who accept events.
    async fn expire_dedup_keys(&mut self) -> Result<(), StoreError> {
        let limit = i64::from(self.config.dedup_step);
        let expired = self
            .rounds
            .step(Step::expire_dedup_keys, self.store.expire_dedup_keys(limit))
            .await?;
        if expired < usize::try_from(limit).unwrap_or(usize::MAX) {
            self.dedup_at = Instant::now() + self.tidy_every();
        }
        Ok(())
    }

    /// Ready events that Meta would refuse, or whose dataset does not exist any more, are not kept for ever.
    /// No index finds them, and a dataset that is left alone may have millions: a part of the queue a round,
    /// until its end.
    async fn walk_the_queue(&mut self) -> Result<(), StoreError> {
        // First: what fails is tried again then, and not in every round.
        self.queue_at = Instant::now() + self.tidy_every();
        let place = self.queue_place.clone();
        let part = self.store.queue_stretch(place, QUEUE_STRETCH_ROWS).await?;
        let is_last = part.until.is_none();
        self.queue_place = part.until.clone().unwrap_or_default();
        let expired = self.expire_ready(part.clone()).await;
        let cleared = self.clear_deleted_datasets(part).await;
        first_failure([expired, cleared])?;
        if !is_last {
            self.queue_at = Instant::now();
        }
        Ok(())
    }

    /// Nothing is kept for ever: neither dead letters whose event is dropped, nor a breaker's changes of then,
    /// nor people of long ago, nor what was told of payments then.
    async fn tidy(&mut self) -> Result<(), StoreError> {
        // First: what fails is tried again then, and not in every round.
        self.tidy_at = Instant::now() + self.tidy_every();
        let purged = self.purge_dead_letters().await;
        let keys = self.expire_idempotency_keys().await;
        let leads = self.forget_leads().await;
        let touchpoints = self.forget_touchpoints().await;
        let claims = self.forget_claims().await;
        let notifications = self.forget_notifications().await;
        let payers = self.forget_payers().await;
        let findings = self.forget_findings().await;
        let closed = self.purge_transitions().await;
        first_failure([purged, keys, closed])?;
        first_failure([leads, touchpoints, claims, notifications, payers, findings])
    }

    async fn expire_ready(&self, part: QueueStretch) -> Result<(), StoreError> {
        let expire = move |limit| self.store.expire_ready(part.clone(), limit);
        let expired = self.rounds.repeat(Step::expire_ready, self.step_events, expire);
        let expired = expired.await?;
        if expired > 0 {
            warn!("{expired} events became too old for Meta before their turn came, and are dead letters");
        }
        Ok(())
    }

    async fn clear_deleted_datasets(&self, part: QueueStretch) -> Result<(), StoreError> {
        let clear = move |limit| self.store.clear_deleted_datasets(part.clone(), limit);
        let cleared = self
            .rounds
            .repeat(Step::clear_deleted_datasets, self.step_events, clear);
        let cleared = cleared.await?;
        if cleared > 0 {
            warn!("{cleared} events of datasets that do not exist any more are dead letters");
        }
        Ok(())
    }

    async fn purge_dead_letters(&self) -> Result<(), StoreError> {
        let purge = |limit| self.store.purge_dead_letters(self.config.keep_days, limit);
        let purged = self
            .rounds
            .repeat(Step::purge_dead_letters, self.step_events, purge);
        let purged = purged.await?;
        if purged > 0 {
            info!("deleted {purged} dead letters of events that are not kept any more");
        }
        Ok(())
    }

    async fn purge_transitions(&self) -> Result<(), StoreError> {
        let purge = |limit| self.store.purge_transitions(self.config.keep_days, limit);
        self.rounds
            .repeat(Step::purge_transitions, self.step_events, purge)
            .await?;
        Ok(())
    }

    async fn expire_idempotency_keys(&self) -> Result<(), StoreError> {
        let expire = |limit| self.store.expire_idempotency_keys(limit);
        self.rounds
            .repeat(Step::expire_idempotency_keys, self.step_events, expire)
            .await?;
        Ok(())
    }

    async fn forget_leads(&self) -> Result<(), StoreError> {
        let forget = |limit| self.store.forget_leads(self.config.keep_leads_days, limit);
        let forgotten = self
            .rounds
            .repeat(Step::forget_leads, self.step_events, forget)
            .await?;
        if forgotten > 0 {
            info!("deleted {forgotten} leads that are not kept any more");
        }
        Ok(())
    }

    async fn forget_touchpoints(&self) -> Result<(), StoreError> {
        let forget = |limit| {
            self.store
                .forget_touchpoints(self.config.keep_touchpoints_days, limit)
        };
        let forgotten = self
            .rounds
            .repeat(Step::forget_touchpoints, self.step_events, forget)
            .await?;
        if forgotten > 0 {
            info!("deleted {forgotten} contacts with ads that are not kept any more");
        }
        Ok(())
    }

    async fn forget_claims(&self) -> Result<(), StoreError> {
        let forget = |limit| self.store.forget_claims(self.config.keep_days, limit);
        let forgotten = self
            .rounds
            .repeat(Step::forget_claims, self.step_events, forget)
            .await?;
        if forgotten > 0 {
            info!("forgot what was claimed of {forgotten} orders that nobody confirmed");
        }
        Ok(())
    }

    async fn forget_notifications(&self) -> Result<(), StoreError> {
        let forget = |limit| self.store.forget_notifications(self.config.keep_days, limit);
        self.rounds
            .repeat(Step::forget_notifications, self.step_events, forget)
            .await?;
        Ok(())
    }

    async fn forget_payers(&self) -> Result<(), StoreError> {
        let forget = |limit| self.store.forget_payers(self.config.keep_leads_days, limit);
        let forgotten = self
            .rounds
            .repeat(Step::forget_payers, self.step_events, forget)
            .await?;
        if forgotten > 0 {
            info!("forgot who paid {forgotten} payments");
        }
        Ok(())
    }

    async fn forget_findings(&self) -> Result<(), StoreError> {
        let forget = |limit| self.store.forget_findings(self.config.keep_findings_days, limit);
        self.rounds
            .repeat(Step::forget_findings, self.step_events, forget)
            .await?;
        Ok(())
    }

    /// All keys of buyers, in bounded steps. Those of long ago may be in use, so their age alone finds none.
    async fn forget_customers(&mut self) -> Result<(), StoreError> {
        let (mut after, mut forgotten) = (None, 0);
        loop {
            let mut last = None;
            let looking = async {
                let days = self.config.keep_leads_days;
                let limit = i64::from(self.step_events);
                let (forgotten, looked) = self.store.forget_customers(days, after.as_ref(), limit).await?;
                last = looked;
                Ok(forgotten)
            };
            forgotten += self.rounds.step(Step::forget_customers, looking).await?;
            if last.is_none() || self.rounds.shutdown.is_requested() {
                break;
            }
            after = last;
        }
        if forgotten > 0 {
            info!("forgot {forgotten} keys of buyers who are not known any more");
        }
        self.customers_at = Instant::now() + Duration::from_secs(self.config.partitions_every_seconds);
        Ok(())
    }

    fn tidy_every(&self) -> Duration {
        Duration::from_secs(self.config.tidy_every_seconds)
    }
}
