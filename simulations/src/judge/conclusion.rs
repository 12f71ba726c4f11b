//! The outcome in plain words. Nothing is claimed that the corrected test does not show.

use super::comparison::{Comparison, Paragraph, Verdict};
use super::duel::Duel;
use super::signed_rank::pairs_needed;
use super::wording::{count, list, name, number, p_value, percent};

/// How many opponents are named with numbers before the rest are only counted.
const NAMED: usize = 4;

/// A paragraph for each budget in time, then what holds over all of them, then the baselines.
pub(super) fn conclude(comparison: &Comparison) -> Vec<Paragraph> {
    let mut paragraphs = vec![overall(comparison)];
    let last = comparison.setup.fractions.len();
    paragraphs.extend(
        (0..last)
            .rev()
            .filter_map(|place| comparison.in_time(place))
            .map(|verdict| at_budget(comparison, verdict)),
    );
    paragraphs.extend(baselines(comparison));
    paragraphs
}

fn overall(comparison: &Comparison) -> Paragraph {
    let setup = &comparison.setup;
    let mut sentences = vec![format!(
        "{} searchers were compared on {} with {} each: {}.",
        setup.searchers.len(),
        count(setup.tasks.len(), "task"),
        count(comparison.seeds.len(), "seed"),
        count(comparison.runs, "run"),
    )];
    let leaders: Vec<usize> = (0..setup.fractions.len())
        .filter_map(|place| comparison.in_time(place)?.ranking().first().map(|standing| standing.searcher))
        .collect();
    let label = |searcher: usize| name(&setup.searchers[searcher].label);
    match leaders.split_first() {
        Some((&first, rest)) if rest.iter().all(|&leader| leader == first) && !rest.is_empty() => {
            sentences.push(format!("{} has the best mean rank at every budget looked at.", label(first)));
        }
        Some((_, [_, ..])) => {
            let each: Vec<String> = leaders
                .iter()
                .zip(&setup.fractions)
                .map(|(&leader, &fraction)| format!("{} at {}", label(leader), percent(fraction)))
                .collect();
            sentences
                .push(format!("No searcher leads at every budget. The best mean rank has: {}.", list(&each)));
        }
        _ => {}
    }
    sentences
        .push("All of this holds for these tasks and settings; another task can turn it round.".to_owned());
    Paragraph { heading: "In short".to_owned(), sentences }
}

fn at_budget(comparison: &Comparison, verdict: &Verdict) -> Paragraph {
    let setup = &comparison.setup;
    let heading = format!("With {} of the budget", percent(verdict.fraction));
    let ranking = verdict.ranking();
    let leader = ranking[0];
    let first = name(&setup.searchers[leader.searcher].label);
    if leader.rank.is_nan() {
        let none = "No task and seed has runs of all searchers, so there are no ranks.".to_owned();
        return Paragraph { heading, sentences: vec![none] };
    }
    let error =
        if leader.rank_error.is_nan() { String::new() } else { format!(" ± {:.2}", leader.rank_error) };
    let mut sentences = vec![format!(
        "{first} has the best mean rank, {:.2}{error} of {}; the interquartile mean of its normalised regret is {} ({} interval {} to {}).",
        leader.rank,
        setup.searchers.len(),
        number(leader.regret.value),
        percent(setup.confidence),
        number(leader.regret.low),
        number(leader.regret.high),
    )];
    let level = 1.0 - setup.confidence;
    let duels: Vec<Duel> =
        ranking[1..].iter().filter_map(|other| verdict.duel(leader.searcher, other.searcher)).collect();
    sentences.extend(tested(comparison, &first, &duels, level));
    sentences.extend(too_few(&duels, verdict.duels.len(), level));
    if verdict.left_out > 0 {
        sentences.push(format!(
            "{} of task and seed are left out of the ranks, because a searcher has no run there.",
            count(verdict.left_out, "pair")
        ));
    }
    Paragraph { heading, sentences }
}

/// Whom the leader beats, whom it cannot be told from, and who beats it in pairs in spite of its rank.
fn tested(comparison: &Comparison, first: &str, duels: &[Duel], level: f64) -> Vec<String> {
    let label = |duel: &Duel| name(&comparison.setup.searchers[duel.second].label);
    let won: Vec<&Duel> = duels.iter().filter(|duel| duel.significant(level) && duel.first_leads).collect();
    let lost: Vec<&Duel> = duels.iter().filter(|duel| duel.significant(level) && !duel.first_leads).collect();
    let open: Vec<&Duel> = duels.iter().filter(|duel| !duel.significant(level)).collect();
    let mut sentences = Vec::new();
    if !won.is_empty() {
        let named: Vec<String> =
            won.iter().take(NAMED).map(|duel| format!("{} {}", label(duel), by_how_much(duel))).collect();
        let rest = won.len().saturating_sub(NAMED);
        let more = if rest > 0 { format!("; and {rest} more") } else { String::new() };
        sentences.push(format!(
            "The paired test finds it better than {}: {}{more}.",
            of_others(won.len(), duels.len()),
            named.join("; "),
        ));
    }
    if !open.is_empty() {
        let named: Vec<String> =
            open.iter().map(|duel| format!("{} ({})", label(duel), p_value(duel.adjusted))).collect();
        sentences.push(format!(
            "It finds no significant difference between {first} and {}. That does not show that they are equal.",
            list(&named)
        ));
    }
    if !lost.is_empty() {
        let named: Vec<String> = lost.iter().map(|duel| label(duel)).collect();
        sentences.push(format!(
            "In pairs, {} {} better than {first} by the same test, in spite of its better mean rank.",
            list(&named),
            if lost.len() == 1 { "is" } else { "are" },
        ));
    }
    sentences
}

