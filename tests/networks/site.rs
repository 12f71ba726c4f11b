//! A server and agents on the hosts of a network, and what has to hold at the end.

use crate::book::{Book, Entry};
use crate::curve;
use crate::journal::{Export, export};
use crate::net::{ENGINE, Net};
use crate::processes::{Answer, Running, wait_until};
use crate::workplace::{Workplace, repository};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// The address of the engine for agent 0 over the slow line; see [`crate::slow_line`].
pub const SLOW: &str = "10.77.1.254:7070";

/// See the module.
pub struct Site {
    pub place: Workplace,
    pub net: Net,
    pub book: Book,
    server: Option<Running>,
    agents: Vec<Running>,
}

impl Site {
    /// A network with a server that serves. `None`: there are no networks here.
    pub fn new() -> Option<Self> {
        let net = Net::new()?;
        let mut place = Workplace::new();
        place.set("TOPRUNG_TLS_CA", &repository("tests/fixtures/tls/network-cert.pem"));
        std::fs::create_dir(place.work().join("model")).unwrap();
        let (cert, key) = (
            repository("tests/fixtures/tls/network-cert.pem"),
            repository("tests/fixtures/tls/network-key.pem"),
        );
        let listen = ["serve", "--listen", ENGINE, "--data-dir", "server"];
        let tls = ["--tls-cert", cert.as_str(), "--tls-key", key.as_str()];
        let mut server = start(&place, &net, "e", &[&listen[..], &tls[..]].concat());
        server.wait_for("toprung serves at");
        let token = std::fs::read_to_string(place.work().join("server/token")).unwrap();
        place.set("TOPRUNG_TOKEN", token.trim());
        place.set("TOPRUNG_SERVER", &format!("https://{ENGINE}"));
        let book = Book::new(&place.work().join("book"));
        Some(Self { place, net, book, server: Some(server), agents: Vec::new() })
    }

    /// Starts the next agent with so many slots, which reaches the engine at this address; returns when it is known.
    pub fn agent(&mut self, address: &str, slots: &str) {
        let index = self.agents.len();
        let (name, url) = (format!("agent-{index}"), format!("https://{address}"));
        let options = ["agent", "--name", &name, "--slots", slots, "--state-dir", &name, "--server", &url];
        self.agents.push(start(&self.place, &self.net, &format!("a{index}"), &options));
        self.wait_for_agents(index + 1);
    }

    fn wait_for_agents(&self, count: usize) {
        wait_until(
            "the agents",
            || format!("{:?}", self.ask(&["agents"])),
            || {
                let found = self.ask(&["agents", "--json"]).expect(0).json();
                let connected = |agent: &&Value| agent["connected"] == true;
                (found["agents"].as_array()?.iter().filter(connected).count() == count).then_some(())
            },
        );
    }

    /// A command on the engine's host.
    pub fn ask(&self, arguments: &[&str]) -> Answer {
        start(&self.place, &self.net, "e", arguments).wait()
    }

    /// Starts a search.
    pub fn search(&self, searcher: &str, data: &str) {
        let program = std::env::current_exe().unwrap();
        let work = self.place.work();
        let (book, checkpoints) = (work.join("book"), work.join("checkpoints"));
        let file = format!(
            "\
name: recorded curves
entrypoint: ['{}', trial, --exact, --nocapture]
hyperparameters: {{curve: {{type: int, minval: 0, maxval: {}}}}}
searcher: {{{searcher}, metric: error, max_length: {{epochs: 27}}}}
checkpoint_storage: {{type: shared_fs, host_path: '{}'}}
max_restarts: 0
data: {{book: '{}', {data}}}
reproducibility: {{experiment_seed: 1}}
",
            program.display(),
            curve::COUNT - 1,
            checkpoints.display(),
            book.display(),
        );
        self.place.write("model/search.yaml", &file);
        self.ask(&["run", "model/search.yaml", "--detach"]).expect(0);
    }

