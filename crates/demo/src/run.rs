//! One run: the books before, the stream, the wait until everything has arrived, the books after.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt};
use rastro_store::{Account as Books, Store};

use crate::account::{Account, Movement};
use crate::client::{Answers, AtMeta, Gateway, at_meta};
use crate::stream::{Request, expected};

/// How many visitors are on the site at the same time.
const VISITORS: usize = 16;
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long nothing may arrive before the wait is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same for what an earlier run left behind, which may belong to a dataset whose forwarder is gone.
const PATIENCE_WITH_LEFTOVERS: Duration = Duration::from_secs(5);

/// Where everything is.
pub struct Run {
    pub http: reqwest::Client,
    pub gateway: Gateway,
    pub sandbox: String,
    pub store: Store,
    /// Count only this dataset's events at the sandbox.
    pub dataset_id: Option<String>,
}

impl Run {
    /// Sends the stream and accounts for it. Nobody else may be sending through the same database meanwhile: its books
    /// are counted as a whole.
    pub async fn account_for(&self, requests: &[Request]) -> anyhow::Result<Account> {
        let before = self
            .settle("events of an earlier run on the way", PATIENCE_WITH_LEFTOVERS)
            .await?;
        let meta_before = self.at_meta().await?;
        let answers = self.send(requests).await?;
        let after = self.settle("on the way to Meta", PATIENCE).await?;
        let meta_after = self.at_meta().await?;
        let books = Movement::between(&before, &after);
        let at_meta = AtMeta {
            unique: meta_after.unique.saturating_sub(meta_before.unique),
            repeated: meta_after.repeated.saturating_sub(meta_before.repeated),
        };
        Ok(Account {
            expected: expected(requests),
            answers,
            books,
            at_meta,
        })
    }

    async fn at_meta(&self) -> anyhow::Result<AtMeta> {
        at_meta(&self.http, &self.sandbox, self.dataset_id.as_deref()).await
    }

    async fn send(&self, requests: &[Request]) -> anyhow::Result<Answers> {
        let total: usize = requests.iter().map(|request| request.sent().count()).sum();
        let mut progress = Progress::new();
        let sending = futures_util::stream::iter(requests).map(|request| self.gateway.send(request));
        let mut answered = std::pin::pin!(sending.buffer_unordered(VISITORS));
        let mut answers = Answers::default();
        while let Some(more) = answered.try_next().await? {
            answers.add(more);
            progress.show(&format!("sent {} of {total} events", answers.sent()));
        }
        progress.end();
        Ok(answers)
    }

    /// The books once nothing is on the way any more, or when nothing has moved for as long as `patience`.
    async fn settle(&self, what: &str, patience: Duration) -> anyhow::Result<Books> {
        let mut progress = Progress::new();
        let mut last = None;
        let mut last_moved = Instant::now();
        loop {
            let books = self
                .store
                .account()
                .await
                .context("the books could not be counted")?;
            if last != Some(books.pending()) {
                (last, last_moved) = (Some(books.pending()), Instant::now());
            }
            if books.pending() == 0 || last_moved.elapsed() >= patience {
                progress.end();
                return Ok(books);
            }
            progress.show(&format!("{} {what}", books.pending()));
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// One line on stderr: rewritten in place on a terminal, said again every few seconds elsewhere.
struct Progress {
    on_terminal: bool,
    /// When it was last said, and what came after.
    said: Option<Instant>,
    unsaid: Option<String>,
}

impl Progress {
    const EVERY: Duration = Duration::from_secs(5);

    fn new() -> Self {
        Progress {
            on_terminal: std::io::stderr().is_terminal(),
            said: None,
            unsaid: None,
        }
    }

    fn show(&mut self, line: &str) {
        if self.on_terminal {
            eprint!("\r    {line:<60}");
            // Nothing depends on whether progress can be seen.
            let _ = std::io::stderr().flush();
            self.said = Some(Instant::now());
        } else if self.said.is_none_or(|said| said.elapsed() >= Self::EVERY) {
            eprintln!("    {line}");
            (self.said, self.unsaid) = (Some(Instant::now()), None);
        } else {
            self.unsaid = Some(line.to_owned());
        }
    }

    fn end(&mut self) {
        if self.on_terminal && self.said.is_some() {
            eprintln!();
        } else if let Some(line) = self.unsaid.take() {
            eprintln!("    {line}");
        }
    }
}
