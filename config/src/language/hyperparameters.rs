//! The kinds of hyperparameters.

use super::{Field, POSITIVE, Section, Shape, field, required};

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
];

const SEARCHED: &[Field] = &[field(
    "prior",
    Shape::Section(&PRIOR),
    "",
    "where good values are expected; searchers that draw at random begin there more often",
)];

/// The words for a confidence.
pub(crate) const CONFIDENCE: &[&str] = &["low", "medium", "high"];

pub(crate) static PRIOR: Section = Section {
    title: "`prior`",
    doc: "Where good values are expected.",
    groups: &[&[
        required(
            "center",
            Shape::Anything,
            "the value around which they are expected; of `log` a value too, not an exponent",
        ),
        field(
            "confidence",
            Shape::Either(&[Shape::Choice(CONFIDENCE), Shape::Fraction { most: 1.0 }]),
            "\"medium\"",
            "how near to it: `low`, `medium` and `high` are 0.25, 0.5 and 0.75; on the axis that is searched good values are \
             expected within 0.4 · (1 − confidence) of its length",
        ),
    ]],
    strangers: &[("value", "did you mean `center`?"), ("mean", "did you mean `center`?")],
};

const COUNT: Field =
    field("count", Shape::Int { min: 1, max: 1_000_000 }, "", "how many values the searcher `grid` takes");

const CONST: Section = Section {
    title: "a `const` hyperparameter",
    doc: "Always the same value. `learning_rate: 0.1` is a shorter way to write it.",
    groups: &[LEAF, &[field("val", Shape::Anything, "", "the value; must be given")]],
    strangers: &[
        ("value", "did you mean `val`?"),
        ("prior", "it belongs to hyperparameters that are searched"),
    ],
};

const INT: Section = Section {
    title: "an `int` hyperparameter",
    doc: "An integer from `minval` to `maxval`, both of which belong to it.",
    groups: &[
        LEAF,
        SEARCHED,
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
        SEARCHED,
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
        SEARCHED,
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
    groups: &[LEAF, SEARCHED, &[required("vals", Shape::List(&Shape::Anything), "the values")]],
    strangers: MISNAMED,
};

const ORDINAL: Section = Section {
    title: "an `ordinal` hyperparameter",
    doc: "One of some values, in order.",
    groups: &[
        LEAF,
        SEARCHED,
        &[required("vals", Shape::List(&Shape::Anything), "the values, from first to last")],
    ],
    strangers: MISNAMED,
};
