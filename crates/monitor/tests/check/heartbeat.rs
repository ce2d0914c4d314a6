//! The dead-man's switch.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use rastro_test_support::TestDatabase;
use rastro_test_support::process::Process;

use crate::support::Scene;

/// Takes GETs and remembers their paths.
struct Receiver {
    address: SocketAddr,
    paths: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let paths = Arc::new(Mutex::new(Vec::new()));
        let seen = paths.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                seen.lock()
                    .unwrap()
                    .push(line.split(' ').nth(1).unwrap().to_owned());
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK")
                    .unwrap();
            }
        });
        Receiver { address, paths }
    }

    fn paths(&self) -> Vec<String> {
        self.paths.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn the_heartbeat_is_sent_only_after_everything_went_well() {
    let mut scene = Scene::start().await;
    let receiver = Receiver::start();
    scene.config.check.heartbeat_url = format!("http://{}/ping/1", receiver.address).into();
    scene.run().await;
    assert_eq!(receiver.paths(), ["/ping/1"]);
    assert_eq!(
        scene.value("SELECT count(*) FROM monitor_runs WHERE ok").await,
        "1"
    );
    // A step that fails.
    scene
        .execute("ALTER TABLE circuit_breakers RENAME COLUMN outage_since TO gone")
        .await;
    scene.monitor().run_once().await.unwrap();
    assert_eq!(receiver.paths(), ["/ping/1", "/ping/1/fail"]);
    // A run that does nothing, because another is under way, says nothing.
    let mut lock = rastro_store::Leadership::of_monitor(scene.store.clone());
    assert!(lock.take().await.unwrap());
    assert!(scene.monitor().run_once().await.unwrap().was_busy);
    assert_eq!(receiver.paths().len(), 2);
}

#[tokio::test]
async fn a_heartbeat_that_nobody_takes_is_a_failed_run_and_its_address_is_told_to_nobody() {
    let mut scene = Scene::start().await;
    scene.config.check.heartbeat_url = "http://127.0.0.1:1/secret-path".into();
    let error = scene.monitor().run_once().await.unwrap().run.error.unwrap();
    assert!(
        error.contains("heartbeat") && !error.contains("secret-path"),
        "{error}"
    );
}

/// As a CronJob starts it: nobody waits for its next run to hear of it.
#[tokio::test]
async fn a_run_that_cannot_begin_is_told_to_whoever_waits_for_it() {
    let receiver = Receiver::start();
    let heartbeat = format!("http://{}/ping/1", receiver.address);
    let (database, empty) = (TestDatabase::create().await, TestDatabase::create_empty().await);
    let away = "postgres://postgres@127.0.0.1:1/nothing";
    let run = async |url: &str, arguments: &[&str]| {
        let variables = [
            ("RASTRO__CHECK__HEARTBEAT_URL", heartbeat.as_str()),
            ("RASTRO__DATABASE__URL", url),
        ];
        let process = Process::monitor(&database, arguments, &variables);
        let (status, log) = process.ended().await.unwrap();
        assert!(!status.success(), "{log:?}");
    };
    run(away, &["check"]).await;
    assert_eq!(receiver.paths(), ["/ping/1/fail"]);
    run(empty.url(), &["check"]).await;
    assert_eq!(receiver.paths().len(), 2, "without a schema");
    // Somebody at a terminal who looks is no run.
    for arguments in [&["check", "--dry-run"][..], &["check", "--replay", "1d"]] {
        run(away, arguments).await;
        run(empty.url(), arguments).await;
    }
    assert_eq!(receiver.paths().len(), 2);
}
