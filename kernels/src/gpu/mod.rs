//! The CUDA side up to the driver: what is launched, with which arguments.
//!
//! [`Gpu`] is what is asked of a driver: memory, copies, launches, all in one order. `cuda` implements it; in tests also an emulator that
//! runs the same kernel sources on the host, so that everything here runs without a GPU.

pub(crate) mod histogram;
pub(crate) mod pieces;
pub(crate) mod reduction;
pub(crate) mod replicates;
pub(crate) mod running_best;
pub(crate) mod selection;

use crate::error::Error;
use crate::segments::Segments;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Threads of every block.
pub(crate) const BLOCK: u64 = 256;

/// A kernel source. Each is compiled when it is first needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Reductions,
    RunningBest,
    Histogram,
    Selection,
    Replicates,
}

impl Source {
    /// Every source.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 5] =
        [Self::Reductions, Self::RunningBest, Self::Histogram, Self::Selection, Self::Replicates];

    /// The file's name.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Reductions => "reductions.cu",
            Self::RunningBest => "running_best.cu",
            Self::Histogram => "histogram.cu",
            Self::Selection => "selection.cu",
            Self::Replicates => "replicates.cu",
        }
    }

    /// The text to compile.
    pub(crate) fn text(self) -> String {
        let own = match self {
            Self::Reductions => include_str!("../cuda/reductions.cu"),
            Self::RunningBest => include_str!("../cuda/running_best.cu"),
            Self::Histogram => include_str!("../cuda/histogram.cu"),
            Self::Selection => include_str!("../cuda/selection.cu"),
            Self::Replicates => include_str!("../cuda/replicates.cu"),
        };
        [include_str!("../cuda/prelude.cu"), own].concat()
    }
}

/// A driver. Everything happens in the order in which it was asked for; only reads wait.
pub(crate) trait Gpu: Send + Sync + fmt::Debug {
    /// Its name for people.
    fn label(&self) -> String;
    /// How many multiprocessors it has.
    fn processors(&self) -> u64;
    /// How many bytes can be allocated.
    fn free_bytes(&self) -> Result<u64, Error>;
    /// Memory with any content.
    fn allocate(&self, bytes: usize) -> Result<Memory, Error>;
    /// Copies from the host.
    fn write(&self, to: &Memory, bytes: &[u8]) -> Result<(), Error>;
    /// Copies to the host.
    fn read(&self, from: &Memory, bytes: &mut [u8]) -> Result<(), Error>;
    /// Copies on the device.
    fn copy(&self, from: u64, to: &Memory, bytes: usize) -> Result<(), Error>;
    /// Starts a kernel of `blocks` blocks. Each argument is one word: a number, the bits of an `f64`, or an address.
    fn launch(&self, source: Source, kernel: &str, blocks: u64, arguments: &[u64]) -> Result<(), Error>;
    /// Waits until all is done.
    fn synchronize(&self) -> Result<(), Error>;
}

/// Memory of a device, freed when dropped.
pub(crate) struct Memory {
    pub address: u64,
    pub bytes: usize,
    /// What frees it when it is dropped.
    pub _keep: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({:#x}, {} bytes)", self.address, self.bytes)
    }
}

/// Allocates and fills memory.
pub(crate) fn upload<T: bytemuck::Pod>(gpu: &dyn Gpu, values: &[T]) -> Result<Memory, Error> {
    let memory = gpu.allocate(size_of_val(values))?;
    gpu.write(&memory, bytemuck::cast_slice(values))?;
    Ok(memory)
}

/// The first `count` values of memory.
pub(crate) fn download<T: bytemuck::Pod>(
    gpu: &dyn Gpu,
    memory: &Memory,
    count: usize,
) -> Result<Vec<T>, Error> {
    let mut values = vec![T::zeroed(); count];
    gpu.read(memory, bytemuck::cast_slice_mut(&mut values))?;
    Ok(values)
}

/// How many blocks `threads` threads are.
pub(crate) fn blocks(threads: u64) -> u64 {
    threads.div_ceil(BLOCK)
}

/// Words that are zero.
pub(crate) fn zeros(gpu: &dyn Gpu, words: u64) -> Result<Memory, Error> {
    let memory = gpu.allocate(words as usize * 8)?;
    let most = gpu.processors() * 8;
    gpu.launch(Source::Histogram, "clear_words", blocks(words).min(most), &[memory.address, words])?;
    Ok(memory)
}

/// The offsets of segments on the GPU that last asked for them.
#[derive(Default)]
pub(crate) struct Uploaded(Mutex<Option<Kept>>);

/// Memory, and the GPU it is on.
type Kept = (Arc<dyn Gpu>, Arc<Memory>);

impl fmt::Debug for Uploaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Uploaded")
    }
}

impl Segments {
    /// The offsets on this GPU.
    pub(crate) fn on(&self, gpu: &Arc<dyn Gpu>) -> Result<Arc<Memory>, Error> {
        let mut kept = self.uploaded.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((its, memory)) = &*kept
            && Arc::ptr_eq(its, gpu)
        {
            return Ok(Arc::clone(memory));
        }
        let memory = Arc::new(upload(&**gpu, self.offsets())?);
        *kept = Some((Arc::clone(gpu), Arc::clone(&memory)));
        Ok(memory)
    }
}
