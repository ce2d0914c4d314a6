//! The five figures below the trail, each with what it was lately.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use maud::{Markup, html};
use rastro_store::dashboard::{LatencyRow, QualityRow};

use super::data::OverviewData;
use super::{latency, quality};
use crate::dashboard::charts;
use crate::dashboard::layout::Frame;
use crate::dashboard::pages::event_name;
use crate::dashboard::words::NONE;

/// Fewer events a day than this are too few to compare with.
const WORTH_COMPARING: f64 = 100.0;

pub(super) fn row(frame: &Frame, data: &OverviewData) -> Markup {
    html! {
        div.tiles #tiles role="group" aria-label=(frame.lang.t("Indicadores", "Indicators")) {
            (delivered(frame, data))
            (reaching_meta(frame, data))
            (response(frame, data))
            (lowest_score(frame, data))
            (duplicates(frame, data))
        }
    }
}

fn tile(title: &str, number: &Markup, note: &Markup, line: &Markup) -> Markup {
    html! { article.card.tile { h2 { (title) } div.n { (number) } p { (note) } (line) } }
}

fn gone() -> Markup {
    html! { (NONE) }
}

fn delivered(frame: &Frame, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let number = data.trail.as_ref().map_or_else(gone, |trail| {
        html! {
            (lang.count(trail.delivered)) " "
            small { (lang.t("até", "until")) " " (frame.zone.time(frame.now)) }
        }
    });
    let note = match against_other_weeks(data) {
        Some((percent, weeks)) => {
            let (class, arrow) = if percent >= 0.0 {
                ("up", "▲ ")
            } else {
                ("down", "▼ ")
            };
            let words = match weeks {
                1 => lang.t("semana, mesma hora", "week, same hour"),
                _ => lang.t("semanas, mesma hora", "weeks, same hour"),
            };
            html! {
                span class=(class) { (arrow) (lang.percent(percent.abs().floor(), 0)) }
                " " (lang.t("contra a média de", "against the mean of")) " " (weeks) " " (words)
            }
        }
        None => html! { (lang.t("cedo para comparar", "too early to compare")) },
    };
    let line = charts::spark(&data.today_by_hour("success"), None, false, true);
    tile(lang.t("Entregues hoje", "Delivered today"), &number, &note, &line)
}

/// By how many percent today is above the mean of the same weekday until the same hour, and of how many
/// weeks.
fn against_other_weeks(data: &OverviewData) -> Option<(f64, usize)> {
    let sent = data.sent.as_ref()?;
    let today = sent.iter().find(|row| row.weeks_ago == 0)?.events;
    let before: Vec<f64> = sent
        .iter()
        .filter(|row| row.weeks_ago > 0 && row.events > 0.0)
        .map(|row| row.events)
        .collect();
    let mean = before.iter().sum::<f64>() / charts::fi(before.len());
    (mean >= WORTH_COMPARING).then(|| ((today - mean) / mean * 100.0, before.len()))
}

fn reaching_meta(frame: &Frame, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let number = match &data.undelivered {
        Some(row) if row.accepted >= 1_000 => {
            html! { (lang.share(row.accepted - row.dead - row.late, row.accepted, 2)) }
        }
        Some(row) if row.accepted > 0 => html! {
            (lang.count((row.accepted - row.dead - row.late).max(0))) " "
            small { (lang.t("de", "of")) " " (lang.count(row.accepted)) }
        },
        _ => gone(),
    };
    let note = html! {
        (lang.t("7 dias, depois de tentar de novo · alvo 99,9 %", "7 days, after retries · goal 99.9%"))
    };
    let line = charts::spark(&success_by_day(data), None, true, true);
    tile(lang.t("Chegam à Meta", "Reach Meta"), &number, &note, &line)
}

