//! Months as the money came and went, what is left of this one, and the next with its interval.

use maud::{Markup, html};
use rastro_store::MonthRevenue;

use super::cohorts::month_of;
use super::terms::{Cash, dated_month, month, titled};
use super::view::Drawn;
use crate::dashboard::charts::{Column, Columns, columns};
use crate::dashboard::layout::{card, missing};
use crate::dashboard::words::{Lang, NONE};

pub(super) fn card_of(drawn: &Drawn<'_>) -> Markup {
    let lang = drawn.lang();
    let this = month_of(drawn.request.today);
    let rows = drawn.data.months.as_deref();
    let next = rows
        .unwrap_or_default()
        .iter()
        .find(|row| row.month > this && row.forecast_minor.is_some());
    let title = match next {
        Some(row) => titled(month(lang, row.month)),
        None => lang.t("Próximo mês", "Next month").to_owned(),
    };
    let content = match rows {
        None => missing(lang),
        Some([]) => html! { p.empty { (lang.t("Ainda não entrou dinheiro.", "No money came yet.")) } },
        Some(rows) => html! {
            @match next {
                Some(row) => (expected(drawn.cash, row)),
                None => p.empty { (lang.t("Sem previsão: é preciso ao menos 28 dias de receita, e o serviço attribution rodando.",
                    "No forecast: it takes at least 28 days of revenue, and the attribution service running.")) },
            }
            (chart(drawn, rows))
            (notes(drawn, rows, next))
        },
    };
    let note = drawn.of_all(lang.t(
        "previsão da receita líquida, pelo dia em que o dinheiro entra",
        "forecast of net revenue, by the day money comes",
    ));
    card("c5", "forecast", &title, &note, &content)
}

fn expected(cash: Cash<'_>, row: &MonthRevenue) -> Markup {
    let lang = cash.lang;
    let point = row.forecast_minor.unwrap_or_default();
    html! {
        div.big { (cash.compact(cash.major(point))) }
        p.sub {
            @match row.lower_minor.zip(row.upper_minor) {
                Some((lower, upper)) => {
                    (lang.t("entre ", "between ")) (cash.compact(cash.major(lower))) (lang.t(" e ", " and ")) (cash.compact(cash.major(upper)))
                    (lang.t(", em 8 de cada 10 casos", ", in 8 of 10 cases"))
                },
                None => (lang.t("sem intervalo: a história é curta para testar a previsão", "no interval: the history is too short to test the forecast")),
            }
        }
    }
}

fn chart(drawn: &Drawn<'_>, rows: &[MonthRevenue]) -> Markup {
    let (lang, cash) = (drawn.lang(), drawn.cash);
    let this = month_of(drawn.request.today);
    let heads = [
        lang.t("Mês", "Month"),
        lang.t("Entrou", "Came"),
        lang.t("Previsto", "Forecast"),
        lang.t("Entre", "Between"),
    ];
    let drawn_columns: Vec<Column> = rows
        .iter()
        .map(|row| {
            let amount = |minor: Option<i64>| minor.map_or_else(|| NONE.to_owned(), |minor| cash.full(minor));
            let name = dated_month(lang, row.month);
            let came = (row.month <= this).then_some(row.net_minor);
            let forecast = row.forecast_minor.filter(|_| row.month >= this);
            let mut tip = vec![name.clone()];
            tip.extend(came.map(|minor| format!("{}: {}", heads[1], cash.full(minor))));
            tip.extend(forecast.map(|minor| format!("{}: {}", heads[2], cash.full(minor))));
            let interval = row.lower_minor.zip(row.upper_minor).filter(|_| row.month > this);
            let between =
                interval.map(|(lower, upper)| format!("{} – {}", cash.full(lower), cash.full(upper)));
            tip.extend(between.clone());
            Column {
                label: super::terms::short_month(lang, row.month),
                tip,
                value: came.map(|minor| cash.major(minor)),
                mark: None,
                expected: forecast.map(|minor| cash.major(minor)),
                interval: interval.map(|(lower, upper)| (cash.major(lower), cash.major(upper))),
                provisional: row.month == this,
                cells: vec![
                    name,
                    amount(came),
                    amount(forecast),
                    between.unwrap_or_else(|| NONE.to_owned()),
                ],
            }
        })
        .collect();
    let chart = Columns {
        columns: &drawn_columns,
        description: lang.t(
            "Receita líquida por mês e previsão. Use as setas para andar pelos meses.",
            "Net revenue by month and forecast. Use the arrow keys to walk through the months.",
        ),
        heads: &heads,
    };
    columns(lang, chart, &|value| cash.scaled(value))
}

fn notes(drawn: &Drawn<'_>, rows: &[MonthRevenue], next: Option<&MonthRevenue>) -> Markup {
    let (lang, cash) = (drawn.lang(), drawn.cash);
    let this = month_of(drawn.request.today);
    let now = rows.iter().find(|row| row.month == this);
    let tested = next.or(now).filter(|row| row.back_tests.unwrap_or(0) > 0);
    html! {
        p.note {
            @if let Some((row, point)) = now.and_then(|row| Some((row, row.forecast_minor?))) {
                @let actual = row.actual_minor.unwrap_or(row.net_minor);
                (titled(month(lang, row.month))) ": " (cash.compact(cash.major(actual))) " " (lang.t("até ontem, mais", "until yesterday, and"))
                " " (cash.compact(cash.major(point - actual))) " " (lang.t("previstos. ", "expected. "))
            }
            @if let Some(row) = tested {
                (tested_words(lang, row))
            } @else if next.is_some() {
                (lang.t("Ainda não testada contra meses passados.", "Not tested against past months yet."))
            }
        }
    }
}

fn tested_words(lang: Lang, row: &MonthRevenue) -> String {
    let tests = row.back_tests.unwrap_or(0);
    let percent = |share: Option<f64>| {
        share.map_or_else(
            || NONE.to_owned(),
            |share| lang.percent((share * 100.0).round(), 0),
        )
    };
    let (error, held) = (percent(row.wape), percent(row.coverage));
    let method = method_words(lang, row.method.as_deref().unwrap_or_default());
    let days = row.trained_days.unwrap_or(0);
    match lang {
        Lang::Pt => format!(
            "Prevendo o passado ({tests} testes): errou {error} em média, e o intervalo conteve {held}. {method}, de {days} dias."
        ),
        Lang::En => format!(
            "Forecasting the past ({tests} tests): off by {error} on average, and the interval held {held}. {method}, from {days} days."
        ),
    }
}

fn method_words(lang: Lang, method: &str) -> String {
    let (pt, en) = match method {
        "seasonal_naive" => ("Repete a última semana", "Repeats the last week"),
        "holt_winters" => (
            "Tendência com semana (Holt-Winters)",
            "Trend with weeks (Holt-Winters)",
        ),
        "run_rate" => ("Média por dia da semana", "Mean by weekday"),
        "yearly" => (
            "Semana e o mesmo dia do ano passado",
            "Weeks and the same day of last year",
        ),
        other => return titled(&crate::dashboard::words::cut(&other.replace('_', " "), 40)),
    };
    lang.t(pt, en).to_owned()
}
