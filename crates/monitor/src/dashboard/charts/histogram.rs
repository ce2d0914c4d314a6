//! How long Meta takes to answer, as a distribution: bars by bucket, percentiles drawn in, unanswered
//! requests counted as slower than all.

use maud::{Markup, html};

use super::{f, fi, n, pct, table};
use crate::dashboard::words::{Lang, NBSP};

/// Requests by bucket.
#[derive(Clone, Debug)]
pub struct Histogram<'h> {
    /// The upper limits of the buckets, in milliseconds, ascending.
    pub limits: &'h [i64],
    /// One more than limits: the last is beyond all of them.
    pub requests: &'h [i64],
    pub unanswered: i64,
}

impl Histogram<'_> {
    pub fn total(&self) -> i64 {
        self.requests.iter().sum::<i64>() + self.unanswered
    }

    fn beyond(&self, limit: i64) -> i64 {
        let at = self.limits.partition_point(|other| *other <= limit);
        self.requests.iter().skip(at).sum()
    }
}

/// Where a percentile lies: which bucket, how far into it (0 to 1), and the milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percentile {
    pub bucket: usize,
    pub within: f64,
    pub ms: f64,
}

/// The percentile of a share from 0 to 1, interpolated inside its bucket. `None`: it is beyond the last
/// limit, or never came.
pub fn percentile(histogram: &Histogram<'_>, share: f64) -> Option<Percentile> {
    let total = histogram.total();
    if total == 0 {
        return None;
    }
    let wanted = share * f(total);
    let mut before = 0;
    for (bucket, (upper, requests)) in histogram.limits.iter().zip(histogram.requests).enumerate() {
        if *requests > 0 && f(before + requests) >= wanted {
            let lower = if bucket == 0 {
                0
            } else {
                histogram.limits[bucket - 1]
            };
            let within = ((wanted - f(before)) / f(*requests)).clamp(0.0, 1.0);
            return Some(Percentile {
                bucket,
                within,
                ms: f(lower) + within * f(upper - lower),
            });
        }
        before += requests;
    }
    None
}

const HEIGHT: f64 = 226.0;
const TOP: f64 = 78.0;
const BASE: f64 = 202.0;
/// The promise to keep and the alert, in milliseconds.
const PROMISE: i64 = 1_000;
const ALERT: i64 = 2_000;

