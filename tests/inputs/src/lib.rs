//! What comes from outside, made from arbitrary bytes, for two users: the property tests of this crate and the cargo-fuzz
//! targets in `fuzz/`. An entry returns, whatever its bytes are; that it panics, hangs or takes memory without bound is
//! the fault that is looked for. Answers that are errors are fine.
//!
//! | entry | bytes are | goes through |
//! |---|---|---|
//! | [`config`] | an experiment file, template, `--set` | `toprung_config`: parse, merge, complete, and the plan of the search |
//! | [`journal`] | journal records, as they lie or generated | decoding, and the fold of an experiment |
//! | [`export`] | the text of `toprung store export` | import, check, decisions made again |
//! | [`agents()`] | messages of several agents, with the engine's own doings between them | sessions, routes, machine, pool |
//! | [`socket`] | what a trial writes to its socket | the agent's server of the trial contract |
//! | [`api()`] | calls of the search and agent services | a whole engine over gRPC |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a panic is the finding"
)]

mod agents;
mod api;
mod experiments;
mod generated;
mod words;

pub use agents::agents;
pub use api::api;
pub use experiments::{config, export, journal};

/// What a trial writes to its socket.
pub fn socket(bytes: &[u8]) {
    let answers = toprung_agent::parts::answers(bytes);
    let lines = answers.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    for line in lines {
        let answer: serde_json::Value = serde_json::from_slice(line).unwrap();
        assert!(answer.is_object(), "{answer}");
    }
}

/// An entry with inputs to begin with.
pub struct Target {
    /// Its name, also of the target in `fuzz/`.
    pub name: &'static str,
    /// See the module.
    pub run: fn(&[u8]),
    /// Inputs that are taken, to be changed here and there.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All entries.
pub const TARGETS: [Target; 6] = [
    Target { name: "config", run: config, seeds: experiments::files },
    Target { name: "journal", run: journal, seeds: experiments::journals },
    Target { name: "export", run: export, seeds: experiments::exports },
    Target { name: "agents", run: agents, seeds: Vec::new },
    Target { name: "socket", run: socket, seeds: words::conversations },
    Target { name: "api", run: api, seeds: Vec::new },
];
