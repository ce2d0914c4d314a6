//! The revenue story: half a year of invented campaigns, leads and payments, which the first comparison
//! brings into the books; then the leads of this run's landing page, who pay by Pix in seconds, boletos that
//! were placed two days ago, a refund and a chargeback. The account holds Mercado Pago's own books, ours and
//! Meta's against each other, and what the ads cost at Meta and Google against what was read of it.

pub mod ads;
pub mod money;
pub mod past;
pub mod stand;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use rastro_sandbox::mercado_pago::Method;
use rastro_store::Store;
use tokio_postgres::Client;

use crate::books::money::{self as books, Booked};
use crate::demo::revenue::money::{Money, Spent};
use crate::demo::revenue::past::{Back, DAY_MS, Lead, Order, Step, Touch};
use crate::demo::revenue::stand::Stand;
use crate::{Progress, say, until};

const SEED: u64 = 13;
/// How long a payment may take from the webhook to the books.
const PATIENCE: Duration = Duration::from_secs(45);
/// How many boletos of two days ago are paid in a run.
const BOLETOS: usize = 3;

/// The story of one dataset.
pub struct Story {
    pub sql: Client,
    pub store: Store,
    pub stand: Stand,
    pub dataset: i64,
    /// Part of this run's order numbers.
    pub run: String,
    pub now_ms: i64,
}

impl Story {
    /// Writes the half year before, at Mercado Pago and as leads, if nothing was ever paid there. Returns how
    /// many orders it has.
    pub async fn begin(&mut self) -> anyhow::Result<Option<usize>> {
        if !self.stand.paid("").await?.is_empty() {
            return Ok(None);
        }
        let past = past::past(SEED, &self.run, self.now_ms);
        let leads = self.write(&past.leads).await?;
        self.play(&past.orders, &leads).await?;
        Ok(Some(past.orders.len()))
    }

    /// Leads of earlier days, written straight into the database: the gateway takes none of the past.
    async fn write(&mut self, leads: &[Lead]) -> anyhow::Result<Vec<i64>> {
        let dataset = self.dataset.try_into()?;
        let contact = r#"{"name":"Pessoa inventada (demo)"}"#;
        let contacts: Vec<Vec<u8>> = leads
            .iter()
            .map(|lead| self.store.sealed_contact(dataset, &lead.event_id, contact))
            .collect();
        let written = books::write_leads(&mut self.sql, self.dataset, leads, &contacts).await?;
        ensure!(written.len() == leads.len(), "not every lead was written");
        Ok(written)
    }

    /// Plays what happened, with the clock at each step's time, and brings the clock back.
    async fn play(&mut self, orders: &[Order], leads: &[i64]) -> anyhow::Result<HashMap<String, u64>> {
        let mut payments: HashMap<String, u64> = HashMap::new();
        let steps = past::steps(orders);
        let mut progress = Progress::default();
        for (number, (at_ms, step)) in steps.iter().enumerate() {
            progress.show(&format!(
                "played {number} of {} steps at Mercado Pago",
                steps.len()
            ));
            self.stand.move_clock(at_ms - self.now_ms).await?;
            let (Step::Place(order) | Step::Pay(order) | Step::GiveBack(order, _)) = step;
            if let Step::Place(order) = step {
                let id = self.stand.place(order, leads[order.lead]).await?;
                payments.insert(order.number.clone(), id);
                continue;
            }
            let id = *payments.get(&order.number).context("an order is placed first")?;
            match step {
                Step::GiveBack(_, back) => self.stand.give_back(id, *back).await?,
                _ => self.stand.pay(id).await?,
            }
        }
        self.stand.move_clock(0).await?;
        Ok(payments)
    }

    /// The leads of these events pay by Pix within seconds, boletos of two days ago are paid, a card is
    /// charged back and a part of a Pix given back. Ends when all of it is in the books.
    pub async fn today(&mut self, forms: &[String]) -> anyhow::Result<()> {
        let prefix = format!("demo-{}-today", self.run);
        let paying = books::leads_of(&self.sql, self.dataset, forms).await?;
        ensure!(paying.len() == forms.len(), "a form's lead is missing");
        let two_days_ago = self.now_ms - 2 * DAY_MS;
        let waiting: Vec<Lead> = (0..BOLETOS)
            .map(|number| self.lead(number, two_days_ago))
            .collect();
        let waiting = self.write(&waiting).await?;
        let leads: Vec<i64> = waiting.iter().chain(&paying).copied().collect();
        let order = |(lead, _): (usize, &i64)| Order {
            number: format!("{prefix}-{lead}"),
            lead,
            method: match lead {
                0..BOLETOS => Method::Boleto,
                number if number + 1 == leads.len() => Method::Card,
                _ => Method::Pix,
            },
            cents: 19_990 + 7_301 * lead as i64,
            placed_ms: two_days_ago,
            paid_ms: self.now_ms,
            given_back: None,
        };
        let orders: Vec<Order> = leads.iter().enumerate().map(order).collect();
        self.stand.move_clock(-2 * DAY_MS).await?;
        let mut payments = Vec::new();
        for order in &orders[..BOLETOS] {
            payments.push(self.stand.place(order, leads[order.lead]).await?);
        }
        self.stand.move_clock(0).await?;
        for order in &orders[BOLETOS..] {
            payments.push(self.stand.place(order, leads[order.lead]).await?);
        }
        for (order, payment) in orders
            .iter()
            .zip(&payments)
            .filter(|(order, _)| order.method != Method::Card)
        {
            self.stand
                .pay(*payment)
                .await
                .with_context(|| order.number.clone())?;
        }
        let sum: i64 = orders.iter().map(|order| order.cents).sum();
        let paid = Booked {
            orders: i64::try_from(orders.len())?,
            approved: sum,
            given_back: 0,
        };
        self.await_books(&prefix, paid).await?;
        // What goes back does so after it was a Purchase.
        let (card, pix) = (orders.len() - 1, BOLETOS);
        let part = orders[pix].cents / 4;
        self.stand.give_back(payments[pix], Back::Refund(part)).await?;
        self.stand.give_back(payments[card], Back::Chargeback).await?;
        let given_back = part + orders[card].cents;
        self.await_books(&prefix, Booked { given_back, ..paid }).await?;
        say(&format!(
            "{} orders of this run are paid and booked",
            orders.len()
        ));
        Ok(())
    }

