//! How the first page is drawn.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use maud::{Markup, html};
use rastro_core::circuit_breaker::{Manual, Permission, Reason};
use rastro_store::dashboard::{LatencyRow, QualityRow, Trail};

use super::data::{Numbers, OverviewData, Period};
use super::sentence;
use crate::dashboard::charts::{self, Bar, Cause, Dots, Histogram, Line, LinePoint};
use crate::dashboard::layout::{self, Frame, Tone, card, icon, missing, pill};
use crate::dashboard::pages::{alerts, cause, event_name};
use crate::dashboard::words::{Lang, NONE};

/// The upper limits of the latency buckets in ms: `latency_limits()` of the database, which a test compares.
pub const LATENCY_LIMITS: [i64; 17] = [
    50, 75, 100, 150, 200, 250, 300, 400, 500, 600, 800, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000,
];
const UNANSWERED: i16 = 99;

pub fn render(frame: &Frame, period: Period, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let verdict = sentence::verdict(frame, data);
    let aside = html! {
        div.when {
            (layout::periods(frame, "/", period.tag()))
            small { span.dot {} span #stamp { (lang.t("agora", "now")) ", " (frame.zone.time(frame.now)) } " · "
                (lang.t("horário de", "time of")) " " (frame.zone.name()) }
        }
    };
    html! {
        (layout::verdict(verdict.tone, &html! { (verdict.answer) }, &verdict.more, &aside))
        (trail_card(frame, data))
        (tiles(frame, data))
        div.grid {
            (card("c8", "volume", match period.days {
                1 => lang.t("Eventos por hora", "Events by hour"),
                90 => lang.t("Eventos por semana", "Events by week"),
                _ => lang.t("Eventos por dia", "Events by day"),
            }, &volume_note(lang, period), &volume(frame, period, data)))
            (card("c4", "attempts", lang.t("Tentativas, 24 h", "Attempts, 24 h"), "", &attempts(lang, data)))
            (card("c6", "latency", lang.t("Quanto a Meta demora a responder", "How long Meta takes to answer"), &latency_note(lang, data), &latency(lang, data)))
            (card("c6", "duplicates", lang.t("Duplicados barrados antes da Meta", "Duplicates kept back before Meta"),
                lang.t("% do que foi recebido", "% of what was received"), &duplicates(frame, period, data)))
            (card("c5", "calc", lang.t("Quanto custa um cliente?", "What does a customer cost?"),
                lang.t("com os seus números de 30 dias", "with your numbers of 30 days"), &calculator(frame, period, data)))
            (card("c7", "emq", lang.t("Qualidade da correspondência (EMQ)", "Event match quality (EMQ)"), "", &quality(frame, data)))
            (card("c7", "breakers", lang.t("Disjuntores", "Circuit breakers"),
                lang.t("um por conjunto de dados", "one for each dataset"), &breakers(frame, data)))
            (card("c5", "alerts", lang.t("Últimos alertas", "Latest alerts"), "", &last_alerts(frame, data)))
        }
    }
}

fn trail_card(frame: &Frame, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let note = format!(
        "{}, 00:00 {} {}",
        lang.weekday_and_day(frame.zone.day_of(frame.now)),
        lang.t("até", "until"),
        frame.zone.time(frame.now)
    );
    card(
        "trail-card",
        "trail",
        lang.t("O rastro de hoje", "The trail of today"),
        &note,
        &match &data.trail {
            Some(trail) => self::trail(frame, trail),
            None => missing(lang),
        },
    )
}

fn trail(frame: &Frame, trail: &Trail) -> Markup {
    let lang = frame.lang;
    let received = trail.accepted + trail.duplicates;
    let until = |at: Option<chrono::DateTime<chrono::Utc>>| {
        at.map(|at| lang.duration((at - trail.now).num_milliseconds()))
    };
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
                @else { (lang.t("Em movimento, ou um defeito se ficar: faltam ", "Moving, or a defect if it stays: off by ")) b { (lang.count(off)) } ". " }
                b { (lang.count(received)) " " (lang.t("recebidos", "received")) } " − " (lang.count(trail.duplicates)) " " (lang.t("duplicados", "duplicates"))
                " = " (parts.join(" + "))
                @if trail.withheld > 0 { " + " (lang.count(trail.withheld)) " " (lang.t("retidos sem consentimento", "withheld without consent")) }
                " + " b { (lang.count(trail.delivered)) " " (lang.t("entregues", "delivered")) }
            }
        }
    }
}

