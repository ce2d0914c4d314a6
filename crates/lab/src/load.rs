//! The load generator: one thread, many clients, a connection each.
//!
//! Closed: a client sends its next request when the last one is answered, which finds the most that a server
//! can do. Open: requests are due at fixed times whatever the server does, and latency counts from when a
//! request was due, so that a server that stalls cannot hide the requests it kept from being sent
//! (coordinated omission).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use rastro_test_support::http::{Answer, Connection};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

/// What one client sends, and what it makes of the answers.
pub trait Client: Send + 'static {
    /// Writes the next request over the last one. `false`: there is none.
    fn next(&mut self, request: &mut Request) -> bool;

    /// Hears the answer to the request, and to each of its copies.
    fn told(&mut self, answer: &Answer<'_>) -> anyhow::Result<Verdict>;
}

/// A request as it goes over the wire.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub bytes: Vec<u8>,
    /// Which of the load's targets it goes to first.
    pub target: usize,
    /// How often it is sent at once, each copy to the next target. 0 is 1.
    pub copies: usize,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Told,
    /// The same must be sent again.
    Again,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So long after the client's last one was answered.
    Closed(Duration),
    /// So many in a second, evenly, by all clients together.
    PerSecond(f64),
}

/// Which time counts. Requests before it are sent like the rest, but neither timed nor counted in rates; the
/// load ends with it.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub warm_up: Duration,
    pub measured: Duration,
}

/// What a client does about a request without an answer, or with "later" (429, 503).
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub answer_within: Duration,
    /// With 1, "later" is an answer like others, and no answer ends the load.
    pub attempts: u32,
    /// Doubled with each attempt up to the longest, unless the server says how long.
    pub wait: Duration,
    pub longest_wait: Duration,
}

impl Patience {
    pub const NONE: Patience = Patience {
        answer_within: Duration::from_secs(60),
        attempts: 1,
        wait: Duration::ZERO,
        longest_wait: Duration::ZERO,
    };
}

/// What is sent, where to, how and for how long.
pub struct Load<C> {
    pub targets: Vec<SocketAddr>,
    pub clients: Vec<C>,
    pub pace: Pace,
    /// `None`: until the clients have no more to send.
    pub window: Option<Window>,
    pub patience: Patience,
}

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Events accepted, all of them.
    pub accepted: u64,
    /// Events accepted by an answer that came in the window.
    pub accepted_in_time: u64,
    /// Answers by HTTP status, "later" included.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests that were sent again.
    pub sent_again: u64,
    /// Of the window: by when the answer came (closed) or when the request was due (open). Microseconds.
    pub latencies: Vec<u32>,
}

impl Outcome {
    /// The latency that the given share of all (0 to 1) did not exceed, in milliseconds. 0 when nothing was
    /// recorded.
    pub fn quantile_ms(&mut self, share: f64) -> f64 {
        self.latencies.sort_unstable();
        let rank = (self.latencies.len() as f64 * share).ceil() as usize;
        let latency = self.latencies.get(rank.max(1) - 1);
        latency.map_or(0.0, |micros| f64::from(*micros) / 1_000.0)
    }

    /// Requests that were answered with anything but success.
    pub fn refused(&self) -> u64 {
        let refused = self.statuses.iter().filter(|(status, _)| **status >= 300);
        refused.map(|(_, count)| count).sum()
    }
}

/// A load under way.
pub struct Running {
    /// When the window begins and ends.
    pub from: Instant,
    pub until: Instant,
    outcome: oneshot::Receiver<anyhow::Result<Outcome>>,
}

impl Running {
    /// Waits for the last answer.
    pub async fn outcome(self) -> anyhow::Result<Outcome> {
        self.outcome.await.context("the load generator broke down")?
    }
}

