//! How searchers are told apart: by colour, by dash and by marker, so that no one of them has to be seen.
//!
//! Colours are those of Okabe and Ito ("Color Universal Design", 2008) without yellow, which is too light on white; on
//! dark paper the darker ones are lightened. Baselines are grey.

use std::fmt::Write as _;

/// A colour in light and in dark surroundings, as `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) struct Colour {
    pub light: &'static str,
    pub dark: &'static str,
}

const fn colour(light: &'static str, dark: &'static str) -> Colour {
    Colour { light, dark }
}

const SEARCHERS: [Colour; 7] = [
    colour("#0072b2", "#4ba3e3"),
    colour("#d55e00", "#ff8a3d"),
    colour("#009e73", "#2fc99b"),
    colour("#b5508b", "#e59ac6"),
    colour("#56b4e9", "#9bd5fb"),
    colour("#8c6d00", "#e0bb3c"),
    colour("#5b3fa0", "#b3a0f0"),
];
const BASELINES: [Colour; 2] = [colour("#444444", "#d0d0d0"), colour("#8a8a8a", "#969696")];

/// What a stroke is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Ink {
    /// The background.
    Paper,
    /// Text and axes.
    Text,
    /// Text of less weight.
    Faint,
    /// The lines of the grid.
    Grid,
    /// A searcher's line: its place in the setup, and whether it is a baseline.
    Searcher(usize, bool),
}

impl Ink {
    /// The name of its class in styles.
    pub fn class(self) -> String {
        match self {
            Self::Paper => "paper".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Faint => "faint".to_owned(),
            Self::Grid => "grid".to_owned(),
            Self::Searcher(place, false) => format!("c{}", place % SEARCHERS.len()),
            Self::Searcher(place, true) => format!("b{}", place % BASELINES.len()),
        }
    }

    pub fn colour(self) -> Colour {
        match self {
            Self::Paper => colour("#ffffff", "#15181d"),
            Self::Text => colour("#1b1f24", "#e8eaed"),
            Self::Faint => colour("#5a626c", "#a5adb8"),
            Self::Grid => colour("#e1e4e8", "#2f353d"),
            Self::Searcher(place, false) => SEARCHERS[place % SEARCHERS.len()],
            Self::Searcher(place, true) => BASELINES[place % BASELINES.len()],
        }
    }
}

/// The lengths of strokes and gaps of a searcher's line; empty for a line without gaps.
pub(in crate::report) fn dash(searcher: usize, baseline: bool) -> &'static [f32] {
    const PATTERNS: [&[f32]; 4] = [&[], &[7.0, 3.0], &[2.0, 2.5], &[9.0, 3.0, 2.0, 3.0]];
    if baseline {
        return if searcher.is_multiple_of(2) { &[4.0, 4.0] } else { &[1.5, 3.0] };
    }
    PATTERNS[(searcher + searcher / SEARCHERS.len()) % PATTERNS.len()]
}

/// The outline of a searcher's marker around the origin, about a unit in radius.
pub(in crate::report) fn marker(searcher: usize) -> Vec<(f32, f32)> {
    let star = |corners: usize, inner: f32, turn: f32| -> Vec<(f32, f32)> {
        let corner = |place: usize| {
            let angle = std::f32::consts::PI * (place as f32 / corners as f32 + turn);
            let radius = if place.is_multiple_of(2) { 1.15 } else { inner };
            (radius * angle.sin(), -radius * angle.cos())
        };
        (0..2 * corners).map(corner).collect()
    };
    match searcher % 6 {
        0 => star(12, 1.15, 0.0), // A circle, nearly.
        1 => star(4, 0.81, 0.25), // A square.
        2 => star(3, 0.575, 0.0), // A triangle.
        3 => star(4, 0.81, 0.0),  // A diamond.
        4 => star(3, 0.575, 1.0), // A triangle on its tip.
        _ => star(4, 0.4, 0.25),  // A cross.
    }
}

/// The styles that turn plots dark where the reader's surroundings are.
pub(in crate::report) fn styles() -> String {
    let plain = [Ink::Paper, Ink::Text, Ink::Faint, Ink::Grid];
    let searchers = (0..SEARCHERS.len()).map(|place| Ink::Searcher(place, false));
    let baselines = (0..BASELINES.len()).map(|place| Ink::Searcher(place, true));
    let mut rules = String::from("@media (prefers-color-scheme: dark) {\n");
    for ink in plain.into_iter().chain(searchers).chain(baselines) {
        let (class, dark) = (ink.class(), ink.colour().dark);
        let _ = writeln!(rules, "  .f-{class} {{ fill: {dark}; }} .s-{class} {{ stroke: {dark}; }}");
    }
    rules.push_str("}\n");
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The contrast of WCAG 2.1, 1.4.11: graphics want at least 3 to 1 against what lies beside them.
    fn contrast(one: &str, other: &str) -> f64 {
        let luminance = |colour: &str| {
            let channel = |from: usize| {
                let part = f64::from(u8::from_str_radix(&colour[from..from + 2], 16).unwrap()) / 255.0;
                if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5) + 0.05
        };
        let (one, other) = (luminance(one), luminance(other));
        one.max(other) / one.min(other)
    }

    #[test]
    fn lines_stand_out_from_the_paper() {
        let paper = Ink::Paper.colour();
        for colour in SEARCHERS.iter().chain(&BASELINES) {
            // The sky blue is lighter than the rest on white; its dash and marker carry it.
            let least = if colour.light == "#56b4e9" { 2.2 } else { 3.0 };
            assert!(contrast(colour.light, paper.light) >= least, "{colour:?}");
            assert!(contrast(colour.dark, paper.dark) >= 4.5, "{colour:?}");
        }
        assert!(contrast(Ink::Faint.colour().light, paper.light) >= 4.5);
        assert!(contrast(Ink::Faint.colour().dark, paper.dark) >= 4.5);
    }

    #[test]
    fn the_first_42_searchers_all_look_different() {
        let looks: BTreeSet<String> = (0..42)
            .map(|place| {
                format!("{} {:?} {}", Ink::Searcher(place, false).class(), dash(place, false), place % 6)
            })
            .collect();
        assert_eq!(looks.len(), 42);
    }
}
