//! The model against naive references: gradients by differences, posteriors by dense algebra, kernels by their factor.

#![allow(clippy::needless_range_loop, reason = "matrices by their indices, as in the definitions")]

use super::cholesky::Cholesky;
use super::fit::Data;
use super::kernel::{Kernel, Points};
use super::params::{Layout, Params};
use super::posterior::Posterior;
use crate::method::TrialId;
use crate::space::encoding::Encoding;
use crate::space::{Dimension, Domain, Space, Value};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Numbers, choices, and both under a condition.
fn space() -> Space {
    let double = Domain::Double { min: 0.0, max: 1.0, log: false, quantize: None, count: None };
    let text = |name: &str| Value::String(name.to_owned());
    let choice = Domain::Categorical(vec![text("x"), text("y"), text("z")]);
    let only = |domain: &Domain| Dimension {
        domain: domain.clone(),
        condition: BTreeMap::from([("kind".to_owned(), vec![text("x"), text("z")])]),
        prior: None,
    };
    let units = Domain::Int { min: 1, max: 9, log: true, count: None };
    Space::new(BTreeMap::from([
        ("kind".to_owned(), Dimension::always(choice.clone())),
        ("rate".to_owned(), Dimension::always(double.clone())),
        ("units".to_owned(), Dimension::always(units)),
        ("mood".to_owned(), only(&choice)),
        ("decay".to_owned(), only(&double)),
    ]))
}

fn layout(encoding: &Encoding, levels: usize) -> Layout {
    Layout { axes: encoding.axes().len(), levels }
}

fn points(space: &Space, encoding: &Encoding, count: u32) -> Vec<Vec<f64>> {
    (1..=count).map(|trial| encoding.encode(&space.draw(5, TrialId(trial)))).collect()
}

/// The start, moved off it by a pattern.
fn moved(layout: Layout, pattern: u64) -> Params {
    let mut params = layout.start();
    for (at, value) in (0_u64..).zip(&mut params.0) {
        *value += ((pattern.wrapping_mul(2_654_435_769 + at * 40_503) >> 7) % 200) as f64 / 125.0 - 0.8;
    }
    params
}

#[test]
fn the_gradient_is_what_differences_say() {
    let (space, encoding) = (space(), Encoding::new(&space()));
    let points = points(&space, &encoding, 24);
    let data = Data {
        layout: layout(&encoding, 3),
        axes: encoding.axes(),
        points: points.iter().enumerate().map(|(at, point)| (point.as_slice(), at % 3)).collect(),
        scores: (0..24).map(|at| f64::from(at * 7 % 11) / 4.0 - 1.2).collect(),
    };
    for pattern in [1, 77, 1234] {
        let params = moved(data.layout, pattern);
        let (_, gradient) = data.objective(&params);
        for (at, slope) in gradient.iter().enumerate() {
            let by = |off: f64| {
                let mut near = params.clone();
                near.0[at] += off;
                data.objective(&near).0
            };
            let expected = (by(1e-4) - by(-1e-4)) / 2e-4;
            assert!(
                (slope - expected).abs() < 1e-4 * expected.abs().max(1.0),
                "{at}: {slope}, not {expected}"
            );
        }
    }
}

/// Solves a dense system by elimination with pivots.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let len = right.len();
    for step in 0..len {
        let pivot =
            (step..len).max_by(|&a, &b| matrix[a][step].abs().total_cmp(&matrix[b][step].abs())).unwrap();
        matrix.swap(step, pivot);
        right.swap(step, pivot);
        for row in step + 1..len {
            let factor = matrix[row][step] / matrix[step][step];
            for column in step..len {
                let above = matrix[step][column];
                matrix[row][column] -= factor * above;
            }
            right[row] -= factor * right[step];
        }
    }
    for row in (0..len).rev() {
        let rest: f64 = (row + 1..len).map(|column| matrix[row][column] * right[column]).sum();
        right[row] = (right[row] - rest) / matrix[row][row];
    }
    right
}

/// The covariance of points at levels, by the definition.
fn covariance(kernel: &Kernel, encoding: &Encoding, points: &[Vec<f64>], levels: &[usize]) -> Vec<Vec<f64>> {
    let mut all = Points::new(encoding.axes(), false);
    points.iter().zip(levels).for_each(|(point, &level)| all.push(kernel, point, level));
    let mut rows = vec![vec![0.0; points.len()]; points.len()];
    for (at, row) in rows.iter_mut().enumerate() {
        kernel.row((&all, at), levels[at], &all, row);
        assert!((row[at] - kernel.variance(levels[at])).abs() < 1e-12);
    }
    rows
}

