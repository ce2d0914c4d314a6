//! Empties the outbox. Everything of one channel, one severity and one kind of news goes out as one message.
//! What is not sent stays and is tried by the next run, for an hour, and that an alert is open for as long as
//! it is; a crash between sending and noting it repeats one message, under the same name.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rastro_core::alert::message::{self, Now};
use rastro_core::alert::{Facts, Rule, Severity};
use rastro_service::telemetry::ErrorChain;
use rastro_store::{AlertChanges, NewMessage, Store, StoreError, WaitingMessage};
use tracing::warn;

use super::Monitor;
use crate::notify::{Bundle, BundleKind, Channel, Daily, Item, SendError};
use crate::words::{self, Language};

/// How long a channel that failed is left alone, unless it says.
const RETRY_SECONDS: i32 = 30;
const LONGEST_RETRY_SECONDS: i32 = 900;

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) messages: usize,
    pub(crate) errors: Vec<String>,
}

/// Every channel, one after the other: what one cannot take is no matter of another's.
pub(crate) async fn everything(monitor: &Monitor, now: Now) -> Sent {
    let mut sent = Sent::default();
    // What one channel has to say about another that was switched off goes out in the same run.
    let mut again = Vec::new();
    for channel in &monitor.channels {
        match through(monitor, channel, now, &mut sent).await {
            Ok(true) => again.extend(
                monitor
                    .channels
                    .iter()
                    .filter(|other| other.name() != channel.name()),
            ),
            Ok(false) => {}
            Err(error) => sent
                .errors
                .push(format!("{}: {}", channel.name(), ErrorChain(&error))),
        }
    }
    for channel in again {
        if let Err(error) = through(monitor, channel, now, &mut sent).await {
            sent.errors
                .push(format!("{}: {}", channel.name(), ErrorChain(&error)));
        }
    }
    sent
}

/// One channel's messages. Says whether it was switched off by them.
async fn through(
    monitor: &Monitor,
    channel: &Channel,
    now: Now,
    sent: &mut Sent,
) -> Result<bool, StoreError> {
    let store = &monitor.store;
    store
        .revive_messages(channel.name(), &channel.config_hash())
        .await?;
    let state = store
        .channel_state(channel.name(), &channel.config_hash())
        .await?;
    let waiting = store.waiting_messages(channel.name()).await?;
    if let Some(reason) = state.disabled {
        let ids: Vec<i64> = waiting.iter().map(|message| message.message_id).collect();
        if !ids.is_empty() {
            store
                .mark_unsent(&ids, &format!("switched off: {reason}"), None)
                .await?;
        }
        return Ok(false);
    }
    let mut in_last_hour = state.sent_in_last_hour;
    for messages in bundles(waiting) {
        let is_first_of_critical = messages
            .iter()
            .any(|message| message.severity == Severity::Critical && message.kind == "opened");
        let is_daily = messages.iter().any(|message| message.kind == "daily");
        if !is_daily && !message::may_go(in_last_hour, is_first_of_critical) {
            continue;
        }
        let ids: Vec<i64> = messages.iter().map(|message| message.message_id).collect();
        let bundle = bundle(monitor, channel.language(), &messages, now).await?;
        // Those that go out together are settled alike.
        let ended = to_everybody(store, channel, &bundle, &ids, &messages[0]).await?;
        if ended.was_sent && ended.wait.is_none() {
            store
                .mark_sent(&ids, ended.provider_id.as_deref(), ended.error.as_deref())
                .await?;
            in_last_hour += 1;
            sent.messages += 1;
            if let Some(error) = ended.error {
                warn!("not everybody has a message: {error}");
            }
            continue;
        }
        let error = ended.error.unwrap_or_default();
        if ended.is_off {
            switch_off(monitor, channel, &error).await?;
        }
        store.mark_unsent(&ids, &error, ended.wait).await?;
        sent.errors.push(error);
        if ended.is_off {
            return Ok(true);
        }
        // The others of this channel would fare no better.
        if ended.wait.is_some() && !ended.was_sent {
            break;
        }
    }
    Ok(false)
}

