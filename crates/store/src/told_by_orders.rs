//! Payments of which an order of the Orders API told last, and nobody else does.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// Such a payment, as its order told of it. Amounts are in the smallest unit.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct ToldByOrder {
    #[diesel(sql_type = Text)]
    pub payment_id: String,
    #[diesel(sql_type = Text)]
    pub remote_order_id: String,
    #[diesel(sql_type = Text)]
    pub status: String,
    #[diesel(sql_type = Text)]
    pub status_detail: String,
    #[diesel(sql_type = BigInt)]
    pub amount_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub refunded_minor: i64,
}

impl Store {
    /// Those of an account, created in this window (its end included), whose orders are to be read again: what
    /// nobody has paid yet, and what was paid and not read for a week.
    pub async fn told_by_orders(
        &self,
        dataset: DatasetId,
        account_id: i64,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<ToldByOrder>, StoreError> {
        let told = sql_query(
            "SELECT payment_id, remote_order_id, status, status_detail, amount_minor, refunded_minor FROM payments
             WHERE dataset_id = $1 AND account_id = $2 AND created_at BETWEEN $3 AND $4 AND told_by_order
                 AND remote_order_id IS NOT NULL AND (
                     status IN ('pending', 'in_process', 'authorized')
                     OR status IN ('approved', 'in_mediation', 'charged_back') AND read_at < rastro_now() - interval '7 days'
                 )
             ORDER BY created_at, payment_id",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<BigInt, _>(account_id)
        .bind::<Timestamptz, _>(from)
        .bind::<Timestamptz, _>(to)
        .prepared()
        .load(&mut self.connection().await?)
        .await?;
        Ok(told)
    }
}
