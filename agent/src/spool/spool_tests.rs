//! Tests of the spool over a disk in memory: what was written comes back, whatever happened between.

use super::{Disk, Entries, Limits, Recovered, Source as _, Spool};
use crate::identity::AttemptKey;
use std::{cell::RefCell, collections::BTreeMap, io, rc::Rc};
use toprung_proto::v1::{self, AttemptEvent, attempt_event::Kind};

const LIMITS: Limits = Limits { segment_bytes: 400, total_bytes: 100_000 };

type Content = Rc<RefCell<BTreeMap<u64, Vec<u8>>>>;

/// Files in memory; clones are the same files.
#[derive(Clone, Debug, Default)]
struct Memory {
    files: Content,
    aside: Content,
    /// Bytes that can be written still.
    room: Rc<RefCell<Option<usize>>>,
}

impl Disk for Memory {
    fn segments(&mut self) -> io::Result<Vec<u64>> {
        Ok(self.files.borrow().keys().copied().collect())
    }

    fn read(&mut self, segment: u64, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let files = self.files.borrow();
        Ok(files[&segment].iter().skip(offset as usize).take(length).copied().collect())
    }

    fn write(&mut self, segment: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.files.borrow_mut();
        let file = files.entry(segment).or_default();
        let room = self.room.borrow().unwrap_or(usize::MAX).min(bytes.len());
        file.resize(file.len().max(offset as usize + room), 0);
        file[offset as usize..offset as usize + room].copy_from_slice(&bytes[..room]);
        if room < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn truncate(&mut self, segment: u64, length: u64) -> io::Result<()> {
        self.files.borrow_mut().get_mut(&segment).unwrap().truncate(length as usize);
        Ok(())
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        self.files.borrow_mut().remove(&segment);
        Ok(())
    }

    fn set_aside(&mut self, segment: u64, _: &str) -> io::Result<String> {
        let file = self.files.borrow_mut().remove(&segment).unwrap();
        self.aside.borrow_mut().insert(segment, file);
        Ok("aside".to_owned())
    }

    fn written(&mut self, _: u64, _: bool) {}
}

fn key(trial: u32) -> AttemptKey {
    AttemptKey { experiment: 1, trial, attempt: 1 }
}

fn event(trial: u32, length: u64) -> AttemptEvent {
    let report = v1::Report { length, ..v1::Report::default() };
    AttemptEvent { attempt: Some(key(trial).to_wire()), kind: Some(Kind::Report(report)) }
}

fn exit(trial: u32) -> AttemptEvent {
    AttemptEvent { attempt: Some(key(trial).to_wire()), kind: Some(Kind::Exit(v1::Exit::default())) }
}

fn open(disk: &Memory) -> (Spool<Memory>, Recovered) {
    Spool::open(disk.clone(), LIMITS, "fresh").unwrap()
}

fn write(spool: &mut Spool<Memory>, write: impl FnOnce(&mut Entries)) {
    let mut entries = Entries::default();
    write(&mut entries);
    spool.append(&entries).unwrap();
}

/// `batches` batches of three events each, then one event without a batch.
fn filled(disk: &Memory, batches: u64) -> Spool<Memory> {
    let (mut spool, _) = open(disk);
    for sequence in 1..=batches {
        write(&mut spool, |entries| (0..3).for_each(|index| entries.event(&event(1, 10 * sequence + index))));
        write(&mut spool, |entries| entries.seal(sequence, 3));
    }
    write(&mut spool, |entries| entries.event(&event(2, 7)));
    spool
}

#[test]
fn everything_comes_back_with_its_numbers_and_its_name() {
    let disk = Memory::default();
    let spool = filled(&disk, 20);
    assert!(disk.files.borrow().len() > 3, "several files");
    drop(spool);
    let (mut spool, recovered) = Spool::open(disk.clone(), LIMITS, "another").unwrap();
    assert_eq!(spool.instance(), "fresh");
    assert_eq!((recovered.last_sequence, recovered.batches.len()), (20, 20));
    assert_eq!(recovered.events, [event(2, 7)]);
    assert_eq!(recovered.damage, [""; 0]);
    for sequence in (1..=20).rev() {
        let expected: Vec<_> = (0..3).map(|index| event(1, 10 * sequence + index)).collect();
        assert_eq!(spool.batch(sequence), Some(expected));
    }
    assert_eq!(spool.batch(21), None);
    write(&mut spool, |entries| entries.seal(21, 1));
    assert_eq!(spool.batch(21), Some(vec![event(2, 7)]));
}

#[test]
fn files_go_when_all_in_them_is_acknowledged() {
    let disk = Memory::default();
    let mut spool = filled(&disk, 20);
    let files = disk.files.borrow().len();
    spool.release(10);
    let left = disk.files.borrow().len();
    assert!(left < files && left > 1, "{left} of {files}");
    assert_eq!(spool.batch(10), None);
    assert_eq!(spool.batch(11).map(|events| events.len()), Some(3));
    drop(spool);
    // The acknowledgement itself was not written: batches of files that are gone are not asked for.
    let (mut spool, recovered) = open(&disk);
    assert!(recovered.batches.first().is_some_and(|first| (8..=11).contains(first)), "{recovered:?}");
    assert_eq!(recovered.batches.last(), Some(&20));
    for &sequence in &recovered.batches {
        assert!(spool.batch(sequence).is_some(), "{sequence}");
    }
    spool.release(20);
    write(&mut spool, |entries| {
        entries.seal(21, 1);
        entries.acknowledged(21);
    });
    drop(spool);
    let (_, recovered) = open(&disk);
    assert_eq!((recovered.last_sequence, recovered.batches.len()), (21, 0));
}

#[test]
fn a_death_at_any_byte_of_the_last_write_loses_nothing_before_it() {
    let disk = Memory::default();
    let spool = filled(&disk, 3);
    drop(spool);
    let before: BTreeMap<_, _> = disk.files.borrow().clone();
    let last = *before.keys().last().unwrap();
    let (mut spool, _) = open(&disk);
    write(&mut spool, |entries| {
        entries.event(&event(2, 8));
        entries.seal(4, 2);
    });
    drop(spool);
    let after = disk.files.borrow()[&last].clone();
    for length in before[&last].len()..=after.len() {
        disk.files.borrow_mut().insert(last, after[..length].to_vec());
        let (spool, recovered) = open(&disk);
        assert!(
            recovered.damage.is_empty() && recovered.events.first().is_none_or(|first| *first == event(2, 7))
        );
        let kept = recovered.batches.len() * 3 + recovered.events.len();
        assert!(recovered.batches.len() == 4 || kept >= 10, "{recovered:?}");
        drop(spool);
        let (_, again) = open(&disk);
        assert_eq!(again, recovered, "cut once");
    }
}

#[test]
fn damage_is_moved_aside_and_said_and_no_number_is_used_twice() {
    let disk = Memory::default();
    drop(filled(&disk, 20));
    let second = *disk.files.borrow().keys().nth(1).unwrap();
    let length = disk.files.borrow()[&second].len();
    disk.files.borrow_mut().get_mut(&second).unwrap()[length / 2] ^= 1;
    let (mut spool, recovered) = open(&disk);
    assert_eq!(recovered.damage.len(), 1);
    assert!(recovered.damage[0].contains("a checksum is wrong"), "{recovered:?}");
    assert!(disk.aside.borrow().contains_key(&second));
    assert!(recovered.last_sequence > u64::from(u32::MAX));
    assert!(recovered.events.is_empty() && !recovered.batches.is_empty() && recovered.batches.len() < 20);
    for &sequence in &recovered.batches {
        assert_eq!(spool.batch(sequence).map(|events| events.len()), Some(3));
    }
    write(&mut spool, |entries| {
        entries.event(&event(3, 1));
        entries.seal(recovered.last_sequence + 1, 1);
    });
    drop(spool);
    let (_, again) = open(&disk);
    assert_eq!(again.batches.len(), recovered.batches.len() + 1);
    assert!(again.damage.is_empty());
}

#[test]
fn attempts_that_have_not_ended_are_known_also_when_their_files_are_gone() {
    let disk = Memory::default();
    let (mut spool, _) = open(&disk);
    write(&mut spool, |entries| {
        (1..=3).for_each(|trial| entries.begun(key(trial)));
        entries.will(key(2), v1::Exit { message: "wide".to_owned(), ..v1::Exit::default() });
    });
    for sequence in 1..=20 {
        write(&mut spool, |entries| {
            entries.event(&event(1, sequence));
            entries.event(&if sequence == 20 { exit(3) } else { event(3, sequence) });
            entries.seal(sequence, 2);
        });
    }
    spool.release(19);
    drop(spool);
    let (_, recovered) = open(&disk);
    let open: Vec<_> = recovered.open.iter().map(|(key, exit)| (key.trial, exit.is_some())).collect();
    assert_eq!(open, [(1, false), (2, true)]);
    assert_eq!(recovered.exiting, [key(3)]);
}

#[test]
fn what_could_not_be_written_is_written_later_and_once() {
    let disk = Memory::default();
    let (mut spool, _) = open(&disk);
    let mut entries = Entries::default();
    entries.event(&event(1, 1));
    *disk.room.borrow_mut() = Some(5);
    assert!(spool.append(&entries).is_err());
    *disk.room.borrow_mut() = None;
    entries.event(&event(1, 2));
    spool.append(&entries).unwrap();
    drop(spool);
    assert_eq!(open(&disk).1.events, [event(1, 1), event(1, 2)]);
}

#[test]
fn for_another_engine_everything_begins_anew() {
    let disk = Memory::default();
    let mut spool = filled(&disk, 5);
    write(&mut spool, |entries| entries.engine("one"));
    assert_eq!(spool.begin_anew("second", "one").unwrap().as_deref(), Some("aside"));
    assert!(!disk.aside.borrow().is_empty());
    drop(spool);
    let (spool, recovered) = open(&disk);
    assert_eq!(spool.instance(), "second");
    assert_eq!(recovered, Recovered::default());
}

#[test]
fn a_full_spool_takes_again_when_its_files_have_gone() {
    let disk = Memory::default();
    let limits = Limits { segment_bytes: 400, total_bytes: 1_600 };
    let (mut spool, _) = Spool::open(disk.clone(), limits, "fresh").unwrap();
    let mut sequence = 0;
    while spool.has_room() {
        sequence += 1;
        write(&mut spool, |entries| {
            entries.event(&event(1, sequence));
            entries.seal(sequence, 1);
        });
    }
    spool.release(sequence);
    write(&mut spool, |entries| entries.acknowledged(sequence));
    spool.release(sequence);
    assert!(spool.has_room());
}
