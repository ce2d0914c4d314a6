//! The driver against servers of a few lines.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Serves every connection with the same answer to every `request_length` bytes, until the test ends.
async fn serve(request_length: usize, answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; request_length];
                while stream.read_exact(&mut request).await.is_ok() {
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    address
}

fn load(target: SocketAddr, template: Template, pace: Pace) -> Load {
    Load {
        target,
        template: Arc::new(template),
        connections: 3,
        pace,
        warm_up: Duration::ZERO,
        measured: Duration::from_millis(200),
        numbers: Arc::default(),
        accepted: Arc::default(),
    }
}

const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}";

#[tokio::test]
async fn a_closed_load_counts_every_answer_and_uses_every_number_once() {
    let template = Template::request("####", 1, "key");
    let load = load(
        serve(template.text().len(), ACCEPTED).await,
        template,
        Pace::Closed,
    );
    let (numbers, watched) = (load.numbers.clone(), load.accepted.clone());
    let answers = load.start().await.unwrap().answers().await.unwrap();
    assert!(answers.accepted > 0);
    assert_eq!(answers.unanswered, 0);
    assert_eq!(answers.statuses, BTreeMap::from([(202, answers.accepted)]));
    assert_eq!(numbers.load(Ordering::Relaxed), answers.accepted);
    assert_eq!(watched.load(Ordering::Relaxed), answers.accepted);
    assert!(answers.accepted_in_time <= answers.accepted);
    assert_eq!(answers.latencies.count(), answers.accepted_in_time);
}

#[tokio::test]
async fn an_open_load_sends_exactly_what_was_due() {
    let template = Template::request("####", 1, "key");
    let target = serve(template.text().len(), ACCEPTED).await;
    let answers = load(target, template, Pace::PerSecond(500.0))
        .start()
        .await
        .unwrap();
    let answers = answers.answers().await.unwrap();
    // 0 ms, 2 ms ... 198 ms.
    assert_eq!(answers.accepted, 100);
    assert_eq!(answers.latencies.count(), 100);
}

#[tokio::test]
async fn requests_that_a_stalled_server_kept_waiting_count_from_when_they_were_due() {
    // One connection, and an answer to its first request only after all others were due.
    let template = Template::request("####", 1, "key");
    let length = template.text().len();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut slow = load(listener.local_addr().unwrap(), template, Pace::PerSecond(100.0));
    slow.connections = 1;
    let stall = slow.measured;
    let running = slow.start().await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = vec![0; length];
    stream.read_exact(&mut request).await.unwrap();
    tokio::time::sleep_until(tokio::time::Instant::from_std(running.until)).await;
    tokio::spawn(async move {
        stream.write_all(ACCEPTED.as_bytes()).await.unwrap();
        while stream.read_exact(&mut request).await.is_ok() {
            stream.write_all(ACCEPTED.as_bytes()).await.unwrap();
        }
    });
    let answers = running.answers().await.unwrap();
    assert_eq!(answers.accepted, 20);
    // The first was due at 0 and the tenth at 90 ms, and none was answered before 200 ms.
    assert!(answers.latencies.quantile_ms(1.0) >= stall.as_secs_f64() * 1_000.0);
    assert!(answers.latencies.quantile_ms(0.5) >= 100.0);
}

#[tokio::test]
async fn refusals_are_counted_by_status_and_not_as_accepted() {
    let template = Template::request("####", 1, "key");
    let busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    let target = serve(template.text().len(), busy).await;
    let answers = load(target, template, Pace::PerSecond(100.0))
        .start()
        .await
        .unwrap();
    let answers = answers.answers().await.unwrap();
    assert_eq!(
        (answers.accepted, answers.statuses),
        (0, BTreeMap::from([(503, 20)]))
    );
}

#[tokio::test]
async fn a_server_that_hangs_up_fails_the_load() {
    let template = Template::request("####", 1, "key");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let load = load(listener.local_addr().unwrap(), template, Pace::Closed);
    let running = load.start().await.unwrap();
    drop(listener.accept().await.unwrap());
    assert!(running.answers().await.is_err());
}
