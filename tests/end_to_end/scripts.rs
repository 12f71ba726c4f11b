//! A script that knows nothing of Toprung, and placeholders in its command.

use crate::document::{self, Trial};
use crate::processes::Running;
use crate::workplace::{Workplace, python, repository};
use serde_json::{Map, Value, json};
use std::path::Path;

#[test]
fn an_unmodified_script_is_measured_by_what_it_prints() {
    let place = Workplace::new();
    let file = repository("examples/unmodified/search.yaml");
    // The line of the example, and the seed, so that the run can be repeated by hand.
    let entrypoint = "entrypoint=echo seed is {trial_seed} && exec python3 train.py --learning-rate \
                      {learning_rate} --l2 {l2} --batch-size {batch_size} --epochs {max_length} --seed {trial_seed}";
    let few =
        ["--set", "searcher.max_trials=4", "--set", "searcher.max_length.epochs=9", "--set", entrypoint];
    let experiment = place.run(&file, &few);
    assert_eq!(experiment.state(), "completed");
    assert_eq!(experiment.trials("error"), 0);
    let trials = document::trials(&place);
    assert_eq!(trials.len(), 4);
    for trial in &trials {
        let printed = by_hand(&place, trial);
        assert!(!trial.reports.is_empty(), "{:?}", trial.value);
        for (report, line) in trial.reports.iter().zip(&printed) {
            assert_eq!(report.length, line["epoch"].as_u64().unwrap());
            for name in ["validation_loss", "validation_error"] {
                assert_eq!(report.metrics[name].as_f64(), line[name].as_f64(), "{name} of {line:?}");
            }
        }
    }
    let longest = trials.iter().map(|trial| trial.reports.len()).max();
    assert_eq!(longest, Some(9), "the best one is trained in full");
}

/// What the script prints by hand with the same hyperparameters, line by line.
fn by_hand(place: &Workplace, trial: &Trial) -> Vec<Map<String, Value>> {
    let log = document::log(place, trial.number("id"));
    let seed = log.iter().find_map(|line| line.strip_prefix("seed is ")).expect("the echo");
    let of = |name: &str| trial.value["hparams"][name].to_string();
    let (rate, l2, batch) = (of("learning_rate"), of("l2"), of("batch_size"));
    let script = Path::new(&repository("examples/unmodified/train.py")).display().to_string();
    let options =
        ["--learning-rate", &rate, "--l2", &l2, "--batch-size", &batch, "--epochs", "9", "--seed", seed];
    let mut command = place.command(python(), &[&[script.as_str()], &options[..]].concat());
    let text = Running::start(&mut command).wait().expect(0).out;
    text.lines().map(|line| line.split(' ').map(pair).collect()).collect()
}

/// "epoch=3" → ("epoch", 3)
fn pair(text: &str) -> (String, Value) {
    let (name, value) = text.split_once('=').unwrap();
    (name.to_owned(), serde_json::from_str(value).unwrap())
}

#[test]
fn placeholders_and_variables_say_the_same() {
    let search = "\
name: shown
entrypoint: ['python3', 'show.py', '{rate}', '{net.width}', '{word}', '{{literal}}', '{trial_id}', '{max_length}']
hyperparameters:
  rate: {type: double, minval: 0.1, maxval: 0.9}
  net: {width: {type: int, minval: 1, maxval: 64}}
  word: \"two words; $HOME\"
searcher: {name: random, metric: loss, max_trials: 2, max_length: {epochs: 1}}
";
    let place = Workplace::with_search(search);
    place.write(
        "show.py",
        "\
import json, os, sys
rate, width, word, literal, trial, longest = sys.argv[1:]
h = json.loads(os.environ['TOPRUNG_HPARAMS'])
assert h == json.load(open(os.environ['TOPRUNG_HPARAMS_FILE']))
assert float(rate) == h['rate'] and int(width) == h['net']['width'] and word == h['word'], h
assert literal == '{literal}' and trial == os.environ['TOPRUNG_TRIAL_ID'] and longest == '1'
print('epoch=1 loss=' + rate)
",
    );
    assert_eq!(place.run("search.yaml", &[]).state(), "completed");
    for trial in document::trials(&place) {
        assert_eq!(trial.value["best_metric"], trial.value["hparams"]["rate"]);
        assert_eq!(trial.value["hparams"]["word"], json!("two words; $HOME"));
    }
}
