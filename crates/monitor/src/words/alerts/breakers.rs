//! Breakers that are not closed.

use super::super::figures::name;
use super::{Said, plural};

pub(super) fn errors(said: &Said<'_>) -> String {
    let Said {
        dataset: d,
        events,
        n,
        ..
    } = said;
    let waits = said
        .language
        .pick(plural(*n, "espera", "esperam"), plural(*n, "waits", "wait"));
    match (&said.deadline, said.pt) {
        (Some(t), true) => format!("Meta fora do ar para {d}. {events} {waits}; prazo do primeiro: {t}."),
        (Some(t), false) => format!("Meta API down for {d}. {events} {waits}; first deadline {t}."),
        (None, true) => format!("Meta fora do ar para {d}. {events} {waits}."),
        (None, false) => format!("Meta API down for {d}. {events} {waits}."),
    }
}

pub(super) fn blocked(said: &Said<'_>) -> String {
    let Said {
        dataset: d,
        code,
        events,
        ..
    } = said;
    match (&said.deadline, said.pt) {
        (Some(t), true) => format!(
            "{d}: a Meta recusa o token (código {code}). Troque-o; {events} na fila, o primeiro vence em {t}."
        ),
        (Some(t), false) => format!(
            "{d}: Meta refuses the token (code {code}). Replace it; {events} wait, the first expires in {t}."
        ),
        (None, true) => {
            format!("{d}: a Meta recusa o token (código {code}). Troque-o; novos eventos esperam.")
        }
        (None, false) => format!("{d}: Meta refuses the token (code {code}). Replace it; new events wait."),
    }
}

pub(super) fn refused(said: &Said<'_>) -> String {
    let Said {
        dataset: d,
        code,
        events,
        ..
    } = said;
    match said.pt {
        true => format!(
            "{d}: a Meta recusa um evento após o outro (código {code}). {events} na fila até alguém corrigir."
        ),
        false => format!(
            "{d}: Meta refuses one event after the other (code {code}). {events} in the queue until somebody fixes it."
        ),
    }
}

pub(super) fn throttled(said: &Said<'_>) -> String {
    let (d, t) = (&said.dataset, &said.lasted);
    match said.pt {
        true => format!("{d}: limite de chamadas da Meta há {t}."),
        false => format!("{d}: throttled by Meta for {t}."),
    }
}

pub(super) fn forced(said: &Said<'_>) -> String {
    let (d, t, facts) = (&said.dataset, &said.lasted, said.facts);
    let note = facts.note.as_deref().map(name);
    let note = note.filter(|note| !note.trim().is_empty());
    let note = note.map(|note| format!(" (“{note}”)")).unwrap_or_default();
    let stops = facts.order.as_deref() == Some("forced_open");
    match (stops, said.pt) {
        (true, true) => format!("{d}: ordem manual “mandar parar” há {t}{note}."),
        (false, true) => format!("{d}: ordem manual “mandar enviar” há {t}{note}."),
        (true, false) => format!("{d}: manual order “stop sending” for {t}{note}."),
        (false, false) => format!("{d}: manual order “send anyway” for {t}{note}."),
    }
}
