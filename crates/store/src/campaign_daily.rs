//! `campaign_daily`, `revenue_daily`, `cohort_monthly` and `campaign_cohorts`: sums that pages and BI tools
//! read. A day is made again whenever what it sums has changed (`campaign_days_due`), as a whole and in one
//! transaction.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::{Array, BigInt, Bool, Date, Integer, Text, Timestamptz};
use diesel::{OptionalExtension, QueryableByName, sql_query};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::attribution::{Model, Origin, chosen, shares};
use rastro_core::dataset::DatasetId;

use crate::attribution_credits::{CreditSettings, touches_of};
use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// Leads whose touches are in memory at once.
const LEADS_AT_ONCE: i64 = 500;

/// Leads of a day that a campaign brought, in millionths.
#[derive(Clone, Copy, Debug, Default)]
struct LeadSum {
    leads: i64,
    qualified: i64,
}

#[derive(QueryableByName)]
struct LeadRow {
    #[diesel(sql_type = BigInt)]
    lead_id: i64,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Bool)]
    qualified: bool,
}

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = Date)]
    day: NaiveDate,
}

impl Store {
    /// Says that the sums of these days are to be made again, both ends included.
    pub async fn mark_campaign_days(
        &self,
        dataset: DatasetId,
        from: NaiveDate,
        until: NaiveDate,
    ) -> Result<(), StoreError> {
        sql_query(
            "INSERT INTO campaign_days_due (dataset_id, day)
             SELECT $1, day::date FROM generate_series($2::timestamp, $3::timestamp, '1 day') AS days (day)
             ON CONFLICT (dataset_id, day) DO UPDATE SET day = excluded.day",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Date, _>(from)
        .bind::<Date, _>(until)
        .prepared()
        .run(self)
        .await?;
        Ok(())
    }

    /// Makes the sums of one day that is due, the newest first. `None`: no day is.
    pub async fn make_due_campaign_day(
        &self,
        dataset: DatasetId,
        settings: &CreditSettings,
    ) -> Result<Option<NaiveDate>, StoreError> {
        let mut connection = self.connection().await?;
        let due: Option<Due> =
            sql_query("SELECT day FROM campaign_days_due WHERE dataset_id = $1 ORDER BY day DESC LIMIT 1")
                .bind::<BigInt, _>(dataset.as_i64())
                .prepared()
                .get_result(&mut connection)
                .await
                .optional()?;
        let Some(Due { day }) = due else { return Ok(None) };
        connection
            .transaction(async |connection| make_day(connection, dataset.as_i64(), day, settings).await)
            .await?;
        Ok(Some(day))
    }

    /// The ways of some people who wrote and did not buy until now: channels, the oldest first. Of those whose
    /// ways are still known. With the last lead that was looked at, to go on after it; `None`: there is none.
    pub async fn unconverted_paths(
        &self,
        dataset: DatasetId,
        after_lead: i64,
        settings: &CreditSettings,
    ) -> Result<Option<(i64, Vec<Vec<String>>)>, StoreError> {
        let mut connection = self.connection().await?;
        let leads: Vec<LeadRow> = sql_query(include_str!("sql/unconverted_leads.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<BigInt, _>(after_lead)
            .bind::<BigInt, _>(LEADS_AT_ONCE)
            .bind::<Integer, _>(i32::from(settings.rules.lookback.longest_days()))
            .prepared()
            .load(&mut connection)
            .await?;
        let Some(last) = leads.last() else { return Ok(None) };
        let last = last.lead_id;
        let wanted: Vec<_> = leads
            .iter()
            .map(|lead| (lead.lead_id, lead.lead_id, lead.created_at))
            .collect();
        let mut touches = touches_of(&mut connection, dataset.as_i64(), &wanted, &settings.rules).await?;
        let channels = |lead: LeadRow| -> Vec<String> {
            let touches = touches.remove(&lead.lead_id).unwrap_or_default();
            let until_ms = lead.created_at.timestamp_millis();
            let path = chosen(&touches, until_ms, true, &settings.rules.lookback);
            path.into_iter().map(|touch| touch.origin.channel).collect()
        };
        Ok(Some((last, leads.into_iter().map(channels).collect())))
    }

    /// Makes the cohorts of a dataset, as they are on `today`.
    pub async fn make_cohorts(&self, dataset: DatasetId, today: NaiveDate) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                // All customers are joined with all of their orders. Estimates of what is grouped before are
                // of one row, and one row after the other that is quadratic: 10,000 orders took 19 s, and
                // take 0.2 s.
                sql_query("SET LOCAL enable_nestloop = off")
                    .execute(connection)
                    .await?;
                for statement in [
                    // Whoever makes them at the same moment waits: what both delete and insert would be there twice.
                    "SELECT 1 FROM datasets WHERE dataset_id = $1 FOR NO KEY UPDATE",
                    "DELETE FROM cohort_monthly WHERE dataset_id = $1",
                    "DELETE FROM campaign_cohorts WHERE dataset_id = $1",
                ] {
                    sql_query(statement)
                        .bind::<BigInt, _>(dataset.as_i64())
                        .execute(connection)
                        .await?;
                }
                for statement in [
                    include_str!("sql/make_cohorts.sql"),
                    include_str!("sql/make_campaign_cohorts.sql"),
                ] {
                    sql_query(statement)
                        .bind::<BigInt, _>(dataset.as_i64())
                        .bind::<Date, _>(today)
                        .prepared()
                        .execute(connection)
                        .await?;
                }
                Ok(())
            })
            .await
    }
}

