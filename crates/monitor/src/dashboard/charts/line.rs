//! A rate over days with the line above which an alert fires, and the small lines of the tiles.

use maud::{Markup, html};

use super::{axis, fi, n, pct, step, table};
use crate::dashboard::words::{Lang, NONE};

/// One day of a line.
#[derive(Clone, Debug)]
pub struct LinePoint {
    /// Under the axis.
    pub label: String,
    /// The whole sentence about the point.
    pub tip: String,
    /// In percent. `None`: there is nothing to say about that day.
    pub value: Option<f64>,
}

/// A line in percent.
#[derive(Clone, Debug)]
pub struct Line<'l> {
    pub points: &'l [LinePoint],
    /// What the table calls the value.
    pub name: &'l str,
    pub description: &'l str,
    /// Above it an alert fires, with what is written at it.
    pub limit: Option<(f64, String)>,
    /// The last point is not over yet.
    pub last_is_provisional: bool,
}

const HEIGHT: f64 = 226.0;
const TOP: f64 = 34.0;
const BASE: f64 = 202.0;

pub fn line(lang: Lang, line: &Line<'_>) -> Markup {
    let points = line.points;
    let highest = points.iter().filter_map(|point| point.value).fold(0.0, f64::max);
    let top = highest
        .max(line.limit.as_ref().map_or(1.0, |(limit, _)| *limit))
        .max(1.0)
        * 1.08;
    let y = |value: f64| BASE - value / top * (BASE - TOP);
    let step = step(top);
    let ticks: Vec<f64> = (0..5)
        .map(|at| fi(at) * step)
        .filter(|value| *value <= top)
        .collect();
    let labels: Vec<(f64, String)> = ticks
        .iter()
        .map(|value| {
            (
                y(*value),
                if *value == 0.0 {
                    "0".to_owned()
                } else {
                    lang.percent(*value, usize::from(step < 1.0))
                },
            )
        })
        .collect();
    let wide = 100.0 / fi(points.len().max(1));
    let x = |at: usize| fi(at) * wide + wide / 2.0;
    let last = points.len().saturating_sub(1);
    let every = points.len().div_ceil(4).max(1);
    let places: Vec<(f64, f64)> = points
        .iter()
        .enumerate()
        .filter_map(|(at, point)| Some((x(at), y(point.value?))))
        .collect();
    let peak = points
        .iter()
        .enumerate()
        .filter_map(|(at, point)| Some((at, point.value?)))
        .max_by(|(_, one), (_, other)| one.total_cmp(other));
    let limit = line.limit.as_ref().map(|(limit, _)| y(*limit));
    // The words of a point stand above it, and above the limit where they would lie on it.
    let words_above = |value: f64| match limit {
        Some(limit) if (limit - 4.0..limit + 12.0).contains(&(y(value) - 10.0)) => limit - 6.0,
        _ => y(value) - 10.0,
    };
    // What is written at the limit gives way to the words of the last point.
    let crowded = points
        .last()
        .and_then(|point| point.value)
        .zip(limit)
        .is_some_and(|(value, limit)| (words_above(value) - limit + 6.0).abs() < 16.0);
    html! {
        div.plot {
            (axis(HEIGHT, &labels))
            svg.chart height=(n(HEIGHT)) role="group" aria-label=(line.description) {
                @for value in ticks.iter().skip(1) {
                    line.grid-line x1="0" x2="100%" y1=(n(y(*value))) y2=(n(y(*value))) {}
                }
                @if let Some((limit, words)) = &line.limit {
                    line.limit x1="0" x2="100%" y1=(n(y(*limit))) y2=(n(y(*limit))) {}
                    text.t-err x=(if crowded { "0" } else { "100%" }) y=(n(y(*limit) - 6.0))
                        text-anchor=(if crowded { "start" } else { "end" }) { (words) }
                }
                (stroke(&places, HEIGHT, BASE, line.last_is_provisional))
                @if let Some((at, value)) = peak.filter(|(at, _)| *at != last) {
                    (dot(x(at), y(value), true))
                    text.strong x=(pct(x(at))) y=(n(words_above(value)))
                        text-anchor=(if at < 2 { "start" } else { "middle" }) { (lang.percent(value, 1)) }
                }
                @if let Some(value) = points.last().and_then(|point| point.value) {
                    (dot(x(last), y(value), !line.last_is_provisional))
                    text.strong x="100%" y=(n(words_above(value))) text-anchor="end" { (lang.percent(value, 1)) }
                }
                @for (at, point) in points.iter().enumerate() {
                    g.col role="img" tabindex=(if at == last { "0" } else { "-1" })
                        aria-label=(point.tip.replace('\n', "; ")) {
                        rect.hit x=(pct(fi(at) * wide)) width=(pct(wide)) y="18" height="184" {}
                    }
                }
                @for (at, point) in points.iter().enumerate() {
                    @if at == last {
                        text x="100%" y="220" text-anchor="end" { (point.label) }
                    } @else if (last - at).is_multiple_of(every) {
                        text.t2[(last - at) / every % 2 == 1] x=(pct(x(at))) y="220" text-anchor="middle" { (point.label) }
                    }
                }
                line.base x1="0" x2="100%" y1=(n(BASE)) y2=(n(BASE)) {}
            }
        }
        @let rows: Vec<Vec<String>> = points.iter().rev().map(|point| vec![
            point.label.clone(), point.value.map_or_else(|| NONE.to_owned(), |value| lang.percent(value, 1)),
        ]).collect();
        (table(lang, &[lang.t("Dia", "Day"), line.name], &rows))
    }
}

