//! The finished JSON, byte for byte, and what Meta's SDKs and other clients are known to send.

use std::net::IpAddr;

use rastro_core::dataset::{Currency, DatasetId};
use rastro_core::match_keys::CountryCode;
use serde_json::json;

use super::*;

#[test]
fn a_brazilian_purchase_is_sent_exactly_so() {
    let text = r#"{
        "event_name": "Purchase", "event_time": 1699999940, "event_id": "pedido-1042", "action_source": "website",
        "event_source_url": "https://loja.example.com.br/obrigado?fbclid=AbC_d-1",
        "referrer_url": "https://loja.example.com.br/checkout",
        "user_data": {
            "em": " JOAO.SILVA@UOL.COM.BR ", "ph": "(11) 91234-5678", "fn": "Mary", "ge": "Feminino",
            "st": "Minas Gerais", "external_id": 12345, "lead_id": "1234567890123456"
        },
        "custom_data": {
            "value": "129.90", "order_id": 1042, "content_type": "product",
            "contents": [{"id": "SKU-1", "quantity": 2, "item_price": 64.95}], "cupom": "BEMVINDO"
        },
        "opt_out": false
    }"#;
    let intake = Intake {
        defaults: DatasetDefaults {
            country: CountryCode::parse("br"),
            currency: Currency::parse("BRL"),
        },
        visitor: Visitor {
            ip: Some("2001:db8::7".parse::<IpAddr>().unwrap()),
            user_agent: Some("Mozilla/5.0 \"Android\""),
            fbp: Some("fb.1.1596403881668.1116446470"),
            fbc: None,
            is_browser: false,
        },
        ..intake()
    };
    let (json, warnings) = read(text, &intake).unwrap();
    let expected = concat!(
        r#"{"event_name":"Purchase","event_time":1699999940,"event_id":"pedido-1042","action_source":"website","#,
        r#""event_source_url":"https://loja.example.com.br/obrigado?fbclid=AbC_d-1","#,
        r#""referrer_url":"https://loja.example.com.br/checkout","user_data":{"#,
        r#""em":"8e28b325d079868b9181245e4d38fe2b59f2caff7fe43f8e7019dc8cc3bf40ed","#,
        r#""ph":"eeff2a7b3fdffa242c44700da8293d40c64a070956a3cdac36a4553dd4786704","#,
        r#""fn":"6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec","#,
        r#""ge":"252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111","#,
        r#""st":"e9949d904d436e1fd21b1ac234c1fad20b0939f0d6f4292f78625cebaf267ed8","#,
        r#""country":"885036a0da3dff3c3e05bc79bf49382b12bc5098514ed57ce0875aba1aa2c40d","#,
        r#""external_id":"5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5","#,
        r#""client_ip_address":"2001:db8::7","client_user_agent":"Mozilla/5.0 \"Android\"","#,
        r#""fbc":"fb.1.1699999940000.AbC_d-1","fbp":"fb.1.1596403881668.1116446470","#,
        r#""lead_id":"1234567890123456"},"custom_data":{"value":129.9,"order_id":"1042","content_type":"product","#,
        r#""contents":[{"id":"SKU-1","quantity":2,"item_price":64.95}],"cupom":"BEMVINDO","currency":"BRL"},"#,
        r#""opt_out":false}"#,
    );
    assert_eq!(json, expected);
    assert_eq!(warnings, []);
}

#[test]
fn the_fields_that_are_only_passed_on_stand_at_the_level_of_the_event() {
    let mut event = lead();
    for (name, value) in [
        ("data_processing_options", json!(["LDU"])),
        ("data_processing_options_country", json!(1)),
        ("data_processing_options_state", json!(1000)),
        ("app_data", json!({"vendor_id": "v"})),
        ("original_event_data", json!({"event_id": "e"})),
        ("attribution_data", json!({"scope": "click"})),
        ("messaging_channel", json!("whatsapp")),
        ("advanced_measurement_table", json!("t")),
        ("opt_out", json!(true)),
    ] {
        event[name] = value;
    }
    let mut expected = event.clone();
    expected["user_data"]["em"] = json!(ANA);
    assert_eq!(sent(&event), expected);
}

