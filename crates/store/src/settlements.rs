//! `settlement_reports` and `payment_settlements`: what the provider's reports say was really credited. The
//! difference to what was booked is booked as a movement of its own; what was booked stays as it was.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension, QueryableByName, sql_query};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::payment::{Books, SETTLED};
use rastro_core::settlement::{Report, SettledRow};

use crate::connection::Store;
use crate::error::StoreError;
use crate::payment_accounts::PaymentAccount;
use crate::reconciliation::{Finding, FindingAction, FindingKind, add_findings};
use crate::statement::Prepare;

/// A report that was read, as it is to be imported.
#[derive(Clone, Copy, Debug)]
pub struct NewReport<'r> {
    pub file_name: &'r str,
    /// SHA-256 of the file.
    pub content_hash: [u8; 32],
    pub report: &'r Report,
}

/// What an import changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The comparison that its findings are kept with; `None`: it tells of no payment.
    pub run_id: Option<i64>,
    /// Payments that it tells of, and how many of its rows were not known.
    pub payments: i64,
    pub new_rows: i64,
    /// Payments whose fee was corrected, and by how much in all, in the smallest unit.
    pub corrected: i64,
    pub fee_minor: i64,
    /// What else differs, listed for a person.
    pub listed: i64,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    Now(Settled),
    /// The same file, whatever its name, was imported before.
    Before,
    /// The account is settled by reports of the other kind.
    OtherKind,
}

#[derive(QueryableByName)]
struct Told {
    #[diesel(sql_type = Text)]
    payment_id: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    sold_minor: Option<i64>,
    #[diesel(sql_type = BigInt)]
    fee_minor: i64,
    #[diesel(sql_type = Timestamptz)]
    settled_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Text>)]
    currency: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    books: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    own_currency: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    approved_minor: Option<i64>,
    #[diesel(sql_type = BigInt)]
    booked_fee_minor: i64,
    #[diesel(sql_type = BigInt)]
    settled: i64,
}

impl Told {
    /// By how much the booked fee is short. `None`: it is right, or the report does not say all of it.
    fn correction(&self) -> Option<i64> {
        let is_whole = self.sold_minor.is_some()
            && self.approved_minor.is_some()
            && self.books.as_deref() == Some(Books::Counted.as_str())
            && self.currency.is_some()
            && self.currency == self.own_currency;
        let short = self.fee_minor - self.booked_fee_minor;
        (is_whole && short != 0).then_some(short)
    }

    /// What of it differs beside the fee: the kind, what was sold there and here.
    fn difference(&self, account: &PaymentAccount) -> Option<(FindingKind, i64, i64, &'static str)> {
        let sold = self.sold_minor?;
        let books = self.books.as_deref();
        if books.is_some_and(|books| books != Books::Counted.as_str()) {
            return None;
        }
        let own = account.currency.as_str();
        if self.currency.as_deref() != Some(own)
            || self.own_currency.as_deref().is_some_and(|known| known != own)
        {
            let detail = "it was sold or settled in another currency than the account's";
            return Some((FindingKind::Currency, 0, 0, detail));
        }
        match self.approved_minor {
            None => Some((
                FindingKind::MissingLocal,
                sold,
                0,
                "a report has it, the books do not",
            )),
            Some(approved) if approved != sold => Some((
                FindingKind::AmountDrift,
                sold,
                approved,
                "a report tells of another price than is booked",
            )),
            Some(_) => None,
        }
    }
}

#[derive(QueryableByName)]
struct RunId {
    #[diesel(sql_type = BigInt)]
    run_id: i64,
}

#[derive(QueryableByName)]
struct PaymentId {
    #[diesel(sql_type = Text)]
    payment_id: String,
}

impl Store {
    /// Imports a report of an account, as a whole or not at all: its rows, what they correct in the books,
    /// and what differs.
    pub async fn import_report(
        &self,
        account: &PaymentAccount,
        new: &NewReport<'_>,
    ) -> Result<Imported, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| import(connection, account, new).await)
            .await
    }

    /// Books what reports said of payments that were not in the books by then, or were booked otherwise
    /// since. Returns of how many payments.
    pub async fn settle_due(&self, account: &PaymentAccount) -> Result<usize, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                let rows: Vec<PaymentId> = sql_query(include_str!("sql/unsettled_payments.sql"))
                    .bind::<BigInt, _>(account.dataset_id.as_i64())
                    .bind::<BigInt, _>(account.account_id)
                    .load(connection)
                    .await?;
                let ids: Vec<&str> = rows.iter().map(|row| row.payment_id.as_str()).collect();
                let told = told(connection, account, &ids).await?;
                book(connection, account, &told).await
            })
            .await
    }

    /// The names of an account's reports that were imported.
    pub async fn imported_reports(&self, account: &PaymentAccount) -> Result<BTreeSet<String>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            file_name: String,
        }
        let rows: Vec<Row> =
            sql_query("SELECT file_name FROM settlement_reports WHERE dataset_id = $1 AND account_id = $2")
                .bind::<BigInt, _>(account.dataset_id.as_i64())
                .bind::<BigInt, _>(account.account_id)
                .load(&mut self.connection().await?)
                .await?;
        Ok(rows.into_iter().map(|row| row.file_name).collect())
    }
}

