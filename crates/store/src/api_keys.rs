//! `api_keys`: who may send events, and to which dataset; who operates the whole, and who only looks. Only a
//! key's hash is stored.

mod admin;

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::datasets::{DatasetSettings, SETTINGS, SettingsRow};
use crate::error::StoreError;
use crate::schema::{api_keys, datasets};

pub use admin::{KeyOrder, KeyRefused, KeyRole, KnownApiKey};

/// Where a key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyKind {
    /// In browsers, for everyone to see: the request comes from the visitor.
    Publishable,
    /// On the business's servers: the request says nothing about the visitor.
    Secret,
}

impl ApiKeyKind {
    /// As it is stored, and said.
    pub fn as_str(self) -> &'static str {
        match self {
            ApiKeyKind::Publishable => "publishable",
            ApiKeyKind::Secret => "secret",
        }
    }
}

/// What a key stands for.
#[derive(Clone, Debug)]
pub enum Identity {
    /// Somebody who sends events.
    Caller(Caller),
    /// Somebody who sees and steers what becomes of the events of all datasets. The label says whose key it
    /// is.
    Operator { label: String },
    /// Somebody who sees the dashboard.
    Viewer,
    /// The dataset takes nothing any more.
    Retired,
}

/// The sender of a dataset's events.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key's short name, for logs and with what it sent.
    pub key_id: i64,
    pub dataset_id: DatasetId,
    pub kind: ApiKeyKind,
    /// The event names that the key may send. `None`: those that its kind may send.
    pub event_names: Option<Vec<String>>,
    pub settings: DatasetSettings,
}

/// Every key that is not revoked.
#[derive(Clone, Debug, Default)]
pub struct Identities {
    pub known: HashMap<KeyHash, Identity>,
    /// Keys that this version cannot make sense of, by why: a newer one may have made them. They open
    /// nothing.
    pub skipped: BTreeMap<String, usize>,
}

/// A key to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewApiKey<'a> {
    pub hash: KeyHash,
    pub kind: ApiKeyKind,
    pub label: &'a str,
    /// See [`Caller::event_names`].
    pub event_names: Option<&'a [String]>,
}

/// What became of a key that was to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    Created,
    /// It was there already, for the same.
    Known,
    /// It was there already, and opens nothing any more.
    Revoked,
}

/// What a stored key is for: its kind, and its dataset unless it is an operator's.
type Purpose<'a> = (&'a str, Option<i64>);

/// SHA-256 of a key.
pub type KeyHash = [u8; 32];

impl Store {
    /// Lets this key send to the dataset. A key that exists keeps its row; a revoked one stays revoked.
    pub async fn put_api_key(
        &self,
        hash: KeyHash,
        dataset: DatasetId,
        kind: ApiKeyKind,
        label: &str,
    ) -> Result<(), StoreError> {
        let key = NewApiKey {
            hash,
            kind,
            label,
            event_names: None,
        };
        self.create_api_key(&key, dataset).await.map(drop)
    }

    /// As [`put_api_key`](Self::put_api_key), with everything that can be said of a key.
    ///
    /// # Errors
    /// [`StoreError::KeyTaken`] if the key is known for something else.
    pub async fn create_api_key(
        &self,
        key: &NewApiKey<'_>,
        dataset: DatasetId,
    ) -> Result<KeyState, StoreError> {
        let row = (
            api_keys::key_hash.eq(key.hash.as_slice()),
            api_keys::dataset_id.eq(dataset.as_i64()),
            api_keys::kind.eq(key.kind.as_str()),
            api_keys::label.eq(key.label),
            api_keys::event_names.eq(key.event_names),
        );
        let created = diesel::insert_into(api_keys::table)
            .values(row)
            .on_conflict(api_keys::key_hash)
            .do_nothing()
            .execute(&mut self.connection().await?)
            .await?;
        if created == 1 {
            return Ok(KeyState::Created);
        }
        let wanted = (key.kind.as_str(), Some(dataset.as_i64()));
        self.key_state(key.hash, key.label, wanted).await
    }

    /// What [`create_api_key`](Self::create_api_key) would find, without making anything.
    ///
    /// # Errors
    /// [`StoreError::KeyTaken`] if the key is known for something else.
    pub async fn check_api_key(
        &self,
        key: &NewApiKey<'_>,
        dataset: DatasetId,
    ) -> Result<KeyState, StoreError> {
        let wanted = (key.kind.as_str(), Some(dataset.as_i64()));
        self.key_state(key.hash, key.label, wanted).await
    }

    /// Lets this key operate. A key that exists keeps its row; a revoked one stays revoked.
    ///
    /// # Errors
    /// [`StoreError::KeyTaken`] if the key is known for something else.
    pub async fn put_admin_key(&self, hash: KeyHash, label: &str) -> Result<KeyState, StoreError> {
        let created = diesel::insert_into(api_keys::table)
            .values((
                api_keys::key_hash.eq(hash.as_slice()),
                api_keys::kind.eq(ADMIN),
                api_keys::label.eq(label),
            ))
            .on_conflict(api_keys::key_hash)
            .do_nothing()
            .execute(&mut self.connection().await?)
            .await?;
        match created {
            1 => Ok(KeyState::Created),
            _ => self.key_state(hash, label, (ADMIN, None)).await,
        }
    }

