//! `datasets`: whose events we carry, and with which access token.

mod admin;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use rastro_core::dataset::{Currency, DatasetDefaults, DatasetId};
use rastro_core::lead_status::LeadEvents;
use rastro_core::lead_value::LeadValue;
use rastro_core::match_keys::CountryCode;
use rastro_core::purchase::PurchaseSource;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use crate::connection::Store;
use crate::error::StoreError;
use crate::schema::datasets;

pub use admin::{DatasetChange, KnownDataset, TokenCheck};

/// What the owner of a dataset sets, the access token apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetSettings {
    pub name: String,
    pub defaults: DatasetDefaults,
    /// Marks all events for Meta's Test Events until the given moment.
    pub test_event_code: Option<(String, DateTime<Utc>)>,
    /// Which pages may send with the publishable keys ([`rastro_core::origin`]). Empty: those of the
    /// gateway's own host.
    pub allowed_origins: Vec<String>,
    /// The domain for which answers to pages refresh the visitor's cookies.
    pub cookie_domain: Option<String>,
    pub purchase_source: PurchaseSource,
    /// Where the business's days begin and end: a name of the IANA time zones.
    pub time_zone: String,
    pub lead_events: LeadEvents,
    /// Whether an event that comes without a click id gets the one that is remembered of its person.
    pub remember_clicks: bool,
    pub lead_value: LeadValue,
    /// A campaign with fewer orders predicts nothing. 1 to [`MOST_MINIMUM_ORDERS`].
    pub lead_value_minimum_orders: u32,
}

/// More is a mistake.
pub const MOST_MINIMUM_ORDERS: u32 = 1_000_000;
/// Of datasets of which nothing is said: with fewer, the mean order is chance.
const MINIMUM_ORDERS: u32 = 30;

impl Default for DatasetSettings {
    fn default() -> Self {
        DatasetSettings {
            name: String::new(),
            defaults: DatasetDefaults::default(),
            test_event_code: None,
            allowed_origins: Vec::new(),
            cookie_domain: None,
            purchase_source: PurchaseSource::default(),
            time_zone: "America/Sao_Paulo".to_owned(),
            lead_events: LeadEvents::default(),
            remember_clicks: true,
            lead_value: LeadValue::default(),
            lead_value_minimum_orders: MINIMUM_ORDERS,
        }
    }
}

/// A dataset with the token that opens it at Meta.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub id: DatasetId,
    pub settings: DatasetSettings,
    pub access_token: SecretString,
}

/// The columns of [`DatasetSettings`].
pub(crate) type SettingsRow = (
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<DateTime<Utc>>,
    Option<Vec<String>>,
    Option<String>,
    String,
    String,
    Value,
    bool,
    String,
    i32,
);

/// Their names, in the same order.
type SettingsColumns = (
    datasets::name,
    datasets::default_country,
    datasets::default_currency,
    datasets::test_event_code,
    datasets::test_event_code_expires_at,
    datasets::allowed_origins,
    datasets::cookie_domain,
    datasets::purchase_source,
    datasets::time_zone,
    datasets::lead_events,
    datasets::remember_clicks,
    datasets::lead_value,
    datasets::lead_value_minimum_orders,
);

pub(crate) const SETTINGS: SettingsColumns = (
    datasets::name,
    datasets::default_country,
    datasets::default_currency,
    datasets::test_event_code,
    datasets::test_event_code_expires_at,
    datasets::allowed_origins,
    datasets::cookie_domain,
    datasets::purchase_source,
    datasets::time_zone,
    datasets::lead_events,
    datasets::remember_clicks,
    datasets::lead_value,
    datasets::lead_value_minimum_orders,
);

#[derive(Insertable)]
#[diesel(table_name = datasets)]
struct NewDataset {
    dataset_id: i64,
    name: String,
    access_token_sealed: Vec<u8>,
    default_country: Option<String>,
    default_currency: Option<String>,
    test_event_code: Option<String>,
    test_event_code_expires_at: Option<DateTime<Utc>>,
    allowed_origins: Option<Vec<String>>,
    cookie_domain: Option<String>,
    purchase_source: &'static str,
    time_zone: String,
    lead_events: Value,
    remember_clicks: bool,
    lead_value: &'static str,
    lead_value_minimum_orders: i32,
}

