//! Power cuts at every operation of a recorded run, with what was not synced dropped, reordered and torn: the store opens
//! with everything acknowledged, and with nothing but whole commits.
//!
//! `TOPRUNG_TEST_SEED=N` runs another seed; a failure names its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::Error;
use crate::backend::{Backend, Order, Write};
use crate::disk::Disk;
use crate::durable::{Durable, Limits};
use crate::health::Health;
use crate::memory::Memory;
use crate::redo;
use crate::sim_disk::{Chance, SimDisk};

const LIMITS: Limits = Limits { file: 3_000, log: 9_000, reserve: 0 };
const COMMITS: u64 = 40;
/// Images of each cut.
const IMAGES: u64 = 20;

type Content = BTreeMap<Vec<u8>, Vec<u8>>;

fn open(disk: &SimDisk) -> Result<Durable, Error> {
    Durable::open(Arc::new(disk.clone()), Box::<Memory>::default(), LIMITS, None)
}

fn content(store: &Durable) -> Content {
    let all = store.page(&(vec![1]..vec![0xff]), usize::MAX, Order::Ascending).unwrap();
    all.into_iter().collect()
}

/// The changes of a commit; they follow from its number alone.
fn writes(number: u64) -> Vec<Write> {
    let mut chance = Chance::new(number);
    let size = chance.below(1_600) as usize;
    let value = (0..size).map(|_| chance.below(256) as u8).collect();
    let mut writes = vec![
        Write { key: format!("k{}", number % 11).into_bytes(), value: Some(value) },
        Write { key: b"number".to_vec(), value: Some(number.to_be_bytes().to_vec()) },
    ];
    if number.is_multiple_of(5) {
        writes.push(Write { key: format!("k{}", chance.below(11)).into_bytes(), value: None });
    }
    writes
}

/// What a store holds after so many commits.
fn after(commits: u64) -> Content {
    let mut content = Content::new();
    for write in (1..=commits).flat_map(writes) {
        match write.value {
            Some(value) => content.insert(write.key, value),
            None => content.remove(&write.key),
        };
    }
    content
}

/// What people were told: the last commit acknowledged, and the last that was tried.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Told {
    acknowledged: u64,
    tried: u64,
}

/// Commits until the disk is off. A commit that fails while it is on is tried once more.
fn run(disk: &SimDisk, told: &mut Told, commits: u64) {
    let Ok(store) = open(disk) else { return };
    for number in told.acknowledged + 1..=commits {
        told.tried = number;
        if store.commit(writes(number)).is_err() && store.commit(writes(number)).is_err() {
            return;
        }
        told.acknowledged = number;
        if store.wants_base() {
            // One that fails leaves the one before.
            let _ = store.take_base(&AtomicBool::new(false));
        }
    }
}

/// Opens what is left, and finds out how many commits it has.
fn assert_sound(disk: &SimDisk, told: Told, what: &str) -> u64 {
    let store = open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = content(&store);
    let number = found.get(b"number".as_slice()).map_or(0, |bytes| crate::keys::u64_at(bytes, 0).unwrap());
    assert!((told.acknowledged..=told.tried).contains(&number), "{what}: {number} of {told:?}");
    assert!(found == after(number), "{what}: not the state after commit {number}");
    number
}

