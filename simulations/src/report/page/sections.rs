//! The sections of the page.

use super::{escape, rows};
use crate::judge::wording::{list, number, percent, round_number};
use crate::judge::{Axis, Comparison, Paragraph, Standing, TaskVerdict, Work};
use crate::report::plot::{self, Picture};
use std::fmt::Write as _;

pub(super) fn contents(comparison: &Comparison) -> String {
    let mut text =
        String::from("<nav><a href=\"#standings\">Standings</a><a href=\"#tests\">Paired tests</a>");
    if comparison.setup.searchers.len() < 2 {
        text = String::from("<nav><a href=\"#standings\">Standings</a>");
    }
    text += "<a href=\"#work\">Slots and work</a>";
    for task in &comparison.tasks {
        let _ = write!(
            text,
            "<a href=\"#task-{}\">{}</a>",
            task.task,
            escape(&comparison.setup.tasks[task.task].name)
        );
    }
    text + "<a href=\"#reading\">How to read this</a><a href=\"#origin\">Settings and seeds</a></nav>\n"
}

/// The first two paragraphs and the baselines at once, the other budgets on demand.
pub(super) fn conclusion(comparison: &Comparison) -> String {
    let budgets = comparison.setup.fractions.len();
    let (first, rest) = comparison.conclusion.split_at(comparison.conclusion.len().min(2));
    let (earlier, last) = rest.split_at(rest.len().min(budgets.saturating_sub(1)));
    let mut text: String = first.iter().chain(last).map(paragraph).collect();
    if !earlier.is_empty() {
        text += "<details><summary>With less of the budget</summary>\n";
        text.extend(earlier.iter().map(paragraph));
        text += "</details>\n";
    }
    text
}

fn paragraph(paragraph: &Paragraph) -> String {
    let mut text = format!("<h3>{}</h3>\n<ul class=\"words\">\n", escape(&paragraph.heading));
    for sentence in &paragraph.sentences {
        let _ = writeln!(text, "<li>{}</li>", escape(sentence));
    }
    text + "</ul>\n"
}

pub(super) fn standings(comparison: &Comparison) -> String {
    let mut text = String::from("<h2 id=\"standings\">Standings over all tasks</h2>\n");
    for axis in Axis::ALL {
        if let Some(table) = standings_on(comparison, axis) {
            if axis == Axis::Time {
                text += &table;
            } else {
                let _ = write!(
                    text,
                    "<details><summary>The same budgets counted in {}</summary>\n{table}</details>\n",
                    axis.name()
                );
            }
        }
    }
    text
}

/// Mean ranks and regrets at each budget of an axis, best at the last first.
fn standings_on(comparison: &Comparison, axis: Axis) -> Option<String> {
    let verdicts: Vec<_> = comparison.verdicts.iter().filter(|verdict| verdict.axis == axis).collect();
    let order: Vec<usize> = verdicts.last()?.ranking().iter().map(|standing| standing.searcher).collect();
    let mut header = vec!["searcher".to_owned()];
    header.extend(verdicts.iter().map(|verdict| format!("rank at {}", percent(verdict.fraction))));
    header.extend(verdicts.iter().map(|verdict| format!("regret at {}", percent(verdict.fraction))));
    let rows = order.into_iter().map(|searcher| {
        let ranks = verdicts.iter().map(|verdict| rows::rank(&verdict.standings[searcher]));
        let regrets = verdicts
            .iter()
            .map(|verdict| rows::interval(verdict.standings[searcher].regret, |regret| regret));
        rows::searcher(comparison, searcher) + &ranks.chain(regrets).collect::<String>()
    });
    let caption = format!(
        "Mean rank ± standard error over seeds, and interquartile mean of normalised regret with its {} interval, at parts of the budget in {}.",
        percent(comparison.setup.confidence),
        axis.name()
    );
    Some(rows::table(&caption, &header, rows))
}

pub(super) fn over_all(comparison: &Comparison) -> String {
    figures(&plot::overall(comparison))
}

fn figures(pictures: &[Picture]) -> String {
    let mut text = String::from("<div class=\"plots\">\n");
    for picture in pictures {
        let _ = writeln!(text, "<figure>{}</figure>", picture.inline());
    }
    text + "</div>\n"
}

