//! What the revenue page shows: sums over `campaign_daily`, `cohort_monthly`, `campaign_cohorts`,
//! `revenue_daily` and `revenue_forecasts`. Only reads. Amounts in minor units and millionths of a currency,
//! shares in millionths: whoever shows them divides sums by sums.

mod books;

use chrono::NaiveDate;
use diesel::sql_types::{Array, BigInt, Bool, Date, Double, Integer, Nullable, Text};
use diesel::{QueryableByName, sql_query};
use rastro_core::attribution::Model;
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

pub use books::{FindingTotal, PurchasePlace, RecentFinding, ReconciledAccount};

/// What has to be known of a dataset before anything can be asked.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct RevenueScope {
    /// Its days are those of this zone.
    #[diesel(sql_type = Text)]
    pub time_zone: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub default_currency: Option<String>,
    #[diesel(sql_type = Date)]
    pub today: NaiveDate,
    /// Those that it has revenue or spend in. None: there is nothing to show.
    #[diesel(sql_type = Array<Text>)]
    pub currencies: Vec<String>,
    /// The newest day that spend is known of.
    #[diesel(sql_type = Nullable<Date>)]
    pub spent_until: Option<NaiveDate>,
    /// Some account of the payment provider belongs to it.
    #[diesel(sql_type = Bool)]
    pub has_account: bool,
    /// The Markov model had the volume to learn from. Otherwise its credits are those by position.
    #[diesel(sql_type = Bool)]
    pub has_effects: bool,
}

/// A part of what a filter asks for; all of it by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevenuePart {
    pub channel: Option<String>,
    pub campaign: Option<String>,
}

/// Of what a page asks. One currency: sums of two mean nothing.
#[derive(Clone, Debug)]
pub struct RevenueFilter {
    pub dataset: DatasetId,
    pub currency: String,
    pub model: Model,
    /// Days of the reporting zone, both included.
    pub from: NaiveDate,
    pub until: NaiveDate,
}

/// A channel's part of the period.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct ChannelRevenue {
    /// `meta`, `google`, ... of paid touches; `email`, `direct`, `unmatched`, ... of others.
    #[diesel(sql_type = Text)]
    pub channel: String,
    #[diesel(sql_type = Bool)]
    pub paid: bool,
    #[diesel(sql_type = BigInt)]
    pub spend_micros: i64,
    #[diesel(sql_type = BigInt)]
    pub clicks: i64,
    #[diesel(sql_type = BigInt)]
    pub leads_millionths: i64,
    #[diesel(sql_type = BigInt)]
    pub qualified_millionths: i64,
    #[diesel(sql_type = BigInt)]
    pub orders_millionths: i64,
    #[diesel(sql_type = BigInt)]
    pub new_customers_millionths: i64,
    #[diesel(sql_type = BigInt)]
    pub gross_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub net_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub fee_minor: i64,
    /// What the platform says that it brought.
    #[diesel(sql_type = BigInt)]
    pub claimed_micros: i64,
}

/// A campaign's part of the period.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct CampaignRevenue {
    #[diesel(sql_type = Text)]
    pub channel: String,
    /// Empty: none was named.
    #[diesel(sql_type = Text)]
    pub campaign_key: String,
    /// Other people's text.
    #[diesel(sql_type = Text)]
    pub campaign_name: String,
    #[diesel(sql_type = Bool)]
    pub paid: bool,
    #[diesel(sql_type = BigInt)]
    pub spend_micros: i64,
    #[diesel(sql_type = BigInt)]
    pub impressions: i64,
    #[diesel(sql_type = BigInt)]
    pub clicks: i64,
    #[diesel(sql_type = BigInt)]
    pub leads_millionths: i64,
    #[diesel(sql_type = BigInt)]
    pub qualified_millionths: i64,
    #[diesel(sql_type = BigInt)]
    pub orders_millionths: i64,
    #[diesel(sql_type = BigInt)]
    pub new_customers_millionths: i64,
    #[diesel(sql_type = BigInt)]
    pub gross_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub net_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub fee_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub claimed_micros: i64,
}

/// A day by the orders that were placed on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct RevenueDay {
    #[diesel(sql_type = Date)]
    pub day: NaiveDate,
    #[diesel(sql_type = BigInt)]
    pub spend_micros: i64,
    #[diesel(sql_type = BigInt)]
    pub gross_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub net_minor: i64,
}

