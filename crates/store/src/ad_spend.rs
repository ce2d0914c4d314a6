//! `ad_spend`: what was paid for ads. What is read again replaces what it is about; a file counts as a whole
//! or not at all.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use diesel::sql_types::{Array, BigInt, Binary, Date, Integer, Nullable, Text};
use diesel::{OptionalExtension, QueryableByName, sql_query};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::attribution::campaign_key;
use rastro_core::dataset::DatasetId;
use rastro_core::spend::SpendRow;

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// Rows of one statement.
const ROWS_AT_ONCE: usize = 5_000;

/// Where spend was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpendSource {
    Csv,
    GoogleAdsCsv,
    GoogleAds,
    MetaInsights,
}

impl SpendSource {
    fn as_str(self) -> &'static str {
        match self {
            SpendSource::Csv => "csv",
            SpendSource::GoogleAdsCsv => "google_ads_csv",
            SpendSource::GoogleAds => "google_ads",
            SpendSource::MetaInsights => "meta_insights",
        }
    }
}

/// A row and what only an ad platform's API tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spend {
    pub row: SpendRow,
    pub claimed_purchases: Option<i64>,
    pub claimed_micros: Option<i64>,
    pub account_time_zone: Option<String>,
}

impl From<SpendRow> for Spend {
    fn from(row: SpendRow) -> Self {
        Spend {
            row,
            claimed_purchases: None,
            claimed_micros: None,
            account_time_zone: None,
        }
    }
}

/// All that there is of an account in a span: what is stored of it and was not read again is gone.
#[derive(Clone, Debug)]
pub struct Covered {
    pub channel: String,
    pub account_id: String,
    /// Both included.
    pub from: NaiveDate,
    pub until: NaiveDate,
}

/// What an import changed, or would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpendChange {
    pub added: usize,
    pub changed: usize,
    pub unchanged: usize,
    /// Only where a span was read as a whole.
    pub removed: usize,
    /// Of all rows that were read, in millionths, by currency.
    pub total_micros: BTreeMap<String, i128>,
    pub first_day: Option<NaiveDate>,
    pub last_day: Option<NaiveDate>,
}

#[derive(PartialEq, Eq, QueryableByName)]
struct Known {
    #[diesel(sql_type = Text)]
    channel: String,
    #[diesel(sql_type = Text)]
    account_id: String,
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = Text)]
    campaign_key: String,
    #[diesel(sql_type = Text)]
    campaign_name: String,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = BigInt)]
    cost_micros: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    impressions: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    clicks: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    claimed_purchases: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    claimed_micros: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    account_time_zone: Option<String>,
}

impl Known {
    fn of(spend: &Spend) -> Self {
        let row = &spend.row;
        Known {
            channel: row.channel.clone(),
            account_id: row.account_id.clone(),
            day: row.day,
            campaign_key: row.campaign_key(),
            campaign_name: row.campaign_name.clone(),
            currency: row.currency.as_str().to_owned(),
            cost_micros: row.cost_micros,
            impressions: row.impressions,
            clicks: row.clicks,
            claimed_purchases: spend.claimed_purchases,
            claimed_micros: spend.claimed_micros,
            account_time_zone: spend.account_time_zone.clone(),
        }
    }

    fn key(&self) -> (String, String, NaiveDate, String) {
        (
            self.channel.clone(),
            self.account_id.clone(),
            self.day,
            self.campaign_key.clone(),
        )
    }
}