fn tile(title: &str, number: &Markup, note: &Markup, line: &Markup) -> Markup {
    html! { article.card.tile { h2 { (title) } div.n { (number) } p { (note) } (line) } }
}

/// Events of an outcome by hour since midnight.
fn today_by_hour(data: &OverviewData, outcome: &str) -> Vec<f64> {
    let mut hours: BTreeMap<i64, f64> = BTreeMap::new();
    for row in data
        .hours
        .iter()
        .flatten()
        .filter(|row| row.hour >= data.midnight)
    {
        let hour = (row.hour - data.midnight).num_hours();
        let value = hours.entry(hour).or_default();
        if row.outcome == outcome {
            *value += charts::f(row.events);
        }
    }
    let last = hours.keys().next_back().copied().unwrap_or(-1);
    (0..=last)
        .map(|hour| hours.get(&hour).copied().unwrap_or_default())
        .collect()
}

fn tiles(frame: &Frame, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let gone = html! { (NONE) };
    let compared = data.sent.as_ref().and_then(|sent| {
        let today = sent.iter().find(|row| row.weeks_ago == 0)?.events;
        let before: Vec<f64> = sent
            .iter()
            .filter(|row| row.weeks_ago > 0 && row.events > 0.0)
            .map(|row| row.events)
            .collect();
        let mean = before.iter().sum::<f64>() / charts::fi(before.len());
        (mean >= 100.0).then(|| ((today - mean) / mean * 100.0, before.len()))
    });
    let by_hour = today_by_hour(data, "success");
    let per_day = |outcomes: &[&str]| {
        let mut days: BTreeMap<NaiveDate, i64> = BTreeMap::new();
        for row in data.days.iter().flatten() {
            let value = days.entry(row.day).or_default();
            if outcomes.contains(&row.outcome.as_str()) {
                *value += row.events;
            }
        }
        days
    };
    let (succeeded, tried) = (per_day(&["success"]), per_day(&["success", "error"]));
    let success_line: Vec<f64> = succeeded
        .iter()
        .rev()
        .take(7)
        .rev()
        .filter_map(|(day, ok)| {
            let all = *tried.get(day)?;
            (all > 0).then(|| charts::f(*ok) / charts::f(all) * 100.0)
        })
        .collect();
    let p95 = data.latency.as_ref().map(|rows| p95_of(rows.iter()));
    let p95_line: Vec<f64> = data
        .latency
        .iter()
        .flat_map(|rows| {
            let mut hours: BTreeMap<_, Vec<&LatencyRow>> = BTreeMap::new();
            for row in rows {
                hours.entry(row.hour).or_default().push(row);
            }
            hours
                .into_values()
                .filter_map(|rows| p95_of(rows.into_iter()))
                .collect::<Vec<f64>>()
        })
        .collect();
    let lowest = data.quality.as_ref().and_then(|rows| {
        newest(rows)
            .into_iter()
            .filter_map(|row| Some((row.score?, row)))
            .min_by(|(one, _), (other, _)| one.total_cmp(other))
    });
    html! {
        div.tiles #tiles role="group" aria-label=(lang.t("Indicadores", "Indicators")) {
            (tile(lang.t("Entregues hoje", "Delivered today"),
                &data.trail.as_ref().map_or_else(|| gone.clone(), |trail| html! { (lang.count(trail.delivered)) " "
                    small { (lang.t("até", "until")) " " (frame.zone.time(frame.now)) } }),
                &match compared {
                    Some((percent, weeks)) => html! {
                        span class=(if percent >= 0.0 { "up" } else { "down" }) { (if percent >= 0.0 { "▲ " } else { "▼ " }) (lang.percent(percent.abs().floor(), 0)) }
                        " " (lang.t("contra a média de", "against the mean of")) " " (weeks) " " (lang.t(
                            if weeks == 1 { "semana, mesma hora" } else { "semanas, mesma hora" }, if weeks == 1 { "week, same hour" } else { "weeks, same hour" }))
                    },
                    None => html! { (lang.t("cedo para comparar", "too early to compare")) },
                },
                &charts::spark(&by_hour, None, false, true)))
            (tile(lang.t("Chegam à Meta", "Reach Meta"),
                &match &data.undelivered {
                    Some(row) if row.accepted >= 1_000 => html! { (lang.share(row.accepted - row.dead - row.late, row.accepted, 2)) },
                    Some(row) if row.accepted > 0 => html! { (lang.count((row.accepted - row.dead - row.late).max(0))) " " small { (lang.t("de", "of")) " " (lang.count(row.accepted)) } },
                    _ => gone.clone(),
                },
                &html! { (lang.t("7 dias, depois de tentar de novo · alvo 99,9 %", "7 days, after retries · goal 99.9%")) },
                &charts::spark(&success_line, None, true, true)))
            (tile(lang.t("Resposta da Meta, P95", "Meta's response, P95"),
                &match p95 { Some(Some(ms)) => html! { (lang.milliseconds(ms)) }, _ => gone.clone() },
                &html! { (lang.t("24 h · limite 1.000 ms", "24 h · limit 1,000 ms")) },
                &charts::spark(&p95_line, Some(1_000.0), false, true)))
            (tile(lang.t("Nota EMQ mais baixa", "Lowest EMQ"),
                &match lowest { Some((score, _)) => html! { (lang.decimal(score, 1)) " " small { (lang.t("de 10", "of 10")) } }, None => gone.clone() },
                &match lowest {
                    Some((_, row)) => html! { (event_name(lang, &row.event_name)) ", " (frame.dataset_name(row.dataset_id)) " · " (lang.t("alvo 6,0", "goal 6.0")) },
                    None => html! { (lang.t("a Meta ainda não deu nota", "Meta has given no score yet")) },
                },
                &lowest.map_or_else(|| charts::spark(&[], None, true, false), |(_, low)| {
                    let mut line: Vec<(NaiveDate, f64)> = data.quality.iter().flatten()
                        .filter(|row| row.dataset_id == low.dataset_id && row.event_name == low.event_name)
                        .filter_map(|row| Some((row.day, row.score?))).collect();
                    line.sort_by_key(|(day, _)| *day);
                    let line: Vec<f64> = line.into_iter().map(|(_, score)| score).collect();
                    charts::spark(&line, None, true, false)
                })))
            (tile(lang.t("Duplicados hoje", "Duplicates today"),
                &data.trail.as_ref().map_or_else(|| gone.clone(), |trail| html! { (lang.share(trail.duplicates, trail.accepted + trail.duplicates, 1)) }),
                &html! { (lang.t("barrados antes da Meta · avisa acima de", "kept back before Meta · alerts above")) " " (lang.percent(data.alert_limit, 0)) },
                &charts::spark(&duplicate_line(data), None, false, true)))
        }
    }
}

