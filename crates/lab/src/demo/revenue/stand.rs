//! The stand-ins for Meta, Mercado Pago and Google Ads as the demo plays them: the clock, the ad accounts,
//! buyers, the seller and the bank.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rastro_sandbox::mercado_pago::{Method, Told};
use rastro_test_support::http::{self, Connection};
use serde_json::{Value, json};

use super::past::{Back, Order};

/// The seller of the demo.
pub const SELLER: i64 = 900_100_200;

/// Servers close a connection that was not used for some seconds.
const FRESH: Duration = Duration::from_secs(2);

/// All three. Their clock is one.
pub struct Stand {
    meta: Peer,
    mercado_pago: Peer,
    google_ads: Peer,
}

/// A connection that is opened again after a pause.
struct Peer {
    address: SocketAddr,
    connection: Connection,
    used: Instant,
}

impl Peer {
    async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Peer {
            address,
            connection: Connection::open(address).await?,
            used: Instant::now(),
        })
    }
}

impl Stand {
    pub async fn open(
        meta: SocketAddr,
        mercado_pago: SocketAddr,
        google_ads: SocketAddr,
    ) -> anyhow::Result<Self> {
        Ok(Stand {
            meta: Peer::open(meta).await?,
            mercado_pago: Peer::open(mercado_pago).await?,
            google_ads: Peer::open(google_ads).await?,
        })
    }

    /// Moves the clock so many milliseconds from now; 0 brings it back.
    pub async fn move_clock(&mut self, ms: i64) -> anyhow::Result<()> {
        let offset = json!({"offset_seconds": ms.div_euclid(1_000)});
        ask(&mut self.meta, "POST", "/sandbox/clock", &offset).await?;
        Ok(())
    }

    /// What the account at Google Ads has spent.
    pub async fn put_google_account(&mut self, id: &str, account: &Value) -> anyhow::Result<()> {
        let path = format!("/sandbox/accounts/{id}");
        ask(&mut self.google_ads, "PUT", &path, account).await?;
        Ok(())
    }

    /// What the ad account at Meta has spent.
    pub async fn put_ad_account(&mut self, id: &str, account: &Value) -> anyhow::Result<()> {
        ask(
            &mut self.meta,
            "PUT",
            &format!("/sandbox/ad-accounts/{id}"),
            account,
        )
        .await?;
        Ok(())
    }

    /// The Purchases that came, each once, with their order numbers and values in cents. The second: how many
    /// came again.
    pub async fn purchases(&mut self, orders: &str) -> anyhow::Result<(Vec<(String, i64)>, u64)> {
        let events = ask(&mut self.meta, "GET", "/sandbox/events", &Value::Null).await?;
        let (mut purchases, mut again) = (Vec::new(), 0);
        for event in events.as_array().into_iter().flatten() {
            let id = event["event_id"].as_str().unwrap_or_default();
            if event["event_name"] != "Purchase" || !id.starts_with(orders) {
                continue;
            }
            if event["repeated"] == true {
                again += 1;
                continue;
            }
            let value = event["event"]["custom_data"]["value"].as_f64();
            let value = value.with_context(|| format!("the Purchase {id} has no value"))?;
            // Two decimals survive in a double.
            purchases.push((id.to_owned(), (value * 100.0).round() as i64));
        }
        Ok((purchases, again))
    }

    /// Mercado Pago's own books of orders whose numbers begin so.
    pub async fn paid(&mut self, orders: &str) -> anyhow::Result<Vec<Told>> {
        let all = ask(&mut self.mercado_pago, "GET", "/sandbox/payments", &Value::Null).await?;
        let all: Vec<Told> = serde_json::from_value(all).context("the stand-in's books cannot be read")?;
        let is_wanted = |payment: &Told| {
            let reference = payment.external_reference.as_deref();
            reference.is_some_and(|reference| reference.starts_with(orders))
        };
        Ok(all.into_iter().filter(is_wanted).collect())
    }

    /// Where webhooks go from now on.
    pub async fn send_webhooks_to(&mut self, url: &str) -> anyhow::Result<()> {
        let webhook = json!({"user_id": SELLER, "url": url});
        ask(&mut self.mercado_pago, "PUT", "/sandbox/webhooks", &webhook).await?;
        Ok(())
    }

    /// A buyer begins to pay for a lead's order: the payment's number.
    pub async fn place(&mut self, order: &Order, lead: i64) -> anyhow::Result<u64> {
        let method = match order.method {
            Method::Pix => "pix",
            Method::Boleto => "boleto",
            Method::Card => "card",
            Method::RefusedCard => "refused_card",
        };
        let charge = json!({
            "user_id": SELLER, "method": method, "cents": order.cents, "external_reference": order.number,
            "metadata": {"lead_id": lead}, "email": format!("pessoa{lead}@example.com"),
        });
        let created = ask(&mut self.mercado_pago, "POST", "/sandbox/payments", &charge).await?;
        let id = created["id"].as_str().and_then(|id| id.parse().ok());
        id.or_else(|| created["id"].as_u64())
            .context("the stand-in told no payment's number")
    }

    /// The money arrives.
    pub async fn pay(&mut self, payment: u64) -> anyhow::Result<()> {
        self.step(payment, "pay", &json!({})).await
    }

    /// Money goes back.
    pub async fn give_back(&mut self, payment: u64, back: Back) -> anyhow::Result<()> {
        match back {
            Back::Refund(cents) => self.step(payment, "refund", &json!({"cents": cents})).await,
            Back::Chargeback => self.step(payment, "chargeback", &json!({})).await,
        }
    }

    async fn step(&mut self, payment: u64, step: &str, body: &Value) -> anyhow::Result<()> {
        let path = format!("/sandbox/payments/{payment}/{step}");
        ask(&mut self.mercado_pago, "POST", &path, body).await?;
        Ok(())
    }
}

async fn ask(peer: &mut Peer, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
    if peer.used.elapsed() > FRESH {
        peer.connection = Connection::open(peer.address).await?;
    }
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = http::request(method, path, &[], &body);
    let answer = peer.connection.exchange(&request).await?;
    peer.used = Instant::now();
    let told = String::from_utf8_lossy(answer.body);
    let status = answer.status;
    ensure!(
        (200..300).contains(&status),
        "the stand-in answered {method} {path} with {status}: {told}"
    );
    if told.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&told).with_context(|| format!("the answer to {method} {path} is not JSON"))
}
