//! What people read, in Brazilian Portuguese and in English.

use serde::Deserialize;

/// The language of a channel or of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
pub enum Language {
    #[default]
    #[serde(rename = "pt-BR")]
    Portuguese,
    #[serde(rename = "en")]
    English,
}
