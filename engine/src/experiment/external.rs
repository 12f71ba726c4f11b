//! Programs outside that train by themselves: they ask for trials and tell what came of them (`entrypoint: external`).
//!
//! A program has a name and asks in lanes, one for each trial that it runs at a time. What the pool is elsewhere, the
//! lanes are here: each that has asked and is not silent makes room for one trial, so the searcher knows how many may be
//! under way. The machine itself chooses which pending trial a lane gets.
//!
//! | what happened | result |
//! |---|---|
//! | a lane asks that has an open trial | it is that trial again |
//! | a lane asks that was told to pause, and has not left | it has left; then as any other |
//! | a report at a length that this attempt has told before | counted already, dropped |
//! | something of an older attempt, or of another program | dropped |
//! | the searcher ends the trial, or a person the experiment | the attempt is over at once: nobody is waited for |
//! | the trial is to pause | over if all it trained is saved; else the program saves and gives it back |
//! | a lane is silent for longer than its lease | its trial is requeued, not charged |

use serde::{Deserialize, Serialize};
use toprung_proto::v1::{self, ExitCause, MetricGroup, TellOutcome, journal_record::Input};
use toprung_searchers::Event;

use super::machine::{Machine, State, Turn};
use super::snapshot::Stored;
use super::trial::{Intent, Phase, Placement, Trial};

/// Lanes of one experiment, at most.
pub const MAX_LANES: usize = 10_000;

/// Where a program asks for a trial.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lane {
    /// The program's name.
    pub client: Box<str>,
    /// Which of the trials that it runs at a time, from 0.
    pub number: u32,
}

impl Lane {
    /// The lane of this number of a program.
    pub fn new(client: &str, number: u32) -> Self {
        Self { client: client.into(), number }
    }
}

/// Whether an input comes from the pool or an agent: where programs outside run the trials it means nothing.
pub(super) fn is_of_agents(input: &Input) -> bool {
    matches!(
        input,
        Input::Capacity(_)
            | Input::Allocated(_)
            | Input::AgentEvents(_)
            | Input::Lost(_)
            | Input::Preempted(_)
            | Input::Quota(_)
            | Input::Collection(_)
    )
}

impl Machine {
    pub(super) fn on_asked(&mut self, asked: &v1::TrialAsked, turn: &mut Turn) -> bool {
        let lane = Lane::new(&asked.client, asked.lane);
        let open = self.fold.askers.get(&lane).copied();
        let left = open.filter(|&id| self.trial(id).is_some_and(|trial| trial.phase.is_leaving()));
        if let Some(id) = left {
            self.on_exit(id, &requested(&format!("{} asks again", lane.client)), turn);
            self.run_actions(turn);
        }
        let goes_on = open.is_some_and(|id| id != 0) && left.is_none();
        if !self.spec.is_external() || self.fold.state != State::Active || goes_on {
            return left.is_some();
        }
        let new = open.is_none() && self.fold.askers.len() < MAX_LANES;
        if new {
            self.fold.askers.insert(lane.clone(), 0);
            self.count_lanes(turn);
        }
        let given = self.fold.askers.contains_key(&lane) && self.hand_out(&lane, turn);
        new || given || left.is_some()
    }

    /// Lanes are the room there is.
    fn count_lanes(&mut self, turn: &mut Turn) {
        self.fold.capacity = self.fold.askers.len() as u32;
        self.tell(Event::Capacity(self.fold.capacity), turn);
        self.run_actions(turn);
    }

    /// Whether a lane that asks now would be given a trial.
    pub fn has_work(&self) -> bool {
        self.fold.counts[v1::TrialState::Pending as usize] > 0
            && self.fold.state == State::Active
            && self.pending().next().is_some()
    }

    fn pending(&self) -> impl Iterator<Item = (u32, &Trial)> {
        let found = |&id: &u32| self.trial(id).map(|trial| (id, trial));
        let wants = |(_, trial): &(u32, &Trial)| trial.phase == Phase::Pending { backing_off: false };
        self.fold.active.iter().filter_map(found).filter(wants)
    }

