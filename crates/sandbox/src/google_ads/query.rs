//! The part of Google's query language that the stand-in knows: days of campaigns, and the account.

use serde_json::{Value, json};

use super::GoogleAccount;

/// Fields by what they may be asked from, and their names in JSON.
static OF_CUSTOMER: [(&str, &str); 3] = [
    ("customer.id", "customer.id"),
    ("customer.currency_code", "customer.currencyCode"),
    ("customer.time_zone", "customer.timeZone"),
];
static OF_CAMPAIGN: [(&str, &str); 6] = [
    ("segments.date", "segments.date"),
    ("campaign.id", "campaign.id"),
    ("campaign.name", "campaign.name"),
    ("metrics.cost_micros", "metrics.costMicros"),
    ("metrics.impressions", "metrics.impressions"),
    ("metrics.clicks", "metrics.clicks"),
];

pub(super) struct Query {
    /// Names in JSON.
    fields: Vec<&'static str>,
    /// Of campaigns: both ends, included.
    days: Option<(String, String)>,
}

impl Query {
    /// A refusal is Google's code of a `queryError` and a sentence.
    pub(super) fn read(text: &str) -> Result<Self, (&'static str, String)> {
        let selecting = text
            .strip_prefix("SELECT ")
            .ok_or(("UNEXPECTED_INPUT", "Error in query: expected SELECT".to_owned()))?;
        let (selected, from) = selecting
            .split_once(" FROM ")
            .ok_or(("EXPECTED_FROM", "Error in query: expected FROM".to_owned()))?;
        let (resource, rest) = from.split_once(' ').unwrap_or((from, ""));
        let is_of_campaigns = match resource {
            "campaign" => true,
            "customer" => false,
            other => {
                return Err((
                    "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE",
                    format!("'{other}' is not known here"),
                ));
            }
        };
        let mut fields = Vec::new();
        for field in selected.split(',').map(str::trim) {
            let of_campaign = OF_CAMPAIGN.iter().filter(|_| is_of_campaigns);
            let known = OF_CUSTOMER
                .iter()
                .chain(of_campaign)
                .find(|(name, _)| *name == field);
            let (_, json) = known.ok_or((
                "UNRECOGNIZED_FIELD",
                format!("Unrecognized field in the query: '{field}'."),
            ))?;
            fields.push(*json);
        }
        let days = if is_of_campaigns { Some(days(rest)?) } else { None };
        if !is_of_campaigns && !matches!(rest, "" | "LIMIT 1") {
            return Err(("UNEXPECTED_INPUT", format!("Error in query: '{rest}'")));
        }
        Ok(Query { fields, days })
    }

    pub(super) fn mask(&self) -> String {
        self.fields.join(",")
    }

    pub(super) fn rows(&self, customer: &str, account: &GoogleAccount) -> Vec<Value> {
        let of_account = json!({
            "resourceName": format!("customers/{customer}"),
            "id": customer,
            "currencyCode": account.currency,
            "timeZone": account.time_zone,
        });
        let Some((since, until)) = &self.days else {
            return vec![json!({ "customer": of_account })];
        };
        let mut days: Vec<_> = account
            .days
            .iter()
            .filter(|day| day.day >= *since && day.day <= *until)
            .collect();
        days.sort_by(|one, other| one.day.cmp(&other.day));
        days.into_iter()
            .map(|day| {
                let campaign = day.campaign_id;
                json!({
                    "customer": of_account,
                    "campaign": {
                        "resourceName": format!("customers/{customer}/campaigns/{campaign}"),
                        "name": day.campaign_name,
                        "id": campaign.to_string(),
                    },
                    "metrics": {
                        "clicks": day.clicks.to_string(),
                        "costMicros": day.cost_micros.to_string(),
                        "impressions": day.impressions.to_string(),
                    },
                    "segments": { "date": day.day },
                })
            })
            .collect()
    }
}

