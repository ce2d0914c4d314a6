//! Um evento: the event's passport. Found by any id it goes by; told as a trail from receipt to delivery,
//! with what Meta said each time and the ids by which others find it. Payloads are for operators, and never
//! with a whole fingerprint.

mod story;

use chrono::{DateTime, TimeDelta};
use maud::{Markup, html};
use rastro_store::dashboard::{EventFinding, RefusedAtDoor, Search};
use uuid::Uuid;

use crate::dashboard::layout::{self, Frame, Page, Tone};
use crate::dashboard::pages::event_name;
use crate::dashboard::reply::{Failed, Reply};
use crate::dashboard::request::Cx;
use crate::dashboard::words::{Lang, cut};

pub use story::render;

/// What a text may be the name of, the likeliest first.
pub fn searches(text: &str) -> Vec<Search> {
    let text = text.trim();
    let mut searches = Vec::new();
    if text.is_empty() || text.len() > 200 {
        return searches;
    }
    if let Ok(id) = Uuid::parse_str(text) {
        // A version 7 tells when it was made, so that a day is enough to look through.
        if let Some(at) = id
            .get_timestamp()
            .and_then(|at| DateTime::from_timestamp(i64::try_from(at.to_unix().0).ok()?, 0))
        {
            searches.push(Search::Request(id, at));
        }
    }
    searches.push(Search::EventId(text.to_owned()));
    if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        searches.push(Search::Trace(text.to_ascii_lowercase()));
    }
    if let Ok(number) = text.replace(['\u{a0}', ' ', '.'], "").parse() {
        searches.push(Search::Number(number));
    }
    searches.push(Search::Fbtrace(text.to_owned()));
    searches
}

pub async fn show(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let (lang, query) = (cx.lang(), cx.asked("q"));
    let title = Page::Event.title(lang);
    // One event of several is named by its number and day.
    if let (Ok(number), Ok(day)) = (cx.asked("n").parse::<i64>(), cx.asked("dia").parse()) {
        let dataset = cx.frame.dataset.or_else(|| cx.asked("de").parse().ok());
        let dataset = dataset
            .filter(|id| cx.frame.datasets.iter().any(|(known, _)| known == id))
            .ok_or(Failed::NotFound)?;
        let story = cx
            .app
            .store
            .event_passport(dataset, day, number)
            .await?
            .ok_or(Failed::NotFound)?;
        return Reply::live(title, render(&cx.frame, &cx.app.config.jaeger_url, query, &story));
    }
    if query.trim().is_empty() {
        return Reply::page(title, render_search(&cx.frame, query, None));
    }
    let mut found = Vec::new();
    for search in searches(query) {
        found = cx.app.store.find_events(cx.frame.dataset, &search).await?;
        // A viewer of one dataset has it in the frame; an operator has all.
        found.retain(|event: &EventFinding| cx.frame.datasets.iter().any(|(id, _)| *id == event.dataset_id));
        if !found.is_empty() {
            break;
        }
    }
    match found.as_slice() {
        [event] => {
            let story = cx
                .app
                .store
                .event_passport(event.dataset_id, event.day, event.event_number)
                .await?
                .ok_or(Failed::NotFound)?;
            Reply::live(title, render(&cx.frame, &cx.app.config.jaeger_url, query, &story))
        }
        [] => Reply::page(
            title,
            render_nothing(&cx.frame, query, &refused(cx, query).await?),
        ),
        events => Reply::page(title, render_search(&cx.frame, query, Some(events))),
    }
}

/// What was refused at the door of the request of this id.
async fn refused(cx: &Cx<'_>, query: &str) -> Result<Vec<RefusedAtDoor>, Failed> {
    let request = searches(query).into_iter().find_map(|search| match search {
        Search::Request(id, at) => Some((id, at)),
        _ => None,
    });
    let Some((id, at)) = request else {
        return Ok(Vec::new());
    };
    let datasets: Vec<i64> = match cx.frame.dataset {
        Some(dataset) => vec![dataset],
        None => cx.frame.datasets.iter().map(|(id, _)| *id).collect(),
    };
    // Its id says when the request began.
    let since = at - TimeDelta::minutes(5);
    Ok(cx
        .app
        .store
        .refused_at_door(&datasets, since, Some(id), 20)
        .await?)
}

