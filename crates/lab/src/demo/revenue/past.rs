//! The invented half year before the demo: who wrote by which campaign, and who paid what and when. The same
//! on every day of the same seed. Order numbers begin with `demo-`, so nobody takes them for real ones.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rastro_sandbox::mercado_pago::Method;

use super::ads::{CAMPAIGNS, Way};

pub const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// How far back it goes, in days.
pub const DAYS: i64 = 182;
/// Meta takes events for seven days. What is paid so close to that limit is left out, so that the account
/// does not depend on how long the demo takes.
const TAKEN_DAYS: i64 = 7;
const MARGIN_MS: i64 = 2 * HOUR_MS;
/// In cents.
const PRICES: [i64; 6] = [14_990, 18_900, 24_900, 34_900, 59_000, 89_900];

/// A person who wrote, and what led there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    pub event_id: String,
    pub status: &'static str,
    /// In place of look-ups: nobody is found by them.
    pub email: [u8; 32],
    pub visitor: [u8; 32],
    pub fbc: Option<String>,
    pub at_ms: i64,
    pub touches: Vec<Touch>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    pub at_ms: i64,
    pub way: &'static Way,
}

/// What a lead paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub number: String,
    /// Its place among the leads.
    pub lead: usize,
    pub method: Method,
    pub cents: i64,
    pub placed_ms: i64,
    pub paid_ms: i64,
    /// When so many cents went back, if they did.
    pub given_back: Option<(i64, Back)>,
}

/// How money goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    Refund(i64),
    Chargeback,
}

/// The half year before a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    pub leads: Vec<Lead>,
    pub orders: Vec<Order>,
}

/// The half year before `now_ms`. `run` makes the numbers of its orders its own.
pub fn past(seed: u64, run: &str, now_ms: i64) -> Past {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut past = Past::default();
    for back in (1..=DAYS).rev() {
        let begin = now_ms - back * DAY_MS;
        // It grows, and it is quiet every seventh day.
        let grown = 0.6 + 0.8 * (DAYS - back) as f64 / DAYS as f64;
        let weekday = if (begin / DAY_MS) % 7 == 3 { 0.4 } else { 1.0 };
        for campaign in &CAMPAIGNS {
            let mut due = campaign.leads_a_day * grown * weekday;
            while due > 0.0 {
                if chance.random_bool(due.min(1.0)) {
                    let at_ms = begin + chance.random_range(0..20 * HOUR_MS);
                    write(
                        &mut past,
                        &mut chance,
                        run,
                        (campaign.way, campaign.buys),
                        at_ms,
                        now_ms,
                    );
                }
                due -= 1.0;
            }
        }
    }
    past
}

