//! The short forms of the drills, on PostgreSQLs of their own.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::path::PathBuf;
use std::time::Duration;

use rastro_lab::drills::{Account, Options, failover, restore, upgrade};
use rastro_lab::variable;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_dies_takes_no_acknowledged_event_with_it() {
    let options = Options {
        duration: Duration::from_secs(6),
        clients: 4,
        history: 0,
        folder: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("failover"),
    };
    let account = failover::run(&options).await.unwrap();
    let logs = options.folder.join("logs");
    assert!(account.all_is_well(), "{account}\nlogs: {}", logs.display());
    assert_eq!((account.lost, account.doubled), (0, 0));
    // What proves nothing must not look like a proof: events on both sides of the failover, and nothing
    // during it.
    assert!(account.accepted > 100, "{account}");
    assert!(account.longest_stall_seconds > 2.0, "{account}");
    assert_eq!(account.delivered, account.accepted, "{account}");
}

async fn restored(target: restore::Target, folder: &str) -> Account {
    let options = Options {
        duration: Duration::from_secs(9),
        clients: 4,
        history: 0,
        folder: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder),
    };
    let account = restore::run(&options, target).await.unwrap();
    let logs = options.folder.join("logs");
    assert!(account.all_is_well(), "{account}\nlogs: {}", logs.display());
    assert_eq!((account.lost, account.doubled), (0, 0));
    // What proves nothing must not look like a proof: something was gone, and something came to Meta again.
    assert!(account.also[0].0 > 0 && account.repeated_at_meta > 0, "{account}");
    assert_eq!(account.delivered, account.accepted, "{account}");
    account
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_restored_sends_nothing_twice_beyond_what_meta_drops() {
    restored(restore::Target::EndOfArchive, "restore").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_back_to_a_moment_sends_nothing_twice_beyond_what_meta_drops() {
    let account = restored(restore::Target::PointInTime, "moment").await;
    let went_back = |(_, step): &(f64, String)| step.contains("restored to that moment");
    assert!(account.steps.iter().any(went_back), "{account}");
}

/// Where `PREVIOUS_BIN_DIR` names a folder with programs of the release before, all five services.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_of_the_release_before_go_on_while_each_is_replaced_by_a_new_one() {
    let Some(previous) = variable("PREVIOUS_BIN_DIR") else {
        eprintln!("skipped: PREVIOUS_BIN_DIR names no programs of the release before");
        return;
    };
    let options = Options {
        duration: Duration::from_secs(10),
        clients: 4,
        history: 2_000,
        folder: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("upgrade"),
    };
    let account = upgrade::run(&options, &PathBuf::from(previous)).await.unwrap();
    let logs = options.folder.join("logs");
    assert!(account.all_is_well(), "{account}\nlogs: {}", logs.display());
    assert_eq!((account.lost, account.doubled), (0, 0));
    assert!(account.accepted > 100, "{account}");
    let replaced = account.steps.iter().filter(|(_, step)| step.ends_with(" is new"));
    assert_eq!(replaced.count(), 9, "{account}");
}
