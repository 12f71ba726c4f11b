//! What the one-pass reductions reach on a GPU, against the bandwidth of a copy on it.
//!
//! `cargo run --release -p toprung-kernels --example bandwidth -- [cuda:0] [GiB] [--lines]`. Each operation is run once to compile its
//! kernel and then 21 times; the time is the median from call to result, so launches and the read of the result are included. The
//! floor of an operation is its bytes (read and written) over the measured bandwidth of the copy. With `--lines` the table is
//! name, bytes and seconds, separated by tabs (for `benches/side_by_side.py`).

use std::process::ExitCode;
use std::time::Instant;
use toprung_kernels::replicates::{self, Judge, Search};
use toprung_kernels::segments::{Segments, extremes, moments, quantiles, running_best};
use toprung_kernels::summary::summary;
use toprung_kernels::{Best, Device, DeviceArray, DeviceChoice, Element, Error, histogram, philox::philox};

const RUNS: usize = 21;
/// Values are repeated after so many: making a GiB of random numbers takes longer than all measurements.
const PERIOD: usize = 1 << 24;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match measure(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("bandwidth: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &[String]) -> Result<(), String> {
    let lines = arguments.iter().any(|argument| argument == "--lines");
    let mut others = arguments.iter().filter(|argument| *argument != "--lines");
    let choice: DeviceChoice =
        others.next().map_or(Ok(DeviceChoice::Cuda(0)), |text| text.parse()).map_err(text)?;
    let size: f64 = others.next().map_or(Ok(1.0), |text| text.parse().map_err(text_of_number))?;
    let device = Device::open(choice).map_err(text)?;
    if !device.is_gpu() {
        return Err(format!("{choice} is no GPU here; choose cuda:N (the CPU is measured by `cargo bench`)"));
    }
    let bytes = (size * f64::from(1 << 30)) as usize;
    let mut table = Table { bandwidth: 0.0, lines };
    if !lines {
        println!("{}, arrays of {size} GiB", device.label());
        println!("{:<34}{:>12}{:>10}{:>12}{:>12}", "", "time [µs]", "GB/s", "% of copy", "floor [µs]");
    }
    measure_elements::<f32>(&device, bytes, &mut table, |value| value).map_err(text)?;
    measure_elements::<f64>(&device, bytes, &mut table, f64::from).map_err(text)?;
    measure_replicates(&device, lines).map_err(text)
}

fn text(error: Error) -> String {
    error.to_string()
}

fn text_of_number(error: std::num::ParseFloatError) -> String {
    format!("the size in GiB: {error}")
}

/// What is printed of each operation.
struct Table {
    /// Bytes a second of a copy, read and written.
    bandwidth: f64,
    lines: bool,
}

impl Table {
    fn row(&mut self, name: &str, bytes: usize, run: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
        let seconds = median_time(run)?;
        let rate = bytes as f64 / seconds;
        if self.bandwidth == 0.0 {
            self.bandwidth = rate;
        }
        if self.lines {
            println!("{name}\t{bytes}\t{seconds:.9}");
        } else {
            let (percent, floor) = (100.0 * rate / self.bandwidth, bytes as f64 / self.bandwidth);
            println!(
                "{name:<34}{:>12.1}{:>10.0}{percent:>12.1}{:>12.1}",
                seconds * 1e6,
                rate / 1e9,
                floor * 1e6
            );
        }
        Ok(())
    }
}

fn median_time(mut run: impl FnMut() -> Result<(), Error>) -> Result<f64, Error> {
    run()?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[RUNS / 2])
}

fn measure_elements<T: Element>(
    device: &Device,
    bytes: usize,
    table: &mut Table,
    from: fn(f32) -> T,
) -> Result<(), Error> {
    let length = bytes / size_of::<T>();
    let some: Vec<T> = uniform(PERIOD.min(length)).into_iter().map(from).collect();
    let values: Vec<T> = some.iter().copied().cycle().take(length).collect();
    let array: DeviceArray<T> = device.upload(&values)?;
    let bytes = length * size_of::<T>();
    let name = |what: &str| format!("{what} {}", if size_of::<T>() == 4 { "f32" } else { "f64" });
    table.row(&name("copy"), 2 * bytes, || device.copy(&array).and_then(|_| device.synchronize()))?;
    table.row(&name("summary"), bytes, || summary(device, &array).map(drop))?;
    let whole = Segments::whole(length);
    table.row(&name("moments"), bytes, || moments(device, &array, &whole).map(drop))?;
    table.row(&name("extremes"), bytes, || extremes(device, &array, &whole).map(drop))?;
    let bins = histogram::Bins::new(0.0, 1.0, 256)?;
    table.row(&name("histogram 256"), bytes, || histogram::histogram(device, &array, &bins).map(drop))?;
    for each in [64, 1000, 1_000_000] {
        let segments = Segments::of_lengths(std::iter::repeat_n(each, length / each));
        // Offsets are read and 64 bytes are written for each segment.
        let all = bytes + segments.len() * 72;
        table.row(&name(&format!("moments of segments of {each}")), all, || {
            moments(device, &array, &segments).map(drop)
        })?;
    }
    table.row(&name("running best"), 2 * bytes, || {
        running_best(device, &array, &whole, Best::Smallest).and_then(|_| device.synchronize())
    })?;
    // Selection reads the array once for each byte of a key, for two ranks.
    table.row(&name("median"), bytes, || quantiles(device, &array, &whole, &[0.5]).map(drop))
}

fn uniform(count: usize) -> Vec<f32> {
    let words = (0..count.div_ceil(4) as u32).flat_map(|block| philox([block, 0, 0, 0], 1));
    words.take(count).map(|word| (word >> 8) as f32 / (1 << 24) as f32).collect()
}

/// 100 000 replicates of 256 trials over a table of 1 000 configurations and 81 epochs.
fn measure_replicates(device: &Device, lines: bool) -> Result<(), Error> {
    let noise = uniform(1000 * 82);
    let curve = |number: usize| {
        let level = f64::from(noise[number]);
        let noise = &noise[1000 + number * 81..][..81];
        (1..=81).zip(noise).map(move |(epoch, noise)| level + f64::from(1.0 + noise) / f64::from(epoch))
    };
    let curves: Vec<f64> = (0..1000).flat_map(curve).collect();
    let search = Search {
        curves: &curves,
        length: 81,
        rungs: &[1, 3, 9, 27, 81],
        divisor: 3.0,
        trials: 256,
        slots: 8,
        budgets: &[10, 20, 40, 80, 120, 160],
        replicates: 100_000,
        seed: 1,
    };
    let played = median_time(|| replicates::regrets(device, &search).map(drop))?;
    let judged = median_time(|| replicates::run(device, &search, &Judge::default()).map(drop))?;
    if lines {
        println!("replicates played\t0\t{played:.9}\nreplicates played and judged\t0\t{judged:.9}");
    } else {
        println!(
            "100 000 replicates of 256 trials: played in {played:.3} s, played and judged in {judged:.3} s"
        );
    }
    Ok(())
}
