//! The process of an attempt: replays the recorded curve that is nearest to its hyperparameters, one report and one
//! checkpoint at each length, over the trial contract's socket.

use crate::recorded;
use serde_json::{Value, json};
use std::env::var;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use toprung_simulations::Task as _;

struct Trial {
    socket: BufReader<UnixStream>,
    checkpoints: PathBuf,
    name: String,
}

/// Trains as an attempt of a trial, until it is told to end.
pub fn train() {
    let of = |name: &str| var(name).unwrap();
    let data: Value = serde_json::from_str(&of("TOPRUNG_DATA")).unwrap();
    let path = |name: &str| Path::new(data[name].as_str().unwrap()).to_owned();
    let config = recorded::config(&fs::read_to_string(path("search")).unwrap());
    let table = recorded::table(&path("curves"), &config);
    let hparams = toprung_searchers::from_json_text(&of("TOPRUNG_HPARAMS")).unwrap();
    let curve = table.curve(0, 0, &hparams);
    let sign = if config.searcher.smaller_is_better { 1.0 } else { -1.0 };
    let mut trial = Trial {
        socket: BufReader::new(UnixStream::connect(of("TOPRUNG_SOCKET")).unwrap()),
        checkpoints: of("TOPRUNG_CHECKPOINT_DIR").into(),
        name: format!("incomplete-{}-{}", of("TOPRUNG_TRIAL_ID"), of("TOPRUNG_ATTEMPT")),
    };
    let saved = |path: String| fs::read_to_string(Path::new(&path).join("length")).unwrap().parse().unwrap();
    let mut length: u64 = var("TOPRUNG_LATEST_CHECKPOINT").map_or(0, saved);
    trial.ask(&json!({"type": "hello", "sdk": "recorded curves", "version": "1"}));
    while trial.may_go_on(length) {
        length += 1;
        trial.report(length, sign * table.point(&curve, length).metric);
        trial.save(length);
    }
}

impl Trial {
    fn ask(&mut self, request: &Value) -> Value {
        self.socket.get_mut().write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        assert_ne!(self.socket.read_line(&mut answer).unwrap(), 0, "the agent is gone");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_ne!(answer["ok"], false, "{answer}");
        answer
    }

    fn may_go_on(&mut self, length: u64) -> bool {
        loop {
            let answer = self.ask(&json!({"type": "next", "length": length}));
            match answer["action"].as_str().unwrap() {
                "train" => return true,
                "wait" => {}
                _ => return false,
            }
        }
    }

    fn report(&mut self, length: u64, error: f64) {
        let error = if error.is_nan() { json!("NaN") } else { json!(error) };
        self.ask(
            &json!({"type": "report", "group": "validation", "length": length, "metrics": {"error": error}}),
        );
    }

    fn save(&mut self, length: u64) {
        let name = format!("{}-{length}", self.name);
        let directory = self.checkpoints.join(&name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("length"), length.to_string()).unwrap();
        self.ask(&json!({"type": "checkpoint", "length": length, "directory": name}));
    }
}
