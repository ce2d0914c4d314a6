//! Alertas: what is open and what to do about it, what was, how each rule behaves, and how often it would
//! fire with another number.

mod orders;
mod view;
mod what_if;

use futures_util::join;
use rastro_core::alert::{Facts, Rule};
use rastro_store::Silence;
use rastro_store::dashboard::{AlertRow, ChannelRow, RuleHistory};

use crate::dashboard::layout::{Frame, Page};
use crate::dashboard::pages::overview::part;
use crate::dashboard::reply::{Failed, Reply};
use crate::dashboard::request::Cx;
use crate::dashboard::words::{Lang, cut};
use crate::words::{self, Language};

pub use orders::{acknowledge, end_silence, silence, snooze, test_message};
pub use view::{line, render, render_one};
pub use what_if::{Tried, try_thresholds};

const HISTORY: i64 = 60;

/// All that the page shows.
#[derive(Clone, Debug, Default)]
pub struct AlertsData {
    pub alerts: Vec<AlertRow>,
    pub histories: Option<Vec<RuleHistory>>,
    pub silences: Vec<Silence>,
    pub channels_off: Vec<ChannelRow>,
    pub channels: Vec<&'static str>,
    pub tried: Option<Vec<Tried>>,
    pub test_sent: bool,
}

pub async fn show(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let (store, dataset) = (&cx.app.store, cx.frame.dataset);
    let (alerts, histories, silences, hours) = join!(
        store.fired_alerts(dataset, HISTORY),
        store.rule_histories(dataset),
        store.silences(),
        store.rule_hours(dataset)
    );
    let mut silences = part("silences", silences).unwrap_or_default();
    silences
        .retain(|silence| dataset.is_none() || silence.dataset_id.is_none() || silence.dataset_id == dataset);
    let channels_off = part("channels", store.channels_off().await).unwrap_or_default();
    let typed = |rule: &str| {
        let text = cx.asked(rule).replace(',', ".");
        text.parse::<f64>()
            .ok()
            .filter(|value| (0.0..=100.0).contains(value))
    };
    let mut alerts = alerts?;
    alerts.retain(|alert| {
        alert
            .dataset_id
            .is_none_or(|id| cx.frame.datasets.iter().any(|(known, _)| *known == id))
    });
    let data = AlertsData {
        alerts,
        histories: part("rules", histories),
        silences,
        channels_off,
        channels: cx.app.channels.clone(),
        tried: part("what-if", hours).map(|hours| try_thresholds(&cx.app.rules, &hours, typed)),
        test_sent: cx.asked("teste") == "1",
    };
    Reply::live(Page::Alerts.title(cx.lang()), render(&cx.frame, &data))
}

pub async fn show_one(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let id = alert_id(cx)?;
    let (alert, messages) = cx
        .app
        .store
        .alert_with_messages(cx.frame.dataset, id)
        .await?
        .ok_or(Failed::NotFound)?;
    if alert
        .dataset_id
        .is_some_and(|id| !cx.frame.datasets.iter().any(|(known, _)| *known == id))
    {
        return Err(Failed::NotFound);
    }
    Reply::live(title(&cx.frame, &alert), render_one(&cx.frame, &alert, &messages))
}

fn alert_id(cx: &Cx<'_>) -> Result<i64, Failed> {
    cx.places
        .first()
        .and_then(|text| text.parse().ok())
        .ok_or(Failed::NotFound)
}

/// A rule's name for people.
pub fn rule_title(lang: Lang, rule: &str) -> String {
    match Rule::parse(rule) {
        Some(rule) => words::title(rule, language(lang)).to_owned(),
        None => cut(&rule.replace('_', " "), 60),
    }
}

/// What happened, and to whom.
pub fn title(frame: &Frame, alert: &AlertRow) -> String {
    let name = alert
        .dataset_id
        .map(|id| format!(", {}", frame.dataset_name(id)))
        .unwrap_or_default();
    format!("{}{name}", rule_title(frame.lang, &alert.rule))
}

/// The sentence of a message about it, with its numbers as they were measured last.
pub fn sentence(frame: &Frame, alert: &AlertRow) -> String {
    let facts: Facts = serde_json::from_value(alert.facts.clone()).unwrap_or_default();
    let dataset_name = facts
        .dataset_name
        .clone()
        .or_else(|| alert.dataset_id.map(|id| frame.dataset_name(id)));
    match Rule::parse(&alert.rule) {
        Some(rule) => words::headline(
            rule,
            &Facts {
                dataset_name,
                ..facts
            },
            frame.now,
            language(frame.lang),
        ),
        None => String::new(),
    }
}

fn language(lang: Lang) -> Language {
    match lang {
        Lang::Pt => Language::Portuguese,
        Lang::En => Language::English,
    }
}