async fn import(
    connection: &mut AsyncPgConnection,
    account: &PaymentAccount,
    new: &NewReport<'_>,
) -> Result<Imported, StoreError> {
    let (dataset, rows) = (account.dataset_id.as_i64(), &new.report.rows);
    let (first, last) = (
        rows.iter().map(|row| row.at).min(),
        rows.iter().map(|row| row.at).max(),
    );
    // One report of an account at a time: of two kinds at once only one begins.
    sql_query("SELECT FROM payment_accounts WHERE dataset_id = $1 AND account_id = $2 FOR UPDATE")
        .bind::<BigInt, _>(dataset)
        .bind::<BigInt, _>(account.account_id)
        .execute(connection)
        .await?;
    #[derive(QueryableByName)]
    struct Other {
        #[diesel(sql_type = BigInt)]
        _count: i64,
    }
    let other: Option<Other> = sql_query(
        "SELECT 1::bigint AS _count FROM settlement_reports WHERE dataset_id = $1 AND account_id = $2 AND report <> $3 LIMIT 1",
    )
    .bind::<BigInt, _>(dataset)
    .bind::<BigInt, _>(account.account_id)
    .bind::<Text, _>(new.report.kind.as_str())
    .get_result(connection)
    .await
    .optional()?;
    if other.is_some() {
        return Ok(Imported::OtherKind);
    }
    let inserted = sql_query(
        "INSERT INTO settlement_reports
            (dataset_id, account_id, content_hash, report, file_name, first_at, last_at, imported_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, rastro_now())
         ON CONFLICT (dataset_id, account_id, content_hash) DO NOTHING",
    )
    .bind::<BigInt, _>(dataset)
    .bind::<BigInt, _>(account.account_id)
    .bind::<Binary, _>(&new.content_hash[..])
    .bind::<Text, _>(new.report.kind.as_str())
    .bind::<Text, _>(new.file_name)
    .bind::<Nullable<Timestamptz>, _>(first)
    .bind::<Nullable<Timestamptz>, _>(last)
    .execute(connection)
    .await?;
    if inserted == 0 {
        return Ok(Imported::Before);
    }
    let (Some(first), Some(last)) = (first, last) else {
        return Ok(Imported::Now(Settled::default()));
    };
    let new_rows = keep(connection, account, rows).await?;
    let ids: Vec<&str> = rows
        .iter()
        .map(|row| row.payment_id.as_str())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let told = told(connection, account, &ids).await?;
    let run_id = begin_run(connection, account, &told, first, last).await?;
    let findings = findings(account, run_id, &told);
    add_findings(connection, account.dataset_id, &findings).await?;
    let corrected = book(connection, account, &told).await?;
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    Ok(Imported::Now(Settled {
        run_id: Some(run_id),
        payments: count(ids.len()),
        new_rows: count(new_rows),
        corrected: count(corrected),
        fee_minor: told.iter().filter_map(Told::correction).sum(),
        listed: count(
            findings
                .iter()
                .filter(|finding| finding.action == FindingAction::Listed)
                .count(),
        ),
    }))
}

async fn keep(
    connection: &mut AsyncPgConnection,
    account: &PaymentAccount,
    rows: &[SettledRow],
) -> Result<usize, StoreError> {
    fn of<'r, T>(rows: &'r [SettledRow], value: impl Fn(&'r SettledRow) -> T) -> Vec<T> {
        rows.iter().map(value).collect()
    }
    let kept = sql_query(include_str!("sql/keep_settlements.sql"))
        .bind::<BigInt, _>(account.dataset_id.as_i64())
        .bind::<BigInt, _>(account.account_id)
        .bind::<Array<Text>, _>(of(rows, |row| row.payment_id.as_str()))
        .bind::<Array<Text>, _>(of(rows, |row| row.row_key.as_str()))
        .bind::<Array<Text>, _>(of(rows, |row| row.kind.as_str()))
        .bind::<Array<BigInt>, _>(of(rows, |row| row.gross_minor))
        .bind::<Array<BigInt>, _>(of(rows, |row| row.net_minor))
        .bind::<Array<Nullable<Text>>, _>(of(rows, |row| {
            row.currency.map(|currency| currency.as_str().to_owned())
        }))
        .bind::<Array<Timestamptz>, _>(of(rows, |row| row.at))
        .execute(connection)
        .await?;
    Ok(kept)
}

