//! Money in the database: what is booked of payments, and what pages read of it.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use chrono::NaiveDate;
use tokio_postgres::Client;

use crate::demo::revenue::past::{Lead, Touch};
use crate::until;

/// Only payments that were really made count for this dataset.
pub async fn count_only_payments(sql: &Client, dataset: i64) -> anyhow::Result<()> {
    sql.execute(
        "UPDATE datasets SET purchase_source = 'verified' WHERE dataset_id = $1",
        &[&dataset],
    )
    .await?;
    Ok(())
}

/// What is booked of orders whose numbers begin so, in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Booked {
    pub orders: i64,
    pub approved: i64,
    pub given_back: i64,
}

/// The books of orders whose numbers begin so.
pub async fn booked(sql: &Client, dataset: i64, orders: &str) -> anyhow::Result<Booked> {
    let query = "SELECT count(DISTINCT p.order_id) FILTER (WHERE m.kind = 'approval'),
            coalesce(sum(m.amount_minor) FILTER (WHERE m.kind = 'approval'), 0)::bigint,
            coalesce(-sum(m.amount_minor) FILTER (WHERE m.kind <> 'approval'), 0)::bigint
        FROM purchase_movements m JOIN payments p USING (dataset_id, payment_id)
        WHERE m.dataset_id = $1 AND starts_with(p.order_id, $2)";
    let row = sql.query_one(query, &[&dataset, &orders]).await?;
    Ok(Booked {
        orders: row.get(0),
        approved: row.get(1),
        given_back: row.get(2),
    })
}

