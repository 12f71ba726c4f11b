//! The least value of a smooth function: limited-memory BFGS (Liu and Nocedal 1989) with a search that halves the step until
//! the value falls enough (Armijo). The number of evaluations is bounded; the best point found is the answer.

use super::cholesky::dot;
use std::collections::VecDeque;

/// Steps that are remembered.
const MEMORY: usize = 8;
/// Ends when the value falls by less than this.
const LEAST_GAIN: f64 = 1e-3;
/// No parameter moves farther in one step.
const LONGEST: f64 = 1.0;

/// A step and by how much the gradient changed over it.
struct Step {
    moved: Vec<f64>,
    bent: Vec<f64>,
}

/// Minimises `objective` (value and gradient) from `start` on; `clamp` keeps each coordinate in bounds.
pub(super) fn minimise(
    objective: impl Fn(&[f64]) -> (f64, Vec<f64>),
    clamp: impl Fn(usize, f64) -> f64,
    start: &[f64],
    evaluations: u32,
) -> Vec<f64> {
    let mut point = start.to_vec();
    let (mut value, mut gradient) = objective(&point);
    if !value.is_finite() {
        return point;
    }
    let mut memory: VecDeque<Step> = VecDeque::new();
    let (mut used, mut scale) = (1, 1.0);
    while used < evaluations {
        let direction = direction(&gradient, &memory);
        let moved = |scale: f64| -> Vec<f64> {
            let step = |(at, (from, by)): (usize, (&f64, &f64))| clamp(at, from + scale * by);
            point.iter().zip(&direction).enumerate().map(step).collect()
        };
        let next = moved(scale);
        let (next_value, next_gradient) = objective(&next);
        used += 1;
        let step = Step { moved: difference(&next, &point), bent: difference(&next_gradient, &gradient) };
        // Also false for NaN.
        if next_value <= value + 1e-4 * dot(&step.moved, &gradient) {
            let gain = value - next_value;
            if dot(&step.moved, &step.bent) > 1e-10 {
                memory.push_back(step);
                if memory.len() > MEMORY {
                    memory.pop_front();
                }
            }
            (point, value, gradient, scale) = (next, next_value, next_gradient, 1.0);
            if gain < LEAST_GAIN {
                break;
            }
        } else {
            scale *= 0.35;
            if scale < 1e-3 {
                if memory.is_empty() {
                    break;
                }
                memory.clear();
                scale = 1.0;
            }
        }
    }
    point
}

fn difference(left: &[f64], right: &[f64]) -> Vec<f64> {
    left.iter().zip(right).map(|(left, right)| left - right).collect()
}

/// Down the hill, bent by what is remembered, no farther than [`LONGEST`] in any coordinate.
fn direction(gradient: &[f64], memory: &VecDeque<Step>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
    let mut shares = Vec::new();
    for step in memory.iter().rev() {
        let share = dot(&step.moved, &direction) / dot(&step.moved, &step.bent);
        direction.iter_mut().zip(&step.bent).for_each(|(to, bent)| *to -= share * bent);
        shares.push(share);
    }
    match memory.back() {
        Some(last) => {
            let scale = dot(&last.moved, &last.bent) / dot(&last.bent, &last.bent);
            direction.iter_mut().for_each(|to| *to *= scale);
        }
        None => {
            let length = dot(gradient, gradient).sqrt().max(1e-12);
            direction.iter_mut().for_each(|to| *to *= (0.5 / length).min(1.0));
        }
    }
    for (step, share) in memory.iter().zip(shares.iter().rev()) {
        let back = dot(&step.bent, &direction) / dot(&step.moved, &step.bent);
        direction.iter_mut().zip(&step.moved).for_each(|(to, moved)| *to += (share - back) * moved);
    }
    let longest = direction.iter().fold(0.0, |longest: f64, by| longest.max(by.abs()));
    if longest > LONGEST {
        direction.iter_mut().for_each(|to| *to *= LONGEST / longest);
    }
    direction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bottom_of_a_narrow_valley() {
        let valley = |point: &[f64]| {
            let (x, y) = (point[0], point[1]);
            let value = (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2);
            (value, vec![-2.0 * (1.0 - x) - 400.0 * x * (y - x * x), 200.0 * (y - x * x)])
        };
        let found = minimise(valley, |_, value| value, &[-1.2, 1.0], 200);
        assert!((found[0] - 1.0).abs() < 0.05 && (found[1] - 1.0).abs() < 0.1, "{found:?}");
        let bounded = minimise(valley, |_, value: f64| value.min(0.5), &[-1.2, 0.3], 200);
        assert!(bounded.iter().all(|&value| value <= 0.5) && valley(&bounded).0 < 1.0, "{bounded:?}");
    }

    #[test]
    fn a_function_without_values_is_left_alone() {
        assert_eq!(minimise(|_| (f64::NAN, vec![0.0]), |_, value| value, &[0.3], 10), [0.3]);
    }
}
