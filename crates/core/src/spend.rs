//! What was paid for ads, as files tell it: our own CSV and what the Google Ads interface exports.
//!
//! A file is taken as a whole or not at all: whatever is wrong in any row is named by row and column, and
//! nothing of it counts.

mod decimal;
mod google;
mod ours;
pub(crate) mod table;

use chrono::NaiveDate;

use crate::attribution::{campaign_key, paid_channel};
use crate::dataset::Currency;

pub use decimal::{Decimals, micros};

/// More errors than these are not listed: the file is another one than was meant.
const MOST_ERRORS: usize = 100;
const LONGEST_NAME: usize = 255;
const LONGEST_ID: usize = 100;
const LONGEST_CHANNEL: usize = 40;

/// Spend of a campaign on a day of its ad account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendRow {
    /// `meta`, `google`, ...: a lower-case word, as [`paid_channel`] has it.
    pub channel: String,
    /// Empty: not told.
    pub account_id: String,
    pub day: NaiveDate,
    /// Empty: not told; then there is a name.
    pub campaign_id: String,
    pub campaign_name: String,
    /// Millionths of the currency.
    pub cost_micros: i64,
    pub currency: Currency,
    pub impressions: Option<i64>,
    pub clicks: Option<i64>,
}

impl SpendRow {
    pub fn campaign_key(&self) -> String {
        campaign_key(Some(&self.campaign_id), Some(&self.campaign_name))
    }

    /// What a row is stored under: a later one with the same key replaces it.
    pub fn key(&self) -> (String, String, NaiveDate, String) {
        (
            self.channel.clone(),
            self.account_id.clone(),
            self.day,
            self.campaign_key(),
        )
    }
}

/// Which file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One row per channel, day and campaign, as `proto-docs/attribution.md` describes it.
    Rastro,
    /// An export of the Google Ads interface, in English or Portuguese.
    GoogleAds,
}

/// What a file does not say itself. Nothing of it is guessed.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Amounts are written `12,90`. For our own file: Google's says it by its language.
    pub decimal_comma: bool,
    /// Dates are written `31/12/2026`, beside `2026-12-31`.
    pub day_first: bool,
    /// Of a Google Ads export that has no column with it.
    pub account_id: String,
    /// No day after this one has been spent on.
    pub today: NaiveDate,
}

/// A file that is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendFile {
    pub rows: Vec<SpendRow>,
    /// Lines that are no rows: titles and sums.
    pub left_out: Vec<u64>,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {detail}")]
pub struct FileError {
    /// As an editor counts them.
    pub line: u64,
    /// By its name in the file; `-`: the whole line.
    pub column: String,
    pub detail: String,
}

impl FileError {
    pub(crate) fn new(line: u64, column: &str, detail: impl Into<String>) -> Self {
        FileError {
            line,
            column: column.to_owned(),
            detail: detail.into(),
        }
    }
}

/// Reads a file.
///
/// # Errors
/// All that is wrong in it, at most the first hundred.
pub fn read(bytes: &[u8], format: Format, reading: &Reading) -> Result<SpendFile, Vec<FileError>> {
    let text = table::decode(bytes)?;
    let (file, mut errors) = match format {
        Format::Rastro => ours::read(&text, reading),
        Format::GoogleAds => google::read(&text, reading),
    };
    if errors.is_empty() && file.rows.is_empty() {
        errors.push(FileError::new(1, "-", "the file has no row of spend"));
    }
    errors.truncate(MOST_ERRORS);
    if errors.is_empty() { Ok(file) } else { Err(errors) }
}

fn day(text: &str, day_first: bool, today: NaiveDate) -> Result<NaiveDate, String> {
    let digits =
        |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let of = |parts: [&str; 3]| {
        let [year, month, day] = parts;
        let is_date = digits(year, 4) && digits(month, 2) && digits(day, 2);
        let date = || NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
        is_date.then(date).flatten()
    };
    let parts: Vec<&str> = text.split(['-', '/']).collect();
    let date = match *parts {
        [year, month, day] if text.matches('-').count() == 2 => of([year, month, day]),
        [day, month, year] if day_first && text.matches('/').count() == 2 => of([year, month, day]),
        _ => None,
    };
    let Some(date) = date else {
        return Err(match day_first {
            true => "must be a date such as 2026-11-30 or 30/11/2026".to_owned(),
            false => "must be a date such as 2026-11-30; dates such as 30/11/2026 only by option".to_owned(),
        });
    };
    match date {
        date if date > today => Err(format!("is after today, {today}")),
        date if date < NaiveDate::default() => Err("is before 1970".to_owned()),
        date => Ok(date),
    }
}

fn currency(text: &str) -> Result<Currency, String> {
    Currency::parse(text).ok_or_else(|| "must be an ISO 4217 code, such as BRL".to_owned())
}

fn word(text: &str, longest: usize) -> Result<String, String> {
    match text.trim() {
        text if text.len() > longest => Err(format!("is longer than {longest} bytes")),
        text if text.contains(char::is_control) => Err("must not contain control characters".to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn count(text: &str, separator: Option<char>) -> Result<Option<i64>, String> {
    let text = match separator {
        Some(separator) => {
            decimal::without_groups(text, separator).ok_or("must be a whole number, not negative")?
        }
        None => text.to_owned(),
    };
    match text.as_str() {
        "" => Ok(None),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map(Some).map_err(|_| "is too large".to_owned())
        }
        _ => Err("must be a whole number, not negative".to_owned()),
    }
}

fn channel(text: &str) -> Result<String, String> {
    let is_slug =
        |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"_-".contains(&letter);
    match text {
        "" => Err("is required, such as meta or google".to_owned()),
        text if text.len() > LONGEST_CHANNEL => Err("is longer than 40 bytes".to_owned()),
        // Money that was spent was paid: as the touches of it are called.
        text if text.bytes().all(is_slug) => Ok(paid_channel(text.to_owned())),
        _ => Err("must be lower-case letters, digits, _ and -, such as meta or google".to_owned()),
    }
}
