//! Which contacts with ads an order is credited to, and with how much of its money.
//!
//! [`chosen`] and [`path`] choose the touches that count, [`Model`] weighs them, [`allocate`] splits cents by
//! those weights so that the parts are the whole to the cent; [`credits`] does all of it for an order.
//! [`origin`] names the channel and campaign of a touch as the books of spend do.

mod allocate;
mod credit;
pub mod markov;
mod model;
mod origin;
mod path;
#[cfg(test)]
mod properties;

pub use allocate::allocate;
pub use credit::{Credit, OrderMoney, Rules, Touch, chosen, credits, shares};
pub use model::{Model, Step, weights};
pub use origin::{Origin, TouchWords, UNPAID_CHANNELS, campaign_key, paid_channel};
pub use path::{Lookback, LookbackError, MOST_STEPS, SAME_VISIT_MS, path};

/// Raised when the same touches would be credited otherwise than before: what was computed under an older
/// number is computed again and recorded as a new version.
pub const RULES_VERSION: i32 = 2;

/// An order as a whole, in the parts that [`allocate`] splits for counting orders instead of money.
pub const WHOLE: i64 = 1_000_000;
