//! The life of an alert: quiet, pending, firing, resolved. A pure function of the alert as it was, what was
//! measured and the time.
//!
//! ```text
//!          true               true for `for`            quiet for `clear_for`
//! quiet -------> pending --------------------> firing ------------------------> resolved
//!    ^              | not true
//!    +--------------+
//! ```
//! Between the two thresholds nothing changes. A rule that could not be evaluated has no measurement, and
//! changes nothing either: its alerts are not stepped.

use chrono::{DateTime, TimeDelta, Utc};

use crate::alert::facts::Facts;
use crate::alert::rule::{Direction, Rule, Severity};
use crate::alert::settings::Thresholds;
use crate::dataset::DatasetId;

/// An alert that comes back within this time of resolving is the same trouble again.
const REOPENS_WITHIN: TimeDelta = TimeDelta::minutes(60);
/// From so many returns on it is unstable, and is quiet only after [`UNSTABLE_QUIET`].
const UNSTABLE_FROM: i16 = 2;
const UNSTABLE_QUIET: TimeDelta = TimeDelta::minutes(60);

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// `None`: the whole system.
    pub dataset: Option<DatasetId>,
    /// What else tells alerts of one rule apart, or nothing.
    pub group: String,
}

impl Subject {
    pub fn system() -> Self {
        Subject {
            dataset: None,
            group: String::new(),
        }
    }

    pub fn dataset(dataset: DatasetId) -> Self {
        Subject {
            dataset: Some(dataset),
            group: String::new(),
        }
    }

    #[must_use]
    pub fn group(self, group: impl Into<String>) -> Self {
        Subject {
            group: group.into(),
            ..self
        }
    }
}

/// What a rule found of one subject. A subject of which it found nothing is quiet.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    pub subject: Subject,
    /// In the rule's own unit.
    pub value: f64,
    pub severity: Severity,
    pub facts: Facts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertState {
    /// True, but not for long enough.
    Pending,
    Firing,
    Resolved,
}

impl AlertState {
    pub fn as_str(self) -> &'static str {
        match self {
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
            AlertState::Resolved => "resolved",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [AlertState::Pending, AlertState::Firing, AlertState::Resolved]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// One occurrence of a rule's trouble with a subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// `None`: it is not stored yet.
    pub id: Option<i64>,
    pub rule: Rule,
    pub subject: Subject,
    pub state: AlertState,
    pub severity: Severity,
    pub pending_since: DateTime<Utc>,
    pub fired_at: Option<DateTime<Utc>>,
    /// Since when it has been quiet without a break.
    pub clear_since: Option<DateTime<Utc>>,
    pub resolved_at: Option<DateTime<Utc>>,
    pub last_true_at: DateTime<Utc>,
    pub value: f64,
    pub worst_value: f64,
    pub threshold: f64,
    pub facts: Facts,
    /// How often it came back within an hour of resolving.
    pub reopened: i16,
    /// When somebody was last told, of which severity and value. `None`: nobody was told that it is open.
    pub told: Option<Told>,
    /// How often it was told that it is open: a snooze that ended makes it new.
    pub openings: i32,
    pub reminders: i16,
    pub worse_told: bool,
    pub muted_by: Option<Rule>,
    pub acknowledged: bool,
    pub snoozed_until: Option<DateTime<Utc>>,
}

/// What was last said of an open alert.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    pub at: DateTime<Utc>,
    pub severity: Severity,
    pub value: f64,
}

impl Alert {
    pub fn is_open(&self) -> bool {
        self.state != AlertState::Resolved
    }

    /// It comes and goes: only an hour of quiet ends it.
    pub fn is_unstable(&self) -> bool {
        self.reopened >= UNSTABLE_FROM
    }
}

/// On which side of the thresholds a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Beyond,
    Between,
    Quiet,
}