fn duplicate_line(data: &OverviewData) -> Vec<f64> {
    let (accepted, duplicates) = (today_by_hour(data, "accepted"), today_by_hour(data, "duplicate"));
    accepted
        .iter()
        .zip(&duplicates)
        .map(|(good, double)| {
            if good + double > 0.0 {
                double / (good + double) * 100.0
            } else {
                0.0
            }
        })
        .collect()
}

/// The newest row of each event name.
pub(crate) fn newest(rows: &[QualityRow]) -> Vec<&QualityRow> {
    let mut newest: BTreeMap<(i64, &str), &QualityRow> = BTreeMap::new();
    for row in rows {
        let kept = newest
            .entry((row.dataset_id, row.event_name.as_str()))
            .or_insert(row);
        if row.day > kept.day {
            *kept = row;
        }
    }
    newest.into_values().collect()
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

/// `None`: fewer than twenty requests, or the percentile was never answered.
fn p95_of<'r>(rows: impl Iterator<Item = &'r LatencyRow>) -> Option<f64> {
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

fn volume_note(lang: Lang, period: Period) -> String {
    match period.days {
        1 => lang
            .t("hoje, por hora do recebimento", "today, by hour of receipt")
            .to_owned(),
        days => format!(
            "{days} {}",
            lang.t("dias, pelo dia do recebimento", "days, by day of receipt")
        ),
    }
}

fn volume(frame: &Frame, period: Period, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let until = frame.zone.time(frame.now);
    if period.days == 1 {
        let (accepted, duplicates) = (today_by_hour(data, "accepted"), today_by_hour(data, "duplicate"));
        if data.hours.is_none() {
            return missing(lang);
        }
        let last = accepted.len().saturating_sub(1);
        let bars: Vec<Bar> = accepted
            .iter()
            .zip(&duplicates)
            .enumerate()
            .map(|(hour, (good, double))| Bar {
                label: format!("{hour:02} h"),
                name: format!("{hour:02}:00"),
                accepted: count(*good),
                duplicates: count(*double),
                dead: 0,
                provisional: hour == last,
                incident: None,
            })
            .collect();
        return if bars.is_empty() {
            empty(lang)
        } else {
            charts::bars(lang, &bars, &until)
        };
    }
    let Some(counts) = &data.days else {
        return missing(lang);
    };
    let today = frame.zone.day_of(frame.now);
    let mut days: BTreeMap<NaiveDate, (i64, i64)> = (0..period.days)
        .map(|back| (today - TimeDelta::days(back), (0, 0)))
        .collect();
    for row in counts {
        if let Some(day) = days.get_mut(&row.day) {
            match row.outcome.as_str() {
                "accepted" => day.0 += row.events,
                "duplicate" => day.1 += row.events,
                _ => {}
            }
        }
    }
    // Before the first event there is nothing to draw.
    let first = days
        .iter()
        .find(|(_, (good, double))| good + double > 0)
        .map(|(day, _)| *day);
    let Some(first) = first else { return empty(lang) };
    let first = first.min(today - TimeDelta::days(6));
    let dead: BTreeMap<NaiveDate, i64> = data
        .dead_days
        .iter()
        .flatten()
        .map(|row| (row.day, row.events))
        .collect();
    let incidents = incidents(frame, data);
    let mut bars: Vec<Bar> = days
        .range(first..)
        .map(|(day, (good, double))| Bar {
            label: if *day == today {
                lang.t("hoje", "today").to_owned()
            } else {
                lang.day(*day)
            },
            name: lang.weekday_and_day(*day),
            accepted: *good,
            duplicates: *double,
            dead: dead.get(day).copied().unwrap_or_default(),
            provisional: *day == today,
            incident: incidents.get(day).cloned(),
        })
        .collect();
    if period.days > 45 {
        bars = by_week(lang, bars);
    }
    charts::bars(lang, &bars, &until)
}

/// Ninety bars are too thin to hit on a phone: the last seven days, the seven before, and so on.
fn by_week(lang: Lang, days: Vec<Bar>) -> Vec<Bar> {
    let mut weeks: Vec<Bar> = Vec::new();
    for week in days.rchunks(7).rev() {
        let (Some(first), Some(last)) = (week.first(), week.last()) else {
            continue;
        };
        weeks.push(Bar {
            label: first.label.clone(),
            name: format!("{} {} {}", first.name, lang.t("a", "to"), last.name),
            accepted: week.iter().map(|day| day.accepted).sum(),
            duplicates: week.iter().map(|day| day.duplicates).sum(),
            dead: week.iter().map(|day| day.dead).sum(),
            provisional: last.provisional,
            incident: week.iter().find_map(|day| day.incident.clone()),
        });
    }
    weeks
}

#[expect(clippy::cast_possible_truncation, reason = "it was an integer before")]
fn count(value: f64) -> i64 {
    value.round() as i64
}

/// The longest outage of each of the two worst days, in words.
fn incidents(frame: &Frame, data: &OverviewData) -> BTreeMap<NaiveDate, String> {
    let lang = frame.lang;
    let mut all: Vec<(NaiveDate, i64, bool)> = data
        .openings
        .iter()
        .flatten()
        .filter(|opening| opening.reason.as_deref() == Some("errors"))
        .map(|opening| {
            let end = opening.closed_at.unwrap_or(frame.now);
            (
                frame.zone.day_of(opening.opened_at),
                (end - opening.opened_at).num_milliseconds(),
                opening.closed_at.is_some(),
            )
        })
        .collect();
    all.sort_by_key(|(_, long, _)| std::cmp::Reverse(*long));
    all.into_iter()
        .filter(|(_, long, _)| *long >= 5 * 60_000)
        .take(2)
        .map(|(day, long, over)| {
            let long = lang.duration(long);
            let words = match (lang, over) {
                (Lang::Pt, true) => format!("Meta fora {long} · nada perdido"),
                (Lang::En, true) => format!("Meta down {long} · nothing lost"),
                (Lang::Pt, false) => format!("Meta fora há {long}"),
                (Lang::En, false) => format!("Meta down for {long}"),
            };
            (day, words)
        })
        .collect()
}

fn empty(lang: Lang) -> Markup {
    html! {
        p.empty { (lang.t("Nenhum evento neste período. Um primeiro, de um servidor:", "No events in this period. A first one, from a server:")) }
        pre { code { "curl -X POST https://SEU-GATEWAY/api/meta/conversions \\\n  -H 'Authorization: Bearer sk_…' -H 'Content-Type: application/json' \\\n  -d '{\"data\":[{\"event_name\":\"Lead\",\"event_time\":…,\"action_source\":\"website\",\"user_data\":{\"em\":[\"…\"]}}]}'" } }
    }
}

fn attempts(lang: Lang, data: &OverviewData) -> Markup {
    let (Some(hours), Some(rows)) = (&data.hours, &data.causes) else {
        return missing(lang);
    };
    let Some(last) = hours.iter().map(|row| row.hour).max() else {
        return html! { p.empty { (lang.t("Nenhuma tentativa em 24 h.", "No attempts within 24 h.")) } };
    };
    let of = |outcome: &str| {
        hours
            .iter()
            .filter(|row| row.outcome == outcome && row.hour > last - TimeDelta::hours(24))
            .map(|row| row.events)
            .sum::<i64>()
    };
    let (succeeded, failed) = (of("success"), of("error"));
    let mut causes: BTreeMap<(String, Option<String>), i64> = BTreeMap::new();
    for row in rows {
        let words = cause::of_attempt(
            lang,
            &row.outcome,
            row.http_status,
            row.error_code,
            row.error_subcode,
        );
        let code = row.error_subcode.or(row.error_code).map(|code| code.to_string());
        *causes.entry((words, code)).or_default() += row.events;
    }
    let mut causes: Vec<Cause> = causes
        .into_iter()
        .map(|((words, code), events)| Cause { words, code, events })
        .collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.events));
    if causes.len() > 4 {
        let others = causes.split_off(3).iter().map(|cause| cause.events).sum();
        causes.push(Cause {
            words: lang.t("outros", "others").to_owned(),
            code: None,
            events: others,
        });
    }
    html! {
        (charts::donut(lang, succeeded, failed, &causes))
        p.note { (lang.t("Uma tentativa com erro não é um evento perdido: ela é refeita.", "A failed attempt is not a lost event: it is made again.")) }
    }
}

