//! What people order about alerts: silence, later, seen, and a message to try a channel.

use chrono::TimeDelta;
use rastro_core::alert::Rule;
use rastro_core::dataset::DatasetId;
use serde_json::json;
use tracing::info;

use super::alert_id;
use crate::dashboard::reply::{Failed, Reply};
use crate::dashboard::request::Cx;

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
        _ => {
            let why = cx.lang().t(
                "“Adiar” vai por 1 h, por 4 h ou até amanhã às 9 h.",
                "“Snooze” is for 1 h, for 4 h or until tomorrow at 9 h.",
            );
            return Err(Failed::Invalid(why.to_owned()));
        }
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
