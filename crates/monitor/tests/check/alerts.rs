//! What is said, when, and how often.

use std::time::Duration;

use monitor::MonitorMetrics;
use monitor::check::Monitor;
use rastro_sandbox::{Fault, FaultKind};
use rastro_service::metrics::Metrics;
use rastro_test_support::events::lead;
use rastro_test_support::{Key, World, eventually};
use serde_json::json;

use crate::support::Scene;

/// Row R18: in Slack and e-mail, response under five minutes. A run a minute; the failure begins just after
/// one.
#[tokio::test]
async fn an_error_rate_above_five_percent_is_in_slack_and_mail_within_five_minutes() {
    let mut scene = Scene::start().await;
    scene.requests(1, "delivered", 94).await;
    scene.run().await;
    scene.advance(1).await;
    scene.requests(1, "unavailable", 6).await;
    let mut seconds = 0;
    while scene.said().is_empty() {
        scene.advance(60).await;
        seconds += 60;
        assert!(seconds < 300, "nothing was said for {seconds} s");
        scene.run().await;
    }
    assert_eq!(
        scene.said(),
        ["CRÍTICO: Loja Aurora: 6 % dos envios à Meta falham (6 de 100 em 5 min). Nada se perdeu."]
    );
    let mails = scene.mails.mails(1).await;
    assert_eq!(mails[0].to, ["ana@exemplo.com.br"]);
    assert_eq!(mails[0].header("X-Rastro-Rule"), Some("error_rate"));
    assert!(
        seconds + 60 + 20 < 300,
        "with the wait for a run and its start: {seconds}"
    );
}

#[tokio::test]
async fn exactly_five_percent_and_one_failure_of_one_say_nothing() {
    let mut scene = Scene::start().await;
    scene.dataset(2, "Clínica Vale").await;
    scene.requests(1, "delivered", 95).await;
    scene.requests(1, "unavailable", 5).await;
    scene.requests(2, "unavailable", 1).await;
    scene.minutes(6).await;
    assert!(scene.said().is_empty(), "{:?}", scene.said());
    assert_eq!(scene.value("SELECT count(*) FROM alerts").await, "0");
}

#[tokio::test]
async fn ten_datasets_that_fail_at_once_are_one_message() {
    let mut scene = Scene::start().await;
    for id in 2..=12 {
        scene.dataset(id, &format!("Loja {id}")).await;
    }
    for id in 1..=12 {
        scene.requests(id, "unavailable", 20).await;
    }
    scene.minutes(4).await;
    let messages = scene.slack.messages();
    assert_eq!(messages.len(), 1, "{messages:#?}");
    assert!(
        messages[0].text().contains("E mais 11."),
        "{}",
        messages[0].text()
    );
    let blocks = messages[0].body["attachments"][0]["blocks"].to_string();
    assert!(
        blocks.contains("Loja 10") && blocks.contains("e mais 2"),
        "{blocks}"
    );
    assert!(!blocks.contains("Loja 12"), "ten are listed: {blocks}");
    assert_eq!(scene.mails.mails(1).await.len(), 1);
    assert_eq!(
        scene
            .value("SELECT count(*) FROM alert_messages WHERE state = 'sent'")
            .await,
        "24"
    );
}

