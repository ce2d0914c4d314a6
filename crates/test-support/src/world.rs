//! A small world around one test.

use std::time::Duration;

use capi_forwarder::config::ForwarderConfig;
use capi_forwarder::{ForwarderMetrics, Sender};
use chrono::{DateTime, Utc};
use ingest_gateway::config::GatewayConfig;
use ingest_gateway::{Gateway, GatewayMetrics, Listening};
use rastro_graph_api::{GraphApi, GraphApiConfig};
use rastro_sandbox::{Sandbox, SandboxConfig};
use rastro_service::clock::Clock;
use rastro_service::metrics::Metrics;
use rastro_service::shutdown::Shutdown;
use rastro_store::{ApiKeyKind, Census, Dataset, DatasetSettings, Store};
use retry_worker::WorkerMetrics;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::database::{TestDatabase, block_on};

/// The dataset that every world has.
pub const DATASET_ID: &str = "123456789012345";
/// The token with which the sandbox lets us write to it.
pub const ACCESS_TOKEN: &str = "EAAtest0token";
/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The keys of the dataset.
#[derive(Clone, Copy, Debug)]
pub enum Key {
    Publishable,
    Secret,
}

impl Key {
    pub fn as_str(self) -> &'static str {
        match self {
            Key::Publishable => "pk_0123456789abcdef0123456789abcdef",
            Key::Secret => "sk_0123456789abcdef0123456789abcdef",
        }
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub json: Value,
}

/// A database, a sandbox, a gateway, and forwarders on demand.
pub struct World {
    pub database: TestDatabase,
    pub store: Store,
    pub sandbox: Sandbox,
    pub clock: Clock,
    pub client: reqwest::Client,
    gateway: Listening,
    shutdown: Shutdown,
    /// What each forwarder counts.
    forwarders: Vec<Metrics>,
}

impl World {
    /// A world with a dataset that assumes nothing.
    pub async fn start() -> Self {
        World::on(TestDatabase::create().await).await
    }

    /// The same in a database that was made elsewhere.
    pub async fn on(database: TestDatabase) -> Self {
        let settings = DatasetSettings {
            name: "test".into(),
            ..Default::default()
        };
        World::build(database, settings, |_| {}).await
    }

    /// A world with a dataset of these settings, and a gateway configured by `configure`.
    pub async fn with(settings: DatasetSettings, configure: impl FnOnce(&mut GatewayConfig)) -> Self {
        World::build(TestDatabase::create().await, settings, configure).await
    }

    async fn build(
        database: TestDatabase,
        settings: DatasetSettings,
        configure: impl FnOnce(&mut GatewayConfig),
    ) -> Self {
        // An error means that an earlier test of this process did so already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = Sandbox::start(SandboxConfig::default().with_token(DATASET_ID, ACCESS_TOKEN));
        let sandbox = sandbox.await.expect("the sandbox starts");
        let store = Store::new(&database.config(), "test").expect("the store's configuration is valid");
        store
            .create_partitions_ahead(7)
            .await
            .expect("partitions can be created");
        let dataset = Dataset {
            id: DATASET_ID.parse().expect("a dataset id"),
            settings,
            access_token: ACCESS_TOKEN.to_owned().into(),
        };
        store
            .put_dataset(&dataset)
            .await
            .expect("the dataset can be stored");
        for (key, kind) in [
            (Key::Publishable, ApiKeyKind::Publishable),
            (Key::Secret, ApiKeyKind::Secret),
        ] {
            let hash = Sha256::digest(key.as_str()).into();
            store
                .put_api_key(hash, dataset.id, kind, "test")
                .await
                .expect("the key can be stored");
        }
        let clock = Clock::manual(Clock::system().now());
        let mut config: ingest_gateway::config::Config =
            rastro_boot::testing::config(&[]).expect("the gateway's defaults are valid");
        config.gateway.listen = ([127, 0, 0, 1], 0).into();
        config.gateway.operators_on_public_listener = true;
        configure(&mut config.gateway);
        let shutdown = Shutdown::new();
        let (_, metrics) = Metrics::new("gateway", "test", GatewayMetrics::register);
        let gateway = Gateway::new(&config, store.clone(), clock.clone(), metrics, false)
            .listen(shutdown.clone())
            .expect("the gateway starts");
        let client = reqwest::Client::new();
        World {
            database,
            store,
            sandbox,
            clock,
            client,
            gateway,
            shutdown,
            forwarders: Vec::new(),
        }
    }

    /// Now, in seconds since 1970, as the gateway sees it.
    pub fn now(&self) -> i64 {
        self.clock.now().timestamp()
    }

    /// Moves time: of the gateway, of the database (leases, windows), and of Meta.
    pub async fn advance(&self, by: Duration) {
        let seconds =
            self.sandbox.clock().offset_seconds() + i64::try_from(by.as_secs()).expect("less than centuries");
        self.sandbox.clock().set_offset_seconds(seconds);
        self.clock.advance(by);
        self.database
            .execute(&format!(
                "CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
                 AS 'SELECT now() + interval ''{seconds} seconds'''"
            ))
            .await;
        self.store
            .create_partitions_ahead(7)
            .await
            .expect("partitions can be created");
    }

