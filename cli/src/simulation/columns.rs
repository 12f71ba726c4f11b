//! Which columns of a file are what.

use super::listed;
use crate::errors::Error;
use std::path::Path;
use toprung_config::{ExperimentConfig, suggestion};
use toprung_searchers::{Dimension, Domain, Space};
use toprung_simulations::Mapping;

/// What --columns says. What it does not say is looked for under these names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Columns {
    metric: Option<String>,
    length: Option<String>,
    cost: Option<String>,
    total_cost: Option<String>,
    configuration: Option<String>,
    hyperparameters: Option<Vec<String>>,
}

const WORDS: [&str; 6] = ["metric", "length", "cost", "total_cost", "configuration", "hyperparameters"];

impl Columns {
    /// `metric=NAME,length=NAME,…`
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let mut columns = Self::default();
        let pairs = listed::pairs(text).map_err(|part| wrong(text, &format!("`{part}` is no WHAT=NAME")))?;
        for (word, name) in pairs {
            match word.as_str() {
                "metric" => columns.metric = Some(name),
                "length" => columns.length = Some(name),
                "cost" => columns.cost = Some(name),
                "total_cost" => columns.total_cost = Some(name),
                "configuration" => columns.configuration = Some(name),
                "hyperparameters" => {
                    columns.hyperparameters =
                        Some(name.split('+').map(|name| name.trim().to_owned()).collect());
                }
                _ => {
                    return Err(wrong(text, &format!("there is no `{word}`; {}", suggestion(&word, WORDS))));
                }
            }
        }
        if columns.cost.is_some() && columns.total_cost.is_some() {
            return Err(wrong(
                text,
                "cost is that of a line, total_cost the sum until then: give one of them",
            ));
        }
        Ok(columns)
    }

    /// What the columns of a file with these heads are. An experiment file says the hyperparameters and the metric.
    pub(super) fn mapping(
        &self,
        path: &Path,
        heads: &[String],
        maximize: bool,
        config: Option<&ExperimentConfig>,
    ) -> Result<Mapping, Error> {
        let usual = |word: &str| heads.iter().find(|head| *head == word).cloned();
        let of_file = config.map(|config| config.searcher.metric.clone());
        let metric = self.metric.clone().or(of_file).or_else(|| usual("metric"));
        let Some(metric) = metric else {
            return Err(Error::Usage {
                message: format!("{}: which column is the metric?", path.display()),
                help: format!("say it with --columns metric=NAME; there are {}", heads.join(", ")),
            });
        };
        let of_file = config.and_then(|config| usual(&config.searcher.time_metric));
        let cost_is_sum = self.cost.is_none() && (self.total_cost.is_some() || usual("cost").is_none());
        let cost = self.cost.clone().or_else(|| self.total_cost.clone());
        let mut mapping = Mapping {
            name: name_of(path),
            hyperparameters: Vec::new(),
            configuration: self.configuration.clone().or_else(|| usual("configuration")),
            length: self.length.clone().or(of_file).or_else(|| usual("length")),
            metric,
            smaller_is_better: config
                .map_or(!maximize, |config| config.searcher.smaller_is_better && !maximize),
            cost: cost.or_else(|| usual("cost")).or_else(|| usual("total_cost")),
            cost_is_sum,
            cap: None,
            space: config.map(|config| config.space.clone()).filter(|space| !space.dimensions.is_empty()),
        };
        mapping.hyperparameters = match (&self.hyperparameters, &mapping.space) {
            (Some(given), _) => given.clone(),
            (None, Some(space)) => leaves(space),
            (None, None) => rest(heads, &mapping),
        };
        if mapping.hyperparameters.is_empty() {
            return Err(Error::Usage {
                message: format!("{}: no column is left for hyperparameters", path.display()),
                help: format!("there are {}; --columns says which are what", heads.join(", ")),
            });
        }
        Ok(mapping)
    }
}

