//! `purchases`: orders, each once for good. What is recorded again moves an order on, never back; what is only
//! claimed is replaced by a later claim.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::sql_types::{self, Array, BigInt, Bool, Date, Integer, Nullable, Text};
use diesel::{OptionalExtension, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use rastro_core::purchase::PurchaseStatus;
use uuid::Uuid;

use crate::connection::Store;
use crate::error::StoreError;
use crate::leads::MatchMethod;
use crate::statement::Prepare;

/// An order as it is recorded. Its dataset, key, request and consent are those of its event.
#[derive(Clone, Debug)]
pub struct NewPurchase {
    pub dataset_id: i64,
    pub order_id: String,
    pub status: PurchaseStatus,
    pub amount_minor: i64,
    pub currency: String,
    /// A JSON object.
    pub details: String,
    pub lead: Option<(i64, MatchMethod)>,
    /// The finished event of a claim, which becomes one when a payment confirms it.
    pub claimed_event: Option<String>,
    /// As JSON.
    pub consent: Option<String>,
    pub ads_refused: bool,
    pub key_id: Option<i64>,
    pub request_id: Uuid,
}

/// What recording an order did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurchaseChange {
    pub purchase_id: i64,
    /// The order is new, moved on, or is claimed anew. Otherwise nothing of it was changed.
    pub changed: bool,
    /// The visitor refused, now or when the order was claimed before.
    pub ads_refused: bool,
}

impl Store {
    /// The finished event of what a page or a server claimed of an order, as long as nothing else is known of
    /// it. `None`: there is no such claim, or its visitor refused advertising.
    pub async fn claimed_event(
        &self,
        dataset: DatasetId,
        order_id: &str,
    ) -> Result<Option<String>, StoreError> {
        #[derive(QueryableByName)]
        struct Claim {
            #[diesel(sql_type = Nullable<Text>)]
            claimed_event: Option<String>,
        }
        let claim: Option<Claim> = sql_query(
            "SELECT claimed_event FROM purchases
             WHERE dataset_id = $1 AND order_id = $2 AND status = 'pending' AND NOT ads_refused",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Text, _>(order_id)
        .prepared()
        .get_result(&mut self.connection().await?)
        .await
        .optional()?;
        Ok(claim.and_then(|claim| claim.claimed_event))
    }

    /// Takes from orders what was claimed more than so many days ago, of at most `limit`; returns of how
    /// many.
    pub async fn forget_claims(&self, days: i32, limit: i64) -> Result<usize, StoreError> {
        let forgotten = sql_query(include_str!("sql/forget_claims.sql"))
            .bind::<Integer, _>(days)
            .bind::<BigInt, _>(limit)
            .prepared()
            .execute(&mut self.connection().await?)
            .await?;
        Ok(forgotten)
    }
}

type Order<'p> = (i64, &'p str);

fn order(purchase: &NewPurchase) -> Order<'_> {
    (purchase.dataset_id, &purchase.order_id)
}

/// Records the orders, and says what that did, in their order. Of one that comes twice the first is recorded
/// first.
pub(crate) async fn record(
    connection: &AsyncPgConnection,
    purchases: &[&NewPurchase],
) -> Result<Vec<PurchaseChange>, StoreError> {
    let mut changes: Vec<Option<PurchaseChange>> = vec![None; purchases.len()];
    let mut rest: Vec<usize> = (0..purchases.len()).collect();
    while !rest.is_empty() {
        // A statement may change a row once. Sorted, so that two writers with the same orders never wait for
        // each other.
        let mut round: Vec<usize> = Vec::new();
        let mut later = Vec::new();
        for index in rest {
            match round
                .iter()
                .any(|known| order(purchases[*known]) == order(purchases[index]))
            {
                true => later.push(index),
                false => round.push(index),
            }
        }
        round.sort_by_key(|index| order(purchases[*index]));
        let rows: Vec<&NewPurchase> = round.iter().map(|index| purchases[*index]).collect();
        let changed = upsert(connection, &rows).await?;
        for index in round {
            changes[index] = changed.get(&order(purchases[index])).copied();
        }
        rest = later;
    }
    changes
        .into_iter()
        .map(|change| change.ok_or(StoreError::Invalid { what: "purchase" }))
        .collect()
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = Text)]
    order_id: String,
    #[diesel(sql_type = BigInt)]
    purchase_id: i64,
    #[diesel(sql_type = Bool)]
    changed: bool,
    #[diesel(sql_type = Bool)]
    ads_refused: bool,
}

