//! Over time: revenue against spend, what a customer of each campaign costs, and when one has paid for it.

use chrono::{Datelike, NaiveDate, TimeDelta};
use maud::{Markup, html};
use rastro_core::metrics::ratio;
use rastro_store::{CampaignWeek, RevenueDay};

use super::cohorts::{month_of, whole_percent};
use super::payback;
use super::request::Request;
use super::terms::{campaign_name, dated_month, span, times};
use super::totals;
use super::view::{Drawn, payback_words};
use crate::dashboard::charts::{Column, Columns, Curve, Curves, columns, curves, swatch};
use crate::dashboard::layout::{card, missing};

/// Ages of a payback curve, the month of the first order included.
const AGES_SHOWN: usize = 13;

/// Days that are drawn as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub from: NaiveDate,
    pub until: NaiveDate,
    pub spend_micros: i64,
    pub gross_minor: i64,
    pub net_minor: i64,
}

/// Days up to a month, weeks up to half a year, months beyond.
pub(super) fn buckets(request: &Request, days: &[RevenueDay]) -> Vec<Bucket> {
    let (first, last) = (request.filter.from, request.filter.until);
    let next = |day: NaiveDate| match request.days() {
        ..=31 => day + TimeDelta::days(1),
        32..=186 => day + TimeDelta::days(7 - i64::from(day.weekday().num_days_from_monday())),
        _ => month_of(month_of(day) + TimeDelta::days(32)),
    };
    let mut buckets = Vec::new();
    let mut from = first;
    while from <= last {
        let until = (next(from) - TimeDelta::days(1)).min(last);
        let mut bucket = Bucket {
            from,
            until,
            spend_micros: 0,
            gross_minor: 0,
            net_minor: 0,
        };
        for day in days.iter().filter(|day| (from..=until).contains(&day.day)) {
            bucket.spend_micros += day.spend_micros;
            bucket.gross_minor += day.gross_minor;
            bucket.net_minor += day.net_minor;
        }
        buckets.push(bucket);
        from = until + TimeDelta::days(1);
    }
    buckets
}

pub(super) fn days(drawn: &Drawn<'_>) -> Markup {
    let (lang, cash) = (drawn.lang(), drawn.cash);
    let content = match drawn.data.days.as_deref() {
        None => missing(lang),
        Some(days) => {
            let words = (lang.t("Receita líquida", "Net revenue"), lang.t("Gasto", "Spend"));
            let moving = lang.t("ainda sobe", "still rises");
            let drawn_columns: Vec<Column> = buckets(drawn.request, days)
                .iter()
                .map(|bucket| {
                    let spent = cash.of_micros(bucket.spend_micros);
                    let provisional = bucket.until >= drawn.request.moving_from();
                    let name = match bucket.from == bucket.until {
                        true => lang.weekday_and_day(bucket.from),
                        false => span(lang, bucket.from, bucket.until),
                    };
                    let name = if provisional {
                        format!("{name} ({moving})")
                    } else {
                        name
                    };
                    let (net, spend) = (cash.full(bucket.net_minor), cash.full(spent));
                    let back = times(lang, ratio(bucket.net_minor, spent));
                    Column {
                        label: match drawn.request.days() {
                            187.. => dated_month(lang, bucket.from),
                            _ => lang.day(bucket.from),
                        },
                        tip: vec![
                            name.clone(),
                            format!("{}: {net}", words.0),
                            format!("{}: {spend}", words.1),
                        ],
                        value: Some(cash.major(bucket.net_minor)),
                        mark: Some(cash.major(spent)),
                        provisional,
                        cells: vec![name, net, spend, back],
                        ..Default::default()
                    }
                })
                .collect();
            let chart = Columns {
                columns: &drawn_columns,
                description: lang.t(
                    "Receita líquida e gasto. Use as setas para andar pelas colunas.",
                    "Net revenue and spend. Use the arrow keys to walk through the columns.",
                ),
                heads: &[
                    lang.t("Quando", "When"),
                    words.0,
                    words.1,
                    lang.t("Retorno", "Return"),
                ],
            };
            html! {
                ul.legend {
                    li { (swatch("f-ok")) (words.0) }
                    li { (swatch("#p-today")) (lang.t("Ainda sobe (Pix e boleto)", "Still rises (Pix and boleto)")) }
                    li { svg width="14" height="10" aria-hidden="true" { line.s-ink x1="0" x2="14" y1="5" y2="5" stroke-width="2" {} } (words.1) }
                }
                (columns(lang, chart, &|value| cash.scaled(value)))
            }
        }
    };
    let note = format!(
        "{}, {}",
        drawn.cash.currency,
        lang.t("pelo dia da compra", "by the day of the order")
    );
    card(
        "c12",
        "days",
        lang.t("Receita e gasto", "Revenue and spend"),
        &note,
        &content,
    )
}

