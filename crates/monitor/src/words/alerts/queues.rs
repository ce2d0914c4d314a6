//! What waits, what is late and what stopped.

use rastro_core::alert::Facts;

use super::{Said, plural};
use crate::words::Language;

pub(super) fn dead_letters(said: &Said<'_>) -> String {
    let Said {
        dataset: d,
        n,
        events,
        money,
        ..
    } = said;
    let cause = cause(said.facts, said.language);
    match said.pt {
        true => {
            let first = said
                .deadline
                .as_ref()
                .map(|t| format!(" O primeiro vence em {t}."));
            format!(
                "{d}: {events} {}{money}: {cause}.{}",
                plural(*n, "parou", "pararam"),
                first.unwrap_or_default()
            )
        }
        false => {
            let first = said.deadline.as_ref().map(|t| format!(" First deadline in {t}."));
            format!(
                "{d}: {events} stopped{money}: {cause}.{}",
                first.unwrap_or_default()
            )
        }
    }
}

/// The cause of dead letters in plain words.
fn cause(facts: &Facts, language: Language) -> String {
    let code = match (facts.code, facts.subcode) {
        (Some(code), Some(subcode)) => format!(" {code}/{subcode}"),
        (Some(code), None) => format!(" {code}"),
        _ => String::new(),
    };
    let one = facts.count == Some(1);
    let (pt, en) = match (facts.reason.as_deref(), one) {
        (Some("refused"), _) => {
            let (pt, en) = match one {
                true => ("a Meta o recusou", "Meta refused it"),
                false => ("a Meta os recusou", "Meta refused them"),
            };
            return match code.as_str() {
                "" => language.pick(pt, en).to_owned(),
                code => language.pick(format!("{pt}, código{code}"), format!("{en}, code{code}")),
            };
        }
        (Some("exhausted"), _) => ("todas as tentativas falharam", "every retry failed"),
        (Some("expired"), true) => ("é velho demais para a Meta", "it is too old for Meta"),
        (Some("expired"), false) => ("são velhos demais para a Meta", "they are too old for Meta"),
        (Some("set_aside"), _) => ("alguém os separou", "somebody set them aside"),
        (Some("dataset_deleted"), _) => ("o conjunto foi apagado", "the dataset was deleted"),
        (_, true) => ("o conteúdo dele sumiu", "its content is gone"),
        (_, false) => ("o conteúdo deles sumiu", "their content is gone"),
    };
    language.pick(pt, en).to_owned()
}

pub(super) fn expiring(said: &Said<'_>) -> String {
    let Said {
        dataset: d,
        n,
        events,
        money,
        ..
    } = said;
    let t = said.deadline.as_deref().unwrap_or_default();
    match said.pt {
        true => format!(
            "{d}: {events}{money} {} em até {t} e ainda não {}.",
            plural(*n, "vence", "vencem"),
            plural(*n, "chegou", "chegaram")
        ),
        false => format!(
            "{d}: {events}{money} {} within {t}.",
            plural(*n, "expires", "expire")
        ),
    }
}

pub(super) fn queue_age(said: &Said<'_>) -> String {
    let (d, t) = (&said.dataset, &said.lasted);
    match said.pt {
        true => format!("{d}: a fila não anda há {t}. O forwarder roda?"),
        false => format!("{d}: the queue has not moved for {t}. Is a forwarder running?"),
    }
}

pub(super) fn retry_overdue(said: &Said<'_>) -> String {
    let t = &said.lasted;
    match said.pt {
        true => format!("Novas tentativas atrasadas em {t}. O retry-worker roda?"),
        false => format!("Retries are {t} late. Is a retry-worker running?"),
    }
}

pub(super) fn partitions(said: &Said<'_>) -> String {
    let day = &said.day;
    match said.pt {
        true => format!("Faltam tabelas a partir de {day}; depois nada pode ser gravado."),
        false => format!("No tables from {day} on; after that nothing can be stored."),
    }
}
