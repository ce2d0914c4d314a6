//! Events by hour, day or week of receipt: accepted, duplicate, stopped, and the outages of Meta.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use maud::{Markup, html};

use super::data::{OverviewData, Period};
use crate::dashboard::charts::{self, Bar};
use crate::dashboard::layout::{self, Frame, missing};
use crate::dashboard::pages::{self, breaker};
use crate::dashboard::words::Lang;

pub(super) fn card(frame: &Frame, period: Period, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let title = match period.days {
        1 => lang.t("Eventos por hora", "Events by hour"),
        90 => lang.t("Eventos por semana", "Events by week"),
        _ => lang.t("Eventos por dia", "Events by day"),
    };
    layout::card(
        "c8",
        "volume",
        title,
        &note(lang, period),
        &draw(frame, period, data),
    )
}

fn note(lang: Lang, period: Period) -> String {
    match period.days {
        1 => lang
            .t("hoje, por hora do recebimento", "today, by hour of receipt")
            .to_owned(),
        days => format!(
            "{days} {}",
            lang.t("dias, pelo dia do recebimento", "days, by day of receipt")
        ),
    }
}

fn draw(frame: &Frame, period: Period, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let until = frame.zone.time(frame.now);
    if period.days == 1 {
        let (accepted, duplicates) = (data.today_by_hour("accepted"), data.today_by_hour("duplicate"));
        if data.hours.is_none() {
            return missing(lang);
        }
        let last = accepted.len().saturating_sub(1);
        let bars: Vec<Bar> = accepted
            .iter()
            .zip(&duplicates)
            .enumerate()
            .map(|(hour, (good, double))| Bar {
                label: format!("{hour:02} h"),
                name: format!("{hour:02}:00"),
                accepted: count(*good),
                duplicates: count(*double),
                dead: 0,
                provisional: hour == last,
                incident: None,
            })
            .collect();
        return if bars.is_empty() {
            empty(lang, &data.gateway_url)
        } else {
            charts::bars(lang, &bars, &until)
        };
    }
    let Some(counts) = &data.days else {
        return missing(lang);
    };
    let today = frame.zone.day_of(frame.now);
    let mut days: BTreeMap<NaiveDate, (i64, i64)> = (0..period.days)
        .map(|back| (today - TimeDelta::days(back), (0, 0)))
        .collect();
    for row in counts {
        if let Some(day) = days.get_mut(&row.day) {
            match row.outcome.as_str() {
                "accepted" => day.0 += row.events,
                "duplicate" => day.1 += row.events,
                _ => {}
            }
        }
    }
    // Before the first event there is nothing to draw.
    let first = days
        .iter()
        .find(|(_, (good, double))| good + double > 0)
        .map(|(day, _)| *day);
    let Some(first) = first else {
        return empty(lang, &data.gateway_url);
    };
    let first = first.min(today - TimeDelta::days(6));
    let dead: BTreeMap<NaiveDate, i64> = data
        .dead_days
        .iter()
        .flatten()
        .map(|row| (row.day, row.events))
        .collect();
    let incidents = incidents(frame, data);
    let mut bars: Vec<Bar> = days
        .range(first..)
        .map(|(day, (good, double))| Bar {
            label: if *day == today {
                lang.t("hoje", "today").to_owned()
            } else {
                lang.day(*day)
            },
            name: lang.weekday_and_day(*day),
            accepted: *good,
            duplicates: *double,
            dead: dead.get(day).copied().unwrap_or_default(),
            provisional: *day == today,
            incident: incidents.get(day).cloned(),
        })
        .collect();
    if period.days > 45 {
        bars = by_week(lang, bars);
    }
    charts::bars(lang, &bars, &until)
}

/// Ninety bars are too thin to hit on a phone: the last seven days, the seven before, and so on.
fn by_week(lang: Lang, days: Vec<Bar>) -> Vec<Bar> {
    let mut weeks: Vec<Bar> = Vec::new();
    for week in days.rchunks(7).rev() {
        let (Some(first), Some(last)) = (week.first(), week.last()) else {
            continue;
        };
        weeks.push(Bar {
            label: first.label.clone(),
            name: format!("{} {} {}", first.name, lang.t("a", "to"), last.name),
            accepted: week.iter().map(|day| day.accepted).sum(),
            duplicates: week.iter().map(|day| day.duplicates).sum(),
            dead: week.iter().map(|day| day.dead).sum(),
            provisional: last.provisional,
            incident: week.iter().find_map(|day| day.incident.clone()),
        });
    }
    weeks
}

#[expect(clippy::cast_possible_truncation, reason = "it was an integer before")]
fn count(value: f64) -> i64 {
    value.round() as i64
}

/// The longest outage of each of the two worst days, in words.
fn incidents(frame: &Frame, data: &OverviewData) -> BTreeMap<NaiveDate, String> {
    let lang = frame.lang;
    let mut all: Vec<(NaiveDate, i64, bool, i64)> = data
        .openings
        .iter()
        .flatten()
        .filter(|opening| opening.reason.as_deref() == Some("errors"))
        .map(|opening| {
            let end = opening.closed_at.unwrap_or(frame.now);
            (
                frame.zone.day_of(opening.opened_at),
                (end - opening.opened_at).num_milliseconds(),
                opening.closed_at.is_some(),
                opening.stopped,
            )
        })
        .collect();
    all.sort_by_key(|(_, long, ..)| std::cmp::Reverse(*long));
    all.into_iter()
        .filter(|(_, long, ..)| *long >= 5 * 60_000)
        .take(2)
        .map(|(day, long, over, stopped)| {
            let long = lang.duration(long);
            let words = match (lang, over) {
                (Lang::Pt, true) => format!("Meta fora {long} · {}", breaker::lost(lang, stopped)),
                (Lang::En, true) => format!("Meta down {long} · {}", breaker::lost(lang, stopped)),
                (Lang::Pt, false) => format!("Meta fora há {long}"),
                (Lang::En, false) => format!("Meta down for {long}"),
            };
            (day, words)
        })
        .collect()
}

fn empty(lang: Lang, gateway_url: &str) -> Markup {
    let command = format!(
        "curl -X POST {}/api/meta/conversions \\\n\
         \x20 -H 'Authorization: Bearer sk_…' -H 'Content-Type: application/json' \\\n\
         \x20 -d '{{\"data\":[{{\"event_name\":\"Lead\",\
         \"event_time\":…,\"action_source\":\"website\",\"user_data\":{{\"em\":[\"…\"]}}}}]}}'",
        pages::gateway(lang, gateway_url)
    );
    html! {
        p.empty { (lang.t("Nenhum evento neste período. Um primeiro, de um servidor:",
            "No events in this period. A first one, from a server:")) }
        pre { code { (command) } }
    }
}
