//! A registration: the experiments are asked what the agent may keep, and their answers are gathered.

use std::collections::{BTreeSet, VecDeque};
use toprung_engine::cores::registry::allocation;
use toprung_engine::cores::{Batches, Returned};
use toprung_engine::scheduler::Allocation;
use toprung_proto::v1::{self, engine_message::Kind};

use super::{CALL_DEADLINE, Engine, IN_FLIGHT, Session, Task};
use crate::bug::Bug;
use crate::experiments::Message;
use crate::messages::{ExperimentsMessage, PoolMessage, SessionMessage, SessionsMessage};
use crate::outer::{Outer, Timer};

impl Engine {
    pub(super) fn ask(&mut self, register: v1::Register, serial: u64, connection: u64, outer: &mut Outer) {
        let task = self.number();
        let (agent, running) = (register.agent.clone(), self.registry.running(&register));
        let (missing, answers) = (BTreeSet::new(), Vec::new());
        self.tasks.insert(task, Task { register, serial, connection, missing, answers });
        self.supervisor.push_back(ExperimentsMessage::Returned(agent, serial, running, task));
        outer.after(CALL_DEADLINE, Timer::Unanswered(self.start, task));
    }

    /// An answer to a registration has come.
    pub(super) fn answered(&mut self, task: u64, experiment: u64, returned: Returned) {
        let Some(found) = self.tasks.get_mut(&task) else { return };
        if found.missing.remove(&experiment) {
            found.answers.push((experiment, returned));
        }
        if found.missing.is_empty() {
            let answers = std::mem::take(&mut found.answers);
            self.sessions.push_back(SessionsMessage::Reconciled(task, Some(answers)));
        }
    }

    /// An experiment's actor is gone, and what it was asked with it.
    pub(super) fn unanswered_by(&mut self, experiment: u64) {
        let gone = self.tasks.iter().filter(|(_, task)| task.missing.contains(&experiment));
        for task in gone.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.unanswered(task);
        }
    }

    /// A registration's answers do not come.
    pub fn unanswered(&mut self, task: u64) {
        if let Some(found) = self.tasks.get_mut(&task).filter(|found| !found.missing.is_empty()) {
            found.missing.clear();
            self.sessions.push_back(SessionsMessage::Reconciled(task, None));
        }
    }

    pub(super) fn reconciled(
        &mut self,
        task: u64,
        returned: Option<Vec<(u64, Returned)>>,
        outer: &mut Outer,
    ) {
        let Some(Task { register, serial, connection, .. }) = self.tasks.remove(&task) else { return };
        let agent = register.agent.clone();
        let opened = returned.and_then(|returned| {
            let id = self.number();
            let meanwhile = self.registry.registered(&agent, serial, id, outer.instant())?;
            Some((id, returned, meanwhile))
        });
        let Some((id, returned, mut meanwhile)) = opened else {
            self.registry.refused(&agent, serial);
            outer.down(connection, None);
            return;
        };
        if outer.bug == Bug::KeepsStarts {
            let (own, others) =
                std::mem::take(&mut self.starts).into_iter().partition(|(to, _)| *to == agent);
            self.starts = others;
            meanwhile.extend(Vec::into_iter(own).map(|(_, kind)| kind));
        }
        let (mut running, mut orders): (Vec<Allocation>, Vec<Kind>) = (Vec::new(), Vec::new());
        for (experiment, returned) in returned {
            running.extend(returned.kept.into_iter().map(|held| allocation(experiment, held)));
            orders.extend(returned.orders);
        }
        let instance = register.instance.clone();
        outer.log(|| format!("engine: {instance} is registered ({serial}) with {} attempts", running.len()));
        let batches = Batches::new(agent.clone(), instance.clone());
        let mailbox = VecDeque::new();
        let agent_name = agent.clone();
        let session = Session { batches, mailbox, agent: agent_name, instance, serial, connection };
        self.session.insert(id, session);
        self.readers.insert(connection, id);
        let answer = self.registry.answer(&running, IN_FLIGHT);
        for kind in std::iter::once(answer).chain(orders).chain(meanwhile) {
            self.tell_session(id, SessionMessage::Tell(kind));
        }
        if let Some(record) = self.roster.registered(&agent, outer.calendar_ms()) {
            self.record(record, outer);
        }
        self.pool.push_back(PoolMessage::Joined(agent, register.slots, running));
    }

    pub(super) fn agent_returned(&mut self, agent: &str, serial: u64, running: &[v1::AttemptId], task: u64) {
        let Some(found) = self.tasks.get_mut(&task) else { return };
        // One whose actor is gone, and of which the supervisor has not heard that yet, does not answer.
        let mut active = self.specs.iter().filter(|spec| self.routes.is_active(spec.id));
        let silent = active.any(|spec| !self.experiments.contains_key(&spec.id));
        if self.routes.returned(agent, serial).is_err() || silent {
            self.sessions.push_back(SessionsMessage::Reconciled(task, None));
            return;
        }
        found.missing = self.experiments.keys().copied().filter(|id| self.routes.is_active(*id)).collect();
        for (id, experiment) in &mut self.experiments {
            let own = running.iter().filter(|attempt| attempt.experiment == *id).copied().collect();
            experiment.mailbox.push_back(Message::Returned(agent.to_owned(), own, task));
        }
        if found.missing.is_empty() {
            self.sessions.push_back(SessionsMessage::Reconciled(task, Some(Vec::new())));
        }
    }
}
