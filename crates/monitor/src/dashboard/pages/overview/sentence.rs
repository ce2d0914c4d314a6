//! The sentence that answers. What is worst comes first; everything else is counted.

use maud::{Markup, html};
use rastro_core::circuit_breaker::{Manual, Permission, Reason};
use rastro_store::WatchedBreaker;
use rastro_store::dashboard::{AlertRow, DeadGroup, Trail};

use super::data::OverviewData;
use crate::dashboard::frame::Checked;
use crate::dashboard::layout::{Frame, Tone};
use crate::dashboard::pages::{alerts, cause};
use crate::dashboard::words::Lang;

/// The answer, and what to do.
pub struct Verdict {
    pub tone: Tone,
    pub answer: String,
    pub more: Markup,
}

/// What needs somebody, the worst first.
struct Concern {
    tone: Tone,
    answer: String,
    more: Markup,
    /// Whether events reach Meta all the same.
    arrives: bool,
}

/// A queue whose oldest event has waited for so long does not move.
const QUEUE_STANDS_AFTER_MS: i64 = 5 * 60 * 1000;

pub fn verdict(frame: &Frame, data: &OverviewData) -> Verdict {
    let lang = frame.lang;
    let mut concerns = concerns(frame, data);
    concerns.sort_by_key(|concern| (std::cmp::Reverse(concern.tone), concern.arrives));
    let count = concerns.len();
    let arrives = concerns.iter().all(|concern| concern.arrives);
    let doubt = doubt(frame, data, arrives);
    let Some(worst) = concerns.into_iter().next() else {
        return doubt.unwrap_or_else(|| calm(frame, data));
    };
    if !worst.arrives {
        return Verdict {
            tone: worst.tone,
            answer: worst.answer,
            more: worst.more,
        };
    }
    if let Some(doubt) = doubt {
        return Verdict {
            tone: worst.tone.max(doubt.tone),
            answer: doubt.answer,
            more: html! { (doubt.more) " " (worst.more) },
        };
    }
    let answer = match count {
        1 => lang
            .t(
                "Tudo chega à Meta. Uma coisa pede atenção.",
                "Everything reaches Meta. One thing asks for attention.",
            )
            .to_owned(),
        n => match lang {
            Lang::Pt => format!("Tudo chega à Meta. {n} coisas pedem atenção."),
            Lang::En => format!("Everything reaches Meta. {n} things ask for attention."),
        },
    };
    Verdict {
        tone: worst.tone,
        answer,
        more: worst.more,
    }
}

/// Why it is not known whether everything arrives; `None`: it is. `flows`: nothing else is to blame for a
/// queue that stands.
fn doubt(frame: &Frame, data: &OverviewData, flows: bool) -> Option<Verdict> {
    let lang = frame.lang;
    let is_whole = data.breakers.is_some() && data.dead_groups.is_some() && data.alerts.is_some();
    let Some(trail) = data.trail.as_ref().filter(|_| is_whole) else {
        return Some(Verdict {
            tone: Tone::Neutral,
            answer: lang
                .t("Uma parte não respondeu agora", "A part did not answer just now")
                .to_owned(),
            more: html! { (lang.t(
                "O que se vê abaixo vale; o resto vem na próxima vez.",
                "What is below holds; the rest comes next time.",
            )) },
        });
    };
    if is_empty(trail, data) {
        return None;
    }
    let watch = |answer: String, pt, en| {
        Some(Verdict {
            tone: Tone::Watch,
            answer,
            more: html! { (lang.t(pt, en)) },
        })
    };
    let stands = trail
        .oldest_ready_at
        .map(|at| (trail.now - at).num_milliseconds())
        .filter(|waited| flows && *waited >= QUEUE_STANDS_AFTER_MS);
    if let Some(waited) = stands {
        let long = lang.duration(waited);
        return watch(
            match lang {
                Lang::Pt => format!("Não sei se tudo chega: a fila espera há {long}"),
                Lang::En => {
                    format!("It is not known whether everything arrives: the queue has waited for {long}")
                }
            },
            "Nada se perde: confira se o capi-forwarder roda.",
            "Nothing is lost: check that the capi-forwarder runs.",
        );
    }
    if let Some(silent) = frame.checked.silent_for() {
        let long = lang.duration(silent);
        return watch(
            match lang {
                Lang::Pt => format!("Não sei se tudo chega: o monitor não verifica há {long}"),
                Lang::En => {
                    format!(
                        "It is not known whether everything arrives: the monitor has not checked for {long}"
                    )
                }
            },
            "Contagens e alertas estão parados: confira se `monitor check` roda a cada minuto.",
            "Counts and alerts stand still: check that `monitor check` runs every minute.",
        );
    }
    match frame.checked {
        Checked::Ago(_) => None,
        Checked::Never | Checked::Unknown => watch(
            lang.t(
                "Não sei se tudo chega: o monitor ainda não verificou nada",
                "It is not known whether everything arrives: the monitor has not checked anything yet",
            )
            .to_owned(),
            "Sem ele não há contagens nem alertas: rode `monitor check` a cada minuto.",
            "Without it there are no counts and no alerts: run `monitor check` every minute.",
        ),
    }
}

