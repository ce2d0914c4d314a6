//! Amounts of days, weeks or months as columns, with what was spent as a stroke, and what is expected as an
//! outline.

use maud::{Markup, html};

use super::{axis, fi, n, pct, step, table};
use crate::dashboard::words::Lang;

/// One column.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// Under the axis.
    pub label: String,
    /// All that is known of it, the first line its name.
    pub tip: Vec<String>,
    /// `None`: all of it is expected, nothing is there.
    pub value: Option<f64>,
    /// A stroke at this height.
    pub mark: Option<f64>,
    /// What it is expected to be in the end, drawn as an outline above the value, or as a point if there is
    /// no value.
    pub expected: Option<f64>,
    /// Between which it is expected.
    pub interval: Option<(f64, f64)>,
    /// It still moves.
    pub provisional: bool,
    /// Its row in the table.
    pub cells: Vec<String>,
}

/// Columns with their words.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'c> {
    pub columns: &'c [Column],
    /// What is drawn, for those who do not see it.
    pub description: &'c str,
    /// Of the table; the first is of the names.
    pub heads: &'c [&'c str],
}

const HEIGHT: f64 = 236.0;
const TOP: f64 = 30.0;
const BASE: f64 = 210.0;

/// `amount`: how a height is written at the axis.
pub fn columns(lang: Lang, chart: Columns<'_>, amount: &dyn Fn(f64) -> String) -> Markup {
    let columns = chart.columns;
    let all = || {
        columns.iter().flat_map(|column| {
            let interval = column.interval.map(|(_, upper)| upper);
            [column.value, column.mark, column.expected, interval]
                .into_iter()
                .flatten()
        })
    };
    let top = all().fold(0.0, f64::max).max(1e-6);
    // Refunds can make a day less than nothing.
    let bottom = all().fold(0.0, f64::min);
    let step = step(top - bottom);
    let y = |value: f64| BASE - (value - bottom) / (top - bottom) * (BASE - TOP);
    let ticks: Vec<f64> = (-4..6)
        .map(|at| f64::from(at) * step)
        .filter(|value| (bottom..=top).contains(value))
        .collect();
    let labels: Vec<(f64, String)> = ticks.iter().map(|value| (y(*value), amount(*value))).collect();
    let wide = 100.0 / fi(columns.len().max(1));
    let last = columns.len().saturating_sub(1);
    let every = columns.len().div_ceil(7).max(1);
    html! {
        div.plot {
            (axis(HEIGHT, &labels))
            svg.chart height=(n(HEIGHT)) role="group" aria-label=(chart.description) {
                @for value in ticks.iter().filter(|value| **value != 0.0) {
                    line.grid-line x1="0" x2="100%" y1=(n(y(*value))) y2=(n(y(*value))) {}
                }
                (bars(columns, wide, &y))
                @for (at, column) in columns.iter().enumerate() { (mark(column, fi(at) * wide, wide, &y)) }
                @for (at, column) in columns.iter().enumerate() {
                    rect.col role="img" tabindex=(if at == last { "0" } else { "-1" }) aria-label=(column.tip.join("; "))
                        x=(pct(fi(at) * wide)) width=(pct(wide)) y=(n(TOP - 18.0)) height=(n(BASE - TOP + 18.0)) {}
                }
                @for (at, column) in columns.iter().enumerate().filter(|(at, _)| (last - at).is_multiple_of(every)) {
                    text.t2[(last - at) / every % 2 == 1] x=(pct(fi(at) * wide + wide / 2.0)) y=(n(BASE + 19.0))
                        text-anchor=(if at == last && columns.len() > 12 { "end" } else { "middle" }) { (column.label) }
                }
                line.base x1="0" x2="100%" y1=(n(y(0.0))) y2=(n(y(0.0))) {}
            }
        }
        @let rows: Vec<Vec<String>> = columns.iter().rev().map(|column| column.cells.clone()).collect();
        (table(lang, chart.heads, &rows))
    }
}

