//! What the commands share that a program keeps beside it: the engine, which may be gone for a while, and JSON lines.

use crate::args::Global;
use crate::client::Client;
use crate::connect::{self, Need, Session};
use crate::errors::Error;
use crate::output;
use serde_json::Value;
use std::io::{BufRead as _, Read as _};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

/// Bytes of a line.
const LONGEST_LINE: u64 = 8 << 20;
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(500);

/// An engine that is tried again when it does not answer.
pub(super) struct Patient {
    global: Global,
    session: Mutex<Session>,
    need: Need,
    patience: Duration,
}

impl Patient {
    /// Around an open session; `need`: what it was opened for; `patience`: for so long an engine is tried again.
    pub(super) fn new(global: &Global, session: Session, need: Need, patience: Duration) -> Self {
        Self { global: global.clone(), session: Mutex::new(session), need, patience }
    }

    /// Talks to the engine as it was last found.
    pub(super) async fn client(&self) -> Client {
        self.session.lock().await.client.clone()
    }

    /// Calls, and calls again while the engine cannot be reached; it may have another address then.
    pub(super) async fn call<T, F>(&self, call: impl Fn(Client) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let give_up = Instant::now() + self.patience;
        loop {
            let error = match call(self.client().await).await {
                Err(error) if error.is_transient() && Instant::now() < give_up => error,
                answer => return answer,
            };
            tracing::info!(%error, "the engine does not answer; trying again");
            tokio::time::sleep(AGAIN).await;
            self.reopen().await;
        }
    }

    /// Looks for the engine anew, unless it runs in this process.
    async fn reopen(&self) {
        let mut session = self.session.lock().await;
        if session.is_embedded() {
            return;
        }
        match connect::open(&self.global, self.need).await {
            Ok(found) => *session = found,
            Err(error) => tracing::info!(%error, "no engine yet"),
        }
    }

    /// Ends what runs in this process.
    pub(super) async fn close(self, grace: Duration) -> Result<(), Error> {
        self.session.into_inner().close(grace).await
    }
}

/// Closes after an error, and answers with that.
pub(super) async fn closed(session: Session, error: Error, grace: Duration) -> Error {
    if let Err(second) = session.close(grace).await {
        tracing::warn!(error = %second, "closing after an error");
    }
    error
}

/// The lines of standard input, read by a thread of their own: a read cannot be given up.
pub(super) fn input() -> mpsc::Receiver<std::io::Result<String>> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut line = String::new();
            let read = match (&mut stdin).take(LONGEST_LINE).read_line(&mut line) {
                Ok(0) => return,
                Ok(_) if line.len() as u64 >= LONGEST_LINE => {
                    Err(std::io::Error::other("a line is too long"))
                }
                Ok(_) => Ok(line),
                Err(error) => Err(error),
            };
            let ends = read.is_err();
            if sender.blocking_send(read).is_err() || ends {
                return;
            }
        }
    });
    receiver
}

/// Writes one line.
pub(super) fn say(value: &Value) -> Result<(), Error> {
    output::print(&format!("{value}\n"))
}
