//! What one turn of the daemon writes. Pure.

use super::entry::{Kind, Seal, Will, append, append_event};
use crate::identity::AttemptKey;
use toprung_proto::v1::{self, attempt_event};

/// What an entry means, without its content.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mark {
    /// An event of an attempt; whether it is its exit.
    Event { key: Option<AttemptKey>, exit: bool },
    /// A batch of so many events.
    Seal { sequence: u64, count: u64 },
    /// Acknowledged up to here.
    Acknowledged(u64),
    /// An attempt begins.
    Begun(AttemptKey),
    /// What to say if it ends with the daemon.
    Will(AttemptKey, v1::Exit),
    /// Whom it is all for.
    Engine(String),
    /// Numbers go on after this one.
    Gap(u64),
}

impl Mark {
    /// The mark of an entry; `None`: the head of a file, or an entry that this version does not know.
    pub(crate) fn of(kind: &Kind) -> Option<Self> {
        Some(match kind {
            Kind::Head(_) => return None,
            Kind::Event(event) => Self::of_event(event),
            Kind::Seal(seal) => Self::Seal { sequence: seal.sequence, count: seal.count },
            Kind::Acknowledged(sequence) => Self::Acknowledged(*sequence),
            Kind::Begun(attempt) => Self::Begun(AttemptKey::from_wire(Some(attempt))?),
            Kind::Will(will) => Self::Will(AttemptKey::from_wire(will.attempt.as_ref())?, will.exit.clone()?),
            Kind::Engine(engine) => Self::Engine(engine.clone()),
            Kind::Gap(sequence) => Self::Gap(*sequence),
        })
    }

    fn of_event(event: &v1::AttemptEvent) -> Self {
        let exit = matches!(event.kind, Some(attempt_event::Kind::Exit(_)));
        Self::Event { key: AttemptKey::from_wire(event.attempt.as_ref()), exit }
    }
}

/// An entry's place in the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) mark: Mark,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Entries that are written together.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    pub(crate) bytes: Vec<u8>,
    pub(crate) placed: Vec<Placed>,
    /// Something is among them that should survive a power cut at once.
    pub(crate) urgent: bool,
}

impl Entries {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.placed.is_empty()
    }

    /// Bytes to write.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.placed.clear();
        self.urgent = false;
    }

    fn add(&mut self, mark: Mark, kind: Kind) {
        let start = self.bytes.len();
        append(&mut self.bytes, kind);
        self.placed.push(Placed { mark, start, end: self.bytes.len() });
    }

    pub(crate) fn event(&mut self, event: &v1::AttemptEvent) {
        use attempt_event::Kind as Of;
        self.urgent |= matches!(event.kind, Some(Of::Exit(_) | Of::Checkpoint(_)));
        let start = self.bytes.len();
        append_event(&mut self.bytes, event);
        self.placed.push(Placed { mark: Mark::of_event(event), start, end: self.bytes.len() });
    }

    pub(crate) fn seal(&mut self, sequence: u64, count: u64) {
        self.add(Mark::Seal { sequence, count }, Kind::Seal(Seal { sequence, count }));
    }

    pub(crate) fn acknowledged(&mut self, sequence: u64) {
        self.add(Mark::Acknowledged(sequence), Kind::Acknowledged(sequence));
    }

    pub(crate) fn begun(&mut self, key: AttemptKey) {
        self.add(Mark::Begun(key), Kind::Begun(key.to_wire()));
    }

    pub(crate) fn will(&mut self, key: AttemptKey, exit: v1::Exit) {
        self.urgent = true;
        self.add(Mark::Will(key, exit.clone()), Kind::Will(Will::new(key, Some(exit))));
    }

    pub(crate) fn engine(&mut self, engine: &str) {
        self.add(Mark::Engine(engine.to_owned()), Kind::Engine(engine.to_owned()));
    }

    pub(crate) fn gap(&mut self, sequence: u64) {
        self.add(Mark::Gap(sequence), Kind::Gap(sequence));
    }
}
