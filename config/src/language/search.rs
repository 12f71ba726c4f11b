//! The searchers.

use super::models::{GP, GP_SETTINGS, TPE, TPE_SETTINGS};
use super::population::POPULATION;
use super::{Field, Section, Shape, at_least, field, removed, required, small};

/// A searcher's section by its name. Other names are in [`NOT_BUILT`].
pub(crate) static SEARCHERS: &[(&str, &Section)] = &[
    ("single", &SINGLE),
    ("random", &RANDOM),
    ("grid", &GRID),
    ("async_halving", &ASYNC_HALVING),
    ("asha", &ASYNC_HALVING),
    ("adaptive_asha", &ADAPTIVE_ASHA),
    ("adaptive_simple", &ADAPTIVE_ASHA),
    ("sync_halving", &SYNC_HALVING),
    ("hyperband", &HYPERBAND),
    ("pasha", &PASHA),
    ("pbt", &PBT),
    ("tpe", &BY_TPE),
    ("gp", &BY_GP),
    ("bohb", &BOHB),
    ("auto", &AUTO),
    ("custom", &CUSTOM),
];

/// The fields of all searchers, for a section whose `name` is a mistake.
pub(crate) static ANY_SEARCHER: Section = Section {
    title: "`searcher`",
    doc: "The fields of every searcher.",
    groups: &[
        COMMON, TRIALS, CONCURRENT, DIVISOR, MIN_LENGTH, STOP_ONCE, NUM_RUNGS, MAX_RUNGS, BRACKETS, MODEL,
        POPULATION,
    ],
    strangers: ELSEWHERE,
};

/// The searchers that may be suggested.
pub(crate) const BUILT: &[&str] = &[
    "single",
    "random",
    "grid",
    "async_halving",
    "adaptive_asha",
    "sync_halving",
    "hyperband",
    "pasha",
    "pbt",
    "tpe",
    "gp",
    "bohb",
    "auto",
    "custom",
];

/// Searchers of the language that this version does not have.
pub(crate) const NOT_BUILT: &[&str] = &["cma_es"];

/// Searchers that left the language, and what to use.
pub(crate) const OLD: &[(&str, &str)] = &[
    (
        "adaptive",
        "use `adaptive_asha`: give `max_trials` instead of `budget`, and `max_length` instead of `target_trial_steps`",
    ),
    ("async_adaptive", "use `adaptive_asha`"),
    ("sync_adaptive", "use `adaptive_asha`"),
];

const COMMON: &[Field] = &[
    required("name", Shape::Named("searcher_name"), "the name of the method"),
    required("metric", Shape::Text, "the validation metric that is optimised, as the script reports it"),
    field("smaller_is_better", Shape::Flag, "true", "whether the metric is minimised"),
    field(
        "source_trial_id",
        Shape::Text,
        "",
        "every trial starts from the newest checkpoint of this one, of an experiment that has ended: `3/7` is trial 7 of experiment 3; lengths count from 0",
    ),
    field(
        "source_checkpoint_uuid",
        Shape::Text,
        "",
        "every trial starts from this checkpoint, of an experiment that has ended; lengths count from 0",
    ),
    field(
        "max_length",
        Shape::Length { least: 1 },
        "",
        "how long a trial trains at most: `{epochs: 32}`, or a bare number in the time metric; needed unless `max_time` is given",
    ),
    field(
        "time_metric",
        Shape::Text,
        "",
        "the counter that lengths are given in; `batches` if nothing says otherwise",
    ),
    field(
        "max_time",
        at_least(1),
        "",
        "how long a trial trains at most, in the time metric; the other way to write `max_length`",
    ),
    field(
        "median_stopping",
        Shape::Section(&MEDIAN_STOPPING),
        "",
        "stops trials that are worse than the median of the others, whatever the searcher; `{}` turns it on",
    ),
    removed("max_steps", "it is ignored: `max_length` counts"),
    removed("target_trial_steps", "it is ignored: `max_length` counts"),
    removed("step_budget", "it is ignored: `max_trials` counts"),
    removed("budget", "it is ignored: `max_trials` counts"),
    removed("train_stragglers", "it is ignored"),
];

const TRIALS: &[Field] = &[required(
    "max_trials",
    Shape::Int { min: 1, max: toprung_searchers::config::MAX_TRIALS as i64 },
    "how many trials are created",
)];

const HYPERBAND_TRIALS: &[Field] = &[field(
    "max_trials",
    Shape::Int { min: 1, max: toprung_searchers::config::MAX_TRIALS as i64 },
    "",
    "how many trials are created; one round of the paper's brackets if absent",
)];

const CONCURRENT: &[Field] = &[field(
    "max_concurrent_trials",
    small(0),
    "16",
    "how many trials run at once at most; 0: as many as there are slots",
)];

