//! Disjuntor: whether a dataset's events flow, why not, what was ordered and by whom; and the order itself.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::join;
use maud::{Markup, html};
use rastro_core::circuit_breaker::{Manual, Reason};
use rastro_core::dataset::DatasetId;
use rastro_store::BreakerReport;
use rastro_store::dashboard::{Opening, Transition};
use tracing::info;

use crate::dashboard::layout::{self, Frame, Page, Tone, badge, card, pill};
use crate::dashboard::pages::overview::{breaker_state, part};
use crate::dashboard::reply::{Failed, Reply};
use crate::dashboard::request::Cx;
use crate::dashboard::words::{Lang, NONE, cut};

/// The longest order with an end.
const LONGEST_HOURS: i64 = 7 * 24;
const LONGEST_REASON: usize = 300;

/// All that the page shows.
#[derive(Clone, Debug)]
pub struct BreakerData {
    pub dataset: i64,
    pub report: BreakerReport,
    pub transitions: Vec<Transition>,
    pub openings: Vec<Opening>,
    pub held: Option<i64>,
    /// What was wrong with an order.
    pub wrong: Option<String>,
    pub typed_reason: String,
}

async fn load(cx: &Cx<'_>) -> Result<BreakerData, Failed> {
    let dataset = cx.dataset_at(0)?;
    let id = DatasetId::try_from(dataset).map_err(|_| Failed::NotFound)?;
    let store = &cx.app.store;
    let since = cx.frame.now - TimeDelta::days(90);
    let (report, transitions, openings, held) = join!(
        store.breaker_report(id, cx.app.breaker.window_ms),
        store.transitions(dataset, 30),
        store.openings(Some(dataset), since),
        store.events_held(dataset),
    );
    Ok(BreakerData {
        dataset,
        report: report?.ok_or(Failed::NotFound)?,
        transitions: part("transitions", transitions).unwrap_or_default(),
        openings: part("openings", openings).unwrap_or_default(),
        held: part("held", held),
        wrong: None,
        typed_reason: String::new(),
    })
}

pub async fn show(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let data = load(cx).await?;
    Reply::live(Page::Breaker.title(cx.lang()), render(&cx.frame, &data))
}

