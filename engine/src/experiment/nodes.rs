//! How the agents fare in one experiment, and when one is excluded from it. Pure.
//!
//! A *strike* is a trial whose attempt failed on an agent by a cause that may be the node's, before it had reported
//! anything there. An agent is excluded when [`STRIKES`] different trials have struck it in a row and something was
//! reported on another agent since the first of them. What speaks for the agent or against the trial:
//! * a report on the agent ends the row, and those who failed there are to blame themselves until they report;
//! * a trial that failed on several agents and got nowhere counts against none of them.
//!
//! A trial that got further elsewhere keeps counting, whatever it does later. A failure that a log policy blames on the
//! node counts although it had reported, and no report takes it back.
//!
//! Invariant: an agent is excluded only while another one that is not is known to do well, so never the last.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Different trials that must have failed on an agent.
pub const STRIKES: usize = 3;
/// Strikes remembered of one agent; older ones are forgotten.
const REMEMBERED: usize = 64;

/// A trial that failed on an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Strike {
    /// Record of its first failure there.
    at: u64,
    /// Its failures there that were charged to it.
    charged: u32,
    /// It got further elsewhere, or has ended.
    settled: bool,
    /// A log policy blames the node.
    by_policy: bool,
}

/// One agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    /// Attempts that failed there, and those of them that could not start.
    failures: u64,
    unstartable: u64,
    /// Attempts that reported something there, and the newest record with such a report.
    well: u64,
    well_at: u64,
    strikes: BTreeMap<u32, Strike>,
    /// When and why it was excluded.
    excluded: Option<(i64, Box<str>)>,
}

/// A failure that may be the node's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The trial.
    pub trial: u32,
    /// Whether it was charged.
    pub charged: bool,
    /// Whether it had reported something in this attempt.
    pub reported: bool,
    /// Whether a log policy blames the node.
    pub by_policy: bool,
    /// Whether its process could not even start.
    pub unstartable: bool,
}

/// An agent that is to be excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The agent.
    pub agent: String,
    /// For people, with the numbers.
    pub reason: String,
}

/// All agents of one experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    by_name: BTreeMap<String, Node>,
    /// Trials that failed where others did well afterwards; until they report.
    to_blame: BTreeSet<u32>,
    /// Whether any agent has so many strikes that a report elsewhere may exclude it.
    suspected: bool,
}

impl Nodes {
    /// An attempt failed on an agent, in this record.
    pub fn failed(&mut self, agent: &str, failed: Failed, record: u64) {
        let node = self.by_name.entry(agent.to_owned()).or_default();
        node.failures += 1;
        node.unstartable += u64::from(failed.unstartable);
        if node.excluded.is_some() || (failed.reported && !failed.by_policy) {
            return;
        }
        let first = Strike { at: record, charged: 0, settled: false, by_policy: false };
        let strike = node.strikes.entry(failed.trial).or_insert(first);
        strike.charged += u32::from(failed.charged);
        strike.by_policy |= failed.by_policy;
        if node.strikes.len() > REMEMBERED {
            let oldest = node.strikes.iter().min_by_key(|(_, strike)| strike.at).map(|(trial, _)| *trial);
            oldest.map(|trial| node.strikes.remove(&trial));
        }
        self.suspected |= node.strikes.len() >= STRIKES;
    }

    /// An attempt reported something on an agent, in this record. `first`: its first report.
    pub fn reported(&mut self, agent: &str, trial: u32, first: bool, record: u64) {
        if !self.by_name.contains_key(agent) {
            self.by_name.insert(agent.to_owned(), Node::default());
        }
        let Some(node) = self.by_name.get_mut(agent) else { return };
        node.well += u64::from(first);
        node.well_at = record;
        if !node.strikes.is_empty() {
            let blamed = node.strikes.iter().filter(|(other, strike)| **other != trial && !strike.settled);
            self.to_blame.extend(blamed.map(|(other, _)| *other));
            node.strikes.retain(|_, strike| strike.by_policy);
        }
    }

    /// A trial that had failed before has reported something on an agent: its failures elsewhere were not its own.
    pub fn got_further(&mut self, agent: &str, trial: u32) {
        self.to_blame.remove(&trial);
        let others = self.by_name.iter_mut().filter(|(name, _)| *name != agent);
        for strike in others.filter_map(|(_, node)| node.strikes.get_mut(&trial)) {
            strike.settled = true;
        }
    }

    /// A trial has ended: what it says of agents stands.
    pub fn ended(&mut self, trial: u32) {
        let names: Vec<String> = self
            .by_name
            .iter()
            .filter(|(_, node)| node.strikes.contains_key(&trial))
            .map(|(name, _)| name.clone())
            .collect();
        let counting: Vec<bool> = names.iter().map(|name| self.counts(name, trial)).collect();
        for (name, counts) in names.iter().zip(counting) {
            let Some(node) = self.by_name.get_mut(name) else { continue };
            match node.strikes.get_mut(&trial) {
                Some(strike) if counts => strike.settled = true,
                _ => drop(node.strikes.remove(&trial)),
            }
        }
        self.to_blame.remove(&trial);
    }

