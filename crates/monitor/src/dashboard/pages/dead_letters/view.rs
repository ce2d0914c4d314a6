//! How stopped events are drawn: the groups by cause, a preview of one, and what was sent again before.

use maud::{Markup, html};
use rastro_store::dashboard::{DeadGroup, Replay};

use super::{DeadLettersData, MOST, Preview, REASONS, group_tag};
use crate::dashboard::layout::{self, Frame, Tone, badge, card, pill};
use crate::dashboard::pages::cause::{self, Cure};
use crate::dashboard::pages::{event, event_name};
use crate::dashboard::words::{Lang, cut};

/// Sums of all groups by currency.
fn money(groups: &[DeadGroup]) -> Vec<(String, f64)> {
    let mut sums: Vec<(String, f64)> = Vec::new();
    for (currency, amount) in groups
        .iter()
        .flat_map(|group| group.currencies.iter().zip(&group.amounts))
    {
        match sums.iter_mut().find(|(other, _)| other == currency) {
            Some((_, sum)) => *sum += amount,
            None => sums.push((currency.clone(), *amount)),
        }
    }
    sums
}

pub fn render(frame: &Frame, data: &DeadLettersData) -> Markup {
    let lang = frame.lang;
    let total: i64 = data.groups.iter().map(|group| group.events).sum();
    let possible: i64 = data.groups.iter().map(|group| group.retryable).sum();
    let deadline = data.groups.iter().filter_map(|group| group.first_deadline).min();
    let sums = money(&data.groups);
    let filtered = data.filter.iter().any(|(_, value)| !value.is_empty());
    let (tone, answer) = match (total, possible) {
        (0, _) if filtered => (
            Tone::Neutral,
            lang.t(
                "Nada parado com este filtro",
                "Nothing stopped matches this filter",
            )
            .to_owned(),
        ),
        (0, _) => (
            Tone::Good,
            lang.t("Nenhum evento parado", "No stopped events").to_owned(),
        ),
        (total, possible) => {
            let events = lang.plural(
                total,
                ("evento parado", "stopped event"),
                ("eventos parados", "stopped events"),
            );
            let money = match sums.is_empty() {
                true => String::new(),
                false => format!(
                    ", {} {}",
                    lang.moneys(&sums, true),
                    lang.t("em compras", "in purchases")
                ),
            };
            (
                if possible > 0 { Tone::Watch } else { Tone::Neutral },
                format!("{events}{money}"),
            )
        }
    };
    let more = html! {
        @if total == 0 { (lang.t("O que falha é tentado de novo sozinho; só chega aqui o que não adianta mais tentar.",
            "What fails is tried again by itself; only what it is no use to try again stops here.")) }
        @else {
            (lang.t("Não são tentados de novo sozinhos. ", "They are not tried again by themselves. "))
            @match (possible, deadline) {
                (0, _) => { (lang.t("Nenhum pode mais ser entregue.", "None can be delivered any more.")) },
                (n, Some(at)) => {
                    (lang.count(n)) " " (if n == 1 { lang.t("ainda pode ser entregue", "can still be delivered") } else { lang.t("ainda podem ser entregues", "can still be delivered") })
                    "; " (lang.t("o primeiro vence em", "the first expires in")) " " b { (lang.duration((at - frame.now).num_milliseconds())) } "."
                },
                (n, None) => { (lang.count(n)) },
            }
            @if total > possible { " " (lang.plural(total - possible, ("passou do prazo da Meta", "is past Meta's limit"),
                ("passaram do prazo da Meta", "are past Meta's limit"))) "." }
        }
    };
    html! {
        (layout::verdict(tone, &html! { (answer) }, &more, &html! {}))
        @if let Some((done, old)) = data.done { (done_banner(lang, done, old)) }
        (filters(frame, data))
        div.grid {
            (card("c7", "causes", lang.t("Por motivo", "By cause"), lang.t("primeiro os que ainda têm prazo", "those still in time first"), &html! {
                @if data.groups.is_empty() { p.empty { (lang.t("Nada parado.", "Nothing is stopped.")) } }
                ul.groups { @for group in data.groups.iter().take(40) { (group_item(frame, data, group)) } }
                @if data.groups.len() > 40 { p.note { (lang.t("Há mais motivos: filtre por código.", "More causes: filter by code.")) } }
                header.again { h2 { (lang.t("Reenvios", "Resends")) } small { (lang.t("quem pediu e o que aconteceu", "who asked, and what came of it")) } }
                (replays(frame, data))
            }))
            @if let Some(preview) = &data.preview { (preview_card(frame, data, preview)) }
        }
    }
}