    /// The database's own time, which leases and log rows go by.
    pub async fn database_now(&self) -> DateTime<Utc> {
        self.database
            .value("SELECT to_char(rastro_now(), 'YYYY-MM-DD\"T\"HH24:MI:SS.USOF')||':00'")
            .await
            .parse()
            .expect("a time")
    }

    /// Where the gateway takes conversions in.
    pub fn conversions_url(&self) -> String {
        format!("http://{}/api/meta/conversions", self.gateway.address())
    }

    /// Sends a body to the gateway.
    pub async fn post(&self, key: Key, body: &Value) -> Answer {
        let request = self
            .client
            .post(self.conversions_url())
            .bearer_auth(key.as_str())
            .json(body);
        World::answer(request).await
    }

    /// Sends a request and reads the answer.
    pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("the gateway answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.expect("the answer is complete");
        Answer {
            status,
            headers,
            json: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    /// Starts a forwarder that looks often and waits little.
    pub fn start_forwarder(&mut self) {
        self.start_forwarder_with(|_| {});
    }

    /// Starts a forwarder with a configuration of its own.
    pub fn start_forwarder_with(&mut self, configure: impl FnOnce(&mut ForwarderConfig)) {
        let mut config: capi_forwarder::config::Config =
            rastro_boot::testing::config(&[]).expect("the forwarder's defaults are valid");
        config.forwarder.idle_poll_milliseconds = 20;
        config.forwarder.gather_milliseconds = 5;
        configure(&mut config.forwarder);
        let graph_api = self.graph_api();
        let (counts, metrics) = Metrics::new("forwarder", "test", ForwarderMetrics::register);
        let owner = format!("test forwarder {}", self.forwarders.len());
        let sender = Sender::new(self.store.clone(), graph_api, &config, metrics);
        tokio::spawn(capi_forwarder::run(sender, owner, self.shutdown.clone()));
        self.forwarders.push(counts);
    }

    /// A counter without labels, over all forwarders that were started.
    pub fn forwarders_count(&self, name: &str) -> u64 {
        let of_one = |metrics: &Metrics| {
            let text = metrics.encode().expect("metrics can be written");
            let line = text
                .lines()
                .find_map(|line| line.split_once(&format!("{name}_total ")));
            let (_, value) = line.unwrap_or_else(|| panic!("no counter {name} in\n{text}"));
            value.parse::<u64>().expect("a counter is a whole number")
        };
        self.forwarders.iter().map(of_one).sum()
    }

    /// Starts a retry-worker that looks often.
    pub fn start_retry_worker(&self) {
        self.start_retry_worker_with(|_| {});
    }

    /// Starts a retry-worker with a configuration of its own.
    pub fn start_retry_worker_with(&self, configure: impl FnOnce(&mut retry_worker::config::Config)) {
        let mut config: retry_worker::config::Config =
            rastro_boot::testing::config(&[]).expect("the worker's defaults are valid");
        config.sweep.interval_milliseconds = 20;
        config.sweep.spread_after_outage_seconds = 1;
        config.maintenance.interval_milliseconds = 20;
        configure(&mut config);
        let (_, metrics) = Metrics::new("retry-worker", "test", WorkerMetrics::register);
        let (store, shutdown) = (self.store.clone(), self.shutdown.clone());
        tokio::spawn(async move { retry_worker::run(store, &config, metrics, shutdown).await });
    }

    /// A client of this world's Meta.
    pub fn graph_api(&self) -> GraphApi {
        let config = GraphApiConfig {
            url: self.sandbox.url(),
            allow_insecure_http: false,
            version: "v24.0".into(),
            connect_timeout_seconds: 5,
            request_timeout_seconds: 5,
            partner_agent: "rastro-test".into(),
        };
        GraphApi::new(&config).expect("the client's configuration is valid")
    }

    /// Waits until nothing is on its way any more, and returns where everything is.
    pub async fn settle(&self) -> Census {
        eventually("everything is sent", || async {
            let census = self.census().await;
            (census.pending() == 0).then_some(census)
        })
        .await
    }

    pub async fn census(&self) -> Census {
        self.store.census().await.expect("the database can be counted")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.trigger();
        if std::thread::panicking() {
            return;
        }
        let config = self.database.config();
        let counting = std::thread::spawn(move || {
            block_on(async {
                Store::new(&config, "test")
                    .expect("a valid configuration")
                    .census()
                    .await
                    .expect("it can be counted")
            })
        });
        let census = counting.join().expect("the database can be counted");
        assert_eq!(
            census.lost(),
            0,
            "every accepted event must be somewhere: {census:?}"
        );
        assert_eq!(
            census.confirmations, census.delivered,
            "no event may be finished twice: {census:?}"
        );
    }
}

/// Looks again and again until there is something to see, and panics if that takes too long.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain until {what}"))
}
