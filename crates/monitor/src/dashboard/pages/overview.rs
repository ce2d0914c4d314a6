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
    use rastro_core::circuit_breaker::{Breaker, Evidence, Manual, Reason, State};
    use rastro_store::WatchedBreaker;
    use rastro_store::dashboard::{DayCount, DeadGroup, Opening, Trail};

    use super::*;
    use crate::dashboard::frame::Checked;
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
            late: 0,
            first_failed_at: now,
            last_failed_at: now,
            first_deadline: Some(now + chrono::TimeDelta::hours(54)),
            newest_error: String::new(),
            currencies: vec!["BRL".into()],
            amounts: vec![2310.0],
        }
    }

    /// Everything answered, and nothing is wrong.
    fn whole() -> OverviewData {
        OverviewData {
            trail: Some(trail()),
            dead_groups: Some(Vec::new()),
            alerts: Some(Vec::new()),
            breakers: Some(Vec::new()),
            ..Default::default()
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
            dead_groups: Some(vec![group()]),
            ..whole()
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
    fn everything_arrives_only_if_all_that_could_say_otherwise_has_answered() {
        for lang in [Lang::Pt, Lang::En] {
            let frame = Frame::example(lang);
            let arrives = lang.t("Tudo chega à Meta.", "Everything reaches Meta.");
            assert_eq!(
                (
                    verdict(&frame, &whole()).tone,
                    verdict(&frame, &whole()).answer.as_str()
                ),
                (Tone::Good, arrives)
            );
            let without: [fn(&mut OverviewData); 4] = [
                |data| data.trail = None,
                |data| data.dead_groups = None,
                |data| data.alerts = None,
                |data| data.breakers = None,
            ];
            for take_away in without {
                let mut data = whole();
                take_away(&mut data);
                let said = verdict(&frame, &data);
                assert_eq!(said.tone, Tone::Neutral);
                assert!(!said.answer.contains(arrives), "{}", said.answer);
                // Nor where something else asks for attention.
                if data.dead_groups.is_some() {
                    data.dead_groups = Some(vec![group()]);
                    let said = verdict(&frame, &data);
                    assert_eq!(said.tone, Tone::Watch);
                    assert!(!said.answer.contains("Meta."), "{}", said.answer);
                    assert!(text(&said.more).contains("/parados"), "{}", said.more.0);
                }
            }
        }
    }

    #[test]
    fn a_page_does_not_go_by_a_monitor_that_is_silent_nor_by_a_queue_that_stands() {
        const MINUTE: i64 = 60_000;
        let mut frame = Frame::example(Lang::Pt);
        for (checked, tone, part) in [
            (Checked::Ago(4 * MINUTE), Tone::Good, "Tudo chega à Meta."),
            (
                Checked::Ago(5 * MINUTE),
                Tone::Watch,
                "o monitor não verifica há 5 min",
            ),
            (Checked::Never, Tone::Watch, "o monitor ainda não verificou nada"),
            (
                Checked::Unknown,
                Tone::Watch,
                "o monitor ainda não verificou nada",
            ),
        ] {
            frame.checked = checked;
            let said = verdict(&frame, &whole());
            assert_eq!(said.tone, tone, "{checked:?}");
            assert!(
                said.answer.replace('\u{a0}', " ").contains(part),
                "{}",
                said.answer
            );
        }
        let frame = Frame::example(Lang::Pt);
        let queue_of = |minutes: i64| OverviewData {
            trail: Some(Trail {
                ready: 9_000,
                oldest_ready_at: Some(frame.now - chrono::TimeDelta::minutes(minutes)),
                ..trail()
            }),
            ..whole()
        };
        assert_eq!(verdict(&frame, &queue_of(4)).tone, Tone::Good);
        let said = verdict(&frame, &queue_of(7));
        assert_eq!(said.tone, Tone::Watch);
        assert!(
            said.answer
                .replace('\u{a0}', " ")
                .contains("a fila espera há 7 min"),
            "{}",
            said.answer
        );
        // Before the first event there is nothing to doubt.
        let mut frame = Frame::example(Lang::Pt);
        frame.checked = Checked::Never;
        let empty = Trail {
            accepted: 0,
            duplicates: 0,
            ..trail()
        };
        let data = OverviewData {
            trail: Some(empty),
            ..whole()
        };
        let said = verdict(&frame, &data);
        assert_eq!(
            (said.tone, said.answer.as_str()),
            (Tone::Neutral, "Nenhum evento ainda")
        );
    }

    #[test]
    fn what_is_stopped_by_order_does_not_arrive_and_a_refused_token_leads_to_where_it_is_replaced() {
        let frame = Frame::example(Lang::Pt);
        let now_ms = frame.now.timestamp_millis();
        let with = |breaker: Breaker| OverviewData {
            breakers: Some(vec![WatchedBreaker {
                dataset_id: 2.try_into().unwrap(),
                breaker,
                evidence: Default::default(),
                now_ms,
            }]),
            ..whole()
        };
        let ordered = Breaker {
            manual: Manual::ForcedOpen,
            ..Breaker::closed(0)
        };
        let said = verdict(&frame, &with(ordered));
        assert_eq!(
            (said.tone, said.answer.as_str()),
            (Tone::Watch, "Clínica Vale: parado por ordem")
        );
        let blocked = Breaker {
            state: State::Open,
            reason: Some(Reason::Blocked),
            ..Breaker::closed(0)
        };
        let said = verdict(&frame, &with(blocked));
        assert_eq!(
            (said.tone, said.answer.as_str()),
            (Tone::Bad, "A Meta recusa o token de Clínica Vale")
        );
        assert!(
            text(&said.more).contains("href=\"/conjuntos/2\">Trocar o token"),
            "{}",
            said.more.0
        );
    }

    #[test]
    fn an_outage_says_what_it_cost_and_a_first_event_is_sent_to_the_gateway_there_is() {
        let frame = Frame::example(Lang::Pt);
        let opening = |stopped| Opening {
            dataset_id: 2,
            opened_at: frame.now - chrono::TimeDelta::hours(3),
            closed_at: Some(frame.now - chrono::TimeDelta::hours(1)),
            reason: Some("errors".into()),
            manual: "automatic".into(),
            note: String::new(),
            stopped,
        };
        let day = DayCount {
            day: frame.zone.day_of(frame.now),
            outcome: "accepted".into(),
            events: 7,
        };
        for (stopped, words) in [
            (0, "nada perdido"),
            (1, "1 evento parou"),
            (3, "3 eventos pararam"),
        ] {
            let data = OverviewData {
                openings: Some(vec![opening(stopped)]),
                days: Some(vec![day.clone()]),
                ..whole()
            };
            let page = text(&render(&frame, Period { days: 30 }, &data));
            assert!(page.contains(&format!("Meta fora 2 h · {words}")), "{page}");
            assert_eq!(page.contains("nada perdido"), stopped == 0);
        }
        for (lang, gateway_url, host) in [
            (Lang::Pt, "", "https://SEU-GATEWAY/api"),
            (Lang::En, "", "https://YOUR-GATEWAY/api"),
            (Lang::En, "https://rastro.example/", "https://rastro.example/api"),
        ] {
            let data = OverviewData {
                days: Some(Vec::new()),
                gateway_url: gateway_url.into(),
                ..whole()
            };
            let page = text(&render(&Frame::example(lang), Period { days: 30 }, &data));
            assert!(page.contains(host), "{page}");
        }
    }

    #[test]
    fn one_request_of_several_failed_and_two_of_them_did() {
        let frame = Frame::example(Lang::Pt);
        for (failures, words) in [
            (0, "0 de 5 falharam"),
            (1, "1 de 5 falhou"),
            (2, "2 de 5 falharam"),
        ] {
            let evidence = Evidence {
                requests: 5,
                failures,
                ..Default::default()
            };
            let data = OverviewData {
                breakers: Some(vec![WatchedBreaker {
                    dataset_id: 2.try_into().unwrap(),
                    breaker: Breaker::closed(0),
                    evidence,
                    now_ms: frame.now.timestamp_millis(),
                }]),
                ..whole()
            };
            let page = text(&render(&frame, Period { days: 30 }, &data));
            assert!(page.contains(words), "{page}");
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
