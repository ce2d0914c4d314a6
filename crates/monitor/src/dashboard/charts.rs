//! Charts as SVG that our own functions write: horizontal places in percent, vertical ones in pixels, no
//! `viewBox`, so that a chart is fluid at any width while its text keeps its size. Every chart has a table
//! behind it, every mark a name, and a shape or pattern beside its colour. Nothing here needs JavaScript.

mod bars;
mod columns;
mod curves;
mod donut;
mod dots;
mod histogram;
mod line;

use maud::{Markup, html};

pub use bars::{Bar, bars};
pub use columns::{Column, Columns, columns};
pub use curves::{Curve, Curves, curves};
pub use donut::{Cause, donut};
pub use dots::{Dots, GOAL, dots};
pub use histogram::{Histogram, histogram, percentile};
pub use line::{Line, LinePoint, line, spark};

use crate::dashboard::words::Lang;

/// Two digits after the point are less than a tenth of a pixel.
pub(crate) fn n(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A place or width in percent of the chart.
pub(crate) fn pct(value: f64) -> String {
    format!("{}%", n(value))
}

/// As a coordinate. Counts beyond 2^53 are not drawn to the pixel.
#[expect(clippy::cast_precision_loss, reason = "a chart has a few hundred pixels")]
pub(crate) fn f(count: i64) -> f64 {
    count as f64
}

/// Of an index.
pub(crate) fn fi(index: usize) -> f64 {
    f(i64::try_from(index).unwrap_or(i64::MAX))
}

/// A round step of an axis that reaches `top` in three or four of them.
pub(crate) fn step(top: f64) -> f64 {
    if top <= 0.0 {
        return 1.0;
    }
    let rough = top / 3.2;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= rough);
    factor.unwrap_or(10.0) * power
}

/// The hatches, once a page.
pub fn patterns() -> Markup {
    html! {
        svg.defs width="0" height="0" aria-hidden="true" focusable="false" { defs {
            pattern id="p-err" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                rect width="6" height="6" class="f-err" {} rect width="2" height="6" class="f-card" opacity=".45" {}
            }
            pattern id="p-today" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                rect width="7" height="7" class="f-ok-soft" {} rect width="3" height="7" class="f-ok" {}
            }
            pattern id="p-dup" width="4" height="4" patternUnits="userSpaceOnUse" {
                rect width="4" height="4" class="f-dup-soft" {} rect width="4" height="2" class="f-dup" {}
            }
            pattern id="p-warn" width="6" height="6" patternUnits="userSpaceOnUse" {
                rect width="6" height="6" class="f-warn" {} rect width="6" height="2" class="f-card" opacity=".4" {}
            }
        } }
    }
}

/// A square of a legend.
pub fn swatch(fill: &str) -> Markup {
    html! { svg width="11" height="11" aria-hidden="true" {
        @match fill.strip_prefix('#') {
            Some(pattern) => rect width="11" height="11" rx="2" fill={ "url(#" (pattern) ")" } {},
            None => rect width="11" height="11" rx="2" class=(fill) {},
        }
    } }
}

/// What is drawn, in numbers. Rows whose first cell is the heading; every other column is right-aligned.
pub fn table(lang: Lang, heads: &[&str], rows: &[Vec<String>]) -> Markup {
    html! {
        details.data {
            summary { (lang.t("Ver como tabela", "View as a table")) }
            div.scroll tabindex="0" role="region" aria-label=(lang.t("Dados do gráfico", "Data of the chart")) { table {
                thead { tr {
                    @for (at, head) in heads.iter().enumerate() {
                        th scope="col" class=[(at > 0).then_some("r")] { (head) }
                    }
                } }
                tbody { @for row in rows { tr {
                    @for (at, cell) in row.iter().enumerate() {
                        @if at == 0 { th scope="row" { (cell) } } @else { td.r { (cell) } }
                    }
                } } }
            } }
        }
    }
}

/// A bar of a list, as a share of the longest.
pub fn meter(share: f64, fill: &str) -> Markup {
    html! { svg.chart.meter height="16" aria-hidden="true" {
        rect x="0" y="3" width="100%" height="10" rx="3" class="f-grid" {}
        @match fill.strip_prefix('#') {
            Some(pattern) => rect x="0" y="3" width=(pct(share * 100.0)) height="10" rx="3" fill={ "url(#" (pattern) ")" } {},
            None => rect x="0" y="3" width=(pct(share * 100.0)) height="10" rx="3" class=(fill) {},
        }
    } }
}

/// Axis labels in a column of their own: each a text and its height in pixels.
pub(crate) fn axis(height: f64, labels: &[(f64, String)]) -> Markup {
    html! { svg.chart height=(n(height)) aria-hidden="true" {
        @for (y, label) in labels { text x="100%" dx="-8" y=(n(y + 4.0)) text-anchor="end" { (label) } }
    } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_steps_that_reach_its_top() {
        for top in [1.0, 7.7, 12.0, 99.0, 16_730.0, 3_000_000.0] {
            let step = step(top);
            assert!((1.6..=4.0).contains(&(top / step)), "{top}: {step}");
        }
        assert!((step(16_730.0) - 10_000.0).abs() < 1e-9);
        assert!((step(0.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!(n(12.0), "12");
        assert_eq!(n(12.345_678), "12.35");
        assert_eq!(pct(3.333_333), "3.33%");
    }
}
