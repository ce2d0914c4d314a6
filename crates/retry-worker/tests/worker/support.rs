//! What these tests share: events, faults, and time that passes with everything happening that falls due in
//! it.

use std::time::Duration;

use rastro_sandbox::FaultKind;
use rastro_test_support::events::lead;
use rastro_test_support::{Key, World, eventually};
use serde_json::json;

/// True while the services still have something to do at this very instant of the database's clock.
const BUSY: &str = "
    EXISTS (SELECT FROM send_batches)
    OR EXISTS (SELECT FROM circuit_breakers WHERE state = 'open' AND open_until <= rastro_now())
    OR EXISTS (SELECT FROM send_queue WHERE NOT EXISTS (SELECT FROM circuit_breakers WHERE state = 'open'))
    OR EXISTS (
        SELECT FROM meta_retry_queue WHERE status = 'waiting' AND next_retry_at <= rastro_now()
        AND NOT EXISTS (SELECT FROM circuit_breakers WHERE state = 'open')
    )
    OR EXISTS (
        SELECT FROM meta_retry_queue WHERE status = 'waiting'
        AND EXISTS (SELECT FROM circuit_breakers WHERE state = 'half_open')
    )";

/// The whole seconds until something else falls due; at most an hour.
const NEXT: &str = "
    SELECT least(3600, greatest(1, coalesce(ceil(extract(epoch FROM least(
        (SELECT min(next_retry_at) FROM meta_retry_queue WHERE status = 'waiting' AND next_retry_at > rastro_now()),
        (SELECT min(open_until) FROM circuit_breakers WHERE state = 'open')
    ) - rastro_now())), 3600)))::bigint::text";

/// Has events of these ids accepted, five hundred a request.
pub(crate) async fn accept(world: &World, ids: &[String]) {
    for ids in ids.chunks(500) {
        let events: Vec<_> = ids.iter().map(|id| lead(id, world.now())).collect();
        let answer = world.post(Key::Secret, &json!({ "events": events })).await;
        assert_eq!(answer.json["accepted"], ids.len(), "{answer:?}");
    }
}

/// So many ids that begin with `prefix`.
pub(crate) fn ids(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

/// Meta's answer while it is down.
pub(crate) fn outage() -> FaultKind {
    error(503, 2, None)
}

/// Meta's answer with this status and code, and how many seconds it asks to wait.
pub(crate) fn error(http_status: u16, code: i32, retry_after: Option<u64>) -> FaultKind {
    FaultKind::Error {
        http_status,
        code,
        subcode: None,
        is_transient: code == 2,
        message: None,
        retry_after,
        headers: Default::default(),
        processed: false,
    }
}

/// Waits until the services have done all that is due now.
pub(crate) async fn quiet(world: &World) {
    eventually("everything that is due is done", || async {
        (world.database.value(&format!("SELECT ({BUSY})::text")).await == "false").then_some(())
    })
    .await;
}

/// Lets so much time pass, stopping at every instant at which something falls due.
pub(crate) async fn pass(world: &World, total: Duration) {
    let end = world.database_now().await + total;
    loop {
        quiet(world).await;
        let left = (end - world.database_now().await).num_seconds();
        if left <= 0 {
            return;
        }
        let next: i64 = world.database.value(NEXT).await.parse().unwrap();
        world
            .advance(Duration::from_secs(next.min(left).unsigned_abs()))
            .await;
    }
}

/// Lets time pass until nothing is on its way any more, at most `limit`.
pub(crate) async fn pass_until_settled(world: &World, limit: Duration) {
    let end = world.database_now().await + limit;
    loop {
        quiet(world).await;
        let census = world.census().await;
        if census.pending() == 0 {
            return;
        }
        assert!(
            world.database_now().await < end,
            "still on their way after {limit:?}: {census:?}"
        );
        let next: u64 = world.database.value(NEXT).await.parse().unwrap();
        world.advance(Duration::from_secs(next)).await;
    }
}

/// State and reason of the one breaker there is.
pub(crate) async fn breaker(world: &World) -> (String, String) {
    let rows = world
        .database
        .query("SELECT state, coalesce(reason, '') FROM circuit_breakers")
        .await;
    match rows.as_slice() {
        [] => ("closed".into(), String::new()),
        [row] => (row[0].clone().unwrap(), row[1].clone().unwrap()),
        _ => panic!("{rows:?}"),
    }
}
