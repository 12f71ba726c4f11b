//! Ctrl-C and SIGTERM as items of a channel, whoever notices them: a signal, or the keys of the live screen.

use crate::errors::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// More interrupts than are told apart: the first pauses or detaches, the second leaves.
const KEPT: usize = 4;

/// From its start on, SIGINT and SIGTERM do not end the process any more.
pub(crate) struct Interrupts {
    sender: mpsc::Sender<()>,
    receiver: mpsc::Receiver<()>,
}

impl Interrupts {
    /// Begins to listen.
    pub(crate) fn start() -> Result<Self, Error> {
        let (sender, receiver) = mpsc::channel(KEPT);
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let mut signals = signal(kind).map_err(Error::io("cannot listen for Ctrl-C"))?;
            let sender = sender.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    if sender.is_closed() {
                        return;
                    }
                    // A full channel already holds more interrupts than are told apart.
                    let _ = sender.try_send(());
                }
            });
        }
        Ok(Self { sender, receiver })
    }

    /// For another source of interrupts.
    pub(crate) fn sender(&self) -> mpsc::Sender<()> {
        self.sender.clone()
    }

    /// The next one.
    pub(crate) async fn next(&mut self) {
        if self.receiver.recv().await.is_none() {
            // Cannot happen while `self.sender` lives; never interrupting is the harmless answer.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn interrupts_of_any_source_arrive() {
        let mut interrupts = Interrupts::start().unwrap();
        interrupts.sender().try_send(()).unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(5), interrupts.next()).await.unwrap();
    }
}
