//! Clients that send events with ids of their own and do not give up before they are told what became of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rastro_service::clock::Clock;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{POISON, SECRET_KEY};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries of the same.
const PAUSE: Duration = Duration::from_millis(50);
/// How many answers that no client should get are kept.
const MOST_UNEXPECTED: usize = 10;
/// While events are poisoned, every so many-th is.
const POISONED_EVERY: u64 = 10;

/// What the clients were told of one event, by any of its copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub accepted: u32,
    pub duplicate: u32,
}

/// What all clients know and share.
#[derive(Default)]
pub struct Book {
    told: Mutex<HashMap<String, Told>>,
    unexpected: Mutex<Vec<String>>,
    /// Requests that brought no verdict, and were sent again.
    repeated: AtomicU64,
    /// How many faults poison events now.
    poisoning: AtomicUsize,
    /// How many events were.
    poisoned: AtomicU64,
    is_over: AtomicBool,
}

impl Book {
    pub fn told(&self) -> HashMap<String, Told> {
        lock(&self.told).clone()
    }

    /// Answers that no client should get.
    pub fn unexpected(&self) -> Vec<String> {
        lock(&self.unexpected).clone()
    }

    pub fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    pub fn poisoned(&self) -> u64 {
        self.poisoned.load(Ordering::Relaxed)
    }

    pub fn begin_poisoning(&self) {
        self.poisoning.fetch_add(1, Ordering::Relaxed);
    }

    pub fn end_poisoning(&self) {
        self.poisoning.fetch_sub(1, Ordering::Relaxed);
    }

    /// Nothing new is sent from now on; what was sent is still sent again until there is a verdict.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn note(&self, id: &str, status: &str) {
        let mut told = lock(&self.told);
        let told = told.entry(id.to_owned()).or_default();
        match status {
            "accepted" => told.accepted += 1,
            "duplicate" => told.duplicate += 1,
            other => self.note_unexpected(format!("{id} was answered with {other}")),
        }
    }

    fn note_unexpected(&self, what: String) {
        let mut unexpected = lock(&self.unexpected);
        if unexpected.len() < MOST_UNEXPECTED {
            unexpected.push(what);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts so many clients, each of which sends, waits for its verdict, pauses and sends again.
pub fn start(
    book: &Arc<Book>,
    gateways: &[String; 2],
    clients: u64,
    pause: Duration,
    seed: u64,
) -> anyhow::Result<JoinSet<()>> {
    // An error means that the process has chosen its provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build();
    let http = http.context("the HTTP client could not be built")?;
    let mut running = JoinSet::new();
    for number in 0..clients {
        let client = Client {
            http: http.clone(),
            gateways: gateways.clone(),
            book: book.clone(),
        };
        let chance = StdRng::seed_from_u64(seed.wrapping_add(number));
        running.spawn(client.run(number, pause, chance));
    }
    Ok(running)
}

#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    gateways: [String; 2],
    book: Arc<Book>,
}

impl Client {
    async fn run(self, number: u64, pause: Duration, mut chance: StdRng) {
        let mut sent = 0;
        while !self.book.is_over.load(Ordering::Relaxed) {
            let gateway = chance.random_range(0..2);
            let kind = chance.random_range(0..10);
            let size = if kind < 7 { 1 } else { chance.random_range(2..=6) };
            let ids: Vec<String> = (sent..sent + size).map(|event| self.id(number, event)).collect();
            sent += size;
            if size > 1 {
                self.send_batch(&ids, gateway).await;
            } else if kind == 0 {
                // The same event twice at once, as a page and a server send it.
                tokio::join!(self.send_one(&ids[0], 0), self.send_one(&ids[0], 1));
            } else {
                self.send_one(&ids[0], gateway).await;
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn id(&self, client: u64, event: u64) -> String {
        let is_poisoned =
            self.book.poisoning.load(Ordering::Relaxed) > 0 && event.is_multiple_of(POISONED_EVERY);
        let kind = if is_poisoned { POISON } else { "event" };
        self.book
            .poisoned
            .fetch_add(u64::from(is_poisoned), Ordering::Relaxed);
        format!("{kind}-{client}-{event}")
    }

    async fn send_one(&self, id: &str, gateway: usize) {
        let (status, _) = self.until_told(&event(id), gateway, &[202, 409]).await;
        self.book
            .note(id, if status == 202 { "accepted" } else { "duplicate" });
    }

    async fn send_batch(&self, ids: &[String], gateway: usize) {
        let events: Vec<Value> = ids.iter().map(|id| event(id)).collect();
        let (_, answer) = self
            .until_told(&json!({ "events": events }), gateway, &[200])
            .await;
        for (index, id) in ids.iter().enumerate() {
            let result = &answer["results"][index];
            self.book.note(id, result["status"].as_str().unwrap_or("nothing"));
        }
    }

    /// Sends the same to one gateway, then the other, until one gives a verdict.
    async fn until_told(&self, body: &Value, mut gateway: usize, verdicts: &[u16]) -> (u16, Value) {
        loop {
            let request = self
                .http
                .post(&self.gateways[gateway])
                .bearer_auth(SECRET_KEY)
                .json(body);
            let answer = async {
                let answer = request.send().await?;
                Ok::<_, reqwest::Error>((answer.status().as_u16(), answer.bytes().await?))
            };
            match answer.await {
                Ok((status, text)) if verdicts.contains(&status) => {
                    return (status, serde_json::from_slice(&text).unwrap_or_default());
                }
                // Away, busy, or gone in the middle: nothing is known, and sending the same again is safe.
                Ok((429 | 503, _)) | Err(_) => {}
                Ok((status, text)) => {
                    let text = String::from_utf8_lossy(&text);
                    self.book
                        .note_unexpected(format!("a request was answered with {status}: {text}"));
                }
            }
            self.book.repeated.fetch_add(1, Ordering::Relaxed);
            gateway = 1 - gateway;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn event(id: &str) -> Value {
    json!({
        "event_name": "Lead",
        "event_time": Clock::system().now().timestamp(),
        "event_id": id,
        "action_source": "system_generated",
        "user_data": { "em": "ana.souza@example.com", "external_id": id },
        "custom_data": { "value": 129.9, "currency": "BRL" }
    })
}