fn latency_note(lang: Lang, data: &OverviewData) -> String {
    let total: i64 = data.latency.iter().flatten().map(|row| row.requests).sum();
    format!(
        "24 h, {}",
        lang.plural(total, ("requisição", "request"), ("requisições", "requests"))
    )
}

fn latency(lang: Lang, data: &OverviewData) -> Markup {
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
        return html! { p.empty { (lang.t("Nenhuma requisição à Meta em 24 h.", "No requests to Meta within 24 h.")) } };
    }
    charts::histogram(lang, &histogram)
}

fn duplicates(frame: &Frame, period: Period, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let Some(counts) = &data.days else {
        return missing(lang);
    };
    let today = frame.zone.day_of(frame.now);
    let days = period.days.max(7);
    let mut by_day: BTreeMap<NaiveDate, (i64, i64)> = BTreeMap::new();
    for row in counts
        .iter()
        .filter(|row| row.day > today - TimeDelta::days(days))
    {
        let day = by_day.entry(row.day).or_default();
        match row.outcome.as_str() {
            "accepted" => day.0 += row.events,
            "duplicate" => day.1 += row.events,
            _ => {}
        }
    }
    if by_day.is_empty() {
        return html! { p.empty { (lang.t("Nada foi recebido neste período.", "Nothing was received in this period.")) } };
    }
    let points: Vec<LinePoint> = by_day
        .iter()
        .map(|(day, (good, double))| {
            let received = good + double;
            LinePoint {
                label: if *day == today {
                    lang.t("hoje", "today").to_owned()
                } else {
                    lang.day(*day)
                },
                tip: format!(
                    "{}\n{} ({} {} {})",
                    lang.weekday_and_day(*day),
                    lang.share(*double, received, 1),
                    lang.count(*double),
                    lang.t("de", "of"),
                    lang.count(received)
                ),
                value: (received >= 50).then(|| charts::f(*double) / charts::f(received) * 100.0),
            }
        })
        .collect();
    let limit = data.alert_limit;
    // Of ninety days every third is a point.
    let step = if points.len() > 45 { 3 } else { 1 };
    let points: Vec<LinePoint> = points
        .into_iter()
        .rev()
        .step_by(step)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    html! {
        (charts::line(lang, &Line {
            points: &points,
            name: lang.t("Duplicados", "Duplicates"),
            description: lang.t("Taxa de duplicados por dia. Use as setas.", "Rate of duplicates by day. Use the arrow keys."),
            limit: Some((limit, format!("{} {}", lang.t("avisa acima de", "alerts above"), lang.percent(limit, 0)))),
            last_is_provisional: by_day.contains_key(&today),
        }))
    }
}

