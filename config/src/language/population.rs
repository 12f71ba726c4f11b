//! The fields of population based training.

use super::{Field, Section, Shape, field, required};

pub(crate) const POPULATION: &[Field] = &[
    required(
        "population_size",
        Shape::Int { min: 1, max: toprung_searchers::config::MAX_POPULATION as i64 },
        "how many trials there are in a round",
    ),
    required("num_rounds", Shape::Int { min: 1, max: 10_000 }, "how many rounds there are"),
    required(
        "length_per_round",
        Shape::Length { least: 1 },
        "how long each trial trains in a round: `{epochs: 2}`, or a bare number in the time metric",
    ),
    field("replace_function", Shape::Section(&REPLACE), "{}", "who is replaced after a round"),
    field("explore_function", Shape::Section(&EXPLORE), "{}", "how children differ from their parents"),
];

pub(crate) static REPLACE: Section = Section {
    title: "`replace_function`",
    doc: "Who is replaced after a round.",
    groups: &[&[field(
        "truncate_fraction",
        Shape::Fraction { most: 0.5 },
        "0.2",
        "the worst of this fraction of the population are replaced by children of the best",
    )]],
    strangers: &[],
};

pub(crate) static EXPLORE: Section = Section {
    title: "`explore_function`",
    doc: "How children differ from their parents.",
    groups: &[&[
        field(
            "resample_probability",
            Shape::Fraction { most: 1.0 },
            "0.25",
            "the probability with which a hyperparameter is drawn anew",
        ),
        field(
            "perturb_factor",
            Shape::Fraction { most: 1.0 },
            "0.2",
            "how far it moves up or down else, relative to its value",
        ),
    ]],
    strangers: &[],
};
