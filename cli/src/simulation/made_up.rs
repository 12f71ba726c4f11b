//! Made-up learning curves for a search that has not run: a formula over its own hyperparameters and its own lengths.
//!
//! The simulated world counts in steps: step k of a trial ends at the k-th of the lengths at which it reports. So a search
//! over a million batches costs no more to play than one over four epochs. A step costs what it is long, so that virtual
//! time and cost are lengths.

use std::collections::BTreeMap;
use toprung_searchers::space::encoding::{AxisKind, Encoding};
use toprung_searchers::{Action, Assignment, Create, Event, Searcher, Space, TrialId, Value};
use toprung_simulations::synthetic::{PowerLaw, Shape};
use toprung_simulations::{Curve, Error, Player, Point, Scale, Task};

/// The formula has about so many lengths: longer searches are scaled to it.
const RESOLUTION: u64 = 64;
/// The formula has no more numbers than this: further hyperparameters do not matter.
const MOST_AXES: usize = 64;
/// Easy, misleading, noisy, and a bit of everything that goes wrong.
const SHAPES: [Shape; 4] = [
    Shape { noise: 0.005, ..EASY },
    Shape { crossings: 0.7, noise: 0.01, ..EASY },
    Shape { noise: 0.05, ..EASY },
    Shape { crossings: 0.5, plateaus: 0.1, divergence: 0.1, noise: 0.02, uneven: 0.0 },
];
const EASY: Shape = Shape { crossings: 0.0, plateaus: 0.0, divergence: 0.0, noise: 0.0, uneven: 0.0 };

/// A family of curves over a space that is not its own.
pub(super) struct MadeUp {
    family: PowerLaw,
    space: Space,
    encoding: Encoding,
    /// Where a trial reports, shortest first.
    lengths: Vec<u64>,
    /// The same in lengths of the formula.
    scaled: Vec<u64>,
}

impl MadeUp {
    /// All families, easy first, with reports at `lengths` (ascending, at least one).
    pub(super) fn families(space: &Space, lengths: &[u64]) -> Result<Vec<Self>, Error> {
        let encoding = Encoding::new(space);
        let axes = encoding.axes().len().clamp(1, MOST_AXES) as u32;
        let scaled = scaled(lengths);
        let longest = scaled.last().copied().unwrap_or(1);
        (0..)
            .zip(SHAPES)
            .map(|(seed, shape)| {
                let family = PowerLaw::new("made up", seed, axes, longest, shape)?;
                let (encoding, lengths, scaled) = (encoding.clone(), lengths.to_vec(), scaled.clone());
                Ok(Self { family, space: space.clone(), encoding, lengths, scaled })
            })
            .collect()
    }

    /// A configuration as one of the formula's space: each hyperparameter by its place in its range.
    fn mapped(&self, trial: u32, hparams: &Assignment) -> Assignment {
        let own = self.family.space();
        if self.encoding.axes().is_empty() {
            // Nothing to tell trials apart by: they differ by chance.
            return own.draw(0, TrialId(trial));
        }
        let unit = |(coordinate, kind): (f64, AxisKind)| match kind {
            // What a configuration does not have changes nothing for better or worse.
            _ if coordinate.is_nan() => 0.5,
            AxisKind::Choice(count) => coordinate / count.saturating_sub(1).max(1) as f64,
            AxisKind::Continuous | AxisKind::Ordered => coordinate,
        };
        let kinds = self.encoding.axes().iter().map(|axis| axis.kind);
        let units = self.encoding.encode(hparams).into_iter().zip(kinds).map(unit);
        own.dimensions.keys().cloned().zip(units.map(Value::Double)).collect::<BTreeMap<_, _>>()
    }
}

impl Task for MadeUp {
    fn name(&self) -> &str {
        self.family.name()
    }

    fn space(&self) -> &Space {
        &self.space
    }

    fn max_length(&self) -> u64 {
        self.lengths.len() as u64
    }

    fn scale(&self) -> Scale {
        self.family.scale()
    }

    fn curve(&self, seed: u32, trial: u32, hparams: &Assignment) -> Curve {
        self.family.curve(seed, trial, &self.mapped(trial, hparams))
    }

    fn point(&self, curve: &Curve, step: u64) -> Point {
        let index = step.saturating_sub(1) as usize;
        let (Some(length), Some(scaled)) = (self.lengths.get(index), self.scaled.get(index)) else {
            return Point { metric: f64::NAN, cost: 0.0 };
        };
        let before = index.checked_sub(1).map_or(0, |before| self.lengths[before]);
        let cost = length.saturating_sub(before) as f64;
        Point { metric: self.family.point(curve, *scaled).metric, cost }
    }
}

