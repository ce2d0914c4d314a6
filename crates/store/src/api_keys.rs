//! `api_keys`: who may send events, and to which dataset; and who operates the whole. Only a key's hash is stored.

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
pub enum Identity {
    /// Somebody who sends events.
    Caller(Caller),
    /// Somebody who sees and steers what becomes of the events of all datasets. The label says whose key it is.
    Operator { label: String },
}

/// The sender of a dataset's events.
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

    /// Lets this key operate. A key that exists keeps its row; a revoked one stays revoked.
    pub async fn put_admin_key(&self, hash: KeyHash, label: &str) -> Result<(), StoreError> {
        diesel::insert_into(api_keys::table)
            .values((
                api_keys::key_hash.eq(hash.as_slice()),
                api_keys::kind.eq("admin"),
                api_keys::label.eq(label),
            ))
            .on_conflict_do_nothing()
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
    }

    /// Every key that is not revoked, by its hash. There are tens of them, not millions: a gateway keeps them all.
    pub async fn identities(&self) -> Result<HashMap<KeyHash, Identity>, StoreError> {
        type Row = (Vec<u8>, String, String, Option<(i64, SettingsRow)>);
        let rows: Vec<Row> = api_keys::table
            .left_join(datasets::table)
            .filter(api_keys::revoked_at.is_null())
            .select((
                api_keys::key_hash,
                api_keys::kind,
                api_keys::label,
                (
                    datasets::dataset_id,
                    (
                        datasets::name,
                        datasets::default_country,
                        datasets::default_currency,
                        datasets::test_event_code,
                        datasets::test_event_code_expires_at,
                    ),
                )
                    .nullable(),
            ))
            .load(&mut self.connection().await?)
            .await?;
        rows.into_iter()
            .map(|(hash, kind, label, dataset)| {
                let hash = hash
                    .try_into()
                    .map_err(|_| StoreError::Invalid { what: "key_hash" })?;
                Ok((hash, identity(&kind, label, dataset)?))
            })
            .collect()
    }
}

fn identity(kind: &str, label: String, dataset: Option<(i64, SettingsRow)>) -> Result<Identity, StoreError> {
    let (kind, dataset_id, settings) = match (kind, dataset) {
        ("admin", None) => return Ok(Identity::Operator { label }),
        ("publishable", Some((id, settings))) => (ApiKeyKind::Publishable, id, settings),
        ("secret", Some((id, settings))) => (ApiKeyKind::Secret, id, settings),
        _ => {
            return Err(StoreError::Invalid {
                what: "kind of api key",
            });
        }
    };
    Ok(Identity::Caller(Caller {
        dataset_id: dataset_id
            .try_into()
            .map_err(|_| StoreError::Invalid { what: "dataset_id" })?,
        kind,
        settings: DatasetSettings::from_row(settings)?,
    }))
}
