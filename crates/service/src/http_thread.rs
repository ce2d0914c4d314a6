//! An actix server on an operating-system thread of its own, so that nothing the rest of the process does
//! to its runtime can stop it from answering.

use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;

use actix_web::dev::{Server, ServerHandle};
use anyhow::Context as _;
use tracing::error;

/// A running server. Dropping it closes its connections and waits, for milliseconds, until it is gone.
#[derive(Debug)]
pub(crate) struct HttpThread {
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl HttpThread {
    /// Starts the server that `build` makes; `build` runs on the new thread, inside an actix system.
    pub(crate) fn start(
        name: &'static str,
        build: impl FnOnce() -> io::Result<Server> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let (started, is_started) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                actix_web::rt::System::new().block_on(async move {
                    let server = match build() {
                        Ok(server) => server,
                        // `start` waits for this message, so it cannot be lost.
                        Err(error) => return drop(started.send(Err(error))),
                    };
                    if started.send(Ok(server.handle())).is_ok()
                        && let Err(error) = server.await
                    {
                        error!("the {name} server stopped: {error}");
                    }
                });
            })
            .with_context(|| format!("cannot start the thread of the {name} server"))?;
        let handle = is_started
            .recv()
            .with_context(|| format!("the thread of the {name} server died"))?
            .with_context(|| format!("cannot start the {name} server"))?;
        Ok(Self {
            handle,
            thread: Some(thread),
        })
    }
}

impl Drop for HttpThread {
    fn drop(&mut self) {
        // The command is sent by the call; awaiting the future would only say when it was done.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("an http thread panicked");
        }
    }
}
