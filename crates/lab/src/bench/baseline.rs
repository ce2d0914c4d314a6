//! The simple way to take events in, over the same HTTP and with the same parsing and hashing as the gateway:
//! what the gateway is measured against. Three statements, one after the other: is the key there, insert the
//! key, insert the event.
//!
//! It takes single events at the gateway's own address and answers as it does. It checks no API key, which
//! makes it a little cheaper than the gateway. It runs as the gateway does: on two threads, with everything
//! of a request on one of them.

use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::Context;
use chrono::Datelike;
use rastro_core::dataset::DatasetId;
use rastro_core::event::{Event, Intake};
use rastro_core::json::Json;
use rastro_service::clock::Clock;
use rastro_store::{NewEvent, Origin};
use serde_json::json;
use tokio::sync::{Mutex, OnceCell, mpsc};
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::books;
use crate::variable;

/// Threads that serve, as many as the gateway has.
const WORKERS: usize = 2;
/// Connections of a baseline's pools together; each thread has its own.
const POOL: usize = 16;

/// One thread's part of a baseline.
struct Served {
    database_url: String,
    dataset: DatasetId,
    /// Made by the first to ask, in the thread that serves: like the gateway's, its connections then live in
    /// the runtime of the requests that use them.
    pool: OnceCell<Pool>,
}

/// Connections that requests take turns with. One whose use failed is not used again.
struct Pool {
    put: mpsc::Sender<Writer>,
    take: Mutex<mpsc::Receiver<Writer>>,
}

/// Serves a baseline until it is told to stop.
pub fn serve(listen: &str, dataset: DatasetId) -> anyhow::Result<()> {
    let database_url = variable("RASTRO_LAB_DATABASE_URL").context("no database was named")?;
    let server = HttpServer::new(move || {
        let served = Served {
            database_url: database_url.clone(),
            dataset,
            pool: OnceCell::new(),
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
    match served.pool().await {
        Ok(_) => HttpResponse::Ok().finish(),
        Err(error) => unavailable(&error),
    }
}

fn unavailable(error: &anyhow::Error) -> HttpResponse {
    HttpResponse::ServiceUnavailable().body(format!("{error:#}"))
}

async fn receive(served: Data<Served>, body: Bytes) -> HttpResponse {
    let Ok(json) = Json::parse(&body) else {
        return HttpResponse::BadRequest().finish();
    };
    let now = Clock::system().now();
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
    match served.store(&NewEvent::new(&event, origin)).await {
        Ok(true) => HttpResponse::Accepted().json(json!({
            "status": "accepted", "event_name": event.name, "event_id": event.id,
            "request_id": request_id, "warnings": warnings,
        })),
        Ok(false) => HttpResponse::Conflict().finish(),
        Err(error) => unavailable(&error),
    }
}

impl Served {
    async fn pool(&self) -> anyhow::Result<&Pool> {
        let make = async || {
            let (put, take) = mpsc::channel(POOL);
            for _ in 0..POOL / WORKERS {
                put.try_send(Writer::connect(&self.database_url).await?)?;
            }
            let take = Mutex::new(take);
            Ok(Pool { put, take })
        };
        self.pool.get_or_try_init(make).await
    }

    /// Whether the event is new, and durable.
    async fn store(&self, event: &NewEvent) -> anyhow::Result<bool> {
        let pool = self.pool().await?;
        let writer = { pool.take.lock().await.recv().await }.context("the pool is closed")?;
        let is_new = writer.store(event).await?;
        pool.put.try_send(writer)?;
        Ok(is_new)
    }
}

struct Writer {
    client: Client,
    exists: Statement,
    claim: Statement,
    log: Statement,
}

impl Writer {
    async fn connect(url: &str) -> anyhow::Result<Self> {
        let client = books::connect(url).await?;
        let [exists, claim, log] = books::NAIVE_STATEMENTS.map(|sql| client.prepare(sql));
        let (exists, claim, log) = (exists.await?, claim.await?, log.await?);
        Ok(Writer {
            client,
            exists,
            claim,
            log,
        })
    }

    async fn store(&self, event: &NewEvent) -> anyhow::Result<bool> {
        let client = &self.client;
        let key = format!("{}:{}:{}", event.dataset_id, event.name, event.id);
        let exists: bool = client.query_one(&self.exists, &[&key]).await?.get(0);
        if exists || client.execute(&self.claim, &[&key]).await? == 0 {
            return Ok(false);
        }
        let request_id = event.request_id.to_string();
        client
            .execute(&self.log, &[&key, &event.payload, &request_id])
            .await?;
        Ok(true)
    }
}
