//! Mistakes in the experiment file: all at once, drawn under their lines, before anything is written.

use crate::workplace::{Workplace, repository};
use std::path::Path;

/// Compares with a file; `BLESS=1 cargo test -p toprung --test end_to_end` writes it.
fn golden(name: &str, found: &str) {
    let path = repository("tests/end_to_end/golden");
    let path = Path::new(&path).join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found, expected, "{} differs; BLESS=1 writes it anew", path.display());
}

#[test]
fn every_mistake_is_drawn_under_its_line() {
    let search = "\
name: mistakes
entrypoint: python3 train.py --rate {learning_rte}
hyperparameters:
  learning_rate: {type: log, base: 10, minval: 1, maxval: -4}
  hidden: {type: int, minval: 8}
searcher:
  name: async_halving
  max_trials: 0
  max_length: {epochs: 9}
resorces: {slots_per_trial: 1}
max_restarts: many
";
    let place = Workplace::with_search(search);
    let answer = place.ask(&["run", "search.yaml"]).expect(2);
    golden("mistakes.txt", &answer.err);
    assert_eq!(answer.out, "");
    assert_eq!(place.names(), ["search.yaml", "train.py"], "nothing is left behind");
    // `plan` finds the same.
    assert_eq!(place.ask(&["plan", "search.yaml"]).expect(2).err, answer.err);
}

#[test]
fn what_this_version_does_not_have_is_said_so() {
    let search = "\
name: unsupported
entrypoint: model_def:Trial
hyperparameters: {learning_rate: 0.5}
searcher: {name: cma_es, metric: validation_loss, max_trials: 2, max_length: {epochs: 2}}
checkpoint_storage: {type: s3, bucket: b}
";
    let place = Workplace::with_search(search);
    let answer = place.ask(&["run", "search.yaml"]).expect(2);
    golden("unsupported.txt", &answer.err);
    assert_eq!(place.names(), ["search.yaml", "train.py"]);
}

#[test]
fn a_file_that_cannot_be_read_at_all() {
    let place = Workplace::with_search("name: [\n");
    place.ask(&["run", "search.yaml"]).expect(2).says(&["search.yaml"]);
    place.ask(&["run", "nowhere.yaml"]).expect(2).says(&["nowhere.yaml"]);
    place.ask(&["run", "search.yaml", "--set", "searcher"]).expect(2).says(&["--set searcher", "path=value"]);
    assert_eq!(place.names(), ["search.yaml", "train.py"]);
}
