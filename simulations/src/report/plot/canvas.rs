//! What a canvas can do. Units are those of the SVG; y grows downwards.

use super::look::Ink;

/// A point on a canvas.
pub(super) type Spot = (f32, f32);

/// Which end of a text lies at its spot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// The beginning.
    Start,
    /// The middle.
    Middle,
    /// The end.
    End,
}

/// A piece of text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    /// What is written.
    pub words: &'a str,
    /// The spot of the anchor, on the base line.
    pub at: Spot,
    /// Which part of the text lies there.
    pub anchor: Anchor,
    /// The size of an em.
    pub size: f32,
    /// Its colour.
    pub ink: Ink,
    /// Whether it runs upwards.
    pub upwards: bool,
}

/// Something to draw on.
pub(super) trait Canvas {
    /// A line through spots. An empty dash is a line without gaps.
    fn line(&mut self, spots: &[Spot], ink: Ink, width: f32, dash: &[f32]);
    /// A filled outline.
    fn fill(&mut self, spots: &[Spot], ink: Ink, opacity: f32);
    /// A text.
    fn text(&mut self, text: Text<'_>);
    /// What follows belongs together and has a name, until [`Canvas::end`].
    fn begin(&mut self, name: &str);
    /// The end of what belongs together.
    fn end(&mut self);
}
