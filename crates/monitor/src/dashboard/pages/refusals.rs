//! What the gateway refused at the door (422): of which events, for which field, and what is usually wrong
//! with it. The events themselves are not stored.

use maud::{Markup, html};
use rastro_store::dashboard::RefusedAtDoor;

use crate::dashboard::layout::{Frame, Tone, badge};
use crate::dashboard::pages::event_name;
use crate::dashboard::words::{Lang, cut};

/// What a refused field usually means.
fn meaning(lang: Lang, field: &str) -> &'static str {
    let of = |part: &str| field.split('/').any(|name| name == part);
    if of("user_data") {
        return lang.t(
            "dados da pessoa: falta o que permite encontrá-la, ou um deles não é o que diz ser (um e-mail sem @, um telefone curto)",
            "the person's data: what finds them is missing, or is not what it says it is (an e-mail without @, a short phone)",
        );
    }
    if of("event_time") {
        return lang.t(
            "a hora do evento: falta, está em milissegundos ou é velha demais",
            "the event's time: missing, in milliseconds, or too old",
        );
    }
    if of("value") || of("currency") || of("custom_data") {
        return lang.t(
            "dados da venda: valor como número, moeda como BRL",
            "the sale's data: value as a number, currency as BRL",
        );
    }
    if of("Origin") {
        return lang.t(
            "uma chave secreta foi usada em um navegador: revogue-a",
            "a secret key was used in a browser: revoke it",
        );
    }
    match field {
        "" => lang.t(
            "o evento ou o pedido inteiro não pôde ser lido",
            "the event or the whole request could not be read",
        ),
        _ => lang.t(
            "este campo falta, está errado ou não existe",
            "this field is missing, wrong, or does not exist",
        ),
    }
}

/// A list of causes. Empty where nothing was refused.
pub fn list(frame: &Frame, refusals: &[RefusedAtDoor]) -> Markup {
    let lang = frame.lang;
    html! {
        ul.feed { @for refused in refusals { li {
            (badge(Tone::Bad))
            span {
                (lang.plural(refused.events, ("evento", "event"), ("eventos", "events")))
                @if let Some(name) = &refused.event_name { " " (event_name(lang, name)) }
                ": " code { (cut(if refused.field.is_empty() { "/" } else { &refused.field }, 60)) }
                small { (meaning(lang, &refused.field))
                    @if let Some(label) = &refused.key_label { " · " (lang.t("chave", "key")) " “" (cut(label, 40)) "”" }
                    @if let Some(id) = refused.request_id { " · request_id " code { (id) } } }
            }
            time { (frame.zone.short(lang, refused.last_at, frame.now)) }
        } } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_told_in_words_wherever_it_stands() {
        assert!(meaning(Lang::Pt, "/user_data/em").contains("e-mail"));
        assert!(meaning(Lang::En, "/event/user_data").contains("person"));
        assert!(meaning(Lang::En, "/custom_data/value").contains("number"));
        assert!(meaning(Lang::En, "/event_time").contains("milliseconds"));
        assert!(meaning(Lang::En, "/customData").contains("does not exist"));
    }
}