#[test]
fn what_the_sdks_write_for_nothing_is_nothing() {
    // Python writes [null], PHP [""] and nulls for absent objects, plain PHP [] for an empty one.
    let event = json!({
        "event_name": "Lead", "event_time": NOW, "event_id": "1", "action_source": "system_generated",
        "event_source_url": null, "referrer_url": null, "opt_out": null, "app_data": null,
        "original_event_data": null, "attribution_data": [], "data_processing_options": null,
        "data_processing_options_country": null, "data_processing_options_state": null, "messaging_channel": null,
        "customer_segmentation": null, "advanced_measurement_table": null, "custom_data": [],
        "user_data": {"em": [null], "ph": [""], "ge": [null], "zp": null, "fbc": null, "lead_id": null, "external_id": ["007"]},
    });
    let sent = assert_warned(&event, &[]);
    assert_eq!(
        sent,
        json!({
            "event_name": "Lead", "event_time": NOW, "event_id": "1", "action_source": "system_generated",
            // printf 007 | sha256sum
            "user_data": {"external_id": "629f4cf9337b0d0c76f305d860f98894cfa8c279516b425747514ca8710deb97"},
        })
    );
}

#[test]
fn other_spellings_of_clients_mean_the_same() {
    // Segment writes booleans as numbers, PHP external ids as numbers; the parameter builder puts a suffix
    // behind what it touched.
    let event = lead_with("/opt_out", json!(1));
    let event = changed(event, "/user_data/external_id", json!([12345, "12345"]));
    let event = changed(
        event,
        "/user_data/client_ip_address",
        json!("203.0.113.9.AQQAAQMC"),
    );
    let event = changed(
        event,
        "/user_data/fbc",
        json!("fb.1.1700000000123.AbC_d-1.AQQCAQMC"),
    );
    let event = changed(event, "/user_data/em", json!(format!("{ANA}.AQQCAQMC")));
    let event = changed(
        event,
        "/event_source_url",
        json!("https://shop.example.com/t?fbclid=AbC.AQICAQMC"),
    );
    let sent = assert_warned(&event, &[]);
    assert_eq!(sent["opt_out"], true);
    assert_eq!(
        sent["event_source_url"],
        "https://shop.example.com/t?fbclid=AbC.AQICAQMC"
    );
    assert_eq!(
        sent["user_data"],
        json!({
            "em": format!("{ANA}.AQQCAQMC"),
            "external_id": "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5",
            "client_ip_address": "203.0.113.9.AQQAAQMC",
            "client_user_agent": "Mozilla/5.0",
            "fbc": "fb.1.1700000000123.AbC_d-1.AQQCAQMC",
        })
    );
}

#[test]
fn an_events_key_is_made_of_the_name_and_the_id_that_are_sent() {
    let dataset = DatasetId::try_from(1).unwrap();
    let text = lead_with("/event_id", json!("a")).to_string();
    let intake = intake();
    let (event, _) = Event::read(Json::parse(text.as_bytes()).unwrap(), &intake).unwrap();
    // printf '\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x04Lead\0\0\0\0\0\0\0\x01a' | sha256sum | cut -c1-32
    assert_eq!(
        event.key(dataset).0.simple().to_string(),
        "17da43aea95ba915fede038329a18d20"
    );
}

#[test]
fn nesting_as_deep_as_the_parser_takes_is_read_and_written() {
    let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let text = lead_with("/custom_data", json!({"deep": "?"}))
        .to_string()
        .replace(r#""?""#, &deep);
    let (json, _) = read(&text, &intake()).unwrap();
    assert!(json.contains(&deep));
}
