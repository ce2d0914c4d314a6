//! What Slack takes: the limits of Block Kit, in characters. One part that is too long refuses the whole
//! message.

use serde_json::Value;

type Checked = Result<(), &'static str>;

/// Checks a message.
pub(super) fn check(message: &Value) -> Checked {
    let has = |key: &str| !message[key].is_null();
    let text = match &message["text"] {
        Value::Null => "",
        Value::String(text) => text,
        _ => return Err("invalid_payload"),
    };
    if text.is_empty() && !has("blocks") && !has("attachments") {
        return Err("no_text");
    }
    if text.chars().count() > 40_000 {
        return Err("msg_too_long");
    }
    if has("blocks") {
        blocks(&message["blocks"])?;
    }
    if has("attachments") {
        let attachments = message["attachments"].as_array().ok_or("invalid_payload")?;
        if attachments.len() > 100 {
            return Err("too_many_attachments");
        }
        for attachment in attachments {
            if let Some(color) = attachment["color"].as_str() {
                let is_hex = color.len() == 7 && color[1..].bytes().all(|byte| byte.is_ascii_hexdigit());
                if !(matches!(color, "good" | "warning" | "danger") || (color.starts_with('#') && is_hex)) {
                    return Err("invalid_attachments");
                }
            }
            if !attachment["blocks"].is_null() {
                blocks(&attachment["blocks"])?;
            }
        }
    }
    Ok(())
}

fn blocks(blocks: &Value) -> Checked {
    let blocks = blocks.as_array().ok_or("invalid_blocks_format")?;
    if blocks.len() > 50 {
        return Err("invalid_blocks");
    }
    blocks.iter().try_for_each(block)
}

fn block(block: &Value) -> Checked {
    at_most(&block["block_id"], 255)?;
    match block["type"].as_str() {
        Some("header") => text_object(&block["text"], Some("plain_text"), 150),
        Some("section") => section(block),
        Some("divider") => Ok(()),
        Some("context") => {
            let elements = list(&block["elements"], 10)?;
            elements
                .iter()
                .try_for_each(|element| text_object(element, None, 2_000))
        }
        Some("actions") => list(&block["elements"], 25)?.iter().try_for_each(button),
        _ => Err("invalid_blocks"),
    }
}

fn section(section: &Value) -> Checked {
    let (text, fields) = (&section["text"], &section["fields"]);
    if text.is_null() && fields.is_null() {
        return Err("invalid_blocks");
    }
    if !text.is_null() {
        text_object(text, None, 3_000)?;
    }
    if !fields.is_null() {
        list(fields, 10)?
            .iter()
            .try_for_each(|field| text_object(field, None, 2_000))?;
    }
    Ok(())
}

fn button(button: &Value) -> Checked {
    if button["type"] != "button" {
        return Err("invalid_blocks");
    }
    text_object(&button["text"], Some("plain_text"), 75)?;
    at_most(&button["action_id"], 255)?;
    at_most(&button["value"], 2_000)?;
    at_most(&button["url"], 3_000)?;
    match button["url"].as_str() {
        Some(url) if !url.starts_with("https://") && !url.starts_with("http://") => Err("invalid_blocks"),
        _ => Ok(()),
    }
}

/// A text object of this kind, or of either, with 1 to so many characters.
fn text_object(object: &Value, kind: Option<&str>, longest: usize) -> Checked {
    let is_kind = match (object["type"].as_str(), kind) {
        (Some(found), Some(wanted)) => found == wanted,
        (Some(found), None) => matches!(found, "plain_text" | "mrkdwn"),
        (None, _) => false,
    };
    match object["text"].as_str() {
        Some(text) if is_kind && (1..=longest).contains(&text.chars().count()) => Ok(()),
        _ => Err("invalid_blocks"),
    }
}

/// A list of 1 to so many.
fn list(list: &Value, most: usize) -> Result<&Vec<Value>, &'static str> {
    list.as_array()
        .filter(|list| (1..=most).contains(&list.len()))
        .ok_or("invalid_blocks")
}

fn at_most(text: &Value, longest: usize) -> Checked {
    match text {
        Value::Null => Ok(()),
        Value::String(text) if text.chars().count() <= longest => Ok(()),
        _ => Err("invalid_blocks"),
    }
}

