//! The best k and order statistics of segments. Short segments by counting in a warp, long ones by radix selection.

use crate::array::Element;
use crate::device::OnGpu;
use crate::error::Error;
use crate::gpu::pieces::Pieces;
use crate::gpu::{Gpu, Memory, Source, blocks, download, upload, zeros};
use crate::order::{Best, order_key, value_of_key};
use crate::partial::Entry;
use crate::segments::{Segments, TopK, Wanted};

/// The longest segment that one warp takes; the same in `select_short`.
const LONGEST_SHORT: u64 = 128;
/// How many queries are answered at once: their counts take 64 MiB.
const BATCH: usize = 65_536;
/// Bits of a place in a segment.
const PLACE_BITS: u32 = 32;
const SOURCE: Source = Source::Selection;

/// A query as the kernels keep it: key, place, rank.
type Query = [u64; 3];

pub(crate) fn top_k<T: Element>(
    on: &OnGpu<'_>,
    segments: &Segments,
    k: usize,
    best: Best,
) -> Result<TopK, Error> {
    let offsets = TopK::offsets(segments, k);
    let ranks: Vec<u64> = offsets.windows(2).flat_map(|pair| 0..(pair[1] - pair[0]) as u64).collect();
    let queries: Vec<u64> = offsets.iter().map(|&offset| offset as u64).collect();
    let found = Found::allocate(&**on.gpu, ranks.len())?;
    select_short::<T>(on, segments, best, &queries, &ranks, &found)?;
    // Of a long segment only the last of the best is looked for; then all up to it are gathered.
    let long = long_segments(segments).filter(|&segment| queries[segment] < queries[segment + 1]);
    let lasts: Vec<(usize, u64)> =
        long.clone().map(|segment| (segment, queries[segment + 1] - queries[segment] - 1)).collect();
    for batch in lasts.chunks(BATCH) {
        let radix = Radix::new(on, segments, batch)?;
        radix.select::<T>(on, best, true)?;
        radix.gather::<T>(on, best, batch, &queries, &found)?;
    }
    let mut entries = found.download(&**on.gpu)?;
    for segment in long {
        let place = |entry: &Entry| (order_key(entry.value, best), entry.index);
        entries[offsets[segment]..offsets[segment + 1]].sort_unstable_by_key(place);
    }
    Ok(TopK { offsets, entries })
}

/// The value at each wanted rank.
pub(crate) fn order_statistics<T: Element>(
    on: &OnGpu<'_>,
    segments: &Segments,
    wanted: &Wanted,
) -> Result<Vec<f64>, Error> {
    let found = Found::allocate(&**on.gpu, wanted.ranks.len())?;
    select_short::<T>(on, segments, Best::Smallest, &wanted.offsets, &wanted.ranks, &found)?;
    let mut sorted: Vec<f64> = found.download(&**on.gpu)?.into_iter().map(|entry| entry.value).collect();
    let queries: Vec<(usize, u64)> = long_segments(segments)
        .flat_map(|segment| {
            (wanted.offsets[segment]..wanted.offsets[segment + 1]).map(move |at| (segment, at))
        })
        .collect();
    for batch in queries.chunks(BATCH) {
        let ranks: Vec<_> = batch.iter().map(|&(segment, at)| (segment, wanted.ranks[at as usize])).collect();
        let radix = Radix::new(on, segments, &ranks)?;
        radix.select::<T>(on, Best::Smallest, false)?;
        let answers: Vec<Query> = download(&**on.gpu, &radix.queries, batch.len())?;
        for (&(_, at), [key, _, _]) in batch.iter().zip(answers) {
            sorted[at as usize] = value_of_key(key, T::BITS);
        }
    }
    Ok(sorted)
}

fn long_segments(segments: &Segments) -> impl Iterator<Item = usize> + Clone + '_ {
    let is_long = |&(_, pair): &(usize, &[u64])| pair[1] - pair[0] > LONGEST_SHORT;
    segments.offsets().windows(2).enumerate().filter(is_long).map(|(segment, _)| segment)
}

/// Values and places that were found.
struct Found {
    values: Memory,
    places: Memory,
    count: usize,
}

impl Found {
    fn allocate(gpu: &dyn Gpu, count: usize) -> Result<Self, Error> {
        Ok(Self { values: gpu.allocate(count * 8)?, places: gpu.allocate(count * 8)?, count })
    }

    fn download(&self, gpu: &dyn Gpu) -> Result<Vec<Entry>, Error> {
        let values: Vec<f64> = download(gpu, &self.values, self.count)?;
        let places: Vec<u64> = download(gpu, &self.places, self.count)?;
        let entry = |(value, place)| Entry { value, index: place as usize };
        Ok(values.into_iter().zip(places).map(entry).collect())
    }
}

