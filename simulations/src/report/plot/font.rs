//! The letters of plots: DejaVu Sans, which comes with the program.

use ab_glyph::{Font as _, FontRef, ScaleFont as _};

/// The font, or nothing if the bytes that were compiled in were no font (which a test rules out).
pub(super) fn font() -> Option<FontRef<'static>> {
    FontRef::try_from_slice(dejavu::sans::regular()).ok()
}

/// How wide a text is at this size of an em.
pub(super) fn width(text: &str, size: f32) -> f32 {
    let Some(font) = font() else { return text.chars().count() as f32 * size * 0.6 };
    let scaled = font.as_scaled(em(&font, size));
    text.chars().map(|letter| scaled.h_advance(scaled.glyph_id(letter))).sum()
}

/// The scale at which an em of the font has this size. (The crate's scale is that of ascent and descent together.)
pub(super) fn em(font: &FontRef<'_>, size: f32) -> f32 {
    size * font.height_unscaled() / font.units_per_em().unwrap_or(2048.0)
}

/// A text cut to a width, with an ellipsis where something is missing.
pub(super) fn shortened(text: &str, size: f32, room: f32) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for letter in text.chars() {
        kept.push(letter);
        if width(&kept, size) + width("…", size) > room {
            kept.pop();
            break;
        }
    }
    kept.trim_end().to_owned() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_is_one() {
        let font = font().unwrap();
        for letter in "aη…−±→“ ".chars() {
            assert_ne!(font.glyph_id(letter).0, 0, "{letter}");
        }
        let em = width("M", 100.0);
        assert!((80.0..95.0).contains(&em), "{em}"); // DejaVu's M is 0.863 em wide.
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(shortened("asha", 12.0, 200.0), "asha");
        let cut = shortened("adaptive_asha (conservative, divisor 4)", 12.0, 120.0);
        assert!(cut.ends_with('…') && width(&cut, 12.0) <= 120.0, "{cut}");
    }
}
