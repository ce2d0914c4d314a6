//! What goes wrong with a channel.

use rastro_core::alert::{Facts, Severity};
use rastro_sandbox::slack::{BOT_TOKEN, CHANNEL, SlackFault};
use rastro_store::NewMessage;

use crate::support::Scene;

#[tokio::test]
async fn a_webhook_that_answers_410_is_switched_off_and_the_mail_says_so() {
    let mut scene = Scene::start().await;
    scene.breaker(1, "open", Some("errors")).await;
    scene.slack.fail_with(SlackFault::Status {
        status: 410,
        body: "channel_is_archived".into(),
        retry_after: None,
    });
    let report = scene.monitor().run_once().await.unwrap();
    assert!(report.run.error.unwrap().contains("channel_is_archived"));
    let mails = scene.mails.mails(2).await;
    let all: Vec<&str> = mails.iter().map(|mail| mail.text.as_str()).collect();
    assert!(
        all.iter()
            .any(|mail| mail.contains("slack: Slack: channel_is_archived (410)")),
        "{all:#?}"
    );
    let calls = scene.slack.calls();
    scene.breaker(1, "closed", None).await;
    scene.minutes(12).await;
    assert_eq!(scene.slack.calls(), calls, "it is not asked again");
    assert_eq!(scene.mails.mails(3).await.len(), 3, "the mail goes on");
    // A new address is tried again.
    scene.config.notify.slack.channel = "other".into();
    scene.breaker(1, "open", Some("errors")).await;
    scene.minutes(1).await;
    assert_eq!(scene.said().len(), 1);
}

#[tokio::test]
async fn after_429_a_message_goes_when_slack_said_and_not_before() {
    let mut scene = Scene::start().await;
    scene.breaker(1, "open", Some("errors")).await;
    scene.slack.fail_with(SlackFault::Status {
        status: 429,
        body: "rate_limited".into(),
        retry_after: Some(120),
    });
    scene.monitor().run_once().await.unwrap();
    scene.minutes(1).await;
    assert_eq!(scene.slack.calls(), 1, "not yet");
    scene.minutes(1).await;
    assert_eq!(scene.said().len(), 1);
    assert_eq!(
        scene.mails.mails(1).await.len(),
        1,
        "the mail did not wait for it"
    );
}

#[tokio::test]
async fn what_cannot_be_sent_for_an_hour_is_given_up_and_remains_to_be_seen() {
    let mut scene = Scene::start().await;
    scene.breaker(1, "open", Some("errors")).await;
    for _ in 0..7 {
        scene.slack.fail_with(SlackFault::Status {
            status: 503,
            body: String::new(),
            retry_after: None,
        });
        scene.monitor().run_once().await.unwrap();
        scene.advance(600).await;
    }
    scene.run().await;
    let given_up = scene.store.given_up_messages().await.unwrap();
    assert_eq!(given_up.len(), 1);
    assert!(given_up[0].1.contains("503"), "{given_up:?}");
}

#[tokio::test]
async fn a_channel_that_works_again_after_hours_tells_of_what_is_still_open_and_of_nothing_else() {
    let mut scene = Scene::start().await;
    scene.dataset(2, "Clínica Vale").await;
    scene.breaker(1, "open", Some("errors")).await;
    scene.breaker(2, "open", Some("blocked")).await;
    for _ in 0..9 {
        scene.slack.fail_with(SlackFault::Status {
            status: 503,
            body: String::new(),
            retry_after: None,
        });
        scene.monitor().run_once().await.unwrap();
        scene.advance(900).await;
        scene.breaker(2, "closed", None).await;
    }
    assert!(scene.said().is_empty());
    scene.minutes(16).await;
    let said = scene.said();
    let opened =
        |said: &&String| said.contains("Meta fora do ar para Loja Aurora") && said.starts_with("CRÍTICO");
    assert_eq!(said.iter().filter(opened).count(), 1, "{said:#?}");
    assert!(
        !said
            .iter()
            .any(|said| said.starts_with("CRÍTICO") && said.contains("Clínica Vale")),
        "that one is over: {said:#?}"
    );
}

#[tokio::test]
async fn a_channel_with_a_new_address_tells_of_what_is_still_open() {
    let mut scene = Scene::start().await;
    scene.breaker(1, "open", Some("errors")).await;
    scene.slack.fail_with(SlackFault::Status {
        status: 410,
        body: "channel_is_archived".into(),
        retry_after: None,
    });
    scene.monitor().run_once().await.unwrap();
    scene.minutes(3).await;
    assert!(scene.said().is_empty());
    scene.config.notify.slack.channel = "other".into();
    scene.minutes(3).await;
    let said = scene.said();
    assert_eq!(said.len(), 1, "once: {said:#?}");
    assert!(said[0].contains("Meta fora do ar para Loja Aurora"), "{said:#?}");
}

