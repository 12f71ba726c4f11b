//! Trials that flood: a real agent stays small, and another trial on it gets its decisions meanwhile.
//!
//! Memory is that of this process, agent and engine of the test together, so one flood runs at a time. Sizes are modest;
//! `TOPRUNG_FULL_FLOODS=1` takes those of the promise (1 GB, 10⁶ files …).

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};
use support::{Bench, DEADLINE, script};
use tokio::sync::{Mutex, MutexGuard};
use toprung_proto::v1::{self, AttemptId, DecisionKind, attempt_event::Kind, engine_message};

/// Nothing that a trial does may cost the agent more, in MiB.
const MOST_GROWTH: u64 = 100;
/// Decisions that the calm trial gets during a flood.
const DECISIONS: u64 = 20;
/// A decision that takes longer was held up. A crowded machine needs room.
const PROMPT: Duration = Duration::from_secs(10);

/// Reports and waits for its decision again and again.
const CALM: &str = r#"
length = 0
while True:
    length += 1
    assert ask(type="report", group="validation", length=length, metrics={"error": 0.5}) == {"ok": True}
    answer = {"action": "wait"}
    while answer["action"] == "wait":
        answer = ask(type="next", length=length)
    if answer["action"] != "train":
        break
"#;

fn full() -> bool {
    std::env::var_os("TOPRUNG_FULL_FLOODS").is_some()
}

fn size(full_size: u64, modest: u64) -> u64 {
    if full() { full_size } else { modest }
}

/// Resident memory of this process in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// One flood at a time.
async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// A flood beside a calm trial.
struct Flood {
    bench: Bench,
    before: u64,
    highest: u64,
    decided: u64,
    slowest: Duration,
    asked: Instant,
    /// Of the flooding trial.
    exit: Option<v1::Exit>,
    calm_over: bool,
}

impl Flood {
    /// Starts the calm trial (2), then the flooding one (1).
    async fn start(
        change: impl FnOnce(&mut toprung_agent::Options),
        flood: impl FnOnce(&Bench) -> v1::StartAttempt,
    ) -> Self {
        let mut bench = Bench::start_with(change).await;
        bench.forgets = true;
        let mut calm = bench.python(&script(CALM));
        calm.attempt = Some(AttemptId { experiment: 2, trial: 2, attempt: 1 });
        calm.train_until = 1;
        calm.max_length = 1_000_000;
        calm.slots = vec![1];
        bench.begin(calm).await;
        bench.started().await;
        let before = resident();
        let order = flood(&bench);
        bench.begin(order).await;
        Self {
            bench,
            before,
            highest: before,
            decided: 0,
            slowest: Duration::ZERO,
            asked: Instant::now(),
            exit: None,
            calm_over: false,
        }
    }

    /// Until the flooding trial has ended and the calm one has had its decisions.
    async fn run(mut self) -> Self {
        let work = async {
            while self.exit.is_none() || self.decided < DECISIONS {
                self.step().await;
            }
            self.stop_calm().await;
        };
        tokio::time::timeout(DEADLINE * if full() { 20 } else { 3 }, work)
            .await
            .expect("the flood does not end");
        let growth = self.highest.saturating_sub(self.before);
        println!("grew by {growth} MiB; slowest decision after {:?}", self.slowest);
        assert!(growth < MOST_GROWTH, "grew by {growth} MiB");
        assert!(self.slowest < PROMPT, "a decision took {:?}", self.slowest);
        self
    }

    async fn step(&mut self) {
        let event = self.bench.whole_event().await;
        self.highest = self.highest.max(resident());
        let trial = event.attempt.unwrap().trial;
        match event.kind.unwrap() {
            Kind::Exit(exit) if trial == 1 => self.exit = Some(exit),
            Kind::Exit(exit) => {
                assert!(self.decided >= DECISIONS, "the calm trial ended: {exit:?}");
                self.calm_over = true;
            }
            Kind::Report(report) if trial == 2 => {
                self.decided += 1;
                self.slowest = self.slowest.max(self.asked.elapsed());
                self.asked = Instant::now();
                let done = self.decided >= DECISIONS && self.exit.is_some();
                let kind = if done { DecisionKind::Stop } else { DecisionKind::Train };
                self.decide(report.length, kind).await;
            }
            _ => {}
        }
    }

