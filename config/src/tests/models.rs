//! Models that place trials, and rungs that are anchored at a least length.

use super::refused::check_whole;
use crate::{parse, to_yaml};
use toprung_searchers::models::{EvolutionConfig, GpConfig, ModelConfig, PortfolioConfig, TpeConfig};
use toprung_searchers::{SearcherConfig, plan};

fn file(searcher: &str) -> String {
    format!(
        "entrypoint: ./run\nhyperparameters: {{x: {{type: double, minval: 0, maxval: 1}}}}\nsearcher: {{metric: a, {searcher}}}\n"
    )
}

/// The method, which the complete config must say again.
fn method(searcher: &str) -> SearcherConfig {
    let config = parse(&file(searcher)).unwrap_or_else(|problems| panic!("{searcher}\n{problems}")).config;
    let complete = config.complete();
    for text in [complete.to_string(), to_yaml(&complete)] {
        assert_eq!(parse(&text).unwrap().config.searcher, config.searcher, "{text}");
    }
    config.searcher.method
}

fn around(model: ModelConfig, inner: SearcherConfig) -> SearcherConfig {
    SearcherConfig::ModelBased { inner: Box::new(inner), model }
}

#[test]
fn a_model_stands_around_a_searcher_that_draws() {
    let (tpe, gp) = (ModelConfig::Tpe(TpeConfig::default()), ModelConfig::Gp(GpConfig::default()));
    for rest in [
        "name: random, max_trials: 9, max_length: 5",
        "name: asha, num_rungs: 2, max_trials: 9, max_length: 5",
        "name: adaptive_asha, max_trials: 9, max_length: 5",
        "name: sync_halving, max_trials: 9, max_length: 5",
        "name: hyperband, max_length: 5",
        "name: pasha, max_trials: 9, max_length: 5",
    ] {
        let plain = method(rest);
        assert_eq!(method(&format!("{rest}, model: none")), plain);
        assert_eq!(method(&format!("{rest}, model: null")), plain);
        assert_eq!(method(&format!("{rest}, model: tpe")), around(tpe, plain.clone()));
        assert_eq!(method(&format!("{rest}, model: {{name: gp}}")), around(gp, plain));
    }
}

#[test]
fn a_searchers_name_may_say_its_model() {
    let (tpe, gp) = (ModelConfig::Tpe(TpeConfig::default()), ModelConfig::Gp(GpConfig::default()));
    let rest = "max_trials: 9, max_length: 5";
    let random = method(&format!("name: random, {rest}"));
    assert_eq!(method(&format!("name: tpe, {rest}")), around(tpe, random.clone()));
    assert_eq!(method(&format!("name: tpe, {rest}, model: {{}}")), around(tpe, random.clone()));
    assert_eq!(method(&format!("name: gp, {rest}, model: {{name: gp}}")), around(gp, random));
    let bohb = method("name: bohb, divisor: 3, max_length: 81");
    assert_eq!(bohb, around(tpe, method("name: hyperband, divisor: 3, max_length: 81")));
    assert_eq!(bohb.name(), "bohb");
    let stopped = method(&format!("name: tpe, {rest}, median_stopping: {{}}"));
    assert!(matches!(&stopped, SearcherConfig::MedianStopping { inner, .. }
        if matches!(**inner, SearcherConfig::ModelBased { .. })));
    assert_eq!(stopped.name(), "tpe");
}

