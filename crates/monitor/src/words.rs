//! What people read, in Brazilian Portuguese and in English. Other people's texts (names of datasets and
//! campaigns, notes) are cut here and escaped where they are shown.

mod alerts;
mod figures;

use serde::Deserialize;

pub use alerts::{Advice, advice, headline, severity, stopped, subject_line, title, worst};
pub use figures::{count, duration, match_key, money, name, percent, score, span, until};

/// The language of a channel or of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
pub enum Language {
    #[default]
    #[serde(rename = "pt-BR")]
    Portuguese,
    #[serde(rename = "en")]
    English,
}

impl Language {
    /// Picks one of two texts.
    pub fn pick<T>(self, portuguese: T, english: T) -> T {
        match self {
            Language::Portuguese => portuguese,
            Language::English => english,
        }
    }

    /// As HTML and HTTP name it.
    pub fn tag(self) -> &'static str {
        self.pick("pt-BR", "en")
    }
}
