//! The commands about credits and spend.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};

use anyhow::{Context, bail};
use attribution::config::Config;
use attribution::crediting::{Crediting, Progress};
use attribution::spend_import::{Import, import, summary};
use rastro_core::dataset::DatasetId;
use rastro_core::spend::{Format, Reading};
use rastro_service::shutdown::Shutdown;
use rastro_store::Store;

use crate::commands::print;

#[tokio::main(worker_threads = 2)]
pub(crate) async fn recompute(options: &[&str]) -> anyhow::Result<()> {
    let options = Options::read(options, &["--dataset", "--days"], &[])?;
    let days = options
        .value("--days")
        .map_or(Ok(365), str::parse)
        .context("--days must be a number")?;
    let config: Config = rastro_boot::load()?;
    let store = Store::new(&config.common.database, "attribution")?;
    let datasets: Vec<DatasetId> = match options.value("--dataset") {
        Some(id) => vec![id.parse().context("--dataset")?],
        None => store.dataset_ids().await?,
    };
    let crediting = Crediting::new(store, &config.crediting)?;
    let shutdown = Shutdown::on_signal()?;
    for dataset in datasets {
        let mut bar = Bar::new(dataset);
        let done = crediting
            .recompute(dataset, days, &shutdown, &mut |progress| bar.show(progress))
            .await?;
        bar.end();
        let Some(done) = done else {
            bail!("stopped; run it again to go on")
        };
        print(&format!(
            "dataset {dataset}: {} orders looked at, {} credited otherwise than before",
            done.seen, done.changed
        ))?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn spend(file: &str, options: &[&str]) -> anyhow::Result<()> {
    let flags = ["--dry-run", "--decimal-comma", "--day-first"];
    let options = Options::read(options, &["--dataset", "--format", "--account"], &flags)?;
    let config: Config = rastro_boot::load()?;
    let store = Store::new(&config.common.database, "attribution")?;
    let dataset = options
        .value("--dataset")
        .context("--dataset is required")?
        .parse()
        .context("--dataset")?;
    let today = store.reporting_day(dataset).await;
    let order = Import {
        dataset,
        format: match options.value("--format") {
            None | Some("rastro") => Format::Rastro,
            Some("google-ads") => Format::GoogleAds,
            Some(_) => bail!("--format must be rastro or google-ads"),
        },
        reading: Reading {
            decimal_comma: options.has("--decimal-comma"),
            day_first: options.has("--day-first"),
            account_id: options.value("--account").unwrap_or_default().replace('-', ""),
            today: today.with_context(|| format!("dataset {dataset}"))?.today,
        },
        dry_run: options.has("--dry-run"),
    };
    let bytes = std::fs::read(file).with_context(|| format!("{file} cannot be read"))?;
    let imported = import(&store, &bytes, &order).await?;
    print(&summary(&imported, order.dry_run))
}

/// What was written after a command's name.
struct Options<'a> {
    values: HashMap<&'a str, &'a str>,
    flags: Vec<&'a str>,
}

impl<'a> Options<'a> {
    fn read(words: &[&'a str], with_value: &[&str], flags: &[&str]) -> anyhow::Result<Self> {
        let mut options = Options {
            values: HashMap::new(),
            flags: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if flags.contains(word) {
                options.flags.push(word);
            } else if with_value.contains(word) {
                let value = words.next().with_context(|| format!("{word} needs a value"))?;
                options.values.insert(word, value);
            } else {
                bail!("{word} is not an option of this command");
            }
        }
        Ok(options)
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.values.get(name).copied()
    }

    fn has(&self, name: &str) -> bool {
        self.flags.contains(&name)
    }
}

/// How far it is, on standard error: a line that is written over at a terminal, and one for each tenth
/// elsewhere.
struct Bar {
    dataset: DatasetId,
    shown: i64,
    is_terminal: bool,
}

impl Bar {
    const WIDTH: i64 = 30;

    fn new(dataset: DatasetId) -> Self {
        Bar {
            dataset,
            shown: -1,
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, progress: Progress) {
        let Progress { seen, changed, total } = progress;
        let percent = (seen * 100 / total.max(1)).min(100);
        let step = if self.is_terminal { percent } else { percent / 10 };
        if step == self.shown {
            return;
        }
        self.shown = step;
        let done = percent * Bar::WIDTH / 100;
        let bar: String = (0..Bar::WIDTH)
            .map(|place| if place < done { '#' } else { '.' })
            .collect();
        let (begin, end) = if self.is_terminal { ("\r", "") } else { ("", "\n") };
        let line = format!(
            "{begin}{} [{bar}] {percent:3} % of {total} orders, {changed} changed{end}",
            self.dataset
        );
        // Nobody may be there to see it; the work is done all the same.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn end(&self) {
        if self.is_terminal && self.shown >= 0 {
            let _ = std::io::stderr().write_all(b"\n");
        }
    }
}
