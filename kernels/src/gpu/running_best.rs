//! Running best. Short segments by a warp each; long ones in pieces: the best of each, the best before each, then the pieces.

use crate::array::{DeviceArray, Element};
use crate::device::{OnGpu, gpu_array};
use crate::error::Error;
use crate::gpu::pieces::Pieces;
use crate::gpu::{Source, blocks};
use crate::order::Best;
use crate::segments::Segments;

/// The longest segment that one warp takes.
const LONGEST_SHORT: u64 = 4096;
const SOURCE: Source = Source::RunningBest;

pub(crate) fn running_best<T: Element>(
    on: &OnGpu<'_>,
    segments: &Segments,
    best: Best,
) -> Result<DeviceArray<T>, Error> {
    let (gpu, count, largest) = (&**on.gpu, segments.len() as u64, best.flag());
    let kernel = |name: &str| format!("{name}_{}", T::SUFFIX);
    let pieces = Pieces::cut(segments, LONGEST_SHORT, gpu.processors());
    let out = gpu.allocate(on.length * size_of::<T>())?;
    if count > pieces.segments.len() as u64 {
        let offsets = segments.on(on.gpu)?;
        let arguments = [on.address, offsets.address, count, LONGEST_SHORT, largest, out.address];
        gpu.launch(SOURCE, &kernel("best_short"), blocks(count * 32), &arguments)?;
    }
    if pieces.len() > 0 {
        let lists = pieces.upload(gpu)?;
        let before = gpu.allocate(pieces.len() as usize * size_of::<T>())?;
        let arguments = [on.address, lists.begins, lists.ends, largest, before.address];
        gpu.launch(SOURCE, &kernel("best_of_piece"), pieces.len(), &arguments)?;
        let long = pieces.segments.len() as u64;
        let arguments = [lists.offsets, long, largest, before.address];
        gpu.launch(SOURCE, &kernel("best_before"), blocks(long * 32), &arguments)?;
        let arguments = [on.address, lists.begins, lists.ends, before.address, largest, out.address];
        gpu.launch(SOURCE, &kernel("best_piece"), pieces.len(), &arguments)?;
    }
    Ok(gpu_array(on.gpu, out, on.length))
}