const DIVISOR: &[Field] = &[field(
    "divisor",
    Shape::Number { above: Some(1.0) },
    "4",
    "one in so many trials goes on at each rung",
)];

const STOP_ONCE: &[Field] = &[field(
    "stop_once",
    Shape::Flag,
    "false",
    "whether a trial is stopped for good when it is not among the best of its rung, instead of pausing there and going on when it is",
)];

const MIN_LENGTH: &[Field] = &[field(
    "min_length",
    Shape::Length { least: 1 },
    "",
    "the length of the lowest rung, in the time metric: each rung above it is `divisor` times as long, and the last is the \
     greatest length; without it rungs are divided down from the greatest length",
)];

const MODEL: &[Field] = &[field(
    "model",
    Shape::Named("model"),
    "",
    "what places new trials: a model of what the others have reported, or `none`: they are drawn at random; `prior` if a hyperparameter has one and nothing else is said; a map such as `{name: tpe}` gives it settings",
)];

const NUM_RUNGS: &[Field] = &[field(
    "num_rungs",
    Shape::Int { min: 1, max: 64 },
    "",
    "how many rungs there are; with `min_length` it may be absent, and of more rungs than this the highest are kept",
)];

const MAX_RUNGS: &[Field] = &[field(
    "max_rungs",
    Shape::Int { min: 1, max: 64 },
    "5",
    "how many rungs a bracket has at most: the highest are kept; all if `min_length` is given and this is not",
)];

const BRACKETS: &[Field] = &[
    field(
        "mode",
        Shape::Choice(&["standard", "aggressive", "conservative"]),
        "\"standard\"",
        "how early trials are cut",
    ),
    field(
        "bracket_rungs",
        Shape::List(&Shape::Int { min: 1, max: 64 }),
        "[]",
        "how many rungs each bracket has; chosen by `mode` if empty",
    ),
];

pub(crate) static MEDIAN_STOPPING: Section = Section {
    title: "`median_stopping`",
    doc: "When a trial is stopped for being worse than the median of the others.",
    groups: &[&[
        field(
            "min_length",
            Shape::Length { least: 0 },
            "0",
            "nothing is stopped before this length; in the time metric",
        ),
        field(
            "min_trials",
            Shape::Int { min: 1, max: toprung_searchers::config::MAX_TRIALS as i64 },
            "5",
            "nothing is stopped at a length before so many other trials have validated there",
        ),
    ]],
    strangers: &[],
};

const ELSEWHERE: &[(&str, &str)] = &[
    (
        "max_trials",
        "it belongs to the searchers with trials of their own number, such as `random` and `adaptive_asha`",
    ),
    ("max_concurrent_trials", "it belongs to all searchers but `single` and `pbt`"),
    ("divisor", "it belongs to the searchers with rungs, such as `adaptive_asha`"),
    (
        "min_length",
        "it belongs to the searchers with rungs, such as `adaptive_asha`; `median_stopping` has one of its own",
    ),
    (
        "model",
        "it belongs to the searchers that draw their trials at random, such as `random` and `adaptive_asha`",
    ),
    ("stop_once", "it belongs to the searchers `async_halving` and `adaptive_asha`"),
    ("num_rungs", "it belongs to the searcher `async_halving`; `adaptive_asha` has `max_rungs`"),
    ("max_rungs", "it belongs to the searchers `adaptive_asha` and `pasha`; `async_halving` has `num_rungs`"),
    ("mode", "it belongs to the searcher `adaptive_asha`"),
    ("bracket_rungs", "it belongs to the searcher `adaptive_asha`"),
    ("population_size", "it belongs to the searcher `pbt`"),
    ("num_rounds", "it belongs to the searcher `pbt`"),
    ("length_per_round", "it belongs to the searcher `pbt`"),
    ("replace_function", "it belongs to the searcher `pbt`"),
    ("explore_function", "it belongs to the searcher `pbt`"),
    ("constraints", "it belongs to the top level of the file"),
    (
        "startup_trials",
        "it belongs to the searchers `tpe`, `bohb` and `gp`; with others to the model: `model: {name: tpe, startup_trials: …}`",
    ),
    (
        "random_fraction",
        "it belongs to the searchers `tpe`, `bohb` and `gp`; with others to the model: `model: {name: tpe, random_fraction: …}`",
    ),
    (
        "candidates",
        "it belongs to the searchers `tpe` and `bohb`; with others to `model: {name: tpe, candidates: …}`",
    ),
    ("gamma", "it belongs to the searchers `tpe` and `bohb`; with others to `model: {name: tpe, gamma: …}`"),
    ("max_points", "it belongs to the searcher `gp`; with others to `model: {name: gp, max_points: …}`"),
];

