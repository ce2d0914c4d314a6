//! A database with datasets and requests to Meta, the channels, and a monitor that looks at them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use monitor::MonitorMetrics;
use monitor::check::{Monitor, Report};
use monitor::config::Config;
use rastro_sandbox::slack::SlackSandbox;
use rastro_sandbox::{Sandbox, SandboxConfig};
use rastro_service::config::ExposeSecret as _;
use rastro_service::metrics::Metrics;
use rastro_store::{Dataset, DatasetSettings, Store};
use rastro_test_support::process::Process;
use rastro_test_support::{TestDatabase, eventually};
use serde::Deserialize;

pub(crate) const TOKEN: &str = "EAAtest0token";

/// Everything around a monitor.
pub(crate) struct Scene {
    pub(crate) database: TestDatabase,
    pub(crate) store: Store,
    pub(crate) slack: SlackSandbox,
    pub(crate) mails: MailServer,
    pub(crate) sandbox: Sandbox,
    pub(crate) config: Config,
    seconds: i64,
}

impl Scene {
    /// Dataset 1, "Loja Aurora", at 15:00 UTC: noon in São Paulo.
    pub(crate) async fn start() -> Self {
        let database = TestDatabase::create().await;
        let store = Store::new(&database.config(), "test").unwrap();
        let slack = SlackSandbox::start().await.unwrap();
        let mails = MailServer::start();
        let sandbox = Sandbox::start(SandboxConfig::default().with_token_for_any_dataset(TOKEN))
            .await
            .unwrap();
        let mut config: Config = rastro_boot::testing::config(&[]).unwrap();
        config.notify.slack.webhook_url = slack.webhook_url().into();
        config.notify.email.smtp_url = mails.url().into();
        config.notify.email.from = "Rastro <rastro@exemplo.com.br>".into();
        config.notify.email.to = vec!["ana@exemplo.com.br".into()];
        config.notify.daily_mail = false;
        config.dashboard.public_url = "https://painel.exemplo.com.br".into();
        config.graph_api.url = sandbox.url();
        let mut scene = Scene {
            database,
            store,
            slack,
            mails,
            sandbox,
            config,
            seconds: 0,
        };
        scene.at_noon().await;
        scene.dataset(1, "Loja Aurora").await;
        scene
    }

    /// Puts the database's clock to the noon of São Paulo that comes next.
    async fn at_noon(&mut self) {
        let until: i64 = self
            .value("SELECT (86400 + 15 * 3600 - extract(epoch FROM now())::bigint % 86400)")
            .await
            .parse()
            .unwrap();
        self.advance(until).await;
    }

    /// Moves the database's clock, which all of it goes by.
    pub(crate) async fn advance(&mut self, seconds: i64) {
        self.seconds += seconds;
        let offset = self.seconds;
        self.execute(&format!(
            "CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
             AS 'SELECT now() + interval ''{offset} seconds'''"
        ))
        .await;
        self.store.create_partitions_ahead(7).await.unwrap();
    }

    pub(crate) async fn dataset(&self, id: i64, name: &str) {
        let dataset = Dataset {
            id: id.try_into().unwrap(),
            settings: DatasetSettings {
                name: name.into(),
                ..Default::default()
            },
            access_token: TOKEN.to_owned().into(),
        };
        self.store.put_dataset(&dataset).await.unwrap();
    }

