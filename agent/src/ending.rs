//! How the agent ends: attempts are asked to save, then get SIGTERM, then SIGKILL; then the engine may still acknowledge
//! the last words. Pure: time comes in as a parameter.

use crate::contract::Order;
use std::time::{Duration, Instant};

/// How long the last words may take after all attempts have ended, and killed attempts to end.
const LAST_WORDS: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Ordered(Order),
    LastWords,
}

/// The stages of the end.
#[derive(Debug)]
pub(crate) struct Ending {
    drain: Duration,
    stage: Option<(Stage, Instant)>,
}

impl Ending {
    /// `drain`: time from the request to save to SIGTERM, and from there to SIGKILL.
    pub(crate) fn new(drain: Duration) -> Self {
        Self { drain, stage: None }
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.stage.is_some()
    }

    /// Begins the end, once; the order is for all attempts.
    pub(crate) fn begin(&mut self, now: Instant) -> Option<Order> {
        if self.has_begun() {
            return None;
        }
        self.stage = Some((Stage::Ordered(Order::Preempt), now + self.drain));
        Some(Order::Preempt)
    }

    /// When [`Self::advance`] is to be called.
    pub(crate) fn stage_end(&self) -> Option<Instant> {
        self.stage.map(|(_, end)| end)
    }

    /// The stage is over: the next order for all attempts.
    pub(crate) fn advance(&mut self, now: Instant) -> Option<Order> {
        let (stage, end) = self.stage?;
        if now < end {
            return None;
        }
        let (order, time) = match stage {
            Stage::Ordered(Order::Preempt) => (Order::Stop, self.drain),
            Stage::Ordered(Order::Stop) => (Order::Kill, LAST_WORDS),
            Stage::Ordered(Order::Kill) => {
                self.stage = Some((Stage::LastWords, now + LAST_WORDS));
                return None;
            }
            Stage::LastWords => return None,
        };
        self.stage = Some((Stage::Ordered(order), now + time));
        Some(order)
    }

    /// No attempt is left: only the last words are waited for.
    pub(crate) fn all_ended(&mut self, now: Instant) {
        if let Some((Stage::Ordered(_), _)) = self.stage {
            self.stage = Some((Stage::LastWords, now + LAST_WORDS));
        }
    }

    /// Nothing is waited for any more.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        matches!(self.stage, Some((Stage::LastWords, end)) if now >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAIN: Duration = Duration::from_secs(10);

    #[test]
    fn orders_grow_and_end() {
        let (mut ending, now) = (Ending::new(DRAIN), Instant::now());
        assert_eq!((ending.advance(now), ending.stage_end()), (None, None));
        assert_eq!(ending.begin(now), Some(Order::Preempt));
        assert_eq!(ending.begin(now), None);
        assert_eq!(ending.advance(now), None);
        assert_eq!(ending.advance(now + DRAIN), Some(Order::Stop));
        assert_eq!(ending.advance(now + 2 * DRAIN), Some(Order::Kill));
        let killed = now + 2 * DRAIN + LAST_WORDS;
        assert_eq!(ending.advance(killed), None);
        assert!(!ending.is_over(killed));
        assert!(ending.is_over(killed + LAST_WORDS));
    }

    #[test]
    fn without_attempts_only_the_last_words_are_waited_for() {
        let (mut ending, now) = (Ending::new(DRAIN), Instant::now());
        ending.all_ended(now);
        assert!(!ending.has_begun());
        ending.begin(now);
        ending.all_ended(now);
        assert!(ending.is_over(now + LAST_WORDS));
    }
}