/// The numbers of the leads of these events.
pub async fn leads_of(sql: &Client, dataset: i64, events: &[String]) -> anyhow::Result<Vec<i64>> {
    let query = "SELECT l.lead_id FROM unnest($2::text[]) WITH ORDINALITY AS wanted (event_id, place)
        JOIN leads l ON l.dataset_id = $1 AND l.event_id = wanted.event_id ORDER BY place";
    let rows = sql.query(query, &[&dataset, &events]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Writes leads of earlier days with what led to them; returns their numbers. Each is a lead whose event is
/// no longer kept. `contacts`: sealed, one for each.
pub async fn write_leads(
    sql: &mut Client,
    dataset: i64,
    leads: &[Lead],
    contacts: &[Vec<u8>],
) -> anyhow::Result<Vec<i64>> {
    fn of<'l, T>(leads: &'l [Lead], value: impl Fn(&'l Lead) -> T) -> Vec<T> {
        leads.iter().map(value).collect()
    }
    let writing = sql.transaction().await?;
    let lead = "INSERT INTO leads (dataset_id, lead_id, status, contact, email_hmac, visitor_hmac, fbc, consent, ads_refused,
            event_day, event_id, request_id, created_at, updated_at)
        SELECT $1, nextval('event_numbers'), status, contact, email, visitor, fbc, NULL, false, (at AT TIME ZONE 'UTC')::date,
            event_id, gen_random_uuid(), at, at
        FROM (
            SELECT status, contact, email, visitor, fbc, event_id, to_timestamp(ms / 1000.0) AS at, place
            FROM unnest($2::text[], $3::bytea[], $4::bytea[], $5::bytea[], $6::text[], $7::text[], $8::bigint[])
                WITH ORDINALITY AS t (status, contact, email, visitor, fbc, event_id, ms, place)
        ) AS given ORDER BY place
        RETURNING lead_id";
    let rows = writing
        .query(
            lead,
            &[
                &dataset,
                &of(leads, |lead| lead.status),
                &contacts,
                &of(leads, |lead| lead.email.as_slice()),
                &of(leads, |lead| lead.visitor.as_slice()),
                &of(leads, |lead| lead.fbc.as_deref()),
                &of(leads, |lead| lead.event_id.as_str()),
                &of(leads, |lead| lead.at_ms),
            ],
        )
        .await
        .context("leads of earlier days could not be written")?;
    let touches: Vec<(&Lead, &Touch)> = leads
        .iter()
        .flat_map(|lead| lead.touches.iter().map(move |touch| (lead, touch)))
        .collect();
    fn each<'l, T>(touches: &[(&'l Lead, &'l Touch)], value: impl Fn(&'l Lead, &'l Touch) -> T) -> Vec<T> {
        touches.iter().map(|(lead, touch)| value(lead, touch)).collect()
    }
    let touch = "INSERT INTO touchpoints (dataset_id, visitor_hmac, touched_at, channel, utm_source, utm_medium, utm_campaign,
            fbclid, gclid, landing, created_at)
        SELECT $1, visitor, to_timestamp(ms / 1000.0), channel, source, medium, campaign, fbclid, gclid, '/',
            to_timestamp(ms / 1000.0)
        FROM unnest($2::bytea[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
            AS t (visitor, ms, channel, source, medium, campaign, fbclid, gclid)
        ON CONFLICT DO NOTHING";
    writing
        .execute(
            touch,
            &[
                &dataset,
                &each(&touches, |lead, _| lead.visitor.as_slice()),
                &each(&touches, |_, touch| touch.at_ms),
                &each(&touches, |_, touch| touch.way.channel),
                &each(&touches, |_, touch| touch.way.source),
                &each(&touches, |_, touch| touch.way.medium),
                &each(&touches, |_, touch| touch.way.campaign),
                &each(&touches, |lead, touch| touch.way.fbclid(&lead.event_id)),
                &each(&touches, |lead, touch| touch.way.gclid(&lead.event_id)),
            ],
        )
        .await
        .context("touches of earlier days could not be written")?;
    writing.commit().await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What the revenue page stands on, in rows: days of campaigns, credits, months of customers, forecasts, days
/// of spend.
pub async fn rows_of_revenue(sql: &Client, dataset: i64) -> anyhow::Result<Vec<(String, i64)>> {
    let query = "SELECT 'campaign_daily', count(*) FROM campaign_daily WHERE dataset_id = $1
        UNION ALL SELECT 'attribution_credits', count(*) FROM attribution_credits
            WHERE dataset_id = $1 AND superseded_at IS NULL
        UNION ALL SELECT 'cohort_monthly', count(*) FROM cohort_monthly WHERE dataset_id = $1
        UNION ALL SELECT 'revenue_forecasts', count(*) FROM revenue_forecasts WHERE dataset_id = $1
        UNION ALL SELECT 'ad_spend', count(*) FROM ad_spend WHERE dataset_id = $1";
    let rows = sql.query(query, &[&dataset]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Campaigns of the last days with their spend and net revenue by linear credit, in cents: those that spent
/// most first.
pub async fn best_campaigns(
    sql: &Client,
    dataset: i64,
    days: i32,
) -> anyhow::Result<Vec<(String, String, i64, i64)>> {
    let query =
        "SELECT channel, max(campaign_name), (sum(spend_micros) / 10000)::bigint, sum(net_minor)::bigint
        FROM campaign_daily
        WHERE dataset_id = $1 AND model = 'linear' AND currency = 'BRL'
            AND day > (rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date - $2::integer
        GROUP BY channel, campaign_key HAVING sum(spend_micros) > 0 ORDER BY 3 DESC";
    let rows = sql.query(query, &[&dataset, &days]).await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
        .collect())
}

/// What a channel's ads cost in a span of days as we read it, in cents; parts of a cent are cut off.
pub async fn spent(
    sql: &Client,
    dataset: i64,
    channel: &str,
    (since, until): (NaiveDate, NaiveDate),
) -> anyhow::Result<i64> {
    let query = "SELECT (coalesce(sum(cost_micros), 0) / 10000)::bigint FROM ad_spend
        WHERE dataset_id = $1 AND channel = $2 AND day BETWEEN $3::text::date AND $4::text::date";
    let span = [since, until].map(|day| day.to_string());
    let row = sql
        .query_one(query, &[&dataset, &channel, &span[0], &span[1]])
        .await?;
    Ok(row.get(0))
}

/// How many of the orders whose numbers begin so have credits.
pub async fn credited(sql: &Client, dataset: i64, orders: &str) -> anyhow::Result<i64> {
    let query = "SELECT count(DISTINCT order_id) FROM attribution_credits
        WHERE dataset_id = $1 AND superseded_at IS NULL AND starts_with(order_id, $2)";
    Ok(sql.query_one(query, &[&dataset, &orders]).await?.get(0))
}

/// What is booked of one payment, in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookedPayment {
    pub approvals: i64,
    pub approved: i64,
    /// What is left of it.
    pub net: i64,
    /// No notification told of it first.
    pub found_by_comparing: bool,
}

/// The books, payment by payment. Those without a movement are left out.
pub async fn booked_payments(sql: &Client) -> anyhow::Result<HashMap<String, BookedPayment>> {
    let query = "SELECT p.payment_id, count(*) FILTER (WHERE m.kind = 'approval'),
            coalesce(sum(m.amount_minor) FILTER (WHERE m.kind = 'approval'), 0)::bigint, sum(m.amount_minor)::bigint,
            p.discovered_by = 'sweep'
        FROM payments p JOIN purchase_movements m USING (dataset_id, payment_id)
        GROUP BY p.dataset_id, p.payment_id";
    let rows = sql.query(query, &[]).await?;
    let booked = |row: &tokio_postgres::Row| BookedPayment {
        approvals: row.get(1),
        approved: row.get(2),
        net: row.get(3),
        found_by_comparing: row.get(4),
    };
    Ok(rows.iter().map(|row| (row.get(0), booked(row))).collect())
}

/// Waits for the dataset, which the gateway makes, and has only payments count for it.
pub async fn await_dataset(sql: &Client, dataset: i64, patience: Duration) -> anyhow::Result<()> {
    until(patience, async || {
        let known = sql
            .query_opt("SELECT FROM datasets WHERE dataset_id = $1", &[&dataset])
            .await?;
        Ok(known.ok_or("no gateway made its dataset"))
    })
    .await?;
    count_only_payments(sql, dataset).await
}
