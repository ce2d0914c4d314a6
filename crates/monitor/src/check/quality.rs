//! Meta's score of the events, asked for once a day and dataset, beside our own estimate. A token that may
//! not read it is a state, and never touches the breaker.

use chrono::{DateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use rastro_core::alert::message::Now;
use rastro_core::dataset::DatasetId;
use rastro_core::match_quality::{self, Estimates};
use rastro_graph_api::{DatasetQuality, FailureClass};
use rastro_store::{KeyCoverage, Quality, QualityFetch, QualityFetched};
use tracing::{info, warn};

use super::Monitor;

/// Datasets asked about in one run: a minute later there is another.
const MOST_IN_A_RUN: usize = 10;
/// So many newest events of 48 hours are looked at for the estimate.
const SAMPLE: i64 = 2_000;
/// Meta did not answer: three tries in as many runs, and then tomorrow.
const TRIES: i16 = 3;
const RETRY_SECONDS: i32 = 60;
const DAY_SECONDS: i32 = 86_400;

/// Asks about the datasets that are due.
pub(crate) async fn fetch(monitor: &Monitor, now: Now) -> anyhow::Result<()> {
    for due in monitor.store.quality_due().await?.into_iter().take(MOST_IN_A_RUN) {
        let dataset_id = due.dataset_id;
        if let Err(error) = fetch_one(monitor, due, now).await {
            // Among them a token that does not open: that is told elsewhere.
            warn!(%dataset_id, "Meta's score was not fetched: {error:#}");
        }
    }
    Ok(())
}

async fn fetch_one(monitor: &Monitor, due: QualityFetch, now: Now) -> anyhow::Result<()> {
    let QualityFetch { dataset_id, failures } = due;
    let Some(token) = monitor.store.access_token(dataset_id).await? else {
        return Ok(());
    };
    let fetched = match monitor.graph_api.dataset_quality(dataset_id, &token).await {
        Ok(names) => {
            let estimates = estimate(monitor, dataset_id).await?;
            QualityFetched::Read(names.into_iter().map(|name| quality(name, &estimates)).collect())
        }
        Err(failure) => match failure.class {
            FailureClass::Throttled => QualityFetched::Failed {
                message: failure.message,
                retry_seconds: DAY_SECONDS,
            },
            FailureClass::Blocked | FailureClass::Refused => {
                info!(%dataset_id, "the access token may not read Meta's score: {}", failure.message);
                QualityFetched::Unreadable {
                    code: failure.error.and_then(|error| error.code),
                    message: failure.message,
                }
            }
            FailureClass::Transient | FailureClass::Unknown | FailureClass::TooLarge => {
                QualityFetched::Failed {
                    message: failure.message,
                    retry_seconds: if failures + 1 < TRIES {
                        RETRY_SECONDS
                    } else {
                        DAY_SECONDS
                    },
                }
            }
        },
    };
    let next_at = next(monitor, dataset_id, now);
    monitor
        .store
        .record_quality(dataset_id, now.local.date(), &fetched, next_at)
        .await?;
    Ok(())
}

/// Tomorrow at the configured hour, local time, by dataset up to 20 minutes later.
fn next(monitor: &Monitor, dataset: DatasetId, now: Now) -> DateTime<Utc> {
    let later = dataset.as_i64().rem_euclid(20);
    let at = NaiveTime::from_hms_opt(monitor.config.check.quality_hour, 10, 0).unwrap_or(NaiveTime::MIN);
    let tomorrow = (now.local.date() + TimeDelta::days(1)).and_time(at) + TimeDelta::minutes(later);
    let local = monitor.config.zone().from_local_datetime(&tomorrow).earliest();
    local.map_or_else(|| now.at + TimeDelta::days(1), |local| local.to_utc())
}

/// Our estimate of each event name.
pub(crate) async fn estimate(monitor: &Monitor, dataset: DatasetId) -> anyhow::Result<Estimates> {
    let payloads = monitor.store.recent_payloads(dataset, SAMPLE).await?;
    let events = payloads
        .iter()
        .map(|(name, payload)| (name.as_str(), payload.as_str()));
    Ok(match_quality::estimate(events))
}

fn quality(name: DatasetQuality, estimates: &Estimates) -> Quality {
    Quality {
        estimate: estimates.score(&name.event_name),
        event_name: name.event_name,
        score: name.score,
        dedupe_coverage: name.dedupe_coverage,
        event_coverage: name.event_coverage,
        freshness: name.freshness,
        keys: name
            .keys
            .into_iter()
            .map(|key| KeyCoverage {
                identifier: key.identifier,
                coverage_percent: key.coverage_percent,
                gain_percent: key.gain_percent,
            })
            .collect(),
        raw: name.raw,
    }
}
