//! Constraints between hyperparameters, and priors.

use super::refused::check_whole;
use super::{accepted, refused, warnings};
use crate::{parse, to_yaml};
use toprung_searchers::models::{ModelConfig, PriorConfig};
use toprung_searchers::{Prior, SearcherConfig, Space, Value, plan};

const SEARCHER: &str = "searcher: {name: random, metric: a, max_trials: 9, max_length: 5}\n";

fn file(searcher: &str, rest: &str) -> String {
    format!(
        "entrypoint: ./run\nhyperparameters:\n  a: {{type: int, minval: 1, maxval: 9}}\n  b: {{type: int, minval: 1, maxval: 9}}\n  \
         kind: {{type: categorical, vals: [sgd, adam]}}\n  net: {{w: {{type: double, minval: 0, maxval: 1, count: 3}}}}\n{searcher}{rest}"
    )
}

/// The space, which the complete config must say again.
fn space(yaml: &str) -> Space {
    let config = accepted(yaml);
    let complete = config.complete();
    for text in [complete.to_string(), to_yaml(&complete)] {
        assert_eq!(parse(&text).unwrap().config, config, "{text}");
    }
    config.space
}

#[test]
fn constraints_stand_beside_the_searcher() {
    let rest = "constraints:\n  - a >= b\n  - \"kind == 'sgd' or net.w < 0.5\"\n";
    let found = space(&file(SEARCHER, rest));
    let texts: Vec<_> = found.constraints.iter().map(toprung_searchers::Constraint::text).collect();
    assert_eq!(texts, ["a >= b", "kind == 'sgd' or net.w < 0.5"]);
    assert!(space(&file(SEARCHER, "constraints: null\n")).constraints.is_empty());
    let grid = "searcher: {name: grid, metric: a, max_length: 5}\n";
    let config = accepted(&file(grid, "constraints: [a > b, kind == 'sgd']\n"));
    assert_eq!(plan(&config.searcher.method, &config.space).unwrap().trials, 36 * 3);
}

#[test]
fn mistakes_in_constraints_are_pointed_at() {
    for (list, path, message, help) in [
        ("[a >= width]", "constraints[0]", "there is no hyperparameter `width`", "known are `a`"),
        (
            "[a >= b, net.v > 1]",
            "constraints[1]",
            "there is no hyperparameter `net.v`",
            "did you mean `net.w`?",
        ),
        ("[a = b]", "constraints[0]", "`=` is no part", "write `==`"),
        ("[\"kind == 'adm'\"]", "constraints[0]", "`kind` is never \"adm\"", "did you mean `adam`?"),
        ("[a + b]", "constraints[0]", "is a number, expected a relation", ""),
        ("a >= b", "constraints", "found a text, expected a list of relations", ""),
        ("[[a]]", "constraints[0]", "found a list, expected a text", ""),
        ("[a > 9]", "constraints", "none of 1000 random draws satisfies `a > 9`", "narrow the ranges"),
        ("[a > 9, b > 1]", "constraints", "`a > 9` alone holds in 0", "narrow the ranges"),
    ] {
        check_whole(&file(SEARCHER, &format!("constraints: {list}\n")), path, message, help);
    }
    let grid = "searcher: {name: grid, metric: a, max_length: 5}\n";
    let yaml = file(grid, "constraints: [a > 9]\n");
    check_whole(&yaml, "searcher", "none of 486 points of the grid satisfies the constraints", "loosen");
    // Of names that are mistakes themselves nothing is said twice.
    let yaml = file(SEARCHER, "constraints: [a >= kind]\n").replace("[sgd, adam]", "[]");
    assert_eq!(refused(&yaml).0.len(), 1);
}

#[test]
fn a_mistake_is_found_in_the_line_where_it_stands() {
    for (rest, column, part) in [
        ("constraints:\n  - a >= c\n", 10, "c"),
        ("constraints:\n  - 'a >= c'\n", 11, "c"),
        ("constraints: [ a >= b,\n  \"b < 1 and a >= c\"]\n", 19, "c"),
        ("constraints:\n  - a >=\n", 9, ""),
    ] {
        let yaml = file(SEARCHER, rest);
        let problems = refused(&yaml).0;
        assert_eq!(problems.len(), 1, "{problems:?}");
        let found = &problems[0];
        assert_eq!((found.line, found.column), (9, column), "{found:?}");
        assert_eq!(&yaml[found.offset..found.offset + found.len], part, "{found:?}");
    }
    // With escapes it is the whole text.
    let yaml = file(SEARCHER, "constraints: [\"a \\x3e= c\"]\n");
    let found = &refused(&yaml).0[0];
    assert_eq!(&yaml[found.offset..found.offset + found.len], "\"a \\x3e= c\"");
}

