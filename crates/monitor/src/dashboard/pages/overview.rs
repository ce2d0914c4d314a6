//! Visão geral: one sentence that answers "is everything all right?", the trail of today with its account,
//! and what it comes from.

mod attempts;
mod breakers;
mod calculator;
mod data;
mod duplicates;
mod latency;
mod quality;
mod sentence;
mod tiles;
mod trail;
mod view;
mod volume;

use crate::dashboard::layout::Page;
use crate::dashboard::reply::{Failed, Reply};
use crate::dashboard::request::Cx;

pub(crate) use breakers::breaker_state;
pub(crate) use data::part;
pub use data::{Numbers, OverviewData, Period};
pub use latency::LATENCY_LIMITS;
pub(crate) use quality::newest;
pub use sentence::{Verdict, verdict};
pub use view::render;

pub async fn show(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let period = Period::parse(cx.asked("p"));
    let data = data::load(cx, period).await;
    Reply::live(Page::Overview.title(cx.lang()), render(&cx.frame, period, &data))
}

#[cfg(test)]
mod tests {
    use rastro_store::dashboard::{DeadGroup, Trail};

    use super::*;
    use crate::dashboard::layout::{Frame, Tone};
    use crate::dashboard::words::Lang;

    fn trail() -> Trail {
        let now = Frame::example(Lang::Pt).now;
        Trail {
            accepted: 11_334,
            duplicates: 452,
            datasets: 3,
            ready: 8,
            oldest_ready_at: None,
            in_flight: 24,
            batches: 2,
            waiting: 3,
            next_retry_at: None,
            dead: 14,
            dead_deadline: None,
            withheld: 0,
            delivered: 11_285,
            now,
        }
    }

    fn group() -> DeadGroup {
        let now = Frame::example(Lang::Pt).now;
        DeadGroup {
            dataset_id: 2,
            reason: "refused".into(),
            error_code: Some(100),
            error_subcode: Some(2_804_019),
            events: 14,
            purchases: 14,
            leads: 0,
            retryable: 14,
            unanswered: 0,
            first_failed_at: now,
            last_failed_at: now,
            first_deadline: Some(now + chrono::TimeDelta::hours(54)),
            newest_error: String::new(),
            currencies: vec!["BRL".into()],
            amounts: vec![2310.0],
        }
    }

    fn text(markup: &maud::Markup) -> String {
        markup.0.replace('\u{a0}', " ")
    }

    #[test]
    fn the_account_of_the_day_is_written_out_and_says_by_how_much_it_is_off() {
        let frame = Frame::example(Lang::Pt);
        let data = OverviewData {
            trail: Some(trail()),
            ..Default::default()
        };
        let page = text(&render(&frame, Period { days: 30 }, &data));
        // 11.334 + 452 received; 8 + 24 + 3 + 14 + 11.285 = 11.334.
        assert!(
            page.contains("A conta fecha") && page.contains("11.786") && page.contains("8 + 24 + 3 + 14"),
            "{page}"
        );
        let off = OverviewData {
            trail: Some(Trail {
                delivered: 11_280,
                ..trail()
            }),
            ..Default::default()
        };
        let page = text(&render(&frame, Period { days: 30 }, &off));
        assert!(
            page.contains("faltam") && page.contains("<b>5</b>") && !page.contains("A conta fecha"),
            "{page}"
        );
    }

    #[test]
    fn what_is_stopped_is_said_with_its_money_its_cause_and_its_deadline() {
        let frame = Frame::example(Lang::Pt);
        let data = OverviewData {
            trail: Some(trail()),
            dead_groups: Some(vec![group()]),
            ..Default::default()
        };
        let said = verdict(&frame, &data);
        assert_eq!(
            (said.tone, said.answer.as_str()),
            (Tone::Watch, "Tudo chega à Meta. Uma coisa pede atenção.")
        );
        let more = text(&said.more);
        for part in ["14 eventos", "Clínica Vale", "R$ 2.310", "2 d 6 h", "/parados"] {
            assert!(more.contains(part), "{part}: {more}");
        }
    }

    #[test]
    fn each_part_that_does_not_come_leaves_a_gap_of_its_own_in_both_languages() {
        for lang in [Lang::Pt, Lang::En] {
            let page = text(&render(
                &Frame::example(lang),
                Period { days: 30 },
                &OverviewData::default(),
            ));
            assert!(
                page.matches(lang.t("não respondeu em 2 s", "did not answer within 2 s"))
                    .count()
                    >= 8,
                "{page}"
            );
            assert!(!page.contains("style="));
        }
    }
}
