//! A canvas that writes SVG. Colours are written as attributes, which a viewer without styles shows, and as classes, by
//! which styles turn them dark.

use super::canvas::{Anchor, Canvas, Spot, Text};
use super::chart::Chart;
use super::draw::{WIDTH, draw, height};
use super::look::{Ink, styles};
use crate::report::page::escape;
use std::fmt::Write as _;

/// A chart as an SVG document of its own.
pub(super) fn document(chart: &Chart) -> String {
    wrapped(chart, &format!("<style>\n{}</style>", styles()))
}

/// A chart as an element of a page.
pub(super) fn element(chart: &Chart) -> String {
    wrapped(chart, "")
}

fn wrapped(chart: &Chart, head: &str) -> String {
    let mut canvas = Vector { text: String::new() };
    draw(chart, &mut canvas);
    let height = height(chart);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" font-family=\"'DejaVu Sans', Verdana, sans-serif\">\n<title>{}</title>\n{head}{}</svg>\n",
        escape(&chart.title),
        canvas.text
    )
}

/// The SVG so far.
pub(in crate::report) struct Vector {
    pub text: String,
}

impl Vector {
    fn points(&mut self, spots: &[Spot]) {
        for (place, (x, y)) in spots.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            let _ = write!(self.text, "{space}{},{}", tenths(*x), tenths(*y));
        }
    }
}

impl Canvas for Vector {
    fn line(&mut self, spots: &[Spot], ink: Ink, width: f32, dash: &[f32]) {
        let (class, colour) = (ink.class(), ink.colour().light);
        let _ = write!(
            self.text,
            "<polyline class=\"s-{class}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\""
        );
        if !dash.is_empty() {
            let dash: Vec<String> = dash.iter().map(f32::to_string).collect();
            let _ = write!(self.text, " stroke-dasharray=\"{}\"", dash.join(" "));
        }
        self.text.push_str(" stroke-linejoin=\"round\" points=\"");
        self.points(spots);
        self.text.push_str("\"/>\n");
    }

    fn fill(&mut self, spots: &[Spot], ink: Ink, opacity: f32) {
        let (class, colour) = (ink.class(), ink.colour().light);
        let _ = write!(self.text, "<polygon class=\"f-{class}\" fill=\"{colour}\"");
        if opacity < 1.0 {
            let _ = write!(self.text, " fill-opacity=\"{opacity}\"");
        }
        self.text.push_str(" points=\"");
        self.points(spots);
        self.text.push_str("\"/>\n");
    }

    fn text(&mut self, text: Text<'_>) {
        let (class, colour) = (text.ink.class(), text.ink.colour().light);
        let anchor = match text.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y) = (tenths(text.at.0), tenths(text.at.1));
        let turn = if text.upwards { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
        let _ = writeln!(
            self.text,
            "<text class=\"f-{class}\" fill=\"{colour}\" x=\"{x}\" y=\"{y}\" font-size=\"{}\" text-anchor=\"{anchor}\"{turn}>{}</text>",
            text.size,
            escape(text.words)
        );
    }

    fn begin(&mut self, name: &str) {
        let _ = writeln!(self.text, "<g class=\"line\"><title>{}</title>", escape(name));
    }

    fn end(&mut self) {
        self.text.push_str("</g>\n");
    }
}

/// A coordinate to a tenth, without a trailing zero.
fn tenths(value: f32) -> f32 {
    (value * 10.0).round() / 10.0
}
