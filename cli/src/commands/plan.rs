//! `toprung plan`: works without any engine; with `--server` the server answers.

use super::source::{self, Loaded};
use crate::args::{Global, Plan};
use crate::connect;
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, json, plan, table};
use crate::simulation::planned::{self, Simulated};
use toprung_config::ExperimentConfig;
use toprung_proto::v1;
use toprung_searchers::{ModelConfig, SearcherConfig, TrialId, space};

/// So many example configurations are drawn.
const SAMPLES: u32 = 3;

/// Shows what a search would do.
pub(super) async fn run(global: &Global, args: &Plan) -> Result<Exit, Error> {
    let loaded = source::load(&args.source, None)?;
    let mut preview = match &global.server {
        Some(server) => ask(global, server, &loaded).await?,
        None => local(&loaded.config)?,
    };
    preview.warnings.extend(slot_warnings(&loaded.config));
    preview.warnings.extend(bounds(&loaded.config.searcher.method));
    if loaded.config.searcher.method.is_custom() {
        // Draws of the space would look like a plan.
        preview.sample_hparams_json.clear();
    }
    let method = &loaded.config.searcher.method;
    let model = method.model();
    // Without an engine the slots are not known: as many as trials may run at once, or one.
    let places = method.max_concurrent_trials().max(1);
    let choice = method.choice(&loaded.config.space, places);
    let simulated = simulated(&loaded.config)?;
    if args.json {
        let mut shown = json::preview(&preview);
        shown["model"] = model.map(ModelConfig::name).into();
        shown["choice"] = choice.into();
        shown["simulated"] = plan::simulated_json(&simulated);
        output::print_json(&shown)?;
    } else {
        let placed = choice.as_deref().or(model.map(placement));
        match loaded.config.searcher.method {
            SearcherConfig::Custom { max_concurrent_trials, .. } => {
                output::print(&plan::decided_by_a_program(&preview, max_concurrent_trials))?;
            }
            _ => output::print(&plan::plan(&preview, &simulated, placed, table::terminal_width()))?,
        }
        for warning in &preview.warnings {
            output::note(&format!("warning: {warning}"));
        }
    }
    Ok(Exit::Ok)
}

async fn ask(global: &Global, server: &str, loaded: &Loaded) -> Result<v1::PreviewExperimentResponse, Error> {
    let client = connect::to_server(global, server).await?;
    let request = v1::PreviewExperimentRequest {
        config_yaml: loaded.text.clone(),
        config_file: loaded.file.clone(),
        samples: SAMPLES,
    };
    let mut preview = client.preview(request).await.map_err(|error| source::drawn(error, loaded))?;
    // Those of the file were drawn already.
    preview.warnings.clear();
    Ok(preview)
}

fn local(config: &ExperimentConfig) -> Result<v1::PreviewExperimentResponse, Error> {
    let settings = &config.searcher;
    let planned = toprung_searchers::plan(&settings.method, &config.space).map_err(refused)?;
    Ok(v1::PreviewExperimentResponse {
        plan: Some(wire(&planned, settings)),
        warnings: Vec::new(),
        sample_hparams_json: samples(config),
    })
}

/// What the search costs on made-up curves: here, whoever planned it.
fn simulated(config: &ExperimentConfig) -> Result<Simulated, Error> {
    let planned = toprung_searchers::plan(&config.searcher.method, &config.space).map_err(refused)?;
    planned::simulate(config, &planned)
}

fn refused(error: toprung_searchers::Error) -> Error {
    Error::Usage {
        message: format!("no search can be planned: {error}"),
        help: "correct the searcher or the hyperparameters in the file".to_owned(),
    }
}

