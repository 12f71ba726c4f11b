//! What the agent is ordered to run.

use std::{path::Path, time::Duration};
use toprung_agent::Options;
use toprung_proto::v1::{self, AttemptId};

use super::Bench;

/// A client of the socket in a few lines of the standard library.
pub const CLIENT: &str = r#"
import json, os, pathlib, socket, sys, time
def connect():
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ["TOPRUNG_SOCKET"])
    return connection
connection = connect()
lines = connection.makefile("r")
def ask(**message):
    connection.sendall((json.dumps(message) + "\n").encode())
    return json.loads(lines.readline())
def validate(length, unit=None, **metrics):
    return ask(type="report", group="validation", length=length, unit=unit, metrics=metrics)
assert ask(type="hello", sdk="test", version="1") == {"ok": True}
"#;

/// A script that begins with [`CLIENT`].
pub fn script(body: &str) -> String {
    format!("{CLIENT}\n{body}")
}

impl Bench {
    /// Starts an attempt of `script` (run as `script.py`) and returns its order for changes beforehand.
    pub fn python(&self, script: &str) -> v1::StartAttempt {
        let hash = self.model(&[("script.py", script)]);
        order(vec!["python3".to_owned(), "script.py".to_owned()], hash)
    }

    /// An attempt of a shell line without a model directory.
    pub fn shell(&self, line: &str) -> v1::StartAttempt {
        let mut order = order(Vec::new(), String::new());
        line.clone_into(&mut order.run.as_mut().unwrap().shell);
        order
    }

    /// Packs files as a model that can be fetched; returns its hash.
    pub fn model(&self, files: &[(&str, &str)]) -> String {
        use sha2::{Digest as _, Sha256};
        let mut builder = tar::Builder::new(zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        let archive = builder.into_inner().unwrap().finish().unwrap();
        let hash = format!("{:x}", Sha256::digest(&archive));
        self.models.lock().unwrap().insert(hash.clone(), archive);
        hash
    }
}

/// An agent's options for a test.
pub fn options(server: &str, state_dir: &Path) -> Options {
    let mut options = Options::new(server, state_dir);
    options.token = Some("secret".to_owned());
    options.slots = Some(2);
    options.name = Some("bench".to_owned());
    options.drain_timeout = Duration::from_millis(500);
    options
}

/// The attempt that all orders here are for.
pub fn attempt() -> AttemptId {
    AttemptId { experiment: 1, trial: 1, attempt: 1 }
}

fn order(argv: Vec<String>, model_sha256: String) -> v1::StartAttempt {
    v1::StartAttempt {
        attempt: Some(attempt()),
        slots: vec![0],
        hparams_json: r#"{"lr": 0.5, "deep": {"width": 64}}"#.to_owned(),
        model_sha256,
        train_until: 3,
        max_length: 9,
        time_metric: "epochs".to_owned(),
        metric: "error".to_owned(),
        trial_seed: 42,
        run: Some(v1::RunSpec {
            argv,
            grace_seconds: 30,
            preemption_timeout_seconds: 30,
            experiment_name: "digits".to_owned(),
            ..v1::RunSpec::default()
        }),
        ..v1::StartAttempt::default()
    }
}
