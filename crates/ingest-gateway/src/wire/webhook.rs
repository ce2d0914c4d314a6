//! A notification of Mercado Pago, in any of the shapes that reach the same address. Of its body only ids are
//! read: what it says is not believed.

use std::borrow::Cow;

use rastro_store::Topic;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The longest id or word that is kept, in bytes.
const LONGEST: usize = 100;

/// What the query says.
#[derive(Debug, Default)]
pub(crate) struct WebhookQuery<'r> {
    /// `data.id`, decoded. It is what is signed.
    pub(crate) data_id: Option<Cow<'r, str>>,
    /// It stands there twice and differs: nobody knows which one was signed.
    pub(crate) is_ambiguous: bool,
    topic: Option<Cow<'r, str>>,
    /// Of the old kind (IPN).
    id: Option<Cow<'r, str>>,
    /// `topic` stands there: of the old kind.
    pub(crate) is_ipn: bool,
}

impl<'r> WebhookQuery<'r> {
    pub(crate) fn read(query: &'r str) -> Self {
        let mut read = WebhookQuery::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "data.id" => {
                    read.is_ambiguous |= read.data_id.as_ref().is_some_and(|known| *known != value);
                    read.data_id = Some(value);
                }
                "type" => read.topic = Some(value),
                "topic" => {
                    read.topic = Some(value);
                    read.is_ipn = true;
                }
                "id" => read.id = Some(value),
                _ => {}
            }
        }
        read
    }
}

/// What a notification points at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    pub(crate) topic: Topic,
    /// Empty: it points at nothing.
    pub(crate) resource_id: String,
    pub(crate) action: Option<String>,
    /// What makes two deliveries the same one: the topic and its own id. Never the payment's: each of its
    /// states comes with it.
    pub(crate) delivery_key: [u8; 32],
}

impl Notification {
    /// Reads query and body. A body that is no JSON says nothing, and refuses nothing.
    pub(crate) fn read(query: &WebhookQuery<'_>, body: &[u8], request_id: Option<&str>) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let word = |value: &Value| text(value);
        let topic = query
            .topic
            .as_deref()
            .map(str::to_owned)
            .or_else(|| word(&body["type"]))
            .or_else(|| word(&body["topic"]))
            .unwrap_or_default();
        let known = topic_of(&topic);
        let data = &body["data"];
        let resource = match known {
            Topic::FraudAlert => word(&data["payment_id"]),
            _ => None,
        };
        let resource_id = resource
            .or_else(|| query.data_id.as_deref().map(str::to_owned))
            .or_else(|| word(&data["id"]))
            .or_else(|| query.id.as_deref().map(str::to_owned))
            // A bare id, or the address that ends with it.
            .or_else(|| word(&body["resource"]))
            .map(|id| id.rsplit('/').next().unwrap_or_default().trim().to_owned())
            .filter(|id| id.len() <= LONGEST)
            .unwrap_or_default();
        let action = word(&body["action"]).or_else(|| word(&body["actions"][0]));
        let mut hasher = Sha256::new();
        let mut add = |part: &str| {
            hasher.update(u64::try_from(part.len()).unwrap_or_default().to_be_bytes());
            hasher.update(part.as_bytes());
        };
        add(&topic);
        match word(&body["id"]) {
            Some(id) => add(&id),
            None => {
                let created = word(&body["date_created"]);
                for part in [
                    Some(&*resource_id),
                    action.as_deref(),
                    created.as_deref(),
                    request_id,
                ] {
                    add(part.unwrap_or_default());
                }
            }
        }
        Notification {
            topic: known,
            resource_id,
            action,
            delivery_key: hasher.finalize().into(),
        }
    }

    /// Whether an unsigned notification may be followed: it has the form of an id that Mercado Pago makes.
    pub(crate) fn is_plausible(&self) -> bool {
        let id = self.resource_id.as_bytes();
        let is_number = (1..=20).contains(&id.len()) && id.iter().all(u8::is_ascii_digit);
        let is_order = id
            .strip_prefix(b"ORD")
            .or_else(|| id.strip_prefix(b"PAY"))
            .is_some_and(|rest| {
                (10..=40).contains(&rest.len())
                    && rest
                        .iter()
                        .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
            });
        is_number || is_order
    }
}

/// A text or the digits of a number, without control characters.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let is_kept = !text.is_empty() && text.len() <= 4 * LONGEST && !text.contains(char::is_control);
    is_kept.then_some(text)
}

