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
mod tests {
    use super::*;

    fn contract() -> Contract {
        Contract::new(Terms {
            train_until: 3,
            max_length: 9,
            time_metric: "epochs".to_owned(),
            metric: "error".to_owned(),
            conversion: LengthConversion { records_per_epoch: 0, records_per_batch: 0 },
            resumes: false,
        })
    }

    fn validate(contract: &mut Contract, length: u64) {
        contract.report(Group::Validation, length, ["error"].into_iter()).unwrap();
    }

    fn decision(kind: DecisionKind, length: u64) -> Decision {
        Decision { kind: kind.into(), trial: 1, length, reason: "rank 5 of 9".to_owned() }
    }

    #[test]
    fn trains_until_the_rung_then_waits_for_the_decision() {
        let mut contract = contract();
        assert_eq!(contract.next(0), Some(Answer::Train { until: 3 }));
        validate(&mut contract, 2);
        assert_eq!(contract.next(2), Some(Answer::Train { until: 3 }));
        validate(&mut contract, 3);
        assert_eq!(contract.next(3), None);
        contract.decide(3, &decision(DecisionKind::Train, 9), false);
        assert_eq!(contract.next(3), Some(Answer::Train { until: 9 }));
    }

    #[test]
    fn a_trial_may_go_on_while_it_has_not_validated() {
        let contract = contract();
        assert_eq!(contract.next(3), Some(Answer::Train { until: 4 }));
        assert_eq!(contract.next(9), Some(Answer::Finish));
        assert_eq!(contract.next(u64::MAX), Some(Answer::Finish));
    }

    #[test]
    fn the_last_validation_needs_no_decision() {
        let mut contract = contract();
        contract.decide(3, &decision(DecisionKind::Train, 9), false);
        validate(&mut contract, 9);
        assert_eq!(contract.next(9), Some(Answer::Finish));
        assert_eq!(contract.next(8), None);
        assert!(contract.ends_by_itself() && !contract.is_attached());
    }

    #[test]
    fn decisions_to_pause_and_stop_are_told_with_their_reason() {
        let mut contract = contract();
        validate(&mut contract, 3);
        contract.decide(3, &decision(DecisionKind::Pause, 0), false);
        assert_eq!(contract.next(3), Some(Answer::Pause { reason: "rank 5 of 9".to_owned() }));
        contract.decide(3, &decision(DecisionKind::Stop, 0), false);
        assert_eq!(contract.next(3), Some(Answer::Stop { reason: "rank 5 of 9".to_owned() }));
        contract.order(Order::Preempt, "later");
        assert_eq!(contract.reason(), "rank 5 of 9", "a weaker demand changes nothing");
        contract.order(Order::Kill, "now");
        assert_eq!((contract.demand(), contract.reason()), (Some(Demand::Kill), "now"));
    }

    #[test]
    fn preemption_is_seen_in_the_status() {
        let mut contract = contract();
        contract.order(Order::Preempt, "node drained");
        let status = Answer::Status { preempt: true, stop: false, reason: "node drained".to_owned() };
        assert_eq!(contract.status(), status);
        contract.order(Order::Stop, "killed");
        assert!(matches!(contract.status(), Answer::Status { preempt: false, stop: true, .. }));
    }

    #[test]
    fn an_answer_to_an_older_validation_leaves_the_newer_open() {
        let mut contract = contract();
        validate(&mut contract, 3);
        validate(&mut contract, 5);
        contract.decide(3, &decision(DecisionKind::Train, 4), false);
        assert_eq!(contract.next(5), None);
        contract.decide(5, &decision(DecisionKind::Train, 9), false);
        assert_eq!(contract.next(5), Some(Answer::Train { until: 9 }));
    }

    #[test]
    fn a_validation_without_the_metric_breaks_the_contract_until_mended() {
        let mut contract = contract();
        let error = contract.report(Group::Validation, 3, ["loss", "acc"].into_iter()).unwrap_err();
        assert_eq!(error, "a validation must contain 'error'; reported were: loss, acc");
        assert_eq!(contract.broken(), Some(error.as_str()));
        assert_eq!(contract.next(3), Some(Answer::Train { until: 4 }));
        validate(&mut contract, 3);
        assert_eq!(contract.broken(), None);
    }

    /// One that was told to pause at length 3, and may refuse.
    fn pausing() -> Contract {
        let mut contract = contract();
        contract.attach();
        validate(&mut contract, 3);
        contract.decide(3, &decision(DecisionKind::Pause, 0), true);
        contract
    }

    fn pause() -> Option<Answer> {
        Some(Answer::Pause { reason: "rank 5 of 9".to_owned() })
    }

    #[test]
    fn a_trial_without_a_checkpoint_refuses_once_and_is_told_what_the_engine_says_then() {
        let mut contract = pausing();
        assert_eq!(contract.demand(), Some(Demand::Save), "one that never asks has to end in time");
        assert_eq!((contract.next(3), contract.refuse(), contract.refuse()), (None, Some(3), None));
        assert_eq!((contract.next(3), contract.demand(), contract.reason()), (None, None, ""));
        contract.decide(3, &decision(DecisionKind::Train, 9), false);
        assert_eq!((contract.next(3), contract.refuse()), (Some(Answer::Train { until: 9 }), None));

        let mut contract = pausing();
        contract.refuse();
        contract.decide(3, &decision(DecisionKind::Pause, 0), false);
        assert_eq!((contract.next(3), contract.demand()), (pause(), Some(Demand::Save)), "it stands");

        let mut contract = pausing();
        contract.refuse();
        contract.decide(3, &decision(DecisionKind::Stop, 0), false);
        assert!(matches!(contract.next(3), Some(Answer::Stop { .. })));
    }

    #[test]
    fn a_pause_that_is_said_again_is_refused_again() {
        let mut contract = pausing();
        contract.refuse();
        contract.decide(3, &decision(DecisionKind::Pause, 0), true);
        assert_eq!((contract.refuse(), contract.next(3)), (Some(3), None), "the answer may have been lost");
    }

    #[test]
    fn whoever_has_saved_or_has_heard_of_it_pauses() {
        let mut contract = pausing();
        contract.save();
        assert_eq!((contract.refuse(), contract.next(3)), (None, pause()));

        let mut contract = pausing();
        contract.hand_out();
        assert_eq!((contract.refuse(), contract.next(3)), (None, pause()));

        let mut contract = pausing();
        contract.refuse();
        contract.save();
        contract.hand_out();
        assert_eq!((contract.next(3), contract.demand()), (None, None), "the engine was asked first");
    }

    #[test]
    fn an_order_is_not_refused() {
        let mut contract = pausing();
        contract.refuse();
        contract.order(Order::Preempt, "node drained");
        assert_eq!(contract.next(3), Some(Answer::Pause { reason: "node drained".to_owned() }));
        contract.decide(3, &decision(DecisionKind::Train, 9), false);
        assert_eq!(contract.demand(), Some(Demand::Save), "a decision takes no order back");
        let mut contract = pausing();
        contract.order(Order::Preempt, "node drained");
        assert_eq!((contract.refuse(), contract.reason()), (None, "node drained"));
    }

    #[test]
    fn scripts_that_never_ask_cannot_refuse() {
        let mut contract = contract();
        validate(&mut contract, 3);
        contract.decide(3, &decision(DecisionKind::Pause, 0), true);
        assert_eq!((contract.refuse(), contract.demand()), (None, Some(Demand::Save)));
    }
}
