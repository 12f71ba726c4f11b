//! The ranking against a sorted list, with small nodes too, so that few entries make a tree of many levels.

use super::*;
use proptest::prelude::*;

type Step = (u8, u32, i8);

/// A sorted list that does the same.
#[derive(Default)]
struct Model {
    list: Vec<(Key, u32, bool)>,
    /// Trial and entry below of each entry that there ever was.
    known: Vec<(u32, u32)>,
}

impl Model {
    fn insert(&mut self, key: Key, trial: u32, below: u32) -> Ranked {
        let entry = self.known.len() as u32;
        self.known.push((trial, below));
        let rank = self.list.partition_point(|item| (item.0, item.1) < (key, entry));
        self.list.insert(rank, (key, entry, false));
        Ranked { entry, rank: rank as u64 }
    }

    fn open(&self) -> impl DoubleEndedIterator<Item = Ranked> + '_ {
        let open = self.list.iter().enumerate().filter(|(_, item)| item.2);
        open.map(|(rank, item)| Ranked { entry: item.1, rank: rank as u64 })
    }
}

/// One random step: four of eight enter, one leaves, two open, one closes.
fn step<const L: usize, const F: usize>(
    ranking: &mut Ranking<L, F>,
    model: &mut Model,
    (step, pick, metric): Step,
) -> Result<(), TestCaseError> {
    let key = if metric == 3 { Key::FAILED } else { Key::new(f64::from(metric)) };
    if step < 4 || model.list.is_empty() {
        prop_assert_eq!(ranking.insert(key, pick, pick / 2), model.insert(key, pick, pick / 2));
        return Ok(());
    }
    let at = pick as usize % model.list.len();
    let entry = model.list[at].1;
    prop_assert_eq!(ranking.rank(entry), at as u64);
    if step == 4 {
        ranking.remove(entry);
        ranking.remove(entry);
        ranking.set_open(entry, true);
        model.list.remove(at);
    } else {
        ranking.set_open(entry, step < 7);
        model.list[at].2 = step < 7;
    }
    Ok(())
}

fn agrees<const L: usize, const F: usize>(
    ranking: &Ranking<L, F>,
    model: &Model,
    key: Key,
) -> Result<(), TestCaseError> {
    let list = &model.list;
    prop_assert_eq!(ranking.len() as usize, list.len());
    prop_assert_eq!(ranking.open() as usize, model.open().count());
    prop_assert_eq!(ranking.best(), list.first().map(|item| item.0));
    prop_assert_eq!(ranking.first_open(), model.open().next());
    prop_assert_eq!(ranking.last_open(), model.open().next_back());
    prop_assert_eq!(ranking.better_than(key), list.iter().filter(|item| item.0 < key).count() as u64);
    let entries: Vec<u32> = list.iter().map(|item| item.1).collect();
    prop_assert_eq!(&ranking.first(7)[..], &entries[..entries.len().min(7)]);
    Ok(())
}

/// Everything that can be asked, of each entry.
fn agrees_in_all<const L: usize, const F: usize>(
    ranking: &Ranking<L, F>,
    model: &Model,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(ranking.first(usize::MAX), model.list.iter().map(|item| item.1).collect::<Vec<_>>());
    for (rank, (key, entry, _)) in model.list.iter().enumerate() {
        prop_assert_eq!((ranking.rank(*entry), ranking.key(*entry)), (rank as u64, *key));
    }
    for (entry, known) in (0..).zip(&model.known) {
        prop_assert_eq!((ranking.trial(entry), ranking.below(entry)), *known);
    }
    ranking.tree.check();
    Ok(())
}

fn play<const L: usize, const F: usize>(steps: &[Step]) -> Result<(), TestCaseError> {
    let (mut ranking, mut model) = (Ranking::<L, F>::new(), Model::default());
    for &taken in steps {
        step(&mut ranking, &mut model, taken)?;
        agrees(&ranking, &model, Key::new(f64::from(taken.2)))?;
    }
    agrees_in_all(&ranking, &model)?;
    // What was stored goes on as what was not.
    let bytes = postcard::to_allocvec(&ranking).unwrap();
    let mut restored: Ranking<L, F> = postcard::from_bytes(&bytes).unwrap();
    prop_assert_eq!(&restored, &ranking);
    agrees_in_all(&restored, &model)?;
    for &taken in steps {
        step(&mut restored, &mut model, taken)?;
        agrees(&restored, &model, Key::new(f64::from(taken.2)))?;
    }
    agrees_in_all(&restored, &model)
}

