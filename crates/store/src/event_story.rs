//! One event's story: what `meta_events_log` has of it, found by its id.

use chrono::{DateTime, Utc};
use diesel::sql_types::{self, BigInt, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use rastro_core::dataset::DatasetId;
use uuid::Uuid;

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// One thing that happened to an event: a line of the log.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct StoryLine {
    #[diesel(sql_type = BigInt)]
    pub event_number: i64,
    /// `None`: its row was gone when that happened.
    #[diesel(sql_type = Nullable<Text>)]
    pub event_name: Option<String>,
    /// As in `meta_events_log`: accepted, success, error, parked, duplicate, expired, retried, ...
    #[diesel(sql_type = Text)]
    pub outcome: String,
    /// The request to us that this is about.
    #[diesel(sql_type = Nullable<sql_types::Uuid>)]
    pub request_id: Option<Uuid>,
    /// The API key of that request.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub key_id: Option<i64>,
    /// 1 for the first attempt of its batch. `None`: this is no request to Meta.
    #[diesel(sql_type = Nullable<Integer>)]
    pub attempt: Option<i32>,
    #[diesel(sql_type = Nullable<SmallInt>)]
    pub http_status: Option<i16>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub error_code: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub error_subcode: Option<i32>,
    /// Meta's words or ours, without values.
    #[diesel(sql_type = Nullable<Text>)]
    pub error_message: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub fbtrace_id: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub latency_ms: Option<i32>,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
}

impl Store {
    /// All that the log has of the dataset's events with this id (one of each name), in the order in which it
    /// happened. Empty: none was accepted, or it is older than what is kept. It reads a few rows, however
    /// much there is.
    pub async fn event_story(
        &self,
        dataset_id: DatasetId,
        event_id: &str,
    ) -> Result<Vec<StoryLine>, StoreError> {
        sql_query(include_str!("sql/event_story.sql"))
            .bind::<BigInt, _>(dataset_id.as_i64())
            .bind::<Text, _>(event_id)
            .prepared()
            .rows(self)
            .await
    }
}
