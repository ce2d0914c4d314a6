//! How alerts are drawn: the page of all, and that of one.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use rastro_core::alert::Rule;
use rastro_store::dashboard::{AlertRow, MessageRow};

use super::{AlertsData, language, rule_title, sentence, title, what_if};
use crate::dashboard::layout::{self, Frame, Tone, badge, card, pill};
use crate::dashboard::words::{Lang, NONE, cut};
use crate::words;

/// A share has digits behind its comma, a count has none.
fn measured(lang: Lang, value: f64) -> String {
    lang.decimal(value, if value.fract() == 0.0 { 0 } else { 2 })
}

fn severity(lang: Lang, alert: &AlertRow) -> (Tone, &'static str) {
    match alert.severity.as_str() {
        "critical" => (Tone::Bad, lang.t("crítico", "critical")),
        "warning" => (Tone::Watch, lang.t("aviso", "warning")),
        _ => (Tone::Neutral, lang.t("informação", "information")),
    }
}

/// Open for how long, or how long it was.
fn lasted(alert: &AlertRow, now: DateTime<Utc>) -> i64 {
    alert.fired_at.map_or(0, |fired| {
        (alert.resolved_at.unwrap_or(now) - fired).num_milliseconds()
    })
}

/// One line of a feed.
pub fn line(frame: &Frame, alert: &AlertRow) -> Markup {
    let lang = frame.lang;
    let open = alert.state == "firing";
    html! {
        li {
            (badge(if open { severity(lang, alert).0.max(Tone::Watch) } else { Tone::Good }))
            span {
                a href=(frame.link(&format!("/alertas/{}", alert.alert_id), "")) { (title(frame, alert)) }
                small {
                    @if open { (lang.t("aberto ", "open ")) (lang.ago(lasted(alert, frame.now))) }
                    @else { (lang.t("durou ", "lasted ")) (lang.duration(lasted(alert, frame.now))) }
                    @if alert.messages > 0 { " · " (lang.plural(alert.messages, ("mensagem", "message"), ("mensagens", "messages"))) }
                    @if alert.reopened >= 2 { " · " (lang.t("instável", "unstable")) }
                }
            }
            @if let Some(at) = alert.fired_at { time datetime=(at.to_rfc3339()) { (frame.zone.short(lang, at, frame.now)) } }
        }
    }
}

fn actions(frame: &Frame, alert: &AlertRow) -> Markup {
    let lang = frame.lang;
    if !frame.is_operator() || alert.state != "firing" {
        return html! {};
    }
    html! {
        div.acts {
            @if alert.acknowledged_at.is_none() {
                form method="post" action={ "/alertas/" (alert.alert_id) "/ciente" } { (frame.form_fields())
                    button.btn.small { (lang.t("Estou ciente", "Acknowledge")) } }
            }
            @for (until, pt, en) in [("1h", "Adiar 1 h", "Snooze 1 h"), ("4h", "4 h", "4 h"), ("amanha", "até amanhã 9 h", "until tomorrow 9:00")] {
                form method="post" action={ "/alertas/" (alert.alert_id) "/adiar" } { (frame.form_fields())
                    input type="hidden" name="ate" value=(until);
                    button.btn.small aria-label={ (lang.t("Adiar: ", "Snooze: ")) (lang.t(pt, en)) } { (lang.t(pt, en)) } }
            }
        }
    }
}

