//! What one event costs: parsed, read, hashed and written, on one thread. `cargo run --release -p rastro-core --example cost`

use std::hint::black_box;
use std::time::Instant;

use rastro_core::dataset::{Currency, DatasetDefaults};
use rastro_core::event::{Event, Intake};
use rastro_core::json::Json;
use rastro_core::match_keys::CountryCode;
use rastro_core::user_data::Visitor;

/// A purchase as a Brazilian shop's page sends it.
const EVENT: &str = r#"{"event_name":"Purchase","event_time":1699999940,"event_id":"pedido-1042","action_source":"website","event_source_url":"https://loja.example.com.br/obrigado?utm_source=ig&fbclid=IwAR0_aB-c","user_data":{"em":"joao.silva@uol.com.br","ph":"(11) 91234-5678","fn":"João","ln":"da Silva","ct":"São Paulo","st":"SP","zp":"01310-100","external_id":"c-48213"},"custom_data":{"value":129.90,"currency":"BRL","order_id":"1042","content_type":"product","contents":[{"id":"SKU-1","quantity":2,"item_price":64.95}]}}"#;
const EVENTS: u32 = 200_000;
const ROUNDS: u32 = 5;

#[expect(clippy::print_stdout, reason = "the figure is for whoever runs this")]
fn main() {
    let intake = Intake {
        now_ms: 1_700_000_000_000,
        current_year: 2023,
        defaults: DatasetDefaults {
            country: CountryCode::parse("br"),
            currency: Currency::parse("BRL"),
        },
        visitor: Visitor {
            ip: Some("203.0.113.9".parse().expect("the address is well-formed")),
            user_agent: Some("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36"),
            fbp: Some("fb.1.1596403881668.1116446470"),
            fbc: None,
        },
    };
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..EVENTS {
            let json = Json::parse(black_box(EVENT.as_bytes())).expect("the event is JSON");
            let (event, _) = Event::read(json, &intake).expect("the event is valid");
            black_box(event.to_json());
        }
        println!("{} ns per event", start.elapsed().as_nanos() / u128::from(EVENTS));
    }
}
