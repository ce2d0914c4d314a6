//! What each month's new customers have given back of what their month's ads cost.

use chrono::{Datelike, NaiveDate};
use maud::{Markup, html};
use rastro_store::CohortAge;

use super::data::COHORTS_SHOWN;
use super::payback::{LEAST_OF_A_COHORT, months_between};
use super::terms::{Cash, dated_month};
use super::view::Drawn;
use crate::dashboard::layout::{card, missing};
use crate::dashboard::words::{Lang, NONE};

pub(super) fn month_of(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

/// The customers of a month.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cohort {
    pub month: NaiveDate,
    pub customers: i64,
    /// Of the cost of their month, until the end of each age. `None`: nothing was spent in that month.
    pub shares: Vec<Option<f64>>,
    /// Cumulative profit of a customer, by age, in minor units.
    pub values: Vec<i64>,
}

/// Rows of the store by month, the oldest first, at most as many as are drawn.
pub(super) fn cohorts(rows: &[CohortAge], cash: Cash<'_>) -> Vec<Cohort> {
    let mut cohorts: Vec<(Cohort, i64)> = Vec::new();
    for row in rows {
        if cohorts
            .last()
            .is_none_or(|(cohort, _)| cohort.month != row.cohort)
        {
            let cohort = Cohort {
                month: row.cohort,
                customers: row.customers,
                shares: Vec::new(),
                values: Vec::new(),
            };
            cohorts.push((cohort, 0));
        }
        let Some((cohort, profit)) = cohorts.last_mut() else {
            continue;
        };
        *profit += row.profit_minor;
        let spent = cash.of_micros(row.spend_micros);
        cohort
            .shares
            .push((spent > 0).then(|| cash.major(*profit) / cash.major(spent)));
        cohort
            .values
            .push(rastro_core::metrics::per(*profit, row.customers).unwrap_or(0));
    }
    let skipped = cohorts.len().saturating_sub(COHORTS_SHOWN);
    cohorts
        .into_iter()
        .skip(skipped)
        .map(|(cohort, _)| cohort)
        .collect()
}

pub(super) fn table(drawn: &Drawn<'_>) -> Markup {
    let lang = drawn.lang();
    let content = match drawn.data.cohorts.as_deref() {
        None => missing(lang),
        Some(rows) => {
            let found = cohorts(rows, drawn.cash);
            match found.is_empty() {
                true => html! { p.empty { (lang.t("Ainda não há clientes.", "No customer yet.")) } },
                false => heat(drawn, &found),
            }
        }
    };
    let note = drawn.of_all(lang.t(
        "% do gasto do mês que já voltou em lucro",
        "% of the month's spend that came back as profit",
    ));
    let title = lang.t(
        "Quanto cada grupo de clientes já devolveu",
        "What each group of customers has given back",
    );
    card("c7", "cohorts", title, &note, &content)
}

fn heat(drawn: &Drawn<'_>, found: &[Cohort]) -> Markup {
    let lang = drawn.lang();
    let newest = month_of(drawn.request.today);
    let ages = found
        .iter()
        .map(|cohort| cohort.shares.len())
        .max()
        .unwrap_or(0)
        .min(COHORTS_SHOWN);
    html! {
        div.scroll tabindex="0" role="region" aria-label=(lang.t("Tabela dos grupos", "Table of the groups")) { table.heat {
            thead { tr {
                th scope="col" { (lang.t("1ª compra", "First order")) }
                th scope="col" { (lang.t("clientes", "customers")) }
                @for age in 0..ages { th scope="col" { @if age == 0 { (lang.t("mês 0", "month 0")) } @else { (age) } } }
            } }
            tbody { @for cohort in found {
                tr {
                    th scope="row" { (dated_month(lang, cohort.month)) }
                    td.n { (lang.count(cohort.customers)) }
                    @for (age, share) in cohort.shares.iter().take(ages).enumerate() { (cell(lang, cohort, age, *share, newest)) }
                    @for _ in cohort.shares.len()..ages { td {} }
                }
            } }
        } }
        p.note { (lang.t("Tracejado: o mês ainda não terminou para este grupo. Negrito: já se pagou. Sem cor: menos de 20 clientes.",
            "Dashed: the month is not over for this group. Bold: paid back. Without colour: fewer than 20 customers.")) }
        (values(drawn, found, ages))
    }
}

