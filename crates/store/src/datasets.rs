//! `datasets`: whose events we carry, and with which access token.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use rastro_core::dataset::{Currency, DatasetDefaults, DatasetId};
use rastro_core::match_keys::CountryCode;
use secrecy::{ExposeSecret, SecretString};

use crate::connection::Store;
use crate::error::StoreError;
use crate::schema::datasets;

/// What the owner of a dataset sets, the access token apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetSettings {
    pub name: String,
    pub defaults: DatasetDefaults,
    /// Marks all events for Meta's Test Events until the given moment.
    pub test_event_code: Option<(String, DateTime<Utc>)>,
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
);

impl DatasetSettings {
    pub(crate) fn from_row(row: SettingsRow) -> Result<Self, StoreError> {
        let (name, country, currency, test_event_code, expires_at) = row;
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
        })
    }
}

impl Store {
    /// Creates the dataset or brings it to these settings.
    pub async fn put_dataset(&self, dataset: &Dataset) -> Result<(), StoreError> {
        let settings = &dataset.settings;
        let sealed = self
            .sealer
            .seal(dataset.access_token.expose_secret(), &token_of(dataset.id));
        let code = settings.test_event_code.as_ref();
        let row = (
            datasets::dataset_id.eq(dataset.id.as_i64()),
            datasets::name.eq(&settings.name),
            datasets::access_token_sealed.eq(sealed),
            datasets::default_country.eq(settings
                .defaults
                .country
                .map(|country| country.as_str().to_owned())),
            datasets::default_currency.eq(settings
                .defaults
                .currency
                .map(|currency| currency.as_str().to_owned())),
            datasets::test_event_code.eq(code.map(|(code, _)| code)),
            datasets::test_event_code_expires_at.eq(code.map(|(_, expires_at)| expires_at)),
        );
        diesel::insert_into(datasets::table)
            .values(row)
            .on_conflict(datasets::dataset_id)
            .do_update()
            .set((
                datasets::name.eq(excluded(datasets::name)),
                datasets::access_token_sealed.eq(excluded(datasets::access_token_sealed)),
                datasets::default_country.eq(excluded(datasets::default_country)),
                datasets::default_currency.eq(excluded(datasets::default_currency)),
                datasets::test_event_code.eq(excluded(datasets::test_event_code)),
                datasets::test_event_code_expires_at.eq(excluded(datasets::test_event_code_expires_at)),
                datasets::updated_at.eq(diesel::dsl::now),
            ))
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
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
