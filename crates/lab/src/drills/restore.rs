//! A base backup is taken under load, and the log is archived. Then the database is lost with its machine,
//! and restored from the two, at the same address: to the last archived log, or to a moment before that. What
//! was committed after it is gone; what was delivered after it is ready once more. The drill does what
//! `proto-docs/operation.md` tells an operator to do, and counts both.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rastro_sandbox::{EventFilter, Sandbox};
use rastro_service::clock::Clock;
use rastro_test_support::cluster::Cluster;
use rastro_test_support::http::Connection;
use rastro_test_support::services::Services;
use tokio::task::spawn_blocking;
use tokio_postgres::Client;

use super::{Account, Drill, Options};
use crate::books::{self, Ledger, SEALING_KEY};
use crate::chaos::plan::Timing;
use crate::chaos::{DRAIN, clients, stage};
use crate::say;

/// What was leased when the log ended is leased in the restored database, too, by forwarders that are gone.
const TIMING: Timing = Timing::HURRIED;
/// Events in one request of a server that sends again what it does not know of.
const RESENT_AT_ONCE: usize = 100;
/// How long a response of the lost database may still be on its way to a client.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// What the database is restored to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    EndOfArchive,
    /// A moment before that, as after somebody's mistake.
    PointInTime,
}

/// Plays it. An error means that the drill itself failed: whether the promises were kept, the account says.
pub async fn run(options: &Options, target: Target) -> anyhow::Result<Account> {
    say("a database whose log is archived");
    let folder = options.folder.join("lost");
    let lost = spawn_blocking(move || Cluster::fresh(&folder, "--durable")).await??;
    let (lost, archive) = archived(lost).await?;
    let url = lost.url().to_owned();
    let services = Services::beside_this_program(&url, SEALING_KEY);
    let scene = stage(lost, &services, &TIMING, &options.folder).await?;
    let mut drill = Drill::begin(scene, &url, options).await?;
    tokio::time::sleep(options.duration / 6).await;

    let (folder, running) = (options.folder.join("restored"), drill.scene.cluster.clone());
    let restored = spawn_blocking(move || Cluster::backup(&folder, &running)).await??;
    drill.done("a base backup was taken");
    tokio::time::sleep(options.duration / 6).await;
    let moment = match target {
        Target::EndOfArchive => None,
        Target::PointInTime => {
            let sql = books::connect(&url).await?;
            let moment: String = sql.query_one(books::MOMENT, &[]).await?.get(0);
            drill.done("this is the moment that is gone back to");
            // So that the archive holds what is not wanted.
            tokio::time::sleep(options.duration / 10).await;
            Some(moment)
        }
    };
    archive_now(&books::connect(&url).await?).await?;
    drill.done("the log until now is in the archive");
    tokio::time::sleep(options.duration / 10).await;

    let from = Clock::system().now().timestamp_millis();
    let running = drill.scene.cluster.clone();
    spawn_blocking(move || running.crash()).await??;
    for forwarder in &drill.scene.fleet.forwarders {
        forwarder.lock().await.end()?;
    }
    drill.done("the database was lost; the forwarders were stopped");
    tokio::time::sleep(LAST_ANSWERS).await;
    let promised: HashSet<String> = drill.scene.book.told().into_keys().collect();
    let at_meta = ids_at_meta(&drill.scene.sandbox);
    let to = moment.clone();
    let recover = move || restored.recover(&archive, to.as_deref()).map(|()| restored);
    let restored = spawn_blocking(recover).await??;
    let sql = books::connect_within(&url, DRAIN).await?;
    until_it_takes_writes(&sql).await?;
    drill.scene.cluster = Arc::new(restored);
    let until = Clock::system().now().timestamp_millis();
    drill.scene.downtime.lock().await.push((from, until));
    drill.done(match target {
        Target::EndOfArchive => "the database was restored to the end of the archive",
        Target::PointInTime => "the database was restored to that moment",
    });

    let texts = async |query: &str| -> anyhow::Result<HashSet<String>> {
        Ok(sql
            .query(query, &[])
            .await?
            .iter()
            .map(|row| row.get(0))
            .collect())
    };
    // Not what clients have sent since it takes writes again: that was gone, too.
    let stored = texts(&books::received_between("-infinity", from)).await?;
    if let Some(moment) = &moment {
        let later = texts(&books::received_between(moment, from)).await?.len();
        ensure!(
            later == 0,
            "{later} events of after the moment are in the restored database"
        );
    }
    let forgotten = texts(books::WITHOUT_A_DELIVERY).await?;
    // Else everything that Meta gets again would look explained.
    ensure!(
        forgotten.len() < stored.len(),
        "nothing that was archived is known to be delivered"
    );
    let gone: Vec<String> = promised.difference(&stored).cloned().collect();
    let to_come_again: HashSet<String> = forgotten.intersection(&at_meta).cloned().collect();
    let gone_unsent = gone.iter().filter(|id| !at_meta.contains(*id)).count();
    let gone_count = gone.len();
    // Whoever sent them cannot know which are gone; sending again what is there is harmless, and so is this.
    send_again(&drill, &gone).await?;
    drill.done("servers sent again what they had sent since");
    for forwarder in &drill.scene.fleet.forwarders {
        forwarder.lock().await.revive()?;
    }
    drill.done("the forwarders were started");
    drill.until_something_is_accepted().await?;

    let (drained, stall, report, census) = drill.drain().await?;
    let ledger = Ledger::read(&sql).await?;
    let mut account = Account::new("restore", drained.steps, stall, report);
    let told = drained.scene.book.told();
    let gone: HashSet<String> = gone.into_iter().collect();
    let (mut counted, mut repeats) = (HashSet::new(), HashSet::new());
    for event in drained.scene.sandbox.events(&EventFilter::default()) {
        let id = event.event_id.unwrap_or_default();
        if event.repeated {
            account.repeated_at_meta += 1;
            repeats.insert(id);
        } else if !counted.insert(id) {
            account.doubled += 1;
        }
    }
    account.accepted = number(told.len());
    account.delivered = number(counted.len());
    let lost = |id: &&String| !counted.contains(*id) && !ledger.dead.contains_key(*id);
    account.lost = number(told.keys().filter(lost).count());
    account.also = vec![
        (
            number(gone_count),
            "accepted after what was restored, and gone from the database",
        ),
        (
            number(gone_unsent),
            "of these had not reached Meta; they came when they were sent again",
        ),
        (
            number(to_come_again.len()),
            "delivered after what was restored, and ready once more",
        ),
    ];
    // The processes that were stopped may have had answers in their hands, too: those are in `forgotten`.
    let unexplained = repeats
        .iter()
        .filter(|id| !to_come_again.contains(*id) && !gone.contains(*id))
        .count();
    // A client that was slow to read its answer is none of `promised`, and may repeat an event that is gone.
    let twice = told
        .iter()
        .filter(|(id, told)| told.accepted > 1 && stored.contains(*id))
        .count();
    for (count, what) in [
        (
            account.lost,
            "no loss: accepted, but neither at Meta nor a dead letter",
        ),
        (account.doubled, "no effective duplicate: Meta counts it twice"),
        (
            number(unexplained),
            "came to Meta again although the archive had their delivery",
        ),
        (
            number(twice),
            "told \"accepted\" twice although the archive had them",
        ),
    ] {
        if count > 0 {
            account.violations.push(format!("{what}: {count} events"));
        }
    }
    if census.pending() > 0 || census.lost() != 0 {
        account
            .violations
            .push(format!("the books do not balance: {census:?}"));
    }
    let unexpected = drained.scene.book.unexpected();
    account.violations.extend(
        unexpected
            .into_iter()
            .map(|said| format!("clear answers: {said}")),
    );
    Ok(account)
}

