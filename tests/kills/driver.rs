//! The seeded schedule: what is killed, and when.
//!
//! A moment is so many further lines of a kind in the book (a trial begins, is about to report, was answered, has saved,
//! may go on) and up to some milliseconds after it. So signals meet starts, commits and acknowledgements, and never a
//! search that stands still.

use crate::accounts::{self, Charges};
use crate::book::{Attempt, Book, Entry};
use crate::chance::Chance;
use crate::cluster::Cluster;
use crate::curve;
use crate::processes::wait_until;
use crate::workplace::Workplace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt;
use std::time::{Duration, Instant};

/// Kills of one trial, at most: each doubles the wait before its next attempt.
const KILLS_OF_A_TRIAL: usize = 2;
/// Nothing new in the book for so long: the search may have ended.
const QUIET: Duration = Duration::from_millis(400);
/// Between two looks at the book.
const LOOK: Duration = Duration::from_micros(500);

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Search {
    /// One slot: the order of all reports is forced.
    AsyncHalving,
    /// One slot and several brackets.
    Adaptive,
    /// Two agents with two slots each.
    Several,
}

impl Search {
    /// Agents, slots of each.
    fn size(self) -> (usize, u32) {
        if self == Self::Several { (2, 2) } else { (1, 1) }
    }

    /// The experiment file.
    pub fn file(self, experiment_seed: u64, book: &str) -> String {
        let searcher = match self {
            Self::AsyncHalving => {
                "name: async_halving, num_rungs: 3, max_trials: 20, max_concurrent_trials: 1"
            }
            Self::Adaptive => "name: adaptive_asha, max_trials: 16, max_concurrent_trials: 1",
            Self::Several => "name: async_halving, num_rungs: 3, max_trials: 80",
        };
        // Several go on while one of them is dead: the search has to last for some kills.
        let sleep_ms = if self == Self::Several { 12 } else { 4 };
        let program = std::env::current_exe().unwrap();
        format!(
            "\
name: recorded curves
entrypoint: ['{}', trial, --exact, --nocapture]
hyperparameters: {{curve: {{type: int, minval: 0, maxval: {}}}}}
searcher: {{{searcher}, metric: error, divisor: 3, max_length: {{epochs: 27}}}}
max_restarts: {KILLS_OF_A_TRIAL}
data: {{book: '{book}', sleep_ms: {sleep_ms}}}
reproducibility: {{experiment_seed: {experiment_seed}}}
",
            program.display(),
            curve::COUNT - 1
        )
    }
}

/// One search with its kills.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub seed: u64,
    pub search: Search,
    /// At most.
    pub kills: u64,
}

/// What was done in a round.
#[derive(Debug, Default)]
pub struct Report {
    pub engine: u64,
    pub agent: u64,
    pub trial: u64,
    pub reports: usize,
    pub attempts: usize,
    pub took: Duration,
}

impl Report {
    pub fn kills(&self) -> u64 {
        self.engine + self.agent + self.trial
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills in {:.1} s: engine {}, agent {}, trial {}; {} attempts, {} reports stored",
            self.kills(),
            self.took.as_secs_f64(),
            self.engine,
            self.agent,
            self.trial,
            self.attempts,
            self.reports
        )
    }
}

impl Round {
    /// Runs the search, kills, and checks all accounts.
    pub fn run(self) -> Report {
        let began = Instant::now();
        let place = Workplace::new();
        let book = place.work().join("book");
        std::fs::create_dir(place.work().join("model")).unwrap();
        let experiment_seed = 1 + self.seed % 3;
        place.write("model/search.yaml", &self.search.file(experiment_seed, &book.display().to_string()));
        let (agents, slots) = self.search.size();
        let cluster = Cluster::start(&place, agents, slots);
        let url = cluster.url();
        place.ask(&["run", "model/search.yaml", "--detach", "--server", &url]).expect(0);
        let mut driver = Driver {
            place: &place,
            cluster,
            chance: Chance::new(self.seed.wrapping_mul(0x0100_0193) ^ self.search as u64),
            book: Book::new(&book),
            charges: Charges::default(),
            report: Report::default(),
        };
        driver.drive(self.kills);
        place.wait_for_state("1", "completed", &["--server", &url]);
        let Driver { cluster, mut book, charges, mut report, .. } = driver;
        book.read();
        let undisturbed = (self.search != Search::Several).then_some((self.search, experiment_seed));
        let books = accounts::Books { place: &place, book: &book, charges: &charges };
        report.reports = books.settle(cluster, undisturbed);
        report.attempts = book.attempts().len();
        report.took = began.elapsed();
        report
    }
}

