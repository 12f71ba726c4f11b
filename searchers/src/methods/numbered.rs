//! Several brackets at once, whose trials are numbered across them in the order of creation.

use super::async_halving::action;
use super::halving::Step;
use crate::method::{Action, Context, TrialId};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Bracket<S> {
    search: S,
    /// The trial of each member.
    trials: Vec<TrialId>,
}

/// The brackets; `S` is what searches in one of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Numbered<S> {
    brackets: Vec<Bracket<S>>,
    /// The bracket and member of each trial.
    members: Vec<(u8, u32)>,
}

impl<S> Numbered<S> {
    /// At most 64.
    pub(super) fn new(searches: impl Iterator<Item = S>) -> Self {
        let brackets = searches.map(|search| Bracket { search, trials: Vec::new() }).collect();
        Self { brackets, members: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.brackets.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &S> {
        self.brackets.iter().map(|bracket| &bracket.search)
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut S> {
        self.brackets.iter_mut().map(|bracket| &mut bracket.search)
    }

    /// One bracket; its number must be less than [`Self::len`].
    pub(super) fn one_mut(&mut self, bracket: usize) -> &mut S {
        &mut self.brackets[bracket].search
    }

    /// The bracket and member of a trial.
    pub(super) fn member(&self, trial: TrialId) -> Option<(usize, u32)> {
        let (bracket, member) = *self.members.get((trial.0 as usize).checked_sub(1)?)?;
        Some((usize::from(bracket), member))
    }

    /// Turns a bracket's steps into actions, and numbers its new members.
    pub(super) fn translate(
        &mut self,
        bracket: usize,
        steps: Vec<Step>,
        context: Context<'_>,
        actions: &mut Vec<Action>,
    ) {
        for step in steps {
            if let Step::Create { member, .. } = step {
                self.members.push((bracket as u8, member));
                self.brackets[bracket].trials.push(TrialId(self.members.len() as u32));
            }
            let trials = &self.brackets[bracket].trials;
            actions.push(action(step, bracket as u32, |member| trials[member as usize - 1], context));
        }
    }
}
