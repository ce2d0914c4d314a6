//! Keeps credits, the sums that pages read, cohorts and forecasts as what they are made of changes.
//!
//! [`Crediting::follow`] credits the orders that changed since the last time; [`Crediting::sweep`] does so
//! each night for the orders of the last weeks, since a page may tell of a touch days later, and once a week
//! by what the Markov model has learnt until then; [`Crediting::recompute`] does on demand. All are safe to
//! stop anywhere and to run twice: what is credited as before is not written again.

use std::time::Duration;

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};
use rastro_core::attribution::markov::{RemovalEffects, Transitions};
use rastro_core::attribution::{Lookback, Rules};
use rastro_core::dataset::DatasetId;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{AttributionRun, CreditSettings, Recredited, ReportingDay, RunKind, Store, StoreError};
use serde_json::json;
use tracing::{info, warn};

use crate::config::CreditingConfig;
use crate::forecasts::forecast_revenue;

/// Orders of one transaction: it lasts tens of milliseconds, and its touches are a few megabytes.
const ORDERS_AT_ONCE: usize = 500;
/// Also what a first start looks back.
const FIRST_DAYS: u64 = 400;

/// How far a recomputation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub seen: i64,
    pub changed: i64,
    /// About how many there are.
    pub total: i64,
}

/// What has to be known to credit.
#[derive(Clone)]
pub struct Crediting {
    store: Store,
    config: CreditingConfig,
    lookback: Lookback,
}

impl Crediting {
    /// # Errors
    /// When a look-back window is none.
    pub fn new(store: Store, config: &CreditingConfig) -> anyhow::Result<Self> {
        Ok(Crediting {
            store,
            config: config.clone(),
            lookback: config.lookback()?,
        })
    }

    /// Until shutdown. What fails is tried again the next time.
    pub async fn run(self, shutdown: Shutdown) {
        let pause = Duration::from_secs(self.config.interval_seconds);
        loop {
            if let Err(error) = self.round(&shutdown).await {
                warn!("credits could not be brought up to date: {}", ErrorChain(&error));
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.requested() => return,
            }
        }
    }

