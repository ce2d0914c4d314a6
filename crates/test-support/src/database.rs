//! A database of a test's own, cloned from a migrated template in some 50 ms.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use rastro_store::{DatabaseConfig, Migrator};
use tokio_postgres::NoTls;
use uuid::Uuid;

/// Names the maintenance database of a cluster on which databases may be made; set by `make test`.
const CLUSTER_URL: &str = "RASTRO_TEST_DATABASE_URL";
/// Any constant that nothing else locks in the maintenance database.
const TEMPLATE_LOCK: i64 = 7_266_199_999;

/// Dropped with the value.
pub struct TestDatabase {
    name: String,
    url: String,
    cluster_url: String,
}

impl TestDatabase {
    /// Clones the template, which is made by the first test that needs it.
    pub async fn create() -> Self {
        TestDatabase::create_on(&cluster_url()).await
    }

    /// The same on another cluster, named by the URL of its maintenance database.
    pub async fn create_on(cluster_url: &str) -> Self {
        let cluster_url = cluster_url.to_owned();
        let template = template(&cluster_url).await;
        let name = format!("test_{}", Uuid::now_v7().simple());
        execute(
            &cluster_url,
            &format!("CREATE DATABASE {name} TEMPLATE {template}"),
        )
        .await;
        TestDatabase {
            url: with_database(&cluster_url, &name),
            name,
            cluster_url,
        }
    }

    /// An empty database, without a schema.
    pub async fn create_empty() -> Self {
        let cluster_url = cluster_url();
        let name = format!("test_{}", Uuid::now_v7().simple());
        execute(
            &cluster_url,
            &format!("CREATE DATABASE {name} TEMPLATE template0"),
        )
        .await;
        TestDatabase {
            url: with_database(&cluster_url, &name),
            name,
            cluster_url,
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings with which a service uses it.
    pub fn config(&self) -> DatabaseConfig {
        DatabaseConfig {
            max_connections: 6,
            ..DatabaseConfig::new(self.url.as_str().into(), SEALING_KEY.into())
        }
    }

    /// Runs statements.
    pub async fn execute(&self, sql: &str) {
        execute(&self.url, sql).await;
    }

    /// The rows of a query, every value as text.
    pub async fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let client = connect(&self.url).await;
        let messages = client
            .simple_query(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let rows = messages.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| {
            (0..row.len())
                .map(|column| row.get(column).map(str::to_owned))
                .collect()
        })
        .collect()
    }

    /// What is stored of every accepted event, by its id.
    pub async fn payloads(&self) -> Vec<(String, String)> {
        let rows = self
            .query("SELECT event_id, payload FROM events ORDER BY event_number")
            .await;
        let event = |row: Vec<Option<String>>| {
            let [id, payload] = row.try_into().expect("two columns");
            (id.expect("an id"), payload.expect("a payload"))
        };
        rows.into_iter().map(event).collect()
    }

    /// The one value of a query that gives one, as text.
    pub async fn value(&self, sql: &str) -> String {
        let rows = self.query(sql).await;
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0][0].clone().unwrap_or_else(|| panic!("{sql} gave NULL"))
    }
}

/// `openssl rand -base64 32`, once.
pub(crate) const SEALING_KEY: &str = "mE1dNnKB1LGNsVlGXvbmYzTNFlh6W3mBtrdQi/0kfDQ=";

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (url, sql) = (
            self.cluster_url.clone(),
            format!("DROP DATABASE {} WITH (FORCE)", self.name),
        );
        // Its own runtime: the test's may be gone, or unable to block.
        let dropping = std::thread::spawn(move || block_on(execute(&url, &sql)));
        if dropping.join().is_err() && !std::thread::panicking() {
            panic!("the test's database could not be dropped");
        }
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built")
        .block_on(future)
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the tests' cluster is, is a fact of the environment"
)]
fn cluster_url() -> String {
    std::env::var(CLUSTER_URL)
        .unwrap_or_else(|_| panic!("{CLUSTER_URL} is not set: run the tests with `make test`"))
}

/// The name of a migrated database that nobody is connected to.
async fn template(cluster_url: &str) -> String {
    let mut hasher = DefaultHasher::new();
    rastro_store::migration_names().hash(&mut hasher);
    let name = format!("rastro_template_{:016x}", hasher.finish());
    let client = connect(cluster_url).await;
    client
        .execute("SELECT pg_advisory_lock($1)", &[&TEMPLATE_LOCK])
        .await
        .expect("the template's lock is granted");
    let exists = client
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)",
            &[&name],
        )
        .await
        .expect("the databases can be listed")
        .get::<_, bool>(0);
    if !exists {
        let unfinished = format!("{name}_unfinished");
        execute(
            cluster_url,
            &format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)"),
        )
        .await;
        execute(
            cluster_url,
            &format!("CREATE DATABASE {unfinished} TEMPLATE template0"),
        )
        .await;
        let url = with_database(cluster_url, &unfinished);
        migrate(&url);
        execute(
            cluster_url,
            &format!("ALTER DATABASE {unfinished} RENAME TO {name}"),
        )
        .await;
    }
    // The lock ends with the connection.
    name
}

/// Applies all migrations.
pub(crate) fn migrate(url: &str) {
    let url = url.to_owned().into();
    let migrating = std::thread::spawn(move || {
        Migrator::connect(&url)
            .expect("the migrator connects")
            .run()
            .expect("the migrations apply");
    });
    migrating.join().expect("the migrations apply");
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .unwrap_or_else(|error| panic!("the cluster is away: {error:?}"));
    tokio::spawn(connection);
    client
}

async fn execute(url: &str, sql: &str) {
    connect(url)
        .await
        .batch_execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// The same cluster, another database.
fn with_database(url: &str, name: &str) -> String {
    let (base, parameters) = url
        .split_once('?')
        .map_or((url, None), |(base, rest)| (base, Some(rest)));
    let (server, _) = base.rsplit_once('/').expect("the cluster's URL names a database");
    match parameters {
        Some(parameters) => format!("{server}/{name}?{parameters}"),
        None => format!("{server}/{name}"),
    }
}
