//! The policy, and: no slot is given twice, none is leaked, whatever the order of events.

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use toprung_proto::v1::{AttemptId, Slot, SlotKind};

use super::{AgentSlots, Allocation, Limits, MAX_SLOTLESS, Scheduler, Wish};

fn cpus(count: u32) -> AgentSlots {
    slots(count, SlotKind::Cpu)
}

fn slots(count: u32, kind: SlotKind) -> AgentSlots {
    let slot = |index| Slot { index, kind: kind.into(), ..Slot::default() };
    AgentSlots::new((0..count).map(slot).collect())
}

fn limits(slots_per_trial: u32) -> Limits {
    Limits { priority: 42, weight: 1.0, slots_per_trial, max_slots: None }
}

fn attempt(experiment: u64, trial: u32) -> AttemptId {
    AttemptId { experiment, trial, attempt: 1 }
}

fn given(allocations: &[Allocation]) -> Vec<(u64, u32)> {
    allocations.iter().map(|given| (given.attempt.experiment, given.attempt.trial)).collect()
}

fn pool(agents: &[(&str, u32)]) -> Scheduler {
    let mut scheduler = Scheduler::default();
    for (name, count) in agents {
        scheduler.agent_joined(name, cpus(*count), Vec::new());
    }
    scheduler
}

#[test]
fn first_come_first_served_within_an_experiment() {
    let mut scheduler = pool(&[("a", 2)]);
    scheduler.add_experiment(1, limits(1));
    for trial in [3, 1, 2] {
        scheduler.request(attempt(1, trial), None);
    }
    assert_eq!(given(&scheduler.allocate()), [(1, 3), (1, 1)]);
    scheduler.release(&attempt(1, 3));
    assert_eq!(given(&scheduler.allocate()), [(1, 2)]);
}

#[test]
fn lower_priority_number_goes_first() {
    let mut scheduler = pool(&[("a", 1)]);
    scheduler.add_experiment(1, limits(1));
    scheduler.add_experiment(2, Limits { priority: 10, ..limits(1) });
    scheduler.request(attempt(1, 1), None);
    scheduler.request(attempt(2, 1), None);
    assert_eq!(given(&scheduler.allocate()), [(2, 1)]);
}

#[test]
fn equals_share_by_weight() {
    let mut scheduler = pool(&[("a", 6)]);
    scheduler.add_experiment(1, limits(1));
    scheduler.add_experiment(2, Limits { weight: 2.0, ..limits(1) });
    for trial in 1..=6 {
        scheduler.request(attempt(1, trial), None);
        scheduler.request(attempt(2, trial), None);
    }
    let given = given(&scheduler.allocate());
    assert_eq!(given.iter().filter(|(experiment, _)| *experiment == 2).count(), 4);
}

#[test]
fn max_slots_holds() {
    let mut scheduler = pool(&[("a", 8)]);
    scheduler.add_experiment(1, Limits { max_slots: Some(3), ..limits(1) });
    (1..=8).for_each(|trial| scheduler.request(attempt(1, trial), None));
    assert_eq!(scheduler.allocate().len(), 3);
    assert_eq!(scheduler.capacity(1), 3);
    assert_eq!(scheduler.why_waiting(1).unwrap(), "holds 3 of its max_slots 3");
}

#[test]
fn a_gang_lies_on_one_agent_and_is_not_starved_by_small_ones() {
    let mut scheduler = pool(&[("a", 2), ("b", 2)]);
    scheduler.add_experiment(1, limits(1));
    scheduler.add_experiment(2, Limits { priority: 1, ..limits(2) });
    scheduler.request(attempt(1, 1), None);
    scheduler.request(attempt(1, 2), None);
    assert_eq!(scheduler.allocate().len(), 2, "both on one agent: best fit");
    scheduler.request(attempt(1, 3), None);
    scheduler.request(attempt(1, 4), None);
    scheduler.request(attempt(2, 1), None);
    let now = scheduler.allocate();
    assert_eq!(given(&now), [(2, 1)], "the other agent is whole");
    assert_eq!(now[0].slots.len(), 2);
    scheduler.request(attempt(2, 2), None);
    scheduler.release(&attempt(1, 1));
    assert!(scheduler.allocate().is_empty(), "the free slot is kept for the gang that goes first");
    scheduler.release(&attempt(1, 2));
    assert_eq!(given(&scheduler.allocate()), [(2, 2)]);
}

