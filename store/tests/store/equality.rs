//! The store in memory answers as the store on disk does, whatever is written.

use proptest::collection::vec;
use proptest::prelude::*;
use toprung_store::{Batch, Key, Options, Store};

use crate::{record, write};

#[derive(Debug, Clone)]
enum Step {
    Write { journal: Vec<(u64, u8)>, puts: Vec<(Key, Vec<u8>)>, deletes: Vec<Key> },
    Delete(u64),
    Snapshot(u64, u64),
    Reopen,
}

fn key() -> impl Strategy<Value = Key> {
    let experiment = 1..4_u64;
    let name = "[ab]{0,2}";
    prop_oneof![
        experiment.clone().prop_map(Key::Experiment),
        (experiment.clone(), 1..4_u32).prop_map(|(experiment, trial)| Key::Trial(experiment, trial)),
        (experiment.clone(), 1..3_u32, 0..4_u64)
            .prop_map(|(experiment, trial, at)| Key::ReportChunk(experiment, trial, at)),
        (experiment, 1..3_u32, name)
            .prop_map(|(experiment, trial, uuid)| Key::Checkpoint(experiment, trial, uuid)),
        name.prop_map(Key::Meta),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..20),
        1 => vec(any::<u8>(), 7_000..20_000),
        1 => (any::<u8>(), 0..50_000_usize).prop_map(|(byte, size)| vec![byte; size]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    // A gap of 0 is the record that follows; others are refused.
    let gap = prop_oneof![9 => Just(0_u8), 1 => 1..3_u8];
    let write = (vec((1..4_u64, gap), 0..4), vec((key(), value()), 0..6), vec(key(), 0..3));
    prop_oneof![
        12 => write.prop_map(|(journal, puts, deletes)| Step::Write { journal, puts, deletes }),
        1 => (1..4_u64).prop_map(Step::Delete),
        1 => (1..4_u64, 1..9_u64).prop_map(|(experiment, at)| Step::Snapshot(experiment, at)),
        1 => Just(Step::Reopen),
    ]
}

fn batch(store: &Store, journal: &[(u64, u8)], puts: &[(Key, Vec<u8>)], deletes: &[Key]) -> Batch {
    let mut batch = Batch { puts: puts.to_vec(), deletes: deletes.to_vec(), ..Batch::default() };
    for (index, (experiment, gap)) in journal.iter().enumerate() {
        let earlier = journal[..index].iter().filter(|(other, _)| other == experiment).count() as u64;
        let sequence = store.last_sequence(*experiment).unwrap() + 1 + earlier + u64::from(*gap);
        batch.journal.push((*experiment, record(sequence, "why")));
    }
    batch
}

fn contents(store: &Store) -> Vec<String> {
    let mut all = vec![format!("{:?} {:?}", store.experiments(None, 99), store.metas("", None, 99))];
    for experiment in 1..4 {
        let journal: Result<Vec<_>, _> = store.journal(experiment, 1).unwrap().collect();
        all.push(format!("{:?}", journal.unwrap()));
        all.push(format!("{:?}", store.trials(experiment, None, 99).unwrap()));
        all.push(format!("{:?}", store.checkpoints(experiment, None, None, 99).unwrap()));
        all.push(format!("{:?}", store.read_snapshot(experiment).unwrap()));
        for trial in 1..3 {
            all.push(format!("{:?}", store.report_chunks(experiment, trial, None, 99).unwrap()));
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn the_store_in_memory_equals_the_store_on_disk(steps in vec(step(), 1..20)) {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { cache_bytes: 1 << 20, ..Options::default() };
        let memory = Store::in_memory().unwrap();
        let mut disk = Store::open(dir.path(), options.clone()).unwrap();
        for step in steps {
            match step {
                Step::Write { journal, puts, deletes } => {
                    let batch = batch(&memory, &journal, &puts, &deletes);
                    prop_assert_eq!(write(&memory, batch.clone()).is_ok(), write(&disk, batch).is_ok());
                }
                Step::Delete(experiment) => {
                    memory.delete_experiment(experiment).unwrap();
                    disk.delete_experiment(experiment).unwrap();
                }
                Step::Snapshot(experiment, at) => {
                    memory.write_snapshot(experiment, at, 1, vec![1]).unwrap();
                    disk.write_snapshot(experiment, at, 1, vec![1]).unwrap();
                }
                Step::Reopen => {
                    drop(disk);
                    disk = Store::open(dir.path(), options.clone()).unwrap();
                }
            }
            prop_assert_eq!(contents(&memory), contents(&disk));
        }
    }
}
