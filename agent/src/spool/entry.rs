//! An entry of the spool and its form: four bytes of length, four of CRC-32, both little-endian and both of what
//! follows, then the entry as protobuf.

use crate::identity::AttemptKey;
use prost::Message as _;
use toprung_proto::v1;

/// Bytes before an entry.
pub(crate) const FRAME: usize = 8;
/// A longer entry was never written.
pub(crate) const LONGEST: usize = 64 << 20;
/// Tag of [`Kind::Event`].
const EVENT: u32 = 2;
/// Version of the form, in each file's head.
pub(crate) const VERSION: u32 = 1;

/// One entry.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Entry {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    pub(crate) kind: Option<Kind>,
}

/// What an entry says.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Kind {
    /// The first entry of a file.
    #[prost(message, tag = "1")]
    Head(Head),
    /// Something that was accepted.
    #[prost(message, tag = "2")]
    Event(v1::AttemptEvent),
    /// The oldest events without a batch are one now.
    #[prost(message, tag = "3")]
    Seal(Seal),
    /// Batches up to this one are acknowledged.
    #[prost(uint64, tag = "4")]
    Acknowledged(u64),
    /// An attempt begins.
    #[prost(message, tag = "5")]
    Begun(v1::AttemptId),
    /// What is to be said of an attempt that ends with the daemon.
    #[prost(message, tag = "6")]
    Will(Will),
    /// The engine that all this is for.
    #[prost(string, tag = "7")]
    Engine(String),
    /// After damage: events without a batch before this are not sent, and numbers go on after this one.
    #[prost(uint64, tag = "8")]
    Gap(u64),
}

/// Where everything stands at the beginning of a file.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Head {
    #[prost(uint32, tag = "1")]
    pub(crate) version: u32,
    #[prost(string, tag = "2")]
    pub(crate) instance: String,
    #[prost(string, tag = "3")]
    pub(crate) engine: String,
    /// Of the newest batch.
    #[prost(uint64, tag = "4")]
    pub(crate) last_sequence: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) acknowledged: u64,
    /// Events in earlier files that have no batch.
    #[prost(uint64, tag = "6")]
    pub(crate) unsealed: u64,
    /// Attempts that have begun and not ended.
    #[prost(message, repeated, tag = "7")]
    pub(crate) open: Vec<Will>,
}

/// A batch.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Seal {
    #[prost(uint64, tag = "1")]
    pub(crate) sequence: u64,
    /// Events in it.
    #[prost(uint64, tag = "2")]
    pub(crate) count: u64,
}

/// An attempt, and what is to be said if it ends with the daemon; without an exit: that it was lost.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Will {
    #[prost(message, optional, tag = "1")]
    pub(crate) attempt: Option<v1::AttemptId>,
    #[prost(message, optional, tag = "2")]
    pub(crate) exit: Option<v1::Exit>,
}

impl Will {
    pub(crate) fn new(key: AttemptKey, exit: Option<v1::Exit>) -> Self {
        Self { attempt: Some(key.to_wire()), exit }
    }
}

/// Appends an entry in its form.
pub(crate) fn append(bytes: &mut Vec<u8>, kind: Kind) {
    let entry = Entry { kind: Some(kind) };
    framed(bytes, |bytes| bytes.extend_from_slice(&entry.encode_to_vec()));
}

/// Appends an event; as [`append`], without a copy of it.
pub(crate) fn append_event(bytes: &mut Vec<u8>, event: &v1::AttemptEvent) {
    framed(bytes, |bytes| prost::encoding::message::encode(EVENT, event, bytes));
}

fn framed(bytes: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; FRAME]);
    write(bytes);
    let content = bytes.get(start + FRAME..).unwrap_or_default();
    let (length, sum) = ((content.len() as u32).to_le_bytes(), crc32fast::hash(content).to_le_bytes());
    let frame = [length, sum];
    for (place, byte) in bytes.iter_mut().skip(start).zip(frame.as_flattened()) {
        *place = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_the_same_entry_either_way() {
        let report = v1::Report { length: 7, ..v1::Report::default() };
        let kind = Some(v1::attempt_event::Kind::Report(report));
        let event = v1::AttemptEvent { attempt: Some(v1::AttemptId::default()), kind };
        let (mut one, mut other) = (Vec::new(), Vec::new());
        append_event(&mut one, &event);
        append(&mut other, Kind::Event(event));
        assert_eq!(one, other);
    }
}