/// What a form orders, or what is wrong with it.
fn parse_order(
    lang: Lang,
    order: &str,
    until: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(Manual, Option<i64>), String> {
    let manual = match order {
        "parar" => Manual::ForcedOpen,
        "enviar" => Manual::ForcedClosed,
        "automatico" => return Ok((Manual::Automatic, None)),
        _ => return Err(lang.t("Escolha uma ordem.", "Choose an order.").to_owned()),
    };
    if reason.is_empty() || reason.chars().count() > LONGEST_REASON {
        return Err(lang
            .t(
                "Escreva o motivo (até 300 caracteres): quem olhar depois precisa saber.",
                "Write the reason (up to 300 characters): whoever looks next has to know.",
            )
            .to_owned());
    }
    let until = until.trim().to_lowercase();
    if until == "sem fim" || until == "no end" {
        return Ok((manual, None));
    }
    let hours = match until.as_str() {
        "" => Some(2),
        text => text.trim_end_matches('h').trim().parse().ok(),
    };
    match hours.filter(|hours| (1..=LONGEST_HOURS).contains(hours)) {
        Some(hours) => Ok((manual, Some((now + TimeDelta::hours(hours)).timestamp_millis()))),
        None => Err(lang
            .t(
                "“Por quantas horas” vai de 1 a 168; ou escreva “sem fim”.",
                "“For how many hours” goes from 1 to 168; or write “no end”.",
            )
            .to_owned()),
    }
}

pub async fn order(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let dataset = cx.dataset_at(0)?;
    let id = DatasetId::try_from(dataset).map_err(|_| Failed::NotFound)?;
    let reason: String = cx
        .field("motivo")
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let parsed = parse_order(
        cx.lang(),
        cx.field("ordem"),
        cx.field("horas"),
        &reason,
        cx.frame.now,
    );
    let (manual, until_ms) = match parsed {
        Ok(order) => order,
        Err(wrong) => {
            let mut data = load(cx).await?;
            data.wrong = Some(wrong);
            data.typed_reason = reason;
            return Reply::wrong(Page::Breaker.title(cx.lang()), render(&cx.frame, &data));
        }
    };
    let who = cx.signature();
    let why = if reason.is_empty() {
        manual.as_str()
    } else {
        reason.as_str()
    };
    let changed = cx
        .app
        .writing
        .update_breaker(id, Some(&format!("{who}: {why}")), |breaker, _| {
            Some(breaker.set_manual(manual, until_ms))
        })
        .await?;
    if !changed {
        let text = cx.lang().t(
            "O disjuntor mudou neste instante; peça de novo.",
            "The breaker changed at this very moment; ask again.",
        );
        return Err(Failed::Invalid(text.to_owned()));
    }
    info!(
        dataset_id = dataset,
        "the breaker is {} by order of {who}: {why}",
        manual.as_str()
    );
    Ok(Reply::Redirect(
        cx.frame.link(&format!("/disjuntor/{dataset}"), ""),
    ))
}

pub fn render(frame: &Frame, data: &BreakerData) -> Markup {
    let lang = frame.lang;
    let (breaker, now_ms) = (&data.report.breaker, data.report.now_ms);
    let (tone, words) = breaker_state(lang, breaker, now_ms);
    let name = frame.dataset_name(data.dataset);
    let evidence = data.report.evidence;
    let manual = breaker.manual_in_force(now_ms);
    let more = html! {
        (lang.t("Últimos 5 minutos: ", "Last 5 minutes: "))
        @if evidence.requests == 0 { (lang.t("nenhuma requisição.", "no requests.")) } @else {
            (evidence.failures) " " (lang.t("de", "of")) " "
            (lang.plural(evidence.requests.into(), ("requisição", "request"), ("requisições", "requests"))) " "
            (lang.verb(evidence.failures.into(), ("falhou", "failed"), ("falharam", "failed"))) "."
        }
        @if let Some(held) = data.held.filter(|held| *held > 0) { " " (lang.plural(held, ("evento espera", "event waits"), ("eventos esperam", "events wait"))) "." }
        @if manual != Manual::Automatic {
            " " (cut(&data.report.note, 200)) " ("
            @match breaker.manual_until_ms {
                Some(ms) => { (lang.t("termina em ", "ends in ")) (lang.duration(ms - now_ms)) },
                None => { (lang.t("sem fim", "without end")) },
            }
            ")"
        } @else if breaker.reason == Some(Reason::Blocked) {
            " " (lang.t("Troque o token: ", "Replace the token: "))
            a href=(frame.link(&format!("/conjuntos/{}", data.dataset), "")) { (lang.t("Conjuntos, ", "Datasets, ")) (name) } "."
        }
    };
    html! {
        (layout::verdict(tone, &html! { (name) ": " (words) }, &more, &html! {}))
        div.grid {
            (card("c6", "order", lang.t("Ordem", "Order"), lang.t("vale até o fim dela, e fica registrada", "holds until its end, and is logged"), &order_form(frame, data)))
            (card("c6", "history", lang.t("Paradas", "Openings"), lang.t("90 dias", "90 days"), &html! {
                @if data.openings.is_empty() { p.empty { (lang.t("Nunca parou em 90 dias.", "It has not stopped in 90 days.")) } }
                ul.feed { @for opening in &data.openings {
                    li {
                        (badge(match (opening.closed_at, opening.stopped) { (None, _) => Tone::Bad, (_, 0) => Tone::Good, _ => Tone::Watch }))
                        span {
                            (opening_words(lang, opening))
                            small {
                                @match opening.closed_at {
                                    Some(at) => { (lang.t("durou ", "lasted ")) (lang.duration((at - opening.opened_at).num_milliseconds())) " · " (lost(lang, opening.stopped)) },
                                    None => {
                                        (lang.t("ainda parado, ", "still stopped, ")) (lang.ago((frame.now - opening.opened_at).num_milliseconds()))
                                        @if opening.stopped > 0 { " · " (lost(lang, opening.stopped)) }
                                    },
                                }
                                @if !opening.note.is_empty() && opening.manual != "automatic" { " · “" (cut(&opening.note, 120)) "”" }
                            }
                        }
                        time datetime=(opening.opened_at.to_rfc3339()) { (frame.zone.short(lang, opening.opened_at, frame.now)) }
                    }
                } }
            }))
            (card("c12", "changes", lang.t("Cada mudança", "Each change"), "", &html! {
                @if data.transitions.is_empty() { p.empty { (lang.t("Nenhuma até agora: ele começa fechado, isto é, enviando.", "None so far: it is born closed, that is, sending.")) } }
                @else {
                    div.scroll tabindex="0" role="region" aria-label=(lang.t("Mudanças", "Changes")) { table {
                        thead { tr { th scope="col" { (lang.t("Quando", "When")) } th scope="col" { (lang.t("Estado", "State")) }
                            th scope="col" { (lang.t("Por quê", "Why")) } th scope="col" { (lang.t("Ordem", "Order")) } } }
                        tbody { @for change in &data.transitions { tr {
                            td { (frame.zone.full(lang, change.changed_at)) }
                            td { @match change.state.as_str() {
                                "closed" => (pill(Tone::Good, lang.t("enviando", "sending"))),
                                "open" => (pill(Tone::Bad, lang.t("parado", "stopped"))),
                                _ => (pill(Tone::Watch, lang.t("testando", "probing"))),
                            } }
                            td { (reason_words(lang, change.reason.as_deref())) }
                            td { @if change.manual != "automatic" { (cut(&change.note, 140)) } @else { (NONE) } }
                        } } }
                    } }
                }
            }))
        }
    }
}

fn reason_words(lang: Lang, reason: Option<&str>) -> &'static str {
    match reason {
        Some("errors") => lang.t("a Meta falhava", "Meta was failing"),
        Some("throttled") => lang.t("a Meta pediu espera", "Meta said wait"),
        Some("blocked") => lang.t("token ou acesso recusado", "token or access refused"),
        Some("refused") => lang.t("recusas em série", "refused in a row"),
        _ => NONE,
    }
}

