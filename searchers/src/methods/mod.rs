//! The search methods. Each file names the rule it implements; the contract is [`crate::method`].

mod adaptive;
mod async_halving;
mod auto;
mod custom;
mod fixed;
mod halving;
mod median;
mod model_based;
mod numbered;
mod pasha;
mod pbt;
mod running;
mod synchronous;

use adaptive::Adaptive;
use async_halving::AsyncHalving;
pub(crate) use auto::{Auto, AutoSettings, LENGTHS};
use custom::Custom;
use fixed::{Fixed, Source};
use median::MedianStopping;
use model_based::ModelBased;
use pasha::Pasha;
use pbt::Pbt;
pub(crate) use running::Running;
use synchronous::Synchronous;

/// A limit as a number: 0 means none.
fn limit(max_concurrent_trials: u32) -> u32 {
    if max_concurrent_trials == 0 { u32::MAX } else { max_concurrent_trials }
}