/// The hyperparameters of the first trials.
fn samples(config: &ExperimentConfig) -> Vec<String> {
    // Without a seed in the file the real search draws others: these are examples.
    let seed = config.experiment_seed.unwrap_or(0);
    let method = &config.searcher.method;
    let drawn = (1..=SAMPLES).filter_map(|trial| match method.base() {
        SearcherConfig::Custom { .. } => None,
        SearcherConfig::Single { .. } if trial > 1 => None,
        _ => method.sample(&config.space, seed, TrialId(trial)),
    });
    drawn.map(|hparams| space::to_json_text(&hparams)).collect()
}

fn wire(planned: &toprung_searchers::Plan, settings: &toprung_config::SearcherSettings) -> v1::SearchPlan {
    let count = |length, trials| v1::LengthCount { length, trials };
    let bracket = |bracket: &toprung_searchers::plan::BracketPlan| v1::BracketPlan {
        rung_lengths: bracket.rungs.iter().map(|rung| rung.length).collect(),
        trials: bracket.trials,
        ending: bracket.ending().iter().map(|ending| count(ending.length, ending.trials)).collect(),
    };
    v1::SearchPlan {
        searcher: settings.method.name().to_owned(),
        time_metric: settings.time_metric.clone(),
        max_length: planned.max_length,
        trials: planned.trials,
        brackets: planned.brackets.iter().map(bracket).collect(),
        ending: planned.ending.iter().map(|ending| count(ending.length, ending.trials)).collect(),
        total_length: planned.total_length,
        full_length: planned.full_length,
    }
}

/// How a model places trials. The plan is that of the method beneath: a model changes where trials lie, not how long they
/// train.
fn placement(model: &ModelConfig) -> &'static str {
    match model {
        ModelConfig::Tpe(_) => "tpe places new trials where good ones are dense and others are not",
        ModelConfig::Gp(_) => "a Gaussian process places new trials where it expects the most improvement",
        ModelConfig::Evolution(_) => "a part of the trials are children of good ones",
        ModelConfig::Portfolio(_) => {
            "new trials are placed by evolution, tpe and a Gaussian process by lot, and a part of them at random"
        }
        ModelConfig::Prior(_) => {
            "a half of the trials are random draws; the others follow the priors, and later the best trial as far as the \
             priors turn out wrong"
        }
    }
}

/// Where the plan is only the most that a search can cost.
fn bounds(method: &SearcherConfig) -> Option<String> {
    let pasha = "this is what pasha plans if rankings never agree: it ends at a lower rung once they do";
    let median = "this is the most that is trained: what median_stopping saves depends on the metrics";
    match method {
        SearcherConfig::MedianStopping { .. } => Some(median.to_owned()),
        SearcherConfig::ModelBased { inner, .. } => bounds(inner),
        SearcherConfig::Pasha { .. } => Some(pasha.to_owned()),
        _ => None,
    }
}

