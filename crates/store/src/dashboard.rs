//! What the pages of the dashboard read: whole sentences' worth of numbers, each by one statement, so that
//! each is one snapshot. Nothing here counts the rows of a log beyond the hours that `event_counts` does not
//! hold yet.
//!
//! A dataset of `None` means all of them. Times and days come from the caller, who knows the reporting zone.

mod alerts;
mod breakers;
mod dead_letters;
mod events;
mod overview;
mod quality;
mod refusals;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};

pub use alerts::{AlertRow, ChannelRow, HourRow, MessageRow, RuleHistory};
pub use breakers::{BreakerNote, Transition};
pub use dead_letters::{DeadGroup, DeadSample, DeadSelection, Recurrence, Replay};
pub use events::{Attempt, EventFinding, EventRow, EventStory, OutcomeRow, Place, Search};
pub use overview::{
    Calculator, DayCount, DeadByDay, ErrorCause, FrameFacts, HourOutcome, LatencyRow, Opening, Sent, Trail,
    Undelivered,
};
pub use quality::{QualityKey, QualityRow, QualityState};
pub use refusals::RefusedAtDoor;

use crate::error::StoreError;

/// A row as a statement names its columns.
macro_rules! row {
    ($(#[$meta:meta])* $vis:vis $name:ident { $($(#[$field_meta:meta])* $field:ident: $sql:ty => $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, diesel::QueryableByName)]
        $vis struct $name {
            $($(#[$field_meta])* #[diesel(sql_type = $sql)] pub $field: $type,)*
        }
    };
}
pub(crate) use row;

/// Statements over a stretch of time read a partition by its BRIN index. The pool's connections avoid bitmap
/// scans, which suits queues and not this.
pub(crate) async fn by_time(connection: &mut AsyncPgConnection) -> Result<(), StoreError> {
    connection
        .batch_execute("SET LOCAL enable_bitmapscan = on; SET LOCAL enable_seqscan = on")
        .await?;
    Ok(())
}
