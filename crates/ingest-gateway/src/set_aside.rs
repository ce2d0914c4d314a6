//! `ingest-gateway set-aside`: after the restore of an old backup, what was due when it was made is kept from
//! Meta, which has it most likely and counts repeats after 48 hours (`proto-docs/operation.md`).

use std::fmt::{self, Display, Formatter};

use chrono::{DateTime, SecondsFormat, Utc};
use rastro_core::dataset::DatasetId;
use serde::Serialize;
use tracing::info;

use crate::administration::{Administration, unavailable};
use crate::problem::Problem;
use crate::wire::fields::{Fields, time};

/// What was set aside, or would be. Counts are events.
#[derive(Debug, Serialize)]
pub(crate) struct SetAsideReceipt {
    dataset_id: DatasetId,
    received_before: DateTime<Utc>,
    dry_run: bool,
    ready: i64,
    waiting: i64,
    /// Not set aside: they are ready again when their lease is over.
    in_flight: i64,
}

/// Reads `received_before`, and sets aside, or counts. `who` is logged.
///
/// # Errors
/// A problem that names each wrong field, that the dataset is unknown, or that the database failed: asking
/// again is safe and does the rest.
pub(crate) async fn set_aside(
    office: &Administration,
    dataset_id: DatasetId,
    body: &[u8],
    who: &str,
    dry_run: bool,
) -> Result<SetAsideReceipt, Problem> {
    let mut fields = Fields::of_body(body)?;
    let is_there = fields.names("received_before");
    let now = office.clock.now();
    let received_before = fields.take(
        "received_before",
        "a time that is over, as RFC 3339 writes it, such as \"2026-11-23T18:00:00-03:00\"",
        |value| time(value).filter(|time| *time <= now),
    );
    if !is_there {
        fields.wrong("received_before", "is required: when the backup ended");
    }
    let (Some(received_before), false) = (received_before, fields.is_wrong()) else {
        fields.finish()?;
        return Err(Problem::try_again("nothing was set aside; ask again"));
    };
    fields.finish()?;
    let known = office.store.dataset(dataset_id).await.map_err(unavailable)?;
    known.ok_or_else(Problem::unknown_dataset)?;
    let found = match dry_run {
        true => office.store.count_to_set_aside(dataset_id, received_before).await,
        false => office.store.set_aside(dataset_id, received_before, who).await,
    };
    let found = found.map_err(unavailable)?;
    if !dry_run {
        info!(dataset_id = %dataset_id, "{who} set {} events aside", found.ready + found.waiting);
    }
    Ok(SetAsideReceipt {
        dataset_id,
        received_before,
        dry_run,
        ready: found.ready,
        waiting: found.waiting,
        in_flight: found.in_flight,
    })
}

impl Display for SetAsideReceipt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let time = self.received_before.to_rfc3339_opts(SecondsFormat::Secs, true);
        let done = if self.dry_run { "would be" } else { "were" };
        let (ready, waiting, flying) = (self.ready, self.waiting, self.in_flight);
        write!(
            f,
            "{} events received before {time} {done} set aside: {ready} ready, {waiting} waiting.",
            ready + waiting
        )?;
        if flying > 0 {
            write!(
                f,
                " {flying} are in flight: set aside again when their lease is over (90 s by default)."
            )?;
        }
        if !self.dry_run {
            f.write_str(
                " They are dead letters of the reason set_aside; retry-failed sends them after all.",
            )?;
        }
        Ok(())
    }
}
