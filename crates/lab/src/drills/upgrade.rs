//! The previous version runs under load, all five services, on a database that may hold events of before. The
//! database is brought to the new schema meanwhile; then every process is replaced in turn, while the others,
//! old and new, go on side by side.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use rastro_test_support::cluster::Cluster;
use rastro_test_support::process::beside;
use rastro_test_support::services::Services;
use tokio::task::spawn_blocking;

use super::{Account, Drill, Options, TIMING};
use crate::books::{self, HISTORY, SEALING_KEY};
use crate::chaos::stage;
use crate::say;

/// How long old and new run side by side before the next one is replaced, at most.
const SIDE_BY_SIDE: Duration = Duration::from_secs(2);
/// Events in one request of those that were delivered before.
const BATCH: i64 = 1_000;

/// Plays it, from the programs in the folder `previous` to those beside this one. An error means that the
/// drill itself failed: whether the promises were kept, the account says.
pub async fn run(options: &Options, previous: &Path) -> anyhow::Result<Account> {
    ensure!(
        previous.join("ingest-gateway").is_file(),
        "{} holds no programs",
        previous.display()
    );
    say("the previous version");
    let folder = options.folder.join("postgres");
    let cluster = spawn_blocking(move || Cluster::fresh(&folder, "--durable")).await??;
    let new = Services::beside_this_program(cluster.url(), SEALING_KEY);
    let old = new.clone().from(previous);
    let mut scene = stage(cluster, &old, &TIMING, &options.folder).await?;
    let url = new.database_url.clone();
    scene.fleet.start_others(&old)?;
    if options.history > 0 {
        say(&format!("{} events of before", options.history));
        books::make_partitions_of_production(&url).await?;
        books::fill_history(&url, HISTORY, options.history, BATCH).await?;
    }
    let side_by_side = SIDE_BY_SIDE.min(options.duration / 20);
    let mut drill = Drill::begin(scene, &url, options).await?;
    tokio::time::sleep(options.duration / 6).await;

    let before = drill.scene.book.longest_stall_since();
    let began = Instant::now();
    new.migrate().await?;
    let took = began.elapsed().as_secs_f64();
    drill.until_something_is_accepted().await?;
    let (during, before) = (
        drill.scene.book.longest_stall_since().as_secs_f64(),
        before.as_secs_f64(),
    );
    drill.done(&format!(
        "the database was migrated in {took:.1} s; nothing was accepted for {during:.2} s at the longest \
         meanwhile, and for {before:.2} s before"
    ));
    tokio::time::sleep(side_by_side).await;

    let names = {
        let mut names = Vec::new();
        for service in drill.scene.fleet.all() {
            let mut service = service.lock().await;
            service.replace(&beside()).await?;
            names.push((
                drill.began.elapsed().as_secs_f64(),
                format!("{} is new", service.name()),
            ));
            drop(service);
            tokio::time::sleep(side_by_side).await;
        }
        names
    };
    drill.steps.extend(names);
    drill.until_something_is_accepted().await?;
    drill.finish("upgrade").await
}