/// A campaign and its weeks.
struct Weeks<'a> {
    first: &'a CampaignWeek,
    rows: Vec<&'a CampaignWeek>,
    spend_micros: i64,
}

pub(super) fn cost_per_customer(drawn: &Drawn<'_>) -> Markup {
    let (lang, cash) = (drawn.lang(), drawn.cash);
    let content = match drawn.data.weeks.as_deref() {
        None => missing(lang),
        Some(rows) => {
            let trend = super::data::trend(&drawn.request.filter);
            let weeks: Vec<NaiveDate> = (0..)
                .map(|at| trend.from + TimeDelta::weeks(at))
                .take_while(|week| *week <= trend.until)
                .collect();
            // The week that the first moving day is in, and those after it.
            let moving = drawn.request.moving_from();
            let moving_from = weeks
                .iter()
                .position(|week| *week + TimeDelta::days(6) >= moving)
                .unwrap_or(weeks.len());
            let found: Vec<Curve> = by_campaign(rows)
                .iter()
                .map(|campaign| {
                    let of_week = |week: &NaiveDate| {
                        let row = campaign.rows.iter().find(|row| row.week == *week)?;
                        let cost = totals::cost(cash, row.spend_micros, row.new_customers_millionths)?;
                        Some(cash.major(cost))
                    };
                    let points: Vec<Option<f64>> = weeks.iter().map(of_week).collect();
                    let last = points.iter().rev().flatten().next();
                    Curve {
                        name: campaign_name(
                            lang,
                            &campaign.first.campaign_name,
                            &campaign.first.campaign_key,
                            32,
                        ),
                        note: last.map(|last| cash.compact(*last)).unwrap_or_default(),
                        points,
                        moving_from,
                    }
                })
                .collect();
            let places: Vec<(String, String)> = weeks
                .iter()
                .map(|week| {
                    let full = span(lang, *week, (*week + TimeDelta::days(6)).min(trend.until));
                    (lang.day(*week), full)
                })
                .collect();
            match found.iter().any(|curve| curve.points.iter().any(Option::is_some)) {
                true => curves(
                    lang,
                    Curves {
                        curves: &found,
                        places: &places,
                        head: lang.t("Semana", "Week"),
                        description: lang.t(
                            "Custo por cliente novo, por campanha e semana",
                            "Cost per new customer, by campaign and week",
                        ),
                        limit: None,
                        amount: &|value| cash.compact(value),
                    },
                ),
                false => {
                    html! { p.empty { (lang.t("Nenhuma campanha trouxe 10 clientes novos numa semana.", "No campaign brought 10 new customers in a week.")) } }
                }
            }
        }
    };
    let content = html! {
        (content)
        p.note { (lang.t("Semanas com menos de 10 clientes novos não aparecem. Tracejado: ainda muda.",
            "Weeks with fewer than 10 new customers are left out. Dashed: still moving.")) }
    };
    let note = lang.t(
        "por semana, as que mais custaram",
        "by week, those that cost most",
    );
    card(
        "c6",
        "cac",
        lang.t(
            "Custo por cliente, por campanha",
            "Cost per customer, by campaign",
        ),
        note,
        &content,
    )
}

fn by_campaign(rows: &[CampaignWeek]) -> Vec<Weeks<'_>> {
    let mut campaigns: Vec<Weeks<'_>> = Vec::new();
    for row in rows {
        let same = |weeks: &&mut Weeks<'_>| {
            weeks.first.channel == row.channel && weeks.first.campaign_key == row.campaign_key
        };
        match campaigns.last_mut().filter(same) {
            Some(weeks) => {
                weeks.rows.push(row);
                weeks.spend_micros += row.spend_micros;
            }
            None => campaigns.push(Weeks {
                first: row,
                rows: vec![row],
                spend_micros: row.spend_micros,
            }),
        }
    }
    campaigns.sort_by_key(|weeks| std::cmp::Reverse(weeks.spend_micros));
    campaigns
}

