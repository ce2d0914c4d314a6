//! Qualidade: Meta's score of each event beside our estimate, which keys events carry, and the one that
//! should help most.

use std::collections::BTreeMap;

use futures_util::join;
use maud::{Markup, html};
use rastro_store::dashboard::{QualityKey, QualityRow, QualityState};

use crate::dashboard::charts::{self, Dots, meter};
use crate::dashboard::layout::{self, Frame, Page, Tone, card};
use crate::dashboard::pages::event_name;
use crate::dashboard::pages::overview::{newest, part};
use crate::dashboard::reply::{Failed, Reply};
use crate::dashboard::request::Cx;
use crate::dashboard::words::{Lang, NONE, cut};
use crate::words::match_key;

/// All that the page shows.
#[derive(Clone, Debug, Default)]
pub struct QualityData {
    pub rows: Vec<QualityRow>,
    pub keys: Vec<QualityKey>,
    pub states: Vec<QualityState>,
}

pub async fn show(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let (store, dataset) = (&cx.app.store, cx.frame.dataset);
    let (rows, keys, states) = join!(
        store.quality(dataset, 30),
        store.quality_keys(dataset),
        store.quality_states(dataset)
    );
    let mut data = QualityData {
        rows: rows?,
        keys: part("keys", keys).unwrap_or_default(),
        states: part("states", states).unwrap_or_default(),
    };
    let known = |id: i64| cx.frame.datasets.iter().any(|(known, _)| *known == id);
    data.rows.retain(|row| known(row.dataset_id));
    data.states.retain(|row| known(row.dataset_id));
    Reply::page(Page::Quality.title(cx.lang()), render(&cx.frame, &data))
}

/// Has Meta asked again, with the next check.
pub async fn ask(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let dataset = cx.dataset_at(0)?;
    if !cx.app.writing.ask_quality_again(dataset).await? {
        let text = cx.lang().t(
            "A Meta já foi consultada na última hora.",
            "Meta was asked within the last hour already.",
        );
        return Err(Failed::Invalid(text.to_owned()));
    }
    Ok(Reply::Redirect(cx.frame.link("/qualidade", "")))
}

/// Meta's words for keys, in ours; and how much each helps to find a person, as our estimate weighs them.
fn key_words(lang: Lang, key: &str) -> (String, f64) {
    let weight = match key {
        "email" | "em" => 3.0,
        "phone" | "ph" | "click_id" | "fbc" => 2.5,
        "external_id" => 1.5,
        "browser_id" | "fbp" => 1.0,
        "ip_address" | "client_ip_address" => 0.7,
        "first_name" | "fn" | "last_name" | "ln" | "date_of_birth" | "db" => 0.6,
        "user_agent" | "client_user_agent" | "zip_code" | "zp" => 0.5,
        "city" | "ct" => 0.3,
        _ => 0.2,
    };
    let words = match_key(key).map_or_else(|| cut(key, 40), |(pt, en)| lang.t(pt, en).to_owned());
    (words, weight)
}

/// The one key that should help most, in a sentence: the largest missing share times its weight.
pub fn advice(lang: Lang, row: &QualityRow, keys: &[QualityKey]) -> Option<String> {
    let of_this = keys
        .iter()
        .filter(|key| key.dataset_id == row.dataset_id && key.event_name == row.event_name);
    let (name, covered, _) = of_this
        .filter_map(|key| {
            let covered = key.coverage_percent?;
            let (name, weight) = key_words(lang, &key.identifier);
            Some((name, covered, (100.0 - covered) * weight))
        })
        .max_by(|one, other| one.2.total_cmp(&other.2))?;
    let lacking = 100.0 - covered;
    (lacking >= 5.0).then(|| match lang {
        Lang::Pt => format!(
            "Falta {name} em {} dos eventos: é o que mais deve render.",
            lang.percent(lacking.floor(), 0)
        ),
        Lang::En => format!(
            "{name} is missing in {} of events: it should help most.",
            lang.percent(lacking.floor(), 0)
        ),
    })
}

