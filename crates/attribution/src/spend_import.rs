//! Files of spend: read as a whole, compared, and imported as a whole or not at all.

use anyhow::{Context, bail, ensure};
use rastro_core::dataset::DatasetId;
use rastro_core::spend::{FileError, Format, Reading, read};
use rastro_store::{Spend, SpendChange, SpendSource, Store};
use sha2::{Digest, Sha256};

/// A file of ten years of a thousand campaigns is smaller.
pub const LARGEST_FILE: usize = 256 << 20;

/// What to do with a file.
#[derive(Clone, Debug)]
pub struct Import {
    pub dataset: DatasetId,
    pub format: Format,
    pub reading: Reading,
    /// Only say what would change.
    pub dry_run: bool,
}

/// What a file changed, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    pub change: SpendChange,
    /// Lines that are no spend: titles and sums.
    pub left_out: usize,
}

/// Imports a file; with `dry_run` only says what that would change.
///
/// # Errors
/// When the dataset is unknown, the database fails, or anything in the file is wrong: then every wrong cell
/// is named and nothing is imported.
pub async fn import(store: &Store, bytes: &[u8], import: &Import) -> anyhow::Result<Imported> {
    ensure!(bytes.len() <= LARGEST_FILE, "the file is larger than 256 MB");
    if store.dataset_settings(import.dataset).await?.is_none() {
        bail!("there is no dataset {}", import.dataset);
    }
    let file = match read(bytes, import.format, &import.reading) {
        Ok(file) => file,
        Err(errors) => bail!(said(&errors)),
    };
    let left_out = file.left_out.len();
    let spend: Vec<Spend> = file.rows.into_iter().map(Spend::from).collect();
    let change = match import.dry_run {
        true => store.preview_spend(import.dataset, &spend).await,
        false => {
            let source = match import.format {
                Format::Rastro => SpendSource::Csv,
                Format::GoogleAds => SpendSource::GoogleAdsCsv,
            };
            let hash = Sha256::digest(bytes).into();
            store
                .import_spend(import.dataset, source, &spend, Some(hash))
                .await
        }
    };
    let change = change.context("the spend could not be imported")?;
    Ok(Imported { change, left_out })
}

fn said(errors: &[FileError]) -> String {
    let mut text = format!(
        "nothing was imported: {} cell(s) of the file are wrong",
        errors.len()
    );
    for error in errors {
        text.push_str(&format!("\n  {error}"));
    }
    text
}

/// What an import changed, for a person.
pub fn summary(imported: &Imported, dry_run: bool) -> String {
    let Imported { change, left_out } = imported;
    let verb = if dry_run { "would be" } else { "were" };
    let mut text = format!(
        "{} rows {verb} added, {} changed, {} stay as they are",
        change.added, change.changed, change.unchanged
    );
    if let (Some(first), Some(last)) = (change.first_day, change.last_day) {
        text.push_str(&format!("; {first} to {last}"));
    }
    for (currency, micros) in &change.total_micros {
        text.push_str(&format!(
            "; {currency} {}.{:06}",
            micros / 1_000_000,
            micros % 1_000_000
        ));
    }
    if *left_out > 0 {
        text.push_str(&format!("; {left_out} lines left out: titles and sums"));
    }
    text
}
