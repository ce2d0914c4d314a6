//! Visão geral: one sentence that answers "is everything all right?", the trail of today with its account, and what it comes from.

mod data;
mod sentence;
pub mod view;

use crate::dashboard::layout::Page;
use crate::dashboard::server::{Cx, Failed, Reply};

pub(crate) use data::part;
pub use data::{Numbers, OverviewData, Period};
pub use sentence::{Verdict, verdict};
pub(crate) use view::{breaker_state, newest};
pub use view::{LATENCY_LIMITS, render};

pub async fn show(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let period = Period::parse(cx.asked("p"));
    let data = data::load(cx, period).await;
    Reply::live(Page::Overview.title(cx.lang()), render(&cx.frame, period, &data))
}
