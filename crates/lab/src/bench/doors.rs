//! What the other ways in cost beside a plain event of a server: a page's, one with an idempotency key, a
//! lead, an order; and what the script costs a page.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use rastro_test_support::cluster::checkout;
use serde::Serialize;
use serde_json::Value;

use crate::bench::{Bench, Round, SINGLES};
use crate::load::Pace;
use crate::sample::Template;
use crate::{say, variable};

pub const PAGE: &str = "page";
pub const IDEMPOTENT: &str = "idempotent";
pub const LEADS: &str = "leads";
pub const PURCHASES: &str = "purchases";
pub const REMEMBERING: &str = "remembering";
pub const WITH_CLICK: &str = "with_click";

/// The requests of one event each, by the name of their door.
pub fn templates(event: &str, secret_key: &str, publishable_key: &str) -> [(&'static str, Template); 6] {
    let bearer = format!("Bearer {secret_key}");
    let server = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    // The gateway's own origin: it is allowed unless others are named.
    let page = [
        ("Origin", "http://127.0.0.1"),
        ("Content-Type", "text/plain;charset=UTF-8"),
    ];
    let with_key = [server[0], server[1], ("X-Idempotency-Key", "bench-############")];
    let conversions = "/api/meta/conversions";
    let lead = format!(
        "{{\"lead\":{{\"name\":\"Ana ### de Souza\",\"email\":\"ana.souza.############@example.com\",\
         \"phone\":\"+55 (11) 9########\",\"message\":\"Quero agendar\"}},\"event\":{event}}}"
    );
    let order = "{\"purchase\":{\"order_id\":\"bench-############\",\"value\":129.9,\"currency\":\"BRL\",\
        \"email\":\"ana.souza.############@example.com\",\"service_type\":\"clareamento\"}}";
    let with_click = event.replace(
        "\"user_data\":{",
        "\"user_data\":{\"fbc\":\"fb.1.1700000000000.IwAR############\",",
    );
    [
        (
            PAGE,
            Template::post(&format!("{conversions}?key={publishable_key}"), &page, event),
        ),
        (IDEMPOTENT, Template::post(conversions, &with_key, event)),
        (LEADS, Template::post("/api/leads/capture", &server, &lead)),
        (PURCHASES, Template::post("/api/purchases/record", &server, order)),
        // By now there are leads by which each person is looked up, unless the event brings its own click.
        (REMEMBERING, Template::post(conversions, &server, event)),
        (WITH_CLICK, Template::post(conversions, &server, &with_click)),
    ]
}

/// A lead as a page sends it, with all that a capture may bring: consent, the contacts with ads, an
/// idempotency key.
pub fn everything(event: &str, publishable_key: &str) -> Template {
    let page = [
        ("Origin", "http://127.0.0.1"),
        ("Content-Type", "text/plain;charset=UTF-8"),
    ];
    let seconds = event.split("\"event_time\":").nth(1).unwrap_or_default();
    let seconds: String = seconds.chars().take_while(char::is_ascii_digit).collect();
    let touch = format!(
        "{{\"fbclid\":\"IwAR############\",\"utm_source\":\"ig\",\"landing\":\"/\",\"at\":{seconds}000}}"
    );
    let body = format!(
        "{{\"consent\":{{\"ad_storage\":\"granted\",\"ad_user_data\":\"granted\"}},\
         \"attribution\":{{\"first\":{touch},\"last\":{touch}}},\"idempotency_key\":\"all-############\",\
         \"lead\":{{\"name\":\"Ana ### de Souza\",\"email\":\"ana.souza.############@example.com\",\
         \"phone\":\"+55 (11) 9########\",\"message\":\"Quero agendar\"}},\"event\":{event}}}"
    );
    Template::post(&format!("/api/leads/capture?key={publishable_key}"), &page, &body)
}

/// What the script costs a page.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Script {
    /// As it goes over the wire.
    pub bytes: u64,
    /// Of the main thread, for one call of `track`. `None`: there is no browser, or no Node.
    pub track_median_ms: Option<f64>,
    pub track_p95_ms: Option<f64>,
}

impl Bench {
    /// Each door once, with as many connections as the plain one.
    pub async fn doors(&mut self, round: &mut Round) -> anyhow::Result<()> {
        for (name, template) in self.system.doors() {
            self.await_quiet().await?;
            let closed = Pace::Closed(Duration::ZERO);
            let load = self
                .system
                .load_of(Arc::new(template), SINGLES, closed, self.plan.window);
            let meter = self.meter(Some(&self.system.gateway), None);
            let (measurement, outcome) = meter.measure(load).await?;
            self.system.add(&outcome);
            round.insert(name, measurement);
        }
        Ok(())
    }

    /// After the sum of all events: what the browser sends is in no book.
    pub async fn script(&self) -> anyhow::Result<Script> {
        let bytes = self.system.script_bytes().await?;
        let Some(node) = variable("RASTRO_TEST_NODE") else {
            say("no Node.js (RASTRO_TEST_NODE): the script's time in a page is not measured");
            return Ok(Script {
                bytes,
                track_median_ms: None,
                track_p95_ms: None,
            });
        };
        let (url, key) = self.system.for_pages();
        let measuring = tokio::process::Command::new(node)
            .current_dir(checkout().join("crates/ingest-gateway/web"))
            .args(["tests/support/track-time.mjs", &url, key])
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_secs(120), measuring).await;
        let output = output.context("the browser did not end")??;
        ensure!(output.status.success(), "the script's time could not be measured");
        let found: Value =
            serde_json::from_slice(&output.stdout).context("the browser's figures cannot be read")?;
        Ok(Script {
            bytes,
            track_median_ms: found["median_ms"].as_f64(),
            track_p95_ms: found["p95_ms"].as_f64(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_door_takes_an_event_of_its_own() {
        for (name, template) in templates("{\"event_id\":\"r-############\"}", "sk_1", "pk_1") {
            assert_eq!(template.events(), 1, "{name}");
            let (first, second) = (template.filled(7).unwrap(), template.filled(8).unwrap());
            assert!(
                first.contains("000000000007") && first != second,
                "{name}: {first}"
            );
            let (head, body) = first.split_once("\r\n\r\n").unwrap();
            assert!(
                head.contains(&format!("Content-Length: {}", body.len())),
                "{name}: {first}"
            );
        }
    }
}
