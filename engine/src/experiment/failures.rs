//! Whose failure it was: whether it is charged, where the trial goes next, and which agent is excluded.
//!
//! | what failed | charged | where next |
//! |---|---|---|
//! | the script: exit code, signal, memory | yes, of `max_restarts` | rather on another agent; after twice on one, not there |
//! | a start (environment, entrypoint), and there are other agents | no, up to [`MOVES`] times | not there |
//! | anything that led to an agent's exclusion, or ran there when it came | no: it is given back | not there |
//! | after a log policy with `exclude_node` | yes | not there |
//! | after a log policy with `cancel_retries` | – | nowhere: the trial ends |
//!
//! "Not there" holds while another agent could hold the trial: rather an excluded agent than none. A trial whose
//! checkpoint only the agent it leaves can read starts again elsewhere.

use toprung_proto::v1::{self, ExitCause, LogPolicyAction};

use super::effect::Effect;
use super::exits::HOPELESS_TRIALS;
use super::machine::{Machine, State, Turn};
use super::nodes::{Failed, Verdict};
use super::trial::{Phase, Placement, Trial};
use super::trouble;
use crate::scheduler::Wish;

/// Back-off after a trial's first failure; it doubles with each further one.
const FIRST_BACK_OFF_MS: u64 = 500;
/// Longest back-off.
const MAX_BACK_OFF_MS: u64 = 60_000;
/// So often a trial that could not start is tried elsewhere without charge.
const MOVES: u32 = 3;
/// While nothing has ever started: on so many agents it must have failed to start before the experiment is given up.
const UNSTARTABLE: u32 = 3;

impl Machine {
    pub(super) fn count(&mut self, id: u32, cause: ExitCause) {
        self.fold.ends.count(cause);
        self.trial_mut(id).trouble_mut().ends.count(cause);
    }

    pub(super) fn count_preemption(&mut self, id: u32) {
        self.fold.ends.preempted += 1;
        self.trial_mut(id).trouble_mut().ends.preempted += 1;
    }

    pub(super) fn on_failure(
        &mut self,
        id: u32,
        exit: &v1::Exit,
        place: Option<&Placement>,
        turn: &mut Turn,
    ) {
        self.note_failure(id, exit, turn);
        let spared = place.and_then(|place| self.why_not_charged(id, exit, place));
        if let Some(place) = place {
            self.strike(id, exit, place, spared.is_none());
        }
        let unstartable = is_unstartable(exit) && !self.fold.started;
        if unstartable && self.fold.nodes.unstartable() >= self.fold.agents_there.clamp(1, UNSTARTABLE) {
            // The same for every trial: a missing entrypoint or an environment that cannot be built.
            self.give_up(id, &exit.message, turn);
            self.on_kill(&format!("no trial can start: {}", exit.message), State::Error, turn);
            return;
        }
        if spared.is_some() {
            self.give_back(id, 1, 0);
        } else {
            self.trial_mut(id).restarts += 1;
        }
        // First: it may give this failure back.
        self.judge_agents(turn);
        let now_excluded = |place: &&Placement| !place.excluded && self.fold.nodes.is_excluded(&place.agent);
        let given_back = |place: &Placement| format!("agent {} was excluded", place.agent);
        let spared = spared.or_else(|| place.filter(now_excluded).map(given_back));
        self.go_on_after(id, exit, spared, turn);
        self.give_up_if_hopeless(id, exit, turn);
    }

    /// Why a failure is not the trial's; `None`: it is.
    fn why_not_charged(&mut self, id: u32, exit: &v1::Exit, place: &Placement) -> Option<String> {
        if self.fold.nodes.is_excluded(&place.agent) && !place.excluded {
            return Some(format!("agent {} is excluded", place.agent));
        }
        let others = self.fold.agents_there >= 2;
        let home = self.trial(id)?.home.as_deref() == Some(&place.agent);
        let trouble = self.trial_mut(id).trouble_mut();
        if !is_unstartable(exit) || !others || home || trouble.moved >= MOVES {
            return None;
        }
        trouble.moved += 1;
        trouble.leave(&place.agent);
        Some("it is tried on another agent".to_owned())
    }

    /// Notes where it failed.
    fn strike(&mut self, id: u32, exit: &v1::Exit, place: &Placement, charged: bool) {
        let others = self.fold.agents_there >= 2;
        let trial = self.trial_mut(id);
        let (attempt, home) = (trial.attempt, trial.home.as_deref() == Some(&place.agent));
        let trouble = trial.trouble_mut();
        let by_policy = trouble.policy(attempt, LogPolicyAction::ExcludeNode).is_some();
        let again = trouble.failed_on(&place.agent) && !place.reported;
        if again && others && !home {
            trouble.leave(&place.agent);
        }
        let (reported, unstartable) = (place.reported, is_unstartable(exit));
        let failed = Failed { trial: id, charged, reported, by_policy, unstartable };
        self.fold.nodes.failed(&place.agent, failed, self.fold.sequence + 1);
    }

