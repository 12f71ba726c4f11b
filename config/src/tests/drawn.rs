//! How problems look.

use super::refused;
use crate::{Severity, parse};
use miette::{GraphicalReportHandler, GraphicalTheme};

const TEN_MISTAKES: &str = "\
name: [ten]
entrypoint: python train.py --lr {learing_rate}
hyperparameters:
  learning_rate: {type: log, base: 10, minval: -1, maxval: -4}
  hidden: {type: integer, minval: 16, maxval: 256}
  momentum: {type: double, minval: 0, maxval: 1, condition: {optimiser: sgd}}
searcher:
  name: adaptive_asha
  metric: validation_error
  max_trails: 64
  mode: agressive
  max_length: {epoch: 27}
resources: {slots_per_trial: 0.5}
max_restarts: -1
data_layer: {type: shared_fs}
";

#[test]
fn ten_mistakes_are_drawn_under_their_lines() {
    let problems = refused(TEN_MISTAKES);
    let errors = problems.0.iter().filter(|problem| problem.severity == Severity::Error).count();
    // The misspelt `max_trails` is also a missing `max_trials`.
    assert_eq!(errors, 11, "{problems}");
    let mut drawn = String::new();
    let handler =
        GraphicalReportHandler::new_themed(GraphicalTheme::none()).with_width(100).with_links(false);
    handler.render_report(&mut drawn, &problems.report("experiment.yaml", TEN_MISTAKES)).unwrap();
    let drawn: Vec<_> = drawn.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(drawn.join("\n"));
}

#[test]
fn plain_lines_for_programs() {
    insta::assert_snapshot!(refused(TEN_MISTAKES).lines("experiment.yaml"));
}

#[test]
fn positions_are_those_of_the_source() {
    for problem in refused(TEN_MISTAKES).0 {
        let before = &TEN_MISTAKES[..problem.offset];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        assert_eq!((problem.line as usize, problem.column as usize), (line, column), "{problem}");
    }
}

#[test]
fn what_is_not_yaml_and_what_only_warns_can_be_drawn() {
    for yaml in ["é: [", "a: 1\na: 2\n", "", "\u{1F600}"] {
        let problems = parse(yaml).unwrap_err();
        let mut drawn = String::new();
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::none());
        handler.render_report(&mut drawn, &problems.report("f", yaml)).unwrap();
        assert!(drawn.contains(&problems.0[0].message[..10]), "{drawn}");
    }
}
