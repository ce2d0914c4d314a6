//! What was found wrong with an event: each field by JSON pointer (RFC 6901), with a sentence for whoever
//! sent it.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::json::Json;
use crate::personal_data;

/// One field and what is wrong with it. The sentence never repeats the value: it may be personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where: a JSON pointer relative to the event, such as `/user_data/em/0`; empty for the event itself. A
    /// name of more than 64 characters is cut, and one that holds personal data is replaced by `[personal
    /// data]`.
    pub pointer: String,
    /// What, as a sentence that continues the field's name: "must be a string, not a number".
    pub detail: Cow<'static, str>,
}

/// Everything found in one event. Errors refuse it; warnings say what was left out of it.
///
/// Of each at most a hundred are listed, and then one that says so: an answer must not be many times as long
/// as what it answers.
#[derive(Debug, Default)]
pub struct Findings {
    pub errors: Vec<Finding>,
    pub warnings: Vec<Finding>,
}

const MOST: usize = 100;
const LEFT_OUT: &str = "was left out: ";

impl Findings {
    pub(crate) fn error(&mut self, at: At<'_>, detail: impl Into<Cow<'static, str>>) {
        list(&mut self.errors, at, detail.into());
    }

    pub(crate) fn warn(&mut self, at: At<'_>, detail: impl Into<Cow<'static, str>>) {
        list(&mut self.warnings, at, detail.into());
    }

    pub(crate) fn wrong_kind(&mut self, at: At<'_>, expected: &str, found: &Json<'_>) {
        self.error(at, format!("must be {expected}, not {}", found.kind()));
    }

    /// Says that a field was left out. `why` is a sentence about "it", the field.
    pub(crate) fn left_out(&mut self, at: At<'_>, why: impl fmt::Display) {
        self.warn(at, format!("{LEFT_OUT}{why}"));
    }

    /// Says that a field was left out because it is of the wrong kind.
    pub(crate) fn left_out_kind(&mut self, at: At<'_>, expected: &str, found: &Json<'_>) {
        self.left_out(at, format_args!("it must be {expected}, not {}", found.kind()));
    }

    /// Says that a field that must be there is missing, or why it was left out: what is left out of another
    /// event refuses this one.
    pub(crate) fn missing(&mut self, at: At<'_>, detail: &'static str) {
        let pointer = at.pointer();
        if self.errors.iter().any(|error| error.pointer == pointer) {
            return;
        }
        if !self.refuse_for(&pointer) {
            self.error(at, detail);
        }
    }

    /// Makes an error of what was left out at a place. Returns whether there was anything.
    pub(crate) fn refuse_for(&mut self, pointer: &str) -> bool {
        let reason = |warning: &Finding| {
            let why = warning.detail.strip_prefix(LEFT_OUT)?;
            let detail = why.strip_prefix("it ").unwrap_or(why).to_owned();
            (warning.pointer == pointer).then_some(detail)
        };
        let found = self
            .warnings
            .iter()
            .enumerate()
            .find_map(|(index, warning)| Some((index, reason(warning)?)));
        let Some((index, detail)) = found else {
            return false;
        };
        let pointer = self.warnings.remove(index).pointer;
        self.errors.push(Finding {
            pointer,
            detail: detail.into(),
        });
        true
    }
}

fn list(findings: &mut Vec<Finding>, at: At<'_>, detail: Cow<'static, str>) {
    if findings.len() < MOST {
        findings.push(Finding {
            pointer: at.pointer(),
            detail,
        });
    } else if findings.len() == MOST {
        findings.push(Finding {
            pointer: String::new(),
            detail: "has more than can be listed".into(),
        });
    }
}

/// A place in the event. A pointer is only written out when there is something to say about it.
#[derive(Clone, Copy)]
pub(crate) enum At<'p> {
    Event,
    Field(&'p At<'p>, &'p str),
    Index(&'p At<'p>, usize),
}

impl<'p> At<'p> {
    pub(crate) fn field(&'p self, name: &'p str) -> At<'p> {
        At::Field(self, name)
    }

    pub(crate) fn index(&'p self, index: usize) -> At<'p> {
        At::Index(self, index)
    }

    fn pointer(self) -> String {
        /// A longer name is cut: an answer should not carry back what a caller sent by mistake.
        const LONGEST_NAME: usize = 64;
        match self {
            At::Event => String::new(),
            At::Field(parent, name) if personal_data::holds_personal_data(name) => {
                format!("{}/[personal data]", parent.pointer())
            }
            At::Field(parent, name) => {
                let mut pointer = parent.pointer();
                pointer.push('/');
                for character in name.chars().take(LONGEST_NAME) {
                    match character {
                        '~' => pointer.push_str("~0"),
                        '/' => pointer.push_str("~1"),
                        other => pointer.push(other),
                    }
                }
                pointer
            }
            At::Index(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_escapes_what_rfc_6901_escapes() {
        let user_data = At::Event.field("a/b");
        let key = user_data.field("m~n");
        assert_eq!(key.index(3).pointer(), "/a~1b/m~0n/3");
    }

    #[test]
    fn a_pointer_keeps_letters_of_every_script_and_cuts_a_name_between_characters() {
        assert_eq!(At::Event.field("ação 日本 🙂").pointer(), "/ação 日本 🙂");
        assert_eq!(At::Event.field("").pointer(), "/");
        assert_eq!(
            At::Event.field(&"é".repeat(65)).pointer(),
            format!("/{}", "é".repeat(64))
        );
    }

    #[test]
    fn a_pointer_never_carries_back_an_email_address_used_as_a_name() {
        let custom_data = At::Event.field("custom_data");
        assert_eq!(
            custom_data.field("ana@example.com").pointer(),
            "/custom_data/[personal data]"
        );
    }

    #[test]
    fn a_hundred_findings_are_listed_and_then_only_that_there_are_more() {
        let mut findings = Findings::default();
        for index in 0..5_000 {
            findings.error(At::Event.index(index), "is wrong");
        }
        assert_eq!(findings.errors.len(), 101);
        assert_eq!(findings.errors[99].pointer, "/99");
        assert_eq!(
            (&*findings.errors[100].pointer, &*findings.errors[100].detail),
            ("", "has more than can be listed")
        );
        findings.missing(At::Event.field("event_name"), "is required");
        assert_eq!(findings.errors.len(), 101);
    }
}
