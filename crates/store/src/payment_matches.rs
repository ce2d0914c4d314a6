//! Payments that nobody was found for, matched by a person.

use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use diesel::{OptionalExtension, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use serde_json::json;

use crate::admin_log::{self, NewEntry};
use crate::connection::Store;
use crate::erasures::epoch;
use crate::error::StoreError;
use crate::statement::Prepare;
use crate::transaction;

/// What became of a match by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchedByHand {
    /// The payment, under the number that it is booked under, and the lead that it had before.
    Matched {
        payment_id: String,
        account_id: i64,
        before: Option<i64>,
    },
    NoPayment,
    /// There is none, or the person was erased.
    NoLead,
}

impl Store {
    /// Says that this lead paid, whatever was found before; it stays so when the payment is read again. The
    /// order is credited anew by the next round of crediting. It is logged who said so.
    pub async fn match_payment(
        &self,
        dataset: DatasetId,
        payment_id: &str,
        lead_id: i64,
        who: &str,
    ) -> Result<MatchedByHand, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        // Nobody is erased between the look and the match.
        transaction::begin(connection, &[epoch::KEEP_OUT]).await?;
        let matched = matched(connection, dataset, (payment_id, lead_id), who).await;
        transaction::end(connection, matched).await
    }
}

async fn matched(
    connection: &mut AsyncPgConnection,
    dataset: DatasetId,
    (payment_id, lead_id): (&str, i64),
    who: &str,
) -> Result<MatchedByHand, StoreError> {
    #[derive(QueryableByName)]
    struct Known {
        #[diesel(sql_type = Text)]
        payment_id: String,
        #[diesel(sql_type = BigInt)]
        account_id: i64,
        #[diesel(sql_type = Text)]
        order_id: String,
        #[diesel(sql_type = Nullable<BigInt>)]
        lead_id: Option<i64>,
    }
    #[derive(QueryableByName)]
    struct Lead {
        #[diesel(sql_type = Bool)]
        erased: bool,
    }
    let known: Option<Known> = sql_query(
        "SELECT payment_id, account_id, order_id, lead_id FROM payments
         WHERE dataset_id = $1 AND payment_id = coalesce(
             (SELECT booked_as FROM payment_aliases WHERE dataset_id = $1 AND payment_id = $2), $2)
         FOR UPDATE",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .bind::<Text, _>(payment_id)
    .prepared()
    .get_result(connection)
    .await
    .optional()?;
    let Some(known) = known else {
        return Ok(MatchedByHand::NoPayment);
    };
    let lead: Option<Lead> =
        sql_query("SELECT erased FROM leads WHERE dataset_id = $1 AND lead_id = $2 FOR SHARE")
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<BigInt, _>(lead_id)
            .prepared()
            .get_result(connection)
            .await
            .optional()?;
    if lead.is_none_or(|lead| lead.erased) {
        return Ok(MatchedByHand::NoLead);
    }
    sql_query(
        "UPDATE payments SET lead_id = $3, match_method = 'manual', match_confidence = 100
         WHERE dataset_id = $1 AND payment_id = $2",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .bind::<Text, _>(&known.payment_id)
    .bind::<BigInt, _>(lead_id)
    .prepared()
    .execute(connection)
    .await?;
    // Its new time is what crediting goes by.
    sql_query(
        "UPDATE purchases SET lead_id = $3, match_method = 'manual', updated_at = rastro_now()
         WHERE dataset_id = $1 AND order_id = $2",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .bind::<Text, _>(&known.order_id)
    .bind::<BigInt, _>(lead_id)
    .prepared()
    .execute(connection)
    .await?;
    let entry = NewEntry {
        who,
        action: "payment.match",
        dataset: Some(dataset),
        key_id: None,
        detail: json!({ "payment_id": known.payment_id, "lead_id": { "from": known.lead_id, "to": lead_id } }),
    };
    admin_log::insert(connection, entry).await?;
    Ok(MatchedByHand::Matched {
        payment_id: known.payment_id,
        account_id: known.account_id,
        before: known.lead_id,
    })
}
