//! The complete config: what was parsed, in the file's own language, with every default filled in, so that parsing it
//! gives the same config again.

use crate::config::{
    CheckpointStorage, Entrypoint, Environment, ExperimentConfig, Images, Length, LogPolicy, Metrics,
    Resources, SearcherSettings, StoragePlace, WarmStart,
};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use toprung_searchers::{Dimension, Domain, SearcherConfig, Value};

mod method;

const MASK: &str = "********";

impl ExperimentConfig {
    /// The complete config as JSON. It holds secrets; see [`ExperimentConfig::masked`].
    pub fn complete(&self) -> Json {
        let mut top = Map::new();
        set(&mut top, "name", self.name.as_ref());
        top.insert("description".into(), json!(self.description));
        top.insert("labels".into(), json!(self.labels));
        set(&mut top, "project", self.project.as_ref());
        set(&mut top, "workspace", self.workspace.as_ref());
        top.insert("entrypoint".into(), entrypoint(&self.entrypoint));
        top.insert("hyperparameters".into(), group(&self.space.dimensions));
        let constraints = self.space.constraints.iter().map(|constraint| json!(constraint.text()));
        top.insert("constraints".into(), constraints.collect());
        top.insert("searcher".into(), searcher(&self.searcher));
        top.insert("resources".into(), resources(&self.resources));
        top.insert("environment".into(), environment(&self.environment));
        top.insert("checkpoint_storage".into(), storage(&self.checkpoint_storage));
        top.insert("checkpoint_policy".into(), json!(self.checkpoint_policy.word()));
        self.complete_rules(&mut top);
        Json::Object(top)
    }

    fn complete_rules(&self, top: &mut Map<String, Json>) {
        top.insert("min_validation_period".into(), length(&self.min_validation_period));
        top.insert("min_checkpoint_period".into(), length(&self.min_checkpoint_period));
        top.insert("scheduling_unit".into(), json!(self.scheduling_unit));
        top.insert("records_per_epoch".into(), json!(self.records_per_epoch));
        top.insert("perform_initial_validation".into(), json!(self.perform_initial_validation));
        top.insert("max_restarts".into(), json!(self.max_restarts));
        if let Some(seed) = self.experiment_seed {
            top.insert("reproducibility".into(), json!({"experiment_seed": seed}));
        }
        top.insert("data".into(), self.data.clone());
        top.insert("preemption_timeout".into(), json!(self.preemption_timeout_seconds));
        top.insert("log_policies".into(), self.log_policies.iter().map(log_policy).collect());
        top.insert("retention_policy".into(), json!({"log_retention_days": self.log_retention_days}));
        let profiling = json!({
            "enabled": self.profiling.enabled,
            "begin_on_batch": self.profiling.begin_on_batch,
            "end_after_batch": self.profiling.end_after_batch,
            "sync_timings": self.profiling.sync_timings,
        });
        top.insert("profiling".into(), profiling);
        let mounts = self.bind_mounts.iter().map(|mount| {
            json!({
                "host_path": mount.host_path,
                "container_path": mount.container_path,
                "read_only": mount.read_only,
                "propagation": mount.propagation,
            })
        });
        top.insert("bind_mounts".into(), mounts.collect());
        top.insert("debug".into(), json!(self.debug));
        top.insert("metrics".into(), metrics(&self.metrics));
    }

    /// The complete config with everything secret replaced by stars: `data.secrets`, `environment.registry_auth` and the
    /// credentials of `checkpoint_storage`.
    pub fn masked(&self) -> Json {
        let mut config = self.complete();
        let credentials = crate::checkpoints::SECRET.map(|name| format!("/checkpoint_storage/{name}"));
        let others = ["/data/secrets", "/environment/registry_auth"];
        for pointer in others.into_iter().chain(credentials.iter().map(String::as_str)) {
            if let Some(secret) = config.pointer_mut(pointer) {
                mask(secret);
            }
        }
        config
    }
}

fn mask(value: &mut Json) {
    match value {
        Json::Object(map) => map.values_mut().for_each(mask),
        Json::Array(values) => values.iter_mut().for_each(mask),
        Json::Null => {}
        secret => *secret = json!(MASK),
    }
}

fn set<T: serde::Serialize>(map: &mut Map<String, Json>, key: &str, value: Option<T>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), json!(value));
    }
}

