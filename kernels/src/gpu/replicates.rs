//! Replicate searches: a batch at a time, as many as memory holds, one by each thread.

use crate::array::DeviceArray;
use crate::device::{OnGpu, gpu_array};
use crate::error::Error;
use crate::gpu::{Gpu, Source, blocks, download, upload};
use crate::replicates::Prepared;
use std::sync::Arc;

/// The part of free memory that replicates may take while they are played: one in so many.
const SHARE: u64 = 2;
/// Threads that a multiprocessor holds: more replicates at once only take memory.
const THREADS_EACH: u64 = 2048;
const SOURCE: Source = Source::Replicates;

/// The regret of each replicate at each budget, budget by budget.
pub(crate) fn regrets(
    gpu: &Arc<dyn Gpu>,
    search: &Prepared,
    replicates: usize,
) -> Result<DeviceArray<f64>, Error> {
    let device = &**gpu;
    let cells = replicates * search.budgets.len();
    let out = device.allocate(cells * 8)?;
    let (wide, narrow) = words(search);
    let most = device.free_bytes()? / SHARE / (8 * wide + 4 * narrow);
    let batch = most.min(device.processors() * THREADS_EACH).min(replicates as u64).max(1);
    let wide = device.allocate((wide * batch * 8) as usize)?;
    let narrow = device.allocate((narrow * batch * 4) as usize)?;
    let keys = upload(device, &search.keys)?;
    let metrics = upload(device, &search.metrics)?;
    let lengths = upload(device, &search.lengths)?;
    let shares = upload(device, &search.shares)?;
    let budgets = upload(device, &search.budgets)?;
    let mut first = 0;
    while first < replicates as u64 {
        let count = batch.min(replicates as u64 - first);
        let tables = [&keys, &metrics, &lengths, &shares, &budgets].map(|memory| memory.address);
        let numbers = [
            search.configurations as u64,
            search.trials as u64,
            u64::from(search.slots),
            search.lengths.len() as u64,
            search.budgets.len() as u64,
            search.places() as u64,
            search.seed,
            search.reference.to_bits(),
            first,
            count,
            replicates as u64,
        ];
        let arguments = [&tables[..], &numbers, &[wide.address, narrow.address, out.address]].concat();
        device.launch(SOURCE, "play_replicates", blocks(count), &arguments)?;
        first += count;
    }
    device.synchronize()?;
    Ok(gpu_array(gpu, out, cells))
}

/// How many words of 64 and of 32 bits a replicate takes while it is played: the clock and the rungs, or before them the
/// hash table; the jobs and the order.
fn words(search: &Prepared) -> (u64, u64) {
    let rungs = (search.lengths.len() - 1) * search.trials;
    let wide = search.slots as usize + rungs.max(search.places());
    (wide as u64, u64::from(search.slots) + search.trials as u64)
}

/// The mean of each resample at each budget.
pub(crate) fn bootstrap_means(
    on: &OnGpu<'_>,
    replicates: usize,
    resamples: u32,
    seed: u64,
) -> Result<Vec<f64>, Error> {
    let count = on.length / replicates * resamples as usize;
    let out = on.gpu.allocate(count * 8)?;
    let arguments = [on.address, replicates as u64, u64::from(resamples), seed, out.address];
    on.gpu.launch(SOURCE, "bootstrap_means", count as u64, &arguments)?;
    download(&**on.gpu, &out, count)
}
