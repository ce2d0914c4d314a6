//! The part of Google's query language that the stand-in knows: days of campaigns, and the account. What it
//! knows it takes and refuses as Google does; what it does not know it refuses and says so.
//!
//! Source: Google, "Google Ads Query Language Grammar", "Segmentation" (what a date in SELECT does to rows
//! and sums), `QueryErrorEnum`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::words::{Reader, Wrong, unexpected, words};
use super::{GoogleAccount, GoogleDay};

/// Fields that may be asked for from any resource.
static OF_CUSTOMER: [&str; 3] = ["customer.id", "customer.currency_code", "customer.time_zone"];
/// Fields that may be asked for from campaigns beside.
static OF_CAMPAIGN: [&str; 8] = [
    DATE,
    "campaign.id",
    "campaign.name",
    "campaign.status",
    "campaign.advertising_channel_type",
    "metrics.cost_micros",
    "metrics.impressions",
    "metrics.clicks",
];
const DATE: &str = "segments.date";

pub(super) struct Query {
    is_of_campaigns: bool,
    fields: Vec<&'static str>,
    /// The first and the last day, where a condition says so.
    since: Option<String>,
    until: Option<String>,
    /// With whether it is descending.
    order: Vec<(&'static str, bool)>,
    limit: Option<usize>,
}

/// `YYYY-MM-DD`, as there is one.
pub(super) fn is_day(text: &str) -> bool {
    text.len() == 10 && text.parse::<chrono::NaiveDate>().is_ok()
}

fn known(field: &str, is_of_campaigns: bool) -> Result<&'static str, Wrong> {
    let of_campaign = OF_CAMPAIGN.iter().filter(|_| is_of_campaigns);
    let unknown =
        || format!("Unrecognized field in the query: '{field}' (or one that the sandbox does not know).");
    let field = OF_CUSTOMER.iter().chain(of_campaign).find(|name| **name == field);
    field.copied().ok_or_else(|| ("UNRECOGNIZED_FIELD", unknown()))
}

impl Query {
    /// A refusal is Google's code of a `queryError` and a sentence.
    pub(super) fn read(text: &str) -> Result<Self, Wrong> {
        let mut reader = Reader(words(text)?.into_iter().peekable());
        reader.demand("SELECT", "EXPECTED_SELECT")?;
        let mut selected = vec![reader.field()?];
        while reader.has(",") {
            selected.push(reader.field()?);
        }
        reader.demand("FROM", "EXPECTED_FROM")?;
        let is_of_campaigns = match reader.field()?.as_str() {
            "campaign" => true,
            "customer" => false,
            other => {
                let message =
                    format!("Unrecognized resource '{other}' (or one that the sandbox does not know).");
                return Err(("BAD_RESOURCE_TYPE_IN_FROM_CLAUSE", message));
            }
        };
        let fields: Result<Vec<_>, Wrong> = selected
            .iter()
            .map(|field| known(field, is_of_campaigns))
            .collect();
        let mut query = Query {
            is_of_campaigns,
            fields: fields?,
            since: None,
            until: None,
            order: Vec::new(),
            limit: None,
        };
        if reader.has("WHERE") {
            query.read_condition(&mut reader)?;
            while reader.has("AND") {
                query.read_condition(&mut reader)?;
            }
        }
        if reader.has("ORDER") {
            reader.demand("BY", "EXPECTED_BY")?;
            query.read_order(&mut reader)?;
            while reader.has(",") {
                query.read_order(&mut reader)?;
            }
        }
        if reader.has("LIMIT") {
            let limit = reader.word()?;
            query.limit = match limit.shown().parse::<usize>() {
                Ok(0) => {
                    return Err((
                        "LIMIT_VALUE_TOO_LOW",
                        "Limit value must be greater than zero.".to_owned(),
                    ));
                }
                Ok(limit) => Some(limit),
                Err(_) => {
                    return Err((
                        "BAD_LIMIT_VALUE",
                        format!("Invalid limit value: {}", limit.shown()),
                    ));
                }
            };
        }
        if let Some(word) = reader.0.next() {
            return Err(unexpected(word.shown()));
        }
        let is_finite = query.since.is_some() && query.until.is_some();
        let has_date = query.has(DATE) || query.since.is_some() || query.until.is_some();
        if has_date && !is_finite {
            let message =
                "Expects filters on the following field to limit a finite date range: 'segments.date'";
            return Err(("EXPECTED_FILTERS_ON_DATE_RANGE", message.to_owned()));
        }
        if query.since > query.until {
            let message = "The range ends before it begins.".to_owned();
            return Err(("INVALID_VALUE_WITH_BETWEEN_OPERATOR", message));
        }
        Ok(query)
    }

