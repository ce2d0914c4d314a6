//! Consequences are not said beside their cause: while a breaker is open, events fail, wait and grow old
//! because of that.

use crate::alert::rule::{Rule, Severity};
use crate::alert::state::{Alert, AlertState};

/// Which of the open alerts keeps this one back, if any. `open`: all alerts as they are now, itself among
/// them.
pub fn muted_by(alert: &Alert, open: &[Alert]) -> Option<Rule> {
    open.iter()
        .filter(|cause| cause.state == AlertState::Firing && cause.rule != alert.rule)
        .find(|cause| follows(alert, cause))
        .map(|cause| cause.rule)
        .or_else(|| silence_of_all(alert, open))
}

fn follows(alert: &Alert, cause: &Alert) -> bool {
    match cause.rule {
        Rule::DatabaseDown => true,
        Rule::BreakerErrors | Rule::BreakerBlocked | Rule::BreakerRefused | Rule::BreakerThrottled
            if cause.subject.dataset == alert.subject.dataset =>
        {
            match alert.rule {
                Rule::ErrorRate | Rule::Latency | Rule::QueueAge | Rule::DeliveryBudget => true,
                Rule::DeadLetters => alert.facts.reason.as_deref() == Some("exhausted"),
                _ => false,
            }
        }
        Rule::RetryOverdue => alert.rule == Rule::Expiring && alert.severity < Severity::Critical,
        _ => false,
    }
}

/// Where nothing comes at all, that nothing comes of each dataset or name is no news.
fn silence_of_all(alert: &Alert, open: &[Alert]) -> Option<Rule> {
    let is_wider = |cause: &Alert| {
        cause.rule == Rule::Silence
            && cause.state == AlertState::Firing
            && cause.subject != alert.subject
            && cause.subject.group.is_empty()
            && (cause.subject.dataset.is_none() || cause.subject.dataset == alert.subject.dataset)
    };
    let is_narrower = alert.rule == Rule::Silence && (alert.subject.dataset.is_some());
    (is_narrower && open.iter().any(is_wider)).then_some(Rule::Silence)
}
