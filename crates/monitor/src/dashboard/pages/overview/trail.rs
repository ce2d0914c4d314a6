//! The trail of today: where every event of the day is, and whether the account closes.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use rastro_store::dashboard::Trail;

use super::data::OverviewData;
use crate::dashboard::layout::{self, Frame, icon, missing};

pub(super) fn card(frame: &Frame, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let note = format!(
        "{}, 00:00 {} {}",
        lang.weekday_and_day(frame.zone.day_of(frame.now)),
        lang.t("até", "until"),
        frame.zone.time(frame.now)
    );
    layout::card(
        "trail-card",
        "trail",
        lang.t("O rastro de hoje", "The trail of today"),
        &note,
        &match &data.trail {
            Some(trail) => draw(frame, trail),
            None => missing(lang),
        },
    )
}

fn draw(frame: &Frame, trail: &Trail) -> Markup {
    let lang = frame.lang;
    let received = trail.accepted + trail.duplicates;
    let until = |at: Option<DateTime<Utc>>| at.map(|at| lang.duration((at - trail.now).num_milliseconds()));
    let oldest = trail
        .oldest_ready_at
        .map(|at| lang.ago((trail.now - at).num_milliseconds()));
    let stages = [
        (
            "",
            "tray",
            received,
            lang.t("Recebidos", "Received"),
            match frame.dataset {
                Some(id) => frame.dataset_name(id),
                None => lang.plural(trail.datasets, ("conjunto", "dataset"), ("conjuntos", "datasets")),
            },
        ),
        (
            "",
            "shield",
            trail.duplicates,
            lang.t("Duplicados barrados", "Duplicates kept back"),
            format!(
                "{} {}",
                lang.share(trail.duplicates, received, 1),
                lang.t("dos recebidos", "of received")
            ),
        ),
        (
            "",
            "list",
            trail.ready,
            lang.t("Prontos", "Ready"),
            oldest.map_or_else(
                || lang.t("fila vazia", "queue is empty").to_owned(),
                |ago| format!("{} {ago}", lang.t("o mais antigo", "oldest")),
            ),
        ),
        (
            "",
            "plane",
            trail.in_flight,
            lang.t("A caminho", "On the way"),
            lang.plural(trail.batches, ("lote", "batch"), ("lotes", "batches")),
        ),
        (
            "",
            "again",
            trail.waiting,
            lang.t("Nova tentativa", "To be tried again"),
            until(trail.next_retry_at).map_or_else(
                || lang.t("nenhum espera", "none waits").to_owned(),
                |t| format!("{} {t}", lang.t("próxima em", "next in")),
            ),
        ),
        (
            if trail.dead > 0 { "stop" } else { "" },
            "pause",
            trail.dead,
            lang.t("Parados", "Stopped"),
            until(trail.dead_deadline).map_or_else(
                || lang.t("nenhum", "none").to_owned(),
                |t| format!("{} {t}", lang.t("vencem em", "expire in")),
            ),
        ),
        (
            "end",
            "check",
            trail.delivered,
            lang.t("Entregues", "Delivered"),
            lang.t(
                "Meta confirmou, com fbtrace_id",
                "Meta confirmed, with fbtrace_id",
            )
            .to_owned(),
        ),
    ];
    let there = trail.ready + trail.in_flight + trail.waiting + trail.dead + trail.withheld + trail.delivered;
    let off = trail.accepted - there;
    let parts: Vec<String> = [trail.ready, trail.in_flight, trail.waiting, trail.dead]
        .iter()
        .map(|n| lang.count(*n))
        .collect();
    html! {
        ol.trail {
            @for (class, picture, count, name, note) in &stages {
                li class=(class) {
                    div.node { (icon(picture, 17)) }
                    strong { (lang.count(*count)) } span { (name) } em { (note) }
                }
            }
        }
        div.sum {
            (icon(if off == 0 { "check" } else { "bang" }, 16))
            span {
                @if off == 0 { (lang.t("A conta fecha: ", "The account closes: ")) }
                @else {
                    (lang.t("Em movimento, ou um defeito se ficar: faltam ",
                        "Moving, or a defect if it stays: off by "))
                    b { (lang.count(off)) } ". "
                }
                b { (lang.count(received)) " " (lang.t("recebidos", "received")) }
                " − " (lang.count(trail.duplicates)) " " (lang.t("duplicados", "duplicates"))
                " = " (parts.join(" + "))
                @if trail.withheld > 0 {
                    " + " (lang.count(trail.withheld)) " "
                    (lang.t("retidos sem consentimento", "withheld without consent"))
                }
                " + " b { (lang.count(trail.delivered)) " " (lang.t("entregues", "delivered")) }
            }
        }
    }
}