fn calculator(frame: &Frame, period: Period, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let Some(known) = &data.calculator else {
        return missing(lang);
    };
    let Numbers {
        spend,
        leads,
        rate,
        ticket,
    } = data.numbers;
    let currency = known.currency.clone().unwrap_or_else(|| "BRL".to_owned());
    let leads = leads.or((known.leads > 0).then(|| charts::f(known.leads)));
    let rate = rate.or((known.leads > 0 && known.orders > 0)
        .then(|| (charts::f(known.orders) / charts::f(known.leads) * 100.0).min(100.0)));
    let ticket = ticket.or((known.orders > 0 && known.currencies == 1)
        .then(|| known.revenue.unwrap_or_default() / charts::f(known.orders)));
    let customers = leads.zip(rate).map(|(leads, rate)| leads * rate / 100.0);
    let over = |part: Option<f64>, whole: Option<f64>| {
        part.zip(whole)
            .filter(|(_, whole)| *whole > 0.0)
            .map(|(part, whole)| part / whole)
    };
    let cpl = over(spend, leads);
    let cac = over(spend, customers);
    let back = over(
        customers
            .zip(ticket)
            .map(|(customers, ticket)| customers * ticket),
        spend,
    );
    let need =
        over(spend, leads.zip(ticket).map(|(leads, ticket)| leads * ticket)).map(|share| share * 100.0);
    let money = |value: Option<f64>| {
        value.map_or_else(|| NONE.to_owned(), |value| lang.money(value, &currency, false))
    };
    let shown =
        |value: Option<f64>, places| value.map_or_else(String::new, |value| lang.decimal(value, places));
    let fields = [
        (
            "gasto",
            format!("{} ({currency})", lang.t("Gasto com anúncios", "Ad spend")),
            shown(spend, 2),
        ),
        ("leads", "Leads".to_owned(), shown(leads, 0)),
        (
            "taxa",
            lang.t("Leads que compram (%)", "Leads that buy (%)").to_owned(),
            shown(rate, 2),
        ),
        (
            "ticket",
            format!("{} ({currency})", lang.t("Compra média", "Average order")),
            shown(ticket, 2),
        ),
    ];
    html! {
        form.form.two action="/" method="get" {
            input type="hidden" name="p" value=(period.tag());
            @if let Some(dataset) = frame.dataset { input type="hidden" name="dataset" value=(dataset); }
            @if lang == Lang::En { input type="hidden" name="lang" value="en"; }
            @for (name, label, value) in &fields {
                label { (label) input name=(name) value=(value) inputmode="decimal" autocomplete="off"; }
            }
            div.row.whole { button.btn.small { (lang.t("Calcular", "Calculate")) } }
        }
        ul.rows.facts.what {
            li { span { (lang.t("Custo por lead", "Cost per lead")) } b { (money(cpl)) } }
            li { span { (lang.t("Custo por cliente", "Cost per customer")) } b { (money(cac)) } }
            li { span { (lang.t("Retorno por real gasto", "Return per unit spent")) } b { (back.map_or_else(|| NONE.to_owned(), |back| format!("{}x", lang.decimal(back, 1)))) } }
            @if let (Some(cac), Some(rate)) = (cac, rate) {
                li { span { (lang.t("… com +2 pontos na taxa", "… with +2 points of rate")) } b { (money(Some(cac * rate / (rate + 2.0)))) } }
                li { span { (lang.t("… com o lead 15 % mais barato", "… with leads 15% cheaper")) } b { (money(Some(cac * 0.85))) } }
            }
        }
        p.note {
            @match need {
                Some(need) => {
                    (lang.t("Para empatar, ", "To break even, ")) (lang.percent(need, 1))
                    (lang.t(" dos leads precisam comprar. Leads e compras vêm do que foi recebido; o gasto, de você.", " of the leads have to buy. Leads and orders come from what was received; the spend from you."))
                },
                None => { (lang.t("Leads e compras vêm do que foi recebido em 30 dias. Escreva o gasto, e o que faltar.", "Leads and orders come from what was received in 30 days. Type the spend, and what is missing.")) },
            }
        }
    }
}

