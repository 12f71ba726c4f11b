//! Streams: watching an experiment, its reports and its logs. Each is a task that ends with its reader, and wakes
//! when the experiment changes, at a bounded rate.

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use toprung_proto::v1;

use super::blocking;
use super::search::Search;
use crate::actors::experiment::Shell;
use crate::actors::pool::Brief;
use crate::archive;
use crate::experiment::{Machine, view};

/// Trials shown to those who watch.
const ACTIVE: usize = 64;
/// How often logs are looked for while following.
const LOG_POLL: Duration = Duration::from_millis(200);
/// Who followed to the end looks so often more: agents send lines beside the events that end an experiment.
const LAST_LOOKS: u32 = 4;
/// How often reports are sent while following, at most.
const REPORT_POLL: Duration = Duration::from_millis(200);
/// Longest silence of a watched experiment: clocks and reasons move on even if nothing happens.
const REFRESH: Duration = Duration::from_secs(1);
/// Between two looks at an experiment whose actor is just ending.
const LEAVING: Duration = Duration::from_millis(10);
/// Chunks of reports that are read at a time: 64 reports each.
const CHUNKS: usize = 64;
/// Lines or reports in one message, about.
const PAGE: usize = 2_000;

type Sender<T> = mpsc::Sender<Result<T, Status>>;

/// Runs a stream's work until it is done, its reader is gone, or it fails.
fn stream<T, F>(
    admitted: OwnedSemaphorePermit,
    work: impl FnOnce(Sender<T>) -> F,
) -> ReceiverStream<Result<T, Status>>
where
    T: Send + 'static,
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(4);
    let work = work(sender.clone());
    tokio::spawn(async move {
        let _admitted = admitted;
        if let Err(status) = work.await {
            // A reader that is gone needs no reason.
            let _gone = sender.send(Err(status)).await;
        }
    });
    ReceiverStream::new(receiver)
}

/// Sends; `false`: the reader is gone.
async fn send<T>(sender: &Sender<T>, message: T) -> bool {
    sender.send(Ok(message)).await.is_ok()
}

/// Waits for a change, at most for `REFRESH`, and then for `pause`. `false`: the reader is gone.
async fn changed<T>(version: &mut watch::Receiver<u64>, pause: Duration, sender: &Sender<T>) -> bool {
    let wait = async {
        // No change within the time, or an actor that has ended: the caller looks again either way.
        let _changed = tokio::time::timeout(REFRESH, version.changed()).await;
        tokio::time::sleep(pause).await;
    };
    tokio::select! {
        () = wait => true,
        () = sender.closed() => false,
    }
}

/// Views of an experiment as it changes.
pub(super) async fn watch(
    search: &Search,
    request: v1::WatchExperimentRequest,
    admitted: OwnedSemaphorePermit,
) -> Result<ReceiverStream<Result<v1::WatchExperimentResponse, Status>>, Status> {
    search.experiment(request.id).await?;
    let rate = if request.max_rate_hz == 0 { 10 } else { request.max_rate_hz.min(60) };
    let pause = Duration::from_millis(1_000 / u64::from(rate));
    let (search, id) = (search.clone(), request.id);
    Ok(stream(admitted, move |sender| async move {
        let mut last_line = 0;
        loop {
            let Some(handle) = search.active(id).await? else {
                if search.experiment(id).await?.ended_unix_ms != 0 {
                    break;
                }
                if !waits_for_start(&search, id, &sender).await? {
                    return Ok(());
                }
                continue;
            };
            let mut version = handle.version();
            version.mark_unchanged();
            let since = last_line;
            let Ok((mut response, newest, curve)) = handle.ask(move |shell| watched(shell, since)).await
            else {
                // Its actor has just ended, for good or because it failed: the next look tells.
                if !waits_for_start(&search, id, &sender).await? {
                    return Ok(());
                }
                continue;
            };
            response.degraded = search.gate.degraded();
            last_line = newest;
            response.best_curve = best_curve(&search, id, &response, curve).await?;
            let pool = search.pool.brief(id).await.unwrap_or_default();
            response.slots_total = pool.slots_total;
            say_why_pending(&mut response.active, &pool);
            if let Some(experiment) = &mut response.experiment {
                say_why_nothing_runs(experiment, pool.waiting.as_deref());
            }
            if !send(&sender, response).await {
                return Ok(());
            }
            if !changed(&mut version, pause, &sender).await {
                return Ok(());
            }
        }
        let experiment = search.experiment(id).await?;
        let ended = v1::WatchExperimentResponse { experiment: Some(experiment), ..Default::default() };
        let best_curve = best_curve(&search, id, &ended, None).await?;
        send(&sender, v1::WatchExperimentResponse { best_curve, ..ended }).await;
        Ok(())
    }))
}

