//! The duplicates that were kept back before Meta, as a share of what was received.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use maud::{Markup, html};

use super::data::{OverviewData, Period};
use crate::dashboard::charts::{self, Line, LinePoint};
use crate::dashboard::layout::{self, Frame, missing};

pub(super) fn card(frame: &Frame, period: Period, data: &OverviewData) -> Markup {
    let title = frame.lang.t(
        "Duplicados barrados antes da Meta",
        "Duplicates kept back before Meta",
    );
    let note = frame.lang.t("% do que foi recebido", "% of what was received");
    layout::card("c6", "duplicates", title, note, &draw(frame, period, data))
}

fn draw(frame: &Frame, period: Period, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let Some(counts) = &data.days else {
        return missing(lang);
    };
    let today = frame.zone.day_of(frame.now);
    let days = period.days.max(7);
    let mut by_day: BTreeMap<NaiveDate, (i64, i64)> = BTreeMap::new();
    for row in counts
        .iter()
        .filter(|row| row.day > today - TimeDelta::days(days))
    {
        let day = by_day.entry(row.day).or_default();
        match row.outcome.as_str() {
            "accepted" => day.0 += row.events,
            "duplicate" => day.1 += row.events,
            _ => {}
        }
    }
    if by_day.is_empty() {
        return html! {
            p.empty { (lang.t("Nada foi recebido neste período.", "Nothing was received in this period.")) }
        };
    }
    let points: Vec<LinePoint> = by_day
        .iter()
        .map(|(day, (good, double))| {
            let received = good + double;
            LinePoint {
                label: if *day == today {
                    lang.t("hoje", "today").to_owned()
                } else {
                    lang.day(*day)
                },
                tip: format!(
                    "{}\n{} ({} {} {})",
                    lang.weekday_and_day(*day),
                    lang.share(*double, received, 1),
                    lang.count(*double),
                    lang.t("de", "of"),
                    lang.count(received)
                ),
                value: (received >= 50).then(|| charts::f(*double) / charts::f(received) * 100.0),
            }
        })
        .collect();
    let limit = data.alert_limit;
    // Of ninety days every third is a point.
    let step = if points.len() > 45 { 3 } else { 1 };
    let points: Vec<LinePoint> = points
        .into_iter()
        .rev()
        .step_by(step)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    let description = lang.t(
        "Taxa de duplicados por dia. Use as setas.",
        "Rate of duplicates by day. Use the arrow keys.",
    );
    let label = lang.t("avisa acima de", "alerts above");
    charts::line(
        lang,
        &Line {
            points: &points,
            name: lang.t("Duplicados", "Duplicates"),
            description,
            limit: Some((limit, format!("{label} {}", lang.percent(limit, 0)))),
            last_is_provisional: by_day.contains_key(&today),
        },
    )
}