#[tokio::test]
async fn an_address_that_is_answered_4xx_gets_its_mail_later_and_the_others_get_it_once() {
    let mut scene = Scene::start().await;
    scene.config.notify.email.to = [
        "refused@exemplo.com.br",
        "first-later@exemplo.com.br",
        "ana@exemplo.com.br",
    ]
    .map(String::from)
    .to_vec();
    scene.breaker(1, "open", Some("errors")).await;
    let report = scene.monitor().run_once().await.unwrap();
    assert!(report.run.error.unwrap_or_default().contains("try again later"));
    let mails = scene.mails.mails(1).await;
    assert_eq!(mails[0].to, ["ana@exemplo.com.br"]);
    // What comes meanwhile is for everybody.
    scene.dataset(2, "Clínica Vale").await;
    scene.breaker(2, "open", Some("blocked")).await;
    scene.minutes(2).await;
    let mails = scene.mails.mails(4).await;
    let to = |name: &str| {
        let of: Vec<&str> = mails
            .iter()
            .filter(|mail| mail.to[0].starts_with(name))
            .map(|mail| mail.text.as_str())
            .collect();
        [
            of.iter().filter(|text| text.contains("Loja Aurora")).count(),
            of.iter().filter(|text| text.contains("Clínica Vale")).count(),
        ]
    };
    assert_eq!(to("ana"), [1, 1], "{mails:#?}");
    assert_eq!(to("first-later"), [1, 1], "{mails:#?}");
    assert_eq!(mails.len(), 4);
    let left = "SELECT count(*) FROM alert_messages WHERE channel = 'email' AND state <> 'sent'";
    assert_eq!(scene.value(left).await, "0");
}

#[tokio::test]
async fn smtp_4xx_is_tried_again_and_5xx_is_not() {
    let mut scene = Scene::start().await;
    scene.config.notify.email.to = vec!["later@exemplo.com.br".into()];
    scene.breaker(1, "open", Some("errors")).await;
    let report = scene.monitor().run_once().await.unwrap();
    assert!(report.run.error.is_some());
    assert_eq!(scene.said().len(), 1, "Slack did not wait for it");
    scene.config.notify.email.to = vec!["ana@exemplo.com.br".into()];
    scene.minutes(1).await;
    assert_eq!(scene.mails.mails(1).await.len(), 1, "the next run sent it");

    scene.dataset(2, "Clínica Vale").await;
    scene.breaker(2, "open", Some("errors")).await;
    scene.config.notify.email.to = vec!["refused@exemplo.com.br".into()];
    scene.advance(60).await;
    scene.monitor().run_once().await.unwrap();
    assert_eq!(
        scene
            .value("SELECT count(*) FROM alert_messages WHERE channel = 'email' AND state = 'failed'")
            .await,
        "1"
    );
    scene.config.notify.email.to = vec!["ana@exemplo.com.br".into()];
    scene.minutes(2).await;
    assert_eq!(scene.mails.count(), 1, "it was refused for good");
}

#[tokio::test]
async fn one_address_that_is_refused_keeps_no_other_from_the_mail() {
    let mut scene = Scene::start().await;
    scene.config.notify.email.to = [
        "refused@exemplo.com.br",
        "full@exemplo.com.br",
        "ana@exemplo.com.br",
    ]
    .map(String::from)
    .to_vec();
    scene.breaker(1, "open", Some("errors")).await;
    scene.minutes(2).await;
    let mails = scene.mails.mails(1).await;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["ana@exemplo.com.br"]);
}

#[tokio::test]
async fn nobodys_name_calls_a_whole_channel_or_breaks_a_mail() {
    let mut scene = Scene::start().await;
    scene
        .dataset(1, "<!channel> & co\r\nBcc: x@example.com <b>")
        .await;
    scene.breaker(1, "open", Some("errors")).await;
    scene.minutes(1).await;
    let messages = scene.slack.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].mentions, 0, "{:#?}", messages[0].body);
    assert!(
        messages[0].text().contains("&lt;!channel&gt; &amp; co"),
        "{}",
        messages[0].text()
    );
    let mail = &scene.mails.mails(1).await[0];
    assert_eq!(mail.header("Bcc"), None);
    assert_eq!(mail.to, ["ana@exemplo.com.br"]);
    assert!(
        !mail.html.contains("<b> esp") && mail.html.contains("&lt;!channel&gt;"),
        "{}",
        mail.html
    );
}