/// The line itself, its area, and its last piece dashed if that is provisional.
fn stroke(places: &[(f64, f64)], height: f64, base: f64, dashed: bool) -> Markup {
    let join = |places: &[(f64, f64)]| {
        let texts: Vec<String> = places
            .iter()
            .map(|(x, y)| format!("{},{}", n(*x), n(*y)))
            .collect();
        texts.join(" ")
    };
    let (Some(first), Some(last)) = (places.first(), places.last()) else {
        return html! {};
    };
    let solid = if dashed && places.len() > 1 {
        &places[..places.len() - 1]
    } else {
        places
    };
    html! {
        svg x="0" y="0" width="100%" height=(n(height)) viewBox={ "0 0 100 " (n(height)) } preserveAspectRatio="none"
            aria-hidden="true" {
            polygon.area points={ (n(first.0)) "," (n(base)) " " (join(places)) " " (n(last.0)) "," (n(base)) } {}
            polyline class="line s-ok" points=(join(solid)) {}
            @if dashed && places.len() > 1 {
                polyline class="line s-ok dash" points=(join(&places[places.len() - 2..])) {}
            }
        }
    }
}

/// Outside of the stretched part, or it would be an ellipse.
fn dot(x: f64, y: f64, filled: bool) -> Markup {
    html! { circle cx=(pct(x)) cy=(n(y)) r="4" stroke-width="2" class=(if filled { "s-ok f-ok" } else { "s-ok f-card" }) {} }
}

/// The line of a tile: only its shape matters, the numbers stand above it. From zero unless `from_lowest`.
pub fn spark(values: &[f64], limit: Option<f64>, from_lowest: bool, last_is_provisional: bool) -> Markup {
    if values.len() < 2 {
        return html! { svg.chart.spark height="44" aria-hidden="true" {} };
    }
    let highest = values.iter().copied().chain(limit).fold(f64::MIN, f64::max);
    let lowest = if from_lowest {
        values.iter().copied().chain(limit).fold(f64::MAX, f64::min)
    } else {
        0.0
    };
    let room = (highest - lowest).max(1e-9);
    let y = |value: f64| 40.0 - (value - lowest) / room * 34.0;
    let wide = 100.0 / fi(values.len() - 1);
    let places: Vec<(f64, f64)> = values
        .iter()
        .enumerate()
        .map(|(at, value)| (fi(at) * wide, y(*value)))
        .collect();
    html! {
        svg.chart.spark height="44" viewBox="0 0 100 44" preserveAspectRatio="none" aria-hidden="true" {
            @if let Some(limit) = limit {
                line.limit x1="0" x2="100" y1=(n(y(limit))) y2=(n(y(limit))) vector-effect="non-scaling-stroke" {}
            }
            (stroke(&places, 44.0, 44.0, last_is_provisional))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_at_the_limit_give_way_to_those_of_the_last_point() {
        let drawn = |last| {
            let point = |value| LinePoint {
                label: "hoje".to_owned(),
                value: Some(value),
                tip: String::new(),
            };
            let points = [point(3.0), point(last)];
            let drawn = Line {
                points: &points,
                name: "%",
                description: "",
                limit: Some((10.0, "avisa".to_owned())),
                last_is_provisional: true,
            };
            line(Lang::Pt, &drawn).into_string()
        };
        assert!(drawn(4.0).contains("text-anchor=\"end\">avisa"));
        assert!(drawn(9.1).contains("text-anchor=\"start\">avisa"));
    }
}
