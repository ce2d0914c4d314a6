//! How the first page is laid out: a verdict, the trail of today, five tiles, and a card a question.

use maud::{Markup, html};

use super::data::{OverviewData, Period};
use super::{attempts, breakers, calculator, duplicates, latency, quality, sentence, tiles, trail, volume};
use crate::dashboard::layout::{self, Frame, card, missing};
use crate::dashboard::pages::alerts;

pub fn render(frame: &Frame, period: Period, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let verdict = sentence::verdict(frame, data);
    let aside = html! {
        div.when {
            (layout::periods(frame, "/", period.tag()))
            small {
                span.dot {} (lang.t("às", "at")) " " (frame.zone.time(frame.now)) " · "
                (lang.t("horário de", "time of")) " " (frame.zone.name())
            }
        }
    };
    html! {
        (layout::verdict(verdict.tone, &html! { (verdict.answer) }, &verdict.more, &aside))
        (trail::card(frame, data))
        (tiles::row(frame, data))
        div.grid {
            (volume::card(frame, period, data))
            (attempts::card(frame, data))
            (latency::card(frame, data))
            (duplicates::card(frame, period, data))
            (calculator::card(frame, period, data))
            (quality::card(frame, data))
            (breakers::card(frame, data))
            (card("c5", "alerts", lang.t("Últimos alertas", "Latest alerts"), "", &last_alerts(frame, data)))
        }
    }
}

fn last_alerts(frame: &Frame, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let Some(rows) = &data.alerts else {
        return missing(lang);
    };
    html! {
        @if rows.is_empty() {
            p.empty { (lang.t("Nenhum alerta até agora.", "No alerts so far.")) }
        } @else {
            ul.feed { @for alert in rows.iter().take(5) { (alerts::line(frame, alert)) } }
        }
        p.note.foot-note { a href=(frame.link("/alertas", "")) {
            (lang.t("Todos os alertas, e o que cada regra pergunta", "All alerts, and what each rule asks"))
        } }
    }
}
