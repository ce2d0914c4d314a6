//! A stand-in for Mercado Pago: payments, their search with its traps, commercial orders, chargebacks, and
//! signed webhooks that are retried, lost, doubled and out of order on command. Strict where the
//! documentation is.
//!
//! A test (or a demo) plays the buyer, the seller and the bank through [`MercadoPago`]; the system under test
//! sees HTTP only. Over HTTP `POST /sandbox/payments` and `/sandbox/payments/{id}/pay`, `refund` and
//! `chargeback` do the same, as far as a real buyer, seller and bank could; `POST /sandbox/faults` orders
//! what goes wrong. Time is the sandbox's clock: a Pix that nobody pays expires when it is moved.
//!
//! Source: Mercado Pago, "Payments API", "Webhooks", "Chargebacks"; error codes of `/v1/payments`.

mod book;
mod control;
mod hold;
mod payments;
mod reports;
mod search;
mod server;
mod webhooks;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::clock::SandboxClock;
use book::Book;
pub use book::{Charge, Method, Told};
pub use hold::{Held, Waiting};
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
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
    holds: hold::Holds,
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
            holds: hold::Holds::default(),
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

    /// No page of a list has more rows from now on, whatever is asked for.
    pub fn most_rows_a_page(&self, rows: usize) {
        self.state.book().lists.most_rows_a_page = Some(rows);
    }

    /// Lists say from now on that so many more are there than they show.
    pub fn never_show(&self, rows: usize) {
        self.state.book().lists.never_shown = rows;
    }

    /// The payment as the API answers it.
    pub fn payment(&self, id: &str) -> Option<Value> {
        self.state.book().payment(id).cloned()
    }

    /// Every payment by the stand-in's own books, oldest first.
    pub fn told(&self) -> Vec<Told> {
        self.state.book().told()
    }

    /// The number given out last: whatever changes a payment takes one.
    pub fn last_id(&self) -> u64 {
        self.state.book().last_id()
    }

    /// Reads the books of an earlier process from a file; without one, numbers go on from the clock, so that
    /// no payment has the number of an earlier one.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn restore(&self, file: &Path) -> anyhow::Result<()> {
        let text = match std::fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let now = self.now().unsigned_abs();
                self.state.book().number_from(now);
                return Ok(());
            }
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", file.display())),
        };
        let kept = serde_json::from_slice(&text);
        let kept = kept.with_context(|| format!("{} holds no books", file.display()))?;
        self.state.book().restore(kept);
        Ok(())
    }

    /// Writes the books to a file, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, file: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec(&self.state.book().kept()).context("the books are JSON")?;
        let new = file.with_extension("new");
        let write = || std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, file));
        write().with_context(|| format!("{} cannot be written", file.display()))
    }

    /// What a payment costs the seller in the end, in cents: settlement reports say so, the payment itself
    /// does not.
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

    /// What the API answers instead when this payment is asked for, once; after other such faults of it.
    pub fn fail_payment(&self, id: &str, fault: ApiFault) {
        let faults = &mut self.state.book().payment_faults;
        faults.entry(id.to_owned()).or_default().push_back(fault);
    }

    /// Keeps whoever asks for this payment waiting, one by one, until the test lets them go on.
    pub fn hold(&self, id: &str) -> Held {
        self.state.holds.hold(id)
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn start() -> MercadoPago {
        let seller = Seller {
            user_id: 7,
            access_token: "APP_USR-1".to_owned(),
            webhook_secret: "secret".to_owned(),
            webhook_url: None,
            live_mode: true,
        };
        MercadoPago::start(SandboxClock::system(), vec![seller])
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn what_was_paid_outlives_the_process_and_no_number_is_given_out_twice() {
        let folder = std::env::temp_dir().join(format!("rastro-sandbox-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&folder).unwrap();
        let file = folder.join("books.json");
        let first = start().await;
        first.restore(&file).unwrap();
        let pix = first.create(7, &Charge::new(Method::Pix, 12_990).reference("1042"));
        first.pay(&pix);
        first.refund(&pix, 2_990);
        first.keep(&file).unwrap();
        let told = first.told();
        assert_eq!(
            (told.len(), told[0].cents, told[0].refunded_cents),
            (1, 12_990, 2_990)
        );
        assert!(told[0].approved_ms.is_some() && told[0].status == "approved");
        drop(first);

        let second = start().await;
        second.restore(&file).unwrap();
        assert_eq!(second.told(), told);
        let next = second.create(7, &Charge::new(Method::Pix, 1));
        assert!(next.len() == pix.len() && next > pix, "{next} after {pix}");
        // Without a file, as after it was deleted.
        let third = start().await;
        third.restore(&folder.join("none.json")).unwrap();
        assert!(third.create(7, &Charge::new(Method::Pix, 1)) > pix);
        std::fs::write(&file, "{").unwrap();
        assert!(third.restore(&file).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
