//! `revenue_forecasts`: what a month will bring, as it was said on each day, and the daily sums that it is
//! made from.

use chrono::NaiveDate;
use diesel::sql_types::{BigInt, Date, Double, Integer, Nullable, Text};
use diesel::{QueryableByName, sql_query};
use rastro_core::dataset::DatasetId;
use rastro_core::forecast::Forecast;

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// Net revenue of a currency by day, without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DailyRevenue {
    pub currency: String,
    /// Of the first sum; the others are of the days after it.
    pub first_day: NaiveDate,
    pub net_minor: Vec<i64>,
}

/// A forecast of a month.
#[derive(Clone, Debug, PartialEq)]
pub struct NewForecast<'f> {
    pub currency: &'f str,
    /// First of the month.
    pub month: NaiveDate,
    pub made_on: NaiveDate,
    /// Of the month, what was there already.
    pub actual_minor: i64,
    /// Of the days to come.
    pub rest: &'f Forecast,
}

#[derive(QueryableByName)]
struct Day {
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = BigInt)]
    net_minor: i64,
}

impl Store {
    /// Net revenue of the days before `until`, from the first that brought any, at most so many days back.
    pub async fn daily_revenue(
        &self,
        dataset: DatasetId,
        until: NaiveDate,
        most_days: i32,
    ) -> Result<Vec<DailyRevenue>, StoreError> {
        let rows: Vec<Day> = sql_query(include_str!("sql/daily_revenue.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Date, _>(until)
            .bind::<Integer, _>(most_days)
            .prepared()
            .rows(self)
            .await?;
        let mut revenue: Vec<DailyRevenue> = Vec::new();
        for row in rows {
            match revenue.last_mut().filter(|last| last.currency == row.currency) {
                Some(last) => last.net_minor.push(row.net_minor),
                None => revenue.push(DailyRevenue {
                    currency: row.currency,
                    first_day: row.day,
                    net_minor: vec![row.net_minor],
                }),
            }
        }
        Ok(revenue)
    }

    /// Keeps a forecast; of the same month and day there is one.
    pub async fn put_forecast(&self, dataset: DatasetId, new: &NewForecast<'_>) -> Result<(), StoreError> {
        let rest = new.rest;
        let with_actual = |minor: i64| new.actual_minor.saturating_add(minor);
        let interval = rest.interval;
        let test = rest.back_test.as_ref();
        let finite = |share: f64| Some(share).filter(|share| share.is_finite());
        sql_query(include_str!("sql/put_forecast.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Text, _>(new.currency)
            .bind::<Date, _>(new.month)
            .bind::<Date, _>(new.made_on)
            .bind::<BigInt, _>(new.actual_minor)
            .bind::<BigInt, _>(with_actual(rest.point_minor))
            .bind::<Nullable<BigInt>, _>(interval.map(|interval| with_actual(interval.lower_minor)))
            .bind::<Nullable<BigInt>, _>(interval.map(|interval| with_actual(interval.upper_minor)))
            .bind::<Nullable<Text>, _>(interval.map(|interval| interval.basis.as_str()))
            .bind::<Text, _>(rest.method)
            .bind::<Integer, _>(i32::try_from(rest.trained_days).unwrap_or(i32::MAX))
            .bind::<Integer, _>(test.map_or(0, |test| i32::try_from(test.origins).unwrap_or(i32::MAX)))
            .bind::<Nullable<Double>, _>(test.and_then(|test| finite(test.wape)))
            .bind::<Nullable<Double>, _>(test.and_then(|test| test.mape))
            .bind::<Nullable<Double>, _>(test.and_then(|test| test.coverage))
            .prepared()
            .run(self)
            .await?;
        Ok(())
    }
}
