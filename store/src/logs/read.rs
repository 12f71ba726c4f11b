//! Reading lines: the index says which frames, each frame is decompressed whole and filtered.
//!
//! A frame that cannot be read (a power cut took its bytes) is reported and passed over: lost lines of output are no
//! reason to hide the others.

use std::ops::Range;

use prost::Message;
use toprung_proto::v1::{StreamLogsResponse, TrialLogLine};

use super::segment::{self, Place};
use crate::Error;
use crate::backend::Order;
use crate::files::Files;
use crate::keys::{self, Kind, start};
use crate::records::Records;

/// Index entries read at once.
const PAGE: usize = 64;

/// Some lines and where to go on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogPage {
    /// In the order of their arrival.
    pub lines: Vec<TrialLogLine>,
    /// The frame to read from next. If the page was cut by its limit, there may be more right away.
    pub next_frame: u64,
}

/// The index of an experiment's frames, or of those with lines of one trial.
struct Index {
    experiment: u64,
    trial: Option<u32>,
}

impl Index {
    fn key(&self, frame: u64) -> Vec<u8> {
        match self.trial {
            Some(trial) => start(Kind::LogOfTrial).u64(self.experiment).u32(trial).u64(frame).done(),
            None => start(Kind::LogFrame).u64(self.experiment).u64(frame).done(),
        }
    }

    /// The entries of a range of frames.
    fn page(&self, records: &Records, frames: Range<u64>, order: Order) -> Result<Vec<(u64, Place)>, Error> {
        let range = self.key(frames.start)..self.key(frames.end);
        let entries = records.page(&range, PAGE, order)?;
        let number_at = if self.trial.is_some() { 13 } else { 9 };
        let parsed = entries.into_iter().map(|(key, value)| {
            // The writer packs all values; the index is too short to be compressed.
            let value = crate::records::unpack("log index", &value)?;
            let place =
                Place::decode(&value).ok_or_else(|| Error::broken("log index", "cannot be decoded"))?;
            let number =
                keys::u64_at(&key, number_at).ok_or_else(|| Error::broken("log index", "broken key"))?;
            Ok((number, place))
        });
        parsed.collect()
    }

    fn lines(&self, files: &Files, frame: u64, place: Place) -> Vec<TrialLogLine> {
        match read_frame(files, self.experiment, place) {
            Ok(found) => found
                .lines
                .into_iter()
                .filter(|line| self.trial.is_none_or(|trial| line.trial == trial))
                .collect(),
            Err(error) => {
                tracing::warn!(experiment = self.experiment, frame, %error, "log frame passed over");
                Vec::new()
            }
        }
    }
}

fn read_frame(files: &Files, experiment: u64, place: Place) -> Result<StreamLogsResponse, Error> {
    let broken = |error: &dyn std::fmt::Display| Error::broken("log frame", error);
    let bytes =
        files.read_at(&segment::path(experiment, place.segment), place.offset, place.length as usize)?;
    let size = zstd::zstd_safe::get_frame_content_size(&bytes).ok().flatten().unwrap_or(u64::MAX);
    if size > segment::MAX_MESSAGE as u64 {
        return Err(Error::broken("log frame", "impossible size"));
    }
    let message = zstd::bulk::decompress(&bytes, size as usize).map_err(|error| broken(&error))?;
    StreamLogsResponse::decode(message.as_slice()).map_err(|error| broken(&error))
}

/// Where the first frame from `from` on lies.
pub(super) fn place(records: &Records, experiment: u64, from: u64) -> Result<Option<(u64, Place)>, Error> {
    let index = Index { experiment, trial: None };
    Ok(index.page(records, from..u64::MAX, Order::Ascending)?.into_iter().next())
}

/// A frame with all the lines its index says.
pub(super) fn whole(files: &Files, experiment: u64, place: Place) -> Result<StreamLogsResponse, Error> {
    let frame = read_frame(files, experiment, place)?;
    if frame.lines.len() == place.lines as usize {
        Ok(frame)
    } else {
        let reason = format!("it has {} lines, its index says {}", frame.lines.len(), place.lines);
        Err(Error::broken("log frame", reason))
    }
}

/// Lines from a frame on.
pub(super) fn forward(
    records: &Records,
    files: &Files,
    experiment: u64,
    trial: Option<u32>,
    from_frame: u64,
    limit: usize,
) -> Result<LogPage, Error> {
    let index = Index { experiment, trial };
    let mut page = LogPage { lines: Vec::new(), next_frame: from_frame };
    loop {
        let entries = index.page(records, page.next_frame..u64::MAX, Order::Ascending)?;
        if entries.is_empty() {
            return Ok(page);
        }
        for (frame, place) in entries {
            if page.lines.len() >= limit {
                return Ok(page);
            }
            page.lines.extend(index.lines(files, frame, place));
            page.next_frame = frame + 1;
        }
    }
}

/// The last lines.
pub(super) fn tail(
    records: &Records,
    files: &Files,
    experiment: u64,
    trial: Option<u32>,
    count: usize,
) -> Result<LogPage, Error> {
    let index = Index { experiment, trial };
    let mut places = Vec::new();
    let mut lines = 0;
    let mut before = u64::MAX;
    while lines < count || places.is_empty() {
        let entries = index.page(records, 0..before, Order::Descending)?;
        let Some((oldest, _)) = entries.last() else {
            break;
        };
        before = *oldest;
        for entry in entries {
            if lines >= count && !places.is_empty() {
                break;
            }
            lines += entry.1.lines as usize;
            places.push(entry);
        }
    }
    let next_frame = places.first().map_or(0, |(frame, _)| frame + 1);
    let mut found: Vec<TrialLogLine> = Vec::new();
    for (frame, place) in places.into_iter().rev() {
        found.extend(index.lines(files, frame, place));
    }
    let surplus = found.len().saturating_sub(count);
    Ok(LogPage { lines: found.split_off(surplus), next_frame })
}