/// A campaign in a week.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct CampaignWeek {
    /// A Monday.
    #[diesel(sql_type = Date)]
    pub week: NaiveDate,
    #[diesel(sql_type = Text)]
    pub channel: String,
    #[diesel(sql_type = Text)]
    pub campaign_key: String,
    /// Other people's text.
    #[diesel(sql_type = Text)]
    pub campaign_name: String,
    #[diesel(sql_type = BigInt)]
    pub spend_micros: i64,
    #[diesel(sql_type = BigInt)]
    pub new_customers_millionths: i64,
}

/// What a campaign's customers had brought at an age.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct CampaignAge {
    #[diesel(sql_type = Text)]
    pub channel: String,
    #[diesel(sql_type = Text)]
    pub campaign_key: String,
    #[diesel(sql_type = Text)]
    pub campaign_name: String,
    #[diesel(sql_type = Integer)]
    pub age_months: i32,
    #[diesel(sql_type = BigInt)]
    pub customers_millionths: i64,
    #[diesel(sql_type = BigInt)]
    pub spend_micros: i64,
    /// Gross profit until the end of the age.
    #[diesel(sql_type = BigInt)]
    pub profit_minor: i64,
}

/// A cohort at an age.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct CohortAge {
    #[diesel(sql_type = Date)]
    pub cohort: NaiveDate,
    #[diesel(sql_type = Integer)]
    pub age_months: i32,
    #[diesel(sql_type = BigInt)]
    pub customers: i64,
    /// Spend in the month that they first bought in.
    #[diesel(sql_type = BigInt)]
    pub spend_micros: i64,
    #[diesel(sql_type = BigInt)]
    pub profit_minor: i64,
}

/// Net revenue of a month as the money came and went, and the newest forecast of it.
#[derive(Clone, Debug, PartialEq, QueryableByName)]
pub struct MonthRevenue {
    #[diesel(sql_type = Date)]
    pub month: NaiveDate,
    #[diesel(sql_type = BigInt)]
    pub net_minor: i64,
    /// Of the forecast, what was there already when it was made.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub actual_minor: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub forecast_minor: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub lower_minor: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub upper_minor: Option<i64>,
    /// What the interval is made from: `back_tests` or `model`.
    #[diesel(sql_type = Nullable<Text>)]
    pub interval_basis: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub method: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub trained_days: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub back_tests: Option<i32>,
    #[diesel(sql_type = Nullable<Double>)]
    pub wape: Option<f64>,
    #[diesel(sql_type = Nullable<Double>)]
    pub coverage: Option<f64>,
    #[diesel(sql_type = Nullable<Date>)]
    pub made_on: Option<NaiveDate>,
}

/// What became, until now, of those who wrote in the period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct Funnel {
    #[diesel(sql_type = BigInt)]
    pub leads: i64,
    #[diesel(sql_type = BigInt)]
    pub qualified: i64,
    /// Began to pay.
    #[diesel(sql_type = BigInt)]
    pub ordered: i64,
    #[diesel(sql_type = BigInt)]
    pub paid: i64,
    #[diesel(sql_type = BigInt)]
    pub paid_again: i64,
    /// Pix and boletos that may still be paid.
    #[diesel(sql_type = BigInt)]
    pub open_payments: i64,
}

impl Store {
    /// `None`: there is no such dataset.
    pub async fn revenue_scope(&self, dataset: DatasetId) -> Result<Option<RevenueScope>, StoreError> {
        sql_query(include_str!("sql/revenue_scope.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .prepared()
            .maybe_row(self)
            .await
    }

    /// The datasets that there is revenue or spend of, by number.
    pub async fn datasets_with_revenue(&self) -> Result<Vec<i64>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            dataset_id: i64,
        }
        let rows: Vec<Row> = sql_query(include_str!("sql/datasets_with_revenue.sql"))
            .prepared()
            .rows(self)
            .await?;
        Ok(rows.into_iter().map(|row| row.dataset_id).collect())
    }

    /// By channel, the one with the most net revenue first. Their sum is all there is of the part.
    pub async fn revenue_by_channel(
        &self,
        filter: &RevenueFilter,
        part: &RevenuePart,
    ) -> Result<Vec<ChannelRevenue>, StoreError> {
        self.of_part(include_str!("sql/revenue_by_channel.sql"), filter, part)
            .await
    }

