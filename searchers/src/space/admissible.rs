//! Drawing what satisfies the constraints.
//!
//! What is drawn is drawn again, with streams of its own for each attempt, until it satisfies them; so an admissible
//! assignment is as likely among the admissible as it was among all. The first attempt is the only one where there are no
//! constraints. A space of which too little is admissible for that is refused before a search begins
//! ([`Space::check_draws`]).

use super::{Assignment, Space};
use crate::error::Error;
use crate::method::TrialId;

/// So many attempts a draw has. Where one draw in a thousand is admissible, one trial in twenty thousand needs more.
const MAX_ATTEMPTS: u32 = 10_000;
/// So many draws say how much of a space is admissible.
pub const PROBES: u32 = 1_000;
/// A child's hyperparameters are made anew so often before they are its parent's.
const MAX_CHILDREN: u32 = 100;

impl Space {
    /// Whether an assignment satisfies every constraint.
    pub fn allows(&self, assignment: &Assignment) -> bool {
        self.constraints.iter().all(|constraint| constraint.holds(assignment))
    }

    /// The hyperparameters of a trial. The same for the same seed and trial, whatever was drawn before.
    pub fn draw(&self, seed: u32, trial: TrialId) -> Assignment {
        let first = self.attempt(seed, trial, 0);
        if self.allows(&first) {
            return first;
        }
        let mut attempts = (1..MAX_ATTEMPTS).map(|attempt| self.attempt(seed, trial, attempt));
        // What a search was begun with is admissible; the first attempt stands in where nothing is.
        attempts.find(|drawn| self.allows(drawn)).or_else(|| self.admissible_probe()).unwrap_or(first)
    }

    /// How many of [`PROBES`] random draws satisfy the constraints.
    pub fn admissible_draws(&self) -> u32 {
        if self.constraints.is_empty() {
            return PROBES;
        }
        self.probes().map(|probe| u32::from(self.allows(&probe))).sum()
    }

    /// Checks that a random draw can satisfy the constraints.
    ///
    /// # Errors
    /// None of [`PROBES`] draws does.
    pub fn check_draws(&self) -> Result<(), Error> {
        if self.constraints.is_empty() || self.admissible_probe().is_some() {
            return Ok(());
        }
        Err(Error::NothingAdmissible { tried: u64::from(PROBES), what: "random draws" })
    }

    fn admissible_probe(&self) -> Option<Assignment> {
        self.probes().find(|probe| self.allows(probe))
    }

    /// Draws of no trial, the same in every search.
    fn probes(&self) -> impl Iterator<Item = Assignment> + '_ {
        (0..PROBES).map(|attempt| self.attempt(0, TrialId(0), attempt))
    }

    /// The first of some assignments that satisfies the constraints; `parent` if none of them does.
    pub(super) fn first_admissible(
        &self,
        parent: &Assignment,
        child: impl Fn(u32) -> Assignment,
    ) -> Assignment {
        let mut children = (0..MAX_CHILDREN).map(child);
        children.find(|child| self.allows(child)).unwrap_or_else(|| parent.clone())
    }
}