impl DatasetSettings {
    pub(crate) fn from_row(row: SettingsRow) -> Result<Self, StoreError> {
        let (
            name,
            country,
            currency,
            test_event_code,
            expires_at,
            origins,
            cookie_domain,
            source,
            zone,
            events,
            remember_clicks,
            lead_value,
            minimum_orders,
        ) = row;
        let country = country
            .map(|code| {
                CountryCode::parse(&code).ok_or(StoreError::Invalid {
                    what: "default_country",
                })
            })
            .transpose()?;
        let currency = currency
            .map(|code| {
                Currency::parse(&code).ok_or(StoreError::Invalid {
                    what: "default_currency",
                })
            })
            .transpose()?;
        Ok(DatasetSettings {
            name,
            defaults: DatasetDefaults { country, currency },
            test_event_code: test_event_code.zip(expires_at),
            allowed_origins: origins.unwrap_or_default(),
            cookie_domain,
            purchase_source: PurchaseSource::parse(&source).ok_or(StoreError::Invalid {
                what: "purchase_source",
            })?,
            time_zone: zone,
            lead_events: lead_events_of(&events)?,
            remember_clicks,
            lead_value: LeadValue::parse(&lead_value).ok_or(StoreError::Invalid { what: "lead_value" })?,
            lead_value_minimum_orders: u32::try_from(minimum_orders).map_err(|_| StoreError::Invalid {
                what: "lead_value_minimum_orders",
            })?,
        })
    }

    /// Every setting by its name, as the log shows it.
    fn as_json(&self) -> Map<String, Value> {
        let (code, until) = self.test_event_code.clone().unzip();
        let country = self.defaults.country.map(|country| country.as_str().to_owned());
        let currency = self
            .defaults
            .currency
            .map(|currency| currency.as_str().to_owned());
        let settings = json!({
            "name": self.name,
            "default_country": country,
            "default_currency": currency,
            "test_event_code": code,
            "test_event_code_until": until,
            "allowed_origins": self.allowed_origins,
            "cookie_domain": self.cookie_domain,
            "purchase_source": self.purchase_source.as_str(),
            "time_zone": self.time_zone,
            "lead_events": lead_events_json(&self.lead_events),
            "remember_clicks": self.remember_clicks,
            "lead_value": self.lead_value.as_str(),
            "lead_value_minimum_orders": self.lead_value_minimum_orders,
        });
        match settings {
            Value::Object(settings) => settings,
            _ => Map::new(),
        }
    }
}

fn lead_events_of(stored: &Value) -> Result<LeadEvents, StoreError> {
    let invalid = StoreError::Invalid { what: "lead_events" };
    let pairs = stored.as_object().into_iter().flatten();
    LeadEvents::read(pairs.map(|(status, name)| (status.as_str(), name.as_str().unwrap_or_default())))
        .map_err(|_| invalid)
}

/// As it is stored.
fn minimum_orders(settings: &DatasetSettings) -> i32 {
    let orders = settings.lead_value_minimum_orders.clamp(1, MOST_MINIMUM_ORDERS);
    i32::try_from(orders).unwrap_or(i32::MAX)
}

fn lead_events_json(events: &LeadEvents) -> Value {
    events
        .iter()
        .map(|(status, name)| (status.as_str().to_owned(), Value::from(name)))
        .collect()
}

impl Store {
    /// Creates the dataset, and says whether it did: one that exists stays as it is.
    pub async fn create_dataset(&self, dataset: &Dataset) -> Result<bool, StoreError> {
        let created = diesel::insert_into(datasets::table)
            .values(self.row(dataset))
            .on_conflict_do_nothing()
            .execute(&mut self.connection().await?)
            .await?;
        Ok(created == 1)
    }