    /// Waits until the book is as wanted. `false`: the search has ended before.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&Book) -> bool) -> bool {
        let give_up = Instant::now() + 2 * crate::processes::DEADLINE;
        let mut look_again = Instant::now() + Duration::from_secs(2);
        loop {
            self.book.read();
            if wanted(&self.book) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
            if Instant::now() > look_again {
                if self.state() != "active" {
                    return false;
                }
                look_again = Instant::now() + Duration::from_secs(2);
            }
            assert!(
                Instant::now() < give_up,
                "in vain for {what}: {:?}\n{:?}",
                self.ask(&["trials", "1"]),
                self.book.lines.iter().rev().take(9).collect::<Vec<_>>()
            );
        }
    }

    /// Waits for so many further lines of the book that are accepted reports. `false`: the search has ended before.
    pub fn more_reports(&mut self, count: usize) -> bool {
        let from = self.book.read();
        self.wait_for("reports", |book| {
            book.lines[from..].iter().filter(|(_, entry)| matches!(entry, Entry::Accepted(_))).count()
                >= count
        })
    }

    /// Lets trials report so often, or as often as they can: until nothing is written any more for a moment.
    pub fn some_reports(&mut self, count: usize) {
        const QUIET: Duration = Duration::from_millis(500);
        let from = self.book.read();
        let (mut seen, mut since) = (from, Instant::now());
        loop {
            let now = self.book.read();
            let lines = self.book.lines[from..].iter();
            let reports = lines.filter(|(_, entry)| matches!(entry, Entry::Accepted(_))).count();
            if reports >= count || since.elapsed() > QUIET {
                return;
            }
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn state(&self) -> String {
        let shown = self.ask(&["show", "1", "--json"]).expect(0).json();
        shown["experiment"]["state"].as_str().unwrap().to_owned()
    }

    /// Waits for the end, ends everything, and checks the accounts.
    pub fn settle(mut self) -> (Export, Book) {
        let ended = self.wait_for("the end of the search", |_| false);
        assert!(!ended);
        assert_eq!(self.state(), "completed");
        self.wait_for_agents(self.agents.len());
        wait_until(
            "free slots",
            || format!("{:?}", self.ask(&["agents"])),
            || {
                let found = self.ask(&["agents", "--json"]).expect(0).json();
                let free = |agent: &Value| {
                    agent["slots"]
                        .as_array()
                        .is_some_and(|slots| slots.iter().all(|slot| slot["attempt"].is_null()))
                };
                found["agents"].as_array()?.iter().all(free).then_some(())
            },
        );
        for process in self.agents.drain(..).chain(self.server.take()) {
            process.signal(Signal::SIGTERM);
            process.wait().expect(0);
        }
        self.place.wait_for_silence();
        self.place.ask(&["store", "check", "--decisions", "--data-dir", "server"]).expect(0);
        self.book.read();
        let export = export(&self.place, "server");
        accounts(&self.book, &export);
        (export, self.book)
    }
}

fn start(place: &Workplace, net: &Net, host: &str, arguments: &[&str]) -> Running {
    let namespace = net.host(host);
    let enter = ["netns", "exec", &namespace, env!("CARGO_BIN_EXE_toprung")];
    Running::start(&mut place.command(Path::new("ip"), &[&enter[..], arguments].concat()))
}

/// Each report that a trial's agent has accepted is in the store exactly once, and nothing else is.
fn accounts(book: &Book, export: &Export) {
    let of = |wanted: fn(Entry) -> Option<u64>| -> BTreeSet<(u64, u64, u64)> {
        let found = book
            .lines
            .iter()
            .filter_map(|((trial, attempt), entry)| Some((*trial, *attempt, wanted(*entry)?)));
        found.collect()
    };
    let sent = of(|entry| if let Entry::Sent(length) = entry { Some(length) } else { None });
    let accepted = of(|entry| if let Entry::Accepted(length) = entry { Some(length) } else { None });
    let stored: Vec<_> =
        export.reports.iter().map(|report| (report.trial, report.attempt, report.length)).collect();
    let once: BTreeSet<_> = stored.iter().copied().collect();
    assert_eq!(once.len(), stored.len(), "a report is stored twice");
    assert_eq!(accepted.difference(&once).count(), 0, "lost: {:?}", accepted.difference(&once));
    assert_eq!(once.difference(&sent).count(), 0, "invented: {:?}", once.difference(&sent));
    assert!(export.restarts.values().all(|restarts| *restarts == 0), "a lost link is no trial's failure");
}