fn steps(metrics: std::ops::Range<i8>, most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0_u8..8, 0_u32..1000, metrics), 1..most)
}

proptest! {
    #[test]
    fn agrees_with_a_sorted_list(steps in steps(-100..100, 400)) {
        play::<2, 3>(&steps)?;
        play::<5, 4>(&steps)?;
        play::<64, 32>(&steps)?;
    }

    #[test]
    fn agrees_when_most_keys_are_equal(steps in steps(1..4, 400)) {
        play::<2, 3>(&steps)?;
        play::<5, 4>(&steps)?;
    }

    /// Rising and falling metrics, whose nodes are split at their ends.
    #[test]
    fn agrees_when_arrivals_are_sorted(mut steps in steps(-100..100, 400), falling in any::<bool>()) {
        let mut metrics: Vec<i8> = steps.iter().map(|step| step.2).collect();
        metrics.sort_unstable();
        if falling {
            metrics.reverse();
        }
        for (step, metric) in steps.iter_mut().zip(metrics) {
            step.2 = metric;
        }
        play::<2, 3>(&steps)?;
        play::<5, 4>(&steps)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Enough entries for three levels of the nodes that are used.
    #[test]
    fn agrees_with_a_sorted_list_of_thousands(seed in any::<u64>(), equal in any::<bool>()) {
        let (mut ranking, mut model) = (<Ranking>::new(), Model::default());
        let mut random = seed;
        for _ in 0..30_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let metric = if equal { (random >> 60) as i8 } else { (random >> 56) as i8 };
            step(&mut ranking, &mut model, ((random >> 33) as u8 % 8, (random >> 40) as u32 % 60_000, metric))?;
        }
        agrees(&ranking, &model, Key::new(0.0))?;
        agrees_in_all(&ranking, &model)?;
    }
}

#[test]
fn an_entry_takes_16_bytes() {
    assert_eq!(size_of::<Entry>(), 16);
}

/// Metrics by arrival.
type Arrivals = (&'static str, fn(u32) -> f64);

fn arrivals() -> [Arrivals; 5] {
    [
        ("rising", f64::from),
        ("falling", |at| -f64::from(at)),
        ("equal", |_| 1.0),
        ("waves", |at| f64::from(at % 1000)),
        ("random", |at| f64::from(at.wrapping_mul(2_654_435_769))),
    ]
}

fn million(metric: fn(u32) -> f64) -> Ranking {
    let mut ranking = Ranking::new();
    for at in 0..1_000_000 {
        ranking.insert(Key::new(metric(at)), at, NO_ENTRY);
    }
    ranking
}

#[test]
fn a_million_entries_stay_shallow_and_small_in_any_order() {
    for (order, metric) in arrivals() {
        let ranking = million(metric);
        let height = ranking.tree.check();
        let bytes = ranking.entries.capacity() * size_of::<Entry>() + ranking.tree.bytes();
        let each = bytes as f64 / 1e6;
        assert!(height <= 4, "{order}: {height} levels above the leaves");
        assert!(each <= 52.0, "{order}: {each} bytes an entry");
        let full = matches!(order, "rising" | "falling" | "equal");
        assert!(!full || each <= 36.0, "{order}: {each} bytes an entry");
    }
}

#[test]
fn few_entries_take_little_memory() {
    let mut ranking = <Ranking>::new();
    assert_eq!(ranking.tree.bytes(), 0);
    ranking.insert(Key::new(1.0), 1, NO_ENTRY);
    assert!(ranking.entries.capacity() * size_of::<Entry>() + ranking.tree.bytes() <= 64);
}

#[test]
fn entries_that_come_and_go_leave_no_nodes_behind() {
    let mut ranking = <Ranking>::new();
    for at in 0..100_000 {
        let entry = ranking.insert(Key::new(f64::from(at)), at, NO_ENTRY).entry;
        if at >= 64 {
            ranking.remove(entry);
        }
    }
    assert!(ranking.tree.bytes() < 10_000, "{}", ranking.tree.bytes());
}
