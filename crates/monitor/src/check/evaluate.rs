//! Measures every rule. Each has a time of its own: one that hangs costs no other.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, NaiveDate, Utc};
use rastro_core::alert::measure::{self, Budget, Tally, WINDOWS_SECONDS};
use rastro_core::alert::message::Now;
use rastro_core::alert::{Facts, Measurement, Rule, Severity, Subject, Thresholds};
use rastro_core::dataset::DatasetId;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{LastRuns, RequestTally};

use super::Monitor;

/// A rule with what it found, or why it could not be evaluated.
pub(crate) type Evaluated = (Rule, Result<Vec<Measurement>, String>);

/// Beyond the server's own limit: for waiting for a connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// Every rule that is evaluated here.
pub(crate) async fn all(monitor: &Monitor, now: Now) -> Vec<Evaluated> {
    let mut evaluated = Vec::new();
    let tallies = limited(monitor, requests(monitor)).await;
    for &rule in Rule::ALL {
        let found = match (rule, &tallies) {
            (Rule::ErrorRate | Rule::Latency, Err(error)) => Err(error.clone()),
            (Rule::ErrorRate, Ok(tallies)) => Ok(error_rates(monitor, tallies)),
            (Rule::Latency, Ok(tallies)) => Ok(latencies(monitor, tallies)),
            (Rule::DeliveryBudget, _) => limited(monitor, budgets(monitor)).await,
            (Rule::Partitions, _) => limited(monitor, partitions(monitor, now)).await,
            (Rule::ApiVersion, _) => Ok(api_version(monitor, now)),
            // By the dashboard, which stays up: a check that does not run cannot say so.
            (Rule::CheckSilent | Rule::DatabaseDown, _) => continue,
            (rule, _) => limited(monitor, by_statement(monitor, rule)).await,
        };
        evaluated.push((rule, found));
    }
    evaluated
}

async fn limited<T>(
    monitor: &Monitor,
    measuring: impl Future<Output = anyhow::Result<T>>,
) -> Result<T, String> {
    match tokio::time::timeout(monitor.rule_timeout() + PATIENCE, measuring).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(ErrorChain(error.as_ref()).to_string()),
        Err(_) => Err("it took too long".to_owned()),
    }
}

async fn by_statement(monitor: &Monitor, rule: Rule) -> anyhow::Result<Vec<Measurement>> {
    let thresholds = monitor.config.alerts.of(rule);
    // A rule with a longer window in one dataset is asked for each window that there is.
    let mut windows: Vec<(u32, u32)> = vec![(thresholds.window_seconds, thresholds.minimum)];
    for &dataset in thresholds.dataset.keys() {
        let own = thresholds.of(Some(dataset));
        windows.push((own.window_seconds, own.minimum));
    }
    windows.sort_unstable();
    windows.dedup();
    let mut found = Vec::new();
    for (window, minimum) in windows {
        let measured = monitor
            .store
            .measure(rule, window, minimum, monitor.rule_timeout())
            .await?
            .context("this rule has no statement")?;
        found.extend(measured.into_iter().filter(|measured| {
            let own = thresholds.of(measured.subject.dataset);
            (own.window_seconds, own.minimum) == (window, minimum)
        }));
    }
    Ok(found)
}

/// How requests went within every window that some dataset looks at.
async fn requests(monitor: &Monitor) -> anyhow::Result<Vec<RequestTally>> {
    let mut windows: Vec<i32> = Vec::new();
    for rule in [Rule::ErrorRate, Rule::Latency] {
        let thresholds = monitor.config.alerts.of(rule);
        let all = [None]
            .into_iter()
            .chain(thresholds.dataset.keys().copied().map(Some));
        for dataset in all {
            windows.extend(
                grown(&thresholds.of(dataset)).map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX)),
            );
        }
    }
    windows.sort_unstable();
    windows.dedup();
    Ok(monitor
        .store
        .request_tallies(&windows, monitor.rule_timeout())
        .await?)
}

/// The windows of a rule from short to long: its own, and those beyond it.
fn grown(thresholds: &Thresholds) -> impl Iterator<Item = i64> {
    let own = i64::from(thresholds.window_seconds).max(1);
    [own]
        .into_iter()
        .chain(WINDOWS_SECONDS.into_iter().filter(move |&window| window > own))
}

/// The tallies of each dataset that a rule looks at, from its shortest window to its longest.
fn by_dataset<'t>(
    thresholds: &Thresholds,
    tallies: &'t [RequestTally],
) -> Vec<(DatasetId, Thresholds, Vec<&'t RequestTally>)> {
    let mut datasets: Vec<DatasetId> = tallies.iter().map(|tally| tally.dataset_id).collect();
    datasets.dedup();
    datasets
        .into_iter()
        .map(|dataset| {
            let own = thresholds.of(Some(dataset));
            let windows: Vec<i64> = grown(&own).collect();
            let mut looked_at: Vec<&RequestTally> = tallies
                .iter()
                .filter(|tally| tally.dataset_id == dataset && windows.contains(&tally.window_seconds))
                .collect();
            looked_at.sort_by_key(|tally| tally.window_seconds);
            (dataset, own, looked_at)
        })
        .collect()
}

fn error_rates(monitor: &Monitor, tallies: &[RequestTally]) -> Vec<Measurement> {
    let mut found = Vec::new();
    for (dataset, own, tallies) in by_dataset(&monitor.config.alerts.error_rate, tallies) {
        let windows: Vec<Tally> = tallies
            .iter()
            .map(|tally| Tally {
                window_seconds: tally.window_seconds,
                total: tally.attempts,
                bad: tally.failed,
                bad_requests: tally.failed_requests,
            })
            .collect();
        if let Some(rate) = measure::error_rate(&windows, own.minimum) {
            found.push(shared(dataset, &tallies, rate, Rule::ErrorRate, None));
        }
    }
    found
}

