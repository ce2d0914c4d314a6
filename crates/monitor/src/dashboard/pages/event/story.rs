//! One event, drawn: its trail, the ids by which others find it, and what Meta receives of it.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use rastro_store::dashboard::{Attempt, EventStory, Place};
use serde_json::Value;

use super::search_form;
use crate::dashboard::layout::{self, Frame, Tone, card, icon};
use crate::dashboard::pages::{cause, event_name};
use crate::dashboard::words::{Lang, cut, shorten};

/// One station of the trail.
struct Stop {
    class: &'static str,
    picture: &'static str,
    title: String,
    at: Option<DateTime<Utc>>,
    text: Markup,
    fbtrace: Option<String>,
    gap: Option<String>,
}

pub fn render(frame: &Frame, jaeger_url: &str, query: &str, story: &EventStory) -> Markup {
    let lang = frame.lang;
    let event = &story.event;
    let name = event_name(lang, &event.event_name);
    let delivered = story
        .attempts
        .iter()
        .find(|attempt| attempt.outcome == "delivered");
    let place = story.place.as_ref().map(|place| place.place.as_str());
    let withheld = story.outcomes.iter().any(|outcome| outcome.outcome == "withheld");
    let (tone, end) = match (delivered, place) {
        (Some(attempt), _) => (
            Tone::Good,
            format!(
                "{} {}",
                lang.t("chegou à Meta em", "reached Meta in"),
                lang.duration((attempt.attempted_at - event.received_at).num_milliseconds())
            ),
        ),
        (None, Some("failed")) => (Tone::Bad, lang.t("está parado", "is stopped").to_owned()),
        (None, Some("waiting")) => (
            Tone::Watch,
            lang.t("espera uma nova tentativa", "waits to be tried again")
                .to_owned(),
        ),
        (None, Some("ready")) => (
            Tone::Neutral,
            lang.t("está pronto para seguir", "is ready to be sent")
                .to_owned(),
        ),
        (None, Some("in_flight")) => (
            Tone::Neutral,
            lang.t("está a caminho", "is on the way").to_owned(),
        ),
        (None, _) if withheld => (
            Tone::Neutral,
            lang.t(
                "não é enviado: a pessoa recusou anúncios",
                "is not sent: the person refused ads",
            )
            .to_owned(),
        ),
        (None, _) => (
            Tone::Watch,
            lang.t("não está em nenhuma fila", "is in no queue").to_owned(),
        ),
    };
    let more = html! {
        (frame.dataset_name(event.dataset_id))
        @if let (Some(value), Some(currency)) = (event.value, &event.currency) { " · " (lang.money(value, currency, false)) }
        " · " (frame.zone.full(lang, event.event_time)) " (" (frame.zone.name()) ")"
        @if !event.test_event_code.is_empty() { " · " (lang.t("evento de teste", "test event")) }
    };
    html! {
        (layout::verdict(tone, &html! { (lang.t("Evento ", "")) (name) " " span.mono.em { (cut(&event.event_id, 60)) } " " (end) }, &more, &html! {}))
        (search_form(frame, query))
        div.grid {
            (card("c7", "story", lang.t("A história", "The story"), &format!("{} {}", lang.t("horários de", "times of"), frame.zone.name()), &html! {
                ol.story { @for stop in stops(frame, story) {
                    li class=(stop.class) {
                        div.node { (icon(stop.picture, 16)) }
                        h3 { (stop.title) @if let Some(at) = stop.at { time datetime=(at.to_rfc3339()) { (frame.zone.exact(lang, at)) } } }
                        p { (stop.text)
                            @if let Some(id) = &stop.fbtrace {
                                " " code { "fbtrace_id " (shorten(id)) } " "
                                button.btn.mini type="button" hidden data-copy=(id) aria-label={ (lang.t("Copiar fbtrace_id", "Copy fbtrace_id")) " " (id) } { (lang.t("copiar", "copy")) }
                            }
                        }
                        @if let Some(gap) = &stop.gap { span.gap { (gap) } }
                    }
                } }
            }))
            div.c5.stack {
                (card("", "links", lang.t("Ligações", "Links"), "", &links(frame, jaeger_url, story, delivered)))
                (card("", "what", lang.t("O que a Meta recebe", "What Meta receives"), lang.t("só resumos sem volta (SHA-256)", "fingerprints only (SHA-256)"), &payload(frame, &event.payload)))
            }
        }
    }
}