    /// So many requests of one event each that ended just now.
    pub(crate) async fn requests(&self, dataset: i64, outcome: &str, count: i64) {
        self.execute(&format!(
            "INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, latency_ms, outcome,
                http_status, event_count, event_numbers, first_number, last_number, first_day, last_day)
             SELECT {dataset}, (rastro_now() AT TIME ZONE 'UTC')::date, 1, 1, '', rastro_now(), 100, '{outcome}',
                CASE '{outcome}' WHEN 'delivered' THEN 200 ELSE 500 END, 1, ARRAY[n], n, n, current_date, current_date
             FROM generate_series(1, {count}) AS n"
        ))
        .await;
    }

    /// The breaker of a dataset.
    pub(crate) async fn breaker(&self, dataset: i64, state: &str, reason: Option<&str>) {
        let reason = reason.map_or("NULL".to_owned(), |reason| format!("'{reason}'"));
        self.execute(&format!(
            "INSERT INTO circuit_breakers (dataset_id, state, generation, reason, since, open_count, probe_successes,
                probe_failures, manual, updated_at)
             VALUES ({dataset}, '{state}', 1, {reason}, rastro_now(), 0, 0, 0, 'automatic', rastro_now())
             ON CONFLICT (dataset_id) DO UPDATE SET state = excluded.state, reason = excluded.reason, since = excluded.since,
                generation = circuit_breakers.generation + 1"
        ))
        .await;
    }

    /// A monitor as another process would have it: with connections of its own.
    pub(crate) fn monitor(&self) -> Monitor {
        let store = Store::new(&self.database.config(), "monitor").unwrap();
        let (_, metrics) = Metrics::new("monitor", "test", MonitorMetrics::register);
        Monitor::with(&self.config, store, metrics).unwrap()
    }

    /// `monitor` as a process, configured as this scene's.
    pub(crate) fn process(&self, arguments: &[&str]) -> Process {
        let notify = &self.config.notify;
        let to = notify.email.to.join(",");
        let variables = [
            (
                "RASTRO__NOTIFY__SLACK__WEBHOOK_URL",
                notify.slack.webhook_url.expose_secret(),
            ),
            (
                "RASTRO__NOTIFY__EMAIL__SMTP_URL",
                notify.email.smtp_url.expose_secret(),
            ),
            ("RASTRO__NOTIFY__EMAIL__FROM", &notify.email.from),
            ("RASTRO__NOTIFY__EMAIL__TO", &to),
            (
                "RASTRO__NOTIFY__DAILY_MAIL",
                if notify.daily_mail { "true" } else { "false" },
            ),
            ("RASTRO__DASHBOARD__PUBLIC_URL", &self.config.dashboard.public_url),
            ("RASTRO__GRAPH_API__URL", &self.config.graph_api.url),
        ];
        Process::monitor(&self.database, arguments, &variables)
    }

    /// One run that goes well.
    pub(crate) async fn run(&self) -> Report {
        let report = self.monitor().run_once().await.unwrap();
        assert_eq!(report.run.error, None);
        report
    }

    /// One run a minute, so many times.
    pub(crate) async fn minutes(&mut self, count: usize) {
        for _ in 0..count {
            self.advance(60).await;
            self.run().await;
        }
    }

    /// What Slack shows, message by message.
    pub(crate) fn said(&self) -> Vec<String> {
        let messages = self.slack.messages();
        messages
            .iter()
            .map(|message| message.text().replace('\u{a0}', " "))
            .collect()
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.database.execute(sql).await;
    }

    pub(crate) async fn value(&self, sql: &str) -> String {
        self.database.value(sql).await
    }
}

/// A mail as the server got it, and as a mail program reads it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Mail {
    pub(crate) to: Vec<String>,
    /// Headers and body as they came.
    pub(crate) data: String,
    headers: HashMap<String, String>,
    pub(crate) parts: Vec<String>,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Mail {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// aiosmtpd in a process of its own.
pub(crate) struct MailServer {
    child: Child,
    port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl MailServer {
    #[expect(
        clippy::disallowed_methods,
        reason = "`make test` says here which interpreter has the server"
    )]
    fn start() -> Self {
        let python = std::env::var("RASTRO_TEST_PYTHON")
            .expect("RASTRO_TEST_PYTHON must name a Python that has aiosmtpd: run through `make test`");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/smtp_server.py");
        let port = rastro_test_support::process::free_address(0).unwrap().port();
        let mut child = Command::new(python)
            .arg(script)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines.next().unwrap().unwrap();
        assert_eq!(said, port.to_string());
        let mails = Arc::new(Mutex::new(Vec::new()));
        let received = mails.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                received
                    .lock()
                    .unwrap()
                    .push(serde_json::from_str(&line).unwrap());
            }
        });
        MailServer { child, port, mails }
    }

    fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// So many mails, once they are there.
    pub(crate) async fn mails(&self, count: usize) -> Vec<Mail> {
        eventually("the mails are there", || async {
            let mails = self.mails.lock().unwrap().clone();
            (mails.len() >= count).then_some(mails)
        })
        .await
    }

    pub(crate) fn count(&self) -> usize {
        self.mails.lock().unwrap().len()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
