//! The pool of connections, and how one connection is opened.

use std::sync::Arc;
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::StoreError;
use crate::lookup::Pepper;
use crate::seal::Sealer;
use crate::tls::Endpoint;
use crate::unknown_words::UnknownWords;

/// The `[database]` section of every service's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/database`, with `?sslmode=verify-full&sslrootcert=/path` for TLS.
    pub url: SecretString,
    /// The schema that holds our tables: the connection's whole `search_path`.
    pub schema: String,
    /// Keys of 32 bytes in base64. Access tokens are sealed with the first, and any of them opens what it
    /// sealed.
    pub sealing_keys: Vec<SecretString>,
    /// The same for a single key; together with `sealing_keys` it would be unclear which comes first.
    pub sealing_key: SecretString,
    /// The secret under which people are found again (leads by e-mail, phone, CPF). Empty: it is made from
    /// the last of the sealing keys. Before that one is given up its text must be put here, or no lead is
    /// found any more.
    pub pepper: SecretString,
    /// Connections of this process beside those over which the gateway stores events.
    pub max_connections: usize,
    pub connect_timeout_seconds: u64,
    /// No statement of ours runs long; one that does is stopped by the server.
    pub statement_timeout_seconds: u64,
    /// PostgreSQL's `plan_cache_mode` for every connection. Empty: each kind of connection has the one that
    /// suits it.
    pub plan_cache_mode: String,
}

impl DatabaseConfig {
    /// With the documented defaults for everything else.
    pub fn new(url: SecretString, sealing_key: SecretString) -> Self {
        DatabaseConfig {
            url,
            schema: "public".to_owned(),
            sealing_keys: Vec::new(),
            sealing_key,
            pepper: SecretString::default(),
            max_connections: 4,
            connect_timeout_seconds: 5,
            statement_timeout_seconds: 10,
            plan_cache_mode: String::new(),
        }
    }

    /// Whether everything is there to connect, and to seal and open access tokens. Whether it is right shows
    /// when it is used.
    pub fn check(&self) -> Result<(), StoreError> {
        self.check_connection()?;
        Sealer::new(&self.sealing_keys()?).map(drop)
    }

    /// Whether everything is there to connect, as the migrator needs it.
    pub fn check_connection(&self) -> Result<(), StoreError> {
        let invalid = |what| Err(StoreError::Configuration { what });
        if self.url.expose_secret().is_empty() {
            return invalid("database.url (RASTRO__DATABASE__URL)");
        }
        let is_name = |name: &str| {
            name.len() < 64
                && name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        if !is_name(&self.schema) {
            return invalid("database.schema (lower case letters, digits and _)");
        }
        match self.plan_cache_mode.as_str() {
            "" | "auto" | "force_generic_plan" | "force_custom_plan" => Ok(()),
            _ => invalid("database.plan_cache_mode (auto, force_generic_plan or force_custom_plan)"),
        }
    }

    fn pepper(&self) -> Result<Pepper, StoreError> {
        if !self.pepper.expose_secret().is_empty() {
            return Ok(Pepper::new(&self.pepper));
        }
        let keys = self.sealing_keys()?;
        keys.last().map(Pepper::new).ok_or(StoreError::Configuration {
            what: "database.pepper",
        })
    }

    /// All sealing keys, the one that seals first.
    fn sealing_keys(&self) -> Result<Vec<SecretString>, StoreError> {
        let one = Some(&self.sealing_key).filter(|key| !key.expose_secret().is_empty());
        match (one, self.sealing_keys.as_slice()) {
            (Some(key), []) => Ok(vec![key.clone()]),
            (None, keys @ [_, ..]) => Ok(keys.to_vec()),
            (None, []) => Err(StoreError::Configuration {
                what: "database.sealing_keys (RASTRO__DATABASE__SEALING_KEYS)",
            }),
            (Some(_), _) => Err(StoreError::Configuration {
                what: "one of database.sealing_key and database.sealing_keys, not both: a single one of them",
            }),
        }
    }
}

/// The database as one service sees it. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Pool<AsyncPgConnection>,
    connector: Connector,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) pepper: Arc<Pepper>,
    pub(crate) unknown_words: UnknownWords,
}

