//! What the entries mean, one after the other: numbers, attempts, and in which batch each event is. Pure.

use super::{
    entries::Mark,
    entry::{Head, VERSION, Will},
};
use crate::identity::AttemptKey;
use std::collections::{BTreeMap, VecDeque};
use toprung_proto::v1::Exit;

/// A place in the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// An event without a batch.
#[derive(Clone, Debug)]
struct Loose {
    /// `None`: it lay in a file that is gone, so it is acknowledged.
    span: Option<(Place, Place)>,
    exit: Option<AttemptKey>,
}

/// A batch that is not acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// Where its first event begins.
    pub(crate) start: Place,
    /// Where its last event ends.
    pub(crate) end: Place,
    pub(crate) count: u64,
    /// Attempts whose exits are in it.
    pub(crate) exits: Vec<AttemptKey>,
}

/// The meaning of all entries so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) instance: String,
    pub(crate) engine: String,
    pub(crate) last_sequence: u64,
    pub(crate) acknowledged: u64,
    /// Attempts that have begun and not ended, with what is to be said of them.
    pub(crate) open: BTreeMap<AttemptKey, Option<Exit>>,
    loose: VecDeque<Loose>,
    pub(crate) batches: BTreeMap<u64, Span>,
}

impl Standing {
    /// Of a new spool.
    pub(crate) fn new(instance: &str) -> Self {
        Self { instance: instance.to_owned(), ..Self::default() }
    }

    /// As the first file's head has it. What it counts as without a batch lay in files that are gone.
    pub(crate) fn from_head(head: Head) -> Self {
        let open = head.open.into_iter();
        let open = open.filter_map(|will| Some((AttemptKey::from_wire(will.attempt.as_ref())?, will.exit)));
        let gone = Loose { span: None, exit: None };
        Self {
            instance: head.instance,
            engine: head.engine,
            last_sequence: head.last_sequence,
            // Batches before the first file are acknowledged, or their file would be there.
            acknowledged: head.last_sequence,
            open: open.collect(),
            loose: std::iter::repeat_n(gone, head.unsealed as usize).collect(),
            batches: BTreeMap::new(),
        }
    }

    /// The head of the next file.
    pub(crate) fn head(&self) -> Head {
        Head {
            version: VERSION,
            instance: self.instance.clone(),
            engine: self.engine.clone(),
            last_sequence: self.last_sequence,
            acknowledged: self.acknowledged,
            unsealed: self.loose.len() as u64,
            open: self.open.iter().map(|(key, exit)| Will::new(*key, exit.clone())).collect(),
        }
    }

    /// Whether a later file with this head follows.
    pub(crate) fn is_followed_by(&self, head: &Head) -> bool {
        head.instance == self.instance
            && head.last_sequence == self.last_sequence
            && head.unsealed == self.loose.len() as u64
    }

    /// Takes an entry in, which lies between the two places.
    ///
    /// # Errors
    /// It cannot follow what came before.
    pub(crate) fn apply(&mut self, mark: &Mark, start: Place, end: Place) -> Result<(), &'static str> {
        match mark {
            Mark::Event { key, exit } => {
                let exit = key.filter(|_| *exit);
                if let Some(key) = exit {
                    self.open.remove(&key);
                }
                self.loose.push_back(Loose { span: Some((start, end)), exit });
            }
            Mark::Seal { sequence, count } => self.seal(*sequence, *count)?,
            Mark::Acknowledged(sequence) => self.acknowledge(*sequence),
            Mark::Begun(key) => drop(self.open.insert(*key, None)),
            Mark::Will(key, exit) => {
                if let Some(will) = self.open.get_mut(key) {
                    *will = Some(exit.clone());
                }
            }
            Mark::Engine(engine) => engine.clone_into(&mut self.engine),
            Mark::Gap(sequence) => {
                self.loose.clear();
                self.last_sequence = self.last_sequence.max(*sequence);
            }
        }
        Ok(())
    }

    fn seal(&mut self, sequence: u64, count: u64) -> Result<(), &'static str> {
        if sequence != self.last_sequence + 1 {
            return Err("a batch is out of order");
        }
        if count == 0 || count > self.loose.len() as u64 {
            return Err("a batch has more events than there are");
        }
        self.last_sequence = sequence;
        let events: Vec<Loose> = self.loose.drain(..count as usize).collect();
        let exits = events.iter().filter_map(|event| event.exit).collect();
        let whole: Option<Vec<_>> = events.iter().map(|event| event.span).collect();
        if let Some([(start, _), .., (_, end)] | [(start, end)]) = whole.as_deref() {
            let span = Span { start: *start, end: *end, count, exits };
            self.batches.insert(sequence, span);
        } else {
            // A part of it lay in a file that is gone.
            self.acknowledge(sequence);
        }
        Ok(())
    }

    /// Batches up to this one are acknowledged.
    pub(crate) fn acknowledge(&mut self, sequence: u64) {
        self.acknowledged = self.acknowledged.max(sequence);
        while self.batches.first_key_value().is_some_and(|(first, _)| *first <= self.acknowledged) {
            self.batches.pop_first();
        }
    }

    /// Nothing before this place is needed any more; `None`: nothing at all.
    pub(crate) fn oldest(&self) -> Option<Place> {
        let batch = self.batches.first_key_value().map(|(_, span)| span.start);
        let loose = self.loose.iter().find_map(|event| event.span).map(|(start, _)| start);
        batch.into_iter().chain(loose).min()
    }

    /// Where the first event without a batch begins.
    pub(crate) fn first_loose(&self) -> Option<Place> {
        self.loose.iter().find_map(|event| event.span).map(|(start, _)| start)
    }

    /// Events without a batch.
    pub(crate) fn loose(&self) -> u64 {
        self.loose.iter().filter(|event| event.span.is_some()).count() as u64
    }

    /// Attempts whose exits are not acknowledged.
    pub(crate) fn exiting(&self) -> Vec<AttemptKey> {
        let sealed = self.batches.values().flat_map(|span| span.exits.iter().copied());
        sealed.chain(self.loose.iter().filter_map(|event| event.exit)).collect()
    }
}
