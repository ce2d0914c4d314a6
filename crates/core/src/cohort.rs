//! People grouped by the month of their first order: what they brought, and when they had paid for their own
//! acquisition.

use chrono::{Datelike, NaiveDate};

use crate::metrics::per;

/// A calendar month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month(i32);

impl Month {
    pub fn of(day: NaiveDate) -> Self {
        Month(day.year() * 12 + day.month0() as i32)
    }

    /// How many months after `earlier`.
    pub fn since(self, earlier: Month) -> i32 {
        self.0 - earlier.0
    }

    pub fn next(self) -> Self {
        Month(self.0 + 1)
    }

    /// `None`: beyond what a calendar can say.
    pub fn first_day(self) -> Option<NaiveDate> {
        NaiveDate::from_ymd_opt(self.0.div_euclid(12), self.0.rem_euclid(12) as u32 + 1, 1)
    }
}

/// A group of customers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cohort {
    pub month: Month,
    /// Fixed: those whose first order was in the month.
    pub customers: i64,
    /// Gross profit by age in months, the month of the first order first.
    pub profit_minor: Vec<i64>,
    /// What their acquisition cost; `None`: unknown.
    pub cost_minor: Option<i64>,
}

/// When a cohort's profit had paid for its acquisition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payback {
    /// In the month of this age; 0: in that of the first order.
    Months(usize),
    NotYet,
    /// What acquisition cost is not known.
    Unknown,
}

impl Cohort {
    /// Ages that are over in `now`, which is not over itself.
    pub fn complete_ages(&self, now: Month) -> usize {
        usize::try_from(now.since(self.month)).unwrap_or(0)
    }

    /// Gross profit of a customer until the end of age `age`, to the cent. `None` before that age is
    /// complete, and of nobody.
    pub fn lifetime_value(&self, age: usize, now: Month) -> Option<i64> {
        (age < self.complete_ages(now)).then_some(())?;
        per(self.profit_until(age), self.customers)
    }

    /// Of all ages, the running one as it stands.
    pub fn payback(&self) -> Payback {
        let Some(cost) = self.cost_minor else {
            return Payback::Unknown;
        };
        let mut sum = 0_i64;
        for (age, profit) in self.profit_minor.iter().enumerate() {
            sum = sum.saturating_add(*profit);
            if sum >= cost {
                return Payback::Months(age);
            }
        }
        Payback::NotYet
    }

    fn profit_until(&self, age: usize) -> i64 {
        self.profit_minor
            .iter()
            .take(age + 1)
            .fold(0, |sum, profit| sum.saturating_add(*profit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(text: &str) -> Month {
        Month::of(text.parse().unwrap())
    }

    fn cohort(profit_minor: &[i64], cost_minor: Option<i64>) -> Cohort {
        Cohort {
            month: month("2025-11-03"),
            customers: 3,
            profit_minor: profit_minor.to_vec(),
            cost_minor,
        }
    }

    #[test]
    fn months_are_counted_across_years() {
        assert_eq!(month("2026-02-28").since(month("2025-11-30")), 3);
        assert_eq!(month("2025-12-31").next().first_day(), "2026-01-01".parse().ok());
    }

    #[test]
    fn lifetime_value_is_of_complete_ages_and_of_all_who_once_bought() {
        let cohort = cohort(&[30_000, 0, 10_000, 1], None);
        let now = month("2026-02-10");
        assert_eq!(cohort.lifetime_value(0, now), Some(10_000));
        assert_eq!(cohort.lifetime_value(2, now), Some(13_333));
        assert_eq!(cohort.lifetime_value(3, now), None);
    }

    #[test]
    fn payback_is_the_first_month_whose_end_sees_the_cost_covered() {
        assert_eq!(cohort(&[30_000], Some(30_000)).payback(), Payback::Months(0));
        assert_eq!(
            cohort(&[30_000, 5_000, 1], Some(35_001)).payback(),
            Payback::Months(2)
        );
        assert_eq!(cohort(&[30_000, -5_000], Some(35_000)).payback(), Payback::NotYet);
        assert_eq!(cohort(&[30_000], None).payback(), Payback::Unknown);
    }
}
