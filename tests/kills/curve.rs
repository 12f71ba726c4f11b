//! The trial: replays a recorded learning curve over the trial contract's socket.
//!
//! It writes a line into the book before and after everything it says, with one `write` each, so that a kill can lose no
//! line that was written. It never connects twice: a trial whose agent is gone ends.

use serde_json::{Value, json};
use std::env::var;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Validation errors of 120 networks on the digits data set after 1, 2, … 27 epochs; a line each.
const CURVES: &str = include_str!("../fixtures/curves/digits.csv");
/// How many there are.
pub const COUNT: usize = 120;

/// The error of a network after so many epochs.
pub fn error(curve: usize, length: u64) -> f64 {
    let line = CURVES.lines().nth(curve).unwrap();
    line.split(',').nth(length as usize - 1).unwrap().parse().unwrap()
}

/// What training from the start adds up to: it shows whether a trial has gone on from the right state.
pub fn total(curve: usize, length: u64) -> f64 {
    (1..=length).map(|length| error(curve, length)).fold(0.0, |sum, error| sum + error)
}

struct Trial {
    name: String,
    book: File,
    socket: BufReader<UnixStream>,
    checkpoints: PathBuf,
}

/// Trains as an attempt of a trial, until it is told to end.
pub fn train() {
    let of = |name: &str| var(name).unwrap();
    let data: Value = serde_json::from_str(&of("TOPRUNG_DATA")).unwrap();
    let hparams: Value = serde_json::from_str(&of("TOPRUNG_HPARAMS")).unwrap();
    let curve = hparams["curve"].as_u64().unwrap() as usize;
    // A first attempt that is to be overtaken trains slowly.
    let first = data["first_sleep_ms"].as_u64().filter(|_| of("TOPRUNG_ATTEMPT") == "1");
    let sleep = Duration::from_millis(first.or(data["sleep_ms"].as_u64()).unwrap());
    let mut trial = Trial {
        name: format!("{} {}", of("TOPRUNG_TRIAL_ID"), of("TOPRUNG_ATTEMPT")),
        book: OpenOptions::new().append(true).create(true).open(data["book"].as_str().unwrap()).unwrap(),
        socket: BufReader::new(UnixStream::connect(of("TOPRUNG_SOCKET")).unwrap()),
        checkpoints: of("TOPRUNG_CHECKPOINT_DIR").into(),
    };
    let (mut length, mut sum) =
        var("TOPRUNG_LATEST_CHECKPOINT").map_or((0, 0.0), |path| read(Path::new(&path)));
    trial.write(&format!("begin {length} {}", std::process::id()));
    trial.ask(&json!({"type": "hello", "sdk": "recorded curves", "version": "1"}));
    while trial.may_go_on(length) {
        std::thread::sleep(sleep);
        length += 1;
        sum += error(curve, length);
        trial.report(length, error(curve, length), sum);
        trial.save(length, sum);
    }
}

fn read(checkpoint: &Path) -> (u64, f64) {
    let text = fs::read_to_string(checkpoint.join("state.json")).unwrap();
    let state: Value = serde_json::from_str(&text).unwrap();
    (state["length"].as_u64().unwrap(), state["sum"].as_f64().unwrap())
}

impl Trial {
    fn write(&mut self, what: &str) {
        let line = format!("{} {what}\n", self.name);
        assert_eq!(self.book.write(line.as_bytes()).unwrap(), line.len());
    }

    /// A request and its answer. Without an agent there is nothing more to say.
    fn ask(&mut self, request: &Value) -> Value {
        let sent = self.socket.get_mut().write_all(format!("{request}\n").as_bytes());
        let mut answer = String::new();
        match sent.and_then(|()| self.socket.read_line(&mut answer)) {
            Ok(1..) => {}
            nothing => {
                self.write("alone");
                panic!("the agent is gone: {nothing:?}");
            }
        }
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_ne!(answer["ok"], false, "{answer}");
        answer
    }

    fn may_go_on(&mut self, length: u64) -> bool {
        loop {
            let answer = self.ask(&json!({"type": "next", "length": length}));
            match answer["action"].as_str().unwrap() {
                "train" => {
                    self.write(&format!("until {}", answer["until"]));
                    return true;
                }
                "wait" => {}
                action => {
                    self.write(&format!("bye {action}"));
                    return false;
                }
            }
        }
    }

    fn report(&mut self, length: u64, error: f64, sum: f64) {
        self.write(&format!("sent {length}"));
        let metrics = json!({"error": error, "sum": sum});
        self.ask(&json!({"type": "report", "group": "validation", "length": length, "metrics": metrics}));
        self.write(&format!("ok {length}"));
    }

    fn save(&mut self, length: u64, sum: f64) {
        let name = format!("incomplete-{}", self.name.replace(' ', "-") + &format!("-{length}"));
        let directory = self.checkpoints.join(&name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("state.json"), json!({"length": length, "sum": sum}).to_string()).unwrap();
        self.ask(&json!({"type": "checkpoint", "length": length, "directory": name}));
        self.write(&format!("saved {length}"));
    }
}
