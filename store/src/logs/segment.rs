//! Writing frames: `logs/<experiment>/<segment>.zst`, a new segment every 8 MiB, after each start and after a failure
//! (whose remains then lie at the end of a closed segment, without an index).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message;
use toprung_proto::v1::{StreamLogsResponse, TrialLogLine};

use super::Append;
use crate::Error;
use crate::backend::Order;
use crate::batch::Prepared;
use crate::files::Files;
use crate::keys::{self, Kind, start};
use crate::records::{Records, plain};
use crate::writer::{Done, Writer};

/// Text in one frame before the next is begun, in bytes.
pub(super) const FRAME_BYTES: usize = 1 << 20;
/// The largest message in a frame: the text of one frame and a last line of the largest append.
pub(super) const MAX_MESSAGE: usize = 16 << 20;
/// The usual size after which a segment is followed by a new one.
const SEGMENT_BYTES: u64 = 8 << 20;
const INDEX_FORMAT: u8 = 1;

/// Where a frame lies and how many lines it has (of the trial, in a trial's index).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) lines: u32,
}

impl Place {
    fn encode(self) -> Vec<u8> {
        let mut bytes = vec![INDEX_FORMAT];
        bytes.extend_from_slice(&self.segment.to_be_bytes());
        bytes.extend_from_slice(&self.offset.to_be_bytes());
        bytes.extend_from_slice(&self.length.to_be_bytes());
        bytes.extend_from_slice(&self.lines.to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        (bytes.first() == Some(&INDEX_FORMAT)).then_some(())?;
        Some(Self {
            segment: keys::u32_at(bytes, 1)?,
            offset: keys::u64_at(bytes, 5)?,
            length: keys::u32_at(bytes, 13)?,
            lines: keys::u32_at(bytes, 17)?,
        })
    }
}

/// The directory of an experiment's segments.
pub(super) fn directory(experiment: u64) -> String {
    format!("logs/{experiment}")
}

/// The file of a segment.
pub(super) fn path(experiment: u64, segment: u32) -> String {
    format!("{}/{segment:08}.zst", directory(experiment))
}

/// Where the next frame of an experiment goes.
#[derive(Debug, Clone, Copy)]
struct Position {
    segment: u32,
    size: u64,
    frame: u64,
}

/// Writes frames and their index.
pub(super) struct Segments {
    records: Records,
    files: Arc<Files>,
    writer: Writer,
    positions: HashMap<u64, Position>,
    /// A segment of this size is followed by a new one.
    segment_bytes: u64,
}

impl Segments {
    pub(super) fn new(records: Records, files: Arc<Files>, writer: Writer) -> Self {
        Self { records, files, writer, positions: HashMap::new(), segment_bytes: SEGMENT_BYTES }
    }

    pub(super) fn forget(&mut self, experiment: u64) {
        self.positions.remove(&experiment);
    }

    /// Writes the lines of appends to one experiment. Their callers are told when the index is durable.
    pub(super) fn append(&mut self, group: Vec<Append>) {
        let Some(experiment) = group.first().map(|append| append.experiment) else {
            return;
        };
        let mut lines = Vec::new();
        let mut waiting = Vec::new();
        for append in group {
            lines.extend(append.lines);
            waiting.push((append.done, append.permit));
        }
        let waiting = Arc::new(Mutex::new(waiting));
        let tell = {
            let waiting = waiting.clone();
            move |result: Result<(), Error>| {
                let waiting = std::mem::take(&mut *waiting.lock().unwrap_or_else(PoisonError::into_inner));
                for (done, _permit) in waiting {
                    done(result.clone());
                }
            }
        };
        let queued = self.write_frames(experiment, lines).and_then(|index| {
            let done: Done = Box::new(tell.clone());
            self.writer.queue_blocking(index, done)
        });
        if let Err(error) = queued {
            tracing::error!(experiment, %error, "log lines not written");
            self.positions.remove(&experiment);
            tell(Err(error));
        }
    }

    /// Writes the frames and returns their index.
    fn write_frames(&mut self, experiment: u64, lines: Vec<TrialLogLine>) -> Result<Prepared, Error> {
        let mut position = match self.positions.get(&experiment) {
            Some(position) => *position,
            None => self.locate(experiment)?,
        };
        let mut index = Prepared::default();
        for frame in frames(lines) {
            let bytes = compress(&frame)?;
            if position.size >= self.segment_bytes {
                position.segment += 1;
            }
            let offset = self.files.append(&path(experiment, position.segment), &bytes)?;
            position.size = offset + bytes.len() as u64;
            let length = bytes.len() as u32;
            let place = Place { segment: position.segment, offset, length, lines: frame.lines.len() as u32 };
            stage_index(experiment, position.frame, place, &frame, &mut index);
            position.frame += 1;
        }
        self.positions.insert(experiment, position);
        Ok(index)
    }

