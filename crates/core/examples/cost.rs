//! What one event costs: parsed, read (checked, normalised, hashed) and written, on one thread; and, as a
//! yardstick for the machine, a SHA-256 of one block. `cargo run --release -p rastro-core --example cost`

use std::hint::black_box;
use std::time::Instant;

use rastro_core::dataset::{Currency, DatasetDefaults};
use rastro_core::event::{Event, Intake};
use rastro_core::json::Json;
use rastro_core::match_keys::{CountryCode, sha256_hex};
use rastro_core::user_data::Visitor;

/// A purchase as a Brazilian shop's page sends it. It is written with thirteen hashes: those of nine
/// identifiers (the country is assumed), four of them in two forms.
const EVENT: &str = r#"{"event_name":"Purchase","event_time":1699999940,"event_id":"pedido-1042","action_source":"website","event_source_url":"https://loja.example.com.br/obrigado?utm_source=ig&fbclid=IwAR0_aB-c","user_data":{"em":"joao.silva@uol.com.br","ph":"(11) 91234-5678","fn":"João","ln":"da Silva","ct":"São Paulo","st":"SP","zp":"01310-100","external_id":"c-48213"},"custom_data":{"value":129.90,"currency":"BRL","order_id":"1042","content_type":"product","contents":[{"id":"SKU-1","quantity":2,"item_price":64.95}]}}"#;
const EVENTS: u32 = 2_000;
const ROUNDS: u32 = 100;

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
            is_browser: true,
        },
        ..Intake::default()
    };
    let parse = || Json::parse(black_box(EVENT.as_bytes())).expect("the event is JSON");
    let read = |json| Event::read(json, &intake).expect("the event is valid").0;

    // Other work on the machine only ever adds, so the quietest round is the truest; the steps take turns.
    let mut least = [u128::MAX; 4];
    for _ in 0..ROUNDS {
        let round = [
            nanoseconds(|| drop(black_box(parse()))),
            nanoseconds(|| drop(black_box(read(parse())))),
            nanoseconds(|| drop(black_box(read(parse()).to_json()))),
            nanoseconds(|| _ = black_box(sha256_hex(black_box(b"joao.silva@uol.com.br")))),
        ];
        for (least, took) in least.iter_mut().zip(round) {
            *least = took.min(*least);
        }
    }
    let [parsed, read, written, hash] = least;
    report("parse", parsed);
    report("read", read - parsed.min(read));
    report("write", written - read.min(written));
    report("the whole event", written);
    report("one hash", hash);
}

/// What one call takes, on average.
fn nanoseconds(step: impl Fn()) -> u128 {
    let start = Instant::now();
    (0..EVENTS).for_each(|_| step());
    start.elapsed().as_nanos() / u128::from(EVENTS)
}

#[expect(clippy::print_stdout, reason = "the figures are for whoever runs this")]
fn report(step: &str, nanoseconds: u128) {
    println!("{step:<16}{nanoseconds:>6} ns");
}