fn done_banner(lang: Lang, done: i64, old: i64) -> Markup {
    let tone = if done > 0 { Tone::Good } else { Tone::Watch };
    html! { div class={ "banner " (layout::tone_class(tone)) } role="status" {
        (layout::icon(if done > 0 { "check" } else { "bang" }, 18))
        p {
            @if done > 0 {
                (lang.plural(done, ("evento voltou", "event went back"), ("eventos voltaram", "events went back"))) " "
                (lang.t("para a fila. Veja abaixo em “Reenvios” se chegaram.", "to the queue. See below under “Resends” whether they arrived."))
            } @else { (lang.t("Nada a reenviar: já voltaram, ou o prazo passou.", "Nothing to resend: they went back already, or their time is over.")) }
            @if old > 0 { " " (lang.plural(old, ("ficou por idade", "stayed for its age"), ("ficaram por idade", "stayed for their age"))) "." }
        }
    } }
}

fn reason_words(lang: Lang, reason: &str) -> &str {
    match reason {
        "refused" => lang.t("recusado pela Meta", "refused by Meta"),
        "exhausted" => lang.t("sem mais tentativas", "attempts used up"),
        "expired" => lang.t("velho demais", "too old"),
        "missing" => lang.t("sem conteúdo", "content gone"),
        "dataset_deleted" => lang.t("conjunto apagado", "dataset deleted"),
        "set_aside" => lang.t("separado à mão", "set aside"),
        other => other,
    }
}

fn filters(frame: &Frame, data: &DeadLettersData) -> Markup {
    let lang = frame.lang;
    let value = |name: &str| {
        data.filter
            .iter()
            .find(|(other, _)| other == name)
            .map_or("", |(_, value)| value.as_str())
    };
    html! {
        section.card aria-label=(lang.t("Filtro", "Filter")) { form.filters action="/parados" {
            @if let Some(dataset) = frame.dataset { input type="hidden" name="dataset" value=(dataset); }
            @if lang == Lang::En { input type="hidden" name="lang" value="en"; }
            label { (lang.t("Motivo", "Reason")) select.btn name="motivo" {
                option value="" { (lang.t("todos", "all")) }
                @for reason in REASONS { option value=(reason) selected[value("motivo") == reason] { (reason_words(lang, reason)) } }
            } }
            label { (lang.t("Código", "Code")) input name="codigo" size="9" inputmode="numeric" value=(value("codigo")) placeholder="2804019"; }
            label { (lang.t("Parou entre", "Stopped between")) input type="datetime-local" name="de" value=(value("de")); }
            label { (lang.t("e", "and")) input type="datetime-local" name="ate" value=(value("ate")); }
            label { "event_id" input name="evento" size="14" value=(value("evento")) maxlength="200"; }
            button.btn { (lang.t("Filtrar", "Filter")) }
        } }
    }
}

/// The filters and the group as a query.
fn group_query(data: &DeadLettersData, group: &DeadGroup) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(data.filter.iter().filter(|(_, value)| !value.is_empty()));
    query.append_pair("grupo", &group_tag(group)).finish()
}

fn what(lang: Lang, group: &DeadGroup) -> String {
    match (group.purchases, group.leads) {
        (n, _) if n == group.events => lang.plural(n, ("compra", "purchase"), ("compras", "purchases")),
        (_, n) if n == group.events => lang.plural(n, ("lead", "lead"), ("leads", "leads")),
        _ => lang.plural(group.events, ("evento", "event"), ("eventos", "events")),
    }
}

