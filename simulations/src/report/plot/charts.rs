//! The charts of a comparison.

use super::chart::{Chart, ChartAxis, Line, Tick};
use super::ticks::{linear_axis, log_axis};
use crate::judge::wording::{count, percent, round_number};
use crate::judge::{Axis, AxisCurves, Comparison, Curve, Interval, Task, TaskVerdict};

/// Below this, regret is drawn as if it were this.
const LEAST_REGRET: f64 = 1e-4;

/// Mean ranks as the budget grows, with a standard error to each side.
pub(super) fn mean_rank(comparison: &Comparison) -> Chart {
    let line = |curve: &crate::judge::RankCurve| Line {
        name: label(comparison, curve.searcher),
        searcher: curve.searcher,
        points: curve.points.iter().map(|&(at, rank, _)| (at, rank)).collect(),
        band: curve.points.iter().map(|&(at, rank, error)| (at, rank - error, rank + error)).collect(),
    };
    let most = comparison.setup.searchers.len().max(2) as f64;
    let mut y = linear_axis("mean rank (1 is best)".to_owned(), 1.0, most);
    if y.ticks.first().is_some_and(|tick| tick.at >= 2.0) {
        y.ticks.insert(0, Tick { at: 1.0, label: "1".to_owned() });
    }
    Chart {
        title: format!(
            "Mean rank over {} and {}",
            count(comparison.setup.tasks.len(), "task"),
            count(comparison.seeds.len(), "seed")
        ),
        x: percent_axis("part of the budget in time", crate::judge::curves::FIRST),
        y,
        guides: guides(comparison, 1.0),
        lines: comparison.ranks.iter().filter(|curve| !curve.points.is_empty()).map(line).collect(),
        baselines: baselines(comparison),
    }
}

/// The share of runs that end at or below each regret.
pub(super) fn profile(comparison: &Comparison) -> Chart {
    let line = |profile: &crate::judge::Profile| Line {
        name: label(comparison, profile.searcher),
        searcher: profile.searcher,
        points: profile.points.clone(),
        band: Vec::new(),
    };
    // Many lines end at the top: their names are listed in the order in which the lines get there.
    let mut lines: Vec<Line> = comparison.profiles.iter().map(line).collect();
    let area = |line: &Line| line.points.iter().map(|point| point.1).sum::<f64>();
    lines.sort_by(|one, other| area(other).total_cmp(&area(one)));
    let mut y = linear_axis("share of runs at or below it (higher is better)".to_owned(), 0.0, 1.0);
    y.ticks.iter_mut().for_each(|tick| tick.label = percent(tick.at));
    Chart {
        title: "How many runs end how close to the best".to_owned(),
        x: log_axis("normalised regret at the end".to_owned(), 1e-3, 1.0),
        y,
        guides: Vec::new(),
        lines,
        baselines: baselines(comparison),
    }
}

/// A task's charts with the ends of their names: regret and metric against time, regret against length and cost.
pub(super) fn of_task(comparison: &Comparison, task: &TaskVerdict) -> Vec<(String, Chart)> {
    let mut charts = Vec::new();
    for axis in &task.axes {
        if axis.axis == Axis::Cost && task.cost_is_length {
            continue;
        }
        charts.push((format!("regret-{}", axis.axis.name()), regret(comparison, task, axis)));
        if axis.axis == Axis::Time {
            charts.push(("metric-time".to_owned(), metric(comparison, task, axis)));
        }
    }
    charts
}

fn regret(comparison: &Comparison, task: &TaskVerdict, curves: &AxisCurves) -> Chart {
    let values =
        || curves.curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.regret.value));
    let top = values().filter(|value| value.is_finite()).fold(LEAST_REGRET * 10.0, f64::max);
    let least = values().filter(|&value| value > 0.0).fold(top, f64::min);
    let floor = (least * 0.7).max(LEAST_REGRET).min(top / 10.0);
    let mut y = log_axis("normalised regret (lower is better)".to_owned(), floor, top * 1.1);
    if let Some(label) = below(floor, values()) {
        y.ticks.retain(|tick| tick.at >= floor * 1.4);
        y.ticks.push(Tick { at: floor, label });
    }
    chart(comparison, task, curves, y, |regret| regret)
}

/// What the floor of a logarithmic axis stands for, if values lie below it.
fn below(floor: f64, values: impl Iterator<Item = f64>) -> Option<String> {
    let below: Vec<f64> = values.filter(|value| *value < floor).collect();
    let label = if below.iter().any(|value| *value > 0.0) {
        format!("< {}", round_number(floor))
    } else if below.iter().any(|value| *value < 0.0) {
        "≤ 0".to_owned()
    } else {
        "0".to_owned()
    };
    (!below.is_empty()).then_some(label)
}

fn metric(comparison: &Comparison, task: &TaskVerdict, curves: &AxisCurves) -> Chart {
    let scale = &comparison.setup.tasks[task.task];
    // What is much worse than a median configuration would flatten everything else.
    let values = || curves.curves.iter().flat_map(|curve| &curve.points).map(|point| point.regret.value);
    let top = values().filter(|value| value.is_finite()).fold(0.1, f64::max).min(1.2);
    let least = values().filter(|value| value.is_finite()).fold(0.0, f64::min);
    let (one, other) = (scale.metric_at(least - 0.03 * top), scale.metric_at(top));
    let better = if scale.smaller_is_better { "lower" } else { "higher" };
    let y =
        linear_axis(format!("best {} ({better} is better)", scale.metric), one.min(other), one.max(other));
    chart(comparison, task, curves, y, |regret| scale.metric_at(regret))
}