pub fn render(frame: &Frame, data: &QualityData) -> Markup {
    let lang = frame.lang;
    let mut rows = newest(&data.rows);
    rows.sort_by(|one, other| one.score.unwrap_or(11.0).total_cmp(&other.score.unwrap_or(11.0)));
    let lowest = rows.iter().find(|row| row.score.is_some());
    let low = rows
        .iter()
        .filter(|row| row.score.is_some_and(|score| score < charts::GOAL))
        .count();
    let (tone, answer) = match lowest {
        None => (
            Tone::Neutral,
            lang.t("A Meta ainda não deu nota", "Meta has given no score yet")
                .to_owned(),
        ),
        Some(_) if low > 0 => (
            Tone::Watch,
            lang.plural(
                i64::try_from(low).unwrap_or(0),
                ("evento abaixo de 6,0", "event below 6.0"),
                ("eventos abaixo de 6,0", "events below 6.0"),
            ),
        ),
        Some(_) => (
            Tone::Good,
            lang.t(
                "A Meta acha as pessoas dos seus eventos",
                "Meta finds the people of your events",
            )
            .to_owned(),
        ),
    };
    let more = html! {
        @match lowest {
            Some(row) => {
                (lang.t("A menor: ", "The lowest: ")) b { (event_name(lang, &row.event_name)) ", " (frame.dataset_name(row.dataset_id)) ", " (lang.decimal(row.score.unwrap_or_default(), 1)) } ". "
                @if let Some(hint) = advice(lang, row, &data.keys) { (hint) }
            },
            None => { (lang.t("A nota (EMQ, 0 a 10) diz quão bem a Meta liga eventos a pessoas. Ela vem uma vez por dia, depois de 48 h de eventos.",
                "The score (EMQ, 0 to 10) says how well Meta links events to people. It comes once a day, after 48 h of events.")) },
        }
    };
    let mut by_dataset: BTreeMap<i64, Vec<&QualityRow>> = BTreeMap::new();
    for row in &rows {
        by_dataset.entry(row.dataset_id).or_default().push(row);
    }
    html! {
        (layout::verdict(tone, &html! { (answer) }, &more, &html! {}))
        @for (id, name) in frame.datasets.iter().filter(|(id, _)| frame.dataset.is_none_or(|dataset| dataset == *id)).take(20) {
            @let events = by_dataset.get(id).map(Vec::as_slice).unwrap_or_default();
            (card("after", &format!("d{id}"), &cut(name, 60), &asked(frame, data, *id), &html! {
                @if events.is_empty() {
                    p.empty { (lang.t("Nenhuma nota guardada.", "No score is stored.")) " " (state_words(frame, data, *id)) }
                } @else {
                    ul.legend {
                        li { svg width="12" height="12" aria-hidden="true" { circle cx="6" cy="6" r="5.5" class="f-ok" {} } "Meta" }
                        li { svg width="12" height="12" aria-hidden="true" { circle cx="6" cy="6" r="4.6" class="f-card s-ink" stroke-width="1.8" {} } (lang.t("nossa estimativa", "our estimate")) }
                        li { (lang.t("tracejado: alvo 6,0", "dashed: goal 6.0")) }
                    }
                    @for row in events { (event_part(frame, data, row)) }
                }
                @if frame.is_operator() && data.states.iter().any(|state| state.dataset_id == *id) {
                    form method="post" action={ "/qualidade/" (id) "/perguntar" } { (frame.form_fields())
                        button.btn.small { (lang.t("Perguntar à Meta de novo", "Ask Meta again")) } }
                }
            }))
        }
        @if frame.datasets.is_empty() { p.empty { (lang.t("Nenhum conjunto ainda.", "No datasets yet.")) } }
    }
}

fn asked(frame: &Frame, data: &QualityData, dataset: i64) -> String {
    let lang = frame.lang;
    match data.states.iter().find(|state| state.dataset_id == dataset) {
        Some(state) => format!(
            "{} {}",
            lang.t("Última consulta", "Meta asked"),
            frame.zone.short(lang, state.asked_at, frame.now)
        ),
        None => lang
            .t("a Meta ainda não foi consultada", "Meta has not been asked yet")
            .to_owned(),
    }
}

fn state_words(frame: &Frame, data: &QualityData, dataset: i64) -> &'static str {
    let lang = frame.lang;
    match data.states.iter().find(|state| state.dataset_id == dataset).map(|state| state.state.as_str()) {
        Some("unreadable") => lang.t(
            "O token só envia, não lê a nota: atribua o conjunto ao usuário do sistema, ou faça um token com ads_read.",
            "The token may send but not read the score: assign the dataset to the system user, or make a token with ads_read."),
        Some("failed") => lang.t("A Meta não respondeu; amanhã tentamos de novo.", "Meta did not answer; it is asked again tomorrow."),
        _ => lang.t("Ela vem depois de 48 h de eventos.", "It comes after 48 h of events."),
    }
}

