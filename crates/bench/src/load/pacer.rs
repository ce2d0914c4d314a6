//! The due times of an open load.
//!
//! tokio's timers are good to a millisecond, which is the size of what is measured; so a thread of its own sleeps, to
//! about a tenth of that, and wakes the driver. It wakes it at most every quarter of a millisecond: at high rates a
//! few requests leave together, late by no more than that, and their latency counts from when each was due.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::sync::{Notify, mpsc};

const SHORTEST_SLEEP: Duration = Duration::from_micros(250);

/// Requests that are due and that no connection has taken yet. Clones share them.
#[derive(Clone)]
pub(super) struct Arrivals(Rc<Inner>);

#[derive(Default)]
struct Inner {
    due: RefCell<VecDeque<Instant>>,
    is_over: Cell<bool>,
    changed: Notify,
}

impl Arrivals {
    /// Lets requests become due from one time until another.
    pub(super) fn start(rate: f64, start: Instant, until: Instant) -> anyhow::Result<Self> {
        ensure!(rate.is_finite() && rate > 0.0, "a rate must be positive");
        let (sender, mut receiver) = mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || pace(start, rate, until, &sender))
            .context("cannot start a thread")?;
        let arrivals = Arrivals(Rc::default());
        let inner = arrivals.0.clone();
        tokio::task::spawn_local(async move {
            let mut next = 0;
            while let Some(end) = receiver.recv().await {
                for number in next..end {
                    inner.due.borrow_mut().push_back(due(start, rate, number));
                    inner.changed.notify_one();
                }
                next = end;
            }
            inner.is_over.set(true);
            inner.changed.notify_waiters();
        });
        Ok(arrivals)
    }

    /// Waits for a request that is due, and says since when. `None`: there will be no more.
    pub(super) async fn next(&self) -> Option<Instant> {
        loop {
            // Nothing can come in between: everything here runs on one thread.
            let changed = self.0.changed.notified();
            if let Some(due) = self.0.due.borrow_mut().pop_front() {
                return Some(due);
            }
            if self.0.is_over.get() {
                return None;
            }
            changed.await;
        }
    }
}

fn due(start: Instant, rate: f64, number: u64) -> Instant {
    start + Duration::from_secs_f64(number as f64 / rate)
}

/// Tells how many requests are due so far, each time that more are.
fn pace(start: Instant, rate: f64, until: Instant, told: &mpsc::UnboundedSender<u64>) {
    let mut number = 0;
    while due(start, rate, number) < until {
        let now = Instant::now();
        let wait = due(start, rate, number).saturating_duration_since(now);
        if !wait.is_zero() {
            std::thread::sleep(wait.max(SHORTEST_SLEEP));
        }
        let now = Instant::now().min(until);
        while due(start, rate, number) < until && due(start, rate, number) <= now {
            number += 1;
        }
        if told.send(number).is_err() {
            return;
        }
    }
}
