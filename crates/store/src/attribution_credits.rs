//! `attribution_credits`, `credited_orders` and `customers`: what orders are credited to, computed again
//! whenever what they are made of changes. Credits that stay the same are not written again; others are
//! superseded, never changed.

mod customers;
mod write;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Date, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::attribution::{
    Credit, Model, OrderMoney, Origin, Rules, Touch, TouchWords, chosen, credits,
};
use rastro_core::dataset::DatasetId;

pub use self::customers::CustomerKey;
use self::customers::number_customers;
use self::write::{fingerprint, write};
use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// Any constant that nothing else in this database locks.
const CREDIT_LOCK: i64 = 7_266_100_011;

/// What crediting some orders did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recredited {
    /// Orders that are or were paid.
    pub orders: u64,
    /// Those whose credits, money or buyer are others than before.
    pub changed: u64,
}

/// By what orders are credited, beside the rules.
#[derive(Clone, Debug)]
pub struct CreditSettings {
    pub rules: Rules,
    /// Of the reporting days, by its IANA name.
    pub time_zone: String,
}

#[derive(QueryableByName)]
struct OrderRow {
    #[diesel(sql_type = Text)]
    order_id: String,
    #[diesel(sql_type = Timestamptz)]
    placed_at: DateTime<Utc>,
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = BigInt)]
    gross_minor: i64,
    #[diesel(sql_type = BigInt)]
    net_minor: i64,
    #[diesel(sql_type = BigInt)]
    fee_minor: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    lead_id: Option<i64>,
    #[diesel(sql_type = Array<Binary>)]
    person_keys: Vec<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    fingerprint: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Bool>)]
    person_known: Option<bool>,
    #[diesel(sql_type = Nullable<Date>)]
    known_day: Option<NaiveDate>,
    #[diesel(sql_type = Nullable<BigInt>)]
    known_customer: Option<i64>,
    /// Some of those that may have brought it were deleted for their age.
    #[diesel(sql_type = Bool)]
    touches_are_gone: bool,
}

#[derive(QueryableByName)]
pub(crate) struct TouchRow {
    #[diesel(sql_type = BigInt)]
    pub(crate) number: i64,
    #[diesel(sql_type = Timestamptz)]
    touched_at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    channel: String,
    #[diesel(sql_type = Nullable<Text>)]
    utm_source: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    utm_campaign: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    utm_id: Option<String>,
    #[diesel(sql_type = Bool)]
    has_google_click: bool,
    #[diesel(sql_type = Bool)]
    has_microsoft_click: bool,
    #[diesel(sql_type = Bool)]
    has_tiktok_click: bool,
    #[diesel(sql_type = Bool)]
    has_meta_click: bool,
}

impl TouchRow {
    pub(crate) fn touch(&self) -> Touch {
        let origin = Origin::of(&TouchWords {
            channel: &self.channel,
            utm_source: self.utm_source.as_deref(),
            utm_campaign: self.utm_campaign.as_deref(),
            utm_id: self.utm_id.as_deref(),
            has_google_click: self.has_google_click,
            has_microsoft_click: self.has_microsoft_click,
            has_tiktok_click: self.has_tiktok_click,
            has_meta_click: self.has_meta_click,
        });
        Touch {
            at_ms: Some(self.touched_at.timestamp_millis()),
            origin,
        }
    }
}

#[derive(QueryableByName)]
struct CreditRow {
    #[diesel(sql_type = Text)]
    order_id: String,
    #[diesel(sql_type = Text)]
    model: String,
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = SmallInt)]
    position: i16,
    #[diesel(sql_type = Nullable<BigInt>)]
    touched_ms: Option<i64>,
    #[diesel(sql_type = Text)]
    channel: String,
    #[diesel(sql_type = Text)]
    campaign_key: String,
    #[diesel(sql_type = Text)]
    campaign_name: String,
    #[diesel(sql_type = Bool)]
    paid: bool,
    #[diesel(sql_type = BigInt)]
    order_millionths: i64,
    #[diesel(sql_type = BigInt)]
    gross_minor: i64,
    #[diesel(sql_type = BigInt)]
    net_minor: i64,
    #[diesel(sql_type = BigInt)]
    fee_minor: i64,
}

