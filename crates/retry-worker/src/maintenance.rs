//! What keeps the tables small and ready for tomorrow. One worker at a time leads and does it; the others stand by.

use std::time::Duration;

use rastro_store::{Leadership, Store, StoreError};
use tokio::time::Instant;
use tracing::info;

use crate::config::{Config, MaintenanceConfig};
use crate::metrics::Step;
use crate::rounds::Rounds;

/// Evidence is kept for this much longer than any breaker looks back, for the person who looks afterwards.
const KEEP_ATTEMPTS_LONGER: Duration = Duration::from_secs(600);

pub(crate) async fn run(store: &Store, config: &Config, rounds: &Rounds) {
    let window = config.window();
    let config = &config.maintenance;
    let mut leader = Leader {
        store,
        config,
        keep_attempts: window + KEEP_ATTEMPTS_LONGER,
        rounds,
        leadership: Leadership::new(store.clone()),
        leads: false,
        partitions_at: Instant::now(),
        vacuum_at: Instant::now(),
        dedup_at: Instant::now(),
        attempts_at: Instant::now(),
    };
    let interval = Duration::from_millis(config.interval_milliseconds);
    let mut pace = rounds.pace(interval, "maintenance of the tables");
    while pace.goes_on() {
        pace.rest(leader.round().await).await;
    }
}

struct Leader<'m> {
    store: &'m Store,
    config: &'m MaintenanceConfig,
    keep_attempts: Duration,
    rounds: &'m Rounds,
    leadership: Leadership,
    leads: bool,
    /// When each step is next due.
    partitions_at: Instant,
    vacuum_at: Instant,
    dedup_at: Instant,
    attempts_at: Instant,
}

impl Leader<'_> {
    /// Each step that is due. One that fails keeps none of the others from being done.
    async fn round(&mut self) -> Result<(), StoreError> {
        if !self.take_the_lead().await? {
            return Ok(());
        }
        let now = Instant::now();
        let partitions = if self.partitions_at <= now {
            self.partitions().await
        } else {
            Ok(())
        };
        let queues = if self.vacuum_at <= now {
            self.vacuum_queues().await
        } else {
            Ok(())
        };
        let dedup = if self.dedup_at <= now {
            self.expire_dedup_keys().await
        } else {
            Ok(())
        };
        let attempts = if self.attempts_at <= now {
            self.forget_attempts().await
        } else {
            Ok(())
        };
        partitions.and(queues).and(dedup).and(attempts)
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

    /// Those to come first: without tomorrow's nothing can be stored tomorrow. A failure is tried again in the next round, and
    /// shows in the readiness long before it matters.
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
        if created + dropped > 0 {
            info!("made {created} partitions for the coming days, dropped {dropped} old ones");
        }
        self.partitions_at = Instant::now() + Duration::from_secs(self.config.partitions_every_seconds);
        Ok(())
    }

    async fn vacuum_queues(&mut self) -> Result<(), StoreError> {
        self.rounds
            .step(Step::vacuum_queues, self.store.vacuum_queues())
            .await?;
        // While somebody's transaction keeps the rows from being freed, this is tried for nothing, so not at once again.
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
        if expired < limit {
            self.dedup_at = Instant::now() + self.tidy_every();
        }
        Ok(())
    }

    async fn forget_attempts(&mut self) -> Result<(), StoreError> {
        let older_than_ms = i64::try_from(self.keep_attempts.as_millis()).unwrap_or(i64::MAX);
        self.rounds
            .step(Step::forget_attempts, self.store.forget_attempts(older_than_ms))
            .await?;
        self.attempts_at = Instant::now() + self.tidy_every();
        Ok(())
    }

    fn tidy_every(&self) -> Duration {
        Duration::from_secs(self.config.tidy_every_seconds)
    }
}
