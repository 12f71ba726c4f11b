//! Log policies: printed lines are matched against the experiment's patterns. A match is told once for each attempt and
//! policy. Patterns are compiled once and match in time linear in the line, which the reader of the output bounds.

use regex::Regex;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use toprung_proto::v1::{LogPolicy, PolicyMatched};

/// Experiments whose compiled patterns are kept.
const KEPT: usize = 8;
/// Of a line that matched, at most so many bytes are told.
const LONGEST: usize = 512;

type Compiled = Arc<Vec<Regex>>;
static CACHE: Mutex<VecDeque<(Vec<String>, Compiled)>> = Mutex::new(VecDeque::new());

/// The policies of one attempt.
#[derive(Debug)]
pub(crate) struct Policies {
    given: Vec<LogPolicy>,
    patterns: Compiled,
    told: Vec<AtomicBool>,
}

impl Policies {
    /// Of an attempt that begins. An error names the policy and says what is wrong with its pattern.
    pub(crate) fn new(policies: &[LogPolicy]) -> Result<Self, String> {
        let patterns = compiled(policies)?;
        let told = policies.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(Self { given: policies.to_vec(), patterns, told })
    }

    /// The policies that this line is the first of the attempt to match.
    pub(crate) fn matched(&self, line: &str) -> Vec<PolicyMatched> {
        let all = self.given.iter().zip(self.patterns.iter()).zip(&self.told);
        all.filter(|((_, pattern), told)| !told.load(Ordering::Relaxed) && pattern.is_match(line))
            // Both outputs may match at once: only one of them tells.
            .filter(|(_, told)| !told.swap(true, Ordering::Relaxed))
            .map(|((policy, _), _)| PolicyMatched {
                name: policy.name.clone(),
                pattern: policy.pattern.clone(),
                action: policy.action,
                line: line
                    .trim()
                    .get(..line.trim().floor_char_boundary(LONGEST))
                    .unwrap_or_default()
                    .to_owned(),
            })
            .collect()
    }
}

/// Compiling costs more than starting a process: an experiment's patterns are compiled once.
fn compiled(policies: &[LogPolicy]) -> Result<Compiled, String> {
    let patterns: Vec<String> = policies.iter().map(|policy| policy.pattern.clone()).collect();
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = cache.iter().find(|(known, _)| *known == patterns) {
        return Ok(Arc::clone(known));
    }
    let compile = |pattern: &String| {
        Regex::new(pattern)
            .map_err(|error| format!("log_policies: `{pattern}` is not a regular expression: {error}"))
    };
    let new = Arc::new(patterns.iter().map(compile).collect::<Result<Vec<_>, _>>()?);
    if cache.len() == KEPT {
        cache.pop_front();
    }
    cache.push_back((patterns, Arc::clone(&new)));
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use toprung_proto::v1::LogPolicyAction;

    fn policy(name: &str, pattern: &str, action: LogPolicyAction) -> LogPolicy {
        LogPolicy { name: name.into(), pattern: pattern.into(), action: action.into() }
    }

    #[test]
    fn a_match_is_told_once_with_what_follows_from_it() {
        let given = [
            policy("ECC", "uncorrectable ECC", LogPolicyAction::ExcludeNode),
            policy("", "^never", LogPolicyAction::CancelRetries),
        ];
        let policies = Policies::new(&given).unwrap();
        assert_eq!(policies.matched("all is well; never mind"), []);
        let found = policies.matched("  CUDA error: uncorrectable ECC error encountered  ");
        assert_eq!(
            (found.len(), found[0].name.as_str(), found[0].action()),
            (1, "ECC", LogPolicyAction::ExcludeNode)
        );
        assert_eq!(found[0].line, "CUDA error: uncorrectable ECC error encountered");
        assert_eq!(policies.matched("uncorrectable ECC error again"), []);
        assert_eq!(policies.matched("never").len(), 1);
        assert_eq!(
            Policies::new(&given).unwrap().matched("uncorrectable ECC").len(),
            1,
            "each attempt tells"
        );
    }

    #[test]
    fn lines_are_cut_and_bad_patterns_named() {
        let policies = Policies::new(&[policy("x", "x", LogPolicyAction::Unspecified)]).unwrap();
        assert!(policies.matched(&"éx".repeat(4000))[0].line.len() <= LONGEST);
        let error = Policies::new(&[policy("x", "(", LogPolicyAction::Unspecified)]).unwrap_err();
        assert!(error.starts_with("log_policies: `(` is not a regular expression"), "{error}");
    }
}
