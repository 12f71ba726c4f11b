//! From files to a spool that can be used again.

use super::{
    entries::{Entries, Mark},
    entry::{Head, Kind, VERSION},
    frames::{self, Next},
    segments::{Disk, Limits, Segment, Spool},
    standing::{Place, Standing},
};
use crate::identity::AttemptKey;
use std::{collections::VecDeque, io};
use toprung_proto::v1::{AttemptEvent, Exit};

/// Numbers that damage may hide: after it they go on this much higher, so that none stands for two contents.
const GAP: u64 = 1 << 32;

/// What a spool held when it was opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// The engine that it is for; empty: none yet.
    pub engine: String,
    /// Number of the newest batch.
    pub last_sequence: u64,
    /// Batches that are not acknowledged, in order.
    pub batches: Vec<u64>,
    /// Events after them.
    pub events: Vec<AttemptEvent>,
    /// Attempts that had begun and not ended, with what is to be said of them; `None`: that they were lost.
    pub open: Vec<(AttemptKey, Option<Exit>)>,
    /// Attempts whose exits are not acknowledged.
    pub exiting: Vec<AttemptKey>,
    /// What was wrong, for the log.
    pub damage: Vec<String>,
}

/// Where reading had to end.
struct Broken {
    segment: usize,
    offset: u64,
    why: String,
}

impl<D: Disk> Spool<D> {
    /// Opens the spool on this disk, or begins one. `instance`: its name if it is new.
    ///
    /// # Errors
    /// The disk cannot read or write.
    pub fn open(disk: D, limits: Limits, instance: &str) -> io::Result<(Self, Recovered)> {
        let standing = Standing::new(instance);
        let mut spool = Self { disk, limits, standing, segments: VecDeque::new() };
        let mut recovered = Recovered::default();
        if let Some(broken) = spool.read_all()? {
            spool.repair(broken, &mut recovered)?;
        }
        if spool.segments.is_empty() {
            spool.begin_segment()?;
        }
        let standing = &spool.standing;
        recovered.engine.clone_from(&standing.engine);
        recovered.last_sequence = standing.last_sequence;
        recovered.batches = standing.batches.keys().copied().collect();
        recovered.open = standing.open.iter().map(|(key, exit)| (*key, exit.clone())).collect();
        recovered.exiting = standing.exiting();
        let (first, count) = (standing.first_loose(), standing.loose());
        if let (Some(start), Some(last)) = (first, spool.segments.back()) {
            let end = Place { segment: last.number, offset: last.length };
            recovered.events = spool.events(start, end, count)?;
        }
        spool.release(0);
        Ok((spool, recovered))
    }

    /// Reads the files in order. A torn end is cut off.
    fn read_all(&mut self) -> io::Result<Option<Broken>> {
        let numbers = self.disk.segments()?;
        for (index, &number) in numbers.iter().enumerate() {
            let is_last = index + 1 == numbers.len();
            let bytes = self.disk.read(number, 0, usize::MAX)?;
            self.segments.push_back(Segment { number, length: bytes.len() as u64 });
            let missing = index > 0 && numbers.get(index - 1) != Some(&(number - 1));
            let broken = |offset: usize, why: &str| {
                let why = format!("file {number} at byte {offset}: {why}");
                Ok(Some(Broken { segment: index, offset: offset as u64, why }))
            };
            if missing {
                return broken(0, "the file before it is missing");
            }
            let mut at = 0;
            loop {
                match frames::next(&bytes, at) {
                    Next::Entry(kind, end) => {
                        if let Err(why) = self.take(index == 0, number, at, *kind, end) {
                            return broken(at, why);
                        }
                        at = end;
                    }
                    Next::End if at > 0 => break,
                    Next::End | Next::Torn if is_last => {
                        self.cut(number, at)?;
                        break;
                    }
                    Next::End | Next::Torn => return broken(at, "it ends too early"),
                    Next::Damaged(why) => return broken(at, why),
                }
            }
        }
        Ok(None)
    }

    fn take(
        &mut self,
        first: bool,
        segment: u64,
        at: usize,
        kind: Kind,
        end: usize,
    ) -> Result<(), &'static str> {
        let place = |offset: usize| Place { segment, offset: offset as u64 };
        match kind {
            Kind::Head(head) if at == 0 => self.take_head(first, head),
            _ if at == 0 => Err("it does not begin with a head"),
            kind => {
                let mark = Mark::of(&kind).ok_or("an entry is incomplete")?;
                self.standing.apply(&mark, place(at), place(end))
            }
        }
    }

    fn take_head(&mut self, first: bool, head: Head) -> Result<(), &'static str> {
        if head.version != VERSION {
            return Err("it was written by another version of the agent");
        }
        if first {
            self.standing = Standing::from_head(head);
        } else if !self.standing.is_followed_by(&head) {
            return Err("it does not follow the file before it");
        }
        Ok(())
    }

    /// Nobody was answered for what was not written to its end.
    fn cut(&mut self, number: u64, length: usize) -> io::Result<()> {
        if length == 0 {
            self.segments.pop_back();
            return self.disk.remove(number);
        }
        if let Some(last) = self.segments.back_mut() {
            last.length = length as u64;
        }
        self.disk.truncate(number, length as u64)
    }

    /// Keeps the batches before the damage. Everything else is moved aside: an event without a batch may have been
    /// given one in what cannot be read, and sent.
    fn repair(&mut self, broken: Broken, recovered: &mut Recovered) -> io::Result<()> {
        let numbers = self.disk.segments()?;
        let kept = match numbers.get(broken.segment) {
            Some(&number) => self.disk.read(number, 0, broken.offset as usize)?,
            None => Vec::new(),
        };
        let mut place = String::new();
        for &number in numbers.iter().skip(broken.segment) {
            place = self.disk.set_aside(number, "damaged")?;
        }
        self.segments.truncate(broken.segment);
        if let Some(&number) = numbers.get(broken.segment).filter(|_| !kept.is_empty()) {
            self.disk.write(number, 0, &kept)?;
            self.segments.push_back(Segment { number, length: broken.offset });
        }
        let lost = self.standing.loose();
        recovered.damage.push(format!(
            "{}; this file and those after it lie in {place} now; {lost} events before the damage lie there, too, \
             because they may have been sent",
            broken.why
        ));
        if self.segments.is_empty() {
            // Nothing is known of what was sent: only another name is safe, and the caller's is new.
            return Ok(());
        }
        let mut entries = Entries::default();
        entries.gap(self.standing.last_sequence + GAP);
        self.append(&entries)
    }
}
