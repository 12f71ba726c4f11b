//! A searcher as it is written, and the method that the parser of the experiment file makes of it.
//!
//! What a simulation knows is filled in: metric and greatest length from the curves, and, where the file's language demands
//! it and nothing is written, as many trials as the budget pays for, as many at once as there are slots, and rungs from the
//! shortest length on.

use super::listed;
use super::tasks::SimulatedTask;
use crate::errors::Error;
use crate::{output, problems};
use serde_json::{Map, Value as Json};
use std::fmt::Write as _;
use toprung_config::Problems;
use toprung_searchers::SearcherConfig;

/// A searcher with the fields that were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    /// Its name in the experiment file.
    pub name: String,
    /// Fields with their values as YAML; a dot leads into a section.
    pub fields: Vec<(String, String)>,
    /// What it is called in results.
    pub label: String,
    /// Keys that a person wrote, rather than defaults that a file was completed with.
    pub written: Vec<String>,
    /// Where it was written, for messages.
    origin: String,
}

/// A method that was read, and whether it begins anew when it is over.
pub(crate) struct Method {
    /// The method; its lengths are in the unit of the source.
    pub config: SearcherConfig,
    /// It has no number of trials of its own: when a search of it is over, another begins.
    pub rounds: bool,
}

/// Fields of the file that a simulation says itself, or that mean nothing in it.
const FILLED: [&str; 8] = [
    "name",
    "metric",
    "smaller_is_better",
    "max_length",
    "max_time",
    "time_metric",
    "source_trial_id",
    "source_checkpoint_uuid",
];
/// The searcher that is decided by a program.
pub(crate) const CUSTOM: &str = "custom";
/// Searchers that take another round when one is over.
const ROUNDS: [&str; 3] = ["hyperband", "bohb", "sync_halving"];

impl Spec {
    /// As written behind --searcher.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |part: String| Error::Usage {
            message: format!("--searcher {text}: `{part}` is no KEY=VALUE"),
            help: "write it like asha:divisor=3,stop_once=true, with the fields of the experiment file"
                .to_owned(),
        };
        let (name, fields) = listed::named(text).map_err(wrong)?;
        if let Some((key, _)) = fields.iter().find(|(key, _)| !is_key(key)) {
            return Err(wrong(key.clone()));
        }
        let written = fields.iter().map(|(key, _)| key.clone()).collect();
        let pairs = fields.iter().map(|(key, value)| format!("{key}={value}"));
        let label = std::iter::once(name.clone()).chain(pairs).collect::<Vec<_>>().join(" ");
        Ok(Self { name, fields, label, written, origin: format!("--searcher {text}") })
    }

    /// From the complete `searcher` section of an experiment; `label`: what it is called in results.
    pub(crate) fn of_section(section: &Map<String, Json>, label: &str, origin: &str) -> Self {
        let name = section.get("name").and_then(Json::as_str).unwrap_or_default();
        let fields = section.iter().filter(|(key, _)| !FILLED.contains(&key.as_str()));
        Self {
            name: name.to_owned(),
            fields: fields.map(|(key, value)| (key.clone(), value.to_string())).collect(),
            label: label.to_owned(),
            written: Vec::new(),
            origin: origin.to_owned(),
        }
    }

    /// The same with other values of some fields, called `label`.
    pub(crate) fn with(&self, changed: &[(String, String)], label: String) -> Self {
        let keeps = |(key, _): &&(String, String)| !changed.iter().any(|(other, _)| other == key);
        let fields = self.fields.iter().filter(keeps).chain(changed).cloned().collect();
        Self { fields, label, ..self.clone() }
    }

    /// Whether a field was given.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == key)
    }

    /// Its fields in a line.
    pub(crate) fn settings(&self) -> String {
        let all: Vec<String> = self.fields.iter().map(|(key, value)| format!("{key} {value}")).collect();
        if all.is_empty() { "as by default".to_owned() } else { all.join(", ") }
    }

    /// The `searcher` section on a task. `trials`: how many the budget pays for at most.
    pub(crate) fn section(&self, task: &SimulatedTask, trials: u64) -> String {
        let mut text = format!("searcher:\n  name: {}\n", self.name);
        let mut inside = "";
        for (key, value) in &self.fields {
            // Writing into a String cannot fail.
            let _ = match key.split_once('.') {
                Some((section, key)) if section == inside => writeln!(text, "    {key}: {value}"),
                Some((section, key)) => writeln!(text, "  {section}:\n    {key}: {value}"),
                None => writeln!(text, "  {key}: {value}"),
            };
            inside = key.split_once('.').map_or("", |(section, _)| section);
        }
        for (key, value) in self.filled(task, trials) {
            let _ = writeln!(text, "  {key}: {value}");
        }
        text
    }

    fn filled(&self, task: &SimulatedTask, trials: u64) -> Vec<(&'static str, String)> {
        let name = self.name.as_str();
        let halving = name == "async_halving" || name == "asha";
        let counted = !["single", "grid", "pbt", "hyperband", "bohb"].contains(&name);
        let trials = if name == "sync_halving" { self.round_of_halving(task) } else { trials };
        let all = [
            ("metric", Some(Json::from(task.metric.as_str()).to_string())),
            ("smaller_is_better", Some(task.smaller_is_better.to_string())),
            ("time_metric", Some(Json::from(task.length_unit.as_str()).to_string())),
            ("max_time", (name != "pbt" && !self.has("max_length")).then(|| task.full_length().to_string())),
            ("max_trials", counted.then(|| trials.to_string())),
            ("max_concurrent_trials", (name != "single" && name != "pbt").then(|| "0".to_owned())),
            ("min_length", (halving && !self.has("num_rungs")).then(|| task.unit.to_string())),
        ];
        let missing = all.into_iter().filter(|(key, _)| !self.has(key));
        missing.filter_map(|(key, value)| Some((key, value?))).collect()
    }

    /// So many trials that one of them reaches the top rung.
    fn round_of_halving(&self, task: &SimulatedTask) -> u64 {
        let given = |key: &str| {
            let (_, value) = self.fields.iter().find(|(field, _)| field == key)?;
            value.parse::<f64>().ok()
        };
        let divisor = given("divisor").filter(|divisor| *divisor > 1.0).unwrap_or(4.0);
        let least = given("min_length").filter(|least| *least >= 1.0).unwrap_or(task.unit as f64);
        // A little more, so that a power of the divisor counts as one.
        let rungs = ((task.full_length() as f64 / least).ln() / divisor.ln() + 1e-9).floor().max(0.0);
        divisor.powf(rungs).round().clamp(1.0, 1e8) as u64
    }

    /// What the parser of the experiment file makes of it.
    pub(crate) fn method(&self, task: &SimulatedTask, trials: u64) -> Result<Method, Error> {
        if self.name == CUSTOM {
            return Err(decided_by_a_program(&self.origin));
        }
        let text = self.section(task, trials);
        let whole = format!("{text}entrypoint: simulated\n");
        let drawn = |found: &Problems| problems::draw(found, &self.origin, &whole, output::stderr_colour());
        let parsed = toprung_config::parse(&whole).map_err(|found| Error::Config { drawn: drawn(&found) })?;
        let rounds = ROUNDS.contains(&self.name.as_str()) && !self.has("max_trials");
        Ok(Method { config: parsed.config.searcher.method, rounds })
    }
}