    /// After a failure: again, or never.
    fn go_on_after(&mut self, id: u32, exit: &v1::Exit, spared: Option<String>, turn: &mut Turn) {
        let max = self.spec.config.max_restarts;
        let trial = self.trial_mut(id);
        let attempt = trial.attempt;
        let cancelled =
            trial.trouble.as_deref().and_then(|it| it.policy(attempt, LogPolicyAction::CancelRetries));
        if let Some(policy) = cancelled {
            let reason = format!("{}; not tried again: {}", exit.message, trouble::say(policy));
            trial.restarts = trial.restarts.min(max);
            self.give_up(id, &reason, turn);
        } else if trial.restarts > max {
            trial.restarts = max;
            self.give_up(id, &format!("{} (after {max} of {max} restarts)", exit.message), turn);
        } else {
            self.retry(id, exit, spared, turn);
        }
    }

    /// Back to the queue after a while, from its last checkpoint.
    fn retry(&mut self, id: u32, exit: &v1::Exit, spared: Option<String>, turn: &mut Turn) {
        let max = self.spec.config.max_restarts;
        let trial = self.trial_mut(id);
        let (attempt, restarts) = (trial.attempt, trial.restarts);
        let failures = restarts + trial.trouble.as_ref().map_or(0, |trouble| trouble.ends.not_charged);
        let delay_ms = (FIRST_BACK_OFF_MS << failures.saturating_sub(1).min(16)).min(MAX_BACK_OFF_MS);
        let what = match spared {
            Some(why) => format!("not charged: {why}, after {delay_ms} ms"),
            None => format!("retry {restarts} of {max} after {delay_ms} ms"),
        };
        trial.reason = format!("{}; {what}", exit.message).into();
        self.set_phase(id, Phase::Pending { backing_off: true });
        turn.step.effects.push(Effect::RetryAfter { trial: id, attempt, delay_ms });
    }

    /// Failures that were counted are not the trial's: `restarts` of them were charged.
    fn give_back(&mut self, id: u32, failures: u32, restarts: u32) {
        self.fold.failures = self.fold.failures.saturating_sub(failures);
        self.fold.ends.not_charged += failures;
        let trial = self.trial_mut(id);
        trial.restarts = trial.restarts.saturating_sub(restarts);
        trial.trouble_mut().ends.not_charged += failures;
    }

    /// Excludes the agents that are to blame.
    pub(super) fn judge_agents(&mut self, turn: &mut Turn) {
        let only = self.spec.warm_start.as_ref().map(|source| source.agent.clone()).unwrap_or_default();
        // The pool's count is of agents that could do and are not excluded: never the last of them.
        while self.fold.agents_there >= 2
            && let Some(verdict) = self.fold.nodes.verdict(&only)
        {
            self.exclude(&verdict, turn);
        }
    }

    fn exclude(&mut self, verdict: &Verdict, turn: &mut Turn) {
        let Verdict { agent, reason } = verdict;
        for (id, charged) in self.fold.nodes.exclude(verdict, turn.now_ms) {
            let Some(trial) = self.trial(id).filter(|trial| !matches!(trial.phase, Phase::Ended(_))) else {
                continue;
            };
            if let Phase::Pending { .. } = trial.phase {
                let given_back = format!("{}; not charged: agent {agent} was excluded", trial.reason);
                self.trial_mut(id).reason = given_back.into();
            }
            self.give_back(id, charged, charged);
        }
        self.fold.agents_there -= 1;
        turn.state_changed = true;
        turn.step.lines.push(format!("agent {agent} is excluded from this experiment: {reason}"));
        turn.step.effects.push(Effect::Exclude { agent: agent.clone(), reason: reason.clone() });
        // Those that wait for it, because their checkpoint lies there, go elsewhere.
        for id in self.active_ids() {
            let waits = |trial: &Trial| {
                trial.phase == Phase::Pending { backing_off: false } && trial.home.as_deref() == Some(agent)
            };
            if self.fold.state == State::Active && self.trial(id).is_some_and(waits) {
                self.request(id, turn);
            }
        }
    }

    /// Whether nothing speaks for the experiment: no validation yet, and nothing holds slots of an agent on which
    /// nothing has failed.
    pub(super) fn may_be_hopeless(&self) -> bool {
        let promising = |id: &u32| {
            let place = self.trial(*id).and_then(|trial| trial.placement.as_ref());
            place
                .is_some_and(|place| !self.spec.is_external() && self.fold.nodes.is_unblemished(&place.agent))
        };
        !self.fold.validated && !self.fold.active.iter().any(promising)
    }

