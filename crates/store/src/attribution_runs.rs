//! `attribution_runs` and `attribution_state`: how far crediting has come, so that it goes on there after
//! whatever stopped it.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::{BigInt, Date, Integer, Jsonb, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension, QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use rastro_core::attribution::RULES_VERSION;
use rastro_core::attribution::markov::RemovalEffects;
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// Why orders are credited again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    /// Somebody asked.
    Recompute,
    /// Each night, for touches that were told late.
    Sweep,
}

impl RunKind {
    fn as_str(self) -> &'static str {
        match self {
            RunKind::Recompute => "recompute",
            RunKind::Sweep => "sweep",
        }
    }
}

/// A run that is under way.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct AttributionRun {
    #[diesel(sql_type = BigInt)]
    pub run_id: i64,
    /// Orders placed before it are left as they are.
    #[diesel(sql_type = Date)]
    pub from_day: NaiveDate,
    /// Orders up to this one are done.
    #[diesel(sql_type = Text)]
    pub cursor_order_id: String,
    #[diesel(sql_type = BigInt)]
    pub orders_seen: i64,
    #[diesel(sql_type = BigInt)]
    pub orders_changed: i64,
}

/// How far the service has come with a dataset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttributionState {
    pub followed_until: Option<DateTime<Utc>>,
    pub swept_on: Option<NaiveDate>,
    /// The time zone whose days credits and sums are filed under.
    pub filed_by: Option<String>,
    pub effects: Option<RemovalEffects>,
}

/// A moment, and the day it is for a business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportingDay {
    pub now: DateTime<Utc>,
    pub today: NaiveDate,
    /// By its IANA name.
    pub time_zone: String,
}