impl<C: Client> Load<C> {
    /// Connects, and starts sending on a thread of its own.
    pub async fn start(self) -> anyhow::Result<Running> {
        let (started, starting) = oneshot::channel();
        let (finished, outcome) = oneshot::channel();
        let thread = std::thread::Builder::new().name("load".to_owned());
        thread.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let result = runtime
                .context("cannot start a runtime")
                .and_then(|runtime| LocalSet::new().block_on(&runtime, self.run(started)));
            // Nobody listens when the run was given up meanwhile.
            let _ = finished.send(result);
        })?;
        match starting.await {
            Ok((from, until)) => Ok(Running { from, until, outcome }),
            Err(_) => Err(match outcome.await {
                Ok(Err(error)) => error,
                _ => anyhow!("the load generator broke down"),
            }),
        }
    }

    async fn run(self, started: oneshot::Sender<(Instant, Instant)>) -> anyhow::Result<Outcome> {
        ensure!(
            !self.clients.is_empty() && !self.targets.is_empty(),
            "a load needs clients and a target"
        );
        let targets: Rc<[SocketAddr]> = self.targets.into();
        let mut lines: Vec<Line> = self.clients.iter().map(|_| Line::to(&targets)).collect();
        if self.window.is_some() {
            for line in &mut lines {
                line.connect(0).await?;
            }
        }
        let start = Instant::now();
        let window = self.window.unwrap_or(Window {
            warm_up: Duration::ZERO,
            measured: Duration::from_secs(365 * 86_400),
        });
        let from = start + window.warm_up;
        let until = from + window.measured;
        let _ = started.send((from, until));
        let sending = Rc::new(Sending {
            pace: self.pace,
            patience: self.patience,
            start,
            from,
            until,
            due: Cell::new(0),
            outcome: RefCell::default(),
        });
        let clients = self.clients.into_iter().zip(lines);
        let tasks: Vec<_> = clients
            .map(|(client, line)| tokio::task::spawn_local(sending.clone().serve(client, line)))
            .collect();
        for task in tasks {
            task.await.context("the load generator broke down")??;
        }
        Ok(sending.outcome.take())
    }
}

/// What all clients share.
struct Sending {
    pace: Pace,
    patience: Patience,
    start: Instant,
    from: Instant,
    until: Instant,
    /// Of an open load: how many requests were taken on.
    due: Cell<u64>,
    outcome: RefCell<Outcome>,
}

impl Sending {
    async fn serve<C: Client>(self: Rc<Self>, mut client: C, mut line: Line) -> anyhow::Result<()> {
        let mut request = Request::default();
        while let Some(due) = self.turn().await {
            if !client.next(&mut request) {
                break;
            }
            if request.copies > 1 {
                self.send_copies(&mut client, &request, &line.targets).await?;
            } else {
                self.send_until_told(&mut client, &request, &mut line).await?;
            }
            let answered = Instant::now();
            let counts = match self.pace {
                Pace::Closed(_) => (self.from..self.until).contains(&answered),
                Pace::PerSecond(_) => due >= self.from,
            };
            if counts {
                let micros = answered.duration_since(due).as_micros();
                let mut outcome = self.outcome.borrow_mut();
                outcome.latencies.push(u32::try_from(micros).unwrap_or(u32::MAX));
            }
        }
        Ok(())
    }

    /// Waits until the next request is due, and says since when it is. `None`: the load is over.
    async fn turn(&self) -> Option<Instant> {
        let due = match self.pace {
            Pace::Closed(pause) => {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                Instant::now()
            }
            Pace::PerSecond(rate) => {
                let number = self.due.replace(self.due.get() + 1);
                let due = self.start + Duration::from_secs_f64(number as f64 / rate);
                if due < self.until && due > Instant::now() {
                    // tokio's timers are good to a millisecond, which is the size of what is measured.
                    let sleeping = tokio::task::spawn_blocking(move || {
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    });
                    sleeping.await.ok()?;
                }
                due
            }
        };
        (due < self.until).then_some(due)
    }

    async fn send_copies<C: Client>(
        &self,
        client: &mut C,
        request: &Request,
        targets: &Rc<[SocketAddr]>,
    ) -> anyhow::Result<()> {
        let copies = (0..request.copies).map(|copy| async move {
            let mut line = Line::to(targets);
            let answer = self
                .send(&request.bytes, request.target + copy, &mut line)
                .await?;
            anyhow::Ok((answer.status, answer.body.to_vec()))
        });
        for (status, body) in futures_util::future::try_join_all(copies).await? {
            let answer = Answer {
                status,
                retry_after: None,
                body: &body,
            };
            if client.told(&answer)? == Verdict::Again {
                let mut line = Line::to(targets);
                self.send_until_told(client, request, &mut line).await?;
            }
        }
        Ok(())
    }

