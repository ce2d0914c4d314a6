//! Reports of what was really credited: ordered, made by Mercado Pago in its own time, listed and fetched as
//! files.
//!
//! Source: Mercado Pago, "Account money report": configuration, creation by API, list and download.

use chrono::{DateTime, SecondsFormat, Utc};
use rastro_core::settlement::ReportKind;
use rastro_store::PaymentAccount;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{LONGEST_ANSWER, LONGEST_REPORT, MercadoPago, Question, ReadError};

/// What we read of a settlement report, and what a person wants to see beside it.
const COLUMNS: [&str; 11] = [
    "SOURCE_ID",
    "EXTERNAL_REFERENCE",
    "TRANSACTION_TYPE",
    "TRANSACTION_AMOUNT",
    "TRANSACTION_CURRENCY",
    "TRANSACTION_DATE",
    "FEE_AMOUNT",
    "SETTLEMENT_NET_AMOUNT",
    "SETTLEMENT_CURRENCY",
    "SETTLEMENT_DATE",
    "PAYMENT_METHOD",
];

/// How an account's reports are made. It is the seller's own: what is there is read and never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ReportConfig {
    pub report_translation: Option<String>,
    columns: Vec<Column>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Column {
    key: String,
}

impl ReportConfig {
    /// Which columns that we need its reports lack.
    pub fn lacks(&self) -> Vec<&'static str> {
        let needed = COLUMNS.into_iter().filter(|name| {
            !matches!(
                *name,
                "EXTERNAL_REFERENCE" | "TRANSACTION_DATE" | "FEE_AMOUNT" | "PAYMENT_METHOD"
            )
        });
        needed
            .filter(|name| !self.columns.iter().any(|column| column.key == *name))
            .collect()
    }
}

/// A report that is there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListedReport {
    pub file_name: String,
    pub begin_date: DateTime<Utc>,
    pub end_date: DateTime<Utc>,
    pub date_created: DateTime<Utc>,
}

fn address(kind: ReportKind) -> &'static str {
    match kind {
        ReportKind::Settlement => "settlement_report",
        ReportKind::Release => "release_report",
    }
}

impl MercadoPago {
    /// How the account's settlement reports are made. `None`: nobody has said it yet, and none can be
    /// ordered.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn report_config(&self, account: &PaymentAccount) -> Result<Option<ReportConfig>, ReadError> {
        let path = ["v1", "account", address(ReportKind::Settlement), "config"];
        match self.get(account, &path, &[]).await {
            Ok(config) => Ok(Some(config)),
            Err(ReadError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says how reports are made of an account of which nobody has.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn create_report_config(&self, account: &PaymentAccount) -> Result<(), ReadError> {
        let columns: Vec<Value> = COLUMNS.iter().map(|key| json!({ "key": key })).collect();
        // All of it, or headers and decimals follow the language of the account; the default offset is not
        // Brazil's.
        let config = json!({
            "file_name_prefix": "settlement-report",
            "columns": columns,
            "separator": ";",
            "display_timezone": "GMT-03",
            "report_translation": "en",
            "refund_detailed": false,
            "include_withdrawal": true,
            "coupon_detailed": false,
            "frequency": { "hour": 0, "type": "monthly", "value": 1 },
        });
        let path = ["v1", "account", address(ReportKind::Settlement), "config"];
        self.post(account, &path, config).await
    }

    /// Orders a report of what was settled from `from` until before `to`. It is listed when it is made.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn order_report(
        &self,
        account: &PaymentAccount,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<(), ReadError> {
        let date = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        let window = json!({ "begin_date": date(from), "end_date": date(to) });
        let path = ["v1", "account", address(ReportKind::Settlement)];
        self.post(account, &path, window).await
    }

    /// The account's settlement reports.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn reports(&self, account: &PaymentAccount) -> Result<Vec<ListedReport>, ReadError> {
        let path = ["v1", "account", address(ReportKind::Settlement), "list"];
        self.get(account, &path, &[]).await
    }

    /// A report's file.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn report_file(&self, account: &PaymentAccount, name: &str) -> Result<Vec<u8>, ReadError> {
        let question = Question {
            method: Method::GET,
            segments: &["v1", "account", address(ReportKind::Settlement), name],
            query: &[],
            body: None,
            longest: LONGEST_REPORT,
        };
        self.fetch(account, &question).await
    }

    async fn post(&self, account: &PaymentAccount, segments: &[&str], body: Value) -> Result<(), ReadError> {
        let question = Question {
            method: Method::POST,
            segments,
            query: &[],
            body: Some(body),
            longest: LONGEST_ANSWER,
        };
        self.fetch(account, &question).await.map(drop)
    }
}