fn amounts(group: &DeadGroup) -> Vec<(String, f64)> {
    group
        .currencies
        .iter()
        .cloned()
        .zip(group.amounts.iter().copied())
        .collect()
}

fn group_item(frame: &Frame, data: &DeadLettersData, group: &DeadGroup) -> Markup {
    let lang = frame.lang;
    let (title, meaning, cure) = cause::of_group(lang, group);
    let (words, tone) = cure.words(lang);
    let chosen = data
        .preview
        .as_ref()
        .is_some_and(|preview| group_tag(&preview.group) == group_tag(group));
    let money = amounts(group);
    let code = cause::code(group.error_code, group.error_subcode)
        .unwrap_or_else(|| lang.t("sem código", "no code").to_owned());
    html! {
        li {
            div {
                h3 { (title) " " (pill(tone, words)) }
                p {
                    (what(lang, group)) @if !money.is_empty() { " · " (lang.moneys(&money, true)) }
                    " · " (frame.dataset_name(group.dataset_id))
                    " · " (lang.t("desde", "since")) " " (frame.zone.short(lang, group.first_failed_at, frame.now)) " · " code { (code) }
                }
                p { (meaning) }
                @if !group.newest_error.is_empty() && cure == Cure::FixFirst { p { "“" (cut(&group.newest_error, 160)) "”" } }
            }
            a.btn.small.primary[!chosen && cure != Cure::TooLate] href={ (frame.link("/parados", &group_query(data, group))) "#preview" }
                aria-current=[chosen.then_some("true")] {
                (if cure == Cure::TooLate { lang.t("Ver lista", "See list") } else { lang.t("Prever reenvio", "Preview") })
            }
        }
    }
}

fn replays(frame: &Frame, data: &DeadLettersData) -> Markup {
    let lang = frame.lang;
    let Some(replays) = &data.replays else {
        return layout::missing(lang);
    };
    html! {
        @if replays.is_empty() { p.empty { (lang.t("Nenhum reenvio em 30 dias.", "No resends within 30 days.")) } }
        ul.feed { @for replay in replays {
            @let all = replay.events <= Replay::LOOKED_FOR && replay.delivered >= replay.events && replay.dead_again == 0;
            li {
                (badge(if all { Tone::Good } else if replay.dead_again > 0 { Tone::Bad } else { Tone::Neutral }))
                span {
                    (cut(&replay.detail.as_deref().unwrap_or("").replace("retried by ", lang.t("Reenviado por ", "Resent by ")), 90))
                    small {
                        (lang.plural(replay.events, ("evento", "event"), ("eventos", "events"))) " · "
                        (whereabouts(lang, replay, all))
                    }
                }
                time datetime=(replay.asked_at.to_rfc3339()) { (frame.zone.short(lang, replay.asked_at, frame.now)) }
            }
        } }
    }
}

/// Where the events of a replay are. Of a long one only the first thousand are looked for.
fn whereabouts(lang: Lang, replay: &Replay, all: bool) -> Markup {
    if all {
        return html! { (lang.verb(replay.events, ("entregue", "delivered"), ("todos entregues", "all delivered"))) };
    }
    let is_long = replay.events > Replay::LOOKED_FOR;
    let elsewhere = replay.events - replay.delivered - replay.dead_again;
    html! {
        @if is_long { (lang.t("dos ", "of the first ")) (lang.count(Replay::LOOKED_FOR)) (lang.t(" primeiros: ", ": ")) }
        (lang.plural(replay.delivered, ("entregue", "delivered"), ("entregues", "delivered")))
        @if replay.dead_again > 0 {
            @if is_long { (lang.t("; de todos, ", "; of all, ")) } @else { ", " }
            (lang.plural(replay.dead_again, ("parou de novo", "stopped again"), ("pararam de novo", "stopped again")))
        }
        @if !is_long && elsewhere > 0 { ", " (lang.count(elsewhere)) " " (lang.t("a caminho", "on the way")) }
    }
}

