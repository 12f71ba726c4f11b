//! The faults, and their end.

use toprung_engine::experiment::State;
use toprung_proto::v1::{self, journal_record::Input};

use super::World;
use crate::experiments::Message;
use crate::outer::Timer;

impl World {
    pub(super) fn fault(&mut self) {
        self.summary.faults += 1;
        let outer = &mut self.outer;
        let kind = outer.chance.below(22);
        match kind {
            0..=1 => self.crash_engine(),
            2..=3 => {
                let agent = outer.chance.below(self.agents.len() as u64) as usize;
                self.agents[agent].crash(outer);
            }
            4..=13 => self.disturb(kind),
            14..=15 => {
                outer.full_until = outer.now + outer.chance.below(20_000);
                outer.log(|| "the disk is full".to_owned());
            }
            16 => {
                let jump = outer.chance.below(7_200_000) as i64 - 3_600_000;
                outer.calendar += jump;
                outer.log(|| format!("the calendar jumps by {jump} ms"));
            }
            17 => self.drain(),
            20 => {
                let agent = outer.chance.below(self.agents.len() as u64) as usize;
                self.agents[agent].fill(Some(outer.chance.below(500) as usize));
                outer.log(|| format!("the disk of agent {agent} is full"));
                outer.within(20_000, Timer::Room(agent));
            }
            21 => {
                let agent = outer.chance.below(self.agents.len() as u64) as usize;
                self.agents[agent].bad_until = outer.now + outer.chance.below(120_000);
                outer.log(|| format!("agent-{agent} is broken for a while"));
            }
            _ => self.control(),
        }
    }

    /// A person drains an agent, or undoes it.
    fn drain(&mut self) {
        let chance = &mut self.outer.chance;
        let agent = format!("agent-{}", chance.below(self.agents.len() as u64));
        let reason = chance.one(1, 2).then(|| "new disks".to_owned());
        self.outer.log(|| format!("somebody drains {agent}: {reason:?}"));
        self.engine.iter_mut().for_each(|engine| engine.drain(agent.clone(), reason.clone()));
    }

    pub(super) fn disturb(&mut self, kind: u64) {
        let outer = &mut self.outer;
        let count = outer.connections.len() as u64;
        // Mostly the newest: the others are cut already.
        let place = if outer.chance.one(1, 4) { outer.chance.below(count) } else { count.saturating_sub(1) };
        let Some(connection) = outer.connections.values_mut().nth(place as usize) else { return };
        let (now, long) = (outer.now, if outer.chance.one(1, 4) { 90_000 } else { 2_000 });
        match kind {
            4..=7 => connection.cut(&mut outer.chance),
            8..=9 => connection.up_until = now + outer.chance.below(long),
            10..=11 => connection.down_until = now + outer.chance.below(long),
            // The agent knows at once, the engine late.
            _ => {
                connection.cut(&mut outer.chance);
                connection.up_until = now + outer.chance.below(long);
            }
        }
        outer.log(|| format!("connection {place} is disturbed ({kind})"));
    }

    pub(super) fn control(&mut self) {
        let chance = &mut self.outer.chance;
        let input = match chance.below(40) {
            0 => Input::Kill(v1::KillRequested { reason: "killed".into() }),
            1..=19 => Input::Pause(v1::PauseRequested {}),
            _ => Input::Resume(v1::ResumeRequested {}),
        };
        let id = 1 + chance.below(self.specs.len() as u64);
        if let Some(experiment) = self.engine.as_mut().and_then(|engine| engine.experiments.get_mut(&id)) {
            experiment.mailbox.push_back(Message::Input(input));
        }
    }

    /// The engine dies. What was on its way to the disk may be written, up to a random point.
    pub(super) fn crash_engine(&mut self) {
        if self.engine.take().is_none() {
            return;
        }
        let outer = &mut self.outer;
        outer.log(|| "engine dies".to_owned());
        let written = outer.chance.below(outer.pending.len() as u64 + 1);
        for (_, _, batch) in std::mem::take(&mut outer.pending).into_iter().take(written as usize) {
            // One that follows a failed one is refused, as it should be.
            drop(outer.write(batch));
        }
        for connection in outer.connections.values_mut() {
            connection.cut(&mut outer.chance);
            connection.up.clear();
        }
        let longest = if outer.chance.one(1, 5) { 90_000 } else { 3_000 };
        outer.within(longest, Timer::EngineStarts);
    }

    pub(super) fn heal(&mut self) {
        let outer = &mut self.outer;
        outer.log(|| "faults stop".to_owned());
        outer.faults = false;
        outer.full_until = 0;
        for connection in outer.connections.values_mut() {
            (connection.up_until, connection.down_until) = (0, 0);
        }
        for agent in &mut self.agents {
            agent.fill(None);
            agent.bad_until = 0;
        }
    }

    /// After the last fault whoever paused an experiment lets it go on, and gives drained agents back.
    pub(super) fn resume(&mut self) {
        if self.outer.faults {
            return;
        }
        if let Some(engine) = &mut self.engine {
            let drained: Vec<String> = engine.roster.drained().map(|(name, _)| name.to_owned()).collect();
            drained.into_iter().for_each(|name| engine.drain(name, None));
        }
        for experiment in self.engine.iter_mut().flat_map(|engine| engine.experiments.values_mut()) {
            let state = experiment.keeper.machine.fold.state;
            if matches!(state, State::Paused | State::Pausing) {
                experiment.mailbox.push_back(Message::Input(Input::Resume(v1::ResumeRequested {})));
            }
        }
    }
}
