//! Counting for the pages: the open hours in every run, and hours of the past for a few seconds of it, newest
//! first.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use rastro_service::telemetry::ErrorChain;
use tracing::{info, warn};

use super::Monitor;

/// Makes and counts; returns how many hours.
pub(crate) async fn count(monitor: &Monitor) -> anyhow::Result<usize> {
    let began = Instant::now();
    let past = Duration::from_secs(monitor.config.check.count_past_seconds);
    if monitor
        .store
        .set_time_zone(&monitor.config.dashboard.time_zone)
        .await?
    {
        info!("days are now those of {}", monitor.config.dashboard.time_zone);
    }
    let hours = monitor.store.hours_to_count(past).await?;
    let now = monitor.store.now().await?;
    let mut counted = 0;
    for hour in hours {
        // The current hour and the one before are what a page shows as today's; the rest may take some runs.
        let is_recent = now - hour < TimeDelta::hours(2);
        if !is_recent && began.elapsed() > past {
            break;
        }
        // One that cannot be counted in time must not keep all before it from it.
        match monitor.store.count_hour(hour, past * 4).await {
            Ok(_) => counted += 1,
            Err(error) if is_recent => return Err(error.into()),
            Err(error) => warn!("{hour} could not be counted: {}", ErrorChain(&error)),
        }
    }
    account(monitor).await?;
    // Once an hour is often enough.
    if now.timestamp() % 3_600 < 60 {
        monitor
            .store
            .expire_counts(monitor.config.check.keep_counts_months)
            .await?;
        monitor.store.expire_alerts().await?;
    }
    Ok(counted)
}

/// Yesterday's account, once; again if it did not add up.
async fn account(monitor: &Monitor) -> anyhow::Result<()> {
    const LIMIT: Duration = Duration::from_secs(60);
    if let Some(day) = monitor.store.day_to_account().await? {
        let missing = monitor.store.account_day(day, LIMIT).await?;
        if missing != 0 {
            warn!("the account of {day} does not add up: {missing} events are in no place");
        }
    }
    Ok(())
}
