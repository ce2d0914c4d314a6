//! The running sandbox: its thread, its routes and the handle that tests hold.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web::{self, Data, PayloadConfig};
use actix_web::{App, HttpServer};
use anyhow::Context;
use tokio::sync::oneshot;

use crate::clock::SandboxClock;
use crate::config::SandboxConfig;
use crate::faults::{Fault, FaultId, FaultStatus, Faults, InvalidFault};
use crate::ledger::{Counts, Ledger};
use crate::marketing::{self, Marketing};
use crate::records::{EventFilter, ReceivedEvent, Records, RequestRecord};
use crate::{connection, dataset, graph, inspect, quality};

/// Meta documents no limit; this only keeps a runaway client from filling the memory.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Long enough that no client's pooled connection is closed just as it is used again.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// What the request handlers share.
pub(crate) struct State {
    pub(crate) config: SandboxConfig,
    pub(crate) faults: Faults,
    pub(crate) marketing: Marketing,
    book: Mutex<Book>,
}

/// Everything received, under one lock so that counts, events and requests agree with each other.
pub(crate) struct Book {
    pub(crate) ledger: Ledger,
    pub(crate) records: Records,
    pub(crate) last_request: u64,
}

impl State {
    fn new(config: SandboxConfig) -> Self {
        let records = Records::new(config.keep_events, config.keep_requests);
        let book = Mutex::new(Book {
            ledger: Ledger::default(),
            records,
            last_request: 0,
        });
        Self {
            config,
            faults: Faults::default(),
            marketing: Marketing::default(),
            book,
        }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nothing panics while it holds the book")
    }

    /// Forgets everything received. Faults and the clock stay as they are, and requests keep counting up.
    pub(crate) fn forget(&self) {
        let mut book = self.book();
        book.ledger = Ledger::default();
        book.records.clear();
    }
}

/// A running sandbox. It serves on threads of its own, so any test can start one, and many can run in one
/// process. Dropping it stops it.
pub struct Sandbox {
    address: SocketAddr,
    state: Data<State>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// Starts a sandbox and returns once it takes connections.
    ///
    /// # Errors
    /// When the address cannot be bound or the thread cannot be started.
    pub async fn start(config: SandboxConfig) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(config.listen)
            .with_context(|| format!("could not listen on {}", config.listen))?;
        let address = listener
            .local_addr()
            .context("could not read the address listened on")?;
        let state = Data::new(State::new(config));
        let (started, start) = oneshot::channel();
        let server_state = state.clone();
        let thread = std::thread::Builder::new()
            .name(format!("sandbox-{}", address.port()))
            .spawn(move || {
                actix_web::rt::System::new().block_on(async move {
                    let server = match serve(listener, server_state) {
                        Ok(server) => server,
                        Err(error) => {
                            let _nobody_waits = started.send(Err(error));
                            return;
                        }
                    };
                    let _nobody_waits = started.send(Ok(server.handle()));
                    // Ends when told to stop. An error here has already ended every connection, which clients
                    // notice.
                    let _ended = server.await;
                });
            })
            .context("could not start the sandbox's thread")?;
        let handle = start
            .await
            .context("the sandbox's thread ended before it served")?;
        let handle = handle.context("could not serve")?;
        Ok(Self {
            address,
            state,
            handle,
            thread: Some(thread),
        })
    }

    /// Where it listens, as `http://127.0.0.1:port`: what a client uses in place of
    /// `https://graph.facebook.com`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has been received so far.
    pub fn counts(&self) -> Counts {
        self.state.book().ledger.counts()
    }

    /// The newest events, newest first.
    pub fn events(&self, filter: &EventFilter) -> Vec<ReceivedEvent> {
        self.state.book().records.events(filter)
    }

    /// The newest requests, newest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.state.book().records.requests(None)
    }

    /// Forgets everything received, deduplication included.
    pub fn forget(&self) {
        self.state.forget();
    }

    /// Sets a fault; it strikes until it is spent or cleared.
    ///
    /// # Errors
    /// When the fault cannot be played, such as an HTTP status of 99.
    pub fn fail_with(&self, fault: Fault) -> Result<FaultId, InvalidFault> {
        self.state.faults.set(fault)
    }

    /// The faults that are set, and how often each has struck.
    pub fn faults(&self) -> Vec<FaultStatus> {
        self.state.faults.list()
    }

    /// Clears one fault; says whether it was set.
    pub fn clear_fault(&self, id: FaultId) -> bool {
        self.state.faults.clear(id)
    }

    /// Clears every fault.
    pub fn clear_faults(&self) {
        self.state.faults.clear_all();
    }

    /// Ad accounts, what they spent, and faults of the edges that tell of it.
    pub fn marketing(&self) -> &Marketing {
        &self.state.marketing
    }

    /// The sandbox's clock, to be moved.
    pub fn clock(&self) -> &SandboxClock {
        &self.state.config.clock
    }

    /// Stops at once: requests under way are cut off, and the port is free again on return.
    pub async fn stop(mut self) {
        self.handle.stop(false).await;
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed; it is nothing that stopping could repair.
            let _panicked = thread.join();
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // The command is sent when the future is made; only its completion would have to be awaited.
        drop(self.handle.stop(false));
        self.join();
    }
}

fn serve(listener: TcpListener, state: Data<State>) -> std::io::Result<Server> {
    let workers = state.config.workers;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(PayloadConfig::new(MAX_BODY_BYTES))
            .service(
                web::resource(r"/{version:v\d+\.\d+}/{dataset_id}/events")
                    .route(web::post().to(graph::receive))
                    .default_service(web::to(graph::unsupported)),
            )
            // Before datasets: a report's id is a number too.
            .configure(marketing::routes)
            .service(
                web::resource(r"/{version:v\d+\.\d+}/{dataset_id:\d+}")
                    .route(web::get().to(dataset::show))
                    .default_service(web::to(graph::unsupported)),
            )
            .route(
                r"/{version:v\d+\.\d+}/dataset_quality",
                web::get().to(quality::answer),
            )
            .configure(inspect::routes)
            .default_service(web::to(graph::unknown_path))
    });
    let server = server
        .workers(workers)
        .on_connect(connection::remember)
        .keep_alive(KEEP_ALIVE)
        // A client that hangs up ends the request that was hanging for it.
        .h1_allow_half_closed(false)
        .disable_signals()
        .listen(listener)?
        .run();
    Ok(server)
}