fn stops(frame: &Frame, story: &EventStory) -> Vec<Stop> {
    let (lang, event) = (frame.lang, &story.event);
    let mut stops = vec![Stop {
        class: "",
        picture: "tray",
        title: lang.t("Recebido", "Received").to_owned(),
        at: Some(event.received_at),
        text: html! {
            (lang.t("Respondido 202: já estava gravado.", "Answered 202: it was stored already.")) " "
            @if let Some(label) = &event.key_label { (lang.t("Chave", "Key")) " “" (cut(label, 40)) "”. " }
            code { "request_id " (shorten(&event.request_id.to_string())) }
        },
        fbtrace: None,
        gap: None,
    }];
    let copies: Vec<_> = story
        .outcomes
        .iter()
        .filter(|outcome| outcome.outcome == "duplicate")
        .collect();
    if let Some(first) = copies.first() {
        let count: i64 = copies.iter().map(|copy| i64::from(copy.event_count)).sum();
        stops.push(Stop {
            class: "",
            picture: "shield",
            title: lang.plural(count, ("cópia barrada", "copy kept back"), ("cópias barradas", "copies kept back")),
            at: Some(first.created_at),
            text: html! { (lang.t("O mesmo evento veio de novo: respondido 409, não foi enviado.", "The same event came again: answered 409, it was not sent.")) },
            fbtrace: None,
            gap: None,
        });
    }
    for outcome in story
        .outcomes
        .iter()
        .filter(|outcome| outcome.outcome != "duplicate")
    {
        let (picture, class, pt, en) = match outcome.outcome.as_str() {
            "retried" => ("again", "", "Reenvio pedido", "Resend asked for"),
            "expired" => ("clock", "bad", "Velho demais para a Meta", "Too old for Meta"),
            "withheld" => ("pause", "", "Guardado, não enviado", "Stored, not sent"),
            "erased" => (
                "cross",
                "",
                "Conteúdo apagado a pedido da pessoa",
                "Content erased at the person's request",
            ),
            "missing" => (
                "cross",
                "bad",
                "O conteúdo não existia mais",
                "The content was gone",
            ),
            "set_aside" => (
                "pause",
                "",
                "Separado à mão, não enviado",
                "Set aside by hand, not sent",
            ),
            other => ("dot", "", other, other),
        };
        stops.push(Stop {
            class,
            picture,
            title: cut(lang.t(pt, en), 60),
            at: Some(outcome.created_at),
            text: html! { @if let Some(detail) = &outcome.detail { (cut(detail, 200)) } },
            fbtrace: None,
            gap: None,
        });
    }
    for (at, attempt) in story.attempts.iter().enumerate() {
        stops.push(attempt_stop(lang, at, attempt));
    }
    stops[1..].sort_by_key(|stop| stop.at);
    // How long it waited before the next thing that happened.
    let times: Vec<_> = stops.iter().map(|stop| stop.at).collect();
    for (stop, next) in stops.iter_mut().zip(times.into_iter().skip(1)) {
        if let (Some(at), Some(next)) = (stop.at, next) {
            let waited = (next - at).num_milliseconds();
            if waited >= 100 && stop.class != "done" {
                stop.gap = Some(format!(
                    "{} {}",
                    lang.t("depois de", "after"),
                    lang.duration(waited)
                ));
            }
        }
    }
    if let Some(place) = &story.place {
        stops.push(now_stop(frame, story, place));
    }
    stops
}

