//! What an account at Google Ads spent, read every few hours. Invalid clicks are taken back for weeks, so as
//! many days are read again each time; what Google no longer tells of a day is gone here too.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::{Days, NaiveDate};
use rastro_core::dataset::DatasetId;
use rastro_core::spend::SpendRow;
use rastro_service::shutdown::Shutdown;
use rastro_store::{Covered, Spend, SpendChange, SpendSource, Store};
use tracing::{error, info, warn};

use crate::google_ads::{AccountFacts, CampaignDay, GoogleAds, GoogleAdsError};

/// Figures older than this are final.
const MOVING_DAYS: u64 = 30;
/// One request's span: a reading again is one request.
const DAYS_OF_A_REQUEST: u64 = 31;
/// How often one request is tried again.
const RETRIES: u32 = 5;
/// A longer wait ends the reading: the next one begins after it.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// A quota of a day asks for no longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// Whose spend is read, and how.
#[derive(Clone)]
pub struct GoogleSpend {
    pub store: Store,
    pub google_ads: GoogleAds,
    pub dataset: DatasetId,
    /// Before a request is tried again, where Google does not say.
    pub retry: Duration,
}

impl GoogleSpend {
    /// Until shutdown. `first_days`: how far back a reading goes at most; what is stored tells how far it
    /// has to.
    pub async fn run(self, interval: Duration, first_days: u64, shutdown: Shutdown) {
        let customer = self.google_ads.customer_id().to_owned();
        loop {
            let mut pause = interval;
            tokio::select! {
                read = self.read_again(first_days) => match read {
                    Ok(change) => info!(
                        "read the spend of Google's {customer}: {} days of campaigns are new, {} changed, {} are gone",
                        change.added, change.changed, change.removed
                    ),
                    Err(error) => {
                        pause = interval.max(asked_wait(&error));
                        let is_for_people = matches!(
                            error.downcast_ref::<GoogleAdsError>(),
                            Some(GoogleAdsError::NoToken(_) | GoogleAdsError::Expired(_) | GoogleAdsError::Refused(_))
                        );
                        if is_for_people {
                            error!("the spend of Google's {customer} cannot be read: {error:#}");
                        } else {
                            warn!("the spend of Google's {customer} could not be read: {error:#}");
                        }
                    }
                },
                () = shutdown.requested() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.requested() => return,
            }
        }
    }

    /// Reads and stores what may have changed: the days up to the account's own today.
    ///
    /// # Errors
    /// What Google refuses, or the database.
    pub async fn read_again(&self, first_days: u64) -> anyhow::Result<SpendChange> {
        let facts = self.ask(|| self.google_ads.account()).await?;
        let today = self.store.reporting_now(&facts.time_zone).await;
        let (_, today) = today.with_context(|| format!("time zone {}", facts.time_zone))?;
        let read_until = self
            .store
            .spend_read_until(self.dataset, "google", self.google_ads.customer_id())
            .await?;
        let from = first_day(today, read_until, MOVING_DAYS, first_days);
        self.read(&facts, from, today).await
    }

    /// Reads a span, both ends included, request by request, and stores it as a whole or not at all: what is
    /// stored of an account tells that its first reading was complete.
    async fn read(
        &self,
        facts: &AccountFacts,
        from: NaiveDate,
        until: NaiveDate,
    ) -> anyhow::Result<SpendChange> {
        let mut spend = Vec::new();
        let mut begin = from;
        while begin <= until {
            let end = until.min(begin + Days::new(DAYS_OF_A_REQUEST - 1));
            let days = self
                .ask(|| self.google_ads.campaign_days(begin, end))
                .await
                .with_context(|| format!("{begin} to {end}"))?;
            check(facts, (begin, end), &days)?;
            spend.extend(days.into_iter().map(|day| self.spend(day, facts)));
            begin = end + Days::new(1);
        }
        let covered = Covered {
            channel: "google".to_owned(),
            account_id: self.google_ads.customer_id().to_owned(),
            from,
            until,
        };
        Ok(self
            .store
            .replace_spend(self.dataset, SpendSource::GoogleAds, &covered, &spend)
            .await?)
    }

    /// Asks until there is an answer or none will come: once more with a new access token, otherwise a few
    /// times, as late as Google says.
    async fn ask<T, F>(&self, call: impl Fn() -> F) -> anyhow::Result<T>
    where
        F: Future<Output = Result<T, GoogleAdsError>>,
    {
        let (mut tries, mut had_new_token) = (0, false);
        loop {
            let failure = match call().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let wait = match &failure {
                GoogleAdsError::Expired(_) if !had_new_token => {
                    had_new_token = true;
                    continue;
                }
                GoogleAdsError::Throttled { wait, .. } => wait.unwrap_or(self.retry),
                GoogleAdsError::Unavailable(_) => self.retry,
                GoogleAdsError::Expired(_)
                | GoogleAdsError::NoToken(_)
                | GoogleAdsError::Refused(_)
                | GoogleAdsError::Invalid(_) => return Err(failure.into()),
            };
            if tries == RETRIES || wait > LONGEST_WAIT {
                return Err(failure.into());
            }
            tries += 1;
            tokio::time::sleep(wait).await;
        }
    }

    fn spend(&self, day: CampaignDay, facts: &AccountFacts) -> Spend {
        let row = SpendRow {
            channel: "google".to_owned(),
            account_id: self.google_ads.customer_id().to_owned(),
            day: day.day,
            campaign_id: day.campaign_id,
            campaign_name: day.campaign_name,
            cost_micros: day.cost_micros,
            currency: day.currency,
            impressions: Some(day.impressions),
            clicks: Some(day.clicks),
        };
        Spend {
            account_time_zone: Some(facts.time_zone.clone()),
            ..row.into()
        }
    }
}

/// Where a reading begins: what may still move, and before that what was never read. All of it the first
/// time, the rest of it after a reading that was broken off, and the days of an outage.
pub(crate) fn first_day(
    today: NaiveDate,
    read_until: Option<NaiveDate>,
    moving_days: u64,
    first_days: u64,
) -> NaiveDate {
    match read_until {
        None => today - Days::new(first_days),
        Some(day) => (day + Days::new(1)).min(today - Days::new(moving_days)),
    }
}

/// An answer that is not what was asked for is not stored: a sum of it would look right.
fn check(
    facts: &AccountFacts,
    (since, until): (NaiveDate, NaiveDate),
    days: &[CampaignDay],
) -> anyhow::Result<()> {
    let mut known = HashSet::new();
    for day in days {
        ensure!(
            (since..=until).contains(&day.day),
            "Google answered a day that was not asked for: {}",
            day.day
        );
        ensure!(
            day.currency == facts.currency,
            "Google answered with another currency than the account's"
        );
        ensure!(
            known.insert((day.day, &day.campaign_id)),
            "Google answered campaign {} twice on {}",
            day.campaign_id,
            day.day
        );
    }
    Ok(())
}

/// How long Google wants to be left alone.
fn asked_wait(error: &anyhow::Error) -> Duration {
    match error.downcast_ref::<GoogleAdsError>() {
        Some(GoogleAdsError::Throttled { wait: Some(wait), .. }) => (*wait).min(LONGEST_PAUSE),
        _ => Duration::ZERO,
    }
}
