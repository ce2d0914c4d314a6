//! The browser's side in Chromium, against everything that is real. The tests are those of
//! `web/tests/browser`, which run against a stand-in, too (`npm test`).
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod clients_support;
mod pages_support;

async fn run(file: &str) {
    pages_support::run(&format!("tests/browser/{file}.test.js"), &[]).await;
}

#[tokio::test]
async fn consent_is_asked_for_and_kept_to() {
    run("consent").await;
}

#[tokio::test]
async fn the_gateway_answers_pages_as_the_contract_says() {
    run("contract").await;
}

#[tokio::test]
async fn no_event_of_a_page_is_lost() {
    run("delivery").await;
}

#[tokio::test]
async fn page_views_are_counted_once() {
    run("pages").await;
}

#[tokio::test]
async fn the_pixel_and_the_gateway_share_one_id() {
    run("pixel").await;
}