fn latencies(monitor: &Monitor, tallies: &[RequestTally]) -> Vec<Measurement> {
    let mut found = Vec::new();
    for (dataset, own, tallies) in by_dataset(&monitor.config.alerts.latency, tallies) {
        let windows: Vec<Tally> = tallies
            .iter()
            .map(|tally| Tally {
                window_seconds: tally.window_seconds,
                total: tally.requests,
                bad: tally.slow_requests,
                bad_requests: tally.slow_requests,
            })
            .collect();
        if let Some(slow) = measure::enough(&windows, own.minimum) {
            let window = tallies
                .iter()
                .find(|tally| tally.window_seconds == slow.window_seconds);
            let p95 = window.and_then(|tally| tally.p95_ms);
            found.push(shared(dataset, &tallies, slow, Rule::Latency, p95));
        }
    }
    found
}

fn shared(
    dataset: DatasetId,
    tallies: &[&RequestTally],
    tally: Tally,
    rule: Rule,
    p95_ms: Option<i64>,
) -> Measurement {
    Measurement {
        subject: Subject::dataset(dataset),
        value: tally.percent(),
        severity: rule.severity(),
        facts: Facts {
            dataset_name: tallies.first().map(|tally| tally.dataset_name.clone()),
            percent: Some(tally.percent()),
            count: Some(tally.bad),
            total: Some(tally.total),
            window_seconds: Some(tally.window_seconds),
            p95_ms,
            ..Facts::default()
        },
    }
}

async fn budgets(monitor: &Monitor) -> anyhow::Result<Vec<Measurement>> {
    const WINDOWS: [i32; 4] = [300, 1_800, 3_600, 21_600];
    let tallies = monitor
        .store
        .delivery_tallies(&WINDOWS, monitor.rule_timeout())
        .await?;
    let mut datasets: Vec<(DatasetId, &str)> = tallies
        .iter()
        .map(|tally| (tally.dataset_id, tally.dataset_name.as_str()))
        .collect();
    datasets.sort_unstable();
    datasets.dedup();
    let mut found = Vec::new();
    for (dataset, name) in datasets {
        let window = |seconds: i64| {
            let tally = tallies
                .iter()
                .find(|tally| tally.dataset_id == dataset && tally.window_seconds == seconds);
            tally.map_or(Budget::default(), |tally| Budget {
                accepted: tally.accepted,
                undelivered: tally.undelivered,
            })
        };
        let minimum = monitor.config.alerts.delivery_budget.of(Some(dataset)).minimum;
        let (hour, six_hours) = (window(3_600), window(21_600));
        let value = measure::burn(hour, window(300), six_hours, window(1_800), minimum);
        found.push(Measurement {
            subject: Subject::dataset(dataset),
            value,
            severity: Rule::DeliveryBudget.severity(),
            facts: Facts {
                dataset_name: Some(name.to_owned()),
                count: Some(six_hours.undelivered),
                total: Some(six_hours.accepted),
                window_seconds: Some(21_600),
                ..Facts::default()
            },
        });
    }
    Ok(found)
}

async fn partitions(monitor: &Monitor, now: Now) -> anyhow::Result<Vec<Measurement>> {
    let days = monitor.store.partition_days_ahead().await?;
    let first_missing: NaiveDate = now.at.date_naive() + chrono::TimeDelta::days(days + 1);
    Ok(vec![Measurement {
        subject: Subject::system(),
        value: days as f64,
        severity: Rule::Partitions.severity(),
        facts: Facts {
            day: Some(first_missing),
            ..Facts::default()
        },
    }])
}

fn api_version(monitor: &Monitor, now: Now) -> Vec<Measurement> {
    // It was checked at the start.
    let Some(end) = monitor.config.check.api_version_ends().ok().flatten() else {
        return Vec::new();
    };
    let days = (end - now.local.date()).num_days();
    vec![Measurement {
        subject: Subject::system(),
        value: days as f64,
        severity: if days <= 30 {
            Severity::Warning
        } else {
            Severity::Info
        },
        facts: Facts {
            count: Some(days.max(0)),
            name: Some(monitor.config.graph_api.version.clone()),
            ..Facts::default()
        },
    }]
}

/// For the dashboard: for how long no run has gone well of those that could have. `awake_since`: when the
/// dashboard was started, or the database came back. What is said is since when none has, if one ever did.
pub fn check_silent(runs: &LastRuns, awake_since: DateTime<Utc>) -> Measurement {
    let last = runs.last_good_run.unwrap_or(awake_since);
    let mut measured = silent_for(
        Rule::CheckSilent,
        (runs.now - last.max(awake_since)).num_seconds(),
    );
    measured.facts.seconds = Some((runs.now - last).num_seconds());
    measured
}

/// For the dashboard: for how long the database has not answered.
pub fn database_down(unanswered_for: Duration) -> Measurement {
    silent_for(
        Rule::DatabaseDown,
        i64::try_from(unanswered_for.as_secs()).unwrap_or(i64::MAX),
    )
}

fn silent_for(rule: Rule, seconds: i64) -> Measurement {
    Measurement {
        subject: Subject::system(),
        value: seconds as f64,
        severity: rule.severity(),
        facts: Facts {
            seconds: Some(seconds),
            ..Facts::default()
        },
    }
}