/// What speaks for a resend of the group and against it.
fn prospects(frame: &Frame, preview: &Preview) -> Markup {
    let (lang, group) = (frame.lang, &preview.group);
    let old = group.events - group.retryable;
    html! {
        ul {
            li { (lang.plural(old, ("fica de fora por idade", "stays out for its age"), ("ficam de fora por idade", "stay out for their age")))
                @if let Some(at) = group.first_deadline { "; " (lang.t("o primeiro vence em", "the first expires in")) " " (lang.duration((at - frame.now).num_milliseconds())) } }
            @if group.unanswered == 0 {
                li { (lang.t("nenhum chegou a ser aceito pela Meta: sem risco de contar duas vezes", "none was ever accepted by Meta: no risk of counting twice")) }
            } @else {
                li { (lang.plural(group.unanswered, ("pode já ter sido contado", "may have been counted already"),
                    ("podem já ter sido contados", "may have been counted already")))
                    ": " (lang.t("a Meta descarta a cópia por 48 h", "Meta drops the copy for 48 h")) }
            }
            @if group.late > 0 {
                li { b { (lang.plural(group.late, ("já passou das 48 h: reenviá-lo", "is past the 48 h: resending it"),
                    ("já passaram das 48 h: reenviá-los", "are past the 48 h: resending them")))
                    " " (lang.t("pode contar duas vezes", "may count twice")) } }
            }
            @if let Some((tone, words)) = &preview.breaker { li { (lang.t("disjuntor: ", "circuit breaker: ")) (words)
                @if *tone != Tone::Good { " (" (lang.t("eles esperam nele", "they wait at it")) ")" } } }
            @if let Some(recurrence) = &preview.recurrence { li {
                b { (lang.t("a causa continua? ", "does the cause go on? ")) }
                @if recurrence.recent > 0 {
                    (lang.count(recurrence.recent)) " " (lang.t("com o mesmo erro na última hora", "with the same error within the last hour"))
                } @else if recurrence.succeeded > 0 {
                    (lang.t("nenhum igual na última hora; ", "none alike within the last hour; "))
                    (lang.plural(recurrence.succeeded, ("chegou", "arrived"), ("chegaram", "arrived")))
                } @else { (lang.t("nada foi enviado na última hora", "nothing was sent within the last hour")) }
            } }
        }
    }
}

