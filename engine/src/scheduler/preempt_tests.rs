//! Preemption and draining: who has to leave, for whom, and that it comes to an end.

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use toprung_proto::v1::{AttemptId, Slot, SlotKind};

use super::{AgentSlots, Allocation, Limits, Scheduler};

fn slots(count: u32, kind: SlotKind) -> AgentSlots {
    let slot = |index| Slot { index, kind: kind.into(), ..Slot::default() };
    AgentSlots::new((0..count).map(slot).collect())
}

fn limits(priority: u8, slots_per_trial: u32) -> Limits {
    Limits { priority, weight: 1.0, slots_per_trial, max_slots: None }
}

fn attempt(experiment: u64, trial: u32) -> AttemptId {
    AttemptId { experiment, trial, attempt: 1 }
}

fn given(allocations: &[Allocation]) -> Vec<(u64, u32)> {
    allocations.iter().map(|given| (given.attempt.experiment, given.attempt.trial)).collect()
}

/// Experiments are named by their priorities; all of their trials ask for one slot.
fn pool(agents: &[(&str, u32)], experiments: &[u8]) -> Scheduler {
    let mut scheduler = Scheduler::default();
    for (name, count) in agents {
        scheduler.agent_joined(name, slots(*count, SlotKind::Cpu), Vec::new());
    }
    for priority in experiments {
        scheduler.add_experiment((*priority).into(), limits(*priority, 1));
    }
    scheduler
}

fn ask(scheduler: &mut Scheduler, experiment: u64, trials: &[u32]) -> Vec<(u64, u32)> {
    trials.iter().for_each(|trial| scheduler.request(attempt(experiment, *trial), None));
    given(&scheduler.allocate())
}

fn preempted(scheduler: &mut Scheduler) -> Vec<(u64, u32)> {
    let pair = |found: super::Preemption| (found.attempt.experiment, found.attempt.trial);
    scheduler.take_preempted().into_iter().map(pair).collect()
}

#[test]
fn an_urgent_request_takes_the_slot_of_the_youngest_of_the_worst_priority() {
    let mut pool = pool(&[("a", 3)], &[42, 90, 10]);
    ask(&mut pool, 90, &[1, 2]);
    ask(&mut pool, 42, &[1]);
    assert!(ask(&mut pool, 10, &[1]).is_empty());
    let found = pool.take_preempted();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].attempt, attempt(90, 2));
    assert_eq!(found[0].reason, "preempted by experiment 10 (priority 10; this one has 90)");
    assert_eq!(pool.why_waiting(10).unwrap(), "waits for 1 of 3 slots (0 free); they are being freed on a");
    assert!(pool.allocate().is_empty() && preempted(&mut pool).is_empty(), "once is enough");
    // The preempted trial wants to go on, and others too: the slot is for whom it was freed.
    pool.release(&attempt(90, 2));
    pool.request(AttemptId { attempt: 2, ..attempt(90, 2) }, None);
    assert_eq!(ask(&mut pool, 42, &[2]), [(10, 1)]);
    // Trial 2 of 42 may take the other slot of 90, but 90 takes none back.
    assert_eq!(preempted(&mut pool), [(90, 1)]);
    pool.release(&attempt(90, 1));
    assert_eq!(given(&pool.allocate()), [(42, 2)]);
    assert!(preempted(&mut pool).is_empty());
}

#[test]
fn equal_priorities_never_preempt_each_other() {
    let mut pool = pool(&[("a", 2)], &[42]);
    pool.add_experiment(7, limits(42, 1));
    ask(&mut pool, 42, &[1, 2]);
    assert!(ask(&mut pool, 7, &[1]).is_empty());
    assert!(preempted(&mut pool).is_empty());
}

#[test]
fn slots_on_their_way_back_are_counted() {
    let mut pool = pool(&[("a", 2)], &[42, 10]);
    ask(&mut pool, 42, &[1, 2]);
    pool.leaves(&attempt(42, 1));
    assert!(ask(&mut pool, 10, &[1]).is_empty());
    assert!(preempted(&mut pool).is_empty(), "trial 1 leaves anyway");
    ask(&mut pool, 10, &[2]);
    assert_eq!(preempted(&mut pool), [(42, 2)]);
    ask(&mut pool, 10, &[3]);
    assert!(preempted(&mut pool).is_empty(), "nothing is left to take");
    pool.release(&attempt(42, 2));
    assert_eq!(given(&pool.allocate()), [(10, 1)]);
    pool.release(&attempt(42, 1));
    assert_eq!(given(&pool.allocate()), [(10, 2)]);
}