#[test]
fn constraints_that_leave_little_are_warned_about() {
    let few = warnings(&file(SEARCHER, "constraints: [a == 9 and b == 9 and net.w > 0.5]\n"));
    assert_eq!(few.len(), 1, "{few:?}");
    assert!(few[0].message.starts_with("only ") && few[0].path == "constraints", "{few:?}");
    assert!(warnings(&file(SEARCHER, "constraints: [a > b]\n")).is_empty());
}

fn with_prior(kind: &str, searcher: &str) -> String {
    format!(
        "entrypoint: ./run\nhyperparameters: {{x: {{{kind}}}}}\nsearcher: {{metric: a, max_length: 5, {searcher}}}\n"
    )
}

const RANDOM: &str = "name: random, max_trials: 9";

#[test]
fn priors_have_a_center_and_a_confidence() {
    for (kind, center, confidence) in [
        ("type: int, minval: 1, maxval: 9, prior: {center: 3}", Value::Int(3), 0.5),
        ("type: double, minval: 0, maxval: 1, prior: {center: 1, confidence: low}", Value::Int(1), 0.25),
        (
            "type: log, minval: -4, maxval: -1, prior: {center: 1e-3, confidence: high}",
            Value::Double(1e-3),
            0.75,
        ),
        ("type: log, minval: -4, maxval: -1, prior: {center: 0.1, confidence: 0.9}", Value::Double(0.1), 0.9),
        ("type: categorical, vals: [a, 2], prior: {center: 2, confidence: 1}", Value::Int(2), 1.0),
        ("type: ordinal, vals: [a, b], prior: {center: b, confidence: 0}", Value::String("b".into()), 0.0),
    ] {
        let found = space(&with_prior(kind, RANDOM));
        assert_eq!(found.dimensions["x"].prior, Some(Prior { center, confidence }), "{kind}");
    }
}

#[test]
fn mistakes_in_priors() {
    let x = "hyperparameters.x.prior";
    for (kind, path, message, help) in [
        ("type: int, minval: 1, maxval: 9, prior: {}", ".center", "`center` is missing", "the value"),
        ("type: int, minval: 1, maxval: 9, prior: 3", "", "expected a map", ""),
        ("type: int, minval: 1, maxval: 9, prior: {center: 10}", ".center", "10 is no value", "from 1 to 9"),
        ("type: int, minval: 1, maxval: 9, prior: {center: 1.5}", ".center", "1.5 is no value", "an integer"),
        (
            "type: log, minval: -4, maxval: -1, prior: {center: -3}",
            ".center",
            "-3 is no value",
            "not an exponent",
        ),
        (
            "type: categorical, vals: [sgd, adam], prior: {center: adm}",
            ".center",
            "\"adm\" is no value",
            "did you mean `adam`?",
        ),
        ("type: int, minval: 1, maxval: 9, prior: {mean: 1, center: 1}", ".mean", "unknown key", "`center`"),
        (
            "type: int, minval: 1, maxval: 9, prior: {center: 1, confidence: hihg}",
            ".confidence",
            "expected one of low, medium, high",
            "did you mean `high`?",
        ),
        (
            "type: int, minval: 1, maxval: 9, prior: {center: 1, confidence: 2}",
            ".confidence",
            "2 is out of range",
            "low, medium, high",
        ),
        ("type: const, val: 3, prior: {center: 3}", "", "unknown key", "that are searched"),
    ] {
        check_whole(&with_prior(kind, RANDOM), &format!("{x}{path}"), message, help);
    }
}

#[test]
fn priors_are_used_where_trials_are_drawn() {
    let kind = "type: int, minval: 1, maxval: 9, prior: {center: 3}";
    let method = |searcher: &str| {
        let parsed = parse(&with_prior(kind, searcher)).unwrap_or_else(|problems| panic!("{problems}"));
        (parsed.config.searcher.method, parsed.warnings)
    };
    let prior = ModelConfig::Prior(PriorConfig::default());
    for searcher in [RANDOM, "name: asha, num_rungs: 2, max_trials: 9", "name: hyperband"] {
        let (found, warnings) = method(searcher);
        assert!(matches!(&found, SearcherConfig::ModelBased { model, .. } if *model == prior), "{found:?}");
        assert!(warnings.is_empty() && found.name() != "prior", "{warnings:?}");
    }
    let (tpe, warnings) = method("name: tpe, max_trials: 9");
    assert!(tpe.name() == "tpe" && warnings.is_empty());
    let (none, warnings) = method(&format!("{RANDOM}, model: none"));
    assert!(none.model().is_none() && warnings[0].message.contains("have no effect"), "{warnings:?}");
    let (single, warnings) = method("name: single");
    assert!(
        single.model().is_none() && warnings[0].message.contains("does not use the priors"),
        "{warnings:?}"
    );
    let free = with_prior("type: int, minval: 1, maxval: 9", &format!("{RANDOM}, model: prior"));
    check_whole(&free, "searcher.model", "no hyperparameter has a `prior`", "give one");
}
