//! Datasets as people keep them: each change with its entry in the log, in one transaction.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::{Currency, DatasetId};
use rastro_core::lead_status::LeadEvents;
use rastro_core::lead_value::LeadValue;
use rastro_core::match_keys::CountryCode;
use rastro_core::purchase::PurchaseSource;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::{Dataset, DatasetSettings, SETTINGS, SettingsRow, token_of};
use crate::admin_log::{self, NewEntry};
use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::schema::{datasets, rastro_now};

/// Who orders what a configuration is written over, in the log.
const RESEED: &str = "reseed";

/// A dataset as people see it. The access token is for nobody to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDataset {
    pub id: DatasetId,
    pub settings: DatasetSettings,
    /// What Meta calls it, and when Meta last said so of the stored access token. `None`: it has not.
    pub meta_name: Option<String>,
    pub token_checked_at: Option<DateTime<Utc>>,
    /// Since then its keys open nothing.
    pub retired_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What somebody changes of a dataset. `None`: it stays. An inner `None` takes the setting away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetChange {
    pub name: Option<String>,
    pub default_country: Option<Option<CountryCode>>,
    pub default_currency: Option<Option<Currency>>,
    pub test_event_code: Option<Option<(String, DateTime<Utc>)>>,
    pub allowed_origins: Option<Vec<String>>,
    pub cookie_domain: Option<Option<String>>,
    pub purchase_source: Option<PurchaseSource>,
    /// One that [`Store::knows_time_zone`].
    pub time_zone: Option<String>,
    pub lead_events: Option<LeadEvents>,
    pub remember_clicks: Option<bool>,
    pub lead_value: Option<LeadValue>,
    pub lead_value_minimum_orders: Option<u32>,
}

impl DatasetChange {
    /// The settings with the change made.
    pub fn apply(&self, settings: &DatasetSettings) -> DatasetSettings {
        let mut settings = settings.clone();
        let DatasetChange {
            name,
            default_country,
            default_currency,
            test_event_code,
            allowed_origins,
            cookie_domain,
            purchase_source,
            time_zone,
            lead_events,
            remember_clicks,
            lead_value,
            lead_value_minimum_orders,
        } = self.clone();
        set(&mut settings.name, name);
        set(&mut settings.defaults.country, default_country);
        set(&mut settings.defaults.currency, default_currency);
        set(&mut settings.test_event_code, test_event_code);
        set(&mut settings.allowed_origins, allowed_origins);
        set(&mut settings.cookie_domain, cookie_domain);
        set(&mut settings.purchase_source, purchase_source);
        set(&mut settings.time_zone, time_zone);
        set(&mut settings.lead_events, lead_events);
        set(&mut settings.remember_clicks, remember_clicks);
        set(&mut settings.lead_value, lead_value);
        set(&mut settings.lead_value_minimum_orders, lead_value_minimum_orders);
        settings
    }
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

/// What Meta said of an access token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenCheck {
    /// What Meta calls the dataset. `None`: it did not say.
    pub meta_name: Option<String>,
}

type Row = (
    i64,
    SettingsRow,
    Option<String>,
    Option<DateTime<Utc>>,
    Option<DateTime<Utc>>,
    DateTime<Utc>,
    DateTime<Utc>,
);

#[rustfmt::skip]
type Columns = (
    datasets::dataset_id, super::SettingsColumns, datasets::meta_name, datasets::token_checked_at, datasets::retired_at,
    datasets::created_at, datasets::updated_at,
);

const COLUMNS: Columns = (
    datasets::dataset_id,
    SETTINGS,
    datasets::meta_name,
    datasets::token_checked_at,
    datasets::retired_at,
    datasets::created_at,
    datasets::updated_at,
);

fn known(
    (id, settings, meta_name, token_checked_at, retired_at, created_at, updated_at): Row,
) -> Result<KnownDataset, StoreError> {
    Ok(KnownDataset {
        id: dataset_id(id)?,
        settings: DatasetSettings::from_row(settings)?,
        meta_name,
        token_checked_at,
        retired_at,
        created_at,
        updated_at,
    })
}

async fn find(connection: &mut AsyncPgConnection, id: DatasetId) -> Result<Option<KnownDataset>, StoreError> {
    let row: Option<Row> = datasets::table
        .find(id.as_i64())
        .select(COLUMNS)
        .first(connection)
        .await
        .optional()?;
    row.map(known).transpose()
}

/// As [`find`], and nobody changes it until the transaction ends.
async fn find_to_change(
    connection: &mut AsyncPgConnection,
    id: DatasetId,
) -> Result<Option<KnownDataset>, StoreError> {
    let row: Option<Row> = datasets::table
        .find(id.as_i64())
        .select(COLUMNS)
        .for_update()
        .first(connection)
        .await
        .optional()?;
    row.map(known).transpose()
}

