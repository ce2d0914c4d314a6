//! `reconciliation_runs` and `reconciliation_findings`: comparisons of an account's payments with ours, cent
//! by cent.
//!
//! A comparison goes through its window slice by slice. What a slice holds is counted and the cursor moved in
//! one commit; what of it is brought into the books is committed payment by payment, with the finding that
//! says what was there before. A comparison that is killed goes on at its cursor, and its sums are those of
//! one that was not.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::statement::Prepare;

/// How often a comparison is made, and how far back it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ComparisonKind {
    Hourly,
    Nightly,
    Weekly,
    /// On demand.
    Manual,
}

impl ComparisonKind {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            ComparisonKind::Hourly => "hourly",
            ComparisonKind::Nightly => "nightly",
            ComparisonKind::Weekly => "weekly",
            ComparisonKind::Manual => "manual",
        }
    }
}

/// A comparison to begin.
#[derive(Clone, Debug)]
pub struct NewComparison {
    pub dataset_id: DatasetId,
    pub account_id: i64,
    pub kind: ComparisonKind,
    /// `date_created` or `date_last_updated`.
    pub window_of: &'static str,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

/// A comparison that is ours until its lease ends.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub dataset_id: DatasetId,
    pub run_id: i64,
    pub account_id: i64,
    pub window_of: String,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// Everything before it is compared.
    pub cursor: DateTime<Utc>,
    fence: i64,
}

/// The sums of a slice, in the account's currency. What differed is summed from its findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceSums {
    /// Payments whose revenue is the same there and here.
    pub equal_count: i64,
    pub equal_minor: i64,
    /// What the books say when the slice is done.
    pub after_minor: i64,
}

/// A kind of difference, or of what is worth a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FindingKind {
    MissingLocal,
    MissingRemote,
    StatusDrift,
    AmountDrift,
    Unattributed,
    DuplicateReference,
    FeeDrift,
    ConversionGap,
    Currency,
    TestMode,
    Unreadable,
}

impl FindingKind {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            FindingKind::MissingLocal => "missing_local",
            FindingKind::MissingRemote => "missing_remote",
            FindingKind::StatusDrift => "status_drift",
            FindingKind::AmountDrift => "amount_drift",
            FindingKind::Unattributed => "unattributed",
            FindingKind::DuplicateReference => "duplicate_reference",
            FindingKind::FeeDrift => "fee_drift",
            FindingKind::ConversionGap => "conversion_gap",
            FindingKind::Currency => "currency",
            FindingKind::TestMode => "test_mode",
            FindingKind::Unreadable => "unreadable",
        }
    }
}

/// What was done about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingAction {
    /// The books were brought to it.
    Applied,
    /// It is for a person.
    Listed,
    /// The conversion was sent after all.
    Resent,
}

impl FindingAction {
    fn as_str(self) -> &'static str {
        match self {
            FindingAction::Applied => "applied",
            FindingAction::Listed => "listed",
            FindingAction::Resent => "resent",
        }
    }
}

/// Something a comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub run_id: i64,
    pub payment_id: String,
    pub kind: FindingKind,
    /// What of the payment is revenue there and was here. Equal where another finding of the payment carries
    /// the difference.
    pub remote_minor: i64,
    pub local_minor: i64,
    pub action: FindingAction,
    /// Without personal data.
    pub detail: String,
    /// Where the slice of the comparison begins that it was made in. `None`: of a report, which has none.
    pub slice_from: Option<DateTime<Utc>>,
}

impl Finding {
    /// Whether its payment is in the sums of its slice by this finding: [`Store::count_slice`] says the same.
    pub fn is_counted(&self) -> bool {
        self.remote_minor != self.local_minor
            || matches!(self.kind, FindingKind::MissingRemote | FindingKind::MissingLocal)
    }
}