/// A searcher that nothing here can play.
pub(crate) fn decided_by_a_program(origin: &str) -> Error {
    Error::Usage {
        message: format!("{origin}: the searcher `custom` is decided by a program, which does not run here"),
        help: "name searchers that decide by themselves with --searcher; what your program decides can be tried on short \
               trainings with `toprung decide`"
            .to_owned(),
    }
}

fn is_key(key: &str) -> bool {
    !key.is_empty()
        && key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::tasks;

    fn method(text: &str) -> Result<Method, Error> {
        Spec::parse(text).unwrap().method(&tasks::of_tests(), 500)
    }

    #[test]
    fn what_is_not_written_is_filled_in() {
        let SearcherConfig::AsyncHalving {
            num_rungs,
            max_trials,
            divisor,
            max_length,
            max_concurrent_trials,
            ..
        } = method("asha:divisor=3").unwrap().config
        else {
            panic!("another searcher")
        };
        assert_eq!((num_rungs, max_trials, divisor), (4, 500, 3.0));
        assert_eq!((max_length, max_concurrent_trials), (27, 0));
        assert!(!method("asha").unwrap().rounds);
        assert!(method("hyperband:divisor=3").unwrap().rounds);
        assert!(!method("hyperband:max_trials=9").unwrap().rounds);
        let SearcherConfig::SyncHalving { max_trials, .. } = method("sync_halving:divisor=3").unwrap().config
        else {
            panic!("another searcher")
        };
        assert_eq!(max_trials, 27);
    }

    #[test]
    fn sections_are_written_with_dots() {
        let text = "pbt:population_size=8,num_rounds=9,length_per_round=3,explore_function.perturb_factor=0.3,\
                    explore_function.resample_probability=0.1,replace_function.truncate_fraction=0.25";
        let SearcherConfig::Pbt(found) = method(text).unwrap().config else { panic!("another searcher") };
        assert_eq!(
            (found.perturb_factor, found.resample_probability, found.truncate_fraction),
            (0.3, 0.1, 0.25)
        );
    }

    #[test]
    fn mistakes_are_those_of_the_experiment_file() {
        let said = |text: &str| method(text).err().unwrap().to_string();
        let found = said("asha:divsor=3");
        assert!(
            found.contains("did you mean `divisor`?") && found.contains("--searcher asha:divsor=3"),
            "{found}"
        );
        assert!(said("ahsa").contains("async_halving"), "{}", said("ahsa"));
        assert!(said("asha:divisor=1").contains("divisor"), "{}", said("asha:divisor=1"));
        let found = Spec::parse("asha:divisor").unwrap_err().to_string();
        assert!(found.contains("`divisor` is no KEY=VALUE"), "{found}");
    }

    #[test]
    fn what_a_program_decides_cannot_be_played() {
        let found = method("custom").err().unwrap();
        assert!(
            found.to_string().contains("--searcher custom: the searcher `custom` is decided by a program")
        );
        assert!(found.help().contains("--searcher"), "{}", found.help());
    }

    #[test]
    fn a_section_of_a_file_says_the_same_again() {
        let text = "entrypoint: ./run\nsearcher: {name: adaptive_asha, metric: e, max_trials: 64, divisor: 3, \
                    mode: aggressive, max_length: {epochs: 81}}\n";
        let complete = toprung_config::parse(text).unwrap().config.complete();
        let section = complete["searcher"].as_object().unwrap();
        let spec = Spec::of_section(section, "adaptive_asha", "search.yaml");
        let SearcherConfig::AdaptiveAsha { max_trials, divisor, max_length, max_concurrent_trials, .. } =
            spec.method(&tasks::of_tests(), 500).unwrap().config
        else {
            panic!("another searcher")
        };
        // The length is that of the curves.
        assert_eq!((max_trials, divisor, max_length, max_concurrent_trials), (64, 3.0, 27, 16));
    }
}