    fn give_up_if_hopeless(&mut self, id: u32, exit: &v1::Exit, turn: &mut Turn) {
        let max = self.spec.config.max_restarts;
        if self.fold.failures > max.max(HOPELESS_TRIALS - 1) && self.may_be_hopeless() {
            let reason = format!(
                "{} attempts failed and no trial ever reported `{}`; the last (trial {id}): {}",
                self.fold.failures, self.spec.config.searcher.metric, exit.message
            );
            turn.actions.clear();
            self.on_kill(&reason, State::Error, turn);
        }
    }

    /// A report of a trial's newest attempt has come.
    pub(super) fn note_progress(&mut self, id: u32, turn: &mut Turn) {
        if self.spec.is_external() {
            return;
        }
        let record = self.fold.sequence + 1;
        let Some(trial) = self.fold.trials.get_mut(id as usize - 1) else { return };
        let Some(place) = trial.placement.as_deref_mut() else { return };
        let first = !std::mem::replace(&mut place.reported, true);
        self.fold.nodes.reported(&place.agent, id, first, record);
        if let Some(trouble) = trial.trouble.as_deref_mut().filter(|_| first) {
            trouble.avoid.clear();
            self.fold.nodes.got_further(&place.agent, id);
        }
        self.judge_agents(turn);
    }

    /// A line of a trial's newest attempt matched a log policy.
    pub(super) fn on_policy(&mut self, id: u32, policy: &v1::PolicyMatched, turn: &mut Turn) {
        let trial = self.trial_mut(id);
        let attempt = trial.attempt;
        let agent = trial.placement.as_ref().map(|place| place.agent.clone());
        let trouble = trial.trouble_mut();
        trouble.matched(attempt, policy);
        let follows = match (policy.action(), agent) {
            (LogPolicyAction::ExcludeNode, Some(agent)) => {
                trouble.leave(&agent);
                format!("; it does not run on {agent} again while another agent is there")
            }
            (LogPolicyAction::CancelRetries, _) => {
                "; if this attempt fails, it is not tried again".to_owned()
            }
            _ => String::new(),
        };
        turn.step.lines.push(format!("trial {id}: {}{follows}", trouble::say(policy)));
    }

    fn keeps_away(&self, trial: &Trial, agent: &str) -> bool {
        let left = trial.trouble.as_ref().is_some_and(|trouble| trouble.has_left(agent));
        left || self.fold.nodes.is_excluded(agent)
    }

    /// The request of a trial for its next attempt.
    pub(super) fn request_of(&self, id: u32) -> Option<Effect> {
        let trial = self.trial(id)?;
        let source =
            self.spec.warm_start.as_ref().map(|source| &*source.agent).filter(|agent| !agent.is_empty());
        let only_on = match trial.home.as_deref() {
            Some(home) if !self.keeps_away(trial, home) => Some(home),
            // Without its own checkpoint it starts from what every trial starts from.
            Some(_) => source,
            None => source.filter(|_| trial.checkpoint.is_none()),
        };
        let names = |names: &[Box<str>]| names.iter().map(ToString::to_string).collect();
        let trouble = trial.trouble.as_deref();
        let wish = Wish {
            only_on: only_on.map(str::to_owned),
            without: trouble.map(|trouble| names(&trouble.without)).unwrap_or_default(),
            avoid: trouble.map(|trouble| names(&trouble.avoid)).unwrap_or_default(),
        };
        Some(Effect::Request { trial: id, attempt: trial.attempt + 1, wish })
    }

    /// What a trial that was placed on an agent says; its checkpoint is forgotten if it lies elsewhere.
    pub(super) fn reason_on(&mut self, id: u32, agent: &str, turn: &mut Turn) -> String {
        let trial = self.trial_mut(id);
        let mut reason = format!("preparing on {agent}");
        if let Some(home) = trial.home.take_if(|home| &**home != agent) {
            trial.checkpoint = None;
            reason =
                format!("{reason}; starts again: its checkpoint lies on {home}, which it keeps away from");
            turn.step.lines.push(format!("trial {id}: {reason}"));
        }
        if self.trial(id).is_some_and(|trial| self.keeps_away(trial, agent)) {
            reason = format!("{reason}, which it keeps away from, but no other agent is there");
            turn.step.lines.push(format!("trial {id}: {reason}"));
        }
        reason
    }
}

fn is_unstartable(exit: &v1::Exit) -> bool {
    matches!(exit.cause(), ExitCause::Entrypoint | ExitCause::Environment)
}
