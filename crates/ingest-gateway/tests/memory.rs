//! What requests may occupy, all together.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::io::{Read, Write};
use std::net::TcpStream;

use rastro_store::DatasetSettings;
use rastro_test_support::events::lead;
use rastro_test_support::{DATASET_ID, Key, World, eventually};
use serde_json::{Value, json};

const LARGEST_BODY: usize = 40_000;

/// A world whose gateway holds two of the largest bodies, whichever of its threads they come to.
async fn start() -> World {
    let settings = DatasetSettings {
        name: "test".into(),
        ..Default::default()
    };
    World::with(settings, |config| {
        config.workers = 2;
        config.max_body_bytes = LARGEST_BODY;
        config.max_publishable_body_bytes = LARGEST_BODY;
        config.max_waiting_bytes = 2 * LARGEST_BODY;
    })
    .await
}

/// A request that announces a body of this size and sends the beginning of it.
fn begin(world: &World, announced: usize, sent: usize) -> TcpStream {
    let authorization = format!("Authorization: Bearer {}\r\n", Key::Secret.as_str());
    begin_at(&world.conversions_url(), &authorization, announced, sent)
}

fn edge(world: &World) -> String {
    let path = format!("/v24.0/{DATASET_ID}/events");
    world.conversions_url().replace("/api/meta/conversions", &path)
}

/// The same at Meta's edge, without a key beside the body.
fn begin_as_a_stranger(world: &World, announced: usize, sent: usize) -> TcpStream {
    begin_at(&edge(world), "", announced, sent)
}

fn begin_at(url: &str, more_headers: &str, announced: usize, sent: usize) -> TcpStream {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /{path} HTTP/1.1\r\nHost: {address}\r\n{more_headers}\
         Content-Type: application/json\r\nContent-Length: {announced}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(" ".repeat(sent).as_bytes()).unwrap();
    stream
}

/// The status of the answer.
async fn status(mut stream: TcpStream) -> String {
    let reading = tokio::task::spawn_blocking(move || {
        let mut line = [0; 12];
        stream.read_exact(&mut line).unwrap();
        String::from_utf8_lossy(&line[9..]).into_owned()
    });
    reading.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_still_being_sent_count_against_one_bound_for_the_whole_process() {
    let world = start().await;
    // The gateway reads them in its own time. A third that comes before it has read both whole may take the
    // room of one of the two, which is then refused itself: so each look begins with two of its own.
    let held = eventually("a third finds no room", || async {
        let held: Vec<_> = (0..2)
            .map(|_| begin(&world, LARGEST_BODY, LARGEST_BODY - 1))
            .collect();
        for _ in 0..20 {
            if status(begin(&world, 1_000, 1_000)).await == "503" {
                return Some(held);
            }
        }
        None
    })
    .await;
    drop(held);
    eventually("there is room again", || async {
        (world.post(Key::Secret, &lead("a", world.now())).await.status == 202).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_strangers_take_no_room_of_those_with_a_key() {
    let world = start().await;
    let _held: Vec<_> = (0..8)
        .map(|_| begin_as_a_stranger(&world, LARGEST_BODY, LARGEST_BODY - 1))
        .collect();
    eventually("a stranger finds no room", || async {
        (status(begin_as_a_stranger(&world, 1_000, 1_000)).await == "503").then_some(())
    })
    .await;
    let answer = world.post(Key::Secret, &lead("a", world.now())).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let body = json!({"data": [lead("b", world.now())]});
    let request = world
        .client
        .post(edge(&world))
        .bearer_auth(Key::Secret.as_str())
        .json(&body);
    assert_eq!(World::answer(request).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_announced_and_not_sent_takes_nothing_from_others() {
    let world = start().await;
    let _held: Vec<_> = (0..20).map(|_| begin(&world, LARGEST_BODY, 1)).collect();
    for n in 0..20 {
        let answer = world.post(Key::Secret, &lead(&format!("{n}"), world.now())).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_never_fit_is_not_told_to_come_again() {
    let world = start().await;
    let announced = status(begin(&world, LARGEST_BODY + 1, 0)).await;
    assert_eq!(announced, "413", "before anything of it was sent");

    let events: Vec<Value> = (0..80)
        .map(|n| {
            let mut event = lead(&format!("{n}"), world.now());
            event["user_data"] = json!({"em": "ana@example.com", "client_user_agent": "x"});
            event
        })
        .collect();
    let half = json!({"events": events[..40]});
    let whole = json!({ "events": events });
    assert!(
        whole.to_string().len() < LARGEST_BODY,
        "the body itself is not too large"
    );
    let refused = world.post(Key::Secret, &whole).await;
    assert_eq!(refused.status, 413, "{refused:?}");
    assert_eq!(world.census().await.accepted, 0);
    assert_eq!(world.post(Key::Secret, &half).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_bounded() {
    let settings = DatasetSettings {
        name: "test".into(),
        ..Default::default()
    };
    let world = World::with(settings, |config| {
        config.workers = 1;
        config.max_connections = 2;
    })
    .await;
    let mut served: Vec<_> = (0..2).map(|_| begin(&world, 0, 0)).collect();
    for stream in &mut served {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
    }
    let mut waits = begin(&world, 0, 0);
    // As many answers as it takes to be sure that the third had its chance.
    for _ in 0..20 {
        let again = begin_on(served.remove(0));
        served.push(again);
    }
    waits.set_nonblocking(true).unwrap();
    let unanswered = waits.read(&mut [0; 12]).unwrap_err();
    assert_eq!(unanswered.kind(), std::io::ErrorKind::WouldBlock);
    waits.set_nonblocking(false).unwrap();
    drop(served);
    assert_eq!(status(waits).await, "400");
}

/// Asks once more over a connection, and reads what there is of answers.
fn begin_on(mut stream: TcpStream) -> TcpStream {
    stream
        .write_all(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut answer = [0; 4096];
    assert!(stream.read(&mut answer).unwrap() > 0);
    stream
}
