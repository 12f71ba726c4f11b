//! The inputs that fuzzing begins with are good ones; `TOPRUNG_SEEDS=DIR` writes them down.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use toprung_inputs::TARGETS;

#[test]
fn seeds_run() {
    for target in TARGETS {
        for (number, seed) in (target.seeds)().iter().enumerate() {
            (target.run)(seed);
            if let Some(directory) = std::env::var_os("TOPRUNG_SEEDS") {
                let of_target = Path::new(&directory).join(target.name);
                std::fs::create_dir_all(&of_target).unwrap();
                std::fs::write(of_target.join(format!("seed-{number}")), seed).unwrap();
            }
        }
    }
}
