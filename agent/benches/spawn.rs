//! How many attempts of `true` an agent runs a second, against a bare loop that only spawns.
//!
//! `cargo bench -p toprung-agent` (add `--profile dev` for a quick look).

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{process::Command, time::Instant};
use support::{Bench, attempt};
use toprung_proto::v1::AttemptId;

const COUNT: u32 = 300;
/// Attempts under way at once.
const WINDOW: u32 = 4;

#[tokio::main]
async fn main() {
    let started = Instant::now();
    for _ in 0..COUNT {
        assert!(Command::new("true").status().unwrap().success());
    }
    println!("bare loop: {:.0} processes/s", f64::from(COUNT) / started.elapsed().as_secs_f64());

    let mut bench = Bench::start().await;
    let started = Instant::now();
    for index in 1..=COUNT + WINDOW {
        if index <= COUNT {
            let mut order = bench.shell("");
            order.attempt = Some(AttemptId { trial: index, ..attempt() });
            order.run.as_mut().unwrap().argv = vec!["true".to_owned()];
            bench.begin(order).await;
        }
        if index > WINDOW {
            bench.exit().await;
        }
    }
    println!("attempts:  {:.0} attempts/s", f64::from(COUNT) / started.elapsed().as_secs_f64());
    bench.shut_down();
    bench.ended().await.unwrap();
}
