//! A searcher's method in the file's own language.

use serde_json::{Value as Json, json};
use toprung_searchers::{Mode, ModelConfig, SearcherConfig};

/// The method's name and its own fields.
pub(super) fn method(method: &SearcherConfig) -> Json {
    let mut searcher = match method {
        SearcherConfig::Single { .. } => json!({"name": "single"}),
        SearcherConfig::Random { max_trials, max_concurrent_trials, .. } => json!({
            "name": "random", "max_trials": max_trials, "max_concurrent_trials": max_concurrent_trials,
        }),
        SearcherConfig::Grid { max_concurrent_trials, .. } => json!({
            "name": "grid", "max_concurrent_trials": max_concurrent_trials,
        }),
        SearcherConfig::Custom { max_concurrent_trials, .. } => json!({
            "name": "custom", "max_concurrent_trials": max_concurrent_trials,
        }),
        SearcherConfig::AsyncHalving {
            num_rungs,
            max_trials,
            divisor,
            max_concurrent_trials,
            stop_once,
            ..
        } => json!({
            "name": "async_halving", "num_rungs": num_rungs, "max_trials": max_trials, "divisor": divisor,
            "max_concurrent_trials": max_concurrent_trials, "stop_once": stop_once,
        }),
        SearcherConfig::AdaptiveAsha {
            max_trials,
            mode,
            divisor,
            max_rungs,
            bracket_rungs,
            max_concurrent_trials,
            stop_once,
            ..
        } => json!({
            "name": "adaptive_asha", "max_trials": max_trials, "mode": mode_word(*mode), "divisor": divisor,
            "max_rungs": max_rungs, "bracket_rungs": bracket_rungs,
            "max_concurrent_trials": max_concurrent_trials, "stop_once": stop_once,
        }),
        SearcherConfig::SyncHalving { max_trials, divisor, max_concurrent_trials, .. }
        | SearcherConfig::Hyperband { max_trials, divisor, max_concurrent_trials, .. } => json!({
            "name": method.name(), "max_trials": max_trials, "divisor": divisor,
            "max_concurrent_trials": max_concurrent_trials,
        }),
        SearcherConfig::Pasha { max_trials, divisor, max_rungs, max_concurrent_trials, .. } => json!({
            "name": "pasha", "max_trials": max_trials, "divisor": divisor, "max_rungs": max_rungs,
            "max_concurrent_trials": max_concurrent_trials,
        }),
        SearcherConfig::Auto { max_trials, max_concurrent_trials, .. } => json!({
            "name": "auto", "max_trials": max_trials, "max_concurrent_trials": max_concurrent_trials,
        }),
        SearcherConfig::Pbt(settings) => json!({
            "name": "pbt", "population_size": settings.population_size, "num_rounds": settings.num_rounds,
            "length_per_round": settings.length_per_round,
            "replace_function": {"truncate_fraction": settings.truncate_fraction},
            "explore_function": {
                "resample_probability": settings.resample_probability,
                "perturb_factor": settings.perturb_factor,
            },
        }),
        SearcherConfig::MedianStopping { inner, min_length, min_trials } => {
            let mut searcher = self::method(inner);
            searcher["median_stopping"] = json!({"min_length": min_length, "min_trials": min_trials});
            searcher
        }
        SearcherConfig::ModelBased { inner, model } => {
            let mut searcher = self::method(inner);
            searcher["name"] = json!(method.name());
            searcher["model"] = self::model(model);
            searcher
        }
    };
    if method.draws_at_random() {
        searcher["model"] = json!("none");
    }
    if let Some(least) = method.min_length() {
        searcher["min_length"] = json!(least);
    }
    searcher
}

fn model(model: &ModelConfig) -> Json {
    match model {
        ModelConfig::Tpe(tpe) => json!({
            "name": "tpe", "startup_trials": tpe.startup_trials, "candidates": tpe.candidates,
            "gamma": tpe.gamma, "random_fraction": tpe.random_fraction,
        }),
        ModelConfig::Gp(gp) => json!({
            "name": "gp", "startup_trials": gp.startup_trials, "max_points": gp.max_points,
            "random_fraction": gp.random_fraction,
        }),
        ModelConfig::Evolution(evolution) => {
            json!({"name": "evolution", "random_fraction": evolution.random_fraction})
        }
        ModelConfig::Portfolio(portfolio) => {
            json!({"name": "portfolio", "random_fraction": portfolio.random_fraction})
        }
        ModelConfig::Prior(_) => json!({"name": "prior"}),
    }
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Conservative => "conservative",
        Mode::Standard => "standard",
        Mode::Aggressive => "aggressive",
    }
}
