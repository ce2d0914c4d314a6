//! Eventos parados: by cause in plain words, with money and deadline; a preview before anything is sent; one
//! first, then all. What sends again is `Store::retry_failed`, the same as of `POST /api/meta/retry-failed`.

mod view;

use std::time::Duration;

use futures_util::join;
use rastro_core::dataset::DatasetId;
use rastro_store::dashboard::{DeadGroup, DeadSample, DeadSelection, Recurrence, Replay};
use rastro_store::{DeadLetterFilter, RetryRequest};
use tracing::info;
use uuid::Uuid;

use crate::dashboard::layout::{Page, Tone};
use crate::dashboard::reply::{Failed, Reply};
use crate::dashboard::request::Cx;

pub use view::render;

/// At most so many at one press of a button.
const MOST: i64 = 10_000;
const SAMPLE: i64 = 8;
const REASONS: [&str; 6] = [
    "refused",
    "exhausted",
    "expired",
    "missing",
    "dataset_deleted",
    "set_aside",
];

/// What is shown before anything is sent.
#[derive(Clone, Debug)]
pub struct Preview {
    pub group: DeadGroup,
    pub sample: Vec<DeadSample>,
    pub recurrence: Option<Recurrence>,
    /// In words, with whether it flows.
    pub breaker: Option<(Tone, String)>,
}

/// All that the page shows.
#[derive(Clone, Debug, Default)]
pub struct DeadLettersData {
    pub groups: Vec<DeadGroup>,
    pub replays: Option<Vec<Replay>>,
    pub preview: Option<Preview>,
    /// What the last order did.
    pub done: Option<(i64, i64)>,
    pub filter: Vec<(String, String)>,
}

/// A group as an address names it: dataset, reason, code, subcode.
fn group_tag(group: &DeadGroup) -> String {
    let code = |code: Option<i32>| code.map_or_else(String::new, |code| code.to_string());
    format!(
        "{}.{}.{}.{}",
        group.dataset_id,
        group.reason,
        code(group.error_code),
        code(group.error_subcode)
    )
}

type GroupName = (i64, String, Option<i32>, Option<i32>);

fn parse_group(tag: &str) -> Option<GroupName> {
    let parts: Vec<&str> = tag.split('.').collect();
    let [dataset, reason, code, subcode] = parts.as_slice() else {
        return None;
    };
    let code_of = |text: &str| match text {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    };
    REASONS.contains(reason).then_some(())?;
    Some((
        dataset.parse().ok()?,
        (*reason).to_owned(),
        code_of(code)?,
        code_of(subcode)?,
    ))
}

/// What an address or a form selects. A field that cannot be read is named.
fn selection(cx: &Cx<'_>, value: impl Fn(&str) -> String) -> Result<DeadSelection, Failed> {
    let lang = cx.lang();
    let zone = cx.frame.zone;
    let wrong = |pt: &str, en: &str| Failed::Invalid(lang.t(pt, en).to_owned());
    let time = |name: &str| match value(name).as_str() {
        "" => Ok(None),
        text => zone.parse_local(text).map(Some).ok_or_else(|| {
            wrong(
                "“Parou entre” espera data e hora, como 2026-11-26T14:30.",
                "“Stopped between” takes a date and a time, such as 2026-11-26T14:30.",
            )
        }),
    };
    let code = match value("codigo").as_str() {
        "" => None,
        text => Some(text.trim().parse().map_err(|_| {
            wrong(
                "“Código” é um número, como 2804019.",
                "“Code” is a number, such as 2804019.",
            )
        })?),
    };
    let reason = match value("motivo") {
        text if text.is_empty() => None,
        text if REASONS.contains(&text.as_str()) => Some(text),
        _ => return Err(wrong("Não há esse motivo.", "There is no such reason.")),
    };
    let event_id = Some(value("evento").trim().to_owned()).filter(|id| !id.is_empty() && id.len() <= 200);
    Ok(DeadSelection {
        dataset_id: cx.frame.dataset,
        reason,
        code,
        failed_from: time("de")?,
        failed_before: time("ate")?,
        event_id,
    })
}

const FILTERS: [&str; 5] = ["motivo", "codigo", "de", "ate", "evento"];