#[test]
fn a_model_has_settings() {
    let rest = "max_trials: 9, max_length: 5";
    let random = method(&format!("name: random, {rest}"));
    let tpe =
        ModelConfig::Tpe(TpeConfig { startup_trials: 5, candidates: 7, gamma: 0.5, random_fraction: 0.0 });
    let settings = "startup_trials: 5, candidates: 7, gamma: 0.5, random_fraction: 0";
    for searcher in [
        format!("name: random, {rest}, model: {{name: tpe, {settings}}}"),
        format!("name: tpe, {rest}, model: {{{settings}}}"),
        format!("name: tpe, {rest}, {settings}"),
        format!(
            "name: tpe, {rest}, startup_trials: 5, gamma: 0.5, model: {{candidates: 7, random_fraction: 0}}"
        ),
    ] {
        assert_eq!(method(&searcher), around(tpe, random.clone()), "{searcher}");
    }
    let gp = ModelConfig::Gp(GpConfig { startup_trials: 12, max_points: 2000, random_fraction: 1.0 });
    let settings = "startup_trials: 12, max_points: 2000, random_fraction: 1";
    let asha = "name: asha, num_rungs: 2, max_trials: 9, max_length: 5";
    assert_eq!(method(&format!("{asha}, model: {{name: gp, {settings}}}")), around(gp, method(asha)));
    assert_eq!(method(&format!("name: gp, {rest}, {settings}")), around(gp, random));
    for (model, random_fraction) in [("evolution", 0.5), ("{name: evolution, random_fraction: 0.25}", 0.25)] {
        let evolution = ModelConfig::Evolution(EvolutionConfig { random_fraction });
        assert_eq!(method(&format!("{asha}, model: {model}")), around(evolution, method(asha)));
    }
    assert_eq!(EvolutionConfig::default().random_fraction, 0.5);
    let portfolio = ModelConfig::Portfolio(PortfolioConfig { random_fraction: 0.5 });
    let written = format!("{asha}, model: {{name: portfolio, random_fraction: 0.5}}");
    assert_eq!(method(&written), around(portfolio, method(asha)));
    let portfolio = ModelConfig::Portfolio(PortfolioConfig::default());
    assert_eq!(method(&format!("{asha}, model: portfolio")), around(portfolio, method(asha)));
    let bohb = method("name: bohb, divisor: 3, max_length: 81, gamma: 0.2");
    let tpe = ModelConfig::Tpe(TpeConfig { gamma: 0.2, ..TpeConfig::default() });
    assert_eq!(bohb, around(tpe, method("name: hyperband, divisor: 3, max_length: 81")));
}

#[test]
fn settings_of_models_that_are_mistakes() {
    let tail = "max_trials: 9, max_length: 5";
    for (searcher, path, message, help) in [
        (
            format!("name: tpe, {tail}, gamma: 0"),
            "gamma",
            "0 is out of range, expected a number above 0, up to 0.5",
            "",
        ),
        (format!("name: tpe, {tail}, model: {{gamma: 0.6}}"), "model.gamma", "0.6 is out of range", ""),
        (format!("name: tpe, {tail}, candidates: 0"), "candidates", "an integer from 1 to 1000", ""),
        (
            format!("name: tpe, {tail}, startup_trials: 0"),
            "startup_trials",
            "an integer from 1 to 1000000",
            "",
        ),
        (format!("name: gp, {tail}, max_points: 2001"), "max_points", "an integer of at most 2000", ""),
        (
            format!("name: random, {tail}, model: {{name: gp, random_fraction: 1.5}}"),
            "model.random_fraction",
            "expected a number from 0 to 1",
            "",
        ),
        (
            format!("name: tpe, {tail}, gamma: 0.1, model: {{gamma: 0.2}}"),
            "model.gamma",
            "`gamma` is given twice",
            "leave this one out, or `searcher.gamma`",
        ),
        (format!("name: gp, {tail}, gamma: 0.1"), "gamma", "unknown key", "the searchers `tpe` and `bohb`"),
        (format!("name: random, {tail}, max_points: 64"), "max_points", "unknown key", "model: {name: gp"),
        (
            format!("name: random, {tail}, model: {{name: tpe, max_points: 64}}"),
            "model.max_points",
            "unknown key",
            "the model `gp`",
        ),
        (
            format!("name: gp, {tail}, model: {{candidates: 4}}"),
            "model.candidates",
            "unknown key",
            "the model `tpe`",
        ),
    ] {
        check_whole(&file(&searcher), &format!("searcher.{path}"), message, help);
    }
}