/// Nothing has ever come, so there is nothing to doubt.
fn is_empty(trail: &Trail, data: &OverviewData) -> bool {
    trail.accepted == 0 && trail.duplicates == 0 && nothing_ever(data)
}

/// Nothing needs anybody, and all that could say so has answered.
fn calm(frame: &Frame, data: &OverviewData) -> Verdict {
    let lang = frame.lang;
    let delivered = match &data.trail {
        Some(trail) if !is_empty(trail, data) => trail.delivered,
        _ => {
            return Verdict {
                tone: Tone::Neutral,
                answer: lang.t("Nenhum evento ainda", "No events yet").to_owned(),
                more: html! {
                    (lang.t("Cadastre um conjunto, copie a tag e mande um evento de teste: ",
                        "Add a dataset, copy the tag and send a test event: "))
                    a href=(frame.link("/conjuntos", "")) { (lang.t("Conjuntos", "Datasets")) } "."
                },
            };
        }
    };
    Verdict {
        tone: Tone::Good,
        answer: lang
            .t("Tudo chega à Meta.", "Everything reaches Meta.")
            .to_owned(),
        more: html! {
            (lang.plural(delivered, ("evento entregue", "event delivered"),
                ("eventos entregues", "events delivered")))
            " " (lang.t("hoje; nenhum parado, nada a fazer.", "today; none stopped, nothing to do."))
        },
    }
}

fn nothing_ever(data: &OverviewData) -> bool {
    data.days
        .as_ref()
        .is_none_or(|days| days.iter().all(|day| day.events == 0))
}

fn concerns(frame: &Frame, data: &OverviewData) -> Vec<Concern> {
    let is_shown = |id: i64| {
        let is_known = frame.datasets.iter().any(|(known, _)| *known == id);
        is_known && frame.dataset.is_none_or(|dataset| dataset == id)
    };
    let breakers = data.breakers.iter().flatten();
    let breakers = breakers
        .filter(|watched| is_shown(watched.dataset_id.as_i64()))
        .filter_map(|watched| of_breaker(frame, watched));
    let groups = data.dead_groups.iter().flatten();
    let groups = groups
        .filter(|group| group.retryable > 0)
        .map(|group| of_dead_letters(frame, group));
    let alerts = data.alerts.iter().flatten();
    let alerts = alerts
        .filter(|alert| alert.state == "firing" && alert.muted_by.is_none() && !is_said_already(alert))
        .map(|alert| of_alert(frame, alert));
    breakers.chain(groups).chain(alerts).collect()
}

/// A dataset whose events wait, or are sent only because somebody said so.
fn of_breaker(frame: &Frame, watched: &WatchedBreaker) -> Option<Concern> {
    let lang = frame.lang;
    let id = watched.dataset_id.as_i64();
    let name = frame.dataset_name(id);
    let link = frame.link(&format!("/disjuntor/{id}"), "");
    let forced = watched.breaker.manual_in_force(watched.now_ms);
    if watched.breaker.permission(watched.now_ms) == Permission::Freely {
        return (forced == Manual::ForcedClosed).then(|| Concern {
            tone: Tone::Watch,
            answer: String::new(),
            arrives: true,
            more: html! {
                b { (name) ": " (lang.t("enviando por ordem", "sending by order")) } ". "
                a href=(link) { (lang.t("Ver a ordem", "See the order")) }
            },
        });
    }
    let (answer, what) = why_stopped(lang, &name, forced, watched.breaker.reason);
    let is_order = forced == Manual::ForcedOpen;
    let wants_token = !is_order && watched.breaker.reason == Some(Reason::Blocked);
    let more = html! {
        (what) " "
        @if wants_token {
            a href=(frame.link(&format!("/conjuntos/{id}"), "")) { (lang.t("Trocar o token", "Replace the token")) } " · "
        }
        a href=(link) { (lang.t("Ver o disjuntor", "See the circuit breaker")) }
    };
    Some(Concern {
        // What somebody ordered surprises nobody.
        tone: if is_order { Tone::Watch } else { Tone::Bad },
        more,
        answer,
        arrives: false,
    })
}

