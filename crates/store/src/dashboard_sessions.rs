//! `dashboard_sessions`: who looks at the dashboard. A session is begun with an API key, and ends with it.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bytea, Nullable, Text};
use diesel_async::RunQueryDsl;
use rastro_core::dataset::DatasetId;

use crate::api_keys::KeyHash;
use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::statement::Prepare;

/// Who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Looks, at one dataset or (`None`) at all.
    Viewer(Option<DatasetId>),
    /// Looks at everything, and acts.
    Operator,
}

/// Somebody who looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub role: Role,
    /// As typed at the entrance.
    pub name: String,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    dataset_id: Option<i64>,
    #[diesel(sql_type = Text)]
    name: String,
}

impl Row {
    fn role(&self) -> Result<Role, StoreError> {
        match self.role.as_str() {
            "operator" => Ok(Role::Operator),
            "viewer" => Ok(Role::Viewer(self.dataset_id.map(dataset_id).transpose()?)),
            _ => Err(StoreError::Invalid { what: "role" }),
        }
    }
}

impl Store {
    /// Begins a session with a key. `None`: the key opens nothing here, or is revoked.
    pub async fn begin_session(
        &self,
        session_hash: &[u8; 32],
        key: &KeyHash,
        name: &str,
    ) -> Result<Option<Session>, StoreError> {
        let row: Option<Row> = sql_query(
            "INSERT INTO dashboard_sessions (session_hash, role, dataset_id, name, key_hash, created_at, last_seen_at, expires_at)
             SELECT $1, CASE kind WHEN 'admin' THEN 'operator' ELSE 'viewer' END, dataset_id, $3, key_hash, rastro_now(),
                rastro_now(), rastro_now() + interval '12 hours'
             FROM api_keys WHERE key_hash = $2 AND kind IN ('admin', 'viewer') AND revoked_at IS NULL
             RETURNING role, dataset_id, name",
        )
        .bind::<Bytea, _>(session_hash.as_slice())
        .bind::<Bytea, _>(key.as_slice())
        .bind::<Text, _>(name)
        .prepared()
        .maybe_row(self)
        .await?;
        row.map(|row| {
            Ok(Session {
                role: row.role()?,
                name: row.name,
            })
        })
        .transpose()
    }

    /// The session, kept alive: 12 hours from now, 7 days at most. `None`: it is over, or its key is revoked.
    pub async fn session(&self, session_hash: &[u8; 32]) -> Result<Option<Session>, StoreError> {
        let mut connection = self.connection().await?;
        let row: Option<Row> = sql_query(
            "SELECT s.role, s.dataset_id, s.name FROM dashboard_sessions s JOIN api_keys k USING (key_hash)
             WHERE s.session_hash = $1 AND s.expires_at > rastro_now() AND k.revoked_at IS NULL",
        )
        .bind::<Bytea, _>(session_hash.as_slice())
        .prepared()
        .get_result(&mut connection)
        .await
        .optional()?;
        let Some(row) = row else { return Ok(None) };
        // Once in five minutes: a page asks every few seconds.
        sql_query(
            "UPDATE dashboard_sessions SET last_seen_at = rastro_now(),
                expires_at = least(rastro_now() + interval '12 hours', created_at + interval '7 days')
             WHERE session_hash = $1 AND last_seen_at < rastro_now() - interval '5 minutes'",
        )
        .bind::<Bytea, _>(session_hash.as_slice())
        .prepared()
        .execute(&mut connection)
        .await?;
        Ok(Some(Session {
            role: row.role()?,
            name: row.name,
        }))
    }

    /// Ends a session, and forgets those that are over.
    pub async fn end_session(&self, session_hash: &[u8; 32]) -> Result<(), StoreError> {
        sql_query("DELETE FROM dashboard_sessions WHERE session_hash = $1 OR expires_at < rastro_now()")
            .bind::<Bytea, _>(session_hash.as_slice())
            .prepared()
            .run(self)
            .await?;
        Ok(())
    }
}