impl Store {
    /// Prepares the pool. Nothing is connected yet: a service starts, and says that it is not ready, while
    /// the database is away. `application` is the name shown in `pg_stat_activity`.
    pub fn new(config: &DatabaseConfig, application: &'static str) -> Result<Self, StoreError> {
        config.check()?;
        let connector = Connector::new(config, application)?;
        let mut manager = ManagerConfig::default();
        // A connection that broke is found out by the statement that uses it; every caller can repeat its
        // own.
        manager.recycling_method = RecyclingMethod::Fast;
        manager.custom_setup = {
            let connector = connector.clone();
            Box::new(move |_| {
                let connector = connector.clone();
                Box::pin(async move { connector.open(Plans::ForEachCall).await })
            })
        };
        let timeout = Some(Duration::from_secs(config.connect_timeout_seconds));
        let pool = Pool::builder(AsyncDieselConnectionManager::new_with_config(
            String::new(),
            manager,
        ))
        .max_size(config.max_connections)
        .runtime(deadpool::Runtime::Tokio1)
        .wait_timeout(timeout)
        .create_timeout(timeout)
        .recycle_timeout(timeout)
        .build()
        .map_err(|_| StoreError::Configuration {
            what: "database.max_connections",
        })?;
        Ok(Store {
            pool,
            connector,
            sealer: Arc::new(Sealer::new(&config.sealing_keys()?)?),
            pepper: Arc::new(config.pepper()?),
            unknown_words: UnknownWords::default(),
        })
    }

    /// A connection from the pool, waited for at most the connect timeout.
    pub(crate) async fn connection(&self) -> Result<Object<AsyncPgConnection>, StoreError> {
        self.pool
            .get()
            .await
            .map_err(|error| StoreError::Unreachable(error.into()))
    }

    /// A connection of one's own, outside the pool, whose statements keep their plans.
    pub(crate) async fn dedicated_connection(&self) -> Result<AsyncPgConnection, StoreError> {
        self.connector
            .open(Plans::Kept)
            .await
            .map_err(|error| StoreError::Unreachable(error.into()))
    }

    /// Whether the database tells its errors in English, by which a deadlock, a lock that was not had in time
    /// and a server that shuts down are known. Elsewhere such an error is like any other: it is tried again
    /// later instead of at once.
    pub async fn speaks_english(&self) -> Result<bool, StoreError> {
        #[derive(diesel::QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::Text)]
            language: String,
        }
        let query = diesel::sql_query("SELECT current_setting('lc_messages') AS language");
        let row: Row = diesel_async::RunQueryDsl::get_result(query, &mut self.connection().await?).await?;
        Ok(is_english(&row.language))
    }

    /// Rows that were skipped because a newer program wrote them, since the start.
    pub fn unknown_words(&self) -> u64 {
        self.unknown_words.skipped()
    }

    /// The advisory lock of this number that belongs to our schema: of two sets of tables in one database
    /// each has its own.
    pub(crate) fn advisory_lock(&self, number: i64) -> i64 {
        self.connector.advisory_lock(number)
    }

    /// How long one statement may take before its connection is given up, a little beyond the server's own
    /// limit.
    pub(crate) fn patience(&self) -> Duration {
        self.connector.statement_timeout + Duration::from_secs(2)
    }
}

/// Whether PostgreSQL may keep a statement's plan.
#[derive(Clone, Copy)]
pub(crate) enum Plans {
    /// For statements that join only what they were given: any plan is as good at any size of the tables.
    Kept,
    /// A plan made while a queue was empty would be used when it holds a million rows.
    ForEachCall,
}

