//! The wish to stop: one value that everything which loops or waits holds a clone of.

use std::future::Future;
use std::sync::mpsc;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Exit codes of a process that a signal ended, as shells report them: 128 + the signal's number.
const EXIT_SIGINT: i32 = 130;
const EXIT_SIGTERM: i32 = 143;

/// Says whether the process, or the part of it this value was handed to, has been asked to stop.
/// Clones share one state. Once asked, it stays asked.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A shutdown that only [`trigger`](Self::trigger) requests.
    pub fn new() -> Self {
        Self::default()
    }

    /// A shutdown that SIGTERM or SIGINT requests. A second signal ends the process at once with code
    /// 143 or 130, for the operator who will not wait for the drain.
    ///
    /// # Errors
    /// When the signal handlers or their thread cannot be set up.
    pub fn on_signal() -> anyhow::Result<Self> {
        let shutdown = Self::new();
        let requested = shutdown.clone();
        let (ready, is_ready) = mpsc::channel();
        // On a thread of its own: a second signal must work above all when the main runtime is stuck.
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || listen(requested, &ready))
            .context("cannot start the thread that waits for signals")?;
        is_ready
            .recv()
            .context("the thread that waits for signals died")??;
        Ok(shutdown)
    }

    /// Asks for the shutdown.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Completes when the shutdown is requested; at once if it already was.
    pub fn requested(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.clone().cancelled_owned()
    }

    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// A shutdown that follows this one, but can be triggered without stopping this one.
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }
}

/// Reports on `ready` whether the handlers are in place, then waits for signals as long as the process lives.
fn listen(shutdown: Shutdown, ready: &mpsc::Sender<anyhow::Result<()>>) {
    let prepare = || -> anyhow::Result<_> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let _guard = runtime.enter();
        let signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok((runtime, signals))
    };
    match prepare().context("cannot listen for signals") {
        Ok((runtime, (mut interrupt, mut terminate))) => {
            if ready.send(Ok(())).is_ok() {
                runtime.block_on(async {
                    let (name, _) = next_signal(&mut interrupt, &mut terminate).await;
                    info!("{name} received, shutting down; a second signal exits at once");
                    shutdown.trigger();
                    let (name, code) = next_signal(&mut interrupt, &mut terminate).await;
                    warn!("{name} received while shutting down, exiting at once");
                    std::process::exit(code);
                });
            }
        }
        // Nobody listens only if `on_signal` was itself torn down, and then nobody waits for the reason.
        Err(error) => drop(ready.send(Err(error))),
    }
}

async fn next_signal(interrupt: &mut Signal, terminate: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = interrupt.recv() => ("SIGINT", EXIT_SIGINT),
        _ = terminate.recv() => ("SIGTERM", EXIT_SIGTERM),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_trigger_reaches_clones_and_children_and_stays() {
        let shutdown = Shutdown::new();
        let (clone, child) = (shutdown.clone(), shutdown.child());
        let waiting = tokio::spawn(child.requested());
        assert!(!clone.is_requested() && !child.is_requested());
        shutdown.trigger();
        tokio::time::timeout(Duration::from_secs(10), waiting)
            .await
            .unwrap()
            .unwrap();
        assert!(clone.is_requested() && child.is_requested());
        clone.requested().await;
    }

    #[test]
    fn a_child_that_stops_leaves_its_parent_running() {
        let shutdown = Shutdown::new();
        let child = shutdown.child();
        child.trigger();
        assert!(child.is_requested() && !shutdown.is_requested());
    }
}
