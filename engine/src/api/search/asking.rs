//! Ask and tell: for programs that run trials themselves.

use std::time::Duration;
use tonic::{Code, Status};
use toprung_proto::v1::{self, ask_response::Outcome};

use super::Search;
use crate::actors::experiment::{Asked, ExperimentHandle, NotTaken};
use crate::actors::{CALL_DEADLINE, Unavailable, now_ms};
use crate::api::gate::later;
use crate::experiment::answers::Refused;
use crate::experiment::external::Lane;

/// Longest wait for a trial.
pub(super) const MAX_WAIT: Duration = Duration::from_mins(1);
/// When an experiment that is being started again may be asked again.
const RESTART: Duration = Duration::from_secs(2);
/// Reports in one tell, and metrics in one report.
const MAX_REPORTS: usize = 1_000;
const MAX_METRICS: usize = 1_000;
/// Characters of a program's name, of a checkpoint's label or a metric's name, and of a message.
const MAX_CLIENT: usize = 128;
const MAX_LABEL: usize = 4_096;
const MAX_MESSAGE: usize = 16_384;

impl Search {
    pub(super) async fn ask_for_trial(&self, request: v1::AskRequest) -> Result<v1::AskResponse, Status> {
        check_client(&request.client)?;
        let id = request.experiment;
        let Some(handle) = self.active(id).await? else { return self.over(id).await };
        let lane = Lane::new(&request.client, request.lane);
        let wait = Duration::from_millis(request.max_wait_ms.into()).min(MAX_WAIT);
        let asked = handle.ask_for_trial(lane, !wait.is_zero());
        let patience = if wait.is_zero() { CALL_DEADLINE } else { wait };
        let outcome = match tokio::time::timeout(patience, asked).await {
            Ok(Ok(Asked::Trial(assignment))) => Outcome::Assignment(*assignment),
            Ok(Ok(Asked::Nothing(reason))) => Outcome::Nothing(v1::NothingNow { reason }),
            Ok(Ok(Asked::Over)) => return self.over(id).await,
            Ok(Ok(Asked::NotExternal)) => return Err(run_by_agents(id)),
            Err(_) if !wait.is_zero() => {
                Outcome::Nothing(v1::NothingNow { reason: self.why(&handle).await? })
            }
            // Its actor has ended, or does not answer.
            Ok(Err(_)) | Err(_) => return Err(self.failed(Unavailable("the experiment"))),
        };
        Ok(v1::AskResponse { outcome: Some(outcome) })
    }

    async fn why(&self, handle: &ExperimentHandle) -> Result<String, Status> {
        let why = handle.ask(|shell| shell.machine().why_nothing()).await;
        why.map_err(|error| self.failed(error))
    }

    /// The answer of an experiment that has ended.
    async fn over(&self, id: u64) -> Result<v1::AskResponse, Status> {
        let over = self.search_over(id).await?;
        Ok(v1::AskResponse { outcome: Some(Outcome::Over(over)) })
    }

    /// How an experiment has ended.
    pub(super) async fn search_over(&self, id: u64) -> Result<v1::SearchOver, Status> {
        let ended = self.ended(id).await?;
        Ok(v1::SearchOver { state: ended.state, reason: ended.reason, best: ended.best })
    }

    pub(super) async fn ended(&self, id: u64) -> Result<v1::Experiment, Status> {
        let found = self.experiment(id).await?;
        let state = found.state();
        let ends = [v1::ExperimentState::Completed, v1::ExperimentState::Killed, v1::ExperimentState::Error];
        if ends.contains(&state) {
            return Ok(found);
        }
        Err(later(Code::Unavailable, format!("experiment {id} is being started again"), RESTART))
    }

    pub(super) async fn tell_of_trial(&self, request: v1::TellRequest) -> Result<v1::TellResponse, Status> {
        check_tell(&request)?;
        let id = request.experiment;
        let told = told(request);
        let trial = told.trial;
        let mut response = match self.active(id).await? {
            Some(handle) => match handle.tell(told).await.map_err(|error| self.failed(error))? {
                Ok(response) => response,
                Err(NotTaken::NotExternal) => return Err(run_by_agents(id)),
                Err(NotTaken::Refused(Refused::NoTrial(message))) => return Err(Status::not_found(message)),
                Err(NotTaken::Refused(Refused::Wrong(message))) => {
                    return Err(Status::invalid_argument(message));
                }
            },
            None => {
                self.ended(id).await?;
                let decision =
                    v1::Decision { kind: v1::DecisionKind::Stop.into(), trial, ..Default::default() };
                v1::TellResponse { decision: Some(decision), over: true, ..Default::default() }
            }
        };
        if let Some(decision) = response.decision.as_mut().filter(|decision| decision.reason.is_empty()) {
            let ended = self.trial(id, trial).await?;
            decision.reason = ended.reason;
            decision.length = ended.length;
        }
        Ok(response)
    }
}

/// As the journal has it.
fn told(request: v1::TellRequest) -> v1::TrialTold {
    let v1::TellRequest { trial, attempt, client, mut reports, checkpoint, outcome, message, .. } = request;
    for report in reports.iter_mut().filter(|report| report.time_unix_ms == 0) {
        report.time_unix_ms = now_ms();
    }
    v1::TrialTold { trial, attempt, client, reports, checkpoint, outcome, message }
}

fn run_by_agents(id: u64) -> Status {
    Status::failed_precondition(format!(
        "agents run the trials of experiment {id}: only one whose file says `entrypoint: external` can be asked"
    ))
}

fn check_client(client: &str) -> Result<(), Status> {
    let fits = (1..=MAX_CLIENT).contains(&client.chars().count()) && !client.chars().any(char::is_control);
    let message = || {
        format!(
            "`client` is the program's name, 1 to {MAX_CLIENT} printable characters, the same after its restart"
        )
    };
    if fits { Ok(()) } else { Err(Status::invalid_argument(message())) }
}

fn check_tell(request: &v1::TellRequest) -> Result<(), Status> {
    check_client(&request.client)?;
    let wrong = |message: String| Err(Status::invalid_argument(message));
    if request.reports.len() > MAX_REPORTS {
        return wrong(format!(
            "{} reports in one tell, at most {MAX_REPORTS} are allowed",
            request.reports.len()
        ));
    }
    for report in &request.reports {
        let long = report.metrics.iter().any(|metric| metric.name.len() > MAX_LABEL);
        if report.metrics.len() > MAX_METRICS || long {
            let length = report.length;
            return wrong(format!(
                "the report at length {length} has more than {MAX_METRICS} metrics, or a name of more than {MAX_LABEL} bytes"
            ));
        }
    }
    let label = request.checkpoint.as_ref().map(|checkpoint| checkpoint.label.len());
    if label.is_some_and(|label| !(1..=MAX_LABEL).contains(&label)) {
        return wrong(format!("a checkpoint's label has 1 to {MAX_LABEL} bytes"));
    }
    if request.message.len() > MAX_MESSAGE {
        return wrong(format!("`message` has more than {MAX_MESSAGE} bytes"));
    }
    if v1::TellOutcome::try_from(request.outcome).is_err() {
        return wrong(format!("outcome {} is none that this version knows", request.outcome));
    }
    Ok(())
}
