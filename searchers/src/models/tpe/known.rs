//! Which points have been tried, so that a finite space is not searched in circles.
//!
//! Points are kept as hashes of their coordinates: 8 bytes a trial and the nodes of the set. Two points that share a hash (one
//! chance in 10⁹ for 100 000 trials) only mean that one of them is passed over. Spaces in which every point has a
//! continuous coordinate keep nothing, because there no point comes twice.

use crate::history::History;
use crate::space::encoding::{Axis, AxisKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The tried points.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    hashes: BTreeSet<u64>,
    /// So many trials of the history are noted.
    noted: u32,
}

impl Known {
    /// Notes the trials that are new: each once, and usually one a suggestion.
    pub(super) fn note(&mut self, history: &History, axes: &[Axis]) {
        if never_repeats(axes) {
            return;
        }
        while let Some(observed) = history.trial(self.noted + 1) {
            self.hashes.insert(hash(&observed.point));
            self.noted += 1;
        }
    }

    /// Whether a settled point was tried.
    pub(super) fn contains(&self, point: &[f64]) -> bool {
        !self.hashes.is_empty() && self.hashes.contains(&hash(point))
    }
}

/// Whether every point has a coordinate that takes any number.
fn never_repeats(axes: &[Axis]) -> bool {
    axes.iter().any(|axis| {
        axis.kind == AxisKind::Continuous && !axis.conditional && axis.value(0.0) != axis.value(1.0)
    })
}

/// The steps are those of SplitMix64.
fn hash(point: &[f64]) -> u64 {
    let bits = |at: f64| if at.is_nan() { u64::MAX } else { (at + 0.0).to_bits() };
    point.iter().fold(0x9E37_79B9_7F4A_7C15, |state: u64, &at| {
        let mut mixed = (state ^ bits(at)).wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    })
}
