//! Alertas: what is open and what to do about it, what was, how each rule behaves, and how often it would
//! fire with another number.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::join;
use maud::{Markup, html};
use rastro_core::alert::{AlertRules, Facts, Rule};
use rastro_core::dataset::DatasetId;
use rastro_store::Silence;
use rastro_store::dashboard::{AlertRow, ChannelRow, HourRow, MessageRow, RuleHistory};
use serde_json::json;
use tracing::info;

use crate::dashboard::charts::f;
use crate::dashboard::layout::{self, Frame, Page, Tone, badge, card, pill};
use crate::dashboard::pages::overview::part;
use crate::dashboard::reply::{Failed, Reply};
use crate::dashboard::request::Cx;
use crate::dashboard::words::{Lang, NONE, cut};
use crate::words::{self, Language};

const HISTORY: i64 = 60;

/// Rules that counts say something about, with their three numbers to try.
#[derive(Clone, Debug)]
pub struct Tried {
    pub rule: &'static str,
    pub now: f64,
    /// Each threshold and how often it would have fired in thirty days.
    pub fired: Vec<(f64, usize)>,
    /// What somebody typed.
    pub typed: Option<(f64, usize)>,
}

/// All that the page shows.
#[derive(Clone, Debug, Default)]
pub struct AlertsData {
    pub alerts: Vec<AlertRow>,
    pub histories: Option<Vec<RuleHistory>>,
    pub silences: Vec<Silence>,
    pub channels_off: Vec<ChannelRow>,
    pub channels: Vec<&'static str>,
    pub tried: Option<Vec<Tried>>,
    pub test_sent: bool,
}

pub async fn show(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let (store, dataset) = (&cx.app.store, cx.frame.dataset);
    let (alerts, histories, silences, hours) = join!(
        store.fired_alerts(dataset, HISTORY),
        store.rule_histories(dataset),
        store.silences(),
        store.rule_hours(dataset)
    );
    let mut silences = part("silences", silences).unwrap_or_default();
    silences
        .retain(|silence| dataset.is_none() || silence.dataset_id.is_none() || silence.dataset_id == dataset);
    let channels_off = part("channels", store.channels_off().await).unwrap_or_default();
    let typed = |rule: &str| {
        let text = cx.asked(rule).replace(',', ".");
        text.parse::<f64>()
            .ok()
            .filter(|value| (0.0..=100.0).contains(value))
    };
    let mut alerts = alerts?;
    alerts.retain(|alert| {
        alert
            .dataset_id
            .is_none_or(|id| cx.frame.datasets.iter().any(|(known, _)| *known == id))
    });
    let data = AlertsData {
        alerts,
        histories: part("rules", histories),
        silences,
        channels_off,
        channels: cx.app.channels.clone(),
        tried: part("what-if", hours).map(|hours| try_thresholds(&cx.app.rules, &hours, typed)),
        test_sent: cx.asked("teste") == "1",
    };
    Reply::live(Page::Alerts.title(cx.lang()), render(&cx.frame, &data))
}

