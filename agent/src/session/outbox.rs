//! Batches on their way to the engine.
//!
//! Invariants: sequence numbers count up from 1 without a hole; a batch, once numbered, never changes; it is kept until
//! it is acknowledged, and after a reconnect everything unacknowledged is sent again in order with its old number.
//! Acknowledgements are for one batch each and may come in any order.
//!
//! Memory is bounded by a window: batches that do not fit into it are only numbers here, and come back from the spool
//! when those before them have been sent.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// When a batch is full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
    /// The longest an item waits for company while another batch is in flight.
    pub(crate) age: Duration,
    /// Bytes of numbered batches that are kept here.
    pub(crate) window: usize,
}

/// A batch that was numbered just now: of the oldest items without a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) sequence: u64,
    pub(crate) count: u64,
}

#[derive(Debug)]
struct Sealed<T> {
    sequence: u64,
    items: Vec<T>,
    bytes: usize,
    /// On the present connection.
    sent: bool,
}

/// Gathers items into numbered batches.
#[derive(Debug)]
pub(crate) struct Outbox<T> {
    limits: Limits,
    last_sequence: u64,
    gathering: Vec<T>,
    gathering_bytes: usize,
    gathering_since: Option<Instant>,
    sealed: VecDeque<Sealed<T>>,
    sealed_bytes: usize,
    /// Batches after those, which are only in the spool.
    spilled: VecDeque<u64>,
    numbered: Vec<Numbered>,
}