    async fn decide(&mut self, at_length: u64, kind: DecisionKind) {
        let attempt = Some(AttemptId { experiment: 2, trial: 2, attempt: 1 });
        let decision =
            v1::Decision { kind: kind.into(), trial: 2, length: at_length + 1, reason: "test".to_owned() };
        let decision =
            v1::AttemptDecision { attempt, at_length, decision: Some(decision), may_refuse: false };
        self.bench.send(engine_message::Kind::Decision(decision)).await;
    }

    async fn stop_calm(&mut self) {
        while !self.calm_over {
            self.step().await;
        }
    }

    /// The flooding trial has ended well.
    fn succeeded(&self) {
        let exit = self.exit.as_ref().unwrap();
        assert_eq!(exit.cause(), v1::ExitCause::Success, "{exit:?}");
    }
}

fn python(body: &str) -> impl FnOnce(&Bench) -> v1::StartAttempt {
    let script = script(body);
    move |bench| bench.python(&script)
}

#[tokio::test(flavor = "multi_thread")]
async fn much_output_is_taken_as_fast_as_it_is_stored() {
    let _turn = turn().await;
    let bytes = size(1 << 30, 200 << 20);
    let script = format!(
        "line = 'x' * 1023 + '\\n'\nfor _ in range({} // 64): sys.stdout.write(line * 64)\n",
        bytes >> 10
    );
    let flood = Flood::start(|_| {}, python(&script)).await.run().await;
    flood.succeeded();
    assert_eq!(flood.bench.forgotten_bytes, bytes / 1024 * 1023, "every line was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn output_beyond_the_limit_is_dropped_and_told() {
    let _turn = turn().await;
    let script = "line = 'x' * 1023 + '\\n'\nfor _ in range(1024): sys.stdout.write(line * 20)\n";
    let limited = |options: &mut toprung_agent::Options| options.log_bytes = 4 << 20;
    let flood = Flood::start(limited, python(script)).await.run().await;
    flood.succeeded();
    assert_eq!(flood.bench.forgotten_bytes, (4 << 10) * 1023);
    let told = flood.bench.log.iter().filter(|line| line.contains("--log-limit")).count();
    assert_eq!(told, 1, "{:?}", flood.bench.log);
    assert!(
        flood.bench.log.iter().any(|line| line == "16384 lines (16384 KiB) were dropped beyond the limit")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_end_is_cut() {
    let _turn = turn().await;
    let pieces = size(1 << 14, 1 << 10);
    let script = format!("for _ in range({pieces}): sys.stdout.write('x' * (64 << 10))\n");
    let flood = Flood::start(|_| {}, python(&script)).await.run().await;
    flood.succeeded();
    assert_eq!(flood.bench.forgotten_bytes, pieces << 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_too_large_are_refused_and_the_next_is_answered() {
    let _turn = turn().await;
    let script = r#"
def refused(text, *words):
    connection.sendall(text.encode() + b"\n")
    answer = json.loads(lines.readline())
    assert not answer["ok"] and all(word in answer["error"] for word in words), answer
    assert ask(type="status")["stop"] is False
for _ in range(5):
    many = {str(i): 0.5 for i in range(100_000)}
    refused(json.dumps({"type": "report", "group": "training", "length": 1, "metrics": many}), "1048576 bytes")
    some = {str(i): 0.5 for i in range(1001)}
    refused(json.dumps({"type": "report", "group": "training", "length": 1, "metrics": some}), "at most 1000 metrics", "1001")
    long = {"x" * 300: 0.5}
    refused(json.dumps({"type": "report", "group": "training", "length": 1, "metrics": long}), "at most 256 bytes", "300")
    refused("[" * 500_000 + "]" * 500_000, "recursion limit")
    refused('{"type": "report", "deep": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}", "recursion limit")
    refused("[" + "0," * 500_000 + "0]", "not a request")
connection.sendall(b"x" * (64 << 20) + b"\n")
assert "1048576 bytes" in json.loads(lines.readline())["error"]
"#;
    Flood::start(|_| {}, python(script)).await.run().await.succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_without_a_pause_hold_back_only_their_trial() {
    let _turn = turn().await;
    let reports = size(1_000_000, 100_000);
    let script = format!(
        r#"
import threading
def read():
    for _ in range({reports}): lines.readline()
reader = threading.Thread(target=read)
reader.start()
for start in range(0, {reports}, 1000):
    text = "".join(json.dumps({{"type": "report", "group": "training", "length": i, "metrics": {{"loss": 0.5}}}}) + "\n"
                   for i in range(start, start + 1000))
    connection.sendall(text.encode())
reader.join()
"#
    );
    let flood = Flood::start(|_| {}, python(&script)).await.run().await;
    flood.succeeded();
    assert_eq!(flood.bench.forgotten_reports, reports, "every report was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded_and_the_refused_are_told() {
    let _turn = turn().await;
    let script = format!(
        r#"
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
open_ones = [connect() for _ in range(63)]
# Idle ones hold their places: the next is told why it gets none.
def told():
    extra = connect()
    extra.sendall(b'{{"type": "status"}}\n')
    try:
        return "at most 64 may be open" in extra.makefile("r").readline()
    except ConnectionError:
        return False
assert told()
for _ in range({}):
    try:
        connect().close()
        open_ones.append(connect())
    except (ConnectionError, BlockingIOError):
        pass
    if len(open_ones) > 900:
        # Closed at the agent's side long ago.
        for one in open_ones[63:]: one.close()
        del open_ones[63:]
assert ask(type="status")["stop"] is False
for one in open_ones: one.close()
give_up = time.time() + 20
while time.time() < give_up:
    try:
        fresh = connect()
        fresh.sendall(b'{{"type": "status"}}\n')
        if "preempt" in fresh.makefile("r").readline(): break
    except ConnectionError:
        pass
    time.sleep(0.05)
else:
    sys.exit("no place became free")
"#,
        size(10_000, 2_000)
    );
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = files();
    Flood::start(|_| {}, python(&script)).await.run().await.succeeded();
    assert!(files() < before + 100, "{} files are open, {before} were", files());
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_clients_and_unread_answers_cost_little() {
    let _turn = turn().await;
    let script = r#"
half = []
for _ in range(30):
    one = connect()
    one.setblocking(False)
    half.append(one)
    try:
        # Most of a long line, and nothing more.
        for _ in range(14): one.send(b"x" * 65536)
    except BlockingIOError:
        pass
deaf = connect()
deaf.setblocking(False)
sent = 0
give_up = time.time() + 5
while time.time() < give_up:
    try:
        sent += deaf.send(b'{"type": "status"}\n' * 1000)
    except BlockingIOError:
        time.sleep(0.1)
assert sent < 64 << 20, "nobody reads the answers, and requests are taken on"
assert ask(type="status")["stop"] is False
"#;
    Flood::start(|_| {}, python(script)).await.run().await.succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_too_many_files_is_refused_quickly() {
    let _turn = turn().await;
    let script = format!(
        r#"
draft = os.path.join(os.environ["TOPRUNG_CHECKPOINT_DIR"], "incomplete-many")
for outer in range({}):
    inner = os.path.join(draft, str(outer))
    os.makedirs(inner)
    for name in range(1000): open(os.path.join(inner, str(name)), "w").close()
started = time.time()
answer = ask(type="checkpoint", length=1, directory="incomplete-many")
assert not answer["ok"] and "at most 10000 files" in answer["error"], answer
assert time.time() - started < 10
"#,
        size(1_000, 20)
    );
    Flood::start(|_| {}, python(&script)).await.run().await.succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_metrics_file_is_read_piece_by_piece() {
    let _turn = turn().await;
    let megabytes = size(2_000, 100);
    let script = format!(
        r#"
text = ('{{"epoch": 1, "loss": 0.5, "note": "' + "x" * 2000 + '"}}\n') * 500
with open("out.jsonl", "w") as out:
    # A line that never ends, then {megabytes} MB.
    out.write("x" * (5 << 20) + "\n")
    for _ in range({megabytes}): out.write(text)
"#
    );
    let order = move |bench: &Bench| {
        let mut order = bench.python(&script);
        order.run.as_mut().unwrap().metrics_file = "out.jsonl".to_owned();
        order
    };
    let flood = Flood::start(|_| {}, order).await.run().await;
    flood.succeeded();
    assert_eq!(flood.bench.forgotten_reports, megabytes * 500);
}
