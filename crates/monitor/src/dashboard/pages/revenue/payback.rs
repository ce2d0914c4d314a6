//! In which month customers had paid for the ads that brought them.

use rastro_store::{CampaignAge, CohortAge};

use super::terms::Cash;

/// Fewer customers than this say nothing about when one has paid.
const LEAST_CUSTOMERS_SHARED: i64 = 30_000_000;
const LEAST_CUSTOMERS: i64 = 30;
pub(super) const LEAST_OF_A_COHORT: i64 = 20;

/// When it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payback {
    /// In this month after the first order; 0: in that of the first order.
    Month(i32),
    NotYet,
    TooFew,
    /// Nothing was spent, or nobody bought.
    Unknown,
}

/// A campaign and what came back of what it cost, by age.
#[derive(Clone, Debug)]
pub(super) struct Campaign<'a> {
    pub ages: Vec<&'a CampaignAge>,
    pub payback: Payback,
}

impl Campaign<'_> {
    /// The share of its cost that had come back until the end of each age, from 0. An age at which nobody
    /// bought has no row: nothing came back in it.
    pub(super) fn shares(&self, cash: Cash<'_>) -> Vec<f64> {
        let oldest = self.ages.last().map_or(-1, |age| age.age_months);
        (0..=oldest)
            .map(|age| {
                let until = self.ages.iter().rev().find(|row| row.age_months <= age);
                until.map_or(0.0, |row| {
                    cash.major(row.profit_minor) / cash.major(cash.of_micros(row.spend_micros))
                })
            })
            .collect()
    }
}

/// Rows of the store by campaign, the one that cost most first.
pub(super) fn campaigns<'a>(rows: &'a [CampaignAge], cash: Cash<'_>) -> Vec<Campaign<'a>> {
    let mut campaigns: Vec<Vec<&CampaignAge>> = Vec::new();
    for row in rows.iter().filter(|row| cash.of_micros(row.spend_micros) > 0) {
        let same = |ages: &&mut Vec<&CampaignAge>| {
            ages.first()
                .is_some_and(|other| other.channel == row.channel && other.campaign_key == row.campaign_key)
        };
        match campaigns.last_mut().filter(same) {
            Some(ages) => ages.push(row),
            None => campaigns.push(vec![row]),
        }
    }
    campaigns.sort_by_key(|ages| std::cmp::Reverse(ages.first().map_or(0, |age| age.spend_micros)));
    campaigns
        .into_iter()
        .map(|ages| Campaign {
            payback: of_campaign(&ages, cash),
            ages,
        })
        .collect()
}

fn of_campaign(ages: &[&CampaignAge], cash: Cash<'_>) -> Payback {
    let Some(first) = ages.first() else {
        return Payback::Unknown;
    };
    if first.customers_millionths < LEAST_CUSTOMERS_SHARED {
        return Payback::TooFew;
    }
    let cost = cash.of_micros(first.spend_micros);
    let month = ages.iter().find(|age| age.profit_minor >= cost);
    month.map_or(Payback::NotYet, |age| Payback::Month(age.age_months))
}

/// Of all customers: the first age at which the cohorts that have lived through it had brought what their
/// months cost. `newest`: the month that is not over.
pub(super) fn of_cohorts(rows: &[CohortAge], newest: chrono::NaiveDate, cash: Cash<'_>) -> Payback {
    let known: Vec<&CohortAge> = rows.iter().filter(|row| row.spend_micros > 0).collect();
    let customers: i64 = known
        .iter()
        .filter(|row| row.age_months == 0)
        .map(|row| row.customers)
        .sum();
    if known.is_empty() {
        return Payback::Unknown;
    }
    if customers < LEAST_CUSTOMERS {
        return Payback::TooFew;
    }
    let oldest = known.iter().map(|row| row.age_months).max().unwrap_or(0);
    for age in 0..=oldest {
        let lived: Vec<&&CohortAge> = known
            .iter()
            .filter(|row| row.age_months == age && months_between(row.cohort, newest) > age)
            .collect();
        let cost: i64 = lived.iter().map(|row| cash.of_micros(row.spend_micros)).sum();
        let is_one = |cohort| lived.iter().any(|row| row.cohort == cohort);
        let profit: i64 = known
            .iter()
            .filter(|row| row.age_months <= age && is_one(row.cohort))
            .map(|row| row.profit_minor)
            .sum();
        if cost > 0 && profit >= cost {
            return Payback::Month(age);
        }
    }
    Payback::NotYet
}

