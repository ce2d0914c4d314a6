//! The built services as processes, for tests that kill, stop and resume them.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::database::{SEALING_KEY, TestDatabase};
use crate::world::{ACCESS_TOKEN, DATASET_ID, Key, eventually};

/// A running service and everything it printed. Killed with the value.
pub struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts a program of this workspace, built beside the test, with these variables and no others of ours.
    pub fn start(program: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(binary(program))
            .env_clear()
            // Where a coverage run wants its profiles.
            .envs(std::env::vars().filter(|(name, _)| name == "LLVM_PROFILE_FILE"))
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let outputs: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("stdout is piped")),
            Box::new(child.stderr.take().expect("stderr is piped")),
        ];
        for output in outputs {
            let log = log.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            });
        }
        Process { child, log }
    }

    /// Starts a gateway on a free port; its dataset and keys are those of every [`crate::World`].
    pub fn gateway(database: &TestDatabase, variables: &[(&str, &str)]) -> Self {
        let own = [
            ("RASTRO__DATABASE__URL", database.url()),
            ("RASTRO__DATABASE__SEALING_KEY", SEALING_KEY),
            ("RASTRO__GATEWAY__LISTEN", "127.0.0.1:0"),
            ("RASTRO__GATEWAY__DRAIN_SECONDS", "0"),
            ("RASTRO__HEALTH__LISTEN", "127.0.0.1:0"),
            ("RASTRO__TELEMETRY__LOG_FORMAT", "json"),
            ("RASTRO__SEED__DATASET_ID", DATASET_ID),
            ("RASTRO__SEED__ACCESS_TOKEN", ACCESS_TOKEN),
            ("RASTRO__SEED__SECRET_KEY", Key::Secret.as_str()),
            ("RASTRO__SEED__PUBLISHABLE_KEY", Key::Publishable.as_str()),
        ];
        Process::start("ingest-gateway", &[&own, variables].concat())
    }

    /// Starts a forwarder that sends to this address in Meta's place.
    pub fn forwarder(database: &TestDatabase, graph_api: &str, variables: &[(&str, &str)]) -> Self {
        let own = [
            ("RASTRO__DATABASE__URL", database.url()),
            ("RASTRO__DATABASE__SEALING_KEY", SEALING_KEY),
            ("RASTRO__HEALTH__LISTEN", "127.0.0.1:0"),
            ("RASTRO__TELEMETRY__LOG_FORMAT", "json"),
            ("RASTRO__GRAPH_API__URL", graph_api),
            ("RASTRO__FORWARDER__IDLE_POLL_MILLISECONDS", "20"),
            ("RASTRO__FORWARDER__GATHER_MILLISECONDS", "5"),
        ];
        Process::start("capi-forwarder", &[&own, variables].concat())
    }

    /// Starts a retry-worker that looks often.
    pub fn retry_worker(database: &TestDatabase, variables: &[(&str, &str)]) -> Self {
        let own = [
            ("RASTRO__DATABASE__URL", database.url()),
            ("RASTRO__DATABASE__SEALING_KEY", SEALING_KEY),
            ("RASTRO__HEALTH__LISTEN", "127.0.0.1:0"),
            ("RASTRO__TELEMETRY__LOG_FORMAT", "json"),
            ("RASTRO__SWEEP__INTERVAL_MILLISECONDS", "20"),
            ("RASTRO__MAINTENANCE__INTERVAL_MILLISECONDS", "20"),
        ];
        Process::start("retry-worker", &[&own, variables].concat())
    }

    /// Waits for a log line that contains the text, and returns it.
    pub async fn logged(&self, text: &str) -> String {
        eventually(&format!("the process logs {text:?}"), || async {
            self.log().into_iter().find(|line| line.contains(text))
        })
        .await
    }

    /// Where the service says that it listens: waits for the log line that begins with `what`.
    pub async fn address_after(&self, what: &str) -> String {
        let line = self.logged(what).await;
        let (_, rest) = line.split_once(what).expect("the line contains it");
        let end = rest
            .find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c)))
            .unwrap_or(rest.len());
        rest[..end].to_owned()
    }

    /// Where a gateway takes conversions in.
    pub async fn conversions_url(&self) -> String {
        format!(
            "http://{}/api/meta/conversions",
            self.address_after("\"listening on ").await
        )
    }

    /// Everything it printed so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a signal, such as `STOP`, `CONT` or `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(
            status.expect("kill can be run").success(),
            "the process is gone already"
        );
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("the process runs");
        self.child.wait().expect("the process ends");
        self.log()
    }

    /// Asks it to end and waits until it has; returns its exit code and what it printed.
    pub async fn terminate(mut self) -> (Option<i32>, Vec<String>) {
        self.signal("TERM");
        let status = {
            let child = Mutex::new(&mut self.child);
            eventually("the process ends", || async {
                child
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .try_wait()
                    .expect("the process can be waited for")
            })
            .await
        };
        (status.code(), self.log())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; there is nothing to do about either error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of this workspace, as `cargo build` put it beside the tests.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test knows where it is");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("tests are built into target/<profile>/deps");
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is not built: run the tests with `make test`",
        path.display()
    );
    path
}