/// A payment as it is stored, with what is booked of it.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct LocalPayment {
    #[diesel(sql_type = Text)]
    pub payment_id: String,
    #[diesel(sql_type = Text)]
    pub status: String,
    #[diesel(sql_type = Text)]
    pub status_detail: String,
    #[diesel(sql_type = Text)]
    pub books: String,
    #[diesel(sql_type = Text)]
    pub currency: String,
    #[diesel(sql_type = BigInt)]
    pub amount_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub refunded_minor: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub net_minor: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub fee_minor: Option<i64>,
    #[diesel(sql_type = Timestamptz)]
    pub updated_at: DateTime<Utc>,
    /// By an order's clock, and not by the payment's own.
    #[diesel(sql_type = Bool)]
    pub told_by_order: bool,
    #[diesel(sql_type = Text)]
    pub conversion: String,
    #[diesel(sql_type = Bool)]
    pub has_lead: bool,
    /// In which its order was paid, too, if there are any.
    #[diesel(sql_type = Nullable<Text>)]
    pub other_currencies: Option<String>,
    /// The sum of its movements.
    #[diesel(sql_type = BigInt)]
    pub booked_minor: i64,
    /// How many of its order's payments are paid, this one included.
    #[diesel(sql_type = BigInt)]
    pub paid_of_order: i64,
    /// Why its event did not reach Meta, if it is a dead letter.
    #[diesel(sql_type = Nullable<Text>)]
    pub dead_letter: Option<String>,
}

/// A finished comparison with what it found, as it is shown.
#[derive(Clone, Debug, QueryableByName)]
pub struct Ledger {
    #[diesel(sql_type = BigInt)]
    pub run_id: i64,
    #[diesel(sql_type = BigInt)]
    pub account_id: i64,
    #[diesel(sql_type = Text)]
    pub kind: String,
    #[diesel(sql_type = Text)]
    pub state: String,
    #[diesel(sql_type = Timestamptz)]
    pub window_from: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub window_to: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    pub remote_count: i64,
    #[diesel(sql_type = BigInt)]
    pub remote_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub local_count: i64,
    #[diesel(sql_type = BigInt)]
    pub local_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub after_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub difference_minor: i64,
    #[diesel(sql_type = Nullable<Text>)]
    pub problem: Option<String>,
}

#[derive(QueryableByName)]
struct ComparisonRow {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = BigInt)]
    run_id: i64,
    #[diesel(sql_type = BigInt)]
    account_id: i64,
    #[diesel(sql_type = Text)]
    window_of: String,
    #[diesel(sql_type = Timestamptz)]
    window_from: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    window_to: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    cursor_at: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    fence: i64,
}

impl ComparisonRow {
    fn read(self) -> Result<Comparison, StoreError> {
        Ok(Comparison {
            dataset_id: dataset_id(self.dataset_id)?,
            run_id: self.run_id,
            account_id: self.account_id,
            window_of: self.window_of,
            from: self.window_from,
            to: self.window_to,
            cursor: self.cursor_at,
            fence: self.fence,
        })
    }
}