    /// Whether a trial's failure counts against the agent.
    fn counts(&self, agent: &str, trial: u32) -> bool {
        let Some(strike) = self.by_name.get(agent).and_then(|node| node.strikes.get(&trial)) else {
            return false;
        };
        let open = |node: &Node| node.strikes.get(&trial).is_some_and(|strike| !strike.settled);
        let elsewhere = || self.by_name.iter().any(|(name, node)| name != agent && open(node));
        strike.by_policy || strike.settled || !(self.to_blame.contains(&trial) || elsewhere())
    }

    /// The next agent to exclude. `never`: the one that must stay.
    pub fn verdict(&mut self, never: &str) -> Option<Verdict> {
        if !self.suspected {
            return None;
        }
        let found = self.by_name.keys().filter(|name| *name != never).find_map(|name| self.verdict_on(name));
        if found.is_none() {
            let open = |node: &Node| node.excluded.is_none() && node.strikes.len() >= STRIKES;
            self.suspected = self.by_name.values().any(open);
        }
        found
    }

    fn verdict_on(&self, agent: &str) -> Option<Verdict> {
        let node = self
            .by_name
            .get(agent)
            .filter(|node| node.excluded.is_none() && node.strikes.len() >= STRIKES)?;
        let counting = || node.strikes.iter().filter(|(trial, _)| self.counts(agent, **trial));
        let strikes = counting().count();
        let since = counting().map(|(_, strike)| strike.at).min().filter(|_| strikes >= STRIKES)?;
        let well = |(name, other): &(&String, &Node)| {
            *name != agent && other.excluded.is_none() && other.well_at >= since
        };
        let (agents, attempts) = self
            .by_name
            .iter()
            .filter(well)
            .fold((0u64, 0), |(agents, sum), (_, other)| (agents + 1, sum + other.well));
        let of = |count: u64, word: &str| {
            if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
        };
        let reason = format!(
            "{strikes} different trials failed there in a row; on {} {} went well",
            of(agents, "other agent"),
            of(attempts, "attempt")
        );
        (agents > 0).then(|| Verdict { agent: agent.to_owned(), reason })
    }

    /// Excludes an agent: the trials that failed there, each with how many of its failures were charged.
    pub fn exclude(&mut self, verdict: &Verdict, now_ms: i64) -> Vec<(u32, u32)> {
        let node = self.by_name.entry(verdict.agent.clone()).or_default();
        node.excluded = Some((now_ms, verdict.reason.as_str().into()));
        let strikes = std::mem::take(&mut node.strikes);
        strikes.into_iter().map(|(trial, strike)| (trial, strike.charged)).collect()
    }

    /// Whether an agent is excluded.
    pub fn is_excluded(&self, agent: &str) -> bool {
        self.by_name.get(agent).is_some_and(|node| node.excluded.is_some())
    }

    /// Whether nothing ever failed on an agent.
    pub fn is_unblemished(&self, agent: &str) -> bool {
        self.by_name.get(agent).is_none_or(|node| node.failures == 0)
    }

    /// Agents on which a process could not start.
    pub fn unstartable(&self) -> u32 {
        self.by_name.values().filter(|node| node.unstartable > 0).count() as u32
    }