#[test]
fn what_can_never_fit_says_so() {
    let mut scheduler = pool(&[]);
    scheduler.add_experiment(1, limits(4));
    scheduler.request(attempt(1, 1), None);
    assert_eq!(scheduler.why_waiting(1).unwrap(), "no agent is connected");
    scheduler.agent_joined("a", cpus(2), Vec::new());
    assert!(scheduler.allocate().is_empty());
    assert_eq!(scheduler.why_waiting(1).unwrap(), "needs 4 slots on one agent; the largest agent has 2");
    assert_eq!(scheduler.capacity(1), 1);
}

#[test]
fn trials_without_slots_share_a_gpu_agent() {
    let mut scheduler = Scheduler::default();
    scheduler.agent_joined("g", slots(1, SlotKind::Gpu), Vec::new());
    scheduler.add_experiment(1, limits(0));
    (1..=20).for_each(|trial| scheduler.request(attempt(1, trial), None));
    let now = scheduler.allocate();
    assert_eq!(now.len(), MAX_SLOTLESS as usize);
    assert!(now.iter().all(|given| given.slots.is_empty()));
    scheduler.release(&attempt(1, 1));
    assert_eq!(scheduler.allocate().len(), 1);
}

#[test]
fn a_request_for_one_agent_waits_for_it_and_holds_up_no_other() {
    let mut scheduler = pool(&[("a", 1), ("b", 1)]);
    scheduler.add_experiment(1, limits(1));
    scheduler.request(attempt(1, 1), Some("a".into()));
    scheduler.request(attempt(1, 2), Some("a".into()));
    scheduler.request(attempt(1, 3), None);
    assert_eq!(given(&scheduler.allocate()), [(1, 1), (1, 3)]);
    scheduler.release(&attempt(1, 3));
    assert!(scheduler.allocate().is_empty(), "b is free, but trial 2 can go on only on a");
    scheduler.agent_away("a");
    let why = "its checkpoint lies on agent a, which is not connected";
    assert_eq!(scheduler.why_waiting(1).unwrap(), why);
    let mut scheduler = pool(&[("a", 1)]);
    scheduler.add_experiment(1, limits(1));
    scheduler.request(attempt(1, 2), Some("a".into()));
    assert_eq!(given(&scheduler.allocate()), [(1, 2)]);
}

#[test]
fn an_agent_that_is_away_gets_nothing_and_keeps_what_it_runs() {
    let mut scheduler = pool(&[("a", 1)]);
    scheduler.add_experiment(1, limits(1));
    scheduler.request(attempt(1, 1), None);
    let running = scheduler.allocate();
    scheduler.agent_away("a");
    scheduler.request(attempt(1, 2), None);
    scheduler.release(&attempt(1, 1));
    assert!(scheduler.allocate().is_empty());
    scheduler.agent_joined("a", cpus(1), running);
    assert!(scheduler.allocate().is_empty(), "it came back with the attempt");
    scheduler.release(&attempt(1, 1));
    assert_eq!(given(&scheduler.allocate()), [(1, 2)]);
}

fn wish(without: &[&str], avoid: &[&str]) -> Wish {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Wish { only_on: None, without: names(without), avoid: names(avoid) }
}

fn agents(allocations: &[Allocation]) -> Vec<(u32, &str)> {
    allocations.iter().map(|given| (given.attempt.trial, given.agent.as_str())).collect()
}

#[test]
fn an_agent_is_avoided_as_long_as_another_fits() {
    let mut scheduler = pool(&[("a", 1), ("b", 2)]);
    scheduler.add_experiment(1, limits(1));
    scheduler.request(attempt(1, 1), wish(&[], &["a"]));
    assert_eq!(agents(&scheduler.allocate()), [(1, "b")], "although a is the best fit");
    scheduler.request(attempt(1, 2), wish(&[], &["b"]));
    scheduler.request(attempt(1, 3), wish(&[], &["a"]));
    scheduler.request(attempt(1, 4), wish(&[], &["a"]));
    assert_eq!(agents(&scheduler.allocate()), [(2, "a"), (3, "b")]);
    scheduler.release(&attempt(1, 2));
    assert_eq!(agents(&scheduler.allocate()), [(4, "a")], "rather a than none");
}

