//! Rates of what comes in and goes out.

use super::super::figures::{count, name, score};
use super::Said;

pub(super) fn error_rate(said: &Said<'_>) -> String {
    let Said {
        dataset,
        percent,
        count,
        total,
        window,
        ..
    } = said;
    match said.pt {
        true => {
            format!(
                "{dataset}: {percent} dos envios à Meta falham ({count} de {total} em {window}). Nada se perdeu."
            )
        }
        false => {
            format!(
                "{dataset}: {percent} of sends to Meta fail ({count} of {total} in {window}). Nothing is lost."
            )
        }
    }
}

pub(super) fn latency(said: &Said<'_>) -> String {
    let d = &said.dataset;
    let ms = |ms| format!("{}\u{a0}ms", count(ms, said.language));
    match (said.facts.p95_ms.map(ms), said.pt) {
        (Some(p95), true) => format!("{d}: a Meta demora; 1 em 20 respostas passa de {p95}."),
        (Some(p95), false) => format!("{d}: Meta is slow; 1 answer in 20 takes over {p95}."),
        (None, true) => format!("{d}: a Meta demora; 1 em 20 pedidos fica sem resposta."),
        (None, false) => format!("{d}: Meta is slow; 1 request in 20 is not answered."),
    }
}

pub(super) fn duplicates(said: &Said<'_>) -> String {
    let Said { dataset, percent, .. } = said;
    match said.pt {
        true => {
            format!("{dataset}: {percent} do recebido é repetido. Foi barrado, mas algo envia duas vezes.")
        }
        false => {
            format!(
                "{dataset}: {percent} of what arrives is a repeat. It is kept back, but something sends twice."
            )
        }
    }
}

/// Of one dataset; or of all, where one is named as little as an event.
pub(super) fn silence(said: &Said<'_>) -> String {
    let (facts, t) = (said.facts, &said.lasted);
    let expected = facts.expected.map(|events| score(events, said.language));
    let expected = expected.unwrap_or_default();
    if facts.dataset_name.is_none() {
        return match said.pt {
            true => {
                format!(
                    "Nada chega de nenhum conjunto há {t}; o normal seriam {expected} eventos. O gateway responde?"
                )
            }
            false => {
                format!(
                    "Nothing has come from any dataset for {t}; {expected} events were expected. Does the gateway answer?"
                )
            }
        };
    }
    let d = &said.dataset;
    match said.pt {
        true => {
            let none = none_of(facts.event_name.as_deref());
            format!("{d}: {none} há {t}; o normal seriam {expected}. O site ainda envia?")
        }
        false => {
            let event = facts.event_name.as_deref().map_or("event".to_owned(), name);
            format!("{d}: no {event} for {t}; {expected} were expected. Does the site still send?")
        }
    }
}

/// `nenhuma compra`: that there was none of an event, in Portuguese. Names that nobody translates stay.
fn none_of(event: Option<&str>) -> String {
    match event {
        Some("Purchase") => "nenhuma compra".to_owned(),
        Some("Lead") => "nenhum lead".to_owned(),
        Some("PageView") => "nenhuma visita".to_owned(),
        Some("CompleteRegistration") => "nenhum cadastro".to_owned(),
        Some("Schedule") => "nenhum agendamento".to_owned(),
        Some("Contact") => "nenhum contato".to_owned(),
        Some("InitiateCheckout") => "nenhum início de compra".to_owned(),
        Some(other) => format!("nenhum {}", name(other)),
        None => "nenhum evento".to_owned(),
    }
}

pub(super) fn delivery_budget(said: &Said<'_>) -> String {
    let Said {
        dataset,
        count,
        total,
        window,
        ..
    } = said;
    match said.pt {
        true => format!(
            "{dataset}: {count} de {total} eventos não chegaram em {window}; nesse ritmo a meta de 99,9\u{a0}% se perde."
        ),
        false => format!(
            "{dataset}: {count} of {total} events did not arrive in {window}; at this pace the 99.9% goal is lost."
        ),
    }
}

/// Events that are nowhere, or, counted below nothing, in two places.
pub(super) fn conservation(said: &Said<'_>) -> String {
    let day = &said.day;
    let n = count(said.n.abs(), said.language);
    match (said.pt, said.n < 0) {
        (true, false) => format!("A conta de {day} não fecha: faltam {n}. Isto é um defeito; avise-nos."),
        (true, true) => format!("A conta de {day} não fecha: sobram {n}. Isto é um defeito; avise-nos."),
        (false, false) => {
            format!("The account of {day} is short of {n}. This is a defect; please tell us.")
        }
        (false, true) => format!("The account of {day} is over by {n}. This is a defect; please tell us."),
    }
}

pub(super) fn partial_ack(said: &Said<'_>) -> String {
    let Said {
        dataset,
        count,
        total,
        ..
    } = said;
    match said.pt {
        true => format!("{dataset}: a Meta confirmou {count} de {total} eventos."),
        false => format!("{dataset}: Meta confirmed {count} of {total} events."),
    }
}
