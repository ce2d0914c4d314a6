//! Which messages are due about an alert, and how many go out.

use chrono::{DateTime, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use crate::alert::rule::Severity;
use crate::alert::state::{Alert, AlertState, Told};

/// A critical alert is said again after this, and then every morning.
const FIRST_REMINDER: TimeDelta = TimeDelta::hours(4);
/// The hour of reminders, local time.
const MORNING: NaiveTime = NaiveTime::from_hms_opt(9, 0, 0).expect("a time of day");
/// Messages to one channel in an hour; beyond it what is waiting becomes one message.
pub const BUDGET_PER_HOUR: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageKind {
    Opened,
    Worse,
    Reminder,
    Resolved,
}

impl MessageKind {
    pub fn as_str(self) -> &'static str {
        match self {
            MessageKind::Opened => "opened",
            MessageKind::Worse => "worse",
            MessageKind::Reminder => "reminder",
            MessageKind::Resolved => "resolved",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        use MessageKind::{Opened, Reminder, Resolved, Worse};
        [Opened, Worse, Reminder, Resolved]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// The time, in two ways.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub at: DateTime<Utc>,
    /// In the reporting zone.
    pub local: NaiveDateTime,
}

/// What is to be said about an alert as it is now, and notes in it that it was. `silenced`: somebody asked
/// for silence about it.
pub fn due(alert: &mut Alert, silenced: bool, now: Now) -> Option<(MessageKind, i32)> {
    // Daily mail only, unless it became worse.
    if alert.severity == Severity::Info && alert.told.is_none() {
        return None;
    }
    if alert.state == AlertState::Resolved {
        alert.told.take()?;
        return Some((MessageKind::Resolved, 1));
    }
    if alert.state == AlertState::Pending || alert.muted_by.is_some() || silenced {
        return None;
    }
    if let Some(until) = alert.snoozed_until {
        if now.at < until {
            return None;
        }
        // It goes on after the snooze: as if new.
        alert.told = alert.told.filter(|told| told.at >= until);
    }
    let Some(told) = alert.told else {
        alert.openings += 1;
        tell(alert, now);
        return Some((MessageKind::Opened, alert.openings));
    };
    // That it comes and goes was said.
    if alert.is_unstable() {
        return None;
    }
    if !alert.worse_told
        && (alert.severity > told.severity || (alert.rule.grows() && has_doubled(told.value, alert.value)))
    {
        alert.worse_told = true;
        tell(alert, now);
        return Some((MessageKind::Worse, 1));
    }
    if !alert.acknowledged && reminder_is_due(alert, told, now) {
        alert.reminders = alert.reminders.saturating_add(1);
        tell(alert, now);
        return Some((MessageKind::Reminder, i32::from(alert.reminders)));
    }
    None
}

fn tell(alert: &mut Alert, now: Now) {
    alert.told = Some(Told {
        at: now.at,
        severity: alert.severity,
        value: alert.value,
    });
}

fn has_doubled(before: f64, after: f64) -> bool {
    before > 0.0 && after >= 2.0 * before
}

/// Warnings every morning, so never at night; critical ones after four hours, and then every morning.
fn reminder_is_due(alert: &Alert, told: Told, now: Now) -> bool {
    let is_first_of_critical = alert.severity == Severity::Critical && alert.reminders == 0;
    if is_first_of_critical {
        return now.at - told.at >= FIRST_REMINDER;
    }
    // The last nine o'clock, in terms of the time that passed since.
    let today = now.local.date().and_time(MORNING);
    let morning = match now.local >= today {
        true => today,
        false => today - TimeDelta::days(1),
    };
    let told_local = now.local - (now.at - told.at);
    told_local < morning && now.local.time() >= MORNING && now.local - today < TimeDelta::hours(13)
}

/// Whether a message goes out now, or waits to be one with those that come. `sent`: messages to its channel
/// in the last hour.
pub fn may_go(sent_in_last_hour: usize, is_first_of_critical: bool) -> bool {
    sent_in_last_hour < BUDGET_PER_HOUR || is_first_of_critical
}
