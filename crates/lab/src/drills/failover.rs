//! Two PostgreSQLs, the second of which has every commit before it is answered (synchronous replication). The
//! first dies under load; the second is promoted; the services find it by themselves, through a URL with
//! both.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use rastro_service::clock::Clock;
use rastro_test_support::cluster::Cluster;
use rastro_test_support::services::Services;
use tokio::task::spawn_blocking;

use super::{Account, Drill, Options, TIMING};
use crate::books::{self, SEALING_KEY};
use crate::chaos::stage;
use crate::{say, until};

/// How long whoever watches the primary takes to believe that it is dead.
const NOTICED_AFTER: Duration = Duration::from_secs(3);

/// Plays it. An error means that the drill itself failed: whether the promises were kept, the account says.
pub async fn run(options: &Options) -> anyhow::Result<Account> {
    say("a primary, and a standby that has every commit before it is answered");
    let (primary, standby) = pair(&options.folder).await?;
    let url = either(primary.url(), standby.url())?;
    let services = Services::beside_this_program(&url, SEALING_KEY);
    // The standby is the one that is asked in the end: what it has not got is lost.
    let scene = stage(standby, &services, &TIMING, &options.folder).await?;
    let mut drill = Drill::begin(scene, &url, options).await?;
    tokio::time::sleep(options.duration / 2).await;

    let now_ms = || Clock::system().now().timestamp_millis();
    let from = now_ms();
    // Dropped, it is deleted: it never comes back.
    spawn_blocking(move || primary.crash().map(|()| drop(primary))).await??;
    drill.done("the primary died");
    tokio::time::sleep(NOTICED_AFTER).await;
    let standby = drill.scene.cluster.clone();
    spawn_blocking(move || standby.promote()).await??;
    drill.scene.downtime.lock().await.push((from, now_ms()));
    drill.done("the standby was promoted");
    drill.until_something_is_accepted().await?;
    drill.done("events were accepted again");
    drill.finish("failover").await
}

/// A primary that answers no commit before its standby has it on disk.
async fn pair(folder: &Path) -> anyhow::Result<(Cluster, Cluster)> {
    let (first, second) = (folder.join("primary"), folder.join("standby"));
    let (primary, standby) = spawn_blocking(move || {
        let primary = Cluster::fresh(&first, "--durable")?;
        let standby = Cluster::following(&second, &primary)?;
        anyhow::Ok((primary, standby))
    })
    .await??;
    let sql = books::connect(primary.url()).await?;
    // Only now, and so not in the copy: promoted, it would wait for a standby of its own.
    sql.batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        .await?;
    sql.batch_execute("SELECT pg_reload_conf()").await?;
    until(Duration::from_secs(30), async || {
        let standbys = sql.query(books::SYNCHRONOUS_STANDBYS, &[]).await?;
        Ok((!standbys.is_empty())
            .then_some(())
            .ok_or("the standby does not follow"))
    })
    .await?;
    Ok((primary, standby))
}

/// The URL of whichever of the two takes writes.
fn either(primary: &str, standby: &str) -> anyhow::Result<String> {
    let address = |url: &str| {
        let host = url.split_once('@')?.1.split_once('/')?.0;
        Some(host.to_owned())
    };
    let address = |url| address(url).context("the URL of a cluster names a host");
    let (before, rest) = primary
        .split_once('@')
        .context("the URL of a cluster names a user")?;
    let (_, database) = rest
        .split_once('/')
        .context("the URL of a cluster names a database")?;
    let hosts = format!("{},{}", address(primary)?, address(standby)?);
    Ok(format!(
        "{before}@{hosts}/{database}?target_session_attrs=read-write"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_names_both_and_wants_the_one_that_takes_writes() {
        let url = either(
            "postgres://postgres:pw@127.0.0.1:20001/postgres",
            "postgres://postgres:pw@127.0.0.1:20002/postgres",
        );
        assert_eq!(
            url.unwrap(),
            "postgres://postgres:pw@127.0.0.1:20001,127.0.0.1:20002/postgres?target_session_attrs=read-write"
        );
    }
}
