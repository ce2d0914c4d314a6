//! Buyers and a bank while everything breaks: what is paid at Mercado Pago, and whether each payment is in
//! the books once and a Purchase at Meta once. Webhooks are doubled, lost and out of order; a gateway that is
//! away gets none of its own again within a run. So whatever is lost has to be found by comparing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rastro_sandbox::SandboxClock;
use rastro_sandbox::mercado_pago::{ApiFault, Charge, MercadoPago, Method, Seller, Told, WebhookFault};
use tokio_postgres::Client;

use crate::books::money::{BookedPayment, booked_payments};
use crate::chaos::report::Payments as Account;

/// The user who is paid.
pub const SELLER: i64 = 44_444;
pub const TOKEN: &str = "APP_USR-chaos0token";
pub const WEBHOOK_SECRET: &str = "chaos0webhook0secret";
/// How the numbers of orders begin.
pub const ORDER: &str = "pay-";
/// Between two buyers, at the most.
const PAUSE_MS: u64 = 120;
const WEBHOOKS_EVERY: Duration = Duration::from_millis(150);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Mercado Pago, and whoever pays there.
pub struct Shop {
    pub mercado_pago: MercadoPago,
    /// Where webhooks may go, each time to one of them.
    webhooks: Vec<String>,
    is_over: AtomicBool,
    lost: AtomicUsize,
}

impl Shop {
    /// A shop whose webhooks go to any of these gateways.
    pub async fn open(gateways: &[std::net::SocketAddr]) -> anyhow::Result<Arc<Self>> {
        let seller = Seller {
            user_id: SELLER,
            access_token: TOKEN.to_owned(),
            webhook_secret: WEBHOOK_SECRET.to_owned(),
            webhook_url: None,
            live_mode: true,
        };
        let webhook =
            |gateway: &std::net::SocketAddr| format!("http://{gateway}/api/webhooks/mercado-pago/{SELLER}");
        Ok(Arc::new(Shop {
            mercado_pago: MercadoPago::start(SandboxClock::system(), vec![seller]).await?,
            webhooks: gateways.iter().map(webhook).collect(),
            is_over: AtomicBool::new(false),
            lost: AtomicUsize::new(0),
        }))
    }

