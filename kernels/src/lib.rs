//! Reductions on CUDA, with a CPU twin of the same contract.
//!
//! A [`Device`] is chosen at run time (`auto`, `cpu`, `cuda:0`); every operation takes it first and answers the same on each, within
//! the tolerance that the operation states. Nothing of CUDA is needed to build, and a machine without it runs everything on the CPU.
//!
//! | module | holds |
//! |---|---|
//! | [`choice`] | what `--device` may say |
//! | [`device`] | an opened device |
//! | [`mod@array`] | arrays that lie on a device, and slices of the host, as inputs |
//! | [`summary`] | all summary statistics of an array in one pass |
//! | [`segments`] | segments of an array; their moments, extremes, best k, quantiles and running best |
//! | [`mod@histogram`] | equal bins |
//! | [`replicates`] | very many replicates of a search by successive halving over a table of curves, reduced to regret |
//! | [`philox`] | the counter-based random numbers of both implementations |
//! | [`partial`] | moments and extremes of a range, and how two ranges are merged |
//! | `order` | the order of floating-point values as integers |
//! | `cpu` | the CPU twin |
//! | `gpu` | the CUDA side up to the driver: what is launched, with which arguments |
//! | `cuda` | the driver and NVRTC; the only module with `unsafe`, and the kernels (`cuda/*.cu`) |
//!
//! # What all operations have in common
//!
//! * Elements are `f32` or `f64`. Everything is computed in `f64`; an `f32` is widened, which is exact.
//! * **NaN and infinities.** An infinity has a place in an order but none in a mean. Sum, mean and variance are of the
//!   finite values, and the count says how many there were. Minimum and maximum are of all values but NaN. In the best k, quantiles and
//!   running best, infinities are in order and NaN is last.
//! * **Ties** go to the lowest index. -0 and +0 are equal; only the running best puts -0 just before +0, so that it does not depend on
//!   how the array is cut.
//! * **Empty segments** have a count of 0, a mean and variance of NaN, no extremes, no best, and NaN as each quantile.
//! * An array has fewer than 2³² elements.
//! * A run gives the same bits again on the same device. Integers, indices, orders and regrets are the same bits on every device.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod array;
pub mod choice;
mod cpu;
mod cuda;
pub mod device;
mod error;
mod gpu;
pub mod histogram;
mod order;
pub mod partial;
pub mod philox;
pub mod replicates;
pub mod segments;
pub mod summary;
#[cfg(test)]
mod tests;

pub use array::{DeviceArray, Element, Input};
pub use choice::DeviceChoice;
pub use device::Device;
pub use error::Error;
pub use order::Best;
