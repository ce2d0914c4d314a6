//! `api_keys`: who may send events, and to which dataset. Only a key's hash is stored.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::datasets::{DatasetSettings, SettingsRow};
use crate::error::StoreError;
use crate::schema::{api_keys, datasets};

/// Where a key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyKind {
    /// In browsers, for everyone to see: the request comes from the visitor.
    Publishable,
    /// On the business's servers: the request says nothing about the visitor.
    Secret,
}

impl ApiKeyKind {
    fn as_str(self) -> &'static str {
        match self {
            ApiKeyKind::Publishable => "publishable",
            ApiKeyKind::Secret => "secret",
        }
    }
}

/// What a key stands for.
#[derive(Clone, Debug)]
pub struct Caller {
    pub dataset_id: DatasetId,
    pub kind: ApiKeyKind,
    pub settings: DatasetSettings,
}

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
        diesel::insert_into(api_keys::table)
            .values((
                api_keys::key_hash.eq(hash.as_slice()),
                api_keys::dataset_id.eq(dataset.as_i64()),
                api_keys::kind.eq(kind.as_str()),
                api_keys::label.eq(label),
            ))
            .on_conflict_do_nothing()
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
    }

    /// Every key that is not revoked, by its hash. There are tens of them, not millions: a gateway keeps them all.
    pub async fn callers(&self) -> Result<HashMap<KeyHash, Caller>, StoreError> {
        let rows: Vec<(Vec<u8>, i64, String, SettingsRow)> = api_keys::table
            .inner_join(datasets::table)
            .filter(api_keys::revoked_at.is_null())
            .select((
                api_keys::key_hash,
                api_keys::dataset_id,
                api_keys::kind,
                (
                    datasets::name,
                    datasets::default_country,
                    datasets::default_currency,
                    datasets::test_event_code,
                    datasets::test_event_code_expires_at,
                ),
            ))
            .load(&mut self.connection().await?)
            .await?;
        rows.into_iter()
            .map(|(hash, dataset_id, kind, settings)| {
                let hash = hash
                    .try_into()
                    .map_err(|_| StoreError::Invalid { what: "key_hash" })?;
                let dataset_id = dataset_id
                    .try_into()
                    .map_err(|_| StoreError::Invalid { what: "dataset_id" })?;
                let kind = match kind.as_str() {
                    "publishable" => ApiKeyKind::Publishable,
                    "secret" => ApiKeyKind::Secret,
                    _ => {
                        return Err(StoreError::Invalid {
                            what: "kind of api key",
                        });
                    }
                };
                Ok((
                    hash,
                    Caller {
                        dataset_id,
                        kind,
                        settings: DatasetSettings::from_row(settings)?,
                    },
                ))
            })
            .collect()
    }
}
