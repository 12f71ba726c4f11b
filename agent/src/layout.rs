//! Where everything lies below the state directory. All of it is only for the user that runs the agent (0700).
//!
//! ```text
//! models/<sha256>/                unpacked model directories, shared
//! environments/<hash>/            Python environments, shared (`<hash>.lock`, `<hash>/.complete`); may lie elsewhere
//! python/<hash>/toprung/          the embedded Python package
//! checkpoints/<experiment>/<trial>/<uuid>/
//! cache/…, uploading/…            checkpoints that lie in object stores (see `remote`)
//! attempts/<instance>/<attempt>/  work and scratch directories, removed after the exit
//! groups/<instance>/              process groups that run now
//! spool/                          what is not acknowledged yet
//! lock                            held by the daemon
//! ```

use crate::{Error, identity::AttemptKey};
use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// The directories of one instance of the agent.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    environments: PathBuf,
    instance: String,
}

impl Layout {
    /// Creates the directories. `root` may be relative; everything derived from it is absolute.
    pub(crate) fn create(root: &Path, environments: Option<&Path>, instance: &str) -> Result<Self, Error> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::StateDirectory { action: "create", path, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(fail(root))?;
        let root = root.canonicalize().map_err(fail(root))?;
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).map_err(fail(&root))?;
        let environments = environments.map_or_else(|| root.join("environments"), Path::to_owned);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&environments)
            .map_err(fail(&environments))?;
        let environments = environments.canonicalize().map_err(fail(&environments))?;
        let layout = Self { root, environments, instance: instance.to_owned() };
        for name in ["models", "python", "checkpoints", "cache", "uploading", "attempts", "groups"] {
            let path = layout.root.join(name);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(fail(&path))?;
        }
        let own = layout.attempts_of(instance);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&own).map_err(fail(&own))?;
        Ok(layout)
    }

    /// The directory of all this.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }

    /// This start of the daemon.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    pub(crate) fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    pub(crate) fn environments(&self) -> PathBuf {
        self.environments.clone()
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    pub(crate) fn uploading(&self) -> PathBuf {
        self.root.join("uploading")
    }

    pub(crate) fn python(&self) -> PathBuf {
        self.root.join("python")
    }

    pub(crate) fn shims(&self) -> PathBuf {
        self.root.join("shims")
    }

    pub(crate) fn groups(&self) -> PathBuf {
        self.root.join("groups")
    }

    /// Working directories of an instance, this one or a former one.
    pub(crate) fn attempts_of(&self, instance: &str) -> PathBuf {
        self.root.join("attempts").join(instance)
    }

    pub(crate) fn attempt(&self, key: AttemptKey) -> PathBuf {
        self.attempts_of(&self.instance).join(key.to_string())
    }

    /// Where the trial's checkpoints go: below `root` if the experiment names one, else the agent's own directory.
    pub(crate) fn checkpoints(&self, root: &str, key: AttemptKey) -> PathBuf {
        self.checkpoints_of(root, key.experiment, key.trial)
    }

    /// The same by the trial's number.
    pub(crate) fn checkpoints_of(&self, root: &str, experiment: u64, trial: u32) -> PathBuf {
        self.checkpoint_root(root).join(experiment.to_string()).join(trial.to_string())
    }

    /// The directory that holds the checkpoints of all experiments.
    pub(crate) fn checkpoint_root(&self, root: &str) -> PathBuf {
        if root.is_empty() { self.root.join("checkpoints") } else { PathBuf::from(root) }
    }
}