fn preview_card(frame: &Frame, data: &DeadLettersData, preview: &Preview) -> Markup {
    let (lang, group) = (frame.lang, &preview.group);
    let (title, _, cure) = cause::of_group(lang, group);
    let n = group.retryable;
    card(
        "c5",
        "preview",
        lang.t("Previsão do reenvio", "Preview of the resend"),
        lang.t("nada foi enviado ainda", "nothing has been sent yet"),
        &html! {
            p.sub { (title) " · " (frame.dataset_name(group.dataset_id)) }
            @if cure == Cure::TooLate {
                div.preview.none { h3 { (lang.t("Nada aqui pode mais ser entregue", "Nothing here can be delivered any more")) }
                    p { (lang.t("A Meta recusaria pela idade. A lista fica para consulta.", "Meta would refuse it for its age. The list stays to be looked at.")) } }
            } @else {
                div.preview {
                    h3 { (lang.plural(n, ("evento volta", "event goes back"), ("eventos voltam", "events go back"))) " " (lang.t("para a fila, em 5 minutos", "to the queue, within 5 minutes")) }
                    (prospects(frame, preview))
                    @if frame.is_operator() {
                        @let form = |quantity: &str, class: &str, words: String| html! {
                            form method="post" action="/parados/reenviar" {
                                (frame.form_fields())
                                input type="hidden" name="grupo" value=(group_tag(group));
                                @if let Some(dataset) = frame.dataset { input type="hidden" name="dataset" value=(dataset); }
                                @for (name, value) in data.filter.iter().filter(|(_, value)| !value.is_empty()) { input type="hidden" name=(name) value=(value); }
                                input type="hidden" name="quantos" value=(quantity);
                                button class=(class) { (words) }
                            }
                        };
                        div.row {
                            (form("1", "btn primary", lang.t("Reenviar 1 e ver o que acontece", "Resend 1 and see what happens").to_owned()))
                            @if n > 1 { (form(if n > MOST { "10000" } else { "todos" }, "btn",
                                format!("{} {}", lang.t("Reenviar os", "Resend all"), lang.count(n.min(MOST))))) }
                        }
                    } @else { p.note { (lang.t("Reenviar é para quem opera.", "Resending is for operators.")) } }
                }
                @if let Some(viewer) = frame.viewer.as_ref().filter(|viewer| viewer.is_operator) {
                    p.note { (lang.t("Fica registrado: ", "It is logged: ")) (viewer.name) ", " (frame.zone.full(lang, frame.now)) ". "
                        (lang.t("Pedir duas vezes reenvia uma só.", "Asking twice resends once.")) }
                }
            }
            header.again { h2 { (lang.t("Amostra", "Sample")) } }
            div.scroll tabindex="0" role="region" aria-label=(lang.t("Amostra", "Sample")) { table {
                thead { tr { th scope="col" { (lang.t("Evento", "Event")) } th scope="col" { (lang.t("Recebido", "Received")) }
                    th.r scope="col" { (lang.t("Valor", "Value")) } th.r scope="col" { (lang.t("Vence em", "Expires in")) } } }
                tbody { @for row in &preview.sample { tr {
                    td { a href=(event::address(frame, row.dataset_id, row.day, row.event_number)) {
                        (event_name(lang, row.event_name.as_deref().unwrap_or("?"))) " " code { (cut(row.event_id.as_deref().unwrap_or("?"), 28)) } } }
                    td { @if let Some(at) = row.received_at { (frame.zone.short(lang, at, frame.now)) } }
                    td.r { @if let (Some(value), Some(currency)) = (row.value, &row.currency) { (lang.money(value, currency, false)) } }
                    td.r { @let left = (row.send_by - frame.now).num_milliseconds();
                        @if left > 0 { (lang.duration(left)) } @else { (lang.t("venceu", "expired")) } }
                } } }
            } }
        },
    )
}

#[cfg(test)]
mod tests {
    use rastro_store::dashboard::Recurrence;

    use super::*;

    /// Dead letters that Meta left unanswered: so many that may be sent again, too old ones, possible copies.
    fn group(retryable: i64, old: i64, unanswered: i64, late: i64) -> DeadGroup {
        let now = Frame::example(Lang::Pt).now;
        DeadGroup {
            dataset_id: 2,
            reason: "exhausted".into(),
            error_code: Some(2),
            error_subcode: None,
            events: retryable + old,
            purchases: 0,
            leads: 0,
            retryable,
            unanswered,
            late,
            first_failed_at: now,
            last_failed_at: now,
            first_deadline: (retryable > 0).then(|| now + chrono::TimeDelta::hours(54)),
            newest_error: "HTTP 500, code 2: Service temporarily unavailable".into(),
            currencies: Vec::new(),
            amounts: Vec::new(),
        }
    }

    fn page(group: DeadGroup, recurrence: Option<Recurrence>, replay: Option<Replay>) -> String {
        let data = DeadLettersData {
            groups: vec![group.clone()],
            replays: Some(replay.into_iter().collect()),
            preview: Some(Preview {
                group,
                sample: Vec::new(),
                recurrence,
                breaker: None,
            }),
            done: None,
            filter: Vec::new(),
        };
        let page = render(&Frame::example(Lang::Pt), &data);
        page.0.replace('\u{a0}', " ")
    }

    fn replay(events: i64, delivered: i64, dead_again: i64) -> Replay {
        Replay {
            request_id: None,
            detail: Some("retried by Ana".into()),
            asked_at: Frame::example(Lang::Pt).now,
            events,
            delivered,
            dead_again,
        }
    }

    #[track_caller]
    fn says(page: &str, part: &str) {
        assert!(page.contains(part), "{part:?} is missing in {page}");
    }

    const NO_RISK: &str = "sem risco de contar duas vezes";

