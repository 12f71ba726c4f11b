//! The rung ladder: how many trials reached each rung, and how many were promoted. Pure.

use crate::output::format;
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span};
use toprung_proto::v1::Rung;

/// One line per rung, the top rung of each bracket first. `colour`: may be used.
pub(crate) fn lines(rungs: &[Rung], width: u16, colour: bool) -> Vec<Line<'static>> {
    let mut ordered: Vec<&Rung> = rungs.iter().collect();
    ordered.sort_by_key(|rung| (rung.bracket, std::cmp::Reverse(rung.index)));
    let most = rungs.iter().map(|rung| rung.trials).max().unwrap_or(0);
    let many_brackets = rungs.iter().any(|rung| rung.bracket > 0);
    let label_width = digits(rungs.iter().map(|rung| rung.length)) + if many_brackets { 3 } else { 0 };
    ordered
        .into_iter()
        .map(|rung| line(rung, many_brackets, label_width, bar_width(width, label_width), most, colour))
        .collect()
}

/// The words behind the bar need this much: " 12345 → 12345  best 0.12345".
const WORDS: usize = 30;

fn bar_width(width: u16, label_width: usize) -> usize {
    usize::from(width).saturating_sub(label_width + 1 + WORDS).min(24)
}

fn line(
    rung: &Rung,
    many_brackets: bool,
    label_width: usize,
    bar_width: usize,
    most: u64,
    colour: bool,
) -> Line<'static> {
    let label = if many_brackets {
        format!("{} {}", format::bracket(rung.bracket), rung.length)
    } else {
        rung.length.to_string()
    };
    let promoted = share(rung.promoted.min(rung.trials), most, bar_width);
    let reached = share(rung.trials, most, bar_width).max(promoted);
    let style = |shade: Color| {
        if colour { Style::new().fg(shade) } else { Style::new() }
    };
    let best =
        if rung.best.is_nan() { String::new() } else { format!("  best {}", format::metric(rung.best)) };
    Line::from(vec![
        Span::from(format!("{label:>label_width$} ")).dim(),
        Span::styled("█".repeat(promoted), style(Color::Green)),
        Span::styled("▒".repeat(reached - promoted), style(Color::Blue)),
        Span::from(" ".repeat(bar_width - reached)),
        Span::from(format!(" {} → {}", rung.trials, rung.promoted)),
        Span::from(best).dim(),
    ])
}

fn digits(numbers: impl Iterator<Item = u64>) -> usize {
    numbers.map(|number| number.to_string().len()).max().unwrap_or(1)
}

/// How many of `width` cells; something is never drawn as nothing.
fn share(part: u64, whole: u64, width: usize) -> usize {
    if part == 0 || whole == 0 || width == 0 {
        return 0;
    }
    ((part as f64 / whole as f64 * width as f64).round() as usize).clamp(1, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rung(bracket: u32, index: u32, length: u64, trials: u64, promoted: u64) -> Rung {
        Rung { bracket, index, length, trials, promoted, best: 0.25 }
    }

    fn shown(rungs: &[Rung], width: u16) -> Vec<String> {
        lines(rungs, width, true).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_top_rung_comes_first_and_the_bars_are_in_proportion() {
        let shown = shown(&[rung(0, 0, 1, 24, 8), rung(0, 1, 3, 8, 0)], 60);
        assert!(shown[0].starts_with("3 "), "{shown:#?}");
        assert!(shown[1].starts_with("1 "), "{shown:#?}");
        assert_eq!(shown[1].matches('█').count(), 8);
        assert_eq!(shown[1].matches('▒').count(), 16);
        assert_eq!(shown[0].matches('▒').count(), 8);
        assert!(shown[1].contains("24 → 8  best 0.25"), "{shown:#?}");
    }

    #[test]
    fn brackets_are_lettered_and_an_empty_rung_has_no_best() {
        let empty = Rung { best: f64::NAN, ..rung(1, 0, 3, 0, 0) };
        let shown = shown(&[rung(0, 0, 1, 2, 1), empty], 60);
        assert!(shown[0].trim_start().starts_with("A 1"), "{shown:#?}");
        assert!(shown[1].trim_start().starts_with("B 3"), "{shown:#?}");
        assert!(!shown[1].contains("best"), "{shown:#?}");
    }

    #[test]
    fn no_room_means_no_bar() {
        let shown = shown(&[rung(0, 0, 1, 24, 8)], 20);
        assert!(!shown[0].contains('█'), "{shown:#?}");
    }
}
