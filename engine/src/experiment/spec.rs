//! What never changes in an experiment: its checked configuration, ready for use.

use std::collections::BTreeMap;
use toprung_config::{Entrypoint, ExperimentConfig, LogAction, LogPolicy, StoragePlace};
use toprung_proto::v1;

/// Unchanging facts of one experiment.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Number of the experiment.
    pub id: u64,
    /// Its name: from the file, or made up.
    pub name: String,
    /// Seed of every draw.
    pub seed: u32,
    /// The checked configuration.
    pub config: ExperimentConfig,
    /// Identity of the model archive.
    pub model_sha256: String,
    /// When it was created.
    pub created_ms: i64,
    /// What every trial starts from, with length 0. Its agent is set if only that one can read it.
    pub warm_start: Option<v1::Checkpoint>,
    /// The experiment that it was made from; 0: none.
    pub source_experiment: u64,
    /// Where `warm_start` is from.
    checkpoint_source: Option<v1::CheckpointSource>,
    /// What the agent needs to run the script.
    run: v1::RunSpec,
}

impl Spec {
    /// Facts of an experiment from its first journal record.
    ///
    /// # Errors
    /// The configuration in the record is not readable by this version.
    pub fn new(created: &v1::ExperimentCreated, created_ms: i64) -> Result<Self, toprung_config::Problems> {
        let parsed = toprung_config::parse(&created.config_json)?;
        let run = run_spec(&parsed.config, &created.name);
        Ok(Self {
            id: created.id,
            name: created.name.clone(),
            seed: created.seed,
            config: parsed.config,
            model_sha256: created.model_sha256.clone(),
            created_ms,
            warm_start: created.source_checkpoint.clone(),
            source_experiment: created.source_experiment,
            checkpoint_source: created.checkpoint_source.clone(),
            run,
        })
    }

    /// Whether programs outside run the trials, and no agent.
    pub fn is_external(&self) -> bool {
        matches!(self.config.entrypoint, Entrypoint::External { .. })
    }

    /// Silence after which a program loses its trial, in milliseconds; 0: agents run the trials.
    pub fn lease_ms(&self) -> u64 {
        match self.config.entrypoint {
            Entrypoint::External { lease_seconds } => u64::from(lease_seconds) * 1_000,
            _ => 0,
        }
    }

    /// A metric as the searcher wants it: smaller is better.
    pub fn normalise(&self, metric: f64) -> f64 {
        if self.config.searcher.smaller_is_better { metric } else { -metric }
    }

    /// A normalised metric as it was reported.
    pub fn as_reported(&self, normalised: f64) -> f64 {
        self.normalise(normalised)
    }

    /// The command that starts an attempt.
    pub fn start_attempt(
        &self,
        attempt: v1::AttemptId,
        slots: Vec<u32>,
        hparams_json: &str,
        train_until: u64,
        checkpoint: Option<v1::Checkpoint>,
    ) -> v1::StartAttempt {
        let trial = toprung_searchers::TrialId(attempt.trial);
        // A length of 0 has only what every trial starts from.
        let foreign = checkpoint.is_some() && checkpoint == self.warm_start;
        let source = match &self.checkpoint_source {
            Some(source) if foreign => Some(source.clone()),
            _ if checkpoint.is_some() => {
                Some(v1::CheckpointSource { experiment: self.id, storage: self.run.storage.clone() })
            }
            _ => None,
        };
        v1::StartAttempt {
            attempt: Some(attempt),
            slots,
            hparams_json: hparams_json.to_owned(),
            model_sha256: self.model_sha256.clone(),
            train_until,
            max_length: self.config.searcher.max_length,
            time_metric: self.config.searcher.time_metric.clone(),
            metric: self.config.searcher.metric.clone(),
            checkpoint,
            trial_seed: toprung_searchers::trial_seed(self.seed, trial),
            run: Some(self.run.clone()),
            conversion: Some(v1::LengthConversion {
                records_per_epoch: self.config.records_per_epoch,
                records_per_batch: self.config.global_batch_size.unwrap_or(0),
            }),
            source,
        }
    }
}

fn run_spec(config: &ExperimentConfig, name: &str) -> v1::RunSpec {
    let (argv, shell) = match &config.entrypoint {
        Entrypoint::Argv(argv) => (argv.clone(), String::new()),
        Entrypoint::Shell(line) => (Vec::new(), line.clone()),
        Entrypoint::External { .. } => (Vec::new(), String::new()),
    };
    let environment: BTreeMap<String, String> = config.environment.variables.clone();
    let directory = config.checkpoint_storage.place.directory();
    let directory = directory.map(|path| path.to_string_lossy().into_owned());
    v1::RunSpec {
        argv,
        shell,
        requirements: config.environment.requirements.clone(),
        python: config.environment.python.clone().unwrap_or_default(),
        setup: config.environment.setup.clone().unwrap_or_default(),
        environment: environment.into_iter().collect(),
        stdout_pattern: config.metrics.stdout.clone().unwrap_or_default(),
        grace_seconds: 10,
        data_json: config.data.to_string(),
        preemption_timeout_seconds: config.preemption_timeout_seconds,
        checkpoint_dir: directory.unwrap_or_default(),
        experiment_name: name.to_owned(),
        debug: config.debug,
        metrics_file: config.metrics.file.clone().unwrap_or_default(),
        storage: object_store(&config.checkpoint_storage.place),
        log_policies: config.log_policies.iter().filter_map(log_policy).collect(),
    }
}

/// The object store of an experiment file, as agents are told. `None`: it is a directory.
pub fn object_store(place: &StoragePlace) -> Option<v1::CheckpointStorage> {
    use v1::checkpoint_storage::Kind;
    let kind = match place.clone() {
        StoragePlace::BesideStore | StoragePlace::SharedFs { .. } | StoragePlace::Directory(_) => {
            return None;
        }
        StoragePlace::S3 { bucket, prefix, endpoint_url, access_key, secret_key } => {
            Kind::S3(v1::S3Storage { bucket, prefix, endpoint_url, access_key, secret_key })
        }
        StoragePlace::Gcs { bucket, prefix } => Kind::Gcs(v1::GcsStorage { bucket, prefix }),
        StoragePlace::Azure { container, connection_string, account_url, credential } => {
            Kind::Azure(v1::AzureStorage { container, connection_string, account_url, credential })
        }
    };
    Some(v1::CheckpointStorage { kind: Some(kind) })
}

/// `None`: it is switched off.
fn log_policy(policy: &LogPolicy) -> Option<v1::LogPolicy> {
    let action = match policy.action {
        None => v1::LogPolicyAction::Unspecified,
        Some(LogAction::CancelRetries) => v1::LogPolicyAction::CancelRetries,
        Some(LogAction::ExcludeNode) => v1::LogPolicyAction::ExcludeNode,
    };
    let name = policy.name.clone().unwrap_or_default();
    Some(v1::LogPolicy { name, pattern: policy.pattern.clone()?, action: action.into() })
}
