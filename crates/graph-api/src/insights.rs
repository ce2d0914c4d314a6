//! Insights: what an ad account spent, by campaign and day, and what Meta says that this sold.
//!
//! Always by an asynchronous report: asked for at once, a month of many campaigns is refused as too much
//! (codes 100/1487534 and
//! 2/1504038). Source: Meta, "Insights API", "Asynchronous jobs" and "Limits and best practices".

use std::fmt;

use chrono::NaiveDate;
use rastro_core::dataset::Currency;
use rastro_core::spend::{Decimals, micros};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::client::{GraphApi, header, read_bounded, unanswered};
use crate::lenient;
use crate::outcome::{self, Failure, FailureClass, GraphError};

const FIELDS: &str = "campaign_id,campaign_name,spend,impressions,clicks,account_currency,actions,action_values,date_start,date_stop";
/// Of one page. With its actions a row is a few kilobytes.
const ROWS_OF_A_PAGE: u32 = 200;
/// Of the names under which Meta counts one purchase, the first that is there: the others count some of the
/// same.
const PURCHASE: [&str; 3] = [
    "omni_purchase",
    "purchase",
    "offsite_conversion.fb_pixel_purchase",
];
const LONGEST_NAME: usize = 255;
const LONGEST_ID: usize = 60;

/// `act_` and digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdAccount(String);

impl AdAccount {
    /// With or without `act_`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().trim_start_matches("act_");
        let is_id = (1..=30).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_id.then(|| AdAccount(format!("act_{digits}")))
    }
}

impl fmt::Display for AdAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an account's figures are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdAccountFacts {
    pub currency: Currency,
    /// IANA; its days are those of the figures.
    pub time_zone: String,
}

/// A campaign's day with delivery. Days without have no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignDay {
    /// Of the account's time zone.
    pub day: NaiveDate,
    pub campaign_id: String,
    pub campaign_name: String,
    pub currency: Currency,
    /// Millionths of it.
    pub cost_micros: i64,
    pub impressions: i64,
    pub clicks: i64,
    /// As Meta counts them, and their value.
    pub purchases: i64,
    pub purchase_micros: i64,
}

/// How far a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportStatus {
    Running,
    Complete,
    /// It will not be: ask for a smaller one.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsightsPage {
    pub rows: Vec<CampaignDay>,
    /// Where the next page begins. `None`: this was the last.
    pub after: Option<String>,
    /// The part of Meta's limits that is used up, in percent: near 100 the next call is refused.
    pub used_percent: i64,
}

impl GraphApi {
    /// An account's currency and time zone.
    ///
    /// # Errors
    /// Why there was no answer that says it.
    pub async fn ad_account(
        &self,
        account: &AdAccount,
        access_token: &SecretString,
    ) -> Result<AdAccountFacts, Failure> {
        let url = format!("{}/{account}?fields=currency,timezone_name", self.base());
        let (json, _) = answer(self.client().get(url), access_token).await?;
        let facts = || {
            Some(AdAccountFacts {
                currency: Currency::parse(json["currency"].as_str()?)?,
                time_zone: json["timezone_name"]
                    .as_str()
                    .map(|zone| lenient::plain(zone, LONGEST_ID))?,
            })
        };
        facts().ok_or_else(|| misread("the account's currency and time zone"))
    }

    /// Asks for the campaigns' days of a span, both ends included; returns the report's id.
    ///
    /// # Errors
    /// Why there is none; see [`Failure::class`].
    pub async fn start_insights(
        &self,
        account: &AdAccount,
        (since, until): (NaiveDate, NaiveDate),
        access_token: &SecretString,
    ) -> Result<String, Failure> {
        let range = json!({ "since": since.to_string(), "until": until.to_string() }).to_string();
        let request = self.client().post(format!("{}/{account}/insights", self.base()));
        let parameters = json!({
            "level": "campaign",
            "fields": FIELDS,
            "time_range": range,
            "time_increment": "1",
        });
        let (json, _) = answer(request.json(&parameters), access_token).await?;
        let id = lenient::text(&json["report_run_id"]).filter(|id| is_id(id));
        id.ok_or_else(|| misread("a report's id"))
    }

