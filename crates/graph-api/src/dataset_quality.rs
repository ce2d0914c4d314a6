//! The Dataset Quality API: Meta's own score of a dataset's web events. Every field may be missing, and Meta
//! calls them by several names; what is not understood stays in `raw`.
//!
//! Source: Meta, "Dataset Quality API" (marketing API), whose samples have `web` at the root and
//! `dedupe_key_feedback`.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rastro_core::dataset::DatasetId;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::client::{GraphApi, read_bounded, unanswered};
use crate::lenient;
use crate::outcome::{self, Failure, GraphError};

/// As documented.
const FIELDS: &str = "web{event_name,event_match_quality{composite_score,match_key_feedback{identifier,coverage{percentage},\
                      potential_aly_acr_increase{percentage,description}},diagnostics},event_coverage{percentage,goal_percentage,\
                      description},dedupe_key_feedback{dedupe_key,browser_events_with_dedupe_key{percentage,description},\
                      server_events_with_dedupe_key{percentage,description},overall_browser_coverage_from_dedupe_key{percentage,\
                      description}},data_freshness{upload_frequency,description}}";
/// Event names of a dataset, and identifiers of a name, that are read.
const MOST_NAMES: usize = 200;
const MOST_KEYS: usize = 50;
const LONGEST_NAME: usize = 200;

/// What Meta says of one event name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DatasetQuality {
    pub event_name: String,
    /// Event Match Quality, 0 to 10. `None`: Meta gives none, which is not zero.
    pub score: Option<f64>,
    pub keys: Vec<MatchKeyFeedback>,
    /// How many of the events that the browser sent came from the server too, in percent.
    pub event_coverage: Option<f64>,
    /// How many of the browser's events can be recognised by their event id, in percent.
    pub dedupe_coverage: Option<f64>,
    /// real_time, hourly, daily, ...: Meta's word.
    pub freshness: Option<String>,
    /// The entry as it came.
    pub raw: Value,
}

/// How many events carry an identifier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatchKeyFeedback {
    /// email, phone, ip_address, ...: Meta's words.
    pub identifier: String,
    pub coverage_percent: Option<f64>,
    /// More conversions that Meta expects of it.
    pub gain_percent: Option<f64>,
}

impl GraphApi {
    /// Asks for the score of each event name. An answer without entries is no failure.
    ///
    /// # Errors
    /// Why there was no answer that says anything: its class tells what to do about it. The token may be one
    /// that only sends.
    pub async fn dataset_quality(
        &self,
        dataset: DatasetId,
        access_token: &SecretString,
    ) -> Result<Vec<DatasetQuality>, Failure> {
        // The token goes into a header: URLs end up in the logs of everything on the way.
        let fields = utf8_percent_encode(FIELDS, NON_ALPHANUMERIC);
        let url = format!(
            "{}/dataset_quality?dataset_id={dataset}&fields={fields}",
            self.base()
        );
        let sending = self
            .client()
            .get(url)
            .bearer_auth(access_token.expose_secret())
            .send();
        let mut response = sending.await.map_err(|error| unanswered(&error))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let body = read_bounded(response).await.map_err(|error| unanswered(&error))?;
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        if let Some(error) = json
            .as_ref()
            .and_then(|json| json.get("error"))
            .filter(|error| !error.is_null())
        {
            return Err(outcome::classify(status, &headers, GraphError::read(error)));
        }
        match json {
            Some(json) if (200..300).contains(&status) && json.is_object() => Ok(read(&json)),
            _ => Err(outcome::unreadable(status, &headers)),
        }
    }
}

fn read(json: &Value) -> Vec<DatasetQuality> {
    let entries = json["web"].as_array().into_iter().flatten();
    entries.take(MOST_NAMES).filter_map(entry).collect()
}

