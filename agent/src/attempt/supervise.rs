//! Starts the process of an attempt, follows it and sees to its end.

use super::{
    Failure, LineReader, Node, Tail,
    escalation::Escalation,
    exit::{Ending, classify, may_be_memory},
    memory, metrics_file,
    policies::Policies,
    prepare::Prepared,
    printed::{Interpreter, Pattern},
};
use crate::{
    contract::{
        Contract, Control,
        socket::{self, Desk},
    },
    escaped,
    identity::{AttemptKey, unix_ms},
    orphans::Group,
    report::Reporter,
    uploads::Uploads,
};
use nix::sys::signal::Signal;
use std::{
    future::pending,
    io,
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncRead,
    process::{Child, Command},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{sleep, sleep_until},
};
use toprung_proto::v1::{Exit, ExitCause, LogStream, RunSpec, StartAttempt, Started, attempt_event::Kind};

/// How often a group without its leader is looked at.
const GROUP_POLL: Duration = Duration::from_millis(20);

/// Runs the process from its start to its exit.
pub(crate) async fn run(
    node: &Node,
    key: AttemptKey,
    order: &StartAttempt,
    run: &RunSpec,
    prepared: Prepared,
    control: &Arc<Control>,
    reporter: &Reporter,
) -> Result<Exit, Failure> {
    let collectors = Collectors::new(order, run, control, reporter)?;
    let closing = watch::Sender::new(false);
    let uploads = uploads(node, key, run, reporter)?;
    let serving = serve(key, &prepared, control, reporter, uploads.clone(), closing.subscribe())?;
    let memory = memory::Watch::start();
    let mut process = Process::start(node, &prepared).map_err(|error| {
        let message = format!("cannot start {}: {error}", prepared.program.display());
        Failure::new(ExitCause::Entrypoint, message)
    })?;
    let started = Started { pid: process.pid, time_unix_ms: unix_ms() };
    reporter.event(Kind::Started(started)).await;
    let mut following = collectors.follow(&mut process.child, &prepared, &closing);

    let mut escalation = Escalation::new(
        Duration::from_secs(run.grace_seconds.into()),
        Duration::from_secs(run.preemption_timeout_seconds.into()),
    );
    let status = process.wait(control, &mut escalation).await;
    escaped::end(escaped::mark(node.layout.instance(), key)).await;
    closing.send_replace(true);
    // What was printed and said comes before the exit. These end by themselves: their input has ended.
    while following.join_next().await.is_some() {}
    if let Err(error) = serving.await {
        tracing::warn!(attempt = %key, %error, "serving the trial broke off");
    }
    if let Some(uploads) = uploads {
        uploads.finish(reporter).await;
    }
    let status =
        status.map_err(|error| Failure::new(ExitCause::AgentLost, format!("cannot wait: {error}")))?;
    let signalled = escalation.has_signalled();
    let shell = !run.shell.is_empty();
    Ok(control.read(|contract| {
        let mut ending = Ending { signalled, shell, ..ending(contract, status, &collectors.tail) };
        ending.killed_for_memory = (may_be_memory(&ending) && memory.explains()).then(killed_for_memory);
        classify(ending)
    }))
}

/// The system's words.
fn killed_for_memory() -> String {
    let limit = memory::limit()
        .map_or(String::new(), |bytes| format!(" ({:.1} GiB)", bytes as f64 / (1u64 << 30) as f64));
    format!("the system killed it because the memory of the node or container{limit} was used up")
}

fn ending(contract: &Contract, status: ExitStatus, tail: &Tail) -> Ending {
    Ending {
        code: status.code(),
        signal: status.signal(),
        requested: contract.demand().map(|_| contract.reason().to_owned()),
        invalid_hyperparameters: contract.invalid().map(str::to_owned),
        broken_contract: contract.broken().map(str::to_owned),
        last_lines: tail.lines(),
        last_error: tail.last_error(),
        final_error: tail.final_error(),
        ..Ending::default()
    }
}

/// What stores the attempt's checkpoints, if they go into an object store.
fn uploads(
    node: &Node,
    key: AttemptKey,
    run: &RunSpec,
    reporter: &Reporter,
) -> Result<Option<Arc<Uploads>>, Failure> {
    let Some(storage) = run.storage.clone() else { return Ok(None) };
    let uploads = Uploads::start(key, Arc::clone(&node.remote), storage, reporter.clone());
    uploads
        .map(|uploads| Some(Arc::new(uploads)))
        .map_err(|error| Failure::new(ExitCause::Environment, format!("cannot store checkpoints: {error}")))
}

fn serve(
    key: AttemptKey,
    prepared: &Prepared,
    control: &Arc<Control>,
    reporter: &Reporter,
    uploads: Option<Arc<Uploads>>,
    closing: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, Failure> {
    let listener = socket::bind(&prepared.socket).map_err(|error| {
        let message = format!("cannot open the trial's socket {}: {error}", prepared.socket.display());
        Failure::new(ExitCause::AgentLost, message)
    })?;
    let path = prepared.socket.clone();
    let desk = Arc::new(Desk {
        key,
        control: Arc::clone(control),
        reporter: reporter.clone(),
        checkpoints: prepared.checkpoints.clone(),
        uploads,
        closing,
    });
    Ok(tokio::spawn(async move {
        socket::serve(listener, desk).await;
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::debug!(%error, path = %path.display(), "cannot remove a trial's socket");
        }
    }))
}

/// A running process and its group; the group is killed when this is dropped.
struct Process {
    child: Child,
    pid: i32,
    group: Group,
}

