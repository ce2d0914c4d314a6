//! `dashboard_sessions`: who looks. A session is 32 random bytes that only the browser keeps; here is their hash.

use chrono::{DateTime, Utc};
use diesel::prelude::OptionalExtension;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;

use super::row;
use crate::api_keys::KeyHash;
use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

row! {
    /// What a key opens here: `admin`, or `viewer` of one dataset or all.
    pub DashboardKey {
        kind: Text => String,
        dataset_id: Nullable<BigInt> => Option<i64>,
        label: Text => String,
    }
}

row! {
    /// A session that is not over and whose key is not revoked.
    pub Session {
        role: Text => String,
        dataset_id: Nullable<BigInt> => Option<i64>,
        name: Text => String,
        label: Text => String,
        expires_at: Timestamptz => DateTime<Utc>,
    }
}

/// A session to begin.
#[derive(Clone, Debug)]
pub struct NewSession<'s> {
    pub hash: [u8; 32],
    pub key: KeyHash,
    pub role: &'s str,
    pub dataset_id: Option<i64>,
    /// As the visitor typed it.
    pub name: &'s str,
    /// For how long without use.
    pub idle_seconds: i32,
}

impl Store {
    /// What a key opens on the dashboard; `None`: nothing.
    pub async fn dashboard_key(&self, hash: KeyHash) -> Result<Option<DashboardKey>, StoreError> {
        let text = "SELECT kind, dataset_id, label FROM api_keys \
                    WHERE key_hash = $1 AND revoked_at IS NULL AND kind IN ('admin', 'viewer')";
        let key = sql_query(text)
            .bind::<Binary, _>(hash.as_slice())
            .prepared()
            .get_result(&mut self.connection().await?)
            .await
            .optional()?;
        Ok(key)
    }

    /// Begins a session, and forgets those that are over.
    pub async fn begin_session(&self, session: &NewSession<'_>) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        sql_query("DELETE FROM dashboard_sessions WHERE expires_at <= rastro_now()")
            .prepared()
            .execute(&mut connection)
            .await?;
        sql_query(include_str!("../sql/dashboard/begin_session.sql"))
            .bind::<Binary, _>(session.hash.as_slice())
            .bind::<Text, _>(session.role)
            .bind::<Nullable<BigInt>, _>(session.dataset_id)
            .bind::<Text, _>(session.name)
            .bind::<Binary, _>(session.key.as_slice())
            .bind::<Integer, _>(session.idle_seconds)
            .prepared()
            .execute(&mut connection)
            .await?;
        Ok(())
    }

    /// The session of this hash, and lets it live on. `None`: it is over, or its key is revoked.
    pub async fn session(&self, hash: &[u8; 32], idle_seconds: i32) -> Result<Option<Session>, StoreError> {
        let session = sql_query(include_str!("../sql/dashboard/session.sql"))
            .bind::<Binary, _>(hash.as_slice())
            .bind::<Integer, _>(idle_seconds)
            .prepared()
            .get_result(&mut self.connection().await?)
            .await
            .optional()?;
        Ok(session)
    }

    pub async fn end_session(&self, hash: &[u8; 32]) -> Result<(), StoreError> {
        sql_query("DELETE FROM dashboard_sessions WHERE session_hash = $1")
            .bind::<Binary, _>(hash.as_slice())
            .prepared()
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
    }
}
