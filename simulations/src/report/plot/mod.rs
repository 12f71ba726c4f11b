//! Plots: charts as data, drawn twice with the same strokes, as SVG and as pixels.
//!
//! | module | holds |
//! |---|---|
//! | `chart` | a chart: axes, lines, bands |
//! | `charts` | the charts of a comparison |
//! | `ticks` | where an axis has its marks |
//! | `look` | colours, dashes and markers that can be told apart |
//! | `draw` | a chart as strokes on a canvas |
//! | `labels` | names at the ends of lines, moved apart |
//! | `canvas` | what a canvas can do |
//! | `vector`, `pixels` | the two canvases |
//! | `font` | the letters |

mod canvas;
mod chart;
mod charts;
mod draw;
mod font;
mod labels;
pub(super) mod look;
mod pixels;
mod ticks;
mod vector;

use super::error::Error;
use crate::judge::{Comparison, TaskVerdict};
use chart::Chart;

/// A plot that can be written as a file.
pub struct Picture {
    /// Its name, good for a file: letters, digits, `-` and `_`.
    pub name: String,
    /// What it shows.
    pub title: String,
    chart: Chart,
}

impl Picture {
    /// The plot as an SVG document, with a light and a dark colour scheme.
    pub fn svg(&self) -> String {
        vector::document(&self.chart)
    }

    /// The plot as an SVG element to stand in a page that has the styles of [`look::styles`].
    pub(super) fn inline(&self) -> String {
        vector::element(&self.chart)
    }

    /// The plot as a PNG image, in light colours, two pixels for each unit of the SVG.
    pub fn png(&self) -> Result<Vec<u8>, Error> {
        pixels::png(&self.chart).map_err(|problem| Error::Png { plot: self.name.clone(), problem })
    }
}

/// All plots of a comparison: those over all tasks first, then those of each task.
pub(super) fn pictures(comparison: &Comparison) -> Vec<Picture> {
    let mut pictures = overall(comparison);
    pictures.extend(comparison.tasks.iter().flat_map(|task| of_task(comparison, task)));
    pictures
}

/// The plots over all tasks.
pub(super) fn overall(comparison: &Comparison) -> Vec<Picture> {
    let charts = [("mean-rank", charts::mean_rank(comparison)), ("profile", charts::profile(comparison))];
    charts.into_iter().map(|(name, chart)| picture(name.to_owned(), chart)).collect()
}

/// The plots of one task.
pub(super) fn of_task(comparison: &Comparison, task: &TaskVerdict) -> Vec<Picture> {
    let name: String = comparison.setup.tasks[task.task]
        .name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '-' })
        .collect();
    let prefix = format!("{}-{name}", task.task + 1);
    charts::of_task(comparison, task)
        .into_iter()
        .map(|(kind, chart)| picture(format!("{prefix}-{kind}"), chart))
        .collect()
}

fn picture(name: String, chart: Chart) -> Picture {
    Picture { name, title: chart.title.clone(), chart }
}