#[test]
fn models_that_are_mistakes() {
    let tail = "max_trials: 9, max_length: 5";
    for (searcher, path, message, help) in [
        (format!("name: random, {tail}, model: tep"), "model", "found the text \"tep\"", "`tpe`"),
        (
            format!("name: random, {tail}, model: {{}}"),
            "model.name",
            "`name` is missing in `model`",
            "one of tpe",
        ),
        (format!("name: random, {tail}, model: {{name: none}}"), "model.name", "expected one of tpe", ""),
        (
            format!("name: random, {tail}, model: {{name: tpe, seed: 1}}"),
            "model.seed",
            "unknown key",
            "known are",
        ),
        (
            format!("name: tpe, {tail}, model: gp"),
            "model",
            "the searcher `tpe` has the model `tpe`",
            "`random`",
        ),
        (format!("name: tpe, {tail}, model: {{name: gp}}"), "model.name", "not `gp`", "`random`"),
        (format!("name: tpe, {tail}, divisor: 3"), "divisor", "unknown key", "with rungs"),
        ("name: single, max_length: 5, model: tpe".to_owned(), "model", "unknown key", "draw their trials"),
        ("name: tpe, max_length: 5".to_owned(), "max_trials", "is missing", "how many trials"),
    ] {
        check_whole(&file(&searcher), &format!("searcher.{path}"), message, help);
    }
}

/// From 1 to 50 by a divisor of 3.
const WHOLE: [u64; 5] = [1, 3, 9, 27, 50];

fn rungs(searcher: &str) -> Vec<Vec<u64>> {
    let config = parse(&file(searcher)).unwrap().config;
    let plan = plan(&method(searcher), &config.space).unwrap();
    let lengths = |bracket: &toprung_searchers::plan::BracketPlan| {
        bracket.rungs.iter().map(|rung| rung.length).collect::<Vec<_>>()
    };
    plan.brackets.iter().map(lengths).collect()
}

#[test]
fn a_least_length_anchors_the_rungs() {
    let tail = "divisor: 3, min_length: {epochs: 1}, max_length: {epochs: 50}";
    assert_eq!(rungs(&format!("name: asha, max_trials: 9, {tail}")), [WHOLE]);
    assert_eq!(rungs(&format!("name: asha, max_trials: 9, num_rungs: 3, {tail}")), [[9, 27, 50]]);
    assert_eq!(rungs(&format!("name: sync_halving, max_trials: 9, {tail}")), [WHOLE]);
    assert_eq!(rungs(&format!("name: pasha, max_trials: 9, {tail}")), [WHOLE]);
    assert_eq!(rungs(&format!("name: pasha, max_trials: 9, max_rungs: 2, {tail}")), [[27, 50]]);
    assert_eq!(rungs(&format!("name: bohb, {tail}")).first(), Some(&WHOLE.to_vec()));
    let adaptive = format!("name: adaptive_asha, mode: aggressive, max_trials: 9, {tail}");
    assert_eq!(rungs(&adaptive), [WHOLE]);
    assert_eq!(rungs(&format!("{adaptive}, bracket_rungs: [5, 2]")), [WHOLE.to_vec(), vec![27, 50]]);
    let bare = "name: asha, max_trials: 9, divisor: 2, min_length: 3, time_metric: frames, max_time: 12";
    assert_eq!(rungs(bare), [[3, 6, 12]]);
}

#[test]
fn least_lengths_that_are_mistakes() {
    let of = |rest: &str| file(&format!("name: asha, max_trials: 9, max_length: {{epochs: 50}}, {rest}"));
    let path = "searcher.min_length";
    check_whole(&of("min_length: 51"), path, "is 51, longer than the greatest length 50", "the lowest rung");
    check_whole(
        &of("min_length: {batches: 5}"),
        path,
        "counts batches, but the searcher counts epochs",
        "bare",
    );
    check_whole(&of("min_length: 0"), path, "0 is out of range", "");
    let random = file("name: random, max_trials: 9, max_length: 5, min_length: 1");
    check_whole(&random, path, "unknown key", "with rungs");
    let too_many =
        "name: adaptive_asha, max_trials: 9, max_length: 50, divisor: 3, min_length: 9, bracket_rungs: [4]";
    check_whole(&file(too_many), "searcher.bracket_rungs[0]", "not possible", "at most 3");
    let more = parse(&of("min_length: 20, num_rungs: 4")).unwrap().warnings;
    assert_eq!(more.len(), 1, "{more:?}");
    assert!(more[0].message.contains("no more than 2 rungs from 20 to 50"), "{more:?}");
}
