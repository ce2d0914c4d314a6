//! Values of an answer in whatever JSON type they come. Meta's answers are not typed strictly: numbers were
//! seen as text, `true` as 1. A field that cannot be read is missing, and costs the answer nothing else.

use serde_json::Value;

/// `190`, `190.0` and `"190"`.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| whole(text.parse().ok()?))
        }
        _ => None,
    }
}

/// A float as the next greater integer: of a time to wait, half a minute more is right and half a minute less
/// is not.
fn whole(number: f64) -> Option<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it was just compared with the limits"
    )]
    (number.abs() < 9e15).then(|| number.ceil() as i64)
}

/// As [`integer`], where the number is a code or a count.
pub(crate) fn small(value: &Value) -> Option<i32> {
    integer(value)?.try_into().ok()
}

/// Text, or a number as text.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `true`, 1, `"true"` and `"1"`, and the reverse.
pub(crate) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        other => integer(other).map(|number| number != 0),
    }
}

/// Text for the log: control characters and line separators become blanks, and it ends after `most`
/// characters.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let breaks = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    let plain = text
        .chars()
        .map(|character| if breaks(character) { ' ' } else { character });
    plain.take(most).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_from_numbers_floats_and_text() {
        for (value, number) in [
            (json!(190), Some(190)),
            (json!("190"), Some(190)),
            (json!(" 19 "), Some(19)),
            (json!(19.0), Some(19)),
            (json!("18.2"), Some(19)),
            (json!(-3), Some(-3)),
            (json!(1e300), None),
            (json!("NaN"), None),
            (json!(null), None),
            (json!([190]), None),
        ] {
            assert_eq!(integer(&value), number, "{value}");
        }
        assert_eq!(small(&json!(9_999_999_999_i64)), None);
    }

    #[test]
    fn truth_is_read_from_numbers_and_text() {
        for (value, expected) in [
            (json!(true), Some(true)),
            (json!(1), Some(true)),
            (json!("true"), Some(true)),
            (json!("0"), Some(false)),
            (json!(null), None),
            (json!("perhaps"), None),
        ] {
            assert_eq!(truth(&value), expected, "{value}");
        }
    }

    #[test]
    fn text_for_the_log_is_one_line_without_control_characters() {
        assert_eq!(plain("a\0b\nc\u{1b}[31m\u{2028}d\u{85}e", 100), "a b c [31m d e");
        assert_eq!(plain("ação", 3), "açã");
    }
}