fn entry(entry: &Value) -> Option<DatasetQuality> {
    let match_quality = &entry["event_match_quality"];
    let keys = match_quality["match_key_feedback"]
        .as_array()
        .into_iter()
        .flatten();
    let dedupe = ["dedupe_key_feedback", "dedup_key_feedback"]
        .into_iter()
        .find_map(|name| entry[name].as_array());
    let by_event_id = dedupe
        .into_iter()
        .flatten()
        .find(|feedback| feedback["dedupe_key"] == "event_id");
    Some(DatasetQuality {
        event_name: lenient::text(&entry["event_name"])
            .map(|name| lenient::plain(&name, LONGEST_NAME))
            .filter(|name| !name.is_empty())?,
        score: number(&match_quality["composite_score"]).filter(|score| (0.0..=10.0).contains(score)),
        keys: keys.take(MOST_KEYS).filter_map(key).collect(),
        event_coverage: percentage(&entry["event_coverage"]),
        dedupe_coverage: by_event_id
            .and_then(|feedback| percentage(&feedback["overall_browser_coverage_from_dedupe_key"])),
        freshness: lenient::text(&entry["data_freshness"]["upload_frequency"])
            .map(|word| lenient::plain(&word, LONGEST_NAME)),
        raw: entry.clone(),
    })
}

fn key(feedback: &Value) -> Option<MatchKeyFeedback> {
    Some(MatchKeyFeedback {
        identifier: lenient::text(&feedback["identifier"])
            .map(|word| lenient::plain(&word, LONGEST_NAME))
            .filter(|word| !word.is_empty())?,
        coverage_percent: percentage(&feedback["coverage"]),
        gain_percent: number(&feedback["potential_aly_acr_increase"]["percentage"])
            .filter(|gain| (-10_000.0..10_000.0).contains(gain)),
    })
}

/// A share, which Meta sometimes overshoots.
fn percentage(of: &Value) -> Option<f64> {
    number(&of["percentage"]).map(|share| share.clamp(0.0, 100.0))
}

/// As a number, or as a text that is one.
fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    number.filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Meta's documented sample, as it stands in its documentation.
    fn sample() -> Value {
        json!({"web":[{"event_name":"Purchase","event_match_quality":{"composite_score":6.2,
            "match_key_feedback":[{"identifier":"email","coverage":{"percentage":100}},
                {"identifier":"ip_address","coverage":{"percentage":99.9}}],
            "diagnostics":[{"name":"...","description":"...","solution":"...","percentage":59.5,
                "affected_event_count":18930,"total_event_count":31830}]},
            "event_coverage":{"percentage":34.1,"goal_percentage":75},"data_freshness":{"upload_frequency":"real_time"},
            "dedupe_key_feedback":[{"dedupe_key":"event_id","browser_events_with_dedupe_key":{"percentage":100},
                "server_events_with_dedupe_key":{"percentage":100},
                "overall_browser_coverage_from_dedupe_key":{"percentage":14.8}}]}]})
    }

    #[test]
    fn the_documented_sample_is_read() {
        let [purchase] = read(&sample()).try_into().unwrap();
        assert_eq!(purchase.event_name, "Purchase");
        assert_eq!(purchase.score, Some(6.2));
        assert_eq!(
            (purchase.event_coverage, purchase.dedupe_coverage),
            (Some(34.1), Some(14.8))
        );
        assert_eq!(purchase.freshness.as_deref(), Some("real_time"));
        assert_eq!(purchase.keys[1].identifier, "ip_address");
        assert_eq!(purchase.keys[1].coverage_percent, Some(99.9));
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_unknown_and_not_zero() {
        assert!(read(&json!({})).is_empty());
        assert!(read(&json!({"web": null})).is_empty());
        assert!(read(&json!({"web": [{"event_match_quality": {"composite_score": 5}}]})).is_empty());
        let [lead] = read(
            &json!({"web": [{"event_name": "Lead", "event_match_quality": {"composite_score": "7.5"},
            "event_coverage": [], "new": 1}]}),
        )
        .try_into()
        .unwrap();
        assert_eq!((lead.score, lead.event_coverage), (Some(7.5), None));
        assert_eq!(lead.raw["new"], 1);
        let [none] =
            read(&json!({"web": [{"event_name": "Lead", "event_match_quality": {"composite_score": 70}}]}))
                .try_into()
                .unwrap();
        assert_eq!(none.score, None, "that is no score");
    }
}