fn chart(
    comparison: &Comparison,
    task: &TaskVerdict,
    curves: &AxisCurves,
    y: ChartAxis,
    shown: impl Fn(f64) -> f64,
) -> Chart {
    let scale = &comparison.setup.tasks[task.task];
    let line = |curve: &Curve| {
        let points: Vec<(f64, Interval)> = curve
            .points
            .iter()
            .map(|point| (point.at, point.regret))
            .filter(|(_, regret)| regret.value.is_finite() && inside(&y, shown(regret.value)))
            .collect();
        Line {
            name: label(comparison, curve.searcher),
            searcher: curve.searcher,
            band: points.iter().map(|(at, regret)| (*at, shown(regret.low), shown(regret.high))).collect(),
            points: points.into_iter().map(|(at, regret)| (at, shown(regret.value))).collect(),
        }
    };
    let lines: Vec<Line> = curves.curves.iter().map(line).filter(|line| !line.points.is_empty()).collect();
    let first = crate::judge::curves::FIRST * curves.budget;
    let what = y.label.split(" (").next().unwrap_or_default().to_owned();
    Chart {
        title: format!("{}: {what} against {}", scale.name, spoken(curves.axis)),
        x: log_axis(format!("{} ({})", spoken(curves.axis), unit(scale, curves.axis)), first, curves.budget),
        y,
        guides: if curves.axis == Axis::Time { guides(comparison, curves.budget) } else { Vec::new() },
        lines,
        baselines: baselines(comparison),
    }
}

/// Whether a value is in an axis' range. Small values are on a logarithmic one: they are drawn at its floor.
fn inside(axis: &ChartAxis, value: f64) -> bool {
    value <= axis.to && (axis.scale == super::chart::Scale::Log || value >= axis.from)
}

fn percent_axis(label: &str, from: f64) -> ChartAxis {
    let mut axis = log_axis(label.to_owned(), from, 1.0);
    axis.ticks.iter_mut().for_each(|tick| tick.label = percent(tick.at));
    axis
}

/// The budgets at which the searchers are judged.
fn guides(comparison: &Comparison, budget: f64) -> Vec<Tick> {
    let shown =
        comparison.setup.fractions.iter().filter(|&&fraction| fraction >= crate::judge::curves::FIRST);
    shown.map(|&fraction| Tick { at: fraction * budget, label: percent(fraction) }).collect()
}

fn baselines(comparison: &Comparison) -> Vec<bool> {
    comparison.setup.searchers.iter().map(|searcher| searcher.baseline).collect()
}

fn label(comparison: &Comparison, searcher: usize) -> String {
    comparison.setup.searchers[searcher].label.clone()
}

/// The axis in words.
pub(in crate::report) fn spoken(axis: Axis) -> &'static str {
    match axis {
        Axis::Time => "virtual time",
        Axis::Length => "total length trained",
        Axis::Cost => "cost",
    }
}

fn unit(task: &Task, axis: Axis) -> &str {
    match axis {
        Axis::Time => &task.time_unit,
        Axis::Length => &task.length_unit,
        Axis::Cost => &task.cost_unit,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{of_task, overall, pictures};
    use super::*;
    use crate::judge::samples;

    fn comparison() -> Comparison {
        let (setup, runs) = samples::comparison_input(3, 12, 5);
        Comparison::new(setup, &runs).unwrap()
    }

    #[test]
    fn every_plot_shows_every_searcher() {
        let comparison = comparison();
        for picture in pictures(&comparison) {
            let svg = picture.svg();
            for searcher in &comparison.setup.searchers {
                let label = crate::report::page::escape(&searcher.label);
                assert!(svg.contains(&format!("<title>{label}</title>")), "{} lacks {label}", picture.name);
            }
        }
    }

    #[test]
    fn a_cost_that_is_the_length_has_no_plot_of_its_own() {
        let comparison = comparison();
        let names = |task: usize| {
            of_task(&comparison, &comparison.tasks[task])
                .into_iter()
                .map(|picture| picture.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(0), ["1-task_0-regret-time", "1-task_0-metric-time", "1-task_0-regret-length"]);
        assert_eq!(names(1).len(), 4);
        assert_eq!(overall(&comparison).len(), 2);
    }

    #[test]
    fn the_floor_says_what_lies_on_it() {
        let label = |values: &[f64]| below(0.01, values.iter().copied());
        assert_eq!(label(&[0.01, 0.5]), None);
        assert_eq!(label(&[0.0, 0.5]).unwrap(), "0");
        assert_eq!(label(&[0.004, 0.0]).unwrap(), "< 0.01");
        assert_eq!(label(&[-0.2, 0.0]).unwrap(), "≤ 0");
    }

    #[test]
    fn better_than_the_best_is_still_shown() {
        let (setup, mut runs) = samples::comparison_input(1, 2, 3);
        for step in runs.iter_mut().flat_map(|run| &mut run.steps) {
            step.best -= 0.2;
        }
        let comparison = Comparison::new(setup, &runs).unwrap();
        let axis = &comparison.tasks[0].axes[0];
        let chart = metric(&comparison, &comparison.tasks[0], axis);
        assert!(chart.lines.iter().all(|line| line.points.len() == axis.curves[0].points.len()));
    }

    #[test]
    fn every_plot_is_well_formed() {
        for picture in pictures(&comparison()) {
            crate::report::page::tests::assert_well_formed(&picture.svg());
        }
    }
}
