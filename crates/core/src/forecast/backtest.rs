//! Rolling origins: what a method would have said on days of the past, against what came.

use super::methods::Method;

/// A week apart: each origin has another week of the horizon's end, and all have the same weekday.
pub(super) const STEP_DAYS: usize = 7;
/// The tenth and ninetieth percentile of fewer ratios are their extremes.
pub(super) const LEAST_ORIGINS: usize = 9;
/// Half a year of origins; older ones tell of another business.
const MOST_ORIGINS: usize = 26;

/// How a method did.
#[derive(Clone, Debug, PartialEq)]
pub struct BackTest {
    pub origins: usize,
    /// Sum of absolute errors of the totals over the sum of the totals.
    pub wape: f64,
    /// Mean of the absolute errors relative to each total that was above zero; `None`: there was none.
    pub mape: Option<f64>,
    /// Tenth and ninetieth percentile of actual over forecast. `None`: fewer than nine origins.
    pub quantiles: Option<(f64, f64)>,
    /// Share of origins within the interval that the others give.
    pub coverage: Option<f64>,
}

/// Over origins at which every candidate has enough history, so that all are judged by the same days. `None`:
/// there is none.
pub(super) fn run(
    method: Method,
    candidates: &[Method],
    history: &[f64],
    skip: usize,
    days: usize,
) -> Option<BackTest> {
    let least = candidates.iter().map(|method| method.least_days()).max()?;
    let newest = history.len().checked_sub(skip + days)?;
    let origins = (0..MOST_ORIGINS).map_while(|step| newest.checked_sub(step * STEP_DAYS));
    let pairs: Vec<(f64, f64)> = origins
        .take_while(|origin| *origin >= least)
        .map(|origin| {
            let actual: f64 = history[origin + skip..origin + skip + days].iter().sum();
            (actual, method.estimate(&history[..origin], skip, days).total)
        })
        .collect();
    if pairs.is_empty() {
        return None;
    }
    let errors: f64 = pairs
        .iter()
        .map(|(actual, forecast)| (actual - forecast).abs())
        .sum();
    let actuals: f64 = pairs.iter().map(|(actual, _)| actual.abs()).sum();
    let relative: Vec<f64> = pairs
        .iter()
        .filter(|(actual, _)| *actual > 0.0)
        .map(|(actual, forecast)| (actual - forecast).abs() / actual)
        .collect();
    let ratios: Vec<f64> = pairs
        .iter()
        .filter(|(_, forecast)| *forecast > 0.0)
        .map(|(actual, forecast)| actual / forecast)
        .collect();
    Some(BackTest {
        origins: pairs.len(),
        wape: match actuals > 0.0 {
            true => errors / actuals,
            // Nothing came: right is who said so.
            false if errors > 0.0 => f64::INFINITY,
            false => 0.0,
        },
        mape: (!relative.is_empty()).then(|| relative.iter().sum::<f64>() / relative.len() as f64),
        quantiles: quantiles(&ratios),
        coverage: coverage(&ratios),
    })
}

fn quantiles(ratios: &[f64]) -> Option<(f64, f64)> {
    if ratios.len() < LEAST_ORIGINS {
        return None;
    }
    let mut sorted = ratios.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some((quantile(&sorted, 0.1), quantile(&sorted, 0.9)))
}

/// Between the two neighbours, in proportion (Hyndman and Fan's type 7).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

fn coverage(ratios: &[f64]) -> Option<f64> {
    let within = |left_out: usize| {
        let mut others = ratios.to_vec();
        let own = others.remove(left_out);
        quantiles(&others).map(|(low, high)| low <= own && own <= high)
    };
    let within: Option<Vec<bool>> = (0..ratios.len()).map(within).collect();
    let within = within.filter(|within| !within.is_empty())?;
    Some(within.iter().filter(|within| **within).count() as f64 / within.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// numpy.quantile([1..9], [0.1, 0.9]) is 1.8 and 8.2.
    #[test]
    fn quantiles_are_between_neighbours() {
        let ratios: Vec<f64> = (1..=9).rev().map(f64::from).collect();
        let (low, high) = quantiles(&ratios).unwrap();
        assert!((low - 1.8).abs() < 1e-12 && (high - 8.2).abs() < 1e-12);
        assert_eq!(quantiles(&ratios[..8]), None);
    }

    #[test]
    fn a_wrong_forecast_is_measured_by_the_totals() {
        // Weeks of 70, 70, 140: forecast as the week before.
        let history: Vec<f64> = (0..42).map(|day| if day < 35 { 10.0 } else { 20.0 }).collect();
        let test = run(Method::SeasonalNaive, &[Method::SeasonalNaive], &history, 0, 7).unwrap();
        // At the origins 35 and 28: 140 for 70, and 70 for 70.
        assert_eq!(test.origins, 2);
        assert!((test.wape - 70.0 / 210.0).abs() < 1e-12);
        assert_eq!(
            (test.mape, test.quantiles, test.coverage),
            (Some(0.25), None, None)
        );
        assert_eq!(
            run(Method::SeasonalNaive, &[Method::SeasonalNaive], &history, 0, 15),
            None
        );
    }
}