fn opening_words(lang: Lang, opening: &Opening) -> &'static str {
    match (opening.manual.as_str(), opening.reason.as_deref()) {
        ("forced_open", _) => lang.t("Parado por ordem", "Stopped by order"),
        (_, Some("errors")) => lang.t("Meta fora do ar", "Meta API down"),
        (_, Some("throttled")) => lang.t("A Meta pediu espera", "Meta said wait"),
        (_, Some("blocked")) => lang.t("Token recusado", "Token refused"),
        (_, Some("refused")) => lang.t("Recusas em série", "Refused in a row"),
        _ => lang.t("Parado", "Stopped"),
    }
}

/// What an opening cost: the events that stopped for it.
pub(crate) fn lost(lang: Lang, stopped: i64) -> String {
    match stopped {
        0 => lang.t("nada perdido", "nothing lost").to_owned(),
        n => lang.plural(
            n,
            ("evento parou", "event stopped"),
            ("eventos pararam", "events stopped"),
        ),
    }
}

fn order_form(frame: &Frame, data: &BreakerData) -> Markup {
    let lang = frame.lang;
    let held = data.held.unwrap_or_default();
    if !frame.is_operator() {
        return html! { p.empty { (lang.t("Ordens são para quem opera.", "Orders are for operators.")) } };
    }
    html! {
        form.form.two method="post" action={ "/disjuntor/" (data.dataset) } {
            (frame.form_fields())
            label.whole { (lang.t("Por quê", "Why"))
                input name="motivo" maxlength="300" value=(data.typed_reason) autocomplete="off" aria-describedby="why-help";
                small #why-help { @match &data.wrong {
                    Some(wrong) => b { (wrong) },
                    None => { (lang.t("Obrigatório para parar ou enviar. Aparece para todos.", "Required to stop or to send. Everybody sees it.")) },
                } }
            }
            label { (lang.t("Por quantas horas", "For how many hours"))
                input name="horas" value="2" maxlength="10" autocomplete="off";
                small { (lang.t("1 a 168, ou “sem fim”", "1 to 168, or “no end”")) }
            }
            div.row.whole {
                button.btn name="ordem" value="parar" { (lang.t("Mandar parar", "Order to stop")) }
                button.btn name="ordem" value="enviar" { (lang.t("Mandar enviar", "Order to send")) }
                button.btn.primary name="ordem" value="automatico" { (lang.t("Automático", "Automatic")) }
            }
        }
        p.note {
            (lang.t("“Mandar parar” segura os eventos: eles esperam, e vencem sete dias depois do fato. ", "“Order to stop” holds events: they wait, and expire seven days after the fact. "))
            (lang.t("“Mandar enviar” com a Meta fora gasta as tentativas", "“Order to send” while Meta is down uses up the attempts"))
            @if held > 0 { " " (lang.t("de", "of")) " " (lang.plural(held, ("evento", "event"), ("eventos", "events"))) }
            "."
        }
    }
}

