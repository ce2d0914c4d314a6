//! Other ways to take events in, over the same HTTP and with the same parsing and hashing as the gateway: what the
//! gateway is measured against.
//!
//! Each takes single events at the gateway's own address and answers as it does. None checks an API key, which makes
//! them a little cheaper than the gateway. They run as the gateway does: on two threads, with everything of a request on
//! one of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::Context;
use chrono::Datelike;
use rastro_core::dataset::DatasetId;
use rastro_core::event::{Event, Intake};
use rastro_core::finding::Finding;
use rastro_core::json::Json;
use rastro_core::user_data::Visitor;
use rastro_service::clock::Clock;
use rastro_store::{EventWriter, NewEvent};
use serde::Serialize;
use tokio::sync::{OnceCell, Semaphore};
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::database;

/// Threads that serve, as many as the gateway has.
const WORKERS: usize = 2;
/// Connections of a baseline's pools together; each thread has its own.
const POOL: usize = 16;
/// The largest request body, as of the gateway.
const MOST_BYTES: usize = 4 << 20;

/// What a baseline does with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Three statements, one after the other: is the key there, insert the key, insert the event.
    Naive,
    /// The gateway's own statement, for one event at a time.
    Statement,
    /// Nothing: the ceiling of HTTP, parsing and hashing.
    NoDatabase,
}

impl Mode {
    pub fn parse(text: &str) -> Option<Self> {
        [Mode::Naive, Mode::Statement, Mode::NoDatabase]
            .into_iter()
            .find(|mode| mode.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Naive => "naive",
            Mode::Statement => "statement",
            Mode::NoDatabase => "no-database",
        }
    }
}

/// The naive baseline's tables: a text key, and the payload in the log, as jsonb.
pub const NAIVE_SCHEMA: &str = "
    CREATE TABLE meta_events_dedup (
        event_key text PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL DEFAULT now() + interval '8 days'
    );
    CREATE TABLE meta_events_log (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_key text NOT NULL, status text NOT NULL,
        payload jsonb NOT NULL, request_id uuid NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
    )";

enum Backend {
    Naive(Pool<Naive>),
    Statement(Pool<EventWriter>),
    NoDatabase,
}

struct Served {
    mode: Mode,
    database_url: String,
    dataset: DatasetId,
    clock: Clock,
    /// Made by the first to ask, in the thread that serves: like the gateway's, its connections then live in the
    /// runtime of the requests that use them.
    backend: OnceCell<Backend>,
}

impl Served {
    async fn backend(&self) -> anyhow::Result<&Backend> {
        self.backend
            .get_or_try_init(|| Backend::open(self.mode, &self.database_url))
            .await
    }
}

/// Serves a baseline until it is told to stop.
pub async fn serve(mode: Mode, listen: &str, database_url: &str, dataset: DatasetId) -> anyhow::Result<()> {
    let database_url = database_url.to_owned();
    HttpServer::new(move || {
        App::new()
            .app_data(Data::new(Served {
                mode,
                database_url: database_url.clone(),
                dataset,
                clock: Clock::system(),
                backend: OnceCell::new(),
            }))
            .app_data(web::PayloadConfig::new(MOST_BYTES))
            .route("/readyz", web::get().to(ready))
            .route("/api/meta/conversions", web::post().to(receive))
    })
    .workers(WORKERS)
    .bind(listen)
    .with_context(|| format!("cannot listen on {listen}"))?
    .run()
    .await
    .context("the server failed")
}

async fn ready(served: Data<Served>) -> HttpResponse {
    match served.backend().await {
        Ok(_) => HttpResponse::Ok().finish(),
        Err(error) => unavailable(&error),
    }
}

fn unavailable(error: &anyhow::Error) -> HttpResponse {
    HttpResponse::ServiceUnavailable().body(format!("{error:#}"))
}

/// The gateway's answer to one event.
#[derive(Serialize)]
struct Receipt<'a> {
    status: &'static str,
    event_name: &'a str,
    event_id: &'a str,
    request_id: Uuid,
    warnings: &'a [Finding],
}