#[test]
fn a_gang_frees_one_agent_and_no_more_than_it_needs() {
    let mut pool = pool(&[("a", 4), ("b", 4)], &[42]);
    pool.add_experiment(10, limits(10, 3));
    assert_eq!(ask(&mut pool, 42, &[1, 2, 3, 4, 5, 6, 7]).len(), 7, "one slot is free, on b");
    ask(&mut pool, 10, &[1]);
    assert_eq!(preempted(&mut pool), [(42, 7), (42, 6)], "on b two are missing, on a three");
    // The free slot and those that come are kept for it.
    assert!(ask(&mut pool, 42, &[8]).is_empty());
    pool.release(&attempt(42, 7));
    assert!(pool.allocate().is_empty());
    pool.release(&attempt(42, 6));
    let now = pool.allocate();
    assert_eq!((given(&now), now[0].slots.len()), (vec![(10, 1)], 3));
}

#[test]
fn a_withdrawn_request_lets_the_slot_go_to_the_next() {
    let mut pool = pool(&[("a", 2)], &[42, 10]);
    ask(&mut pool, 42, &[1, 2]);
    ask(&mut pool, 10, &[1]);
    assert_eq!(preempted(&mut pool), [(42, 2)]);
    pool.withdraw(10, 1);
    pool.allocate();
    assert!(preempted(&mut pool).is_empty());
    pool.request(AttemptId { attempt: 2, ..attempt(42, 2) }, None);
    pool.release(&attempt(42, 2));
    assert_eq!(given(&pool.allocate()), [(42, 2)]);
}

#[test]
fn what_was_freed_for_one_is_not_given_to_another_of_its_priority() {
    let mut pool = pool(&[("a", 1)], &[42]);
    pool.add_experiment(1, limits(10, 1));
    pool.add_experiment(2, limits(10, 1));
    ask(&mut pool, 42, &[1]);
    ask(&mut pool, 2, &[1]);
    assert_eq!(preempted(&mut pool), [(42, 1)]);
    // Experiment 1 would come first: it holds as little, and is older.
    ask(&mut pool, 1, &[1]);
    pool.release(&attempt(42, 1));
    assert_eq!(given(&pool.allocate()), [(2, 1)]);
}

#[test]
fn a_request_for_one_agent_preempts_there_only() {
    let mut pool = pool(&[("a", 1), ("b", 1)], &[42, 90, 10]);
    ask(&mut pool, 42, &[1]);
    ask(&mut pool, 90, &[1]);
    pool.request(attempt(10, 1), Some("a".into()));
    assert!(pool.allocate().is_empty());
    assert_eq!(preempted(&mut pool), [(42, 1)], "although b runs a worse priority");
}

#[test]
fn max_slots_is_respected() {
    let mut pool = pool(&[("a", 4)], &[42]);
    pool.add_experiment(10, Limits { max_slots: Some(2), ..limits(10, 1) });
    ask(&mut pool, 42, &[1, 2, 3, 4]);
    ask(&mut pool, 10, &[1, 2, 3]);
    assert_eq!(preempted(&mut pool).len(), 2);
}

#[test]
fn trials_without_slots_are_preempted_for_their_like_only() {
    let mut pool = Scheduler::default();
    pool.agent_joined("g", slots(1, SlotKind::Gpu), Vec::new());
    pool.add_experiment(42, limits(42, 0));
    pool.add_experiment(43, limits(43, 1));
    pool.add_experiment(10, limits(10, 0));
    ask(&mut pool, 43, &[1]);
    let all: Vec<u32> = (1..=16).collect();
    assert_eq!(ask(&mut pool, 42, &all).len(), 16);
    ask(&mut pool, 10, &[1]);
    assert_eq!(preempted(&mut pool), [(42, 16)]);
}

