//! The [`Searcher`]: one method with its space and seed, as a value that can be stored and taken up again.

use crate::config::SearcherConfig;
use crate::error::Error;
use crate::method::{Action, Context, Event, RungView, TrialId};
use crate::methods::Running;
use crate::space::{Assignment, Space};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A search under way.
///
/// The first event is [`Event::Capacity`]; before it nothing is started. After `Shutdown` every event is ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Searcher {
    space: Space,
    seed: u32,
    over: bool,
    running: Running,
}

impl Searcher {
    /// A search before its first event. Checks configuration and space.
    pub fn new(config: SearcherConfig, space: Space, seed: u32) -> Result<Self, Error> {
        config.check()?;
        space.check()?;
        if !matches!(config.base(), SearcherConfig::Grid { .. }) {
            space.check_draws()?;
        }
        let running = Running::new(&config, &space)?;
        Ok(Self { space, seed, over: false, running })
    }

    /// Takes one event, and returns what is to be done, in order.
    pub fn handle(&mut self, event: &Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.handle_into(event, None, &mut actions);
        actions
    }

    /// The same when it happened before: trials that a model placed get the hyperparameters that were recorded for them.
    pub fn replay(&mut self, event: &Event, recorded: &BTreeMap<TrialId, Assignment>) -> Vec<Action> {
        let mut actions = Vec::new();
        self.handle_into(event, Some(recorded), &mut actions);
        actions
    }

    /// Takes one event, and appends what is to be done, in order.
    pub fn handle_into(
        &mut self,
        event: &Event,
        recorded: Option<&BTreeMap<TrialId, Assignment>>,
        actions: &mut Vec<Action>,
    ) {
        if self.over {
            return;
        }
        let context = Context { space: &self.space, seed: self.seed, recorded };
        let before = actions.len();
        self.running.method_mut().handle(event, context, actions);
        self.over = matches!(actions[before..].last(), Some(Action::Shutdown { .. }));
    }

    /// How far the search is: 0 at first, 1 at the end, never less than before but when hyperparameters turn out invalid.
    pub fn progress(&self) -> f64 {
        self.running.method().progress()
    }

    /// All rungs, brackets in order, shortest first.
    pub fn rungs(&self) -> Vec<RungView> {
        self.running.method().rungs()
    }

    /// The length at which a trial has trained in full.
    pub fn max_length(&self) -> u64 {
        self.running.method().max_length()
    }

    /// What a person should know of what the search chose by itself, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        self.running.method().notes()
    }

    /// Whether `Shutdown` was returned.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The seed of all random numbers of this search.
    pub fn seed(&self) -> u32 {
        self.seed
    }

    /// The hyperparameters drawn from.
    pub fn space(&self) -> &Space {
        &self.space
    }
}