/// What became of a bundle at all of its recipients.
#[derive(Default)]
struct Ended {
    /// Somebody has it.
    was_sent: bool,
    /// Somebody does not have it yet: it is tried again after so many seconds.
    wait: Option<i32>,
    /// Nothing will go until somebody changes the configuration.
    is_off: bool,
    provider_id: Option<String>,
    /// Why somebody does not have it.
    error: Option<String>,
}

/// To each recipient who has not had it and has not refused it. What becomes of one is noted before the next
/// is tried, so that a run that dies repeats one mail at most.
async fn to_everybody(
    store: &Store,
    channel: &Channel,
    bundle: &Bundle,
    ids: &[i64],
    before: &WaitingMessage,
) -> Result<Ended, StoreError> {
    let mut ended = Ended::default();
    let recipients = channel.recipients();
    let is_among = |settled: &[Vec<u8>], recipient: &[u8; 32]| settled.iter().any(|one| one == recipient);
    for (place, recipient) in recipients.iter().enumerate() {
        if is_among(&before.served, recipient) {
            ended.was_sent = true;
            continue;
        }
        if is_among(&before.refused, recipient) {
            continue;
        }
        let result = channel.send(bundle, place).await;
        let is_settled = matches!(result, Ok(_) | Err(SendError::Refused(_)));
        if is_settled && recipients.len() > 1 {
            store.settle_recipient(ids, recipient, result.is_ok()).await?;
        }
        match result {
            Ok(provider_id) => {
                ended.was_sent = true;
                ended.provider_id = provider_id;
            }
            Err(SendError::Refused(message)) => ended.error = ended.error.or(Some(message)),
            Err(SendError::Later { message, wait }) => {
                let wait = wait.and_then(|wait| i32::try_from(wait.as_secs()).ok());
                let wait = wait.unwrap_or(RETRY_SECONDS).clamp(1, LONGEST_RETRY_SECONDS);
                ended.wait = Some(ended.wait.map_or(wait, |other| other.max(wait)));
                ended.error = Some(message);
            }
            Err(SendError::Away(message)) => {
                ended.wait = Some(ended.wait.unwrap_or(RETRY_SECONDS));
                ended.error = Some(message);
                break;
            }
            Err(SendError::Off(message)) => {
                ended.wait = None;
                ended.is_off = true;
                ended.error = Some(message);
                break;
            }
        }
    }
    Ok(ended)
}

/// Nothing goes through this channel any more; the others say so.
async fn switch_off(monitor: &Monitor, channel: &Channel, why: &str) -> Result<(), StoreError> {
    warn!("the channel {} is switched off: {why}", channel.name());
    monitor
        .store
        .disable_channel(channel.name(), &channel.config_hash(), why)
        .await?;
    let others = monitor
        .channels
        .iter()
        .filter(|other| other.name() != channel.name());
    let notes: Vec<NewMessage> = others
        .map(|other| NewMessage {
            kind: "channel_off",
            sequence: 1,
            channel: other.name(),
            severity: Severity::Critical,
            facts: Facts {
                name: Some(channel.name().to_owned()),
                error: Some(why.to_owned()),
                ..Facts::default()
            },
        })
        .collect();
    monitor.store.add_messages(&notes).await
}

/// What goes out together, most urgent first. Good news by the message that it answers, so that a bot can
/// edit that one; and what some recipients have by itself, for the others.
fn bundles(waiting: Vec<WaitingMessage>) -> Vec<Vec<WaitingMessage>> {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum Group {
        News(std::cmp::Reverse<Severity>),
        Resolved(std::cmp::Reverse<Severity>, Option<i64>),
        Alone(i64),
    }
    let mut groups: BTreeMap<_, Vec<WaitingMessage>> = BTreeMap::new();
    for message in waiting {
        let severity = std::cmp::Reverse(message.severity);
        let group = match message.kind.as_str() {
            "opened" | "worse" | "reminder" => Group::News(severity),
            "resolved" => Group::Resolved(
                severity,
                message.opened_provider_id.as_ref().and(message.opened_bundle),
            ),
            _ => Group::Alone(message.message_id),
        };
        let settled = (message.served.clone(), message.refused.clone());
        groups.entry((group, settled)).or_default().push(message);
    }
    groups.into_values().collect()
}