pub(super) fn work(comparison: &Comparison) -> String {
    let caption = "Means over all runs of all tasks.";
    format!("<h2 id=\"work\">Slots and work</h2>\n{}", work_table(comparison, &comparison.work, caption, ""))
}

fn work_table(comparison: &Comparison, work: &[Work], caption: &str, unit: &str) -> String {
    let length = if unit.is_empty() { "length".to_owned() } else { format!("length ({unit})") };
    let target = format!("time to regret {}", round_number(comparison.setup.target));
    let header = [
        "searcher",
        &target,
        "reached by",
        "slots in use",
        "work wasted",
        "trials",
        "reports",
        &length,
        "cost",
    ];
    let rows =
        in_order(comparison).into_iter().map(|place| &work[place]).filter(|work| work.runs > 0).map(|work| {
            let time = work
                .time_to_target
                .map_or_else(|| "not by half".to_owned(), |part| format!("{} of budget", percent(part)));
            let cells = [
                time,
                format!("{} of {}", work.reached, work.runs),
                percent(work.utilisation),
                percent(work.wasted),
                number(work.trials),
                number(work.reports),
                number(work.length),
                number(work.cost),
            ];
            rows::searcher(comparison, work.searcher)
                + &cells.iter().map(|text| rows::cell(text)).collect::<String>()
        });
    rows::table(caption, &header.map(str::to_owned), rows)
}

/// The searchers by their mean rank at the end.
fn in_order(comparison: &Comparison) -> Vec<usize> {
    let ranking =
        comparison.at_the_end().map(|end| end.ranking().iter().map(|standing| standing.searcher).collect());
    ranking.unwrap_or_else(|| (0..comparison.setup.searchers.len()).collect())
}

pub(super) fn task(comparison: &Comparison, task: &TaskVerdict) -> String {
    let scale = &comparison.setup.tasks[task.task];
    let mut text = format!("<h2 id=\"task-{}\">{}</h2>\n", task.task, escape(&scale.name));
    let _ = writeln!(
        text,
        "<p>{} is {}; the best there is is {}, a median configuration has {}. The budget is {}\u{a0}{}.{}</p>",
        escape(&scale.metric),
        if scale.smaller_is_better { "minimised" } else { "maximised" },
        escape(&round_number(scale.as_reported(scale.best))),
        escape(&round_number(scale.as_reported(scale.median))),
        escape(&round_number(task.budget)),
        escape(&scale.time_unit),
        if task.cost_is_length {
            " Cost is the same as length here, so it has no plot of its own."
        } else {
            ""
        },
    );
    text += &figures(&plot::of_task(comparison, task));
    text += &numbers(comparison, task);
    let caption = "Means over the runs of this task. Length and cost are those of one run.";
    let _ = write!(
        text,
        "<details><summary>Slots and work on this task</summary>\n{}</details>\n",
        work_table(comparison, &task.work, caption, &scale.length_unit)
    );
    text
}

/// The numbers of a task: regret and metric at each budget, best at the last first.
fn numbers(comparison: &Comparison, task: &TaskVerdict) -> String {
    let scale = &comparison.setup.tasks[task.task];
    let fractions = &comparison.setup.fractions;
    let mut header = vec!["searcher".to_owned()];
    header.extend(fractions.iter().map(|&fraction| format!("regret at {}", percent(fraction))));
    header.push(format!("{} at the end", scale.metric));
    let mut order: Vec<&Standing> =
        task.standings.last().map(|standings| standings.iter().collect()).unwrap_or_default();
    order.retain(|standing| !standing.regret.value.is_nan());
    order.sort_by(|one, other| one.regret.value.total_cmp(&other.regret.value));
    let rows = order.into_iter().map(|last| {
        let regrets = task
            .standings
            .iter()
            .map(|standings| rows::interval(standings[last.searcher].regret, |regret| regret));
        let metric = rows::interval(last.regret, |regret| scale.metric_at(regret));
        rows::searcher(comparison, last.searcher) + &regrets.collect::<String>() + &metric
    });
    let caption = format!(
        "Interquartile mean over {} seeds with its {} interval, at parts of the budget in time; the lowest at the end first.",
        comparison.seeds.len(),
        percent(comparison.setup.confidence)
    );
    rows::table(&caption, &header, rows)
}