/// Shows what is stored of an experiment whose actor is not there, and waits a while. `false`: the reader is gone.
async fn waits_for_start(
    search: &Search,
    id: u64,
    sender: &Sender<v1::WatchExperimentResponse>,
) -> Result<bool, Status> {
    let experiment = search.experiment(id).await?;
    if experiment.ended_unix_ms != 0 {
        // Its actor is on its way out.
        tokio::time::sleep(LEAVING).await;
        return Ok(true);
    }
    let degraded = search.gate.degraded();
    let response =
        v1::WatchExperimentResponse { experiment: Some(experiment), degraded, ..Default::default() };
    if !send(sender, response).await {
        return Ok(false);
    }
    tokio::select! {
        () = tokio::time::sleep(REFRESH) => Ok(true),
        () = sender.closed() => Ok(false),
    }
}

/// Gives pending trials that have no reason of their own (a retry, a promotion) the pool's.
pub(super) fn say_why_pending(trials: &mut [v1::Trial], pool: &Brief) {
    for trial in trials.iter_mut().filter(|trial| trial.state() == v1::TrialState::Pending) {
        let home = trial.checkpoint.as_ref().map(|checkpoint| &checkpoint.agent);
        let waiting = home.and_then(|home| pool.homes.get(home)).or(pool.waiting.as_ref());
        match waiting {
            Some(waiting) if trial.reason.is_empty() => waiting.clone_into(&mut trial.reason),
            Some(waiting) => trial.reason = format!("{}; {waiting}", trial.reason),
            None => {}
        }
    }
}

/// An active experiment that holds no slots waits: its reason says for what.
pub(super) fn say_why_nothing_runs(experiment: &mut v1::Experiment, waiting: Option<&str>) {
    if let Some(waiting) = waiting
        && experiment.state() == v1::ExperimentState::Active
        && experiment.slots_in_use == 0
    {
        experiment.reason = format!("waiting: {waiting}");
    }
}

type Recent = (u64, Vec<v1::AttemptReport>);

/// What is in memory for those who watch: the view, the newest line's number, and the best trial's newest reports.
fn watched(shell: &Shell, since: u64) -> (v1::WatchExperimentResponse, u64, Option<Recent>) {
    let machine = shell.machine();
    let experiment = shell.view();
    let mut active = view::active(machine, ACTIVE);
    for trial in &mut active {
        if let Some(step) = shell.preparing.get(&trial.id) {
            trial.reason = step.clone();
        }
    }
    let left = match experiment.progress {
        progress if progress > 0.02 => (experiment.active_ms as f64 / 1_000.0) * (1.0 - progress) / progress,
        _ => 0.0,
    };
    let lines = shell.lines.iter().filter(|(number, _)| *number > since);
    let recent = machine.fold.best.as_ref().and_then(|best| recent(machine, best.trial));
    let response = v1::WatchExperimentResponse {
        active,
        rungs: view::rungs(machine),
        expected_seconds_left: left as u64,
        events: lines.map(|(_, line)| line.clone()).collect(),
        experiment: Some(experiment),
        ..Default::default()
    };
    (response, shell.lines.back().map_or(since, |(number, _)| *number), recent)
}

/// Chunks written so far, and the reports after them.
fn recent(machine: &Machine, trial: u32) -> Option<Recent> {
    let trial = machine.trial(trial)?;
    Some((u64::from(trial.chunks), trial.recent.iter().map(|report| report.0.clone()).collect()))
}

async fn best_curve(
    search: &Search,
    id: u64,
    response: &v1::WatchExperimentResponse,
    recent: Option<Recent>,
) -> Result<Vec<v1::CurvePoint>, Status> {
    let Some(experiment) = &response.experiment else { return Ok(Vec::new()) };
    let Some(best) = &experiment.best else { return Ok(Vec::new()) };
    let (store, trial) = (search.store.clone(), best.trial);
    let (before, newest) = recent.unwrap_or((u64::MAX, Vec::new()));
    let mut reports = blocking(move || archive::chunks(&store, id, trial, None, before)).await?;
    reports.extend(newest);
    // A length that was trained again counts once, with its newest value.
    let mut points = BTreeMap::new();
    for report in reports.iter().filter_map(|report| report.report.as_ref()) {
        if report.group() == v1::MetricGroup::Validation
            && let Some(metric) = report.metrics.iter().find(|metric| metric.name == experiment.metric)
        {
            points.insert(report.length, metric.value);
        }
    }
    Ok(points.into_iter().map(|(length, metric)| v1::CurvePoint { length, metric }).collect())
}

/// How far a trial's reports have been sent: the last chunk, and how many of those after it.
#[derive(Clone, Copy, Default)]
struct Sent {
    chunk: Option<u64>,
    recent: usize,
}

