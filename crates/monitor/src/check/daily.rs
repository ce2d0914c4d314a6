//! The mail of every morning: what is open, yesterday in five numbers, and what is only information. It comes
//! also when all is well, so that its absence says something.

use chrono::{Datelike, NaiveTime, TimeDelta};
use rastro_core::alert::message::Now;
use rastro_core::alert::{Facts, Severity};
use rastro_store::{NewMessage, StoreError};

use super::Monitor;
use crate::notify::{Daily, EMAIL};
use crate::words::{self, Language};

/// Local time.
const AT: NaiveTime = NaiveTime::from_hms_opt(9, 0, 0).expect("a time of day");

/// Writes it into the outbox, once a day from nine o'clock on.
pub(crate) async fn write(monitor: &Monitor, now: Now) -> anyhow::Result<()> {
    let has_mail = monitor.channels.iter().any(|channel| channel.name() == EMAIL);
    if !monitor.config.notify.daily_mail || !has_mail || now.local.time() < AT {
        return Ok(());
    }
    let day = now.local.date().num_days_from_ce();
    if monitor.store.has_daily_message(EMAIL, day).await? {
        return Ok(());
    }
    let mail = NewMessage {
        kind: "daily",
        sequence: day,
        channel: EMAIL,
        severity: Severity::Info,
        facts: Facts::default(),
    };
    Ok(monitor.store.add_messages(&[mail]).await?)
}

/// What it says, as it is when it is sent.
pub(crate) async fn contents(monitor: &Monitor, language: Language, now: Now) -> Result<Daily, StoreError> {
    let yesterday = now.local.date() - TimeDelta::days(1);
    let day = monitor.store.day_in_numbers(yesterday).await?;
    let number = |count| words::count(count, language);
    let name = |pt: &str, en: &str| language.pick(pt, en).to_owned();
    let figures = vec![
        (
            name("Recebidos ontem", "Received yesterday"),
            number(day.accepted),
        ),
        (
            name("Entregues à Meta", "Delivered to Meta"),
            number(day.delivered),
        ),
        (
            name("Repetidos, barrados", "Duplicates, kept back"),
            number(day.duplicates),
        ),
        (
            name("Eventos parados agora", "Dead letters now"),
            number(day.dead_letters),
        ),
        (name("Vencem em 24 h", "Expire within 24 h"), number(day.expiring)),
    ];
    let (mut open, mut information) = (Vec::new(), Vec::new());
    for listed in monitor.store.open_alerts().await? {
        let alert = listed.alert;
        let sentence = words::headline(alert.rule, &alert.facts, now.at, language);
        match alert.severity {
            Severity::Info => information.push(sentence),
            _ => open.push(sentence),
        }
    }
    Ok(Daily {
        figures,
        open,
        information,
    })
}