fn number(count: usize) -> u64 {
    u64::try_from(count).expect("a count fits")
}

/// Lets a new cluster archive its log; the folder that it goes to.
async fn archived(cluster: Cluster) -> anyhow::Result<(Cluster, PathBuf)> {
    let sql = books::connect(cluster.url()).await?;
    let data: String = sql.query_one("SHOW data_directory", &[]).await?.get(0);
    let data = PathBuf::from(data);
    // Beside the data, where the server's user may write; in life it is on another machine.
    let archive = data.parent().context("a folder is in a folder")?.join("archive");
    let path = archive.display();
    for statement in [
        "ALTER SYSTEM SET archive_mode = on".to_owned(),
        format!("ALTER SYSTEM SET archive_command = 'mkdir -p \"{path}\" && cp \"%p\" \"{path}/%f\"'"),
    ] {
        sql.batch_execute(&statement).await?;
    }
    drop(sql);
    let cluster = spawn_blocking(move || {
        cluster.stop()?;
        cluster.restart()?;
        anyhow::Ok(cluster)
    })
    .await??;
    Ok((cluster, archive))
}

/// Ends the current file of the log, and waits until it is in the archive.
async fn archive_now(sql: &Client) -> anyhow::Result<()> {
    let file: String = sql.query_one(books::END_OF_LOG_FILE, &[]).await?.get(0);
    let began = Instant::now();
    loop {
        let last: Option<String> = sql.query_one(books::LAST_ARCHIVED, &[]).await?.get(0);
        if last.is_some_and(|last| last >= file) {
            return Ok(());
        }
        ensure!(began.elapsed() < DRAIN, "the log is not archived");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn until_it_takes_writes(sql: &Client) -> anyhow::Result<()> {
    let began = Instant::now();
    while sql.query_one(books::IS_IN_RECOVERY, &[]).await?.get::<_, bool>(0) {
        ensure!(
            began.elapsed() < DRAIN,
            "the restored database does not come out of recovery"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn ids_at_meta(sandbox: &Sandbox) -> HashSet<String> {
    let events = sandbox.events(&EventFilter::default());
    events.into_iter().filter_map(|event| event.event_id).collect()
}

/// As a server does that keeps what it has sent for a while.
async fn send_again(drill: &Drill, ids: &[String]) -> anyhow::Result<()> {
    for ids in ids.chunks(RESENT_AT_ONCE) {
        let began = Instant::now();
        let request = clients::batch(ids);
        loop {
            let mut connection = Connection::open(drill.scene.gateways[0]).await?;
            let answer = connection.exchange(&request).await?;
            // 503 while the gateway has not found the database again.
            if answer.status != 503 {
                let text = String::from_utf8_lossy(answer.body);
                ensure!(
                    matches!(answer.status, 200 | 202),
                    "sent again: {}: {text}",
                    answer.status
                );
                break;
            }
            ensure!(
                began.elapsed() < DRAIN,
                "the gateway does not find the restored database"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}
