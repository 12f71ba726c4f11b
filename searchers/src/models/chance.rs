//! Points by chance: anywhere, and where a person expects good ones.

use super::View;
use crate::space::Assignment;
use crate::space::encoding::Axis;
use crate::stream::Stream;

/// Of the trials before a model knows anything, so many are where a person expects good ones, if somebody has said so. The
/// others are drawn at random, in case that is wrong.
const EXPECTED: f64 = 0.5;
/// So often another place is tried if one is not to be had.
const ATTEMPTS: u32 = 64;

/// A point as the person expects it; axes without a prior anywhere.
pub(super) fn expected(axes: &[Axis], stream: &mut Stream) -> Vec<f64> {
    let coordinate = |axis: &Axis| match axis.prior() {
        Some(prior) => prior.draw(stream.unit()),
        None => axis.at(stream.unit()),
    };
    axes.iter().map(coordinate).collect()
}

/// Whether somebody has said what to expect.
pub(super) fn has_priors(axes: &[Axis]) -> bool {
    axes.iter().any(|axis| axis.prior().is_some())
}

/// Where a model that knows nothing yet places a trial: in a part of all cases as expected, else as drawn (none). `is_free`:
/// whether nobody has a settled point.
pub(super) fn early(
    view: View<'_>,
    stream: &mut Stream,
    is_free: impl Fn(&[f64]) -> bool,
) -> Option<Assignment> {
    let axes = view.encoding.axes();
    if !has_priors(axes) || stream.unit() >= EXPECTED {
        return None;
    }
    let mut places = (0..ATTEMPTS).map(|_| view.encoding.decode(view.space, &expected(axes, stream)));
    places.find(|place| view.space.allows(place) && is_free(&view.encoding.encode(place)))
}
