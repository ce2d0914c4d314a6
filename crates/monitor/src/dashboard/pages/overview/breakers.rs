//! The circuit breakers, one for each dataset.

use maud::{Markup, html};
use rastro_core::circuit_breaker::{Breaker, Manual, Permission, Reason};
use rastro_store::WatchedBreaker;

use super::data::OverviewData;
use crate::dashboard::layout::{self, Frame, Tone, missing, pill};
use crate::dashboard::words::{Lang, cut};

/// Datasets on the card, at most.
const MOST_SHOWN: usize = 20;

pub(super) fn card(frame: &Frame, data: &OverviewData) -> Markup {
    let title = frame.lang.t("Disjuntores", "Circuit breakers");
    let note = frame.lang.t("um por conjunto de dados", "one for each dataset");
    layout::card("c7", "breakers", title, note, &draw(frame, data))
}

fn draw(frame: &Frame, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let Some(watched) = &data.breakers else {
        return missing(lang);
    };
    if frame.datasets.is_empty() {
        return html! { p.empty { (lang.t("Nenhum conjunto de dados ainda.", "No datasets yet.")) " "
        a href=(frame.link("/conjuntos", "")) { (lang.t("Cadastrar o primeiro", "Add the first")) } } };
    }
    let shown = frame
        .datasets
        .iter()
        .filter(|(id, _)| frame.dataset.is_none_or(|dataset| dataset == *id))
        .take(MOST_SHOWN);
    html! {
        div.scroll tabindex="0" role="region" aria-label=(lang.t("Tabela dos disjuntores", "Table of the breakers")) {
            table.wide {
                thead { tr {
                    th scope="col" { (lang.t("Conjunto", "Dataset")) }
                    th scope="col" { (lang.t("Estado", "State")) }
                    th scope="col" { (lang.t("Últimos 5 min", "Last 5 min")) }
                    th.r scope="col" { (lang.t("Ordem", "Order")) }
                } }
                tbody {
                    @for (id, name) in shown {
                        (line(frame, data, (*id, name), watched.iter().find(|known| known.dataset_id.as_i64() == *id)))
                    }
                }
            }
        }
    }
}

/// One breaker; without a row of its own it has always let everything through.
fn line(
    frame: &Frame,
    data: &OverviewData,
    (id, name): (i64, &str),
    known: Option<&WatchedBreaker>,
) -> Markup {
    let lang = frame.lang;
    let evidence = known.map(|watched| watched.evidence);
    let words = lang.t("Ver o disjuntor de", "See the breaker of");
    html! {
        tr {
            td { (cut(name, 60)) }
            td {
                @match known {
                    Some(watched) => {
                        @let (tone, words) = breaker_state(lang, &watched.breaker, watched.now_ms);
                        (pill(tone, words))
                        @if watched.breaker.manual_in_force(watched.now_ms) != Manual::Automatic {
                            @if let Some(note) = data.notes.get(&id) { div.sub { (cut(note, 90)) } }
                        }
                    },
                    None => (pill(Tone::Good, lang.t("enviando", "sending"))),
                }
            }
            td { @match evidence.filter(|evidence| evidence.requests > 0) {
                Some(evidence) => {
                    (lang.count(evidence.failures.into())) " " (lang.t("de", "of")) " "
                    (lang.count(evidence.requests.into())) " "
                    (lang.verb(evidence.failures.into(), ("falhou", "failed"), ("falharam", "failed")))
                },
                None => { (lang.t("nenhuma requisição", "no requests")) },
            } }
            td.r {
                a.btn.small href=(frame.link(&format!("/disjuntor/{id}"), "")) aria-label={ (words) " " (name) } {
                    (lang.t("Ver", "See"))
                }
            }
        }
    }
}

/// A breaker's state in two words.
pub(crate) fn breaker_state(lang: Lang, breaker: &Breaker, now_ms: i64) -> (Tone, &str) {
    match (
        breaker.manual_in_force(now_ms),
        breaker.permission(now_ms),
        breaker.reason,
    ) {
        (Manual::ForcedOpen, ..) => (Tone::Watch, lang.t("parado por ordem", "stopped by order")),
        (Manual::ForcedClosed, ..) => (Tone::Watch, lang.t("enviando por ordem", "sending by order")),
        (_, Permission::Freely, _) => (Tone::Good, lang.t("enviando", "sending")),
        (_, _, Some(Reason::Blocked)) => (Tone::Bad, lang.t("token recusado", "token refused")),
        (_, _, Some(Reason::Refused)) => (
            Tone::Bad,
            lang.t("parado: recusas em série", "stopped: refused in a row"),
        ),
        (_, _, Some(Reason::Throttled)) => (Tone::Watch, lang.t("esperando a Meta", "waiting for Meta")),
        (_, Permission::Nothing, _) => (Tone::Bad, lang.t("parado: Meta fora", "stopped: Meta down")),
        _ => (Tone::Watch, lang.t("testando a volta", "probing")),
    }
}