impl Process {
    fn start(node: &Node, prepared: &Prepared) -> io::Result<Self> {
        let child = Command::new(&prepared.program)
            .args(&prepared.arguments)
            .current_dir(&prepared.work)
            .env_clear()
            .envs(&prepared.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().ok_or_else(|| io::Error::other("the process has no number"))?;
        Ok(Self { child, pid: pid as i32, group: node.ledger.enter(pid) })
    }

    /// Waits for the end of the process, and of its group, at the contract's demand helping with signals.
    async fn wait(mut self, control: &Control, escalation: &mut Escalation) -> io::Result<ExitStatus> {
        let mut changes = control.watch();
        let status = loop {
            self.press(control, escalation);
            let due = async {
                match escalation.next_at() {
                    Some(at) => sleep_until(at.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                status = self.child.wait() => break status,
                _ = changes.changed() => {}
                () = due => {}
            }
        };
        // Its leader may have ended at SIGTERM while others of the group still save: they have the rest of the grace.
        while escalation.grace_until().is_some_and(|until| Instant::now() < until) && self.group.is_alive() {
            sleep(GROUP_POLL).await;
            self.press(control, escalation);
        }
        self.group.signal(Signal::SIGKILL);
        status
    }

    fn press(&self, control: &Control, escalation: &mut Escalation) {
        let now = Instant::now();
        let (demand, by_itself) = control.read(|contract| (contract.demand(), contract.ends_by_itself()));
        match demand {
            Some(demand) => escalation.demand(demand, by_itself, now),
            None => escalation.calm(),
        }
        if let Some(signal) = escalation.due(now) {
            self.group.signal(signal);
        }
    }
}

/// What reads the output of a process.
struct Collectors {
    pattern: Arc<Pattern>,
    printed: bool,
    metrics_file: String,
    time_metric: String,
    metric: String,
    conversion: toprung_proto::v1::LengthConversion,
    start: u64,
    policies: Arc<Policies>,
    tail: Tail,
    control: Arc<Control>,
    reporter: Reporter,
}

impl Collectors {
    fn new(
        order: &StartAttempt,
        run: &RunSpec,
        control: &Arc<Control>,
        reporter: &Reporter,
    ) -> Result<Self, Failure> {
        let pattern =
            Pattern::new(&run.stdout_pattern).map_err(|error| Failure::new(ExitCause::Contract, error))?;
        let policies = Policies::new(&run.log_policies);
        let policies = policies.map_err(|error| Failure::new(ExitCause::Contract, error))?;
        Ok(Self {
            pattern: Arc::new(pattern),
            policies: Arc::new(policies),
            printed: run.metrics_file.is_empty() || !run.stdout_pattern.is_empty(),
            metrics_file: run.metrics_file.clone(),
            time_metric: order.time_metric.clone(),
            metric: order.metric.clone(),
            conversion: order.conversion.unwrap_or_default(),
            start: order.checkpoint.as_ref().map_or(0, |latest| latest.length),
            tail: Tail::default(),
            control: Arc::clone(control),
            reporter: reporter.clone(),
        })
    }

    fn interpreter(&self) -> Interpreter {
        Interpreter::new(&self.time_metric, &self.metric, self.conversion, self.start)
    }

    /// Follows both pipes and the metrics file, each in a task.
    fn follow(&self, child: &mut Child, prepared: &Prepared, closing: &watch::Sender<bool>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            let metrics = self.printed.then(|| (Arc::clone(&self.pattern), self.interpreter()));
            tasks.spawn(
                self.pipe(LogStream::Stdout, metrics).follow(LineReader::new(stdout, closing.subscribe())),
            );
        }
        if let Some(stderr) = child.stderr.take() {
            tasks.spawn(
                self.pipe(LogStream::Stderr, None).follow(LineReader::new(stderr, closing.subscribe())),
            );
        }
        if !self.metrics_file.is_empty() {
            let path = prepared.work.join(&self.metrics_file);
            let (control, reporter) = (Arc::clone(&self.control), self.reporter.clone());
            let (interpreter, closing) = (self.interpreter(), closing.subscribe());
            tasks.spawn(async move {
                metrics_file::follow(&path, interpreter, &control, &reporter, closing).await;
            });
        }
        tasks
    }

    fn pipe(&self, stream: LogStream, metrics: Option<(Arc<Pattern>, Interpreter)>) -> Pipe {
        let (control, reporter) = (Arc::clone(&self.control), self.reporter.clone());
        let policies = Arc::clone(&self.policies);
        Pipe { stream, metrics, policies, tail: self.tail.clone(), control, reporter }
    }
}

/// One output stream of the process.
struct Pipe {
    stream: LogStream,
    metrics: Option<(Arc<Pattern>, Interpreter)>,
    policies: Arc<Policies>,
    tail: Tail,
    control: Arc<Control>,
    reporter: Reporter,
}

impl Pipe {
    async fn follow<R: AsyncRead + Unpin>(mut self, mut lines: LineReader<R>) {
        loop {
            match lines.next().await {
                Ok(Some(line)) => self.line(line).await,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot read the output of a trial");
                    return;
                }
            }
        }
    }

    async fn line(&mut self, line: String) {
        match self.stream {
            LogStream::Stderr => self.tail.push_error(&line),
            _ => self.tail.push(&line),
        }
        if let Some((pattern, interpreter)) = &mut self.metrics
            && !self.control.read(Contract::is_attached)
            && let Some(found) = interpreter.report(pattern.pairs(&line))
            && let Err(error) =
                self.control.report(&self.reporter, found.group, found.length, found.metrics).await
        {
            tracing::debug!(error, "a printed line is no report");
        }
        for matched in self.policies.matched(&line) {
            tracing::info!(policy = matched.name, pattern = matched.pattern, "a line matched a log policy");
            self.reporter.event(Kind::PolicyMatched(matched)).await;
        }
        self.reporter.line(self.stream, line).await;
    }
}
