//! Clients that send events with ids of their own and do not give up before they are told what became of
//! them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rastro_service::clock::Clock;
use rastro_test_support::http::{self, Answer};
use serde_json::{Value, json};

use crate::books::Told;
use crate::load::{self, Patience, Request, Verdict};

/// An event with this in its id is one that Meta will never take.
pub const POISON: &str = "poison";
pub const SECRET_KEY: &str = "sk_0123456789abcdef0123456789abcdef";
/// While nothing is known, sending the same again is safe.
pub const PATIENCE: Patience = Patience {
    answer_within: Duration::from_secs(5),
    attempts: u32::MAX,
    wait: Duration::from_millis(50),
    longest_wait: Duration::from_millis(50),
};
/// How many answers that no client should get are kept.
const MOST_UNEXPECTED: usize = 10;
/// While events are poisoned, every so many-th is.
const POISONED_EVERY: u64 = 10;

/// What all clients know and share.
#[derive(Default)]
pub struct Book {
    told: Mutex<HashMap<String, Told>>,
    unexpected: Mutex<Vec<String>>,
    /// How many faults poison events now.
    poisoning: AtomicUsize,
    /// How many events were.
    poisoned: AtomicU64,
    is_over: AtomicBool,
    stall: Mutex<Stall>,
}

/// How long nobody was told that an event is stored.
#[derive(Default)]
struct Stall {
    last: Option<Instant>,
    longest: Duration,
    /// Since somebody began to look.
    lately: Duration,
}

impl Book {
    /// So many clients.
    pub fn clients(self: &Arc<Self>, count: u64, seed: u64) -> Vec<Client> {
        let client = |number| Client {
            number,
            sent: 0,
            chance: StdRng::seed_from_u64(seed.wrapping_add(number)),
            ids: Vec::new(),
            book: self.clone(),
        };
        (0..count).map(client).collect()
    }

    /// What the clients were told of each event, by any of its copies.
    pub fn told(&self) -> HashMap<String, Told> {
        lock(&self.told).clone()
    }

    /// Answers that no client should get.
    pub fn unexpected(&self) -> Vec<String> {
        lock(&self.unexpected).clone()
    }

    /// The longest time between two answers "accepted" so far, to whomever.
    pub fn longest_stall(&self) -> Duration {
        lock(&self.stall).longest
    }

    /// The same since this was last asked. The answer that comes next counts for the next time.
    pub fn longest_stall_since(&self) -> Duration {
        std::mem::take(&mut lock(&self.stall).lately)
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
            "accepted" => {
                told.accepted += 1;
                let mut stall = lock(&self.stall);
                let now = Instant::now();
                let since = stall.last.replace(now).map(|last| now - last);
                stall.longest = stall.longest.max(since.unwrap_or_default());
                stall.lately = stall.lately.max(since.unwrap_or_default());
            }
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

pub struct Client {
    number: u64,
    sent: u64,
    chance: StdRng,
    /// The events of the request under way.
    ids: Vec<String>,
    book: Arc<Book>,
}

impl Client {
    fn id(&mut self) -> String {
        self.sent += 1;
        let poisons = self.book.poisoning.load(Ordering::Relaxed) > 0;
        let is_poisoned = poisons && self.sent.is_multiple_of(POISONED_EVERY);
        let kind = if is_poisoned { POISON } else { "event" };
        let poisoned = u64::from(is_poisoned);
        self.book.poisoned.fetch_add(poisoned, Ordering::Relaxed);
        format!("{kind}-{}-{}", self.number, self.sent)
    }
}

impl load::Client for Client {
    fn next(&mut self, request: &mut Request) -> bool {
        if self.book.is_over.load(Ordering::Relaxed) {
            return false;
        }
        request.target = self.chance.random_range(0..2);
        let kind = self.chance.random_range(0..10);
        let size = if kind < 7 {
            1
        } else {
            self.chance.random_range(2..=6)
        };
        // The same event twice at once, as a page and a server send it.
        request.copies = if kind == 0 { 2 } else { 1 };
        self.ids = (0..size).map(|_| self.id()).collect();
        let events: Vec<Value> = self.ids.iter().map(|id| event(id)).collect();
        let body = match events.as_slice() {
            [event] => event.to_string(),
            events => json!({ "events": events }).to_string(),
        };
        let bearer = format!("Bearer {SECRET_KEY}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        request.bytes = http::request("POST", "/api/meta/conversions", &headers, &body);
        true
    }

    fn told(&mut self, answer: &Answer<'_>) -> anyhow::Result<Verdict> {
        match (answer.status, self.ids.as_slice()) {
            (202, [id]) => self.book.note(id, "accepted"),
            (409, [id]) => self.book.note(id, "duplicate"),
            (200, ids) if ids.len() > 1 => {
                let receipt: Value = serde_json::from_slice(answer.body).unwrap_or_default();
                for (index, id) in ids.iter().enumerate() {
                    let status = receipt["results"][index]["status"].as_str();
                    self.book.note(id, status.unwrap_or("nothing"));
                }
            }
            (status, _) => {
                let text = String::from_utf8_lossy(answer.body);
                let what = format!("a request was answered with {status}: {text}");
                self.book.note_unexpected(what);
                return Ok(Verdict::Again);
            }
        }
        Ok(Verdict::Told)
    }
}

/// One request with events of these ids, as a server sends them that does not know what became of them.
pub fn batch(ids: &[String]) -> Vec<u8> {
    let events: Vec<Value> = ids.iter().map(|id| event(id)).collect();
    let bearer = format!("Bearer {SECRET_KEY}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    http::request(
        "POST",
        "/api/meta/conversions",
        &headers,
        &json!({ "events": events }).to_string(),
    )
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