/// What the file says about slots, where it will not do what its author may think.
fn slot_warnings(config: &ExperimentConfig) -> Vec<String> {
    let per_trial = config.resources.slots_per_trial.max(1);
    let mut warnings = Vec::new();
    if let Some(most) = config.resources.max_slots {
        let at_once = most / per_trial;
        let wanted = match config.searcher.method.base() {
            SearcherConfig::Single { .. } => 0,
            method => method.max_concurrent_trials(),
        };
        if wanted > at_once {
            warnings.push(format!(
                "resources.max_slots {most} lets {at_once} trials run at once, fewer than the {wanted} of \
                 searcher.{}",
                if matches!(config.searcher.method.base(), SearcherConfig::Pbt(_)) {
                    "population_size"
                } else {
                    "max_concurrent_trials"
                }
            ));
        }
    }
    if per_trial > 1 {
        warnings.push(format!(
            "each trial needs {per_trial} slots: on a machine with fewer it waits for ever; `toprung agents` shows what there is"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(extra: &str) -> ExperimentConfig {
        let text = format!(
            "name: t\nentrypoint: python t.py\nhyperparameters:\n  lr: {{type: log, minval: -4, maxval: -1}}\n\
             searcher: {{name: async_halving, metric: e, num_rungs: 4, divisor: 4, max_trials: 64, \
             max_length: {{batches: 1000}}}}\n{extra}"
        );
        toprung_config::parse(&text).unwrap().config
    }

    #[test]
    fn a_plan_needs_no_engine() {
        let preview = local(&config("")).unwrap();
        let plan = preview.plan.unwrap();
        assert_eq!(plan.brackets[0].rung_lengths, [15, 62, 250, 1000]);
        assert_eq!((plan.trials, plan.full_length), (64, 64_000));
        let ending: Vec<_> = plan.ending.iter().map(|count| (count.trials, count.length)).collect();
        assert_eq!(ending, [(48, 15), (12, 62), (3, 250), (1, 1000)]);
        assert_eq!(preview.sample_hparams_json.len(), 3);
        assert!(preview.sample_hparams_json[0].contains("lr"));
    }

    #[test]
    fn a_plan_that_is_only_a_bound_says_so() {
        let bound = |searcher: &str| {
            let text = format!("entrypoint: ./run\nsearcher: {{metric: e, max_length: 9, {searcher}}}\n");
            bounds(&toprung_config::parse(&text).unwrap().config.searcher.method)
        };
        assert!(bound("name: pasha, max_trials: 9").unwrap().contains("pasha"));
        assert!(bound("name: pasha, max_trials: 9, model: tpe").unwrap().contains("pasha"));
        assert!(
            bound("name: random, max_trials: 9, median_stopping: {}").unwrap().contains("median_stopping")
        );
        assert_eq!(bound("name: hyperband"), None);
    }

    #[test]
    fn a_model_has_the_plan_of_the_method_beneath() {
        let preview = |searcher: &str| {
            let text = format!(
                "entrypoint: ./run\nhyperparameters: {{x: {{type: int, minval: 1, maxval: 9}}}}\nsearcher: {{metric: e, \
                 max_length: 27, divisor: 3, {searcher}}}\n"
            );
            local(&toprung_config::parse(&text).unwrap().config).unwrap()
        };
        let (bohb, hyperband) =
            (preview("name: bohb").plan.unwrap(), preview("name: hyperband").plan.unwrap());
        assert_eq!((bohb.searcher.as_str(), &bohb.brackets), ("bohb", &hyperband.brackets));
        let anchored = preview("name: asha, max_trials: 9, min_length: 2, model: gp").plan.unwrap();
        assert_eq!(anchored.brackets[0].rung_lengths, [2, 6, 18, 27]);
    }

    #[test]
    fn what_a_program_will_want_is_not_planned() {
        let text = "entrypoint: ./run\nhyperparameters: {x: {type: int, minval: 1, maxval: 9}}\n\
                    searcher: {name: custom, metric: e, max_length: {epochs: 27}, max_concurrent_trials: 4}\n";
        let config = toprung_config::parse(text).unwrap().config;
        let preview = local(&config).unwrap();
        assert_eq!(preview.sample_hparams_json, Vec::<String>::new());
        assert_eq!(simulated(&config).unwrap(), Simulated::Exact);
        let shown = plan::decided_by_a_program(&preview, 4);
        assert!(shown.starts_with("custom: a program decides, so nothing can be foretold\n"), "{shown}");
        assert!(
            shown.contains("at most 4 trials at once, each at most 27 epochs: 108 epochs under way"),
            "{shown}"
        );
        assert!(
            plan::decided_by_a_program(&preview, 0).contains("as many trials at once as there are slots")
        );
    }

    #[test]
    fn too_few_slots_are_warned_about() {
        assert!(slot_warnings(&config("")).is_empty());
        let few = slot_warnings(&config("resources: {max_slots: 4}\n"));
        assert!(few[0].contains("lets 4 trials run at once, fewer than the 16"), "{few:?}");
        let wide = slot_warnings(&config("resources: {slots_per_trial: 2}\n"));
        assert!(wide[0].contains("needs 2 slots"), "{wide:?}");
    }
}