#[cfg(test)]
mod tests {
    use rastro_core::circuit_breaker::{Breaker, Evidence, State};

    use super::*;

    #[test]
    fn an_order_has_a_reason_and_an_end_unless_no_end_is_typed() {
        let now = "2026-11-26T12:00:00Z".parse().unwrap();
        let parse = |order, hours, reason| parse_order(Lang::Pt, order, hours, reason, now);
        let two_hours = Some(now.timestamp_millis() + 7_200_000);
        assert_eq!(
            parse("parar", "", "troca do token"),
            Ok((Manual::ForcedOpen, two_hours))
        );
        assert_eq!(parse("enviar", "sem fim", "x"), Ok((Manual::ForcedClosed, None)));
        assert_eq!(parse("automatico", "", ""), Ok((Manual::Automatic, None)));
        for (order, hours, reason) in [
            ("parar", "2", ""),
            ("parar", "169", "x"),
            ("parar", "0", "x"),
            ("parar", "para sempre", "x"),
            ("", "2", "x"),
        ] {
            assert!(parse(order, hours, reason).is_err(), "{order} {hours} {reason}");
        }
    }

    fn page(evidence: Evidence, breaker: Breaker, openings: Vec<Opening>) -> String {
        let frame = Frame::example(Lang::Pt);
        let data = BreakerData {
            dataset: 2,
            report: BreakerReport {
                breaker,
                note: String::new(),
                evidence,
                now_ms: frame.now.timestamp_millis(),
            },
            transitions: Vec::new(),
            openings,
            held: None,
            wrong: None,
            typed_reason: String::new(),
        };
        render(&frame, &data).0.replace('\u{a0}', " ")
    }

    #[test]
    fn requests_that_failed_agree_with_their_number() {
        for (failures, requests, words) in [
            (0, 20, "0 de 20 requisições falharam."),
            (1, 20, "1 de 20 requisições falhou."),
            (1, 1, "1 de 1 requisição falhou."),
            (2, 20, "2 de 20 requisições falharam."),
        ] {
            let evidence = Evidence {
                requests,
                failures,
                ..Default::default()
            };
            let page = page(evidence, Breaker::closed(0), Vec::new());
            assert!(page.contains(words), "{words}: {page}");
        }
    }

    #[test]
    fn an_opening_says_what_it_cost_and_only_one_that_cost_nothing_has_a_tick() {
        let now = Frame::example(Lang::Pt).now;
        let opening = |stopped, closed_at| Opening {
            dataset_id: 2,
            opened_at: now - TimeDelta::days(8),
            closed_at,
            reason: Some("blocked".into()),
            manual: "automatic".into(),
            note: String::new(),
            stopped,
        };
        let over = Some(now - TimeDelta::days(1));
        for (stopped, closed_at, words, tick) in [
            (0, over, "durou 7 d · nada perdido", true),
            (1, over, "durou 7 d · 1 evento parou", false),
            (3, over, "durou 7 d · 3 eventos pararam", false),
            (3, None, "há 8 d · 3 eventos pararam", false),
        ] {
            let page = page(
                Evidence::default(),
                Breaker::closed(0),
                vec![opening(stopped, closed_at)],
            );
            assert!(page.contains(words), "{words}: {page}");
            assert_eq!(page.contains("badge ok"), tick, "{page}");
        }
    }

    #[test]
    fn a_refused_token_leads_to_where_it_is_replaced() {
        let blocked = Breaker {
            state: State::Open,
            reason: Some(Reason::Blocked),
            ..Breaker::closed(0)
        };
        let page = page(Evidence::default(), blocked, Vec::new());
        assert!(
            page.contains("Troque o token: <a href=\"/conjuntos/2\">"),
            "{page}"
        );
    }
}
