//! A few lines in one chart, told apart by the shape of their marks as well as by colour, with what is not
//! over yet dashed.

use maud::{Markup, html};

use super::{axis, fi, n, pct, step, table};
use crate::dashboard::words::{Lang, NONE};

/// One line.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Other people's text, cut.
    pub name: String,
    /// What the legend says after the name.
    pub note: String,
    /// `None`: nothing that can be said.
    pub points: Vec<Option<f64>>,
    /// From this point on it still moves.
    pub moving_from: usize,
}

/// The lines with their words.
#[derive(Clone, Copy)]
pub struct Curves<'c> {
    /// The first four are drawn; all are in the table.
    pub curves: &'c [Curve],
    /// Under the axis, and in full.
    pub places: &'c [(String, String)],
    /// What the places are called in the table.
    pub head: &'c str,
    pub description: &'c str,
    /// A line across, with what is written at it.
    pub limit: Option<(f64, &'c str)>,
    /// How a value is written, at the axis and elsewhere.
    pub amount: &'c dyn Fn(f64) -> String,
}

const HEIGHT: f64 = 236.0;
const TOP: f64 = 24.0;
const BASE: f64 = 210.0;
const MOST: usize = 4;
const COLOURS: [&str; MOST] = ["ok", "err", "dup", "ink"];

pub fn curves(lang: Lang, chart: Curves<'_>) -> Markup {
    let shown = &chart.curves[..chart.curves.len().min(MOST)];
    let values = shown
        .iter()
        .flat_map(|curve| curve.points.iter().flatten().copied());
    let limit = chart.limit.map_or(0.0, |(limit, _)| limit);
    let top = values.fold(limit, f64::max).max(1e-6) * 1.06;
    let y = |value: f64| BASE - value.max(0.0) / top * (BASE - TOP);
    let step = step(top);
    let ticks: Vec<f64> = (0..6)
        .map(|at| fi(at) * step)
        .filter(|value| *value <= top)
        .collect();
    let labels: Vec<(f64, String)> = ticks
        .iter()
        .map(|value| (y(*value), (chart.amount)(*value)))
        .collect();
    let wide = 100.0 / fi(chart.places.len().max(1));
    let x = |at: usize| fi(at) * wide + wide / 2.0;
    let last = chart.places.len().saturating_sub(1);
    let every = chart.places.len().div_ceil(6).max(1);
    let said = |value: Option<f64>| value.map_or_else(|| NONE.to_owned(), |value| (chart.amount)(value));
    html! {
        ul.legend {
            @for (at, curve) in shown.iter().enumerate() {
                li { svg width="14" height="12" aria-hidden="true" { (shape(at, "7", 6.0, true)) }
                    (curve.name) @if !curve.note.is_empty() { " " b { (curve.note) } } }
            }
        }
        div.plot {
            (axis(HEIGHT, &labels))
            svg.chart height=(n(HEIGHT)) role="group" aria-label=(chart.description) {
                @for value in ticks.iter().skip(1) {
                    line.grid-line x1="0" x2="100%" y1=(n(y(*value))) y2=(n(y(*value))) {}
                }
                @if let Some((limit, words)) = chart.limit {
                    line.even x1="0" x2="100%" y1=(n(y(limit))) y2=(n(y(limit))) {}
                    text x="100%" y=(n(y(limit) - 6.0)) text-anchor="end" { (words) }
                }
                @for (at, curve) in shown.iter().enumerate() {
                    (strokes(curve, COLOURS[at], &x, &y))
                    @for (place, value) in curve.points.iter().enumerate() {
                        @if let (Some(value), true) = (value, is_marked(curve, place)) {
                            (shape(at, &pct(x(place)), y(*value), place < curve.moving_from))
                        }
                    }
                }
                @for (at, (_, name)) in chart.places.iter().enumerate() {
                    @let said = shown.iter().filter_map(|curve| Some(format!("{}: {}", curve.name,
                        (chart.amount)((*curve.points.get(at)?)?)))).collect::<Vec<_>>();
                    rect.col role="img" tabindex=(if at == last { "0" } else { "-1" })
                        aria-label={ (name) @for one in &said { "; " (one) } }
                        x=(pct(fi(at) * wide)) width=(pct(wide)) y="12" height="198" {}
                }
                @for (at, (label, _)) in chart.places.iter().enumerate().filter(|(at, _)| (last - at).is_multiple_of(every)) {
                    text.t2[(last - at) / every % 2 == 1] x=(pct(x(at))) y=(n(BASE + 19.0)) text-anchor="middle" { (label) }
                }
                line.base x1="0" x2="100%" y1=(n(BASE)) y2=(n(BASE)) {}
            }
        }
        @let mut heads = vec![chart.head];
        @let names: Vec<&str> = chart.curves.iter().map(|curve| curve.name.as_str()).collect();
        @let () = heads.extend(names);
        @let rows: Vec<Vec<String>> = chart.places.iter().enumerate().map(|(at, (_, name))| {
            let values = chart.curves.iter().map(|curve| said(curve.points.get(at).copied().flatten()));
            std::iter::once(name.clone()).chain(values).collect()
        }).collect();
        (table(lang, &heads, &rows))
    }
}

