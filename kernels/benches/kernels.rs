//! What the CPU twin does in a second.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use toprung_kernels::replicates::{self, Judge, Search};
use toprung_kernels::segments::{self, Segments};
use toprung_kernels::{Best, Device, histogram, philox::philox, summary};

const LENGTH: usize = 1 << 22;

fn main() {
    divan::main();
}

/// Values in 0..1.
fn values(count: usize) -> Vec<f32> {
    let words = (0..count.div_ceil(4) as u32).flat_map(|block| philox([block, 0, 0, 0], 1));
    words.take(count).map(|word| (word >> 8) as f32 / (1 << 24) as f32).collect()
}

fn bench<R>(bencher: Bencher<'_, '_>, work: impl Fn(&Device, &[f32]) -> R + Sync) {
    let (device, values) = (Device::cpu(), values(LENGTH));
    bencher.counter(BytesCount::of_slice(&values)).bench_local(|| work(&device, &values));
}

#[divan::bench]
fn summary_of_an_array(bencher: Bencher<'_, '_>) {
    bench(bencher, |device, values| summary::summary(device, values));
}

#[divan::bench(args = [8, 100, 10_000])]
fn moments_of_segments(bencher: Bencher<'_, '_>, length: usize) {
    let segments = Segments::of_lengths(std::iter::repeat_n(length, LENGTH / length));
    bench(bencher, |device, values| segments::moments(device, values, &segments));
}

#[divan::bench(args = [100, 1_000_000])]
fn quartiles_of_segments(bencher: Bencher<'_, '_>, length: usize) {
    let segments = Segments::of_lengths(std::iter::repeat_n(length, LENGTH / length));
    bench(bencher, |device, values| segments::quantiles(device, values, &segments, &[0.25, 0.5, 0.75]));
}

#[divan::bench(args = [100, 1_000_000])]
fn best_ten_of_segments(bencher: Bencher<'_, '_>, length: usize) {
    let segments = Segments::of_lengths(std::iter::repeat_n(length, LENGTH / length));
    bench(bencher, |device, values| segments::top_k(device, values, &segments, 10, Best::Smallest));
}

#[divan::bench]
fn running_best_of_an_array(bencher: Bencher<'_, '_>) {
    let segments = Segments::whole(LENGTH);
    bench(bencher, |device, values| segments::running_best(device, values, &segments, Best::Smallest));
}

#[divan::bench]
fn histogram_of_256_bins(bencher: Bencher<'_, '_>) {
    match histogram::Bins::new(0.0, 1.0, 256) {
        Ok(bins) => bench(bencher, |device, values| histogram::histogram(device, values, &bins)),
        Err(error) => panic!("{error}"),
    }
}

/// A table of 1 000 configurations and 81 epochs; 256 trials on 8 slots, divisor 3.
fn search(curves: &[f64], replicates: usize) -> Search<'_> {
    Search {
        curves,
        length: 81,
        rungs: &[1, 3, 9, 27, 81],
        divisor: 3.0,
        trials: 256,
        slots: 8,
        budgets: &[10, 20, 40, 80, 120, 160],
        replicates,
        seed: 1,
    }
}

fn table() -> Vec<f64> {
    let noise = values(1000 * 82);
    let curve = |number: usize| {
        let level = f64::from(noise[number]);
        let noise = &noise[1000 + number * 81..][..81];
        (1..=81)
            .zip(noise)
            .map(move |(epoch, noise)| level + f64::from(1.0 + noise) / f64::from(epoch))
            .collect::<Vec<_>>()
    };
    (0..1000).flat_map(curve).collect()
}

#[divan::bench(sample_count = 10)]
fn replicates_played(bencher: Bencher<'_, '_>) {
    let (device, curves) = (Device::cpu(), table());
    bencher
        .counter(ItemsCount::new(1000_usize))
        .bench_local(|| replicates::regrets(&device, &search(&curves, 1000)));
}

#[divan::bench(sample_count = 10)]
fn replicates_played_and_judged(bencher: Bencher<'_, '_>) {
    let (device, curves) = (Device::cpu(), table());
    bencher
        .counter(ItemsCount::new(1000_usize))
        .bench_local(|| replicates::run(&device, &search(&curves, 1000), &Judge::default()));
}
