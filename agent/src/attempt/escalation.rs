//! When a process that is to end gets which signal. Pure: time comes in as a parameter.
//!
//! | demand | script that ends by itself (it asks at `next`, or is complete) | other script |
//! |---|---|---|
//! | save | SIGTERM after the preemption timeout | SIGTERM now |
//! | leave | SIGTERM after the grace period | SIGTERM now |
//! | terminate | SIGTERM now | SIGTERM now |
//! | kill | SIGKILL now | SIGKILL now |
//!
//! SIGKILL follows SIGTERM after the grace period. A pause that is taken back calls nothing for as long as no signal was sent.

use crate::contract::Demand;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Escalation {
    grace: Duration,
    preemption_timeout: Duration,
    terminate_at: Option<Instant>,
    kill_at: Option<Instant>,
    sent: Option<Signal>,
}

impl Escalation {
    pub(crate) fn new(grace: Duration, preemption_timeout: Duration) -> Self {
        Self { grace, preemption_timeout, terminate_at: None, kill_at: None, sent: None }
    }

    /// A demand as it stands now; repeating one changes nothing.
    pub(crate) fn demand(&mut self, demand: Demand, by_itself: bool, now: Instant) {
        let wait = match demand {
            Demand::Kill => {
                self.kill_at = Some(now.min(self.kill_at.unwrap_or(now)));
                return;
            }
            Demand::Save if by_itself => self.preemption_timeout,
            Demand::Leave if by_itself => self.grace,
            Demand::Save | Demand::Leave | Demand::Terminate => Duration::ZERO,
        };
        let terminate_at = now + wait;
        self.terminate_at = Some(terminate_at.min(self.terminate_at.unwrap_or(terminate_at)));
    }

    /// Nothing is demanded any more: a pause was taken back. Signals that were sent cannot be.
    pub(crate) fn calm(&mut self) {
        if self.sent.is_none() {
            (self.terminate_at, self.kill_at) = (None, None);
        }
    }

    /// The signal to send now, each once.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Signal> {
        if self.sent != Some(Signal::SIGKILL) && self.kill_at.is_some_and(|at| at <= now) {
            self.sent = Some(Signal::SIGKILL);
            return self.sent;
        }
        if self.sent.is_none() && self.terminate_at.is_some_and(|at| at <= now) {
            self.sent = Some(Signal::SIGTERM);
            let kill_at = now + self.grace;
            self.kill_at = Some(kill_at.min(self.kill_at.unwrap_or(kill_at)));
            return self.sent;
        }
        None
    }

    /// When [`Self::due`] is to be asked next.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        match self.sent {
            Some(Signal::SIGKILL) => None,
            Some(_) => self.kill_at,
            None => [self.terminate_at, self.kill_at].into_iter().flatten().min(),
        }
    }

    /// Whether a signal was sent.
    pub(crate) fn has_signalled(&self) -> bool {
        self.sent.is_some()
    }

    /// Until when processes that got SIGTERM may go on after their leader has ended.
    pub(crate) fn grace_until(&self) -> Option<Instant> {
        (self.sent == Some(Signal::SIGTERM)).then_some(self.kill_at).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);
    const PREEMPTION: Duration = Duration::from_secs(100);

    fn escalation() -> (Escalation, Instant) {
        (Escalation::new(GRACE, PREEMPTION), Instant::now())
    }

    #[test]
    fn a_script_without_hello_is_terminated_at_once() {
        for demand in [Demand::Save, Demand::Leave, Demand::Terminate] {
            let (mut escalation, now) = escalation();
            escalation.demand(demand, false, now);
            assert_eq!(escalation.due(now), Some(Signal::SIGTERM));
            assert_eq!(escalation.due(now), None);
            assert_eq!(escalation.next_at(), Some(now + GRACE));
            assert_eq!(escalation.due(now + GRACE), Some(Signal::SIGKILL));
            assert_eq!((escalation.due(now + GRACE), escalation.next_at()), (None, None));
        }
    }

    #[test]
    fn an_attached_script_has_time_to_save() {
        let (mut escalation, now) = escalation();
        escalation.demand(Demand::Save, true, now);
        escalation.demand(Demand::Save, true, now + GRACE);
        assert_eq!(escalation.due(now), None);
        assert_eq!(escalation.next_at(), Some(now + PREEMPTION));
        assert_eq!(escalation.due(now + PREEMPTION), Some(Signal::SIGTERM));
        assert_eq!(escalation.due(now + PREEMPTION + GRACE), Some(Signal::SIGKILL));
    }

    #[test]
    fn what_is_taken_back_is_not_sent_and_what_was_sent_goes_on() {
        let (mut escalation, now) = escalation();
        escalation.demand(Demand::Save, true, now);
        escalation.calm();
        assert_eq!((escalation.due(now + PREEMPTION), escalation.next_at()), (None, None));
        escalation.demand(Demand::Save, true, now + PREEMPTION);
        assert_eq!(escalation.next_at(), Some(now + 2 * PREEMPTION), "a later demand has its whole time");
        escalation.demand(Demand::Terminate, true, now);
        assert_eq!(escalation.due(now), Some(Signal::SIGTERM));
        escalation.calm();
        assert_eq!(escalation.due(now + GRACE), Some(Signal::SIGKILL));
    }

    #[test]
    fn stronger_demands_shorten_the_wait() {
        let (mut escalation, now) = escalation();
        escalation.demand(Demand::Save, true, now);
        escalation.demand(Demand::Leave, true, now);
        assert_eq!(escalation.next_at(), Some(now + GRACE));
        escalation.demand(Demand::Terminate, true, now);
        assert_eq!(escalation.due(now), Some(Signal::SIGTERM));
        assert_eq!(escalation.grace_until(), Some(now + GRACE));
        escalation.demand(Demand::Kill, true, now);
        assert_eq!(escalation.due(now), Some(Signal::SIGKILL));
        assert_eq!(escalation.grace_until(), None);
    }
}
