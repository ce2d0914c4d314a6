//! The sentence that answers. What is worst comes first; everything else is counted.

use maud::{Markup, html};
use rastro_core::circuit_breaker::{Manual, Permission, Reason};
use rastro_store::WatchedBreaker;
use rastro_store::dashboard::{AlertRow, DeadGroup};

use super::data::OverviewData;
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
}

pub fn verdict(frame: &Frame, data: &OverviewData) -> Verdict {
    let lang = frame.lang;
    let mut concerns = concerns(frame, data);
    concerns.sort_by_key(|concern| std::cmp::Reverse(concern.tone));
    let count = concerns.len();
    let Some(worst) = concerns.into_iter().next() else {
        return calm(frame, data);
    };
    let arrives = worst.tone < Tone::Bad;
    let answer = match (arrives, count) {
        (true, 1) => lang
            .t(
                "Tudo chega à Meta. Uma coisa pede atenção.",
                "Everything reaches Meta. One thing asks for attention.",
            )
            .to_owned(),
        (true, n) => match lang {
            Lang::Pt => format!("Tudo chega à Meta. {n} coisas pedem atenção."),
            Lang::En => format!("Everything reaches Meta. {n} things ask for attention."),
        },
        (false, _) => worst.answer,
    };
    Verdict {
        tone: worst.tone,
        answer,
        more: worst.more,
    }
}

fn calm(frame: &Frame, data: &OverviewData) -> Verdict {
    let lang = frame.lang;
    match &data.trail {
        None => Verdict {
            tone: Tone::Neutral,
            answer: lang
                .t("Uma parte não respondeu agora", "A part did not answer just now")
                .to_owned(),
            more: html! { (lang.t(
                "O que se vê abaixo vale; o resto vem na próxima vez.",
                "What is below holds; the rest comes next time.",
            )) },
        },
        Some(trail) if trail.accepted == 0 && trail.duplicates == 0 && nothing_ever(data) => Verdict {
            tone: Tone::Neutral,
            answer: lang.t("Nenhum evento ainda", "No events yet").to_owned(),
            more: html! {
                (lang.t("Cadastre um conjunto, copie a tag e mande um evento de teste: ",
                    "Add a dataset, copy the tag and send a test event: "))
                a href=(frame.link("/conjuntos", "")) { (lang.t("Conjuntos", "Datasets")) } "."
            },
        },
        Some(trail) => Verdict {
            tone: Tone::Good,
            answer: lang
                .t("Tudo chega à Meta.", "Everything reaches Meta.")
                .to_owned(),
            more: html! {
                (lang.plural(trail.delivered, ("evento entregue", "event delivered"),
                    ("eventos entregues", "events delivered")))
                " " (lang.t("hoje; nenhum parado, nada a fazer.", "today; none stopped, nothing to do."))
            },
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
            more: html! {
                b { (name) ": " (lang.t("enviando por ordem", "sending by order")) } ". "
                a href=(link) { (lang.t("Ver a ordem", "See the order")) }
            },
        });
    }
    let (answer, what) = why_stopped(lang, &name, forced, watched.breaker.reason);
    let is_order = forced == Manual::ForcedOpen;
    Some(Concern {
        // What somebody ordered surprises nobody.
        tone: if is_order { Tone::Watch } else { Tone::Bad },
        more: html! {
            @if is_order { b { (answer) ". " } }
            (what) " " a href=(link) { (lang.t("Ver o disjuntor", "See the circuit breaker")) }
        },
        answer,
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
    Concern {
        tone: if alert.severity == "critical" {
            Tone::Bad
        } else {
            Tone::Watch
        },
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
