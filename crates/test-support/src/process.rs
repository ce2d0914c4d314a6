//! Programs of this workspace as processes: started with nothing but their own variables, watched, stopped,
//! killed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::database::{SEALING_KEY, TestDatabase};
use crate::http;
use crate::services::{Seed, Services};
use crate::world::{ACCESS_TOKEN, DATASET_ID, Key, eventually};

/// How long a program may take to become ready, or to end.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A program, and how it is to be started.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    /// Where what it prints is appended; `None`: it is kept in memory.
    log: Option<PathBuf>,
    is_detached: bool,
}

impl Program {
    pub fn new(folder: &Path, name: &str) -> Self {
        Program {
            path: folder.join(name),
            arguments: Vec::new(),
            variables: Vec::new(),
            log: None,
            is_detached: false,
        }
    }

    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|&text| text.to_owned()));
        self
    }

    /// More variables; of two with one name the later counts.
    pub fn with(mut self, variables: &[(&str, &str)]) -> Self {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        self.variables.extend(variables.iter().map(owned));
        self
    }

    /// Appends what it prints to a file.
    pub fn logging_to(mut self, file: &Path) -> Self {
        self.log = Some(file.to_owned());
        self
    }

    /// Outlives whoever starts it, Ctrl-C and a closed terminal, and has that one's variables too.
    pub fn detached(mut self) -> Self {
        self.is_detached = true;
        self
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts it.
    pub fn start(self) -> anyhow::Result<Process> {
        let (child, log) = self.spawn()?;
        Ok(Process {
            program: self,
            child,
            log,
        })
    }

    fn spawn(&self) -> anyhow::Result<(Child, Log)> {
        ensure!(self.path.exists(), "{} is not built", self.path.display());
        let mut command = if self.is_detached {
            let mut command = Command::new("nohup");
            command.arg(&self.path).process_group(0);
            command
        } else {
            let mut command = Command::new(&self.path);
            // Where a coverage run wants its profiles.
            let profiles = std::env::vars().filter(|(name, _)| name == "LLVM_PROFILE_FILE");
            command.env_clear().envs(profiles);
            command
        };
        command.args(&self.arguments).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        match &self.log {
            Some(path) => {
                let file = File::options().create(true).append(true).open(path);
                let file = file.with_context(|| format!("cannot write {}", path.display()))?;
                command.stdout(file.try_clone()?).stderr(file);
            }
            None => {
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
            }
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("{} cannot be started", self.path.display()))?;
        let log = Log::default();
        let stdout = child
            .stdout
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
        let stderr = child
            .stderr
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
        for output in [stdout, stderr].into_iter().flatten() {
            let log = log.clone();
            std::thread::spawn(move || log.keep(output));
        }
        Ok((child, log))
    }
}

/// What a process printed.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn keep(&self, output: impl Read) {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }
}

/// A running program. Killed with the value, unless it is detached.
pub struct Process {
    program: Program,
    child: Child,
    log: Log,
}

impl Process {
    /// Starts a program that was built beside the test.
    pub fn start(program: &str, variables: &[(&str, &str)]) -> Self {
        started(Program::new(&beside(), program).with(variables))
    }

    /// Starts a gateway on a free port; its dataset and keys are those of every [`crate::World`].
    pub fn gateway(database: &TestDatabase, variables: &[(&str, &str)]) -> Self {
        let seed = Seed {
            dataset_id: DATASET_ID,
            access_token: ACCESS_TOKEN,
            secret_key: Key::Secret.as_str(),
            publishable_key: Key::Publishable.as_str(),
        };
        let at_once = [("RASTRO__GATEWAY__DRAIN_SECONDS", "0")];
        started(services(database).gateway(&seed).with(&at_once).with(variables))
    }

    /// Starts a forwarder that sends to this address in Meta's place, and looks often.
    pub fn forwarder(database: &TestDatabase, graph_api: &str, variables: &[(&str, &str)]) -> Self {
        let often = [
            ("RASTRO__FORWARDER__IDLE_POLL_MILLISECONDS", "20"),
            ("RASTRO__FORWARDER__GATHER_MILLISECONDS", "5"),
        ];
        started(
            services(database)
                .forwarder(graph_api)
                .with(&often)
                .with(variables),
        )
    }

    /// Starts an attribution service that reads payments and spend at these addresses.
    pub fn attribution(
        database: &TestDatabase,
        mercado_pago: &str,
        graph_api: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        started(
            services(database)
                .attribution(mercado_pago, graph_api)
                .with(variables),
        )
    }

    /// Starts one command of the attribution service.
    pub fn attribution_command(
        database: &TestDatabase,
        mercado_pago: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        // It asks nothing of Meta.
        let program = services(database).attribution(mercado_pago, "http://127.0.0.1:9");
        started(program.with(variables).arguments(arguments))
    }