pub(super) fn months_between(earlier: chrono::NaiveDate, later: chrono::NaiveDate) -> i32 {
    use chrono::Datelike as _;
    (later.year() - earlier.year()) * 12 + later.month0().cast_signed() - earlier.month0().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::words::Lang;

    const CASH: Cash<'_> = Cash {
        lang: Lang::Pt,
        currency: "BRL",
    };

    fn cohort(month: &str, age: i32, customers: i64, spend: i64, profit: i64) -> CohortAge {
        CohortAge {
            cohort: format!("2026-{month}-01").parse().unwrap(),
            age_months: age,
            customers,
            spend_micros: spend * 1_000_000,
            profit_minor: profit * 100,
        }
    }

    #[test]
    fn cohorts_have_paid_when_those_that_lived_so_long_brought_what_they_cost() {
        let november = "2026-11-01".parse().unwrap();
        // September: 1,000 spent; 400, then 500, then 200 so far. October: 1,000; 600, then 300 so far.
        let rows = [
            cohort("09", 0, 20, 1_000, 400),
            cohort("09", 1, 20, 1_000, 500),
            cohort("09", 2, 20, 1_000, 200),
            cohort("10", 0, 20, 1_000, 600),
            cohort("10", 1, 20, 1_000, 300),
            cohort("11", 0, 20, 1_000, 5_000),
        ];
        // Age 0: both, 1,000 of 2,000. Age 1: September alone, 900 of 1,000. Age 2: nobody has lived through
        // it.
        assert_eq!(of_cohorts(&rows, november, CASH), Payback::NotYet);
        let december = "2026-12-01".parse().unwrap();
        // Age 0: 6,000 of 3,000, as November is over.
        assert_eq!(of_cohorts(&rows, december, CASH), Payback::Month(0));
        // Without November: age 1 is 900 + 900 of 2,000, age 2 of September 1,100 of 1,000.
        assert_eq!(of_cohorts(&rows[..5], december, CASH), Payback::Month(2));
        assert_eq!(of_cohorts(&rows[..1], december, CASH), Payback::TooFew);
        assert_eq!(
            of_cohorts(&[cohort("09", 0, 90, 0, 5)], december, CASH),
            Payback::Unknown
        );
    }

    #[test]
    fn a_campaign_has_paid_in_the_first_month_that_its_profit_covers_its_cost() {
        let age = |key: &str, age, customers: i64, spend: i64, profit: i64| CampaignAge {
            channel: "meta".into(),
            campaign_key: key.into(),
            campaign_name: key.into(),
            age_months: age,
            customers_millionths: customers * 1_000_000,
            spend_micros: spend * 1_000_000,
            profit_minor: profit * 100,
        };
        let rows = [
            age("a", 0, 30, 100, 60),
            age("a", 1, 30, 100, 100),
            age("b", 0, 29, 900, 1_000),
            age("c", 0, 40, 500, 499),
            age("d", 0, 40, 0, 499),
            age("e", 0, 40, 10, 1),
            age("e", 3, 40, 10, 4),
        ];
        let found: Vec<(&str, Payback)> = campaigns(&rows, CASH)
            .iter()
            .map(|campaign| (campaign.ages[0].campaign_key.as_str(), campaign.payback))
            .collect();
        assert_eq!(
            found,
            [
                ("b", Payback::TooFew),
                ("c", Payback::NotYet),
                ("a", Payback::Month(1)),
                ("e", Payback::NotYet)
            ]
        );
        assert_eq!(campaigns(&rows, CASH)[2].shares(CASH), [0.6, 1.0]);
        // Nobody of theirs bought in months 1 and 2.
        assert_eq!(campaigns(&rows, CASH)[3].shares(CASH), [0.1, 0.1, 0.1, 0.4]);
    }
}