fn quality(frame: &Frame, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let Some(rows) = &data.quality else {
        return missing(lang);
    };
    let mut newest = newest(rows);
    if newest.is_empty() {
        return html! {
            p.empty { (lang.t("A Meta ainda não deu nota: ela precisa de alguns dias de eventos, e de um token que possa lê-la.",
                "Meta has given no score yet: it takes a few days of events, and a token that may read it.")) }
            p { a.btn href=(frame.link("/qualidade", "")) { (lang.t("Ver a qualidade", "See the quality")) } }
        };
    }
    newest.sort_by(|one, other| one.score.unwrap_or(11.0).total_cmp(&other.score.unwrap_or(11.0)));
    let more = newest.len().saturating_sub(5);
    html! {
        ul.legend {
            li { svg width="12" height="12" aria-hidden="true" { circle cx="6" cy="6" r="5.5" class="f-ok" {} } "Meta" }
            li { svg width="12" height="12" aria-hidden="true" { circle cx="6" cy="6" r="4.6" class="f-card s-ink" stroke-width="1.8" {} } (lang.t("nossa estimativa", "our estimate")) }
        }
        ul.emq {
            @for row in newest.iter().take(5) {
                (quality_line(frame, row, data.keys.as_deref().unwrap_or_default()))
            }
        }
        p.note.foot-note {
            (lang.t("Linha tracejada: 6,0, o mínimo que a Meta aconselha.", "Dashed line: 6.0, the least that Meta advises.")) " "
            a href=(frame.link("/qualidade", "")) {
                @if more > 0 { (lang.t("Mais ", "")) (more) (lang.t(" eventos, com cada chave", " more events, with each key")) }
                @else { (lang.t("Cada evento, com cada chave", "Each event, with each key")) }
            }
        }
    }
}