/// The real thing: Meta answers 503, the forwarder opens the breaker, and the monitor says so and nothing
/// else.
#[tokio::test]
async fn meta_down_is_said_once_and_what_follows_from_it_is_not() {
    let mut world = World::start().await;
    let scene = Scene::start().await;
    let outage = Fault::new(FaultKind::Html {
        http_status: 503,
        processed: false,
    });
    world.sandbox.fail_with(outage).unwrap();
    let events: Vec<_> = (0..5)
        .map(|number| lead(&format!("e{number}"), world.now()))
        .collect();
    world.post(Key::Secret, &json!({ "events": events })).await;
    world.start_forwarder_with(|config| config.batch_size = 1);
    world.start_retry_worker();
    eventually("the breaker is open", || async {
        let open = world
            .database
            .query("SELECT 1 FROM circuit_breakers WHERE reason = 'errors'")
            .await;
        (!open.is_empty()).then_some(())
    })
    .await;
    // 25 more failures, which alone would be an alert of their own.
    let monitor = monitor_of(&world, &scene);
    world
        .database
        .execute(
            "INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, latency_ms, outcome,
                http_status, event_count, event_numbers, first_number, last_number, first_day, last_day)
             SELECT 123456789012345, (rastro_now() AT TIME ZONE 'UTC')::date, 1, 1, '', rastro_now(), 100, 'unavailable', 503,
                1, ARRAY[n], n, n, current_date, current_date FROM generate_series(1, 25) AS n",
        )
        .await;
    for _ in 0..4 {
        world.advance(Duration::from_secs(60)).await;
        monitor.run_once().await.unwrap();
    }
    let said = scene.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("CRÍTICO: Meta fora do ar para test."),
        "{}",
        said[0]
    );
    assert_eq!(
        world
            .database
            .value("SELECT muted_by FROM alerts WHERE rule = 'error_rate' AND state = 'firing'")
            .await,
        "breaker_errors"
    );
    // The rows made up above name events that never were.
    world
        .database
        .execute("DELETE FROM send_attempts WHERE batch_id = 1 AND outcome = 'unavailable'")
        .await;
}

/// A monitor that looks at the world and speaks in the scene.
fn monitor_of(world: &World, scene: &Scene) -> Monitor {
    let mut config = scene.config.clone();
    config.graph_api.url = world.sandbox.url();
    let (_, metrics) = Metrics::new("monitor", "test", MonitorMetrics::register);
    Monitor::with(&config, world.store.clone(), metrics).unwrap()
}

#[tokio::test]
async fn it_resolves_says_how_long_it_was_and_comes_back_as_the_same_trouble() {
    let mut scene = Scene::start().await;
    scene.breaker(1, "open", Some("errors")).await;
    scene.minutes(1).await;
    scene.breaker(1, "closed", None).await;
    scene.minutes(11).await;
    let said = scene.said();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(
        said[1],
        "Resolvido (11 min): Meta fora do ar para Loja Aurora. 0 eventos esperam."
    );
    scene.breaker(1, "open", Some("errors")).await;
    scene.minutes(1).await;
    assert_eq!(scene.value("SELECT max(reopened) FROM alerts").await, "1");
    let mails = scene.mails.mails(3).await;
    assert!(
        mails[1]
            .header("Subject")
            .unwrap()
            .starts_with("[Rastro] Resolvido (11")
    );
    assert_eq!(
        mails[0].header("References"),
        mails[1].header("References"),
        "one thread"
    );
    assert_ne!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
}

/// 38 of 100 fail at once, all goes well from then on, and one event has stopped.
#[tokio::test]
async fn good_news_say_how_bad_it_was_and_what_stopped() {
    let mut scene = Scene::start().await;
    scene.event(1, "Lead", 600, None).await;
    scene.retry(1, "failed", "exhausted", 54).await;
    scene.requests(1, "delivered", 62).await;
    scene.requests(1, "unavailable", 38).await;
    scene.run().await;
    for _ in 0..20 {
        scene.advance(60).await;
        scene.requests(1, "delivered", 100).await;
        scene.run().await;
    }
    let said = scene.said();
    let resolved: Vec<&String> = said.iter().filter(|said| said.starts_with("Resolvido")).collect();
    let [text] = resolved.as_slice() else {
        panic!("{said:?}")
    };
    assert!(
        text.contains(" min; pior: 38 %): Loja Aurora:") && text.contains("dos envios à Meta falham"),
        "{text}"
    );
    let body = scene.slack.messages().last().unwrap().body.to_string();
    assert!(body.contains("Enquanto durou, 1\u{a0}evento parou."), "{body}");
    let mails = scene.mails.mails(scene.said().len()).await;
    let mail = mails.last().unwrap().text.replace('\u{a0}', " ");
    for fact in [
        "Desde: ",
        "Durou: ",
        "Pior valor: 38 %",
        "Perdas: Enquanto durou, 1 evento parou.",
    ] {
        assert!(mail.contains(fact), "{fact}: {mail}");
    }
}

