//! Success and error as a ring, never without the causes of its small slice.

use std::f64::consts::PI;

use maud::{Markup, html};

use super::{f, meter, n, swatch};
use crate::dashboard::words::Lang;

/// Errors of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    pub words: String,
    pub code: Option<String>,
    pub events: i64,
}

const RADIUS: f64 = 55.0;

/// Below twenty attempts a share says nothing: then the numbers stand alone.
pub fn donut(lang: Lang, succeeded: i64, failed: i64, causes: &[Cause]) -> Markup {
    let total = succeeded + failed;
    let most = causes.iter().map(|cause| cause.events).max().unwrap_or(1).max(1);
    let around = 2.0 * PI * RADIUS;
    let share = if total == 0 { 0.0 } else { f(failed) / f(total) };
    // Small enough to be overlooked is not small enough to be left out.
    let wrong = if failed > 0 {
        (share * around).max(5.0)
    } else {
        0.0
    };
    let gap = if failed > 0 && succeeded > 0 { 2.5 } else { 0.0 };
    let enough = total >= 20;
    html! {
        div.donut {
            @if enough {
                svg width="138" height="138" viewBox="0 0 128 128" role="img"
                    aria-label={ (lang.share(succeeded, total, 2)) " " (lang.t("deram certo", "succeeded")) } {
                    @if succeeded > 0 {
                        circle cx="64" cy="64" r="55" fill="none" stroke-width="14" class="s-ok"
                            stroke-dasharray={ (n((around - wrong - 2.0 * gap).max(0.0))) " " (n(around)) }
                            stroke-dashoffset=(n(-gap)) transform="rotate(-90 64 64)" {}
                    }
                    @if failed > 0 {
                        circle cx="64" cy="64" r="55" fill="none" stroke-width="14" class="s-err"
                            stroke-dasharray={ (n(wrong)) " " (n(around)) }
                            stroke-dashoffset=(n(-(around - wrong))) transform="rotate(-90 64 64)" {}
                    }
                    text.strong.ring x="64" y="66" text-anchor="middle" { (lang.share(succeeded, total, 2)) }
                    text.ring-note x="64" y="82" text-anchor="middle" { (lang.t("deram certo", "succeeded")) }
                }
            }
            dl {
                dt { (swatch("f-ok")) " " (lang.t("Sucesso", "Success")) } dd { (lang.count(succeeded)) }
                dt { (swatch("#p-err")) " " (lang.t("Erro", "Error")) } dd { (lang.count(failed)) }
            }
        }
        @if !enough {
            p.note { (lang.t("Menos de 20 tentativas: uma porcentagem não diria nada.", "Fewer than 20 attempts: a share would say nothing.")) }
        }
        @if !causes.is_empty() {
            ul.causes aria-label=(lang.t("Erros por motivo", "Errors by cause")) {
                @for cause in causes {
                    li {
                        span { (cause.words) @if let Some(code) = &cause.code { " " code { (code) } } }
                        (meter(f(cause.events) / f(most), "#p-err"))
                        b { (lang.count(cause.events)) }
                    }
                }
            }
        }
    }
}
