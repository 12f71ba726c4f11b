//! What is agreed with one running trial: how far it may train, and whether it is to end. No I/O.
//!
//! Invariants: demands only grow (save < leave < terminate < kill), but for a pause that its trial refused; a trial that
//! reported a validation at or past `train_until` is not told to train on before the engine has decided.
//!
//! **A pause that may be refused** is handed out if the trial has a checkpoint when it asks, or once its status says that it
//! is to end. Without one the question is held, the engine is told ([`Contract::refuse`]), and its next decision is the
//! answer. Until then nothing is demanded: as with any validation, the script waits for the engine.

use super::request::{Answer, Group};
use crate::length::convert;
use toprung_proto::v1::{Decision, DecisionKind, LengthConversion};

/// An order to end an attempt, the stronger the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Save a checkpoint and end.
    Preempt,
    /// SIGTERM now, SIGKILL after the grace period.
    Stop,
    /// SIGKILL now.
    Kill,
}

/// How an attempt is to end, from order and decision together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// Save and end within the preemption timeout.
    Save,
    /// End within the grace period.
    Leave,
    /// SIGTERM now.
    Terminate,
    /// SIGKILL now.
    Kill,
}

/// What the engine said at the start.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Train until this length, then ask.
    pub train_until: u64,
    /// The searcher's longest length.
    pub max_length: u64,
    /// What lengths count.
    pub time_metric: String,
    /// What a validation must contain.
    pub metric: String,
    /// How other units become lengths.
    pub conversion: LengthConversion,
    /// Whether an earlier attempt of the trial has saved a checkpoint.
    pub resumes: bool,
}

/// A decision to pause that the script has not been told yet, and may refuse.
#[derive(Debug)]
struct Pause {
    at_length: u64,
    reason: String,
    /// The engine is told that the trial cannot pause; its answer has not come.
    refused: bool,
}

/// The state of the agreement.
#[derive(Debug)]
pub struct Contract {
    terms: Terms,
    attached: bool,
    /// A validation at the longest length was reported: the script is about to end.
    complete: bool,
    /// Length of a validation whose decision has not come.
    undecided: Option<u64>,
    demand: Option<Demand>,
    reason: String,
    pause: Option<Pause>,
    /// Whether the trial has a checkpoint of its own.
    saved: bool,
    invalid: Option<String>,
    broken: Option<String>,
}

impl Contract {
    /// Of an attempt that begins.
    pub fn new(terms: Terms) -> Self {
        Self {
            saved: terms.resumes,
            terms,
            pause: None,
            attached: false,
            complete: false,
            undecided: None,
            demand: None,
            reason: String::new(),
            invalid: None,
            broken: None,
        }
    }

    /// The script said hello: it asks for itself whether to go on.
    pub fn attach(&mut self) {
        self.attached = true;
    }

    /// Whether the script said hello.
    pub fn is_attached(&self) -> bool {
        self.attached
    }

    /// Whether a script that is to pause or stop will end without a signal: it asks at `next`, or it is at its end and
    /// only has to save its results.
    pub fn ends_by_itself(&self) -> bool {
        self.attached || self.complete
    }

    /// How the attempt is to end, if it is.
    pub fn demand(&self) -> Option<Demand> {
        let open = self.open_pause().map(|_| Demand::Save);
        self.demand.max(open)
    }

    /// Why the attempt is to end; empty while it is not.
    pub fn reason(&self) -> &str {
        let open = self.open_pause().filter(|_| self.demand.is_none());
        open.map_or(&self.reason, |pause| &pause.reason)
    }

    /// A pause that was neither told nor refused.
    fn open_pause(&self) -> Option<&Pause> {
        self.pause.as_ref().filter(|pause| !pause.refused)
    }

    /// A checkpoint of this attempt is complete.
    pub fn save(&mut self) {
        self.saved = true;
    }

    /// The script asks, and cannot pause as it is to: at which validation that was decided. Once for each such decision;
    /// the engine is to be told then.
    pub fn refuse(&mut self) -> Option<u64> {
        let refuses = self.refuses();
        let pause = self.pause.as_mut().filter(|_| refuses)?;
        pause.refused = true;
        Some(pause.at_length)
    }

    /// Whether [`refuse`](Self::refuse) has something to say.
    pub fn refuses(&self) -> bool {
        self.open_pause().is_some() && self.demand.is_none() && !self.saved
    }

