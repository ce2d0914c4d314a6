//! Settlement reports: configured first, ordered, made later, listed, fetched. As strict as the documentation
//! is: without a configuration none is ordered, and a window that ends before it begins is refused.

use std::collections::BTreeMap;

use actix_web::web::{self, Bytes, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde_json::{Value, json};

use super::State;
use super::book::{Book, cents, milliseconds, stamp};
use super::server::{refusal, seller};

/// Looks at the list before a report is there.
const LOOKS: u32 = 1;
const NEEDED: [&str; 4] = ["file_name_prefix", "columns", "frequency", "separator"];

/// The reports of all sellers.
#[derive(Default)]
pub(crate) struct Reports {
    pub(crate) configs: BTreeMap<i64, Value>,
    files: Vec<File>,
    /// By payment: what it costs in the end, where that is not what it tells.
    pub(crate) final_fees: BTreeMap<String, i64>,
    pub(crate) ordered: u64,
}

struct File {
    seller: i64,
    name: String,
    begin: i64,
    end: i64,
    made_at: i64,
    looks: u32,
    body: Vec<u8>,
}

impl Reports {
    /// Puts a file there as it is.
    pub(crate) fn put(&mut self, seller: i64, name: &str, now: i64, body: &[u8]) {
        self.files.push(File {
            seller,
            name: name.to_owned(),
            begin: now - 1_000,
            end: now,
            made_at: now,
            looks: 0,
            body: body.to_vec(),
        });
    }
}

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/v1/account/settlement_report/config")
                .route(web::get().to(show_config))
                .route(web::post().to(create_config)),
        )
        .route("/v1/account/settlement_report", web::post().to(order))
        .route("/v1/account/settlement_report/list", web::get().to(list))
        .route("/v1/account/settlement_report/{file}", web::get().to(file));
}

async fn show_config(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let seller = match seller(&state, &request) {
        Ok(seller) => seller,
        Err(answer) => return *answer,
    };
    match state.book().reports.configs.get(&seller) {
        Some(config) => HttpResponse::Ok().json(config),
        None => refusal(404, 0, "configuration not found"),
    }
}

async fn create_config(state: Data<State>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let seller = match seller(&state, &request) {
        Ok(seller) => seller,
        Err(answer) => return *answer,
    };
    let Ok(config @ Value::Object(_)) = serde_json::from_slice::<Value>(&body) else {
        return refusal(400, 0, "invalid body");
    };
    if let Some(name) = NEEDED.iter().find(|name| config[**name].is_null()) {
        return refusal(400, 0, &format!("{name} is required"));
    }
    let mut book = state.book();
    if book.reports.configs.contains_key(&seller) {
        return refusal(409, 0, "configuration already exists");
    }
    book.reports.configs.insert(seller, config.clone());
    HttpResponse::Created().json(config)
}

async fn order(state: Data<State>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let seller = match seller(&state, &request) {
        Ok(seller) => seller,
        Err(answer) => return *answer,
    };
    let window: Value = serde_json::from_slice(&body).unwrap_or_default();
    // Whole seconds and Z, as it is documented.
    let date = |name: &str| {
        let is_utc = window[name].as_str().is_some_and(|date| date.ends_with('Z'));
        milliseconds(&window[name]).filter(|_| is_utc)
    };
    let (Some(begin), Some(end)) = (date("begin_date"), date("end_date")) else {
        return refusal(
            400,
            0,
            "begin_date and end_date are required, such as 2026-11-01T00:00:00Z",
        );
    };
    if begin >= end {
        return refusal(400, 0, "begin_date must be before end_date");
    }
    let now = state.clock.now_ms();
    let mut book = state.book();
    if !book.reports.configs.contains_key(&seller) {
        return refusal(400, 0, "there is no configuration");
    }
    let body = written(&book, seller, begin, end);
    book.reports.ordered += 1;
    let name = format!("settlement-report-{seller}-{}.csv", book.reports.ordered);
    book.reports.files.push(File {
        seller,
        name,
        begin,
        end,
        made_at: now,
        looks: LOOKS,
        body,
    });
    HttpResponse::Accepted().json(json!({}))
}