pub fn histogram(lang: Lang, histogram: &Histogram<'_>) -> Markup {
    let (limits, total) = (histogram.limits, histogram.total());
    let top = histogram.requests.iter().copied().max().unwrap_or(0).max(1);
    let wide = 100.0 / fi(histogram.requests.len().max(1));
    let range = |at: usize| {
        let lower = if at == 0 { 0 } else { limits[at - 1] };
        match limits.get(at) {
            Some(upper) => format!(
                "{} {} {}{NBSP}ms",
                lang.count(lower),
                lang.t("a", "to"),
                lang.count(*upper)
            ),
            None => format!("{} {}{NBSP}ms", lang.t("acima de", "over"), lang.count(lower)),
        }
    };
    let requests = |count| lang.plural(count, ("requisição", "request"), ("requisições", "requests"));
    let tip = |at: usize, count: i64| {
        [
            range(at),
            format!("{} ({})", requests(count), lang.share(count, total, 1)),
        ]
    };
    // A row each: on a phone two of them lie closer than their words are long.
    let marks = [
        (0.5, lang.t("metade até", "half within"), 1.0),
        (0.95, "P95", 21.0),
        (0.99, "P99", 41.0),
    ];
    let slow = histogram.beyond(PROMISE);
    html! {
        svg.chart height=(n(HEIGHT)) role="group"
            aria-label=(lang.t("Tempo de resposta da Meta, por faixa. Use as setas.", "Meta's response time by range. Use the arrow keys.")) {
            @for (at, count) in histogram.requests.iter().enumerate() {
                @let (x, tip) = (fi(at) * wide, tip(at, *count));
                @let tall = if *count == 0 { 0.0 } else { (f(*count) / f(top) * (BASE - TOP)).max(2.5) };
                @let lower = if at == 0 { 0 } else { limits[at - 1] };
                g.col role="img" tabindex=(if at == 0 { "0" } else { "-1" }) aria-label=(tip.join("; ")) {
                    rect.hit x=(pct(x)) width=(pct(wide)) y="64" height="138" {}
                    @let (inner, width, y) = (pct(x + wide * 0.07), pct(wide * 0.86), n(BASE - tall));
                    @if lower >= ALERT {
                        rect x=(inner) width=(width) y=(y) height=(n(tall)) rx="2" fill="url(#p-err)" {}
                    } @else if lower >= PROMISE {
                        rect x=(inner) width=(width) y=(y) height=(n(tall)) rx="2" fill="url(#p-warn)" {}
                    } @else { rect.f-ok x=(inner) width=(width) y=(y) height=(n(tall)) rx="2" {} }
                }
            }
            @for (at, limit) in limits.iter().enumerate() {
                @let x = pct((fi(at) + 1.0) * wide);
                @let label = if *limit < 1_000 { limit.to_string() } else { format!("{}{NBSP}s", limit / 1_000) };
                @if [50, 100, 200, 300, 500, 800, 1_000, 2_000, 5_000].contains(limit) {
                    text.t2[[50, 200, 500, 800].contains(limit)] x=(x) y="220" text-anchor="middle" { (label) }
                }
            }
            @for (share, name, y) in marks {
                @if let Some(found) = percentile(histogram, share) {
                    @let place = (fi(found.bucket) + found.within) * wide;
                    @let x = pct(place);
                    @let anchor = if place > 60.0 { "end" } else { "start" };
                    line x1=(x) x2=(x) y1=(n(y + 3.0)) y2=(n(BASE)) class="s-ink" stroke-width="1.4" {}
                    text.strong x=(x) y=(n(y + 13.0)) text-anchor=(anchor) dx=(if anchor == "end" { "-5" } else { "5" }) {
                        (name) " " (lang.milliseconds(found.ms))
                    }
                }
            }
            line.base x1="0" x2="100%" y1=(n(BASE)) y2=(n(BASE)) {}
            @if slow > 0 {
                text.t-warn x="100%" y="186" text-anchor="end" {
                    (lang.count(slow)) " " (lang.t("acima de 1 s", "over 1 s"))
                }
            }
        }
        @if histogram.unanswered > 0 {
            p.note {
                (requests(histogram.unanswered)) " "
                (lang.t("sem resposta: contam no P95 e no P99 como acima de tudo.",
                    "without an answer: in P95 and P99 they count as slower than all."))
            }
        }
        @let rows: Vec<Vec<String>> = histogram.requests.iter().enumerate()
            .map(|(at, count)| vec![range(at), lang.count(*count)])
            .chain([vec![lang.t("sem resposta", "no answer").to_owned(), lang.count(histogram.unanswered)]]).collect();
        (table(lang, &[lang.t("Tempo", "Time"), lang.t("Requisições", "Requests")], &rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: [i64; 3] = [100, 200, 1_000];

    fn of<'h>(requests: &'h [i64], unanswered: i64) -> Histogram<'h> {
        Histogram {
            limits: &LIMITS,
            requests,
            unanswered,
        }
    }

    #[test]
    fn percentiles_are_interpolated_inside_their_bucket() {
        // 100 requests spread evenly from 100 to 200 ms: the median is 150 ms.
        let median = percentile(&of(&[0, 100, 0, 0], 0), 0.5).unwrap();
        assert!((median.ms - 150.0).abs() < 1e-9);
        assert_eq!(median.bucket, 1);
    }

    #[test]
    fn what_was_never_answered_is_slower_than_all() {
        let answered = percentile(&of(&[90, 10, 0, 0], 0), 0.95).unwrap();
        assert!(answered.ms < 200.0);
        assert_eq!(percentile(&of(&[90, 0, 0, 0], 10), 0.95), None);
        assert_eq!(percentile(&of(&[0, 0, 0, 0], 0), 0.5), None);
    }
}
