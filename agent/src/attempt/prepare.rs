//! Everything that must be there before the process can start.

use super::{
    Failure, Node,
    entrypoint::{self, Values},
    fetch,
    variables::{Additions, compose, find_program},
};
use crate::{
    environment::Wanted, escaped, identity::AttemptKey, model::copy_directory, remote::Held, report::Reporter,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};
use tokio::task::spawn_blocking;
use toprung_proto::v1::{ExitCause, RunSpec, SlotKind, StartAttempt};

/// A process that can be started.
pub(crate) struct Prepared {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: BTreeMap<OsString, OsString>,
    pub(crate) work: PathBuf,
    pub(crate) checkpoints: PathBuf,
    pub(crate) socket: PathBuf,
    /// What it continues from stays in the cache.
    pub(crate) _held: Option<Held>,
}

/// Directories, model, environment, command and variables of the attempt.
pub(crate) async fn prepare(
    node: &Node,
    key: AttemptKey,
    order: &StartAttempt,
    run: &RunSpec,
    checkpoints: &Path,
    reporter: &Reporter,
) -> Result<Prepared, Failure> {
    let hparams: Value = serde_json::from_str(&order.hparams_json).map_err(|error| {
        Failure::new(ExitCause::Contract, format!("the hyperparameters are not JSON: {error}"))
    })?;
    let command = command(key, order, run, checkpoints, &hparams)?;
    let start = fetch::provide(node, order, reporter).await?;
    let place = Place::create(node, key, order, checkpoints, reporter).await?;
    let path = run.environment.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"));
    let wanted = Wanted {
        requirements: &run.requirements,
        python: &run.python,
        setup: &run.setup,
        model_sha256: &order.model_sha256,
        work: &place.work,
        path: path.clone(),
    };
    let environment = node.environments.provide(&wanted, reporter).await?;
    let socket = node.sockets.path().join(format!("{key}.sock"));
    let latest = start.as_ref().map(|start| start.path.as_path());
    let facts = Facts { node, key, order, run, place: &place, checkpoints, socket: &socket, latest };
    let additions = Additions {
        contract: facts.contract()?,
        defaults: facts.defaults(),
        path_front: environment.iter().map(|root| root.join("bin")).collect(),
        path_back: shim(node, path.as_deref())?,
        python_path: node.python_package.clone(),
    };
    let mut variables = compose(std::env::vars_os(), run.environment.iter(), additions);
    if let Some(root) = environment {
        variables.insert("VIRTUAL_ENV".into(), root.into());
        variables.remove(std::ffi::OsStr::new("PYTHONHOME"));
    }
    let (program, arguments) =
        command.split_first().map(|(first, rest)| (first.clone(), rest.to_vec())).unwrap_or_default();
    let path = variables.get(std::ffi::OsStr::new("PATH")).map(OsString::as_os_str);
    let program = find_program(&program, path, &place.work)
        .map_err(|error| Failure::new(ExitCause::Entrypoint, error))?;
    Ok(Prepared {
        program,
        arguments,
        variables,
        work: place.work,
        checkpoints: checkpoints.to_owned(),
        socket,
        _held: start.and_then(|start| start.held),
    })
}

fn command(
    key: AttemptKey,
    order: &StartAttempt,
    run: &RunSpec,
    checkpoints: &Path,
    hparams: &Value,
) -> Result<Vec<String>, Failure> {
    let mut values = Values::from_hparams(hparams);
    values.enter("max_length", order.max_length);
    values.enter("trial_id", key.trial);
    values.enter("trial_seed", order.trial_seed);
    values.enter("checkpoint_dir", checkpoints.display());
    entrypoint::command(run, &values).map_err(|error| Failure::new(ExitCause::Entrypoint, error))
}

/// The attempt's own directories.
struct Place {
    work: PathBuf,
    scratch: PathBuf,
    hparams_file: PathBuf,
}

impl Place {
    async fn create(
        node: &Node,
        key: AttemptKey,
        order: &StartAttempt,
        checkpoints: &Path,
        reporter: &Reporter,
    ) -> Result<Self, Failure> {
        let model = match order.model_sha256.as_str() {
            "" => None,
            sha256 => Some(node.models.provide(sha256, reporter).await?),
        };
        let directory = node.layout.attempt(key);
        let place = Self {
            work: directory.join("work"),
            scratch: directory.join("scratch"),
            hparams_file: directory.join("hparams.json"),
        };
        let (work, scratch, file) = (place.work.clone(), place.scratch.clone(), place.hparams_file.clone());
        let (hparams, checkpoints) = (order.hparams_json.clone(), checkpoints.to_owned());
        let created = spawn_blocking(move || -> io::Result<()> {
            fs::create_dir_all(&work)?;
            fs::create_dir_all(&scratch)?;
            fs::create_dir_all(&checkpoints)?;
            fs::write(file, hparams)?;
            model.map_or(Ok(()), |model| copy_directory(&model, &work))
        });
        let cannot = |error: &dyn std::fmt::Display| {
            Failure::new(ExitCause::Environment, format!("cannot create the attempt's directories: {error}"))
        };
        created.await.map_err(|error| cannot(&error))?.map_err(|error| cannot(&error))?;
        Ok(place)
    }
}

