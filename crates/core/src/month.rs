//! Months, which forecasts count in.

use chrono::{Datelike, NaiveDate};

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

#[cfg(test)]
mod tests {
    use super::*;

    fn month(text: &str) -> Month {
        Month::of(text.parse().unwrap())
    }

    #[test]
    fn months_are_counted_across_years() {
        assert_eq!(month("2026-02-28").since(month("2025-11-30")), 3);
        assert_eq!(month("2025-12-31").next().first_day(), "2026-01-01".parse().ok());
    }
}