fn seed() -> u64 {
    let seed = std::env::var("TOPRUNG_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("TOPRUNG_TEST_SEED={seed}");
    seed
}

fn operations() -> u64 {
    let disk = SimDisk::default();
    let mut told = Told { acknowledged: 0, tried: 0 };
    run(&disk, &mut told, COMMITS);
    assert_eq!(told.acknowledged, COMMITS);
    assert!(redo::files(&disk).unwrap()[0].0 > 1, "a base replaced the first files");
    disk.operations()
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_acknowledged() {
    let seed = seed();
    let (mut images, mut torn) = (0, 0);
    for cut in 1..=operations() + 1 {
        let disk = SimDisk::default();
        let mut told = Told { acknowledged: 0, tried: 0 };
        disk.off_at(cut);
        run(&disk, &mut told, COMMITS);
        for image in 0..IMAGES {
            let what = format!("seed {seed}, cut {cut}, image {image}");
            let mut chance = Chance::new(seed ^ (cut << 20) ^ (image << 8));
            let left = disk.after_cut(&mut chance);
            let number = assert_sound(&left, told, &what);
            images += 1;
            torn += u64::from(number > told.acknowledged);
            // Life goes on, until the next cut.
            let mut told = Told { acknowledged: number, tried: number };
            left.off_at(left.operations() + 1 + chance.below(40));
            run(&left, &mut told, number + 8);
            assert_sound(&left.after_cut(&mut chance), told, &format!("{what}, second cut"));
            images += 1;
        }
    }
    println!("{images} images, {torn} with a commit nobody was told of");
    assert!(images >= 5_000, "{images}");
}

#[test]
fn a_failed_write_a_kill_and_then_a_power_cut_lose_nothing_acknowledged() {
    let seed = seed();
    let operations = operations();
    for failed in 1..=operations {
        let mut chance = Chance::new(seed ^ (failed << 16));
        let what = format!("seed {seed}, failure {failed}");
        let disk = SimDisk::default();
        let mut told = Told { acknowledged: 0, tried: 0 };
        disk.fail_at(failed);
        disk.off_at(failed + 1 + chance.below(60));
        run(&disk, &mut told, COMMITS);
        assert_sound(&disk.after_cut(&mut chance), told, &format!("{what}, cut"));
        let left = disk.after_kill();
        let number = assert_sound(&left.after_kill(), told, &format!("{what}, kill"));
        let mut later = Told { acknowledged: number, tried: number };
        left.off_at(1 + chance.below(60));
        run(&left, &mut later, number + 8);
        if later.acknowledged == number {
            // What the second process saw may have been what the first had not synced.
            later.acknowledged = told.acknowledged;
            later.tried = later.tried.max(told.tried);
        }
        for image in 0..4 {
            assert_sound(&left.after_cut(&mut chance), later, &format!("{what}, kill and cut {image}"));
        }
    }
}

#[test]
fn the_log_may_be_cut_at_any_byte_of_its_last_frame_and_broken_at_none_before() {
    let disk = SimDisk::default();
    let mut told = Told { acknowledged: 0, tried: 0 };
    run(&disk, &mut told, COMMITS);
    let (first, name) = redo::files(&disk).unwrap().pop().unwrap();
    let whole = disk.content(&name);
    let mut starts = Vec::new();
    let mut at = 8;
    while let Some(size) = whole.get(at..).and_then(crate::frame::wanted) {
        starts.push(at);
        at += size;
    }
    assert!(starts.len() > 1, "{starts:?}");
    for cut in 0..whole.len() {
        disk.set_content(&name, &whole[..cut]);
        let whole_frames =
            starts.iter().skip(1).chain([&whole.len()]).filter(|end| **end <= cut).count() as u64;
        let number = first - 1 + whole_frames;
        assert_sound(&disk.after_kill(), Told { acknowledged: number, tried: number }, &format!("cut {cut}"));
    }
    for index in 0..starts[starts.len() - 1] {
        let mut broken = whole.clone();
        broken[index] ^= 4;
        disk.set_content(&name, &broken);
        let refused = open(&disk.after_kill()).err();
        assert!(matches!(refused, Some(Error::BrokenLog { .. })), "byte {index}: {refused:?}");
    }
}

#[test]
fn a_file_of_the_log_that_is_missing_is_an_error() {
    let disk = SimDisk::default();
    let mut told = Told { acknowledged: 0, tried: 0 };
    // Each start begins a new file.
    (COMMITS..COMMITS + 4).for_each(|commits| run(&disk, &mut told, commits));
    let files = redo::files(&disk).unwrap();
    assert!(files.len() > 2, "{files:?}");
    disk.remove(&files[1].1).unwrap();
    assert!(matches!(open(&disk).err(), Some(Error::BrokenLog { .. })));
}

#[test]
fn a_full_disk_stops_intake_and_the_store_heals_when_there_is_room() {
    let disk = SimDisk::default();
    let store = open(&disk).unwrap();
    let mut health = store.health().watch();
    for number in 1..=10 {
        store.commit(writes(number)).unwrap();
    }
    disk.set_free(Some(700));
    let refused = (0..20).filter(|_| store.probe().is_err() || store.commit(writes(11)).is_err()).count();
    assert!(refused > 10, "{refused}");
    let Health::Degraded { reason } = health.borrow_and_update().clone() else { panic!("not degraded") };
    assert!(reason.starts_with("store cannot write"), "{reason}");
    assert!(content(&store).len() > 5, "what is there can be read");
    disk.set_free(None);
    store.probe().unwrap();
    assert_eq!(*health.borrow_and_update(), Health::Ok);
    store.commit(writes(11)).unwrap();
    drop(store);
    assert_sound(&disk.after_cut(&mut Chance::new(3)), Told { acknowledged: 11, tried: 11 }, "after healing");
}

#[test]
fn a_store_leaves_the_reserve_alone() {
    let disk = SimDisk::default();
    let limits = Limits { reserve: 10_000, ..LIMITS };
    let store = Durable::open(Arc::new(disk.clone()), Box::<Memory>::default(), limits, None).unwrap();
    disk.set_free(Some(9_999));
    assert!(matches!(store.commit(writes(1)), Err(Error::DiskFull { free: 9_999, .. })));
    disk.set_free(Some(20_000));
    store.commit(writes(1)).unwrap();
}

#[test]
fn the_log_stays_bounded_and_a_copy_equals_the_store() {
    let disk = SimDisk::default();
    let mut told = Told { acknowledged: 0, tried: 0 };
    run(&disk, &mut told, 400);
    let sizes = disk.names().unwrap().into_iter().map(|name| disk.size(&name).unwrap());
    let (total, held) = (sizes.sum::<u64>(), after(400).values().map(Vec::len).sum::<usize>() as u64);
    assert!(total < 2 * held + LIMITS.log + 2 * LIMITS.file, "{total} bytes for {held}");
    let store = open(&disk).unwrap();
    let copy = SimDisk::default();
    store.copy_to(Arc::new(copy.clone())).unwrap();
    assert_sound(&copy.after_cut(&mut Chance::new(7)), told, "copy");
}
