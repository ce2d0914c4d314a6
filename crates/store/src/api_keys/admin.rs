//! Keys as people keep them: made here and shown once, listed, revoked; each change with its entry in the
//! log.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use secrecy::SecretString;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{ADMIN, KeyHash, VIEWER};
use crate::admin_log::{self, NewEntry};
use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::schema::{api_keys, datasets, rastro_now};

/// So many random bytes are in a key.
const RANDOM_BYTES: usize = 32;
/// So many of its last characters tell it from others.
const SHOWN: usize = 4;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRole {
    /// As [`ApiKeyKind::Publishable`](super::ApiKeyKind::Publishable).
    Publishable,
    /// As [`ApiKeyKind::Secret`](super::ApiKeyKind::Secret).
    Secret,
    /// Operates everything, of all datasets.
    Admin,
    /// Sees the dashboard, of one dataset or of all, and changes nothing.
    Viewer,
}

impl KeyRole {
    pub const ALL: [KeyRole; 4] = [
        KeyRole::Publishable,
        KeyRole::Secret,
        KeyRole::Admin,
        KeyRole::Viewer,
    ];

    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyRole::Publishable => "publishable",
            KeyRole::Secret => "secret",
            KeyRole::Admin => ADMIN,
            KeyRole::Viewer => VIEWER,
        }
    }

    /// From the word that is stored.
    pub fn parse(word: &str) -> Option<Self> {
        KeyRole::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// How such a key begins.
    fn prefix(self) -> &'static str {
        match self {
            KeyRole::Publishable => "pk_",
            KeyRole::Secret => "sk_",
            KeyRole::Admin => "ak_",
            KeyRole::Viewer => "vk_",
        }
    }

    /// Whether a key of this role belongs to a dataset. `None`: it may.
    pub fn has_dataset(self) -> Option<bool> {
        match self {
            KeyRole::Publishable | KeyRole::Secret => Some(true),
            KeyRole::Admin => Some(false),
            KeyRole::Viewer => None,
        }
    }

    /// Whether a key of this role sends events.
    pub fn sends(self) -> bool {
        self.has_dataset() == Some(true)
    }
}

/// A key as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownApiKey {
    pub key_id: i64,
    /// `None`: it is for all of them.
    pub dataset_id: Option<DatasetId>,
    pub role: KeyRole,
    pub label: String,
    /// The event names that it may send. `None`: those that its role may send.
    pub event_names: Option<Vec<String>>,
    /// How it begins and ends, such as `sk_...Ab3d`. `None`: it was not made here.
    pub shown: Option<String>,
    pub created_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A key that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOrder {
    pub role: KeyRole,
    /// As [`KeyRole::has_dataset`] says.
    pub dataset_id: Option<DatasetId>,
    pub label: String,
    /// Only for keys that send.
    pub event_names: Option<Vec<String>>,
}

/// Why no key was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    #[error("there is no such dataset")]
    UnknownDataset,
    #[error("the dataset is retired")]
    RetiredDataset,
    #[error("a key of this kind belongs to a dataset")]
    NeedsDataset,
    #[error("a key of this kind is for all datasets")]
    TakesNoDataset,
    #[error("a key of this kind sends no events")]
    SendsNothing,
}

/// A key that was just made.
struct Fresh {
    key: SecretString,
    hash: KeyHash,
    shown: String,
}

impl Fresh {
    fn of(role: KeyRole) -> Self {
        let random: [u8; RANDOM_BYTES] = rand::random();
        let key = format!("{}{}", role.prefix(), URL_SAFE_NO_PAD.encode(random));
        Fresh {
            hash: Sha256::digest(&key).into(),
            shown: format!("{}...{}", role.prefix(), &key[key.len() - SHOWN..]),
            key: key.into(),
        }
    }
}

type Row = (
    i64,
    Option<i64>,
    String,
    String,
    Option<Vec<String>>,
    Option<String>,
    DateTime<Utc>,
    Option<DateTime<Utc>>,
);

#[rustfmt::skip]
type Columns = (
    api_keys::key_id, api_keys::dataset_id, api_keys::kind, api_keys::label, api_keys::event_names, api_keys::shown,
    api_keys::created_at, api_keys::revoked_at,
);

const COLUMNS: Columns = (
    api_keys::key_id,
    api_keys::dataset_id,
    api_keys::kind,
    api_keys::label,
    api_keys::event_names,
    api_keys::shown,
    api_keys::created_at,
    api_keys::revoked_at,
);

fn known(row: Row) -> Result<KnownApiKey, StoreError> {
    let (key_id, dataset, kind, label, event_names, shown, created_at, revoked_at) = row;
    Ok(KnownApiKey {
        key_id,
        dataset_id: dataset.map(dataset_id).transpose()?,
        role: KeyRole::parse(&kind).ok_or(StoreError::Invalid {
            what: "kind of api key",
        })?,
        label,
        event_names,
        shown,
        created_at,
        revoked_at,
    })
}

/// For the log: what tells this key from others, and nothing that opens anything.
impl fmt::Display for KnownApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} key {} ({})", self.role.as_str(), self.key_id, self.label)
    }
}

