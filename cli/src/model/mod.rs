//! The model directory: what is sent along with an experiment, and what can be checked about it before.

pub(crate) mod archive;
pub(crate) mod entry;
pub(crate) mod listing;
