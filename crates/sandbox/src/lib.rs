//! A strict stand-in for Meta's Graph API, to run against in tests, demos, load tests and other people's CI;
//! beside it [`mercado_pago`], [`google_ads`] and [`slack`].
//!
//! It answers `POST /v{version}/{dataset_id}/events` as Meta documents it, refuses what Meta refuses, counts
//! what Meta's deduplication would keep, misbehaves on command ([`Fault`]) and shows what arrived. It shares
//! no code with the system it judges; `tests/differential.rs` compares the two.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use rastro_sandbox::{Fault, FaultKind, Sandbox, SandboxConfig};
//!
//! let sandbox = Sandbox::start(SandboxConfig::default().with_token("111", "TOKEN")).await?;
//! sandbox.fail_with(Fault::new(FaultKind::ResetAfter).times(1))?;
//! // ... send events to `sandbox.url()` ...
//! assert_eq!(sandbox.counts().unique, 1);
//! # Ok(())
//! # }
//! ```

mod clock;
mod config;
mod connection;
mod dataset;
mod faults;
pub mod google_ads;
mod graph;
mod inspect;
mod json;
mod ledger;
mod marketing;
pub mod mercado_pago;
mod multipart;
mod quality;
mod records;
mod refusal;
mod rules;
mod server;
pub mod slack;
mod submission;

pub use clock::SandboxClock;
pub use config::{SandboxConfig, TokenGrant};
pub use faults::{Fault, FaultId, FaultKind, FaultStatus, InvalidFault};
pub use ledger::{Counts, DatasetCounts, EventCounts};
pub use marketing::{AdAccess, AdAccount, Marketing, MarketingFault};
pub use records::{EventFilter, ReceivedEvent, RequestRecord};
pub use server::Sandbox;
pub use submission::Encoding;

/// What the rules say of one event's JSON at a moment, in seconds since 1970: for tests that ask a million
/// times.
///
/// # Errors
/// What Meta would answer the request with that carries it.
pub fn verdict(event: &str, now: i64) -> Result<(), String> {
    let judge = rules::Judge {
        now,
        accept_md5: true,
    };
    judge
        .judge(0, event)
        .map(|_| ())
        .map_err(|refusal| refusal.message + &refusal.detail.unwrap_or_default())
}