fn quality_line(frame: &Frame, row: &QualityRow, keys: &[rastro_store::dashboard::QualityKey]) -> Markup {
    let lang = frame.lang;
    let stale = (frame.now - row.fetched_at).num_hours() >= 36;
    let hint = crate::dashboard::pages::quality::advice(lang, row, keys);
    html! {
        li {
            span { (event_name(lang, &row.event_name)) small.sub { br; (frame.dataset_name(row.dataset_id)) } }
            (charts::dots(lang, Dots { score: row.score, estimate: row.estimate, stale }))
            b { (row.score.map_or_else(|| NONE.to_owned(), |score| lang.decimal(score, 1))) }
            @if let Some(hint) = hint.filter(|_| row.score.is_none_or(|score| score < 7.0)) { span.hint { (hint) } }
        }
    }
}

/// A breaker's state in two words.
pub(crate) fn breaker_state(
    lang: Lang,
    breaker: &rastro_core::circuit_breaker::Breaker,
    now_ms: i64,
) -> (Tone, &str) {
    match (
        breaker.manual_in_force(now_ms),
        breaker.permission(now_ms),
        breaker.reason,
    ) {
        (Manual::ForcedOpen, ..) => (Tone::Watch, lang.t("parado por ordem", "stopped by order")),
        (Manual::ForcedClosed, ..) => (Tone::Watch, lang.t("enviando por ordem", "sending by order")),
        (_, Permission::Freely, _) => (Tone::Good, lang.t("enviando", "sending")),
        (_, _, Some(Reason::Blocked)) => (Tone::Bad, lang.t("token recusado", "token refused")),
        (_, _, Some(Reason::Refused)) => (
            Tone::Bad,
            lang.t("parado: recusas em série", "stopped: refused in a row"),
        ),
        (_, _, Some(Reason::Throttled)) => (Tone::Watch, lang.t("esperando a Meta", "waiting for Meta")),
        (_, Permission::Nothing, _) => (Tone::Bad, lang.t("parado: Meta fora", "stopped: Meta down")),
        _ => (Tone::Watch, lang.t("testando a volta", "probing")),
    }
}

