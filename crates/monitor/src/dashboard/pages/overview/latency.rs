//! How long Meta takes to answer, over the last 24 hours.

use maud::{Markup, html};
use rastro_store::dashboard::LatencyRow;

use super::data::OverviewData;
use crate::dashboard::charts::{self, Histogram};
use crate::dashboard::layout::{self, Frame, missing};
use crate::dashboard::words::Lang;

/// The upper limits of the latency buckets in ms: `latency_limits()` of the database, which a test compares.
pub const LATENCY_LIMITS: [i64; 17] = [
    50, 75, 100, 150, 200, 250, 300, 400, 500, 600, 800, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000,
];
const UNANSWERED: i16 = 99;

pub(super) fn card(frame: &Frame, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let title = lang.t(
        "Quanto a Meta demora a responder",
        "How long Meta takes to answer",
    );
    layout::card("c6", "latency", title, &note(lang, data), &draw(lang, data))
}

fn note(lang: Lang, data: &OverviewData) -> String {
    let total: i64 = data.latency.iter().flatten().map(|row| row.requests).sum();
    format!(
        "24 h, {}",
        lang.plural(total, ("requisição", "request"), ("requisições", "requests"))
    )
}

fn draw(lang: Lang, data: &OverviewData) -> Markup {
    let Some(rows) = &data.latency else {
        return missing(lang);
    };
    let (requests, unanswered) = requests_by_bucket(rows.iter());
    let histogram = Histogram {
        limits: &LATENCY_LIMITS,
        requests: &requests,
        unanswered,
    };
    if histogram.total() == 0 {
        return html! {
            p.empty { (lang.t("Nenhuma requisição à Meta em 24 h.", "No requests to Meta within 24 h.")) }
        };
    }
    charts::histogram(lang, &histogram)
}

/// `None`: fewer than twenty requests, or the percentile was never answered.
pub(super) fn p95<'r>(rows: impl Iterator<Item = &'r LatencyRow>) -> Option<f64> {
    let (requests, unanswered) = requests_by_bucket(rows);
    let histogram = Histogram {
        limits: &LATENCY_LIMITS,
        requests: &requests,
        unanswered,
    };
    if histogram.total() < 20 {
        None
    } else {
        charts::percentile(&histogram, 0.95).map(|found| found.ms)
    }
}

fn requests_by_bucket<'r>(rows: impl Iterator<Item = &'r LatencyRow>) -> ([i64; 18], i64) {
    let (mut requests, mut unanswered) = ([0; 18], 0);
    for row in rows {
        match usize::try_from(row.bucket)
            .ok()
            .and_then(|bucket| requests.get_mut(bucket))
        {
            Some(count) => *count += row.requests,
            None if row.bucket == UNANSWERED => unanswered += row.requests,
            None => {}
        }
    }
    (requests, unanswered)
}