/// No event goes by that name; what of its request was refused.
fn render_nothing(frame: &Frame, query: &str, refusals: &[RefusedAtDoor]) -> Markup {
    let lang = frame.lang;
    if refusals.is_empty() {
        return render_search(frame, query, Some(&[]));
    }
    let events = refusals.iter().map(|refused| refused.events).sum();
    let count = lang.plural(
        events,
        ("evento recusado", "event refused"),
        ("eventos recusados", "events refused"),
    );
    html! {
        (layout::verdict(Tone::Bad, &html! { (count) " " (lang.t("na entrada", "at the door")) },
            &html! { (lang.t("Respondido 422 a quem enviou, com o campo. O evento não foi guardado nem enviado à Meta.",
                "Answered 422 to the sender, with the field. The event was neither stored nor sent to Meta.")) }, &html! {}))
        (search_form(frame, query))
        section.card.after { (super::refusals::list(frame, refusals)) }
    }
}

fn search_form(frame: &Frame, query: &str) -> Markup {
    let lang = frame.lang;
    html! {
        section.card { form.filters action="/evento" role="search" {
            label.wide { (lang.t("Procurar", "Search"))
                input name="q" value=(query) maxlength="200" autocomplete="off" spellcheck="false"
                    placeholder=(lang.t("event_id, pedido, número, request_id, trace id ou fbtrace_id", "event_id, order, number, request_id, trace id or fbtrace_id"));
            }
            @if let Some(dataset) = frame.dataset { input type="hidden" name="dataset" value=(dataset); }
            @if lang == Lang::En { input type="hidden" name="lang" value="en"; }
            button.btn.primary { (lang.t("Procurar", "Search")) }
        } }
    }
}

/// Where one event is shown.
pub fn address(frame: &Frame, dataset: i64, day: chrono::NaiveDate, number: i64) -> String {
    frame.link("/evento", &format!("dataset={dataset}&dia={day}&n={number}"))
}

/// `found`: `None` before anything was looked for.
pub fn render_search(frame: &Frame, query: &str, found: Option<&[EventFinding]>) -> Markup {
    let lang = frame.lang;
    let (tone, answer, more) = match found {
        None => (
            Tone::Neutral,
            lang.t("Procure um evento por qualquer nome dele", "Find an event by any name it goes by").to_owned(),
            lang.t("O id que o site mandou, o número do pedido, o número daqui, a requisição, o trace ou o fbtrace_id da Meta.",
                "The id that the site sent, the order's number, our number, the request, the trace, or Meta's fbtrace_id."),
        ),
        Some([]) => (
            Tone::Watch,
            lang.t("Nenhum evento com esse nome", "No event goes by that name").to_owned(),
            lang.t("Confira se é inteiro. Um evento recusado na entrada (422) não fica guardado: procure pelo request_id da resposta, ou veja a página do conjunto.",
                "Check that it is complete. An event refused at the door (422) is not stored: search for the answer's request_id, or see the dataset's page."),
        ),
        Some(events) => (
            Tone::Good,
            lang.plural(i64::try_from(events.len()).unwrap_or(i64::MAX), ("evento encontrado", "event found"), ("eventos encontrados", "events found")),
            lang.t("Do mesmo pedido, da mesma requisição ou do mesmo lote.", "Of the same order, request or batch."),
        ),
    };
    html! {
        (layout::verdict(tone, &html! { (answer) }, &html! { (more) }, &html! {}))
        (search_form(frame, query))
        @if let Some(events) = found.filter(|events| !events.is_empty()) {
            section.card.after { div.scroll tabindex="0" role="region" aria-label=(lang.t("Eventos", "Events")) { table {
                thead { tr { th scope="col" { (lang.t("Evento", "Event")) } th scope="col" { (lang.t("Conjunto", "Dataset")) }
                    th scope="col" { (lang.t("Recebido", "Received")) } th.r scope="col" { (lang.t("Valor", "Value")) } } }
                tbody { @for event in events { tr {
                    td { a href=(address(frame, event.dataset_id, event.day, event.event_number)) {
                        (event_name(lang, &event.event_name)) " " code { (cut(&event.event_id, 40)) } } }
                    td { (frame.dataset_name(event.dataset_id)) }
                    td { (frame.zone.short(lang, event.received_at, frame.now)) }
                    td.r { @if let (Some(value), Some(currency)) = (event.value, &event.currency) { (lang.money(value, currency, false)) } }
                } } }
            } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_looked_for_as_what_it_may_be() {
        let number = searches("41 207 003");
        assert!(number.contains(&Search::Number(41_207_003)));
        let trace = searches("8F2B1C0011223344556677889900AABB");
        assert!(trace.contains(&Search::Trace("8f2b1c0011223344556677889900aabb".into())));
        let request = searches("01936f5e-8a4b-7c3d-9e1f-0123456789ab");
        assert!(matches!(request.first(), Some(Search::Request(..))));
        assert_eq!(searches("pedido-1")[0], Search::EventId("pedido-1".into()));
        assert!(searches("   ").is_empty());
    }
}
