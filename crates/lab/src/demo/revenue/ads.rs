//! The invented campaigns, how people come by them, and what they cost: at Meta as its Insights tell it, at
//! Google as its stream of rows does. A day's figures are the same whenever they are asked for.

use chrono::{DateTime, NaiveDate};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::past::{DAY_MS, DAYS};

/// The ad account at Meta, without `act_`.
pub const META_ACCOUNT: &str = "1016734500123456";
/// The customer at Google, and the manager account that it is reached through.
pub const GOOGLE_ACCOUNT: &str = "8441002233";
pub const GOOGLE_MANAGER: &str = "5550001111";

/// How somebody came to the page.
#[derive(Debug, PartialEq, Eq)]
pub struct Way {
    pub channel: &'static str,
    pub source: Option<&'static str>,
    pub medium: Option<&'static str>,
    pub campaign: Option<&'static str>,
}

impl Way {
    /// Meta's click id, where it is one of its ads.
    pub fn fbclid(&self, visit: &str) -> Option<String> {
        (self.channel == "paid_social").then(|| format!("IwAR0{visit}"))
    }

    /// Google's.
    pub fn gclid(&self, visit: &str) -> Option<String> {
        (self.channel == "paid_search").then(|| format!("Cj0{visit}"))
    }
}

const fn meta(campaign: &'static str) -> Way {
    Way {
        channel: "paid_social",
        source: Some("instagram"),
        medium: Some("paid_social"),
        campaign: Some(campaign),
    }
}

const fn google(campaign: &'static str) -> Way {
    Way {
        channel: "paid_search",
        source: Some("google"),
        medium: Some("cpc"),
        campaign: Some(campaign),
    }
}

static SMILE: Way = meta("sorriso_novo");
static WHITE: Way = meta("clareamento");
static IMPLANT: Way = google("implante");
static BRAND: Way = google("marca");
static DIRECT: Way = Way {
    channel: "direct",
    source: None,
    medium: None,
    campaign: None,
};

/// A campaign, or a way that costs nothing.
pub struct Campaign {
    pub way: &'static Way,
    pub leads_a_day: f64,
    /// How many of its leads buy.
    pub buys: f64,
    /// The platform's number of it, and what a day costs in cents.
    paid: Option<(&'static str, i64)>,
}

/// The first is the one that the landing page's forms come from.
pub static CAMPAIGNS: [Campaign; 5] = [
    Campaign {
        way: &SMILE,
        leads_a_day: 1.6,
        buys: 0.3,
        paid: Some(("120210000000000101", 9_500)),
    },
    Campaign {
        way: &WHITE,
        leads_a_day: 1.1,
        buys: 0.22,
        paid: Some(("120210000000000102", 7_200)),
    },
    Campaign {
        way: &IMPLANT,
        leads_a_day: 0.7,
        buys: 0.35,
        paid: Some(("21000000201", 8_800)),
    },
    Campaign {
        way: &BRAND,
        leads_a_day: 0.5,
        buys: 0.5,
        paid: Some(("21000000202", 1_900)),
    },
    Campaign {
        way: &DIRECT,
        leads_a_day: 0.5,
        buys: 0.25,
        paid: None,
    },
];

struct CampaignDay {
    day: NaiveDate,
    id: &'static str,
    name: &'static str,
    cents: i64,
    impressions: i64,
    clicks: i64,
}

/// What the campaigns of a channel cost in a span of days, in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    pub since: NaiveDate,
    pub until: NaiveDate,
    pub cents: i64,
}

fn cost(days: &[CampaignDay]) -> Option<Cost> {
    Some(Cost {
        since: days.first()?.day,
        until: days.last()?.day,
        cents: days.iter().map(|day| day.cents).sum(),
    })
}

