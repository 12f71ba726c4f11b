//! Why a searcher did something, with the numbers it used.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a trial stands in a rung, at the moment of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The rung, 0 is the shortest.
    pub rung: u32,
    /// The rung's length.
    pub length: u64,
    /// The trial's rank, 1 is the best.
    pub rank: u64,
    /// How many trials the rung holds.
    pub of: u64,
    /// How many of them go on.
    pub go_on: u64,
}

/// Why an action was returned.
///
/// Serialised by position: append variants, never reorder them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// A trial began (the reason of every `Create`).
    Created {
        /// Its bracket, from 0.
        bracket: u32,
        /// It trains to this length first.
        length: u64,
    },
    /// Among the best of its rung: it goes on.
    Promoted(Standing),
    /// Not among the best of its rung yet, or the rung waits for its last trial: it waits for others to report.
    Waits(Standing),
    /// So many are better that no later report can bring it among the best; `go_on` is the most that can go on.
    Outranked(Standing),
    /// Not among the best of its rung, and the stopping rule decides at once.
    Cut(Standing),
    /// It trained to the greatest length.
    MaxLength {
        /// The length it reached.
        length: u64,
    },
    /// It was interrupted, and goes on towards the length it was training to.
    Resumed {
        /// That length.
        length: u64,
    },
    /// It gave its slots back without a checkpoint to continue from.
    NoCheckpoint {
        /// The length it had reported, 0 for nothing.
        length: u64,
    },
    /// Nothing is left to do.
    SearchOver {
        /// How many trials there were, those with invalid hyperparameters left out.
        trials: u64,
    },
    /// So many trials refused their hyperparameters that no more are tried.
    TooManyInvalid {
        /// How many refused.
        invalid: u64,
        /// How many may.
        allowed: u64,
    },
    /// The rankings of the two highest rungs agree, so no trial goes beyond the upper one.
    RankingSettled(Standing),
    /// Worse at its best than most others are on average up to the same length.
    BelowMedian {
        /// The length.
        length: u64,
        /// How many others have a better average.
        better: u64,
        /// How many others validated at this length.
        of: u64,
    },
    /// It trained its part of a round, and waits for the others.
    RoundDone {
        /// The round, from 1.
        round: u32,
        /// The length at its end.
        length: u64,
    },
    /// It stays in the population for the next round.
    Survives {
        /// The round that ended, from 1.
        round: u32,
        /// Its rank, 1 is the best.
        rank: u64,
        /// How many were ranked.
        of: u64,
    },
    /// Among the worst of its round: others take its place.
    Replaced {
        /// The round that ended, from 1.
        round: u32,
        /// Its rank, 1 is the best.
        rank: u64,
        /// How many were ranked.
        of: u64,
    },
    /// Nobody is left who could train in the next round.
    NobodyLeft {
        /// The round that ended, from 1.
        round: u32,
    },
    /// A trial began from another's newest checkpoint.
    Cloned {
        /// The other.
        from: u32,
        /// It trains to this length first.
        length: u64,
    },
    /// The program of a `custom` search wants it; its own words, or none.
    Wanted(Box<str>),
    /// It trained as far as its program wanted so far.
    WaitsForProgram {
        /// That length.
        length: u64,
    },
    /// The trial from which it was to begin has ended.
    ParentGone {
        /// That trial.
        parent: u32,
    },
}

impl fmt::Display for Standing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "rung {} (length {}): rank {} of {}", self.rung, self.length, self.rank, self.of)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { bracket, length } => {
                write!(out, "created in bracket {bracket}, trains to length {length}")
            }
            Self::Waits(standing) if standing.go_on == 0 => {
                write!(out, "{standing}, none goes on yet")
            }
            Self::Waits(standing) if standing.rank <= standing.go_on => {
                write!(
                    out,
                    "{standing} so far, waits for the others; best {} {}",
                    standing.go_on,
                    go(standing.go_on)
                )
            }
            Self::Promoted(standing) | Self::Waits(standing) | Self::Cut(standing) => {
                write!(out, "{standing}, best {} {}", standing.go_on, go(standing.go_on))
            }
            Self::Outranked(standing) => {
                write!(out, "{standing}, at most {} can go on", standing.go_on)
            }
            Self::MaxLength { length } => write!(out, "reached the greatest length ({length})"),
            Self::Resumed { length } => write!(out, "interrupted, goes on to length {length}"),
            Self::NoCheckpoint { length } => {
                write!(out, "no checkpoint to continue from (at length {length})")
            }
            Self::SearchOver { trials } => write!(out, "search over after {trials} trials"),
            Self::TooManyInvalid { invalid, allowed } => {
                write!(out, "{invalid} trials refused their hyperparameters, at most {allowed} may")
            }
            Self::RankingSettled(Standing { rung, length, rank, of, .. }) => {
                write!(
                    out,
                    "rank {rank} of {of} in rung {rung} (length {length}), which ranks as the rung below did: none goes on"
                )
            }
            Self::BelowMedian { length, better, of } => {
                write!(
                    out,
                    "at length {length}, {better} of {of} others are better on average than it is at its best"
                )
            }
            Self::RoundDone { .. }
            | Self::Survives { .. }
            | Self::Replaced { .. }
            | Self::NobodyLeft { .. }
            | Self::Cloned { .. } => self.fmt_of_population(out),
            Self::Wanted(words) if words.is_empty() => out.write_str("the program wants it"),
            Self::Wanted(words) => out.write_str(words),
            Self::WaitsForProgram { length } => {
                write!(out, "reached length {length}, and waits for what its program wants")
            }
            Self::ParentGone { parent } => {
                write!(out, "trial {parent}, from which it was to begin, has ended before")
            }
        }
    }
}

impl Reason {
    /// The reasons of population based training; nothing of others.
    fn fmt_of_population(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoundDone { round, length } => {
                write!(out, "waits for the end of round {round} (length {length})")
            }
            Self::Survives { round, rank, of } => write!(out, "round {round}: rank {rank} of {of}, stays"),
            Self::Replaced { round, rank, of } => {
                write!(out, "round {round}: rank {rank} of {of}, among the worst, is replaced")
            }
            Self::NobodyLeft { round } => write!(out, "no trial of round {round} can go on"),
            Self::Cloned { from, length } => {
                write!(out, "begins from the newest checkpoint of trial {from}, trains to length {length}")
            }
            _ => Ok(()),
        }
    }
}

fn go(count: u64) -> &'static str {
    if count == 1 { "goes on" } else { "go on" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_as_sentences() {
        let standing = Standing { rung: 1, length: 3, rank: 5, of: 9, go_on: 3 };
        assert_eq!(Reason::Waits(standing).to_string(), "rung 1 (length 3): rank 5 of 9, best 3 go on");
        assert_eq!(Reason::Cut(standing).to_string(), "rung 1 (length 3): rank 5 of 9, best 3 go on");
        assert_eq!(
            Reason::Outranked(standing).to_string(),
            "rung 1 (length 3): rank 5 of 9, at most 3 can go on"
        );
        let early = Standing { rank: 2, ..standing };
        assert_eq!(
            Reason::Waits(early).to_string(),
            "rung 1 (length 3): rank 2 of 9 so far, waits for the others; best 3 go on"
        );
        let alone = Standing { rung: 0, length: 1, rank: 1, of: 2, go_on: 0 };
        assert_eq!(Reason::Waits(alone).to_string(), "rung 0 (length 1): rank 1 of 2, none goes on yet");
        assert_eq!(Reason::MaxLength { length: 9 }.to_string(), "reached the greatest length (9)");
    }
}