impl Store {
    /// The keys of one dataset (those for all datasets are not among them), or all keys; the newest first,
    /// revoked ones too. One that this program cannot read is left out, logged and counted.
    pub async fn api_keys(&self, dataset: Option<DatasetId>) -> Result<Vec<KnownApiKey>, StoreError> {
        let mut keys = api_keys::table
            .select(COLUMNS)
            .order(api_keys::key_id.desc())
            .into_boxed();
        if let Some(dataset) = dataset {
            keys = keys.filter(api_keys::dataset_id.eq(dataset.as_i64()));
        }
        let rows: Vec<Row> = keys.load(&mut self.connection().await?).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let key_id = row.0;
            match known(row) {
                Ok(key) => all.push(key),
                Err(_) => self.unknown_words.note("api_keys", key_id),
            }
        }
        Ok(all)
    }

    /// What the key of this hash is for; `None`: it is not known, or was revoked, or its dataset was retired.
    pub async fn api_key_of(&self, hash: KeyHash) -> Result<Option<KnownApiKey>, StoreError> {
        let row: Option<Row> = api_keys::table
            .left_join(datasets::table)
            .filter(api_keys::key_hash.eq(hash.as_slice()))
            .filter(api_keys::revoked_at.is_null())
            .filter(datasets::retired_at.is_null())
            .select(COLUMNS)
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        row.map(known).transpose()
    }

    /// Makes a key, by order of `who`. The key itself is told this once, and stored nowhere.
    pub async fn issue_api_key(
        &self,
        order: &KeyOrder,
        who: &str,
    ) -> Result<Result<(KnownApiKey, SecretString), KeyRefused>, StoreError> {
        match (order.role.has_dataset(), order.dataset_id) {
            (Some(true), None) => return Ok(Err(KeyRefused::NeedsDataset)),
            (Some(false), Some(_)) => return Ok(Err(KeyRefused::TakesNoDataset)),
            _ if order.event_names.is_some() && !order.role.sends() => {
                return Ok(Err(KeyRefused::SendsNothing));
            }
            _ => {}
        }
        let fresh = Fresh::of(order.role);
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        let made = connection
            .transaction(async |connection| {
                if let Some(dataset) = order.dataset_id {
                    // Shared: it is not retired before this is written.
                    let retired: Option<Option<DateTime<Utc>>> = datasets::table
                        .find(dataset.as_i64())
                        .select(datasets::retired_at)
                        .for_share()
                        .first(connection)
                        .await
                        .optional()?;
                    match retired {
                        None => return Ok::<_, StoreError>(Err(KeyRefused::UnknownDataset)),
                        Some(Some(_)) => return Ok(Err(KeyRefused::RetiredDataset)),
                        Some(None) => {}
                    }
                }
                let row: Row = diesel::insert_into(api_keys::table)
                    .values((
                        api_keys::key_hash.eq(fresh.hash.as_slice()),
                        api_keys::dataset_id.eq(order.dataset_id.map(DatasetId::as_i64)),
                        api_keys::kind.eq(order.role.as_str()),
                        api_keys::label.eq(&order.label),
                        api_keys::event_names.eq(&order.event_names),
                        api_keys::shown.eq(&fresh.shown),
                        api_keys::created_at.eq(rastro_now()),
                    ))
                    .returning(COLUMNS)
                    .get_result(connection)
                    .await?;
                let key = known(row)?;
                log(connection, who, "key.create", &key).await?;
                Ok(Ok(key))
            })
            .await?;
        Ok(made.map(|known| (known, fresh.key)))
    }

    /// Revokes a key, by order of `who`: it opens nothing any more. `None`: there is no such key. One that is
    /// revoked stays so.
    pub async fn revoke_api_key(&self, key_id: i64, who: &str) -> Result<Option<KnownApiKey>, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                let revoked = diesel::update(api_keys::table)
                    .filter(api_keys::key_id.eq(key_id))
                    .filter(api_keys::revoked_at.is_null())
                    .set(api_keys::revoked_at.eq(rastro_now().nullable()))
                    .returning(COLUMNS)
                    .get_result::<Row>(connection)
                    .await
                    .optional()?;
                if let Some(row) = revoked {
                    let key = known(row)?;
                    log(connection, who, "key.revoke", &key).await?;
                    return Ok(Some(key));
                }
                let row: Option<Row> = api_keys::table
                    .filter(api_keys::key_id.eq(key_id))
                    .select(COLUMNS)
                    .first(connection)
                    .await
                    .optional()?;
                row.map(known).transpose()
            })
            .await
    }
}

async fn log(
    connection: &mut AsyncPgConnection,
    who: &str,
    action: &'static str,
    key: &KnownApiKey,
) -> Result<(), StoreError> {
    let entry = NewEntry {
        who,
        action,
        dataset: key.dataset_id,
        key_id: Some(key.key_id),
        detail: json!({
            "kind": key.role.as_str(),
            "label": key.label,
            "event_names": key.event_names,
            "shown": key.shown,
        }),
    };
    admin_log::insert(connection, entry).await
}
