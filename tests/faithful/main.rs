//! The same recorded curves through the real engine and through the simulation harness: the same trials, the same decisions.
//!
//! A search on one slot has only one order of events, so the real run (`toprung run`, its agent, a process for each attempt)
//! and the harness's must agree in everything: what the searcher heard, which trials it created to the last bit of their
//! hyperparameters, each decision with its reason, the best, the length trained, and why the search ended.
//!
//! With several slots the order in which reports arrive is the machine's own. There the journal's order is given to a searcher
//! alone, which must decide the same; and the engine's state machine is run in virtual time, where it must agree with the
//! harness in everything again.
//!
//! | file | holds |
//! |---|---|
//! | [`recorded`] | the tables of curves, written as files |
//! | [`searches`] | what is searched |
//! | [`trial`] | the process of an attempt: replays a curve |
//! | [`transcript`] | what a searcher heard and decided, in words that compare |
//! | [`journal`] | the transcript of the engine, by its journal |
//! | [`harness`] | that of the harness |
//! | [`machine`] | the engine's state machine in virtual time |

#![allow(missing_docs, dead_code, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "../end_to_end/document.rs"]
mod document;
#[path = "../end_to_end/processes.rs"]
mod processes;
#[path = "../end_to_end/workplace.rs"]
mod workplace;

mod harness;
mod journal;
mod machine;
mod recorded;
mod searches;
mod transcript;
mod trial;

use harness::Played;
use searches::{SEARCHES, Search};
use std::collections::BTreeSet;

/// The real run and the harness's, compared in everything.
fn on_one_slot(search: &Search) {
    let ran = journal::run(search, 1);
    let Played { transcript, outcome } = harness::play(&ran.config, &ran.table, 1);
    transcript.is_same_as(&ran.transcript, search.name);
    assert_eq!(ran.experiment.state(), "completed");
    let said = &ran.experiment.0;
    assert_eq!(said["reason"].as_str(), transcript.end.as_deref());
    assert_eq!(said["trials"]["total"], outcome.run.trials);
    let (trial, length, metric) = transcript.best.unwrap();
    assert_eq!(outcome.run.steps.last().unwrap().best, metric);
    let (best, total) = (&said["best"], said["total_length"].as_u64().unwrap());
    let sign = if ran.config.searcher.smaller_is_better { 1.0 } else { -1.0 };
    if search.is_stopped_between_rungs {
        // A real trial trains on until it hears that it is stopped.
        assert!(total >= outcome.run.total_length);
        assert!(sign * best["metric"].as_f64().unwrap() <= metric);
    } else {
        assert_eq!(total, outcome.run.total_length);
        assert_eq!(best["trial"], trial);
        assert_eq!(best["length"], length);
        assert_eq!(best["metric"].as_f64(), Some(sign * metric));
    }
}

#[test]
fn random_search() {
    on_one_slot(&searches::named("random"));
}

#[test]
fn halving_by_promotion() {
    on_one_slot(&searches::named("promotion"));
}

#[test]
fn halving_by_stopping() {
    on_one_slot(&searches::named("stopping"));
}

#[test]
fn several_brackets() {
    on_one_slot(&searches::named("adaptive"));
}

#[test]
fn synchronous_rungs() {
    on_one_slot(&searches::named("synchronous"));
}

#[test]
fn hyperband() {
    on_one_slot(&searches::named("hyperband"));
}

#[test]
fn rungs_that_are_raised() {
    on_one_slot(&searches::named("pasha"));
}

#[test]
fn a_population() {
    on_one_slot(&searches::named("population"));
}

#[test]
fn stopped_by_the_median() {
    on_one_slot(&searches::named("median"));
}

#[test]
fn placed_by_tpe() {
    on_one_slot(&searches::named("tpe"));
}

#[test]
fn placed_by_a_gaussian_process() {
    on_one_slot(&searches::named("gp"));
}

#[test]
fn chosen_by_the_searcher_itself() {
    on_one_slot(&searches::named("auto"));
}

#[test]
fn where_greater_is_better() {
    on_one_slot(&searches::named("greater"));
}

#[test]
fn on_a_real_table() {
    if recorded::benchmark_folder().is_some() {
        on_one_slot(&Search { is_on_real_table: true, ..searches::named("promotion") });
    }
}

/// The reader of the journal asserts at each record that a searcher alone decides what the engine did.
#[test]
fn with_four_slots_the_journals_order_leads_to_the_journals_decisions() {
    for name in ["promotion", "median", "tpe"] {
        let ran = journal::run(&searches::named(name), 4);
        assert_eq!(ran.experiment.0["reason"].as_str(), ran.transcript.end.as_deref());
        let (trial, length, _) = ran.transcript.best.unwrap();
        if name != "median" {
            let best = &ran.experiment.0["best"];
            assert_eq!((best["trial"].as_u64(), best["length"].as_u64()), (Some(trial.into()), Some(length)));
        }
    }
}

#[test]
fn in_virtual_time_the_engines_machine_does_what_the_harness_does() {
    let place = tempfile::tempdir().unwrap();
    let (mut kinds, mut diverged, mut placed) = (BTreeSet::new(), 0, BTreeSet::new());
    for search in SEARCHES {
        for (seed, slots) in [(1, 1), (2, 2), (3, 5), (4, 16)] {
            let prepared = recorded::prepare(place.path(), &Search { seed, ..search });
            let label = format!("{} with seed {seed} on {slots} slots", search.name);
            let engine = machine::run(&prepared, slots);
            let Played { transcript, outcome } = harness::play(&prepared.config, &prepared.table, slots);
            transcript.is_same_as(&engine.transcript, &label);
            assert_eq!(engine.reason, transcript.end.unwrap(), "{label}");
            assert_eq!(engine.best, transcript.best.unwrap(), "{label}");
            assert_eq!(engine.total_length, outcome.run.total_length, "{label}");
            kinds.extend(engine.transcript.decisions.iter().map(|decision| decision.kind));
            diverged += engine.transcript.heard.iter().filter(|event| event.contains("NaN")).count();
            if engine.transcript.created.iter().any(|created| !prepared.is_drawn(created)) {
                placed.insert(search.name);
            }
        }
    }
    // Otherwise it would prove less than it says.
    assert_eq!((kinds.len(), diverged > 0), (3, true), "trained, paused, stopped; and some curves diverge");
    assert!(
        ["auto", "bohb", "gp", "population", "tpe"].iter().all(|name| placed.contains(name)),
        "{placed:?}"
    );
}

/// No test: the process of a trial. The agent starts this very binary with `trial --exact`.
#[test]
fn trial() {
    if std::env::var_os("TOPRUNG_SOCKET").is_some() {
        trial::train();
    }
}