async fn make_day(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    day: NaiveDate,
    settings: &CreditSettings,
) -> Result<(), StoreError> {
    // First, and it locks the row: what makes the day due again from here on waits, and is done after us.
    sql_query("DELETE FROM campaign_days_due WHERE dataset_id = $1 AND day = $2")
        .bind::<BigInt, _>(dataset)
        .bind::<Date, _>(day)
        .prepared()
        .execute(connection)
        .await?;
    let recorded = match touches_are_gone(connection, day, settings).await? {
        true => recorded_leads(connection, dataset, day).await?,
        false => HashMap::new(),
    };
    for statement in [
        "DELETE FROM campaign_daily WHERE dataset_id = $1 AND day = $2",
        "DELETE FROM revenue_daily WHERE dataset_id = $1 AND day = $2",
    ] {
        sql_query(statement)
            .bind::<BigInt, _>(dataset)
            .bind::<Date, _>(day)
            .prepared()
            .execute(connection)
            .await?;
    }
    let leads = match recorded.is_empty() {
        true => leads_of_day(connection, dataset, day, settings).await?,
        false => recorded,
    };
    let leads: Vec<((Model, Origin), LeadSum)> = leads.into_iter().collect();
    fn of<'l, T>(
        leads: &'l [((Model, Origin), LeadSum)],
        value: impl Fn(&'l Model, &'l Origin, &'l LeadSum) -> T,
    ) -> Vec<T> {
        leads
            .iter()
            .map(|((model, origin), sum)| value(model, origin, sum))
            .collect()
    }
    sql_query(include_str!("sql/make_campaign_day.sql"))
        .bind::<BigInt, _>(dataset)
        .bind::<Date, _>(day)
        .bind::<Array<Text>, _>(Model::ALL.map(Model::as_str).to_vec())
        .bind::<Text, _>(currency_of(connection, dataset).await?)
        .bind::<Array<Text>, _>(of(&leads, |model, _, _| model.as_str()))
        .bind::<Array<Text>, _>(of(&leads, |_, origin, _| origin.channel.as_str()))
        .bind::<Array<Text>, _>(of(&leads, |_, origin, _| origin.campaign_key.as_str()))
        .bind::<Array<Text>, _>(of(&leads, |_, origin, _| origin.campaign_name.as_str()))
        .bind::<Array<Bool>, _>(of(&leads, |_, origin, _| origin.paid))
        .bind::<Array<BigInt>, _>(of(&leads, |_, _, sum| sum.leads))
        .bind::<Array<BigInt>, _>(of(&leads, |_, _, sum| sum.qualified))
        .prepared()
        .execute(connection)
        .await?;
    sql_query(include_str!("sql/make_revenue_day.sql"))
        .bind::<BigInt, _>(dataset)
        .bind::<Date, _>(day)
        .bind::<Text, _>(&settings.time_zone)
        .prepared()
        .execute(connection)
        .await?;
    Ok(())
}

/// The dataset's own currency, under which leads, which have none, are listed.
pub(crate) async fn currency_of(
    connection: &mut AsyncPgConnection,
    dataset: i64,
) -> Result<String, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        currency: String,
    }
    let row: Row =
        sql_query("SELECT coalesce(default_currency, 'BRL') AS currency FROM datasets WHERE dataset_id = $1")
            .bind::<BigInt, _>(dataset)
            .prepared()
            .get_result(connection)
            .await?;
    Ok(row.currency)
}

