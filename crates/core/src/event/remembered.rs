//! What is known of a person's browser, put into an event that came without it.

use super::LONGEST_EVENT;
use crate::json::writer;

/// How `user_data` begins in what [`super::Event::to_json`] writes. A text before it (a name, an id, an
/// address) has its quotes escaped, and the objects that a client names stand behind it.
const USER_DATA: &str = "\"user_data\":{";

/// The finished event with these ids of Meta's cookies, which it must not have yet. `None`: there is nothing
/// to add, or it would become longer than an event may be.
pub fn with_browser_ids(payload: &str, fbp: Option<&str>, fbc: Option<&str>) -> Option<String> {
    let begin = payload.find(USER_DATA)? + USER_DATA.len();
    let (before, after) = payload.split_at(begin);
    let mut completed = before.to_owned();
    for (name, id) in [("fbc", fbc), ("fbp", fbp)] {
        if let Some(id) = id {
            let id = writer::to_string(id, id.len() + 2).ok()?;
            completed += &format!("\"{name}\":{id},");
        }
    }
    if completed.len() == begin {
        return None;
    }
    if after.starts_with('}') {
        completed.pop(); // The comma: nothing follows.
    }
    completed += after;
    (completed.len() <= LONGEST_EVENT).then_some(completed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Intake};
    use crate::json::Json;

    const FBC: &str = "fb.1.1790000000000.IwAR0click";

    fn finished(event: &str) -> String {
        let intake = Intake {
            now_ms: 1_790_000_100_000,
            current_year: 2026,
            ..Intake::default()
        };
        let (event, _) = Event::read(Json::parse(event.as_bytes()).unwrap(), &intake).unwrap();
        event.to_json()
    }

    #[test]
    fn ids_stand_in_user_data_whatever_else_is_called_so() {
        let payload = finished(
            r#"{"event_name":"Lead","event_id":"\"user_data\":{","event_time":1790000050,"action_source":"website",
            "event_source_url":"https://x.br/?q=%22user_data%22:{","custom_data":{"user_data":{"a":1}},
            "user_data":{"external_id":"7","client_user_agent":"x"}}"#,
        );
        let completed = with_browser_ids(&payload, Some("fb.1.1790000000000.1"), Some(FBC)).unwrap();
        let expected = payload.replacen(
            "\"user_data\":{\"external_id\"",
            &format!("\"user_data\":{{\"fbc\":\"{FBC}\",\"fbp\":\"fb.1.1790000000000.1\",\"external_id\""),
            1,
        );
        assert_ne!(payload, expected);
        assert_eq!(completed, expected);
    }

    #[test]
    fn nothing_to_add_is_no_change_and_no_event_grows_too_long() {
        assert_eq!(with_browser_ids("{\"user_data\":{}}", None, None), None);
        assert_eq!(
            with_browser_ids("{\"user_data\":{}}", None, Some(FBC)).unwrap(),
            format!("{{\"user_data\":{{\"fbc\":\"{FBC}\"}}}}")
        );
        assert_eq!(with_browser_ids("{}", None, Some(FBC)), None);
        let long = format!(
            "{{\"user_data\":{{\"x\":\"{}\"}}}}",
            "a".repeat(LONGEST_EVENT - 40)
        );
        assert_eq!(with_browser_ids(&long, None, Some(FBC)), None);
    }
}