impl Store {
    /// The unfinished run of this kind, or a new one. Of an unfinished one with other rules or settings
    /// nothing is gone on with: it begins again.
    pub async fn open_attribution_run(
        &self,
        dataset: DatasetId,
        kind: RunKind,
        from: NaiveDate,
        settings: &serde_json::Value,
    ) -> Result<AttributionRun, StoreError> {
        let run = sql_query(
            "INSERT INTO attribution_runs AS run (dataset_id, kind, from_day, rules_version, settings, started_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, rastro_now(), rastro_now())
             ON CONFLICT (dataset_id, kind) WHERE finished_at IS NULL DO UPDATE SET updated_at = excluded.updated_at,
                 from_day = $3, rules_version = $4, settings = $5,
                 cursor_order_id = CASE WHEN run.settings = $5 AND run.rules_version = $4 AND run.from_day <= $3
                     THEN run.cursor_order_id ELSE '' END,
                 orders_seen = CASE WHEN run.settings = $5 AND run.rules_version = $4 AND run.from_day <= $3
                     THEN run.orders_seen ELSE 0 END,
                 orders_changed = CASE WHEN run.settings = $5 AND run.rules_version = $4 AND run.from_day <= $3
                     THEN run.orders_changed ELSE 0 END
             RETURNING run_id, from_day, cursor_order_id, orders_seen, orders_changed",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Text, _>(kind.as_str())
        .bind::<Date, _>(from)
        .bind::<Integer, _>(RULES_VERSION)
        .bind::<Jsonb, _>(settings)
        .get_result(&mut self.connection().await?)
        .await?;
        Ok(run)
    }

    /// Remembers how far a run has come. After the orders themselves: those are credited again, to no effect,
    /// if this is lost.
    pub async fn advance_attribution_run(
        &self,
        dataset: DatasetId,
        run: &AttributionRun,
        finished: bool,
    ) -> Result<(), StoreError> {
        sql_query(
            "UPDATE attribution_runs SET cursor_order_id = $3, orders_seen = $4, orders_changed = $5, updated_at = rastro_now(),
                 finished_at = CASE WHEN $6 THEN rastro_now() END
             WHERE dataset_id = $1 AND run_id = $2",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<BigInt, _>(run.run_id)
        .bind::<Text, _>(&run.cursor_order_id)
        .bind::<BigInt, _>(run.orders_seen)
        .bind::<BigInt, _>(run.orders_changed)
        .bind::<diesel::sql_types::Bool, _>(finished)
        .prepared()
        .execute(&mut self.connection().await?)
        .await?;
        Ok(())
    }

    /// About how many orders a recomputation will look at: what was recorded, and payments that were not.
    pub async fn count_orders(&self, dataset: DatasetId) -> Result<i64, StoreError> {
        #[derive(QueryableByName)]
        struct Count {
            #[diesel(sql_type = BigInt)]
            orders: i64,
        }
        let count: Count = sql_query(
            "SELECT count(*) AS orders FROM (
                 SELECT order_id FROM payments WHERE dataset_id = $1
                 UNION SELECT order_id FROM purchases WHERE dataset_id = $1
             ) AS orders",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .get_result(&mut self.connection().await?)
        .await?;
        Ok(count.orders)
    }

    pub async fn attribution_state(&self, dataset: DatasetId) -> Result<AttributionState, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Nullable<Timestamptz>)]
            followed_until: Option<DateTime<Utc>>,
            #[diesel(sql_type = Nullable<Date>)]
            swept_on: Option<NaiveDate>,
            #[diesel(sql_type = Nullable<Text>)]
            filed_by: Option<String>,
            #[diesel(sql_type = Nullable<Jsonb>)]
            removal_effects: Option<serde_json::Value>,
        }
        let row: Option<Row> = sql_query(
            "SELECT followed_until, swept_on, filed_by, removal_effects FROM attribution_state WHERE dataset_id = $1",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .prepared()
        .get_result(&mut self.connection().await?)
        .await
        .optional()?;
        let Some(row) = row else {
            return Ok(AttributionState::default());
        };
        let effects = row.removal_effects.map(serde_json::from_value).transpose();
        Ok(AttributionState {
            followed_until: row.followed_until,
            swept_on: row.swept_on,
            filed_by: row.filed_by,
            effects: effects.map_err(|_| StoreError::Invalid {
                what: "removal effects",
            })?,
        })
    }

    /// Remembers that all changes before `until` are credited.
    pub async fn note_followed(&self, dataset: DatasetId, until: DateTime<Utc>) -> Result<(), StoreError> {
        sql_query(
            "INSERT INTO attribution_state (dataset_id, followed_until) VALUES ($1, $2)
             ON CONFLICT (dataset_id) DO UPDATE SET followed_until = $2",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Timestamptz, _>(until)
        .prepared()
        .execute(&mut self.connection().await?)
        .await?;
        Ok(())
    }

    /// Remembers that everything is credited as of today, and filed under the days of its time zone.
    pub async fn note_swept(&self, dataset: DatasetId, day: &ReportingDay) -> Result<(), StoreError> {
        sql_query(
            "INSERT INTO attribution_state (dataset_id, swept_on, filed_by) VALUES ($1, $2, $3)
             ON CONFLICT (dataset_id) DO UPDATE SET swept_on = $2, filed_by = $3",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Date, _>(day.today)
        .bind::<Text, _>(&day.time_zone)
        .prepared()
        .execute(&mut self.connection().await?)
        .await?;
        Ok(())
    }

    /// Keeps what the Markov model learnt. `None`: there was not the volume.
    pub async fn note_effects(
        &self,
        dataset: DatasetId,
        effects: Option<&RemovalEffects>,
    ) -> Result<(), StoreError> {
        let effects = effects.map(serde_json::to_value).transpose();
        let effects = effects.map_err(|_| StoreError::Invalid {
            what: "removal effects",
        })?;
        sql_query(
            "INSERT INTO attribution_state (dataset_id, removal_effects, learnt_at) VALUES ($1, $2, rastro_now())
             ON CONFLICT (dataset_id) DO UPDATE SET removal_effects = $2, learnt_at = excluded.learnt_at",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Nullable<Jsonb>, _>(effects)
        .execute(&mut self.connection().await?)
        .await?;
        Ok(())
    }

    /// Now and today as the database sees them; the day is one of the time zone.
    pub async fn reporting_now(&self, time_zone: &str) -> Result<(DateTime<Utc>, NaiveDate), StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Timestamptz)]
            now: DateTime<Utc>,
            #[diesel(sql_type = Date)]
            today: NaiveDate,
        }
        let row: Row = sql_query("SELECT rastro_now() AS now, (rastro_now() AT TIME ZONE $1)::date AS today")
            .bind::<Text, _>(time_zone)
            .prepared()
            .get_result(&mut self.connection().await?)
            .await?;
        Ok((row.now, row.today))
    }

    /// Now and today for a dataset, in its own time zone.
    pub async fn reporting_day(&self, dataset: DatasetId) -> Result<ReportingDay, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            time_zone: String,
        }
        let row: Row = sql_query("SELECT time_zone FROM datasets WHERE dataset_id = $1")
            .bind::<BigInt, _>(dataset.as_i64())
            .prepared()
            .get_result(&mut self.connection().await?)
            .await?;
        let (now, today) = self.reporting_now(&row.time_zone).await?;
        Ok(ReportingDay {
            now,
            today,
            time_zone: row.time_zone,
        })
    }

    /// Before it nothing happened that is filed under a day, wherever that day begins. `None`: nothing did.
    pub async fn first_filed_day(&self, dataset: DatasetId) -> Result<Option<NaiveDate>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Nullable<Date>)]
            day: Option<NaiveDate>,
        }
        let row: Row = sql_query(
            "SELECT least(
                (SELECT min(created_at) FROM leads WHERE dataset_id = $1),
                (SELECT min(placed_at) FROM credited_orders WHERE dataset_id = $1),
                (SELECT min(occurred_at) FROM purchase_movements WHERE dataset_id = $1)
            )::date - 2 AS day",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .get_result(&mut self.connection().await?)
        .await?;
        Ok(row.day)
    }

    /// Every dataset, by number.
    pub async fn dataset_ids(&self) -> Result<Vec<DatasetId>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            dataset_id: i64,
        }
        let rows: Vec<Row> = sql_query("SELECT dataset_id FROM datasets ORDER BY dataset_id")
            .prepared()
            .load(&mut self.connection().await?)
            .await?;
        rows.into_iter()
            .map(|row| {
                row.dataset_id
                    .try_into()
                    .map_err(|_| StoreError::Invalid { what: "dataset id" })
            })
            .collect()
    }
}