    /// Starts a retry-worker that looks often.
    pub fn retry_worker(database: &TestDatabase, variables: &[(&str, &str)]) -> Self {
        let often = [
            ("RASTRO__SWEEP__INTERVAL_MILLISECONDS", "20"),
            ("RASTRO__MAINTENANCE__INTERVAL_MILLISECONDS", "20"),
        ];
        started(services(database).retry_worker().with(&often).with(variables))
    }

    /// Starts the monitor: `check`, or `dashboard`.
    pub fn monitor(database: &TestDatabase, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        started(services(database).monitor().arguments(arguments).with(variables))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
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

    /// Everything it printed so far, if that does not go to a file.
    pub fn log(&self) -> Vec<String> {
        self.log.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a GET of this address is answered with 200.
    pub async fn await_ready(mut self, address: SocketAddr, path: &str) -> anyhow::Result<Self> {
        let began = Instant::now();
        while !http::get(address, path)
            .await
            .is_ok_and(|(status, _)| status == 200)
        {
            self.check()?;
            ensure!(
                began.elapsed() < PATIENCE,
                "{} was not ready within {PATIENCE:?}{}",
                self.program.path.display(),
                self.see_log()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(self)
    }

    /// Services go on whatever happens around them: one that ended by itself is a defect.
    pub fn check(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(());
        };
        let name = self.program.path.display();
        bail!("{name} ended by itself ({status}){}", self.see_log())
    }

    fn see_log(&self) -> String {
        match &self.program.log {
            Some(path) => format!(", see {}", path.display()),
            None => format!(": {}", self.log().join("\n")),
        }
    }

    /// Sends a signal, such as `STOP`, `CONT` or `TERM`.
    pub fn signal(&self, name: &str) {
        assert!(
            send_signal(self.pid(), name),
            "{} is gone already{}",
            self.program.path.display(),
            self.see_log()
        );
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) -> Vec<String> {
        self.end();
        self.log()
    }

    /// Ends it as a power cut would; [`revive`](Self::revive) starts it anew.
    pub fn end(&mut self) {
        self.child.kill().expect("the process runs");
        self.child.wait().expect("the process ends");
    }

    /// Starts it again, with these variables over those that it had.
    pub fn revive(&mut self, variables: &[(&str, &str)]) -> anyhow::Result<()> {
        self.program = self.program.clone().with(variables);
        (self.child, self.log) = self.program.spawn()?;
        Ok(())
    }

    /// Asks it to end, waits until it has, and starts the program of the same name in this folder in its
    /// place, with the same variables.
    pub async fn replace(&mut self, programs: &Path) -> anyhow::Result<()> {
        self.check()?;
        self.signal("TERM");
        let name = self.program.path.display().to_string();
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "{name} did not end within {PATIENCE:?}"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        };
        ensure!(status.success(), "{name} ended with {status}{}", self.see_log());
        let file = self.program.path.file_name().context("a program has a name")?;
        self.program.path = programs.join(file);
        (self.child, self.log) = self.program.spawn()?;
        Ok(())
    }

    /// Asks it to end and waits until it has; returns its exit code and what it printed.
    pub async fn terminate(self) -> (Option<i32>, Vec<String>) {
        self.signal("TERM");
        let (status, log) = self.ended().await.expect("the process ends");
        (status.code(), log)
    }

    /// Asks it to end and waits until it has, without a failure.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.check()?;
        self.signal("TERM");
        let name = self.program.path.display().to_string();
        let (status, _) = self.ended().await?;
        ensure!(status.success(), "{name} ended with {status}");
        Ok(())
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> anyhow::Result<(ExitStatus, Vec<String>)> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, self.log()));
            }
            let name = self.program.path.display();
            ensure!(
                began.elapsed() < PATIENCE,
                "{name} did not end within {PATIENCE:?}"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.program.is_detached {
            // It may have ended already; there is nothing to do about either error.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn started(program: Program) -> Process {
    program
        .start()
        .unwrap_or_else(|error| panic!("{error:#}: run the tests with `make test`"))
}

fn services(database: &TestDatabase) -> Services {
    Services::beside_this_program(database.url(), SEALING_KEY)
}

/// Whether the process was there to be sent a signal.
pub fn send_signal(pid: u32, name: &str) -> bool {
    Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// An address of this machine on which nobody listens just now: this port, if it is free, else one that no
/// outgoing connection can take, and that was not given before.
pub fn free_address(port: u16) -> anyhow::Result<SocketAddr> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(61);
    let others = std::iter::repeat_with(|| first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)));
    let others = others.map(|number| 20_000 + u16::try_from(number % 12_000).expect("below 12,000"));
    std::iter::once(port)
        .chain(others.take(500))
        .filter(|port| *port != 0)
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .context("no free TCP port was found on 127.0.0.1")
}

/// Where cargo puts programs, as seen from one of them or from a test.
pub fn beside() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows where it is");
    let folder = program.parent().expect("a program is in a folder");
    match folder.ends_with("deps") {
        true => folder.parent().expect("deps is in a folder").to_owned(),
        false => folder.to_owned(),
    }
}
