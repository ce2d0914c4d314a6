//! The invented campaigns, how people come by them, and what they cost: at Meta as its Insights tell it, at
//! Google as its interface exports it. A day's figures are the same whenever they are asked for.

use std::fmt::Write;

use chrono::{DateTime, NaiveDate};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::past::{DAY_MS, DAYS};

/// The ad account at Meta, without `act_`.
pub const META_ACCOUNT: &str = "1016734500123456";
/// The customer at Google.
pub const GOOGLE_ACCOUNT: &str = "8441002233";

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

/// What Google's interface exports in Portuguese.
pub fn google_export(now_ms: i64) -> String {
    let days = days("paid_search", now_ms);
    let mut text = String::from(
        "Relatório de campanhas\nTodo o período\nDia\tCampanha\tID da campanha\tCódigo da moeda\tCusto\tImpr.\tCliques\n",
    );
    for day in days {
        let cost = decimal(day.cents).replace('.', ",");
        let (date, name, id) = (day.day, day.name, day.id);
        let line = writeln!(
            text,
            "{date}\t{name}\t{id}\tBRL\t{cost}\t{}\t{}",
            day.impressions, day.clicks
        );
        line.expect("writing to memory cannot fail");
    }
    text
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
        let of = |now| {
            google_export(now)
                .lines()
                .skip(4)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let (today, tomorrow) = (of(NOW), of(NOW + DAY_MS));
        assert_eq!(today.len(), 2 * DAYS as usize - 1);
        assert!(tomorrow.contains(&today[10]) && tomorrow.contains(today.last().unwrap()));
        assert_ne!(today.last(), tomorrow.last());
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
