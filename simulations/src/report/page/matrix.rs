//! The matrix of paired tests: each searcher against each other, at each budget in time.

use super::{escape, rows};
use crate::judge::wording::{number, p_value, percent};
use crate::judge::{Axis, Comparison, Duel, Verdict};
use std::fmt::Write as _;

pub(super) fn section(comparison: &Comparison) -> String {
    if comparison.setup.searchers.len() < 2 {
        return String::new();
    }
    let mut text = String::from("<h2 id=\"tests\">Paired tests</h2>\n");
    let _ = writeln!(
        text,
        "<p>Row against column: the difference of the interquartile means of normalised regret. ▲ (blue): the row is \
         better; ▼ (orange): the row is worse; grey: no significant difference at {} after Holm’s correction for all pairs \
         of a matrix. Point at a cell for the numbers behind it.</p>",
        percent(1.0 - comparison.setup.confidence)
    );
    let in_time = comparison.verdicts.iter().filter(|verdict| verdict.axis == Axis::Time);
    for (place, verdict) in in_time.rev().enumerate() {
        let open = if place == 0 { " open=\"open\"" } else { "" };
        let _ = writeln!(
            text,
            "<details{open}><summary>With {} of the budget</summary>",
            percent(verdict.fraction)
        );
        text += &matrix(comparison, verdict);
        text += "</details>\n";
    }
    text
}

fn matrix(comparison: &Comparison, verdict: &Verdict) -> String {
    let order: Vec<usize> = verdict.ranking().iter().map(|standing| standing.searcher).collect();
    let mut header = vec!["better in the mean rank first".to_owned()];
    header.extend((1..=order.len()).map(|number| number.to_string()));
    let rows = order.iter().enumerate().map(|(place, &row)| {
        let name = rows::searcher(comparison, row).replacen("<th>", &format!("<th>{} ", place + 1), 1);
        let cells = order.iter().map(|&column| match verdict.duel(row, column) {
            Some(duel) => cell(comparison, &duel),
            None => "<td></td>".to_owned(),
        });
        name + &cells.collect::<String>()
    });
    rows::table("Numbers above the columns are those before the rows.", &header, rows).replacen(
        "<table>",
        "<table class=\"matrix\">",
        1,
    )
}

fn cell(comparison: &Comparison, duel: &Duel) -> String {
    let label = |place: usize| &comparison.setup.searchers[place].label;
    let (class, mark) = match (duel.significant(1.0 - comparison.setup.confidence), duel.first_leads) {
        (true, true) => ("better", "▲ "),
        (true, false) => ("worse", "▼ "),
        _ => ("open", ""),
    };
    let difference = duel.difference;
    let behind = format!(
        "{} against {}: difference {} ({} to {}); {} won, {} tied, {} lost; chance to end lower {}; {} corrected, {} alone",
        label(duel.first),
        label(duel.second),
        number(difference.value),
        number(difference.low),
        number(difference.high),
        duel.wins,
        duel.ties,
        duel.losses,
        percent(duel.improvement),
        p_value(duel.adjusted),
        p_value(duel.p),
    );
    format!(
        "<td class=\"{class}\" title=\"{}\">{mark}{}</td>",
        escape(&behind),
        escape(&number(difference.value))
    )
}
