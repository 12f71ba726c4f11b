//! The contract as the parts of an attempt share it: its socket, its collectors, its supervisor and the session.

use super::{Contract, Group};
use crate::{identity::unix_ms, report::Reporter};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;
use toprung_proto::v1::{self, attempt_event::Kind};

/// A contract that can be waited on.
#[derive(Debug)]
pub(crate) struct Control {
    contract: Mutex<Contract>,
    changes: watch::Sender<u64>,
}

impl Control {
    pub(crate) fn new(contract: Contract) -> Self {
        Self { contract: Mutex::new(contract), changes: watch::Sender::new(0) }
    }

    /// Looks at the contract.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&Contract) -> R) -> R {
        look(&self.contract.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the contract and wakes whoever waits for it.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut Contract) -> R) -> R {
        let result = change(&mut self.contract.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        result
    }

    /// Wakes at each change after this call.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits until `look` finds something. Has no deadline of its own.
    pub(crate) async fn until<R>(&self, look: impl Fn(&Contract) -> Option<R>) -> R {
        let mut changes = self.watch();
        loop {
            if let Some(found) = self.read(&look) {
                return found;
            }
            if changes.changed().await.is_err() {
                // The sender lives in `self`: this cannot be reached while `self` is borrowed.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Checks a report and sends it; the error is for the script's author.
    pub(crate) async fn report(
        &self,
        reporter: &Reporter,
        group: Group,
        length: u64,
        metrics: Vec<v1::Metric>,
    ) -> Result<(), String> {
        super::request::check(metrics.iter().map(|metric| metric.name.as_str()))?;
        let decides = self.update(|contract| {
            contract.report(group, length, metrics.iter().map(|metric| metric.name.as_str()))
        })?;
        let report = v1::Report { group: group.to_wire().into(), length, metrics, time_unix_ms: unix_ms() };
        let kept = if decides {
            reporter.keep_awaited(Kind::Report(report)).await
        } else {
            reporter.keep(Kind::Report(report)).await
        };
        Ok(kept?)
    }
}
