//! What Google's answers look like: rows in camel case, whole numbers in texts, failures with their details.

use std::time::Duration;

use chrono::NaiveDate;
use rastro_core::dataset::Currency;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{CampaignDay, GoogleAdsError};

/// The longest description of a failure, in characters.
const LONGEST_CAUSE: usize = 300;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Batch {
    #[serde(default)]
    pub(super) results: Vec<Row>,
    #[serde(default)]
    field_mask: String,
    /// In place of results.
    #[serde(default)]
    pub(super) error: Option<Status>,
}

#[derive(Deserialize)]
pub(super) struct Row {
    pub(super) customer: Customer,
    campaign: Option<Campaign>,
    segments: Option<Segments>,
    metrics: Option<Metrics>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Customer {
    #[serde(deserialize_with = "text_or_number")]
    pub(super) id: String,
    pub(super) currency_code: String,
    pub(super) time_zone: String,
}

#[derive(Deserialize)]
struct Campaign {
    #[serde(deserialize_with = "text_or_number")]
    id: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Segments {
    date: NaiveDate,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metrics {
    #[serde(deserialize_with = "optional_number")]
    cost_micros: Option<i64>,
    #[serde(deserialize_with = "optional_number")]
    impressions: Option<i64>,
    #[serde(deserialize_with = "optional_number")]
    clicks: Option<i64>,
}

impl Batch {
    /// The batch's rows, for the queries that ask for days of campaigns.
    pub(super) fn days(self) -> Result<Vec<CampaignDay>, GoogleAdsError> {
        let Batch {
            results, field_mask, ..
        } = self;
        // An absent number is zero, as Protocol Buffers write it, but only of a field that was answered.
        let metric = |name: &str, value: Option<i64>| match value {
            Some(value) if value >= 0 => Ok(value),
            Some(_) => Err(GoogleAdsError::Invalid("a negative number")),
            None if field_mask.split(',').any(|field| field == name) => Ok(0),
            None => Err(GoogleAdsError::Invalid("a row without its numbers")),
        };
        results
            .into_iter()
            .map(|row| {
                let (Some(campaign), Some(segments)) = (row.campaign, row.segments) else {
                    return Err(GoogleAdsError::Invalid("a row without campaign or day"));
                };
                let metrics = row.metrics.unwrap_or_default();
                Ok(CampaignDay {
                    day: segments.date,
                    campaign_id: campaign.id,
                    campaign_name: campaign.name,
                    currency: Currency::parse(&row.customer.currency_code)
                        .ok_or(GoogleAdsError::Invalid("the currency"))?,
                    cost_micros: metric("metrics.costMicros", metrics.cost_micros)?,
                    impressions: metric("metrics.impressions", metrics.impressions)?,
                    clicks: metric("metrics.clicks", metrics.clicks)?,
                })
            })
            .collect()
    }
}

/// `google.rpc.Status`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    status: String,
    message: String,
    details: Vec<Value>,
}

impl Status {
    /// Of the body of an answer that is no success: the object, or an array that holds it.
    pub(super) fn read(body: &[u8]) -> Status {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let envelope = match &body {
            Value::Array(_) => &body[0],
            other => other,
        };
        Status::deserialize(&envelope["error"]).unwrap_or_default()
    }

    /// What it means. `http`: the answer's status, where the words are none that are known.
    pub(super) fn failure(&self, http: u16) -> GoogleAdsError {
        let told = self.describe(http);
        match (self.status.as_str(), http) {
            ("UNAUTHENTICATED", _) | ("", 401) => GoogleAdsError::Expired(told),
            ("RESOURCE_EXHAUSTED", _) | ("", 429) => GoogleAdsError::Throttled {
                wait: self.retry_delay(),
                told,
            },
            ("UNAVAILABLE" | "INTERNAL" | "DEADLINE_EXCEEDED", _) | ("", 500..) => {
                GoogleAdsError::Unavailable(told)
            }
            _ => GoogleAdsError::Refused(told),
        }
    }

    /// Google's code and sentence of it, neither of which names a person or a token.
    fn describe(&self, http: u16) -> String {
        let codes: Vec<String> = self
            .errors()
            .filter_map(|error| error["errorCode"].as_object())
            .flatten()
            .map(|(family, code)| format!("{family} {}", code.as_str().unwrap_or("?")))
            .collect();
        let message = self.errors().find_map(|error| error["message"].as_str());
        let message = message.unwrap_or(&self.message);
        format!("status {http} {}, {}: {message}", self.status, codes.join(", "))
            .chars()
            .take(LONGEST_CAUSE)
            .collect()
    }

