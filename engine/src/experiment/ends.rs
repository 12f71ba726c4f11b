//! How attempts ended that neither finished nor were ended by the search: counted by cause, for a trial and for all.

use serde::{Deserialize, Serialize};
use toprung_proto::v1::{AttemptEnds, ExitCause};

/// The counters. All 0 for a trial without trouble, which therefore has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ends {
    /// By the number of the cause.
    by_cause: [u32; 12],
    /// Told to give the slots back.
    pub preempted: u32,
    /// Failures that were the node's.
    pub not_charged: u32,
}

impl Ends {
    /// Counts one.
    pub fn count(&mut self, cause: ExitCause) {
        if let Some(counter) = self.by_cause.get_mut(cause as usize) {
            *counter += 1;
        }
    }

    /// As the service says it; `None`: nothing was counted.
    pub fn view(&self) -> Option<AttemptEnds> {
        let of = |cause: ExitCause| self.by_cause.get(cause as usize).copied().unwrap_or(0);
        (*self != Self::default()).then(|| AttemptEnds {
            failed: of(ExitCause::Failed) + of(ExitCause::Unspecified),
            signal: of(ExitCause::Signal),
            out_of_memory: of(ExitCause::OutOfMemory),
            device_out_of_memory: of(ExitCause::DeviceOutOfMemory),
            environment: of(ExitCause::Environment),
            entrypoint: of(ExitCause::Entrypoint),
            contract: of(ExitCause::Contract),
            invalid_hyperparameters: of(ExitCause::InvalidHyperparameters),
            agent_lost: of(ExitCause::AgentLost),
            preempted: self.preempted,
            not_charged: self.not_charged,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_of_a_failure_has_its_counter() {
        assert_eq!(Ends::default().view(), None);
        let mut ends = Ends::default();
        for number in 0..12 {
            ends.count(ExitCause::try_from(number).unwrap());
        }
        let AttemptEnds {
            failed,
            signal,
            out_of_memory,
            device_out_of_memory,
            environment,
            entrypoint,
            contract,
            invalid_hyperparameters,
            agent_lost,
            preempted,
            not_charged,
        } = ends.view().unwrap();
        let ones = [signal, out_of_memory, device_out_of_memory, environment, entrypoint, contract];
        assert_eq!((ones, invalid_hyperparameters, agent_lost), ([1; 6], 1, 1));
        assert_eq!((failed, preempted, not_charged), (2, 0, 0), "a cause of a newer agent counts as failed");
        assert!(ExitCause::try_from(12).is_err(), "a new cause needs a counter");
    }
}