    fn lead(&self, number: usize, at_ms: i64) -> Lead {
        let way = ads::CAMPAIGNS[number % 3].way;
        let event_id = format!("demo-lead-{}-today-{number}", self.run);
        Lead {
            status: "qualified",
            email: rand::random(),
            visitor: rand::random(),
            fbc: way.fbclid(&event_id).map(|id| format!("fb.1.{at_ms}.{id}")),
            at_ms,
            touches: vec![Touch {
                at_ms: at_ms - 600_000,
                way,
            }],
            event_id,
        }
    }

    async fn await_books(&self, orders: &str, expected: Booked) -> anyhow::Result<()> {
        until(PATIENCE, async || {
            let booked = books::booked(&self.sql, self.dataset, orders).await?;
            let missing =
                format!("the books should be {expected:?}, and are {booked:?}; attribution's log says why");
            Ok((booked == expected).then_some(()).ok_or(missing))
        })
        .await
    }

    /// Waits until the orders of this run are credited.
    pub async fn await_credits(&self) -> anyhow::Result<()> {
        let prefix = format!("demo-{}-today", self.run);
        let booked = books::booked(&self.sql, self.dataset, &prefix).await?;
        until(PATIENCE, async || {
            let credited = books::credited(&self.sql, self.dataset, &prefix).await?;
            let missing = "the orders of this run were not credited; attribution's log says why";
            Ok((credited >= booked.orders).then_some(()).ok_or(missing))
        })
        .await
    }

    /// What the ads of the half year cost, by those who ran them and by our books.
    async fn spent(&self) -> anyhow::Result<Vec<Spent>> {
        let mut spent = Vec::new();
        for (channel, cost) in ads::costs(self.now_ms).context("nothing was spent")? {
            let span = (cost.since, cost.until);
            spent.push(Spent {
                channel,
                told: cost.cents,
                booked: books::spent(&self.sql, self.dataset, channel, span).await?,
            });
        }
        Ok(spent)
    }

    /// Waits until the service has read what was spent on ads, by itself.
    pub async fn await_spend(&self) -> anyhow::Result<()> {
        until(PATIENCE, async || {
            let spent = self.spent().await?;
            let is_read = spent.iter().all(|spent| spent.booked == spent.told);
            let missing = format!("not all spend was read ({spent:?}); attribution's log says why");
            Ok(is_read.then_some(()).ok_or(missing))
        })
        .await
    }

    /// The account of this run's orders, those of its half year before included.
    pub async fn account(&mut self) -> anyhow::Result<Money> {
        let prefix = format!("demo-{}-", self.run);
        let told = self.stand.paid(&prefix).await?;
        let booked = books::booked(&self.sql, self.dataset, &prefix).await?;
        let (purchases, repeated) = self.stand.purchases(&prefix).await?;
        let mut money = Money::of(&told, self.now_ms - 7 * DAY_MS, booked, (&purchases, repeated));
        money.spent = self.spent().await?;
        Ok(money)
    }

    /// What each campaign brought in the last thirty days, and what the pages have to show.
    pub async fn pages(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        for (channel, campaign, spend, net) in books::best_campaigns(&self.sql, self.dataset, 30).await? {
            let roas = net as f64 / spend.max(1) as f64;
            text.push_str(&format!(
                "  {:<22}{:>21}   net {}: ROAS {roas:.2}\n",
                format!("{channel}: {campaign}"),
                money::reais(spend),
                money::reais(net)
            ));
        }
        let rows = books::rows_of_revenue(&self.sql, self.dataset).await?;
        for (table, rows) in &rows {
            ensure!(
                *rows > 0,
                "{table} is empty after the demo; attribution's log says why"
            );
        }
        let rows: Vec<String> = rows
            .iter()
            .map(|(table, rows)| format!("{table} {rows}"))
            .collect();
        Ok(text + &format!("  rows: {}\n", rows.join(", ")))
    }
}