    /// The script hears that it is to save and end: what it does then cannot be taken back.
    pub fn hand_out(&mut self) {
        if let Some(pause) = self.pause.take_if(|pause| !pause.refused) {
            self.end(Demand::Save, &pause.reason);
        }
    }

    /// The script found its hyperparameters invalid.
    pub fn reject_hyperparameters(&mut self, reason: String) {
        self.invalid = Some(reason);
    }

    /// Why its hyperparameters are invalid, if it said so.
    pub fn invalid(&self) -> Option<&str> {
        self.invalid.as_deref()
    }

    /// How the script broke the contract, if it did and did not mend it.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// A length of the script in the time metric.
    pub fn length(&self, length: u64, unit: Option<&str>) -> Result<u64, String> {
        convert(length, unit, &self.terms.time_metric, self.terms.conversion)
    }

    /// A report that comes; to be called before it is sent, so that the decision cannot come earlier. Answers whether the
    /// engine decides on it.
    pub fn report<'names>(
        &mut self,
        group: Group,
        length: u64,
        names: impl Iterator<Item = &'names str> + Clone,
    ) -> Result<bool, String> {
        if group == Group::Training {
            return Ok(false);
        }
        if !names.clone().any(|name| name == self.terms.metric) {
            let reported = names.collect::<Vec<_>>().join(", ");
            let message =
                format!("a validation must contain '{}'; reported were: {reported}", self.terms.metric);
            self.broken = Some(message.clone());
            return Err(message);
        }
        self.broken = None;
        self.complete |= length >= self.terms.max_length;
        let decides = length >= self.terms.train_until;
        if decides {
            self.undecided = self.undecided.max(Some(length));
        }
        Ok(decides)
    }

    /// The engine decided on the validation at `at_length`. `may_refuse`: a script that asks, and has no checkpoint, may
    /// refuse to pause.
    pub fn decide(&mut self, at_length: u64, decision: &Decision, may_refuse: bool) {
        self.pause = None;
        match decision.kind() {
            DecisionKind::Train => {
                self.terms.train_until = self.terms.train_until.max(decision.length);
                let still_open = |length: &u64| *length > at_length && *length >= self.terms.train_until;
                self.undecided = self.undecided.filter(still_open);
            }
            DecisionKind::Pause if may_refuse && self.attached => {
                let reason = decision.reason.clone();
                self.pause = Some(Pause { at_length, reason, refused: false });
            }
            DecisionKind::Pause => self.end(Demand::Save, &decision.reason),
            DecisionKind::Stop => self.end(Demand::Leave, &decision.reason),
            DecisionKind::Unspecified => {}
        }
    }

    /// The engine (or the agent's end) orders the attempt to end.
    pub fn order(&mut self, order: Order, reason: &str) {
        let demand = match order {
            Order::Preempt => Demand::Save,
            Order::Stop => Demand::Terminate,
            Order::Kill => Demand::Kill,
        };
        self.end(demand, reason);
    }

    fn end(&mut self, demand: Demand, reason: &str) {
        if self.demand < Some(demand) {
            self.demand = Some(demand);
            reason.clone_into(&mut self.reason);
        }
    }

    /// The answer to "finished `length`, may I go on?"; `None`: not known yet, hold the answer.
    pub fn next(&self, length: u64) -> Option<Answer> {
        let reason = || self.reason.clone();
        match self.demand {
            Some(Demand::Save) => return Some(Answer::Pause { reason: reason() }),
            Some(_) => return Some(Answer::Stop { reason: reason() }),
            None => {}
        }
        if let Some(pause) = &self.pause {
            let told = self.saved && !pause.refused;
            return told.then(|| Answer::Pause { reason: pause.reason.clone() });
        }
        let done = length >= self.terms.max_length;
        // Past the searcher's longest length no decision can be to train on.
        if self.undecided.is_some() && !(done && self.terms.train_until >= self.terms.max_length) {
            return None;
        }
        if done {
            return Some(Answer::Finish);
        }
        let until = self.terms.train_until.max(length + 1).min(self.terms.max_length);
        Some(Answer::Train { until })
    }

    /// What a script that asks is told.
    pub fn status(&self) -> Answer {
        let demand = self.demand();
        let (preempt, stop) = (demand == Some(Demand::Save), demand > Some(Demand::Save));
        Answer::Status { preempt, stop, reason: self.reason().to_owned() }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
