//! The short forms of `make drill-failover` and `make drill-restore`, on PostgreSQLs of their own.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::path::PathBuf;
use std::time::Duration;

use rastro_lab::drills::{Options, failover, restore};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_dies_takes_no_acknowledged_event_with_it() {
    let options = Options {
        duration: Duration::from_secs(6),
        clients: 4,
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_restored_sends_nothing_twice_beyond_what_meta_drops() {
    let options = Options {
        duration: Duration::from_secs(9),
        clients: 4,
        folder: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("restore"),
    };
    let account = restore::run(&options).await.unwrap();
    let logs = options.folder.join("logs");
    assert!(account.all_is_well(), "{account}\nlogs: {}", logs.display());
    assert_eq!((account.lost, account.doubled), (0, 0));
    // What proves nothing must not look like a proof: something was gone, and something came to Meta again.
    assert!(account.also[0].0 > 0 && account.repeated_at_meta > 0, "{account}");
    assert_eq!(account.delivered, account.accepted, "{account}");
}
