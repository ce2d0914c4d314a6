//! Which order a payment pays for. A reference names one, and two buyers may pay under the same: of a payment
//! link, a price on a QR code, a preference that is used again. Each of them bought something.

use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
use diesel::{OptionalExtension, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use rastro_core::payment::Payment;

use crate::error::StoreError;
use crate::lookup::PersonLookups;
use crate::statement::Prepare;

/// The order of a payment: the one of its reference, or one of its own where another buyer has paid that. It
/// stays as it is once the payment was paid.
pub(crate) async fn order_of(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    payment: &Payment,
    payer: &PersonLookups,
) -> Result<String, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        order_id: String,
    }
    let paid: Option<Row> = sql_query(
        "SELECT order_id FROM payments WHERE dataset_id = $1 AND payment_id = $2 AND approved_at IS NOT NULL",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .bind::<Text, _>(&payment.id)
    .prepared()
    .get_result(&mut connection)
    .await
    .optional()?;
    if let Some(paid) = paid {
        return Ok(paid.order_id);
    }
    let (named, own) = (payment.order_id(), payment.own_order_id());
    if named == own || !is_another_buyers(connection, dataset, payment, &named, payer).await? {
        return Ok(named);
    }
    Ok(own)
}

/// Whether somebody else than this payment's payer has paid the order. Whoever cannot be told apart is the
/// same.
pub(crate) async fn is_another_buyers(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    payment: &Payment,
    order_id: &str,
    payer: &PersonLookups,
) -> Result<bool, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        is_anothers: bool,
    }
    let row: Row = sql_query(include_str!("sql/is_another_buyers.sql"))
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Text, _>(order_id)
        .bind::<Text, _>(&payment.id)
        .bind::<Nullable<Binary>, _>(payer.email.as_deref())
        .bind::<Nullable<Binary>, _>(payer.phone.as_deref())
        .bind::<Nullable<Binary>, _>(payer.cpf.as_deref())
        .prepared()
        .get_result(&mut connection)
        .await?;
    Ok(row.is_anothers)
}
