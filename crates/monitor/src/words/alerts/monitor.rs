//! The monitor itself and what it stands on.

use rastro_core::alert::Rule;

use super::super::figures::name;
use super::{Said, title};

pub(super) fn check_failing(said: &Said<'_>) -> String {
    let error = said.facts.error.as_deref().map(name).unwrap_or_default();
    let rule = match Rule::parse(&said.name) {
        Some(rule) => title(rule, said.language),
        None => said.name.as_str(),
    };
    match said.pt {
        true => format!("Não consigo verificar “{rule}”: {error}"),
        false => format!("Cannot check “{rule}”: {error}"),
    }
}

pub(super) fn check_silent(said: &Said<'_>) -> String {
    let t = &said.lasted;
    match said.pt {
        true => format!("O monitor não verifica nada há {t}."),
        false => format!("The monitor has checked nothing for {t}."),
    }
}

pub(super) fn database_down(said: &Said<'_>) -> String {
    let t = &said.lasted;
    match said.pt {
        true => format!("O banco não responde há {t}; o gateway devolve 503."),
        false => format!("The database has not answered for {t}; the gateway answers 503."),
    }
}