/// What is there for good, and what was spent, as two shapes that are stretched to the chart's width: a
/// column of its own for each would be most of a page.
fn bars(columns: &[Column], wide: f64, y: &dyn Fn(f64) -> f64) -> Markup {
    let mut there = String::new();
    let mut spent = String::new();
    for (at, column) in columns.iter().enumerate() {
        let x = fi(at) * wide;
        if let Some(value) = column.value.filter(|value| *value != 0.0 && !column.provisional) {
            let (from, tall) = between(y, value, 0.0);
            let width = n(wide * 0.64);
            there += &format!(
                "M{} {}h{width}v{}h-{width}z",
                n(x + wide * 0.18),
                n(from),
                n(tall)
            );
        }
        if let Some(value) = column.mark.filter(|value| *value > 0.0) {
            spent += &format!("M{} {}h{}", n(x + wide * 0.06), n(y(value)), n(wide * 0.88));
        }
    }
    html! {
        svg x="0" y="0" width="100%" height=(n(HEIGHT)) viewBox={ "0 0 100 " (n(HEIGHT)) } preserveAspectRatio="none"
            aria-hidden="true" {
            path.f-ok d=(there) {}
            path.s-ink.spent d=(spent) vector-effect="non-scaling-stroke" {}
        }
    }
}

/// The upper end and the height of a column.
fn between(y: &dyn Fn(f64) -> f64, one: f64, other: f64) -> (f64, f64) {
    (y(one.max(other)), (y(one) - y(other)).abs().max(1.5))
}

/// What still moves or is only expected.
fn mark(column: &Column, x: f64, wide: f64, y: &dyn Fn(f64) -> f64) -> Markup {
    let (inner, width) = (pct(x + wide * 0.18), pct(wide * 0.64));
    let middle = pct(x + wide / 2.0);
    html! {
        @if let (Some(value), Some(expected)) = (column.value, column.expected) {
            @let (from, tall) = between(y, value, expected);
            rect.f-none.s-ok.dash x=(inner) width=(width) y=(n(from)) height=(n(tall)) stroke-width="1.5" {}
        }
        @if let Some(value) = column.value.filter(|value| *value != 0.0 && column.provisional) {
            @let (from, tall) = between(y, value, 0.0);
            rect x=(inner) width=(width) y=(n(from)) height=(n(tall)) fill="url(#p-today)" {}
        }
        @if let Some((lower, upper)) = column.interval {
            line.s-ok.range x1=(middle) x2=(middle) y1=(n(y(upper))) y2=(n(y(lower))) {}
        }
        @if let (None, Some(expected)) = (column.value, column.expected) {
            circle.f-card.s-ok cx=(middle) cy=(n(y(expected))) r="6" stroke-width="2.5" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(value: Option<f64>, expected: Option<f64>) -> Column {
        Column {
            label: "<b>".into(),
            tip: vec!["dia".into(), "líquida: 1".into()],
            value,
            expected,
            cells: vec!["dia".into(), "1".into()],
            ..Default::default()
        }
    }

    fn drawn(columns_: &[Column]) -> String {
        let chart = Columns {
            columns: columns_,
            description: "d",
            heads: &["Quando", "Líquida"],
        };
        columns(Lang::Pt, chart, &|value| format!("{value:.0}")).into_string()
    }

    #[test]
    fn a_day_of_refunds_hangs_below_the_line_and_nothing_is_drawn_outside() {
        let text = drawn(&[column(Some(300.0), None), column(Some(-100.0), None)]);
        // 400 high in 180 px: 300 is 135 px, from the top at 30; the line of zero at 165.
        assert!(text.contains("M9 30h32v135h-32zM59 165h32v45h-32z"), "{text}");
        assert!(text.contains("&lt;b&gt;") && !text.contains("style="));
    }

    #[test]
    fn what_is_only_expected_is_a_point_and_what_is_there_too_an_outline_above_it() {
        let text = drawn(&[column(Some(50.0), Some(100.0)), column(None, Some(100.0))]);
        assert_eq!(text.matches("<circle").count(), 1);
        assert!(text.contains("class=\"f-none s-ok dash\""), "{text}");
        assert!(!drawn(&[]).contains("NaN"));
    }
}
