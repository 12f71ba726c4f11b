//! Histogram of equal bins.

use crate::array::Element;
use crate::device::OnGpu;
use crate::error::Error;
use crate::gpu::{Source, blocks, download, zeros};
use crate::histogram::Bins;

/// The most counters that a block keeps in shared memory; `SHARED_BINS` in `cuda/histogram.cu`.
const MOST_SHARED: usize = 8192;

/// The bins' counts, then those below, above and NaN.
pub(crate) fn count<T: Element>(on: &OnGpu<'_>, bins: &Bins) -> Result<Vec<u64>, Error> {
    let (gpu, counters) = (&**on.gpu, bins.count() + 3);
    let counts = zeros(gpu, counters as u64)?;
    let kind = if counters <= MOST_SHARED { "shared" } else { "global" };
    let arguments = [
        on.address,
        on.length as u64,
        bins.low().to_bits(),
        bins.high().to_bits(),
        bins.scale().to_bits(),
        bins.count() as u64,
        counts.address,
    ];
    let grid = blocks((on.length as u64).div_ceil(4)).min(gpu.processors() * 8);
    gpu.launch(Source::Histogram, &format!("histogram_{kind}_{}", T::SUFFIX), grid, &arguments)?;
    download(gpu, &counts, counters)
}
