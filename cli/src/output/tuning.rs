//! What `toprung tune-searcher` says: a table of settings, the advice in words, and the section to paste. Pure.

use super::{json, table};
use crate::simulation::advice::{Advice, Other};
use crate::simulation::arena::{Arena, RANDOM};
use crate::simulation::grid::Setting;
use comfy_table::Cell;
use serde_json::{Value as Json, json};
use toprung_simulations::judge::{Comparison, Interval};

/// So many settings that are no more than noise away are named.
const NAMED: usize = 5;

/// All settings, best first.
pub(crate) fn table(arena: &Arena, advice: &Advice, width: u16) -> String {
    let headings = ["setting", "rank", "regret", "95 % interval", "against the best"];
    let mut table = table::plain(&headings, Some(width));
    let best = label(arena, advice.best);
    table.add_row(row(&best, Some((advice.rank, advice.regret)), "best rank".to_owned()));
    for other in &advice.others {
        table.add_row(row(&label(arena, other.contestant), other.standing, against(other)));
    }
    format!("{}\n", table::text(&table))
}

fn row(label: &str, standing: Option<(f64, Interval)>, against: String) -> Vec<Cell> {
    let (rank, regret, interval) = match standing {
        Some((rank, regret)) => {
            let interval = format!("{} to {}", number(regret.low), number(regret.high));
            (format!("{rank:.2}"), number(regret.value), interval)
        }
        None => ("out".to_owned(), "-".to_owned(), "-".to_owned()),
    };
    vec![Cell::new(label), table::right(rank), table::right(regret), Cell::new(interval), Cell::new(against)]
}

fn label(arena: &Arena, contestant: usize) -> String {
    let found = &arena.contestants[contestant];
    if found.baseline { format!("{} (baseline)", found.label) } else { found.label.clone() }
}

/// How a setting compares with the best, in a few words.
fn against(other: &Other) -> String {
    let after = other.out_after.map_or_else(String::new, |seeds| format!(" after {seeds} seeds"));
    if other.is_worse {
        format!("worse by {}, {}{after}", number(other.worse_by), p(other.p))
    } else if other.is_better {
        format!("better in pairs, {}", p(other.p))
    } else {
        format!("within noise, {}", p(other.p))
    }
}

/// The advice in sentences.
pub(crate) fn words(
    arena: &Arena,
    settings: &[Setting],
    comparison: &Comparison,
    advice: &Advice,
    width: usize,
) -> String {
    let mut sentences = vec![take(arena, comparison, advice)];
    sentences.extend(neighbours(settings, advice));
    sentences.extend(as_it_is(arena, settings, advice));
    sentences.extend(others(arena, settings, advice));
    sentences.extend(random(arena, advice));
    sentences.push(
        "All of this holds for these curves, this budget and so many slots; another task can turn it round."
            .to_owned(),
    );
    sentences.iter().map(|sentence| wrapped(sentence, width)).collect()
}

fn take(arena: &Arena, comparison: &Comparison, advice: &Advice) -> String {
    let best = &arena.contestants[advice.best];
    let name = best.spec.as_ref().map_or("", |spec| spec.name.as_str());
    let shared: Vec<String> = arena.shared.iter().map(|(name, value)| format!("{name} {value}")).collect();
    format!(
        "Take {name}, {}: with {} its normalised regret is {} (95 % interval {} to {}; 0 is the best there is, 1 a median \
         configuration trained in full), its mean rank {:.2} of {}.",
        best.settings,
        shared.join(", "),
        number(advice.regret.value),
        number(advice.regret.low),
        number(advice.regret.high),
        advice.rank,
        comparison.setup.searchers.len(),
    )
}

/// What changing one value does.
fn neighbours(settings: &[Setting], advice: &Advice) -> Vec<String> {
    let (mut noise, mut worse) = (Vec::new(), Vec::new());
    for (key, value, other) in advice.neighbours(settings) {
        let said = format!("{key} {value} ({})", p(other.p));
        if other.is_worse {
            worse.push(format!("{key} {value} by {} ({})", number(other.worse_by), p(other.p)));
        } else {
            noise.push(said);
        }
    }
    let mut sentences = Vec::new();
    if !noise.is_empty() {
        sentences.push(format!("The difference to {} alone is within noise.", list(&noise)));
    }
    if !worse.is_empty() {
        sentences.push(format!("Worse is {} alone.", list(&worse)));
    }
    sentences
}

/// Whether it is shown to pay to change anything.
fn as_it_is(arena: &Arena, settings: &[Setting], advice: &Advice) -> Option<String> {
    let base = settings.get(advice.best)?.base;
    let plain = settings.iter().position(|setting| setting.base == base && setting.is_base)?;
    if plain == advice.best {
        return Some("It is the searcher as it is: no other setting is ahead of it.".to_owned());
    }
    let other = advice.against(plain)?;
    let label = format!("the searcher as it is ({})", arena.contestants[plain].label);
    Some(if other.is_worse {
        format!("It is better than {label} by {} ({}).", number(other.worse_by), p(other.p))
    } else {
        format!(
            "It is not shown to be better than {label} ({}): to change nothing is as good a choice.",
            p(other.p)
        )
    })
}

