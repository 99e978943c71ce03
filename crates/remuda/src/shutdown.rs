//! Being asked to stop, by the terminal or by the system: once politely, twice at once.

use std::future::Future;
use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Counts SIGINT and SIGTERM from when it is made.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    times: watch::Receiver<u32>,
}

impl Asked {
    /// Listens from now on; before, either signal ends the process.
    pub(crate) fn listen() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (count, times) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                count.send_modify(|times| *times += 1);
            }
        });
        Ok(Self { times })
    }

    /// Resolves when asked.
    pub(crate) async fn once(&self) {
        self.so_often(1).await;
    }

    /// Finishes `stop`, unless it is asked again: then whatever is left is left.
    pub(crate) async fn or_again(&self, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => {}
            () = self.so_often(2) => tracing::warn!("asked again: what is left is not waited for"),
        }
    }

    async fn so_often(&self, wanted: u32) {
        // The counting task lives as long as the runtime.
        drop(self.times.clone().wait_for(|times| *times >= wanted).await);
    }
}
