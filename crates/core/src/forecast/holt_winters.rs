//! Holt-Winters with an additive season of a week and a damped trend, in error-correction form.
//!
//! Hyndman, Koehler, Ord and Snyder, "Forecasting with Exponential Smoothing" (2008): ETS(A,Ad,A), and
//! chapter 6 for the variance of a total over lead time.

pub(super) const SEASON: usize = 7;

const ALPHA: [f64; 5] = [0.05, 0.1, 0.2, 0.4, 0.6];
const BETA_STAR: [f64; 3] = [0.01, 0.1, 0.3];
const GAMMA: [f64; 3] = [0.05, 0.15, 0.3];
const PHI: [f64; 3] = [0.8, 0.9, 0.98];

/// How fast the parts of the model follow what comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// Of the level.
    pub alpha: f64,
    /// Of the trend, times alpha.
    pub beta: f64,
    /// Of the season.
    pub gamma: f64,
    /// Damps the trend; 1: not at all.
    pub phi: f64,
}

/// The model after it saw a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    parameters: Parameters,
    level: f64,
    trend: f64,
    /// By day of the season; `next` is that of the first day to come.
    season: [f64; SEASON],
    next: usize,
    squared_errors: f64,
    errors: usize,
}

impl Parameters {
    /// By how much an error of today moves the value `j` days later.
    fn carried(&self, j: usize) -> f64 {
        let damped: f64 = (1..=j).map(|power| self.phi.powi(power as i32)).sum();
        let season = if j.is_multiple_of(SEASON) { self.gamma } else { 0.0 };
        self.alpha + self.beta * damped + season
    }

    /// How many standard deviations of a day the total of `days` days has, that begin after `skip` days.
    pub fn total_deviation(&self, skip: usize, days: usize) -> f64 {
        let carried: Vec<f64> = (0..skip + days).map(|j| self.carried(j)).collect();
        let of_error = |day: usize| -> f64 {
            let later = |target: usize| if target == day { 1.0 } else { carried[target - day] };
            (day.max(skip + 1)..=skip + days).map(later).sum()
        };
        (1..=skip + days)
            .map(|day| of_error(day).powi(2))
            .sum::<f64>()
            .sqrt()
    }
}

impl Fit {
    /// The best of a grid by squared one-day errors. At least two seasons of history.
    pub fn best(history: &[f64]) -> Option<Self> {
        let mut best: Option<Fit> = None;
        for alpha in ALPHA {
            for beta_star in BETA_STAR {
                for gamma in GAMMA {
                    for phi in PHI {
                        let parameters = Parameters {
                            alpha,
                            beta: alpha * beta_star,
                            gamma,
                            phi,
                        };
                        let fit = Fit::new(history, parameters)?;
                        if best
                            .as_ref()
                            .is_none_or(|best| fit.squared_errors < best.squared_errors)
                        {
                            best = Some(fit);
                        }
                    }
                }
            }
        }
        best
    }

    /// `None`: less than two seasons.
    pub fn new(history: &[f64], parameters: Parameters) -> Option<Self> {
        let (first, rest) = history.split_first_chunk::<SEASON>()?;
        let second = rest.get(..SEASON)?;
        let mean = |days: &[f64]| days.iter().sum::<f64>() / SEASON as f64;
        let level = mean(first);
        let mut fit = Fit {
            parameters,
            level,
            trend: (mean(second) - level) / SEASON as f64,
            season: first.map(|value| value - level),
            next: 0,
            squared_errors: 0.0,
            errors: 0,
        };
        for value in rest {
            fit.see(*value);
        }
        Some(fit)
    }

    fn see(&mut self, value: f64) {
        let Parameters {
            alpha,
            beta,
            gamma,
            phi,
        } = self.parameters;
        let (level, trend, season) = (self.level, phi * self.trend, self.season[self.next]);
        let error = value - level - trend - season;
        self.level = level + trend + alpha * error;
        self.trend = trend + beta * error;
        self.season[self.next] = season + gamma * error;
        self.next = (self.next + 1) % SEASON;
        self.squared_errors += error * error;
        self.errors += 1;
    }

    /// The value of the `ahead`-th day to come; 1 is the first.
    pub fn day(&self, ahead: usize) -> f64 {
        let damped: f64 = (1..=ahead)
            .map(|power| self.parameters.phi.powi(power as i32))
            .sum();
        self.level + damped * self.trend + self.season[(self.next + ahead - 1) % SEASON]
    }

    /// Standard deviation of the total of `days` days that begin after `skip` days.
    pub fn total_deviation(&self, skip: usize, days: usize) -> f64 {
        let variance = self.squared_errors / self.errors.max(1) as f64;
        variance.sqrt() * self.parameters.total_deviation(skip, days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed in the reference, 6.7; there confirmed by a simulation of 20,000 paths (46.0).
    #[test]
    fn reference_vector_of_the_deviation_of_a_months_total() {
        let parameters = Parameters {
            alpha: 0.2,
            beta: 0.02,
            gamma: 0.1,
            phi: 1.0,
        };
        assert_eq!(format!("{:.2}", parameters.total_deviation(0, 30)), "45.87");
    }

    /// The recursion of the reference in its usual form, where the trend and the season are weighed means,
    /// says the same as the errors do.
    #[test]
    fn error_correction_is_the_usual_recursion() {
        let parameters = Parameters {
            alpha: 0.3,
            beta: 0.06,
            gamma: 0.2,
            phi: 0.9,
        };
        let history: Vec<f64> = (0..60)
            .map(|day| f64::from((day * 37) % 101) + f64::from(day))
            .collect();
        let fit = Fit::new(&history, parameters).unwrap();
        let mean = |days: &[f64]| days.iter().sum::<f64>() / 7.0;
        let (mut level, mut trend) = (
            mean(&history[..7]),
            (mean(&history[7..14]) - mean(&history[..7])) / 7.0,
        );
        let mut season: Vec<f64> = history[..7].iter().map(|value| value - level).collect();
        for (day, value) in history.iter().enumerate().skip(7) {
            let expected = level + 0.9 * trend;
            let new_level = 0.3 * (value - season[day - 7]) + 0.7 * expected;
            let new_trend = 0.2 * (new_level - level) + 0.8 * 0.9 * trend;
            season.push(0.2 * (value - expected) + 0.8 * season[day - 7]);
            (level, trend) = (new_level, new_trend);
        }
        for ahead in 1..=10 {
            let damped: f64 = (1..=ahead).map(|power| 0.9_f64.powi(power as i32)).sum();
            let season = season[history.len() - 7 + (ahead - 1) % 7];
            let usual = level + damped * trend + season;
            assert!(
                (fit.day(ahead) - usual).abs() < 1e-9,
                "{ahead}: {} {usual}",
                fit.day(ahead)
            );
        }
    }

    #[test]
    fn two_seasons_are_needed() {
        assert_eq!(Fit::best(&[1.0; 13]), None);
        assert!(Fit::best(&[1.0; 14]).is_some());
    }
}
