//! A score between 0 and 10: Meta's filled, our estimate hollow, the goal dashed.

use maud::{Markup, html};

use super::{n, pct};
use crate::dashboard::words::{Lang, NONE};

/// What is known of one event name's score.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dots {
    /// Meta's.
    pub score: Option<f64>,
    /// Ours.
    pub estimate: Option<f64>,
    /// Meta's is older than a day and a half.
    pub stale: bool,
}

/// The least that Meta advises.
pub const GOAL: f64 = 6.0;

pub fn dots(lang: Lang, dots: Dots) -> Markup {
    let write = |score: Option<f64>| score.map_or_else(|| NONE.to_owned(), |score| lang.decimal(score, 1));
    let name = format!(
        "Meta: {}; {}: {}; {}: {}",
        write(dots.score),
        lang.t("nossa estimativa", "our estimate"),
        write(dots.estimate),
        lang.t("alvo", "goal"),
        lang.decimal(GOAL, 1)
    );
    let class = match dots.score {
        Some(_) if dots.stale => "f-dup",
        Some(score) if score < GOAL => "f-warn",
        _ => "f-ok",
    };
    html! {
        svg.chart height="22" role="img" aria-label=(name) {
            rect x="0" width="100%" y="9" height="4" rx="2" class="f-grid" {}
            @if let Some(score) = dots.score {
                rect x="0" width=(pct(score * 10.0)) y="9" height="4" rx="2" class=(class) {}
            }
            line x1=(pct(GOAL * 10.0)) x2=(pct(GOAL * 10.0)) y1="1" y2="21" class="s-ink" stroke-width="1.4" stroke-dasharray="2 2" {}
            @if let Some(score) = dots.score {
                circle cx=(pct(score * 10.0)) cy="11" r=(n(6.0)) class=(class) {}
            }
            @if let Some(estimate) = dots.estimate {
                circle cx=(pct(estimate * 10.0)) cy="11" r="5.5" class="f-card s-ink" stroke-width="1.8" {}
            }
        }
    }
}
