//! Who the event is about: hashed where hashing is demanded, and enough of it that Meta could find a person.

use super::Subject;
use crate::json::Json;
use crate::refusal::Refusal;

/// Keys Meta takes only as SHA-256. The second row is known to the SDKs only, which hash all of it.
const HASHED: [&str; 17] = [
    "em",
    "ph",
    "fn",
    "ln",
    "ge",
    "db",
    "ct",
    "st",
    "zp",
    "country", //
    "f5first",
    "f5last",
    "fi",
    "dobd",
    "dobm",
    "doby",
    "app_user_id",
];

/// Keys Meta takes as they are, one value each.
const PLAIN: [&str; 18] = [
    "client_ip_address",
    "client_user_agent",
    "fbc",
    "fbp",
    "subscription_id",
    "fb_login_id",
    "lead_id",
    "anon_id",
    "madid",
    "page_id",
    "page_scoped_user_id",
    "ctwa_clid",
    "ig_account_id",
    // Meta's Instagram sample writes it this way.
    "instagram_business_account_id",
    "ig_sid",
    "whatsapp_business_account_id",
    "partner_id",
    "partner_name",
];

/// Meta's list of what is too little: an event whose keys all lie within one of these rows cannot be matched.
const TOO_LITTLE: [&[&str]; 4] = [
    &["ct", "country", "st", "zp", "ge", "client_user_agent"],
    &["db", "client_user_agent"],
    &["fn", "ge"],
    &["ln", "ge"],
];

pub(super) fn check(subject: &Subject<'_, '_>, accept_md5: bool) -> Result<(), Refusal> {
    let user_data = match subject.event {
        Json::Object(members) => members
            .iter()
            .rev()
            .find(|(key, _)| key == "user_data")
            .map(|(_, value)| value),
        _ => None,
    };
    let members = match user_data {
        None => return Err(subject.missing("user_data")),
        Some(Json::Null) => &[],
        Some(Json::Object(members)) => members.as_slice(),
        Some(_) => return Err(subject.wrong("user_data", "an object")),
    };
    for (key, value) in members {
        if HASHED.contains(&key.as_ref()) {
            hashed(subject, key, value, accept_md5)?;
        } else if PLAIN.contains(&key.as_ref()) {
            if matches!(value, Json::List(_) | Json::Object(_)) {
                return Err(subject.wrong(key, "a single value"));
            }
        } else if key != "external_id" && *value != Json::Null {
            // As captured by facebook-for-woocommerce#3668.
            let problem = format!("Unexpected key \"{key}\"");
            return Err(Refusal::schema_at(subject.index, "['user_data']", &problem));
        }
    }
    enough_to_match(subject, members)
}

/// Empty texts and nulls are let pass: official SDKs send `"em":[null]` and `"em":[""]` for what they were
/// not given.
fn hashed(subject: &Subject<'_, '_>, key: &str, value: &Json<'_>, accept_md5: bool) -> Result<(), Refusal> {
    let acceptable = match value {
        Json::List(items) => items.iter().all(|item| is_hash_or_nothing(item, accept_md5)),
        single => is_hash_or_nothing(single, accept_md5),
    };
    if acceptable {
        return Ok(());
    }
    // Captured text, curly apostrophe included.
    let detail = format!(
        "The {key} parameter isn’t hashed. Hash all user parameters as SHA256, except for client user agent, click \
         ID, and browser ID. Any other user parameters that are not hashed are automatically rejected by \
         Facebook."
    );
    Err(Refusal::rule(
        subject.index,
        2_804_016,
        "User Parameter Not Hashed",
        &detail,
    ))
}

fn is_hash_or_nothing(value: &Json<'_>, accept_md5: bool) -> bool {
    match value {
        Json::Null => true,
        Json::Text(text) => text.is_empty() || is_hash(text, accept_md5),
        _ => false,
    }
}

/// 64 lower-case hex digits, with or without the suffix of Meta's parameter builder (`.AQQCAQMC`, or two
/// characters in its first versions).
fn is_hash(text: &str, accept_md5: bool) -> bool {
    let (digits, suffix) = match text.len() {
        32 | 64 => (text, None),
        _ => match text.split_once('.') {
            Some((digits, suffix)) => (digits, Some(suffix)),
            None => return false,
        },
    };
    let hex = digits
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let known_suffix = suffix.is_none_or(|suffix| match suffix.len() {
        2 => ["AQ", "Ag", "Aw", "BA", "BQ", "Bg"].contains(&suffix),
        8 => suffix
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'),
        _ => false,
    });
    hex && known_suffix && (digits.len() == 64 || (accept_md5 && digits.len() == 32))
}

fn enough_to_match(
    subject: &Subject<'_, '_>,
    members: &[(std::borrow::Cow<'_, str>, Json<'_>)],
) -> Result<(), Refusal> {
    let said: Vec<&str> = members
        .iter()
        .filter(|(_, value)| value.says_something())
        .map(|(key, _)| key.as_ref())
        .filter(|key| *key == "external_id" || HASHED.contains(key) || PLAIN.contains(key))
        .collect();
    // An empty list is within every row.
    if !TOO_LITTLE
        .iter()
        .any(|row| said.iter().all(|key| row.contains(key)))
    {
        return Ok(());
    }
    Err(Refusal::rule(
        subject.index,
        2_804_050,
        "Your Event Doesn't Have Enough Customer Information Parameters",
        "This event does not have enough customer information parameters to be matched to a person",
    ))
}
