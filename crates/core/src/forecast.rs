//! What revenue the coming month will bring: a point, an interval that says how sure it is, and how well the
//! same method did on the past (back-test).
//!
//! Input are the daily sums of complete days, the oldest first, days without revenue as zero. The error of a
//! month's total is not the sum of its days' errors, because those go together; so intervals come from
//! totals, of back-tests where there are enough.

mod backtest;
mod holt_winters;
mod methods;

pub use backtest::BackTest;
pub use holt_winters::{Fit, Parameters};

use backtest::run;
use methods::Method;

/// Below this many days there is no forecast, only what was.
pub const LEAST_DAYS: usize = 28;
/// From here on a season of weeks can be told from chance.
const SEASONAL_DAYS: usize = 90;
/// The yearly method needs two years, and back-tests of its own beyond them.
const YEARLY_DAYS: usize = 728;
/// Normal quantile of a two-sided 80 %.
const Z80: f64 = 1.2816;

/// What the total of some coming days will be, in minor units.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    pub point_minor: i64,
    /// Of 80 %; `None`: too little history to say.
    pub interval: Option<Interval>,
    pub method: &'static str,
    /// Days of history it was made from.
    pub trained_days: usize,
    /// How the method did before. `None`: the history is too short to try.
    pub back_test: Option<BackTest>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Not below zero.
    pub lower_minor: i64,
    pub upper_minor: i64,
    pub basis: Basis,
}

/// Where an interval's width comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Ratios of what came to what had been forecast, over the same horizon.
    BackTests,
    /// The variance that the fitted model implies for the total.
    Model,
}

impl Basis {
    pub fn as_str(self) -> &'static str {
        match self {
            Basis::BackTests => "back_tests",
            Basis::Model => "model",
        }
    }
}

/// The total of `days` days that begin `skip` days after the history ends. `None`: less history than
/// [`LEAST_DAYS`].
pub fn forecast(daily_minor: &[i64], skip: usize, days: usize) -> Option<Forecast> {
    if daily_minor.len() < LEAST_DAYS {
        return None;
    }
    let history: Vec<f64> = daily_minor.iter().map(|minor| *minor as f64).collect();
    let candidates = candidates(history.len(), skip + days);
    let tested: Vec<(Method, Option<BackTest>)> = candidates
        .iter()
        .map(|method| (*method, run(*method, &candidates, &history, skip, days)))
        .collect();
    let error = |test: &Option<BackTest>| test.as_ref().map_or(f64::INFINITY, |test| test.wape);
    let (method, back_test) = tested
        .into_iter()
        .min_by(|a, b| error(&a.1).total_cmp(&error(&b.1)))?;
    let estimate = method.estimate(&history, skip, days);
    let point = estimate.total.max(0.0);
    let quantiles = back_test.as_ref().and_then(|test| test.quantiles);
    let interval = match (quantiles, estimate.standard_deviation) {
        (Some((low, high)), _) => Some(Interval {
            lower_minor: rounded((point * low).max(0.0)),
            upper_minor: rounded(point * high),
            basis: Basis::BackTests,
        }),
        (None, Some(deviation)) => Some(Interval {
            lower_minor: rounded((point - Z80 * deviation).max(0.0)),
            upper_minor: rounded(point + Z80 * deviation),
            basis: Basis::Model,
        }),
        (None, None) => None,
    };
    Some(Forecast {
        point_minor: rounded(point),
        interval,
        method: method.as_str(),
        trained_days: history.len(),
        back_test,
    })
}

/// Of equally good ones the first is used: the simplest.
fn candidates(days: usize, horizon: usize) -> Vec<Method> {
    let mut candidates = match days {
        ..SEASONAL_DAYS => vec![Method::RunRate],
        _ => vec![Method::SeasonalNaive, Method::HoltWinters],
    };
    if days >= YEARLY_DAYS + horizon + (backtest::LEAST_ORIGINS - 1) * backtest::STEP_DAYS {
        candidates.push(Method::Yearly);
    }
    candidates
}

/// Half away from zero, as all money here.
fn rounded(minor: f64) -> i64 {
    minor.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_four_weeks_are_no_forecast() {
        assert_eq!(forecast(&[100; 27], 0, 30), None);
        assert!(forecast(&[100; 28], 0, 30).is_some());
    }

    #[test]
    fn a_constant_is_forecast_exactly_whatever_the_method() {
        for (days, method) in [
            (28, "run_rate"),
            (89, "run_rate"),
            (90, "seasonal_naive"),
            (200, "seasonal_naive"),
        ] {
            let forecast = forecast(&vec![12_345; days], 3, 31).unwrap();
            assert_eq!(
                (forecast.point_minor, forecast.method),
                (12_345 * 31, method),
                "{days}"
            );
            assert_eq!(forecast.trained_days, days);
        }
    }

    #[test]
    fn weekdays_are_weekdays_also_after_a_gap() {
        let week = [0, 10, 20, 30, 40, 50, 600];
        let history: Vec<i64> = (0..63).map(|day| week[day % 7]).collect();
        // Day 63 is the first of a week; the days 65 to 67 are the third to the fifth.
        assert_eq!(forecast(&history, 2, 3).unwrap().point_minor, 20 + 30 + 40);
        assert_eq!(forecast(&history, 0, 7).unwrap().point_minor, 750);
    }

    #[test]
    fn growth_is_seen_by_the_model_and_not_by_last_week() {
        let week = [900, 1000, 1000, 1100, 1200, 600, 300];
        let history: Vec<i64> = (0..200)
            .map(|day| week[day % 7] * 100 + 2_000 * day as i64)
            .collect();
        let forecast = forecast(&history, 0, 30).unwrap();
        assert_eq!(forecast.method, "holt_winters");
        let actual: i64 = (200..230)
            .map(|day| week[day % 7] * 100 + 2_000 * day as i64)
            .sum();
        let error = (forecast.point_minor - actual).abs() as f64 / actual as f64;
        assert!(error < 0.05, "{} instead of {actual}", forecast.point_minor);
        let interval = forecast.interval.unwrap();
        assert_eq!(interval.basis, Basis::BackTests);
        assert!(interval.lower_minor < interval.upper_minor, "{interval:?}");
    }

    #[test]
    fn a_short_history_has_the_models_interval_or_none_and_never_below_zero() {
        let noisy =
            |days: usize| -> Vec<i64> { (0..days).map(|day| (day as i64 * 7_919) % 1_000 * 100).collect() };
        assert_eq!(forecast(&noisy(60), 0, 31).unwrap().interval, None);
        let of_model = (90..140).map(|days| forecast(&noisy(days), 20, 31).unwrap());
        for forecast in of_model.filter(|forecast| forecast.method == "holt_winters") {
            if let Some(interval) = forecast.interval {
                assert!(interval.lower_minor >= 0 && interval.lower_minor <= interval.upper_minor);
            }
        }
        let nothing = forecast(&[0; 120], 0, 30).unwrap();
        assert_eq!(nothing.point_minor, 0);
        let refunds = forecast(&[-500; 120], 0, 30).unwrap();
        assert_eq!(refunds.point_minor, 0);
    }
}