/// How a connection is opened, whoever opens it.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Arc<tokio_postgres::Config>,
    tls: MakeRustlsConnect,
    schema: Arc<str>,
    /// PostgreSQL's settings of every connection; what the URL's `options` set stays as it is there.
    settings: Arc<[(&'static str, String)]>,
    plan_cache_mode: Option<Arc<str>>,
    statement_timeout: Duration,
    connect_timeout: Duration,
}

impl Connector {
    fn new(config: &DatabaseConfig, application: &'static str) -> Result<Self, StoreError> {
        let timeout = Duration::from_secs(config.statement_timeout_seconds);
        let ms = timeout.as_millis();
        let settings = vec![
            ("statement_timeout", ms.to_string()),
            ("lock_timeout", ms.to_string()),
            ("idle_in_transaction_session_timeout", "30s".to_owned()),
            // Compiling a statement takes longer than running any of ours.
            ("jit", "off".to_owned()),
        ];
        Connector::with_settings(config, application, settings)
    }

    /// For migrations, of which one may take its time.
    pub(crate) fn for_migrations(config: &DatabaseConfig) -> Result<Self, StoreError> {
        Connector::with_settings(config, "migrate", Vec::new())
    }

    fn with_settings(
        config: &DatabaseConfig,
        application: &'static str,
        mut settings: Vec<(&'static str, String)>,
    ) -> Result<Self, StoreError> {
        config.check_connection()?;
        let Endpoint {
            config: mut connection,
            tls,
        } = Endpoint::parse(config.url.expose_secret())?;
        let connect_timeout = Duration::from_secs(config.connect_timeout_seconds);
        connection
            .application_name(application)
            .connect_timeout(connect_timeout)
            // A cut network must not hold a statement for the fifteen minutes that TCP would.
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(15));
        let plan_cache_mode = Some(config.plan_cache_mode.as_str()).filter(|mode| !mode.is_empty());
        settings.push(("synchronous_commit", "on".to_owned()));
        settings.push(("search_path", config.schema.clone()));
        Ok(Connector {
            config: Arc::new(connection),
            tls,
            settings: settings.into(),
            schema: config.schema.as_str().into(),
            plan_cache_mode: plan_cache_mode.map(Into::into),
            statement_timeout: Duration::from_secs(config.statement_timeout_seconds),
            connect_timeout,
        })
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// In `public` the number itself, which earlier versions lock; elsewhere mixed with the schema's name.
    pub(crate) fn advisory_lock(&self, number: i64) -> i64 {
        if &*self.schema == "public" {
            return number;
        }
        let hash = Sha256::digest(format!("{}/{number}", self.schema));
        let first = hash.first_chunk().expect("a SHA-256 has 32 bytes");
        i64::from_be_bytes(*first)
    }

    pub(crate) async fn open(&self, plans: Plans) -> ConnectionResult<AsyncPgConnection> {
        let (mode, others): (_, &[_]) = match plans {
            // Without being told, PostgreSQL would plan small groups anew each time, which costs them half as
            // much again.
            // A plan made while a table is new and small must not read it whole when it has grown.
            Plans::Kept => ("force_generic_plan", &[("enable_seqscan", "off")]),
            // Statistics of a queue are always out of date: its rows live for milliseconds. Without them
            // PostgreSQL would gather and sort a whole backlog for its first thousand rows; following an
            // index is right at any size.
            Plans::ForEachCall => (
                "force_custom_plan",
                &[("enable_bitmapscan", "off"), ("enable_seqscan", "off")],
            ),
        };
        let mode = self.plan_cache_mode.as_deref().unwrap_or(mode);
        let own = self.settings.iter().map(|(name, value)| (*name, value.as_str()));
        let settings = own
            .chain([("plan_cache_mode", mode)])
            .chain(others.iter().copied());
        // After connecting, and not as startup options, which poolers drop or refuse. All of it is ours but
        // the schema and the mode, and those are plain names.
        let values: Vec<String> = settings
            .map(|(name, value)| format!("('{name}', '{value}')"))
            .collect();
        // The language of errors, by which some are known that diesel has no kind for: a role sets it that
        // may.
        let set = format!(
            "SELECT set_config(s.name, v.value, false) FROM (VALUES {}, ('lc_messages', 'C')) AS v (name, value) \
             JOIN pg_catalog.pg_settings s ON s.name = v.name AND s.source <> 'client' \
             WHERE s.name <> 'lc_messages' OR has_parameter_privilege('lc_messages', 'SET')",
            values.join(", ")
        );
        // tokio-postgres limits each TCP connect; the handshake after it needs a limit too.
        let opening = async {
            let (client, connection) = self
                .config
                .connect(self.tls.clone())
                .await
                .map_err(bad_connection)?;
            let mut connection =
                AsyncPgConnection::try_from_client_and_connection(client, connection).await?;
            let set = connection.batch_execute(&set).await;
            set.map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
            Ok(connection)
        };
        tokio::time::timeout(self.connect_timeout, opening)
            .await
            .map_err(|_| ConnectionError::BadConnection("the server did not answer in time".into()))?
    }
}

/// Whether messages are untranslated in a locale of this name.
fn is_english(locale: &str) -> bool {
    let language = locale.split(['_', '.', '-', '@']).next().unwrap_or_default();
    matches!(language, "C" | "POSIX" | "en" | "English")
}

fn bad_connection(error: tokio_postgres::Error) -> ConnectionError {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    ConnectionError::BadConnection(message)
}

#[cfg(test)]
mod tests {
    use diesel_async::RunQueryDsl;
    use rastro_test_support::TestDatabase;

    use super::*;

    #[derive(diesel::QueryableByName)]
    struct Shown {
        #[diesel(sql_type = diesel::sql_types::Text)]
        value: String,
    }

    async fn shown(config: &DatabaseConfig, plans: Plans, setting: &str) -> String {
        let connector = Connector::new(config, "test").unwrap();
        let mut connection = connector.open(plans).await.unwrap();
        let query = diesel::sql_query(format!("SELECT current_setting('{setting}') AS value"));
        query.get_result::<Shown>(&mut connection).await.unwrap().value
    }

    #[tokio::test]
    async fn every_connection_has_its_schema_and_its_way_to_plan_unless_told_otherwise() {
        let database = TestDatabase::create_empty().await;
        let mut config = DatabaseConfig::new(database.url().into(), "".into());
        assert_eq!(shown(&config, Plans::Kept, "search_path").await, "public");
        assert_eq!(
            shown(&config, Plans::Kept, "plan_cache_mode").await,
            "force_generic_plan"
        );
        assert_eq!(
            shown(&config, Plans::ForEachCall, "plan_cache_mode").await,
            "force_custom_plan"
        );
        config.schema = "cell_1".to_owned();
        config.plan_cache_mode = "auto".to_owned();
        for plans in [Plans::Kept, Plans::ForEachCall] {
            assert_eq!(shown(&config, plans, "search_path").await, "cell_1");
            assert_eq!(shown(&config, plans, "plan_cache_mode").await, "auto");
        }
    }

    /// As a database whose cluster speaks another language; these names are in every installation.
    #[tokio::test]
    async fn errors_are_told_in_english_where_the_role_may_ask_for_that() {
        let database = TestDatabase::create_empty().await;
        let (name, url) = (database.name(), database.url());
        let role = format!("plain_{name}");
        let foreign = format!(
            "ALTER DATABASE \"{name}\" SET lc_messages = 'POSIX';
             CREATE ROLE \"{role}\" LOGIN PASSWORD 'plain'"
        );
        // By its name: diesel's `execute` is in scope.
        TestDatabase::execute(&database, &foreign).await;
        let config = DatabaseConfig::new(url.into(), "".into());
        assert_eq!(shown(&config, Plans::Kept, "lc_messages").await, "C");
        // One that may not is let in all the same, and has what the owner set for it.
        let (scheme, rest) = url.split_once("://").unwrap();
        let (_, place) = rest.split_once('@').unwrap();
        let plain = DatabaseConfig::new(format!("{scheme}://{role}:plain@{place}").into(), "".into());
        assert_eq!(shown(&plain, Plans::Kept, "lc_messages").await, "POSIX");
        let grant = format!("GRANT SET ON PARAMETER lc_messages TO \"{role}\"");
        TestDatabase::execute(&database, &grant).await;
        assert_eq!(shown(&plain, Plans::ForEachCall, "lc_messages").await, "C");
        let gone = format!("REVOKE SET ON PARAMETER lc_messages FROM \"{role}\"; DROP ROLE \"{role}\"");
        TestDatabase::execute(&database, &gone).await;
    }

    #[test]
    fn only_messages_in_english_are_known() {
        for locale in [
            "C",
            "C.UTF-8",
            "POSIX",
            "en_US.UTF-8",
            "English_United States.1252",
        ] {
            assert!(is_english(locale), "{locale}");
        }
        for locale in ["pt_BR.UTF-8", "Portuguese_Brazil.1252", "ca_ES", "es_ES", ""] {
            assert!(!is_english(locale), "{locale}");
        }
    }

    #[test]
    fn a_lock_is_one_of_its_schema() {
        let lock = |schema: &str| {
            let mut config = DatabaseConfig::new("postgres://127.0.0.1/x".into(), "".into());
            config.schema = schema.to_owned();
            Connector::new(&config, "test").unwrap().advisory_lock(7)
        };
        // What earlier versions lock, beside which this one may run.
        assert_eq!(lock("public"), 7);
        // printf cell_1/7 | sha256sum
        assert_eq!(lock("cell_1"), 8_845_977_399_233_102_156);
        assert_ne!(lock("cell_1"), lock("cell_2"));
    }
}
