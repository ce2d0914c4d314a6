//! A gateway that is killed in the middle of a capture leaves all of it or nothing, and the same sent again
//! completes it.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use rastro_test_support::eventually;
use rastro_test_support::process::Process;
use rastro_test_support::{Key, World};
use serde_json::{Value, json};

/// Every table that a lead or an order is written to.
const TABLES: [&str; 7] = [
    "meta_events_dedup",
    "events",
    "send_queue",
    "leads",
    "purchases",
    "touchpoints",
    "idempotency_keys",
];
/// A statement stays where it is, within its transaction, for as long as `held` has a row.
const HOLD: &str = "CREATE TABLE held (); CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    WHILE EXISTS (SELECT FROM held) LOOP PERFORM pg_sleep(0.005); END LOOP; RETURN NULL; END $$";

async fn counts(world: &World, of: &[&str]) -> Vec<String> {
    let mut counts = Vec::new();
    for table in of {
        counts.push(
            world
                .database
                .value(&format!("SELECT count(*) FROM {table}"))
                .await,
        );
    }
    counts
}

/// Whether a statement of anybody else is under way, and in which state.
async fn others(world: &World, what: &str) -> String {
    let others = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND {what}"
    );
    world.database.value(&others).await
}

async fn send(gateway: &Process, path: &str, body: &Value) -> Option<u16> {
    let url = gateway
        .conversions_url()
        .await
        .replace("/api/meta/conversions", path);
    let request = reqwest::Client::new()
        .post(url)
        .bearer_auth(Key::Secret.as_str())
        .header("X-Idempotency-Key", "once")
        .json(body);
    Some(request.send().await.ok()?.status().as_u16())
}

#[tokio::test]
async fn kill_9_after_any_statement_of_a_capture_leaves_all_or_nothing() {
    let world = World::start().await;
    world.database.execute(HOLD).await;
    let lead = json!({
        "lead": { "name": "Ana de Souza", "email": "ana.souza@example.com" },
        "attribution": { "last": { "gclid": "Cj0K", "at": world.now() * 1_000 } },
        "event": { "event_name": "Lead", "event_id": "l-1", "event_time": world.now(), "action_source": "website",
            "event_source_url": "https://www.clinica.example/",
            "user_data": { "client_user_agent": "Mozilla/5.0", "external_id": "customer-1" } }
    });
    let order = json!({"purchase": {"order_id": "o-1", "value": 129.9, "currency": "BRL", "email": "ana.souza@example.com"}});
    for held in TABLES {
        let (path, body, not_written) = match held {
            "purchases" => (
                "/api/purchases/record",
                &order,
                ["leads", "touchpoints"].as_slice(),
            ),
            _ => ("/api/leads/capture", &lead, ["purchases"].as_slice()),
        };
        let written: Vec<&str> = TABLES
            .into_iter()
            .filter(|table| !not_written.contains(table))
            .collect();
        let trigger = format!(
            "INSERT INTO held DEFAULT VALUES;
             CREATE TRIGGER hold AFTER INSERT ON {held} FOR EACH STATEMENT EXECUTE FUNCTION hold()"
        );
        let mut gateway = Process::gateway(&world.database, &[]);
        // It has connected and prepared its statements, so that only the capture is held.
        gateway.conversions_url().await;
        eventually("the gateway is at rest", || async {
            (others(&world, "state <> 'idle'").await == "0").then_some(())
        })
        .await;
        world.database.execute(&trigger).await;
        let (answer, ()) = tokio::join!(send(&gateway, path, body), async {
            eventually(&format!("a statement on {held} is held"), || async {
                (others(&world, "wait_event = 'PgSleep'").await == "1").then_some(())
            })
            .await;
            rastro_test_support::process::send_signal(gateway.pid(), "KILL");
        });
        assert_eq!(answer, None, "nobody may be told of what is not durable: {held}");
        gateway.end();
        // What the server had received of the transaction goes on now; nobody is there to send the rest.
        world.database.execute("DELETE FROM held").await;
        world
            .database
            .execute(&format!("DROP TRIGGER hold ON {held}"))
            .await;
        eventually("the server is done with it", || async {
            (others(&world, "state <> 'idle'").await == "0").then_some(())
        })
        .await;
        let left = counts(&world, &written).await;
        let is_whole = left.iter().all(|count| count == "1") || left.iter().all(|count| count == "0");
        assert!(is_whole, "killed at {held}: {written:?} {left:?}");

        gateway.revive(&[]).unwrap();
        assert_eq!(send(&gateway, path, body).await, Some(202), "{held}");
        assert_eq!(counts(&world, &written).await, vec!["1"; written.len()], "{held}");
        assert_eq!(
            counts(&world, not_written).await,
            vec!["0"; not_written.len()],
            "{held}"
        );
        gateway.end();
        let all = TABLES.join(", ");
        world.database.execute(&format!("TRUNCATE {all}")).await;
    }
}