pub(super) fn how_to_read(comparison: &Comparison) -> String {
    let setup = &comparison.setup;
    let confidence = percent(setup.confidence);
    let sentences = [
        "Virtual time is what a clock on the wall would show if the searches had run on real slots; nothing was trained for this page.".to_owned(),
        "The incumbent of a search is the best metric that any of its trials has reported so far. Before the first report it counts as the task’s worst value.".to_owned(),
        "Normalised regret says how far the incumbent is from the best value that the task has: 0 is that best, 1 is a median configuration after full training.".to_owned(),
        "A line is the interquartile mean over seeds: the mean of the middle half, so that single lucky or unlucky runs do not move it.".to_owned(),
        format!("The band around it is a {confidence} bootstrap interval of that mean: seeds are drawn anew, within each task. In the plot of mean ranks it is one standard error over seeds to each side. Bands say how well a line is known, not how much single runs differ."),
        "A mean rank compares searchers only with those on this page: adding or removing one changes the others’ ranks. Searchers with equal regret share the mean of their ranks.".to_owned(),
        "Wherever budgets are counted in length or cost, the whole budget is that of the longest run; lines end where half of a searcher’s runs have ended, and tables keep the incumbent of a search that has ended.".to_owned(),
        format!("The paired test is Wilcoxon’s signed-rank test of the differences between runs that share task and seed. With {} searchers there are many pairs, so p values are corrected by Holm’s method: the chance that even one claim of a matrix is luck is at most {}.", setup.searchers.len(), percent(1.0 - setup.confidence)),
        "No significant difference does not mean that two searchers are equal. It means that these runs do not show which is better.".to_owned(),
        "The test and the difference of the interquartile means weigh the runs differently; where they disagree, look at the plots.".to_owned(),
        "Work wasted is the part of the trained length that was lost after the last checkpoint of an attempt that failed or was preempted.".to_owned(),
        "Point at a line in a plot to see it alone.".to_owned(),
    ];
    let items: Vec<String> =
        sentences.iter().map(|sentence| format!("<li>{}</li>", escape(sentence))).collect();
    format!("<h2 id=\"reading\">How to read this</h2>\n<ul class=\"words\">\n{}\n</ul>\n", items.join("\n"))
}

pub(super) fn origin(comparison: &Comparison) -> String {
    let setup = &comparison.setup;
    let mut text = String::from("<h2 id=\"origin\">Settings and seeds</h2>\n");
    if !setup.command.is_empty() {
        let _ = writeln!(text, "<p>Made by</p>\n<pre>{}</pre>", escape(&setup.command));
    }
    let searchers = setup.searchers.iter().enumerate().map(|(place, contestant)| {
        rows::searcher(comparison, place)
            + &format!("<td class=\"words\">{}</td>", escape(&contestant.settings))
    });
    text += &rows::table("The searchers", &["searcher", "settings"].map(str::to_owned), searchers);
    let mut settings = setup.settings.clone();
    settings.push(("seeds".to_owned(), seeds(&comparison.seeds)));
    settings.push(("runs".to_owned(), comparison.runs.to_string()));
    settings.push((
        "bootstrap".to_owned(),
        format!("{} resamples, seed {}", setup.resamples, setup.bootstrap_seed),
    ));
    let rows = settings
        .iter()
        .map(|(name, value)| format!("<th>{}</th><td class=\"words\">{}</td>", escape(name), escape(value)));
    text += &rows::table("What all runs share", &["setting", "value"].map(str::to_owned), rows);
    text
}

/// Seeds as ranges: `0 to 29 and 40`.
fn seeds(seeds: &[u32]) -> String {
    let runs = seeds.chunk_by(|one, next| one + 1 == *next);
    let range = |run: &[u32]| match run {
        [one] => one.to_string(),
        [first, .., last] => format!("{first} to {last}"),
        [] => String::new(),
    };
    list(&runs.map(range).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::seeds;

    #[test]
    fn seeds_are_written_as_ranges() {
        assert_eq!(seeds(&[0, 1, 2, 3, 7, 9, 10]), "0 to 3, 7 and 9 to 10");
        assert_eq!(seeds(&[5]), "5");
    }
}
