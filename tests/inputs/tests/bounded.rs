//! Every entry with arbitrary and with almost right bytes: nothing panics, and time and memory are bounded.
//!
//! ```text
//! cargo test -p toprung-inputs                                        some seconds for each entry
//! TOPRUNG_INPUTS=100 cargo test -p toprung-inputs                     a hundred times as many inputs
//! TOPRUNG_INPUT=FILE cargo test -p toprung-inputs config              one input again: target/tmp/NAME.input is the last
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used)]

use cap::Cap;
use std::alloc::System;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use toprung_inputs::{TARGETS, Target};

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);
/// Memory is counted for the whole process: one entry at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Bytes that an input may hold on to at once, whatever it is. Inputs have some thousand bytes.
const MOST_BYTES: usize = 256 << 20;
/// Longest time of an input.
const LONGEST: Duration = Duration::from_secs(20);

/// `SplitMix64`.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end.max(1) as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }

    /// One of the seeds with some changes, or arbitrary bytes.
    fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        if seeds.is_empty() || self.below(8) == 0 {
            let count = self.below(4_000);
            return self.bytes(count);
        }
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            self.change(&mut input, seeds);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        const PARTS: [&str; 14] = [
            "\n---\n",
            "{",
            "[",
            "&a",
            "*a",
            "<<: *a",
            "-1",
            "1e999",
            "18446744073709551615",
            "NaN",
            "null",
            "\\u0000",
            "\"",
            ": ",
        ];
        let at = self.below(input.len() + 1);
        let end = (at + 1 + self.below(40)).min(input.len());
        match self.below(7) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 => drop(input.drain(at..end)),
            2 => {
                let part = input[at..end].repeat(1 + self.below(200));
                input.splice(at..at, part);
            }
            3 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len());
                let to = (from + 1 + self.below(80)).min(other.len());
                input.splice(at..at, other[from..to].to_vec());
            }
            4 => {
                let count = self.below(9);
                let part = self.bytes(count);
                input.splice(at..at, part);
            }
            5 => input.truncate(at),
            _ => {
                let part = PARTS[self.below(PARTS.len())].repeat(1 + self.below(3) * self.below(100));
                input.splice(at..at, part.into_bytes());
            }
        }
    }
}

fn target(name: &str) -> Target {
    TARGETS.into_iter().find(|target| target.name == name).unwrap()
}

/// `count` inputs, all from one seed.
fn bombard(name: &str, count: u64) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let target = target(name);
    if let Some(file) = std::env::var_os("TOPRUNG_INPUT") {
        (target.run)(&std::fs::read(file).unwrap());
        return;
    }
    let factor = std::env::var("TOPRUNG_INPUTS").map_or(1, |text| text.parse::<u64>().unwrap());
    let (seeds, mut chance) = ((target.seeds)(), Chance(20));
    seeds.iter().for_each(|seed| run(&target, seed));
    for _ in 0..count * factor {
        run(&target, &chance.input(&seeds));
    }
}

fn run(target: &Target, input: &[u8]) {
    // Before it runs: an input that aborts the process is found here, too.
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.input", target.name));
    std::fs::write(&file, input).unwrap();
    let (before, began) = (MEMORY.allocated(), Instant::now());
    let ended = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let (took, held) = (began.elapsed(), MEMORY.max_allocated().saturating_sub(before));
    assert!(
        ended.is_ok() && took < LONGEST && held < MOST_BYTES,
        "{name}: panicked {}, took {took:?}, held up to {held} bytes\n  TOPRUNG_INPUT={} cargo test -p toprung-inputs {name}",
        ended.is_err(),
        file.display(),
        name = target.name,
    );
}

#[test]
fn config() {
    bombard("config", 600);
}

#[test]
fn journal() {
    bombard("journal", 1_000);
}

#[test]
fn export() {
    bombard("export", 60);
}

#[test]
fn agents() {
    bombard("agents", 800);
}

#[test]
fn socket() {
    bombard("socket", 200);
}

#[test]
fn api() {
    bombard("api", 60);
}