impl Store {
    /// Every dataset, retired ones too, by its name. A row that this program cannot read is left out, logged
    /// and counted.
    pub async fn datasets(&self) -> Result<Vec<KnownDataset>, StoreError> {
        let rows: Vec<Row> = datasets::table
            .select(COLUMNS)
            .order((datasets::name, datasets::dataset_id))
            .load(&mut self.connection().await?)
            .await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.0;
            match known(row) {
                Ok(dataset) => all.push(dataset),
                Err(_) => self.unknown_words.note("datasets", id),
            }
        }
        Ok(all)
    }

    /// One dataset; `None` if there is none of this id.
    pub async fn dataset(&self, id: DatasetId) -> Result<Option<KnownDataset>, StoreError> {
        find(&mut *self.connection().await?, id).await
    }

    /// Creates a dataset, by order of `who`. `None`: there is one of this id, which stays as it is.
    pub async fn add_dataset(
        &self,
        dataset: &Dataset,
        check: &TokenCheck,
        who: &str,
    ) -> Result<Option<KnownDataset>, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                let (name, at) = checked(connection, check).await?;
                let created = diesel::insert_into(datasets::table)
                    .values((
                        self.row(dataset),
                        datasets::meta_name.eq(name),
                        datasets::token_checked_at.eq(at),
                    ))
                    .on_conflict_do_nothing()
                    .execute(connection)
                    .await?;
                if created == 0 {
                    return Ok(None);
                }
                log(
                    connection,
                    who,
                    "dataset.create",
                    dataset.id,
                    Value::Object(dataset.settings.as_json()),
                )
                .await?;
                find(connection, dataset.id).await
            })
            .await
    }

    /// Changes a dataset's settings, by order of `who`, and says how it is now. What stays the same is not
    /// logged. `None`: there is no such dataset.
    pub async fn change_dataset(
        &self,
        id: DatasetId,
        change: &DatasetChange,
        who: &str,
    ) -> Result<Option<KnownDataset>, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                let Some(before) = find_to_change(connection, id).await? else {
                    return Ok(None);
                };
                let after = change.apply(&before.settings);
                if after == before.settings {
                    return Ok(Some(before));
                }
                write(connection, id, &after).await?;
                let detail = difference(&before.settings, &after);
                log(connection, who, "dataset.change", id, Value::Object(detail)).await?;
                find(connection, id).await
            })
            .await
    }

    /// Seals another access token for the dataset, by order of `who`. `None`: there is no such dataset.
    pub async fn enter_token(
        &self,
        id: DatasetId,
        token: &SecretString,
        check: &TokenCheck,
        who: &str,
    ) -> Result<Option<KnownDataset>, StoreError> {
        let sealed = self.sealer.seal(token.expose_secret(), &token_of(id));
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                let (name, at) = checked(connection, check).await?;
                let changed = diesel::update(datasets::table.find(id.as_i64()))
                    .set((
                        datasets::access_token_sealed.eq(sealed),
                        datasets::meta_name.eq(name),
                        datasets::token_checked_at.eq(at),
                        datasets::updated_at.eq(rastro_now()),
                    ))
                    .execute(connection)
                    .await?;
                if changed == 0 {
                    return Ok(None);
                }
                log(
                    connection,
                    who,
                    "dataset.token",
                    id,
                    json!({ "meta_name": check.meta_name }),
                )
                .await?;
                find(connection, id).await
            })
            .await
    }

    /// Creates the dataset or brings it to these settings and this token, by order of the configuration. Of
    /// one that exists, stays what no seed knows: the purchase source, the time zone, the events of leads,
    /// their value and whether clicks are remembered. What is not the same is logged; what Meta said of the
    /// old token is not said of the new one.
    pub async fn put_dataset(&self, dataset: &Dataset) -> Result<(), StoreError> {
        let id = dataset.id;
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                let created = diesel::insert_into(datasets::table)
                    .values(self.row(dataset))
                    .on_conflict_do_nothing()
                    .execute(connection)
                    .await?;
                let before = find_to_change(connection, id).await?;
                let Some(before) = before.filter(|_| created == 0) else {
                    return Ok(());
                };
                self.put_token(connection, dataset).await?;
                let after = DatasetSettings {
                    purchase_source: before.settings.purchase_source,
                    time_zone: before.settings.time_zone.clone(),
                    lead_events: before.settings.lead_events.clone(),
                    remember_clicks: before.settings.remember_clicks,
                    lead_value: before.settings.lead_value,
                    lead_value_minimum_orders: before.settings.lead_value_minimum_orders,
                    ..dataset.settings.clone()
                };
                if after != before.settings {
                    write(connection, id, &after).await?;
                    let detail = difference(&before.settings, &after);
                    log(connection, RESEED, "dataset.change", id, Value::Object(detail)).await?;
                }
                Ok(())
            })
            .await
    }

    /// Seals the token over another one. One that opens and is the same stays.
    async fn put_token(
        &self,
        connection: &mut AsyncPgConnection,
        dataset: &Dataset,
    ) -> Result<(), StoreError> {
        let token = dataset.access_token.expose_secret();
        let row = datasets::table.find(dataset.id.as_i64());
        let sealed: Vec<u8> = row
            .select(datasets::access_token_sealed)
            .first(connection)
            .await?;
        let stored = self.sealer.open(&sealed, &token_of(dataset.id));
        if stored.is_some_and(|stored| stored.expose_secret() == token) {
            return Ok(());
        }
        diesel::update(row)
            .set((
                datasets::access_token_sealed.eq(self.sealer.seal(token, &token_of(dataset.id))),
                datasets::meta_name.eq(None::<String>),
                datasets::token_checked_at.eq(None::<DateTime<Utc>>),
                datasets::updated_at.eq(rastro_now()),
            ))
            .execute(connection)
            .await?;
        let detail = json!({ "meta_name": null });
        log(connection, RESEED, "dataset.token", dataset.id, detail).await
    }

    /// Ends a dataset, by order of `who`: from now on its keys open nothing. What was accepted is still sent.
    /// `None`: there is no such dataset. One that is retired stays so.
    pub async fn retire_dataset(&self, id: DatasetId, who: &str) -> Result<Option<KnownDataset>, StoreError> {
        self.turn(id, true, who).await
    }

    /// Takes a dataset's end back, by order of `who`: its keys that were not revoked open again. `None`:
    /// there is no such dataset.
    pub async fn restore_dataset(
        &self,
        id: DatasetId,
        who: &str,
    ) -> Result<Option<KnownDataset>, StoreError> {
        self.turn(id, false, who).await
    }

    async fn turn(
        &self,
        id: DatasetId,
        retires: bool,
        who: &str,
    ) -> Result<Option<KnownDataset>, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                let Some(before) = find_to_change(connection, id).await? else {
                    return Ok(None);
                };
                if before.retired_at.is_some() == retires {
                    return Ok(Some(before));
                }
                let now: DateTime<Utc> = diesel::select(rastro_now()).get_result(connection).await?;
                diesel::update(datasets::table.find(id.as_i64()))
                    .set((
                        datasets::retired_at.eq(retires.then_some(now)),
                        datasets::updated_at.eq(now),
                    ))
                    .execute(connection)
                    .await?;
                let action = if retires {
                    "dataset.retire"
                } else {
                    "dataset.restore"
                };
                log(connection, who, action, id, json!({})).await?;
                find(connection, id).await
            })
            .await
    }

    /// Whether PostgreSQL knows a time zone of this name.
    pub async fn knows_time_zone(&self, name: &str) -> Result<bool, StoreError> {
        #[derive(QueryableByName)]
        struct Known {
            #[diesel(sql_type = diesel::sql_types::Bool)]
            known: bool,
        }
        let known: Known =
            sql_query("SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = $1) AS known")
                .bind::<Text, _>(name)
                .get_result(&mut self.connection().await?)
                .await?;
        Ok(known.known)
    }
}