    async fn send_until_told<C: Client>(
        &self,
        client: &mut C,
        request: &Request,
        line: &mut Line,
    ) -> anyhow::Result<()> {
        let mut target = request.target;
        loop {
            let answer = self.send(&request.bytes, target, line).await?;
            if client.told(&answer)? == Verdict::Told {
                return Ok(());
            }
            self.outcome.borrow_mut().sent_again += 1;
            target += 1;
            tokio::time::sleep(self.patience.wait).await;
        }
    }

    /// Sends the same to one target and, while it does not answer or says "later", to the next one.
    async fn send<'l>(
        &self,
        request: &[u8],
        mut target: usize,
        line: &'l mut Line,
    ) -> anyhow::Result<Answer<'l>> {
        let patience = self.patience;
        let mut wait = patience.wait;
        for attempts_left in (0..patience.attempts).rev() {
            match self.exchange(request, target, line).await {
                Ok((429 | 503, after)) if patience.attempts > 1 => {
                    ensure!(attempts_left > 0, "the gateway said \"later\" again and again");
                    wait = after.map_or(wait, Duration::from_secs);
                }
                Ok(_) => break,
                Err(error) if attempts_left == 0 => return Err(error),
                Err(_) => {}
            }
            self.outcome.borrow_mut().sent_again += 1;
            target += 1;
            tokio::time::sleep(wait.min(patience.longest_wait)).await;
            wait = (wait * 2).min(patience.longest_wait);
        }
        line.answer()
    }

    /// Sends it once; returns the status and for how many seconds the server asks to wait.
    async fn exchange(
        &self,
        request: &[u8],
        target: usize,
        line: &mut Line,
    ) -> anyhow::Result<(u16, Option<u64>)> {
        let exchange = async {
            let answer = line.connect(target).await?.exchange(request).await?;
            let counted = (answer.status, answer.retry_after, accepted(&answer)?);
            anyhow::Ok(counted)
        };
        let limited = tokio::time::timeout(self.patience.answer_within, exchange).await;
        let (status, retry_after, accepted) = match limited.context("no answer in time").flatten() {
            Ok(answer) => answer,
            Err(error) => {
                line.hang_up();
                return Err(error);
            }
        };
        let mut outcome = self.outcome.borrow_mut();
        *outcome.statuses.entry(status).or_default() += 1;
        outcome.accepted += accepted;
        if (self.from..self.until).contains(&Instant::now()) {
            outcome.accepted_in_time += accepted;
        }
        Ok((status, retry_after))
    }
}

/// A client's connection: made when there is need for one, and made anew after an error.
struct Line {
    targets: Rc<[SocketAddr]>,
    open: Option<(usize, Connection)>,
}

impl Line {
    fn to(targets: &Rc<[SocketAddr]>) -> Self {
        Line {
            targets: targets.clone(),
            open: None,
        }
    }

    async fn connect(&mut self, target: usize) -> anyhow::Result<&mut Connection> {
        let target = target % self.targets.len();
        if self.open.as_ref().is_none_or(|(open, _)| *open != target) {
            self.open = Some((target, Connection::open(self.targets[target]).await?));
        }
        let (_, connection) = self.open.as_mut().context("it was just made")?;
        Ok(connection)
    }

    fn hang_up(&mut self) {
        self.open = None;
    }

    fn answer(&self) -> anyhow::Result<Answer<'_>> {
        let (_, connection) = self.open.as_ref().context("there is no answer")?;
        Ok(connection.answer())
    }
}

/// Events that are stored now and were not before: 202 accepts the one event; 200 says in its first fields
/// how many of a batch it accepts.
fn accepted(answer: &Answer<'_>) -> anyhow::Result<u64> {
    const FIELD: &[u8] = b"\"accepted\":";
    let of_batch = || {
        let at = answer
            .body
            .windows(FIELD.len())
            .position(|window| window == FIELD)?;
        let digits = answer.body[at + FIELD.len()..]
            .split(|byte| !byte.is_ascii_digit())
            .next()?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    match answer.status {
        202 => Ok(1),
        200 => of_batch().context("the receipt of a batch has no \"accepted\""),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests;
