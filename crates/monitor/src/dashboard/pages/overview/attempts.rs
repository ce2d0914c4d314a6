//! The attempts of the last 24 hours: how many succeeded, and why the others failed.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use maud::{Markup, html};

use super::data::OverviewData;
use crate::dashboard::charts::{self, Cause};
use crate::dashboard::layout::{self, Frame, missing};
use crate::dashboard::pages::cause;
use crate::dashboard::words::Lang;

pub(super) fn card(frame: &Frame, data: &OverviewData) -> Markup {
    let title = frame.lang.t("Tentativas, 24 h", "Attempts, 24 h");
    layout::card("c4", "attempts", title, "", &draw(frame.lang, data))
}

fn draw(lang: Lang, data: &OverviewData) -> Markup {
    let (Some(hours), Some(rows)) = (&data.hours, &data.causes) else {
        return missing(lang);
    };
    let Some(last) = hours.iter().map(|row| row.hour).max() else {
        return html! { p.empty { (lang.t("Nenhuma tentativa em 24 h.", "No attempts within 24 h.")) } };
    };
    let of = |outcome: &str| {
        hours
            .iter()
            .filter(|row| row.outcome == outcome && row.hour > last - TimeDelta::hours(24))
            .map(|row| row.events)
            .sum::<i64>()
    };
    let (succeeded, failed) = (of("success"), of("error"));
    let mut causes: BTreeMap<(String, Option<String>), i64> = BTreeMap::new();
    for row in rows {
        let words = cause::of_attempt(
            lang,
            &row.outcome,
            row.http_status,
            row.error_code,
            row.error_subcode,
        );
        let code = row.error_subcode.or(row.error_code).map(|code| code.to_string());
        *causes.entry((words, code)).or_default() += row.events;
    }
    let mut causes: Vec<Cause> = causes
        .into_iter()
        .map(|((words, code), events)| Cause { words, code, events })
        .collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.events));
    if causes.len() > 4 {
        let others = causes.split_off(3).iter().map(|cause| cause.events).sum();
        causes.push(Cause {
            words: lang.t("outros", "others").to_owned(),
            code: None,
            events: others,
        });
    }
    html! {
        (charts::donut(lang, succeeded, failed, &causes))
        p.note { (lang.t(
            "Uma tentativa com erro não é um evento perdido: ela é refeita.",
            "A failed attempt is not a lost event: it is made again.",
        )) }
    }
}
