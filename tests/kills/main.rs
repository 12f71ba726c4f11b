//! `kill -9` of engine, agents and trials at random moments, many times, while searches over recorded curves run; at the
//! end decisions, reports, restarts, slots and processes are accounted for.
//!
//! ```text
//! cargo test -p toprung --test kills                                                  200 kills
//! TOPRUNG_KILLS=10000 cargo test -p toprung --test kills -- --nocapture               more
//! TOPRUNG_KILL_SEED=123 cargo test -p toprung --test kills -- --nocapture             the schedule of one round again
//! ```
//!
//! A seed fixes the search, the victims and the moments; which instruction a signal meets is the machine's own chance. So
//! a seed that failed may have to be run several times.
//!
//! | file | holds |
//! |---|---|
//! | [`curve`] | the trial: replays a recorded curve, and writes down what it said and was answered |
//! | [`book`] | what trials have written down |
//! | [`cluster`] | server and agents, that are killed and started again |
//! | [`driver`] | the seeded schedule |
//! | [`journal`] | the store, as `toprung store export` writes it down |
//! | [`accounts`] | what has to hold at the end |
//! | [`soak`] | no kills: full load, on request |

#![allow(missing_docs, dead_code, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "../end_to_end/document.rs"]
mod document;
#[path = "../end_to_end/processes.rs"]
mod processes;
#[path = "../end_to_end/workplace.rs"]
mod workplace;

mod accounts;
mod book;
mod chance;
mod cluster;
mod curve;
mod driver;
mod journal;
mod soak;

use driver::{Round, Search};

/// Kills without `TOPRUNG_KILLS`, all three tests together.
const KILLS: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

/// Rounds of this search until its share of the kills is done; a round ends with its search.
fn kill(search: Search, share: (u64, u64)) {
    if let Some(seed) = number("TOPRUNG_KILL_SEED") {
        println!("{}", Round { seed, search, kills: u64::MAX }.run());
        return;
    }
    let wanted = number("TOPRUNG_KILLS").unwrap_or(KILLS) * share.0 / share.1;
    let mut done = 0;
    let mut seed = 1;
    while done < wanted {
        let round = Round { seed, search, kills: wanted - done };
        println!("{search:?}: TOPRUNG_KILL_SEED={seed}, {done} of {wanted} kills done");
        let report = round.run();
        println!("{report}");
        assert!(report.kills() > 0, "a round without a kill proves nothing");
        done += report.kills();
        seed += 1;
    }
}

#[test]
fn a_halving_search_on_one_slot_decides_as_if_nothing_was_killed() {
    kill(Search::AsyncHalving, (3, 10));
}

#[test]
fn an_adaptive_search_on_one_slot_decides_as_if_nothing_was_killed() {
    kill(Search::Adaptive, (3, 10));
}

#[test]
fn a_search_on_several_agents_decides_what_its_journal_says() {
    kill(Search::Several, (4, 10));
}

/// No test: the process of a trial. The agent starts this very binary with `trial --exact`.
#[test]
fn trial() {
    if std::env::var_os("TOPRUNG_SOCKET").is_some() {
        curve::train();
    }
}
