//! Volume by day: accepted events with refused duplicates on top, today hatched, incidents written in.

use maud::{Markup, html};

use super::{axis, f, fi, n, pct, step, swatch, table};
use crate::dashboard::words::Lang;

/// One day, or one hour of today.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Under the axis.
    pub label: String,
    /// In full.
    pub name: String,
    pub accepted: i64,
    pub duplicates: i64,
    /// Events that stopped on that day.
    pub dead: i64,
    /// Not over, or not counted yet.
    pub provisional: bool,
    /// What happened on that day, in few words.
    pub incident: Option<String>,
}

const HEIGHT: f64 = 292.0;
const TOP: f64 = 44.0;
const BASE: f64 = 266.0;

/// `until`: the time until which today is counted.
pub fn bars(lang: Lang, days: &[Bar], until: &str) -> Markup {
    let top = days
        .iter()
        .map(|bar| bar.accepted + bar.duplicates)
        .max()
        .unwrap_or(0)
        .max(4);
    let step = step(f(top)).max(1.0);
    let y = |value: f64| BASE - value / f(top) * (BASE - TOP);
    let ticks: Vec<f64> = (0..5)
        .map(|at| fi(at) * step)
        .filter(|value| *value <= f(top))
        .collect();
    let labels: Vec<(f64, String)> = ticks
        .iter()
        .map(|value| (y(*value), short(lang, *value)))
        .collect();
    let wide = 100.0 / fi(days.len().max(1));
    let every = days.len().div_ceil(5).max(1);
    let last = days.len().saturating_sub(1);
    let names = (
        lang.t("Aceitos", "Accepted"),
        lang.t("Duplicados barrados", "Duplicates kept back"),
        lang.t("Parados", "Stopped"),
    );
    let name = |bar: &Bar| match bar.provisional {
        true => format!(
            "{} ({} {until})",
            bar.name,
            lang.t("incompleto, até", "incomplete, until")
        ),
        false => bar.name.clone(),
    };
    html! {
        ul.legend {
            li { (swatch("f-ok")) (names.0) }
            li { (swatch("#p-today")) (lang.t("Incompleto", "Incomplete")) }
            li { (swatch("#p-dup")) (names.1) }
            @if days.iter().any(|bar| bar.dead > 0) {
                li { svg width="12" height="10" aria-hidden="true" { path d="M0 1h12l-6 8z" class="f-err" {} }
                    (lang.t("Eventos pararam", "Events stopped")) }
            }
        }
        div.plot {
            (axis(HEIGHT, &labels))
            svg.chart height=(n(HEIGHT)) role="group"
                aria-label=(lang.t("Volume. Use as setas para andar pelas barras.",
                    "Volume. Use the arrow keys to walk through the bars.")) {
                @for value in ticks.iter().skip(1) {
                    line.grid-line x1="0" x2="100%" y1=(n(y(*value))) y2=(n(y(*value))) {}
                }
                @for (at, bar) in days.iter().enumerate() {
                    @let (x, accepted) = (fi(at) * wide, y(f(bar.accepted)));
                    @let tip = [
                        name(bar), format!("{}: {}", names.0, lang.count(bar.accepted)),
                        format!("{}: {}", names.1, lang.count(bar.duplicates)),
                        format!("{}: {}", names.2, lang.count(bar.dead)),
                    ];
                    g.col role="img" tabindex=(if at == last { "0" } else { "-1" }) aria-label=(tip.join("; ")) {
                        rect.hit x=(pct(x)) width=(pct(wide)) y=(n(TOP - 18.0)) height=(n(BASE - TOP + 18.0)) {}
                        @let (inner, width) = (pct(x + wide * 0.16), pct(wide * 0.68));
                        @if bar.accepted > 0 {
                            @let tall = n((BASE - accepted).max(2.0));
                            @let from = n(accepted.min(BASE - 2.0));
                            @if bar.provisional {
                                rect x=(inner) width=(width) y=(from) height=(tall) rx="2" fill="url(#p-today)" {}
                            } @else { rect.f-ok x=(inner) width=(width) y=(from) height=(tall) rx="2" {} }
                        }
                        @if bar.duplicates > 0 {
                            @let tall = (f(bar.duplicates) / f(top) * (BASE - TOP)).max(2.0);
                            rect x=(inner) width=(width) y=(n(accepted - tall - 1.0)) height=(n(tall)) fill="url(#p-dup)" {}
                        }
                        @if bar.dead > 0 {
                            @let above = y(f(bar.accepted + bar.duplicates)) - 14.0;
                            svg x=(pct(x + wide / 2.0)) y=(n(above)) width="12" height="9" overflow="visible" {
                                path d="M-6 0h12l-6 8z" class="f-err" {}
                            }
                        }
                    }
                }
                @for (at, bar) in days.iter().enumerate() {
                    @let middle = pct(fi(at) * wide + wide / 2.0);
                    @if at == last && bar.provisional {
                        text x="100%" y="286" text-anchor="end" { (bar.label) }
                    } @else if (last - at).is_multiple_of(every) && at > 0 || (at == last && !bar.provisional) {
                        text.t2[(last - at) / every % 2 == 1] x=(middle) y="286" text-anchor="middle" { (bar.label) }
                    }
                    @if let Some(incident) = &bar.incident {
                        @let anchor = if at * 5 < days.len() * 2 { "start" } else if at * 5 > days.len() * 3 { "end" } else { "middle" };
                        @let end = y(f(bar.accepted + bar.duplicates)) - 6.0;
                        line.s-err x1=(middle) x2=(middle) y1="18" y2=(n(end.max(19.0))) stroke-width="1.5" stroke-dasharray="2 3" {}
                        text.t-err x=(middle) y="13" text-anchor=(anchor) { (incident) }
                    }
                }
                line.base x1="0" x2="100%" y1=(n(BASE)) y2=(n(BASE)) {}
            }
        }
        @let rows: Vec<Vec<String>> = days.iter().rev().map(|bar| vec![
            name(bar), lang.count(bar.accepted), lang.count(bar.duplicates), lang.count(bar.dead),
        ]).collect();
        (table(lang, &[lang.t("Quando", "When"), names.0, lang.t("Duplicados", "Duplicates"), names.2], &rows))
    }
}

/// `15 mil`, `1,5 mi`.
fn short(lang: Lang, value: f64) -> String {
    let (scaled, unit) = match value {
        1_000_000.0.. => (value / 1e6, lang.t("\u{a0}mi", "M")),
        1_000.0.. => (value / 1e3, lang.t("\u{a0}mil", "k")),
        _ => (value, ""),
    };
    let places = usize::from((scaled - scaled.round()).abs() > 0.01);
    format!("{}{unit}", lang.decimal(scaled, places))
}
