//! Searches in virtual time, as a person tries them: on a table, on formulae, and on an experiment that really ran.

use crate::workplace::Workplace;
use serde_json::Value;
use std::fmt::Write as _;

/// A small table: eight configurations of up to nine epochs, whose best one is slow at first.
fn table() -> String {
    let mut text = "lr,hidden,epoch,val_error,seconds\n".to_owned();
    for (number, (lr, hidden)) in
        [(0.001, 8), (0.003, 16), (0.01, 32), (0.03, 64), (0.1, 8), (0.3, 16), (0.002, 64), (0.02, 128)]
            .into_iter()
            .enumerate()
    {
        for epoch in 1..=9 {
            let error =
                0.1 * f64::from(number as u32 % 5 + 1) + f64::from(number as u32 + 1) / f64::from(epoch * 10);
            writeln!(text, "{lr},{hidden},{epoch},{error:.4},{}", 2.0 + lr).unwrap();
        }
    }
    text
}

const COLUMNS: &str = "metric=val_error,length=epoch,cost=seconds";

fn with_table() -> Workplace {
    let place = Workplace::new();
    place.write("curves.csv", &table());
    place
}

/// What a searcher reached at the end of the budget in time.
fn standing<'a>(document: &'a Value, label: &str) -> &'a Value {
    let comparison = &document["comparison"];
    let searchers = comparison["setup"]["searchers"].as_array().unwrap();
    let place = searchers.iter().position(|searcher| searcher["label"] == label).unwrap();
    let verdicts = comparison["verdicts"].as_array().unwrap();
    let end =
        verdicts.iter().find(|verdict| verdict["axis"] == "time" && verdict["fraction"] == 1.0).unwrap();
    &end["standings"][place]
}

#[test]
fn a_table_says_who_does_best() {
    let place = with_table();
    let line = ["simulate", "--table", "curves.csv", "--columns", COLUMNS, "--seeds", "6", "--slots", "2"];
    let mut all = line.to_vec();
    all.extend(["--searcher", "asha:divisor=3", "--searcher", "hyperband:divisor=3"]);
    let answer = place.ask(&all).expect(0);
    answer.prints(&["asha divisor=3", "hyperband", "(baseline)", "one epoch,", "In short"]);
    answer.says(&["curves.csv: 8 configurations of hidden, lr, up to 9 epoch, least of val_error"]);
    assert!(answer.out.lines().all(|line| line.chars().count() <= 100), "{}", answer.out);

    let first = place.json(&all);
    assert_eq!(first, place.json(&all), "the same seeds give the same document");
    assert!(standing(&first, "asha divisor=3")["regret"]["value"].as_f64().unwrap() >= 0.0);
    assert_eq!(first["simulation"]["tasks"][0]["predicted_reports"], 0);
    let mut csv = all.clone();
    csv.push("--csv");
    place.ask(&csv).expect(0).prints(&["axis,fraction,task,searcher", "time,1,*,asha divisor=3,false,"]);
}

#[test]
fn a_report_needs_no_network() {
    let place = Workplace::new();
    let line =
        ["simulate", "--synthetic", "hard", "--searcher", "asha", "--seeds", "6", "--out", "report", "-q"];
    let answer = place.ask(&line).expect(0);
    let page = answer.err.split("open ").nth(1).unwrap().trim();
    let html = std::fs::read_to_string(place.work().join(page)).unwrap();
    assert!(html.contains("<svg") && html.contains("one epoch, best k"));
    for outside in ["http://", "https://", "src=\"//", "@import", "<script"] {
        let found = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!found.contains(outside), "{outside}");
    }
    for ending in ["svg", "png", "csv", "parquet", "json"] {
        assert!(written(&place.work().join("report"), ending), "no .{ending}");
    }
}

fn written(folder: &std::path::Path, ending: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            written(&path, ending)
        } else {
            path.extension().is_some_and(|found| found == ending)
        }
    })
}

#[test]
fn faults_and_the_protocol_change_what_is_reached() {
    let place = with_table();
    let run = |more: &[&str]| {
        let mut all = vec!["simulate", "--table", "curves.csv", "--columns", COLUMNS, "--searcher", "asha"];
        all.extend(["--seeds", "4", "--slots", "2"]);
        all.extend(more);
        place.json(&all)
    };
    let work = |document: &Value, what: &str| document["comparison"]["work"][0][what].as_f64().unwrap();
    let (calm, rough) = (run(&[]), run(&["--startup", "10%", "--preemptions", "50%", "--crashes", "200%"]));
    assert_eq!(work(&calm, "wasted"), 0.0);
    assert!(work(&rough, "wasted") > 0.0 && work(&rough, "utilisation") < work(&calm, "utilisation"));
    assert_eq!(run(&["--protocol"])["simulation"]["settings"]["rules"], "the comparison protocol");
}

