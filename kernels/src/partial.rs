//! Moments and extremes of a range, and how two ranges are merged: the twin of `Partial` in `cuda/reductions.cu`.

/// Count, sum, mean and variance of the finite values.
///
/// Tolerances, against exact arithmetic, while no square of a difference overflows: `sum` and `count · mean` within 1e-12 of the sum of
/// absolute values; `m2` within 1e-10 of itself plus 1e-12 of the sum of squared differences from the first value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// How many finite values there are.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The sum of squared differences from the mean.
    pub m2: f64,
    pub(crate) center: f64,
}

impl Moments {
    /// The mean; NaN without finite values.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.center }
    }

    /// The variance of these values as a whole (divided by their count); NaN without finite values.
    pub fn variance(&self) -> f64 {
        self.m2 / self.count as f64
    }

    /// The variance of what they were drawn from (divided by their count less one); NaN for fewer than two.
    pub fn sample_variance(&self) -> f64 {
        if self.count < 2 { f64::NAN } else { self.m2 / (self.count - 1) as f64 }
    }

    /// Both ranges together (Chan et al. 1979).
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        if self.count == 0 {
            return other;
        }
        if other.count == 0 {
            return self;
        }
        let count = self.count + other.count;
        let part = other.count as f64 / count as f64;
        let apart = other.center - self.center;
        Self {
            count,
            sum: self.sum + other.sum,
            center: self.center + apart * part,
            m2: self.m2 + other.m2 + apart * apart * (self.count as f64 * part),
        }
    }
}

/// A value and its index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// The value; `f32` is widened.
    pub value: f64,
    /// Its index in the segment (in the array, for an operation on a whole one).
    pub index: usize,
}

/// The smallest and the largest value that is not NaN; the lowest index at equal values. Exact.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extremes {
    /// The smallest, and where; none if all are NaN or there are none.
    pub min: Option<Entry>,
    /// The largest, and where.
    pub max: Option<Entry>,
}

impl Extremes {
    /// Both ranges together, all indices of `other` being higher.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let take = |mine: Option<Entry>, its: Option<Entry>, better: fn(f64, f64) -> bool| match (mine, its) {
            (Some(mine), Some(its)) if better(its.value, mine.value) => Some(its),
            (None, its) => its,
            (mine, _) => mine,
        };
        Self { min: take(self.min, other.min, |a, b| a < b), max: take(self.max, other.max, |a, b| a > b) }
    }
}

/// What a reduction finds in a range, as the kernels write it: count, sum, mean, m2, low, its place, high, its place.
pub(crate) type Words = [u64; 8];

/// Reads what the kernels wrote for a range that begins at `begin`.
pub(crate) fn from_words(words: &Words, begin: u64) -> (Moments, Extremes) {
    let [count, sum, mean, m2, low, low_at, high, high_at] = *words;
    let entry = |value: u64, at: u64| {
        (at != u64::MAX).then(|| Entry { value: f64::from_bits(value), index: (at - begin) as usize })
    };
    let moments =
        Moments { count, sum: f64::from_bits(sum), center: f64::from_bits(mean), m2: f64::from_bits(m2) };
    (moments, Extremes { min: entry(low, low_at), max: entry(high, high_at) })
}
