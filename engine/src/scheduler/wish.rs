//! Where an attempt is wanted: what a request asks of the agent it gets.

use std::collections::BTreeSet;

/// Where an attempt is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The only agent that will do: its checkpoint lies there. `None`: any.
    pub only_on: Option<String>,
    /// Not on these, while another agent could hold it.
    pub without: BTreeSet<String>,
    /// Rather not on these.
    pub avoid: BTreeSet<String>,
}

impl From<Option<String>> for Wish {
    fn from(only_on: Option<String>) -> Self {
        Self { only_on, ..Self::default() }
    }
}
