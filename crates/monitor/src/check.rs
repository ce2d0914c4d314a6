//! `monitor check`: one run, or one after the other. In this order: evaluate the rules; write what changed
//! together with what is to be said; say it; count; ask Meta for its score if that is due; note the run; tell
//! the heartbeat, only after everything.
//!
//! A CronJob may start two runs or none, and a run may be killed anywhere. So one run at a time holds an
//! advisory lock, and what one run left undone the next one finds: in the outbox, in the hours that are not
//! closed.

mod count;
mod daily;
mod decide;
mod evaluate;
mod heartbeat;
mod options;
mod quality;
mod replay;
mod send;

use std::time::Duration;

use anyhow::{bail, ensure};
use chrono::{DateTime, NaiveDateTime, Utc};
use rastro_boot::Service;
use rastro_core::alert::message::Now;
use rastro_graph_api::GraphApi;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{Leadership, MonitorRun, Store};
use tracing::{Instrument as _, info, info_span, warn};

use crate::MonitorMetrics;
use crate::config::Config;
use crate::metrics::{Step, StepLabels};
use crate::notify::{self, Channel};

pub use evaluate::{check_silent, database_down};
pub use options::{Options, Replay};
pub use replay::{Opening, REPLAYABLE, openings};

/// What a run works with.
pub struct Monitor {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) channels: Vec<Channel>,
    pub(crate) graph_api: GraphApi,
    metrics: MonitorMetrics,
}

/// What came of a run, for whoever started it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Another run was under way: nothing was done.
    pub was_busy: bool,
    pub run: MonitorRun,
    /// Of a dry run: what would be said.
    pub would_say: Vec<String>,
}

impl Monitor {
    /// # Errors
    /// When a channel cannot be set up.
    pub fn new(config: &Config, service: &Service<MonitorMetrics>) -> anyhow::Result<Self> {
        Monitor::with(config, service.store.clone(), service.metrics.clone())
    }

    /// The same with the parts of a service.
    ///
    /// # Errors
    /// When a channel cannot be set up.
    pub fn with(config: &Config, store: Store, metrics: MonitorMetrics) -> anyhow::Result<Self> {
        Ok(Monitor {
            channels: notify::channels(config)?,
            graph_api: GraphApi::new(&config.graph_api)?,
            config: config.clone(),
            store,
            metrics,
        })
    }

    /// The database's time, in both ways.
    async fn now(&self) -> anyhow::Result<Now> {
        let at = self.store.now().await?;
        Ok(Now {
            at,
            local: self.local(at),
        })
    }