    /// Gives a lane the trial that it saved itself, else one that goes on, else the next new one.
    fn hand_out(&mut self, lane: &Lane, turn: &mut Turn) -> bool {
        if self.fold.state != State::Active {
            return false;
        }
        let rank = |&(id, trial): &(u32, &Trial)| {
            let saved_by = trial.checkpoint.as_ref().map(|checkpoint| checkpoint.0.agent == *lane.client);
            (saved_by != Some(true), saved_by.is_none(), id)
        };
        let Some((id, _)) = self.pending().min_by_key(rank) else { return false };
        self.set_phase(id, Phase::Running);
        self.fold.started = true;
        let trial = self.trial_mut(id);
        trial.attempt += 1;
        trial.answered = 0;
        trial.reason = "".into();
        let attempt = trial.attempt;
        trial.placement = Some(Box::new(Placement {
            agent: lane.client.clone(),
            slots: vec![lane.number],
            reported: false,
            excluded: false,
            told: [None; 2],
        }));
        self.fold.askers.insert(lane.clone(), id);
        turn.step.lines.push(format!("trial {id}: attempt {attempt} is with {}", lane.client));
        true
    }

    /// The lane of an attempt that has ended has no trial any more.
    pub(super) fn free_lane(&mut self, place: &Placement) {
        let lane = Lane { client: place.agent.clone(), number: place.slots.first().copied().unwrap_or(0) };
        if let Some(open) = self.fold.askers.get_mut(&lane) {
            *open = 0;
        }
    }

    /// Whether an attempt is open with this program.
    pub(super) fn is_open(&self, id: u32, attempt: u32, client: &str) -> bool {
        let place = self.trial(id).filter(|trial| trial.attempt == attempt && trial.holds_slots());
        place.and_then(|trial| trial.placement.as_ref()).is_some_and(|place| *place.agent == *client)
    }

