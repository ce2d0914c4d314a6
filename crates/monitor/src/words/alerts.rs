//! The sentences of the alerts. The first one alone says what, where and how bad; the advice says what to do.
//! What every sentence is made of is here, and the sentences are by kind of rule.

mod advice;
mod breakers;
mod monitor;
mod quality;
mod queues;
mod revenue;
mod traffic;

use chrono::{DateTime, Utc};
use rastro_core::alert::{Facts, Rule, Severity};

use super::Language;
use super::figures::{count, duration, money, name, percent, score, span, until};

pub use advice::{Advice, advice, title};

/// How urgent it is, in capitals.
pub fn severity(severity: Severity, language: Language) -> &'static str {
    match severity {
        Severity::Critical => language.pick("CRÍTICO", "CRITICAL"),
        Severity::Warning => language.pick("ATENÇÃO", "WARNING"),
        Severity::Info => language.pick("INFORMAÇÃO", "INFO"),
    }
}

/// The first line of everything: severity and sentence.
pub fn subject_line(of: Severity, sentence: &str, language: Language) -> String {
    format!("{}: {sentence}", severity(of, language))
}

/// The worst value of an alert that is over, of a rule whose value can become worse: a share, or a number of
/// events or payments.
pub fn worst(rule: Rule, value: f64, language: Language) -> Option<String> {
    match rule {
        _ if !rule.grows() => None,
        Rule::ErrorRate | Rule::Latency | Rule::Duplicates => Some(percent(value, language)),
        #[expect(clippy::cast_possible_truncation, reason = "a number of events")]
        _ => Some(count(value.round() as i64, language)),
    }
}

/// How many events stopped while an alert lasted, as a sentence; nothing for rules that are not about
/// delivering.
pub fn stopped(rule: Rule, stopped: i64, language: Language) -> Option<String> {
    let is_about_delivering = matches!(
        rule,
        Rule::ErrorRate
            | Rule::Latency
            | Rule::BreakerErrors
            | Rule::BreakerBlocked
            | Rule::BreakerRefused
            | Rule::BreakerThrottled
            | Rule::BreakerForced
            | Rule::DeadLetters
            | Rule::Expiring
            | Rule::QueueAge
            | Rule::RetryOverdue
            | Rule::DeliveryBudget
    );
    if !is_about_delivering {
        return None;
    }
    Some(match stopped {
        0 => language
            .pick(
                "Enquanto durou, nenhum evento parou.",
                "No event stopped while it lasted.",
            )
            .to_owned(),
        stopped => {
            let events = events(stopped, language);
            language.pick(
                format!(
                    "Enquanto durou, {events} {}.",
                    plural(stopped, "parou", "pararam")
                ),
                format!("{events} stopped while it lasted."),
            )
        }
    })
}

/// One of two words by number: in Portuguese zero is plural as well.
fn plural<'w>(number: i64, one: &'w str, more: &'w str) -> &'w str {
    if number == 1 { one } else { more }
}

/// `14 eventos`, `1 event`.
fn events(number: i64, language: Language) -> String {
    let word = language.pick(
        plural(number, "evento", "eventos"),
        plural(number, "event", "events"),
    );
    format!("{}\u{a0}{word}", count(number, language))
}

/// The facts of an alert as texts of one language; empty where there is none.
struct Said<'f> {
    facts: &'f Facts,
    language: Language,
    /// In Portuguese.
    pt: bool,
    dataset: String,
    n: i64,
    count: String,
    total: String,
    events: String,
    percent: String,
    window: String,
    lasted: String,
    deadline: Option<String>,
    /// The first amount alone.
    cost: String,
    /// ` (R$ 2.310)`, amounts of several currencies apart.
    money: String,
    name: String,
    value: String,
    day: String,
    code: String,
}

impl<'f> Said<'f> {
    fn new(facts: &'f Facts, now: DateTime<Utc>, language: Language) -> Self {
        let n = facts.count.unwrap_or_default();
        let amounts: Vec<String> = facts.money.iter().map(|amount| money(amount, language)).collect();
        Said {
            facts,
            language,
            pt: language == Language::Portuguese,
            dataset: facts
                .dataset_name
                .as_deref()
                .filter(|name| !name.trim().is_empty())
                .map_or_else(|| language.pick("um conjunto", "a dataset").to_owned(), name),
            n,
            count: count(n, language),
            total: count(facts.total.unwrap_or_default(), language),
            events: events(n, language),
            percent: facts
                .percent
                .map(|share| percent(share, language))
                .unwrap_or_default(),
            window: facts.window_seconds.map(span).unwrap_or_default(),
            lasted: facts.seconds.map(duration).unwrap_or_default(),
            deadline: facts.deadline.map(|deadline| until(deadline, now)),
            cost: amounts.first().cloned().unwrap_or_default(),
            money: match amounts.as_slice() {
                [] => String::new(),
                amounts => format!(" ({})", amounts.join(language.pick(" e ", " and "))),
            },
            name: facts.name.as_deref().map(name).unwrap_or_default(),
            value: facts
                .score
                .map(|value| score(value, language))
                .unwrap_or_default(),
            day: facts
                .day
                .map(|day| day.format(language.pick("%d/%m/%Y", "%Y-%m-%d")).to_string())
                .unwrap_or_default(),
            code: facts.code.map_or_else(|| "–".to_owned(), |code| code.to_string()),
        }
    }
}

/// The sentence of an alert. `now` is for deadlines.
pub fn headline(rule: Rule, facts: &Facts, now: DateTime<Utc>, language: Language) -> String {
    let said = &Said::new(facts, now, language);
    match rule {
        Rule::ErrorRate => traffic::error_rate(said),
        Rule::Latency => traffic::latency(said),
        Rule::Duplicates => traffic::duplicates(said),
        Rule::Silence => traffic::silence(said),
        Rule::DeliveryBudget => traffic::delivery_budget(said),
        Rule::Conservation => traffic::conservation(said),
        Rule::PartialAck => traffic::partial_ack(said),
        Rule::BreakerErrors => breakers::errors(said),
        Rule::BreakerBlocked => breakers::blocked(said),
        Rule::BreakerRefused => breakers::refused(said),
        Rule::BreakerThrottled => breakers::throttled(said),
        Rule::BreakerForced => breakers::forced(said),
        Rule::DeadLetters => queues::dead_letters(said),
        Rule::Expiring => queues::expiring(said),
        Rule::QueueAge => queues::queue_age(said),
        Rule::RetryOverdue => queues::retry_overdue(said),
        Rule::Partitions => queues::partitions(said),
        Rule::EmqDrop => quality::emq_drop(said),
        Rule::EmqUnreadable => quality::emq_unreadable(said),
        Rule::TestCode => quality::test_code(said),
        Rule::ApiVersion => quality::api_version(said),
        Rule::SpendStale => revenue::spend_stale(said),
        Rule::Reconciliation => revenue::reconciliation(said),
        Rule::PaymentsUnread => revenue::payments_unread(said),
        Rule::PaymentsOdd => revenue::payments_odd(said),
        Rule::RoasLow => revenue::roas_low(said),
        Rule::CacHigh => revenue::cac_high(said),
        Rule::CheckFailing => monitor::check_failing(said),
        Rule::CheckSilent => monitor::check_silent(said),
        Rule::DatabaseDown => monitor::database_down(said),
    }
}

#[cfg(test)]
mod tests;
