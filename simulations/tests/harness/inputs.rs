//! CSV and Parquet tables of any origin, and experiments that ran.

use crate::line;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use toprung_searchers::{Assignment, Domain, Searcher, SearcherConfig, TrialId, Value};
use toprung_simulations::{Curve, Mapping, RecordedTrial, Recording, Report, Table, Task, World};

const CSV: &str = "rate,kind,step,accuracy,seconds
0.001,adam,100,0.5,10
0.001,adam,200,0.6,21
1.0,sgd,100,0.4,5
1.0,sgd,200,,11
0.1,sgd,100,0.7,3
";

fn mapping() -> Mapping {
    Mapping {
        name: "any".to_owned(),
        hyperparameters: ["rate", "kind"].map(str::to_owned).into(),
        configuration: None,
        length: Some("step".to_owned()),
        metric: "accuracy".to_owned(),
        smaller_is_better: false,
        cost: Some("seconds".to_owned()),
        cost_is_sum: true,
        cap: None,
        space: None,
    }
}

fn points(table: &Table, row: u32) -> Vec<(f64, f64)> {
    let point = |length| table.point(&Curve::Row(row), length);
    (1..=table.max_length()).map(|length| (point(length).metric, point(length).cost)).collect()
}

fn check(table: &Table) {
    assert_eq!((table.rows(), table.max_length(), table.unit()), (3, 2, 100));
    assert_eq!(points(table, 0), [(-0.5, 10.0), (-0.6, 11.0)]);
    let second = points(table, 1);
    assert_eq!((second[0], second[1].1), ((-0.4, 5.0), 6.0));
    assert!(second[1].0.is_nan());
    // The third ends early: predicted in the shape of the first, but never better than the best recorded.
    assert_eq!(points(table, 2), [(-0.7, 3.0), (-0.7, 3.0)]);
    assert!(table.is_predicted(&Curve::Row(2), 2) && !table.is_predicted(&Curve::Row(2), 1));
    let rate = &table.space().dimensions["rate"].domain;
    assert_eq!(*rate, Domain::Double { min: 0.001, max: 1.0, log: true, quantize: None, count: None });
    let kinds = ["adam", "sgd"].map(|kind| Value::String(kind.to_owned()));
    assert_eq!(table.space().dimensions["kind"].domain, Domain::Categorical(kinds.into()));
    // The worst recorded is the cap.
    assert_eq!((table.scale().cap, table.scale().best_any), (-0.4, -0.7));
}

#[test]
fn a_csv_table_is_read_by_its_mapping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    std::fs::write(&path, CSV).unwrap();
    check(&Table::read_csv(&path, &mapping()).unwrap());
    let path = folder.path().join("table.csv.zst");
    std::fs::write(&path, zstd::encode_all(CSV.as_bytes(), 3).unwrap()).unwrap();
    check(&Table::read_csv(&path, &mapping()).unwrap());
}

#[test]
fn a_parquet_table_is_read_by_its_mapping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.parquet");
    write_parquet(&path);
    check(&Table::read_parquet(&path, &mapping()).unwrap());
}

/// The same table as `CSV`.
fn write_parquet(path: &Path) {
    let schema = "message table { required double rate; required byte_array kind (UTF8); required int64 step;
                  optional double accuracy; required double seconds; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer =
        SerializedFileWriter::new(std::fs::File::create(path).unwrap(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let doubles =
        [vec![0.001, 0.001, 1.0, 1.0, 0.1], vec![0.5, 0.6, 0.4, 0.7], vec![10.0, 21.0, 5.0, 11.0, 3.0]];
    let kinds: Vec<ByteArray> = ["adam", "adam", "sgd", "sgd", "sgd"].map(ByteArray::from).into();
    let mut column = 0;
    while let Some(mut open) = group.next_column().unwrap() {
        match column {
            0 => open.typed::<DoubleType>().write_batch(&doubles[0], None, None).map(drop),
            1 => open.typed::<ByteArrayType>().write_batch(&kinds, None, None).map(drop),
            2 => open.typed::<Int64Type>().write_batch(&[100, 200, 100, 200, 100], None, None).map(drop),
            3 => open.typed::<DoubleType>().write_batch(&doubles[1], Some(&[1, 1, 1, 0, 1]), None).map(drop),
            _ => open.typed::<DoubleType>().write_batch(&doubles[2], None, None).map(drop),
        }
        .unwrap();
        open.close().unwrap();
        column += 1;
    }
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn errors_say_where_and_what() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    let error = |text: &str, mapping: &Mapping| {
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        Table::read_csv(&path, mapping).unwrap_err().to_string()
    };
    let other = Mapping { metric: "loss".to_owned(), ..mapping() };
    let found = error(CSV, &other);
    assert!(found.contains("no column `loss`; it has rate, kind, step, accuracy, seconds"), "{found}");
    let found = error("rate,kind,step,accuracy,seconds\n1,a,1,good,2\n", &mapping());
    assert!(found.contains("row 1: the metric is `good`; it must be a number"), "{found}");
    let found = error("rate,kind,step,accuracy,seconds\n1,a,0.5,1,2\n", &mapping());
    assert!(found.contains("row 1: the length is 0.5; it must be a whole number, at least 1"), "{found}");
    let found = error("rate,kind,step,accuracy,seconds\n", &mapping());
    assert!(found.contains("it has no metrics"), "{found}");
}

/// Twenty trials by stopping: most of them end at 1.
fn recording() -> Recording {
    let trial = |id: u32| {
        let hparams: Assignment = line().draw(7, TrialId(id));
        let Value::Double(x) = hparams["x"] else { panic!("a number") };
        let until = if id.is_multiple_of(4) { 9 } else { 1 };
        let report = |length: u64| Report { length, metric: x / 100.0 + 1.0 / length as f64, seconds: 2.0 };
        RecordedTrial { hparams, reports: (1..=until).map(report).collect() }
    };
    Recording {
        name: "experiment 12".to_owned(),
        space: line(),
        smaller_is_better: true,
        trials: (1..=20).map(trial).collect(),
    }
}

#[test]
fn the_same_seed_meets_the_recorded_trials_again() {
    let table = recording().table(None).unwrap();
    for trial in 1..=20 {
        assert_eq!(table.nearest(&line().draw(7, TrialId(trial))), (trial - 1, 0.0));
    }
}

#[test]
fn lookups_beyond_the_recording_are_counted() {
    let table = recording().table(None).unwrap();
    let play = |max_length| {
        let config = SearcherConfig::Random { max_trials: 20, max_length, max_concurrent_trials: 0 };
        let mut searcher = Searcher::new(config, line(), 7).unwrap();
        World::calm(4).play(&table, &mut searcher, "random", 7).unwrap()
    };
    assert_eq!(play(1).predicted, 0);
    // Fifteen of the twenty were recorded to 1 only.
    assert_eq!(play(9).predicted, 15 * 8);
}

#[test]
fn a_recording_without_reports_is_refused() {
    let empty = Recording { trials: Vec::new(), ..recording() };
    assert!(empty.table(None).unwrap_err().to_string().contains("experiment 12: it has no metrics"));
}