/// What Meta calls the dataset, and now, if Meta said so.
async fn checked(
    connection: &mut AsyncPgConnection,
    check: &TokenCheck,
) -> Result<(Option<String>, Option<DateTime<Utc>>), StoreError> {
    let now: DateTime<Utc> = diesel::select(rastro_now()).get_result(connection).await?;
    Ok((check.meta_name.clone(), check.meta_name.as_ref().map(|_| now)))
}

async fn write(
    connection: &mut AsyncPgConnection,
    id: DatasetId,
    settings: &DatasetSettings,
) -> Result<(), StoreError> {
    let (code, expires_at) = settings.test_event_code.clone().unzip();
    let country = settings
        .defaults
        .country
        .map(|country| country.as_str().to_owned());
    let currency = settings
        .defaults
        .currency
        .map(|currency| currency.as_str().to_owned());
    let origins = Some(&settings.allowed_origins).filter(|origins| !origins.is_empty());
    diesel::update(datasets::table.find(id.as_i64()))
        .set((
            datasets::name.eq(&settings.name),
            datasets::default_country.eq(country),
            datasets::default_currency.eq(currency),
            datasets::test_event_code.eq(code),
            datasets::test_event_code_expires_at.eq(expires_at),
            datasets::allowed_origins.eq(origins),
            datasets::cookie_domain.eq(&settings.cookie_domain),
            datasets::purchase_source.eq(settings.purchase_source.as_str()),
            datasets::time_zone.eq(&settings.time_zone),
            datasets::lead_events.eq(super::lead_events_json(&settings.lead_events)),
            datasets::remember_clicks.eq(settings.remember_clicks),
            datasets::lead_value.eq(settings.lead_value.as_str()),
            datasets::lead_value_minimum_orders.eq(super::minimum_orders(settings)),
            datasets::updated_at.eq(rastro_now()),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

/// Each setting that differs, with what it was and what it is.
fn difference(before: &DatasetSettings, after: &DatasetSettings) -> Map<String, Value> {
    let after = after.as_json();
    before
        .as_json()
        .into_iter()
        .filter_map(|(name, from)| {
            let to = after.get(&name).cloned().unwrap_or_default();
            (from != to).then(|| (name, json!({ "from": from, "to": to })))
        })
        .collect()
}

async fn log(
    connection: &mut AsyncPgConnection,
    who: &str,
    action: &'static str,
    dataset: DatasetId,
    detail: Value,
) -> Result<(), StoreError> {
    let entry = NewEntry {
        who,
        action,
        dataset: Some(dataset),
        key_id: None,
        detail,
    };
    admin_log::insert(connection, entry).await
}