    /// # Errors
    /// Why there was no answer that says it.
    pub async fn insights_status(
        &self,
        report: &str,
        access_token: &SecretString,
    ) -> Result<ReportStatus, Failure> {
        let url = format!(
            "{}/{report}?fields=async_status,async_percent_completion",
            self.base()
        );
        let (json, _) = answer(self.client().get(url), access_token).await?;
        match json["async_status"].as_str() {
            // At 100 % it may still be written.
            Some("Job Completed") => Ok(ReportStatus::Complete),
            Some("Job Failed" | "Job Skipped") => Ok(ReportStatus::Failed),
            Some(_) => Ok(ReportStatus::Running),
            None => Err(misread("how far the report is")),
        }
    }

    /// A page of a report that is complete.
    ///
    /// # Errors
    /// Why there was none. A row that cannot be read is one: a sum without it would be wrong and look right.
    pub async fn insights_page(
        &self,
        report: &str,
        after: Option<&str>,
        access_token: &SecretString,
    ) -> Result<InsightsPage, Failure> {
        let mut url = format!("{}/{report}/insights?limit={ROWS_OF_A_PAGE}", self.base());
        if let Some(after) = after {
            url.push_str(&format!("&after={after}"));
        }
        let (json, used_percent) = answer(self.client().get(url), access_token).await?;
        let rows = json["data"]
            .as_array()
            .ok_or_else(|| misread("the rows of a report"))?;
        let rows: Option<Vec<CampaignDay>> = rows.iter().map(campaign_day).collect();
        // The cursor is there on the last page too; the address of the next, which holds the token, is not.
        let paging = &json["paging"];
        let after = match paging["next"].is_string() {
            true => {
                let cursor = paging["cursors"]["after"].as_str();
                let cursor = cursor.filter(|cursor| !cursor.is_empty() && cursor.bytes().all(is_cursor));
                Some(cursor.ok_or_else(|| misread("the next page"))?.to_owned())
            }
            false => None,
        };
        let rows = rows.ok_or_else(|| misread("a row of a report"))?;
        Ok(InsightsPage {
            rows,
            after,
            used_percent,
        })
    }
}

pub(crate) async fn answer(
    request: reqwest::RequestBuilder,
    access_token: &SecretString,
) -> Result<(Value, i64), Failure> {
    let sending = request.bearer_auth(access_token.expose_secret()).send();
    let mut response = sending.await.map_err(|error| unanswered(&error))?;
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let body = read_bounded(response).await.map_err(|error| unanswered(&error))?;
    let json: Option<Value> = serde_json::from_slice(&body).ok();
    let error = json
        .as_ref()
        .and_then(|json| json.get("error"))
        .filter(|error| !error.is_null());
    if let Some(error) = error {
        return Err(outcome::classify(status, &headers, GraphError::read(error)));
    }
    // {"app_id_util_pct":1.5,"acc_id_util_pct":90,"ads_api_access_tier":"..."}
    let throttle =
        header(&headers, "x-fb-ads-insights-throttle").and_then(|text| serde_json::from_str(text).ok());
    let used = |throttle: Value| {
        let percent = |name: &str| lenient::integer(&throttle[name]).unwrap_or(0);
        percent("app_id_util_pct").max(percent("acc_id_util_pct"))
    };
    match json {
        Some(json) if (200..300).contains(&status) && json.is_object() => {
            Ok((json, throttle.map_or(0, used)))
        }
        _ => Err(outcome::unreadable(status, &headers)),
    }
}

/// What a cursor is made of: it goes into an address as it is.
pub(crate) fn is_cursor(letter: u8) -> bool {
    letter.is_ascii_alphanumeric() || b"-_".contains(&letter)
}