fn open_alert(frame: &Frame, alert: &AlertRow) -> Markup {
    let lang = frame.lang;
    let (tone, words) = severity(lang, alert);
    html! {
        li {
            (badge(tone))
            span {
                a href=(frame.link(&format!("/alertas/{}", alert.alert_id), "")) { (title(frame, alert)) } " " (pill(tone, words))
                small { (sentence(frame, alert)) }
                small {
                    (lang.t("aberto ", "open ")) (lang.ago(lasted(alert, frame.now)))
                    @if let Some(by) = &alert.acknowledged_by { " · " (lang.t("ciente: ", "acknowledged: ")) (cut(by, 60)) }
                    @if let (Some(until), Some(by)) = (alert.snoozed_until.filter(|until| *until > frame.now), &alert.snoozed_by) {
                        " · " (lang.t("adiado até ", "snoozed until ")) (frame.zone.short(lang, until, frame.now)) " (" (cut(by, 60)) ")" }
                    @if let Some(by) = &alert.muted_by { " · " (lang.t("silenciado por: ", "muted by: ")) (rule_title(lang, by)) }
                }
                (actions(frame, alert))
            }
            @if let Some(at) = alert.fired_at { time datetime=(at.to_rfc3339()) { (frame.zone.short(lang, at, frame.now)) } }
        }
    }
}

pub fn render(frame: &Frame, data: &AlertsData) -> Markup {
    let lang = frame.lang;
    let (open, closed): (Vec<&AlertRow>, Vec<&AlertRow>) =
        data.alerts.iter().partition(|alert| alert.state == "firing");
    let worst = open.iter().map(|alert| severity(lang, alert).0).max();
    let count = i64::try_from(open.len()).unwrap_or(i64::MAX);
    let answer = match count {
        0 => lang.t("Nenhum alerta aberto", "No open alerts").to_owned(),
        n => lang.plural(
            n,
            ("alerta aberto", "open alert"),
            ("alertas abertos", "open alerts"),
        ),
    };
    let more = html! {
        @if data.channels.is_empty() { (lang.t("Nenhum canal configurado: alertas só aparecem aqui. ", "No channel is configured: alerts only appear here. ")) code { "[notify]" } }
        @else { (lang.t("Avisados por ", "Told by ")) (data.channels.join(", ")) "." }
    };
    html! {
        (layout::verdict(worst.unwrap_or(Tone::Good), &html! { (answer) }, &more, &html! {}))
        @for channel in &data.channels_off { div.banner.err role="status" { (layout::icon("bang", 18)) p {
            (cut(&channel.channel, 30)) ": " (lang.t("desligado desde ", "switched off since ")) (frame.zone.short(lang, channel.disabled_at, frame.now)) ". " (cut(&channel.reason, 200)) } } }
        @if data.test_sent { div.banner.ok role="status" { (layout::icon("check", 18)) p {
            (lang.t("A mensagem de teste sai com a próxima verificação, em até um minuto.", "The test message leaves with the next check, within a minute.")) } } }
        div.grid {
            (card("c7", "open", lang.t("Abertos", "Open"), "", &html! {
                @if open.is_empty() { p.empty { (lang.t("Nada precisa de atenção agora.", "Nothing needs attention now.")) } }
                ul.feed.alerts { @for alert in &open { (open_alert(frame, alert)) } }
            }))
            (card("c5", "silences", lang.t("Silêncios", "Silences"), lang.t("planejados, com fim", "planned, with an end"), &silences(frame, data)))
            (card("c7", "past", lang.t("Histórico", "History"), lang.t("os mais novos primeiro", "the newest first"), &html! {
                @if closed.is_empty() { p.empty { (lang.t("Nenhum alerta fechado ainda.", "No closed alerts yet.")) } }
                ul.feed { @for alert in closed.iter().take(12) { (line(frame, alert)) } }
                @if closed.len() > 12 { details.more { summary { (lang.t("Mais ", "")) (closed.len() - 12) (lang.t("", " more")) } ul.feed { @for alert in closed.iter().skip(12) { (line(frame, alert)) } } } }
            }))
            (card("c5", "what-if", lang.t("E com outro número?", "And with another number?"), lang.t("30 dias, por hora cheia", "30 days, by whole hours"), &what_if::draw(frame, data)))
            (card("c12", "rules", lang.t("Como cada regra se comporta", "How each rule behaves"), lang.t("30 dias", "30 days"), &rules(lang, data)))
        }
    }
}

