//! How long segments are cut, so that a few of them still fill the device.

use crate::error::Error;
use crate::gpu::{Gpu, Memory, upload};
use crate::segments::Segments;

/// Pieces are a multiple of this long, unless the segment ends.
const GRAIN: u64 = 1024;
/// How many blocks each multiprocessor should get.
const BLOCKS_EACH: u64 = 8;

/// Long segments in pieces, each for one block.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// Where each begins and ends in the array.
    pub begins: Vec<u64>,
    pub ends: Vec<u64>,
    /// Where the pieces of each long segment begin.
    pub offsets: Vec<u64>,
    /// Which segments are long.
    pub segments: Vec<u64>,
}

/// How long a piece of `total` values is.
pub(crate) fn piece_length(total: u64, processors: u64) -> u64 {
    total.div_ceil(processors * BLOCKS_EACH).next_multiple_of(GRAIN).max(4 * GRAIN)
}

impl Pieces {
    /// Cuts the segments that are longer than `longest`.
    pub(crate) fn cut(segments: &Segments, longest: u64, processors: u64) -> Self {
        let is_long = |pair: &&[u64]| pair[1] - pair[0] > longest;
        let total: u64 = segments.offsets().windows(2).filter(is_long).map(|pair| pair[1] - pair[0]).sum();
        let length = piece_length(total, processors);
        let mut pieces = Self { offsets: vec![0], ..Self::default() };
        for (segment, pair) in (0..).zip(segments.offsets().windows(2)) {
            if pair[1] - pair[0] > longest {
                let mut begin = pair[0];
                while begin < pair[1] {
                    let end = (begin + length).min(pair[1]);
                    pieces.begins.push(begin);
                    pieces.ends.push(end);
                    begin = end;
                }
                pieces.offsets.push(pieces.begins.len() as u64);
                pieces.segments.push(segment);
            }
        }
        pieces
    }

    /// How many pieces there are.
    pub(crate) fn len(&self) -> u64 {
        self.begins.len() as u64
    }

    /// All four lists on the GPU in one allocation, and the address of each.
    pub(crate) fn upload(&self, gpu: &dyn Gpu) -> Result<OnGpu, Error> {
        let lists = [&self.begins, &self.ends, &self.offsets, &self.segments];
        let memory = upload(gpu, &lists.map(Vec::as_slice).concat())?;
        let mut address = memory.address;
        let [begins, ends, offsets, segments] = lists.map(|list| {
            let here = address;
            address += 8 * list.len() as u64;
            here
        });
        Ok(OnGpu { begins, ends, offsets, segments, _memory: memory })
    }
}

/// Where the lists are.
pub(crate) struct OnGpu {
    pub begins: u64,
    pub ends: u64,
    pub offsets: u64,
    pub segments: u64,
    _memory: Memory,
}