pub(super) fn payback(drawn: &Drawn<'_>) -> Markup {
    let (lang, cash) = (drawn.lang(), drawn.cash);
    let content = match drawn.data.ages.as_deref() {
        None => missing(lang),
        Some(rows) => {
            let found: Vec<Curve> = payback::campaigns(rows, cash)
                .iter()
                .filter_map(|campaign| {
                    let first = campaign.ages.first()?;
                    let mut shares: Vec<Option<f64>> = campaign
                        .shares(cash)
                        .iter()
                        .map(|share| Some(share * 100.0))
                        .collect();
                    let moving_from = shares.len().saturating_sub(1);
                    shares.truncate(AGES_SHOWN);
                    Some(Curve {
                        name: campaign_name(lang, &first.campaign_name, &first.campaign_key, 32),
                        note: payback_words(lang, campaign.payback),
                        points: shares,
                        moving_from,
                    })
                })
                .collect();
            let ages = found.iter().map(|curve| curve.points.len()).max().unwrap_or(0);
            let places: Vec<(String, String)> = (0..ages)
                .map(|age| {
                    let full = format!("{} {age}", lang.t("mês", "month"));
                    (if age == 0 { full.clone() } else { age.to_string() }, full)
                })
                .collect();
            match found.is_empty() {
                true => {
                    html! { p.empty { (lang.t("Ainda não há clientes de uma campanha com gasto.", "No customer yet of a campaign with spend.")) } }
                }
                false => curves(
                    lang,
                    Curves {
                        curves: &found,
                        places: &places,
                        head: lang.t("Desde a 1ª compra", "Since the first order"),
                        description: lang.t(
                            "Parte do gasto que já voltou, por campanha e mês desde a primeira compra",
                            "Share of the spend that came back, by campaign and month since the first order",
                        ),
                        limit: Some((100.0, lang.t("pago", "paid back"))),
                        amount: &|value| whole_percent(lang, value / 100.0),
                    },
                ),
            }
        }
    };
    let content = html! {
        (content)
        p.note { (lang.t("De todos os clientes e todo o gasto que a campanha já teve, no modelo linear. Linha em 100 %: o cliente pagou o próprio anúncio.",
            "Of all customers and all spend that the campaign ever had, under the linear model. Line at 100%: the customer paid for their own ad.")) }
    };
    let note = lang.t(
        "lucro somado ÷ gasto da campanha",
        "cumulative profit ÷ the campaign's spend",
    );
    card(
        "c6",
        "payback",
        lang.t(
            "Em quantos meses o cliente se paga",
            "Months until a customer pays back",
        ),
        note,
        &content,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::pages::revenue::request::tests::request;
    use crate::dashboard::words::Lang;

    #[test]
    fn days_are_drawn_alone_by_week_or_by_month_and_none_is_lost() {
        let day = |day: &str, net| RevenueDay {
            day: day.parse().unwrap(),
            spend_micros: 1_000_000,
            gross_minor: net,
            net_minor: net,
        };
        let rows = [
            day("2026-10-28", 5),
            day("2026-11-01", 7),
            day("2026-11-02", 11),
            day("2026-11-26", 13),
        ];
        for (query, count, first, last) in [
            ("", 30, "2026-10-28", "2026-11-26"),
            // Saturday, then 13 Mondays.
            ("p=90d", 14, "2026-08-30", "2026-11-26"),
            ("p=365d", 13, "2025-11-30", "2026-11-26"),
        ] {
            let found = buckets(&request(Lang::Pt, query), &rows);
            assert_eq!(found.len(), count, "{query}");
            assert_eq!(
                found.iter().map(|bucket| bucket.net_minor).sum::<i64>(),
                36,
                "{query}"
            );
            assert_eq!(found[0].until.to_string(), first, "{query}");
            assert_eq!(found[count - 1].until.to_string(), last, "{query}");
            assert!(
                found
                    .windows(2)
                    .all(|pair| pair[0].until + TimeDelta::days(1) == pair[1].from)
            );
        }
    }
}
