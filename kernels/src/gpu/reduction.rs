//! Moments and extremes of segments. Short ones by a few lanes of a warp each; long ones in pieces by a block each, then merged.

use crate::array::Element;
use crate::device::OnGpu;
use crate::error::Error;
use crate::gpu::pieces::{Pieces, piece_length};
use crate::gpu::{Source, blocks, download};
use crate::partial::{Extremes, Moments, Words, from_words};
use crate::segments::{Segments, Statistics};

/// The longest segment that one warp takes.
const LONGEST_SHORT: u64 = 4096;
const SOURCE: Source = Source::Reductions;

impl Statistics {
    fn kernel(self) -> &'static str {
        match self {
            Self::Moments => "moments",
            Self::Extremes => "extremes",
            Self::All => "summary",
        }
    }
}

/// What is looked for in each segment.
pub(crate) fn reduce<T: Element>(
    on: &OnGpu<'_>,
    segments: &Segments,
    statistics: Statistics,
) -> Result<Vec<(Moments, Extremes)>, Error> {
    let kernel = format!("{}_{}", statistics.kernel(), T::SUFFIX);
    let words = match *segments.offsets() {
        [begin, end] if end - begin > LONGEST_SHORT => reduce_one(on, &kernel, begin, end)?,
        _ => reduce_many(on, &kernel, segments)?,
    };
    Ok(words.iter().zip(segments.offsets()).map(|(words, &begin)| from_words(words, begin)).collect())
}

/// One long segment: two launches and one small read.
fn reduce_one(on: &OnGpu<'_>, kernel: &str, begin: u64, end: u64) -> Result<Vec<Words>, Error> {
    let piece = piece_length(end - begin, on.gpu.processors());
    let count = (end - begin).div_ceil(piece);
    let partials = on.gpu.allocate((count as usize + 1) * size_of::<Words>())?;
    let (out, partial) = (partials.address, partials.address + size_of::<Words>() as u64);
    on.gpu.launch(
        SOURCE,
        &format!("{kernel}_piece"),
        count,
        &[on.address, 0, 0, begin, end, piece, partial],
    )?;
    on.gpu.launch(SOURCE, "merge_pieces", 1, &[partial, 0, 0, count, out])?;
    download(&**on.gpu, &partials, 1)
}

fn reduce_many(on: &OnGpu<'_>, kernel: &str, segments: &Segments) -> Result<Vec<Words>, Error> {
    let (gpu, count) = (&**on.gpu, segments.len() as u64);
    let pieces = Pieces::cut(segments, LONGEST_SHORT, gpu.processors());
    let out = gpu.allocate(segments.len() * size_of::<Words>())?;
    let short = count - pieces.segments.len() as u64;
    if short > 0 {
        let offsets = segments.on(on.gpu)?;
        let lanes = lanes(on.length as u64 / count);
        let arguments = [on.address, offsets.address, count, LONGEST_SHORT, lanes, out.address];
        gpu.launch(SOURCE, &format!("{kernel}_short"), blocks(count * lanes), &arguments)?;
    }
    if pieces.len() > 0 {
        let lists = pieces.upload(gpu)?;
        let partials = gpu.allocate(pieces.len() as usize * size_of::<Words>())?;
        let arguments = [on.address, lists.begins, lists.ends, 0, 0, 0, partials.address];
        gpu.launch(SOURCE, &format!("{kernel}_piece"), pieces.len(), &arguments)?;
        let arguments = [partials.address, lists.offsets, lists.segments, 0, out.address];
        gpu.launch(SOURCE, "merge_pieces", pieces.segments.len() as u64, &arguments)?;
    }
    download(gpu, &out, segments.len())
}

/// How many lanes take one segment, so that each has about four values or more: a power of two up to 32.
fn lanes(average: u64) -> u64 {
    (average / 4).next_power_of_two().clamp(1, 32)
}
