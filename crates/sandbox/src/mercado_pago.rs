//! A stand-in for Mercado Pago: payments, their search with its traps, commercial orders, chargebacks, and signed webhooks that
//! are retried, lost, doubled and out of order on command. Strict where the documentation is.
//!
//! A test (or a demo) plays the buyer, the seller and the bank through [`MercadoPago`]; the system under test sees HTTP only.
//! Over HTTP `POST /sandbox/payments` and `/sandbox/payments/{id}/pay`, `refund` and `chargeback` do the same.
//! Time is the sandbox's clock: a Pix that nobody pays expires when it is moved.
//!
//! Source: Mercado Pago, "Payments API", "Webhooks", "Chargebacks"; error codes of `/v1/payments`.

mod book;
mod control;
mod reports;
mod search;
mod server;
mod webhooks;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use anyhow::Context;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::clock::SandboxClock;
use book::Book;
pub use book::{Charge, Method};
pub use webhooks::{Delivered, WebhookFault};

/// A user who is paid.
#[derive(Clone, Debug)]
pub struct Seller {
    /// `collector_id`.
    pub user_id: i64,
    pub access_token: String,
    pub webhook_secret: String,
    /// Where webhooks go, as registered in the panel: the query is added. `None`: nowhere.
    pub webhook_url: Option<String>,
    pub live_mode: bool,
}

/// What the API answers instead, until it is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiFault {
    Status {
        status: u16,
        retry_after: Option<u32>,
    },
    /// As if the payment were not there yet.
    NotFound,
    /// The payment as it was before its last change.
    Stale,
    /// The connection is closed without an answer.
    Reset,
}

pub(crate) struct State {
    pub(crate) sellers: Mutex<Vec<Seller>>,
    pub(crate) clock: SandboxClock,
    book: Mutex<Book>,
}

impl State {
    /// Everything under one lock, with what became due by the clock.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        let mut book = self.book.lock().expect("nothing panics while it holds the book");
        book.tick(self.clock.now_ms());
        book
    }

    pub(crate) fn sellers(&self) -> MutexGuard<'_, Vec<Seller>> {
        self.sellers
            .lock()
            .expect("nothing panics while it holds the sellers")
    }
}