pub(crate) fn is_id(text: &str) -> bool {
    (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An answer without what it was asked for. Another one may have it.
pub(crate) fn misread(what: &str) -> Failure {
    Failure {
        class: FailureClass::Transient,
        message: format!("Meta's answer does not say {what}"),
        wait: None,
        error: None,
    }
}

/// All metrics are texts; spend is in major units.
fn campaign_day(row: &Value) -> Option<CampaignDay> {
    let amount = |value: &Value| micros(&lenient::text(value)?, Decimals::Point).ok();
    let count = |value: &Value| match value {
        Value::Null => Some(0),
        value => lenient::integer(value).filter(|count| *count >= 0),
    };
    let of_purchases = |list: &Value| -> Option<Value> {
        let entries = list.as_array()?;
        let of = |name: &&str| entries.iter().find(|entry| entry["action_type"] == **name);
        PURCHASE.iter().find_map(of).map(|entry| entry["value"].clone())
    };
    Some(CampaignDay {
        day: row["date_start"]
            .as_str()
            .filter(|day| row["date_stop"] == **day)?
            .parse()
            .ok()?,
        campaign_id: lenient::text(&row["campaign_id"]).filter(|id| is_id(id))?,
        campaign_name: lenient::plain(row["campaign_name"].as_str().unwrap_or_default(), LONGEST_NAME),
        currency: Currency::parse(row["account_currency"].as_str()?)?,
        cost_micros: amount(&row["spend"])?,
        impressions: count(&row["impressions"])?,
        clicks: count(&row["clicks"])?,
        purchases: count(&of_purchases(&row["actions"]).unwrap_or(Value::Null))?,
        purchase_micros: match of_purchases(&row["action_values"]) {
            Some(value) => amount(&value)?,
            None => 0,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As captured, with the actions that one campaign of a shop has.
    fn row() -> Value {
        json!({
            "campaign_id": "120210000000000017", "campaign_name": "Verão", "spend": "5339.5", "impressions": "361324",
            "clicks": "7346", "account_currency": "BRL", "date_start": "2025-03-14", "date_stop": "2025-03-14",
            "actions": [{ "action_type": "link_click", "value": "7000" }, { "action_type": "purchase", "value": "12" },
                { "action_type": "omni_purchase", "value": "13" }],
            "action_values": [{ "action_type": "omni_purchase", "value": "1234.56" }],
        })
    }

    #[test]
    fn a_row_is_read_from_texts_and_one_purchase_is_counted_once() {
        let day = campaign_day(&row()).unwrap();
        assert_eq!(
            (day.cost_micros, day.impressions, day.clicks),
            (5_339_500_000, 361_324, 7_346)
        );
        assert_eq!((day.purchases, day.purchase_micros), (13, 1_234_560_000));
    }

    #[test]
    fn a_row_that_says_less_than_it_must_is_none() {
        for (field, value) in [
            ("spend", json!("12,5")),
            ("spend", Value::Null),
            ("date_stop", json!("2025-03-15")),
            ("campaign_id", json!("x")),
            ("account_currency", json!("")),
            ("clicks", json!("many")),
        ] {
            let mut row = row();
            row[field] = value;
            assert_eq!(campaign_day(&row), None, "{field}");
        }
        let mut quiet = row();
        for field in ["actions", "action_values", "impressions", "clicks"] {
            quiet.as_object_mut().unwrap().remove(field);
        }
        assert_eq!(
            campaign_day(&quiet).map(|day| (day.purchases, day.impressions)),
            Some((0, 0))
        );
    }

    #[test]
    fn an_account_is_digits_with_or_without_its_prefix() {
        assert_eq!(AdAccount::parse(" act_123 ").unwrap().to_string(), "act_123");
        assert_eq!(AdAccount::parse("123"), AdAccount::parse("act_123"));
        for wrong in ["", "act_", "act_x", "123/../456", "1-2"] {
            assert_eq!(AdAccount::parse(wrong), None, "{wrong}");
        }
    }
}
