//! The daily partitions of `events` and `meta_events_log`.

use diesel::sql_types::Integer;
use diesel_async::RunQueryDsl;

use crate::connection::Store;
use crate::error::StoreError;

diesel::define_sql_function! { fn create_day_partitions(days_ahead: Integer) -> Integer; }

impl Store {
    /// Makes sure that today's partitions and those of the given number of days ahead exist; returns how many were
    /// missing. Without them nothing can be accepted, so they are made a week early and looked at every hour.
    pub async fn create_partitions_ahead(&self, days: i32) -> Result<i32, StoreError> {
        let created = diesel::select(create_day_partitions(days))
            .get_result(&mut self.connection().await?)
            .await?;
        Ok(created)
    }
}
