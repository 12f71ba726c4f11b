//! The program that decides a search: its decisions, and whether it listens.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use tokio::sync::oneshot;
use toprung_proto::v1::{self, journal_record::Input};

use super::shell::Shell;
use crate::actors::now_ms;
use crate::experiment::directing::{Checked, RefusedDecision};

/// Who listens to what happens in an experiment. Nothing that is decided depends on it: it is for people.
#[derive(Debug, Default)]
pub struct Listening {
    open: AtomicUsize,
    heard_ms: AtomicI64,
}

/// Listens until it is dropped.
pub struct Listener(Arc<Listening>);

/// A program that was heard so short a time ago is taken to be there: it thinks, and listens again.
const THINKS_MS: i64 = 2_000;

impl Listening {
    /// Somebody begins to listen.
    pub fn begin(self: &Arc<Self>) -> Listener {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.heard_ms.store(now_ms(), Ordering::Relaxed);
        Listener(self.clone())
    }

    /// Says it to people.
    pub(super) fn say(&self, program: &mut v1::SearchProgram) {
        let heard = self.heard_ms.load(Ordering::Relaxed);
        program.heard_unix_ms = heard;
        let lately = heard != 0 && now_ms().saturating_sub(heard) < THINKS_MS;
        program.listening = self.open.load(Ordering::Relaxed) > 0 || lately;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.heard_ms.store(now_ms(), Ordering::Relaxed);
    }
}

impl Shell {
    pub(super) fn decide(
        &mut self,
        request: &v1::DecideRequest,
        reply: oneshot::Sender<Result<v1::DecideResponse, RefusedDecision>>,
    ) {
        let answer = self.take_decision(request);
        // A caller that has given up decides again.
        self.when_durable(Box::new(move || drop(reply.send(answer))));
    }

    fn take_decision(&mut self, request: &v1::DecideRequest) -> Result<v1::DecideResponse, RefusedDecision> {
        match self.machine().check_decision(request)? {
            Checked::Again(answer) => Ok(answer),
            Checked::New(directed) => {
                self.input(Input::Directed(directed));
                let program = self.machine().fold.program.as_deref();
                let answer = program.and_then(|program| program.answer(&request.request_id));
                Ok(answer.cloned().unwrap_or_default())
            }
        }
    }
}
