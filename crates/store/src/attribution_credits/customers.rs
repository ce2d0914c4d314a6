//! `customers`: who placed an order, by any of the keys that a person is known by.

use std::collections::{BTreeSet, HashMap};

use diesel::sql_types::{Array, BigInt, Binary};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::OrderRow;
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
