//! What only a whole process shows: its standard output, its answer to signals, its exit code.
//!
//! Each test runs its own binary a second time, with `RASTRO_TEST_ROLE` set, and there plays the service.

#![expect(clippy::unwrap_used, reason = "in a test, a wrong assumption is a failure")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};

use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::{self, LogFormat, TelemetryConfig};
use rastro_service::testing::OtlpReceiver;
use serde_json::Value;
use tracing::{info, info_span};

const ROLE: &str = "RASTRO_TEST_ROLE";

/// The value of `RASTRO_TEST_ROLE` if this process is the second run of a test.
fn role() -> Option<String> {
    std::env::var_os(ROLE).map(|role| role.into_string().unwrap())
}

/// Runs the test called `test` in a process of its own.
fn run_as_service(test: &str, role: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env_remove("NEXTEST")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Writes past the test harness, which prints without a line break before the test's own output.
fn say(text: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "\n{text}").unwrap();
    out.flush().unwrap();
}

fn wait_for(word: &str, output: &mut impl BufRead) {
    let mut seen = String::new();
    for line in output.lines() {
        let line = line.unwrap();
        if line == word {
            return;
        }
        seen += &line;
    }
    panic!("the service ended before it said {word}; it said {seen}");
}

fn send(signal: &str, service: &Child) {
    let status = Command::new("kill")
        .args([signal, &service.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

fn signalled(test: &str, role: &str) -> (Child, BufReader<ChildStdout>) {
    let mut service = run_as_service(test, role);
    let mut output = BufReader::new(service.stdout.take().unwrap());
    wait_for("ready", &mut output);
    (service, output)
}

#[tokio::test]
async fn a_signal_asks_for_shutdown_and_the_service_ends_in_its_own_time() {
    if role().is_some() {
        let shutdown = Shutdown::on_signal().unwrap();
        assert!(!shutdown.is_requested());
        say("ready");
        shutdown.requested().await;
        say("drained");
        std::process::exit(0);
    }
    for signal in ["-TERM", "-INT"] {
        let (mut service, mut output) = signalled(
            "a_signal_asks_for_shutdown_and_the_service_ends_in_its_own_time",
            "service",
        );
        send(signal, &service);
        wait_for("drained", &mut output);
        assert_eq!(service.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_a_service_whose_runtime_is_stuck() {
    if role().is_some() {
        let shutdown = Shutdown::on_signal().unwrap();
        say("ready");
        shutdown.requested().await;
        say("draining");
        // Stuck on the only thread of this runtime, and deaf to everything but the end of the process.
        loop {
            std::thread::park();
        }
    }
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let (mut service, mut output) =
            signalled("a_second_signal_ends_a_service_whose_runtime_is_stuck", "service");
        send("-TERM", &service);
        wait_for("draining", &mut output);
        send(signal, &service);
        assert_eq!(service.wait().unwrap().code(), Some(code), "{signal}");
    }
}

#[test]
fn the_variables_of_the_process_are_its_configuration() {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        server: Server,
    }
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Server {
        workers: u16,
    }
    let load = || rastro_service::config::load::<Config>("[server]\nworkers = 2");
    if role().is_some() {
        say(&format!("{:?}", load().map(|config| config.server.workers)));
        std::process::exit(0);
    }
    assert_eq!(load().unwrap().server.workers, 2);
    let test = "the_variables_of_the_process_are_its_configuration";
    let output = |name: &str| {
        let mut service = Command::new(std::env::current_exe().unwrap());
        let service = service
            .args([test, "--exact", "--nocapture"])
            .env(ROLE, "service")
            .env(name, "9");
        String::from_utf8(service.output().unwrap().stdout).unwrap()
    };
    assert!(output("RASTRO__SERVER__WORKERS").contains("Ok(9)"));
    assert!(output("RASTRO__SERVER__WORKRES").contains("variable RASTRO__SERVER__WORKRES"));
}

fn telemetry_config(otlp_endpoint: Option<String>) -> TelemetryConfig {
    TelemetryConfig {
        log_format: LogFormat::Json,
        log_filter: "info".into(),
        otlp_endpoint,
        sample_ratio: 1.0,
    }
}

/// What the second run of the telemetry tests does: log and trace to the endpoint that is its role.
fn log_and_trace(endpoint: String) {
    let telemetry = telemetry::init("process", &telemetry_config(Some(endpoint))).unwrap();
    assert!(telemetry::init("process", &telemetry_config(None)).is_err());
    info_span!("work", step = 1).in_scope(|| info!("worked"));
    telemetry.flush();
    say("flushed");
}

/// Runs the test called `test` as a service; the JSON lines it logged, once it has ended well.
fn logs_of(test: &str, endpoint: &str) -> Vec<Value> {
    let output = run_as_service(test, endpoint).wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("\nflushed\n"), "{text}");
    text.lines()
        .filter_map(|line| Some(&line[line.find('{')?..]))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_logs_to_standard_output_and_sends_its_traces_before_it_ends() {
    if let Some(endpoint) = role() {
        return log_and_trace(endpoint);
    }
    let collector = OtlpReceiver::start();
    let test = "a_process_logs_to_standard_output_and_sends_its_traces_before_it_ends";
    let logs = logs_of(test, &format!("{}/", collector.endpoint()));
    let spans = collector.wait_for(|spans| !spans.is_empty()).await;
    assert_eq!(
        (spans.len(), spans[0].service.as_str(), spans[0].name.as_str()),
        (1, "process", "work")
    );
    assert_eq!(logs.len(), 1, "{logs:?}");
    assert_eq!(
        (&logs[0]["message"], &logs[0]["trace_id"]),
        (&"worked".into(), &spans[0].trace_id.as_str().into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_or_never_answers_costs_a_warning_and_nothing_else() {
    if let Some(endpoint) = role() {
        return log_and_trace(endpoint);
    }
    let test = "a_collector_that_refuses_or_never_answers_costs_a_warning_and_nothing_else";
    // The kernel accepts for the first, nobody reads; nothing listens any more where the second was.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for addr in [silent.local_addr().unwrap(), refusing] {
        let logs = logs_of(test, &format!("http://{addr}"));
        let messages: Vec<_> = logs
            .iter()
            .map(|line| line["message"].as_str().unwrap())
            .collect();
        assert_eq!(messages[0], "worked", "{addr}");
        let warnings: Vec<_> = messages
            .iter()
            .filter(|text| text.starts_with("traces do not reach the collector"))
            .collect();
        assert_eq!(warnings.len(), 1, "{addr}: {messages:?}");
        assert_eq!(logs[1]["trace.lost_spans"], 1, "{addr}");
    }
}