    /// Lets this key look at the dashboard: at one dataset, or (`None`) at all. A key that exists keeps its
    /// row; a revoked one stays revoked.
    ///
    /// # Errors
    /// [`StoreError::KeyTaken`] if the key is known for something else.
    pub async fn put_viewer_key(
        &self,
        hash: KeyHash,
        dataset: Option<DatasetId>,
        label: &str,
    ) -> Result<KeyState, StoreError> {
        let dataset = dataset.map(DatasetId::as_i64);
        let created = diesel::insert_into(api_keys::table)
            .values((
                api_keys::key_hash.eq(hash.as_slice()),
                api_keys::dataset_id.eq(dataset),
                api_keys::kind.eq(VIEWER),
                api_keys::label.eq(label),
            ))
            .on_conflict(api_keys::key_hash)
            .do_nothing()
            .execute(&mut self.connection().await?)
            .await?;
        match created {
            1 => Ok(KeyState::Created),
            _ => self.key_state(hash, label, (VIEWER, dataset)).await,
        }
    }

    /// `Created` stands for a key that is not there: it can be made.
    async fn key_state(
        &self,
        hash: KeyHash,
        label: &str,
        wanted: Purpose<'_>,
    ) -> Result<KeyState, StoreError> {
        let row: Option<(String, Option<i64>, bool)> = api_keys::table
            .find(hash.as_slice())
            .select((
                api_keys::kind,
                api_keys::dataset_id,
                api_keys::revoked_at.is_not_null(),
            ))
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        match row {
            None => Ok(KeyState::Created),
            Some((kind, dataset, is_revoked)) if (kind.as_str(), dataset) == wanted => match is_revoked {
                true => Ok(KeyState::Revoked),
                false => Ok(KeyState::Known),
            },
            Some((kind, dataset, _)) => Err(StoreError::KeyTaken {
                label: label.to_owned(),
                known_for: match dataset {
                    Some(dataset) => format!("a {kind} key of dataset {dataset}"),
                    None => format!("a key of kind {kind}"),
                },
            }),
        }
    }

    /// Every key that is not revoked, by its hash. There are tens of them, not millions: a gateway keeps them
    /// all. A row that this version cannot read is skipped: it must not cost the others their key.
    pub async fn identities(&self) -> Result<Identities, StoreError> {
        type Row = (
            Vec<u8>,
            String,
            String,
            (i64, Option<Vec<String>>),
            Option<(i64, SettingsRow, bool)>,
        );
        let rows: Vec<Row> = api_keys::table
            .left_join(datasets::table)
            .filter(api_keys::revoked_at.is_null())
            .select((
                api_keys::key_hash,
                api_keys::kind,
                api_keys::label,
                (api_keys::key_id, api_keys::event_names),
                (datasets::dataset_id, SETTINGS, datasets::retired_at.is_not_null()).nullable(),
            ))
            .load(&mut self.connection().await?)
            .await?;
        let mut identities = Identities::default();
        for (hash, kind, label, (key_id, event_names), dataset) in rows {
            let hash = KeyHash::try_from(hash).map_err(|_| StoreError::Invalid { what: "key_hash" });
            let identity = identity(&kind, label, key_id, event_names, dataset);
            match hash.and_then(|hash| Ok((hash, identity?))) {
                Ok((hash, identity)) => {
                    identities.known.insert(hash, identity);
                }
                Err(error) => {
                    let why = format!("kind {kind:?}: {error}");
                    *identities.skipped.entry(why).or_default() += 1;
                }
            }
        }
        Ok(identities)
    }
}

const ADMIN: &str = "admin";
const VIEWER: &str = "viewer";

fn identity(
    kind: &str,
    label: String,
    key_id: i64,
    event_names: Option<Vec<String>>,
    dataset: Option<(i64, SettingsRow, bool)>,
) -> Result<Identity, StoreError> {
    let (kind, dataset_id, settings) = match (kind, dataset) {
        (ADMIN, None) => return Ok(Identity::Operator { label }),
        (VIEWER, _) => return Ok(Identity::Viewer),
        ("publishable" | "secret", Some((_, _, true))) => return Ok(Identity::Retired),
        ("publishable", Some((id, settings, false))) => (ApiKeyKind::Publishable, id, settings),
        ("secret", Some((id, settings, false))) => (ApiKeyKind::Secret, id, settings),
        _ => {
            return Err(StoreError::Invalid {
                what: "kind of api key",
            });
        }
    };
    Ok(Identity::Caller(Caller {
        key_id,
        dataset_id: dataset_id
            .try_into()
            .map_err(|_| StoreError::Invalid { what: "dataset_id" })?,
        kind,
        event_names,
        settings: DatasetSettings::from_row(settings)?,
    }))
}