fn write(
    past: &mut Past,
    chance: &mut StdRng,
    run: &str,
    (way, buys): (&'static Way, f64),
    at_ms: i64,
    now_ms: i64,
) {
    let number = past.leads.len();
    let mut touches = vec![Touch {
        at_ms: at_ms - chance.random_range(MINUTE_MS..30 * MINUTE_MS),
        way,
    }];
    // Some came another way before.
    while chance.random_bool(0.35) && touches.len() < 4 {
        let earlier = &CAMPAIGNS[chance.random_range(0..CAMPAIGNS.len())];
        let at_ms = at_ms - chance.random_range(HOUR_MS..12 * DAY_MS);
        touches.push(Touch {
            at_ms,
            way: earlier.way,
        });
    }
    let event_id = format!("demo-lead-{run}-{number}");
    let buys = chance.random_bool(buys);
    past.leads.push(Lead {
        status: match () {
            () if buys => "customer",
            () if chance.random_bool(0.4) => "qualified",
            () => "new",
        },
        email: chance.random(),
        visitor: chance.random(),
        fbc: way.fbclid(&event_id).map(|id| format!("fb.1.{at_ms}.{id}")),
        at_ms,
        touches,
        event_id,
    });
    let mut placed_ms = at_ms + chance.random_range(MINUTE_MS..5 * DAY_MS);
    let mut goes_on = buys;
    while goes_on {
        if let Some(order) = order(past, chance, run, number, placed_ms, now_ms) {
            past.orders.push(order);
        }
        // Some come again, weeks later.
        placed_ms += chance.random_range(20 * DAY_MS..60 * DAY_MS);
        goes_on = chance.random_bool(0.35);
    }
}

/// `None`: it would not be paid yet, or too close to what Meta takes.
fn order(
    past: &Past,
    chance: &mut StdRng,
    run: &str,
    lead: usize,
    placed_ms: i64,
    now_ms: i64,
) -> Option<Order> {
    let (method, after) = match chance.random_range(0..10) {
        0..6 => (Method::Pix, chance.random_range(5_000..20 * MINUTE_MS)),
        6..8 => (Method::Boleto, chance.random_range(6 * HOUR_MS..60 * HOUR_MS)),
        _ => (Method::Card, 0),
    };
    let cents = PRICES[chance.random_range(0..PRICES.len())] + chance.random_range(0..100);
    let paid_ms = placed_ms + after;
    let back = (
        method == Method::Card && chance.random_bool(0.04),
        chance.random_bool(0.04),
    );
    let back_ms = paid_ms + chance.random_range(DAY_MS..20 * DAY_MS);
    let part = if chance.random_bool(0.5) { cents } else { cents / 3 };
    // What went back before it was ever read becomes no Purchase: so only of what is too old for one.
    let is_over = back_ms < now_ms - DAY_MS && paid_ms < now_ms - (TAKEN_DAYS + 1) * DAY_MS;
    let given_back = match back {
        (true, _) => Some((back_ms, Back::Chargeback)),
        (_, true) => Some((back_ms, Back::Refund(part))),
        _ => None,
    };
    let limit = now_ms - TAKEN_DAYS * DAY_MS;
    let is_clear = (paid_ms - limit).abs() > MARGIN_MS;
    (is_clear && paid_ms < now_ms - HOUR_MS).then(|| Order {
        number: format!("demo-{run}-{}", past.orders.len()),
        lead,
        method,
        cents,
        placed_ms,
        paid_ms,
        given_back: given_back.filter(|_| is_over),
    })
}

/// What happens to orders, in the order of its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'o> {
    Place(&'o Order),
    Pay(&'o Order),
    GiveBack(&'o Order, Back),
}

/// All steps of the orders with their times.
pub fn steps(orders: &[Order]) -> Vec<(i64, Step<'_>)> {
    let mut steps = Vec::new();
    for order in orders {
        steps.push((order.placed_ms, Step::Place(order)));
        // A card is decided at once.
        if order.method != Method::Card {
            steps.push((order.paid_ms, Step::Pay(order)));
        }
        if let Some((at, back)) = order.given_back {
            steps.push((at, Step::GiveBack(order, back)));
        }
    }
    steps.sort_by_key(|(at, _)| *at);
    steps
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NOW: i64 = 1_790_000_000_000;

    #[test]
    fn the_same_half_year_comes_of_the_same_seed() {
        assert_eq!(past(1, "a", NOW), past(1, "a", NOW));
        assert_ne!(past(1, "a", NOW).orders, past(2, "a", NOW).orders);
    }

    #[test]
    fn there_is_enough_of_everything_and_nothing_of_the_future() {
        let past = past(1, "a", NOW);
        assert!((500..1_500).contains(&past.leads.len()), "{}", past.leads.len());
        assert!((200..700).contains(&past.orders.len()), "{}", past.orders.len());
        let numbers: HashSet<&str> = past.orders.iter().map(|order| order.number.as_str()).collect();
        assert_eq!(numbers.len(), past.orders.len());
        assert!(past.orders.iter().all(|order| order.paid_ms < NOW));
        let back = past.orders.iter().filter(|order| order.given_back.is_some());
        assert!(back.count() >= 5);
        let again: HashSet<usize> = past.orders.iter().map(|order| order.lead).collect();
        assert!(again.len() < past.orders.len(), "nobody came again");
        let steps = steps(&past.orders);
        assert!(steps.is_sorted_by_key(|(at, _)| *at));
        // A boleto is open for three days.
        let late = past
            .orders
            .iter()
            .filter(|order| order.paid_ms - order.placed_ms >= 3 * DAY_MS);
        assert_eq!(late.count(), 0);
    }

    #[test]
    fn nothing_is_paid_where_it_would_depend_on_the_minute_whether_meta_takes_it() {
        let limit = NOW - 7 * DAY_MS;
        let close = |order: &&Order| (order.paid_ms - limit).abs() <= 2 * HOUR_MS;
        assert_eq!(past(1, "a", NOW).orders.iter().filter(close).count(), 0);
    }
}
