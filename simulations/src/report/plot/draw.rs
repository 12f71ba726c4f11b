//! A chart as strokes: grid, bands, lines, markers, and each line's name at its end.

use super::canvas::{Anchor, Canvas, Spot, Text};
use super::chart::{Chart, Line};
use super::look::{Ink, dash, marker};
use super::{font, labels};

/// The width of a plot.
pub(super) const WIDTH: f32 = 720.0;
/// The least height of a plot; more searchers make it higher.
const HEIGHT: f32 = 430.0;
const LEFT: f32 = 66.0;
const RIGHT: f32 = 178.0;
const TOP: f32 = 58.0;
const BOTTOM: f32 = 50.0;
/// The distance of names at the ends of lines.
const GAP: f32 = 15.0;
const SMALL: f32 = 12.0;

/// The height that a chart needs.
pub(super) fn height(chart: &Chart) -> f32 {
    HEIGHT.max(TOP + BOTTOM + GAP * chart.lines.len() as f32)
}

/// Where things lie on the canvas.
struct Frame<'a> {
    chart: &'a Chart,
    bottom: f32,
}

impl Frame<'_> {
    fn x(&self, value: f64) -> f32 {
        LEFT + self.chart.x.part(value) as f32 * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f32 {
        self.bottom - self.chart.y.part(value) as f32 * (self.bottom - TOP)
    }

    fn spots(&self, points: impl Iterator<Item = (f64, f64)>) -> Vec<Spot> {
        points.map(|(x, y)| (self.x(x), self.y(y))).collect()
    }

    fn ink(&self, line: &Line) -> Ink {
        Ink::Searcher(line.searcher, self.baseline(line))
    }

    fn baseline(&self, line: &Line) -> bool {
        self.chart.baselines.get(line.searcher).copied().unwrap_or(false)
    }
}

/// Draws a chart.
pub(super) fn draw(chart: &Chart, canvas: &mut dyn Canvas) {
    let height = height(chart);
    let frame = Frame { chart, bottom: height - BOTTOM };
    canvas.fill(&[(0.0, 0.0), (WIDTH, 0.0), (WIDTH, height), (0.0, height)], Ink::Paper, 1.0);
    let title = font::shortened(&chart.title, 15.0, WIDTH - 20.0);
    write(canvas, &title, (LEFT, 22.0), Anchor::Start, 15.0, Ink::Text);
    grid(&frame, canvas);
    let wishes: Vec<f32> =
        chart.lines.iter().map(|line| line.points.last().map_or(TOP, |point| frame.y(point.1))).collect();
    let heights = labels::spread(&wishes, GAP, TOP, frame.bottom);
    for (line, height) in chart.lines.iter().zip(heights) {
        canvas.begin(&line.name);
        one_line(&frame, canvas, line);
        name(&frame, canvas, line, height);
        canvas.end();
    }
}

fn grid(frame: &Frame<'_>, canvas: &mut dyn Canvas) {
    let (right, bottom) = (WIDTH - RIGHT, frame.bottom);
    for tick in &frame.chart.y.ticks {
        let y = frame.y(tick.at);
        canvas.line(&[(LEFT, y), (right, y)], Ink::Grid, 1.0, &[]);
        write(canvas, &tick.label, (LEFT - 8.0, y + 4.0), Anchor::End, SMALL, Ink::Faint);
    }
    for tick in &frame.chart.x.ticks {
        let x = frame.x(tick.at);
        canvas.line(&[(x, bottom), (x, bottom + 5.0)], Ink::Faint, 1.0, &[]);
        write(canvas, &tick.label, (x, bottom + 19.0), Anchor::Middle, SMALL, Ink::Faint);
    }
    for guide in &frame.chart.guides {
        let x = frame.x(guide.at);
        canvas.line(&[(x, TOP), (x, bottom)], Ink::Grid, 1.0, &[2.0, 3.0]);
        write(canvas, &guide.label, (x, TOP - 8.0), Anchor::Middle, 11.0, Ink::Faint);
    }
    canvas.line(&[(LEFT, TOP), (LEFT, bottom), (right, bottom)], Ink::Faint, 1.0, &[]);
    write(
        canvas,
        &frame.chart.x.label,
        (f32::midpoint(LEFT, right), bottom + 40.0),
        Anchor::Middle,
        13.0,
        Ink::Text,
    );
    let (words, at) = (frame.chart.y.label.as_str(), (16.0, f32::midpoint(TOP, bottom)));
    canvas.text(Text { words, at, anchor: Anchor::Middle, size: 13.0, ink: Ink::Text, upwards: true });
}

fn one_line(frame: &Frame<'_>, canvas: &mut dyn Canvas, line: &Line) {
    let ink = frame.ink(line);
    if line.band.len() > 1 {
        let upper = line.band.iter().map(|&(x, _, high)| (x, high));
        let lower = line.band.iter().rev().map(|&(x, low, _)| (x, low));
        canvas.fill(&frame.spots(upper.chain(lower)), ink, 0.13);
    }
    let spots = frame.spots(line.points.iter().copied());
    canvas.line(&spots, ink, 1.9, dash(line.searcher, frame.baseline(line)));
    let every = 10;
    for &spot in spots.iter().skip(2 + line.searcher * 3 % every).step_by(every).chain(spots.last()) {
        mark(canvas, line, spot, 4.0, ink);
    }
}

/// The searcher's marker.
fn mark(canvas: &mut dyn Canvas, line: &Line, at: Spot, radius: f32, ink: Ink) {
    let outline = marker(line.searcher).into_iter();
    let shape: Vec<Spot> = outline.map(|(x, y)| (at.0 + x * radius, at.1 + y * radius)).collect();
    canvas.fill(&shape, ink, 1.0);
}

/// The line's name, with a thin stroke from where the line ends.
fn name(frame: &Frame<'_>, canvas: &mut dyn Canvas, line: &Line, height: f32) {
    let Some(&(x, y)) = line.points.last() else { return };
    let (end, at, ink) = ((frame.x(x), frame.y(y)), WIDTH - RIGHT + 36.0, frame.ink(line));
    canvas.line(&[(end.0 + 5.0, end.1), (WIDTH - RIGHT + 8.0, end.1), (at - 14.0, height)], ink, 0.7, &[]);
    mark(canvas, line, (at - 8.0, height), 3.5, ink);
    let text = font::shortened(&line.name, SMALL, WIDTH - at - 4.0);
    write(canvas, &text, (at, height + 4.0), Anchor::Start, SMALL, ink);
}

fn write(canvas: &mut dyn Canvas, text: &str, at: Spot, anchor: Anchor, size: f32, ink: Ink) {
    canvas.text(Text { words: text, at, anchor, size, ink, upwards: false });
}
