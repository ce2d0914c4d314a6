//! What the first page reads, in parallel. Each part that does not come in time leaves a gap of its own.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures_util::join;
use rastro_service::telemetry::ErrorChain;
use rastro_store::dashboard::{
    AlertRow, Calculator, DayCount, DeadByDay, DeadGroup, DeadSelection, ErrorCause, HourOutcome, LatencyRow,
    Opening, QualityKey, QualityRow, Sent, Trail, Undelivered,
};
use rastro_store::{StoreError, WatchedBreaker};
use tracing::warn;

use crate::dashboard::charts;
use crate::dashboard::request::Cx;
use crate::dashboard::words::Lang;

/// How far back the charts look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    pub days: i64,
}

impl Period {
    pub fn parse(text: &str) -> Self {
        let days = match text {
            "1d" => 1,
            "7d" => 7,
            "90d" => 90,
            _ => 30,
        };
        Period { days }
    }

    pub fn tag(self) -> &'static str {
        match self.days {
            1 => "1d",
            7 => "7d",
            90 => "90d",
            _ => "30d",
        }
    }
}

/// What the visitor put into the calculator; `None`: not a number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    pub spend: Option<f64>,
    pub leads: Option<f64>,
    /// Leads that buy, in percent.
    pub rate: Option<f64>,
    pub ticket: Option<f64>,
}

/// All that the page shows. `None`: that part did not answer.
#[derive(Clone, Debug, Default)]
pub struct OverviewData {
    pub midnight: DateTime<Utc>,
    pub trail: Option<Trail>,
    pub days: Option<Vec<DayCount>>,
    pub hours: Option<Vec<HourOutcome>>,
    pub latency: Option<Vec<LatencyRow>>,
    pub causes: Option<Vec<ErrorCause>>,
    pub dead_days: Option<Vec<DeadByDay>>,
    pub openings: Option<Vec<Opening>>,
    pub undelivered: Option<Undelivered>,
    pub sent: Option<Vec<Sent>>,
    pub calculator: Option<Calculator>,
    pub numbers: Numbers,
    pub dead_groups: Option<Vec<DeadGroup>>,
    pub alerts: Option<Vec<AlertRow>>,
    pub breakers: Option<Vec<WatchedBreaker>>,
    pub notes: BTreeMap<i64, String>,
    pub quality: Option<Vec<QualityRow>>,
    pub keys: Option<Vec<QualityKey>>,
    pub alert_limit: f64,
    /// Where events are sent to; empty: nobody said.
    pub gateway_url: String,
}

impl OverviewData {
    /// Events of an outcome by hour since midnight.
    pub(super) fn today_by_hour(&self, outcome: &str) -> Vec<f64> {
        let mut hours: BTreeMap<i64, f64> = BTreeMap::new();
        for row in self
            .hours
            .iter()
            .flatten()
            .filter(|row| row.hour >= self.midnight)
        {
            let hour = (row.hour - self.midnight).num_hours();
            let value = hours.entry(hour).or_default();
            if row.outcome == outcome {
                *value += charts::f(row.events);
            }
        }
        let last = hours.keys().next_back().copied().unwrap_or(-1);
        (0..=last)
            .map(|hour| hours.get(&hour).copied().unwrap_or_default())
            .collect()
    }
}

/// A part that did not come is logged, once, and left out.
pub(crate) fn part<T>(name: &str, result: Result<T, StoreError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            warn!("a part of a page did not come ({name}): {}", ErrorChain(&error));
            None
        }
    }
}

/// A number as the page itself writes it, `1.234,56` or `1,234.56`, and as people type it: `1234,56`, and with
/// the other language's mark, `1234.56`. A mark of thousands stands before groups of three; one that does not
/// is a decimal mark.
fn number(lang: Lang, text: &str) -> Option<f64> {
    let (thousands, decimal) = match lang {
        Lang::Pt => ('.', ','),
        Lang::En => (',', '.'),
    };
    let text = text.trim();
    let (whole, places) = match text.split_once(decimal) {
        Some((whole, places)) => (whole, Some(places)),
        None => (text, None),
    };
    let mut groups = whole.split(thousands);
    let first = groups.next().unwrap_or_default();
    let rest: Vec<&str> = groups.collect();
    let is_grouped = (1..=3).contains(&first.len())
        && !first.starts_with('0')
        && rest.iter().all(|group| group.len() == 3);
    if first.is_empty() {
        return None;
    }
    let plain = match (rest.as_slice(), places) {
        ([], places) => format!("{first}.{}", places.unwrap_or("0")),
        (rest, places) if is_grouped => format!("{first}{}.{}", rest.concat(), places.unwrap_or("0")),
        ([other_places], None) => format!("{first}.{other_places}"),
        _ => return None,
    };
    plain
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite() && *value >= 0.0 && *value < 1e12)
}

