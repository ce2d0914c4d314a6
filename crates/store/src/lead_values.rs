//! `campaign_lead_values`: what the leads of a campaign became, from which the value of the next one is
//! predicted. Made a few times a day for the datasets that want it, and read by gateways into their memory.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Bool, Text, Timestamptz};
use diesel::{OptionalExtension, QueryableByName, sql_query};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::attribution::{Lookback, Rules};
use rastro_core::dataset::{Currency, DatasetId};
use rastro_core::lead_value::{CampaignSales, campaign_of};

use crate::attribution_credits::touches_of;
use crate::campaign_daily::currency_of;
use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// Leads whose touches are in memory at once.
const LEADS_AT_ONCE: i64 = 500;

/// What is known of the leads of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignValue {
    pub dataset_id: DatasetId,
    pub channel: String,
    pub campaign_key: String,
    pub currency: Currency,
    pub sales: CampaignSales,
}

#[derive(QueryableByName)]
struct LeadRow {
    #[diesel(sql_type = BigInt)]
    lead_id: i64,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    orders: i64,
    #[diesel(sql_type = BigInt)]
    net_minor: i64,
}

#[derive(QueryableByName)]
struct ValueRow {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = Text)]
    channel: String,
    #[diesel(sql_type = Text)]
    campaign_key: String,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = BigInt)]
    leads: i64,
    #[diesel(sql_type = BigInt)]
    buyers: i64,
    #[diesel(sql_type = BigInt)]
    orders: i64,
    #[diesel(sql_type = BigInt)]
    net_minor: i64,
}

impl ValueRow {
    fn read(self) -> Option<CampaignValue> {
        Some(CampaignValue {
            dataset_id: self.dataset_id.try_into().ok()?,
            channel: self.channel,
            campaign_key: self.campaign_key,
            currency: Currency::parse(&self.currency)?,
            sales: CampaignSales {
                leads: self.leads,
                buyers: self.buyers,
                orders: self.orders,
                net_minor: self.net_minor,
            },
        })
    }
}

impl Store {
    /// Makes what is known of a dataset's campaigns anew, if it wants values and they are hours old. Returns
    /// of how many campaigns. `None`: it was not due.
    pub async fn make_due_lead_values(&self, dataset: DatasetId) -> Result<Option<usize>, StoreError> {
        #[derive(QueryableByName)]
        struct Due {
            #[diesel(sql_type = Bool)]
            due: bool,
        }
        let mut connection = self.connection().await?;
        let due: Option<Due> = sql_query(
            "SELECT d.lead_value = 'predicted'
                AND coalesce(s.lead_values_made_at <= rastro_now() - interval '6 hours', true) AS due
             FROM datasets d LEFT JOIN attribution_state s USING (dataset_id) WHERE d.dataset_id = $1",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .prepared()
        .get_result(&mut connection)
        .await
        .optional()?;
        if !due.is_some_and(|due| due.due) {
            return Ok(None);
        }
        let currency = currency_of(&mut connection, dataset.as_i64()).await?;
        let campaigns = campaigns(&mut connection, dataset.as_i64(), &currency).await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| write(connection, dataset, &currency, &campaigns).await)
            .await?;
        Ok(Some(campaigns.len()))
    }

    /// What is known of the campaigns of every dataset that wants values. What is a week old is not known any
    /// more.
    pub async fn lead_values(&self) -> Result<Vec<CampaignValue>, StoreError> {
        let rows: Vec<ValueRow> = sql_query(
            "SELECT v.dataset_id, v.channel, v.campaign_key, v.currency, v.leads, v.buyers, v.orders, v.net_minor
             FROM campaign_lead_values v
             JOIN datasets d ON d.dataset_id = v.dataset_id AND d.lead_value = 'predicted'
             WHERE v.made_at > rastro_now() - interval '7 days'",
        )
        .load(&mut self.connection().await?)
        .await?;
        Ok(rows.into_iter().filter_map(ValueRow::read).collect())
    }
}

