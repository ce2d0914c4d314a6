//! `idempotency_keys`: the first answer to a request that may come again. Written in the transaction of what
//! it answers for.

use std::collections::HashSet;
use std::fmt;

use diesel::sql_types::{Array, BigInt, Binary, SmallInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::error::StoreError;
use crate::events::Stored;
use crate::statement::Prepare;

/// An answer as it is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    pub status: u16,
    pub body: String,
}

/// A key, and how the request that carries it is answered once it is known what became of it.
pub struct IdempotencyKey {
    pub dataset_id: DatasetId,
    pub key_id: i64,
    pub key: String,
    /// SHA-256 of address and body.
    pub body_hash: Vec<u8>,
    pub answer: Box<dyn Fn(&Stored) -> KeptAnswer + Send + Sync>,
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyKey")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

type Place<'k> = (i64, i64, &'k str);

fn place(key: &IdempotencyKey) -> Place<'_> {
    (key.dataset_id.as_i64(), key.key_id, &key.key)
}

impl Store {
    /// The answer that was given under a key, and the hash of the body that it was given to.
    pub async fn kept_answer(
        &self,
        dataset: DatasetId,
        key_id: i64,
        key: &str,
    ) -> Result<Option<(Vec<u8>, KeptAnswer)>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Binary)]
            body_hash: Vec<u8>,
            #[diesel(sql_type = SmallInt)]
            status_code: i16,
            #[diesel(sql_type = Text)]
            answer: String,
        }
        let row: Option<Row> = sql_query(include_str!("sql/kept_answer.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<BigInt, _>(key_id)
            .bind::<Text, _>(key)
            .prepared()
            .maybe_row(self)
            .await?;
        Ok(row.map(|row| {
            let status = u16::try_from(row.status_code).unwrap_or_default();
            (
                row.body_hash,
                KeptAnswer {
                    status,
                    body: row.answer,
                },
            )
        }))
    }

    /// Forgets answers that are older than 48 hours, at most `limit`; returns how many.
    pub async fn expire_idempotency_keys(&self, limit: i64) -> Result<usize, StoreError> {
        let expired = sql_query(include_str!("sql/expire_idempotency_keys.sql"))
            .bind::<BigInt, _>(limit)
            .prepared()
            .run(self)
            .await?;
        Ok(expired)
    }
}

/// Claims the keys, and says of each whether it was free. Whoever claims the same key at the same time waits
/// until that transaction ends.
pub(crate) async fn claim(
    mut connection: &AsyncPgConnection,
    keys: &[Option<&IdempotencyKey>],
) -> Result<Vec<bool>, StoreError> {
    let mut first = HashSet::new();
    let mut free: Vec<bool> = keys
        .iter()
        .map(|key| key.is_none_or(|key| first.insert(place(key))))
        .collect();
    let mut sorted: Vec<&IdempotencyKey> = keys
        .iter()
        .zip(&free)
        .filter_map(|(key, is_first)| key.filter(|_| *is_first))
        .collect();
    if sorted.is_empty() {
        return Ok(free);
    }
    // So that two writers with the same keys never wait for each other.
    sorted.sort_by_key(|key| place(key));
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        dataset_id: i64,
        #[diesel(sql_type = BigInt)]
        key_id: i64,
        #[diesel(sql_type = Text)]
        idempotency_key: String,
    }
    let claimed: Vec<Row> = sql_query(include_str!("sql/claim_idempotency_keys.sql"))
        .bind::<Array<BigInt>, _>(
            sorted
                .iter()
                .map(|key| key.dataset_id.as_i64())
                .collect::<Vec<_>>(),
        )
        .bind::<Array<BigInt>, _>(sorted.iter().map(|key| key.key_id).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(sorted.iter().map(|key| key.key.as_str()).collect::<Vec<_>>())
        .bind::<Array<Binary>, _>(
            sorted
                .iter()
                .map(|key| key.body_hash.as_slice())
                .collect::<Vec<_>>(),
        )
        .prepared()
        .load(&mut connection)
        .await?;
    let claimed: HashSet<Place<'_>> = claimed
        .iter()
        .map(|row| (row.dataset_id, row.key_id, row.idempotency_key.as_str()))
        .collect();
    for (free, key) in free.iter_mut().zip(keys) {
        *free &= key.is_none_or(|key| claimed.contains(&place(key)));
    }
    Ok(free)
}

/// Keeps the answers of keys that were claimed.
pub(crate) async fn keep(
    mut connection: &AsyncPgConnection,
    answers: &[(&IdempotencyKey, KeptAnswer)],
) -> Result<(), StoreError> {
    if answers.is_empty() {
        return Ok(());
    }
    let status = |answer: &KeptAnswer| i16::try_from(answer.status).unwrap_or_default();
    sql_query(include_str!("sql/keep_answers.sql"))
        .bind::<Array<BigInt>, _>(
            answers
                .iter()
                .map(|(key, _)| key.dataset_id.as_i64())
                .collect::<Vec<_>>(),
        )
        .bind::<Array<BigInt>, _>(answers.iter().map(|(key, _)| key.key_id).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(
            answers
                .iter()
                .map(|(key, _)| key.key.as_str())
                .collect::<Vec<_>>(),
        )
        .bind::<Array<SmallInt>, _>(
            answers
                .iter()
                .map(|(_, answer)| status(answer))
                .collect::<Vec<_>>(),
        )
        .bind::<Array<Text>, _>(
            answers
                .iter()
                .map(|(_, answer)| answer.body.as_str())
                .collect::<Vec<_>>(),
        )
        .prepared()
        .execute(&mut connection)
        .await?;
    Ok(())
}
