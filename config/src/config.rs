//! A checked experiment: everything behind the parser holds only valid values.

use serde_json::Value as Json;
use std::collections::BTreeMap;
use toprung_searchers::{SearcherConfig, Space};

/// One experiment file, checked, with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct ExperimentConfig {
    /// `None`: a readable one is made up at submission.
    pub name: Option<String>,
    /// What the experiment is about; may be empty.
    pub description: String,
    /// Words to find it by, each once, in the order of the file.
    pub labels: Vec<String>,
    /// Given exactly if `workspace` is.
    pub project: Option<String>,
    /// Given exactly if `project` is.
    pub workspace: Option<String>,
    /// What a trial runs.
    pub entrypoint: Entrypoint,
    /// The hyperparameters.
    pub space: Space,
    /// The method and what it optimises.
    pub searcher: SearcherSettings,
    /// What a trial needs to run.
    pub resources: Resources,
    /// What a trial finds when it runs.
    pub environment: Environment,
    /// Where checkpoints are kept, and how many.
    pub checkpoint_storage: CheckpointStorage,
    /// When a Trial class saves a checkpoint after a validation.
    pub checkpoint_policy: CheckpointPolicy,
    /// How often a Trial class validates at least.
    pub min_validation_period: Length,
    /// How often a Trial class saves a checkpoint at least.
    pub min_checkpoint_period: Length,
    /// How many batches a Trial class runs between two reports; at least 1.
    pub scheduling_unit: u64,
    /// 0: not known.
    pub records_per_epoch: u64,
    /// The constant hyperparameter `global_batch_size`, if it is an integer of at least 1.
    pub global_batch_size: Option<u64>,
    /// Whether a Trial class validates before it trains.
    pub perform_initial_validation: bool,
    /// How often a trial that failed by its own fault is tried again.
    pub max_restarts: u32,
    /// 0 … 2³¹−1. `None`: drawn at submission.
    pub experiment_seed: Option<u32>,
    /// A JSON object for the trial. `secrets` in it must not be shown; see [`ExperimentConfig::masked`].
    pub data: Json,
    /// At least 1.
    pub preemption_timeout_seconds: u32,
    /// What a line in a trial's log means.
    pub log_policies: Vec<LogPolicy>,
    /// Days after the end; −1: for ever.
    pub log_retention_days: i16,
    /// What is measured while a trial runs.
    pub profiling: Profiling,
    /// Directories of the machine in the container.
    pub bind_mounts: Vec<BindMount>,
    /// Whether a trial's own machinery logs more.
    pub debug: bool,
    /// How the metrics of a script without the SDK are found.
    pub metrics: Metrics,
}

/// What a trial runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entrypoint {
    /// A line for `sh -c`; never empty.
    Shell(String),
    /// A program and its arguments; never empty.
    Argv(Vec<String>),
    /// Nothing: programs outside ask for trials and tell what came of them.
    External {
        /// A trial is taken from a program that is silent for so long; 1 to a week.
        lease_seconds: u32,
    },
}

/// The method and what it optimises.
#[derive(Clone, Debug, PartialEq)]
pub struct SearcherSettings {
    /// The method; lengths in it are in `time_metric`.
    pub method: SearcherConfig,
    /// The name of a validation metric.
    pub metric: String,
    /// Whether the metric is minimised.
    pub smaller_is_better: bool,
    /// `epochs`, `batches`, `records`, or any counter that the script reports.
    pub time_metric: String,
    /// How long a trial trains at most, in `time_metric`; at least 1.
    pub max_length: u64,
    /// What every trial starts from; `None`: from nothing.
    pub source: Option<WarmStart>,
}

/// A checkpoint that trials start from. Their lengths count from 0 all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WarmStart {
    /// The newest checkpoint of a trial.
    Trial {
        /// Its experiment.
        experiment: u64,
        /// Its number there.
        trial: u32,
    },
    /// The checkpoint of this name.
    Checkpoint(String),
}

/// So much training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Length {
    /// `epochs`, `batches`, `records`, or the searcher's time metric.
    pub unit: String,
    /// How many of them.
    pub count: u64,
}

/// What a trial needs to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Resources {
    /// 0: no GPU is needed; counts as one CPU slot.
    pub slots_per_trial: u32,
    /// How many slots the experiment may hold at once; at least `slots_per_trial`, and at least 1.
    pub max_slots: Option<u32>,
    /// 1 … 99; the lower comes first.
    pub priority: u8,
    /// The share among experiments of one priority; above 0.
    pub weight: f64,
    /// `None`: the default pool.
    pub resource_pool: Option<String>,
    /// Whether all slots of a trial must be on one machine.
    pub is_single_node: Option<bool>,
    /// Cores a trial may use; above 0. Not enforced in this version.
    pub cpus: Option<f64>,
    /// Memory a trial may use. Not enforced in this version.
    pub memory_bytes: Option<u64>,
    /// The size of `/dev/shm` in a container.
    pub shm_bytes: Option<u64>,
    /// Devices in a container.
    pub devices: Vec<Device>,
}

/// A device of the machine that is seen in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// On the machine.
    pub host_path: String,
    /// In the container.
    pub container_path: String,
    /// Letters of `mrw`.
    pub mode: String,
}