/// Whether some touches that may have brought leads of the day were deleted for their age.
async fn touches_are_gone(
    connection: &mut AsyncPgConnection,
    day: NaiveDate,
    settings: &CreditSettings,
) -> Result<bool, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        are_gone: bool,
    }
    let row: Row = sql_query(
        "SELECT EXISTS (
             SELECT FROM retention_marks WHERE what = 'touchpoints'
                 AND gone_before > ($1::date::timestamp AT TIME ZONE $2) - make_interval(hours => $3 * 24)
         ) AS are_gone",
    )
    .bind::<Date, _>(day)
    .bind::<Text, _>(&settings.time_zone)
    .bind::<Integer, _>(i32::from(settings.rules.lookback.longest_days()))
    .prepared()
    .get_result(connection)
    .await?;
    Ok(row.are_gone)
}

/// The leads of a day as they were credited last.
async fn recorded_leads(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    day: NaiveDate,
) -> Result<HashMap<(Model, Origin), LeadSum>, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        model: String,
        #[diesel(sql_type = Text)]
        channel: String,
        #[diesel(sql_type = Text)]
        campaign_key: String,
        #[diesel(sql_type = Text)]
        campaign_name: String,
        #[diesel(sql_type = Bool)]
        paid: bool,
        #[diesel(sql_type = BigInt)]
        leads: i64,
        #[diesel(sql_type = BigInt)]
        qualified: i64,
    }
    let rows: Vec<Row> = sql_query(
        "SELECT model, channel, campaign_key, campaign_name, paid, leads_millionths AS leads,
             qualified_millionths AS qualified
         FROM campaign_daily WHERE dataset_id = $1 AND day = $2 AND leads_millionths > 0",
    )
    .bind::<BigInt, _>(dataset)
    .bind::<Date, _>(day)
    .prepared()
    .load(connection)
    .await?;
    let mut sums: HashMap<(Model, Origin), LeadSum> = HashMap::new();
    for row in rows {
        let model = Model::parse(&row.model).ok_or(StoreError::Invalid {
            what: "attribution model",
        })?;
        let origin = Origin {
            channel: row.channel,
            campaign_key: row.campaign_key,
            campaign_name: row.campaign_name,
            paid: row.paid,
        };
        let sum = sums.entry((model, origin)).or_default();
        sum.leads += row.leads;
        sum.qualified += row.qualified;
    }
    Ok(sums)
}

/// Whoever wrote on the day, credited as an order of that moment would be.
async fn leads_of_day(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    day: NaiveDate,
    settings: &CreditSettings,
) -> Result<HashMap<(Model, Origin), LeadSum>, StoreError> {
    let mut sums: HashMap<(Model, Origin), LeadSum> = HashMap::new();
    let mut after = 0;
    loop {
        let leads: Vec<LeadRow> = sql_query(include_str!("sql/leads_of_day.sql"))
            .bind::<BigInt, _>(dataset)
            .bind::<Date, _>(day)
            .bind::<Text, _>(&settings.time_zone)
            .bind::<BigInt, _>(after)
            .bind::<BigInt, _>(LEADS_AT_ONCE)
            .prepared()
            .load(connection)
            .await?;
        let Some(last) = leads.last() else { return Ok(sums) };
        after = last.lead_id;
        let wanted: Vec<_> = leads
            .iter()
            .map(|lead| (lead.lead_id, lead.lead_id, lead.created_at))
            .collect();
        let mut touches = touches_of(connection, dataset, &wanted, &settings.rules).await?;
        for lead in leads {
            let until_ms = lead.created_at.timestamp_millis();
            let touches = touches.remove(&lead.lead_id).unwrap_or_default();
            let path = chosen(&touches, until_ms, true, &settings.rules.lookback);
            for model in Model::ALL {
                let shares = shares(model, &path, until_ms, settings.rules.effects.as_ref());
                for (touch, share) in path.iter().zip(shares).filter(|(_, share)| *share > 0) {
                    let sum = sums.entry((model, touch.origin.clone())).or_default();
                    sum.leads += share;
                    sum.qualified += if lead.qualified { share } else { 0 };
                }
            }
        }
    }
}
