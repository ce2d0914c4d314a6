//! `payment_aliases`: payments of the Orders API that were booked before the Payments API had a number for
//! them.

use diesel::sql_types::{Array, BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// The two numbers of a payment.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct PaymentAlias {
    /// In the Payments API.
    #[diesel(sql_type = Text)]
    pub payment_id: String,
    /// In our books.
    #[diesel(sql_type = Text)]
    pub booked_as: String,
}

impl Store {
    /// Those of these payments that have two numbers; either may be asked for.
    pub async fn payment_aliases(
        &self,
        dataset: DatasetId,
        ids: &[&str],
    ) -> Result<Vec<PaymentAlias>, StoreError> {
        let aliases = sql_query(
            "SELECT payment_id, booked_as FROM payment_aliases
             WHERE dataset_id = $1 AND (payment_id = ANY($2) OR booked_as = ANY($2))",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Array<Text>, _>(ids)
        .prepared()
        .load(&mut self.connection().await?)
        .await?;
        Ok(aliases)
    }

    /// Notes that a payment which is booked under its order's number has this one in the Payments API.
    /// Returns whether both are booked, each under its own: then one of them has to be taken back.
    pub async fn link_payment(
        &self,
        dataset: DatasetId,
        payment_id: &str,
        booked_as: &str,
    ) -> Result<bool, StoreError> {
        #[derive(QueryableByName)]
        struct Both {
            #[diesel(sql_type = diesel::sql_types::Bool)]
            both: bool,
        }
        let mut connection = self.connection().await?;
        sql_query(include_str!("sql/link_payment.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Text, _>(payment_id)
            .bind::<Text, _>(booked_as)
            .prepared()
            .execute(&mut connection)
            .await?;
        let row: Both = sql_query(
            "SELECT count(*) = 2 AS both FROM payments WHERE dataset_id = $1 AND payment_id IN ($2, $3)",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Text, _>(payment_id)
        .bind::<Text, _>(booked_as)
        .prepared()
        .get_result(&mut connection)
        .await?;
        Ok(row.both)
    }
}