#[test]
fn a_drained_agent_gets_nothing_and_gives_back_what_it_runs() {
    let mut pool = pool(&[("a", 2), ("b", 1)], &[42]);
    ask(&mut pool, 42, &[1, 2, 3]);
    assert_eq!(pool.capacity(42), 3);
    pool.drain("a", "new disks");
    pool.allocate();
    let found = pool.take_preempted();
    assert!(found.iter().all(|found| found.reason == "agent a is drained: new disks"), "{found:?}");
    assert_eq!((found.len(), pool.capacity(42), pool.attempts_by_agent()["a"]), (2, 1, 2));
    assert!(found.iter().all(|found| pool.release(&found.attempt)));
    ask(&mut pool, 42, &[4]);
    assert!(ask(&mut pool, 42, &[5]).is_empty());
    assert_eq!(pool.why_waiting(42).unwrap(), "waits for 1 of 1 slots (0 free); 1 agent is drained");
    // Over a reconnect, too.
    pool.agent_joined("a", slots(2, SlotKind::Cpu), Vec::new());
    assert!(pool.allocate().is_empty());
    pool.undrain("a");
    assert_eq!(given(&pool.allocate()), [(42, 4), (42, 5)]);
}

#[test]
fn an_agent_that_ends_is_drained_until_it_joins_again() {
    let mut pool = pool(&[("a", 1)], &[42]);
    ask(&mut pool, 42, &[1]);
    pool.agent_ends("a");
    pool.allocate();
    assert_eq!(pool.take_preempted()[0].reason, "agent a shuts down");
    pool.release(&attempt(42, 1));
    assert!(ask(&mut pool, 42, &[2]).is_empty());
    pool.agent_joined("a", slots(1, SlotKind::Cpu), Vec::new());
    assert_eq!(given(&pool.allocate()), [(42, 2)]);
}

#[test]
fn what_waits_for_a_drained_agent_says_so() {
    let mut pool = pool(&[("a", 1), ("b", 1)], &[42]);
    pool.drain("a", "");
    pool.request(attempt(42, 1), Some("a".into()));
    assert!(pool.allocate().is_empty());
    let why =
        "its checkpoint lies on agent a, which is drained; `toprung agents undrain a` lets it go on there";
    assert_eq!(pool.why_waiting(42).unwrap(), why);
    assert_eq!(pool.why_homes_wait(42)["a"], why);
    pool.drain("b", "heat");
    pool.request(attempt(42, 2), None);
    let why = "no agent takes work (agent a is drained; agent b is drained: heat); `toprung agents undrain NAME` \
               gives one back";
    assert_eq!(pool.why_waiting(42).unwrap(), why);
}

#[test]
fn after_a_restart_of_an_experiment_only_its_journal_counts() {
    let mut pool = pool(&[("a", 1)], &[42, 10]);
    let mut held = {
        pool.request(attempt(42, 1), None);
        pool.allocate()
    };
    ask(&mut pool, 10, &[1]);
    assert_eq!(preempted(&mut pool), [(42, 1)]);
    // Its actor failed before it could write that down.
    pool.experiment_joined(42, limits(42, 1), held.clone());
    pool.allocate();
    assert_eq!(preempted(&mut pool), [(42, 1)], "asked again");
    held[0].leaving = true;
    pool.experiment_joined(42, limits(42, 1), held);
    pool.allocate();
    assert!(preempted(&mut pool).is_empty());
}

/// Priorities of the experiments 1, 2, 3 of the properties, and slots of their trials.
const PRIORITIES: [u8; 3] = [10, 42, 90];

/// Whether a set of victims, preempted at once, could be smaller: without its smallest on some agent all requests that
/// wait for slots there would still fit.
fn is_needless(pool: &Scheduler, victims: &BTreeMap<String, Vec<u32>>) -> bool {
    victims.iter().any(|(name, sizes)| {
        let leaving = pool.allocations.values().filter(|held| held.agent == *name && held.leaving);
        let coming: usize = leaving.map(|held| held.slots.len()).sum();
        let wanted = pool.claims.get(&(name.clone(), false)).copied().unwrap_or(0);
        let free = pool.agents[name].free() as u32;
        let least = sizes.iter().min().copied().unwrap_or(0);
        free + coming as u32 >= wanted + least
    })
}

