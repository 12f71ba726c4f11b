//! A learning curve, drawn with braille dots. Pure: points in, cells out.
//!
//! Values that are not finite have no place in a drawing and are left out.

use crate::output::format;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget};
use toprung_proto::v1::CurvePoint;

/// Draws the curve into `area` of `buffer`.
pub(crate) fn draw(points: &[CurvePoint], area: Rect, buffer: &mut Buffer, style: Style) {
    let data: Vec<(f64, f64)> = points
        .iter()
        .filter(|point| point.metric.is_finite())
        .map(|point| (point.length as f64, point.metric))
        .collect();
    let (Some(first), Some(last)) = (data.first(), data.last()) else {
        return;
    };
    let lengths = spread(first.0, last.0);
    let (low, high) = data
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), point| (low.min(point.1), high.max(point.1)));
    let metrics = spread(low, high);
    let kind = if data.len() == 1 { GraphType::Scatter } else { GraphType::Line };
    let dataset = Dataset::default().marker(Marker::Braille).graph_type(kind).style(style).data(&data);
    Chart::new(vec![dataset])
        .x_axis(Axis::default().bounds(lengths).labels(ends(lengths)))
        .y_axis(Axis::default().bounds(metrics).labels(ends(metrics)))
        .legend_position(None)
        .render(area, buffer);
}

/// The curve as lines of text.
pub(crate) fn text(points: &[CurvePoint], width: u16, height: u16) -> Vec<String> {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    draw(points, area, &mut buffer, Style::default());
    (0..height)
        .map(|row| (0..width).map(|column| buffer[(column, row)].symbol()).collect::<String>())
        .collect()
}

/// Bounds that are never empty.
fn spread(low: f64, high: f64) -> [f64; 2] {
    if high > low {
        return [low, high];
    }
    let margin = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
    [low - margin, low + margin]
}

fn ends(bounds: [f64; 2]) -> Vec<String> {
    bounds.iter().map(|value| format::metric(*value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(length: u64, metric: f64) -> CurvePoint {
        CurvePoint { length, metric }
    }

    #[test]
    fn the_ends_are_labelled_and_the_line_falls() {
        let lines = text(&[point(1, 0.9), point(9, 0.5), point(27, 0.1)], 40, 8);
        assert!(lines[0].contains("0.9"), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("0.1")), "{lines:#?}");
        assert!(lines[7].contains('1') && lines[7].contains("27"), "{lines:#?}");
        let dots = |line: &String| line.chars().position(|c| ('\u{2801}'..='\u{28ff}').contains(&c));
        let (top, bottom) = (dots(&lines[0]), lines.iter().rev().find_map(dots));
        assert!(top < bottom, "{lines:#?}");
    }

    #[test]
    fn one_point_and_values_that_are_not_finite_are_no_problem() {
        let lines = text(&[point(1, f64::NAN), point(3, 0.0), point(9, f64::INFINITY)], 30, 6);
        assert!(lines.iter().any(|line| line.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c))));
        assert!(text(&[], 30, 6).iter().all(|line| line.trim().is_empty()));
        assert!(text(&[point(1, 1.0), point(2, 2.0)], 1, 1).len() == 1);
    }
}
