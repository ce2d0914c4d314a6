//! The short form of `make chaos`: every kind of fault once, under load, on a PostgreSQL of its own.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::path::PathBuf;
use std::time::Duration;

use rastro_lab::chaos::plan::{FaultKind, Timing};
use rastro_lab::chaos::{Options, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_breaks_no_accepted_event_is_lost_and_none_counts_twice() {
    let options = Options {
        // One whose faults are over soon.
        seed: 22,
        duration: Duration::from_secs(5),
        clients: 4,
        timing: Timing::HURRIED,
        folder: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chaos"),
    };
    let report = run(&options).await.unwrap();
    let logs = options.folder.join("logs");
    assert!(report.all_is_well(), "{report}\nlogs: {}", logs.display());
    assert_eq!(
        (report.lost, report.doubled, report.repeats_caused_by_us),
        (0, 0, 0)
    );
    // What proves nothing must not look like a proof.
    assert_eq!(report.faults.len(), FaultKind::ALL.len());
    assert!(report.accepted > 100 && report.balances > 2, "{report}");
    assert!(report.dead > 0, "no poisoned event came: {report}");
    assert_eq!(report.delivered + report.dead, report.accepted);
}