fn silences(frame: &Frame, data: &AlertsData) -> Markup {
    let lang = frame.lang;
    html! {
        @if data.silences.is_empty() { p.empty { (lang.t("Nenhum silêncio em vigor.", "No silence in force.")) } }
        ul.feed { @for silence in &data.silences { li {
            (badge(Tone::Watch))
            span {
                (silence.rule.as_deref().map_or_else(|| lang.t("todas as regras", "all rules").to_owned(), |rule| rule_title(lang, rule)))
                @if let Some(id) = silence.dataset_id { ", " (frame.dataset_name(id)) }
                small { (cut(&silence.created_by, 60)) ": “" (cut(&silence.reason, 120)) "”" }
                @if frame.is_operator() { form.acts method="post" action={ "/silencios/" (silence.silence_id) "/fim" } { (frame.form_fields()) button.btn.small { (lang.t("Encerrar agora", "End now")) } } }
            }
            time { (lang.t("até ", "until ")) (frame.zone.short(lang, silence.ends_at, frame.now)) }
        } } }
        @if frame.is_operator() {
            details.more { summary { (lang.t("Novo silêncio", "New silence")) }
                form.form.two method="post" action="/silencios" {
                    (frame.form_fields())
                    label { (lang.t("Regra", "Rule")) select name="regra" { option value="" { (lang.t("todas", "all")) }
                        @for rule in Rule::ALL { option value=(rule.as_str()) { (rule_title(lang, rule.as_str())) } } } }
                    label { (lang.t("Conjunto", "Dataset")) select name="conjunto" { option value="" { (lang.t("todos", "all")) }
                        @for (id, name) in &frame.datasets { option value=(id) { (cut(name, 60)) } } } }
                    label { (lang.t("Por quantas horas", "For how many hours")) input name="horas" value="2" inputmode="numeric" maxlength="3"; }
                    label { (lang.t("Motivo", "Reason")) input name="motivo" required maxlength="300"; }
                    div.row.whole { button.btn { (lang.t("Silenciar", "Silence")) } }
                }
            }
            @if !data.channels.is_empty() {
                div.acts { @for channel in &data.channels {
                    form method="post" action={ "/canais/" (channel) "/teste" } { (frame.form_fields()) button.btn.small { (lang.t("Mandar teste por ", "Send a test by ")) (channel) } }
                } }
            }
        }
    }
}

