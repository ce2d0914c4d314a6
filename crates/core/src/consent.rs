//! What a visitor said about the use of the data, as it is kept for the record.

use std::borrow::Cow;

use crate::json::{Json, Object};

const SIGNALS: [&str; 4] = [
    "ad_storage",
    "ad_user_data",
    "ad_personalization",
    "analytics_storage",
];
const LONGEST_SOURCE: usize = 100;

/// The signals that have a meaning, when they were given and where, as JSON. Whatever else a page says is
/// left out.
pub fn record(fields: &Object<'_>) -> String {
    let is_known = |name: &str, value: &Json<'_>| match (name, value) {
        ("at", value) => value.as_i64().is_some(),
        ("source", Json::String(source)) => {
            source.len() <= LONGEST_SOURCE && !source.contains(char::is_control)
        }
        (name, Json::String(word)) => {
            SIGNALS.contains(&name) && matches!(&**word, "granted" | "denied" | "pending")
        }
        _ => false,
    };
    let mut kept: Object<'_> = Vec::new();
    for (name, value) in fields {
        if is_known(name, value) && kept.iter().all(|(there, _)| there != name) {
            kept.push((Cow::Borrowed(name), value.clone()));
        }
    }
    serde_json::to_string(&Json::Object(kept)).expect("text and numbers can be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_holds_what_has_a_meaning_and_nothing_else() {
        let said = br#"{"ad_storage":"granted","ad_user_data":"maybe","at":1795808000000,"source":"banner","x":{"y":1},
            "analytics_storage":"denied","ad_storage":"denied","ad_personalization":7}"#;
        let Json::Object(said) = Json::parse(said).unwrap() else {
            panic!("an object")
        };
        let kept =
            r#"{"ad_storage":"granted","at":1795808000000,"source":"banner","analytics_storage":"denied"}"#;
        assert_eq!(record(&said), kept);
    }
}
