//! `customers`: who placed an order, by any of the keys that a person is known by.

use std::collections::{BTreeSet, HashMap};

use diesel::sql_types::{Array, BigInt, Binary, Integer};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::OrderRow;
use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

#[derive(QueryableByName)]
struct CustomerRow {
    #[diesel(sql_type = Binary)]
    key_hmac: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    customer_id: i64,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// A key by which a buyer is known again, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct CustomerKey {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = Binary)]
    key_hmac: Vec<u8>,
}

impl Store {
    /// Looks at the next `limit` keys of buyers after this one, and deletes those that are older than so many
    /// days and lead to nobody any more. Returns how many it deleted, and the last that it looked at; `None`:
    /// there was none.
    pub async fn forget_customers(
        &self,
        days: i32,
        after: Option<&CustomerKey>,
        limit: i64,
    ) -> Result<(usize, Option<CustomerKey>), StoreError> {
        let mut connection = self.connection().await?;
        let looked: Vec<CustomerKey> = sql_query(include_str!("../sql/page_of_customers.sql"))
            .bind::<BigInt, _>(after.map_or(i64::MIN, |key| key.dataset_id))
            .bind::<Binary, _>(after.map_or(&[][..], |key| &key.key_hmac))
            .bind::<BigInt, _>(limit)
            .prepared()
            .load(&mut connection)
            .await?;
        let last = looked.last().cloned();
        if last.is_none() {
            return Ok((0, None));
        }
        let forgotten = sql_query(include_str!("../sql/forget_customers.sql"))
            .bind::<Integer, _>(days)
            .bind::<Array<BigInt>, _>(looked.iter().map(|key| key.dataset_id).collect::<Vec<_>>())
            .bind::<Array<Binary>, _>(looked.iter().map(|key| &key.key_hmac).collect::<Vec<_>>())
            .prepared()
            .execute(&mut connection)
            .await?;
        Ok((forgotten, last))
    }
}

/// Who placed each order, by number: of keys that are known the strongest says it, and the others learn it.
pub(super) async fn number_customers(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    rows: &[OrderRow],
) -> Result<Vec<Option<i64>>, StoreError> {
    let keys: BTreeSet<&Vec<u8>> = rows.iter().flat_map(|row| &row.person_keys).collect();
    if keys.is_empty() {
        return Ok(vec![None; rows.len()]);
    }
    let known: Vec<CustomerRow> =
        sql_query("SELECT key_hmac, customer_id FROM customers WHERE dataset_id = $1 AND key_hmac = ANY($2)")
            .bind::<BigInt, _>(dataset)
            .bind::<Array<Binary>, _>(keys.into_iter().collect::<Vec<_>>())
            .prepared()
            .load(connection)
            .await?;
    let mut known: HashMap<Vec<u8>, i64> = known
        .into_iter()
        .map(|row| (row.key_hmac, row.customer_id))
        .collect();
    let mut numbers = Vec::with_capacity(rows.len());
    let mut learnt: Vec<(Vec<u8>, i64)> = Vec::new();
    let mut fresh: Vec<i64> = Vec::new();
    for row in rows {
        if row.person_keys.is_empty() {
            numbers.push(None);
            continue;
        }
        let number = match row.person_keys.iter().find_map(|key| known.get(key)) {
            Some(number) => *number,
            None => match fresh.pop() {
                Some(number) => number,
                None => {
                    fresh = new_numbers(connection).await?;
                    fresh.pop().ok_or(StoreError::Invalid {
                        what: "sequence of customers",
                    })?
                }
            },
        };
        for key in &row.person_keys {
            if !known.contains_key(key) {
                known.insert(key.clone(), number);
                learnt.push((key.clone(), number));
            }
        }
        numbers.push(Some(number));
    }
    if !learnt.is_empty() {
        let (keys, numbers): (Vec<Vec<u8>>, Vec<i64>) = learnt.into_iter().unzip();
        sql_query(
            "INSERT INTO customers (dataset_id, key_hmac, customer_id, created_at)
             SELECT $1, key_hmac, customer_id, rastro_now() FROM unnest($2::bytea[], $3::bigint[]) AS new (key_hmac, customer_id)
             ON CONFLICT DO NOTHING",
        )
        .bind::<BigInt, _>(dataset)
        .bind::<Array<Binary>, _>(keys)
        .bind::<Array<BigInt>, _>(numbers)
        .prepared()
        .execute(connection)
        .await?;
    }
    Ok(numbers)
}

/// Some at once: a page of new customers is not a statement each.
async fn new_numbers(connection: &mut AsyncPgConnection) -> Result<Vec<i64>, StoreError> {
    let numbers: Vec<Number> =
        sql_query("SELECT nextval('customer_numbers') AS number FROM generate_series(1, 100)")
            .prepared()
            .load(connection)
            .await?;
    Ok(numbers.into_iter().map(|row| row.number).rev().collect())
}