fn rules(lang: Lang, data: &AlertsData) -> Markup {
    let Some(histories) = &data.histories else {
        return layout::missing(lang);
    };
    if histories.is_empty() {
        return html! { p.empty { (lang.t("Nenhuma regra disparou em 30 dias.", "No rule fired within 30 days.")) } };
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label=(lang.t("Regras", "Rules")) { table {
            thead { tr { th scope="col" { (lang.t("Regra", "Rule")) } th.r scope="col" { (lang.t("Abriu", "Opened")) }
                th.r scope="col" { (lang.t("Duração mediana", "Median duration")) } th.r scope="col" { (lang.t("Fecharam sozinhos", "Closed alone")) } } }
            tbody { @for rule in histories { tr {
                th scope="row" { (rule_title(lang, &rule.rule)) }
                td.r { (lang.count(rule.opened)) }
                td.r { (rule.median_seconds.map_or_else(|| NONE.to_owned(), |seconds| lang.duration(whole(seconds * 1000.0)))) }
                td.r { (lang.count(rule.closed_alone)) " " (lang.t("de", "of")) " " (lang.count(rule.opened)) }
            } } }
        } }
        p.note { (lang.t("Fechar sozinho: em menos de 15 minutos (10 deles são a espera antes de fechar), sem que ninguém fizesse nada. Se quase todos fecham assim, o número é baixo demais.",
            "Closed alone: within 15 minutes (10 of them are the wait before closing), without anybody doing anything. If nearly all do, the number is too low.")) }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a duration in milliseconds")]
fn whole(value: f64) -> i64 {
    value as i64
}

pub fn render_one(frame: &Frame, alert: &AlertRow, messages: &[MessageRow]) -> Markup {
    let lang = frame.lang;
    let (tone, words) = severity(lang, alert);
    let open = alert.state == "firing";
    let more = html! {
        (pill(tone, words)) " "
        @if open { (lang.t("aberto ", "open ")) (lang.ago(lasted(alert, frame.now))) } @else { (lang.t("fechado; durou ", "closed; lasted ")) (lang.duration(lasted(alert, frame.now))) }
        ". " (sentence(frame, alert))
    };
    html! {
        (layout::verdict(if open { tone } else { Tone::Good }, &html! { (title(frame, alert)) }, &more, &html! {}))
        div.grid {
            (card("c6", "do", lang.t("O que fazer", "What to do"), "", &html! {
                p { (Rule::parse(&alert.rule).map_or("", |rule| words::advice(rule).in_language(language(lang)))) }
                dl.kv {
                    dt { (lang.t("Runbook", "Runbook")) } dd { a href={ (frame.link("/runbook", "")) "#" (alert.rule.replace('_', "-")) } { (alert.rule.replace('_', "-")) } }
                    dt { (lang.t("Pior valor", "Worst value")) } dd { (measured(lang, alert.worst_value)) }
                    @if let Some(limit) = alert.threshold { dt { (lang.t("Limite", "Threshold")) } dd { (measured(lang, limit)) } }
                    @if let Some(by) = &alert.acknowledged_by { dt { (lang.t("Ciente", "Acknowledged")) } dd { (cut(by, 80)) } }
                    @if let Some(by) = &alert.snoozed_by { dt { (lang.t("Adiado por", "Snoozed by")) } dd { (cut(by, 80)) } }
                }
                (actions(frame, alert))
            }))
            (card("c6", "messages", lang.t("Mensagens", "Messages"), "", &html! {
                @if messages.is_empty() { p.empty { (lang.t("Nenhuma mensagem.", "No messages.")) } }
                ul.feed { @for message in messages { li {
                    (badge(match message.state.as_str() { "sent" => Tone::Good, "failed" => Tone::Bad, _ => Tone::Neutral }))
                    span { (kind_words(lang, &message.kind)) ", " (cut(&message.channel, 20))
                        small { (how_it_went(lang, &message.state, message.last_error.as_deref())) } }
                    time { (frame.zone.short(lang, message.sent_at.unwrap_or(message.created_at), frame.now)) }
                } } }
            }))
        }
        p { a.btn href=(frame.link("/alertas", "")) { (lang.t("Todos os alertas", "All alerts")) } }
    }
}

/// Of a message: whether it left, and why not to everybody.
fn how_it_went(lang: Lang, state: &str, error: Option<&str>) -> String {
    let error = error.map(|error| cut(error, 160));
    match (state, error) {
        ("sent", None) => lang.t("enviada", "sent").to_owned(),
        ("sent", Some(error)) => format!(
            "{} {error}",
            lang.t("enviada, não a todos:", "sent, not to everybody:")
        ),
        ("failed", error) => format!(
            "{} {}",
            lang.t("não saiu:", "did not leave:"),
            error.unwrap_or_default()
        ),
        (_, None) => lang.t("na fila", "queued").to_owned(),
        (_, Some(error)) => format!("{} {error}", lang.t("tenta de novo:", "trying again:")),
    }
}

fn kind_words(lang: Lang, kind: &str) -> &str {
    match kind {
        "opened" => lang.t("Aberto", "Opened"),
        "worse" => lang.t("Piorou", "Worse"),
        "reminder" => lang.t("Lembrete", "Reminder"),
        "resolved" => lang.t("Resolvido", "Resolved"),
        other => other,
    }
}