async fn receive(served: Data<Served>, body: Bytes) -> HttpResponse {
    let Ok(json) = Json::parse(&body) else {
        return HttpResponse::BadRequest().finish();
    };
    let now = served.clock.now();
    let intake = Intake {
        now_ms: now.timestamp_millis(),
        current_year: now.year(),
        defaults: Default::default(),
        visitor: Visitor::default(),
    };
    let Ok((event, warnings)) = Event::read(json, &intake) else {
        return HttpResponse::UnprocessableEntity().finish();
    };
    let request_id = Uuid::now_v7();
    let new = NewEvent::new(&event, served.dataset, String::new(), request_id, None);
    let stored = match served.backend().await {
        Ok(backend) => backend.store(new).await,
        Err(error) => Err(error),
    };
    match stored {
        Ok(true) => HttpResponse::Accepted().json(Receipt {
            status: "accepted",
            event_name: &event.name,
            event_id: &event.id,
            request_id,
            warnings: &warnings,
        }),
        Ok(false) => HttpResponse::build(StatusCode::CONFLICT).finish(),
        Err(error) => unavailable(&error),
    }
}

impl Backend {
    async fn open(mode: Mode, database_url: &str) -> anyhow::Result<Self> {
        Ok(match mode {
            Mode::Naive => {
                let mut clients = Vec::new();
                for _ in 0..POOL / WORKERS {
                    clients.push(Naive::connect(database_url).await?);
                }
                Backend::Naive(Pool::new(clients))
            }
            Mode::Statement => {
                let store = database::store(database_url)?;
                let mut writers = Vec::new();
                for _ in 0..POOL / WORKERS {
                    writers.push(store.event_writer().await?);
                }
                Backend::Statement(Pool::new(writers))
            }
            Mode::NoDatabase => Backend::NoDatabase,
        })
    }

    /// Whether the event is new, and durable.
    async fn store(&self, event: NewEvent) -> anyhow::Result<bool> {
        match self {
            Backend::NoDatabase => {
                // Made and dropped: what the gateway does up to here.
                std::hint::black_box(event);
                Ok(true)
            }
            Backend::Naive(pool) => {
                pool.with(async |naive: &mut Naive| naive.store(&event).await)
                    .await
            }
            Backend::Statement(pool) => {
                pool.with(async |writer: &mut EventWriter| Ok(writer.accept(&[&event]).await? == [true]))
                    .await
            }
        }
    }
}

struct Naive {
    client: Client,
    exists: Statement,
    claim: Statement,
    log: Statement,
}

impl Naive {
    async fn connect(url: &str) -> anyhow::Result<Self> {
        let client = database::connect(url).await?;
        let exists = "SELECT EXISTS (SELECT FROM meta_events_dedup WHERE event_key = $1)";
        let claim = "INSERT INTO meta_events_dedup (event_key) VALUES ($1) ON CONFLICT DO NOTHING";
        let log = "INSERT INTO meta_events_log (event_key, status, payload, request_id) \
            VALUES ($1, 'pending', $2::text::jsonb, $3::text::uuid)";
        Ok(Naive {
            exists: client.prepare(exists).await?,
            claim: client.prepare(claim).await?,
            log: client.prepare(log).await?,
            client,
        })
    }

    async fn store(&self, event: &NewEvent) -> anyhow::Result<bool> {
        let key = format!("{}:{}:{}", event.dataset_id, event.name, event.id);
        let exists: bool = self.client.query_one(&self.exists, &[&key]).await?.get(0);
        if exists || self.client.execute(&self.claim, &[&key]).await? == 0 {
            return Ok(false);
        }
        let request_id = event.request_id.to_string();
        self.client
            .execute(&self.log, &[&key, &event.payload, &request_id])
            .await?;
        Ok(true)
    }
}

/// Connections that requests take turns with.
struct Pool<T> {
    idle: Mutex<VecDeque<T>>,
    free: Arc<Semaphore>,
}

impl<T> Pool<T> {
    fn new(members: Vec<T>) -> Self {
        Pool {
            free: Arc::new(Semaphore::new(members.len())),
            idle: Mutex::new(members.into()),
        }
    }

    /// Waits for a free member and uses it. A member whose use failed is not used again.
    async fn with<R>(&self, work: impl AsyncFnOnce(&mut T) -> anyhow::Result<R>) -> anyhow::Result<R> {
        let permit = self.free.acquire().await.context("the pool is closed")?;
        let taken = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        let mut member = taken.context("every connection of the pool is broken")?;
        let result = work(&mut member).await;
        if result.is_ok() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_back(member);
        } else {
            permit.forget();
        }
        result
    }
}