fn attempt_stop(lang: Lang, at: usize, attempt: &Attempt) -> Stop {
    let ordinal = match lang {
        Lang::Pt => format!("{}ª tentativa", at + 1),
        Lang::En => format!("Attempt {}", at + 1),
    };
    let took = attempt.latency_ms.map(|ms| lang.milliseconds(f64::from(ms)));
    let events = lang.plural(
        i64::from(attempt.event_count),
        ("evento", "event"),
        ("eventos", "events"),
    );
    if attempt.outcome == "delivered" {
        return Stop {
            class: "done",
            picture: "check",
            title: format!("{ordinal}: {}", lang.t("entregue", "delivered")),
            at: Some(attempt.attempted_at),
            text: html! {
                "HTTP " (attempt.http_status.unwrap_or(200)) ", "
                @if let Some(received) = attempt.events_received { (received) " " (lang.t("de", "of")) " " (attempt.event_count) " " (lang.t("recebidos", "received")) ", " }
                (took.unwrap_or_default()) "."
            },
            fbtrace: attempt.fbtrace_id.clone(),
            gap: None,
        };
    }
    let words = cause::of_attempt(
        lang,
        &attempt.outcome,
        attempt.http_status,
        attempt.error_code,
        attempt.error_subcode,
    );
    let uncertain = attempt.outcome == "unavailable" && attempt.http_status.is_none();
    Stop {
        class: "bad",
        picture: "cross",
        title: format!("{ordinal}: {words}"),
        at: Some(attempt.attempted_at),
        text: html! {
            @if let Some(status) = attempt.http_status { "HTTP " (status) }  @else { (lang.t("Sem resposta", "No answer")) }
            @if let Some(code) = cause::code(attempt.error_code, attempt.error_subcode) { ", " (lang.t("código", "code")) " " code { (code) } }
            ". " (lang.t("Lote de", "Batch of")) " " (events) @if let Some(took) = took { ", " (took) } "."
            @if uncertain { " " (lang.t("Pode ter chegado: é repetido com o mesmo event_id, e a Meta descarta a cópia.", "It may have arrived: it is sent again with the same event_id, and Meta drops the copy.")) }
            @if let Some(message) = &attempt.error_message { span.sub { br; "“" (cut(message, 240)) "”" } }
        },
        fbtrace: attempt.fbtrace_id.clone(),
        gap: None,
    }
}

fn now_stop(frame: &Frame, story: &EventStory, place: &Place) -> Stop {
    let lang = frame.lang;
    let left = (story.event.send_by - frame.now).num_milliseconds();
    let deadline = match left > 0 {
        true => format!("{} {}.", lang.t("Vence em", "Expires in"), lang.duration(left)),
        false => lang
            .t("A Meta não o aceita mais.", "Meta would no longer take it.")
            .to_owned(),
    };
    let (class, picture, title, text) = match place.place.as_str() {
        "failed" => {
            let words = cause::of_code(lang, place.error_code, place.error_subcode).map(str::to_owned);
            let why = match place.reason.as_deref() {
                Some("expired") => lang.t("velho demais para a Meta", "too old for Meta"),
                Some("exhausted") => lang.t("as tentativas acabaram", "the attempts were used up"),
                Some("refused") => lang.t("a Meta o recusou", "Meta refused it"),
                _ => lang.t("sem conteúdo ou sem conjunto", "without content or dataset"),
            };
            (
                "bad",
                "pause",
                format!("{}: {why}", lang.t("Parado", "Stopped")),
                html! {
                    @if let Some(words) = words { (words) ". " }
                    (lang.t("Não é tentado de novo sozinho.", "It is not tried again by itself.")) " " (deadline) " "
                    a href=(frame.link("/parados", &format!("dataset={}", story.event.dataset_id))) { (lang.t("Ver os parados", "See the stopped ones")) }
                },
            )
        }
        "waiting" => (
            "",
            "again",
            lang.t("Espera uma nova tentativa", "Waits to be tried again")
                .to_owned(),
            html! {
                @if let Some(at) = place.next_retry_at { (lang.t("Próxima às", "Next at")) " " (frame.zone.exact(lang, at)) ". " } (deadline)
            },
        ),
        "in_flight" => (
            "",
            "plane",
            lang.t("A caminho da Meta", "On the way to Meta").to_owned(),
            html! { (deadline) },
        ),
        _ => (
            "",
            "list",
            lang.t("Pronto, na fila", "Ready, in the queue").to_owned(),
            html! { (deadline) },
        ),
    };
    Stop {
        class,
        picture,
        title,
        at: place.failed_at.filter(|_| place.place == "failed"),
        text,
        fbtrace: None,
        gap: None,
    }
}