fn entrypoint(entrypoint: &Entrypoint) -> Json {
    match entrypoint {
        Entrypoint::Shell(line) => json!(line),
        Entrypoint::Argv(words) => json!(words),
        Entrypoint::External { lease_seconds } => json!({"external": {"lease": lease_seconds}}),
    }
}

fn group(dimensions: &BTreeMap<String, Dimension>) -> Json {
    Json::Object(dimensions.iter().map(|(name, inner)| (name.clone(), dimension(inner))).collect())
}

fn dimension(dimension: &Dimension) -> Json {
    let mut map = match &dimension.domain {
        Domain::Group(inner) => return group(inner),
        domain => leaf(domain),
    };
    if !dimension.condition.is_empty() {
        let condition = dimension.condition.iter();
        let condition =
            condition.map(|(name, values)| (name.clone(), values.iter().map(Value::to_json).collect()));
        map.insert("condition".into(), Json::Object(condition.collect()));
    }
    if let Some(prior) = &dimension.prior {
        let center = prior.center.to_json();
        map.insert("prior".into(), json!({"center": center, "confidence": prior.confidence}));
    }
    Json::Object(map)
}

/// A domain that is no group. An absent `count` or `quantize` is left out.
fn leaf(domain: &Domain) -> Map<String, Json> {
    let values = |values: &[Value]| -> Json { values.iter().map(Value::to_json).collect() };
    let fields = match domain {
        // A constant may be null and is given nevertheless.
        Domain::Const(value) => return object(vec![("type", json!("const")), ("val", value.to_json())]),
        Domain::Int { min, max, log, count } => vec![
            ("type", json!("int")),
            ("minval", json!(min)),
            ("maxval", json!(max)),
            ("log", json!(log)),
            ("count", json!(count)),
        ],
        Domain::Double { min, max, log, quantize, count } => vec![
            ("type", json!("double")),
            ("minval", json!(min)),
            ("maxval", json!(max)),
            ("log", json!(log)),
            ("quantize", json!(quantize)),
            ("count", json!(count)),
        ],
        Domain::Log { base, minval, maxval, count } => vec![
            ("type", json!("log")),
            ("base", json!(base)),
            ("minval", json!(minval)),
            ("maxval", json!(maxval)),
            ("count", json!(count)),
        ],
        Domain::Categorical(all) => vec![("type", json!("categorical")), ("vals", values(all))],
        Domain::Ordinal(all) => vec![("type", json!("ordinal")), ("vals", values(all))],
        Domain::Group(_) => Vec::new(),
    };
    object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

fn object(fields: Vec<(&str, Json)>) -> Map<String, Json> {
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn searcher(settings: &SearcherSettings) -> Json {
    let mut searcher = method::method(&settings.method);
    if let Json::Object(map) = &mut searcher {
        map.insert("metric".into(), json!(settings.metric));
        map.insert("smaller_is_better".into(), json!(settings.smaller_is_better));
        map.insert("time_metric".into(), json!(settings.time_metric));
        if !matches!(settings.method.base(), SearcherConfig::Pbt(_)) {
            map.insert("max_time".into(), json!(settings.max_length));
        }
        match &settings.source {
            Some(WarmStart::Trial { experiment, trial }) => {
                map.insert("source_trial_id".into(), json!(format!("{experiment}/{trial}")));
            }
            Some(WarmStart::Checkpoint(uuid)) => {
                map.insert("source_checkpoint_uuid".into(), json!(uuid));
            }
            None => {}
        }
    }
    searcher
}

fn length(length: &Length) -> Json {
    let mut map = Map::new();
    map.insert(length.unit.clone(), json!(length.count));
    Json::Object(map)
}

fn resources(resources: &Resources) -> Json {
    let mut map = Map::new();
    map.insert("slots_per_trial".into(), json!(resources.slots_per_trial));
    set(&mut map, "max_slots", resources.max_slots);
    map.insert("priority".into(), json!(resources.priority));
    map.insert("weight".into(), json!(resources.weight));
    set(&mut map, "resource_pool", resources.resource_pool.as_ref());
    set(&mut map, "is_single_node", resources.is_single_node);
    set(&mut map, "cpus", resources.cpus);
    set(&mut map, "memory", resources.memory_bytes);
    set(&mut map, "shm_size", resources.shm_bytes);
    let devices = resources.devices.iter().map(|device| {
        json!({"host_path": device.host_path, "container_path": device.container_path, "mode": device.mode})
    });
    map.insert("devices".into(), devices.collect());
    Json::Object(map)
}

fn environment(environment: &Environment) -> Json {
    let lines = |variables: &BTreeMap<String, String>| -> Json {
        variables.iter().map(|(name, value)| json!(format!("{name}={value}"))).collect()
    };
    let mut map = Map::new();
    let variables = json!({
        "cpu": lines(&environment.variables),
        "cuda": lines(&environment.gpu_variables),
        "rocm": lines(&environment.rocm_variables),
    });
    map.insert("environment_variables".into(), variables);
    map.insert("requirements".into(), json!(environment.requirements));
    set(&mut map, "python", environment.python.as_ref());
    set(&mut map, "setup", environment.setup.as_ref());
    if environment.image != Images::default() {
        let Images { cpu, cuda, rocm } = &environment.image;
        map.insert("image".into(), json!({"cpu": cpu, "cuda": cuda, "rocm": rocm}));
    }
    set(&mut map, "pod_spec", environment.pod_spec.as_ref());
    map.insert("proxy_ports".into(), json!(environment.proxy_ports));
    set(&mut map, "ports", environment.ports.as_ref());
    map.insert("force_pull_image".into(), json!(environment.force_pull_image));
    set(&mut map, "registry_auth", environment.registry_auth.as_ref());
    map.insert("add_capabilities".into(), json!(environment.add_capabilities));
    map.insert("drop_capabilities".into(), json!(environment.drop_capabilities));
    Json::Object(map)
}

fn storage(storage: &CheckpointStorage) -> Json {
    let mut map = Map::new();
    match &storage.place {
        StoragePlace::BesideStore => {}
        StoragePlace::SharedFs { host_path, storage_path } => {
            map.insert("type".into(), json!("shared_fs"));
            map.insert("host_path".into(), json!(host_path));
            set(&mut map, "storage_path", storage_path.as_ref());
        }
        StoragePlace::Directory(path) => {
            map.insert("type".into(), json!("directory"));
            map.insert("container_path".into(), json!(path));
        }
        StoragePlace::S3 { bucket, prefix, endpoint_url, access_key, secret_key } => texts(
            &mut map,
            "s3",
            &[
                ("bucket", bucket),
                ("prefix", prefix),
                ("endpoint_url", endpoint_url),
                ("access_key", access_key),
                ("secret_key", secret_key),
            ],
        ),
        StoragePlace::Gcs { bucket, prefix } => {
            texts(&mut map, "gcs", &[("bucket", bucket), ("prefix", prefix)]);
        }
        StoragePlace::Azure { container, connection_string, account_url, credential } => texts(
            &mut map,
            "azure",
            &[
                ("container", container),
                ("connection_string", connection_string),
                ("account_url", account_url),
                ("credential", credential),
            ],
        ),
    }
    set(&mut map, "max_size", storage.max_size);
    map.insert("save_experiment_best".into(), json!(storage.save_experiment_best));
    map.insert("save_trial_best".into(), json!(storage.save_trial_best));
    map.insert("save_trial_latest".into(), json!(storage.save_trial_latest));
    Json::Object(map)
}

/// The type of a storage, and what is given of it.
fn texts(map: &mut Map<String, Json>, kind: &str, fields: &[(&str, &String)]) {
    map.insert("type".into(), json!(kind));
    for (name, text) in fields.iter().filter(|(_, text)| !text.is_empty()) {
        map.insert((*name).into(), json!(text));
    }
}

fn log_policy(policy: &LogPolicy) -> Json {
    let mut map = Map::new();
    set(&mut map, "name", policy.name.as_ref());
    set(&mut map, "pattern", policy.pattern.as_ref());
    set(&mut map, "action", policy.action.map(crate::config::LogAction::word));
    Json::Object(map)
}

fn metrics(metrics: &Metrics) -> Json {
    let mut map = Map::new();
    let stdout = metrics.stdout.as_ref().map_or(json!(metrics.stdout_enabled), |pattern| json!(pattern));
    map.insert("stdout".into(), stdout);
    set(&mut map, "file", metrics.file.as_ref());
    Json::Object(map)
}