/// `WHERE segments.date BETWEEN 'a' AND 'b' [ORDER BY segments.date]`: days of segments need a span.
fn days(text: &str) -> Result<(String, String), (&'static str, String)> {
    let condition = text.strip_suffix(" ORDER BY segments.date").unwrap_or(text);
    let span = condition
        .strip_prefix("WHERE segments.date BETWEEN '")
        .and_then(|rest| rest.strip_suffix('\''))
        .and_then(|rest| rest.split_once("' AND '"));
    let (since, until) = span.ok_or((
        "UNEXPECTED_INPUT",
        "Error in query: expected WHERE segments.date BETWEEN a date AND a date".to_owned(),
    ))?;
    let is_day = |text: &str| text.len() == 10 && text.parse::<chrono::NaiveDate>().is_ok();
    if !is_day(since) || !is_day(until) {
        return Err((
            "INVALID_VALUE_WITH_BETWEEN_OPERATOR",
            "Invalid date literal".to_owned(),
        ));
    }
    if since > until {
        return Err((
            "INVALID_VALUE_WITH_BETWEEN_OPERATOR",
            "The range ends before it begins".to_owned(),
        ));
    }
    Ok((since.to_owned(), until.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::GoogleDay;
    use super::*;

    #[test]
    fn what_google_refuses_is_refused_by_its_code() {
        let code = |text: &str| Query::read(text).err().map(|(code, _)| code);
        let span = "WHERE segments.date BETWEEN '2026-11-01' AND '2026-11-22'";
        assert_eq!(
            code(&format!(
                "SELECT campaign.id FROM campaign {span} ORDER BY segments.date"
            )),
            None
        );
        for (text, expected) in [
            (
                format!("SELECT campaign.colour FROM campaign {span}"),
                "UNRECOGNIZED_FIELD",
            ),
            (
                "SELECT metrics.clicks FROM customer".to_owned(),
                "UNRECOGNIZED_FIELD",
            ),
            ("SELECT campaign.id FROM campaign".to_owned(), "UNEXPECTED_INPUT"),
            ("SELECT campaign.id".to_owned(), "EXPECTED_FROM"),
            (
                format!("SELECT campaign.id FROM campaigns {span}"),
                "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE",
            ),
            (
                "SELECT campaign.id FROM campaign WHERE segments.date BETWEEN '2026-11-31' AND '2026-12-01'"
                    .to_owned(),
                "INVALID_VALUE_WITH_BETWEEN_OPERATOR",
            ),
            (
                "SELECT campaign.id FROM campaign WHERE segments.date BETWEEN '2026-11-02' AND '2026-11-01'"
                    .to_owned(),
                "INVALID_VALUE_WITH_BETWEEN_OPERATOR",
            ),
        ] {
            assert_eq!(code(&text), Some(expected), "{text}");
        }
    }

    #[test]
    fn rows_are_in_camel_case_with_whole_numbers_in_texts() {
        let account = GoogleAccount {
            currency: "BRL".to_owned(),
            time_zone: "America/Sao_Paulo".to_owned(),
            manager: None,
            days: vec![GoogleDay {
                day: "2026-11-22".to_owned(),
                campaign_id: 7,
                campaign_name: "Verão".to_owned(),
                cost_micros: 12_340_000,
                impressions: 10,
                clicks: 2,
            }],
        };
        let query = Query::read(
            "SELECT segments.date, metrics.cost_micros FROM campaign WHERE segments.date BETWEEN '2026-11-22' AND '2026-11-22'",
        );
        let Ok(query) = query else { panic!("it is a query") };
        assert_eq!(query.mask(), "segments.date,metrics.costMicros");
        let rows = query.rows("42", &account);
        // As Google prints 64-bit numbers in JSON.
        assert_eq!(rows[0]["metrics"]["costMicros"], json!("12340000"));
        assert_eq!(rows[0]["campaign"]["id"], json!("7"));
        assert_eq!(rows[0]["customer"]["timeZone"], json!("America/Sao_Paulo"));
    }
}