fn event_part(frame: &Frame, data: &QualityData, row: &QualityRow) -> Markup {
    let lang = frame.lang;
    let stale = (frame.now - row.fetched_at).num_hours() >= 36;
    let mut history: Vec<(chrono::NaiveDate, f64)> = data
        .rows
        .iter()
        .filter(|other| other.dataset_id == row.dataset_id && other.event_name == row.event_name)
        .filter_map(|other| Some((other.day, other.score?)))
        .collect();
    history.sort_by_key(|(day, _)| *day);
    let change = history
        .iter()
        .rev()
        .find(|(day, _)| (row.day - *day).num_days() >= 7)
        .zip(row.score)
        .map(|((_, before), now)| now - before);
    let mut keys: Vec<&QualityKey> = data
        .keys
        .iter()
        .filter(|key| key.dataset_id == row.dataset_id && key.event_name == row.event_name)
        .collect();
    keys.sort_by(|one, other| {
        one.coverage_percent
            .unwrap_or(0.0)
            .total_cmp(&other.coverage_percent.unwrap_or(0.0))
    });
    let facts = [
        (
            lang.t("Cobertura de deduplicação", "Deduplication coverage"),
            row.dedupe_coverage,
        ),
        (
            lang.t("Cobertura do servidor", "Server coverage"),
            row.event_coverage,
        ),
    ];
    html! {
        ul.emq { li {
            span { (event_name(lang, &row.event_name)) @if stale { small.sub { br; (lang.t("de ", "of ")) (lang.day(row.day)) } } }
            (charts::dots(lang, Dots { score: row.score, estimate: row.estimate, stale }))
            b { (row.score.map_or_else(|| NONE.to_owned(), |score| lang.decimal(score, 1))) }
            span.hint {
                @if let Some(change) = change.filter(|change| change.abs() >= 0.1) {
                    b class=(if change < 0.0 { "down" } else { "up" }) { (if change < 0.0 { "▼ " } else { "▲ " }) (lang.decimal(change.abs(), 1)) " " (lang.t("em 7 dias. ", "in 7 days. ")) }
                }
                @if row.score.is_none() { (lang.t("A Meta ainda não deu nota (menos de 48 h de eventos, ou poucos). ", "Meta has given no score yet (less than 48 h of events, or few). ")) }
                @if let Some(hint) = advice(lang, row, &data.keys) { (hint) }
                @for (name, share) in facts { @if let Some(share) = share { " " (name) ": " (lang.percent(share, 0)) "." } }
                @if let Some(freshness) = &row.freshness { " " (lang.t("Chegada: ", "Freshness: ")) (freshness_words(lang, freshness)) "." }
            }
        } }
        @if !keys.is_empty() {
            details.more { summary { (lang.t("Chaves de", "Keys of")) " " (event_name(lang, &row.event_name)) }
                ul.causes { @for key in keys {
                    @let covered = key.coverage_percent.unwrap_or_default();
                    li { span { (key_words(lang, &key.identifier).0) } (meter(covered / 100.0, "f-ok")) b { (lang.percent(covered.floor(), 0)) } }
                } }
            }
        }
    }
}

/// How often Meta says that events arrive.
fn freshness_words(lang: Lang, freshness: &str) -> String {
    match freshness {
        "real_time" => lang.t("em tempo real", "real time").to_owned(),
        "hourly" => lang.t("de hora em hora", "hourly").to_owned(),
        "daily" => lang.t("uma vez por dia", "daily").to_owned(),
        other => cut(other, 30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_should_help_most_is_the_one_that_is_missing_and_weighs_much() {
        let now: chrono::DateTime<chrono::Utc> = "2026-11-26T12:00:00Z".parse().unwrap();
        let row = QualityRow {
            dataset_id: 1,
            day: "2026-11-26".parse().unwrap(),
            event_name: "Lead".into(),
            score: Some(5.4),
            estimate: None,
            dedupe_coverage: None,
            event_coverage: None,
            freshness: None,
            fetched_at: now,
        };
        let key = |identifier: &str, coverage| QualityKey {
            dataset_id: 1,
            event_name: "Lead".into(),
            identifier: identifier.into(),
            coverage_percent: Some(coverage),
            gain_percent: None,
        };
        let keys = [key("email", 95.0), key("phone", 38.0), key("city", 0.0)];
        assert!(advice(Lang::Pt, &row, &keys).unwrap().contains("telefone em 62"));
        assert_eq!(advice(Lang::Pt, &row, &[key("email", 99.0)]), None);
    }
}
