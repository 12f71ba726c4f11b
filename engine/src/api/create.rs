//! From an experiment file to a new experiment, or to a preview of it.

use prost::Message as _;
use tonic::{Code, Status};
use toprung_config::{Parsed, Problem, Problems, Severity};
use toprung_proto::v1;
use toprung_searchers::plan::{BracketPlan, Ending};
use toprung_searchers::{TrialId, to_json_text};

use super::auth::random_seed;
use super::search::Search;
use super::{blocking, source};
use crate::archive;

/// Creates an experiment, or answers the one that the same request created before.
pub(super) async fn create(
    search: &Search,
    mut request: v1::CreateExperimentRequest,
) -> Result<v1::CreateExperimentResponse, Status> {
    // What is taken from an experiment is in memory, too.
    let _room = match request.source_experiment {
        0 => None,
        _ => Some(search.room.take(u32::try_from(search.max_model_bytes).unwrap_or(u32::MAX)).await?),
    };
    source::fill_in(search, &mut request).await?;
    let Parsed { mut config, warnings } = toprung_config::parse(&request.config_yaml).map_err(invalid)?;
    let warnings: Vec<String> = warnings.iter().map(|warning| warning.message.clone()).collect();
    if request.model_archive.len() > search.max_model_bytes {
        return Err(Status::invalid_argument(format!(
            "the model archive has {} bytes, at most {} are allowed; leave files out with .toprungignore",
            request.model_archive.len(),
            search.max_model_bytes
        )));
    }
    let store = search.store.clone();
    let (request_id, archive_bytes) = (request.request_id.clone(), request.model_archive);
    let known_or_model = blocking(move || {
        let known = if request_id.is_empty() { None } else { store.request(&request_id)? };
        match known {
            Some(id) => Ok(Err(archive::experiment(&store, id)?)),
            None => Ok(Ok(store.models().put(&archive_bytes)?)),
        }
    });
    let model_sha256 = match known_or_model.await? {
        Ok(model_sha256) => model_sha256,
        Err(experiment) => return Ok(v1::CreateExperimentResponse { experiment, warnings }),
    };
    search.check_active().await?;
    let (source_checkpoint, checkpoint_source) = source::warm_start(search, &config.searcher).await?.unzip();
    let seed = match config.experiment_seed {
        Some(seed) => seed,
        None => random_seed()?,
    };
    config.experiment_seed = Some(seed);
    let created = v1::ExperimentCreated {
        id: 0,
        request_id: request.request_id,
        config_json: config.complete().to_string(),
        config_yaml: request.config_yaml,
        config_file: request.config_file,
        model_sha256,
        name: config.name.clone().unwrap_or_default(),
        seed,
        source_checkpoint,
        source_experiment: request.source_experiment,
        checkpoint_source,
    };
    let experiment = search.experiments.create(created).await.map_err(|error| search.failed(error))?;
    Ok(v1::CreateExperimentResponse { experiment: Some(experiment), warnings })
}

/// What a search would do.
pub(super) fn preview(
    request: &v1::PreviewExperimentRequest,
) -> Result<v1::PreviewExperimentResponse, Status> {
    let Parsed { config, warnings } = toprung_config::parse(&request.config_yaml).map_err(invalid)?;
    let refused = |error: toprung_searchers::Error| Status::invalid_argument(error.to_string());
    let settings = &config.searcher;
    let plan = toprung_searchers::plan(&settings.method, &config.space).map_err(refused)?;
    let samples = u64::from(request.samples.min(100)).min(plan.trials) as u32;
    let seed = config.experiment_seed.unwrap_or(0);
    let sample = |trial| settings.method.sample(&config.space, seed, TrialId(trial));
    let sample_hparams_json = (1..=samples).map_while(sample).map(|drawn| to_json_text(&drawn)).collect();
    let plan = v1::SearchPlan {
        searcher: settings.method.name().to_owned(),
        time_metric: settings.time_metric.clone(),
        max_length: settings.max_length,
        trials: plan.trials,
        brackets: plan.brackets.into_iter().map(bracket).collect(),
        ending: plan.ending.into_iter().map(length_count).collect(),
        total_length: plan.total_length,
        full_length: plan.full_length,
    };
    let warnings = warnings.into_iter().map(|warning| warning.message).collect();
    Ok(v1::PreviewExperimentResponse { plan: Some(plan), warnings, sample_hparams_json })
}

fn bracket(bracket: BracketPlan) -> v1::BracketPlan {
    v1::BracketPlan {
        rung_lengths: bracket.rungs.iter().map(|rung| rung.length).collect(),
        trials: bracket.trials,
        ending: bracket.ending().into_iter().map(length_count).collect(),
    }
}

fn length_count(ending: Ending) -> v1::LengthCount {
    v1::LengthCount { length: ending.length, trials: ending.trials }
}

/// Everything that is wrong with a file, as INVALID_ARGUMENT with `ConfigProblems` as its details.
pub(super) fn invalid(problems: Problems) -> Status {
    let message = problems.to_string();
    let details = v1::ConfigProblems { problems: problems.0.into_iter().map(problem).collect() };
    Status::with_details(Code::InvalidArgument, message, details.encode_to_vec().into())
}

fn problem(problem: Problem) -> v1::ConfigProblem {
    v1::ConfigProblem {
        line: problem.line,
        column: problem.column,
        offset: problem.offset as u32,
        span: problem.len as u32,
        path: problem.path,
        message: problem.message,
        help: problem.help.unwrap_or_default(),
        warning: problem.severity == Severity::Warning,
    }
}