    fn row(&self, dataset: &Dataset) -> NewDataset {
        let settings = &dataset.settings;
        let (code, expires_at) = settings.test_event_code.clone().unzip();
        NewDataset {
            dataset_id: dataset.id.as_i64(),
            name: settings.name.clone(),
            access_token_sealed: self
                .sealer
                .seal(dataset.access_token.expose_secret(), &token_of(dataset.id)),
            default_country: settings
                .defaults
                .country
                .map(|country| country.as_str().to_owned()),
            default_currency: settings
                .defaults
                .currency
                .map(|currency| currency.as_str().to_owned()),
            test_event_code: code,
            test_event_code_expires_at: expires_at,
            allowed_origins: Some(settings.allowed_origins.clone()).filter(|origins| !origins.is_empty()),
            cookie_domain: settings.cookie_domain.clone(),
            purchase_source: settings.purchase_source.as_str(),
            time_zone: settings.time_zone.clone(),
            lead_events: lead_events_json(&settings.lead_events),
            remember_clicks: settings.remember_clicks,
            lead_value: settings.lead_value.as_str(),
            lead_value_minimum_orders: minimum_orders(settings),
        }
    }

    /// What is set for a dataset; `None` if we do not know it.
    pub async fn dataset_settings(&self, dataset: DatasetId) -> Result<Option<DatasetSettings>, StoreError> {
        let row: Option<SettingsRow> = datasets::table
            .find(dataset.as_i64())
            .select(SETTINGS)
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        row.map(DatasetSettings::from_row).transpose()
    }

    /// Whether our sealing keys are those of this database: an error if there are access tokens and none of
    /// them opens, and the same of the leads that are looked at.
    pub async fn check_sealing_keys(&self) -> Result<(), StoreError> {
        let tokens: Vec<(i64, Vec<u8>)> = datasets::table
            .select((datasets::dataset_id, datasets::access_token_sealed))
            .load(&mut self.connection().await?)
            .await?;
        let opens = |(dataset, sealed): &(i64, Vec<u8>)| {
            let dataset = DatasetId::try_from(*dataset).ok();
            dataset.is_some_and(|dataset| self.sealer.open(sealed, &token_of(dataset)).is_some())
        };
        match tokens.is_empty() || tokens.iter().any(opens) {
            true => self.check_keys_of_leads().await,
            false => Err(StoreError::SealingKey),
        }
    }

    /// Seals every access token with the first sealing key; returns how many it sealed, and how many open
    /// with no key.
    pub(crate) async fn reseal_access_tokens(&self) -> Result<(usize, usize), StoreError> {
        let mut connection = self.connection().await?;
        let tokens: Vec<(i64, Vec<u8>)> = datasets::table
            .select((datasets::dataset_id, datasets::access_token_sealed))
            .load(&mut connection)
            .await?;
        let (mut resealed, mut unopened) = (0, 0);
        for (id, sealed) in tokens {
            let dataset = DatasetId::try_from(id).map_err(|_| StoreError::Invalid { what: "dataset_id" })?;
            let Some(token) = self.sealer.open(&sealed, &token_of(dataset)) else {
                unopened += 1;
                continue;
            };
            let anew = self.sealer.seal(token.expose_secret(), &token_of(dataset));
            // Not over a token that was changed meanwhile.
            let row = datasets::table
                .find(id)
                .filter(datasets::access_token_sealed.eq(sealed));
            resealed += diesel::update(row)
                .set(datasets::access_token_sealed.eq(anew))
                .execute(&mut connection)
                .await?;
        }
        Ok((resealed, unopened))
    }

    /// The token with which Meta lets us send to this dataset; `None` if we do not know the dataset.
    pub async fn access_token(&self, dataset: DatasetId) -> Result<Option<SecretString>, StoreError> {
        let sealed: Option<Vec<u8>> = datasets::table
            .find(dataset.as_i64())
            .select(datasets::access_token_sealed)
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        let Some(sealed) = sealed else { return Ok(None) };
        match self.sealer.open(&sealed, &token_of(dataset)) {
            Some(token) => Ok(Some(token)),
            None => Err(StoreError::Sealed {
                dataset_id: dataset.as_i64(),
            }),
        }
    }
}

/// What an access token is sealed for.
fn token_of(dataset: DatasetId) -> String {
    format!("access token of dataset {dataset}")
}
