//! Programs that run trials themselves: who waits for a trial, and whose lease has ended.

use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use toprung_proto::v1::{self, journal_record::Input};

use super::Message;
use super::shell::Shell;
use crate::actors::cast;
use crate::cores::Leases;
use crate::experiment::Machine;
use crate::experiment::answers::Refused;
use crate::experiment::external::Lane;

/// What a program that asks is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// A trial.
    Trial(Box<v1::Assignment>),
    /// None now; why.
    Nothing(String),
    /// The experiment has ended.
    Over,
    /// Agents run its trials.
    NotExternal,
}

/// Why a tell is not taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It makes no sense.
    Refused(Refused),
    /// Agents run the trials.
    NotExternal,
}

/// The programs that run an experiment's trials.
pub(super) struct Askers {
    leases: Leases,
    /// Those that wait for a trial, the first one first. Bounded by the streams of the API.
    waiting: VecDeque<(Lane, oneshot::Sender<Asked>)>,
    /// A look at the leases is on its way.
    looking: bool,
    began: Instant,
}

impl Askers {
    /// Those that the journal knows are heard now.
    pub(super) fn new(machine: &Machine) -> Self {
        let mut leases = Leases::new(machine.spec.lease_ms());
        machine.fold.askers.keys().for_each(|lane| leases.heard(lane.clone(), 0));
        Self { leases, waiting: VecDeque::new(), looking: false, began: Instant::now() }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn heard(&mut self, lane: Lane) {
        let now_ms = self.now_ms();
        self.leases.heard(lane, now_ms);
    }
}

impl Shell {
    pub(super) fn ask(&mut self, lane: Lane, wait: bool, reply: oneshot::Sender<Asked>) {
        if !self.machine().spec.is_external() {
            return self.answer(reply, Asked::NotExternal);
        }
        let open = self.machine().open_trial(&lane);
        let asked = v1::TrialAsked { client: lane.client.to_string(), lane: lane.number };
        self.input(Input::Asked(asked));
        if self.machine().fold.askers.contains_key(&lane) {
            self.askers.heard(lane.clone());
            self.look_later();
        }
        if self.machine().fold.state.is_end() {
            self.answer(reply, Asked::Over);
        } else if let Some(id) = self.machine().open_trial(&lane) {
            let assignment = self.machine().assignment(id, open == Some(id));
            self.answer(reply, Asked::Trial(Box::new(assignment)));
        } else if wait {
            // One that asks again has given up what it asked before.
            self.askers.waiting.retain(|(other, _)| *other != lane);
            self.askers.waiting.push_back((lane, reply));
        } else {
            let nothing = Asked::Nothing(self.machine().why_nothing());
            self.answer(reply, nothing);
        }
    }

    fn answer(&mut self, reply: oneshot::Sender<Asked>, asked: Asked) {
        // A caller that has given up asks again.
        self.when_durable(Box::new(move || drop(reply.send(asked))));
    }

    pub(super) fn told(
        &mut self,
        told: v1::TrialTold,
        reply: oneshot::Sender<Result<v1::TellResponse, NotTaken>>,
    ) {
        let answer = self.take_in(told);
        // A caller that has given up tells again.
        self.when_durable(Box::new(move || drop(reply.send(answer))));
    }

    fn take_in(&mut self, told: v1::TrialTold) -> Result<v1::TellResponse, NotTaken> {
        if !self.machine().spec.is_external() {
            return Err(NotTaken::NotExternal);
        }
        if let Some(refused) = self.machine().refuse(&told) {
            return Err(NotTaken::Refused(refused));
        }
        let counted = self.machine().fresh(&told).len() as u32;
        let lane = self.machine().lane_of(&told);
        self.input(Input::Told(told.clone()));
        if let Some(lane) = lane {
            self.askers.heard(lane);
            self.look_later();
        }
        Ok(self.machine().verdict(&told, counted))
    }

    /// Gives trials to those that wait, as long as there are any; at the end all are told.
    pub(super) fn hand_out(&mut self) {
        if self.askers.waiting.is_empty() {
            return;
        }
        self.askers.waiting.retain(|(_, reply)| !reply.is_closed());
        while self.machine().fold.state.is_end() || self.machine().has_work() {
            let Some((lane, reply)) = self.askers.waiting.pop_front() else { return };
            self.ask(lane, false, reply);
        }
    }

    /// Takes their trials from programs that were silent for too long. Those that wait are not silent.
    pub(super) fn lapse(&mut self) {
        self.askers.looking = false;
        let waiting: Vec<Lane> = self
            .askers
            .waiting
            .iter()
            .filter(|(_, reply)| !reply.is_closed())
            .map(|(lane, _)| lane.clone())
            .collect();
        waiting.into_iter().for_each(|lane| self.askers.heard(lane));
        let now_ms = self.askers.now_ms();
        let seconds = self.machine().spec.lease_ms() / 1_000;
        for lane in self.askers.leases.silent(now_ms) {
            let reason = format!("{} was not heard for more than {seconds} s", lane.client);
            let client = lane.client.to_string();
            self.input(Input::Silent(v1::AskerSilent { client, lane: lane.number, reason }));
        }
        self.look_later();
    }

    fn look_later(&mut self) {
        if self.askers.looking || self.machine().fold.state.is_end() {
            return;
        }
        let Some(delay) = self.askers.leases.look_after(self.askers.now_ms()) else { return };
        self.askers.looking = true;
        let me = self.me.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            cast(&me, Message::Lapse);
        });
    }
}
