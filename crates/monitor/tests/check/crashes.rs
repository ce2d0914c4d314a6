//! Two runs at once, and runs that die.

use std::collections::BTreeSet;

use rastro_sandbox::slack::SlackFault;
use rastro_test_support::eventually;
use rastro_test_support::process::send_signal;

use crate::support::Scene;

/// A statement stays where it is for as long as `held` has a row. Then it goes on, or it is as if it had
/// never reached the server.
const HOLD: &str = "CREATE TABLE held (never_came boolean NOT NULL);
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        now_held boolean;
        never_came boolean := false;
    BEGIN
        LOOP
            SELECT h.never_came INTO now_held FROM held h;
            EXIT WHEN NOT FOUND;
            never_came := now_held;
            PERFORM pg_sleep(0.005);
        END LOOP;
        IF never_came THEN RAISE EXCEPTION 'the client was gone before this'; END IF;
        RETURN NULL;
    END $$";

/// Where a run is killed: a write to this table, of rows as these; and whether the write itself is lost with
/// it.
struct Point {
    table: &'static str,
    write: &'static str,
    of: &'static str,
    never_came: bool,
    /// How often Slack, the first and the second address have the message in the end.
    has: [usize; 3],
}

impl Point {
    const fn new(table: &'static str, write: &'static str, of: &'static str) -> Self {
        Point {
            table,
            write,
            of,
            never_came: false,
            has: [1, 1, 1],
        }
    }

    const fn lost(self, has: [usize; 3]) -> Self {
        Point {
            never_came: true,
            has,
            ..self
        }
    }
}

/// In the order of a run. What was said and not noted is said again: nobody could tell.
const POINTS: [Point; 15] = [
    // One transaction.
    Point::new("alerts", "INSERT", "true"),
    Point::new("alert_messages", "INSERT", "NEW.kind = 'opened'"),
    Point::new("alert_rules", "INSERT", "NEW.rule = 'check_failing'"),
    // The daily mail is another.
    Point::new("alert_messages", "INSERT", "NEW.kind = 'daily'"),
    Point::new("alert_messages", "INSERT", "NEW.kind = 'daily'").lost([1, 1, 1]),
    Point::new("alert_messages", "UPDATE", "NEW.channel = 'slack'"),
    Point::new("alert_messages", "UPDATE", "NEW.channel = 'slack'").lost([2, 1, 1]),
    Point::new("alert_message_recipients", "INSERT", "true"),
    Point::new("alert_message_recipients", "INSERT", "true").lost([1, 2, 1]),
    Point::new(
        "alert_messages",
        "UPDATE",
        "NEW.channel = 'email' AND NEW.kind = 'opened'",
    ),
    Point::new(
        "alert_messages",
        "UPDATE",
        "NEW.channel = 'email' AND NEW.kind = 'opened'",
    )
    .lost([1, 1, 1]),
    Point::new("event_counts", "INSERT", "true"),
    Point::new("counted_hours", "INSERT", "true").lost([1, 1, 1]),
    Point::new("monitor_runs", "INSERT", "true"),
    Point::new("monitor_runs", "INSERT", "true").lost([1, 1, 1]),
];

impl Scene {
    /// How many statements of anybody else are in such a state.
    async fn others(&self, what: &str) -> String {
        let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        self.value(&format!("{others} AND {what}")).await
    }

    /// Runs when nobody else does.
    async fn run_alone(&self) {
        eventually("the lock of the dead one is free", || async {
            let report = self.monitor().run_once().await.unwrap();
            assert_eq!(report.run.error, None);
            (!report.was_busy).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn kill_9_after_any_write_of_a_check_loses_no_message_and_repeats_none_that_was_noted() {
    let mut scene = Scene::start().await;
    scene.config.notify.daily_mail = true;
    scene.config.notify.email.to = ["ana@exemplo.com.br", "beto@exemplo.com.br"]
        .map(String::from)
        .to_vec();
    scene.execute(HOLD).await;
    scene.event(1, "Lead", 60, None).await;
    for (at, point) in POINTS.iter().enumerate() {
        let Point {
            table,
            write,
            of,
            never_came,
            has,
        } = point;
        let name = format!("point {at}: {write} {table} {of}, lost: {never_came}");
        scene.breaker(1, "open", Some("errors")).await;
        let (messages, mails) = (scene.said().len(), scene.mails.count());
        scene
            .execute(&format!(
                "INSERT INTO held VALUES ({never_came});
                 CREATE TRIGGER hold AFTER {write} ON {table} FOR EACH ROW WHEN ({of}) EXECUTE FUNCTION hold()"
            ))
            .await;
        let check = scene.process(&["check"]);
        eventually(&format!("{name} is held"), || async {
            (scene.others("wait_event = 'PgSleep'").await == "1").then_some(())
        })
        .await;
        // Meanwhile another one leaves it alone.
        assert!(scene.monitor().run_once().await.unwrap().was_busy, "{name}");
        assert!(send_signal(check.pid(), "KILL"));
        check.kill();
        scene.execute("DELETE FROM held").await;
        scene.execute(&format!("DROP TRIGGER hold ON {table}")).await;
        eventually("the server is done with it", || async {
            (scene
                .others("application_name = 'monitor' AND state = 'active'")
                .await
                == "0")
                .then_some(())
        })
        .await;

        scene.advance(60).await;
        scene.run_alone().await;
        scene.minutes(1).await;
        let said = scene.said().split_off(messages);
        assert_eq!(said.len(), has[0], "{name}: {said:#?}");
        assert!(
            said.iter()
                .all(|text| *text == said[0] && text.contains("Meta fora do ar")),
            "{said:#?}"
        );
        let mails = scene
            .mails
            .mails(mails + has[1] + has[2] + 2)
            .await
            .split_off(mails);
        for (address, expected) in [("ana", has[1]), ("beto", has[2])] {
            let of: Vec<_> = mails
                .iter()
                .filter(|mail| mail.to[0].starts_with(address) && mail.text.contains("Meta fora do ar para"))
                .filter(|mail| !mail.text.starts_with("Bom dia"))
                .collect();
            assert_eq!(of.len(), expected, "{name}: {address}");
            // By which a mail program knows that it is the same.
            let ids: BTreeSet<_> = of.iter().map(|mail| mail.header("Message-ID")).collect();
            assert_eq!(ids.len(), 1, "{name}: {ids:?}");
            let daily = mails
                .iter()
                .filter(|mail| mail.to[0].starts_with(address) && mail.text.starts_with("Bom dia"));
            assert_eq!(daily.count(), 1, "{name}: the daily mail of {address}");
        }
        let left = "SELECT (SELECT count(*) FROM alerts WHERE state = 'firing') || ' '
            || (SELECT count(*) FROM alert_messages WHERE state <> 'sent') || ' ' || (SELECT count(*) FROM alert_rules WHERE failed_runs > 0)
            || ' ' || (SELECT sum(events) FROM event_counts WHERE outcome = 'accepted') || ' '
            || (SELECT sum(events) FROM event_counts_daily WHERE outcome = 'accepted')";
        assert_eq!(scene.value(left).await, "1 0 0 1 1", "{name}");
        scene
            .execute(
                "TRUNCATE alerts, alert_messages, alert_rules, event_counts, event_counts_daily, request_counts, counted_hours,
                    monitor_runs CASCADE",
            )
            .await;
    }
}

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