/// Over whole hours, so the shortest episodes are not seen: it compares numbers, it does not foretell.
pub fn try_thresholds(
    rules: &AlertRules,
    hours: &[HourRow],
    typed: impl Fn(&str) -> Option<f64>,
) -> Vec<Tried> {
    type Share = fn(&HourRow) -> (i64, i64);
    let all: [(&'static str, f64, i64, Share); 3] = [
        ("error_rate", rules.error_rate.fires, 20, |hour| {
            (hour.failed, hour.failed + hour.succeeded)
        }),
        ("latency", rules.latency.fires, 20, |hour| {
            (hour.slow, hour.requests)
        }),
        ("duplicates", rules.duplicates.fires, 50, |hour| {
            (hour.duplicates, hour.duplicates + hour.accepted)
        }),
    ];
    all.into_iter()
        .map(|(rule, now, least, share)| {
            let fired = |threshold: f64| episodes(hours, threshold, least, share);
            let steps = [now * 0.5, now, now * 1.6, now * 3.0];
            Tried {
                rule,
                now,
                fired: steps.into_iter().map(|step| (step, fired(step))).collect(),
                typed: typed(rule).map(|threshold| (threshold, fired(threshold))),
            }
        })
        .collect()
}

/// How many times in a row of hours a share was above the threshold. Hours with too little in them change
/// nothing.
fn episodes(hours: &[HourRow], threshold: f64, least: i64, share: fn(&HourRow) -> (i64, i64)) -> usize {
    let (mut count, mut above, mut dataset) = (0, false, 0);
    for hour in hours {
        if hour.dataset_id != dataset {
            (dataset, above) = (hour.dataset_id, false);
        }
        let (part, whole) = share(hour);
        if whole < least {
            continue;
        }
        let now_above = f(part) / f(whole) * 100.0 > threshold;
        count += usize::from(now_above && !above);
        above = now_above;
    }
    count
}

pub async fn show_one(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let id = alert_id(cx)?;
    let (alert, messages) = cx
        .app
        .store
        .alert_with_messages(cx.frame.dataset, id)
        .await?
        .ok_or(Failed::NotFound)?;
    if alert
        .dataset_id
        .is_some_and(|id| !cx.frame.datasets.iter().any(|(known, _)| *known == id))
    {
        return Err(Failed::NotFound);
    }
    Reply::live(title(&cx.frame, &alert), render_one(&cx.frame, &alert, &messages))
}

fn alert_id(cx: &Cx<'_>) -> Result<i64, Failed> {
    cx.places
        .first()
        .and_then(|text| text.parse().ok())
        .ok_or(Failed::NotFound)
}

fn after(cx: &Cx<'_>, done: bool, path: &str) -> Result<Reply, Failed> {
    match done {
        true => Ok(Reply::Redirect(cx.frame.link(path, ""))),
        false => Err(Failed::Invalid(
            cx.lang()
                .t("Já não está aberto.", "It is not open any more.")
                .to_owned(),
        )),
    }
}

pub async fn snooze(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let (id, now) = (alert_id(cx)?, cx.frame.now);
    let until = match cx.field("ate") {
        "1h" => now + TimeDelta::hours(1),
        "4h" => now + TimeDelta::hours(4),
        "amanha" => {
            let tomorrow = cx.frame.zone.day_of(now) + TimeDelta::days(1);
            cx.frame.zone.start_of(tomorrow) + TimeDelta::hours(9)
        }
        _ => return Err(Failed::Invalid("1h, 4h, amanha".to_owned())),
    };
    let done = cx.app.writing.snooze_alert(id, until, &cx.signature()).await?;
    after(cx, done, "/alertas")
}

pub async fn acknowledge(cx: &Cx<'_>) -> Result<Reply, Failed> {
    // Of two who say so the first is kept; the second changes nothing.
    cx.app
        .writing
        .acknowledge_alert(alert_id(cx)?, &cx.signature())
        .await?;
    after(cx, true, "/alertas")
}

pub async fn silence(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let lang = cx.lang();
    let wrong = |pt: &str, en: &str| Failed::Invalid(lang.t(pt, en).to_owned());
    let hours: i64 = match cx.field("horas") {
        "" => 2,
        text => text.parse().map_err(|_| {
            wrong(
                "“Por quantas horas” é um número.",
                "“For how many hours” is a number.",
            )
        })?,
    };
    if !(1..=14 * 24).contains(&hours) {
        return Err(wrong(
            "“Por quantas horas” vai de 1 a 336 (14 dias).",
            "“For how many hours” goes from 1 to 336 (14 days).",
        ));
    }
    let reason: String = cx
        .field("motivo")
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect();
    if reason.trim().is_empty() {
        return Err(wrong(
            "Escreva o motivo do silêncio.",
            "Write the reason of the silence.",
        ));
    }
    let rule = match cx.field("regra") {
        "" => None,
        name => Some(Rule::parse(name).ok_or_else(|| wrong("Não há essa regra.", "There is no such rule."))?),
    };
    let dataset_id = cx.dataset_in_form("conjunto")?;
    if rule.is_none() && dataset_id.is_none() {
        return Err(wrong(
            "Escolha uma regra, um conjunto, ou os dois: o silêncio de tudo não existe.",
            "Choose a rule, a dataset, or both: there is no silence of everything.",
        ));
    }
    let by = cx.signature();
    let dataset = dataset_id
        .map(DatasetId::try_from)
        .transpose()
        .map_err(|_| Failed::NotFound)?;
    let times = (cx.frame.now, cx.frame.now + TimeDelta::hours(hours));
    cx.app
        .writing
        .add_silence(rule, dataset, times, &by, reason.trim())
        .await?;
    info!(
        "{by} silenced {} for {hours} h",
        rule.map_or("all rules of a dataset", Rule::as_str)
    );
    after(cx, true, "/alertas")
}

pub async fn end_silence(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let done = cx.app.writing.end_silence(alert_id(cx)?).await?;
    after(cx, done, "/alertas")
}

pub async fn test_message(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let channel = cx.places.first().map_or("", String::as_str);
    if !cx.app.channels.contains(&channel) {
        return Err(Failed::NotFound);
    }
    cx.app
        .writing
        .add_test_message(channel, &json!({ "note": cx.signature() }))
        .await?;
    Ok(Reply::Redirect(cx.frame.link("/alertas", "teste=1")))
}

/// A rule's name for people.
pub fn rule_title(lang: Lang, rule: &str) -> String {
    match Rule::parse(rule) {
        Some(rule) => words::title(rule, language(lang)).to_owned(),
        None => cut(&rule.replace('_', " "), 60),
    }
}

/// What happened, and to whom.
pub fn title(frame: &Frame, alert: &AlertRow) -> String {
    let name = alert
        .dataset_id
        .map(|id| format!(", {}", frame.dataset_name(id)))
        .unwrap_or_default();
    format!("{}{name}", rule_title(frame.lang, &alert.rule))
}

/// The sentence of a message about it, with its numbers as they were measured last.
pub fn sentence(frame: &Frame, alert: &AlertRow) -> String {
    let facts: Facts = serde_json::from_value(alert.facts.clone()).unwrap_or_default();
    let dataset_name = facts
        .dataset_name
        .clone()
        .or_else(|| alert.dataset_id.map(|id| frame.dataset_name(id)));
    match Rule::parse(&alert.rule) {
        Some(rule) => words::headline(
            rule,
            &Facts {
                dataset_name,
                ..facts
            },
            frame.now,
            language(frame.lang),
        ),
        None => String::new(),
    }
}

fn language(lang: Lang) -> Language {
    match lang {
        Lang::Pt => Language::Portuguese,
        Lang::En => Language::English,
    }
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
                    @if let Some(by) = &alert.muted_by { " · " (lang.t("calado por: ", "muted by: ")) (rule_title(lang, by)) }
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
                @if open.is_empty() { p.empty { (lang.t("Nada pede ninguém agora.", "Nothing asks for anybody now.")) } }
                ul.feed.alerts { @for alert in &open { (open_alert(frame, alert)) } }
            }))
            (card("c5", "silences", lang.t("Silêncios", "Silences"), lang.t("planejados, com fim", "planned, with an end"), &silences(frame, data)))
            (card("c7", "past", lang.t("Histórico", "History"), lang.t("os mais novos primeiro", "the newest first"), &html! {
                @if closed.is_empty() { p.empty { (lang.t("Nenhum alerta fechado ainda.", "No closed alerts yet.")) } }
                ul.feed { @for alert in closed.iter().take(12) { (line(frame, alert)) } }
                @if closed.len() > 12 { details.more { summary { (lang.t("Mais ", "")) (closed.len() - 12) (lang.t("", " more")) } ul.feed { @for alert in closed.iter().skip(12) { (line(frame, alert)) } } } }
            }))
            (card("c5", "what-if", lang.t("E com outro número?", "And with another number?"), lang.t("30 dias, por hora cheia", "30 days, by whole hours"), &what_if(frame, data)))
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
                @if frame.is_operator() { form.acts method="post" action={ "/silencios/" (silence.silence_id) "/fim" } { (frame.form_fields()) button.btn.small { (lang.t("Acabar agora", "End now")) } } }
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