/// The message of what goes out together. There is at least one.
async fn bundle(
    monitor: &Monitor,
    language: Language,
    messages: &[WaitingMessage],
    now: Now,
) -> Result<Bundle, StoreError> {
    let first = &messages[0];
    let items: Vec<Item> = messages
        .iter()
        .filter_map(|message| item(message, now.at, language))
        .collect();
    let kind = match first.kind.as_str() {
        "daily" => BundleKind::Daily,
        "channel_off" => BundleKind::ChannelOff,
        "test" => BundleKind::Test,
        "resolved" => BundleKind::Resolved,
        kind if messages.iter().any(|message| message.kind != kind) => BundleKind::Mixed,
        "worse" => BundleKind::Worse,
        "reminder" => BundleKind::Reminder,
        _ => BundleKind::Opened,
    };
    let still_open = match (kind, first.opened_bundle) {
        (BundleKind::Resolved, Some(bundle)) => monitor.store.bundle_is_open(bundle).await?,
        _ => false,
    };
    let thread = match first.alert_id {
        Some(alert) => format!("alert-{alert}"),
        None => format!("message-{}", first.message_id),
    };
    let note = match kind {
        BundleKind::ChannelOff => {
            let (name, error) = (first.facts.name.as_deref(), first.facts.error.as_deref());
            Some(format!(
                "{}: {}",
                name.unwrap_or_default(),
                error.unwrap_or_default()
            ))
        }
        _ => None,
    };
    Ok(Bundle {
        key: format!("{thread}-{}-{}", first.kind, first.sequence),
        thread,
        kind,
        severity: messages
            .iter()
            .map(|message| message.severity)
            .max()
            .unwrap_or(first.severity),
        local_since: items
            .first()
            .map(|item| monitor.local(item.since).format("%H:%M").to_string())
            .unwrap_or_default(),
        items,
        daily: match kind {
            BundleKind::Daily => Some(daily(monitor, language, now).await?),
            _ => None,
        },
        note,
        opened_as: first.opened_provider_id.clone(),
        still_open,
        public_url: monitor.config.dashboard.public_url.clone(),
    })
}

async fn daily(monitor: &Monitor, language: Language, now: Now) -> Result<Daily, StoreError> {
    super::daily::contents(monitor, language, now).await
}

/// `None`: it is about no alert, or about one of a rule that this program does not know.
fn item(message: &WaitingMessage, now: DateTime<Utc>, language: Language) -> Option<Item> {
    let rule = Rule::parse(message.rule.as_deref()?)?;
    let lasted = match (message.fired_at, message.resolved_at) {
        (Some(fired), Some(resolved)) if message.kind == "resolved" => Some((resolved - fired).num_seconds()),
        _ => None,
    };
    Some(Item {
        alert_id: message.alert_id?,
        rule,
        sentence: words::headline(rule, &message.facts, now, language),
        since: message.fired_at.unwrap_or(message.created_at),
        lasted_seconds: lasted,
        worst: lasted
            .and(message.worst_value)
            .and_then(|value| words::worst(rule, value, language)),
        stopped: lasted.and_then(|_| words::stopped(rule, message.stopped, language)),
        is_unstable: message.is_unstable,
    })
}

/// What a run would say, for people at a terminal.
pub(crate) fn sentences(monitor: &Monitor, changes: &AlertChanges, now: Now) -> Vec<String> {
    let language = monitor.config.notify.slack_language;
    let mut said = Vec::new();
    for change in &changes.changed {
        let sentence = words::headline(change.alert.rule, &change.alert.facts, now.at, language);
        let kinds: Vec<String> = change
            .messages
            .iter()
            .map(|message| format!("{} ({})", message.channel, message.kind))
            .collect();
        if !kinds.is_empty() {
            let line = words::subject_line(change.alert.severity, &sentence, language);
            said.push(format!("{line} → {}", kinds.join(", ")));
        }
    }
    said
}
