//! Webhooks: signed as documented, sent again while they are not answered with 200 or 201, and misbehaving on
//! command.
//!
//! Source: Mercado Pago, "Webhooks": the manifest `id:...;request-id:...;ts:...;`, 22 seconds for an answer,
//! 15 minutes between the first three tries, longer ones afterwards (how long is not documented: here they
//! double, up to a day).

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use super::{MercadoPago, Seller};

const RETRY_MS: i64 = 15 * 60_000;
const LONGEST_ANSWER: Duration = Duration::from_secs(22);
const LONGEST_RETRY_MS: i64 = 86_400_000;
const MOST_ATTEMPTS: u32 = 12;

/// What becomes of the next webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookFault {
    /// Never sent.
    Lost,
    /// Sent twice.
    Doubled,
    /// Signed with another secret.
    Forged,
}

/// A webhook that is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) seller: i64,
    topic: String,
    resource: String,
    body: Value,
    due_ms: i64,
    attempts: u32,
}

/// What was sent, and how it was answered (0: not at all).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub resource: String,
    pub status: u16,
}

impl Delivery {
    pub(crate) fn new(now: i64, seller: &Value, topic: &str, resource: &str, body: Value) -> Self {
        Delivery {
            seller: seller.as_i64().unwrap_or_default(),
            topic: topic.to_owned(),
            resource: resource.to_owned(),
            body,
            due_ms: now,
            attempts: 0,
        }
    }
}

/// How long after so many tries the next one is due.
fn retry_ms(attempts: u32) -> i64 {
    (RETRY_MS << attempts.saturating_sub(3).min(10)).min(LONGEST_RETRY_MS)
}

/// The documented signature of a webhook: the value of `x-signature`.
pub(crate) fn signature(secret: &str, resource: &str, request_id: &str, ts: i64) -> String {
    let manifest = format!("id:{resource};request-id:{request_id};ts:{ts};");
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    hmac.update(manifest.as_bytes());
    let hex: String = hmac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("ts={ts},v1={hex}")
}

impl MercadoPago {
    /// What becomes of the next webhooks, so many of them.
    pub fn fail_webhooks(&self, fault: WebhookFault, times: u32) {
        self.state.book().webhook_faults.push((fault, times));
    }

    /// Sends the webhooks that are due, in this order or the reverse, and says how each was answered. One
    /// that is not taken is due again 15 minutes later.
    ///
    /// # Errors
    /// When no client can be built.
    pub async fn deliver_due(&self, reversed: bool) -> anyhow::Result<Vec<Delivered>> {
        let now = self.now();
        let mut due = self.take_due(now);
        if reversed {
            due.reverse();
        }
        let client = reqwest::Client::builder().timeout(LONGEST_ANSWER).build()?;
        let mut delivered = Vec::new();
        for mut delivery in due {
            let Some(seller) = self.seller_with_webhook(delivery.seller) else {
                continue;
            };
            let fault = self.draw_webhook_fault();
            if fault == Some(WebhookFault::Lost) {
                continue;
            }
            let times = if fault == Some(WebhookFault::Doubled) {
                2
            } else {
                1
            };
            let mut status = 0;
            for _ in 0..times {
                status = send(&client, &seller, &delivery, fault, now).await;
                delivered.push(Delivered {
                    resource: delivery.resource.clone(),
                    status,
                });
            }
            if !matches!(status, 200 | 201) {
                delivery.attempts += 1;
                delivery.due_ms = now + retry_ms(delivery.attempts);
                if delivery.attempts < MOST_ATTEMPTS {
                    self.state.book().deliveries.push(delivery);
                }
            }
        }
        Ok(delivered)
    }

    /// Sends one unsigned notification of the old kind (IPN) about a resource, and says how it was answered.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub async fn send_ipn(&self, user_id: i64, topic: &str, id: &str) -> anyhow::Result<u16> {
        let seller = self.seller_with_webhook(user_id);
        let url = seller.and_then(|seller| seller.webhook_url).unwrap_or_default();
        let body = serde_json::json!({"resource": id, "topic": topic});
        let request = reqwest::Client::new()
            .post(format!("{url}?topic={topic}&id={id}"))
            // It is there, and cannot be verified.
            .header("x-signature", "ts=1742505638683,v1=00")
            .json(&body);
        Ok(request.send().await?.status().as_u16())
    }

    fn take_due(&self, now: i64) -> Vec<Delivery> {
        let mut book = self.state.book();
        let all = std::mem::take(&mut book.deliveries);
        let (due, later) = all.into_iter().partition(|delivery| delivery.due_ms <= now);
        book.deliveries = later;
        due
    }

    fn seller_with_webhook(&self, user_id: i64) -> Option<Seller> {
        let sellers = self.state.sellers();
        let seller = sellers
            .iter()
            .find(|seller| seller.user_id == user_id && seller.webhook_url.is_some());
        seller.cloned()
    }

    fn draw_webhook_fault(&self) -> Option<WebhookFault> {
        let mut book = self.state.book();
        let (fault, times) = book.webhook_faults.first_mut()?;
        let drawn = *fault;
        *times -= 1;
        if *times == 0 {
            book.webhook_faults.remove(0);
        }
        Some(drawn)
    }
}

/// The status of the answer; 0 when there was none.
async fn send(
    client: &reqwest::Client,
    seller: &Seller,
    delivery: &Delivery,
    fault: Option<WebhookFault>,
    now: i64,
) -> u16 {
    let url = seller.webhook_url.as_deref().unwrap_or_default();
    let request_id = format!("{:032x}", rand::random::<u128>());
    let secret = match fault {
        Some(WebhookFault::Forged) => "somebody-elses-secret",
        _ => seller.webhook_secret.as_str(),
    };
    let request = client
        .post(format!(
            "{url}?data.id={}&type={}",
            delivery.resource, delivery.topic
        ))
        .header("x-request-id", &request_id)
        .header(
            "x-signature",
            signature(secret, &delivery.resource, &request_id, now),
        )
        .json(&delivery.body);
    request.send().await.map_or(0, |answer| answer.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_tries_are_15_minutes_apart_and_later_ones_longer() {
        let minutes: Vec<i64> = (1..=6).map(|attempts| retry_ms(attempts) / 60_000).collect();
        assert_eq!(minutes, [15, 15, 15, 30, 60, 120]);
        assert_eq!(retry_ms(MOST_ATTEMPTS), LONGEST_RETRY_MS);
    }

    /// The vector V2 of the reference, computed with Python's `hmac`.
    #[test]
    fn webhooks_are_signed_as_documented() {
        assert_eq!(
            signature(
                "mp_whsec_test_0123456789abcdef0123456789abcdef",
                "123456789012",
                "2066ca19-c6f1-498a-be75-1923005edd06",
                1_742_505_638_683
            ),
            "ts=1742505638683,v1=e5ab4c777f325a1b2ef781e7293be7f2ce1b71de7aa818faa53d7f6a2b752ddf"
        );
    }
}
