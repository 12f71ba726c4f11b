//! The models that place trials, and their settings.

use super::{Section, Shape, field};

/// A model's section by its name.
pub(crate) static MODELS: &[(&str, &Section)] = &[("tpe", &TPE), ("gp", &GP), ("prior", &PRIOR)];

/// What may stand for a model.
pub(crate) const WORDS: &[&str] = &["tpe", "gp", "prior", "none"];

/// The names that a map may give.
pub(crate) const NAMED: &[&str] = &["tpe", "gp", "prior"];

const NAME_DOC: &str = "the model; needed unless the searcher's name says it";

pub(crate) static TPE: Section = Section {
    title: "the model `tpe`",
    doc: "A Parzen estimator: the density of good trials against that of the others.",
    groups: &[&[field("name", Shape::Choice(&["tpe"]), "", NAME_DOC)]],
    strangers: &[],
};

pub(crate) static GP: Section = Section {
    title: "the model `gp`",
    doc: "A Gaussian process.",
    groups: &[&[field("name", Shape::Choice(&["gp"]), "", NAME_DOC)]],
    strangers: &[],
};

pub(crate) static PRIOR: Section = Section {
    title: "the model `prior`",
    doc: "The priors of the hyperparameters, beside random draws and the surroundings of the best trial.",
    groups: &[&[field("name", Shape::Choice(&["prior"]), "", NAME_DOC)]],
    strangers: &[],
};