pub async fn show(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let selection = selection(cx, |name| cx.asked(name).to_owned())?;
    let store = &cx.app.store;
    let (groups, replays) = join!(store.dead_groups(&selection), store.replays(cx.frame.dataset, 8));
    let groups = groups?;
    let chosen = match parse_group(cx.asked("grupo")) {
        Some((dataset, reason, code, subcode)) => groups.iter().find(|group| {
            (
                group.dataset_id,
                &group.reason,
                group.error_code,
                group.error_subcode,
            ) == (dataset, &reason, code, subcode)
        }),
        None => groups.first(),
    };
    let preview = match chosen {
        Some(group) => Some(preview(cx, group, &selection).await?),
        None => None,
    };
    let count = |name: &str| cx.asked(name).parse::<i64>().ok();
    let data = DeadLettersData {
        preview,
        groups,
        replays: super::overview::part("replays", replays),
        done: count("feitos").zip(count("velhos")),
        filter: FILTERS
            .iter()
            .map(|name| ((*name).to_owned(), cx.asked(name).to_owned()))
            .collect(),
    };
    Reply::live(Page::DeadLetters.title(cx.lang()), render(&cx.frame, &data))
}

async fn preview(cx: &Cx<'_>, group: &DeadGroup, selection: &DeadSelection) -> Result<Preview, Failed> {
    let (store, lang) = (&cx.app.store, cx.lang());
    let dataset = DatasetId::try_from(group.dataset_id).map_err(|_| Failed::NotFound)?;
    let (sample, recurrence, breaker) = join!(
        store.dead_sample(group, selection, SAMPLE),
        store.recurrence(group),
        store.breaker(dataset)
    );
    let breaker = super::overview::part("breaker", breaker).map(|(breaker, _, now_ms)| {
        let (tone, words) = super::overview::breaker_state(lang, &breaker, now_ms);
        (tone, words.to_owned())
    });
    Ok(Preview {
        group: group.clone(),
        sample: sample?,
        recurrence: super::overview::part("recurrence", recurrence),
        breaker,
    })
}

/// Sends dead letters of one group again: as many as were asked for, those closest to being too old first.
pub async fn replay(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let lang = cx.lang();
    let selection = selection(cx, |name| cx.field(name).to_owned())?;
    let (dataset, reason, code, subcode) = parse_group(cx.field("grupo")).ok_or(Failed::NotFound)?;
    if !cx.frame.datasets.iter().any(|(id, _)| *id == dataset) {
        return Err(Failed::NotFound);
    }
    let most = match cx.field("quantos") {
        "todos" => MOST,
        text => text
            .parse()
            .ok()
            .filter(|most| (1..=MOST).contains(most))
            .ok_or_else(|| {
                Failed::Invalid(
                    lang.t(
                        "“Quantos” vai de 1 a 10.000.",
                        "“How many” goes from 1 to 10,000.",
                    )
                    .to_owned(),
                )
            })?,
    };
    let numbers = cx
        .app
        .store
        .dead_numbers((dataset, &reason, code, subcode), &selection, most)
        .await?;
    let mut done = (0, 0);
    if !numbers.is_empty() {
        let filter = DeadLetterFilter {
            dataset_id: Some(DatasetId::try_from(dataset).map_err(|_| Failed::NotFound)?),
            event_numbers: Some(numbers),
            ..Default::default()
        };
        let request_id = Uuid::now_v7();
        let who = cx.signature();
        let note = format!("retried by {who}");
        let spread = if most == 1 {
            Duration::ZERO
        } else {
            Duration::from_secs(300)
        };
        let request = RetryRequest {
            dry_run: false,
            spread,
            at_most: most,
            request_id,
            note: &note,
        };
        let count = cx.app.writing.retry_failed(&filter, &request).await?;
        info!(request.id = %request_id, "{} dead letters are retried by {who}", count.retried);
        done = (count.retried, count.too_old);
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in FILTERS {
        if !cx.field(name).is_empty() {
            query.append_pair(name, cx.field(name));
        }
    }
    if let Ok(Some(dataset)) = cx.dataset_in_form("dataset") {
        query.append_pair("dataset", &dataset.to_string());
    }
    query.append_pair("grupo", cx.field("grupo"));
    query.append_pair("feitos", &done.0.to_string());
    query.append_pair("velhos", &done.1.to_string());
    Ok(Reply::Redirect(cx.frame.link("/parados", &query.finish())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_in_an_address_and_read_back() {
        assert_eq!(
            parse_group("12.refused.100.2804019"),
            Some((12, "refused".into(), Some(100), Some(2_804_019)))
        );
        assert_eq!(
            parse_group("12.exhausted.."),
            Some((12, "exhausted".into(), None, None))
        );
        for wrong in [
            "",
            "12.refused.100",
            "x.refused..",
            "12.anything..",
            "12.refused.a.",
            "12.refused.1.2.3",
        ] {
            assert_eq!(parse_group(wrong), None, "{wrong}");
        }
    }
}