#[tokio::test]
async fn acknowledged_snoozed_and_silenced_alerts_are_not_said() {
    let mut scene = Scene::start().await;
    scene.breaker(1, "open", Some("errors")).await;
    scene.minutes(1).await;
    let id = scene.store.open_alerts().await.unwrap()[0].alert.id.unwrap();
    assert!(scene.store.acknowledge_alert(id, "Ana").await.unwrap());
    assert!(!scene.store.acknowledge_alert(id, "Beto").await.unwrap());
    scene.advance(5 * 3_600).await;
    scene.run().await;
    assert_eq!(scene.said().len(), 1, "no reminder");
    let until = scene.store.now().await.unwrap() + Duration::from_secs(3_600);
    assert!(scene.store.snooze_alert(id, until, "Ana").await.unwrap());
    scene.minutes(2).await;
    assert_eq!(scene.said().len(), 1);
    scene.advance(3_600).await;
    scene.run().await;
    assert_eq!(scene.said().len(), 2, "as if new");
    // A run wrote none of what people did.
    assert_eq!(scene.value("SELECT acknowledged_by FROM alerts").await, "Ana");

    let now = scene.store.now().await.unwrap();
    let silence = (now, now + Duration::from_secs(7_200));
    scene
        .store
        .add_silence(None, Some(2_i64.try_into().unwrap()), silence, "Ana", "mudança")
        .await
        .unwrap();
    scene.dataset(2, "Clínica Vale").await;
    scene.breaker(2, "open", Some("blocked")).await;
    scene.minutes(2).await;
    assert_eq!(scene.said().len(), 2, "{:?}", scene.said());
    scene.advance(7_200).await;
    scene.run().await;
    assert!(
        scene.said().last().unwrap().contains("Clínica Vale"),
        "it ended by itself"
    );
}

#[tokio::test]
async fn a_rule_that_cannot_be_evaluated_keeps_its_state_and_is_an_alert_itself() {
    let mut scene = Scene::start().await;
    scene.breaker(1, "open", Some("errors")).await;
    scene.minutes(1).await;
    // Another program's column, gone.
    scene
        .execute("ALTER TABLE circuit_breakers RENAME COLUMN outage_since TO gone")
        .await;
    for _ in 0..5 {
        scene.advance(60).await;
        let report = scene.monitor().run_once().await.unwrap();
        assert!(
            report.run.error.unwrap().contains("breaker_errors"),
            "the run says so"
        );
    }
    assert_eq!(
        scene
            .value("SELECT state FROM alerts WHERE rule = 'breaker_errors'")
            .await,
        "firing"
    );
    let said = scene.said();
    assert!(
        said.iter().any(|text| text.contains("Não consigo verificar")),
        "{said:?}"
    );
    assert_eq!(
        scene
            .value("SELECT count(*) > 0 FROM monitor_runs WHERE NOT ok")
            .await,
        "t"
    );
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_said_and_changes_nothing() {
    let scene = Scene::start().await;
    scene.breaker(1, "open", Some("errors")).await;
    let report = scene.monitor().dry_run().await.unwrap();
    assert_eq!(report.would_say.len(), 1, "{report:?}");
    assert!(report.would_say[0].contains("Meta fora do ar") && report.would_say[0].contains("email"));
    assert_eq!(scene.value("SELECT count(*) FROM alerts").await, "0");
    assert_eq!(scene.value("SELECT count(*) FROM alert_rules").await, "0");
    assert_eq!(scene.slack.calls(), 0);
}

#[tokio::test]
async fn the_mail_of_the_morning_comes_once_a_day_also_when_all_is_well() {
    let mut scene = Scene::start().await;
    scene.config.notify.daily_mail = true;
    scene.run().await;
    scene.minutes(2).await;
    let mails = scene.mails.mails(1).await;
    assert_eq!(mails.len(), 1);
    let body = &mails[0].text;
    assert!(body.contains("Recebidos ontem: 0"), "{body}");
    assert!(scene.said().is_empty(), "by mail only");
    // Two in the morning, and nine.
    scene.advance(14 * 3_600).await;
    scene.run().await;
    assert_eq!(scene.mails.count(), 1);
    scene.advance(7 * 3_600).await;
    scene.run().await;
    assert_eq!(scene.mails.mails(2).await.len(), 2);
}
