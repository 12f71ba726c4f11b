//! The searchers, and the kinds of hyperparameters.

use super::population::POPULATION;
use super::{Field, POSITIVE, Section, Shape, at_least, field, not_yet, removed, required, small};

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
];

/// The fields of all searchers, for a section whose `name` is a mistake.
pub(crate) static ANY_SEARCHER: Section = Section {
    title: "`searcher`",
    doc: "The fields of every searcher.",
    groups: &[COMMON, TRIALS, CONCURRENT, DIVISOR, STOP_ONCE, NUM_RUNGS, MAX_RUNGS, BRACKETS, POPULATION],
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
];

/// Searchers of the language that this version does not have.
pub(crate) const NOT_BUILT: &[&str] = &["tpe", "gp", "bohb", "cma_es", "auto", "custom"];

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

const NUM_RUNGS: &[Field] =
    &[required("num_rungs", Shape::Int { min: 1, max: 64 }, "how many rungs there are")];

const MAX_RUNGS: &[Field] =
    &[field("max_rungs", Shape::Int { min: 1, max: 64 }, "5", "how many rungs a bracket has at most")];

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
    groups: &[COMMON, TRIALS, CONCURRENT],
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
    groups: &[COMMON, TRIALS, CONCURRENT, DIVISOR, STOP_ONCE, NUM_RUNGS],
    strangers: ELSEWHERE,
};

const ADAPTIVE_ASHA: Section = Section {
    title: "the searcher `adaptive_asha`",
    doc: "Several `async_halving` searches at once that begin their cuts earlier or later. A good choice for most searches.",
    groups: &[COMMON, TRIALS, CONCURRENT, DIVISOR, STOP_ONCE, MAX_RUNGS, BRACKETS],
    strangers: ELSEWHERE,
};

const SYNC_HALVING: Section = Section {
    title: "the searcher `sync_halving`",
    doc: "Random trials that train from rung to rung together: when all have arrived, the best go on.",
    groups: &[COMMON, TRIALS, CONCURRENT, DIVISOR],
    strangers: ELSEWHERE,
};

const HYPERBAND: Section = Section {
    title: "the searcher `hyperband`",
    doc: "Several `sync_halving` searches that begin their cuts earlier or later, one filling the places that another leaves.",
    groups: &[COMMON, HYPERBAND_TRIALS, CONCURRENT, DIVISOR],
    strangers: ELSEWHERE,
};

const PASHA: Section = Section {
    title: "the searcher `pasha`",
    doc: "`async_halving` that trains its best trials longer only while that changes their ranking.",
    groups: &[COMMON, TRIALS, CONCURRENT, DIVISOR, MAX_RUNGS],
    strangers: ELSEWHERE,
};

const PBT: Section = Section {
    title: "the searcher `pbt`",
    doc: "Population based training: after each round the worst trials are replaced by changed copies of the best. It takes `max_length` from `num_rounds` times `length_per_round`.",
    groups: &[COMMON, POPULATION],
    strangers: ELSEWHERE,
};

/// The kinds of a hyperparameter by the word after `type`.
pub(crate) static LEAVES: &[(&str, &Section)] = &[
    ("const", &CONST),
    ("int", &INT),
    ("double", &DOUBLE),
    ("log", &LOG),
    ("categorical", &CATEGORICAL),
    ("ordinal", &ORDINAL),
];

const LEAF: &[Field] = &[
    required("type", Shape::Choice(&["const", "int", "double", "log", "categorical", "ordinal"]), "the kind"),
    field(
        "condition",
        Shape::MapOf(&Shape::Anything),
        "",
        "the hyperparameter exists only if each named neighbour has this value, or one of a list of values",
    ),
    not_yet("prior", "where good values are expected", "narrow the range instead"),
];

const COUNT: Field =
    field("count", Shape::Int { min: 1, max: 1_000_000 }, "", "how many values the searcher `grid` takes");

const CONST: Section = Section {
    title: "a `const` hyperparameter",
    doc: "Always the same value. `learning_rate: 0.1` is a shorter way to write it.",
    groups: &[LEAF, &[field("val", Shape::Anything, "", "the value; must be given")]],
    strangers: &[("value", "did you mean `val`?")],
};

const INT: Section = Section {
    title: "an `int` hyperparameter",
    doc: "An integer from `minval` to `maxval`, both of which belong to it.",
    groups: &[
        LEAF,
        &[
            required("minval", Shape::Int { min: i64::MIN, max: i64::MAX }, "the smallest value"),
            required("maxval", Shape::Int { min: i64::MIN, max: i64::MAX }, "the largest value"),
            field(
                "log",
                Shape::Flag,
                "false",
                "whether small values are drawn as often as large ones, by order of magnitude",
            ),
            COUNT,
        ],
    ],
    strangers: MISNAMED,
};

const MISNAMED: &[(&str, &str)] = &[
    ("min", "did you mean `minval`?"),
    ("max", "did you mean `maxval`?"),
    ("values", "did you mean `vals`?"),
    ("quantize", "it belongs to `double` hyperparameters"),
    ("base", "it belongs to `log` hyperparameters"),
];

const DOUBLE: Section = Section {
    title: "a `double` hyperparameter",
    doc: "A number from `minval` to `maxval`.",
    groups: &[
        LEAF,
        &[
            required("minval", Shape::Number { above: None }, "the smallest value"),
            required("maxval", Shape::Number { above: None }, "the largest value"),
            field(
                "log",
                Shape::Flag,
                "false",
                "whether small values are drawn as often as large ones, by order of magnitude",
            ),
            field("quantize", POSITIVE, "", "values are rounded to multiples of this"),
            COUNT,
        ],
    ],
    strangers: MISNAMED,
};

const LOG: Section = Section {
    title: "a `log` hyperparameter",
    doc: "`base` to a power from `minval` to `maxval`.",
    groups: &[
        LEAF,
        &[
            required("minval", Shape::Number { above: None }, "the smallest exponent"),
            required("maxval", Shape::Number { above: None }, "the largest exponent"),
            field("base", POSITIVE, "10", "the base; not 1"),
            COUNT,
        ],
    ],
    strangers: MISNAMED,
};

const CATEGORICAL: Section = Section {
    title: "a `categorical` hyperparameter",
    doc: "One of some values, without order.",
    groups: &[LEAF, &[required("vals", Shape::List(&Shape::Anything), "the values")]],
    strangers: MISNAMED,
};

const ORDINAL: Section = Section {
    title: "an `ordinal` hyperparameter",
    doc: "One of some values, in order.",
    groups: &[LEAF, &[required("vals", Shape::List(&Shape::Anything), "the values, from first to last")]],
    strangers: MISNAMED,
};
