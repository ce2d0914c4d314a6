//! Datasets and keys in and out, as people keep them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rastro_core::dataset::{Currency, DatasetId};
use rastro_core::json::Json;
use rastro_core::lead_status::LeadEvents;
use rastro_core::lead_value::LeadValue;
use rastro_core::match_keys::CountryCode;
use rastro_core::origin;
use rastro_core::purchase::PurchaseSource;
use rastro_store::{
    AdminLogEntry, DatasetChange, KeyOrder, KeyRole, KnownApiKey, KnownDataset, MOST_MINIMUM_ORDERS,
};
use secrecy::SecretString;
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{Fields, line, list, time};
use crate::problem::Problem;

const LONGEST_NAME: usize = 100;
const LONGEST_TOKEN: usize = 2_000;
const LONGEST_CODE: usize = 64;
const MOST_ORIGINS: usize = 50;
const MOST_EVENT_NAMES: usize = 50;
const LONGEST_PAGE: i64 = 500;
const DATASET_ID: &str = "the number that Events Manager shows, as text, such as \"123456789012345\"";

/// Reads the settings that a body names. Whether a time zone is known, only the database can tell.
pub(crate) fn change(fields: &mut Fields<'_>, now: DateTime<Utc>) -> DatasetChange {
    for name in [
        "name",
        "purchase_source",
        "time_zone",
        "lead_events",
        "remember_clicks",
        "lead_value",
        "lead_value_minimum_orders",
    ] {
        if fields.is_null(name) {
            fields.wrong(name, "cannot be null");
        }
    }
    let name = fields.take(
        "name",
        &format!("1 to {LONGEST_NAME} characters on one line"),
        |name| line(name.as_str()?, LONGEST_NAME).map(str::to_owned),
    );
    let no_country = fields.is_null("default_country");
    let country = fields.take(
        "default_country",
        "an ISO code of a country, such as \"br\", or null",
        |code| CountryCode::parse(code.as_str()?),
    );
    let no_currency = fields.is_null("default_currency");
    let currency = fields.take(
        "default_currency",
        "an ISO code of a currency, such as \"BRL\", or null",
        |code| Currency::parse(code.as_str()?),
    );
    let no_domain = fields.is_null("cookie_domain");
    let domain = fields.take(
        "cookie_domain",
        "a domain in small letters, such as \"example.com.br\", or null",
        |domain| {
            domain
                .as_str()
                .filter(|domain| origin::is_domain(domain))
                .map(str::to_owned)
        },
    );
    let no_origins = fields.is_null("allowed_origins");
    let origins = fields.take(
        "allowed_origins",
        &format!(
            "a list of at most {MOST_ORIGINS} origins as browsers write them: \"https://loja.example.com.br\", \
             \"https://*.example.com.br\" or \"null\""
        ),
        |origins| match origins {
            Json::Array(origins) if origins.is_empty() => Some(Vec::new()),
            origins => list(origins, MOST_ORIGINS, |origin| {
                origin.as_str().filter(|origin| origin::is_pattern(origin)).map(str::to_owned)
            }),
        },
    );
    let purchase_source = fields.take("purchase_source", "recorded or verified", |source| {
        PurchaseSource::parse(source.as_str()?)
    });
    let time_zone = fields.take(
        "time_zone",
        "a time zone, such as \"America/Sao_Paulo\"",
        |zone| line(zone.as_str()?, LONGEST_NAME).map(str::to_owned),
    );
    let lead_value = fields.take("lead_value", "none or predicted", |value| {
        LeadValue::parse(value.as_str()?)
    });
    let lead_value_minimum_orders = fields.take(
        "lead_value_minimum_orders",
        &format!("a whole number from 1 to {MOST_MINIMUM_ORDERS}"),
        |orders| match orders {
            Json::Unsigned(orders) => {
                let orders = u32::try_from(orders).ok()?;
                (1..=MOST_MINIMUM_ORDERS).contains(&orders).then_some(orders)
            }
            _ => None,
        },
    );
    DatasetChange {
        name,
        default_country: country.map(Some).or(no_country.then_some(None)),
        default_currency: currency.map(Some).or(no_currency.then_some(None)),
        test_event_code: test_event_code(fields, now),
        allowed_origins: origins.or(no_origins.then(Vec::new)),
        cookie_domain: domain.map(Some).or(no_domain.then_some(None)),
        purchase_source,
        time_zone,
        lead_events: lead_events(fields),
        remember_clicks: fields.take("remember_clicks", "true or false", |choice| match choice {
            Json::Bool(choice) => Some(choice),
            _ => None,
        }),
        lead_value,
        lead_value_minimum_orders,
    }
}

