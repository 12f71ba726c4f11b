//! The files of the spool: which is written, what is read back, which can go. The disk itself is a [`Disk`].

use super::{
    entries::Entries,
    entry::{Kind, append},
    frames,
    standing::{Place, Standing},
};
use std::{collections::VecDeque, io};
use toprung_proto::v1::AttemptEvent;

/// Numbered files that grow at their end.
pub trait Disk {
    /// Numbers of the files, in order.
    ///
    /// # Errors
    /// The disk cannot say.
    fn segments(&mut self) -> io::Result<Vec<u64>>;
    /// `length` bytes of a file from `offset`, or fewer where it ends.
    ///
    /// # Errors
    /// The disk cannot read.
    fn read(&mut self, segment: u64, offset: u64, length: usize) -> io::Result<Vec<u8>>;
    /// Writes at `offset`, over what a failed writing may have left there. Makes the file if it is not there.
    ///
    /// # Errors
    /// The disk cannot write, all of it or a part.
    fn write(&mut self, segment: u64, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file.
    ///
    /// # Errors
    /// The disk cannot.
    fn truncate(&mut self, segment: u64, length: u64) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// The disk cannot.
    fn remove(&mut self, segment: u64) -> io::Result<()>;
    /// Moves a file to where nothing of it is used any more; answers where that is.
    ///
    /// # Errors
    /// The disk cannot.
    fn set_aside(&mut self, segment: u64, label: &str) -> io::Result<String>;
    /// The file may be synced now, in the background; `urgent`: soon.
    fn written(&mut self, segment: u64, urgent: bool);
}

/// Where batches are read back from.
pub trait Source {
    /// The events of a batch that was written before. `None`: not now; why is in the log.
    fn batch(&mut self, sequence: u64) -> Option<Vec<AttemptEvent>>;
}

/// Sizes of a spool.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A file with so many bytes is followed by another.
    pub segment_bytes: u64,
    /// With so many bytes in all files nothing new is taken.
    pub total_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) length: u64,
}

/// A spool in use.
#[derive(Debug)]
pub struct Spool<D> {
    pub(crate) disk: D,
    pub(crate) limits: Limits,
    pub(crate) standing: Standing,
    pub(crate) segments: VecDeque<Segment>,
}

impl<D: Disk> Spool<D> {
    /// The name under which the engine knows batches as repeated.
    pub fn instance(&self) -> &str {
        &self.standing.instance
    }

    /// Whether more events may be written.
    pub fn has_room(&self) -> bool {
        self.bytes() < self.limits.total_bytes
    }

