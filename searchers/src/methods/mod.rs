//! The search methods. Each file names the rule it implements; the contract is [`crate::method`].

mod adaptive;
mod async_halving;
mod fixed;
pub(crate) mod halving;

pub(crate) use adaptive::Adaptive;
pub(crate) use async_halving::AsyncHalving;
pub(crate) use fixed::{Fixed, Source};

/// A limit as a number: 0 means none.
fn limit(max_concurrent_trials: u32) -> u32 {
    if max_concurrent_trials == 0 { u32::MAX } else { max_concurrent_trials }
}
