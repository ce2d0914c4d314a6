//! Looking in from outside, and the program around it.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};

use rastro_sandbox::Sandbox;
use serde_json::json;

use crate::support::{NOW, answer, client, config, get, lead, request, send, start, with, without};

#[tokio::test]
async fn counts_events_and_requests_tell_the_same_story() {
    let sandbox = start().await;
    send(&sandbox, &[lead("1"), lead("2")]).await;
    send(&sandbox, &[lead("1")]).await;
    send(&sandbox, &[without(lead("3"), "event_name")]).await;

    let of_dataset = json!({
        "requests": 3, "refused": { "100/2804019": 1 }, "received": 3, "unique": 2, "repeated": 1,
        "events": { "Lead": { "received": 3, "unique": 2, "repeated": 1 } },
    });
    let mut whole = without(of_dataset.clone(), "events");
    whole = with(whole, "datasets", json!({ "111": of_dataset }));
    assert_eq!(get(&sandbox, "/sandbox/counts").await.body, whole);

    let requests = get(&sandbox, "/sandbox/requests?limit=2").await.body;
    let brief = |index: usize| {
        let request = &requests[index];
        json!([
            request["number"],
            request["status"],
            request["events"],
            request["processed"],
            request["code"],
            request["subcode"]
        ])
    };
    assert_eq!(brief(0), json!([3, 400, 1, false, 100, 2_804_019]));
    assert_eq!(brief(1), json!([2, 200, 1, true, null, null]));
    assert_eq!(requests.as_array().unwrap().len(), 2);
    assert!(requests[0]["reason"].as_str().unwrap().contains("event_name"));

    let events = get(&sandbox, "/sandbox/events?dataset_id=111&event_id=1")
        .await
        .body;
    assert_eq!(events.as_array().unwrap().len(), 2);
    assert_eq!(events[1]["event"], lead("1"));
    assert_eq!(
        (&events[0]["request"], &events[0]["repeated"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(
        (&events[0]["received_at_ms"], &events[0]["encoding"]),
        (&json!(NOW * 1000), &json!("json"))
    );
    assert_eq!(
        get(&sandbox, "/sandbox/events?dataset_id=222").await.body,
        json!([])
    );
    assert_eq!(
        get(&sandbox, "/sandbox/events?limit=1")
            .await
            .body
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_misspelt_filter_is_refused_instead_of_ignored() {
    let sandbox = start().await;
    assert_eq!(get(&sandbox, "/sandbox/events?eventid=1").await.status, 400);
    assert_eq!(get(&sandbox, "/sandbox/requests?limit=many").await.status, 400);
    assert_eq!(get(&sandbox, "/sandbox/nothing").await.status, 404);
}

#[tokio::test]
async fn reset_forgets_what_arrived_and_leaves_faults_set() {
    let sandbox = start().await;
    send(&sandbox, &[lead("1")]).await;
    answer(
        client()
            .post(format!("{}/sandbox/faults", sandbox.url()))
            .body(r#"{"kind":"wrong_count"}"#),
    )
    .await;
    let response = client()
        .post(format!("{}/sandbox/reset", sandbox.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(sandbox.counts(), rastro_sandbox::Counts::default());
    assert_eq!(get(&sandbox, "/sandbox/events").await.body, json!([]));
    assert_eq!(sandbox.faults().len(), 1);
    send(&sandbox, &[lead("1")]).await;
    assert_eq!((sandbox.counts().unique, sandbox.requests()[0].number), (1, 2));
}

#[tokio::test]
async fn the_clock_is_moved_over_http() {
    let sandbox = start().await;
    let url = format!("{}/sandbox/clock", sandbox.url());
    let moved = answer(client().post(&url).body(r#"{"offset_seconds":-604800}"#)).await;
    assert_eq!(
        moved.body,
        json!({ "offset_seconds": -604_800, "now_ms": (NOW - 604_800) * 1000 })
    );
    assert_eq!(send(&sandbox, &[lead("1")]).await.status, 400);
    let event = with(lead("1"), "event_time", json!(NOW - 604_800));
    assert_eq!(send(&sandbox, &[event]).await.status, 200);
    assert_eq!(
        answer(client().post(&url).body(r#"{"seconds":1}"#)).await.status,
        400
    );
    assert_eq!(answer(client().get(&url)).await.body["offset_seconds"], -604_800);
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere_and_writes_no_markup() {
    let sandbox = start().await;
    let response = client().get(format!("{}/", sandbox.url())).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    let page = response.text().await.unwrap();
    for forbidden in [
        "http://",
        "https://",
        "innerHTML",
        "insertAdjacentHTML",
        "document.write",
        "src=",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    // What it fetches is there.
    for path in [
        "sandbox/counts",
        "sandbox/events?limit=25",
        "sandbox/requests?limit=25",
        "sandbox/faults",
    ] {
        assert!(page.contains(&format!("load('{path}')")), "{path}");
        assert_eq!(get(&sandbox, &format!("/{path}")).await.status, 200);
    }
}

#[tokio::test]
async fn many_sandboxes_run_in_one_process_without_meeting() {
    let mut sandboxes = Vec::new();
    for _ in 0..8 {
        sandboxes.push(Sandbox::start(config()).await.unwrap());
    }
    for (number, sandbox) in sandboxes.iter().enumerate() {
        let events: Vec<_> = (0..=number).map(|id| lead(&id.to_string())).collect();
        assert_eq!(request(sandbox, &events).send().await.unwrap().status(), 200);
    }
    let received: Vec<u64> = sandboxes
        .iter()
        .map(|sandbox| sandbox.counts().received)
        .collect();
    assert_eq!(received, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn a_dropped_sandbox_is_gone() {
    let sandbox = start().await;
    let url = sandbox.url();
    assert_eq!(send(&sandbox, &[lead("1")]).await.status, 200);
    drop(sandbox);
    assert!(client().get(url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn the_program_prints_its_url_and_stops_on_sigterm() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rastro-sandbox"))
        .args(["--token", "111=TOK", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(program.stdout.take().unwrap())
        .read_line(&mut url)
        .unwrap();
    let health = client()
        .get(format!("{}/healthz", url.trim()))
        .send()
        .await
        .unwrap();
    assert_eq!(health.text().await.unwrap(), "ok");
    let address = url.trim().trim_start_matches("http://");
    assert!(healthcheck(address).success());
    let killed = Command::new("kill")
        .args(["-TERM", &program.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    assert!(program.wait().unwrap().success());
    assert!(!healthcheck(address).success());
}

fn healthcheck(address: &str) -> ExitStatus {
    Command::new(env!("CARGO_BIN_EXE_rastro-sandbox"))
        .args(["healthcheck", address])
        .stderr(Stdio::null())
        .status()
        .unwrap()
}