    /// By campaign, the one that cost most first, at most so many.
    pub async fn revenue_by_campaign(
        &self,
        filter: &RevenueFilter,
        part: &RevenuePart,
        limit: i64,
    ) -> Result<Vec<CampaignRevenue>, StoreError> {
        sql_query(include_str!("sql/revenue_campaigns.sql"))
            .bind::<BigInt, _>(filter.dataset.as_i64())
            .bind::<Text, _>(&filter.currency)
            .bind::<Text, _>(filter.model.as_str())
            .bind::<Date, _>(filter.from)
            .bind::<Date, _>(filter.until)
            .bind::<Nullable<Text>, _>(&part.channel)
            .bind::<Nullable<Text>, _>(&part.campaign)
            .bind::<BigInt, _>(limit)
            .prepared()
            .rows(self)
            .await
    }

    /// By day, without those on which nothing was.
    pub async fn revenue_days(
        &self,
        filter: &RevenueFilter,
        part: &RevenuePart,
    ) -> Result<Vec<RevenueDay>, StoreError> {
        self.of_part(include_str!("sql/revenue_days.sql"), filter, part)
            .await
    }

    /// Of the paid campaigns that cost most in the period, at most eight, by week.
    pub async fn campaign_weeks(
        &self,
        filter: &RevenueFilter,
        part: &RevenuePart,
    ) -> Result<Vec<CampaignWeek>, StoreError> {
        self.of_part(include_str!("sql/campaign_weeks.sql"), filter, part)
            .await
    }

    /// Payback curves of the same campaigns: of all customers that they ever brought, under the linear model.
    pub async fn campaign_ages(
        &self,
        filter: &RevenueFilter,
        part: &RevenuePart,
    ) -> Result<Vec<CampaignAge>, StoreError> {
        self.of_part(include_str!("sql/campaign_ages.sql"), filter, part)
            .await
    }

    /// Cohorts of the last so many months, that of `today` included, each with the spend of its month.
    pub async fn cohort_ages(
        &self,
        dataset: DatasetId,
        currency: &str,
        today: NaiveDate,
        months: i32,
    ) -> Result<Vec<CohortAge>, StoreError> {
        sql_query(include_str!("sql/cohort_ages.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Text, _>(currency)
            .bind::<Date, _>(today)
            .bind::<Integer, _>(months)
            .prepared()
            .rows(self)
            .await
    }

    /// This month, the twelve before it, and those that are forecast.
    pub async fn revenue_months(
        &self,
        dataset: DatasetId,
        currency: &str,
        today: NaiveDate,
    ) -> Result<Vec<MonthRevenue>, StoreError> {
        sql_query(include_str!("sql/revenue_months.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Text, _>(currency)
            .bind::<Date, _>(today)
            .prepared()
            .rows(self)
            .await
    }

    /// Of the leads of the period. `time_zone`: of its days.
    pub async fn lead_funnel(&self, filter: &RevenueFilter, time_zone: &str) -> Result<Funnel, StoreError> {
        sql_query(include_str!("sql/lead_funnel.sql"))
            .bind::<BigInt, _>(filter.dataset.as_i64())
            .bind::<Date, _>(filter.from)
            .bind::<Date, _>(filter.until)
            .bind::<Text, _>(time_zone)
            .prepared()
            .row(self)
            .await
    }

    /// For statements that begin with dataset, currency, model, first and last day, channel and campaign.
    async fn of_part<T>(
        &self,
        statement: &'static str,
        filter: &RevenueFilter,
        part: &RevenuePart,
    ) -> Result<Vec<T>, StoreError>
    where
        T: QueryableByName<diesel::pg::Pg> + Send + 'static,
    {
        sql_query(statement)
            .bind::<BigInt, _>(filter.dataset.as_i64())
            .bind::<Text, _>(&filter.currency)
            .bind::<Text, _>(filter.model.as_str())
            .bind::<Date, _>(filter.from)
            .bind::<Date, _>(filter.until)
            .bind::<Nullable<Text>, _>(&part.channel)
            .bind::<Nullable<Text>, _>(&part.campaign)
            .prepared()
            .rows(self)
            .await
    }
}
