//! `payment_aliases`: payments of the Orders API have a number there and one in the Payments API. Both are the
//! same money, and it is booked under one of them.
//!
//! Whoever books a payment and whoever learns that two numbers are one hold those numbers until they commit:
//! each sees what the other did.

use diesel::sql_types::{Array, BigInt, Bool, Text};
use diesel::{OptionalExtension, QueryableByName, sql_query};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use rastro_core::payment::Payment;

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// The two numbers of a payment.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct PaymentAlias {
    /// Leads to the other one.
    #[diesel(sql_type = Text)]
    pub payment_id: String,
    /// In our books.
    #[diesel(sql_type = Text)]
    pub booked_as: String,
}

impl PaymentAlias {
    /// The number by which the Payments API knows it: those of orders are not of digits alone.
    pub fn number(&self) -> &str {
        let is_number = self.payment_id.bytes().all(|byte| byte.is_ascii_digit());
        if is_number {
            &self.payment_id
        } else {
            &self.booked_as
        }
    }
}

/// Where a payment with two numbers is booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    pub booked_as: String,
    /// The other number, where it was booked under that one as well and was not taken back since.
    pub booked_twice_as: Option<String>,
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

    /// Notes that `number` of the Payments API and `own` of an order are one payment, and says where it is
    /// booked: under the one that came first; where neither did, under `number` if the Payments API knows it
    /// (`is_known`).
    pub async fn link_payment(
        &self,
        dataset: DatasetId,
        number: &str,
        own: &str,
        is_known: bool,
    ) -> Result<Linked, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        let linking = connection
            .transaction(async |connection| link(connection, dataset, (number, own), is_known).await);
        tokio::time::timeout(self.patience(), linking)
            .await
            .map_err(|_| StoreError::TimedOut)?
    }
}

async fn link(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    (number, own): (&str, &str),
    is_known: bool,
) -> Result<Linked, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        payment_id: String,
        #[diesel(sql_type = Text)]
        booked_as: String,
        #[diesel(sql_type = Bool)]
        is_booked_twice: bool,
    }
    hold(connection, dataset, &[number, own]).await?;
    sql_query(include_str!("sql/link_payment.sql"))
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Text, _>(number)
        .bind::<Text, _>(own)
        .bind::<Bool, _>(is_known)
        .prepared()
        .execute(&mut connection)
        .await?;
    let row: Option<Row> = sql_query(include_str!("sql/linked_payment.sql"))
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Text, _>(number)
        .bind::<Text, _>(own)
        .prepared()
        .get_result(&mut connection)
        .await
        .optional()?;
    Ok(match row {
        Some(row) => Linked {
            booked_as: row.booked_as,
            booked_twice_as: row.is_booked_twice.then_some(row.payment_id),
        },
        None => Linked {
            booked_as: if is_known { number } else { own }.to_owned(),
            booked_twice_as: None,
        },
    })
}

/// Refuses a payment that is booked under another number, and keeps it so until the transaction ends. What
/// takes the books of this number back is let through.
pub(crate) async fn refuse_other_number(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    payment: &Payment,
) -> Result<(), StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        booked_as: String,
    }
    hold(connection, dataset, &[&payment.id]).await?;
    // After the lock is held, and not in its statement, which would see what was there before it waited.
    let row: Option<Row> =
        sql_query("SELECT booked_as FROM payment_aliases WHERE dataset_id = $1 AND payment_id = $2")
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Text, _>(&payment.id)
            .prepared()
            .get_result(&mut connection)
            .await
            .optional()?;
    match row {
        Some(Row { booked_as }) if !payment.is_taken_back() => Err(StoreError::BookedAs(booked_as)),
        _ => Ok(()),
    }
}

/// Sorted, so that two who hold the same numbers never wait for each other.
async fn hold(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    ids: &[&str],
) -> Result<(), StoreError> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    for id in ids {
        sql_query(
            "SELECT pg_advisory_xact_lock(hashtextextended(concat_ws('/', current_schema(), 'payment', $1::bigint, $2::text), 0))",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Text, _>(id)
        .prepared()
        .execute(&mut connection)
        .await?;
    }
    Ok(())
}