/// In how many places a message calls people.
pub(super) fn mentions(message: &Value) -> usize {
    match message {
        Value::String(text) => ["<!channel", "<!here", "<!everyone", "<!subteam", "<@"]
            .iter()
            .map(|mark| text.matches(mark).count())
            .sum(),
        Value::Array(values) => values.iter().map(mentions).sum(),
        Value::Object(map) => map.values().map(mentions).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of Slack's own reference: <https://api.slack.com/reference/block-kit/blocks> and
    /// <https://api.slack.com/messaging/webhooks>.
    #[test]
    fn published_examples_are_taken() {
        let examples = [
            json!({ "text": "Hello, world." }),
            json!({ "text": "Danny Torrence left a 1 star review for your property.", "blocks": [
                { "type": "section", "text": { "type": "mrkdwn", "text": "Danny Torrence left the following review for your property:" } },
                { "type": "section", "block_id": "section567", "text": { "type": "mrkdwn",
                    "text": "<https://example.com|Overlook Hotel> \n :star: \n Doors had too many axe holes, guest in room 237 was far too rowdy, whole place felt stuck in the 1920s." } },
                { "type": "section", "block_id": "section789", "fields": [
                    { "type": "mrkdwn", "text": "*Average Rating*\n1.0" } ] } ] }),
            json!({ "blocks": [
                { "type": "header", "text": { "type": "plain_text", "text": "A Heartfelt Header" } },
                { "type": "divider" },
                { "type": "context", "elements": [ { "type": "mrkdwn", "text": "Location: **Dogpatch**" } ] },
                { "type": "actions", "block_id": "actions1", "elements": [ { "type": "button",
                    "text": { "type": "plain_text", "text": "Cancel" }, "value": "cancel", "action_id": "button_1" } ] } ] }),
        ];
        for example in examples {
            assert_eq!(check(&example), Ok(()), "{example}");
        }
    }

    #[test]
    fn each_limit_is_as_published_and_one_more_refuses_the_whole_message() {
        let section = |length: usize| json!({ "blocks": [{ "type": "section", "text": { "type": "mrkdwn", "text": "x".repeat(length) } }] });
        assert_eq!(check(&section(3_000)), Ok(()));
        assert_eq!(check(&section(3_001)), Err("invalid_blocks"));
        assert_eq!(check(&section(0)), Err("invalid_blocks"));
        let header = |length: usize| json!({ "blocks": [{ "type": "header", "text": { "type": "plain_text", "text": "x".repeat(length) } }] });
        assert_eq!(
            (check(&header(150)), check(&header(151))),
            (Ok(()), Err("invalid_blocks"))
        );
        let fields = |count: usize, length: usize| {
            let field = json!({ "type": "mrkdwn", "text": "x".repeat(length) });
            json!({ "text": "t", "attachments": [{ "color": "#c84e00",
                "blocks": [{ "type": "section", "fields": vec![field; count] }] }] })
        };
        assert_eq!(check(&fields(10, 2_000)), Ok(()));
        assert_eq!(check(&fields(11, 1)), Err("invalid_blocks"));
        assert_eq!(check(&fields(1, 2_001)), Err("invalid_blocks"));
        let many = |count: usize| json!({ "blocks": vec![json!({ "type": "divider" }); count] });
        assert_eq!(
            (check(&many(50)), check(&many(51))),
            (Ok(()), Err("invalid_blocks"))
        );
        let button = |text: usize, url: String| {
            json!({ "blocks": [{ "type": "actions", "elements": [{ "type": "button", "url": url,
                "text": { "type": "plain_text", "text": "x".repeat(text) } }] }] })
        };
        assert_eq!(check(&button(75, "https://a".into())), Ok(()));
        assert_eq!(check(&button(76, "https://a".into())), Err("invalid_blocks"));
        assert_eq!(
            check(&button(1, format!("https://{}", "a".repeat(3_000)))),
            Err("invalid_blocks")
        );
        assert_eq!(
            check(&button(1, "javascript:alert(1)".into())),
            Err("invalid_blocks")
        );
        assert_eq!(check(&json!({})), Err("no_text"));
        assert_eq!(check(&json!({ "text": "" })), Err("no_text"));
        assert_eq!(
            check(&json!({ "blocks": [{ "type": "marquee" }] })),
            Err("invalid_blocks")
        );
    }

    #[test]
    fn a_mention_is_found_wherever_it_is_and_an_escaped_one_is_none() {
        assert_eq!(
            mentions(&json!({ "text": "<!channel> a", "blocks": [{ "text": { "text": "<@U1>" } }] })),
            2
        );
        assert_eq!(
            mentions(&json!({ "text": "&lt;!channel&gt; <!date^1^{time}^1:00>" })),
            0
        );
    }
}
