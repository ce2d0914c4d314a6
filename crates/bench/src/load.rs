//! The load driver: one thread, many connections, raw HTTP/1.1.
//!
//! Closed: every connection sends its next request when the last one is answered, which finds the most that a server
//! can do. Open: requests are due at fixed times whatever the server does, and latency counts from when a request was
//! due, so that a server that stalls cannot hide the requests it kept from being sent (coordinated omission).

mod connection;
mod pacer;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use crate::latency::Latencies;
use crate::load::pacer::Arrivals;
use crate::sample::Template;

pub use crate::load::connection::{Answer, Connection};

/// How long answers may take after the last request was sent.
const PATIENCE: Duration = Duration::from_secs(60);

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As soon as the connection's last one is answered.
    Closed,
    /// So many in a second, evenly.
    PerSecond(f64),
}

/// What is sent, where to, how and for how long.
#[derive(Clone)]
pub struct Load {
    pub target: SocketAddr,
    pub template: Arc<Template>,
    pub connections: usize,
    pub pace: Pace,
    /// Sent like the rest, but neither timed nor counted in rates.
    pub warm_up: Duration,
    pub measured: Duration,
    pub numbers: Arc<AtomicU64>,
    /// Grows as events are accepted, for whoever watches.
    pub accepted: Arc<AtomicU64>,
}

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Events accepted, all of them.
    pub accepted: u64,
    /// Events accepted by an answer that came in the measured time.
    pub accepted_in_time: u64,
    /// Requests by HTTP status, all of them.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests whose answer never came: nobody knows what became of their events.
    pub unanswered: u64,
    /// Of the measured time: by when the answer came (closed) or when the request was due (open).
    pub latencies: Latencies,
}

/// A load under way.
pub struct Running {
    /// When the measured time begins and ends.
    pub from: Instant,
    pub until: Instant,
    answers: oneshot::Receiver<anyhow::Result<Answers>>,
}

/// What all connections share.
struct Shared {
    load: Load,
    from: Instant,
    until: Instant,
    answers: RefCell<Answers>,
    under_way: Cell<u64>,
}

impl Load {
    /// Connects, and starts sending on a thread of its own.
    pub async fn start(self) -> anyhow::Result<Running> {
        ensure!(self.connections > 0, "a load needs connections");
        let (started, starting) = oneshot::channel();
        let (finished, answers) = oneshot::channel();
        std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .context("cannot start a runtime");
                let result =
                    runtime.and_then(|runtime| LocalSet::new().block_on(&runtime, self.run(started)));
                // Nobody listens when the benchmark gave up meanwhile.
                let _ = finished.send(result);
            })
            .context("cannot start a thread")?;
        match starting.await {
            Ok((from, until)) => Ok(Running { from, until, answers }),
            Err(_) => Err(match answers.await {
                Ok(Err(error)) => error,
                _ => anyhow!("the load driver broke down"),
            }),
        }
    }

    async fn run(self, started: oneshot::Sender<(Instant, Instant)>) -> anyhow::Result<Answers> {
        let mut connections = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            connections.push(Connection::open(self.target, &self.template).await?);
        }
        let start = Instant::now();
        let from = start + self.warm_up;
        let until = from + self.measured;
        let _ = started.send((from, until));
        let arrivals = match self.pace {
            Pace::Closed => None,
            Pace::PerSecond(rate) => Some(Arrivals::start(rate, start, until)?),
        };
        let shared = Rc::new(Shared {
            load: self,
            from,
            until,
            answers: RefCell::default(),
            under_way: Cell::new(0),
        });
        let mut tasks = Vec::with_capacity(connections.len());
        for connection in connections {
            let shared = shared.clone();
            tasks.push(match &arrivals {
                None => tokio::task::spawn_local(shared.send_in_turn(connection)),
                Some(arrivals) => {
                    tokio::task::spawn_local(shared.send_when_due(connection, arrivals.clone()))
                }
            });
        }
        let all = async {
            for task in tasks {
                task.await.context("the load driver broke down")??;
            }
            anyhow::Ok(())
        };
        let limit = until.saturating_duration_since(Instant::now()) + PATIENCE;
        let ended = tokio::time::timeout(limit, all).await;
        let mut answers = shared.answers.take();
        match ended {
            Ok(ended) => ended?,
            Err(_) => answers.unanswered = shared.under_way.get(),
        }
        Ok(answers)
    }
}

impl Running {
    /// Waits for the last answer.
    pub async fn answers(self) -> anyhow::Result<Answers> {
        self.answers.await.context("the load driver broke down")?
    }
}

impl Shared {
    async fn send_in_turn(self: Rc<Self>, mut connection: Connection) -> anyhow::Result<()> {
        let mut due = Instant::now();
        while due < self.until {
            let answered = self.send(&mut connection).await?;
            if answered >= self.from && answered < self.until {
                self.answers
                    .borrow_mut()
                    .latencies
                    .record(answered.duration_since(due));
            }
            due = answered;
        }
        Ok(())
    }

    async fn send_when_due(
        self: Rc<Self>,
        mut connection: Connection,
        arrivals: Arrivals,
    ) -> anyhow::Result<()> {
        while let Some(due) = arrivals.next().await {
            let answered = self.send(&mut connection).await?;
            if due >= self.from {
                self.answers
                    .borrow_mut()
                    .latencies
                    .record(answered.duration_since(due));
            }
        }
        Ok(())
    }

    /// Sends the next request and notes its answer. Returns when the answer was there.
    async fn send(&self, connection: &mut Connection) -> anyhow::Result<Instant> {
        let first = self
            .load
            .numbers
            .fetch_add(self.load.template.events(), Ordering::Relaxed);
        self.under_way.set(self.under_way.get() + 1);
        let answer = connection.exchange(&self.load.template, first).await?;
        self.under_way.set(self.under_way.get() - 1);
        let answered = Instant::now();
        let mut answers = self.answers.borrow_mut();
        *answers.statuses.entry(answer.status).or_default() += 1;
        answers.accepted += answer.accepted;
        if answered >= self.from && answered < self.until {
            answers.accepted_in_time += answer.accepted;
        }
        self.load.accepted.fetch_add(answer.accepted, Ordering::Relaxed);
        Ok(answered)
    }
}

#[cfg(test)]
mod tests;