impl Store {
    /// The last day of an account that was read, with all days before it. `None`: none was.
    pub async fn spend_read_until(
        &self,
        dataset: DatasetId,
        channel: &str,
        account_id: &str,
    ) -> Result<Option<NaiveDate>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Date)]
            last_day: NaiveDate,
        }
        let row: Option<Row> = sql_query(
            "SELECT last_day FROM spend_coverage WHERE dataset_id = $1 AND channel = $2 AND account_id = $3",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Text, _>(channel)
        .bind::<Text, _>(account_id)
        .prepared()
        .get_result(&mut self.connection().await?)
        .await
        .optional()?;
        Ok(row.map(|row| row.last_day))
    }

    /// What importing these rows would change. Writes nothing.
    pub async fn preview_spend(
        &self,
        dataset: DatasetId,
        spend: &[Spend],
    ) -> Result<SpendChange, StoreError> {
        let mut connection = self.connection().await?;
        let mut change = total(spend);
        for rows in spend.chunks(ROWS_AT_ONCE) {
            compare(&mut connection, dataset.as_i64(), rows, &mut change).await?;
        }
        Ok(change)
    }

    /// Imports all that an API has of an account in a span, in one transaction.
    pub async fn replace_spend(
        &self,
        dataset: DatasetId,
        source: SpendSource,
        covered: &Covered,
        spend: &[Spend],
    ) -> Result<SpendChange, StoreError> {
        let mut connection = self.connection().await?;
        let importing = connection.transaction(async |connection| {
            let mut change = total(spend);
            for rows in spend.chunks(ROWS_AT_ONCE) {
                let changed = compare(connection, dataset.as_i64(), rows, &mut change).await?;
                if !changed.is_empty() {
                    put(connection, dataset.as_i64(), source, &changed).await?;
                }
            }
            change.removed = remove_others(connection, dataset.as_i64(), covered, spend).await?;
            cover(connection, dataset.as_i64(), covered).await?;
            note(connection, dataset.as_i64(), source, &change, None).await?;
            Ok(change)
        });
        importing.await
    }

    /// Imports rows, all in one transaction. Days that change are summed again. `content_hash`: of the file,
    /// if it was one.
    pub async fn import_spend(
        &self,
        dataset: DatasetId,
        source: SpendSource,
        spend: &[Spend],
        content_hash: Option<[u8; 32]>,
    ) -> Result<SpendChange, StoreError> {
        let mut connection = self.connection().await?;
        let importing = connection.transaction(async |connection| {
            let mut change = total(spend);
            for rows in spend.chunks(ROWS_AT_ONCE) {
                let changed = compare(connection, dataset.as_i64(), rows, &mut change).await?;
                if !changed.is_empty() {
                    put(connection, dataset.as_i64(), source, &changed).await?;
                }
            }
            note(connection, dataset.as_i64(), source, &change, content_hash).await?;
            Ok(change)
        });
        importing.await
    }
}

fn total(spend: &[Spend]) -> SpendChange {
    let mut change = SpendChange::default();
    for spend in spend {
        let currency = spend.row.currency.as_str().to_owned();
        *change.total_micros.entry(currency).or_default() += i128::from(spend.row.cost_micros);
        let day = spend.row.day;
        change.first_day = Some(change.first_day.map_or(day, |first| first.min(day)));
        change.last_day = Some(change.last_day.map_or(day, |last| last.max(day)));
    }
    change
}

/// The rows that are new or other than what is stored, and counts all.
async fn compare(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    spend: &[Spend],
    change: &mut SpendChange,
) -> Result<Vec<Known>, StoreError> {
    let rows: Vec<Known> = spend.iter().map(Known::of).collect();
    let known: Vec<Known> = sql_query(
        "SELECT s.channel, s.account_id, s.day, s.campaign_key, s.campaign_name, s.currency, s.cost_micros, s.impressions, s.clicks,
             s.claimed_purchases, s.claimed_micros, s.account_time_zone
         FROM unnest($2::text[], $3::text[], $4::date[], $5::text[]) AS wanted (channel, account_id, day, campaign_key)
         JOIN ad_spend s ON s.dataset_id = $1 AND s.channel = wanted.channel AND s.account_id = wanted.account_id
             AND s.day = wanted.day AND s.campaign_key = wanted.campaign_key",
    )
    .bind::<BigInt, _>(dataset)
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.channel.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.account_id.as_str()).collect::<Vec<_>>())
    .bind::<Array<Date>, _>(rows.iter().map(|row| row.day).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.campaign_key.as_str()).collect::<Vec<_>>())
    .prepared()
    .load(connection)
    .await?;
    let known: HashMap<_, Known> = known.into_iter().map(|row| (row.key(), row)).collect();
    let mut changed = Vec::new();
    for row in rows {
        match known.get(&row.key()) {
            Some(known) if *known == row => change.unchanged += 1,
            Some(_) => {
                change.changed += 1;
                changed.push(row);
            }
            None => {
                change.added += 1;
                changed.push(row);
            }
        }
    }
    Ok(changed)
}