/// Compares a value with the thresholds.
pub fn side(rule: Rule, value: f64, thresholds: &Thresholds) -> Side {
    let (beyond, quiet) = match rule.direction() {
        Direction::Above => (value > thresholds.fires, value < thresholds.clears),
        Direction::Below => (value < thresholds.fires, value >= thresholds.clears),
    };
    match (beyond, quiet) {
        (true, _) => Side::Beyond,
        (false, true) => Side::Quiet,
        (false, false) => Side::Between,
    }
}

/// The alert as it is now. `before`: the open alert of this rule and subject, or the one that resolved last,
/// if any. `measured`: `None` if the rule was evaluated and found nothing of this subject. The answer is
/// `None` if there is nothing: a pending alert that was not true is forgotten.
pub fn step(
    rule: Rule,
    before: Option<&Alert>,
    measured: Option<&Measurement>,
    thresholds: &Thresholds,
    now: DateTime<Utc>,
) -> Option<Alert> {
    let side = measured.map_or(Side::Quiet, |measured| side(rule, measured.value, thresholds));
    let side = if thresholds.enabled { side } else { Side::Quiet };
    let open = before.filter(|alert| alert.is_open());
    match (open, measured) {
        (None, Some(measured)) if side == Side::Beyond => {
            Some(begin(rule, before, measured, thresholds, now))
        }
        (None, _) => None,
        (Some(alert), measured) => go_on(alert, side, measured, thresholds, now),
    }
}

fn begin(
    rule: Rule,
    before: Option<&Alert>,
    measured: &Measurement,
    thresholds: &Thresholds,
    now: DateTime<Utc>,
) -> Alert {
    let reopened = before
        .filter(|before| before.resolved_at.is_some_and(|at| now - at <= REOPENS_WITHIN))
        .map_or(0, |before| before.reopened.saturating_add(1));
    let mut alert = Alert {
        id: None,
        rule,
        subject: measured.subject.clone(),
        state: AlertState::Pending,
        severity: measured.severity,
        pending_since: now,
        fired_at: None,
        clear_since: None,
        resolved_at: None,
        last_true_at: now,
        value: measured.value,
        worst_value: measured.value,
        threshold: thresholds.fires,
        facts: measured.facts.clone(),
        reopened,
        told: None,
        openings: 0,
        reminders: 0,
        worse_told: false,
        muted_by: None,
        acknowledged: false,
        snoozed_until: None,
    };
    fire_if_it_lasts(&mut alert, thresholds, now);
    alert
}

fn go_on(
    before: &Alert,
    side: Side,
    measured: Option<&Measurement>,
    thresholds: &Thresholds,
    now: DateTime<Utc>,
) -> Option<Alert> {
    let mut alert = before.clone();
    alert.threshold = thresholds.fires;
    if let Some(measured) = measured {
        alert.value = measured.value;
        // While it is on its way out, the sentence still says what it was about.
        if side != Side::Quiet {
            alert.facts = measured.facts.clone();
        }
    }
    match side {
        Side::Beyond => {
            alert.last_true_at = now;
            alert.clear_since = None;
            alert.worst_value = match alert.rule.direction() {
                Direction::Above => alert.worst_value.max(alert.value),
                Direction::Below => alert.worst_value.min(alert.value),
            };
            if let Some(measured) = measured {
                alert.severity = alert.severity.max(measured.severity);
            }
            fire_if_it_lasts(&mut alert, thresholds, now);
        }
        Side::Between | Side::Quiet if alert.state == AlertState::Pending => return None,
        Side::Between => alert.clear_since = None,
        Side::Quiet => {
            let since = *alert.clear_since.get_or_insert(now);
            let quiet = match alert.is_unstable() {
                true => thresholds.quiet_for().max(UNSTABLE_QUIET),
                false => thresholds.quiet_for(),
            };
            if now - since >= quiet {
                alert.state = AlertState::Resolved;
                alert.resolved_at = Some(now);
            }
        }
    }
    Some(alert)
}

fn fire_if_it_lasts(alert: &mut Alert, thresholds: &Thresholds, now: DateTime<Utc>) {
    if alert.state == AlertState::Pending && now - alert.pending_since >= thresholds.lasts() {
        alert.state = AlertState::Firing;
        alert.fired_at = Some(now);
    }
}
