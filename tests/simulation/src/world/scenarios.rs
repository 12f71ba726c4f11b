//! The experiments that seeds choose from.

use toprung_engine::experiment::Spec;
use toprung_proto::v1;

const SEARCHES: [&str; 6] = [
    "{name: adaptive_asha, metric: loss, max_trials: 7, max_length: {epochs: 9}, divisor: 3, max_concurrent_trials: 4}",
    "{name: async_halving, metric: loss, num_rungs: 3, max_trials: 6, max_length: {epochs: 9}, divisor: 3, max_concurrent_trials: 3, stop_once: true}",
    "{name: async_halving, metric: loss, num_rungs: 2, max_trials: 6, max_length: {epochs: 4}, divisor: 2, max_concurrent_trials: 3}",
    "{name: random, metric: loss, max_trials: 5, max_length: {epochs: 4}, max_concurrent_trials: 4}",
    "{name: single, metric: loss, max_length: {epochs: 6}}",
    "{name: sync_halving, metric: loss, max_trials: 6, max_length: {epochs: 4}, divisor: 2, max_concurrent_trials: 3}",
];

/// A program decides.
const CUSTOM: &str = "{name: custom, metric: loss, max_length: {epochs: 5}, max_concurrent_trials: 3}";

/// The experiments that seeds choose from, checked once.
#[derive(Debug)]
pub struct Scenarios {
    /// With checkpoints on the agents.
    pub(super) beside: Vec<(Spec, u64)>,
    /// With checkpoints that every node sees.
    pub(super) shared: Vec<(Spec, u64)>,
    /// One that a program decides, of the first kind and of the second.
    pub(super) custom: [(Spec, u64); 2],
}

const SHARED: &str = "max_restarts: 9\ncheckpoint_storage: {type: shared_fs, host_path: /shared}";

impl Default for Scenarios {
    fn default() -> Self {
        let extras = ["max_restarts: 2", "max_restarts: 9\nresources: {max_slots: 2}"];
        let of = |search: &'static str| extras.map(|extra| (spec(search, extra), limit(search)));
        // Checkpoints that every node sees: there a node may be lost for good.
        let shared = |search: &'static str| (spec(search, SHARED), limit(search));
        let custom = ["max_restarts: 9", SHARED].map(|extra| (spec(CUSTOM, extra), limit(CUSTOM)));
        let shared = SEARCHES.into_iter().map(shared).collect();
        Self { beside: SEARCHES.into_iter().flat_map(of).collect(), shared, custom }
    }
}

fn spec(search: &str, extra: &str) -> Spec {
    let yaml = format!(
        "name: test\nentrypoint: python train.py\nhyperparameters:\n  rate: {{type: log, minval: -4, maxval: -1}}\nsearcher: {search}\n{extra}"
    );
    let config = toprung_config::parse(&yaml).expect("the file is right").config;
    let created = v1::ExperimentCreated {
        id: 1,
        config_json: config.complete().to_string(),
        name: "test".into(),
        seed: 7,
        ..v1::ExperimentCreated::default()
    };
    Spec::new(&created, 1_700_000_000_000).expect("the configuration is complete")
}

fn limit(search: &str) -> u64 {
    let given = search.split("max_concurrent_trials: ").nth(1);
    let digits = given.and_then(|rest| rest.split([',', '}']).next());
    digits.map_or(1, |text| text.parse().expect("a number"))
}
