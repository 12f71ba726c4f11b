//! The table for a terminal, with the conclusion below it.

use crate::judge::wording::{number, percent, round_number};
use crate::judge::{Comparison, Standing, Verdict};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table};

/// The narrowest width that the table is made for.
const NARROWEST: u16 = 40;
/// From this width on, every rank has its standard error; else only the last.
const WIDE: u16 = 120;

pub(super) fn table(comparison: &Comparison, width: u16) -> String {
    let width = width.max(NARROWEST);
    let mut text = String::new();
    if let Some(end) = comparison.at_the_end() {
        text += &standings(comparison, end, width);
        text += "\n\n";
    }
    text += &work(comparison, width);
    text.push('\n');
    for paragraph in &comparison.conclusion {
        text.push('\n');
        text += &plain(&paragraph.heading);
        text.push('\n');
        for sentence in &paragraph.sentences {
            wrap(&mut text, &plain(sentence), usize::from(width));
        }
    }
    text
}

/// Mean ranks at each budget and the regret at the last, best first.
fn standings(comparison: &Comparison, end: &Verdict, width: u16) -> String {
    let fractions = &comparison.setup.fractions;
    let mut header = vec!["searcher".to_owned()];
    header.extend(fractions.iter().map(|&fraction| format!("rank\n{}", percent(fraction))));
    header.push(format!("regret\n{}", percent(end.fraction)));
    header.push(format!("{}\ninterval", percent(comparison.setup.confidence)));
    let rows = end.ranking().into_iter().map(|standing| {
        let mut row = vec![label(comparison, standing.searcher)];
        row.extend((0..fractions.len()).map(|place| {
            let with_error = width >= WIDE || place + 1 == fractions.len();
            let verdict = comparison.in_time(place);
            verdict
                .map_or_else(String::new, |verdict| rank(&verdict.standings[standing.searcher], with_error))
        }));
        row.push(number(standing.regret.value));
        row.push(format!("{} … {}", number(standing.regret.low), number(standing.regret.high)));
        row
    });
    grid(header, rows, width)
}

fn work(comparison: &Comparison, width: u16) -> String {
    let target = format!("budget to\nreach {}", round_number(comparison.setup.target));
    let header =
        ["searcher", &target, "reached\nby", "slots\nused", "wasted", "trials", "reports"].map(str::to_owned);
    let order: Vec<usize> = match comparison.at_the_end() {
        Some(end) => end.ranking().iter().map(|standing| standing.searcher).collect(),
        None => (0..comparison.work.len()).collect(),
    };
    let rows = order.into_iter().map(|searcher| {
        let work = &comparison.work[searcher];
        vec![
            label(comparison, searcher),
            work.time_to_target.map_or_else(|| "not by half".to_owned(), percent),
            format!("{} of {}", work.reached, work.runs),
            percent(work.utilisation),
            percent(work.wasted),
            number(work.trials),
            number(work.reports),
        ]
    });
    grid(header.to_vec(), rows, width)
}

fn label(comparison: &Comparison, searcher: usize) -> String {
    let contestant = &comparison.setup.searchers[searcher];
    if contestant.baseline { format!("{} (baseline)", contestant.label) } else { contestant.label.clone() }
}

fn rank(standing: &Standing, with_error: bool) -> String {
    match (standing.rank.is_nan(), standing.rank_error.is_nan() || !with_error) {
        (true, _) => "–".to_owned(),
        (_, true) => format!("{:.2}", standing.rank),
        _ => format!("{:.2} ± {:.2}", standing.rank, standing.rank_error),
    }
}

fn grid(header: Vec<String>, rows: impl Iterator<Item = Vec<String>>, width: u16) -> String {
    let mut table = Table::new();
    let shorten = |row: Vec<String>| row.into_iter().map(|cell| plain(&cell)).collect::<Vec<_>>();
    table
        .load_preset(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width);
    table.set_header(shorten(header));
    table.add_rows(rows.map(shorten));
    for column in table.column_iter_mut().skip(1) {
        // Numbers are not broken; names are.
        column.set_cell_alignment(CellAlignment::Right);
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table.to_string()
}

/// Without the narrow spaces that some terminals lack.
fn plain(text: &str) -> String {
    text.replace('\u{202f}', " ")
}

/// Adds a sentence, broken at spaces, indented by two.
fn wrap(text: &mut String, sentence: &str, width: usize) {
    let mut used = 0;
    for word in sentence.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            text.push('\n');
            used = 0;
        }
        *text += if used == 0 { "  " } else { " " };
        *text += word;
        used += length + if used == 0 { 2 } else { 1 };
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use crate::judge::{Comparison, samples};
    use crate::report::Report;

    #[test]
    fn golden_table() {
        let (setup, runs) = samples::comparison_input(2, 4, 6);
        let comparison = Comparison::new(setup, &runs).unwrap();
        insta::assert_snapshot!(Report::new(&comparison).table(110));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let (setup, runs) = samples::comparison_input(3, 12, 4);
        let comparison = Comparison::new(setup, &runs).unwrap();
        for width in [80, 100, 200] {
            let text = Report::new(&comparison).table(width);
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= usize::from(width), "{widest} of {width}\n{text}");
        }
    }
}
