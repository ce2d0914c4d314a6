//! What the page reads, in parallel. Each part that does not come in time leaves a gap of its own.

use chrono::{Datelike, TimeDelta};
use futures_util::join;
use rastro_store::{
    CampaignAge, CampaignRevenue, CampaignWeek, ChannelRevenue, CohortAge, FindingTotal, Funnel,
    MonthRevenue, PurchasePlace, RecentFinding, ReconciledAccount, RevenueDay, RevenueFilter, RevenuePart,
    Store,
};

use super::request::Request;
use crate::dashboard::pages::overview::part;

/// Rows of the table of campaigns; the file has all.
pub(super) const CAMPAIGNS_SHOWN: usize = 12;
/// Weeks of a trend: a week says little alone, and beyond half a year it is another campaign.
const TREND_WEEKS: std::ops::RangeInclusive<i64> = 12..=26;
/// Cohorts that are drawn, that of this month included, and those that payback is reckoned from.
pub(super) const COHORTS_SHOWN: usize = 12;
const COHORTS_READ: i32 = 24;
const FINDINGS_SHOWN: i64 = 10;

/// All that the page shows. `None`: that part did not answer.
#[derive(Clone, Debug, Default)]
pub(super) struct RevenueData {
    /// All channels, and those of the part that was asked for.
    pub channels: Option<Vec<ChannelRevenue>>,
    pub own: Option<Vec<ChannelRevenue>>,
    /// One more than is shown, if there are more.
    pub campaigns: Option<Vec<CampaignRevenue>>,
    pub days: Option<Vec<RevenueDay>>,
    pub weeks: Option<Vec<CampaignWeek>>,
    pub ages: Option<Vec<CampaignAge>>,
    pub cohorts: Option<Vec<CohortAge>>,
    pub months: Option<Vec<MonthRevenue>>,
    pub funnel: Option<Funnel>,
    pub places: Option<Vec<PurchasePlace>>,
    pub accounts: Option<Vec<ReconciledAccount>>,
    pub findings: Option<Vec<FindingTotal>>,
    pub recent: Option<Vec<RecentFinding>>,
}

/// The weeks of the trend: whole ones, the last as far as it is.
pub(super) fn trend(filter: &RevenueFilter) -> RevenueFilter {
    let weeks =
        ((filter.until - filter.from).num_days() / 7 + 1).clamp(*TREND_WEEKS.start(), *TREND_WEEKS.end());
    let monday = filter.until - TimeDelta::days(filter.until.weekday().num_days_from_monday().into());
    RevenueFilter {
        from: monday - TimeDelta::weeks(weeks - 1),
        ..filter.clone()
    }
}

pub(super) async fn load(store: &Store, request: &Request) -> RevenueData {
    let (filter, asked, zone) = (&request.filter, &request.part, request.time_zone.as_str());
    let (trend, all) = (trend(filter), RevenuePart::default());
    let (dataset, currency, today) = (filter.dataset, filter.currency.as_str(), request.today);
    let shown = i64::try_from(CAMPAIGNS_SHOWN + 1).unwrap_or(i64::MAX);
    let of_part = async {
        match request.is_of_a_part() {
            true => Some(store.revenue_by_channel(filter, asked).await),
            false => None,
        }
    };
    let (channels, own, campaigns, days, weeks, ages, cohorts) = join!(
        store.revenue_by_channel(filter, &all),
        of_part,
        store.revenue_by_campaign(filter, asked, shown),
        store.revenue_days(filter, asked),
        store.campaign_weeks(&trend, asked),
        store.campaign_ages(filter, asked),
        store.cohort_ages(dataset, currency, today, COHORTS_READ),
    );
    let (months, funnel, places, accounts, findings, recent) = join!(
        store.revenue_months(dataset, currency, today),
        store.lead_funnel(filter, zone),
        store.purchase_places(filter, zone),
        store.reconciled_accounts(dataset),
        store.finding_totals(filter, zone),
        store.recent_findings(filter, zone, FINDINGS_SHOWN),
    );
    let channels = part("revenue by channel", channels);
    RevenueData {
        own: match own {
            Some(own) => part("revenue of a part", own),
            None => channels.clone(),
        },
        channels,
        campaigns: part("revenue by campaign", campaigns),
        days: part("revenue by day", days),
        weeks: part("campaigns by week", weeks),
        ages: part("payback", ages),
        cohorts: part("cohorts", cohorts),
        months: part("months", months),
        funnel: part("funnel", funnel),
        places: part("purchases", places),
        accounts: part("accounts", accounts),
        findings: part("findings", findings),
        recent: part("newest findings", recent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::pages::revenue::request::tests::request;
    use crate::dashboard::words::Lang;

    #[test]
    fn a_trend_has_twelve_to_twenty_six_whole_weeks() {
        // 26 November 2026 is a Thursday.
        for (query, first) in [
            ("p=7d", "2026-09-07"),
            ("", "2026-09-07"),
            ("p=90d", "2026-08-31"),
            ("p=365d", "2026-06-01"),
        ] {
            let trend = trend(&request(Lang::Pt, query).filter);
            assert_eq!(trend.from.to_string(), first, "{query}");
            assert_eq!(trend.until.to_string(), "2026-11-26");
        }
    }
}