/// The code and its end, which go together.
fn test_event_code(fields: &mut Fields<'_>, now: DateTime<Utc>) -> Option<Option<(String, DateTime<Utc>)>> {
    let (no_code, names_code) = (fields.is_null("test_event_code"), fields.names("test_event_code"));
    let names_until = fields.names("test_event_code_until");
    let code = fields.take(
        "test_event_code",
        "a code from Meta's Test Events, or null",
        |code| {
            let is_code = |code: &&str| code.bytes().all(|byte| byte.is_ascii_graphic());
            line(code.as_str()?, LONGEST_CODE)
                .filter(is_code)
                .map(str::to_owned)
        },
    );
    let until = fields.take(
        "test_event_code_until",
        "a time to come, as RFC 3339 writes it, such as \"2026-11-23T18:00:00-03:00\"",
        |until| time(until).filter(|until| *until > now),
    );
    if names_code && !names_until {
        fields.wrong(
            "test_event_code_until",
            "is required with a test_event_code: when it ends",
        );
    } else if names_until && !names_code {
        fields.wrong("test_event_code_until", "goes with a test_event_code");
    }
    code.zip(until).map(Some).or(no_code.then_some(None))
}

fn lead_events(fields: &mut Fields<'_>) -> Option<LeadEvents> {
    let expected = "an object of event names by status, such as {\"scheduled\": \"Schedule\"}";
    let named = fields.take("lead_events", expected, |events| match events {
        Json::Object(events) => Some(events),
        _ => None,
    })?;
    let pairs = named
        .iter()
        .map(|(status, name)| (&**status, name.as_str().unwrap_or_default()));
    match LeadEvents::read(pairs) {
        Ok(events) => Some(events),
        Err((status, why)) => {
            fields.wrong_within("lead_events", &status, why);
            None
        }
    }
}

/// The access token that a body brings.
pub(crate) fn access_token(fields: &mut Fields<'_>) -> Option<SecretString> {
    let names_token = fields.names("access_token");
    let token = fields.take(
        "access_token",
        "an access token of Meta's, without blanks",
        |token| {
            let token = token.as_str()?.trim();
            let is_token = (1..=LONGEST_TOKEN).contains(&token.len())
                && token.bytes().all(|byte| byte.is_ascii_graphic());
            is_token.then(|| SecretString::from(token.to_owned()))
        },
    );
    if !names_token {
        fields.wrong(
            "access_token",
            "is required: Events Manager, Settings, Conversions API",
        );
    }
    token
}

/// The dataset that a body or a query names.
pub(crate) fn dataset_id(fields: &mut Fields<'_>) -> Option<DatasetId> {
    fields.take("dataset_id", DATASET_ID, |id| id.as_str()?.parse().ok())
}

/// Reads the order of a key. Whether it fits together, [`rastro_store::Store::issue_api_key`] says.
pub(crate) fn key_order(fields: &mut Fields<'_>) -> Option<KeyOrder> {
    const KINDS: &str = "publishable, secret, admin or viewer";
    let (names_kind, names_label) = (fields.names("kind"), fields.names("label"));
    let role = fields.take("kind", KINDS, |kind| KeyRole::parse(kind.as_str()?));
    let label = fields.take(
        "label",
        &format!("1 to {LONGEST_NAME} characters on one line"),
        |label| line(label.as_str()?, LONGEST_NAME).map(str::to_owned),
    );
    let dataset_id = dataset_id(fields);
    let event_names = fields.take(
        "event_names",
        &format!("a list of 1 to {MOST_EVENT_NAMES} names of events"),
        |names| {
            list(names, MOST_EVENT_NAMES, |name| {
                line(name.as_str()?, LONGEST_NAME).map(str::to_owned)
            })
        },
    );
    if !names_kind {
        fields.wrong("kind", &format!("is required: {KINDS}"));
    }
    if !names_label {
        fields.wrong(
            "label",
            "is required: where the key is used, for whoever looks next",
        );
    }
    Some(KeyOrder {
        role: role?,
        dataset_id,
        label: label?,
        event_names,
    })
}

/// A query of `GET /api/admin/log`.
pub(crate) struct LogQuery {
    pub(crate) dataset_id: Option<DatasetId>,
    pub(crate) before: Option<i64>,
    pub(crate) limit: i64,
}

impl LogQuery {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let mut fields = Fields::of_query(text);
        let dataset_id = dataset_id(&mut fields);
        let before = fields.take("before", "the next_before of an earlier answer", |before| {
            before.as_str()?.parse().ok().filter(|before: &i64| *before >= 0)
        });
        let limit = fields.take("limit", &format!("a number from 1 to {LONGEST_PAGE}"), |limit| {
            limit
                .as_str()?
                .parse()
                .ok()
                .filter(|limit| (1..=LONGEST_PAGE).contains(limit))
        });
        fields.finish()?;
        Ok(LogQuery {
            dataset_id,
            before,
            limit: limit.unwrap_or(100),
        })
    }
}

