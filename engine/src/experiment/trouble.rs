//! What a trial has gone through: counters, the agents it keeps away from, log policies that its lines matched. Most trials
//! have none of it.

use serde::{Deserialize, Serialize};
use toprung_proto::v1::{LogPolicyAction, PolicyMatched};

use super::ends::Ends;
use super::snapshot::Stored;

/// Agents that are avoided, and those that it does without, at most each.
const MOST: usize = 16;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    /// How its attempts ended.
    pub ends: Ends,
    /// Agents on which it failed since it last got further: it rather runs elsewhere.
    pub avoid: Vec<Box<str>>,
    /// Agents on which it does not run while another could hold it.
    pub without: Vec<Box<str>>,
    /// Failures to start that were not charged, because it could be tried elsewhere.
    pub moved: u32,
    /// Log policies that its lines matched, with the newest attempt that did; each policy once.
    matched: Vec<(u32, Stored<PolicyMatched>)>,
}

impl Trouble {
    /// It failed on an agent. Answers whether it had done so before, without getting further in between.
    pub fn failed_on(&mut self, agent: &str) -> bool {
        let again = self.avoid.iter().any(|known| &**known == agent);
        add(&mut self.avoid, agent);
        again
    }

    /// It does without this agent from now on.
    pub fn leave(&mut self, agent: &str) {
        add(&mut self.without, agent);
    }

    /// Whether it does without this agent.
    pub fn has_left(&self, agent: &str) -> bool {
        self.without.iter().any(|known| &**known == agent)
    }

    /// A line of an attempt matched a log policy.
    pub fn matched(&mut self, attempt: u32, policy: &PolicyMatched) {
        let same = |known: &PolicyMatched| known.name == policy.name && known.pattern == policy.pattern;
        self.matched.retain(|(_, known)| !same(&known.0));
        if self.matched.len() == MOST {
            self.matched.remove(0);
        }
        self.matched.push((attempt, Stored(policy.clone())));
    }

    /// The policy with this action that a line of this attempt matched.
    pub fn policy(&self, attempt: u32, action: LogPolicyAction) -> Option<&PolicyMatched> {
        let found =
            |(by, policy): &&(u32, Stored<PolicyMatched>)| *by == attempt && policy.0.action() == action;
        self.matched.iter().find(found).map(|(_, policy)| &policy.0)
    }

    /// All policies that lines of its attempts matched.
    pub fn policies(&self) -> Vec<PolicyMatched> {
        self.matched.iter().map(|(_, policy)| policy.0.clone()).collect()
    }
}

fn add(agents: &mut Vec<Box<str>>, agent: &str) {
    if agents.iter().any(|known| &**known == agent) {
        return;
    }
    if agents.len() == MOST {
        agents.remove(0);
    }
    agents.push(agent.into());
}

/// "log policy `ECC Error` (line: uncorrectable …)"
pub fn say(policy: &PolicyMatched) -> String {
    let name = if policy.name.is_empty() { &policy.pattern } else { &policy.name };
    format!("log policy `{name}` (line: {})", policy.line)
}
