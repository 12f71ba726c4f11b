//! What can be wrong with a search before it starts. Once started, a search has no errors.

/// A search that cannot be run as configured.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A setting of the searcher is out of its range: change it to an allowed value.
    #[error("searcher.{setting} is {found}, allowed is {allowed}")]
    Setting {
        /// The field's name.
        setting: &'static str,
        /// What it was.
        found: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// A domain is empty or its numbers make no sense: correct them.
    #[error("hyperparameter {path}: {problem}")]
    Domain {
        /// The hyperparameter, groups joined by dots.
        path: String,
        /// What is wrong, and what is allowed.
        problem: &'static str,
    },
    /// A condition names something that is no sibling: name another hyperparameter of the same group.
    #[error(
        "hyperparameter {path}: its condition names {sibling}, which is not a plain hyperparameter of the same group"
    )]
    ConditionUnknown {
        /// The hyperparameter that has the condition.
        path: String,
        /// What the condition names.
        sibling: String,
    },
    /// Conditions depend on each other in a circle: remove one of them.
    #[error("hyperparameter {path}: its condition depends on itself")]
    ConditionCycle {
        /// A hyperparameter in the circle.
        path: String,
    },
    /// A grid needs to know how many points an axis has: give `count`.
    #[error("hyperparameter {path}: a grid needs a count on this axis")]
    GridCount {
        /// The axis.
        path: String,
    },
    /// The grid has more points than a search may have trials: lower the counts.
    #[error("the grid has more than {allowed} points; lower the counts")]
    GridTooLarge {
        /// The most points a grid may have.
        allowed: u64,
    },
    /// The conditions of a grid have too many combinations of values to enumerate: lower the counts they depend on.
    #[error(
        "group {path}: conditions depend on more than {allowed} combinations of values; lower their counts"
    )]
    GridConditions {
        /// The group, empty for the outermost.
        path: String,
        /// The most combinations.
        allowed: u64,
    },
    /// A constraint names or compares what it cannot: correct it.
    #[error("constraint `{constraint}`: {problem}")]
    Constraint {
        /// Its text.
        constraint: String,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// The constraints leave nothing to search: loosen them, or narrow the ranges to where they hold.
    #[error(
        "none of {tried} {what} satisfies the constraints; loosen them, or narrow the ranges to where they hold"
    )]
    NothingAdmissible {
        /// How many were looked at.
        tried: u64,
        /// Random draws, or points of the grid.
        what: &'static str,
    },
    /// The grid has more points, before the constraints leave any out, than are looked at: lower the counts.
    #[error("the grid has more than {allowed} points before its constraints; lower the counts")]
    GridTooLargeToConstrain {
        /// The most points that are looked at.
        allowed: u64,
    },
}
