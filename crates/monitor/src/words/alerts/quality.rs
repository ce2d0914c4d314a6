//! Meta's score, and what is configured at Meta.

use super::super::figures::{count, match_key, name};
use super::{Said, plural};

pub(super) fn emq_drop(said: &Said<'_>) -> String {
    let Said {
        dataset: d,
        value,
        percent,
        facts,
        ..
    } = said;
    let event = facts.event_name.as_deref().map(name).unwrap_or_default();
    let missing = match (facts.key.as_deref(), facts.percent) {
        (Some(key), Some(_)) => {
            let (portuguese, english) = match_key(key).unwrap_or((key, key));
            said.language.pick(
                format!(" Falta {} em {percent}.", name(portuguese)),
                format!(" {} is missing in {percent}.", name(english)),
            )
        }
        _ => String::new(),
    };
    match said.pt {
        true => format!("{d}, {event}: a nota EMQ caiu para {value}.{missing}"),
        false => format!("{d}, {event}: EMQ fell to {value}.{missing}"),
    }
}

pub(super) fn emq_unreadable(said: &Said<'_>) -> String {
    let d = &said.dataset;
    match said.pt {
        true => format!("{d}: o token só envia, não lê a nota."),
        false => format!("{d}: the token may send but not read the score."),
    }
}

pub(super) fn test_code(said: &Said<'_>) -> String {
    let (d, t) = (&said.dataset, &said.lasted);
    match said.pt {
        true => format!("{d}: código de teste ligado há {t}; estes eventos contam."),
        false => format!("{d}: test code on for {t}; these events count."),
    }
}

pub(super) fn api_version(said: &Said<'_>) -> String {
    let Said { name: version, n, .. } = said;
    let days = count(*n, said.language);
    match said.pt {
        true => format!(
            "A versão {version} da API da Meta acaba em {days}\u{a0}{}.",
            plural(*n, "dia", "dias")
        ),
        false => format!(
            "Graph API {version} ends in {days}\u{a0}{}.",
            plural(*n, "day", "days")
        ),
    }
}
