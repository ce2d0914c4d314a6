//! The payments, by number and by each of their dates: a search reads what is in its window, however many
//! there are beside it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::book::milliseconds;

/// The dates that a search may be by.
pub(crate) const DATES: [&str; 4] = [
    "date_created",
    "date_last_updated",
    "date_approved",
    "money_release_date",
];

/// Which of [`DATES`], the seller, the time in milliseconds since 1970, the number.
type Dated = (usize, i64, i64, i64);

#[derive(Default)]
pub(crate) struct Payments {
    by_id: BTreeMap<String, Value>,
    by_date: BTreeMap<Dated, String>,
    /// What waits for its payer: when it expires, and its number.
    waiting: BTreeSet<(i64, String)>,
}

impl Payments {
    pub(crate) fn get(&self, id: &str) -> Option<&Value> {
        self.by_id.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Value> {
        self.by_id.values()
    }

    pub(crate) fn by_id(&self) -> &BTreeMap<String, Value> {
        &self.by_id
    }

    /// A seller's payments with this one of [`DATES`] between two times, both included; the oldest first, of
    /// one time by number.
    pub(crate) fn between(
        &self,
        date: usize,
        seller: i64,
        from: i64,
        until: i64,
    ) -> impl Iterator<Item = &Value> {
        let window = (from <= until)
            .then_some((date, seller, from, i64::MIN)..=(date, seller, until, i64::MAX))
            .map(|window| self.by_date.range(window));
        window
            .into_iter()
            .flatten()
            .filter_map(|(_, id)| self.by_id.get(id))
    }

    /// Numbers of payments that nobody paid in time, with when that was.
    pub(crate) fn expired(&self, now: i64) -> Vec<(String, i64)> {
        let over = self.waiting.iter().take_while(|(at, _)| *at <= now);
        over.map(|(at, id)| (id.clone(), *at)).collect()
    }

    /// Puts a payment in place of the one that has its number.
    pub(crate) fn put(&mut self, id: String, payment: Value) {
        self.remove(&id);
        for dated in dates(&payment) {
            self.by_date.insert(dated, id.clone());
        }
        if let Some(at) = waits_until(&payment) {
            self.waiting.insert((at, id.clone()));
        }
        self.by_id.insert(id, payment);
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Value> {
        let payment = self.by_id.remove(id)?;
        for dated in dates(&payment) {
            self.by_date.remove(&dated);
        }
        if let Some(at) = waits_until(&payment) {
            self.waiting.remove(&(at, id.to_owned()));
        }
        Some(payment)
    }
}

impl FromIterator<(String, Value)> for Payments {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(kept: I) -> Self {
        let mut payments = Payments::default();
        for (id, payment) in kept {
            payments.put(id, payment);
        }
        payments
    }
}

fn dates(payment: &Value) -> impl Iterator<Item = Dated> {
    let number = payment["id"].as_i64().unwrap_or_default();
    let seller = payment["collector_id"].as_i64().unwrap_or_default();
    let dated =
        move |(date, name): (usize, &str)| Some((date, seller, milliseconds(&payment[name])?, number));
    DATES.into_iter().enumerate().filter_map(dated)
}

fn waits_until(payment: &Value) -> Option<i64> {
    let expires = milliseconds(&payment["date_of_expiration"]);
    expires.filter(|_| payment["status"] == "pending")
}