    /// Every dataset once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn round(&self, shutdown: &Shutdown) -> Result<(), StoreError> {
        for dataset in self.store.dataset_ids().await? {
            if shutdown.is_requested() {
                return Ok(());
            }
            let day = self.store.reporting_day(dataset).await?;
            let (now, today) = (day.now, day.today);
            let state = self.store.attribution_state(dataset).await?;
            let mut settings = self.settings(&day, state.effects);
            let changed = match state.followed_until {
                Some(until) => self.follow(dataset, until, now, &settings).await?.changed,
                None => 1,
            };
            // A time zone that was changed moves what happened around midnight to other days, whenever that
            // was.
            let is_refiled = state.swept_on.is_some() && state.filed_by.as_ref() != Some(&day.time_zone);
            let is_swept = state.swept_on != Some(today) || is_refiled;
            if is_swept {
                let days = if state.swept_on.is_some() {
                    self.config.sweep_days
                } else {
                    FIRST_DAYS
                };
                let mut from = today - Days::new(days);
                if is_refiled && let Some(first) = self.store.first_filed_day(dataset).await? {
                    info!("the days of dataset {dataset} are now those of {}", day.time_zone);
                    from = from.min(first);
                }
                // What was today may be tomorrow now.
                let until = today + Days::new(1);
                self.sweep(dataset, from, until, &settings, shutdown).await?;
                self.store.note_followed(dataset, now).await?;
                let is_new_week = state.swept_on.map(|day| day.iso_week()) != Some(today.iso_week());
                if is_new_week && self.relearn(dataset, &mut settings, shutdown).await? == Some(true) {
                    self.sweep(dataset, from, until, &settings, shutdown).await?;
                }
            }
            let days = self.make_days(dataset, today, &settings, shutdown).await?;
            if shutdown.is_requested() {
                return Ok(());
            }
            if let Some(campaigns) = self.store.make_due_lead_values(dataset).await? {
                info!("know what leads of {campaigns} campaigns of dataset {dataset} became");
            }
            if changed > 0 || days > 2 {
                self.store.make_cohorts(dataset, today).await?;
            }
            if is_swept {
                forecast_revenue(&self.store, dataset, today).await?;
                // Last: until here all of it is done again.
                self.store.note_swept(dataset, &day).await?;
            }
        }
        Ok(())
    }

    /// Credits the orders that changed since `until`, with an overlap: a transaction may commit later than
    /// its time says.
    async fn follow(
        &self,
        dataset: DatasetId,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
        settings: &CreditSettings,
    ) -> Result<Recredited, StoreError> {
        let since = until - TimeDelta::seconds(self.config.overlap_seconds);
        let orders = self.store.changed_orders(dataset, since).await?;
        let mut sum = Recredited::default();
        for some in orders.chunks(ORDERS_AT_ONCE) {
            let done = self
                .store
                .credit_orders(dataset, some, NaiveDate::MIN, settings)
                .await?;
            sum.orders += done.orders;
            sum.changed += done.changed;
        }
        self.store.note_followed(dataset, now).await?;
        Ok(sum)
    }

    /// Credits the orders placed since `from` again, by what was learnt last, and has the sums of all days
    /// from then `until` made again.
    async fn sweep(
        &self,
        dataset: DatasetId,
        from: NaiveDate,
        until: NaiveDate,
        settings: &CreditSettings,
        shutdown: &Shutdown,
    ) -> Result<(), StoreError> {
        let run = self
            .pass(dataset, RunKind::Sweep, from, settings, shutdown, &mut |_| {})
            .await?;
        if run.is_some() {
            self.store.mark_campaign_days(dataset, from, until).await?;
        }
        Ok(())
    }

    /// Credits every order of the last `days` days again, by what the Markov model learns from all of them.
    /// `None`: it was stopped before the end; run again it goes on there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recompute(
        &self,
        dataset: DatasetId,
        days: u64,
        shutdown: &Shutdown,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Option<Progress>, StoreError> {
        let day = self.store.reporting_day(dataset).await?;
        let today = day.today;
        let from = today - Days::new(days);
        let known = self.store.attribution_state(dataset).await?.effects;
        let mut settings = self.settings(&day, known);
        let Some(first) = self
            .pass(dataset, RunKind::Recompute, from, &settings, shutdown, progress)
            .await?
        else {
            return Ok(None);
        };
        let Some(is_other) = self.relearn(dataset, &mut settings, shutdown).await? else {
            return Ok(None);
        };
        let mut done = first;
        if is_other {
            let second = self
                .pass(dataset, RunKind::Recompute, from, &settings, shutdown, progress)
                .await?;
            let Some(second) = second else { return Ok(None) };
            done.changed = done.changed.max(second.changed);
        }
        self.store.mark_campaign_days(dataset, from, today).await?;
        self.make_days(dataset, today, &settings, shutdown).await?;
        if shutdown.is_requested() {
            return Ok(None);
        }
        self.store.make_cohorts(dataset, today).await?;
        forecast_revenue(&self.store, dataset, today).await?;
        Ok(Some(done))
    }

    /// All orders once, those before `from` left out, from where an unfinished run stopped. `None`: it was
    /// stopped.
    async fn pass(
        &self,
        dataset: DatasetId,
        kind: RunKind,
        from: NaiveDate,
        settings: &CreditSettings,
        shutdown: &Shutdown,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Option<Progress>, StoreError> {
        let said = json!({
            "lookback": settings.rules.lookback,
            "effects": settings.rules.effects,
            "time_zone": settings.time_zone,
        });
        let mut run: AttributionRun = self
            .store
            .open_attribution_run(dataset, kind, from, &said)
            .await?;
        let total = self.store.count_orders(dataset).await?;
        let of = |run: &AttributionRun| Progress {
            seen: run.orders_seen,
            changed: run.orders_changed,
            total,
        };
        loop {
            if shutdown.is_requested() {
                return Ok(None);
            }
            let orders = self
                .store
                .page_of_orders(dataset, &run.cursor_order_id, ORDERS_AT_ONCE as u32)
                .await?;
            let Some(last) = orders.last() else { break };
            let done = self.store.credit_orders(dataset, &orders, from, settings).await?;
            run.cursor_order_id.clone_from(last);
            run.orders_seen += orders.len() as i64;
            run.orders_changed += done.changed as i64;
            self.store.advance_attribution_run(dataset, &run, false).await?;
            progress(of(&run));
        }
        self.store.advance_attribution_run(dataset, &run, true).await?;
        Ok(Some(of(&run)))
    }

    /// Learns anew what would be missed without each channel, from the credits as they are, and says whether
    /// that is another than before. `None`: it was stopped.
    async fn relearn(
        &self,
        dataset: DatasetId,
        settings: &mut CreditSettings,
        shutdown: &Shutdown,
    ) -> Result<Option<bool>, StoreError> {
        let Some(learnt) = self.learn(dataset, settings, shutdown).await? else {
            return Ok(None);
        };
        let effects = learnt.has_volume().then(|| learnt.removal_effects()).flatten();
        if effects == settings.rules.effects {
            return Ok(Some(false));
        }
        self.store.note_effects(dataset, effects.as_ref()).await?;
        settings.rules.effects = effects;
        Ok(Some(true))
    }

    /// How people went from channel to channel: those who bought, and those who only wrote. `None`: it was
    /// stopped.
    async fn learn(
        &self,
        dataset: DatasetId,
        settings: &CreditSettings,
        shutdown: &Shutdown,
    ) -> Result<Option<Transitions>, StoreError> {
        let mut seen = Transitions::default();
        let mut after = String::new();
        loop {
            if shutdown.is_requested() {
                return Ok(None);
            }
            let orders = self
                .store
                .page_of_orders(dataset, &after, ORDERS_AT_ONCE as u32)
                .await?;
            let Some(last) = orders.last() else { break };
            after.clone_from(last);
            for path in self.store.paths_of_orders(dataset, &orders).await? {
                seen.add(path.iter().map(String::as_str), true);
            }
        }
        let mut after = 0;
        while let Some((last, paths)) = self.store.unconverted_paths(dataset, after, settings).await? {
            if shutdown.is_requested() {
                return Ok(None);
            }
            after = last;
            for path in paths {
                seen.add(path.iter().map(String::as_str), false);
            }
        }
        Ok(Some(seen))
    }

    /// Makes the sums of all days that are due, and of today and yesterday, whose leads are still coming.
    /// Returns how many.
    async fn make_days(
        &self,
        dataset: DatasetId,
        today: NaiveDate,
        settings: &CreditSettings,
        shutdown: &Shutdown,
    ) -> Result<u64, StoreError> {
        self.store
            .mark_campaign_days(dataset, today - Days::new(1), today)
            .await?;
        let mut made = 0;
        while !shutdown.is_requested()
            && self
                .store
                .make_due_campaign_day(dataset, settings)
                .await?
                .is_some()
        {
            made += 1;
        }
        if made > 2 {
            info!("made the sums of {made} days of dataset {dataset}");
        }
        Ok(made)
    }

    fn settings(&self, day: &ReportingDay, effects: Option<RemovalEffects>) -> CreditSettings {
        CreditSettings {
            rules: Rules {
                lookback: self.lookback.clone(),
                effects,
            },
            time_zone: day.time_zone.clone(),
        }
    }
}
