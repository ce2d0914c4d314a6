//! The database: one PostgreSQL whose tables are the queues between the services.
//!
//! One module per table owns all SQL on it; nobody else writes SQL. What the diesel DSL cannot say is a
//! `.sql` file, run through [`statement`]. What belongs together is one transaction of plain statements;
//! those that do not need each other's results are sent together (pipelined). Rows become the types of
//! `rastro-core` here.
//!
//! Time is the database's own (`rastro_now()`): workers on machines with different clocks agree about leases.

mod ad_spend;
mod admin_log;
mod alert_messages;
mod alerts;
mod api_keys;
mod attribution_credits;
mod attribution_runs;
mod campaign_daily;
mod carry_over;
mod census;
mod circuit_breakers;
mod connection;
pub mod dashboard;
mod dashboard_sessions;
mod dataset_quality;
mod datasets;
mod erasures;
mod error;
mod event_counts;
mod event_outcomes;
mod event_story;
mod events;
mod idempotency_keys;
mod lead_values;
mod leads;
mod lookup;
mod maintenance;
mod measurements;
mod meta_retry_queue;
mod migrations;
mod monitor_runs;
mod payment_accounts;
mod payment_aliases;
mod payment_matches;
mod payment_notifications;
mod payment_orders;
mod payments;
mod people;
mod purchases;
mod recall;
mod reconciliation;
mod replica;
mod resealing;
mod revenue;
mod revenue_forecasts;
mod schema;
mod seal;
mod send_attempts;
mod send_batches;
mod send_queue;
mod settlements;
mod statement;
mod tls;
mod told_by_orders;
mod touchpoints;
mod transaction;
mod unknown_words;

pub use ad_spend::{Covered, Spend, SpendChange, SpendSource};
pub use admin_log::AdminLogEntry;
pub use alert_messages::{ChannelState, NewMessage, WaitingMessage};
pub use alerts::{AlertChange, AlertChanges, ListedAlert, Silence};
pub use api_keys::{
    ApiKeyKind, Caller, Identities, Identity, KeyHash, KeyOrder, KeyRefused, KeyRole, KeyState, KnownApiKey,
    NewApiKey,
};
pub use attribution_credits::{CreditSettings, CustomerKey, Recredited};
pub use attribution_runs::{AttributionRun, AttributionState, ReportingDay, RunKind};
pub use census::Census;
pub use circuit_breakers::{BreakerReport, WatchedBreaker};
pub use connection::{DatabaseConfig, Store};
pub use dashboard_sessions::{Role, Session};
pub use dataset_quality::{KeyCoverage, Quality, QualityFetch, QualityFetched};
pub use datasets::{Dataset, DatasetChange, DatasetSettings, KnownDataset, MOST_MINIMUM_ORDERS, TokenCheck};
pub use erasures::epoch::ErasureEpoch;
pub use erasures::{ErasureReceipt, PersonFound, PersonSought};
pub use error::StoreError;
pub use event_counts::{CountProgress, DayInNumbers, HourCounted, HourlyShare};
pub use event_outcomes::Refusal;
pub use event_story::StoryLine;
pub use events::{Acceptance, EventWriter, FirstClaim, NewEvent, NewRequest, Origin, Record, Stored};
pub use idempotency_keys::{IdempotencyKey, KeptAnswer};
pub use lead_values::CampaignValue;
pub use leads::{KnownLead, LeadStep, MatchMethod, NewLead, Stepped, StoredLead};
pub use lookup::PersonLookups;
pub use maintenance::Leadership;
pub use measurements::{DeliveryTally, RequestTally};
pub use meta_retry_queue::{
    DeadLetter, DeadLetterFilter, DeadLetterGroup, DeadLetterReason, RetryCount, RetryRequest, SetAside,
    TracedEvent,
};
pub use migrations::{MigrationError, Migrator, migration_names};
pub use monitor_runs::{LastRuns, MonitorRun};
pub use payment_accounts::{PaymentAccount, Unsigned};
pub use payment_aliases::{Linked, PaymentAlias};
pub use payment_matches::MatchedByHand;
pub use payment_notifications::{Answered, LeasedNotification, NewNotification, NotificationEnd, Topic};
pub use payments::{
    Applied, Conversion, ConversionDue, Discovery, OrderContext, PaidLead, PaymentMatch, PaymentRead,
};
pub use people::{NamedWrongly, PersonExport, PersonNamed};
pub use purchases::{NewPurchase, PurchaseChange};
pub use recall::Recall;
pub use reconciliation::{
    Comparison, ComparisonKind, Finding, FindingAction, FindingKind, Ledger, LocalPayment, NewComparison,
    SliceSums,
};
pub use replica::LogPosition;
pub use resealing::Resealed;
pub use revenue::{
    CampaignAge, CampaignRevenue, CampaignWeek, ChannelRevenue, CohortAge, FindingTotal, Funnel,
    MonthRevenue, PurchasePlace, RecentFinding, ReconciledAccount, RevenueDay, RevenueFilter, RevenuePart,
    RevenueScope,
};
pub use revenue_forecasts::{DailyRevenue, NewForecast};
pub use send_attempts::{AttemptOutcome, AttemptRecord};
pub use send_batches::{Batch, BatchId, Fate, MissingEvent, QueuedEvent};
pub use send_queue::{Lane, QueuePlace, QueueStretch, ReadyLane};
pub use settlements::{Imported, NewReport, Settled};
pub use told_by_orders::ToldByOrder;
pub use touchpoints::{LastClicks, NewTouchpoint};