const SINGLE: Section = Section {
    title: "the searcher `single`",
    doc: "One trial. Hyperparameters that are not constant are drawn once.",
    groups: &[COMMON],
    strangers: ELSEWHERE,
};

const RANDOM: Section = Section {
    title: "the searcher `random`",
    doc: "Trials with random hyperparameters, each trained to the end.",
    groups: &[COMMON, TRIALS, CONCURRENT, MODEL],
    strangers: ELSEWHERE,
};

const AUTO: Section = Section {
    title: "the searcher `auto`",
    doc: "The method is chosen by the space, the budget and the slots; `toprung show` says which, and why.",
    groups: &[COMMON, TRIALS, CONCURRENT],
    strangers: ELSEWHERE,
};

const CUSTOM: Section = Section {
    title: "the searcher `custom`",
    doc: "A program of yours decides which trials exist and how long each trains, over the search service: see [custom searchers](custom-searcher.md).",
    groups: &[COMMON, CONCURRENT],
    strangers: ELSEWHERE,
};

const GRID: Section = Section {
    title: "the searcher `grid`",
    doc: "One trial for each combination of hyperparameters.",
    groups: &[COMMON, CONCURRENT],
    strangers: ELSEWHERE,
};

const ASYNC_HALVING: Section = Section {
    title: "the searcher `async_halving`",
    doc: "Random trials that train from rung to rung, of which the best go on. `asha` is another name for it.",
    groups: &[COMMON, TRIALS, CONCURRENT, DIVISOR, MIN_LENGTH, STOP_ONCE, NUM_RUNGS, MODEL],
    strangers: ELSEWHERE,
};

const ADAPTIVE_ASHA: Section = Section {
    title: "the searcher `adaptive_asha`",
    doc: "Several `async_halving` searches at once that begin their cuts earlier or later.",
    groups: &[COMMON, TRIALS, CONCURRENT, DIVISOR, MIN_LENGTH, STOP_ONCE, MAX_RUNGS, BRACKETS, MODEL],
    strangers: ELSEWHERE,
};

const SYNC_HALVING: Section = Section {
    title: "the searcher `sync_halving`",
    doc: "Random trials that train from rung to rung together: when all have arrived, the best go on.",
    groups: &[COMMON, TRIALS, CONCURRENT, DIVISOR, MIN_LENGTH, MODEL],
    strangers: ELSEWHERE,
};

const HYPERBAND: Section = Section {
    title: "the searcher `hyperband`",
    doc: "Several `sync_halving` searches that begin their cuts earlier or later, one filling the places that another leaves.",
    groups: &[COMMON, HYPERBAND_TRIALS, CONCURRENT, DIVISOR, MIN_LENGTH, MODEL],
    strangers: ELSEWHERE,
};

const PASHA: Section = Section {
    title: "the searcher `pasha`",
    doc: "`async_halving` that trains its best trials longer only while that changes their ranking.",
    groups: &[COMMON, TRIALS, CONCURRENT, DIVISOR, MIN_LENGTH, MAX_RUNGS, MODEL],
    strangers: ELSEWHERE,
};

const PBT: Section = Section {
    title: "the searcher `pbt`",
    doc: "Population based training: after each round the worst trials are replaced by changed copies of the best. It takes `max_length` from `num_rounds` times `length_per_round`.",
    groups: &[COMMON, POPULATION],
    strangers: ELSEWHERE,
};

const BY_TPE: Section = Section {
    title: "the searcher `tpe`",
    doc: "Trials that are each trained to the end, placed where good trials are dense and others are not. The same as `random` with `model: tpe`.",
    groups: &[COMMON, TRIALS, CONCURRENT, TPE_SETTINGS, OF_TPE],
    strangers: ELSEWHERE,
};

const BY_GP: Section = Section {
    title: "the searcher `gp`",
    doc: "Trials that are each trained to the end, placed where a Gaussian process expects the most improvement. The same as `random` with `model: gp`.",
    groups: &[COMMON, TRIALS, CONCURRENT, GP_SETTINGS, OF_GP],
    strangers: ELSEWHERE,
};

const BOHB: Section = Section {
    title: "the searcher `bohb`",
    doc: "`hyperband` with trials placed by `tpe`.",
    groups: &[COMMON, HYPERBAND_TRIALS, CONCURRENT, DIVISOR, MIN_LENGTH, TPE_SETTINGS, OF_TPE],
    strangers: ELSEWHERE,
};

const OF_TPE: &[Field] = &[field("model", Shape::Section(&TPE), "{}", OF_MODEL)];

const OF_GP: &[Field] = &[field("model", Shape::Section(&GP), "{}", OF_MODEL)];

const OF_MODEL: &str = "the settings of the model, if they do not stand beside it";
