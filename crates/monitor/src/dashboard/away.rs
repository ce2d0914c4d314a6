//! A database that is away: since when, what is said of it, and the pages as they last were.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::dashboard::layout::{Banner, Tone};
use crate::dashboard::words::{Lang, Zone};

/// Pages that are kept for when the database is away.
const PAGES_KEPT: usize = 64;

/// Since when a database does not answer; empty: it answers.
#[derive(Default)]
pub(super) struct Away(Mutex<Option<DateTime<Utc>>>);

impl Away {
    pub(super) fn since(&self) -> Option<DateTime<Utc>> {
        *self.lock()
    }

    /// The database does not answer. Whether that is news.
    pub(super) fn begins(&self, now: DateTime<Utc>) -> bool {
        let mut since = self.lock();
        let is_news = since.is_none();
        since.get_or_insert(now);
        is_news
    }

    /// The database answers. Whether that is news.
    pub(super) fn ends(&self) -> bool {
        self.lock().take().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<DateTime<Utc>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said on a page meanwhile.
pub(super) fn banner(since: Option<DateTime<Utc>>, now: DateTime<Utc>, lang: Lang, zone: Zone) -> Banner {
    let since = since.unwrap_or(now);
    let (at, long) = (
        zone.short(lang, since, now),
        lang.duration((now - since).num_milliseconds()),
    );
    Banner {
        tone: Tone::Bad,
        text: match lang {
            Lang::Pt => format!(
                "O banco não responde desde {at} (há {long}); o gateway devolve 503 e quem envia tenta de \
                 novo. Nada do que foi aceito se perde."
            ),
            Lang::En => format!(
                "The database has not answered since {at} (for {long}); the gateway answers 503 and senders \
                 try again. Nothing that was accepted is lost."
            ),
        },
    }
}

/// A page as it was when the database last answered.
#[derive(Clone)]
pub(super) struct KeptPage {
    pub(super) title: String,
    pub(super) content: String,
    pub(super) at: DateTime<Utc>,
}

/// The newest pages, by who looked, in which language, and at what.
#[derive(Default)]
pub(super) struct KeptPages(Mutex<VecDeque<(String, KeptPage)>>);

impl KeptPages {
    pub(super) fn keep(&self, key: String, page: KeptPage) {
        let mut kept = self.lock();
        kept.retain(|(other, _)| *other != key);
        if kept.len() >= PAGES_KEPT {
            kept.pop_front();
        }
        kept.push_back((key, page));
    }

    pub(super) fn get(&self, key: &str) -> Option<KeptPage> {
        let kept = self.lock();
        let found = kept.iter().find(|(other, _)| other == key);
        found.map(|(_, page)| page.clone())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(String, KeptPage)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