/// By channel and campaign.
type Campaigns = BTreeMap<(String, String), CampaignSales>;

async fn campaigns(
    connection: &mut AsyncPgConnection,
    dataset: i64,
    currency: &str,
) -> Result<Campaigns, StoreError> {
    // The gateway, which decides by the same rule, knows no other window.
    let rules = Rules {
        lookback: Lookback::default(),
        effects: None,
    };
    let (mut campaigns, mut after) = (Campaigns::new(), 0);
    loop {
        let leads: Vec<LeadRow> = sql_query(include_str!("sql/settled_leads.sql"))
            .bind::<BigInt, _>(dataset)
            .bind::<Text, _>(currency)
            .bind::<BigInt, _>(after)
            .bind::<BigInt, _>(LEADS_AT_ONCE)
            .prepared()
            .load(connection)
            .await?;
        let Some(last) = leads.last() else {
            return Ok(campaigns);
        };
        after = last.lead_id;
        let wanted: Vec<_> = leads
            .iter()
            .map(|lead| (lead.lead_id, lead.lead_id, lead.created_at))
            .collect();
        let mut touches = touches_of(connection, dataset, &wanted, &rules).await?;
        for lead in leads {
            let until_ms = lead.created_at.timestamp_millis();
            let touches = touches.remove(&lead.lead_id).unwrap_or_default();
            let dated = touches
                .into_iter()
                .filter_map(|touch| Some((touch.at_ms?, touch.origin)));
            if let Some(origin) = campaign_of(dated, until_ms) {
                let sales = campaigns
                    .entry((origin.channel, origin.campaign_key))
                    .or_default();
                sales.leads += 1;
                sales.buyers += i64::from(lead.orders > 0);
                sales.orders += lead.orders;
                sales.net_minor += lead.net_minor;
            }
        }
    }
}

async fn write(
    connection: &mut AsyncPgConnection,
    dataset: DatasetId,
    currency: &str,
    campaigns: &Campaigns,
) -> Result<(), StoreError> {
    // Its row is the lock: of two that make them at once the second waits, and replaces them.
    sql_query(
        "INSERT INTO attribution_state (dataset_id, lead_values_made_at) VALUES ($1, rastro_now())
         ON CONFLICT (dataset_id) DO UPDATE SET lead_values_made_at = excluded.lead_values_made_at",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .execute(connection)
    .await?;
    sql_query("DELETE FROM campaign_lead_values WHERE dataset_id = $1")
        .bind::<BigInt, _>(dataset.as_i64())
        .execute(connection)
        .await?;
    fn of<'c, T>(
        campaigns: &'c Campaigns,
        value: impl Fn(&'c (String, String), &'c CampaignSales) -> T,
    ) -> Vec<T> {
        campaigns
            .iter()
            .map(|(campaign, sales)| value(campaign, sales))
            .collect()
    }
    sql_query(
        "INSERT INTO campaign_lead_values
            (dataset_id, channel, campaign_key, currency, leads, buyers, orders, net_minor, made_at)
         SELECT $1, channel, campaign_key, $2, leads, buyers, orders, net_minor, rastro_now()
         FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
            AS campaign (channel, campaign_key, leads, buyers, orders, net_minor)",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .bind::<Text, _>(currency)
    .bind::<Array<Text>, _>(of(campaigns, |campaign, _| campaign.0.as_str()))
    .bind::<Array<Text>, _>(of(campaigns, |campaign, _| campaign.1.as_str()))
    .bind::<Array<BigInt>, _>(of(campaigns, |_, sales| sales.leads))
    .bind::<Array<BigInt>, _>(of(campaigns, |_, sales| sales.buyers))
    .bind::<Array<BigInt>, _>(of(campaigns, |_, sales| sales.orders))
    .bind::<Array<BigInt>, _>(of(campaigns, |_, sales| sales.net_minor))
    .execute(connection)
    .await?;
    Ok(())
}
