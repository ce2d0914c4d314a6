//! The books in the open: where the Purchase of each payment is, and what comparing with the payment provider
//! found.

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::sql_types::{BigInt, Date, Nullable, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use rastro_core::dataset::DatasetId;

use super::RevenueFilter;
use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// Approved payments whose Purchase is in one place.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct PurchasePlace {
    /// `accepted` by Meta, `on_its_way`, `stopped`; where there is none, why, as in `payments.conversion`, or
    /// `other_payment`: that of its order has another payment's amount.
    #[diesel(sql_type = Text)]
    pub place: String,
    #[diesel(sql_type = BigInt)]
    pub payments: i64,
    #[diesel(sql_type = BigInt)]
    pub amount_minor: i64,
}

/// An account of the payment provider, and its newest finished comparison of one kind; `None`: there is none.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct ReconciledAccount {
    #[diesel(sql_type = BigInt)]
    pub account_id: i64,
    /// Other people's text.
    #[diesel(sql_type = Text)]
    pub label: String,
    #[diesel(sql_type = Text)]
    pub currency: String,
    /// Why nothing is asked for now.
    #[diesel(sql_type = Nullable<Text>)]
    pub blocked_reason: Option<String>,
    /// `hourly`, `nightly` or `weekly`.
    #[diesel(sql_type = Text)]
    pub kind: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub run_id: Option<i64>,
    /// The date of a payment that the window is of: `date_created` or `date_last_updated`.
    #[diesel(sql_type = Nullable<Text>)]
    pub window_of: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub window_from: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub window_to: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub finished_at: Option<DateTime<Utc>>,
    /// What the provider has.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub remote_count: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub remote_minor: Option<i64>,
    /// What was here before, and what is here since.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub local_count: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub local_minor: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub after_minor: Option<i64>,
    /// The sum of what was found.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub difference_minor: Option<i64>,
    /// Why a later comparison does not come to its end.
    #[diesel(sql_type = Nullable<Text>)]
    pub problem: Option<String>,
}

/// Findings of one kind that ended in one way.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct FindingTotal {
    /// As `reconciliation_findings` says.
    #[diesel(sql_type = Text)]
    pub finding: String,
    /// `applied`, `listed` or `resent`.
    #[diesel(sql_type = Text)]
    pub action: String,
    #[diesel(sql_type = BigInt)]
    pub findings: i64,
    /// A payment may be found by several comparisons.
    #[diesel(sql_type = BigInt)]
    pub payments: i64,
    /// Revenue there less revenue here, when it was found.
    #[diesel(sql_type = BigInt)]
    pub difference_minor: i64,
    #[diesel(sql_type = Timestamptz)]
    pub last_found_at: DateTime<Utc>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct RecentFinding {
    #[diesel(sql_type = Timestamptz)]
    pub found_at: DateTime<Utc>,
    /// The provider's number of the payment.
    #[diesel(sql_type = Text)]
    pub payment_id: String,
    #[diesel(sql_type = Text)]
    pub finding: String,
    #[diesel(sql_type = Text)]
    pub action: String,
    #[diesel(sql_type = BigInt)]
    pub remote_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub local_minor: i64,
    /// Of the comparison: `hourly`, `nightly`, `weekly` or `manual`.
    #[diesel(sql_type = Text)]
    pub kind: String,
}

impl Store {
    /// Payments of a currency that were approved in the period, more than half an hour ago, by where their
    /// Purchase is.
    pub async fn purchase_places(
        &self,
        filter: &RevenueFilter,
        time_zone: &str,
    ) -> Result<Vec<PurchasePlace>, StoreError> {
        self.of_period(include_str!("../sql/purchase_places.sql"), filter, time_zone)
            .await
    }

    /// By account and kind of comparison; three rows for each account.
    pub async fn reconciled_accounts(
        &self,
        dataset: DatasetId,
    ) -> Result<Vec<ReconciledAccount>, StoreError> {
        sql_query(include_str!("../sql/reconciled_accounts.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .prepared()
            .rows(self)
            .await
    }

    /// What comparisons of accounts of the currency found in the period.
    pub async fn finding_totals(
        &self,
        filter: &RevenueFilter,
        time_zone: &str,
    ) -> Result<Vec<FindingTotal>, StoreError> {
        self.of_period(
            include_str!("../sql/reconciliation_totals.sql"),
            filter,
            time_zone,
        )
        .await
    }

    /// The newest of them.
    pub async fn recent_findings(
        &self,
        filter: &RevenueFilter,
        time_zone: &str,
        limit: i64,
    ) -> Result<Vec<RecentFinding>, StoreError> {
        sql_query(include_str!("../sql/reconciliation_newest.sql"))
            .bind::<BigInt, _>(filter.dataset.as_i64())
            .bind::<Text, _>(&filter.currency)
            .bind::<Date, _>(filter.from)
            .bind::<Date, _>(filter.until)
            .bind::<Text, _>(time_zone)
            .bind::<BigInt, _>(limit)
            .prepared()
            .rows(self)
            .await
    }

    /// For statements of dataset, currency, first and last day, and the zone of the days.
    async fn of_period<T>(
        &self,
        statement: &'static str,
        filter: &RevenueFilter,
        time_zone: &str,
    ) -> Result<Vec<T>, StoreError>
    where
        T: QueryableByName<Pg> + Send + 'static,
    {
        sql_query(statement)
            .bind::<BigInt, _>(filter.dataset.as_i64())
            .bind::<Text, _>(&filter.currency)
            .bind::<Date, _>(filter.from)
            .bind::<Date, _>(filter.until)
            .bind::<Text, _>(time_zone)
            .prepared()
            .rows(self)
            .await
    }
}