/// What reports say of these payments; nobody changes those that we know until the transaction ends.
async fn told(
    connection: &mut AsyncPgConnection,
    account: &PaymentAccount,
    ids: &[&str],
) -> Result<Vec<Told>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    sql_query(
        "SELECT FROM payments WHERE dataset_id = $1 AND payment_id = ANY(ARRAY(
             SELECT coalesce(a.booked_as, number) FROM unnest($2) AS number
             LEFT JOIN payment_aliases a ON a.dataset_id = $1 AND a.payment_id = number
         ))
         ORDER BY payment_id FOR UPDATE",
    )
    .bind::<BigInt, _>(account.dataset_id.as_i64())
    .bind::<Array<Text>, _>(ids)
    .execute(connection)
    .await?;
    let told = sql_query(include_str!("sql/settled_payments.sql"))
        .bind::<BigInt, _>(account.dataset_id.as_i64())
        .bind::<BigInt, _>(account.account_id)
        .bind::<Array<Text>, _>(ids)
        .prepared()
        .load(connection)
        .await?;
    Ok(told)
}

/// A comparison that is complete as it begins: what was sold, as the report says, and as the books do.
async fn begin_run(
    connection: &mut AsyncPgConnection,
    account: &PaymentAccount,
    told: &[Told],
    first: DateTime<Utc>,
    last: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let own = account.currency.as_str();
    let compared = || {
        told.iter().filter(|told| {
            told.sold_minor.is_some()
                && told.currency.as_deref() == Some(own)
                && told.own_currency.as_deref().is_none_or(|known| known == own)
                && told
                    .books
                    .as_deref()
                    .is_none_or(|books| books == Books::Counted.as_str())
        })
    };
    let remote: i64 = compared().filter_map(|told| told.sold_minor).sum();
    let local: i64 = compared().filter_map(|told| told.approved_minor).sum();
    let local_count = compared().filter(|told| told.approved_minor.is_some()).count();
    let run: RunId = sql_query(
        "INSERT INTO reconciliation_runs (dataset_id, account_id, kind, window_of, window_from, window_to, cursor_at, state,
            lease_until, remote_count, remote_minor, local_count, local_minor, after_minor, difference_minor, started_at,
            finished_at)
         VALUES ($1, $2, 'report', 'settlement', $3, $4, $4, 'complete', rastro_now(), $5, $6, $7, $8, $8, $6 - $8, rastro_now(),
            rastro_now())
         RETURNING run_id",
    )
    .bind::<BigInt, _>(account.dataset_id.as_i64())
    .bind::<BigInt, _>(account.account_id)
    .bind::<Timestamptz, _>(first)
    .bind::<Timestamptz, _>(last + TimeDelta::milliseconds(1))
    .bind::<BigInt, _>(i64::try_from(compared().count()).unwrap_or(i64::MAX))
    .bind::<BigInt, _>(remote)
    .bind::<BigInt, _>(i64::try_from(local_count).unwrap_or(i64::MAX))
    .bind::<BigInt, _>(local)
    .get_result(connection)
    .await?;
    Ok(run.run_id)
}

fn findings(account: &PaymentAccount, run_id: i64, told: &[Told]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for told in told {
        let mut find = |kind, remote_minor, local_minor, action, detail: String| {
            findings.push(Finding {
                run_id,
                payment_id: told.payment_id.clone(),
                kind,
                remote_minor,
                local_minor,
                action,
                detail,
                slice_from: None,
            });
        };
        if let Some((kind, remote, local, detail)) = told.difference(account) {
            find(kind, remote, local, FindingAction::Listed, detail.to_owned());
        }
        if told.correction().is_some() {
            let sold = told.approved_minor.unwrap_or_default();
            let detail = format!(
                "fee {} was booked, {} settled",
                told.booked_fee_minor, told.fee_minor
            );
            find(FindingKind::FeeDrift, sold, sold, FindingAction::Applied, detail);
        }
    }
    findings
}

/// Books what is short; returns of how many payments. All of them are locked.
async fn book(
    connection: &mut AsyncPgConnection,
    account: &PaymentAccount,
    told: &[Told],
) -> Result<usize, StoreError> {
    let due: Vec<(&Told, i64)> = told
        .iter()
        .filter_map(|told| Some((told, told.correction()?)))
        .collect();
    if due.is_empty() {
        return Ok(0);
    }
    fn of<'t, T>(due: &[(&'t Told, i64)], value: impl Fn(&'t Told, i64) -> T) -> Vec<T> {
        due.iter().map(|&(told, short)| value(told, short)).collect()
    }
    sql_query(include_str!("sql/book_settled.sql"))
        .bind::<BigInt, _>(account.dataset_id.as_i64())
        .bind::<Array<Text>, _>(of(&due, |told, _| told.payment_id.as_str()))
        .bind::<Array<Text>, _>(of(&due, |told, _| format!("{SETTLED}{}", told.settled + 1)))
        .bind::<Array<BigInt>, _>(of(&due, |_, short| short))
        .bind::<Array<Text>, _>(of(&due, |told, _| told.currency.clone().unwrap_or_default()))
        .bind::<Array<Timestamptz>, _>(of(&due, |told, _| told.settled_at))
        .execute(connection)
        .await?;
    Ok(due.len())
}