/// Where only `python3` is on the PATH, a directory in which it is called `python`, too.
fn shim(node: &Node, path: Option<&std::ffi::OsStr>) -> Result<Vec<PathBuf>, Failure> {
    let found = |name: &str| find_program(name, path, Path::new("/")).ok();
    let (None, Some(python3)) = (found("python"), found("python3")) else { return Ok(Vec::new()) };
    let directory = node.layout.shims();
    let create = || {
        fs::create_dir_all(&directory)?;
        match symlink(&python3, directory.join("python")) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    };
    create().map_err(|error| {
        Failure::new(ExitCause::Environment, format!("cannot create {}: {error}", directory.display()))
    })?;
    Ok(vec![directory])
}

/// What the variables are made of.
struct Facts<'attempt> {
    node: &'attempt Node,
    key: AttemptKey,
    order: &'attempt StartAttempt,
    run: &'attempt RunSpec,
    place: &'attempt Place,
    checkpoints: &'attempt Path,
    socket: &'attempt Path,
    /// What it continues from.
    latest: Option<&'attempt Path>,
}

impl Facts<'_> {
    /// The variables of the trial contract.
    fn contract(&self) -> Result<Vec<(&'static str, OsString)>, Failure> {
        let (order, run) = (self.order, self.run);
        let slots = order.slots.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let data = if run.data_json.is_empty() { "{}" } else { &run.data_json };
        let mut variables: Vec<(&'static str, OsString)> = vec![
            ("TOPRUNG_HPARAMS", order.hparams_json.clone().into()),
            ("TOPRUNG_HPARAMS_FILE", self.place.hparams_file.clone().into()),
            ("TOPRUNG_EXPERIMENT_ID", self.key.experiment.to_string().into()),
            ("TOPRUNG_EXPERIMENT_NAME", run.experiment_name.clone().into()),
            ("TOPRUNG_TRIAL_ID", self.key.trial.to_string().into()),
            ("TOPRUNG_ATTEMPT", self.key.attempt.to_string().into()),
            ("TOPRUNG_TRIAL_SEED", order.trial_seed.to_string().into()),
            ("TOPRUNG_SOCKET", self.socket.into()),
            ("TOPRUNG_CHECKPOINT_DIR", self.checkpoints.into()),
            ("TOPRUNG_SCRATCH_DIR", self.place.scratch.clone().into()),
            ("TOPRUNG_MAX_LENGTH", order.max_length.to_string().into()),
            ("TOPRUNG_TRAIN_UNTIL", order.train_until.to_string().into()),
            ("TOPRUNG_TIME_METRIC", order.time_metric.clone().into()),
            ("TOPRUNG_METRIC", order.metric.clone().into()),
            ("TOPRUNG_DATA", data.into()),
            ("TOPRUNG_SLOTS", slots.into()),
            (escaped::VARIABLE, escaped::mark(self.node.layout.instance(), self.key).into()),
            ("PYTHONUNBUFFERED", "1".into()),
        ];
        if let (Some(latest), Some(path)) = (&order.checkpoint, self.latest) {
            variables.push(("TOPRUNG_LATEST_CHECKPOINT", path.into()));
            variables.push(("TOPRUNG_LATEST_LENGTH", latest.length.to_string().into()));
        }
        variables.extend(self.visible_gpus()?.map(|gpus| ("CUDA_VISIBLE_DEVICES", gpus.into())));
        Ok(variables)
    }

    /// The attempt's GPUs by UUID; empty for an attempt without GPUs; `None` on a node without.
    fn visible_gpus(&self) -> Result<Option<String>, Failure> {
        if !self.node.slots.iter().any(|slot| slot.kind() == SlotKind::Gpu) {
            return Ok(None);
        }
        let uuids: Option<Vec<_>> = self
            .order
            .slots
            .iter()
            .map(|index| {
                self.node.slots.iter().find(|slot| slot.index == *index).map(|slot| slot.uuid.as_str())
            })
            .collect();
        let missing =
            || Failure::new(ExitCause::AgentLost, format!("this agent has no slots {:?}", self.order.slots));
        Ok(Some(uuids.ok_or_else(missing)?.join(",")))
    }

    /// On CPU slots each attempt gets its share of the cores.
    fn defaults(&self) -> Vec<(&'static str, OsString)> {
        if self.node.slots.iter().any(|slot| slot.kind() == SlotKind::Gpu) {
            return Vec::new();
        }
        let share = self.node.cores as usize * self.order.slots.len().max(1) / self.node.slots.len().max(1);
        vec![("OMP_NUM_THREADS", share.max(1).to_string().into())]
    }
}