proptest! {
    #[test]
    fn slots_are_conserved_and_nobody_is_preempted_without_need(
        sizes in prop::array::uniform3(1..4u32),
        events in prop::collection::vec((0..11u8, 1..4u64, 1..9u32), 0..300),
    ) {
        let mut pool = pool(&[("a", 4), ("b", 3)], &[]);
        for (index, priority) in PRIORITIES.iter().enumerate() {
            pool.add_experiment(index as u64 + 1, limits(*priority, sizes[index]));
        }
        let (mut held, mut leaving) = (BTreeMap::new(), BTreeSet::new());
        for (what, experiment, trial) in events {
            let id = attempt(experiment, trial);
            let name = if trial % 2 == 0 { "a" } else { "b" };
            match what {
                0..=4 => pool.request(id, (trial == 8).then(|| "a".to_owned())),
                5 => pool.withdraw(experiment, trial),
                6 | 7 => {
                    prop_assert_eq!(pool.release(&id), held.remove(&(experiment, trial)).is_some());
                    leaving.remove(&(experiment, trial));
                }
                8 => pool.drain(name, ""),
                10 => {
                    pool.stays(&id);
                    leaving.remove(&(experiment, trial));
                }
                _ => pool.undrain(name),
            }
            let drained: BTreeSet<String> = pool.drains.keys().cloned().collect();
            for allocation in pool.allocate() {
                prop_assert!(!drained.contains(&allocation.agent), "a drained agent got work");
                let key = (allocation.attempt.experiment, allocation.attempt.trial);
                prop_assert!(held.insert(key, allocation).is_none());
            }
            let mut victims: BTreeMap<String, Vec<u32>> = BTreeMap::new();
            for found in pool.take_preempted() {
                let key = (found.attempt.experiment, found.attempt.trial);
                prop_assert!(leaving.insert(key), "asked twice: {:?}", key);
                let allocation = &held[&key];
                if !drained.contains(&allocation.agent) {
                    prop_assert!(key.0 > 1, "the best priority was preempted");
                    victims.entry(allocation.agent.clone()).or_default().push(allocation.slots.len() as u32);
                }
            }
            prop_assert!(!is_needless(&pool, &victims), "{:?}", victims);
            let mut taken = BTreeSet::new();
            for allocation in held.values() {
                for slot in &allocation.slots {
                    prop_assert!(taken.insert((allocation.agent.clone(), *slot)), "a slot was given twice");
                }
            }
            let free: usize = pool.agents().values().map(AgentSlots::free).sum();
            prop_assert_eq!(free, 7 - taken.len());
        }
    }

    /// Trials need a number of undisturbed steps; a preempted one keeps what it has done, or begins again.
    #[test]
    fn experiments_of_different_priorities_always_end(
        sizes in prop::array::uniform3(1..4u32),
        saves in any::<bool>(),
        slow in 0..4u32,
        order in prop::collection::vec(any::<u8>(), 64),
    ) {
        let mut pool = pool(&[("a", 4), ("b", 3)], &[]);
        let mut left: BTreeMap<(u64, u32), u32> = BTreeMap::new();
        for (index, priority) in PRIORITIES.iter().enumerate() {
            let id = index as u64 + 1;
            pool.add_experiment(id, limits(*priority, sizes[index]));
            left.extend((1..=5).map(|trial| ((id, trial), 3)));
        }
        let mut arrivals: Vec<(u64, u32)> = left.keys().copied().collect();
        arrivals.sort_by_key(|(id, trial)| order[(*id as usize * 7 + *trial as usize) % 64]);
        let mut running: BTreeMap<(u64, u32), (AttemptId, Option<u32>)> = BTreeMap::new();
        let mut preemptions = 0;
        for step in 0..2_000 {
            if left.is_empty() {
                break;
            }
            if let Some((id, trial)) = arrivals.pop() {
                pool.request(attempt(id, trial), None);
            }
            for allocation in pool.allocate() {
                let key = (allocation.attempt.experiment, allocation.attempt.trial);
                running.insert(key, (allocation.attempt, None));
            }
            for found in pool.take_preempted() {
                preemptions += 1;
                let key = (found.attempt.experiment, found.attempt.trial);
                running.get_mut(&key).unwrap().1 = Some(slow);
            }
            for (key, (attempt, leaves)) in running.clone() {
                match leaves {
                    Some(0) => {
                        pool.release(&attempt);
                        running.remove(&key);
                        if !saves {
                            left.insert(key, 3);
                        }
                        pool.request(AttemptId { attempt: attempt.attempt + 1, ..attempt }, None);
                    }
                    Some(more) => running.get_mut(&key).unwrap().1 = Some(more - 1),
                    None => {
                        let rest = left.get_mut(&key).unwrap();
                        *rest -= 1;
                        if *rest == 0 {
                            left.remove(&key);
                            pool.release(&attempt);
                            running.remove(&key);
                        }
                    }
                }
            }
            prop_assert!(step < 1_999, "not over: {:?}", left);
        }
        prop_assert!(preemptions <= 45, "{} preemptions of 15 trials", preemptions);
    }
}