    /// Excluded agents: name, when, why.
    pub fn excluded(&self) -> impl Iterator<Item = (&str, i64, &str)> {
        self.by_name.iter().filter_map(|(name, node)| {
            let (when, why) = node.excluded.as_ref()?;
            Some((name.as_str(), *when, &**why))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn failed(trial: u32) -> Failed {
        Failed { trial, charged: true, reported: false, by_policy: false, unstartable: false }
    }

    /// What follows from events in order: `(agent, trial, whether it failed)`.
    fn after(events: &[(&str, u32, bool)]) -> (Nodes, Option<Verdict>) {
        let mut nodes = Nodes::default();
        for (record, (agent, trial, fails)) in (1..).zip(events) {
            if *fails {
                nodes.failed(agent, failed(*trial), record);
            } else {
                nodes.reported(agent, *trial, true, record);
                nodes.got_further(agent, *trial);
            }
        }
        let verdict = nodes.verdict("");
        (nodes, verdict)
    }

    const THREE: [(&str, u32, bool); 3] = [("bad", 1, true), ("bad", 2, true), ("bad", 3, true)];

    #[test]
    fn three_trials_in_a_row_and_something_that_went_well_elsewhere_exclude_an_agent() {
        assert_eq!(after(&THREE).1, None, "nothing says that it is the agent");
        assert_eq!(after(&[&[("good", 4, false)], &THREE[..]].concat()).1, None, "that was before");
        let (mut nodes, verdict) =
            after(&[&THREE[..], &[("good", 4, false), ("fine", 5, false), ("fine", 6, false)]].concat());
        let verdict = verdict.unwrap();
        assert_eq!(verdict.agent, "bad");
        assert_eq!(
            verdict.reason,
            "3 different trials failed there in a row; on 2 other agents 3 attempts went well"
        );
        assert_eq!(nodes.exclude(&verdict, 7), [(1, 1), (2, 1), (3, 1)]);
        assert!(nodes.is_excluded("bad") && !nodes.is_excluded("good"));
        assert_eq!(nodes.verdict(""), None);
        let found: Vec<_> = nodes.excluded().map(|(name, when, _)| (name, when)).collect();
        assert_eq!(found, [("bad", 7)]);
    }

    #[test]
    fn one_trial_is_not_three_and_a_report_ends_the_row() {
        let one = [("bad", 1, true), ("bad", 1, true), ("bad", 1, true), ("good", 2, false)];
        assert_eq!(after(&one).1, None);
        let broken =
            [("bad", 1, true), ("bad", 2, true), ("bad", 9, false), ("bad", 3, true), ("good", 4, false)];
        assert_eq!(after(&broken).1, None);
    }

    #[test]
    fn trials_that_fail_everywhere_blame_no_agent() {
        let everywhere: Vec<_> = (1..=5).flat_map(|trial| [("a", trial, true), ("b", trial, true)]).collect();
        assert_eq!(after(&[&everywhere[..], &[("c", 9, false)]].concat()).1, None);
        // Where others did well, they are to blame: then their failures elsewhere say nothing either.
        let guilty: Vec<_> =
            (1..=3).flat_map(|trial| [("a", trial, true), ("a", 9, false), ("b", trial, true)]).collect();
        assert_eq!(after(&guilty).1, None);
    }

    #[test]
    fn trials_that_got_further_elsewhere_count_although_they_failed_on_two() {
        let mut events: Vec<_> = (1..=3).flat_map(|trial| [("a", trial, true), ("b", trial, true)]).collect();
        events.extend((1..=3).map(|trial| ("c", trial, false)));
        let (mut nodes, verdict) = after(&events);
        let first = verdict.unwrap();
        assert_eq!(first.agent, "a");
        nodes.exclude(&first, 0);
        assert_eq!(nodes.verdict("").unwrap().agent, "b");
        assert_eq!(nodes.verdict("b"), None, "the one that must stay");
    }

    #[test]
    fn trials_that_ended_still_count() {
        let (mut nodes, _) = after(&THREE);
        (1..=3).for_each(|trial| nodes.ended(trial));
        nodes.reported("good", 4, true, 9);
        assert!(nodes.verdict("").is_some());
    }

    #[test]
    fn what_a_log_policy_blames_on_the_node_counts_whatever_is_reported_there() {
        let mut nodes = Nodes::default();
        for trial in 1..=3 {
            nodes.reported("bad", trial, true, u64::from(trial));
            nodes.failed(
                "bad",
                Failed { reported: true, by_policy: true, ..failed(trial) },
                u64::from(trial),
            );
        }
        nodes.reported("bad", 8, true, 4);
        nodes.reported("good", 9, true, 5);
        assert_eq!(nodes.verdict("").unwrap().agent, "bad");
    }

    #[test]
    fn strikes_are_bounded() {
        let mut nodes = Nodes::default();
        (1..=1000).for_each(|trial| nodes.failed("a", failed(trial), u64::from(trial)));
        assert_eq!(nodes.by_name["a"].strikes.len(), REMEMBERED);
        assert_eq!(nodes.by_name["a"].strikes.first_key_value().unwrap().0, &937, "the oldest are forgotten");
    }

    proptest! {
        #[test]
        fn an_agent_that_does_well_is_left_whatever_happens(
            events in prop::collection::vec((0..4usize, 1..12u32, 0..4u8), 0..300),
        ) {
            const NAMES: [&str; 4] = ["a", "b", "c", "d"];
            let mut nodes = Nodes::default();
            for (record, (agent, trial, what)) in (1..).zip(events) {
                match what {
                    0 => {
                        nodes.reported(NAMES[agent], trial, true, record);
                        nodes.got_further(NAMES[agent], trial);
                    }
                    1 => nodes.ended(trial),
                    _ => nodes.failed(NAMES[agent], Failed { by_policy: what == 3, ..failed(trial) }, record),
                }
                while let Some(verdict) = nodes.verdict("") {
                    nodes.exclude(&verdict, 0);
                }
                prop_assert!(nodes.excluded().count() < NAMES.len(), "the last agent is excluded");
            }
        }
    }
}
