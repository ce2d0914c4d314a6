//! What is written of orders whose credits changed: a new version of each credit, and the order itself.

use std::collections::HashMap;

use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Date, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::attribution::{Credit, Model, RULES_VERSION};
use sha2::{Digest, Sha256};

use super::{Credited, OrderRow, current};
use crate::error::StoreError;
use crate::statement::Prepare;

/// The same for all that is stored of an order, and for nothing else.
pub(super) fn fingerprint(
    row: &OrderRow,
    customer: Option<i64>,
    person_known: bool,
    credits: &[Credit],
) -> Vec<u8> {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    add(&format!(
        "{RULES_VERSION} {} {} {customer:?} {person_known}",
        row.placed_at.timestamp_micros(),
        row.day
    ));
    add(&row.currency);
    add(&format!(
        "{} {} {}",
        row.gross_minor, row.net_minor, row.fee_minor
    ));
    for credit in credits {
        let (touch, origin) = (&credit.touch, &credit.touch.origin);
        let numbers = [
            credit.order_millionths,
            credit.gross_minor,
            credit.net_minor,
            credit.fee_minor,
        ];
        add(&format!(
            "{} {} {:?} {numbers:?} {}",
            credit.model.as_str(),
            credit.position,
            touch.at_ms,
            origin.paid
        ));
        add(&origin.channel);
        add(&origin.campaign_key);
        add(&origin.campaign_name);
    }
    hash.finalize()[..16].to_vec()
}

/// One credit with the order and version that it belongs to.
struct NewCredit<'c> {
    order_id: &'c str,
    version: i32,
    credit: &'c Credit,
}

pub(super) async fn write(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    changed: &[Credited],
    time_zone: &str,
) -> Result<(), StoreError> {
    let ids: Vec<String> = changed.iter().map(|order| order.row.order_id.clone()).collect();
    let mut before: HashMap<(String, Model), (i32, Vec<Credit>)> = HashMap::new();
    for row in current(connection, dataset, &ids).await? {
        let credit = row.credit()?;
        let known = before
            .entry((row.order_id, credit.model))
            .or_insert((row.version, Vec::new()));
        known.1.push(credit);
    }
    let (mut superseded, mut new) = (Vec::new(), Vec::new());
    for order in changed {
        let order_id = order.row.order_id.as_str();
        for model in Model::ALL {
            let credits: Vec<&Credit> = order
                .credits
                .iter()
                .filter(|credit| credit.model == model)
                .collect();
            let version = match before.get(&(order_id.to_owned(), model)) {
                Some((_, known)) if known.iter().eq(credits.iter().copied()) => continue,
                Some((version, _)) => {
                    superseded.push((order_id, model.as_str()));
                    version + 1
                }
                None => 1,
            };
            new.extend(credits.into_iter().map(|credit| NewCredit {
                order_id,
                version,
                credit,
            }));
        }
    }
    if !superseded.is_empty() {
        let (orders, models): (Vec<&str>, Vec<&str>) = superseded.into_iter().unzip();
        sql_query(include_str!("../sql/supersede_credits.sql"))
            .bind::<BigInt, _>(dataset)
            .bind::<Array<Text>, _>(orders)
            .bind::<Array<Text>, _>(models)
            .prepared()
            .execute(connection)
            .await?;
    }
    insert(connection, dataset, &new).await?;
    put_orders(connection, dataset, changed).await?;
    let days = changed
        .iter()
        .flat_map(|order| [Some(order.row.day), order.row.known_day])
        .flatten();
    let customers = changed
        .iter()
        .flat_map(|order| [order.customer_id, order.row.known_customer])
        .flatten();
    sql_query(include_str!("../sql/days_of_customers.sql"))
        .bind::<BigInt, _>(dataset)
        .bind::<Array<Date>, _>(days.collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(customers.collect::<Vec<_>>())
        .bind::<Array<Text>, _>(&ids)
        .bind::<Text, _>(time_zone)
        .prepared()
        .execute(connection)
        .await?;
    Ok(())
}

async fn insert(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    new: &[NewCredit<'_>],
) -> Result<(), StoreError> {
    fn of<'c, T>(new: &'c [NewCredit<'_>], value: impl Fn(&'c Credit) -> T) -> Vec<T> {
        new.iter().map(|new| value(new.credit)).collect()
    }
    sql_query(include_str!("../sql/insert_credits.sql"))
        .bind::<BigInt, _>(dataset)
        .bind::<Array<Text>, _>(new.iter().map(|new| new.order_id).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(of(new, |credit| credit.model.as_str()))
        .bind::<Array<Integer>, _>(new.iter().map(|new| new.version).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(of(new, |credit| credit.position))
        .bind::<Array<Nullable<BigInt>>, _>(of(new, |credit| credit.touch.at_ms))
        .bind::<Array<Text>, _>(of(new, |credit| credit.touch.origin.channel.as_str()))
        .bind::<Array<Text>, _>(of(new, |credit| credit.touch.origin.campaign_key.as_str()))
        .bind::<Array<Text>, _>(of(new, |credit| credit.touch.origin.campaign_name.as_str()))
        .bind::<Array<Bool>, _>(of(new, |credit| credit.touch.origin.paid))
        .bind::<Array<BigInt>, _>(of(new, |credit| credit.order_millionths))
        .bind::<Array<BigInt>, _>(of(new, |credit| credit.gross_minor))
        .bind::<Array<BigInt>, _>(of(new, |credit| credit.net_minor))
        .bind::<Array<BigInt>, _>(of(new, |credit| credit.fee_minor))
        .prepared()
        .execute(connection)
        .await?;
    Ok(())
}

async fn put_orders(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    changed: &[Credited],
) -> Result<(), StoreError> {
    fn of<'c, T>(changed: &'c [Credited], value: impl Fn(&'c Credited) -> T) -> Vec<T> {
        changed.iter().map(value).collect()
    }
    sql_query(include_str!("../sql/put_credited_orders.sql"))
        .bind::<BigInt, _>(dataset)
        .bind::<Integer, _>(RULES_VERSION)
        .bind::<Array<Text>, _>(of(changed, |order| order.row.order_id.as_str()))
        .bind::<Array<Timestamptz>, _>(of(changed, |order| order.row.placed_at))
        .bind::<Array<Date>, _>(of(changed, |order| order.row.day))
        .bind::<Array<Text>, _>(of(changed, |order| order.row.currency.as_str()))
        .bind::<Array<BigInt>, _>(of(changed, |order| order.row.gross_minor))
        .bind::<Array<BigInt>, _>(of(changed, |order| order.row.net_minor))
        .bind::<Array<BigInt>, _>(of(changed, |order| order.row.fee_minor))
        .bind::<Array<Nullable<BigInt>>, _>(of(changed, |order| order.customer_id))
        .bind::<Array<Bool>, _>(of(changed, |order| order.person_known))
        .bind::<Array<Binary>, _>(of(changed, |order| order.fingerprint.as_slice()))
        .prepared()
        .execute(connection)
        .await?;
    Ok(())
}