#[test]
fn the_posterior_is_that_of_dense_algebra() {
    let (space, encoding) = (space(), Encoding::new(&space()));
    let all = points(&space, &encoding, 45);
    let (known, asked) = all.split_at(30);
    let layout = layout(&encoding, 3);
    let kernel = Kernel::new(layout, &moved(layout, 99));
    let levels: Vec<usize> = (0..45).map(|at| if at < 30 { at % 3 } else { 2 }).collect();
    let scores: Vec<f64> = (0..30).map(|at| f64::from(at * 7 % 11) / 4.0 - 1.2).collect();
    let covariance = covariance(&kernel, &encoding, &all, &levels);
    let mut posterior = Posterior::new(encoding.axes(), kernel.clone());
    known.iter().zip(&levels).for_each(|(point, &level)| posterior.push(point, level));
    posterior.set_scores(scores.clone());
    let mut noisy: Vec<Vec<f64>> = covariance[..30].iter().map(|row| row[..30].to_vec()).collect();
    (0..30).for_each(|at| noisy[at][at] += kernel.noise(levels[at]));
    let weights = solve(noisy.clone(), scores);
    let points = posterior.ask(encoding.axes(), asked, 2);
    let means = posterior.means(&points, 2);
    for at in 0..15 {
        let row = &covariance[30 + at][..30];
        let mean: f64 = row.iter().zip(&weights).map(|(a, b)| a * b).sum();
        let known: f64 = row.iter().zip(solve(noisy.clone(), row.to_vec())).map(|(a, b)| a * b).sum();
        let variance = covariance[30 + at][30 + at] - known;
        let found = posterior.beliefs(&points, at / 8 * 8, 2)[at % 8];
        assert!((found.0 - mean).abs() < 1e-9 && (means[at].0 - mean).abs() < 1e-9, "{at}: {found:?} {mean}");
        assert!((found.1 - variance).abs() < 1e-9, "{at}: {found:?} {variance}");
        assert!(means[at].1 >= variance, "{at}: the bound {} is below {variance}", means[at].1);
    }
}

#[test]
fn a_trial_that_runs_changes_variances_alone() {
    let (space, encoding) = (space(), Encoding::new(&space()));
    let all = points(&space, &encoding, 12);
    let kernel = Kernel::new(layout(&encoding, 2), &layout(&encoding, 2).start());
    let mut posterior = Posterior::new(encoding.axes(), kernel);
    all[..10].iter().for_each(|point| posterior.push(point, 0));
    posterior.set_scores((0..10).map(f64::from).collect());
    let asked = posterior.ask(encoding.axes(), &all[10..], 1);
    let before = posterior.beliefs(&asked, 0, 1);
    posterior.push(&all[10], 1);
    let after = posterior.beliefs(&asked, 0, 1);
    assert!(
        (before[0].0 - after[0].0).abs() < 1e-12 && after[0].1 < 0.2 * before[0].1,
        "{before:?} {after:?}"
    );
    posterior.truncate(10);
    assert_eq!(posterior.beliefs(&asked, 0, 1), before);
}

#[test]
fn levels_that_tell_nothing_of_each_other_are_found_out() {
    let (space, encoding) = (space(), Encoding::new(&space()));
    let points = points(&space, &encoding, 60);
    let layout = layout(&encoding, 2);
    let rate = encoding.axes().iter().position(|axis| axis.path == ["rate"]).unwrap();
    let fitted = |sign: f64| {
        let score = |at: usize| {
            let smooth = 2.0 * (points[at / 2][rate] * 4.0).sin();
            if at.is_multiple_of(2) { smooth } else { sign * smooth }
        };
        let data = Data {
            layout,
            axes: encoding.axes(),
            points: (0..120).map(|at| (points[at / 2].as_slice(), at % 2)).collect(),
            scores: (0..120).map(score).collect(),
        };
        super::fit::fit(&data, &layout.start()).0[layout.link(0)].tanh()
    };
    let (same, opposite) = (fitted(1.0), fitted(-1.0));
    assert!(same > 0.9 && opposite < -0.5, "{same} {opposite}");
}

proptest! {
    #[test]
    fn the_kernel_is_positive_semi_definite(pattern in any::<u64>(), count in 2..40_u32) {
        let (space, encoding) = (space(), Encoding::new(&space()));
        let points = points(&space, &encoding, count);
        let layout = layout(&encoding, 4);
        let levels: Vec<usize> = (0..count as usize).map(|at| (at * 7 + pattern as usize % 5) % 4).collect();
        let kernel = Kernel::new(layout, &moved(layout, pattern));
        let covariance = covariance(&kernel, &encoding, &points, &levels);
        // Every pivot of the factor stays above the jitter that was added less what rounding takes.
        let (mut factor, jitter) = (Cholesky::default(), 1e-6);
        for (at, row) in covariance.iter().enumerate() {
            let mut row = row[..=at].to_vec();
            row[at] += jitter;
            factor.push(&row);
            prop_assert!(factor.row(at)[at].powi(2) > 0.5 * jitter, "pivot {at}: {}", factor.row(at)[at]);
        }
    }
}
