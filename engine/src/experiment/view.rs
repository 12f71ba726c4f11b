//! The state as people and programs see it: messages of the search service.

use toprung_proto::v1::{self, DecisionKind, ExperimentState, TrialState};

use super::answers;
use super::machine::{Machine, State};
use super::program;
use super::trial::Trial;
use super::trouble::Trouble;

/// The state in the words of the API.
pub fn state(state: State) -> ExperimentState {
    match state {
        State::Active => ExperimentState::Active,
        State::Pausing => ExperimentState::Pausing,
        State::Paused => ExperimentState::Paused,
        State::Killing => ExperimentState::Killing,
        State::Completed => ExperimentState::Completed,
        State::Killed => ExperimentState::Killed,
        State::Error => ExperimentState::Error,
    }
}

/// The state as one word for people.
pub fn state_word(state: State) -> &'static str {
    match state {
        State::Active => "active",
        State::Pausing => "pausing",
        State::Paused => "paused",
        State::Killing => "ending",
        State::Completed => "completed",
        State::Killed => "killed",
        State::Error => "error",
    }
}

/// A decision as one line for people.
pub fn decision_line(decision: &v1::Decision) -> String {
    let trial = decision.trial;
    match decision.kind() {
        DecisionKind::Train => format!("trial {trial}: train to {}: {}", decision.length, decision.reason),
        DecisionKind::Pause => format!("trial {trial}: pause: {}", decision.reason),
        DecisionKind::Stop => format!("trial {trial}: stop: {}", decision.reason),
        DecisionKind::Unspecified => format!("trial {trial}: {}", decision.reason),
    }
}

/// The experiment, without its configuration.
pub fn experiment(machine: &Machine, now_ms: i64) -> v1::Experiment {
    let (spec, fold) = (&machine.spec, &machine.fold);
    let searcher = &spec.config.searcher;
    let running_ms =
        if fold.state == State::Active { now_ms.saturating_sub(fold.active_since_ms).max(0) } else { 0 };
    let counted = fold.trials.len() as u64 - fold.counts[TrialState::InvalidHyperparameters as usize];
    v1::Experiment {
        id: spec.id,
        name: spec.name.clone(),
        description: spec.config.description.clone(),
        labels: spec.config.labels.clone(),
        state: state(fold.state).into(),
        reason: program::why_nothing_runs(machine)
            .or_else(|| answers::why_nothing_runs(machine))
            .unwrap_or_else(|| fold.reason.clone()),
        searcher: searcher.method.name().to_owned(),
        metric: searcher.metric.clone(),
        smaller_is_better: searcher.smaller_is_better,
        time_metric: searcher.time_metric.clone(),
        max_length: searcher.max_length,
        created_unix_ms: spec.created_ms,
        ended_unix_ms: fold.ended_ms,
        progress: if fold.state == State::Completed { 1.0 } else { fold.searcher.progress() },
        trials: Some(counts(machine)),
        total_length: fold.total_length,
        full_length: counted.saturating_mul(searcher.max_length),
        best: best(machine),
        config_json: String::new(),
        slots_in_use: slots_in_use(machine),
        warnings: Vec::new(),
        active_ms: fold.active_ms.saturating_add(running_ms as u64),
        collecting: fold.state.is_end(),
        source_experiment: spec.source_experiment,
        // The store has them.
        checkpoint_bytes: 0,
        checkpoint_count: 0,
        ends: fold.ends.view(),
        excluded_agents: fold.nodes.excluded().map(excluded).collect(),
        searcher_notes: fold.searcher.notes(),
        program: program::view(machine),
    }
}

fn excluded((agent, time_unix_ms, reason): (&str, i64, &str)) -> v1::ExcludedAgent {
    v1::ExcludedAgent { agent: agent.to_owned(), reason: reason.to_owned(), time_unix_ms }
}

fn slots_in_use(machine: &Machine) -> u32 {
    let placed =
        |id: &u32| machine.trial(*id)?.placement.as_ref().map(|placement| placement.slots.len() as u32);
    machine.fold.active.iter().filter_map(placed).sum()
}

fn counts(machine: &Machine) -> v1::TrialCounts {
    let count = |state: TrialState| machine.fold.counts[state as usize];
    v1::TrialCounts {
        total: machine.fold.trials.len() as u64,
        pending: count(TrialState::Pending),
        starting: count(TrialState::Starting),
        running: count(TrialState::Running),
        stopping: count(TrialState::Stopping),
        paused: count(TrialState::Paused),
        completed: count(TrialState::Completed),
        stopped: count(TrialState::Stopped),
        error: count(TrialState::Error),
        invalid: count(TrialState::InvalidHyperparameters),
        killed: count(TrialState::Killed),
    }
}

