//! What a new experiment takes from an earlier one: its file, its model, a checkpoint to start from.

use std::io::Read as _;
use tonic::Status;
use toprung_config::{SearcherSettings, StoragePlace, WarmStart};
use toprung_proto::v1;
use toprung_searchers::SearcherConfig;
use toprung_store::Store;

use super::create::invalid;
use super::search::Search;
use super::{blocking, status};
use crate::{Error, archive, collect, load};

/// Experiments whose checkpoints are looked through at a time.
const PAGE: usize = 256;

/// Fills in what a request leaves to its source experiment: the file, with changes, and the model.
pub(super) async fn fill_in(
    search: &Search,
    request: &mut v1::CreateExperimentRequest,
) -> Result<(), Status> {
    let id = request.source_experiment;
    if id == 0 {
        if request.continue_source || !request.overrides.is_empty() {
            return Err(Status::invalid_argument(
                "`overrides` and `continue_source` need a `source_experiment`",
            ));
        }
        return Ok(());
    }
    search.experiment(id).await?;
    let store = search.store.clone();
    let (created, _) = blocking(move || load::created(&store, id)).await?;
    if request.config_yaml.is_empty() {
        let mut sets = if request.continue_source { continuing(id, &created)? } else { Vec::new() };
        sets.append(&mut request.overrides);
        request.config_yaml = toprung_config::merged(&created.config_yaml, None, &sets).map_err(invalid)?;
        request.config_file.clone_from(&created.config_file);
    } else if request.continue_source || !request.overrides.is_empty() {
        return Err(Status::invalid_argument(
            "`overrides` and `continue_source` are of the source's file: leave `config_yaml` empty",
        ));
    }
    if request.model_archive.is_empty() {
        let store = search.store.clone();
        request.model_archive = blocking(move || model(&store, id, &created.model_sha256)).await?;
    }
    Ok(())
}

/// The changes that make an experiment go on from where this one ended.
fn continuing(id: u64, created: &v1::ExperimentCreated) -> Result<Vec<String>, Status> {
    let parsed = toprung_config::parse(&created.config_json).map_err(invalid)?;
    let searcher = parsed.config.searcher;
    if !matches!(searcher.method.base(), SearcherConfig::Single { .. }) {
        return Err(Status::failed_precondition(format!(
            "experiment {id} has the searcher `{}`: only one with `single` can be continued; fork it instead",
            searcher.method.name()
        )));
    }
    let mut sets = vec![format!("searcher.source_trial_id={id}/1")];
    if matches!(searcher.source, Some(WarmStart::Checkpoint(_))) {
        sets.push("searcher.source_checkpoint_uuid=".to_owned());
    }
    Ok(sets)
}

/// The archive of an experiment's model. It is stored again with the new experiment, so that it stays when the old one
/// is deleted meanwhile.
fn model(store: &Store, experiment: u64, sha256: &str) -> Result<Vec<u8>, Error> {
    let mut archive = Vec::new();
    store.models().open(sha256)?.read_to_end(&mut archive).map_err(|error| Error::Unusable {
        experiment,
        reason: format!("its model cannot be read: {error}"),
    })?;
    Ok(archive)
}

/// The checkpoint that trials start from, as it goes into the journal.
pub(super) async fn warm_start(
    search: &Search,
    settings: &SearcherSettings,
) -> Result<Option<(v1::Checkpoint, v1::CheckpointSource)>, Status> {
    let found = match &settings.source {
        None => return Ok(None),
        Some(WarmStart::Trial { experiment, trial }) => {
            at_rest(search, *experiment).await?;
            let found = search.trial(*experiment, *trial).await?.checkpoint;
            let missing =
                || format!("trial {trial} of experiment {experiment} has no checkpoint to start from");
            (*experiment, found.ok_or_else(|| Status::failed_precondition(missing()))?)
        }
        Some(WarmStart::Checkpoint(uuid)) => {
            let (store, wanted) = (search.store.clone(), uuid.clone());
            let experiment = blocking(move || experiment_with(&store, &wanted)).await?;
            let missing = || Status::not_found(format!("there is no checkpoint {uuid}, or it is removed"));
            let experiment = experiment.ok_or_else(missing)?;
            at_rest(search, experiment).await?;
            let (store, wanted) = (search.store.clone(), uuid.clone());
            let found = blocking(move || checkpoint(&store, experiment, &wanted)).await?;
            (experiment, found.ok_or_else(missing)?)
        }
    };
    let (experiment, mut checkpoint) = found;
    let store = search.store.clone();
    let terms = blocking(move || collect::Terms::load(&store, experiment)).await?;
    if terms.place != StoragePlace::BesideStore {
        checkpoint.agent.clear();
    }
    checkpoint.length = 0;
    let source = v1::CheckpointSource { experiment, storage: terms.storage.clone() };
    Ok(Some((checkpoint, source)))
}

/// Waits until it is decided which checkpoints of an experiment stay; an error if it has not ended.
async fn at_rest(search: &Search, experiment: u64) -> Result<(), Status> {
    search.experiment(experiment).await?;
    if search.active(experiment).await?.is_some() {
        return Err(Status::failed_precondition(format!(
            "experiment {experiment} has not ended: until then its checkpoints may still be replaced"
        )));
    }
    search.collector.settled().await.map_err(|error| status(error.into()))
}

/// The newest experiment that has a checkpoint of this name.
fn experiment_with(store: &Store, uuid: &str) -> Result<Option<u64>, Error> {
    let mut before = None;
    loop {
        let page = archive::experiments(store, before, PAGE)?;
        let Some(oldest) = page.last() else { return Ok(None) };
        before = Some(oldest.id);
        for experiment in &page {
            if checkpoint(store, experiment.id, uuid)?.is_some() {
                return Ok(Some(experiment.id));
            }
        }
    }
}

fn checkpoint(store: &Store, experiment: u64, uuid: &str) -> Result<Option<v1::Checkpoint>, Error> {
    let mut found = archive::checkpoints(store, experiment, None)?.into_iter();
    Ok(found.find(|checkpoint| checkpoint.uuid == uuid))
}
