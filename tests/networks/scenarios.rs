//! What is done to the links, and what follows from it.

use crate::book::Entry;
use crate::net::{Dropped, ENGINE};
use crate::site::{SLOW, Site};
use crate::slow_line;
use std::time::Duration;

const HALVING: &str = "name: async_halving, num_rungs: 3, divisor: 3, max_trials: 12";

/// The lease ends while the agent lives: the trial goes on elsewhere, and the late agent is told to end what it runs.
#[test]
fn an_agent_that_is_cut_off_beyond_its_lease_loses_its_trial_and_no_report() {
    let Some(mut site) = Site::new() else { return };
    site.agent(ENGINE, "1");
    // Both attempts last longer than the lease of 30 s and the way back of the late agent.
    site.search("name: single", "sleep_ms: 1000, first_sleep_ms: 4000");
    assert!(site.more_reports(2));
    site.agent(ENGINE, "1");
    site.net.cut(0, Dropped::Both);
    assert!(site.wait_for("an attempt elsewhere", |book| {
        book.lines.iter().any(|((_, attempt), entry)| *attempt == 2 && matches!(entry, Entry::Begin { .. }))
    }));
    // The first attempt still runs and its agent takes its reports.
    let late = site.book.of((1, 1)).filter(|entry| matches!(entry, Entry::Accepted(_))).count();
    site.net.heal(0, Dropped::Both);
    let (export, book) = site.settle();
    let stored = export.reports.iter().filter(|report| report.attempt == 1).count();
    assert!(late > 3 && stored >= late, "{late} reports while it was cut off, {stored} in the store");
    let said: Vec<_> = book.of((1, 1)).collect();
    assert!(!said.contains(&Entry::Accepted(27)), "the first attempt was told to end");
    // Only the second had a say: the trial ended when that had trained to the end.
    let last = export.reports.iter().filter(|report| report.attempt == 2).map(|report| report.length).max();
    assert_eq!(last, Some(27));
    assert_eq!(export.decided.ends.len(), 1);
    assert_eq!(export.decided.ends[0].0, "TRIAL_STATE_COMPLETED");
}

/// One direction is dead for a while, then the other: everything arrives late, and once.
#[test]
fn a_link_that_is_open_in_one_direction_loses_nothing() {
    let Some(mut site) = Site::new() else { return };
    site.agent(ENGINE, "2");
    site.search(HALVING, "sleep_ms: 60");
    for dropped in [Dropped::ToAgent, Dropped::FromAgent, Dropped::ToAgent, Dropped::FromAgent] {
        if !site.more_reports(3) {
            break;
        }
        site.net.cut(0, dropped);
        // Trials train on until they have to wait for a decision.
        site.some_reports(usize::MAX);
        site.net.heal(0, dropped);
    }
    let (export, _) = site.settle();
    assert_eq!(export.decided.ends.len(), 12);
}

/// Links of two agents come and go.
#[test]
fn flapping_links_lose_nothing() {
    let Some(mut site) = Site::new() else { return };
    site.agent(ENGINE, "1");
    site.agent(ENGINE, "1");
    site.search(HALVING, "sleep_ms: 40");
    for round in 0..12 {
        let agent = round % 2;
        let dropped = [Dropped::Both, Dropped::ToAgent, Dropped::FromAgent][round % 3];
        if !site.more_reports(1 + round % 3) {
            break;
        }
        site.net.cut(agent, dropped);
        // The other goes on meanwhile, as long as it has something to do.
        site.some_reports(3);
        site.net.heal(agent, dropped);
    }
    let (export, _) = site.settle();
    assert_eq!(export.decided.ends.len(), 12);
}

/// 0.2 s each way.
#[test]
fn a_slow_line_only_takes_longer() {
    let Some(mut site) = Site::new() else { return };
    slow_line::start(&site.net.file("r"), SLOW, ENGINE, Duration::from_millis(200));
    site.agent(SLOW, "2");
    site.search(HALVING, "sleep_ms: 5");
    let (export, _) = site.settle();
    assert_eq!(export.decided.ends.len(), 12);
}