impl<T> Outbox<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            last_sequence: 0,
            gathering: Vec::new(),
            gathering_bytes: 0,
            gathering_since: None,
            sealed: VecDeque::new(),
            sealed_bytes: 0,
            spilled: VecDeque::new(),
            numbered: Vec::new(),
        }
    }

    /// Goes on after a restart: with the number of the newest batch, and the batches that are not acknowledged.
    pub(crate) fn resume(&mut self, last_sequence: u64, unacknowledged: Vec<u64>) {
        self.last_sequence = last_sequence;
        self.spilled = unacknowledged.into();
    }

    /// Batches that were numbered since this was asked last.
    pub(crate) fn numbered(&mut self) -> Vec<Numbered> {
        std::mem::take(&mut self.numbered)
    }

    /// Every batch up to this one is acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        let here = self.sealed.front().map(|batch| batch.sequence);
        let first = here.or(self.spilled.front().copied());
        first.map_or(self.last_sequence, |first| first - 1)
    }

    /// The batch that has to come back before anything more can be sent.
    pub(crate) fn wanted(&self, max_in_flight: usize) -> Option<u64> {
        let all_sent = self.sealed.iter().all(|batch| batch.sent);
        self.spilled.front().copied().filter(|_| all_sent && self.in_flight() < max_in_flight)
    }

    /// The batch that was [`wanted`](Self::wanted).
    pub(crate) fn back(&mut self, items: Vec<T>, bytes: usize) {
        if let Some(sequence) = self.spilled.pop_front() {
            self.sealed_bytes += bytes;
            self.sealed.push_back(Sealed { sequence, items, bytes, sent: false });
        }
    }

    pub(crate) fn push(&mut self, item: T, bytes: usize, now: Instant) {
        if self.gathering_bytes + bytes > self.limits.bytes {
            self.seal();
        }
        self.gathering.push(item);
        self.gathering_bytes += bytes;
        self.gathering_since.get_or_insert(now);
        if self.gathering.len() >= self.limits.items {
            self.seal();
        }
    }

    /// What was gathered does not wait for company: somebody waits for it.
    pub(crate) fn hurry(&mut self) {
        self.seal();
    }

    /// The next batch to send now, if at most `max_in_flight` may be unacknowledged on this connection.
    ///
    /// With nothing in flight what was gathered goes at once; else it waits for company until it is full or old.
    pub(crate) fn next(&mut self, max_in_flight: usize, now: Instant) -> Option<(u64, &[T])> {
        let in_flight = self.in_flight();
        if in_flight >= max_in_flight {
            return None;
        }
        let nothing_sealed = self.spilled.is_empty() && self.sealed.iter().all(|batch| batch.sent);
        let due = in_flight == 0 || self.gathering_since.is_some_and(|since| now >= since + self.limits.age);
        if nothing_sealed && due {
            self.seal();
        }
        let batch = self.sealed.iter_mut().find(|batch| !batch.sent)?;
        batch.sent = true;
        Some((batch.sequence, &batch.items))
    }

    /// When [`Self::next`] has something although nothing else happens.
    pub(crate) fn due_at(&self, max_in_flight: usize) -> Option<Instant> {
        let since = self.gathering_since?;
        (self.in_flight() < max_in_flight).then(|| since + self.limits.age)
    }

    /// Forgets a batch and returns what was in it; nothing for an unknown sequence (a repeated acknowledgement).
    pub(crate) fn acknowledge(&mut self, sequence: u64) -> Vec<T> {
        let position = self.sealed.iter().position(|batch| batch.sequence == sequence && batch.sent);
        let Some(batch) = position.and_then(|position| self.sealed.remove(position)) else {
            return Vec::new();
        };
        self.sealed_bytes = self.sealed_bytes.saturating_sub(batch.bytes);
        batch.items
    }

    /// The connection is gone: all that is unacknowledged is to be sent again.
    pub(crate) fn disconnected(&mut self) {
        for batch in &mut self.sealed {
            batch.sent = false;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.spilled.is_empty() && self.gathering.is_empty()
    }

    fn in_flight(&self) -> usize {
        self.sealed.iter().filter(|batch| batch.sent).count()
    }

    fn seal(&mut self) {
        if self.gathering.is_empty() {
            return;
        }
        self.last_sequence += 1;
        let items = std::mem::take(&mut self.gathering);
        let (sequence, bytes) = (self.last_sequence, std::mem::take(&mut self.gathering_bytes));
        self.gathering_since = None;
        self.numbered.push(Numbered { sequence, count: items.len() as u64 });
        let fits = self.sealed.is_empty() || self.sealed_bytes + bytes <= self.limits.window;
        if fits && self.spilled.is_empty() {
            self.sealed_bytes += bytes;
            self.sealed.push_back(Sealed { sequence, items, bytes, sent: false });
        } else {
            self.spilled.push_back(sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_millis(2);

    fn outbox() -> Outbox<u32> {
        Outbox::new(Limits { items: 3, bytes: 100, age: AGE, window: 10_000 })
    }

    fn next(outbox: &mut Outbox<u32>, most: usize, now: Instant) -> Option<(u64, Vec<u32>)> {
        outbox.next(most, now).map(|(sequence, items)| (sequence, items.to_vec()))
    }

    #[test]
    fn first_item_goes_at_once_and_later_ones_gather() {
        let (mut outbox, now) = (outbox(), Instant::now());
        outbox.push(1, 10, now);
        assert_eq!(next(&mut outbox, 4, now), Some((1, vec![1])));
        outbox.push(2, 10, now);
        outbox.push(3, 10, now);
        assert_eq!(next(&mut outbox, 4, now), None);
        assert_eq!(outbox.due_at(4), Some(now + AGE));
        assert_eq!(next(&mut outbox, 4, now + AGE), Some((2, vec![2, 3])));
    }

    #[test]
    fn what_is_hurried_does_not_wait() {
        let (mut outbox, now) = (outbox(), Instant::now());
        outbox.hurry();
        assert_eq!(next(&mut outbox, 4, now), None);
        outbox.push(1, 10, now);
        assert_eq!(next(&mut outbox, 4, now), Some((1, vec![1])));
        outbox.push(2, 10, now);
        outbox.hurry();
        assert_eq!(next(&mut outbox, 4, now), Some((2, vec![2])));
    }

    #[test]
    fn full_batches_do_not_wait() {
        let (mut outbox, now) = (outbox(), Instant::now());
        (0..7).for_each(|item| outbox.push(item, 10, now));
        assert_eq!(next(&mut outbox, 4, now), Some((1, vec![0, 1, 2])));
        assert_eq!(next(&mut outbox, 4, now), Some((2, vec![3, 4, 5])));
        assert_eq!(next(&mut outbox, 4, now), None);
        outbox.push(7, 95, now);
        assert_eq!(next(&mut outbox, 4, now), Some((3, vec![6])));
    }

    #[test]
    fn the_number_in_flight_is_bounded() {
        let (mut outbox, now) = (outbox(), Instant::now());
        (0..9).for_each(|item| outbox.push(item, 1, now));
        assert!(next(&mut outbox, 2, now).is_some());
        assert!(next(&mut outbox, 2, now).is_some());
        assert_eq!(next(&mut outbox, 2, now), None);
        assert_eq!(outbox.acknowledge(2), [3, 4, 5]);
        assert_eq!(next(&mut outbox, 2, now), Some((3, vec![6, 7, 8])));
    }

    #[test]
    fn a_reconnect_sends_the_unacknowledged_again_with_their_numbers() {
        let (mut outbox, now) = (outbox(), Instant::now());
        (0..6).for_each(|item| outbox.push(item, 1, now));
        next(&mut outbox, 4, now);
        next(&mut outbox, 4, now);
        outbox.acknowledge(1);
        outbox.disconnected();
        assert!(outbox.acknowledge(2).is_empty(), "not sent on this connection");
        outbox.push(6, 1, now);
        assert_eq!(next(&mut outbox, 4, now), Some((2, vec![3, 4, 5])));
        assert_eq!(next(&mut outbox, 4, now + AGE), Some((3, vec![6])));
        assert_eq!(outbox.acknowledge(2), [3, 4, 5]);
        assert!(outbox.acknowledge(2).is_empty());
        assert_eq!(outbox.acknowledge(3), [6]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn beyond_the_window_batches_are_only_numbers_until_they_come_back() {
        let now = Instant::now();
        let mut outbox = Outbox::new(Limits { items: 1, bytes: 100, age: AGE, window: 20 });
        (1..=5).for_each(|item| outbox.push(item, 10, now));
        assert_eq!(outbox.numbered().len(), 5);
        assert_eq!(next(&mut outbox, 9, now), Some((1, vec![1])));
        assert_eq!(outbox.wanted(9), None, "the second is still here");
        assert_eq!(next(&mut outbox, 9, now), Some((2, vec![2])));
        assert_eq!((next(&mut outbox, 9, now), outbox.wanted(2), outbox.wanted(9)), (None, None, Some(3)));
        outbox.back(vec![3], 10);
        assert_eq!(next(&mut outbox, 9, now), Some((3, vec![3])));
        assert_eq!(outbox.acknowledge(1), [1]);
        assert_eq!(outbox.acknowledged(), 1);
        assert_eq!(outbox.acknowledge(3), [3]);
        outbox.push(6, 10, now);
        assert_eq!(outbox.wanted(9), Some(4), "what is new comes after what waits");
        outbox.disconnected();
        assert_eq!(next(&mut outbox, 9, now), Some((2, vec![2])));
    }

    #[test]
    fn after_a_restart_numbers_go_on() {
        let (mut outbox, now) = (outbox(), Instant::now());
        outbox.resume(7, vec![6, 7]);
        assert_eq!(outbox.acknowledged(), 5);
        outbox.push(1, 10, now);
        assert_eq!((next(&mut outbox, 4, now), outbox.wanted(4)), (None, Some(6)));
        outbox.back(vec![60], 1);
        assert_eq!(next(&mut outbox, 4, now), Some((6, vec![60])));
        outbox.back(vec![70], 1);
        assert_eq!(next(&mut outbox, 4, now), Some((7, vec![70])));
        assert_eq!(next(&mut outbox, 4, now + AGE), Some((8, vec![1])));
        assert_eq!(outbox.numbered(), [Numbered { sequence: 8, count: 1 }]);
    }
}
