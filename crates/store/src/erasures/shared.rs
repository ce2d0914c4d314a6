//! Keys that are nobody's own: the address that an office types into every form, the browser of a counter's
//! tablet. They lead from no person to another, unless the person was named by them.

use std::collections::{BTreeMap, BTreeSet};

use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use sha2::{Digest, Sha256};

use super::traces::LeadRow;
use crate::error::StoreError;
use crate::lookup::PersonLookups;

/// A key by which a lead may lead on.
#[derive(Clone, Copy)]
pub(super) enum Key<'k> {
    Email(&'k [u8]),
    Phone(&'k [u8]),
    Visitor(&'k [u8]),
    ExternalId(&'k [u8]),
    Fbp(&'k str),
    Fbc(&'k str),
}

impl Key<'_> {
    fn kind(self) -> &'static str {
        match self {
            Key::Email(_) => "email",
            Key::Phone(_) => "phone",
            Key::Visitor(_) => "visitor",
            Key::ExternalId(_) => "external_id",
            Key::Fbp(_) => "fbp",
            Key::Fbc(_) => "fbc",
        }
    }

    /// Its HMAC, or its SHA-256 where it is kept as a text.
    fn hash(self) -> Vec<u8> {
        match self {
            Key::Email(hmac) | Key::Phone(hmac) | Key::Visitor(hmac) | Key::ExternalId(hmac) => hmac.to_vec(),
            Key::Fbp(text) | Key::Fbc(text) => Sha256::digest(text).to_vec(),
        }
    }

    fn text(self) -> Option<String> {
        match self {
            Key::Fbp(text) | Key::Fbc(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

/// Keys of a person's leads, and which of them are shared.
pub(super) struct Judged {
    /// Whoever is named by a key answers for it.
    given: BTreeSet<Vec<u8>>,
    is_shared: BTreeMap<Vec<u8>, bool>,
}

impl Judged {
    pub(super) fn except(given: &PersonLookups) -> Self {
        let given = [&given.email, &given.phone].into_iter().flatten();
        Judged {
            given: given.cloned().collect(),
            is_shared: BTreeMap::new(),
        }
    }

    /// Looks at the keys of these leads that it has not looked at.
    pub(super) async fn judge(
        &mut self,
        mut connection: &AsyncPgConnection,
        dataset: DatasetId,
        leads: &[LeadRow],
    ) -> Result<(), StoreError> {
        let mut asked: BTreeMap<Vec<u8>, Key<'_>> = BTreeMap::new();
        for key in leads.iter().flat_map(LeadRow::keys) {
            let hash = key.hash();
            if !self.given.contains(&hash) && !self.is_shared.contains_key(&hash) {
                asked.insert(hash, key);
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Binary)]
            hash: Vec<u8>,
        }
        let shared: Vec<Row> = sql_query(include_str!("../sql/shared_keys.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Array<Text>, _>(asked.values().map(|key| key.kind()).collect::<Vec<_>>())
            .bind::<Array<Binary>, _>(asked.keys().collect::<Vec<_>>())
            .bind::<Array<Nullable<Text>>, _>(asked.values().map(|key| key.text()).collect::<Vec<_>>())
            .load(&mut connection)
            .await?;
        let shared: BTreeSet<Vec<u8>> = shared.into_iter().map(|row| row.hash).collect();
        let judged = asked.into_keys().map(|hash| (shared.contains(&hash), hash));
        self.is_shared
            .extend(judged.map(|(is_shared, hash)| (hash, is_shared)));
        Ok(())
    }

    /// Whether a key is one person's, as far as is known. One that nobody judged is not.
    pub(super) fn is_own(&self, key: Key<'_>) -> bool {
        let hash = key.hash();
        self.given.contains(&hash) || self.is_shared.get(&hash) == Some(&false)
    }

    pub(super) fn shared(self) -> Vec<Vec<u8>> {
        let shared = self.is_shared.into_iter().filter(|(_, is_shared)| *is_shared);
        shared.map(|(hash, _)| hash).collect()
    }
}

/// Remembers that these are shared: who is erased is not counted any more.
pub(super) async fn remember(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    shared: &[Vec<u8>],
) -> Result<(), StoreError> {
    sql_query(
        "INSERT INTO shared_keys (dataset_id, key_hash, found_at)
         SELECT $1, key_hash, rastro_now() FROM unnest($2::bytea[]) AS key_hash ON CONFLICT DO NOTHING",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .bind::<Array<Binary>, _>(shared)
    .execute(&mut connection)
    .await?;
    Ok(())
}