    /// Dates may be in WHERE without being in SELECT, as other segments may not.
    fn read_condition(&mut self, reader: &mut Reader) -> Result<(), Wrong> {
        let field = reader.field()?;
        if known(&field, self.is_of_campaigns)? != DATE {
            let message = format!("Cannot filter by '{field}': the sandbox knows conditions on {DATE} only.");
            return Err(("PROHIBITED_FIELD_IN_WHERE_CLAUSE", message));
        }
        let operator = reader.word()?;
        match operator.shown().to_ascii_uppercase().as_str() {
            "BETWEEN" => {
                self.since = Some(reader.day()?);
                reader.demand("AND", "EXPECTED_AND")?;
                self.until = Some(reader.day()?);
            }
            "=" => {
                let day = reader.day()?;
                (self.since, self.until) = (Some(day.clone()), Some(day));
            }
            ">=" => self.since = Some(reader.day()?),
            "<=" => self.until = Some(reader.day()?),
            other => {
                let message = format!("Unknown operator '{other}' (or one that the sandbox does not know).");
                return Err(("BAD_OPERATOR", message));
            }
        }
        Ok(())
    }

    fn read_order(&mut self, reader: &mut Reader) -> Result<(), Wrong> {
        let field = known(&reader.field()?, self.is_of_campaigns)?;
        if !self.has(field) {
            let message = format!("The following field must be present in SELECT clause: '{field}'.");
            return Err(("EXPECTED_REFERENCED_FIELD_IN_SELECT_CLAUSE", message));
        }
        let is_descending = reader.has("DESC");
        if !is_descending {
            reader.has("ASC");
        }
        self.order.push((field, is_descending));
        Ok(())
    }

    pub(super) fn is_of_campaigns(&self) -> bool {
        self.is_of_campaigns
    }

    fn has(&self, field: &str) -> bool {
        self.fields.contains(&field)
    }

    pub(super) fn mask(&self) -> String {
        let names: Vec<String> = self.fields.iter().map(|field| camel(field)).collect();
        names.join(",")
    }

