//! A query's words, and reading them one after the other.

use super::query::is_day;

/// Google's code of a `queryError` and a sentence.
pub(super) type Wrong = (&'static str, String);

/// A text in quotes, or anything else between blanks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Bare(String),
    Text(String),
}

impl Word {
    /// Keywords are known in any case.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Word::Bare(word) if word.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn shown(&self) -> &str {
        let (Word::Bare(text) | Word::Text(text)) = self;
        text
    }
}

pub(super) fn words(text: &str) -> Result<Vec<Word>, Wrong> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '\'' | '"' => {
                let Some((inside, after)) = rest[1..].split_once(first) else {
                    return Err((
                        "STRING_NOT_TERMINATED",
                        "Error in query: a text has no end.".to_owned(),
                    ));
                };
                (Word::Text(inside.to_owned()), after)
            }
            ',' | '(' | ')' => (Word::Bare(first.to_string()), &rest[1..]),
            '<' | '>' | '=' | '!' => {
                let length = if rest[1..].starts_with('=') { 2 } else { 1 };
                (Word::Bare(rest[..length].to_owned()), &rest[length..])
            }
            _ => {
                let is_end = |character: char| character.is_whitespace() || ",()<>=!'\"".contains(character);
                let (word, after) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
                (Word::Bare(word.to_owned()), after)
            }
        };
        words.push(word);
        rest = after.trim_start();
    }
    Ok(words)
}

/// What is left of a query.
pub(super) struct Reader(pub(super) std::iter::Peekable<std::vec::IntoIter<Word>>);

impl Reader {
    /// Takes the next word if it is this one.
    pub(super) fn has(&mut self, keyword: &str) -> bool {
        self.0.next_if(|word| word.is(keyword)).is_some()
    }

    pub(super) fn demand(&mut self, keyword: &str, code: &'static str) -> Result<(), Wrong> {
        match self.has(keyword) {
            true => Ok(()),
            false => Err((
                code,
                format!("Error in query: expected {keyword}{}.", self.found()),
            )),
        }
    }

    pub(super) fn word(&mut self) -> Result<Word, Wrong> {
        let end = || {
            (
                "UNEXPECTED_END_OF_QUERY",
                "Error in query: unexpected end of query.".to_owned(),
            )
        };
        self.0.next().ok_or_else(end)
    }

    pub(super) fn field(&mut self) -> Result<String, Wrong> {
        match self.word()? {
            Word::Bare(field) => Ok(field),
            Word::Text(text) => Err(unexpected(&text)),
        }
    }

    pub(super) fn day(&mut self) -> Result<String, Wrong> {
        let word = self.word()?;
        match word.shown() {
            text if is_day(text) => Ok(text.to_owned()),
            text => Err(("BAD_VALUE", format!("Invalid date literal supplied: '{text}'."))),
        }
    }

    fn found(&mut self) -> String {
        match self.0.peek() {
            Some(word) => format!(" instead of '{}'", word.shown()),
            None => " at its end".to_owned(),
        }
    }
}

pub(super) fn unexpected(text: &str) -> Wrong {
    (
        "UNEXPECTED_INPUT",
        format!("Error in query: unexpected input '{text}'."),
    )
}