/// A running stand-in. It serves on a thread of its own; dropping it stops it.
pub struct MercadoPago {
    address: SocketAddr,
    pub(crate) state: Data<State>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl MercadoPago {
    /// Starts on a free port of this machine.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(clock: SandboxClock, sellers: Vec<Seller>) -> anyhow::Result<Self> {
        MercadoPago::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), clock, sellers).await
    }

    /// Starts on an address.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub async fn start_on(
        listen: SocketAddr,
        clock: SandboxClock,
        sellers: Vec<Seller>,
    ) -> anyhow::Result<Self> {
        // An error means that the process has chosen its provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind(listen).with_context(|| format!("could not listen on {listen}"))?;
        let address = listener
            .local_addr()
            .context("could not read the address listened on")?;
        let state = Data::new(State {
            sellers: Mutex::new(sellers),
            clock,
            book: Mutex::new(Book::default()),
        });
        let (started, start) = oneshot::channel();
        let served = state.clone();
        let thread = std::thread::Builder::new()
            .name(format!("mercado-pago-{}", address.port()))
            .spawn(move || {
                actix_web::rt::System::new().block_on(async move {
                    match server::serve(listener, served) {
                        Ok(server) => {
                            let _nobody_waits = started.send(Ok(server.handle()));
                            let _ended = server.await;
                        }
                        Err(error) => {
                            let _nobody_waits = started.send(Err(error));
                        }
                    }
                });
            })
            .context("could not start the sandbox's thread")?;
        let handle = start
            .await
            .context("the sandbox's thread ended before it served")?
            .context("could not serve")?;
        Ok(MercadoPago {
            address,
            state,
            handle,
            thread: Some(thread),
        })
    }

    /// What a client uses in place of `https://api.mercadopago.com`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where this seller's webhooks go from now on.
    pub fn register_webhook(&self, user_id: i64, url: &str) {
        for seller in self
            .state
            .sellers()
            .iter_mut()
            .filter(|seller| seller.user_id == user_id)
        {
            seller.webhook_url = Some(url.to_owned());
        }
    }

    /// The seller's token is another one from now on: the old one is refused.
    pub fn change_token(&self, user_id: i64, token: &str) {
        for seller in self
            .state
            .sellers()
            .iter_mut()
            .filter(|seller| seller.user_id == user_id)
        {
            seller.access_token = token.to_owned();
        }
    }

    /// A buyer begins to pay: the payment's id. A card is decided at once, by its method.
    pub fn create(&self, user_id: i64, charge: &Charge) -> String {
        let seller = self.seller(user_id);
        self.state.book().create(self.now(), &seller, charge)
    }

    /// The money arrives.
    pub fn pay(&self, id: &str) {
        self.state.book().pay(self.now(), id);
    }

    /// The seller gives back so many cents; all that is left when it is all.
    pub fn refund(&self, id: &str, cents: i64) {
        self.state.book().refund(self.now(), id, cents);
    }

    /// Sets status and detail, as a dispute, a rejection or a cancellation does.
    pub fn set_status(&self, id: &str, status: &str, detail: &str) {
        self.state.book().set_status(self.now(), id, status, detail);
    }

    /// The card's bank takes the money back: the chargeback's id.
    pub fn charge_back(&self, id: &str) -> String {
        self.state.book().charge_back(self.now(), id)
    }

    /// Changes anything else of a payment, with its date of update and a notification.
    pub fn edit(&self, id: &str, change: impl FnOnce(&mut Value)) {
        self.state.book().edit(self.now(), id, change);
    }

    /// Forgets a payment, as if it were older than a year.
    pub fn forget(&self, id: &str) {
        self.state.book().forget(id);
    }

    /// A commercial order over payments: its id.
    pub fn merchant_order(&self, ids: &[&str]) -> String {
        self.state.book().merchant_order(ids)
    }

    /// Puts an order of the Orders API there, as it is to be answered.
    pub fn put_order(&self, user_id: i64, id: &str, order: Value) {
        self.state.book().orders.insert((user_id, id.to_owned()), order);
    }

    /// The payment as the API answers it.
    pub fn payment(&self, id: &str) -> Option<Value> {
        self.state.book().payment(id).cloned()
    }

    /// What a payment costs the seller in the end, in cents: settlement reports say so, the payment itself does not.
    pub fn settle_fee(&self, id: &str, cents: i64) {
        self.state.book().reports.final_fees.insert(id.to_owned(), cents);
    }

    /// Puts a report there as it is, as if it had just been made.
    pub fn put_report(&self, user_id: i64, name: &str, body: &[u8]) {
        let now = self.now();
        self.state.book().reports.put(user_id, name, now, body);
    }

    /// How the seller's reports are made, as if its owner had said so.
    pub fn configure_reports(&self, user_id: i64, config: Value) {
        self.state.book().reports.configs.insert(user_id, config);
    }

    /// How many reports were ordered.
    pub fn reports_ordered(&self) -> u64 {
        self.state.book().reports.ordered
    }

    /// What the API answers instead, so many times.
    pub fn fail_with(&self, fault: ApiFault, times: u32) {
        self.state.book().faults.push((fault, times));
    }

    /// The API answers as it should again.
    pub fn clear_faults(&self) {
        self.state.book().faults.clear();
    }

    /// How many requests the API has answered, whatever it said.
    pub fn requests(&self) -> u64 {
        self.state.book().requests
    }

    pub(crate) fn now(&self) -> i64 {
        self.state.clock.now_ms()
    }

    fn seller(&self, user_id: i64) -> Seller {
        let sellers = self.state.sellers();
        let seller = sellers.iter().find(|seller| seller.user_id == user_id);
        seller.expect("a seller of this sandbox").clone()
    }
}

impl Drop for MercadoPago {
    fn drop(&mut self) {
        // The command is sent when the future is made; only its completion would have to be awaited.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
