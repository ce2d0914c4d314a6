//! A small request read field by field, so that every wrong one can be named in the answer.

use actix_web::web::Query;
use chrono::{DateTime, Utc};
use rastro_core::finding::Finding;
use rastro_core::json::{Json, Object};

use crate::problem::Problem;

/// The fields of a body, or the parameters of a query, that were not read yet, and what was wrong so far.
pub(crate) struct Fields<'a> {
    unread: Object<'a>,
    errors: Vec<Finding>,
}

impl<'a> Fields<'a> {
    /// The fields of a body, which must be an object.
    pub(crate) fn of_body(text: &'a [u8]) -> Result<Self, Problem> {
        // The parser's sentence quotes nothing of the body.
        let json = Json::parse(text).map_err(|error| Problem::malformed(error.to_string()))?;
        match json {
            Json::Object(unread) => Ok(Fields {
                unread,
                errors: Vec::new(),
            }),
            other => Err(Problem::invalid_request(vec![Finding {
                pointer: String::new(),
                detail: format!("must be an object, not {}", other.kind()).into(),
            }])),
        }
    }

    /// The parameters of a query string. Each is a string.
    pub(crate) fn of_query(text: &str) -> Fields<'static> {
        // Whatever does not decode is no parameter of ours either.
        let pairs = Query::<Vec<(String, String)>>::from_query(text).map(Query::into_inner);
        Fields {
            unread: pairs
                .unwrap_or_default()
                .into_iter()
                .map(|(name, value)| (name.into(), Json::String(value.into())))
                .collect(),
            errors: Vec::new(),
        }
    }

    /// Reads one field; `None` if it is absent or null. `expected` continues "must be".
    pub(crate) fn take<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(Json<'a>) -> Option<T>,
    ) -> Option<T> {
        let index = self.unread.iter().position(|(known, _)| known == name)?;
        let value = self.unread.remove(index).1;
        if self.unread.iter().any(|(other, _)| other == name) {
            self.unread.retain(|(other, _)| other != name);
            self.wrong(name, "is there more than once");
            return None;
        }
        if value == Json::Null {
            return None;
        }
        let read = read(value);
        if read.is_none() {
            self.wrong(name, &format!("must be {expected}"));
        }
        read
    }

    /// Whether a field is there, not read yet, and not null.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.unread
            .iter()
            .any(|(known, value)| known == name && *value != Json::Null)
    }

    /// Whether a field is there, not read yet, and null.
    pub(crate) fn is_null(&self, name: &str) -> bool {
        self.unread
            .iter()
            .any(|(known, value)| known == name && *value == Json::Null)
    }

    /// As [`wrong`](Self::wrong), of a member of a field that is an object.
    pub(crate) fn wrong_within(&mut self, name: &str, member: &str, detail: &str) {
        self.wrong(member, detail);
        if let Some(error) = self.errors.last_mut() {
            error.pointer.insert_str(0, &format!("/{name}"));
        }
    }

    /// Says what else is wrong with a field; with an empty name, with the request as a whole.
    pub(crate) fn wrong(&mut self, name: &str, detail: &str) {
        let name: String = name.chars().take(64).collect();
        let name = name.replace('~', "~0").replace('/', "~1");
        self.errors.push(Finding {
            pointer: if name.is_empty() { name } else { format!("/{name}") },
            detail: detail.to_owned().into(),
        });
    }

    /// Whether anything was wrong so far, or is left that nobody knows.
    pub(crate) fn is_wrong(&self) -> bool {
        !self.errors.is_empty() || !self.unread.is_empty()
    }

    /// Refuses the request if anything was wrong, or is left that nobody knows.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.unread) {
            self.wrong(&name, "is not known");
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            // Names come from strangers: an answer must not be many times as long as what it answers.
            self.errors.truncate(100);
            Err(Problem::invalid_request(self.errors))
        }
    }
}

/// A moment as RFC 3339 writes it, with its offset.
pub(crate) fn time(value: Json<'_>) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
    Some(time.to_utc())
}

/// A line of a person's, of 1 to `most` characters.
pub(crate) fn line(value: &str, most: usize) -> Option<&str> {
    let value = value.trim();
    let fits = !value.is_empty() && value.chars().count() <= most && !value.chars().any(char::is_control);
    fits.then_some(value)
}

/// A list of 1 to `most` values.
pub(crate) fn list<'a, T>(
    value: Json<'a>,
    most: usize,
    read: impl Fn(Json<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    match value {
        Json::Array(items) if (1..=most).contains(&items.len()) => items.into_iter().map(read).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(problem: Problem) -> Vec<String> {
        let problem = serde_json::to_value(problem).unwrap();
        let errors = problem["errors"].as_array().unwrap().clone();
        errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn every_wrong_unknown_and_repeated_field_is_named() {
        let text = br#"{"limit":"x","a/b":1,"since":null,"code":1,"code":2,"fine":7}"#;
        let mut fields = Fields::of_body(text).unwrap();
        assert_eq!(fields.take("limit", "a number", |value| value.as_i64()), None);
        assert_eq!(fields.take("since", "a time", time), None);
        assert_eq!(fields.take("code", "a number", |value| value.as_i64()), None);
        assert_eq!(fields.take("fine", "a number", |value| value.as_i64()), Some(7));
        assert_eq!(fields.take("absent", "a number", |value| value.as_i64()), None);
        assert_eq!(
            pointers(fields.finish().unwrap_err()),
            ["/limit", "/code", "/a~1b"]
        );
    }

    #[test]
    fn a_query_is_read_as_strings() {
        let mut fields = Fields::of_query("limit=5&grop=true&note=a%20b");
        let note = fields.take("note", "a line", |value| value.as_str().map(str::to_owned));
        assert_eq!(note.as_deref(), Some("a b"));
        assert_eq!(pointers(fields.finish().unwrap_err()), ["/limit", "/grop"]);
        assert!(Fields::of_query("").finish().is_ok());
    }

    #[test]
    fn a_line_is_bounded_and_holds_no_control_characters() {
        assert_eq!(line(" João ", 4), Some("João"));
        for wrong in ["", "  ", "a\nb", "a\u{1b}[31m", "12345"] {
            assert_eq!(line(wrong, 4), None, "{wrong:?}");
        }
    }
}
