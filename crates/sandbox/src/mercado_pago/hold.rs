//! Requests that wait for the test: what happens while an answer is on its way is then no matter of luck.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

/// A request that waits. Dropped, it is answered with what is true by then.
pub struct Waiting(#[expect(dead_code, reason = "its end is the message")] oneshot::Sender<()>);

/// The requests for one payment. Dropped, none waits any more.
pub struct Held(mpsc::UnboundedReceiver<Waiting>);

impl Held {
    /// The next request, once it is there.
    ///
    /// # Panics
    /// When the payment is held a second time.
    pub async fn arrived(&mut self) -> Waiting {
        self.0.recv().await.expect("it is held once")
    }
}

/// What is held, by payment.
#[derive(Default)]
pub(super) struct Holds(Mutex<HashMap<String, mpsc::UnboundedSender<Waiting>>>);

impl Holds {
    pub(super) fn hold(&self, id: &str) -> Held {
        let (requests, held) = mpsc::unbounded_channel();
        let mut holds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        holds.insert(id.to_owned(), requests);
        Held(held)
    }

    /// Returns when a request for this payment may be answered.
    pub(super) async fn pass(&self, id: &str) {
        let (waiting, over) = oneshot::channel();
        let is_held = {
            let holds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let hold = holds.get(id);
            hold.is_some_and(|hold| hold.send(Waiting(waiting)).is_ok())
        };
        if is_held {
            let _nothing_is_sent = over.await;
        }
    }
}