async fn upsert<'p>(
    mut connection: &AsyncPgConnection,
    purchases: &[&'p NewPurchase],
) -> Result<HashMap<Order<'p>, PurchaseChange>, StoreError> {
    fn of<'p, T>(purchases: &[&'p NewPurchase], value: impl Fn(&'p NewPurchase) -> T) -> Vec<T> {
        purchases.iter().map(|purchase| value(purchase)).collect()
    }
    let lead = |purchase: &NewPurchase| purchase.lead.map(|(lead_id, _)| lead_id);
    let method = |purchase: &NewPurchase| purchase.lead.map(|(_, method)| method.as_str());
    let changed: Vec<Row> = sql_query(include_str!("sql/record_purchases.sql"))
        .bind::<Array<BigInt>, _>(of(purchases, |purchase| purchase.dataset_id))
        .bind::<Array<Text>, _>(of(purchases, |purchase| purchase.order_id.as_str()))
        .bind::<Array<Text>, _>(of(purchases, |purchase| purchase.status.as_str()))
        .bind::<Array<BigInt>, _>(of(purchases, |purchase| purchase.amount_minor))
        .bind::<Array<Text>, _>(of(purchases, |purchase| purchase.currency.as_str()))
        .bind::<Array<Text>, _>(of(purchases, |purchase| purchase.details.as_str()))
        .bind::<Array<Nullable<BigInt>>, _>(of(purchases, lead))
        .bind::<Array<Nullable<Text>>, _>(of(purchases, method))
        .bind::<Array<Nullable<Text>>, _>(of(purchases, |purchase| purchase.claimed_event.as_deref()))
        .bind::<Array<Nullable<Text>>, _>(of(purchases, |purchase| purchase.consent.as_deref()))
        .bind::<Array<Bool>, _>(of(purchases, |purchase| purchase.ads_refused))
        .bind::<Array<Nullable<BigInt>>, _>(of(purchases, |purchase| purchase.key_id))
        .bind::<Array<sql_types::Uuid>, _>(of(purchases, |purchase| purchase.request_id))
        .prepared()
        .load(&mut connection)
        .await?;
    let mut rows: HashMap<(i64, String), PurchaseChange> = changed
        .into_iter()
        .map(|row| ((row.dataset_id, row.order_id.clone()), change(&row)))
        .collect();
    if rows.len() < purchases.len() {
        let known: Vec<Row> = sql_query(include_str!("sql/known_purchases.sql"))
            .bind::<Array<BigInt>, _>(of(purchases, |purchase| purchase.dataset_id))
            .bind::<Array<Text>, _>(of(purchases, |purchase| purchase.order_id.as_str()))
            .prepared()
            .load(&mut connection)
            .await?;
        for row in known {
            rows.entry((row.dataset_id, row.order_id.clone()))
                .or_insert_with(|| change(&row));
        }
    }
    let of_order = |purchase: &&'p NewPurchase| {
        let change = rows.get(&(purchase.dataset_id, purchase.order_id.clone()))?;
        Some((order(purchase), *change))
    };
    Ok(purchases.iter().filter_map(of_order).collect())
}

fn change(row: &Row) -> PurchaseChange {
    PurchaseChange {
        purchase_id: row.purchase_id,
        changed: row.changed,
        ads_refused: row.ads_refused,
    }
}

/// Which event an order became.
pub(crate) struct MadeEvent<'p> {
    pub(crate) purchase: &'p NewPurchase,
    pub(crate) event_number: i64,
    pub(crate) day: Option<NaiveDate>,
}

pub(crate) async fn note_events(
    mut connection: &AsyncPgConnection,
    made: &[MadeEvent<'_>],
) -> Result<(), StoreError> {
    if made.is_empty() {
        return Ok(());
    }
    let orders: Vec<&str> = made.iter().map(|made| made.purchase.order_id.as_str()).collect();
    sql_query(include_str!("sql/note_purchase_events.sql"))
        .bind::<Array<BigInt>, _>(
            made.iter()
                .map(|made| made.purchase.dataset_id)
                .collect::<Vec<_>>(),
        )
        .bind::<Array<Text>, _>(orders)
        .bind::<Array<BigInt>, _>(made.iter().map(|made| made.event_number).collect::<Vec<_>>())
        .bind::<Array<Nullable<Date>>, _>(made.iter().map(|made| made.day).collect::<Vec<_>>())
        .prepared()
        .execute(&mut connection)
        .await?;
    Ok(())
}

/// Moves an approved order on to refunded when nothing is left of what its payments brought.
pub(crate) async fn refund_emptied(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    order_id: &str,
) -> Result<(), StoreError> {
    sql_query(include_str!("sql/refund_emptied_purchase.sql"))
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Text, _>(order_id)
        .prepared()
        .execute(&mut connection)
        .await?;
    Ok(())
}
