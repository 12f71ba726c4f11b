//! The models that place trials, and their settings.

use super::{Field, Section, Shape, field};

/// A model's section by its name.
pub(crate) static MODELS: &[(&str, &Section)] =
    &[("tpe", &TPE), ("gp", &GP), ("evolution", &EVOLUTION), ("portfolio", &PORTFOLIO), ("prior", &PRIOR)];

/// What may stand for a model.
pub(crate) const WORDS: &[&str] = &["tpe", "gp", "evolution", "portfolio", "prior", "none"];

/// The names that a map may give.
pub(crate) const NAMED: &[&str] = &["tpe", "gp", "evolution", "portfolio", "prior"];

const NAME_DOC: &str = "the model; needed unless the searcher's name says it";

const RANDOM_FRACTION: Field =
    field("random_fraction", Shape::Fraction { most: 1.0 }, "0.2", RANDOM_FRACTION_DOC);

const RANDOM_FRACTION_DOC: &str = "the part of the trials that stay as drawn at random, so that an error of the model cannot catch the search";

/// Fields of the model `tpe`, which the searchers `tpe` and `bohb` have too.
pub(crate) const TPE_SETTINGS: &[Field] = &[
    field(
        "startup_trials",
        Shape::Int { min: 1, max: 1_000_000 },
        "10",
        "so many trials must have reported at a length before the model learns from it; until then trials are random",
    ),
    field(
        "candidates",
        Shape::Int { min: 1, max: 1000 },
        "32",
        "how many points are drawn and compared for a trial; more of them trust the model more",
    ),
    field("gamma", Shape::Share { most: 0.5 }, "0.15", "which part of the trials is taken for good"),
    RANDOM_FRACTION,
];

/// Fields of the model `gp`, which the searcher `gp` has too.
pub(crate) const GP_SETTINGS: &[Field] = &[
    field(
        "startup_trials",
        Shape::Int { min: 0, max: 1000 },
        "0",
        "so many trials must have reported before the model is asked; 0: two for each hyperparameter, and at least 8",
    ),
    field(
        "max_points",
        Shape::Int { min: 16, max: 2000 },
        "256",
        "how many reports the model holds; a trial costs time by its square",
    ),
    RANDOM_FRACTION,
];

pub(crate) static TPE: Section = Section {
    title: "the model `tpe`",
    doc: "A Parzen estimator: the density of good trials against that of the others.",
    groups: &[&[field("name", Shape::Choice(&["tpe"]), "", NAME_DOC)], TPE_SETTINGS],
    strangers: &[("max_points", "it belongs to the model `gp`")],
};

pub(crate) static GP: Section = Section {
    title: "the model `gp`",
    doc: "A Gaussian process.",
    groups: &[&[field("name", Shape::Choice(&["gp"]), "", NAME_DOC)], GP_SETTINGS],
    strangers: &[("candidates", "it belongs to the model `tpe`"), ("gamma", "it belongs to the model `tpe`")],
};

pub(crate) static EVOLUTION: Section = Section {
    title: "the model `evolution`",
    doc: "Children of good trials: some hyperparameters of one, the others drawn at random.",
    groups: &[&[
        field("name", Shape::Choice(&["evolution"]), "", NAME_DOC),
        field("random_fraction", Shape::Fraction { most: 1.0 }, "0.5", RANDOM_FRACTION_DOC),
    ]],
    strangers: &[],
};

pub(crate) static PORTFOLIO: Section = Section {
    title: "the model `portfolio`",
    doc: "Each trial by one of `tpe`, `evolution` and `gp`, by lot.",
    groups: &[&[
        field("name", Shape::Choice(&["portfolio"]), "", NAME_DOC),
        field("random_fraction", Shape::Fraction { most: 1.0 }, "0.3", RANDOM_FRACTION_DOC),
    ]],
    strangers: &[],
};

pub(crate) static PRIOR: Section = Section {
    title: "the model `prior`",
    doc: "The priors of the hyperparameters, beside random draws and the surroundings of the best trial.",
    groups: &[&[field("name", Shape::Choice(&["prior"]), "", NAME_DOC)]],
    strangers: &[],
};