    /// Nobody buys any more; what was begun is paid.
    pub fn close(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Buys until the shop is closed. What waits to be paid by then is paid at once.
    pub async fn buy(self: Arc<Self>, seed: u64) {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut waiting: Vec<(String, i64)> = Vec::new();
        let mut number = 0_u64;
        while !self.is_over() {
            number += 1;
            let method = match chance.random_range(0..4) {
                0 => Method::Boleto,
                1 => Method::Card,
                _ => Method::Pix,
            };
            let cents = chance.random_range(1_000..200_000);
            let charge = Charge::new(method, cents)
                .reference(&format!("{ORDER}{number}"))
                .by(&format!("pessoa{number}@example.com"));
            let id = self.mercado_pago.create(SELLER, &charge);
            if method != Method::Card {
                waiting.push((id, cents));
            }
            // Some are never paid, most some buyers later; of some a part is given back later still.
            if waiting.len() > 5 {
                let (id, cents) = waiting.swap_remove(chance.random_range(0..waiting.len()));
                match chance.random_range(0..20) {
                    0 => {}
                    1..4 => {
                        self.mercado_pago.pay(&id);
                        self.mercado_pago.refund(&id, cents / 3);
                    }
                    _ => self.mercado_pago.pay(&id),
                }
            }
            tokio::time::sleep(Duration::from_millis(chance.random_range(20..PAUSE_MS))).await;
        }
        for (id, _) in waiting {
            self.mercado_pago.pay(&id);
        }
    }

    /// Sends webhooks, in their order or the reverse, until told to stop. One that nobody takes comes a
    /// quarter of an hour later, which no run lasts.
    pub async fn tell(self: Arc<Self>, seed: u64, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
        let mut chance = StdRng::seed_from_u64(seed);
        while !stop.load(Ordering::Relaxed) {
            let to = &self.webhooks[chance.random_range(0..self.webhooks.len())];
            self.mercado_pago.register_webhook(SELLER, to);
            let told = self.mercado_pago.deliver_due(chance.random()).await?;
            let untold = told.iter().filter(|webhook| webhook.status != 200);
            self.lost.fetch_add(untold.count(), Ordering::Relaxed);
            tokio::time::sleep(WEBHOOKS_EVERY).await;
        }
        Ok(())
    }

    /// The next webhooks are lost, doubled or forged.
    pub fn spoil_webhooks(&self, seed: u64) {
        let mut chance = StdRng::seed_from_u64(seed);
        for fault in [WebhookFault::Lost, WebhookFault::Doubled, WebhookFault::Forged] {
            let times = chance.random_range(2..6);
            self.mercado_pago.fail_webhooks(fault, times);
            if fault != WebhookFault::Doubled {
                self.lost.fetch_add(times as usize, Ordering::Relaxed);
            }
        }
    }

    /// The API misbehaves until it is told to stop.
    pub fn spoil_answers(&self, seed: u64) {
        let mut chance = StdRng::seed_from_u64(seed);
        for _ in 0..chance.random_range(10..40) {
            let fault = match chance.random_range(0..5) {
                0 => ApiFault::NotFound,
                1 => ApiFault::Stale,
                2 => ApiFault::Reset,
                3 => ApiFault::Status {
                    status: 429,
                    retry_after: Some(1),
                },
                _ => ApiFault::Status {
                    status: 500,
                    retry_after: None,
                },
            };
            self.mercado_pago.fail_with(fault, 1);
        }
    }

    /// What was paid, by Mercado Pago's own books.
    pub fn paid(&self) -> Vec<Told> {
        let told = self.mercado_pago.told().into_iter();
        told.filter(|payment| payment.approved_ms.is_some()).collect()
    }

    /// Waits until the books have every payment as it is, or time is over.
    pub async fn settle(&self, sql: &Client, patience: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        while began.elapsed() < patience {
            let booked = booked_payments(sql).await?;
            if self
                .paid()
                .iter()
                .all(|paid| differs(paid, booked.get(&paid.id)).is_none())
            {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Holds Mercado Pago's books against ours and Meta's. `purchases`: the values in cents of the Purchases
    /// that Meta counts, by their orders.
    pub async fn account(
        &self,
        sql: &Client,
        purchases: &HashMap<String, Vec<i64>>,
    ) -> anyhow::Result<(Account, Vec<String>)> {
        let booked = booked_payments(sql).await.context("the books cannot be read")?;
        let paid = self.paid();
        let mut account = judge(&paid, &booked, purchases);
        account.0.webhooks_lost = u64::try_from(self.lost.load(Ordering::Relaxed))?;
        Ok(account)
    }
}

/// How a payment differs from its books, if it does.
fn differs(paid: &Told, booked: Option<&BookedPayment>) -> Option<&'static str> {
    match booked {
        None => Some("it is not booked"),
        Some(booked) if booked.approvals != 1 => Some("it is booked more than once, or never as approved"),
        Some(booked) if booked.approved != paid.cents => Some("it is booked with another amount"),
        Some(booked) if booked.net != paid.cents - paid.refunded_cents => {
            Some("what was given back is booked otherwise")
        }
        Some(_) => None,
    }
}

fn judge(
    paid: &[Told],
    booked: &HashMap<String, BookedPayment>,
    purchases: &HashMap<String, Vec<i64>>,
) -> (Account, Vec<String>) {
    let mut account = Account::default();
    let mut broken: HashMap<&str, (u64, &str)> = HashMap::new();
    let mut orders = 0;
    for payment in paid {
        account.paid += 1;
        account.paid_cents += payment.cents;
        let own = booked.get(&payment.id);
        account.booked += u64::from(own.is_some_and(|own| own.approvals > 0));
        account.booked_cents += own.map_or(0, |own| own.approved);
        account.found_by_comparing += u64::from(own.is_some_and(|own| own.found_by_comparing));
        if let Some(what) = differs(payment, own) {
            broken.entry(what).or_insert((0, &payment.id)).0 += 1;
        }
        let order = payment.external_reference.as_deref().unwrap_or_default();
        let at_meta = purchases.get(order).map(Vec::as_slice).unwrap_or_default();
        orders += at_meta.len();
        account.at_meta_cents += at_meta.iter().sum::<i64>();
        let what = match at_meta {
            [cents] if *cents == payment.cents => continue,
            [_] => "Meta was told another value",
            [] => "it is no Purchase at Meta",
            _ => "Meta counts it more than once",
        };
        broken.entry(what).or_insert((0, &payment.id)).0 += 1;
    }
    account.at_meta = orders as u64;
    let others = purchases.values().map(Vec::len).sum::<usize>() - orders;
    let mut said: Vec<String> = broken
        .into_iter()
        .map(|(what, (count, first))| format!("payments: {what}: {count}, such as {first}"))
        .collect();
    if others > 0 {
        said.push(format!(
            "payments: Purchases at Meta that nobody paid for: {others}"
        ));
    }
    let ours = booked.values().filter(|own| own.approvals > 0).count() as u64;
    if ours != account.booked {
        said.push(format!(
            "payments: booked and never paid: {}",
            ours - account.booked
        ));
    }
    (account, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paid(id: &str, cents: i64, refunded_cents: i64) -> Told {
        Told {
            id: id.to_owned(),
            user_id: SELLER,
            status: "approved".to_owned(),
            method: "pix".to_owned(),
            external_reference: Some(format!("{ORDER}{id}")),
            currency: "BRL".to_owned(),
            cents,
            refunded_cents,
            created_ms: 0,
            approved_ms: Some(1),
        }
    }

    fn booked(approvals: i64, approved: i64, net: i64) -> BookedPayment {
        BookedPayment {
            approvals,
            approved,
            net,
            found_by_comparing: false,
        }
    }

    #[test]
    fn what_is_everywhere_once_with_its_amount_is_well() {
        let books = [("1", booked(1, 500, 400))].map(|(id, own)| (id.to_owned(), own));
        let purchases = [("pay-1".to_owned(), vec![500])].into();
        let (account, said) = judge(&[paid("1", 500, 100)], &books.into(), &purchases);
        assert_eq!(said, Vec::<String>::new());
        assert_eq!((account.paid, account.booked, account.at_meta), (1, 1, 1));
        assert_eq!(
            (account.paid_cents, account.booked_cents, account.at_meta_cents),
            (500, 500, 500)
        );
    }

    #[test]
    fn every_way_to_lose_double_or_change_money_is_said() {
        let all = [
            paid("1", 100, 0),
            paid("2", 100, 0),
            paid("3", 100, 0),
            paid("4", 100, 50),
        ];
        let books = [
            ("2", booked(2, 200, 200)),
            ("3", booked(1, 99, 99)),
            ("4", booked(1, 100, 100)),
            ("9", booked(1, 1, 1)),
        ]
        .map(|(id, own)| (id.to_owned(), own));
        let purchases = [
            ("pay-2", vec![100, 100]),
            ("pay-3", vec![99]),
            ("pay-4", vec![100]),
            ("pay-8", vec![1]),
        ]
        .map(|(order, cents)| (order.to_owned(), cents));
        let (_, said) = judge(&all, &books.into(), &purchases.into());
        assert_eq!(said.len(), 9, "{said:?}");
    }
}