struct Driver<'a> {
    place: &'a Workplace,
    cluster: Cluster<'a>,
    chance: Chance,
    book: Book,
    charges: Charges,
    /// Attempts that were a trial's newest when an agent was killed.
    report: Report,
}

impl Driver<'_> {
    fn drive(&mut self, kills: u64) {
        while self.report.kills() < kills && self.wait_for_a_moment() {
            match self.chance.below(100) {
                0..40 => self.kill_engine(),
                40..60 => self.kill_agent(),
                60..70 => self.kill_both(),
                _ => self.kill_trial(),
            }
        }
    }

    /// Waits until the search has come further. `false`: it has ended.
    fn wait_for_a_moment(&mut self) -> bool {
        let kinds: [fn(&Entry) -> bool; 5] = [
            |entry| matches!(entry, Entry::Begin { .. }),
            |entry| matches!(entry, Entry::Until(_)),
            |entry| matches!(entry, Entry::Sent(_)),
            |entry| matches!(entry, Entry::Accepted(_)),
            |entry| matches!(entry, Entry::Saved(_)),
        ];
        let (kind, count) = (*self.chance.of(&kinds), 1 + self.chance.below(2) as usize);
        let late = if self.chance.percent(50) { 0 } else { self.chance.below(6_000) };
        let from = self.book.read();
        let came =
            self.wait_for(|book| book.lines[from..].iter().filter(|(_, line)| kind(line)).count() >= count);
        std::thread::sleep(Duration::from_micros(late));
        came
    }

    /// Waits until the book is as wanted. `false`: the search has ended before.
    fn wait_for(&mut self, wanted: impl Fn(&Book) -> bool) -> bool {
        let (mut seen, mut quiet_since) = (self.book.read(), Instant::now());
        let give_up = Instant::now() + crate::processes::DEADLINE;
        loop {
            if wanted(&self.book) {
                return true;
            }
            std::thread::sleep(LOOK);
            let now = self.book.read();
            if now != seen {
                (seen, quiet_since) = (now, Instant::now());
            } else if quiet_since.elapsed() > QUIET {
                if self.has_ended() {
                    return false;
                }
                quiet_since = Instant::now();
            }
            assert!(Instant::now() < give_up, "nothing goes on:\n{}", self.situation());
        }
    }

    fn has_ended(&self) -> bool {
        let answer = self.place.ask(&["show", "1", "--json", "--server", &self.cluster.url()]);
        answer.code == 0 && answer.json()["experiment"]["state"] != "active"
    }

    fn situation(&self) -> String {
        let url = self.cluster.url();
        let ask = |arguments: &[&str]| {
            let answer = self.place.ask(&[arguments, &["--server", &url]].concat());
            format!("{arguments:?}\n{}{}\n", answer.out, answer.err)
        };
        let last: Vec<_> = self.book.lines.iter().rev().take(20).collect();
        format!(
            "{}{}{}\nthe last lines, newest first: {last:?}",
            ask(&["show", "1"]),
            ask(&["trials", "1"]),
            ask(&["agents"])
        )
    }

    fn kill_engine(&mut self) {
        self.cluster.kill_server();
        self.report.engine += 1;
        self.cluster.start_server();
        if self.chance.percent(50) {
            // Once more, while it starts or while its agents come back.
            if self.chance.percent(50) {
                self.cluster.wait_for_server();
            }
            self.pass_by(150_000);
            self.cluster.kill_server();
            self.report.engine += 1;
            self.cluster.start_server();
        }
        self.cluster.wait_for_server();
    }

    fn kill_agent(&mut self) {
        let index = self.chance.below(self.cluster.agents() as u64) as usize;
        self.cluster.kill_agent(index);
        self.report.agent += 1;
        self.cluster.start_agent(index);
        if self.chance.percent(25) {
            self.pass_by(100_000);
            self.cluster.kill_agent(index);
            self.report.agent += 1;
            self.cluster.start_agent(index);
        }
    }

    fn kill_both(&mut self) {
        let index = self.chance.below(self.cluster.agents() as u64) as usize;
        self.cluster.kill_both(index);
        self.report.engine += 1;
        self.report.agent += 1;
        if self.chance.percent(50) {
            self.cluster.start_agent(index);
            self.cluster.start_server();
        } else {
            self.cluster.start_server();
            self.cluster.wait_for_server();
            self.cluster.start_agent(index);
        }
        self.cluster.wait_for_server();
    }

    /// Up to so many microseconds.
    fn pass_by(&mut self, most: u64) {
        std::thread::sleep(Duration::from_micros(self.chance.below(most)));
    }

    /// The newest attempt of each trial, with its process.
    fn newest(&self) -> Vec<(Attempt, i32)> {
        let mut newest = std::collections::BTreeMap::new();
        for (attempt, pid) in self.book.attempts() {
            newest.insert(attempt.0, (attempt, pid));
        }
        newest.into_values().collect()
    }

    fn kill_trial(&mut self) {
        self.book.read();
        let living = |(attempt, pid): &(Attempt, i32)| {
            let ended = self.book.of(*attempt).any(|entry| matches!(entry, Entry::Bye | Entry::Alone));
            !ended && self.charges.of(attempt.0) < KILLS_OF_A_TRIAL && is_attempt(*pid, *attempt)
        };
        let living: Vec<_> = self.newest().into_iter().filter(living).collect();
        if living.is_empty() {
            return;
        }
        let (attempt, pid) = *self.chance.of(&living);
        // It stands still while we look at what it has said, so that it cannot end by itself meanwhile.
        let pid = Pid::from_raw(pid);
        if kill(pid, Signal::SIGSTOP).is_err() || !stands_still(pid) {
            return;
        }
        self.book.read();
        let said: Vec<Entry> = self.book.of(attempt).collect();
        if said.contains(&Entry::Bye) {
            kill(pid, Signal::SIGCONT).unwrap();
            return;
        }
        kill(pid, Signal::SIGKILL).unwrap();
        self.report.trial += 1;
        if !is_free_to_train(&said) || self.chance.percent(40) {
            self.charges.possible(attempt.0);
            return;
        }
        // Nothing else dies before the failure is known: it is charged for certain.
        self.charges.certain(attempt.0);
        self.wait_for(|book| {
            book.attempts().iter().any(|((trial, number), _)| *trial == attempt.0 && *number > attempt.1)
        });
    }
}

