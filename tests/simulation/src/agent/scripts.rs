//! The scripts of an agent: they report, save, ask, fail, and end as they are told.

use toprung_agent::parts::{Answer, AttemptKey, Contract, Credited, Demand, Group, Terms};
use toprung_proto::v1::{self, ExitCause, attempt_event::Kind};

use super::{AGAIN, Agent};
use crate::bug::Bug;
use crate::ledger::SCRIPT;
use crate::outer::{Outer, Timer};

/// What a script does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Begin,
    Ask,
    Save,
}

/// A running script.
pub(super) struct Script {
    pub(super) contract: Contract,
    next: Next,
    pub(super) waits: bool,
    /// It saves checkpoints, more or less.
    saves: bool,
    length: u64,
    slots: Vec<u32>,
}

impl Agent {
    pub(super) fn tell(&mut self, key: AttemptKey, outer: &mut Outer, change: impl FnOnce(&mut Contract)) {
        let Some(script) = self.scripts.get_mut(&key) else { return };
        change(&mut script.contract);
        if std::mem::take(&mut script.waits) {
            outer.after(1, Timer::Script(self.index, self.starts, key.to_wire()));
        }
    }

    pub(super) fn begin(&mut self, start: &v1::StartAttempt, outer: &mut Outer) {
        let Some(key) = AttemptKey::from_wire(start.attempt.as_ref()) else { return };
        outer.log(|| format!("{} starts {key} on {:?}", self.name, start.slots));
        outer.ledger.starts(key);
        for (other, script) in &self.scripts {
            let ends = script.contract.demand() == Some(Demand::Kill);
            if !ends && script.slots.iter().any(|slot| start.slots.contains(slot)) {
                outer.ledger.fail("INV-4", format!("{key} and {other} run on one slot of {}", self.name));
            }
        }
        let mut contract = Contract::new(Terms {
            train_until: start.train_until,
            max_length: start.max_length,
            time_metric: start.time_metric.clone(),
            metric: start.metric.clone(),
            conversion: start.conversion.unwrap_or_default(),
            resumes: start.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.trial == key.trial),
        });
        // As those that use the package, they ask for themselves.
        contract.attach();
        let length = start.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.length);
        let slots = start.slots.clone();
        let saves = outer.chance.one(4, 5);
        let script = Script { contract, next: Next::Begin, waits: false, saves, length, slots };
        self.scripts.insert(key, script);
        outer.within(3_000, Timer::Script(self.index, self.starts, key.to_wire()));
    }

    /// A script does its next thing.
    pub fn step(&mut self, starts: u64, attempt: &v1::AttemptId, outer: &mut Outer) {
        let Some(key) = AttemptKey::from_wire(Some(attempt)).filter(|_| starts == self.starts) else {
            return;
        };
        if self.blocked {
            outer.after(AGAIN, Timer::Script(self.index, self.starts, key.to_wire()));
            return;
        }
        let Some(script) = self.scripts.get_mut(&key) else { return };
        let kill = matches!(script.contract.demand(), Some(Demand::Kill | Demand::Terminate));
        if kill {
            self.exit(key, ExitCause::Requested, outer);
        } else if outer.faults && outer.chance.one(1, 120) {
            self.exit(key, ExitCause::Failed, outer);
        } else if self.bad_until > outer.now && script.next == Next::Begin {
            self.fail_here(key, outer);
        } else {
            self.proceed(key, outer);
        }
        self.send(outer);
    }

    /// The node is broken.
    fn fail_here(&mut self, key: AttemptKey, outer: &mut Outer) {
        let cause = [ExitCause::Failed, ExitCause::Environment, ExitCause::Signal, ExitCause::OutOfMemory]
            [outer.chance.below(4) as usize];
        if cause != ExitCause::Environment {
            self.say(key, Kind::Started(v1::Started::default()), outer);
        }
        if outer.chance.one(1, 8) {
            let action = v1::LogPolicyAction::ExcludeNode.into();
            let matched = v1::PolicyMatched { name: "ECC Error".into(), action, ..Default::default() };
            self.say(key, Kind::PolicyMatched(matched), outer);
        }
        self.exit(key, cause, outer);
    }

    pub(super) fn proceed(&mut self, key: AttemptKey, outer: &mut Outer) {
        let Some(script) = self.scripts.get_mut(&key) else { return };
        match script.next {
            Next::Begin => {
                script.next = Next::Ask;
                self.say(key, Kind::Started(v1::Started::default()), outer);
            }
            Next::Ask => match script.contract.next(script.length) {
                None => {
                    script.waits = true;
                    if let Some(length) = script.contract.refuse()
                        && outer.bug != Bug::SwallowsRefusals
                    {
                        self.say(key, Kind::CannotPause(v1::CannotPause { length }), outer);
                    }
                    return;
                }
                Some(Answer::Train { .. }) => self.train(key, outer),
                Some(Answer::Finish) => {
                    self.exit(key, ExitCause::Success, outer);
                    return;
                }
                Some(_) => {
                    self.exit(key, ExitCause::Requested, outer);
                    return;
                }
            },
            Next::Save => {
                script.next = Next::Ask;
                let length = script.length;
                if script.saves && outer.chance.one(9, 10) {
                    script.contract.save();
                    let uuid = format!("{key}-{length}");
                    let checkpoint = v1::Checkpoint { uuid, length, ..v1::Checkpoint::default() };
                    self.say(key, Kind::Checkpoint(checkpoint), outer);
                }
            }
        }
        outer.within(400, Timer::Script(self.index, self.starts, key.to_wire()));
    }

    pub(super) fn train(&mut self, key: AttemptKey, outer: &mut Outer) {
        let Some(script) = self.scripts.get_mut(&key) else { return };
        script.length += 1;
        script.next = Next::Save;
        let length = script.length;
        let names = std::iter::once("loss");
        if script.contract.report(Group::Validation, length, names).is_err() {
            outer.ledger.fail("INV-7", format!("{key} was refused a report"));
        }
        let value = f64::from((key.trial.wrapping_mul(2_654_435_761) >> 7) % 97) / length as f64;
        for group in [Group::Training, Group::Validation] {
            let number = outer.ledger.said(key, &self.name);
            if outer.bug == Bug::AnswersEarly {
                outer.ledger.accepted(number);
            }
            self.saying.push(number);
            let wire = if group == Group::Training {
                v1::MetricGroup::Training
            } else {
                v1::MetricGroup::Validation
            };
            let metrics = vec![v1::Metric { name: "loss".into(), value }];
            let report = v1::Report { group: wire.into(), length, metrics, time_unix_ms: number };
            self.say(key, Kind::Report(report), outer);
        }
    }

    pub(super) fn exit(&mut self, key: AttemptKey, cause: ExitCause, outer: &mut Outer) {
        self.scripts.remove(&key);
        outer.log(|| format!("{} ends {key}: {cause:?}", self.name));
        if !matches!(cause, ExitCause::Requested | ExitCause::Success) {
            outer.ledger.failed(key);
        }
        let message = format!("{SCRIPT} ended");
        let exit = v1::Exit { cause: cause.into(), message, ..v1::Exit::default() };
        self.say(key, Kind::Exit(exit.clone()), outer);
        if outer.bug == Bug::ExitsTwice {
            self.say(key, Kind::Exit(exit), outer);
        }
    }

    pub(super) fn say(&mut self, key: AttemptKey, kind: Kind, outer: &mut Outer) {
        let event = v1::AttemptEvent { attempt: Some(key.to_wire()), kind: Some(kind) };
        self.state.push_event(Credited::own(event, 100), outer.instant());
    }
}
