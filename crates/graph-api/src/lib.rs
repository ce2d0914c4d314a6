//! The one client of Meta's Graph API: what we ask it, what it answers, and what an answer means.
//!
//! Source of every rule here: Meta's Conversions API documentation, "Using the API" and "Error reference".

mod client;
mod dataset_quality;
mod datasets;
mod events;
#[cfg(test)]
mod fuzz;
mod insights;
mod lenient;
mod outcome;

pub use client::{GraphApi, GraphApiConfig, GraphApiError};
pub use dataset_quality::{DatasetQuality, MatchKeyFeedback};
pub use events::{Answer, EventsRequest};
pub use insights::{AdAccount, AdAccountFacts, CampaignDay, InsightsPage, ReportStatus};
pub use outcome::{Failure, FailureClass, GraphError};
