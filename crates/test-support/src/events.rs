//! Events as clients send them. Each is valid; a test changes what it is about.

use serde_json::{Value, json};

/// A lead from a landing page, with everything a browser knows.
pub fn lead(id: &str, time: i64) -> Value {
    json!({
        "event_name": "Lead",
        "event_time": time,
        "event_id": id,
        "action_source": "website",
        "event_source_url": "https://www.clinica.example/contato?utm_source=meta",
        "user_data": {
            "em": "Ana.Souza@Example.com",
            "ph": "(11) 91234-5678",
            "fn": "Ana",
            "ln": "de Souza",
            "client_ip_address": "203.0.113.7",
            "client_user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
        },
        "custom_data": { "service_type": "clareamento" }
    })
}

/// A paid order, as a server sends it.
pub fn purchase(id: &str, time: i64) -> Value {
    json!({
        "event_name": "Purchase",
        "event_time": time,
        "event_id": id,
        "action_source": "system_generated",
        "user_data": { "em": "joao.silva@example.com.br", "external_id": "customer-42" },
        "custom_data": { "value": 129.9, "currency": "BRL", "order_id": id }
    })
}
