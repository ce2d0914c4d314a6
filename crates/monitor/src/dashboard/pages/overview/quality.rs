//! Event match quality: Meta's score of each event beside our estimate, the worst first.

use std::collections::BTreeMap;

use maud::{Markup, html};
use rastro_store::dashboard::{QualityKey, QualityRow};

use super::data::OverviewData;
use crate::dashboard::charts::{self, Dots};
use crate::dashboard::layout::{self, Frame, missing};
use crate::dashboard::pages::{event_name, quality};
use crate::dashboard::words::NONE;

pub(super) fn card(frame: &Frame, data: &OverviewData) -> Markup {
    let title = frame
        .lang
        .t("Qualidade da correspondência (EMQ)", "Event match quality (EMQ)");
    layout::card("c7", "emq", title, "", &draw(frame, data))
}

fn draw(frame: &Frame, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let Some(rows) = &data.quality else {
        return missing(lang);
    };
    let mut newest = newest(rows);
    if newest.is_empty() {
        return html! {
            p.empty { (lang.t(
                "A Meta ainda não deu nota: ela precisa de alguns dias de eventos, e de um token que possa \
                 lê-la.",
                "Meta has given no score yet: it takes a few days of events, and a token that may read it.",
            )) }
            p { a.btn href=(frame.link("/qualidade", "")) { (lang.t("Ver a qualidade", "See the quality")) } }
        };
    }
    newest.sort_by(|one, other| one.score.unwrap_or(11.0).total_cmp(&other.score.unwrap_or(11.0)));
    let more = newest.len().saturating_sub(5);
    html! {
        ul.legend {
            li {
                svg width="12" height="12" aria-hidden="true" { circle cx="6" cy="6" r="5.5" class="f-ok" {} }
                "Meta"
            }
            li {
                svg width="12" height="12" aria-hidden="true" {
                    circle cx="6" cy="6" r="4.6" class="f-card s-ink" stroke-width="1.8" {}
                }
                (lang.t("nossa estimativa", "our estimate"))
            }
        }
        ul.emq {
            @for row in newest.iter().take(5) {
                (line(frame, row, data.keys.as_deref().unwrap_or_default()))
            }
        }
        p.note.foot-note {
            (lang.t("Linha tracejada: 6,0, o mínimo que a Meta aconselha.",
                "Dashed line: 6.0, the least that Meta advises.")) " "
            a href=(frame.link("/qualidade", "")) {
                @if more > 0 {
                    (lang.t("Mais ", "")) (more)
                    (lang.t(" eventos, com cada chave", " more events, with each key"))
                }
                @else { (lang.t("Cada evento, com cada chave", "Each event, with each key")) }
            }
        }
    }
}

fn line(frame: &Frame, row: &QualityRow, keys: &[QualityKey]) -> Markup {
    let lang = frame.lang;
    let stale = (frame.now - row.fetched_at).num_hours() >= 36;
    let is_low = row.score.is_none_or(|score| score < 7.0);
    let hint = quality::advice(lang, row, keys).filter(|_| is_low);
    html! {
        li {
            span {
                (event_name(lang, &row.event_name))
                small.sub { br; (frame.dataset_name(row.dataset_id)) }
            }
            (charts::dots(lang, Dots { score: row.score, estimate: row.estimate, stale }))
            b { (row.score.map_or_else(|| NONE.to_owned(), |score| lang.decimal(score, 1))) }
            @if let Some(hint) = hint { span.hint { (hint) } }
        }
    }
}

/// The newest row of each event name.
pub(crate) fn newest(rows: &[QualityRow]) -> Vec<&QualityRow> {
    let mut newest: BTreeMap<(i64, &str), &QualityRow> = BTreeMap::new();
    for row in rows {
        let kept = newest
            .entry((row.dataset_id, row.event_name.as_str()))
            .or_insert(row);
        if row.day > kept.day {
            *kept = row;
        }
    }
    newest.into_values().collect()
}