/// A dataset. Its access token is never shown.
#[derive(Serialize, ToSchema)]
pub(crate) struct DatasetView {
    #[schema(value_type = String, example = "123456789012345")]
    pub(crate) dataset_id: DatasetId,
    pub(crate) name: String,
    #[schema(example = "br")]
    pub(crate) default_country: Option<String>,
    #[schema(example = "BRL")]
    pub(crate) default_currency: Option<String>,
    #[schema(example = "America/Sao_Paulo")]
    pub(crate) time_zone: String,
    pub(crate) test_event_code: Option<String>,
    pub(crate) test_event_code_until: Option<DateTime<Utc>>,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) cookie_domain: Option<String>,
    /// recorded or verified.
    pub(crate) purchase_source: &'static str,
    /// Which event a lead becomes when it comes to a status.
    pub(crate) lead_events: BTreeMap<String, String>,
    /// Whether an event that comes without a click id gets the one that is remembered of its person.
    pub(crate) remember_clicks: bool,
    /// none, or predicted: a Lead without a value gets conversion rate times mean net order of its campaign.
    #[schema(example = "none")]
    pub(crate) lead_value: &'static str,
    /// A campaign with fewer orders predicts nothing.
    pub(crate) lead_value_minimum_orders: u32,
    /// What Meta calls it, and when Meta last said so of the stored access token; null: it has not.
    pub(crate) meta_name: Option<String>,
    pub(crate) token_checked_at: Option<DateTime<Utc>>,
    /// Since then its keys open nothing.
    pub(crate) retired_at: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl From<KnownDataset> for DatasetView {
    fn from(dataset: KnownDataset) -> Self {
        let settings = dataset.settings;
        let (test_event_code, test_event_code_until) = settings.test_event_code.unzip();
        DatasetView {
            dataset_id: dataset.id,
            name: settings.name,
            default_country: settings
                .defaults
                .country
                .map(|country| country.as_str().to_owned()),
            default_currency: settings
                .defaults
                .currency
                .map(|currency| currency.as_str().to_owned()),
            time_zone: settings.time_zone,
            test_event_code,
            test_event_code_until,
            allowed_origins: settings.allowed_origins,
            cookie_domain: settings.cookie_domain,
            purchase_source: settings.purchase_source.as_str(),
            lead_events: settings
                .lead_events
                .iter()
                .map(|(status, name)| (status.as_str().to_owned(), name.to_owned()))
                .collect(),
            remember_clicks: settings.remember_clicks,
            lead_value: settings.lead_value.as_str(),
            lead_value_minimum_orders: settings.lead_value_minimum_orders,
            meta_name: dataset.meta_name,
            token_checked_at: dataset.token_checked_at,
            retired_at: dataset.retired_at,
            created_at: dataset.created_at,
            updated_at: dataset.updated_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DatasetList {
    pub(crate) datasets: Vec<DatasetView>,
}

/// What Meta said of an access token when it was entered.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenReport {
    /// confirmed: it opens the dataset. not_readable: Meta does not show the dataset for it; it may be a
    /// token for sending only, of another dataset, or without a permission. unreachable: Meta could not be
    /// asked.
    #[schema(example = "confirmed")]
    pub(crate) result: &'static str,
    /// What Meta calls the dataset.
    pub(crate) meta_name: Option<String>,
    /// Meta's words, or why there are none.
    pub(crate) message: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DatasetReceipt {
    pub(crate) dataset: DatasetView,
    pub(crate) token: TokenReport,
}

/// A key. The key itself is shown once, when it is made.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyView {
    pub(crate) key_id: i64,
    /// publishable, secret, admin or viewer.
    #[schema(example = "secret")]
    pub(crate) kind: &'static str,
    /// null: it is for all datasets.
    #[schema(value_type = Option<String>, example = "123456789012345")]
    pub(crate) dataset_id: Option<DatasetId>,
    #[schema(example = "loja, servidor")]
    pub(crate) label: String,
    /// The event names that it may send; null: those that its kind may send.
    pub(crate) event_names: Option<Vec<String>>,
    /// How it begins and ends; null: it was not made here.
    #[schema(example = "sk_...Ab3d")]
    pub(crate) shown: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) revoked_at: Option<DateTime<Utc>>,
}

impl From<KnownApiKey> for KeyView {
    fn from(key: KnownApiKey) -> Self {
        KeyView {
            key_id: key.key_id,
            kind: key.role.as_str(),
            dataset_id: key.dataset_id,
            label: key.label,
            event_names: key.event_names,
            shown: key.shown,
            created_at: key.created_at,
            revoked_at: key.revoked_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct KeyList {
    pub(crate) keys: Vec<KeyView>,
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyReceipt {
    pub(crate) key: KeyView,
    /// The key itself. It is stored nowhere and never shown again.
    #[schema(example = "sk_kqXw4pYwA1r0oZqkJ6Y8vN2c3dE5fG7hI9jK1lM3nO4")]
    pub(crate) api_key: String,
}

/// A change that somebody made.
#[derive(Serialize, ToSchema)]
pub(crate) struct LogEntry {
    pub(crate) entry_id: i64,
    pub(crate) at: DateTime<Utc>,
    #[schema(example = "ana (on call)")]
    pub(crate) who: String,
    #[schema(example = "dataset.change")]
    pub(crate) action: String,
    #[schema(value_type = Option<String>, example = "123456789012345")]
    pub(crate) dataset_id: Option<DatasetId>,
    pub(crate) key_id: Option<i64>,
    /// Of a change: each setting with its values from and to. No secrets.
    #[schema(value_type = Object)]
    pub(crate) detail: serde_json::Value,
}

/// The newest changes first.
#[derive(Serialize, ToSchema)]
pub(crate) struct LogPage {
    pub(crate) entries: Vec<LogEntry>,
    /// `before` of the next page; null: this is the last.
    pub(crate) next_before: Option<i64>,
}

impl LogPage {
    pub(crate) fn new(entries: Vec<AdminLogEntry>, limit: i64) -> Self {
        let is_full = i64::try_from(entries.len()).is_ok_and(|count| count == limit);
        LogPage {
            next_before: entries.last().map(|entry| entry.entry_id).filter(|_| is_full),
            entries: entries
                .into_iter()
                .map(|entry| LogEntry {
                    entry_id: entry.entry_id,
                    at: entry.at,
                    who: entry.who,
                    action: entry.action,
                    dataset_id: entry.dataset_id,
                    key_id: entry.key_id,
                    detail: entry.detail,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<DatasetChange, Vec<String>> {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let mut fields = Fields::of_body(text.as_bytes()).unwrap();
        let change = change(&mut fields, now);
        fields.finish().map(|()| change).map_err(|problem| {
            let problem = serde_json::to_value(problem).unwrap();
            let errors = problem["errors"].as_array().unwrap();
            errors
                .iter()
                .map(|error| error["pointer"].as_str().unwrap().to_owned())
                .collect()
        })
    }

    #[test]
    fn what_is_not_named_stays_and_null_takes_away() {
        assert_eq!(read("{}"), Ok(DatasetChange::default()));
        let expected = DatasetChange {
            default_country: Some(None),
            default_currency: Some(None),
            cookie_domain: Some(None),
            test_event_code: Some(None),
            allowed_origins: Some(Vec::new()),
            ..DatasetChange::default()
        };
        let nulls = r#"{"default_country":null,"default_currency":null,"cookie_domain":null,"test_event_code":null,
            "allowed_origins":null}"#;
        assert_eq!(read(nulls).as_ref(), Ok(&expected));
        let emptied = read(r#"{"allowed_origins":[]}"#).unwrap();
        assert_eq!(emptied.allowed_origins, Some(Vec::new()));
        let code =
            read(r#"{"test_event_code":"TEST1","test_event_code_until":"2026-11-23T12:00:01Z"}"#).unwrap();
        assert_eq!(code.test_event_code.unwrap().unwrap().0, "TEST1");
    }

    #[test]
    fn every_wrong_setting_is_named_at_once() {
        let wrong = r#"{"name":"","default_country":"Brasil","default_currency":"XXX","cookie_domain":"br",
            "allowed_origins":["https://a.example/"],"purchase_source":"x","time_zone":7,"lead_events":{"won":"X"},
             "lead_value":"guessed","lead_value_minimum_orders":0,
             "remember_clicks":"yes","test_event_code":"T1","acess_token":"EAA"}"#;
        let named = read(wrong).unwrap_err();
        let expected = [
            "/name",
            "/default_country",
            "/default_currency",
            "/cookie_domain",
            "/allowed_origins",
            "/purchase_source",
            "/time_zone",
            "/lead_value",
            "/lead_value_minimum_orders",
            "/test_event_code_until",
            "/lead_events/won",
            "/remember_clicks",
            "/acess_token",
        ];
        assert_eq!(named, expected);
        assert_eq!(read(r#"{"name":null}"#).unwrap_err(), ["/name"]);
        let past = r#"{"test_event_code":"T","test_event_code_until":"2026-11-23T12:00:00Z"}"#;
        assert_eq!(read(past).unwrap_err(), ["/test_event_code_until"]);
        let alone = r#"{"test_event_code_until":"2026-11-24T12:00:00Z"}"#;
        assert_eq!(read(alone).unwrap_err(), ["/test_event_code_until"]);
    }
}
