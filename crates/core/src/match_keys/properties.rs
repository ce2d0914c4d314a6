//! What holds for every value, not only for those somebody thought of.

use proptest::prelude::*;

use super::{CountryCode, HashedKeys, MatchKey, Reading, country_code};

fn any_key() -> impl Strategy<Value = MatchKey> {
    prop::sample::select(&MatchKey::ALL[..])
}

fn any_reading() -> impl Strategy<Value = Reading> {
    (
        prop::sample::select(&["", "br", "us", "ca", "pt", "gb", "jp"][..]),
        any::<i32>(),
        any::<bool>(),
    )
        .prop_map(|(country, current_year, variants)| Reading {
            country: CountryCode::parse(country),
            current_year,
            variants,
        })
}

/// Any text, and texts made of what the rules look for.
fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9a-fA-F]{60,66}(\\.[A-Za-z0-9_-]{0,9})?",
        "[+0-9() .x-]{0,30}",
        "[0-9]{1,4}[-/. T][0-9]{1,4}[-/. ][0-9]{1,4}( [0-9]{2}:[0-9]{2})?",
        "[a-z.]{1,8}@[a-z.-]{1,12}",
        "[ \\p{L}\\p{M}'’.-]{1,300}",
    ]
}

/// What is sent of one value, or nothing if it is dropped.
fn sent(key: MatchKey, raw: &str, reading: &Reading) -> Vec<String> {
    let mut keys = HashedKeys::new();
    let added = keys.add(key, raw, reading);
    assert_eq!(
        added.is_ok(),
        keys.contains(key),
        "a value is either sent or dropped with a reason"
    );
    keys.get(key).map(|hashed| hashed.as_str().to_owned()).collect()
}

fn is_hash(text: &str) -> bool {
    let (hash, suffix) = text.split_once('.').unwrap_or((text, ""));
    matches!(hash.len(), 32 | 64)
        && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && matches!(suffix.len(), 0 | 2 | 8)
}

proptest! {
    #[test]
    fn whatever_is_sent_is_a_hash_and_never_more_than_four(
        key in any_key(), raw in any_value(), reading in any_reading(),
    ) {
        let sent = sent(key, &raw, &reading);
        prop_assert!(sent.iter().all(|hash| is_hash(hash)), "{sent:?}");
        let most = if reading.variants && key.takes_many() { 4 } else { 1 };
        prop_assert!(sent.len() <= most);
    }

    #[test]
    fn hashing_what_is_hashed_changes_nothing(key in any_key(), raw in any_value(), reading in any_reading()) {
        for hash in sent(key, &raw, &reading) {
            prop_assert_eq!(sent(key, &hash, &reading), vec![hash]);
        }
    }

    #[test]
    fn the_best_form_is_the_same_with_and_without_the_others(
        key in any_key(), raw in any_value(), reading in any_reading(),
    ) {
        let all = sent(key, &raw, &Reading { variants: true, ..reading });
        let best = sent(key, &raw, &Reading { variants: false, ..reading });
        prop_assert_eq!(all.first(), best.first());
    }

    #[test]
    fn case_and_blanks_around_a_value_make_no_difference(
        raw in "[a-zà-öø-þ' -]{0,20}|[a-z.]{1,8}@[a-z.-]{1,12}",
        before in "[ \t\u{a0}]{0,3}", after in "[ \r\n]{0,3}", reading in any_reading(),
    ) {
        for key in MatchKey::ALL.into_iter().filter(|key| !key.is_own_id()) {
            let typed_otherwise = format!("{before}{}{after}", raw.to_uppercase());
            prop_assert_eq!(sent(key, &raw, &reading), sent(key, &typed_otherwise, &reading), "{:?}", key);
        }
    }

    #[test]
    fn a_country_that_is_understood_is_an_assigned_code(raw in any_value()) {
        if let Some(country) = country_code(&raw) {
            prop_assert_eq!(CountryCode::parse(country.as_str()), Some(country));
        }
    }
}