fn best(machine: &Machine) -> Option<v1::BestTrial> {
    machine.fold.best.as_ref().map(|best| v1::BestTrial {
        trial: best.trial,
        metric: machine.spec.as_reported(best.metric),
        length: best.length,
        hparams_json: best.hparams_json.to_string(),
        checkpoint: best.checkpoint.as_ref().map(|checkpoint| checkpoint.0.clone()),
    })
}

/// One trial. `id` must exist. Of an ended trial only the numbers: its record in the store has the rest.
pub fn trial(machine: &Machine, id: u32) -> v1::Trial {
    let Some(trial) = machine.trial(id) else { return v1::Trial::default() };
    let reported = |metric: f64| trial.validated.then(|| machine.spec.as_reported(metric));
    let placement = trial.placement.as_deref();
    let trouble = trial.trouble.as_deref();
    v1::Trial {
        id,
        state: trial.state().into(),
        reason: answers::why_pending(machine, trial),
        hparams_json: trial.hparams_json.to_string(),
        length: trial.length,
        train_until: trial.train_until,
        best_metric: reported(trial.best),
        best_length: trial.best_length,
        latest_metric: reported(trial.latest),
        attempt: trial.attempt,
        restarts: trial.restarts,
        agent: placement.map(|placement| placement.agent.to_string()).unwrap_or_default(),
        slots: placement.map(|placement| placement.slots.clone()).unwrap_or_default(),
        checkpoint: trial.checkpoint.as_ref().map(|checkpoint| checkpoint.0.clone()),
        created_unix_ms: trial.created_ms,
        ended_unix_ms: trial.ended_ms,
        failure: trial.failure.as_ref().map(|exit| exit.0.clone()),
        bracket: trial.bracket,
        ends: trouble.and_then(|trouble| trouble.ends.view()),
        log_policies: trouble.map(Trouble::policies).unwrap_or_default(),
        excluded_agents: trouble
            .iter()
            .flat_map(|trouble| &trouble.without)
            .map(ToString::to_string)
            .collect(),
    }
}

/// Trials `after + 1 …`, at most `limit`, by id.
pub fn trials_by_id(machine: &Machine, after: u32, limit: usize) -> Vec<v1::Trial> {
    let last = machine.fold.trials.len() as u32;
    (after.saturating_add(1)..=last).take(limit).map(|id| trial(machine, id)).collect()
}

/// The best `limit` trials, best first; those without a validation come last.
pub fn trials_best_first(machine: &Machine, limit: usize) -> Vec<v1::Trial> {
    // Of equals the one that was first is shown as the best; it leads here too.
    let best = machine.fold.best.as_ref().map(|best| best.trial);
    let rank = |trial: &Trial| if trial.best.is_nan() { f64::INFINITY } else { trial.best };
    let mut order: Vec<(bool, f64, u32)> = machine
        .fold
        .trials
        .iter()
        .zip(1u32..)
        .map(|(trial, id)| (!trial.validated, rank(trial), id))
        .collect();
    let by_rank = |a: &(bool, f64, u32), b: &(bool, f64, u32)| {
        a.0.cmp(&b.0)
            .then(a.1.total_cmp(&b.1))
            .then((best != Some(a.2)).cmp(&(best != Some(b.2))))
            .then(a.2.cmp(&b.2))
    };
    if limit < order.len() {
        order.select_nth_unstable_by(limit, by_rank);
        order.truncate(limit);
    }
    order.sort_unstable_by(by_rank);
    order.into_iter().map(|(_, _, id)| trial(machine, id)).collect()
}

/// The rung ladder.
pub fn rungs(machine: &Machine) -> Vec<v1::Rung> {
    let rung = |rung: toprung_searchers::RungView| v1::Rung {
        bracket: rung.bracket,
        index: rung.index,
        length: rung.length,
        trials: rung.trials,
        promoted: rung.promoted,
        best: rung.best.map_or(f64::NAN, |best| machine.spec.as_reported(best)),
    };
    machine.fold.searcher.rungs().into_iter().map(rung).collect()
}

/// Trials that are pending, starting, running or stopping, those that hold slots first; at most `limit`.
pub fn active(machine: &Machine, limit: usize) -> Vec<v1::Trial> {
    let holds = |id: &u32| machine.trial(*id).is_some_and(Trial::holds_slots);
    let (holding, waiting): (Vec<u32>, Vec<u32>) = machine.fold.active.iter().copied().partition(holds);
    holding.into_iter().chain(waiting).take(limit).map(|id| trial(machine, id)).collect()
}