/// Who else could be the best.
fn others(arena: &Arena, settings: &[Setting], advice: &Advice) -> Option<String> {
    let near: Vec<&Other> = advice
        .others
        .iter()
        .filter(|other| !other.is_worse && !arena.contestants[other.contestant].baseline)
        .collect();
    if near.is_empty() {
        return (settings.len() > 1).then(|| "All other settings are shown to be worse.".to_owned());
    }
    let named: Vec<String> =
        near.iter().take(NAMED).map(|other| quoted(&arena.contestants[other.contestant].label)).collect();
    let rest = near.len().saturating_sub(NAMED);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let all = named.join(", ");
    Some(format!(
        "Of {} settings, {} cannot be told from it: {all}{more}. More seeds could.",
        settings.len(),
        near.len()
    ))
}

fn random(arena: &Arena, advice: &Advice) -> Option<String> {
    let place =
        arena.contestants.iter().position(|contestant| contestant.label == RANDOM && contestant.baseline)?;
    let other = advice.against(place)?;
    Some(if other.is_worse {
        format!("It is better than random search by {} ({}).", number(other.worse_by), p(other.p))
    } else if other.standing.is_some_and(|(rank, _)| rank < advice.rank) {
        format!("Random search has a better mean rank; the difference is within noise ({}).", p(other.p))
    } else {
        format!("It is not shown to be better than random search ({}).", p(other.p))
    })
}

/// The `searcher` section to paste, with as many trials as a run of it created.
pub(crate) fn section(arena: &Arena, advice: &Advice) -> String {
    let Some(spec) = &arena.contestants[advice.best].spec else { return String::new() };
    let Some(field) = arena.fields.first() else { return String::new() };
    let trials = if advice.trials.is_finite() { advice.trials.round().max(1.0) as u64 } else { 1 };
    spec.section(&field.task, trials)
}

/// The advice for programs.
pub(crate) fn json(arena: &Arena, settings: &[Setting], advice: &Advice, section: &str) -> Json {
    let values = |contestant: usize| {
        let found = settings.get(contestant).map(|setting| setting.values.clone()).unwrap_or_default();
        found.into_iter().map(|(key, value)| (key, json!(value))).collect::<serde_json::Map<_, _>>()
    };
    let interval = |regret: Interval| json!([json::number(regret.low), json::number(regret.high)]);
    let other = |other: &Other| {
        json!({
            "label": arena.contestants[other.contestant].label,
            "values": values(other.contestant),
            "baseline": arena.contestants[other.contestant].baseline,
            "rank": other.standing.map(|(rank, _)| json::number(rank)),
            "regret": other.standing.map(|(_, regret)| json::number(regret.value)),
            "interval": other.standing.map(|(_, regret)| interval(regret)),
            "worse_by": json::number(other.worse_by),
            "p": json::number(other.p),
            "is_worse": other.is_worse,
            "out_after_seeds": other.out_after,
        })
    };
    json!({
        "take": {
            "label": arena.contestants[advice.best].label,
            "values": values(advice.best),
            "rank": json::number(advice.rank),
            "regret": json::number(advice.regret.value),
            "interval": interval(advice.regret),
            "section": section,
        },
        "others": advice.others.iter().map(other).collect::<Vec<_>>(),
    })
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".to_owned() } else { "-".to_owned() };
    }
    let decimals = (2 - value.abs().log10().floor() as i32).clamp(0, 5) as usize;
    format!("{value:.decimals$}")
}

fn p(value: f64) -> String {
    if value < 0.001 { "p < 0.001".to_owned() } else { format!("p = {value:.3}") }
}

fn quoted(label: &str) -> String {
    if label.contains(' ') { format!("“{label}”") } else { label.to_owned() }
}

fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// A paragraph of at most so many columns.
fn wrapped(sentence: &str, width: usize) -> String {
    let (mut text, mut used) = (String::new(), 0);
    for word in sentence.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            text.push('\n');
            used = 0;
        } else if used > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += length;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!([0.0, 0.012_345, 1.5, 123.4, f64::NAN].map(number), ["0", "0.0123", "1.50", "123", "-"]);
        assert_eq!((p(0.0004), p(0.25)), ("p < 0.001".to_owned(), "p = 0.250".to_owned()));
    }

    #[test]
    fn sentences_are_broken_at_spaces() {
        assert_eq!(wrapped("aa bb cc dd", 5), "aa bb\ncc dd\n");
        assert_eq!(list(&["a".to_owned(), "b".to_owned(), "c".to_owned()]), "a, b or c");
    }

    #[test]
    fn a_comparison_in_few_words_never_claims_more_than_the_test() {
        let other = |is_worse, out_after| Other {
            contestant: 1,
            standing: None,
            worse_by: 0.05,
            p: if is_worse { 0.01 } else { 0.4 },
            is_worse,
            is_better: false,
            out_after,
        };
        assert_eq!(against(&other(true, None)), "worse by 0.0500, p = 0.010");
        assert_eq!(against(&other(true, Some(8))), "worse by 0.0500, p = 0.010 after 8 seeds");
        assert_eq!(against(&other(false, None)), "within noise, p = 0.400");
    }
}
