//! The generator against servers of a few lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody";
const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}";
const LATER: &str = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n";

/// Answers requests with these in turn, the last one for ever.
async fn serve(answers: &'static [&'static str]) -> SocketAddr {
    let answered = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answered = answered.clone();
            tokio::spawn(async move {
                let mut request = vec![0; REQUEST.len()];
                while stream.read_exact(&mut request).await.is_ok() {
                    let number = answered.fetch_add(1, Ordering::Relaxed);
                    let answer = answers[number.min(answers.len() - 1)];
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    address
}

/// Sends so many requests, and counts what it is told by status.
#[derive(Clone, Default)]
struct Sender {
    left: u64,
    copies: usize,
    told: Arc<[AtomicU64; 2]>,
}

impl Client for Sender {
    fn next(&mut self, request: &mut Request) -> bool {
        (request.bytes, request.copies) = (REQUEST.to_vec(), self.copies);
        let more = self.left > 0;
        self.left = self.left.saturating_sub(1);
        more
    }

    fn told(&mut self, answer: &Answer<'_>) -> anyhow::Result<Verdict> {
        self.told[usize::from(answer.status != 202)].fetch_add(1, Ordering::Relaxed);
        Ok(Verdict::Told)
    }
}

fn load(target: SocketAddr, pace: Pace) -> Load<Sender> {
    let sender = Sender {
        left: u64::MAX,
        ..Sender::default()
    };
    Load {
        targets: vec![target],
        clients: vec![sender; 3],
        pace,
        window: Some(Window {
            warm_up: Duration::ZERO,
            measured: Duration::from_millis(200),
        }),
        patience: Patience::NONE,
    }
}

async fn outcome(load: Load<Sender>) -> anyhow::Result<Outcome> {
    load.start().await?.outcome().await
}

#[tokio::test]
async fn a_closed_load_counts_every_answer() {
    let load = load(serve(&[ACCEPTED]).await, Pace::Closed(Duration::ZERO));
    let told = load.clients[0].told.clone();
    let outcome = outcome(load).await.unwrap();
    assert!(outcome.accepted > 0);
    assert_eq!(outcome.statuses, BTreeMap::from([(202, outcome.accepted)]));
    assert_eq!(told[0].load(Ordering::Relaxed), outcome.accepted);
    assert!(outcome.accepted_in_time <= outcome.accepted);
    assert_eq!(outcome.latencies.len() as u64, outcome.accepted_in_time);
}

#[tokio::test]
async fn an_open_load_sends_exactly_what_was_due() {
    let load = load(serve(&[ACCEPTED]).await, Pace::PerSecond(500.0));
    let outcome = outcome(load).await.unwrap();
    // 0 ms, 2 ms ... 198 ms.
    assert_eq!((outcome.accepted, outcome.latencies.len()), (100, 100));
}

#[tokio::test]
async fn requests_that_a_stalled_server_kept_waiting_count_from_when_they_were_due() {
    // One connection, and an answer to its first request only after all others were due.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut slow = load(listener.local_addr().unwrap(), Pace::PerSecond(100.0));
    slow.clients.truncate(1);
    let running = slow.start().await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = vec![0; REQUEST.len()];
    stream.read_exact(&mut request).await.unwrap();
    tokio::time::sleep_until(tokio::time::Instant::from_std(running.until)).await;
    tokio::spawn(async move {
        stream.write_all(ACCEPTED.as_bytes()).await.unwrap();
        while stream.read_exact(&mut request).await.is_ok() {
            stream.write_all(ACCEPTED.as_bytes()).await.unwrap();
        }
    });
    let mut outcome = running.outcome().await.unwrap();
    assert_eq!(outcome.accepted, 20);
    // The first was due at 0 and the tenth at 90 ms, and none was answered before 200 ms.
    assert!(outcome.quantile_ms(1.0) >= 200.0);
    assert!(outcome.quantile_ms(0.5) >= 100.0);
}

#[tokio::test]
async fn refusals_are_counted_by_status_and_not_as_accepted() {
    let load = load(serve(&[LATER]).await, Pace::PerSecond(100.0));
    let outcome = outcome(load).await.unwrap();
    assert_eq!((outcome.accepted, outcome.refused()), (0, 20));
    assert_eq!(outcome.statuses, BTreeMap::from([(503, 20)]));
}

#[tokio::test]
async fn a_server_that_hangs_up_fails_a_load_without_patience() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let load = load(listener.local_addr().unwrap(), Pace::Closed(Duration::ZERO));
    let running = load.start().await.unwrap();
    drop(listener.accept().await.unwrap());
    assert!(running.outcome().await.is_err());
}

#[tokio::test]
async fn a_patient_client_sends_the_same_to_the_next_target_until_it_is_told() {
    // Nobody listens at the first address once the listener is gone.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let away = listener.local_addr().unwrap();
    drop(listener);
    let mut load = load(away, Pace::Closed(Duration::ZERO));
    load.targets.push(serve(&[LATER, ACCEPTED]).await);
    load.window = None;
    load.patience.attempts = u32::MAX;
    load.clients.truncate(1);
    load.clients[0].left = 1;
    let told = load.clients[0].told.clone();
    let outcome = outcome(load).await.unwrap();
    // Away, "later", away again, told.
    assert_eq!((outcome.accepted, outcome.sent_again), (1, 3));
    assert_eq!([0, 1].map(|kind| told[kind].load(Ordering::Relaxed)), [1, 0]);
}

#[tokio::test]
async fn copies_are_sent_at_once_and_each_is_told() {
    let mut load = load(serve(&[ACCEPTED]).await, Pace::Closed(Duration::ZERO));
    load.window = None;
    load.clients.truncate(1);
    (load.clients[0].left, load.clients[0].copies) = (2, 10);
    let told = load.clients[0].told.clone();
    assert_eq!(outcome(load).await.unwrap().accepted, 20);
    assert_eq!(told[0].load(Ordering::Relaxed), 20);
}

#[test]
fn only_what_is_new_and_stored_counts_as_accepted() {
    let accepted = |status, body: &str| {
        accepted(&Answer {
            status,
            retry_after: None,
            body: body.as_bytes(),
        })
    };
    assert_eq!(accepted(202, "{}").unwrap(), 1);
    let receipt = r#"{"request_id":"x","accepted":998,"duplicate":2,"results":[]}"#;
    assert_eq!(accepted(200, receipt).unwrap(), 998);
    for status in [409, 422, 503] {
        assert_eq!(accepted(status, r#"{"accepted":1}"#).unwrap(), 0);
    }
    assert!(accepted(200, "{}").is_err());
}

#[test]
fn quantiles_are_those_of_the_sorted_values() {
    let mut outcome = Outcome::default();
    assert_eq!(outcome.quantile_ms(0.99), 0.0);
    outcome.latencies = (1..=1_000).rev().map(|number| number * 100).collect();
    // The 500th, 990th and 1000th of 0.1 ms, 0.2 ms ... 100 ms.
    for (share, milliseconds) in [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
        assert_eq!(outcome.quantile_ms(share), milliseconds);
    }
}
