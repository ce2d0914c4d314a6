//! What an ad account at Meta spent, read every few hours. Figures move for up to 28 days, so as many are
//! read again each time; what Meta no longer tells of a day is gone here too.
//!
//! A report and the note that its days were read are one commit: a reading that is broken off, by Meta or by
//! a kill, is gone on with where it was.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use chrono::{Days, NaiveDate};
use rastro_core::dataset::DatasetId;
use rastro_core::spend::SpendRow;
use rastro_graph_api::{AdAccount, CampaignDay, Failure, FailureClass, GraphApi, ReportStatus};
use rastro_service::shutdown::Shutdown;
use rastro_store::{Covered, Spend, SpendChange, SpendSource, Store};
use secrecy::SecretString;
use tracing::{info, warn};

use crate::google_spend::first_day;

/// Figures older than this are final.
const MOVING_DAYS: u64 = 28;
/// Meta refuses reports of many campaigns over longer spans as too much.
const DAYS_OF_A_REPORT: u64 = 28;
/// From here on the next call may be refused, which makes the block longer.
const USED_PERCENT: i64 = 90;
const THROTTLE_WAIT: Duration = Duration::from_secs(300);
/// A report that is not complete by then never is.
const MOST_POLLS: u32 = 360;
/// A page of a few hundred rows each; more is a loop.
const MOST_PAGES: u32 = 1_000;
/// How often one call is tried again.
const RETRIES: u32 = 5;

/// Whose spend is read, and how.
#[derive(Clone)]
pub struct MetaSpend {
    pub store: Store,
    pub graph_api: GraphApi,
    pub dataset: DatasetId,
    pub account: AdAccount,
    pub access_token: SecretString,
    /// Between two looks at a report, and before a call is tried again.
    pub poll: Duration,
}

impl MetaSpend {
    /// Until shutdown. `first_days`: how far back the first reading goes.
    pub async fn run(self, interval: Duration, first_days: u64, shutdown: Shutdown) {
        loop {
            tokio::select! {
                read = self.catch_up(first_days) => match read {
                    Ok(change) => info!(
                        "read the spend of {}: {} days of campaigns are new, {} changed, {} are gone",
                        self.account, change.added, change.changed, change.removed
                    ),
                    Err(error) => warn!("the spend of {} could not be read: {error:#}", self.account),
                },
                () = shutdown.requested() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = shutdown.requested() => return,
            }
        }
    }

    /// Reads what may still move, and before that what was never read.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn catch_up(&self, first_days: u64) -> anyhow::Result<SpendChange> {
        let today = self.store.reporting_day(self.dataset).await?.today;
        let account = self.account.to_string();
        let read_until = self
            .store
            .spend_read_until(self.dataset, "meta", &account)
            .await?;
        let from = first_day(today, read_until, MOVING_DAYS, first_days);
        self.read(from, today).await
    }

    /// Reads and stores a span, both ends included, report by report from the oldest on: what was read before
    /// one fails stays, and is known to be read.
    ///
    /// # Errors
    /// What Meta refuses, or the database.
    pub async fn read(&self, from: NaiveDate, until: NaiveDate) -> anyhow::Result<SpendChange> {
        let facts = self
            .ask(|| self.graph_api.ad_account(&self.account, &self.access_token))
            .await?;
        let mut sum = SpendChange::default();
        let mut begin = from;
        while begin <= until {
            let end = until.min(begin + Days::new(DAYS_OF_A_REPORT - 1));
            let days = self
                .report(begin, end)
                .await
                .with_context(|| format!("{begin} to {end}"))?;
            let spend: Vec<Spend> = days
                .into_iter()
                .map(|day| self.spend(day, &facts.time_zone))
                .collect();
            let covered = Covered {
                channel: "meta".to_owned(),
                account_id: self.account.to_string(),
                from: begin,
                until: end,
            };
            let change = self
                .store
                .replace_spend(self.dataset, SpendSource::MetaInsights, &covered, &spend)
                .await?;
            sum.added += change.added;
            sum.changed += change.changed;
            sum.unchanged += change.unchanged;
            sum.removed += change.removed;
            begin = end + Days::new(1);
        }
        Ok(sum)
    }

    async fn report(&self, since: NaiveDate, until: NaiveDate) -> anyhow::Result<Vec<CampaignDay>> {
        let token = &self.access_token;
        let id = self
            .ask(|| {
                self.graph_api
                    .start_insights(&self.account, (since, until), token)
            })
            .await?;
        let mut polls = 0;
        loop {
            match self.ask(|| self.graph_api.insights_status(&id, token)).await? {
                ReportStatus::Complete => break,
                ReportStatus::Failed => bail!("Meta could not make the report"),
                ReportStatus::Running if polls == MOST_POLLS => {
                    bail!("Meta did not complete the report in time")
                }
                ReportStatus::Running => tokio::time::sleep(self.poll).await,
            }
            polls += 1;
        }
        let (mut days, mut after): (Vec<CampaignDay>, Option<String>) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let page = self
                .ask(|| self.graph_api.insights_page(&id, after.as_deref(), token))
                .await?;
            days.extend(page.rows);
            if page.used_percent >= USED_PERCENT {
                tokio::time::sleep(THROTTLE_WAIT).await;
            }
            match page.after {
                Some(next) if Some(&next) != after.as_ref() => after = Some(next),
                Some(_) => bail!("Meta's pages do not end"),
                None => {
                    if let Some(day) = days.iter().find(|day| day.day < since || day.day > until) {
                        bail!("Meta's report has a day that was not asked for: {}", day.day);
                    }
                    return Ok(days);
                }
            }
        }
        bail!("Meta's report has too many pages")
    }

    /// Asks until there is an answer or none will come: throttled as long as Meta says, otherwise a few
    /// times.
    async fn ask<T, F>(&self, call: impl Fn() -> F) -> anyhow::Result<T>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut tries = 0;
        loop {
            let failure = match call().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let may_pass = match failure.class {
                FailureClass::Transient | FailureClass::Unknown | FailureClass::Throttled => true,
                FailureClass::Blocked | FailureClass::Refused | FailureClass::TooLarge => false,
            };
            if !may_pass || tries == RETRIES {
                return Err(anyhow!(failure.message));
            }
            tries += 1;
            let own = match failure.class {
                FailureClass::Throttled if failure.wait.is_none() => THROTTLE_WAIT,
                _ => self.poll,
            };
            tokio::time::sleep(failure.wait.unwrap_or(own)).await;
        }
    }

    fn spend(&self, day: CampaignDay, time_zone: &str) -> Spend {
        Spend {
            row: SpendRow {
                channel: "meta".to_owned(),
                account_id: self.account.to_string(),
                day: day.day,
                campaign_id: day.campaign_id,
                campaign_name: day.campaign_name,
                cost_micros: day.cost_micros,
                currency: day.currency,
                impressions: Some(day.impressions),
                clicks: Some(day.clicks),
            },
            claimed_purchases: Some(day.purchases),
            claimed_micros: Some(day.purchase_micros),
            account_time_zone: Some(time_zone.to_owned()),
        }
    }
}