pub(super) async fn load(cx: &Cx<'_>, period: Period) -> OverviewData {
    let (store, frame) = (&cx.app.store, &cx.frame);
    let (dataset, now, zone) = (frame.dataset, frame.now, frame.zone);
    let today = zone.day_of(now);
    let midnight = zone.start_of(today);
    let first: NaiveDate = today - TimeDelta::days(period.days - 1);
    let since = zone.start_of(first);
    let day_ago = now - TimeDelta::hours(24);
    let selection = DeadSelection {
        dataset_id: dataset,
        ..Default::default()
    };
    let (trail, days, hours, latency) = join!(
        store.trail(dataset, midnight),
        store.day_counts(dataset, first.min(today - TimeDelta::days(6)), today),
        store.hour_counts(dataset, midnight.min(day_ago)),
        store.latency(dataset, day_ago),
    );
    let (causes, dead_days, openings, undelivered) = join!(
        store.error_causes(dataset, day_ago),
        store.dead_by_day(dataset, since, zone.0.name()),
        store.openings(dataset, since),
        store.undelivered(dataset),
    );
    let (sent, calculator, dead_groups, alerts) = join!(
        store.sent_until_now(dataset, midnight),
        store.calculator(dataset, now - TimeDelta::days(30)),
        store.dead_groups(&selection),
        store.fired_alerts(dataset, 6),
    );
    let (breakers, notes, quality, keys) = join!(
        store.watched_breakers(cx.app.breaker.window_ms),
        store.breaker_notes(),
        store.quality(dataset, 8),
        store.quality_keys(dataset),
    );
    let notes = part("breaker notes", notes).unwrap_or_default();
    OverviewData {
        midnight,
        trail: part("trail", trail),
        days: part("days", days),
        hours: part("hours", hours),
        latency: part("latency", latency),
        causes: part("causes", causes),
        dead_days: part("stopped by day", dead_days),
        openings: part("openings", openings),
        undelivered: part("undelivered", undelivered),
        sent: part("sent until now", sent),
        calculator: part("calculator", calculator),
        numbers: Numbers {
            spend: number(cx.lang(), cx.asked("gasto")),
            leads: number(cx.lang(), cx.asked("leads")),
            rate: number(cx.lang(), cx.asked("taxa")),
            ticket: number(cx.lang(), cx.asked("ticket")),
        },
        dead_groups: part("stopped", dead_groups),
        alerts: part("alerts", alerts),
        breakers: part("breakers", breakers),
        notes: notes
            .into_iter()
            .map(|note| (note.dataset_id, note.note))
            .collect(),
        quality: part("quality", quality),
        keys: part("keys", keys),
        alert_limit: cx.app.rules.duplicates.fires,
        gateway_url: cx.app.config.gateway_url.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_the_page_wrote_is_read_back_in_its_language() {
        for lang in [Lang::Pt, Lang::En] {
            for (value, places) in [
                (0.0, 0),
                (7.5, 1),
                (999.0, 0),
                (1_234.0, 0),
                (1_234_567.0, 0),
                (11_620.5, 2),
                (349.9, 2),
                (1_000_000.01, 2),
            ] {
                let written = lang.decimal(value, places);
                assert_eq!(number(lang, &written), Some(value), "{lang:?} {written}");
            }
        }
    }

    #[test]
    fn numbers_are_read_as_people_type_them() {
        let (pt, en) = (Lang::Pt, Lang::En);
        for (lang, text, expected) in [
            (pt, "11.620,00", Some(11_620.0)),
            (pt, "11.620", Some(11_620.0)),
            (pt, "11620.5", Some(11_620.5)),
            (pt, "11620,5", Some(11_620.5)),
            (pt, "0.500", Some(0.5)),
            (pt, " 3,2 ", Some(3.2)),
            (en, "11,620", Some(11_620.0)),
            (en, "11,620.00", Some(11_620.0)),
            (en, "11620.5", Some(11_620.5)),
            (en, "3,2", Some(3.2)),
            (pt, "", None),
            (pt, "-1", None),
            (pt, "1e400", None),
            (pt, "1.2.3", None),
            (en, "1,234,5", None),
            (pt, "muito", None),
        ] {
            assert_eq!(number(lang, text), expected, "{lang:?} {text}");
        }
    }
}
