//! The pool of connections, and how one connection is opened.

use std::sync::Arc;
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::error::StoreError;
use crate::seal::Sealer;
use crate::unknown_words::UnknownWords;

/// The `[database]` section of every service's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/database`
    pub url: SecretString,
    /// 32 bytes in base64. Access tokens are sealed with it; whoever loses it enters the tokens again.
    pub sealing_key: SecretString,
    /// Connections of this process beside those over which the gateway stores events.
    pub max_connections: usize,
    pub connect_timeout_seconds: u64,
    /// No statement of ours runs long; one that does is stopped by the server.
    pub statement_timeout_seconds: u64,
}

impl DatabaseConfig {
    /// Whether everything that has no default is there. Whether it is right shows when it is used.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.url.expose_secret().is_empty() {
            return Err(StoreError::Configuration {
                what: "database.url (RASTRO__DATABASE__URL)",
            });
        }
        if self.sealing_key.expose_secret().is_empty() {
            return Err(StoreError::Configuration {
                what: "database.sealing_key (RASTRO__DATABASE__SEALING_KEY)",
            });
        }
        Ok(())
    }
}

/// The database as one service sees it. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Pool<AsyncPgConnection>,
    connector: Connector,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) unknown_words: UnknownWords,
}

impl Store {
    /// Prepares the pool. Nothing is connected yet: a service starts, and says that it is not ready, while the
    /// database is away. `application` is the name shown in `pg_stat_activity`.
    pub fn new(config: &DatabaseConfig, application: &'static str) -> Result<Self, StoreError> {
        let connector = Connector::new(config, application)?;
        let mut manager = ManagerConfig::default();
        // A connection that broke is found out by the statement that uses it; every caller can repeat its own.
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
            sealer: Arc::new(Sealer::new(&config.sealing_key)?),
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

    /// Rows that were skipped because a newer program wrote them, since the start.
    pub fn unknown_words(&self) -> u64 {
        self.unknown_words.skipped()
    }

    /// How long one statement may take before its connection is given up, a little beyond the server's own limit.
    pub(crate) fn patience(&self) -> Duration {
        self.connector.statement_timeout + Duration::from_secs(2)
    }
}

/// Whether PostgreSQL may keep a statement's plan.
#[derive(Clone, Copy)]
enum Plans {
    /// For statements that join only what they were given: any plan is as good at any size of the tables.
    Kept,
    /// A plan made while a queue was empty would be used when it holds a million rows.
    ForEachCall,
}

#[derive(Clone)]
struct Connector {
    config: Arc<tokio_postgres::Config>,
    statement_timeout: Duration,
    connect_timeout: Duration,
}

impl Connector {
    fn new(config: &DatabaseConfig, application: &'static str) -> Result<Self, StoreError> {
        let mut connection: tokio_postgres::Config = config
            .url
            .expose_secret()
            .parse()
            .map_err(|_| StoreError::Configuration { what: "database.url" })?;
        let connect_timeout = Duration::from_secs(config.connect_timeout_seconds);
        let statement_timeout = Duration::from_secs(config.statement_timeout_seconds);
        connection
            .application_name(application)
            .connect_timeout(connect_timeout)
            // A cut network must not hold a statement for the fifteen minutes that TCP would.
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(15));
        Ok(Connector {
            config: Arc::new(connection),
            statement_timeout,
            connect_timeout,
        })
    }

    async fn open(&self, plans: Plans) -> ConnectionResult<AsyncPgConnection> {
        let mut config = (*self.config).clone();
        let plans = match plans {
            // Without being told, PostgreSQL would plan small groups anew each time, which costs them half as much again.
            Plans::Kept => "-c plan_cache_mode=force_generic_plan",
            // Statistics of a queue are always out of date: its rows live for milliseconds. Without them PostgreSQL would
            // gather and sort a whole backlog for its first thousand rows; following an index is right at any size.
            Plans::ForEachCall => {
                "-c plan_cache_mode=force_custom_plan -c enable_bitmapscan=off -c enable_seqscan=off"
            }
        };
        let timeout = self.statement_timeout.as_millis();
        // Compiling a statement takes longer than running any of ours.
        let own = config.get_options().unwrap_or_default().to_owned();
        config.options(format!(
            "-c statement_timeout={timeout} -c lock_timeout={timeout} -c idle_in_transaction_session_timeout=30s \
             -c synchronous_commit=on -c jit=off {plans} {own}"
        ));
        // tokio-postgres limits each TCP connect; the handshake after it needs a limit too.
        let opening = async {
            let (client, connection) = config
                .connect(tokio_postgres::NoTls)
                .await
                .map_err(bad_connection)?;
            AsyncPgConnection::try_from_client_and_connection(client, connection).await
        };
        tokio::time::timeout(self.connect_timeout, opening)
            .await
            .map_err(|_| ConnectionError::BadConnection("the server did not answer in time".into()))?
    }
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
