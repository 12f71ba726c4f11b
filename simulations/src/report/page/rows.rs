//! Tables of the page, and the little samples of lines in them.

use super::escape;
use crate::judge::Comparison;
use crate::judge::wording::number;
use crate::judge::{Interval, Standing};
use crate::report::plot::look::{Ink, dash, marker};
use std::fmt::Write as _;

/// A table: a caption, a header, and rows of finished cells.
pub(super) fn table(caption: &str, header: &[String], rows: impl Iterator<Item = String>) -> String {
    let mut text =
        format!("<p class=\"caption\">{}</p>\n<div class=\"scroll\"><table>\n<thead><tr>", escape(caption));
    for cell in header {
        let _ = write!(text, "<th>{}</th>", escape(cell));
    }
    text += "</tr></thead>\n<tbody>\n";
    for row in rows {
        let _ = writeln!(text, "<tr>{row}</tr>");
    }
    text += "</tbody>\n</table></div>\n";
    text
}

/// A cell with a text.
pub(super) fn cell(text: &str) -> String {
    format!("<td>{}</td>", escape(text))
}

/// A cell with a value and what stands small behind it.
pub(super) fn cell_with(value: &str, small: &str) -> String {
    if small.is_empty() {
        cell(value)
    } else {
        format!("<td>{}<small>{}</small></td>", escape(value), escape(small))
    }
}

/// The first cell of a row: a searcher with a sample of its line.
pub(super) fn searcher(comparison: &Comparison, place: usize) -> String {
    let contestant = &comparison.setup.searchers[place];
    let baseline = if contestant.baseline { " <span class=\"baseline\">baseline</span>" } else { "" };
    format!("<th>{}{}{baseline}</th>", sample(place, contestant.baseline), escape(&contestant.label))
}

/// A sample of a searcher's line and marker.
fn sample(place: usize, baseline: bool) -> String {
    let ink = Ink::Searcher(place, baseline);
    let (class, colour) = (ink.class(), ink.colour().light);
    let dash: Vec<String> = dash(place, baseline).iter().map(f32::to_string).collect();
    let spots: Vec<String> =
        marker(place).iter().map(|(x, y)| format!("{:.1},{:.1}", 23.0 + x * 4.5, 7.0 + y * 4.5)).collect();
    format!(
        "<svg class=\"sample\" viewBox=\"0 0 46 14\" aria-hidden=\"true\"><polyline class=\"s-{class}\" fill=\"none\" \
         stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{}\" points=\"1,7 45,7\"/><polygon class=\"f-{class}\" \
         fill=\"{colour}\" points=\"{}\"/></svg>",
        if dash.is_empty() { "none".to_owned() } else { dash.join(" ") },
        spots.join(" ")
    )
}

/// A cell with a mean rank and its error.
pub(super) fn rank(standing: &Standing) -> String {
    if standing.rank.is_nan() {
        return cell("–");
    }
    let error =
        if standing.rank_error.is_nan() { String::new() } else { format!("± {:.2}", standing.rank_error) };
    cell_with(&format!("{:.2}", standing.rank), &error)
}

/// A cell with a value and its interval, shown as a function of it says.
pub(super) fn interval(interval: Interval, shown: impl Fn(f64) -> f64) -> String {
    if interval.value.is_nan() {
        return cell("–");
    }
    let (low, high) = (shown(interval.low), shown(interval.high));
    cell_with(
        &number(shown(interval.value)),
        &format!("{} to {}", number(low.min(high)), number(low.max(high))),
    )
}
