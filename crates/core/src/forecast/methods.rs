//! The ways to look ahead.

use super::holt_winters::{Fit, SEASON};

/// Older days teach the model nothing about next month, and cost time at each back-test.
const MOST_TRAINED: usize = 365;
const WEEKS_OF_RUN_RATE: usize = 4;
/// 52 weeks: the same weekday of the year before.
const YEAR: usize = 364;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Each weekday as in the mean of the last four.
    RunRate,
    /// Each weekday as the last one.
    SeasonalNaive,
    HoltWinters,
    /// The same day of last year, times the growth from the year before it.
    Yearly,
}

/// What a method says about the total of some days.
pub(super) struct Estimate {
    pub(super) total: f64,
    /// Where the method implies one.
    pub(super) standard_deviation: Option<f64>,
}

impl Method {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Method::RunRate => "run_rate",
            Method::SeasonalNaive => "seasonal_naive",
            Method::HoltWinters => "holt_winters",
            Method::Yearly => "yearly",
        }
    }

    /// Days without which it says nothing.
    pub(super) fn least_days(self) -> usize {
        match self {
            Method::RunRate | Method::SeasonalNaive | Method::HoltWinters => super::LEAST_DAYS,
            Method::Yearly => 2 * YEAR,
        }
    }

    /// The total of `days` days that begin `skip` days after the history, of which there are at least
    /// [`Method::least_days`].
    pub(super) fn estimate(self, history: &[f64], skip: usize, days: usize) -> Estimate {
        let plain = |of_day: &dyn Fn(usize) -> f64| Estimate {
            total: (skip + 1..=skip + days).map(of_day).sum(),
            standard_deviation: None,
        };
        // So many days before the first to come, at 1 the last of the history.
        let back = |days: usize| {
            history
                .get(history.len().wrapping_sub(days))
                .copied()
                .unwrap_or(0.0)
        };
        match self {
            Method::RunRate => plain(&|ahead| {
                let week = |weeks: usize| back(SEASON * weeks - (ahead - 1) % SEASON);
                (1..=WEEKS_OF_RUN_RATE).map(week).sum::<f64>() / WEEKS_OF_RUN_RATE as f64
            }),
            Method::SeasonalNaive => plain(&|ahead| back(SEASON - (ahead - 1) % SEASON)),
            Method::Yearly => {
                let sum = |from: usize| (from + 1..=from + YEAR).map(back).sum::<f64>();
                let (last, before) = (sum(0), sum(YEAR));
                let growth = if last > 0.0 && before > 0.0 {
                    last / before
                } else {
                    1.0
                };
                plain(&|ahead| growth * back(YEAR - (ahead - 1) % YEAR))
            }
            Method::HoltWinters => {
                let trained = &history[history.len().saturating_sub(MOST_TRAINED)..];
                match Fit::best(trained) {
                    Some(fit) => Estimate {
                        total: (skip + 1..=skip + days).map(|ahead| fit.day(ahead)).sum(),
                        standard_deviation: Some(fit.total_deviation(skip, days)),
                    },
                    None => Method::SeasonalNaive.estimate(history, skip, days),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_ago_is_the_same_weekday_and_grows_as_the_year_did() {
        // Twice as much in the second year, and one high day in it.
        let mut history = vec![1.0; YEAR];
        history.extend(vec![2.0; YEAR]);
        history[YEAR + 9] = 366.0;
        // The second year's sum is 2 x 363 + 366 = 1,092: three times the first's.
        let total = Method::Yearly.estimate(&history, 0, 10).total;
        assert!((total - 3.0 * (9.0 * 2.0 + 366.0)).abs() < 1e-9, "{total}");
    }

    #[test]
    fn the_run_rate_is_the_mean_of_four_such_weekdays() {
        let history: Vec<f64> = (0..28).map(f64::from).collect();
        // The first day to come has the weekday of the days 0, 7, 14 and 21.
        let total = Method::RunRate.estimate(&history, 0, 1).total;
        assert!((total - 10.5).abs() < 1e-9, "{total}");
        let later = Method::RunRate.estimate(&history, 8, 1).total;
        assert!((later - 11.5).abs() < 1e-9, "{later}");
    }
}
