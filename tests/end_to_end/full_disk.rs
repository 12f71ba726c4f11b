//! A server whose disk is full: it says so, takes in nothing, loses nothing, and goes on when there is room. On a file
//! system of its own; skipped where none may be mounted.

use crate::document::{self, Trial};
use crate::processes::wait_until;
use crate::workplace::{Workplace, repository};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory. Unmounted at the end.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: &Path) -> Option<Self> {
        std::fs::create_dir(path).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=128m", "tmpfs"]).arg(path).output();
        mount.is_ok_and(|output| output.status.success()).then(|| Self(path.to_owned()))
    }

    /// Leaves less than the store keeps free.
    fn fill(&self) {
        let ballast = self.0.join("ballast");
        let free = || {
            let output = Command::new("df").args(["--output=avail", "-B1M"]).arg(&self.0).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            text.lines().last().unwrap().trim().parse::<usize>().unwrap()
        };
        std::fs::write(&ballast, vec![1; (free() - 12) << 20]).unwrap();
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_told_and_the_search_goes_on_when_there_is_room() {
    let place = Workplace::new();
    let Some(disk) = Mounted::new(&place.work().join("disk")) else {
        println!("skipped: no file system may be mounted here");
        return;
    };
    let _server = place.start(&["serve", "--listen", "127.0.0.1:0", "--data-dir", "disk/server"]);
    let file = place.work().join("disk/server/server.json");
    let read = || serde_json::from_slice::<Value>(&std::fs::read(&file).ok()?).ok();
    let url = wait_until("server.json", String::new, read)["url"].as_str().unwrap().to_owned();
    let to = ["--server", url.as_str()];
    let _agent = place.start(&[&["agent", "--slots", "1", "--state-dir", "agent"][..], &to].concat());
    let search = repository("tests/fixtures/logreg/search.yaml");
    let sleep = ["--set", "data.sleep_ms=30", "--set", "searcher.max_concurrent_trials=1"];
    let mut run = place.start(&[&["run", &search, "--json"][..], &to, &sleep].concat());
    run.wait_for("attempt 2 runs");
    place.ask(&[&["status"][..], &to].concat()).expect(0).prints(&["takes writes", "1 of 1 connected"]);

    disk.fill();
    // Said by whoever watches, and by whoever asks; reads go on.
    run.wait_for("degraded: store cannot write (No space left on device: ");
    let status = place.ask(&[&["status"][..], &to].concat()).expect(5);
    status.prints(&[
        "degraded: store cannot write (No space left on device: ",
        "disk/server",
        "goes on by itself when 32 MiB are free",
    ]);
    for command in [&["list"][..], &["show", "1"], &["agents"]] {
        let answer = place.ask(&[command, &to].concat()).expect(0);
        assert!(answer.out.starts_with("degraded: store cannot write ("), "{}", answer.out);
    }
    let before = Trial::with(&place, 1, &to);
    // A change waits with its person.
    let mut second = place.start(&[&["run", &search, "--json", "--detach"][..], &to].concat());
    second.wait_for("trying again");
    assert_eq!(place.json(&[&["list"][..], &to].concat())["experiments"].as_array().unwrap().len(), 1);

    disk.free();
    let created = second.wait().expect(0).json();
    assert_eq!(created["experiment"]["id"], 2);
    place.ask(&[&["kill", "2"][..], &to].concat()).expect(0);
    place.ask(&[&["status"][..], &to].concat()).expect(0);
    let ended = run.wait().expect(0).json()["experiment"].clone();
    assert_eq!(ended["state"], "completed");

    // Nothing is lost, nothing counted twice, and every decision is that of a search without a fault.
    let straight = Workplace::new();
    straight.run(&search, &sleep[2..]);
    let trials: Vec<_> = (1..=9).map(|id| Trial::with(&place, id, &to)).collect();
    assert_eq!(trials[0].reports[..before.reports.len()], before.reports[..]);
    for (trial, other) in trials.iter().zip(&document::trials(&straight)) {
        assert_eq!((trial.state(), &trial.value["reason"]), (other.state(), &other.value["reason"]));
        assert_eq!(trial.number("restarts"), 0);
        assert_eq!(trial.curve(), other.curve());
    }
}