    /// The reports of a tell that this attempt has not told before.
    pub fn fresh<'t>(&self, told: &'t v1::TrialTold) -> Vec<&'t v1::Report> {
        if self.fold.state.is_end() || !self.is_open(told.trial, told.attempt, &told.client) {
            return Vec::new();
        }
        let place = self.trial(told.trial).and_then(|trial| trial.placement.as_ref());
        let mut newest = place.map(|place| place.told).unwrap_or_default();
        let is_fresh = |report: &&v1::Report| {
            let newest = &mut newest[group(report)];
            let fresh = newest.is_none_or(|newest| report.length > newest);
            if fresh {
                *newest = Some(report.length);
            }
            fresh
        };
        told.reports.iter().filter(is_fresh).collect()
    }

    pub(super) fn on_told(&mut self, told: &v1::TrialTold, turn: &mut Turn) -> bool {
        let id = told.trial;
        if !self.spec.is_external() || !self.is_open(id, told.attempt, &told.client) {
            return false;
        }
        let fresh = self.fresh(told);
        let saved = told.checkpoint.as_ref().filter(|saved| self.is_newer(id, told.attempt, saved));
        if fresh.is_empty() && saved.is_none() && told.outcome() == TellOutcome::Unspecified {
            return false;
        }
        let saved = saved.map(|saved| self.on_saved(told, saved, turn));
        for report in fresh {
            self.mark_told(id, report);
            self.on_report(id, told.attempt, true, report, turn);
            self.run_actions(turn);
        }
        if let Some(saved) = saved {
            self.keep_for_best(saved);
        }
        let phase = self.trial_mut(id).phase;
        if let Some(exit) = exit_of(told) {
            self.on_exit(id, &exit, turn);
        } else if phase.is_leaving() && self.is_saved(id) {
            let reason = self.trial_mut(id).reason.to_string();
            self.on_exit(id, &requested(&reason), turn);
        }
        true
    }

    fn mark_told(&mut self, id: u32, report: &v1::Report) {
        if let Some(place) = self.trial_mut(id).placement.as_deref_mut() {
            place.told[group(report)] = Some(report.length);
        }
    }

    /// Whether a checkpoint is another than the newest known.
    fn is_newer(&self, id: u32, attempt: u32, saved: &v1::ToldCheckpoint) -> bool {
        let known = self.trial(id).and_then(|trial| trial.checkpoint.as_deref());
        known.is_none_or(|known| {
            let known = &known.0;
            let same = (known.trial, known.attempt, known.length) == (id, attempt, saved.length);
            saved.length >= known.length && !(same && known.path == saved.label)
        })
    }

    /// Takes a checkpoint as the one to go on from. Its label is the program's: there is nothing to be collected.
    fn on_saved(&mut self, told: &v1::TrialTold, saved: &v1::ToldCheckpoint, turn: &Turn) -> v1::Checkpoint {
        let checkpoint = v1::Checkpoint {
            uuid: saved.label.clone(),
            path: saved.label.clone(),
            trial: told.trial,
            attempt: told.attempt,
            length: saved.length,
            time_unix_ms: turn.now_ms,
            agent: told.client.clone(),
            ..v1::Checkpoint::default()
        };
        self.trial_mut(told.trial).checkpoint = Some(Box::new(Stored(checkpoint.clone())));
        checkpoint
    }

    /// The best trial is shown with its checkpoint nearest to its best validation.
    fn keep_for_best(&mut self, saved: v1::Checkpoint) {
        if let Some(best) = &mut self.fold.best
            && best.trial == saved.trial
            && saved.length <= best.length
        {
            best.checkpoint = Some(Stored(saved));
        }
    }

    /// Whether everything that a trial has trained is in its own checkpoint.
    fn is_saved(&self, id: u32) -> bool {
        let saved = |trial: &Trial| {
            let own = trial.checkpoint.as_ref().filter(|checkpoint| checkpoint.0.trial == id);
            own.is_some_and(|checkpoint| checkpoint.0.length >= trial.length)
        };
        self.trial(id).is_some_and(saved)
    }

    pub(super) fn on_silent(&mut self, silent: &v1::AskerSilent, turn: &mut Turn) -> bool {
        let lane = Lane::new(&silent.client, silent.lane);
        let Some(open) = self.fold.askers.get(&lane).copied() else { return false };
        if self.fold.state.is_end() {
            return false;
        }
        if self.trial(open).is_some_and(Trial::holds_slots) {
            let cause = ExitCause::AgentLost.into();
            let exit = v1::Exit { cause, message: silent.reason.clone(), ..v1::Exit::default() };
            self.on_exit(open, &exit, turn);
            self.run_actions(turn);
        }
        self.fold.askers.remove(&lane);
        self.count_lanes(turn);
        true
    }

    /// Attempts that were told to stop are over at once: what their programs still tell is dropped.
    pub(super) fn close_stopped(&mut self, turn: &mut Turn) {
        while let Some(id) = turn.stopped.pop_front() {
            let phase = self.trial_mut(id).phase;
            if matches!(phase, Phase::Stopping(Intent::Stop { .. } | Intent::Kill)) {
                let reason = self.trial_mut(id).reason.to_string();
                self.on_exit(id, &requested(&reason), turn);
                self.run_actions(turn);
            }
        }
    }
}

fn group(report: &v1::Report) -> usize {
    usize::from(report.group() == MetricGroup::Validation)
}

fn requested(message: &str) -> v1::Exit {
    let cause = ExitCause::Requested.into();
    v1::Exit { cause, message: message.to_owned(), ..v1::Exit::default() }
}

/// The end that a tell tells; `None`: it goes on.
fn exit_of(told: &v1::TrialTold) -> Option<v1::Exit> {
    let (cause, usual) = match told.outcome() {
        TellOutcome::Unspecified => return None,
        TellOutcome::Done => (ExitCause::Success, "done"),
        TellOutcome::Failed => (ExitCause::Failed, "the program told a failure"),
        TellOutcome::Invalid => (ExitCause::InvalidHyperparameters, "invalid hyperparameters"),
        TellOutcome::Released => (ExitCause::Requested, "given back by its program"),
    };
    let message = if told.message.is_empty() { usual.to_owned() } else { told.message.clone() };
    Some(v1::Exit { cause: cause.into(), message, ..v1::Exit::default() })
}
