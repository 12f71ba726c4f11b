//! A registration: the pool gives the agent nothing more, the experiments say what it may keep, its session begins.

use std::time::Instant;
use tokio::sync::oneshot;
use toprung_proto::v1::{self, engine_message::Kind};

use super::{Message, Registration, State};
use crate::actors::session::{Arguments, MAX_BATCHES_IN_FLIGHT, Outgoing, SessionHandle};
use crate::actors::{answer, cast, now_ms};
use crate::cores::Returned;
use crate::cores::registry::allocation;
use crate::scheduler::Allocation;

/// A registration under way.
pub(super) struct Registering {
    register: v1::Register,
    serial: u64,
    outgoing: Outgoing,
    reply: oneshot::Sender<Result<Registration, String>>,
}

impl State {
    /// The agent gets nothing from here on; then the experiments say what it may keep. In this order, so that what the
    /// pool gave it before is known to them.
    pub(super) async fn register(
        &mut self,
        register: v1::Register,
        outgoing: Outgoing,
        reply: oneshot::Sender<Result<Registration, String>>,
    ) {
        let Some((pool, experiments, _)) = self.siblings.clone() else {
            drop(reply.send(Err("the engine is starting".to_owned())));
            return;
        };
        if self.registry.is_taken(&register) {
            let (name, seconds) = (&register.agent, self.lease.as_secs());
            let refusal = format!(
                "an agent named {name} is connected already; give this one another --name, or wait up to {seconds} s \
                 if the other is gone"
            );
            drop(reply.send(Err(refusal)));
            return;
        }
        let (agent, running) = (register.agent.clone(), self.registry.running(&register));
        let (serial, former) = self.registry.register(&register, Instant::now(), now_ms());
        if let Some(session) = former {
            session.end("another session of this agent has begun".to_owned(), false);
        }
        if let Err(error) = pool.agent_away(agent.clone()).await {
            self.registry.refused(&agent, serial);
            drop(reply.send(Err(error.to_string())));
            return;
        }
        let answered = experiments.agent_returned(agent, serial, running);
        let registering = Box::new(Registering { register, serial, outgoing, reply });
        let me = self.me.clone();
        tokio::spawn(async move {
            let answered = answer("an experiment", answered).await.map_err(|error| error.to_string());
            cast(&me, Message::Reconciled(registering, answered.and_then(|returned| returned)));
        });
    }

    pub(super) async fn reconciled(
        &mut self,
        registering: Registering,
        returned: Result<Vec<(u64, Returned)>, String>,
    ) {
        let Registering { register, serial, outgoing, reply } = registering;
        let answer = match returned {
            Ok(returned) => self.open(register.clone(), serial, outgoing, returned).await,
            Err(reason) => Err(reason),
        };
        if let Err(reason) = &answer {
            tracing::info!(agent = register.agent, reason, "an agent was asked to come again");
            self.registry.refused(&register.agent, serial);
        }
        // An agent that has gone again registers again.
        let _gone = reply.send(answer);
    }

    pub(super) async fn open(
        &mut self,
        register: v1::Register,
        serial: u64,
        outgoing: Outgoing,
        returned: Vec<(u64, Returned)>,
    ) -> Result<Registration, String> {
        let starting = || "the engine is starting".to_owned();
        let (pool, experiments, collector) = self.siblings.clone().ok_or_else(starting)?;
        let outdated = || "another session of this agent has begun".to_owned();
        if !self.registry.is_registering(&register.agent, serial) {
            return Err(outdated());
        }
        let (alive, ended) = oneshot::channel();
        let (agent, instance) = (register.agent.clone(), register.instance);
        let arguments = Arguments { agent, instance, serial, outgoing, experiments, alive };
        let session = SessionHandle::start(arguments, self.me.get_cell()).await;
        let session = session.map_err(|error| error.to_string())?;
        let now = Instant::now();
        let meanwhile = self.registry.registered(&register.agent, serial, session.clone(), now);
        let Some(meanwhile) = meanwhile else {
            session.end(outdated(), true);
            return Err(outdated());
        };
        let (mut running, mut orders): (Vec<Allocation>, Vec<Kind>) = (Vec::new(), Vec::new());
        for (experiment, returned) in returned {
            running.extend(returned.kept.into_iter().map(|held| allocation(experiment, held)));
            orders.extend(returned.orders);
        }
        session.tell(self.registry.answer(&running, MAX_BATCHES_IN_FLIGHT));
        orders.into_iter().chain(meanwhile).for_each(|kind| session.tell(kind));
        let (slots, kept) = (register.slots.len(), running.len());
        tracing::info!(agent = register.agent, slots, kept, "agent connected");
        collector.agent_back(register.agent.clone());
        if let Some(record) = self.roster.registered(&register.agent, now_ms()) {
            self.record(record, None);
        }
        pool.agent_joined(register.agent, register.slots, running);
        Ok(Registration { session, serial, ended })
    }
}