    #[test]
    fn a_resend_that_may_count_twice_says_so_and_none_else_promises_that_it_cannot() {
        let safe = page(group(3, 0, 0, 0), None, None);
        says(&safe, NO_RISK);
        assert!(!safe.contains("48 h"), "{safe}");
        // Meta's own failure, within the time in which it drops copies.
        let soon = page(group(3, 0, 2, 0), None, None);
        says(
            &soon,
            "2 podem já ter sido contados: a Meta descarta a cópia por 48 h",
        );
        says(&soon, "A Meta pode ter contado alguns destes.");
        assert!(
            !soon.contains(NO_RISK) && !soon.contains("pode contar duas vezes"),
            "{soon}"
        );
        let late = page(group(3, 0, 2, 1), None, None);
        says(&late, "1 já passou das 48 h: reenviá-lo pode contar duas vezes");
        says(&late, "Veja a previsão antes de reenviar.");
        assert!(
            !late.contains("reenvie logo") && !late.contains("pode reenviar"),
            "{late}"
        );
        let late = page(group(3, 0, 3, 2), None, None);
        says(
            &late,
            "2 já passaram das 48 h: reenviá-los pode contar duas vezes",
        );
        assert!(!late.contains(NO_RISK), "{late}");
    }

    #[test]
    fn a_resend_is_all_delivered_only_when_all_of_it_was_looked_up_and_none_stopped_again() {
        const TICK: &str = "badge ok";
        for (replay, words, tick) in [
            (replay(1, 0, 0), "0 entregues, 1 a caminho", false),
            (replay(1, 1, 0), "1 evento · entregue<", true),
            (replay(2, 2, 0), "2 eventos · todos entregues<", true),
            (replay(2, 1, 1), "1 entregue, 1 parou de novo<", false),
            (
                replay(9, 3, 2),
                "3 entregues, 2 pararam de novo, 4 a caminho<",
                false,
            ),
            (replay(2, 2, 1), "2 entregues, 1 parou de novo<", false),
            (replay(1_000, 1_000, 0), "1.000 eventos · todos entregues<", true),
            (
                replay(5_000, 1_000, 0),
                "5.000 eventos · dos 1.000 primeiros: 1.000 entregues<",
                false,
            ),
            (
                replay(5_000, 1_000, 3),
                "1.000 entregues; de todos, 3 pararam de novo<",
                false,
            ),
        ] {
            let page = page(group(1, 0, 0, 0), None, Some(replay));
            says(&page, words);
            assert_eq!(page.contains(TICK), tick, "{words}: {page}");
        }
    }

    #[test]
    fn plurals_of_none_one_and_two() {
        for (n, stay, past, contained) in [
            (0, "0 ficam de fora por idade", "", "3 ainda podem ser entregues"),
            (
                1,
                "1 fica de fora por idade",
                "1 passou do prazo da Meta.",
                "3 ainda podem ser entregues",
            ),
            (
                2,
                "2 ficam de fora por idade",
                "2 passaram do prazo da Meta.",
                "3 ainda podem ser entregues",
            ),
        ] {
            let page = page(group(3, n, 0, 0), None, None);
            for part in [stay, past, contained] {
                says(&page, part);
            }
        }
        for (n, words) in [
            (1, "1 pode já ter sido contado:"),
            (2, "2 podem já ter sido contados:"),
        ] {
            says(&page(group(3, 0, n, 0), None, None), words);
        }
        for (succeeded, words) in [(1, "; 1 chegou<"), (2, "; 2 chegaram<")] {
            let recurrence = Recurrence { recent: 0, succeeded };
            says(&page(group(3, 0, 0, 0), Some(recurrence), None), words);
        }
        for (old, words) in [(1, "1 ficou por idade."), (2, "2 ficaram por idade.")] {
            says(&done_banner(Lang::Pt, 3, old).0.replace('\u{a0}', " "), words);
        }
        assert!(!done_banner(Lang::Pt, 3, 0).0.contains("idade"));
    }

    #[test]
    fn the_sample_lies_open_and_nothing_that_is_open_by_itself_keeps_the_page_from_refreshing() {
        let page = page(group(3, 0, 0, 0), None, None);
        says(&page, "<h2>Amostra</h2>");
        assert!(!page.contains("<details"), "{page}");
    }
}