/// Lengths of the formula, all different.
fn scaled(lengths: &[u64]) -> Vec<u64> {
    let longest = lengths.last().copied().unwrap_or(1).max(1);
    let mut before = 0;
    let scale = |&length: &u64| {
        let share = u128::from(length) * u128::from(RESOLUTION.min(longest));
        // No more than the resolution.
        let exact = u64::try_from(share.div_ceil(u128::from(longest))).unwrap_or(RESOLUTION);
        before = exact.max(before + 1);
        before
    };
    lengths.iter().map(scale).collect()
}

/// A searcher that counts in lengths, in a world that counts in steps.
pub(super) struct InSteps<'a> {
    searcher: Searcher,
    lengths: &'a [u64],
    /// How far each trial came: trial i at index i − 1.
    reached: Vec<u64>,
}

impl<'a> InSteps<'a> {
    pub(super) fn new(searcher: Searcher, lengths: &'a [u64]) -> Self {
        Self { searcher, lengths, reached: Vec::new() }
    }

    /// How far each trial came, in order of creation.
    pub(super) fn reached(&self) -> &[u64] {
        &self.reached
    }

    /// The step that ends at this length, or at the next report after it.
    fn step(&self, length: u64) -> u64 {
        let before = self.lengths.partition_point(|report| *report < length);
        (before + 1).min(self.lengths.len()) as u64
    }

    fn validated(&mut self, trial: TrialId, step: u64) -> u64 {
        let length = self.lengths.get(step.saturating_sub(1) as usize).copied().unwrap_or(0);
        if let Some(reached) = self.reached.get_mut((trial.0 as usize).saturating_sub(1)) {
            *reached = length;
        }
        length
    }
}

impl Player for InSteps<'_> {
    fn handle(&mut self, event: &Event, actions: &mut Vec<Action>) {
        let before = actions.len();
        let event = match *event {
            Event::Validated { trial, length, metric } => {
                Event::Validated { trial, length: self.validated(trial, length), metric }
            }
            Event::Capacity(_) | Event::Exited { .. } | Event::Directed(_) | Event::CannotPause { .. } => {
                event.clone()
            }
        };
        self.searcher.handle_into(&event, None, actions);
        for action in &mut actions[before..] {
            match action {
                Action::Create(Create { train_to, .. }) => {
                    *train_to = self.step(*train_to);
                    self.reached.push(0);
                }
                Action::TrainTo { length, .. } => *length = self.step(*length),
                Action::Pause { .. } | Action::Stop { .. } | Action::Shutdown { .. } => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_the_formula_differ() {
        assert_eq!(scaled(&[1, 3, 9, 27]), [1, 3, 9, 27]);
        assert_eq!(scaled(&[15, 62, 250, 1000]), [1, 4, 16, 64]);
        assert_eq!(scaled(&[1, 2, u64::MAX]), [1, 2, 64]);
    }

    #[test]
    fn a_step_costs_what_it_is_long() {
        let families = MadeUp::families(&Space::new(BTreeMap::new()), &[10, 40, 160]).unwrap();
        for family in families {
            let curve = family.curve(1, 1, &Assignment::new());
            let costs: Vec<f64> = (1..=3).map(|step| family.point(&curve, step).cost).collect();
            assert_eq!(costs, [10.0, 30.0, 120.0]);
        }
    }

    #[test]
    fn hyperparameters_decide_about_the_curve() {
        let text = "entrypoint: ./run\nhyperparameters: {x: {type: double, minval: 0, maxval: 9}, y: {type: categorical, \
                    vals: [a, b, c]}, z: 7}\nsearcher: {name: single, metric: e, max_length: 9}\n";
        let space = toprung_config::parse(text).unwrap().config.space;
        let family = &MadeUp::families(&space, &[1, 9]).unwrap()[0];
        let hparams = |x: f64, y: &str| {
            Assignment::from([
                ("x".to_owned(), Value::Double(x)),
                ("y".to_owned(), Value::from_json(&y.into())),
                ("z".to_owned(), Value::Int(7)),
            ])
        };
        let mapped = family.mapped(1, &hparams(4.5, "c"));
        let units: Vec<&Value> = mapped.values().collect();
        assert_eq!(units, [&Value::Double(0.5), &Value::Double(1.0)]);
        let metric = |x, y| family.point(&family.curve(1, 1, &hparams(x, y)), 2).metric;
        assert_ne!(metric(1.0, "a"), metric(8.0, "a"));
        assert_ne!(metric(1.0, "a"), metric(1.0, "c"));
    }
}