fn links(frame: &Frame, jaeger_url: &str, story: &EventStory, delivered: Option<&Attempt>) -> Markup {
    let (lang, event) = (frame.lang, &story.event);
    html! {
        dl.kv {
            dt { "Trace" }
            dd { @match &event.trace_id {
                Some(id) if !jaeger_url.is_empty() => { a href={ (jaeger_url.trim_end_matches('/')) "/trace/" (id) } { (lang.t("abrir no Jaeger", "open in Jaeger")) } " " code { (shorten(id)) } },
                Some(id) => code { (id) },
                None => { (lang.t("esta requisição não foi rastreada", "this request was not traced")) },
            } }
            dt { (lang.t("Número", "Number")) } dd.mono { (event.event_number) }
            dt { (lang.t("Requisição", "Request")) } dd { a href=(frame.link("/evento", &format!("q={}", event.request_id))) { code { (shorten(&event.request_id.to_string())) } } }
            @if let Some(order) = &event.order_id { dt { (lang.t("Pedido", "Order")) } dd { code { (cut(order, 60)) } } }
            @if let Some(attempt) = delivered {
                dt { (lang.t("Lote", "Batch")) }
                dd { @match &attempt.fbtrace_id {
                    Some(id) => a href=(frame.link("/evento", &query(id))) {
                        (lang.plural(i64::from(attempt.event_count), ("evento", "event"), ("eventos", "events"))) ", " (lang.t("mesmo fbtrace_id", "same fbtrace_id"))
                    },
                    None => { (lang.plural(i64::from(attempt.event_count), ("evento", "event"), ("eventos", "events"))) },
                } }
            }
            @if let (Some(host), Some(path)) = (&event.page_host, &event.page_path) {
                dt { (lang.t("Página", "Page")) } dd { (cut(host, 60)) (cut(path, 80)) }
            }
            dt { (lang.t("Origem", "Source")) } dd { (event.action_source) }
            dt { (lang.t("Vence", "Expires")) } dd { (frame.zone.full(lang, event.send_by)) }
        }
    }
}

fn query(id: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("q", id)
        .finish()
}

/// The keys by which Meta can find a person, in the order in which they help.
const KEYS: [(&str, &str, &str); 14] = [
    ("em", "e-mail", "e-mail"),
    ("ph", "telefone", "phone"),
    ("external_id", "id externo", "external id"),
    ("fbc", "fbc (clique)", "fbc (click)"),
    ("fbp", "fbp (navegador)", "fbp (browser)"),
    ("fn", "nome", "first name"),
    ("ln", "sobrenome", "last name"),
    ("db", "nascimento", "birth date"),
    ("ct", "cidade", "city"),
    ("st", "estado", "state"),
    ("zp", "CEP", "postal code"),
    ("country", "país", "country"),
    ("client_ip_address", "IP", "IP"),
    ("client_user_agent", "programa", "user agent"),
];