fn breakers(frame: &Frame, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let Some(watched) = &data.breakers else {
        return missing(lang);
    };
    if frame.datasets.is_empty() {
        return html! { p.empty { (lang.t("Nenhum conjunto de dados ainda.", "No datasets yet.")) " "
        a href=(frame.link("/conjuntos", "")) { (lang.t("Cadastrar o primeiro", "Add the first")) } } };
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label=(lang.t("Tabela dos disjuntores", "Table of the breakers")) { table.wide {
            thead { tr {
                th scope="col" { (lang.t("Conjunto", "Dataset")) } th scope="col" { (lang.t("Estado", "State")) }
                th scope="col" { (lang.t("Últimos 5 min", "Last 5 min")) } th.r scope="col" { (lang.t("Ordem", "Order")) }
            } }
            tbody {
                @for (id, name) in frame.datasets.iter().filter(|(id, _)| frame.dataset.is_none_or(|dataset| dataset == *id)).take(20) {
                    @let known = watched.iter().find(|watched| watched.dataset_id.as_i64() == *id);
                    tr {
                        td { (crate::dashboard::words::cut(name, 60)) }
                        td {
                            @match known {
                                Some(watched) => {
                                    @let (tone, words) = breaker_state(lang, &watched.breaker, watched.now_ms);
                                    (pill(tone, words))
                                    @if watched.breaker.manual_in_force(watched.now_ms) != Manual::Automatic {
                                        @if let Some(note) = data.notes.get(id) { div.sub { (crate::dashboard::words::cut(note, 90)) } }
                                    }
                                },
                                None => (pill(Tone::Good, lang.t("enviando", "sending"))),
                            }
                        }
                        td { @match known.map(|watched| watched.evidence).filter(|evidence| evidence.requests > 0) {
                            Some(evidence) => { (lang.count(evidence.failures.into())) " " (lang.t("de", "of")) " " (lang.count(evidence.requests.into())) " " (lang.t("falharam", "failed")) },
                            None => { (lang.t("nenhuma requisição", "no requests")) },
                        } }
                        td.r { a.btn.small href=(frame.link(&format!("/disjuntor/{id}"), "")) aria-label={ (lang.t("Ver o disjuntor de", "See the breaker of")) " " (name) } { (lang.t("Ver", "See")) } }
                    }
                }
            }
        } }
    }
}

fn last_alerts(frame: &Frame, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let Some(rows) = &data.alerts else {
        return missing(lang);
    };
    html! {
        @if rows.is_empty() {
            p.empty { (lang.t("Nenhum alerta até agora.", "No alerts so far.")) }
        } @else {
            ul.feed { @for alert in rows.iter().take(5) { (alerts::line(frame, alert)) } }
        }
        p.note.foot-note { a href=(frame.link("/alertas", "")) { (lang.t("Todos os alertas, e o que cada regra pergunta", "All alerts, and what each rule asks")) } }
    }
}