/// What happened to a dataset's events, and what to do.
fn why_stopped(lang: Lang, name: &str, forced: Manual, reason: Option<Reason>) -> (String, &'static str) {
    let (pt, en) = match (forced, reason) {
        (Manual::ForcedOpen, _) => (
            format!("{name}: parado por ordem"),
            format!("{name}: stopped by order"),
        ),
        (_, Some(Reason::Blocked)) => (
            format!("A Meta recusa o token de {name}"),
            format!("Meta refuses the token of {name}"),
        ),
        (_, Some(Reason::Refused)) => (
            format!("A Meta recusa os eventos de {name}, um após o outro"),
            format!("Meta refuses the events of {name}, one after another"),
        ),
        (_, Some(Reason::Throttled)) => (
            format!("A Meta pediu para {name} esperar"),
            format!("Meta told {name} to wait"),
        ),
        _ => (
            format!("Meta fora do ar para {name}"),
            format!("Meta API down for {name}"),
        ),
    };
    let what = match (forced, reason) {
        (Manual::ForcedOpen, _) => lang.t(
            "Os eventos esperam até a ordem terminar. Nada se perde em menos de sete dias.",
            "Events wait until the order ends. Nothing is lost within seven days.",
        ),
        (_, Some(Reason::Blocked)) => lang.t(
            "Troque o token: os eventos esperam e seguem sozinhos depois.",
            "Replace the token: events wait and then go on by themselves.",
        ),
        (_, Some(Reason::Refused)) => lang.t(
            "O envio parou para não perder o resto: corrija a causa.",
            "Sending stopped so that the rest is not lost: put the cause right.",
        ),
        (_, Some(Reason::Throttled)) => lang.t(
            "Limite de chamadas: volta sozinho.",
            "Rate limit: it resumes by itself.",
        ),
        _ => lang.t(
            "Nada se perde: os eventos esperam e seguem sozinhos quando ela voltar.",
            "Nothing is lost: events wait and go on by themselves when it is back.",
        ),
    };
    let answer = match lang {
        Lang::Pt => pt,
        Lang::En => en,
    };
    (answer, what)
}

fn of_dead_letters(frame: &Frame, group: &DeadGroup) -> Concern {
    let lang = frame.lang;
    let (title, _, _) = cause::of_group(lang, group);
    let amounts = group.amounts.iter().copied();
    let money: Vec<(String, f64)> = group.currencies.iter().cloned().zip(amounts).collect();
    let stopped = match group.retryable {
        1 => lang.t("está parado", "is stopped"),
        _ => lang.t("estão parados", "are stopped"),
    };
    let more = html! {
        b {
            (lang.plural(group.retryable, ("evento", "event"), ("eventos", "events"))) " "
            (lang.t("de", "of")) " " (frame.dataset_name(group.dataset_id)) " " (stopped)
        }
        @if !money.is_empty() { " (" (lang.moneys(&money, true)) ")" }
        ": " (lower(&title)) "."
        @if let Some(deadline) = group.first_deadline {
            " " (lang.t("O primeiro vence em", "The first expires in")) " "
            b { (lang.duration((deadline - frame.now).num_milliseconds())) } "."
        }
        " " a href=(frame.link("/parados", "")) { (lang.t("Ver e reenviar", "See and resend")) }
    };
    Concern {
        tone: Tone::Watch,
        answer: String::new(),
        more,
        arrives: true,
    }
}

/// Whether breakers and dead letters say it on this page by themselves, or it asks for nothing.
fn is_said_already(alert: &AlertRow) -> bool {
    alert.severity == "info"
        || alert.rule.starts_with("breaker_")
        || alert.rule == "dead_letters"
        || alert.rule == "expiring"
}

fn of_alert(frame: &Frame, alert: &AlertRow) -> Concern {
    let link = frame.link(&format!("/alertas/{}", alert.alert_id), "");
    let is_critical = alert.severity == "critical";
    Concern {
        tone: if is_critical { Tone::Bad } else { Tone::Watch },
        arrives: !is_critical,
        answer: alerts::title(frame, alert),
        more: html! {
            (alerts::sentence(frame, alert)) " "
            a href=(link) { (frame.lang.t("Ver o alerta", "See the alert")) }
        },
    }
}

/// The first letter small, to go on after a colon; names of companies stay.
fn lower(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) if !text.starts_with("Meta") => first.to_lowercase().chain(characters).collect(),
        _ => text.to_owned(),
    }
}