fn payload(frame: &Frame, payload: &str) -> Markup {
    let lang = frame.lang;
    let Ok(json) = serde_json::from_str::<Value>(payload) else {
        return html! { p.empty { (lang.t("O conteúdo foi apagado.", "The content was erased.")) } };
    };
    let person = json.get("user_data");
    let has = |key: &str| {
        person
            .and_then(|person| person.get(key))
            .is_some_and(|value| !value.is_null())
    };
    let sale: Vec<(String, String)> = json
        .get("custom_data")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, value)| value.is_number() || value.is_string())
        .map(|(name, value)| (cut(name, 40), cut(&value.to_string().replace('"', ""), 40)))
        .take(8)
        .collect();
    html! {
        p.sub { (lang.t("Para achar a pessoa", "To find the person by")) }
        ul.chips {
            @for (key, pt, en) in KEYS {
                @if has(key) { li { "✓ " (lang.t(pt, en)) } } @else if matches!(key, "em" | "ph" | "fbc" | "fbp") {
                    li.no { (lang.t(pt, en)) ": " (lang.t("não veio", "did not come")) }
                }
            }
        }
        @if !sale.is_empty() {
            p.sub.next { (lang.t("Venda", "Sale")) }
            ul.chips { @for (name, value) in &sale { li { (name) " " (value) } } }
        }
        @if frame.is_operator() {
            details.data {
                summary { (lang.t("JSON como é enviado", "JSON as it is sent")) }
                pre { code { (serde_json::to_string_pretty(&without_identifiers(&json)).unwrap_or_default()) } }
            }
        } @else {
            p.note { (lang.t("O conteúdo inteiro é só para quem opera.", "The whole content is for operators only.")) }
        }
    }
}

/// The event with every fingerprint and identifier cut: enough to compare, too little to find anybody by.
fn without_identifiers(json: &Value) -> Value {
    fn all_cut(value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(cut_identifier(text)),
            Value::Array(values) => Value::Array(values.iter().map(all_cut).collect()),
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, value)| (name.clone(), all_cut(value)))
                    .collect(),
            ),
            other => other.clone(),
        }
    }
    match json {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| {
                    let value = if name == "user_data" {
                        all_cut(value)
                    } else {
                        without_identifiers(value)
                    };
                    (name.clone(), value)
                })
                .collect(),
        ),
        Value::Array(values) => Value::Array(values.iter().map(without_identifiers).collect()),
        Value::String(text) if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Value::String(cut_identifier(text))
        }
        Value::String(text) => Value::String(without_query(text)),
        other => other.clone(),
    }
}

/// 8…6 characters of a long one; of a short one, as an address or a browser id, less.
fn cut_identifier(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    match characters.len() {
        40.. => format!(
            "{}…{}",
            characters[..8].iter().collect::<String>(),
            characters[characters.len() - 6..].iter().collect::<String>()
        ),
        8.. => format!("{}…", characters[..4].iter().collect::<String>()),
        _ => "…".to_owned(),
    }
}

/// An address without what follows `?`, which may name a person.
fn without_query(text: &str) -> String {
    match (text.starts_with("http"), text.split_once('?')) {
        (true, Some((address, _))) => format!("{address}?…"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_hash_and_no_raw_identifier_is_left() {
        // printf ana@example.com | sha256sum
        let hash = "c18aa3f1b3f1dc3d8a5f3e1d2a0a6f0c9f0e6cfb5b3f3a9c1d6ad7f3c0a9e511";
        let cut = without_identifiers(&json!({
            "event_name": "Purchase",
            "event_source_url": "https://loja.example/obrigado?email=ana@example.com",
            "user_data": { "em": [hash], "client_ip_address": "203.0.113.77", "client_user_agent": "Mozilla/5.0 (Linux)", "fbp": "fb.1.1.22" },
            "custom_data": { "value": 349.9, "lead": hash },
        }));
        let text = cut.to_string();
        for secret in [
            hash,
            "203.0.113.77",
            "Mozilla/5.0 (Linux)",
            "fb.1.1.22",
            "ana@example.com",
        ] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert_eq!(cut["user_data"]["em"][0], "c18aa3f1…a9e511");
        assert_eq!(cut["custom_data"]["value"], 349.9);
    }
}