async fn list(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let seller = match seller(&state, &request) {
        Ok(seller) => seller,
        Err(answer) => return *answer,
    };
    let mut listed = Vec::new();
    for (number, file) in state.book().reports.files.iter_mut().enumerate() {
        if file.seller != seller {
            continue;
        }
        if file.looks > 0 {
            file.looks -= 1;
            continue;
        }
        listed.push(json!({
            "id": number + 1, "user_id": seller, "begin_date": stamp(file.begin), "end_date": stamp(file.end),
            "file_name": file.name, "created_from": "manual", "date_created": stamp(file.made_at),
        }));
    }
    HttpResponse::Ok().json(listed)
}

async fn file(state: Data<State>, request: HttpRequest, name: Path<String>) -> HttpResponse {
    let seller = match seller(&state, &request) {
        Ok(seller) => seller,
        Err(answer) => return *answer,
    };
    let book = state.book();
    let found = book
        .reports
        .files
        .iter()
        .find(|file| file.seller == seller && file.name == *name && file.looks == 0);
    match found {
        Some(file) => HttpResponse::Ok()
            .content_type("text/csv")
            .body(file.body.clone()),
        None => refusal(404, 0, "file not found"),
    }
}

/// At -03:00, as the configuration asks.
fn at(ms: i64) -> String {
    let offset = FixedOffset::west_opt(3 * 3_600).expect("three hours are an offset");
    let time = DateTime::from_timestamp_millis(ms).expect("a time of this age");
    time.with_timezone(&offset)
        .to_rfc3339_opts(SecondsFormat::Millis, false)
}

fn money(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

/// What a seller was credited and what was taken back in a window.
fn written(book: &Book, seller: i64, begin: i64, end: i64) -> Vec<u8> {
    let mut text = String::from(
        "SOURCE_ID;EXTERNAL_REFERENCE;TRANSACTION_TYPE;TRANSACTION_AMOUNT;TRANSACTION_CURRENCY;TRANSACTION_DATE;FEE_AMOUNT;\
         SETTLEMENT_NET_AMOUNT;SETTLEMENT_CURRENCY;SETTLEMENT_DATE;PAYMENT_METHOD\r\n",
    );
    let within = |date: &Value| milliseconds(date).filter(|at| (begin..end).contains(at));
    for payment in book
        .payments()
        .iter()
        .filter(|payment| payment["collector_id"] == seller)
    {
        let id = payment["id"].to_string();
        let reference = payment["external_reference"].as_str().unwrap_or_default();
        let currency = payment["currency_id"].as_str().unwrap_or_default();
        let method = payment["payment_method_id"].as_str().unwrap_or_default();
        let mut row = |word: &str, gross: i64, fee: i64, ms: i64| {
            text.push_str(&format!(
                "{id};{reference};{word};{};{currency};{};{};{};{currency};{};{method}\r\n",
                money(gross),
                at(ms),
                money(-fee),
                money(gross - fee),
                at(ms)
            ));
        };
        if let Some(ms) = within(&payment["date_approved"]) {
            let told = payment["fee_details"][0]["amount"].clone();
            let told = if told.is_null() { 0 } else { cents(&told) };
            let fee = book.reports.final_fees.get(&id).copied().unwrap_or(told);
            row("SETTLEMENT", cents(&payment["transaction_amount"]), fee, ms);
        }
        for refund in payment["refunds"].as_array().into_iter().flatten() {
            if let Some(ms) = within(&refund["date_created"]) {
                row("REFUND", -cents(&refund["amount"]), 0, ms);
            }
        }
    }
    text.push_str(&format!(
        ";;PAYOUT;-1.00;BRL;{0};0.00;-1.00;BRL;{0};\r\n",
        at(end - 1)
    ));
    text.into_bytes()
}
