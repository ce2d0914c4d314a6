//! What programs and templates write where they were given nothing: `undefined`, `[object Object]`,
//! `{{order.id}}`.
//!
//! Such a value is the same for everybody. As an event id it makes two buyers one, and the second sale is
//! lost; as an identifier it points at nobody.

/// Words that no language uses for anything but nothing, in lower case.
const WORDS: [&str; 14] = [
    "null",
    "undefined",
    "none",
    "n/a",
    "(null)",
    "(none)",
    "<null>",
    "(not set)",
    "(empty)",
    "#n/a",
    "#null!",
    "#ref!",
    "#value!",
    "#name?",
];

/// Words that say as little as an id, although a name or a value may be one of them.
const NO_IDS: [&str; 12] = [
    "nan", "nil", "na", "true", "false", "unknown", "not set", "not_set", "-1", "event_id", "eventid",
    "order_id",
];

/// What begins and ends a hole in some template language.
const HOLES: [(&str, &str); 6] = [
    ("{{", "}}"),
    ("${", "}"),
    ("<%", "%>"),
    ("%%", "%%"),
    ("*|", "|*"),
    ("[object ", "]"),
];

/// Bytes of which one begins each hole.
const BEGIN_HOLES: &[u8] = b"{<%*[";

/// Whether a trimmed value stands for no value, or is a template that nobody filled in.
pub(crate) fn is_placeholder(trimmed: &str) -> bool {
    is_word(trimmed, &WORDS)
        || matches!(trimmed, "" | "NaN" | "nan") // "Nan" is somebody's name
        || may_have_holes(trimmed) && HOLES.iter().any(|(start, end)| holds(trimmed, start, end))
}

/// Whether an event id is one that everybody would get. Wider than [`is_placeholder`]: an id that is taken
/// for none costs nothing, and one that is not costs the second sale.
pub(crate) fn is_no_id(id: &str) -> bool {
    let id = id.trim();
    is_placeholder(id)
        || is_word(id, &NO_IDS)
        || id.contains('0') && id.bytes().all(|byte| matches!(byte, b'0' | b'-')) // also the UUID of nothing
        || is_wrapped_name(id)
        || is_made_of_nothing(id)
}

fn is_word(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Almost no value has a hole, and this is told at a glance.
fn may_have_holes(text: &str) -> bool {
    text.bytes().any(|byte| BEGIN_HOLES.contains(&byte))
}

fn holds(text: &str, start: &str, end: &str) -> bool {
    let after = text.find(start).map(|index| &text[index + start.len()..]);
    after.is_some_and(|after| after.contains(end))
}

/// `{order_id}`, `%ORDER_ID%`, `[order_id]` or `<order_id>`; with a digit in it, it may be a value
/// (`{3F2504E0-...}`).
fn is_wrapped_name(id: &str) -> bool {
    let inner = [('{', '}'), ('%', '%'), ('[', ']'), ('<', '>')]
        .into_iter()
        .find_map(|(start, end)| id.strip_prefix(start)?.strip_suffix(end));
    inner.is_some_and(|name| !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_digit()))
}

/// `order-undefined`: a fixed word and a part that nobody filled in. With a digit in it, it may still be
/// nobody else's (`undefined-1700000000123`).
fn is_made_of_nothing(id: &str) -> bool {
    let mut parts = id.split(|c: char| !c.is_alphanumeric());
    !id.bytes().any(|byte| byte.is_ascii_digit())
        && parts.any(|part| is_word(part, &["undefined", "null", "none", "nan"]))
}
