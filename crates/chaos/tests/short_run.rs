//! The short form of `make chaos`: every kind of fault once, under load, on a PostgreSQL of its own.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use rastro_chaos::run::programs_beside;
use rastro_chaos::{FaultKind, Options, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_breaks_no_accepted_event_is_lost_and_none_counts_twice() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let options = Options {
        // One whose faults are over soon.
        seed: 22,
        duration: Duration::from_secs(5),
        clients: 4,
        pause: Duration::from_millis(25),
        repository: repository.to_owned(),
        folder: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chaos"),
        programs: programs_beside(&std::env::current_exe().unwrap()).unwrap(),
    };
    let report = run(&options).await.unwrap();
    assert!(
        report.all_is_well(),
        "{report}\nlogs: {}/logs",
        options.folder.display()
    );
    assert_eq!((report.lost, report.doubled), (0, 0));
    // What proves nothing must not look like a proof.
    assert_eq!(report.faults.len(), FaultKind::ALL.len());
    assert!(report.accepted > 100 && report.balances > 2, "{report}");
    assert!(report.dead > 0, "no poisoned event came: {report}");
    assert_eq!(report.delivered + report.dead, report.accepted);
}