    /// What was selected and nothing else, beside the names of resources.
    pub(super) fn rows(&self, customer: &str, account: &GoogleAccount) -> Vec<Value> {
        let mut rows = match self.is_of_campaigns {
            true => self.campaigns(account),
            false => vec![GoogleDay::default()],
        };
        rows.sort_by(|one, other| {
            let mut order = self.order.iter().map(|(field, is_descending)| {
                let order = compared(field, one, other);
                if *is_descending { order.reverse() } else { order }
            });
            order.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        rows.truncate(self.limit.unwrap_or(usize::MAX));
        rows.iter().map(|row| self.row(customer, account, row)).collect()
    }

    /// With the date selected a row for each day of a campaign with any figure; without it one row of a
    /// campaign, with the sum.
    fn campaigns(&self, account: &GoogleAccount) -> Vec<GoogleDay> {
        let is_within = |day: &&GoogleDay| {
            self.since.as_ref().is_none_or(|since| day.day >= *since)
                && self.until.as_ref().is_none_or(|until| day.day <= *until)
        };
        let of_span = account.days.iter().filter(is_within);
        if self.has(DATE) {
            let is_any = |day: &&GoogleDay| {
                let mut figures = self.fields.iter().filter_map(|field| figure(field, day));
                figures.any(|figure| figure != 0)
            };
            return of_span.filter(is_any).cloned().collect();
        }
        let mut campaigns: BTreeMap<u64, GoogleDay> = account
            .days
            .iter()
            .map(|day| {
                let GoogleDay {
                    campaign_id,
                    campaign_name,
                    ..
                } = day.clone();
                (
                    campaign_id,
                    GoogleDay {
                        campaign_id,
                        campaign_name,
                        ..GoogleDay::default()
                    },
                )
            })
            .collect();
        for day in of_span {
            let campaign = campaigns.entry(day.campaign_id).or_default();
            campaign.cost_micros += day.cost_micros;
            campaign.impressions += day.impressions;
            campaign.clicks += day.clicks;
        }
        campaigns.into_values().collect()
    }

    fn row(&self, customer: &str, account: &GoogleAccount, row: &GoogleDay) -> Value {
        let mut answer = json!({});
        if self.is_of_campaigns {
            let id = row.campaign_id;
            answer["campaign"]["resourceName"] = json!(format!("customers/{customer}/campaigns/{id}"));
        }
        if !self.is_of_campaigns || self.fields.iter().any(|field| field.starts_with("customer.")) {
            answer["customer"]["resourceName"] = json!(format!("customers/{customer}"));
        }
        for field in &self.fields {
            let value = match *field {
                "customer.id" => json!(customer),
                "customer.currency_code" => json!(account.currency),
                "customer.time_zone" => json!(account.time_zone),
                DATE => json!(row.day),
                "campaign.id" => json!(row.campaign_id.to_string()),
                "campaign.name" => json!(row.campaign_name),
                "campaign.status" => json!("ENABLED"),
                "campaign.advertising_channel_type" => json!("SEARCH"),
                // As Google prints 64-bit numbers in JSON.
                metric => json!(figure(metric, row).unwrap_or_default().to_string()),
            };
            let name = camel(field);
            let (resource, name) = name.split_once('.').expect("fields have a resource");
            answer[resource][name] = value;
        }
        answer
    }
}

fn figure(field: &str, row: &GoogleDay) -> Option<i64> {
    match field {
        "metrics.cost_micros" => Some(row.cost_micros),
        "metrics.impressions" => Some(row.impressions),
        "metrics.clicks" => Some(row.clicks),
        _ => None,
    }
}

fn compared(field: &str, one: &GoogleDay, other: &GoogleDay) -> Ordering {
    match field {
        DATE => one.day.cmp(&other.day),
        "campaign.id" => one.campaign_id.cmp(&other.campaign_id),
        "campaign.name" => one.campaign_name.cmp(&other.campaign_name),
        field => figure(field, one).cmp(&figure(field, other)),
    }
}

/// `metrics.cost_micros` as JSON names it: `metrics.costMicros`.
fn camel(field: &str) -> String {
    let mut name = String::new();
    let mut is_upper = false;
    for character in field.chars() {
        match character {
            '_' => is_upper = true,
            _ if is_upper => {
                name.push(character.to_ascii_uppercase());
                is_upper = false;
            }
            _ => name.push(character),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: &str = "WHERE segments.date BETWEEN '2026-11-01' AND '2026-11-22'";

    fn day(day: &str, campaign_id: u64, cost_micros: i64) -> GoogleDay {
        GoogleDay {
            day: day.to_owned(),
            campaign_id,
            campaign_name: "Verão".to_owned(),
            cost_micros,
            impressions: 0,
            clicks: 2 * i64::from(cost_micros > 0),
        }
    }

    fn account() -> GoogleAccount {
        GoogleAccount {
            currency: "BRL".to_owned(),
            time_zone: "America/Sao_Paulo".to_owned(),
            manager: None,
            days: vec![
                day("2026-11-22", 7, 12_340_000),
                day("2026-11-21", 7, 1_000_000),
                day("2026-11-21", 8, 0),
                day("2026-10-31", 7, 5_000_000),
            ],
        }
    }

    fn rows(text: &str) -> Vec<Value> {
        match Query::read(text) {
            Ok(query) => query.rows("42", &account()),
            Err((code, message)) => panic!("{text}: {code}, {message}"),
        }
    }

    #[test]
    fn what_google_refuses_is_refused_by_its_code() {
        let code = |text: &str| Query::read(text).err().map(|(code, _)| code);
        for (text, expected) in [
            (
                format!("SELECT campaign.colour FROM campaign {SPAN}"),
                "UNRECOGNIZED_FIELD",
            ),
            (
                "SELECT metrics.clicks FROM customer".to_owned(),
                "UNRECOGNIZED_FIELD",
            ),
            ("campaign.id FROM campaign".to_owned(), "EXPECTED_SELECT"),
            ("SELECT campaign.id".to_owned(), "EXPECTED_FROM"),
            ("SELECT".to_owned(), "UNEXPECTED_END_OF_QUERY"),
            (
                format!("SELECT campaign.id FROM campaigns {SPAN}"),
                "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE",
            ),
            (
                "SELECT campaign.id, segments.date FROM campaign".to_owned(),
                "EXPECTED_FILTERS_ON_DATE_RANGE",
            ),
            (
                "SELECT campaign.id FROM campaign WHERE segments.date >= '2026-11-01'".to_owned(),
                "EXPECTED_FILTERS_ON_DATE_RANGE",
            ),
            (
                format!("SELECT campaign.id FROM campaign {SPAN} ORDER BY segments.date"),
                "EXPECTED_REFERENCED_FIELD_IN_SELECT_CLAUSE",
            ),
            (
                "SELECT campaign.id FROM campaign WHERE segments.date BETWEEN '2026-11-31' AND '2026-12-01'"
                    .to_owned(),
                "BAD_VALUE",
            ),
            (
                "SELECT campaign.id FROM campaign WHERE segments.date BETWEEN '2026-11-02' AND '2026-11-01'"
                    .to_owned(),
                "INVALID_VALUE_WITH_BETWEEN_OPERATOR",
            ),
            (
                "SELECT campaign.id FROM campaign WHERE segments.date = '2026".to_owned(),
                "STRING_NOT_TERMINATED",
            ),
            (
                format!("SELECT campaign.id FROM campaign {SPAN} LIMIT 0"),
                "LIMIT_VALUE_TOO_LOW",
            ),
            (
                format!("SELECT campaign.id FROM campaign {SPAN} ORDER campaign.id"),
                "EXPECTED_BY",
            ),
            (
                format!("SELECT campaign.id FROM campaign {SPAN};"),
                "UNEXPECTED_INPUT",
            ),
            (
                format!("SELECT campaign.id FROM campaign {SPAN} GROUP"),
                "UNEXPECTED_INPUT",
            ),
        ] {
            assert_eq!(code(&text), Some(expected), "{text}");
        }
    }

    #[test]
    fn the_documented_query_of_days_of_campaigns_is_answered_as_documented() {
        let text = "SELECT segments.date, customer.id, customer.currency_code, customer.time_zone,
       campaign.id, campaign.name, campaign.status, campaign.advertising_channel_type,
       metrics.cost_micros, metrics.impressions, metrics.clicks
FROM campaign
WHERE segments.date BETWEEN '2026-11-01' AND '2026-11-22'
ORDER BY segments.date";
        let mask = Query::read(text).map(|query| query.mask()).unwrap_or_default();
        assert!(
            mask.starts_with("segments.date,customer.id,customer.currencyCode,"),
            "{mask}"
        );
        assert_eq!(
            rows(text),
            [("2026-11-21", "1000000"), ("2026-11-22", "12340000")].map(|(day, cost)| json!({
                "customer": {"resourceName": "customers/42", "id": "42", "currencyCode": "BRL",
                    "timeZone": "America/Sao_Paulo"},
                "campaign": {"resourceName": "customers/42/campaigns/7", "id": "7", "name": "Verão",
                    "status": "ENABLED", "advertisingChannelType": "SEARCH"},
                "metrics": {"clicks": "2", "costMicros": cost, "impressions": "0"},
                "segments": {"date": day},
            }))
        );
    }

    #[test]
    fn without_the_date_there_are_sums_and_what_is_not_selected_is_not_told() {
        let text = format!(
            "select metrics.cost_micros from campaign {SPAN} order by metrics.cost_micros desc limit 1"
        );
        assert_eq!(
            rows(&text),
            [
                json!({"campaign": {"resourceName": "customers/42/campaigns/7"}, "metrics": {"costMicros": "13340000"}})
            ]
        );
        // A date splits figures; where none is asked for there is nothing to split.
        assert_eq!(
            rows(&format!("SELECT campaign.id, segments.date FROM campaign {SPAN}")),
            Vec::<Value>::new()
        );
        let account = "SELECT customer.currency_code FROM customer LIMIT 1";
        assert_eq!(
            rows(account),
            [json!({"customer": {"resourceName": "customers/42", "currencyCode": "BRL"}})]
        );
    }
}