    pub(crate) fn local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        at.with_timezone(&self.config.zone()).naive_local()
    }

    fn rule_timeout(&self) -> Duration {
        Duration::from_secs(self.config.check.rule_timeout_seconds)
    }

    /// One run.
    ///
    /// # Errors
    /// When the database is away. What else does not go well is in the report.
    pub async fn run_once(&self) -> anyhow::Result<Report> {
        let mut lock = Leadership::of_monitor(self.store.clone());
        if !lock.take().await? {
            info!("another run is under way");
            return Ok(Report {
                was_busy: true,
                ..Report::default()
            });
        }
        let mut run = MonitorRun::default();
        let mut errors = Vec::new();
        let now = self.now().await?;

        match self.evaluate_and_decide(now).await {
            Ok(decided) => {
                run.rules = small(decided.evaluated.len());
                run.transitions = small(decided.transitions);
                errors.extend(decided.failed());
                if let Err(error) = self.store.change_alerts(&decided.changes).await {
                    errors.push(self.failed(Step::evaluate, &ErrorChain(&error).to_string()));
                }
            }
            Err(error) => errors.push(self.failed(Step::evaluate, &format!("{error:#}"))),
        }
        if let Err(error) = daily::write(self, now).await {
            errors.push(self.failed(Step::send, &format!("daily mail: {error:#}")));
        }
        let sent = send::everything(self, now).await;
        run.messages_sent = small(sent.messages);
        errors.extend(sent.errors.iter().map(|error| self.failed(Step::send, error)));
        match count::count(self).await {
            Ok(counted) => run.hours_counted = small(counted),
            Err(error) => errors.push(self.failed(Step::count, &format!("{error:#}"))),
        }
        if let Err(error) = quality::fetch(self, now).await {
            errors.push(self.failed(Step::quality, &format!("{error:#}")));
        }
        if let Ok(progress) = self.store.count_progress().await {
            (run.history_days, run.history_counted) = (progress.days, progress.counted);
        }
        run.error = (!errors.is_empty()).then(|| errors.join("; "));
        self.store.record_run(now.at, &run).await?;
        if let Err(error) = heartbeat::send(&self.config.check.heartbeat_url, run.error.is_none()).await {
            let error = self.failed(Step::heartbeat, &format!("{error:#}"));
            run.error.get_or_insert(error);
        }
        if run.error.is_none() {
            self.metrics.last_good_run.set(now.at.timestamp());
        }
        Ok(Report {
            run,
            ..Report::default()
        })
    }

    /// What this run would say, and nothing else.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn dry_run(&self) -> anyhow::Result<Report> {
        let now = self.now().await?;
        let decided = self.evaluate_and_decide(now).await?;
        let mut run = MonitorRun {
            rules: small(decided.evaluated.len()),
            transitions: small(decided.transitions),
            ..MonitorRun::default()
        };
        let failed: Vec<String> = decided.failed().collect();
        run.error = (!failed.is_empty()).then(|| failed.join("; "));
        Ok(Report {
            would_say: send::sentences(self, &decided.changes, now),
            run,
            was_busy: false,
        })
    }

    async fn evaluate_and_decide(&self, now: Now) -> anyhow::Result<decide::Decided> {
        let evaluated = evaluate::all(self, now).await;
        let current = self.store.current_alerts().await?;
        let silences = self.store.silences().await?;
        let channels: Vec<&'static str> = self.channels.iter().map(Channel::name).collect();
        let situation = decide::Situation {
            rules: &self.config.alerts,
            silences: &silences,
            channels: &channels,
            now,
        };
        Ok(decide::decide(&current, evaluated, &situation))
    }

    fn failed(&self, step: Step, error: &str) -> String {
        self.metrics.failures.get_or_create(&StepLabels { step }).inc();
        warn!("a step of the run failed: {error}");
        error.to_owned()
    }
}

fn small(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Runs as it was asked to.
///
/// # Errors
/// When a step of the run failed: a CronJob shows it.
pub async fn run(monitor: &Monitor, options: &Options, shutdown: &Shutdown) -> anyhow::Result<()> {
    if let Some(replay) = &options.replay {
        return replay::print(monitor, replay).await;
    }
    if options.dry_run {
        let report = monitor.dry_run().await?;
        crate::commands::print(&match report.would_say.as_slice() {
            [] => "nothing would be said".to_owned(),
            sentences => sentences.join("\n"),
        })?;
        ensure!(
            report.run.error.is_none(),
            "{}",
            report.run.error.unwrap_or_default()
        );
        return Ok(());
    }
    let Some(every) = options.every else {
        let run = match monitor.run_once().instrument(info_span!("check")).await {
            Ok(report) => report.run,
            Err(error) => {
                not_run(&monitor.config).await;
                return Err(error);
            }
        };
        info!(
            "{} rules, {} changes, {} messages, {} hours counted",
            run.rules, run.transitions, run.messages_sent, run.hours_counted
        );
        if let Some(error) = run.error {
            bail!("the run did not go well: {error}");
        }
        return Ok(());
    };
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.requested() => return Ok(()),
        }
        // A database that is away is noticed by the dashboard and by the heartbeat that does not come.
        if let Err(error) = monitor.run_once().instrument(info_span!("check")).await {
            warn!("no run: {error:#}");
            not_run(&monitor.config).await;
        }
    }
}

/// Tells the heartbeat of a run that could not even begin: whoever waits for it need not wait.
pub async fn not_run(config: &Config) {
    if let Err(error) = heartbeat::send(&config.check.heartbeat_url, false).await {
        warn!("{error:#}");
    }
}