/// The share of attempts that succeeded, in percent, of the last seven days with any.
fn success_by_day(data: &OverviewData) -> Vec<f64> {
    let per_day = |outcomes: &[&str]| {
        let mut days: BTreeMap<NaiveDate, i64> = BTreeMap::new();
        for row in data.days.iter().flatten() {
            let value = days.entry(row.day).or_default();
            if outcomes.contains(&row.outcome.as_str()) {
                *value += row.events;
            }
        }
        days
    };
    let (succeeded, tried) = (per_day(&["success"]), per_day(&["success", "error"]));
    let of_day = |(day, ok): (&NaiveDate, &i64)| {
        let all = *tried.get(day)?;
        (all > 0).then(|| charts::f(*ok) / charts::f(all) * 100.0)
    };
    succeeded.iter().rev().take(7).rev().filter_map(of_day).collect()
}

fn response(frame: &Frame, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let p95 = data.latency.as_ref().and_then(|rows| latency::p95(rows.iter()));
    let number = p95.map_or_else(gone, |ms| html! { (lang.milliseconds(ms)) });
    let note = html! { (lang.t("24 h · limite 1.000 ms", "24 h · limit 1,000 ms")) };
    let mut hours: BTreeMap<_, Vec<&LatencyRow>> = BTreeMap::new();
    for row in data.latency.iter().flatten() {
        hours.entry(row.hour).or_default().push(row);
    }
    let by_hour: Vec<f64> = hours
        .into_values()
        .filter_map(|rows| latency::p95(rows.into_iter()))
        .collect();
    let line = charts::spark(&by_hour, Some(1_000.0), false, true);
    tile(
        lang.t("Resposta da Meta, P95", "Meta's response, P95"),
        &number,
        &note,
        &line,
    )
}

fn lowest_score(frame: &Frame, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let title = lang.t("Nota EMQ mais baixa", "Lowest EMQ");
    let lowest = data.quality.as_ref().and_then(|rows| {
        quality::newest(rows)
            .into_iter()
            .filter_map(|row| Some((row.score?, row)))
            .min_by(|(one, _), (other, _)| one.total_cmp(other))
    });
    let Some((score, row)) = lowest else {
        let note = html! { (lang.t("a Meta ainda não deu nota", "Meta has given no score yet")) };
        return tile(title, &gone(), &note, &charts::spark(&[], None, true, false));
    };
    let number = html! { (lang.decimal(score, 1)) " " small { (lang.t("de 10", "of 10")) } };
    let note = html! {
        (event_name(lang, &row.event_name)) ", " (frame.dataset_name(row.dataset_id)) " · "
        (lang.t("alvo 6,0", "goal 6.0"))
    };
    let same =
        |other: &&QualityRow| (other.dataset_id, &other.event_name) == (row.dataset_id, &row.event_name);
    let scores = data.quality.iter().flatten().filter(same);
    let mut line: Vec<(NaiveDate, f64)> = scores.filter_map(|row| Some((row.day, row.score?))).collect();
    line.sort_by_key(|(day, _)| *day);
    let line: Vec<f64> = line.into_iter().map(|(_, score)| score).collect();
    tile(title, &number, &note, &charts::spark(&line, None, true, false))
}

fn duplicates(frame: &Frame, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let number = data.trail.as_ref().map_or_else(gone, |trail| {
        html! { (lang.share(trail.duplicates, trail.accepted + trail.duplicates, 1)) }
    });
    let note = html! {
        (lang.t("barrados antes da Meta · avisa acima de", "kept back before Meta · alerts above")) " "
        (lang.percent(data.alert_limit, 0))
    };
    let (accepted, duplicates) = (data.today_by_hour("accepted"), data.today_by_hour("duplicate"));
    let share = |(good, double): (&f64, &f64)| match good + double > 0.0 {
        true => double / (good + double) * 100.0,
        false => 0.0,
    };
    let by_hour: Vec<f64> = accepted.iter().zip(&duplicates).map(share).collect();
    let line = charts::spark(&by_hour, None, false, true);
    tile(
        lang.t("Duplicados hoje", "Duplicates today"),
        &number,
        &note,
        &line,
    )
}