    /// A new segment behind those that are there, the frame number after the last in the index.
    fn locate(&self, experiment: u64) -> Result<Position, Error> {
        let names = self.files.names(&directory(experiment))?;
        let numbers = names.iter().filter_map(|name| name.strip_suffix(".zst")?.parse::<u32>().ok());
        let segment = numbers.max().map_or(0, |last| last + 1);
        let range = start(Kind::LogFrame).u64(experiment).prefix();
        let last = self.records.page(&range, 1, Order::Descending)?.pop();
        let frame = last.and_then(|(key, _)| keys::u64_at(&key, 9)).map_or(0, |last| last + 1);
        Ok(Position { segment, size: 0, frame })
    }
}

fn stage_index(experiment: u64, number: u64, place: Place, frame: &StreamLogsResponse, index: &mut Prepared) {
    let mut of_trial: BTreeMap<u32, u32> = BTreeMap::new();
    for line in &frame.lines {
        *of_trial.entry(line.trial).or_default() += 1;
    }
    for (trial, lines) in of_trial {
        let key = start(Kind::LogOfTrial).u64(experiment).u32(trial).u64(number).done();
        index.puts.push((key, plain(&Place { lines, ..place }.encode())));
    }
    index.puts.push((start(Kind::LogFrame).u64(experiment).u64(number).done(), plain(&place.encode())));
}

/// Cuts lines into frames of about [`FRAME_BYTES`].
fn frames(lines: Vec<TrialLogLine>) -> Vec<StreamLogsResponse> {
    let mut frames = Vec::new();
    let mut frame = StreamLogsResponse::default();
    let mut size = 0;
    for line in lines {
        size += line.encoded_len();
        frame.lines.push(line);
        if size >= FRAME_BYTES {
            frames.push(std::mem::take(&mut frame));
            size = 0;
        }
    }
    if !frame.lines.is_empty() {
        frames.push(frame);
    }
    frames
}

fn compress(frame: &StreamLogsResponse) -> Result<Vec<u8>, Error> {
    let failed = |error: std::io::Error| Error::broken("log frame", error);
    let mut compressor = zstd::bulk::Compressor::new(3).map_err(failed)?;
    compressor.include_checksum(true).map_err(failed)?;
    compressor.compress(&frame.encode_to_vec()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_encoding() {
        let place = Place { segment: 1, offset: u64::MAX, length: 3, lines: 4 };
        assert_eq!(Place::decode(&place.encode()), Some(place));
        assert_eq!(Place::decode(&place.encode()[..20]), None);
        assert_eq!(Place::decode(&[]), None);
    }

    #[test]
    fn full_segments_are_followed_by_new_ones() {
        let files = Arc::new(Files::in_memory());
        let records = Records::new(Arc::new(crate::memory::Memory::default()));
        let models = Arc::new(crate::models::Models::new(files.clone()));
        let writer = Writer::inline(crate::writer::Committer::new(records.clone(), models));
        let mut segments = Segments::new(records.clone(), files.clone(), writer);
        segments.segment_bytes = 200;
        for number in 0..20 {
            let (sender, receiver) = std::sync::mpsc::sync_channel(1);
            let line = TrialLogLine { trial: number, ..TrialLogLine::default() };
            let done: Done = Box::new(move |result| sender.send(result).unwrap());
            segments.append(vec![Append { experiment: 5, lines: vec![line], size: 0, done, permit: None }]);
            receiver.recv().unwrap().unwrap();
        }
        let names = files.names("logs/5").unwrap();
        assert!(names.len() > 1, "{names:?}");
        let page = super::super::read::forward(&records, &files, 5, None, 0, 100).unwrap();
        assert_eq!(page.lines.iter().map(|line| line.trial).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
        files.remove(&path(5, 0)).unwrap();
        let rest = super::super::read::forward(&records, &files, 5, None, 0, 100).unwrap();
        assert!(!rest.lines.is_empty() && rest.lines.len() < 20);
        assert_eq!(rest.next_frame, 20);
    }
}