fn select_short<T: Element>(
    on: &OnGpu<'_>,
    segments: &Segments,
    best: Best,
    queries: &[u64],
    ranks: &[u64],
    found: &Found,
) -> Result<(), Error> {
    let (gpu, count) = (&**on.gpu, segments.len() as u64);
    if ranks.is_empty() || long_segments(segments).count() == segments.len() {
        return Ok(());
    }
    let offsets = segments.on(on.gpu)?;
    let (queries, ranks) = (upload(gpu, queries)?, upload(gpu, ranks)?);
    let arguments = [
        on.address,
        offsets.address,
        count,
        best.flag(),
        queries.address,
        ranks.address,
        found.values.address,
        found.places.address,
    ];
    gpu.launch(SOURCE, &format!("select_short_{}", T::SUFFIX), blocks(count * 32), &arguments)
}

/// Queries in long segments, and the pieces they look through.
struct Radix {
    count: u64,
    pieces: u64,
    queries: Memory,
    /// 256 counts of 32 bits for each query, zero between passes.
    counts: Memory,
    /// Begin, end, begin of the segment, first and last query of each piece: five lists, one behind the other.
    lists: Memory,
}

impl Radix {
    /// Ranks in long segments, those of a segment next to each other.
    fn new(on: &OnGpu<'_>, segments: &Segments, ranks: &[(usize, u64)]) -> Result<Self, Error> {
        let gpu = &**on.gpu;
        let mut ranges: Vec<(usize, u64, u64)> = Vec::new();
        for (number, &(segment, _)) in (0..).zip(ranks) {
            match ranges.last_mut() {
                Some(last) if last.0 == segment => last.2 = number + 1,
                _ => ranges.push((segment, number, number + 1)),
            }
        }
        let lengths = ranges.iter().map(|&(segment, ..)| segments.range(segment).len());
        let cut = Pieces::cut(&Segments::of_lengths(lengths), 0, gpu.processors());
        let mut lists: [Vec<u64>; 5] = Default::default();
        let mut packed = 0;
        for (number, &(segment, first, last)) in ranges.iter().enumerate() {
            // The pieces are those of the segments packed together; each is moved to where its segment lies.
            let range = segments.range(segment);
            for piece in cut.offsets[number] as usize..cut.offsets[number + 1] as usize {
                let moved = |at: u64| at - packed + range.start as u64;
                let row = [moved(cut.begins[piece]), moved(cut.ends[piece]), range.start as u64, first, last];
                lists.iter_mut().zip(row).for_each(|(list, word)| list.push(word));
            }
            packed += range.len() as u64;
        }
        let queries: Vec<Query> = ranks.iter().map(|&(_, rank)| [0, 0, rank]).collect();
        let pieces = lists[0].len();
        Ok(Self {
            count: ranks.len() as u64,
            pieces: pieces as u64,
            queries: upload(gpu, &queries)?,
            counts: zeros(gpu, ranks.len() as u64 * 128)?,
            lists: upload(gpu, &lists.concat())?,
        })
    }

    /// Finds the key of each query's entry and, if asked, its place.
    fn select<T: Element>(&self, on: &OnGpu<'_>, best: Best, with_place: bool) -> Result<(), Error> {
        let keys = (0..T::BITS).step_by(8).rev().map(|shift| (shift, 0));
        let places = (0..PLACE_BITS).step_by(8).rev().map(|shift| (shift, 1));
        for (shift, by_place) in keys.chain(places.take(if with_place { 4 } else { 0 })) {
            let shift = u64::from(shift);
            let [begins, ends, starts, firsts, lasts] = self.addresses();
            let queries = self.queries.address;
            let arguments = [
                on.address,
                begins,
                ends,
                starts,
                firsts,
                lasts,
                queries,
                shift,
                by_place,
                best.flag(),
                self.counts.address,
            ];
            on.gpu.launch(SOURCE, &format!("count_digits_{}", T::SUFFIX), self.pieces, &arguments)?;
            let arguments = [self.counts.address, queries, shift, by_place];
            on.gpu.launch(SOURCE, "narrow_queries", self.count, &arguments)?;
        }
        Ok(())
    }

    /// Writes everything up to each query's entry to where its segment's entries go.
    fn gather<T: Element>(
        &self,
        on: &OnGpu<'_>,
        best: Best,
        batch: &[(usize, u64)],
        outputs: &[u64],
        found: &Found,
    ) -> Result<(), Error> {
        let gpu = &**on.gpu;
        let outputs: Vec<u64> = batch.iter().map(|&(segment, _)| outputs[segment]).collect();
        let (outputs, taken) = (upload(gpu, &outputs)?, zeros(gpu, self.count.div_ceil(2))?);
        let [begins, ends, starts, firsts, lasts] = self.addresses();
        let arguments = [
            on.address,
            begins,
            ends,
            starts,
            firsts,
            lasts,
            self.queries.address,
            outputs.address,
            best.flag(),
            taken.address,
            found.values.address,
            found.places.address,
        ];
        gpu.launch(SOURCE, &format!("gather_best_{}", T::SUFFIX), self.pieces, &arguments)
    }

    fn addresses(&self) -> [u64; 5] {
        [0, 1, 2, 3, 4].map(|list| self.lists.address + 8 * self.pieces * list)
    }
}