/// What was spent at Meta, and at Google.
pub fn costs(now_ms: i64) -> Option<[(&'static str, Cost); 2]> {
    Some([
        ("meta", cost(&days("paid_social", now_ms))?),
        ("google", cost(&days("paid_search", now_ms))?),
    ])
}

/// What the campaigns of a channel cost on each day of the half year before a moment.
fn days(channel: &str, now_ms: i64) -> Vec<CampaignDay> {
    let mut days = Vec::new();
    for back in (1..=DAYS).rev() {
        let number = now_ms.div_euclid(DAY_MS) - back;
        let day = DateTime::from_timestamp(number * 86_400, 0).map(|time| time.date_naive());
        let Some(day) = day else { continue };
        for campaign in CAMPAIGNS
            .iter()
            .filter(|campaign| campaign.way.channel == channel)
        {
            let (Some((id, cents)), Some(name)) = (campaign.paid, campaign.way.campaign) else {
                continue;
            };
            // Of the day and the campaign alone: read again tomorrow it is the same.
            let seed = number.unsigned_abs() * 1_000 + cents.unsigned_abs() % 1_000;
            let mut chance = StdRng::seed_from_u64(seed);
            let cents = cents * chance.random_range(80..120) / 100;
            let impressions = cents * chance.random_range(70..110) / 100;
            days.push(CampaignDay {
                day,
                id,
                name,
                cents,
                impressions,
                clicks: impressions * chance.random_range(8..20) / 1_000,
            });
        }
    }
    days
}

/// The ad account as the stand-in for Meta is told of it.
pub fn at_meta(access_token: &str, now_ms: i64) -> Value {
    let rows: Vec<Value> = days("paid_social", now_ms)
        .into_iter()
        .map(|day| {
            // Meta claims more than was paid, as platforms do.
            let claimed = day.cents * 4;
            json!({
                "campaign_id": day.id, "campaign_name": day.name, "date_start": day.day.to_string(),
                "spend": decimal(day.cents), "impressions": day.impressions.to_string(), "clicks": day.clicks.to_string(),
                "actions": [{"action_type": "omni_purchase", "value": (claimed / 30_000 + 1).to_string()}],
                "action_values": [{"action_type": "omni_purchase", "value": decimal(claimed)}],
            })
        })
        .collect();
    json!({"access_token": access_token, "currency": "BRL", "time_zone": "America/Sao_Paulo", "rows": rows})
}

/// The account as the stand-in for Google Ads is told of it.
pub fn at_google(now_ms: i64) -> Value {
    let days: Vec<Value> = days("paid_search", now_ms)
        .into_iter()
        .map(|day| {
            let number: Option<u64> = day.id.parse().ok();
            json!({
                "day": day.day.to_string(), "campaign_id": number, "campaign_name": day.name,
                "cost_micros": day.cents * 10_000, "impressions": day.impressions, "clicks": day.clicks,
            })
        })
        .collect();
    json!({"currency": "BRL", "time_zone": "America/Sao_Paulo", "manager": GOOGLE_MANAGER, "days": days})
}

fn decimal(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000_000;

    #[test]
    fn a_day_costs_the_same_when_it_is_asked_for_again_a_day_later() {
        let of = |now| at_google(now)["days"].as_array().unwrap().clone();
        let (today, tomorrow) = (of(NOW), of(NOW + DAY_MS));
        assert_eq!(today.len(), 2 * DAYS as usize);
        assert!(tomorrow.contains(&today[10]) && tomorrow.contains(today.last().unwrap()));
        assert_ne!(today.last(), tomorrow.last());
        assert!(today.iter().all(|day| day["campaign_id"].is_u64()));
    }

    #[test]
    fn what_the_platforms_are_told_is_what_the_campaigns_cost() {
        let [(_, meta), (_, google)] = costs(NOW).unwrap();
        assert_eq!((google.until - google.since).num_days(), DAYS - 1);
        let days = at_google(NOW)["days"].as_array().unwrap().clone();
        let micros: i64 = days.iter().map(|day| day["cost_micros"].as_i64().unwrap()).sum();
        assert_eq!(google.cents * 10_000, micros);
        let rows = at_meta("EAA", NOW)["rows"].as_array().unwrap().clone();
        let reais: f64 = rows
            .iter()
            .map(|row| row["spend"].as_str().unwrap().parse::<f64>().unwrap())
            .sum();
        assert!(
            (reais * 100.0 - meta.cents as f64).abs() < 0.5,
            "{reais} {}",
            meta.cents
        );
    }

    #[test]
    fn meta_is_told_of_each_campaign_and_day_with_what_it_claims() {
        let account = at_meta("EAA", NOW);
        let rows = account["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 2 * DAYS as usize);
        assert!(
            rows.iter()
                .all(|row| row["spend"].as_str().unwrap().contains('.'))
        );
    }
}