/// What a trial finds when it runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Environment {
    /// Variables on CPU slots.
    pub variables: BTreeMap<String, String>,
    /// Variables on NVIDIA GPUs.
    pub gpu_variables: BTreeMap<String, String>,
    /// Variables on AMD GPUs.
    pub rocm_variables: BTreeMap<String, String>,
    /// Lines of a pip requirements file; a file is the line `-r FILE`.
    pub requirements: Vec<String>,
    /// A version such as `3.12`, or the path of an interpreter.
    pub python: Option<String>,
    /// A shell script that is run once for each environment.
    pub setup: Option<String>,
    /// Container images; cluster only, like all that follows.
    pub image: Images,
    /// What is merged into the pod: a JSON object.
    pub pod_spec: Option<Json>,
    /// Ports that can be reached from outside: JSON objects.
    pub proxy_ports: Vec<Json>,
    /// Ports that are opened: a JSON object.
    pub ports: Option<Json>,
    /// Whether the image is fetched even if it is there.
    pub force_pull_image: bool,
    /// The account at the image registry: a JSON object, secret.
    pub registry_auth: Option<Json>,
    /// Linux capabilities that the container gains.
    pub add_capabilities: Vec<String>,
    /// Linux capabilities that the container loses.
    pub drop_capabilities: Vec<String>,
}

/// A container image for each kind of slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images {
    /// For CPU slots.
    pub cpu: Option<String>,
    /// For NVIDIA GPUs.
    pub cuda: Option<String>,
    /// For AMD GPUs.
    pub rocm: Option<String>,
}

/// Where checkpoints are kept, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointStorage {
    /// Where.
    pub place: StoragePlace,
    /// How many of the experiment's best are kept.
    pub save_experiment_best: u32,
    /// How many of each trial's best are kept.
    pub save_trial_best: u32,
    /// How many of each trial's latest are kept.
    pub save_trial_latest: u32,
    /// Bytes that all of them may take. `None`: as many as there is room for.
    pub max_size: Option<u64>,
}

/// Where checkpoints are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoragePlace {
    /// In a directory beside the store.
    BesideStore,
    /// In a directory that every machine sees.
    SharedFs {
        /// Absolute.
        host_path: String,
        /// Relative, below `host_path`.
        storage_path: Option<String>,
    },
    /// In a directory; absolute.
    Directory(String),
    /// In an object store that speaks S3. Texts that are not given are empty.
    S3 {
        /// The bucket.
        bucket: String,
        /// What every name begins with.
        prefix: String,
        /// Another server than Amazon's.
        endpoint_url: String,
        /// The account, secret; given exactly if `secret_key` is.
        access_key: String,
        /// Its secret.
        secret_key: String,
    },
    /// In Google Cloud Storage.
    Gcs {
        /// The bucket.
        bucket: String,
        /// What every name begins with.
        prefix: String,
    },
    /// In Azure Blob Storage. Texts that are not given are empty.
    Azure {
        /// The container.
        container: String,
        /// The account and its secret, secret.
        connection_string: String,
        /// The account.
        account_url: String,
        /// Its secret.
        credential: String,
    },
}

impl StoragePlace {
    /// The directory, unless it is chosen by the server.
    pub fn directory(&self) -> Option<std::path::PathBuf> {
        match self {
            Self::BesideStore | Self::S3 { .. } | Self::Gcs { .. } | Self::Azure { .. } => None,
            Self::SharedFs { host_path, storage_path } => {
                let base = std::path::Path::new(host_path);
                Some(storage_path.as_ref().map_or_else(|| base.to_owned(), |below| base.join(below)))
            }
            Self::Directory(path) => Some(path.into()),
        }
    }

    /// Whether it is an object store.
    pub fn is_object_store(&self) -> bool {
        matches!(self, Self::S3 { .. } | Self::Gcs { .. } | Self::Azure { .. })
    }
}

/// When a Trial class saves a checkpoint after a validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckpointPolicy {
    /// When it is the best so far.
    #[default]
    Best,
    /// Always.
    All,
    /// Never.
    None,
}

impl CheckpointPolicy {
    /// The word in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::All => "all",
            Self::None => "none",
        }
    }
}

/// What a line in a trial's log means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPolicy {
    /// Shown beside the trial when a line matched.
    pub name: Option<String>,
    /// A valid regular expression. `None`: the policy is switched off.
    pub pattern: Option<String>,
    /// `None`: the match is only shown.
    pub action: Option<LogAction>,
}

/// What happens when a line matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogAction {
    /// A failed trial ends at once.
    CancelRetries,
    /// The trial does not run on that machine again.
    ExcludeNode,
}

impl LogAction {
    /// The word in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::CancelRetries => "cancel_retries",
            Self::ExcludeNode => "exclude_node",
        }
    }
}

/// What is measured while a trial runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profiling {
    /// Whether anything is.
    pub enabled: bool,
    /// The first batch.
    pub begin_on_batch: u64,
    /// The last batch; at least the first.
    pub end_after_batch: Option<u64>,
    /// Whether a timing waits for the GPU.
    pub sync_timings: bool,
}

/// A directory of the machine in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindMount {
    /// Absolute, on the machine.
    pub host_path: String,
    /// In the container.
    pub container_path: String,
    /// Whether the trial may only read it.
    pub read_only: bool,
    /// How mounts below it are seen.
    pub propagation: String,
}

/// How the metrics of a script without the SDK are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Whether printed lines are searched at all.
    pub stdout_enabled: bool,
    /// A valid regular expression with the groups `name` and `value`. `None`: `name=value` pairs.
    pub stdout: Option<String>,
    /// A file that the script appends JSON objects to, one in a line.
    pub file: Option<String>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { stdout_enabled: true, stdout: None, file: None }
    }
}