/// Enough marks to know a line by: each third one, where it is alone, its end, and what still moves.
fn is_marked(curve: &Curve, place: usize) -> bool {
    let known = |at: Option<usize>| {
        at.and_then(|at| curve.points.get(at).copied().flatten())
            .is_some()
    };
    let (before, after) = (known(place.checked_sub(1)), known(place.checked_add(1)));
    place.is_multiple_of(3) || !before || !after || place >= curve.moving_from
}

/// The lines between neighbours that are both known.
fn strokes(curve: &Curve, colour: &str, x: &dyn Fn(usize) -> f64, y: &dyn Fn(f64) -> f64) -> Markup {
    let at = |place: usize, value: f64| format!("{},{}", n(x(place)), n(y(value)));
    let mut runs: Vec<(bool, Vec<String>)> = Vec::new();
    for place in 1..curve.points.len() {
        let (Some(before), Some(value)) = (curve.points[place - 1], curve.points[place]) else {
            continue;
        };
        let (dashed, from) = (place >= curve.moving_from, at(place - 1, before));
        match runs
            .last_mut()
            .filter(|(same, points)| *same == dashed && points.last() == Some(&from))
        {
            Some((_, points)) => points.push(at(place, value)),
            None => runs.push((dashed, vec![from, at(place, value)])),
        }
    }
    html! {
        svg x="0" y="0" width="100%" height=(n(HEIGHT)) viewBox={ "0 0 100 " (n(HEIGHT)) } preserveAspectRatio="none"
            aria-hidden="true" {
            @for (dashed, points) in &runs {
                polyline class={ "line s-" (colour) @if *dashed { " dash" } } points=(points.join(" ")) {}
            }
        }
    }
}

/// Circle, square, triangle, diamond: a line is known in grey too. Hollow: it still moves.
fn shape(line: usize, x: &str, y: f64, filled: bool) -> Markup {
    let colour = COLOURS[line % MOST];
    let class = match filled {
        true => format!("s-{colour} f-{colour}"),
        false => format!("s-{colour} f-card"),
    };
    let path = match line % MOST {
        1 => "M-3.5-3.5h7v7h-7z",
        2 => "M0-4.5l4.5 8h-9z",
        _ => "M0-5l5 5-5 5-5-5z",
    };
    html! {
        @if line.is_multiple_of(MOST) { circle class=(class) cx=(x) cy=(n(y)) r="3.5" stroke-width="1.5" {} }
        @else { svg x=(x) y=(n(y)) overflow="visible" width="1" height="1" { path class=(class) d=(path) stroke-width="1.5" {} } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(points: Vec<Option<f64>>, moving_from: usize) -> String {
        let places: Vec<(String, String)> = (0..points.len())
            .map(|at| (at.to_string(), format!("semana {at}")))
            .collect();
        let curves_ = [Curve {
            name: "<script>".into(),
            note: "R$ 5".into(),
            points,
            moving_from,
        }];
        let chart = Curves {
            curves: &curves_,
            places: &places,
            head: "Semana",
            description: "d",
            limit: None,
            amount: &|value| format!("{value:.0}"),
        };
        curves(Lang::Pt, chart).into_string()
    }

    #[test]
    fn a_week_without_a_number_is_a_gap_and_the_last_one_is_dashed() {
        let text = drawn(vec![Some(1.0), Some(2.0), None, Some(4.0), Some(5.0)], 4);
        assert_eq!(text.matches("<polyline").count(), 2, "{text}");
        assert_eq!(text.matches("line s-ok dash").count(), 1, "{text}");
        // The table has a dash where there is nothing, and the mark says nothing of it.
        assert!(
            text.contains("aria-label=\"semana 2\"") && text.contains(">–<"),
            "{text}"
        );
        assert!(!text.contains("<script>") && text.contains("&lt;script&gt;"));
    }

    #[test]
    fn nothing_at_all_is_an_empty_chart() {
        let text = drawn(Vec::new(), 0);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}
