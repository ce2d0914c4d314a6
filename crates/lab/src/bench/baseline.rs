//! Simpler ways to take events in, over the same HTTP and with the same parsing and hashing as the gateway: what the gateway is
//! measured against.
//!
//! Each takes single events at the gateway's own address and answers as it does. None checks an API key, which makes
//! them a little cheaper than the gateway. They run as the gateway does: on two threads, with everything of a request on
//! one of them.

use std::sync::{Mutex, PoisonError};

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
use rastro_store::{Acceptance, EventWriter, NewEvent, Origin};
use serde::Serialize;
use tokio::sync::{OnceCell, Semaphore};
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::books::{self, SEALING_KEY};
use crate::variable;

/// Threads that serve, as many as the gateway has.
const WORKERS: usize = 2;
/// Connections of a baseline's pools together; each thread has its own.
const POOL: usize = 16;

/// What a baseline does with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Three statements, one after the other: is the key there, insert the key, insert the event.
    Naive,
    /// The gateway's own way to store events, for one event at a time.
    Statement,
}

impl Mode {
    pub fn parse(text: &str) -> Option<Self> {
        [Mode::Naive, Mode::Statement]
            .into_iter()
            .find(|mode| mode.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Naive => "naive",
            Mode::Statement => "statement",
        }
    }
}

enum Backend {
    Naive(Pool<Naive>),
    Statement(Pool<EventWriter>),
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
pub fn serve(mode: Mode, listen: &str, dataset: DatasetId) -> anyhow::Result<()> {
    let database_url = variable("RASTRO_LAB_DATABASE_URL").context("no database was named")?;
    let server = HttpServer::new(move || {
        let served = Served {
            mode,
            database_url: database_url.clone(),
            dataset,
            clock: Clock::system(),
            backend: OnceCell::new(),
        };
        App::new()
            .app_data(Data::new(served))
            .route("/readyz", web::get().to(ready))
            .route("/api/meta/conversions", web::post().to(receive))
    });
    let server = server.workers(WORKERS).bind(listen)?;
    actix_web::rt::System::new().block_on(async { server.run().await })?;
    Ok(())
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
        ..Intake::default()
    };
    let Ok((event, warnings)) = Event::read(json, &intake) else {
        return HttpResponse::UnprocessableEntity().finish();
    };
    let request_id = Uuid::now_v7();
    let origin = Origin {
        dataset_id: served.dataset,
        test_event_code: String::new(),
        key_id: None,
        request_id,
        traceparent: None,
        withheld: false,
    };
    let new = NewEvent::new(&event, origin);
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
                let store = books::store(database_url, SEALING_KEY)?;
                let mut writers = Vec::new();
                for _ in 0..POOL / WORKERS {
                    writers.push(store.event_writer().await?);
                }
                Backend::Statement(Pool::new(writers))
            }
        })
    }

    /// Whether the event is new, and durable.
    async fn store(&self, event: NewEvent) -> anyhow::Result<bool> {
        match self {
            Backend::Naive(pool) => pool.with(async |naive| naive.store(&event).await).await,
            Backend::Statement(pool) => {
                let accept = async |writer: &mut EventWriter| {
                    let acceptances = writer.accept(&[&event], &[]).await?;
                    Ok(matches!(acceptances[..], [Acceptance::Accepted { .. }]))
                };
                pool.with(accept).await
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
        let client = books::connect(url).await?;
        let [exists, claim, log] = books::NAIVE_STATEMENTS;
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

/// Connections that requests take turns with. One whose use failed is not used again.
struct Pool<T> {
    idle: Mutex<Vec<T>>,
    free: Semaphore,
}

impl<T> Pool<T> {
    fn new(members: Vec<T>) -> Self {
        Pool {
            free: Semaphore::new(members.len()),
            idle: Mutex::new(members),
        }
    }

    async fn with<R>(&self, work: impl AsyncFnOnce(&mut T) -> anyhow::Result<R>) -> anyhow::Result<R> {
        let permit = self.free.acquire().await?;
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut member = { idle().pop() }.context("every connection of the pool is broken")?;
        let result = work(&mut member).await;
        match result.is_ok() {
            true => idle().push(member),
            false => permit.forget(),
        }
        result
    }
}