/// In any of its spellings; Mercado Pago's own texts mix them.
fn topic_of(word: &str) -> Topic {
    match word {
        "payment" => Topic::Payment,
        "order" | "orders" => Topic::Order,
        "merchant_order" | "merchant_orders" | "topic_merchant_order_wh" => Topic::MerchantOrder,
        "chargebacks" | "topic_chargebacks_wh" => Topic::Chargeback,
        "claim" | "claims" | "topic_claims_integration_wh" => Topic::Claim,
        "stop_delivery_op_wh" | "delivery_cancellation" => Topic::FraudAlert,
        _ => Topic::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, body: &str) -> Notification {
        Notification::read(&WebhookQuery::read(query), body.as_bytes(), Some("rid"))
    }

    fn points_at(query: &str, body: &str) -> (Topic, String) {
        let read = read(query, body);
        (read.topic, read.resource_id)
    }

    /// The bodies are those that the reference prints.
    #[test]
    fn every_published_shape_points_at_its_resource() {
        let payment = r#"{"id": 12345, "live_mode": true, "type": "payment", "date_created": "2015-03-25T10:04:58.396-04:00",
            "user_id": 44444, "api_version": "v1", "action": "payment.created", "data": {"id": "999999999"}}"#;
        assert_eq!(
            points_at("data.id=999999999&type=payment", payment),
            (Topic::Payment, "999999999".into())
        );
        assert_eq!(points_at("", payment), (Topic::Payment, "999999999".into()));
        let order = r#"{"action":"order.processed","type":"order","user_id":"321","data":{"id":"ORD01JQ4S4KY8HWQ6NA5PXB65B3D3"}}"#;
        assert_eq!(
            points_at("data.id=ORD01JQ4S4KY8HWQ6NA5PXB65B3D3&type=order", order),
            (Topic::Order, "ORD01JQ4S4KY8HWQ6NA5PXB65B3D3".into())
        );
        let merchant = r#"{"resource":"https://api.mercadolibre.com/merchant_orders/26262399173","topic":"merchant_order"}"#;
        for query in ["id=26262399173&topic=merchant_order", ""] {
            assert_eq!(
                points_at(query, merchant),
                (Topic::MerchantOrder, "26262399173".into())
            );
        }
        let ipn = r#"{"resource":"96718866362","topic":"payment"}"#;
        assert_eq!(points_at("", ipn), (Topic::Payment, "96718866362".into()));
        let chargeback = r#"{"type":"topic_chargebacks_wh","actions":["changed_case_status"],"data":{"id":123456,"payment_id":"987"}}"#;
        let read = read("", chargeback);
        assert_eq!((read.topic, &*read.resource_id), (Topic::Chargeback, "123456"));
        assert_eq!(read.action.as_deref(), Some("changed_case_status"));
        let fraud = r#"{"type":"stop_delivery_op_wh","data":{"description":"x","merchant_order":1,"payment_id":987,"site_id":"MLB"}}"#;
        assert_eq!(points_at("", fraud), (Topic::FraudAlert, "987".into()));
        assert_eq!(
            points_at("type=mp-connect", "not json"),
            (Topic::Other, String::new())
        );
    }

    #[test]
    fn a_retry_is_the_same_delivery_and_a_later_state_of_the_payment_is_not() {
        let key = |body: &str| read("data.id=1&type=payment", body).delivery_key;
        let created = r#"{"id":1,"action":"payment.created","data":{"id":"1"}}"#;
        assert_eq!(key(created), key(created));
        assert_eq!(
            key(created),
            key(r#"{"id":"1","action":"payment.created","data":{"id":"1"}}"#)
        );
        assert_ne!(
            key(created),
            key(r#"{"id":2,"action":"payment.updated","data":{"id":"1"}}"#)
        );
        // Without an id of its own, by everything that it says.
        assert_ne!(
            key(r#"{"action":"payment.created"}"#),
            key(r#"{"action":"payment.updated"}"#)
        );
    }

    #[test]
    fn an_id_that_stands_twice_and_differs_is_ambiguous() {
        assert!(WebhookQuery::read("data.id=1&data.id=2").is_ambiguous);
        assert!(!WebhookQuery::read("data.id=1&data.id=1").is_ambiguous);
        assert_eq!(
            WebhookQuery::read("data.id=OR%44").data_id.as_deref(),
            Some("ORD")
        );
    }

    #[test]
    fn an_unsigned_notification_is_followed_only_to_what_looks_like_an_id() {
        for (id, plausible) in [
            ("1312345678901", true),
            ("ORD01JQ4S4KY8HWQ6NA5PXB65B3D3", true),
            ("PAY01JQ4S4KY8H", true),
            ("", false),
            ("123456789012345678901", false),
            ("ORDx", false),
            ("../v1/x", false),
        ] {
            let read = read(&format!("type=payment&data.id={id}"), "");
            assert_eq!(read.is_plausible(), plausible, "{id}");
        }
    }
}
