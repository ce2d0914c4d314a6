//! The health endpoint as probes and scrapers see it: over TCP, while the service is well, ill or stuck.

#![expect(clippy::unwrap_used, reason = "in a test, a wrong assumption is a failure")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rastro_service::health::{self, HealthConfig, HealthServer, Readiness, Routes};
use rastro_service::metrics::Metrics;
use rastro_service::probe;
use rastro_service::shutdown::Shutdown;
use serde_json::{Value, json};

fn serve(readiness: Readiness, shutdown: Shutdown) -> HealthServer {
    let (metrics, ()) = Metrics::new("test", "9.9.9", |_| ());
    let config = HealthConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
    };
    health::serve(&config, metrics, readiness, Routes::default(), shutdown).unwrap()
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// One request on a connection of its own, on this thread: the test must not need the runtime it blocks.
fn get(addr: SocketAddr, path: &str) -> Answer {
    let text = exchange(
        addr,
        &format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"),
    );
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

/// Sends `request` and reads until the server closes; fails if that takes more than 20 seconds.
fn exchange(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_well_service_is_alive_and_ready_and_shows_its_metrics() {
    let server = serve(
        Readiness::new().check("database", || async { Ok(()) }),
        Shutdown::new(),
    );
    let alive = get(server.addr(), "/healthz");
    assert_eq!((alive.status, alive.body.as_str()), (200, "ok"));
    let ready = get(server.addr(), "/readyz");
    assert_eq!((ready.status, ready.json()), (200, json!({"status": "ready"})));
    let metrics = get(server.addr(), "/metrics");
    assert_eq!(metrics.status, 200);
    let content_type = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(metrics.head.contains(content_type), "{}", metrics.head);
    assert!(
        metrics
            .body
            .contains(r#"rastro_build_info{service="test",version="9.9.9"} 1"#),
        "{}",
        metrics.body
    );
    assert!(metrics.body.ends_with("# EOF\n"));
    assert_eq!(get(server.addr(), "/").status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failing_check_is_named_with_its_reason_until_it_recovers() {
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = broken.clone();
    let readiness = Readiness::new()
        .check("database", || async { Ok(()) })
        .check("migrations", move || {
            let broken = is_broken.load(Ordering::SeqCst);
            async move {
                if broken {
                    Err("2 are pending".to_owned())
                } else {
                    Ok(())
                }
            }
        })
        .check("disk", {
            let broken = broken.clone();
            move || {
                let broken = broken.load(Ordering::SeqCst);
                async move {
                    if broken {
                        panic!("a check with a bug")
                    } else {
                        Ok(())
                    }
                }
            }
        });
    let server = serve(readiness, Shutdown::new());
    let ill = get(server.addr(), "/readyz");
    let reasons = json!({"migrations": "2 are pending", "disk": "the check panicked or its runtime is gone"});
    assert_eq!(
        (ill.status, ill.json()),
        (503, json!({"status": "unready", "failing": reasons}))
    );
    assert_eq!(get(server.addr(), "/healthz").status, 200);

    broken.store(false, Ordering::SeqCst);
    assert_eq!(get(server.addr(), "/readyz").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_never_answers_fails_alone() {
    let readiness = Readiness::new()
        .check("stuck", std::future::pending)
        .check("well", || async { Ok(()) });
    let server = serve(readiness, Shutdown::new());
    let ill = get(server.addr(), "/readyz");
    assert_eq!(
        (ill.status, &ill.json()["failing"]),
        (503, &json!({"stuck": "no answer within 1 s"}))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_service_whose_only_worker_is_stuck_is_alive_but_not_ready() {
    let server = serve(
        Readiness::new().check("database", || async { Ok(()) }),
        Shutdown::new(),
    );
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (blocked, is_blocked) = std::sync::mpsc::channel();
    tokio::spawn(async move {
        blocked.send(()).unwrap();
        held.recv().unwrap();
    });
    is_blocked.recv().unwrap();
    assert_eq!(get(server.addr(), "/healthz").status, 200);
    assert_eq!(get(server.addr(), "/metrics").status, 200);
    let ill = get(server.addr(), "/readyz");
    assert_eq!(
        (ill.status, &ill.json()["failing"]),
        (503, &json!({"database": "no answer within 1 s"}))
    );

    release.send(()).unwrap();
    assert_eq!(get(server.addr(), "/readyz").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_service_is_alive_but_takes_no_more_work() {
    let shutdown = Shutdown::new();
    let server = serve(
        Readiness::new().check("database", || async { Ok(()) }),
        shutdown.clone(),
    );
    shutdown.trigger();
    let ready = get(server.addr(), "/readyz");
    assert_eq!((ready.status, ready.json()), (503, json!({"status": "draining"})));
    assert_eq!(get(server.addr(), "/healthz").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_dawdle_are_cut_off_and_keep_nobody_else_out() {
    let server = serve(Readiness::new(), Shutdown::new());
    let addr = server.addr();
    // As many half-sent requests as the endpoint takes connections.
    let dawdlers: Vec<_> = (0..64)
        .map(|_| std::thread::spawn(move || exchange(addr, "GET /healthz HTTP/1.1\r\nHost: a")))
        .collect();
    let endless_body = std::thread::spawn(move || {
        exchange(
            addr,
            "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc",
        )
    });
    assert_eq!(get(addr, "/healthz").status, 200);
    for dawdler in dawdlers {
        let answer = dawdler.join().unwrap();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
    }
    // It is answered, as its head was complete, and then closed rather than waited for.
    assert!(endless_body.join().unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_endpoint_frees_its_port_and_a_taken_port_is_an_error() {
    let server = serve(Readiness::new(), Shutdown::new());
    let config = HealthConfig {
        listen: server.addr(),
    };
    let again = || {
        let (metrics, ()) = Metrics::new("test", "0", |_| ());
        health::serve(
            &config,
            metrics,
            Readiness::new(),
            Routes::default(),
            Shutdown::new(),
        )
    };
    let error = format!("{:#}", again().unwrap_err());
    assert!(error.contains(&config.listen.to_string()), "{error}");
    drop(server);
    assert_eq!(get(again().unwrap().addr(), "/healthz").status, 200);
}

#[test]
fn an_endpoint_outside_a_runtime_is_an_error() {
    let (metrics, ()) = Metrics::new("test", "0", |_| ());
    let config = HealthConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
    };
    let error = health::serve(
        &config,
        metrics,
        Readiness::new(),
        Routes::default(),
        Shutdown::new(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("runtime"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_asks_its_own_endpoint_and_is_told_why_it_is_not_ready() {
    let well = Arc::new(AtomicBool::new(true));
    let is_well = Arc::clone(&well);
    let readiness = Readiness::new().check("database", move || {
        let is_well = is_well.load(Ordering::Relaxed);
        async move {
            if is_well {
                Ok(())
            } else {
                Err("the disk is full".to_owned())
            }
        }
    });
    let server = serve(readiness, Shutdown::new());
    // As a container has it: bound to every address.
    let listen = SocketAddr::new([0, 0, 0, 0].into(), server.addr().port());
    assert_eq!(probe::ask(listen, "/healthz").unwrap(), "ok");
    assert_eq!(probe::ask(listen, "/readyz").unwrap(), r#"{"status":"ready"}"#);
    well.store(false, Ordering::Relaxed);
    let error = probe::ask(listen, "/readyz").unwrap_err().to_string();
    assert!(
        error.contains("503") && error.contains("the disk is full"),
        "{error}"
    );
    assert_eq!(probe::ask(listen, "/healthz").unwrap(), "ok");
    drop(server);
    let error = probe::ask(listen, "/healthz").unwrap_err().to_string();
    assert!(error.contains("no answer from 127.0.0.1"), "{error}");
}