async fn put(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    source: SpendSource,
    rows: &[Known],
) -> Result<(), StoreError> {
    fn of<'r, T>(rows: &'r [Known], value: impl Fn(&'r Known) -> T) -> Vec<T> {
        rows.iter().map(value).collect()
    }
    let name_key = |row: &Known| campaign_key(None, Some(&row.campaign_name));
    sql_query(include_str!("sql/put_ad_spend.sql"))
        .bind::<BigInt, _>(dataset)
        .bind::<Text, _>(source.as_str())
        .bind::<Array<Text>, _>(of(rows, |row| row.channel.as_str()))
        .bind::<Array<Text>, _>(of(rows, |row| row.account_id.as_str()))
        .bind::<Array<Date>, _>(of(rows, |row| row.day))
        .bind::<Array<Text>, _>(of(rows, |row| row.campaign_key.as_str()))
        .bind::<Array<Text>, _>(of(rows, |row| row.campaign_name.as_str()))
        .bind::<Array<Text>, _>(rows.iter().map(name_key).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(of(rows, |row| row.currency.as_str()))
        .bind::<Array<BigInt>, _>(of(rows, |row| row.cost_micros))
        .bind::<Array<Nullable<BigInt>>, _>(of(rows, |row| row.impressions))
        .bind::<Array<Nullable<BigInt>>, _>(of(rows, |row| row.clicks))
        .bind::<Array<Nullable<BigInt>>, _>(of(rows, |row| row.claimed_purchases))
        .bind::<Array<Nullable<BigInt>>, _>(of(rows, |row| row.claimed_micros))
        .bind::<Array<Nullable<Text>>, _>(of(rows, |row| row.account_time_zone.as_deref()))
        .prepared()
        .execute(connection)
        .await?;
    mark_days(connection, dataset, rows.iter().map(|row| row.day).collect()).await
}

/// Removes what is stored of the span beside these rows; returns how many. Their days are summed again.
async fn remove_others(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    covered: &Covered,
    spend: &[Spend],
) -> Result<usize, StoreError> {
    #[derive(QueryableByName)]
    struct Removed {
        #[diesel(sql_type = Date)]
        day: NaiveDate,
    }
    let removed: Vec<Removed> = sql_query(
        "DELETE FROM ad_spend s
         WHERE s.dataset_id = $1 AND s.channel = $2 AND s.account_id = $3 AND s.day BETWEEN $4 AND $5
             AND NOT EXISTS (
                 SELECT FROM unnest($6::date[], $7::text[]) AS kept (day, campaign_key)
                 WHERE kept.day = s.day AND kept.campaign_key = s.campaign_key
             )
         RETURNING s.day",
    )
    .bind::<BigInt, _>(dataset)
    .bind::<Text, _>(&covered.channel)
    .bind::<Text, _>(&covered.account_id)
    .bind::<Date, _>(covered.from)
    .bind::<Date, _>(covered.until)
    .bind::<Array<Date>, _>(spend.iter().map(|spend| spend.row.day).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(
        spend
            .iter()
            .map(|spend| spend.row.campaign_key())
            .collect::<Vec<_>>(),
    )
    .prepared()
    .load(connection)
    .await?;
    if !removed.is_empty() {
        mark_days(
            connection,
            dataset,
            removed.iter().map(|removed| removed.day).collect(),
        )
        .await?;
    }
    Ok(removed.len())
}

async fn cover(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    covered: &Covered,
) -> Result<(), StoreError> {
    sql_query(include_str!("sql/cover_spend.sql"))
        .bind::<BigInt, _>(dataset)
        .bind::<Text, _>(&covered.channel)
        .bind::<Text, _>(&covered.account_id)
        .bind::<Date, _>(covered.from)
        .bind::<Date, _>(covered.until)
        .execute(connection)
        .await?;
    Ok(())
}

async fn mark_days(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    days: Vec<NaiveDate>,
) -> Result<(), StoreError> {
    sql_query(
        "INSERT INTO campaign_days_due (dataset_id, day)
         SELECT DISTINCT $1, day FROM unnest($2::date[]) AS days (day) ORDER BY day
         ON CONFLICT (dataset_id, day) DO UPDATE SET day = excluded.day",
    )
    .bind::<BigInt, _>(dataset)
    .bind::<Array<Date>, _>(days)
    .prepared()
    .execute(connection)
    .await?;
    Ok(())
}

async fn note(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    source: SpendSource,
    change: &SpendChange,
    content_hash: Option<[u8; 32]>,
) -> Result<(), StoreError> {
    let count = |rows: usize| i32::try_from(rows).unwrap_or(i32::MAX);
    sql_query(
        "INSERT INTO spend_imports (dataset_id, source, content_hash, first_day, last_day, added, changed, unchanged, imported_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, rastro_now())",
    )
    .bind::<BigInt, _>(dataset)
    .bind::<Text, _>(source.as_str())
    .bind::<Nullable<Binary>, _>(content_hash.map(Vec::from))
    .bind::<Nullable<Date>, _>(change.first_day)
    .bind::<Nullable<Date>, _>(change.last_day)
    .bind::<Integer, _>(count(change.added))
    .bind::<Integer, _>(count(change.changed))
    .bind::<Integer, _>(count(change.unchanged))
    .execute(connection)
    .await?;
    Ok(())
}
