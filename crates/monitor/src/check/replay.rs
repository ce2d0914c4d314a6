//! When a rule would have fired: the same step function, over the hours that were counted.

use anyhow::ensure;
use chrono::{DateTime, Utc};
use rastro_core::alert::state::{self, Alert, AlertState, Measurement, Subject};
use rastro_core::alert::{Facts, Rule, Thresholds};
use rastro_core::dataset::DatasetId;
use rastro_store::HourlyShare;

use super::{Monitor, Replay};
use crate::words;

/// The rules that counts say something about.
pub const REPLAYABLE: [Rule; 3] = [Rule::ErrorRate, Rule::Latency, Rule::Duplicates];

/// A time that an alert would have been open.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    pub dataset: DatasetId,
    pub dataset_name: String,
    pub fired_at: DateTime<Utc>,
    /// `None`: it still would be.
    pub resolved_at: Option<DateTime<Utc>>,
    /// In percent.
    pub worst: f64,
}

/// When a rule would have opened, by shares of whole hours: `for` and `clear_for` of minutes are shorter than
/// one, so an hour beyond the threshold fires and an hour on its quiet side resolves. `shares`: by dataset,
/// and then by hour.
pub fn openings(rule: Rule, shares: &[HourlyShare], thresholds: &Thresholds) -> Vec<Opening> {
    let mut openings = Vec::new();
    for of_dataset in shares.chunk_by(|one, other| one.dataset_id == other.dataset_id) {
        let own = Thresholds {
            for_seconds: 0,
            clear_for_seconds: 0,
            ..thresholds.of(Some(of_dataset[0].dataset_id))
        };
        let mut alert: Option<Alert> = None;
        for share in of_dataset
            .iter()
            .filter(|share| share.total >= i64::from(own.minimum))
        {
            let measured = measurement(rule, share);
            let after = state::step(rule, alert.as_ref(), Some(&measured), &own, share.hour);
            match after {
                Some(after) if after.state == AlertState::Resolved => {
                    openings.push(opening(&after, share));
                    // Unstable ones need an hour of quiet, which is what an hour of a count is.
                    alert = None;
                }
                Some(after) => alert = Some(after),
                None => alert = None,
            }
        }
        if let (Some(alert), Some(last)) = (alert, of_dataset.last()) {
            openings.push(opening(&alert, last));
        }
    }
    openings
}

fn measurement(rule: Rule, share: &HourlyShare) -> Measurement {
    let value = 100.0 * share.bad as f64 / share.total.max(1) as f64;
    Measurement {
        subject: Subject::dataset(share.dataset_id),
        value,
        severity: rule.severity(),
        facts: Facts::default(),
    }
}

fn opening(alert: &Alert, share: &HourlyShare) -> Opening {
    Opening {
        dataset: share.dataset_id,
        dataset_name: share.dataset_name.clone(),
        fired_at: alert.fired_at.unwrap_or(alert.pending_since),
        resolved_at: alert.resolved_at,
        worst: alert.worst_value,
    }
}

/// Answers at the terminal.
pub(crate) async fn print(monitor: &Monitor, replay: &Replay) -> anyhow::Result<()> {
    let rules: Vec<Rule> = match replay.rule {
        Some(rule) => {
            ensure!(
                REPLAYABLE.contains(&rule),
                "{} cannot be replayed: counts say nothing about it (error_rate, latency and duplicates can)",
                rule.as_str()
            );
            vec![rule]
        }
        None => REPLAYABLE.to_vec(),
    };
    let language = monitor.config.notify.slack_language;
    for rule in rules {
        let mut thresholds = monitor.config.alerts.of(rule).clone();
        if let Some(fires) = replay.fires {
            thresholds.fires = fires;
            thresholds.clears = thresholds.clears.min(fires);
        }
        let shares = monitor.store.hourly_shares(rule, replay.days).await?;
        let openings = openings(rule, &shares, &thresholds);
        crate::commands::print(&format!(
            "{} above {}: {} times in {} days",
            rule.as_str(),
            words::percent(thresholds.fires, language),
            openings.len(),
            replay.days
        ))?;
        for opening in openings {
            let lasted = opening.resolved_at.map_or("still open".to_owned(), |at| {
                words::duration((at - opening.fired_at).num_seconds())
            });
            let local = monitor.local(opening.fired_at).format("%Y-%m-%d %H:%M");
            let (name, worst) = (
                words::name(&opening.dataset_name),
                words::percent(opening.worst, language),
            );
            crate::commands::print(&format!("  {local}  {name}  {worst}  {lasted}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use rastro_boot::testing;

    use super::*;
    use crate::config::Config;

    /// 20 attempts an hour, so many of which failed.
    fn shares(failed: &[i64]) -> Vec<HourlyShare> {
        let start: DateTime<Utc> = "2026-11-01T03:00:00Z".parse().unwrap();
        failed
            .iter()
            .zip(0..)
            .map(|(&bad, hour)| HourlyShare {
                dataset_id: 1_i64.try_into().unwrap(),
                dataset_name: "Loja Aurora".into(),
                hour: start + TimeDelta::hours(hour),
                bad,
                total: 20,
            })
            .collect()
    }

    #[test]
    fn a_higher_threshold_would_have_fired_less_often() {
        let config: Config = testing::config(&[]).unwrap();
        let mut thresholds = config.alerts.error_rate.clone();
        // 10 %, 30 %, 5 % (not above), 50 %.
        let shares = shares(&[0, 2, 0, 6, 0, 1, 0, 10]);
        let times = |thresholds: &Thresholds| openings(Rule::ErrorRate, &shares, thresholds).len();
        assert_eq!(times(&thresholds), 3);
        thresholds.fires = 20.0;
        assert_eq!(times(&thresholds), 2);
        let last = openings(Rule::ErrorRate, &shares, &thresholds).pop().unwrap();
        assert_eq!((last.worst, last.resolved_at), (50.0, None));
        thresholds.fires = 60.0;
        assert_eq!(times(&thresholds), 0);
    }

    #[test]
    fn an_hour_with_too_few_attempts_says_nothing() {
        let config: Config = testing::config(&[]).unwrap();
        let mut shares = shares(&[10]);
        shares[0].total = 19;
        assert!(openings(Rule::ErrorRate, &shares, &config.alerts.error_rate).is_empty());
    }
}
