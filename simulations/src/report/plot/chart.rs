//! A chart as data: two axes and a line with a band for each searcher.

/// How values are laid out along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithm; both ends are positive.
    Log,
}

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// Where, in the axis' values.
    pub at: f64,
    /// What is written there.
    pub label: String,
}

/// One axis.
#[derive(Clone, Debug)]
pub(super) struct ChartAxis {
    /// What it measures.
    pub label: String,
    /// How values are laid out.
    pub scale: Scale,
    /// The value at its beginning. On a logarithmic axis smaller values are drawn here.
    pub from: f64,
    /// The value at its end.
    pub to: f64,
    /// Its marks.
    pub ticks: Vec<Tick>,
}

impl ChartAxis {
    /// Where a value lies: 0 at the beginning, 1 at the end. Values outside are moved to the nearer end.
    pub fn part(&self, value: f64) -> f64 {
        let (value, from, to) = match self.scale {
            Scale::Linear => (value, self.from, self.to),
            Scale::Log => (value.max(self.from).ln(), self.from.ln(), self.to.ln()),
        };
        ((value - from) / (to - from)).clamp(0.0, 1.0)
    }
}

/// A searcher's line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// The searcher's label.
    pub name: String,
    /// Its place in the setup, which decides its looks.
    pub searcher: usize,
    /// The points of the line.
    pub points: Vec<(f64, f64)>,
    /// The band: position, lower and upper end. Empty for none.
    pub band: Vec<(f64, f64, f64)>,
}

/// A chart.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// What it shows.
    pub title: String,
    /// The horizontal axis.
    pub x: ChartAxis,
    /// The vertical axis, from bottom to top.
    pub y: ChartAxis,
    /// Positions on the horizontal axis that are marked by a dotted line, with what is written above it.
    pub guides: Vec<Tick>,
    /// The lines.
    pub lines: Vec<Line>,
    /// Which searchers are baselines, by their place in the setup.
    pub baselines: Vec<bool>,
}