#[tokio::test]
async fn a_mail_has_both_parts_its_headers_and_nothing_from_elsewhere() {
    let mut scene = Scene::start().await;
    for id in 2..=20 {
        scene.dataset(id, &format!("Loja número {id}")).await;
        scene.breaker(id, "open", Some("errors")).await;
    }
    scene.minutes(1).await;
    let mail = &scene.mails.mails(1).await[0];
    assert_eq!(mail.header("Auto-Submitted"), Some("auto-generated"));
    assert_eq!(mail.header("X-Rastro-Severity"), Some("critical"));
    assert_eq!(mail.header("X-Rastro-Rule"), Some("breaker_errors"));
    assert!(mail.header("List-Id").is_some() && mail.header("Precedence").is_none());
    let id = mail.header("Message-ID").unwrap();
    assert!(
        id.starts_with("<alert-") && id.ends_with("-opened-1@exemplo.com.br>"),
        "{id}"
    );
    assert!(mail.header("In-Reply-To").is_some());
    assert_eq!(
        mail.parts,
        ["multipart/alternative", "text/plain", "text/html"],
        "text first"
    );
    assert!(mail.data.len() <= 20_000, "{} bytes", mail.data.len());
    for remote in [
        "<img",
        "<link",
        "<script",
        "<style",
        "url(",
        "display:flex",
        "margin",
    ] {
        assert!(!mail.html.contains(remote), "{remote}");
    }
}

#[tokio::test]
async fn a_bot_edits_the_message_that_opened_an_alert_and_writes_one_line_into_its_thread() {
    let mut scene = Scene::start().await;
    scene.config.notify.slack.webhook_url = "".into();
    scene.config.notify.slack.bot_token = BOT_TOKEN.into();
    scene.config.notify.slack.channel = CHANNEL.into();
    scene.config.notify.slack.api_url = scene.slack.api_url();
    scene.breaker(1, "open", Some("errors")).await;
    scene.minutes(1).await;
    scene.breaker(1, "closed", None).await;
    scene.minutes(11).await;
    let messages = scene.slack.messages();
    assert_eq!(messages.len(), 2, "{messages:#?}");
    assert_eq!(messages[0].edits, 1);
    assert!(
        messages[0].text().starts_with("Resolvido"),
        "{}",
        messages[0].text()
    );
    assert_eq!(messages[1].thread_ts.as_ref(), Some(&messages[0].ts));

    // Of a message that somebody deleted there is nothing to edit: a new one says the same.
    scene.breaker(1, "open", Some("blocked")).await;
    scene.minutes(1).await;
    let opened = scene.slack.messages().last().unwrap().ts.clone();
    scene.slack.delete(&opened);
    scene.breaker(1, "closed", None).await;
    scene.minutes(11).await;
    let last = scene.slack.messages().pop().unwrap();
    assert!(
        last.text().starts_with("Resolvido") && last.thread_ts.is_none(),
        "{last:#?}"
    );
}

#[tokio::test]
async fn above_twelve_messages_an_hour_what_is_not_critical_waits_to_be_one() {
    let mut scene = Scene::start().await;
    scene.execute(
        "INSERT INTO alert_messages (kind, sequence, channel, severity, facts, state, created_at, next_attempt_at, sent_at, bundle_id)
         SELECT 'test', 1, 'slack', 'warning', '{}', 'sent', rastro_now(), rastro_now(), rastro_now(), n
         FROM generate_series(1, 12) AS n",
    )
    .await;
    for id in [2, 3] {
        scene.dataset(id, &format!("Loja {id}")).await;
        scene.breaker(id, "open", Some("throttled")).await;
        scene.advance(1_860).await;
        scene.run().await;
        // Still within the hour of the twelve.
        scene
            .execute("UPDATE alert_messages SET sent_at = rastro_now() WHERE kind = 'test'")
            .await;
    }
    assert!(scene.said().is_empty(), "{:?}", scene.said());
    scene.breaker(1, "open", Some("errors")).await;
    scene.minutes(1).await;
    assert_eq!(scene.said().len(), 1, "a critical one passes");
    scene.advance(3_601).await;
    scene.run().await;
    let said = scene.said();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[1].contains("E mais 1."), "{said:?}");
}

#[tokio::test]
async fn messages_go_out_no_faster_than_slack_takes_them() {
    let scene = Scene::start().await;
    scene.slack.limit_rate();
    // More than Slack takes at once.
    let test = || NewMessage {
        kind: "test",
        sequence: 1,
        channel: "slack",
        severity: Severity::Info,
        facts: Facts::default(),
    };
    scene
        .store
        .add_messages(&[test(), test(), test(), test(), test()])
        .await
        .unwrap();
    scene.run().await;
    assert_eq!(
        (scene.said().len(), scene.slack.calls()),
        (5, 5),
        "none is refused"
    );
}
