//! What came of a request is recorded, whatever the database does meanwhile; and nothing is sent that may be
//! another's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rastro_sandbox::{Fault, FaultKind};
use rastro_test_support::{TestDatabase, World, eventually};

use crate::support::{accept, accept_ids, ids, outage, poison};

/// Lets nobody use the database, and ends whoever does.
async fn take_away(elsewhere: &TestDatabase, name: &str) {
    // In two transactions: until the first has ended, a connection that was lost could be made anew.
    elsewhere
        .execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        .await;
    elsewhere
        .execute(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        ))
        .await;
}

async fn give_back(elsewhere: &TestDatabase, name: &str) {
    elsewhere
        .execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        .await;
}

/// Takes the database away while Meta has a request, and gives it back when Meta has answered and a try to
/// record that has failed.
async fn lose_the_database_while_meta_has(world: &World, elsewhere: &TestDatabase, requests: u64) {
    let name = world.database.name();
    eventually("Meta has the request", || async {
        (world.sandbox.counts().requests == requests).then_some(())
    })
    .await;
    take_away(elsewhere, name).await;
    let answered = requests as usize;
    eventually("Meta has answered", || async {
        let requests = world.sandbox.requests();
        let done = requests.iter().filter(|request| request.status.is_some()).count();
        (done == answered).then_some(())
    })
    .await;
    eventually("tries to record it have met a closed door", || async {
        (world.forwarders_count("database_retries") >= 3).then_some(())
    })
    .await;
    give_back(elsewhere, name).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_of_a_request_is_recorded_when_the_database_is_back() {
    let elsewhere = TestDatabase::create_empty().await;
    // What Meta does, and how many events are then delivered, waiting and dead.
    for (fault, expected) in [
        (None, (3, 0, 0)),
        (Some(Fault::new(outage())), (0, 3, 0)),
        (Some(poison()), (2, 0, 1)),
    ] {
        let mut world = World::start().await;
        let slow = Fault::new(FaultKind::Latency { ms: 400 }).times(1);
        world.sandbox.fail_with(slow).unwrap();
        if let Some(fault) = fault {
            world.sandbox.fail_with(fault).unwrap();
        }
        accept(&world, &["poison", "b", "c"]).await;
        world.start_forwarder();
        lose_the_database_while_meta_has(&world, &elsewhere, 1).await;
        eventually("all of it is recorded", || async {
            let census = world.census().await;
            (census.in_flight + census.ready == 0).then_some(())
        })
        .await;
        let census = world.census().await;
        assert_eq!((census.delivered, census.waiting, census.dead), expected);
        assert_eq!(world.sandbox.counts().repeated, 0, "{expected:?}");
        let attempts = "SELECT count(*) || ' ' || max(attempt) FROM send_attempts";
        let each_once = format!("{} 1", world.sandbox.requests().len());
        assert_eq!(world.database.value(attempts).await, each_once, "{expected:?}");
    }
}

/// A PostgreSQL server of this test's own, deleted with the value.
struct Server(PathBuf);

impl Server {
    fn start(folder: &Path) -> (Self, String) {
        let url = postgres("start", folder);
        (Server(folder.to_owned()), url)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        postgres("destroy", &self.0);
    }
}

/// Runs scripts/postgres.sh, which prints where the server listens.
fn postgres(command: &str, folder: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres.sh");
    let output = Command::new(script).arg(command).arg(folder).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "postgres.sh {command}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_for_ten_seconds_after_meta_took_the_events_causes_no_repeat() {
    let folder = std::env::temp_dir().join(format!("rastro-restart-{}", std::process::id()));
    let (_server, url) = Server::start(&folder);
    let mut world = World::on(TestDatabase::create_on(&url).await).await;
    world
        .sandbox
        .fail_with(Fault::new(FaultKind::Latency { ms: 1_500 }))
        .unwrap();
    accept_ids(&world, &ids("a", 100)).await;
    world.start_forwarder_with(|config| config.batch_size = 25);
    eventually("Meta has four requests", || async {
        (world.sandbox.counts().requests == 4).then_some(())
    })
    .await;
    postgres("stop", &folder);
    eventually("Meta took them all", || async {
        (world.sandbox.counts().received == 100).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(postgres("start", &folder), url, "it listens where it did");
    assert_eq!(world.settle().await.delivered, 100);
    let counts = world.sandbox.counts();
    assert_eq!((counts.requests, counts.unique, counts.repeated), (4, 100, 0));
    let attempts = "SELECT count(*) || ' ' || max(attempt) FROM send_attempts";
    assert_eq!(world.database.value(attempts).await, "4 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarder_that_was_held_up_past_its_lease_looks_at_it_before_it_sends() {
    let mut world = World::start().await;
    // Reading an access token waits for the lock that this test holds, and nothing else does.
    world
        .database
        .execute(
            "CREATE FUNCTION held_up(token bytea) RETURNS bytea LANGUAGE plpgsql STABLE AS $$
             BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN token; END $$;
             ALTER TABLE datasets RENAME TO real_datasets;
             CREATE VIEW datasets AS SELECT dataset_id, name, held_up(access_token_sealed) AS access_token_sealed,
                default_country, default_currency, test_event_code, test_event_code_expires_at, updated_at
             FROM real_datasets",
        )
        .await;
    world.start_forwarder_with(|config| config.lease_seconds = 2);
    let hold = world
        .database
        .execute("SELECT pg_advisory_lock(42), pg_sleep(60)");
    let work = async {
        let is_held = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND granted";
        eventually("the lock is held", || async {
            world.database.query(is_held).await.pop()
        })
        .await;
        accept(&world, &["a"]).await;
        let waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted";
        eventually("the forwarder has claimed the event and waits", || async {
            world.database.query(waits).await.pop()
        })
        .await;
        world.advance(Duration::from_secs(10)).await;
        let taken = world
            .store
            .take_over_batch(&[], Duration::from_secs(60), "heir")
            .await;
        taken.unwrap().expect("the lease has ended")
    };
    let heir = tokio::select! {
        () = hold => panic!("the lock was not held"),
        heir = work => heir,
    };
    // The forwarder goes on, and finds that the batch is not its own any more.
    let holder = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND granted";
    world.database.execute(holder).await;
    let waits = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND objid = 42";
    eventually("nobody waits", || async {
        (world.database.value(waits).await == "0").then_some(())
    })
    .await;
    assert!(world.store.release_batch(&heir).await.unwrap());
    assert_eq!(world.settle().await.delivered, 1);
    assert_eq!(world.sandbox.requests().len(), 1);
}