    fn errors(&self) -> impl Iterator<Item = &Value> {
        self.details
            .iter()
            .filter_map(|detail| detail["errors"].as_array())
            .flatten()
    }

    /// `QuotaErrorDetails` of a `GoogleAdsFailure`, or `google.rpc.RetryInfo`; the longest of them.
    fn retry_delay(&self) -> Option<Duration> {
        let of_quota = self
            .errors()
            .filter_map(|error| error["details"]["quotaErrorDetails"]["retryDelay"].as_str());
        let of_retry = self
            .details
            .iter()
            .filter_map(|detail| detail["retryDelay"].as_str());
        of_quota.chain(of_retry).filter_map(duration).max()
    }
}

/// A duration as Protocol Buffers write it in JSON: `3.5s`.
fn duration(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[derive(Deserialize)]
pub(super) struct Token {
    pub(super) access_token: String,
    pub(super) expires_in: u64,
}

#[derive(Deserialize)]
pub(super) struct TokenRefusal {
    /// `invalid_grant`, `invalid_client`, ...: RFC 6749, 5.2.
    pub(super) error: String,
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(serde::de::Error::custom("not an id")),
    }
}

fn optional_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let number = match Value::deserialize(deserializer)? {
        Value::Null => return Ok(None),
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_i64(),
        _ => None,
    };
    number
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom("not a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_number_is_zero_only_where_the_field_was_answered() {
        let batch = |mask: &str| {
            let text = format!(
                r#"{{"results":[{{"customer":{{"resourceName":"customers/1","id":"1","currencyCode":"BRL",
                "timeZone":"America/Sao_Paulo"}},"campaign":{{"id":"9007199254740993","name":"Verão"}},
                "segments":{{"date":"2026-11-01"}},"metrics":{{"costMicros":"12340000","clicks":"3"}}}}],
                "fieldMask":"{mask}","requestId":"r"}}"#
            );
            serde_json::from_str::<Batch>(&text).unwrap().days()
        };
        let days = batch("segments.date,metrics.costMicros,metrics.impressions,metrics.clicks").unwrap();
        assert_eq!(days.len(), 1);
        assert_eq!(
            (days[0].cost_micros, days[0].impressions, days[0].clicks),
            (12_340_000, 0, 3)
        );
        assert_eq!(days[0].campaign_id, "9007199254740993");
        assert!(batch("segments.date,metrics.costMicros").is_err());
    }

    #[test]
    fn failures_are_told_apart_and_say_how_long_to_wait() {
        let body = br#"[{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).",
            "status":"RESOURCE_EXHAUSTED","details":[{"@type":
            "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure","errors":[{"errorCode":
            {"quotaError":"RESOURCE_EXHAUSTED"},"message":"Too many requests. Retry in 7 seconds.","details":
            {"quotaErrorDetails":{"rateScope":"DEVELOPER","rateName":"Requests per account","retryDelay":"7s"}}}],
            "requestId":"x"}]}}]"#;
        let GoogleAdsError::Throttled { wait, told } = Status::read(body).failure(429) else {
            panic!("it is a throttle");
        };
        assert_eq!(wait, Some(Duration::from_secs(7)));
        assert!(told.contains("quotaError RESOURCE_EXHAUSTED"), "{told}");
        let of = |status: &str, http| {
            let body = format!(r#"{{"error":{{"status":"{status}","message":"m"}}}}"#);
            Status::read(body.as_bytes()).failure(http)
        };
        assert!(matches!(of("UNAUTHENTICATED", 401), GoogleAdsError::Expired(_)));
        assert!(matches!(of("INTERNAL", 500), GoogleAdsError::Unavailable(_)));
        assert!(matches!(of("PERMISSION_DENIED", 403), GoogleAdsError::Refused(_)));
        assert!(matches!(
            Status::read(b"<html>").failure(502),
            GoogleAdsError::Unavailable(_)
        ));
        assert!(matches!(
            Status::read(b"<html>").failure(404),
            GoogleAdsError::Refused(_)
        ));
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1_500)));
        assert_eq!(duration("-1s"), None);
    }
}