fn cell(lang: Lang, cohort: &Cohort, age: usize, share: Option<f64>, newest: NaiveDate) -> Markup {
    let Some(share) = share else {
        return html! { td.n { (NONE) } };
    };
    let moves = i32::try_from(age).is_ok_and(|age| months_between(cohort.month, newest) <= age);
    let shade = match cohort.customers < LEAST_OF_A_COHORT {
        true => "n".to_owned(),
        false => format!("q{}", shade(share)),
    };
    let text = whole_percent(lang, share);
    html! { td class={ (shade) @if moves { " prov" } @if share >= 1.0 { " paid" } } { (text) } }
}

/// Rounded down: it is not paid back until it is.
pub(super) fn whole_percent(lang: Lang, share: f64) -> String {
    // 0.29 times a hundred is a little less than 29.
    lang.percent((share * 100.0 + 1e-9).floor(), 0)
}

/// Seven steps until the cost is back.
fn shade(share: f64) -> u8 {
    let steps = [0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0];
    u8::try_from(steps.iter().filter(|step| share >= **step).count()).unwrap_or(7)
}

/// The same in money for each customer.
fn values(drawn: &Drawn<'_>, found: &[Cohort], ages: usize) -> Markup {
    let (lang, cash) = (drawn.lang(), drawn.cash);
    let names: Vec<String> = (0..ages).map(|age| age.to_string()).collect();
    html! {
        details.data {
            summary { (lang.t("Lucro somado por cliente, em ", "Cumulative profit per customer, in ")) (cash.currency) }
            div.scroll tabindex="0" role="region" aria-label=(lang.t("Lucro por cliente", "Profit per customer")) { table.plain {
                thead { tr {
                    th scope="col" { (lang.t("1ª compra", "First order")) }
                    @for name in &names { th.r scope="col" { (name) } }
                } }
                tbody { @for cohort in found { tr {
                    th scope="row" { (dated_month(lang, cohort.month)) }
                    @for value in cohort.values.iter().take(ages) { td { (cash.plain(*value)) } }
                } } }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASH: Cash<'_> = Cash {
        lang: Lang::Pt,
        currency: "BRL",
    };

    #[test]
    fn a_group_is_measured_against_what_its_month_cost() {
        let row = |month: &str, age, spend: i64, profit| CohortAge {
            cohort: month.parse().unwrap(),
            age_months: age,
            customers: 40,
            spend_micros: spend * 1_000_000,
            profit_minor: profit,
        };
        let rows = [
            row("2026-09-01", 0, 1_000, 38_000),
            row("2026-09-01", 1, 1_000, 17_000),
            row("2026-10-01", 0, 0, 10_000),
        ];
        let found = cohorts(&rows, CASH);
        // R$ 380 and R$ 550 of R$ 1,000; R$ 9.50 and R$ 13.75 a customer.
        assert_eq!(found[0].shares, [Some(0.38), Some(0.55)]);
        assert_eq!(found[0].values, [950, 1_375]);
        assert_eq!(found[1].shares, [None]);
        assert_eq!(whole_percent(Lang::En, 0.29), "29%");
        assert_eq!(
            (shade(0.149), shade(0.38), shade(0.999), shade(1.0), shade(-3.0)),
            (0, 2, 6, 7, 0)
        );
    }

    #[test]
    fn the_newest_twelve_months_are_drawn() {
        let rows: Vec<CohortAge> = (0..20)
            .map(|at| CohortAge {
                cohort: NaiveDate::from_ymd_opt(2025 + at / 12, (at % 12 + 1).cast_unsigned(), 1).unwrap(),
                age_months: 0,
                customers: 1,
                spend_micros: 0,
                profit_minor: 0,
            })
            .collect();
        let found = cohorts(&rows, CASH);
        assert_eq!(
            (found.len(), found[11].month.to_string().as_str()),
            (12, "2026-08-01")
        );
    }
}