impl Store {
    /// Up to when an account's payments were last compared in whole, by a comparison of this kind.
    pub async fn compared_until(
        &self,
        dataset: DatasetId,
        account_id: i64,
        kind: ComparisonKind,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Nullable<Timestamptz>)]
            until: Option<DateTime<Utc>>,
        }
        let row: Row = sql_query(
            "SELECT max(window_to) AS until FROM reconciliation_runs
             WHERE dataset_id = $1 AND account_id = $2 AND kind = $3 AND state = 'complete'",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<BigInt, _>(account_id)
        .bind::<Text, _>(kind.as_str())
        .get_result(&mut self.connection().await?)
        .await?;
        Ok(row.until)
    }

    /// Takes over the account's comparison of this kind that nobody goes on with, whatever its window.
    /// `None`: there is none.
    pub async fn resume_comparison(
        &self,
        dataset: DatasetId,
        account_id: i64,
        kind: ComparisonKind,
        lease_seconds: i64,
    ) -> Result<Option<Comparison>, StoreError> {
        let row: Option<ComparisonRow> = sql_query(include_str!("sql/resume_comparison.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<BigInt, _>(account_id)
            .bind::<Text, _>(kind.as_str())
            .bind::<BigInt, _>(lease_seconds)
            .get_result(&mut self.connection().await?)
            .await
            .optional()?;
        row.map(ComparisonRow::read).transpose()
    }

    /// Begins a comparison. `None`: one of this kind is under way.
    pub async fn begin_comparison(
        &self,
        new: &NewComparison,
        lease_seconds: i64,
    ) -> Result<Option<Comparison>, StoreError> {
        let row: Option<ComparisonRow> = sql_query(include_str!("sql/begin_comparison.sql"))
            .bind::<BigInt, _>(new.dataset_id.as_i64())
            .bind::<BigInt, _>(new.account_id)
            .bind::<Text, _>(new.kind.as_str())
            .bind::<Text, _>(new.window_of)
            .bind::<Timestamptz, _>(new.from)
            .bind::<Timestamptz, _>(new.to)
            .bind::<BigInt, _>(lease_seconds)
            .get_result(&mut self.connection().await?)
            .await
            .optional()?;
        row.map(ComparisonRow::read).transpose()
    }

    /// Counts a slice and moves the cursor behind it, if the comparison is still ours, and says whether it
    /// is. At the end of the window it is complete.
    pub async fn count_slice(
        &self,
        comparison: &mut Comparison,
        until: DateTime<Utc>,
        sums: &SliceSums,
        lease_seconds: i64,
    ) -> Result<bool, StoreError> {
        let counted = sql_query(include_str!("sql/count_slice.sql"))
            .bind::<BigInt, _>(comparison.dataset_id.as_i64())
            .bind::<BigInt, _>(comparison.run_id)
            .bind::<BigInt, _>(comparison.fence)
            .bind::<Timestamptz, _>(comparison.cursor)
            .bind::<Timestamptz, _>(until)
            .bind::<BigInt, _>(sums.equal_count)
            .bind::<BigInt, _>(sums.equal_minor)
            .bind::<BigInt, _>(sums.after_minor)
            .bind::<BigInt, _>(lease_seconds)
            .execute(&mut self.connection().await?)
            .await?;
        if counted == 1 {
            comparison.cursor = until;
        }
        Ok(counted == 1)
    }

    /// Leaves a comparison to whoever goes on with it, if it is still ours.
    pub async fn release_comparison(&self, comparison: &Comparison) -> Result<(), StoreError> {
        sql_query(
            "UPDATE reconciliation_runs SET lease_until = rastro_now()
             WHERE dataset_id = $1 AND run_id = $2 AND fence = $3 AND state = 'running'",
        )
        .bind::<BigInt, _>(comparison.dataset_id.as_i64())
        .bind::<BigInt, _>(comparison.run_id)
        .bind::<BigInt, _>(comparison.fence)
        .execute(&mut self.connection().await?)
        .await?;
        Ok(())
    }

    /// Says why the account's comparison of this kind does not come to its end, for whoever reads the books.
    /// The next slice that is counted takes it back. `problem`: without personal data.
    pub async fn note_problem(
        &self,
        dataset: DatasetId,
        account_id: i64,
        kind: ComparisonKind,
        problem: &str,
    ) -> Result<(), StoreError> {
        sql_query(include_str!("sql/note_problem.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<BigInt, _>(account_id)
            .bind::<Text, _>(kind.as_str())
            .bind::<Text, _>(problem)
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
    }

    /// What we have of these payments.
    pub async fn local_payments(
        &self,
        dataset: DatasetId,
        ids: &[&str],
    ) -> Result<HashMap<String, LocalPayment>, StoreError> {
        let rows: Vec<LocalPayment> = sql_query(include_str!("sql/local_payments.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Array<Text>, _>(ids)
            .prepared()
            .load(&mut self.connection().await?)
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.payment_id.clone(), row))
            .collect())
    }

    /// The ids of payments that we have of an account, created in this window (its end included).
    pub async fn payments_created(
        &self,
        dataset: DatasetId,
        account_id: i64,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<String>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            payment_id: String,
        }
        let rows: Vec<Row> = sql_query(
            "SELECT payment_id FROM payments
             WHERE dataset_id = $1 AND account_id = $2 AND created_at BETWEEN $3 AND $4",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<BigInt, _>(account_id)
        .bind::<Timestamptz, _>(from)
        .bind::<Timestamptz, _>(to)
        .load(&mut self.connection().await?)
        .await?;
        Ok(rows.into_iter().map(|row| row.payment_id).collect())
    }

    /// Payments of the slice at the cursor that a finding counts already, made before the comparison was
    /// interrupted; and whether that finding carries a difference.
    pub async fn found_before(&self, comparison: &Comparison) -> Result<HashMap<String, bool>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            payment_id: String,
            #[diesel(sql_type = Bool)]
            differs: bool,
        }
        let rows: Vec<Row> = sql_query(include_str!("sql/found_before.sql"))
            .bind::<BigInt, _>(comparison.dataset_id.as_i64())
            .bind::<BigInt, _>(comparison.run_id)
            .bind::<Timestamptz, _>(comparison.cursor)
            .load(&mut self.connection().await?)
            .await?;
        let found = rows.into_iter().map(|row| (row.payment_id, row.differs));
        Ok(found.collect())
    }

    /// Keeps findings that change nothing in the books. A difference that was found before stays as it was.
    pub async fn list_findings(&self, dataset: DatasetId, findings: &[Finding]) -> Result<(), StoreError> {
        add_findings(&*self.connection().await?, dataset, findings).await
    }

    /// Deletes what comparisons found more than so many days ago, at most `limit`; returns how many. Their
    /// sums stay.
    pub async fn forget_findings(&self, days: i32, limit: i64) -> Result<usize, StoreError> {
        let forgotten = sql_query(include_str!("sql/forget_findings.sql"))
            .bind::<Integer, _>(days)
            .bind::<BigInt, _>(limit)
            .prepared()
            .execute(&mut self.connection().await?)
            .await?;
        Ok(forgotten)
    }

    /// The newest comparisons of an account, the newest first.
    pub async fn comparisons(&self, account_id: i64, limit: i64) -> Result<Vec<Ledger>, StoreError> {
        let rows = sql_query(include_str!("sql/comparisons.sql"))
            .bind::<BigInt, _>(account_id)
            .bind::<BigInt, _>(limit)
            .load(&mut self.connection().await?)
            .await?;
        Ok(rows)
    }

    /// What a comparison found: of each kind how many, and the sum of their differences.
    pub async fn findings_by_kind(
        &self,
        dataset: DatasetId,
        run_id: i64,
    ) -> Result<Vec<(String, i64, i64)>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            finding: String,
            #[diesel(sql_type = BigInt)]
            count: i64,
            #[diesel(sql_type = BigInt)]
            difference_minor: i64,
        }
        let rows: Vec<Row> = sql_query(
            "SELECT finding, count(*) AS count, sum(remote_minor - local_minor)::bigint AS difference_minor
             FROM reconciliation_findings WHERE dataset_id = $1 AND run_id = $2 GROUP BY finding ORDER BY finding",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<BigInt, _>(run_id)
        .load(&mut self.connection().await?)
        .await?;
        let found = |row: Row| (row.finding, row.count, row.difference_minor);
        Ok(rows.into_iter().map(found).collect())
    }
}

pub(crate) async fn add_findings(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    findings: &[Finding],
) -> Result<(), StoreError> {
    if findings.is_empty() {
        return Ok(());
    }
    fn of<'f, T>(findings: &'f [Finding], value: impl Fn(&'f Finding) -> T) -> Vec<T> {
        findings.iter().map(value).collect()
    }
    sql_query(include_str!("sql/add_findings.sql"))
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Array<BigInt>, _>(of(findings, |finding| finding.run_id))
        .bind::<Array<Text>, _>(of(findings, |finding| finding.payment_id.as_str()))
        .bind::<Array<Text>, _>(of(findings, |finding| finding.kind.as_str()))
        .bind::<Array<BigInt>, _>(of(findings, |finding| finding.remote_minor))
        .bind::<Array<BigInt>, _>(of(findings, |finding| finding.local_minor))
        .bind::<Array<Text>, _>(of(findings, |finding| finding.action.as_str()))
        .bind::<Array<Text>, _>(of(findings, |finding| finding.detail.as_str()))
        .bind::<Array<Nullable<Timestamptz>>, _>(of(findings, |finding| finding.slice_from))
        .prepared()
        .execute(&mut connection)
        .await?;
    Ok(())
}