fn of_others(some: usize, all: usize) -> String {
    match (some, all) {
        (1, 1) => "the other".to_owned(),
        _ if some == all => format!("all {all} others"),
        _ => format!("{some} of the {all} others"),
    }
}

/// The difference of the interquartile means, and the wins.
fn by_how_much(duel: &Duel) -> String {
    let difference = duel.difference;
    let pairs = duel.wins + duel.ties + duel.losses;
    let won = format!("{} of {pairs} pairs won, {}", duel.wins, p_value(duel.adjusted));
    if difference.value < 0.0 {
        let [value, low, high] = [difference.value, difference.high, difference.low].map(|end| number(-end));
        format!("by {value} ({low} to {high}; {won})")
    } else {
        format!("(not by the interquartile mean, but {won})")
    }
}

/// A warning where the test could not have found anything.
fn too_few(duels: &[Duel], comparisons: usize, level: f64) -> Option<String> {
    let pairs = duels.iter().map(|duel| duel.wins + duel.ties + duel.losses).max()?;
    let needed = pairs_needed(level, comparisons);
    (pairs < needed).then(|| {
        format!(
            "With {} of task and seed and {} no difference can become significant: {needed} pairs are the least that can.",
            count(pairs, "pair"),
            count(comparisons, "comparison"),
        )
    })
}

/// Who is not shown to be better than each baseline at the end.
fn baselines(comparison: &Comparison) -> Option<Paragraph> {
    let setup = &comparison.setup;
    let verdict = comparison.at_the_end()?;
    let level = 1.0 - setup.confidence;
    let mut sentences = Vec::new();
    for (baseline, contestant) in
        setup.searchers.iter().enumerate().filter(|(_, contestant)| contestant.baseline)
    {
        let others =
            || verdict.ranking().into_iter().filter(|standing| !setup.searchers[standing.searcher].baseline);
        let (mut better, mut same, mut worse) = (0, Vec::new(), Vec::new());
        for duel in others().filter_map(|standing| verdict.duel(standing.searcher, baseline)) {
            let first = name(&setup.searchers[duel.first].label);
            match (duel.significant(level), duel.first_leads) {
                (true, true) => better += 1,
                (true, false) => worse.push(first),
                (false, _) => same.push(first),
            }
        }
        if better + same.len() + worse.len() == 0 {
            continue;
        }
        let all = better + same.len() + worse.len();
        let mut sentence = format!(
            "{}: {better} of {} are better by the paired test",
            name(&contestant.label),
            count(all, "searcher")
        );
        if !same.is_empty() {
            sentence.push_str("; no significant difference for ");
            sentence.push_str(&list(&same));
        }
        if !worse.is_empty() {
            sentence.push_str("; worse: ");
            sentence.push_str(&list(&worse));
        }
        sentences.push(sentence + ".");
    }
    let heading = format!("Against the baselines, with {} of the budget", percent(verdict.fraction));
    (!sentences.is_empty()).then_some(Paragraph { heading, sentences })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::samples;
    use crate::run::Run;

    fn text(comparison: &Comparison) -> String {
        let paragraph =
            |paragraph: &Paragraph| format!("{}\n{}", paragraph.heading, paragraph.sentences.join("\n"));
        comparison.conclusion.iter().map(paragraph).collect::<Vec<_>>().join("\n\n")
    }

    #[test]
    fn a_clear_winner_is_named_with_numbers() {
        let (setup, runs) = samples::comparison_input(2, 4, 12);
        let text = text(&Comparison::new(setup, &runs).unwrap());
        insta::assert_snapshot!(text);
    }

    #[test]
    fn equal_searchers_are_not_told_apart() {
        let (setup, runs) = samples::comparison_input(2, 1, 12);
        let mut setup = setup;
        setup.searchers.push(setup.searchers[0].clone());
        setup.searchers[1].label = "twin".into();
        let twins = runs.iter().map(|run| Run { searcher: "twin".into(), ..run.clone() });
        let runs: Vec<Run> = runs.iter().cloned().chain(twins).collect();
        let text = text(&Comparison::new(setup, &runs).unwrap());
        assert!(text.contains("no significant difference"), "{text}");
        assert!(!text.contains("better than"), "{text}");
    }

    #[test]
    fn few_seeds_are_said_to_be_too_few() {
        let (setup, runs) = samples::comparison_input(1, 4, 3);
        let text = text(&Comparison::new(setup, &runs).unwrap());
        assert!(
            text.contains(
                "With 3 pairs of task and seed and 6 comparisons no difference can become significant"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_lone_searcher_has_nobody_to_beat() {
        let (setup, runs) = samples::comparison_input(1, 1, 3);
        let text = text(&Comparison::new(setup, &runs).unwrap());
        assert!(!text.contains("test finds"), "{text}");
    }
}