impl CreditRow {
    fn credit(&self) -> Result<Credit, StoreError> {
        let model = Model::parse(&self.model).ok_or(StoreError::Invalid {
            what: "attribution model",
        })?;
        let origin = Origin {
            channel: self.channel.clone(),
            campaign_key: self.campaign_key.clone(),
            campaign_name: self.campaign_name.clone(),
            paid: self.paid,
        };
        Ok(Credit {
            model,
            position: self.position,
            touch: Touch {
                at_ms: self.touched_ms,
                origin,
            },
            order_millionths: self.order_millionths,
            gross_minor: self.gross_minor,
            net_minor: self.net_minor,
            fee_minor: self.fee_minor,
        })
    }
}

/// An order as it is to be credited.
struct Credited {
    row: OrderRow,
    customer_id: Option<i64>,
    person_known: bool,
    fingerprint: Vec<u8>,
    credits: Vec<Credit>,
}

impl Store {
    /// The next order numbers after one, of everything that may be money.
    pub async fn page_of_orders(
        &self,
        dataset: DatasetId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let rows: Vec<OrderId> = sql_query(include_str!("sql/page_of_orders.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Text, _>(after)
            .bind::<BigInt, _>(i64::from(limit))
            .prepared()
            .rows(self)
            .await?;
        Ok(rows.into_iter().map(|row| row.order_id).collect())
    }

    /// Orders that were recorded, or of which money was booked, since a time.
    pub async fn changed_orders(
        &self,
        dataset: DatasetId,
        since: DateTime<Utc>,
    ) -> Result<Vec<String>, StoreError> {
        let rows: Vec<OrderId> = sql_query(include_str!("sql/changed_orders.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Timestamptz, _>(since)
            .prepared()
            .rows(self)
            .await?;
        Ok(rows.into_iter().map(|row| row.order_id).collect())
    }

    /// Credits these orders, those of them that were placed on `from` or later, in one transaction: a few
    /// hundred at once. Nothing is written of an order that is credited as before.
    pub async fn credit_orders(
        &self,
        dataset: DatasetId,
        orders: &[String],
        from: NaiveDate,
        settings: &CreditSettings,
    ) -> Result<Recredited, StoreError> {
        let mut connection = self.connection().await?;
        let lock = self.advisory_lock(CREDIT_LOCK);
        let crediting = connection.transaction(async |connection| {
            // One at a time: two that credit the same order would both write its next version.
            sql_query("SELECT pg_advisory_xact_lock($1)")
                .bind::<BigInt, _>(lock)
                .execute(connection)
                .await?;
            credit_orders(connection, dataset.as_i64(), orders, from, settings).await
        });
        crediting.await
    }

    /// The paths of these orders as they are credited now, for what learns from them: channels of the linear
    /// model. None of an order of nobody known: by which ways people come it does not say.
    pub async fn paths_of_orders(
        &self,
        dataset: DatasetId,
        orders: &[String],
    ) -> Result<Vec<Vec<String>>, StoreError> {
        let rows = current(&mut *self.connection().await?, dataset.as_i64(), orders).await?;
        let mut paths: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let unmatched = Origin::unmatched().channel;
        let says = |row: &CreditRow| row.model == Model::Linear.as_str() && row.channel != unmatched;
        for row in rows.into_iter().filter(says) {
            paths.entry(row.order_id).or_default().push(row.channel);
        }
        Ok(paths.into_values().collect())
    }
}

#[derive(QueryableByName)]
struct OrderId {
    #[diesel(sql_type = Text)]
    order_id: String,
}

async fn credit_orders(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    orders: &[String],
    from: NaiveDate,
    settings: &CreditSettings,
) -> Result<Recredited, StoreError> {
    let rows: Vec<OrderRow> = sql_query(include_str!("sql/order_facts.sql"))
        .bind::<BigInt, _>(dataset)
        .bind::<Array<Text>, _>(orders)
        .bind::<Text, _>(&settings.time_zone)
        .bind::<Integer, _>(i32::from(settings.rules.lookback.longest_days()))
        .prepared()
        .load(connection)
        .await?;
    // An order that was never paid is none; one that was and is not any more keeps its row, of nothing.
    let rows: Vec<OrderRow> = rows
        .into_iter()
        .filter(|row| row.day >= from && (row.gross_minor != 0 || row.fingerprint.is_some()))
        .collect();
    let mut done = Recredited {
        orders: rows.len() as u64,
        changed: 0,
    };
    let wanted: Vec<(i64, i64, DateTime<Utc>)> = rows
        .iter()
        .enumerate()
        .filter_map(|(number, row)| Some((number as i64, row.lead_id?, row.placed_at)))
        .collect();
    let mut touches = touches_of(connection, dataset, &wanted, &settings.rules).await?;
    let frozen: Vec<String> = rows
        .iter()
        .filter(|row| is_frozen(row))
        .map(|row| row.order_id.clone())
        .collect();
    let mut frozen = frozen_paths(connection, dataset, &frozen).await?;
    let customers = number_customers(connection, dataset, &rows).await?;
    let mut changed = Vec::new();
    for (number, row) in rows.into_iter().enumerate() {
        let placed_ms = row.placed_at.timestamp_millis();
        let person_known = row.lead_id.is_some() || row.person_known == Some(true);
        let path = match frozen.remove(&row.order_id) {
            Some(path) => path,
            None => {
                let touches = touches.remove(&(number as i64)).unwrap_or_default();
                chosen(&touches, placed_ms, person_known, &settings.rules.lookback)
            }
        };
        let money = OrderMoney {
            placed_ms,
            gross_minor: row.gross_minor,
            net_minor: row.net_minor,
            fee_minor: row.fee_minor,
        };
        let credits = credits(&money, &path, &settings.rules);
        let customer_id = customers[number].or(row.known_customer);
        let fingerprint = fingerprint(&row, customer_id, person_known, &credits);
        if row.fingerprint.as_deref() != Some(&*fingerprint) {
            changed.push(Credited {
                row,
                customer_id,
                person_known,
                fingerprint,
                credits,
            });
        }
    }
    done.changed = changed.len() as u64;
    if !changed.is_empty() {
        write(connection, dataset, &changed, &settings.time_zone).await?;
    }
    Ok(done)
}

/// The lead that it was credited by is gone, or its touches are: erased, or too old to be kept.
fn is_frozen(row: &OrderRow) -> bool {
    row.person_known == Some(true) && (row.lead_id.is_none() || row.touches_are_gone)
}

/// Touches by the wanted's numbers. `wanted`: number, lead, until when.
pub(crate) async fn touches_of(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    wanted: &[(i64, i64, DateTime<Utc>)],
    rules: &Rules,
) -> Result<HashMap<i64, Vec<Touch>>, StoreError> {
    let mut touches: HashMap<i64, Vec<Touch>> = HashMap::new();
    if wanted.is_empty() {
        return Ok(touches);
    }
    let rows: Vec<TouchRow> = sql_query(include_str!("sql/touches_of_leads.sql"))
        .bind::<BigInt, _>(dataset)
        .bind::<Array<BigInt>, _>(wanted.iter().map(|wanted| wanted.0).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(wanted.iter().map(|wanted| wanted.1).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(wanted.iter().map(|wanted| wanted.2).collect::<Vec<_>>())
        .bind::<Integer, _>(i32::from(rules.lookback.longest_days()))
        .prepared()
        .load(connection)
        .await?;
    for row in rows {
        touches.entry(row.number).or_default().push(row.touch());
    }
    Ok(touches)
}

async fn current(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    orders: &[String],
) -> Result<Vec<CreditRow>, StoreError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sql_query(include_str!("sql/current_credits.sql"))
        .bind::<BigInt, _>(dataset)
        .bind::<Array<Text>, _>(orders)
        .prepared()
        .load(connection)
        .await?;
    Ok(rows)
}

/// The paths that were recorded.
async fn frozen_paths(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    orders: &[String],
) -> Result<HashMap<String, Vec<Touch>>, StoreError> {
    let mut paths: HashMap<String, Vec<Touch>> = HashMap::new();
    for row in current(connection, dataset, orders).await? {
        if row.model == Model::Linear.as_str() {
            paths
                .entry(row.order_id.clone())
                .or_default()
                .push(row.credit()?.touch);
        }
    }
    Ok(paths)
}
