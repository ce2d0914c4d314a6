//! Two runs at once, and runs that die.

use std::pin::pin;
use std::task::Poll;

use rastro_sandbox::slack::SlackFault;
use rastro_test_support::eventually;

use crate::support::Scene;

#[tokio::test]
async fn two_checks_at_once_send_once() {
    let scene = Scene::start().await;
    scene.breaker(1, "open", Some("errors")).await;
    let monitors: Vec<_> = (0..4).map(|_| scene.monitor()).collect();
    let runs = futures_util::future::join_all(monitors.iter().map(|monitor| monitor.run_once())).await;
    assert!(runs.iter().all(|run| run.is_ok()), "{runs:?}");
    assert!(runs.iter().any(|run| !run.as_ref().unwrap().was_busy));
    assert_eq!(scene.said().len(), 1);
    assert_eq!(scene.mails.mails(1).await.len(), 1);
    assert_eq!(scene.value("SELECT count(*) FROM alerts").await, "1");
}

#[tokio::test]
async fn a_check_killed_after_sending_repeats_at_most_one_message() {
    let mut scene = Scene::start().await;
    scene.breaker(1, "open", Some("errors")).await;
    // Slack has it, and the run never learns so.
    scene.slack.fail_with(SlackFault::FailAfter);
    scene.monitor().run_once().await.unwrap();
    scene.minutes(3).await;
    assert_eq!(scene.said().len(), 2);
    assert_eq!(scene.said()[0], scene.said()[1]);
}

/// The run's future is dropped after so many polls, which is where a killed process would have stopped; each
/// has connections of its own, which end with it.
#[tokio::test]
async fn a_check_killed_anywhere_loses_nothing_and_repeats_at_most_one_message_a_channel() {
    for polls in (1..).step_by(83) {
        let mut scene = Scene::start().await;
        scene.breaker(1, "open", Some("errors")).await;
        let monitor = scene.monitor();
        let ended = {
            let mut run = pin!(monitor.run_once());
            let mut left = polls;
            std::future::poll_fn(|context| match run.as_mut().poll(context) {
                Poll::Ready(report) => Poll::Ready(Some(report)),
                Poll::Pending if left <= 1 => Poll::Ready(None),
                Poll::Pending => {
                    left -= 1;
                    Poll::Pending
                }
            })
            .await
        };
        drop(monitor);
        // The dead one's lock ends with its connection, as soon as PostgreSQL notices.
        scene.advance(60).await;
        eventually("the lock is free", || async {
            let report = scene.monitor().run_once().await.unwrap();
            (!report.was_busy).then_some(())
        })
        .await;
        scene.minutes(1).await;
        let (slack, mails) = (scene.said().len(), scene.mails.mails(1).await.len());
        assert!(
            (1..=2).contains(&slack),
            "{slack} messages when killed at poll {polls}"
        );
        assert!(
            (1..=2).contains(&mails),
            "{mails} mails when killed at poll {polls}"
        );
        assert_eq!(
            scene
                .value("SELECT count(*) FROM alerts WHERE state = 'firing'")
                .await,
            "1"
        );
        if ended.is_some() {
            return;
        }
        assert!(polls < 2_000, "a run ends");
    }
}