    /// Bytes in all files.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// Writes entries down, all or none of them.
    ///
    /// # Errors
    /// The disk cannot write; it may be tried again with the same entries.
    pub fn append(&mut self, entries: &Entries) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let full = |segment: &Segment| segment.length >= self.limits.segment_bytes;
        if self.segments.back().is_none_or(full) {
            self.begin_segment()?;
        }
        let Some(segment) = self.segments.back_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        self.disk.write(segment.number, segment.length, &entries.bytes)?;
        let (number, base) = (segment.number, segment.length);
        segment.length += entries.bytes.len() as u64;
        let place = |offset: usize| Place { segment: number, offset: base + offset as u64 };
        for placed in &entries.placed {
            let applied = self.standing.apply(&placed.mark, place(placed.start), place(placed.end));
            if let Err(problem) = applied {
                // A mistake in this program: what is written must be readable. It is found again at the next opening.
                tracing::error!(problem, "the spool was given an entry that does not fit");
            }
        }
        self.disk.written(number, entries.urgent);
        Ok(())
    }

    /// Begins the next file with where everything stands.
    pub(crate) fn begin_segment(&mut self) -> io::Result<()> {
        let number = self.next_number();
        let length = self.write_head(number)?;
        if let Some(last) = self.segments.back() {
            self.disk.written(last.number, true);
        }
        self.segments.push_back(Segment { number, length });
        Ok(())
    }

    fn next_number(&self) -> u64 {
        self.segments.back().map_or(1, |last| last.number + 1)
    }

    /// Writes where everything stands at the head of a file. Answers its length.
    fn write_head(&mut self, number: u64) -> io::Result<u64> {
        let mut bytes = Vec::new();
        append(&mut bytes, Kind::Head(self.standing.head()));
        self.disk.write(number, 0, &bytes)?;
        Ok(bytes.len() as u64)
    }

    /// Batches up to this one are acknowledged: files that hold nothing else go. Needs no room on the disk.
    pub fn release(&mut self, acknowledged: u64) {
        self.standing.acknowledge(acknowledged.min(self.standing.last_sequence));
        let current = self.segments.back().map_or(0, |last| last.number);
        let oldest = self.standing.oldest().map_or(current, |place| place.segment);
        while let Some(first) = self.segments.front().copied().filter(|first| first.number < oldest) {
            if let Err(error) = self.disk.remove(first.number) {
                tracing::warn!(%error, segment = first.number, "cannot remove a file of the spool; it is tried again");
                return;
            }
            self.segments.pop_front();
        }
    }

    /// Moves everything to where nothing of it is used any more, and begins anew under another name. For another
    /// engine. Answers where it lies, if anything was not acknowledged.
    ///
    /// # Errors
    /// The disk cannot.
    pub fn begin_anew(&mut self, instance: &str, label: &str) -> io::Result<Option<String>> {
        let mut place = None;
        let unsent = self.standing.oldest().is_some();
        let number = self.next_number();
        for segment in &self.segments {
            if unsent {
                place = Some(self.disk.set_aside(segment.number, label)?);
            } else {
                self.disk.remove(segment.number)?;
            }
        }
        // Numbers go on, so that a file that could not be moved is not taken for a new one.
        self.segments = VecDeque::new();
        self.standing = Standing::new(instance);
        let length = self.write_head(number)?;
        self.segments.push_back(Segment { number, length });
        self.disk.written(number, true);
        Ok(place)
    }

    /// The `count` events that lie between the two places.
    pub(crate) fn events(&mut self, start: Place, end: Place, count: u64) -> io::Result<Vec<AttemptEvent>> {
        let mut found = Vec::new();
        let mut offset = start.offset;
        let between = |segment: &Segment| (start.segment..=end.segment).contains(&segment.number);
        let segments: Vec<Segment> = self.segments.iter().copied().filter(between).collect();
        for segment in segments {
            let until = if segment.number == end.segment { end.offset } else { segment.length };
            let bytes = self.disk.read(segment.number, offset, until.saturating_sub(offset) as usize)?;
            let mut at = 0;
            while (found.len() as u64) < count {
                match frames::next(&bytes, at) {
                    frames::Next::Entry(kind, end) => {
                        at = end;
                        if let Kind::Event(event) = *kind {
                            found.push(event);
                        }
                    }
                    frames::Next::End => break,
                    _ => return Err(io::Error::other("the spool is not what was written to it")),
                }
            }
            offset = 0;
        }
        if (found.len() as u64) < count {
            return Err(io::Error::other("a batch is not all there"));
        }
        Ok(found)
    }

    fn read_batch(&mut self, sequence: u64) -> io::Result<Vec<AttemptEvent>> {
        let span = self.standing.batches.get(&sequence).ok_or(io::ErrorKind::NotFound)?;
        let (start, end, count) = (span.start, span.end, span.count);
        self.events(start, end, count)
    }
}

impl<D: Disk> Source for Spool<D> {
    fn batch(&mut self, sequence: u64) -> Option<Vec<AttemptEvent>> {
        match self.read_batch(sequence) {
            Ok(events) => Some(events),
            Err(error) => {
                tracing::error!(sequence, %error, "cannot read a batch back from the spool; it is tried again");
                None
            }
        }
    }
}