#[test]
fn a_request_without_an_agent_waits_for_another_and_holds_up_nobody() {
    let mut scheduler = pool(&[("a", 1), ("b", 1)]);
    scheduler.add_experiment(1, limits(1));
    scheduler.request(attempt(1, 1), wish(&["a"], &[]));
    scheduler.request(attempt(1, 2), wish(&["a"], &[]));
    scheduler.request(attempt(1, 3), None);
    assert_eq!(agents(&scheduler.allocate()), [(1, "b"), (3, "a")]);
    assert_eq!(scheduler.why_waiting(1).unwrap(), "waits for 1 of 2 slots (0 free); it does without a");
    scheduler.release(&attempt(1, 3));
    assert!(scheduler.allocate().is_empty(), "b is known and could hold it");
    scheduler.agent_away("b");
    assert!(scheduler.allocate().is_empty(), "b may come back");
    scheduler.agent_lost("b");
    assert_eq!(agents(&scheduler.allocate()), [(2, "a")], "rather a than none");
}

#[test]
fn an_excluded_agent_gives_its_experiment_nothing_while_another_is_there() {
    let mut scheduler = pool(&[("a", 2), ("b", 1)]);
    scheduler.add_experiment(1, limits(1));
    scheduler.add_experiment(2, limits(1));
    scheduler.exclude(1, "a".into(), "3 trials failed".into());
    assert_eq!((scheduler.capacity(1), scheduler.agents_for(1)), (1, 1));
    assert_eq!((scheduler.capacity(2), scheduler.agents_for(2)), (3, 2));
    assert_eq!(scheduler.excluded().collect::<Vec<_>>(), [(1, "a", "3 trials failed")]);
    scheduler.request(attempt(1, 1), None);
    scheduler.request(attempt(1, 2), None);
    scheduler.request(attempt(2, 1), None);
    assert_eq!(agents(&scheduler.allocate()), [(1, "b"), (1, "a")], "the other experiment may");
    // Another request without b: the excluded agent goes before the one it does without.
    scheduler.request(attempt(1, 3), wish(&["b"], &[]));
    assert_eq!(agents(&scheduler.allocate()), [(3, "a")]);
    scheduler.agent_lost("b");
    assert_eq!((scheduler.capacity(1), scheduler.agents_for(1)), (2, 0));
    scheduler.release(&attempt(1, 3));
    assert_eq!(agents(&scheduler.allocate()), [(2, "a")], "rather an excluded agent than none");
    // Forgotten when the experiment joins again, which tells anew.
    scheduler.experiment_joined(1, limits(1), Vec::new());
    assert_eq!(scheduler.excluded().count(), 0);
}

proptest! {
    #[test]
    fn no_slot_is_given_twice_or_leaked(events in prop::collection::vec((0..8u8, 1..4u64, 1..12u32), 0..400)) {
        let mut scheduler = pool(&[("a", 3), ("b", 2)]);
        for experiment in 1..4 {
            scheduler.add_experiment(experiment, limits(experiment as u32 - 1));
        }
        let mut held: BTreeMap<(u64, u32), Allocation> = BTreeMap::new();
        for (what, experiment, trial) in events {
            let id = attempt(experiment, trial);
            match what {
                0..=3 => scheduler.request(id, (trial % 5 == 0).then(|| "a".to_owned())),
                4 => scheduler.withdraw(experiment, trial),
                5..=6 => {
                    prop_assert_eq!(scheduler.release(&id), held.remove(&(experiment, trial)).is_some());
                }
                _ => {
                    let name = if trial % 2 == 0 { "a" } else { "b" };
                    let kept: Vec<Allocation> = held.values().filter(|held| held.agent == name).cloned().collect();
                    scheduler.agent_joined(name, cpus(if name == "a" { 3 } else { 2 }), kept);
                }
            }
            for allocation in scheduler.allocate() {
                let key = (allocation.attempt.experiment, allocation.attempt.trial);
                prop_assert!(held.insert(key, allocation).is_none());
            }
            let mut taken = BTreeSet::new();
            for allocation in held.values() {
                for slot in &allocation.slots {
                    prop_assert!(taken.insert((allocation.agent.clone(), *slot)), "a slot was given twice");
                }
            }
            prop_assert_eq!(scheduler.slots().1, 5 - taken.len());
        }
        for allocation in held.into_values() {
            scheduler.release(&allocation.attempt);
        }
        prop_assert_eq!(scheduler.slots().1, 5);
    }
}
