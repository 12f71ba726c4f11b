//! A canvas of pixels, by tiny-skia, two to each unit of the SVG.

use super::canvas::{Anchor, Canvas, Spot, Text};
use super::chart::Chart;
use super::draw::{WIDTH, draw, height};
use super::font;
use super::look::Ink;
use ab_glyph::{Font as _, OutlineCurve, ScaleFont as _};
use tiny_skia::{Color, FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, Stroke, StrokeDash, Transform};

/// Pixels for each unit.
const SCALE: f32 = 2.0;

/// A chart as a PNG file.
pub(super) fn png(chart: &Chart) -> Result<Vec<u8>, String> {
    let (width, height) = ((WIDTH * SCALE) as u32, (height(chart) * SCALE).ceil() as u32);
    let pixmap =
        Pixmap::new(width, height).ok_or_else(|| format!("{width} × {height} pixels are too many"))?;
    let mut canvas = Pixels { pixmap };
    draw(chart, &mut canvas);
    canvas.pixmap.encode_png().map_err(|error| error.to_string())
}

struct Pixels {
    pixmap: Pixmap,
}

impl Pixels {
    fn fill_path(&mut self, path: &Path, ink: Ink, opacity: f32, turn: Transform) {
        let rule = FillRule::Winding;
        self.pixmap.fill_path(path, &paint(ink, opacity), rule, turn.post_scale(SCALE, SCALE), None);
    }
}

impl Canvas for Pixels {
    fn line(&mut self, spots: &[Spot], ink: Ink, width: f32, dash: &[f32]) {
        let stroke = Stroke {
            width,
            line_join: LineJoin::Round,
            dash: StrokeDash::new(dash.to_vec(), 0.0),
            ..Stroke::default()
        };
        if let Some(path) = outline(spots, false) {
            self.pixmap.stroke_path(
                &path,
                &paint(ink, 1.0),
                &stroke,
                Transform::from_scale(SCALE, SCALE),
                None,
            );
        }
    }

    fn fill(&mut self, spots: &[Spot], ink: Ink, opacity: f32) {
        if let Some(path) = outline(spots, true) {
            self.fill_path(&path, ink, opacity, Transform::identity());
        }
    }

    fn text(&mut self, text: Text<'_>) {
        let width = font::width(text.words, text.size);
        let back = match text.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => width / 2.0,
            Anchor::End => width,
        };
        let turn = if text.upwards { Transform::from_rotate(-90.0) } else { Transform::identity() };
        if let Some(path) = letters(text.words, text.size, -back) {
            self.fill_path(&path, text.ink, 1.0, turn.post_translate(text.at.0, text.at.1));
        }
    }

    fn begin(&mut self, _name: &str) {}

    fn end(&mut self) {}
}

fn paint(ink: Ink, opacity: f32) -> Paint<'static> {
    let colour = ink.colour().light;
    let channel =
        |from: usize| u8::from_str_radix(colour.get(from..from + 2).unwrap_or("00"), 16).unwrap_or(0);
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color(Color::from_rgba8(channel(1), channel(3), channel(5), (opacity * 255.0) as u8));
    paint
}

fn outline(spots: &[Spot], close: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (place, &(x, y)) in spots.iter().enumerate() {
        if place == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
    }
    if close {
        path.close();
    }
    path.finish()
}

/// The outlines of letters on a base line at height 0, beginning at `from`.
fn letters(text: &str, size: f32, from: f32) -> Option<Path> {
    let font = font::font()?;
    let scaled = font.as_scaled(font::em(&font, size));
    let unit = size / font.units_per_em().unwrap_or(2048.0);
    let (mut path, mut x) = (PathBuilder::new(), from);
    for letter in text.chars() {
        let glyph = scaled.glyph_id(letter);
        let mut last = None;
        let at = |point: ab_glyph::Point| (x + point.x * unit, -point.y * unit);
        for curve in font.outline(glyph).map(|outline| outline.curves).unwrap_or_default() {
            let start = match &curve {
                OutlineCurve::Line(start, _)
                | OutlineCurve::Quad(start, ..)
                | OutlineCurve::Cubic(start, ..) => at(*start),
            };
            if last != Some(start) {
                path.move_to(start.0, start.1);
            }
            let end = match curve {
                OutlineCurve::Line(_, end) => {
                    path.line_to(at(end).0, at(end).1);
                    end
                }
                OutlineCurve::Quad(_, bend, end) => {
                    path.quad_to(at(bend).0, at(bend).1, at(end).0, at(end).1);
                    end
                }
                OutlineCurve::Cubic(_, first, second, end) => {
                    let (first, second) = (at(first), at(second));
                    path.cubic_to(first.0, first.1, second.0, second.1, at(end).0, at(end).1);
                    end
                }
            };
            last = Some(at(end));
        }
        x += scaled.h_advance(glyph);
    }
    path.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stand_on_their_line() {
        let bounds = letters("H", 100.0, 10.0).unwrap().bounds();
        // DejaVu's H is 0.729 em high and stands on the line.
        assert!(bounds.bottom().abs() < 0.5 && (bounds.top() + 72.9).abs() < 0.5, "{bounds:?}");
        assert!(bounds.left() > 10.0 && bounds.right() < 10.0 + font::width("H", 100.0), "{bounds:?}");
        assert!(letters(" ", 100.0, 0.0).is_none());
    }

    #[test]
    fn strokes_leave_their_colour() {
        let mut canvas = Pixels { pixmap: Pixmap::new(40, 40).unwrap() };
        canvas.fill(&[(0.0, 0.0), (20.0, 0.0), (20.0, 20.0), (0.0, 20.0)], Ink::Paper, 1.0);
        canvas.line(&[(0.0, 10.0), (20.0, 10.0)], Ink::Searcher(0, false), 4.0, &[]);
        let pixel = |x, y| canvas.pixmap.pixel(x, y).unwrap().demultiply();
        let (line, paper) = (pixel(20, 20), pixel(20, 2));
        assert_eq!((line.red(), line.green(), line.blue()), (0x00, 0x72, 0xb2));
        assert_eq!((paper.red(), paper.green(), paper.blue(), paper.alpha()), (255, 255, 255, 255));
    }
}