/// Whether no decision on this attempt can be under way: it has said nothing at the length it may train until.
fn is_free_to_train(said: &[Entry]) -> bool {
    let until = said
        .iter()
        .rev()
        .find_map(|entry| if let Entry::Until(length) = entry { Some(*length) } else { None });
    let sent = said
        .iter()
        .rev()
        .find_map(|entry| if let Entry::Sent(length) = entry { Some(*length) } else { None });
    sent.is_none_or(|sent| until.is_some_and(|until| sent < until))
}

/// Whether this process is the attempt's, and no later one with its number.
fn is_attempt(pid: i32, (trial, attempt): Attempt) -> bool {
    let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else { return false };
    let has = |item: String| environment.split(|byte| *byte == 0).any(|found| found == item.as_bytes());
    has(format!("TOPRUNG_TRIAL_ID={trial}")) && has(format!("TOPRUNG_ATTEMPT={attempt}"))
}

/// Waits until a process that was told to has stopped. `false`: it has ended.
fn stands_still(pid: Pid) -> bool {
    wait_until(
        "a process to stop",
        || format!("process {pid}"),
        || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            match stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()) {
                Some('T' | 't') => Some(true),
                Some('Z' | 'X') | None => Some(false),
                Some(_) => None,
            }
        },
    )
}