/// Reports of one trial or of all.
pub(super) async fn reports(
    search: &Search,
    request: v1::StreamReportsRequest,
    admitted: OwnedSemaphorePermit,
) -> Result<ReceiverStream<Result<v1::StreamReportsResponse, Status>>, Status> {
    let id = request.experiment;
    match request.trial {
        Some(trial) => drop(search.trial(id, trial).await?),
        None => drop(search.experiment(id).await?),
    }
    let search = search.clone();
    Ok(stream(admitted, move |sender| async move {
        let mut sent: BTreeMap<u32, Sent> = BTreeMap::new();
        loop {
            let handle = search.active(id).await?;
            let version = handle.as_ref().map(super::super::actors::experiment::ExperimentHandle::version);
            for trial in trials_of(&search, id, request.trial).await? {
                let position = sent.entry(trial).or_default();
                loop {
                    let (reports, more) = next_reports(&search, id, trial, position).await?;
                    for page in reports.chunks(PAGE) {
                        if !send(&sender, v1::StreamReportsResponse { reports: page.to_vec() }).await {
                            return Ok(());
                        }
                    }
                    if !more {
                        break;
                    }
                }
            }
            match version {
                Some(mut version) if request.follow => {
                    if !changed(&mut version, REPORT_POLL, &sender).await {
                        return Ok(());
                    }
                }
                // It waits for its start.
                None if request.follow && search.goes_on(id).await? => {
                    tokio::select! {
                        () = tokio::time::sleep(REFRESH) => {}
                        () = sender.closed() => return Ok(()),
                    }
                }
                _ => return Ok(()),
            }
        }
    }))
}

async fn trials_of(search: &Search, id: u64, trial: Option<u32>) -> Result<Vec<u32>, Status> {
    if let Some(trial) = trial {
        return Ok(vec![trial]);
    }
    let total = search.experiment(id).await?.trials.map_or(0, |counts| counts.total);
    Ok((1..=total as u32).collect())
}

/// The reports that follow, and whether there are more at once: a trial may have millions.
async fn next_reports(
    search: &Search,
    id: u64,
    trial: u32,
    sent: &mut Sent,
) -> Result<(Vec<v1::TrialReport>, bool), Status> {
    let in_memory = match search.active(id).await? {
        Some(handle) => handle.ask(move |shell| recent(shell.machine(), trial)).await.ok(),
        None => None,
    };
    let in_memory = match in_memory {
        Some(found) => found,
        None if search.goes_on(id).await? => {
            search.journalled(id, move |machine| recent(machine, trial)).await?
        }
        None => None,
    };
    let (before, newest) = in_memory.unwrap_or((u64::MAX, Vec::new()));
    let (store, after) = (search.store.clone(), sent.chunk);
    let numbered =
        blocking(move || archive::numbered_chunks(&store, id, trial, after, before, CHUNKS)).await?;
    let more = numbered.len() == CHUNKS;
    let mut found = Vec::new();
    for (number, reports) in numbered {
        found.extend(reports.into_iter().skip(std::mem::take(&mut sent.recent)));
        sent.chunk = Some(number);
    }
    if !more {
        let gathered = newest.len();
        found.extend(newest.into_iter().skip(sent.recent));
        sent.recent = gathered.max(sent.recent);
    }
    let report =
        |found: v1::AttemptReport| v1::TrialReport { trial, attempt: found.attempt, report: found.report };
    Ok((found.into_iter().map(report).collect(), more))
}

/// Log lines of one trial or of all.
pub(super) async fn logs(
    search: &Search,
    request: v1::StreamLogsRequest,
    admitted: OwnedSemaphorePermit,
) -> Result<ReceiverStream<Result<v1::StreamLogsResponse, Status>>, Status> {
    let (id, trial) = (request.experiment, request.trial);
    match trial {
        Some(trial) => drop(search.trial(id, trial).await?),
        None => drop(search.experiment(id).await?),
    }
    let search = search.clone();
    Ok(stream(admitted, move |sender| async move {
        let mut tail = request.tail as usize;
        let (mut cursor, mut looks) = (0, 0);
        loop {
            // Asked before the reading: lines written before the end are then surely read.
            if request.follow && search.goes_on(id).await? {
                looks = LAST_LOOKS;
            }
            loop {
                let (store, count) = (search.store.clone(), std::mem::take(&mut tail));
                let page = blocking(move || {
                    let logs = store.logs();
                    Ok(if count > 0 {
                        logs.tail(id, trial, count)?
                    } else {
                        logs.read(id, trial, cursor, PAGE)?
                    })
                });
                let page = page.await?;
                cursor = page.next_frame;
                if page.lines.is_empty() {
                    break;
                }
                let lines = page.lines;
                if !send(&sender, v1::StreamLogsResponse { lines }).await {
                    return Ok(());
                }
            }
            if looks == 0 {
                return Ok(());
            }
            looks -= 1;
            tokio::select! {
                () = tokio::time::sleep(LOG_POLL) => {}
                () = sender.closed() => return Ok(()),
            }
        }
    }))
}