#[test]
fn an_experiment_that_ran_is_searched_again() {
    let place = Workplace::with_search(
        "name: paid\nentrypoint: python3 train.py\n\
         hyperparameters: {learning_rate: {type: log, base: 10, minval: -3, maxval: 1}}\n\
         searcher: {name: async_halving, metric: validation_loss, num_rungs: 3, divisor: 3, max_trials: 9, \
         max_length: {epochs: 9}}\nreproducibility: {experiment_seed: 3}\n",
    );
    assert_eq!(place.run("search.yaml", &[]).state(), "completed");
    let line = ["simulate", "--from-experiment", "1", "--searcher", "random", "--seeds", "5", "--slots", "2"];
    let found = place.json(&line);
    let task = &found["simulation"]["tasks"][0];
    assert_eq!((task["name"].as_str(), task["max_length"].as_u64()), (Some("experiment 1"), Some(9)));
    assert_eq!(task["metric"], "validation_loss");
    assert_eq!(found["comparison"]["seeds"], serde_json::json!([3, 4, 5, 6, 7]));
    // Random search trains on what was stopped.
    assert!(task["predicted_reports"].as_u64().unwrap() > 0);
    assert!(standing(&found, "async_halving (as in experiment 1)")["rank"].as_f64().unwrap() >= 1.0);
    place.ask(&line).expect(0).says(&["experiment 1 (paid): 9 trials with", "lie beyond what was recorded"]);
    place.ask(&["simulate", "--from-experiment", "7"]).expect(3).says(&["7"]);
}

#[test]
fn settings_are_tuned_and_the_section_can_be_pasted() {
    let place = Workplace::new();
    let line = [
        "tune-searcher",
        "--synthetic",
        "power",
        "--searcher",
        "asha",
        "--grid",
        "divisor=2,4",
        "--seeds",
        "8",
    ];
    let answer = place.ask(&line).expect(0);
    answer.prints(&[
        "against the best",
        "Take asha",
        "another task can turn it round",
        "searcher:\n  name: asha\n",
    ]);
    let section = &answer.out[answer.out.find("searcher:\n").unwrap()..];
    let file = format!(
        "entrypoint: ./run\nhyperparameters: {{x: {{type: double, minval: 0, maxval: 1}}}}\n{section}"
    );
    place.write("pasted.yaml", &file);
    place.ask(&["plan", "pasted.yaml"]).expect(0);
    let found = place.json(&line);
    // The base has divisor 4: it is one of the two. Beside the other there are two baselines.
    assert_eq!(found["advice"]["others"].as_array().unwrap().len(), 1 + 2);
    assert!(found["advice"]["take"]["section"].as_str().unwrap().contains("metric: \"value\""));
}

#[test]
fn replicates_by_the_thousand() {
    let place = with_table();
    let line = ["simulate", "--table", "curves.csv", "--columns", COLUMNS, "--searcher", "asha:divisor=3"];
    let mut all = line.to_vec();
    all.extend(["--seeds", "3", "--slots", "2", "--replicates", "2000", "--device", "cpu"]);
    place.ask(&all).expect(0).prints(&["2000 replicates of asha divisor=3 on curves by cpu", "median"]);
    let found = place.json(&all);
    let at = found["replicates"][0]["at"].as_array().unwrap();
    let means: Vec<f64> = at.iter().map(|at| at["mean"].as_f64().unwrap()).collect();
    assert!(means.is_sorted_by(|early, late| early >= late), "{means:?}");
    place
        .ask(&["simulate", "--synthetic", "power", "--seeds", "2", "--replicates", "9", "--device", "gpu"])
        .expect(2)
        .says(&["auto, cpu, and cuda:N"]);
}

#[test]
fn mistakes_teach() {
    let place = with_table();
    let said = |line: &[&str]| place.ask(line).expect(2).err;
    let table = ["simulate", "--table", "curves.csv", "--columns"];
    let with = |more: &[&str]| said(&[&table[..], more].concat());
    for (found, words) in [
        (said(&["simulate"]), "--synthetic power"),
        (said(&["simulate", "--table", "nowhere.csv"]), "nowhere.csv"),
        (said(&["simulate", "--table", "curves.csv"]), "which column is the metric?"),
        (said(&["simulate", "--synthetic", "pover"]), "did you mean `power`?"),
        (said(&["simulate", "--synthetic", "power", "--budget", "much"]), "length:500"),
        (with(&["metric=val_eror"]), "it has lr, hidden, epoch, val_error, seconds"),
        (with(&[COLUMNS, "--searcher", "asnyc_halving"]), "did you mean `async_halving`?"),
        (with(&[COLUMNS, "--searcher", "asha:divsor=3"]), "did you mean `divisor`?"),
        (with(&[COLUMNS, "--searcher", "asha:divisor=0.5"]), "--searcher asha:divisor=0.5:3"),
        (said(&["tune-searcher", "--synthetic", "power", "--grid", "divisor"]), "divisor=2,3,4"),
        (said(&["tune-searcher", "--synthetic", "power", "--grid", "mood=high"]), "`mood`"),
    ] {
        assert!(found.contains(words), "{words} is not in: {found}");
    }
    assert_eq!(place.names(), ["curves.csv"], "nothing is left behind");
}
