//! `send_queue`: events ready to be sent, as ids. Rows come with [`crate::events`] and go with [`crate::send_batches`].

use std::marker::PhantomData;

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::statement;

/// Events that may share a request to Meta: one dataset, one test event code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    pub dataset_id: DatasetId,
    /// Empty for real events.
    pub test_event_code: String,
}

impl Store {
    /// The lanes in which something is ready, in no order that matters.
    pub async fn lanes(&self) -> Result<Vec<Lane>, StoreError> {
        let statement = Lanes {
            lifetime: PhantomData,
        };
        let rows: Vec<(i64, String)> = statement.load(&mut self.connection().await?).await?;
        rows.into_iter()
            .map(|(dataset_id, test_event_code)| {
                let dataset_id = dataset_id
                    .try_into()
                    .map_err(|_| StoreError::Invalid { what: "dataset_id" })?;
                Ok(Lane {
                    dataset_id,
                    test_event_code,
                })
            })
            .collect()
    }
}

statement! {
    Lanes<'q>("sql/lanes.sql") -> (BigInt, Text) {}
}