fn wrong(text: &str, what: &str) -> Error {
    Error::Usage {
        message: format!("--columns {text}: {what}"),
        help: "write it like metric=val_error,length=epoch,cost=seconds,hyperparameters=lr+hidden".to_owned(),
    }
}

/// The file's name without what it ends with.
fn name_of(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let short = name.trim_end_matches(".zst").trim_end_matches(".csv").trim_end_matches(".parquet");
    if short.is_empty() { name } else { short.to_owned() }
}

/// The columns that are nothing else.
fn rest(heads: &[String], mapping: &Mapping) -> Vec<String> {
    let others = [
        Some(&mapping.metric),
        mapping.length.as_ref(),
        mapping.cost.as_ref(),
        mapping.configuration.as_ref(),
    ];
    heads.iter().filter(|head| !others.contains(&Some(*head))).cloned().collect()
}

/// The hyperparameters of a space that are not constant, groups joined by dots.
fn leaves(space: &Space) -> Vec<String> {
    fn of(name: &str, dimension: &Dimension, leaves: &mut Vec<String>) {
        match &dimension.domain {
            Domain::Group(inner) => {
                inner.iter().for_each(|(inner, dimension)| of(&format!("{name}.{inner}"), dimension, leaves));
            }
            Domain::Const(_) => {}
            _ => leaves.push(name.to_owned()),
        }
    }
    let mut found = Vec::new();
    space.dimensions.iter().for_each(|(name, dimension)| of(name, dimension, &mut found));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn mapping(columns: &str, of: &str) -> Result<Mapping, Error> {
        Columns::parse(columns)?.mapping(Path::new("some/curves.csv.zst"), &heads(of), false, None)
    }

    #[test]
    fn what_is_left_are_hyperparameters() {
        let found =
            mapping("metric=error,length=epoch,cost=seconds", "id lr hidden epoch error seconds").unwrap();
        assert_eq!(found.hyperparameters, ["id", "lr", "hidden"]);
        assert_eq!((found.name.as_str(), found.cost_is_sum), ("curves", false));
        let found = mapping("", "configuration lr length metric total_cost").unwrap();
        assert_eq!((found.hyperparameters, found.cost_is_sum), (heads("lr"), true));
        assert_eq!(found.configuration.as_deref(), Some("configuration"));
        let found = mapping("metric=error,hyperparameters=lr+hidden", "id lr hidden length error").unwrap();
        assert_eq!(found.hyperparameters, ["lr", "hidden"]);
    }

    #[test]
    fn a_file_says_hyperparameters_and_metric() {
        let text = "entrypoint: ./run\nhyperparameters:\n  model: {hidden: {type: int, minval: 1, maxval: 9}, bias: 1}\n\
                    searcher: {name: random, metric: accuracy, smaller_is_better: false, max_trials: 2, max_length: {epochs: 3}}\n";
        let config = toprung_config::parse(text).unwrap().config;
        let heads = heads("model.hidden epochs accuracy");
        let found = Columns::default().mapping(Path::new("c.csv"), &heads, false, Some(&config)).unwrap();
        assert_eq!(found.hyperparameters, ["model.hidden"]);
        assert_eq!((found.length.as_deref(), found.metric.as_str()), (Some("epochs"), "accuracy"));
        assert!(!found.smaller_is_better);
    }

    #[test]
    fn mistakes_say_what_there_is() {
        let error = mapping("length=epoch", "lr epoch error").unwrap_err();
        assert!(error.help().contains("there are lr, epoch, error"), "{}", error.help());
        let error = mapping("metrc=error", "lr error").unwrap_err().to_string();
        assert!(error.contains("did you mean `metric`?"), "{error}");
        let error = mapping("metric=error", "error").unwrap_err().to_string();
        assert!(error.contains("no column is left"), "{error}");
        assert!(mapping("cost=a,total_cost=b", "a b").is_err());
    }
}