fn what_if(frame: &Frame, data: &AlertsData) -> Markup {
    let lang = frame.lang;
    let Some(tried) = &data.tried else {
        return layout::missing(lang);
    };
    let times = |n: usize| {
        lang.plural(
            i64::try_from(n).unwrap_or(i64::MAX),
            ("vez", "time"),
            ("vezes", "times"),
        )
    };
    html! {
        form.form action="/alertas" {
            @if let Some(dataset) = frame.dataset { input type="hidden" name="dataset" value=(dataset); }
            @if lang == Lang::En { input type="hidden" name="lang" value="en"; }
            @for rule in tried {
                label { (rule_title(lang, rule.rule)) " (%)"
                    input name=(rule.rule) inputmode="decimal" maxlength="5" value=(rule.typed.map(|(value, _)| lang.decimal(value, 1)).unwrap_or_default()) placeholder=(lang.decimal(rule.now, 0)) aria-describedby={ "w-" (rule.rule) };
                    small id={ "w-" (rule.rule) } {
                        @if let Some((value, fired)) = rule.typed { b { (lang.t("com ", "with ")) (lang.percent(value, 1)) ": " (times(fired)) } ". " }
                        @for (at, (value, fired)) in rule.fired.iter().enumerate() {
                            @if at > 0 { " · " } (lang.percent(*value, usize::from(value.fract() > 0.05))) @if at == 1 { " (" (lang.t("hoje", "now")) ")" } ": " (times(*fired))
                        }
                    }
                }
            }
            div.row { button.btn.small { (lang.t("Experimentar", "Try")) } }
        }
        p.note { (lang.t("Refaz a regra sobre as contagens; o que dura menos de uma hora pode não aparecer. Para mudar: ",
            "Runs the rule over the counts; what lasts less than an hour may not show. To change it: ")) code { "RASTRO__ALERTS__…__FIRES" } }
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
                    dt { (lang.t("Runbook", "Runbook")) } dd { code { "runbook.md#" (alert.rule.replace('_', "-")) } }
                    dt { (lang.t("Pior valor", "Worst value")) } dd { (lang.decimal(alert.worst_value, 2)) }
                    @if let Some(limit) = alert.threshold { dt { (lang.t("Limite", "Threshold")) } dd { (lang.decimal(limit, 2)) } }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(dataset_id: i64, hour: i64, failed: i64, succeeded: i64) -> HourRow {
        HourRow {
            dataset_id,
            hour: DateTime::from_timestamp(hour * 3_600, 0).unwrap(),
            accepted: 0,
            duplicates: 0,
            succeeded,
            failed,
            requests: 0,
            slow: 0,
        }
    }

    #[test]
    fn hours_in_a_row_are_one_episode_and_an_hour_with_little_in_it_is_none() {
        let share: fn(&HourRow) -> (i64, i64) = |hour| (hour.failed, hour.failed + hour.succeeded);
        let hours = [
            hour(1, 0, 10, 90),
            hour(1, 1, 20, 80),
            hour(1, 2, 0, 100),
            hour(1, 3, 6, 94),
            // One failure of one attempt.
            hour(1, 4, 0, 100),
            hour(1, 5, 1, 0),
            hour(2, 0, 50, 50),
        ];
        assert_eq!(episodes(&hours, 5.0, 20, share), 3);
        assert_eq!(episodes(&hours, 8.0, 20, share), 2);
        assert_eq!(episodes(&hours, 60.0, 20, share), 0);
    }
}
