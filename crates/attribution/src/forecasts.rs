//! What this month and the next will bring, made each night from the days that are over.

use chrono::{Datelike, NaiveDate};
use rastro_core::dataset::DatasetId;
use rastro_core::forecast::forecast;
use rastro_core::month::Month;
use rastro_store::{DailyRevenue, NewForecast, Store, StoreError};

/// Three years: two of them for the season of a year, and one to test it on.
const MOST_DAYS: i32 = 1_096;

/// Makes and keeps the forecasts of a dataset, by currency. Of less than four weeks of revenue there is none.
///
/// # Errors
/// When the database fails.
pub async fn forecast_revenue(store: &Store, dataset: DatasetId, today: NaiveDate) -> Result<(), StoreError> {
    for revenue in store.daily_revenue(dataset, today, MOST_DAYS).await? {
        let this = Month::of(today);
        for (month, actual_minor, skip, days) in months(&revenue, this, today) {
            let Some(rest) = forecast(&revenue.net_minor, skip, days) else {
                continue;
            };
            let new = NewForecast {
                currency: &revenue.currency,
                month,
                made_on: today,
                actual_minor,
                rest: &rest,
            };
            store.put_forecast(dataset, &new).await?;
        }
    }
    Ok(())
}

/// Of this month and the next: its first day, what it brought before today, and which days of it are still to
/// come, today included: so many after today, and how many.
fn months(revenue: &DailyRevenue, this: Month, today: NaiveDate) -> Vec<(NaiveDate, i64, usize, usize)> {
    let first_days = (
        this.first_day(),
        this.next().first_day(),
        this.next().next().first_day(),
    );
    let (Some(first), Some(next), Some(after_next)) = first_days else {
        return Vec::new();
    };
    let length = |from: NaiveDate, until: NaiveDate| usize::try_from((until - from).num_days()).unwrap_or(0);
    let gone = today.day0() as usize;
    // Days before the first revenue brought nothing.
    let actual: i64 = revenue.net_minor.iter().rev().take(gone).sum();
    let left = length(today, next);
    vec![
        (first, actual, 0, left),
        (next, 0, left, length(next, after_next)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_month_is_what_was_and_what_is_left_and_the_next_is_whole() {
        let revenue = DailyRevenue {
            currency: "BRL".to_owned(),
            first_day: "2026-11-20".parse().unwrap(),
            net_minor: vec![1, 2, 3, 4, 5, 6, 7, 8],
        };
        let today: NaiveDate = "2026-11-28".parse().unwrap();
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let expected = vec![(day("2026-11-01"), 36, 0, 3), (day("2026-12-01"), 0, 3, 31)];
        assert_eq!(months(&revenue, Month::of(today), today), expected);
        let first: NaiveDate = "2026-12-01".parse().unwrap();
        assert_eq!(
            months(&revenue, Month::of(first), first)[0],
            (day("2026-12-01"), 0, 0, 31)
        );
    }
}
