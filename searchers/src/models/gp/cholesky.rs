//! The Cholesky factor of a symmetric positive matrix, row by row.
//!
//! Rows are packed one after the other. A row depends on those above it alone (Cholesky–Banachiewicz), so a factor that was
//! extended by a row is the same, bit for bit, as one that was made at once: nothing of it needs to be stored with a search.

/// A lower triangular factor L with L Lᵀ = K.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cholesky {
    packed: Vec<f64>,
    len: usize,
}

/// Pivots below this are raised to it: a row that says nothing new.
const LEAST_PIVOT: f64 = 1e-10;
/// So many right sides are solved for at once.
pub(super) const LANES: usize = 8;

/// Where a row begins.
fn start(row: usize) -> usize {
    row * (row + 1) / 2
}

/// The product of two vectors of the same length, in four sums that a processor adds up side by side.
pub(super) fn dot(left: &[f64], right: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (left, right) = (left.chunks_exact(8), right.chunks_exact(8));
    let rest: f64 = left.remainder().iter().zip(right.remainder()).map(|(a, b)| a * b).sum();
    for (left, right) in left.zip(right) {
        for lane in 0..8 {
            sums[lane] += left[lane] * right[lane];
        }
    }
    ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7])) + rest
}

/// `to += factor · from`.
fn add_scaled(to: &mut [f64], factor: f64, from: &[f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

impl Cholesky {
    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A row up to its diagonal.
    pub(super) fn row(&self, row: usize) -> &[f64] {
        &self.packed[start(row)..start(row + 1)]
    }

    /// Forgets the rows from `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.packed.truncate(start(self.len));
    }

    /// Adds the next row of K, up to and with its diagonal.
    pub(super) fn push(&mut self, row: &[f64]) {
        let own = self.packed.len();
        self.packed.extend_from_slice(row);
        let (above, new) = self.packed.split_at_mut(own);
        for column in 0..self.len {
            let other = &above[start(column)..start(column + 1)];
            new[column] = (new[column] - dot(&new[..column], &other[..column])) / other[column];
        }
        let (left, diagonal) = new.split_at_mut(self.len);
        diagonal[0] = (diagonal[0] - dot(left, left)).max(LEAST_PIVOT).sqrt();
        self.len += 1;
    }

    /// Solves L x = right.
    pub(super) fn forward(&self, right: &mut [f64]) {
        for row in 0..self.len {
            let factors = self.row(row);
            right[row] = (right[row] - dot(&factors[..row], &right[..row])) / factors[row];
        }
    }

    /// Solves Lᵀ x = right.
    pub(super) fn backward(&self, right: &mut [f64]) {
        for row in (0..self.len).rev() {
            let factors = self.row(row);
            let solved = right[row] / factors[row];
            right[row] = solved;
            add_scaled(&mut right[..row], -solved, &factors[..row]);
        }
    }

    /// Solves L x = right for [`LANES`] right sides that lie side by side, and returns the squared length of each x.
    pub(super) fn squared_lengths(&self, right: &mut [[f64; LANES]]) -> [f64; LANES] {
        let mut lengths = [0.0; LANES];
        for row in 0..self.len {
            let factors = self.row(row);
            let (solved, rest) = right.split_at_mut(row);
            let mut sums = [0.0; LANES];
            for (factor, solved) in factors.iter().zip(solved.iter()) {
                for lane in 0..LANES {
                    sums[lane] += factor * solved[lane];
                }
            }
            let pivot = 1.0 / factors[row];
            for lane in 0..LANES {
                let value = (rest[0][lane] - sums[lane]) * pivot;
                rest[0][lane] = value;
                lengths[lane] += value * value;
            }
        }
        lengths
    }

    /// Half the logarithm of the determinant of K.
    pub(super) fn half_log_determinant(&self) -> f64 {
        (0..self.len).map(|row| self.row(row)[row].ln()).sum()
    }

    /// The inverse of K: its lower triangle, packed the same way.
    pub(super) fn inverse(&self) -> Vec<f64> {
        let mut lower: Vec<f64> = Vec::with_capacity(self.packed.len());
        for row in 0..self.len {
            let factors = self.row(row);
            let own = lower.len();
            lower.resize(own + row + 1, 0.0);
            let (above, new) = lower.split_at_mut(own);
            for column in 0..row {
                add_scaled(&mut new[..=column], factors[column], &above[start(column)..start(column + 1)]);
            }
            let pivot = 1.0 / factors[row];
            new[..row].iter_mut().for_each(|value| *value *= -pivot);
            new[row] = pivot;
        }
        let mut inverse = vec![0.0; self.packed.len()];
        for from in 0..self.len {
            let factors = &lower[start(from)..start(from + 1)];
            for row in 0..=from {
                let into = &mut inverse[start(row)..start(row + 1)];
                add_scaled(into, factors[row], &factors[..=row]);
            }
        }
        inverse
    }
}

#[cfg(test)]
#[allow(clippy::needless_range_loop, reason = "matrices by their indices, as in the definitions")]
mod tests {
    use super::*;

    /// A matrix without structure that is positive.
    fn matrix(len: usize) -> Vec<Vec<f64>> {
        let random = |row: usize, column: usize| ((row * 31 + column * 17 + 7) % 23) as f64 / 23.0 - 0.5;
        let entry = |row: usize, column: usize| {
            let product: f64 = (0..len).map(|at| random(row, at) * random(column, at)).sum();
            product + if row == column { 0.5 } else { 0.0 }
        };
        (0..len).map(|row| (0..len).map(|column| entry(row, column)).collect()).collect()
    }

    fn factor(matrix: &[Vec<f64>]) -> Cholesky {
        let mut factor = Cholesky::default();
        for (row, values) in matrix.iter().enumerate() {
            factor.push(&values[..=row]);
        }
        factor
    }

    #[test]
    fn the_factor_gives_the_matrix_back() {
        let matrix = matrix(27);
        let factor = factor(&matrix);
        for row in 0..27 {
            for column in 0..=row {
                let product: f64 = (0..=column).map(|at| factor.row(row)[at] * factor.row(column)[at]).sum();
                assert!((product - matrix[row][column]).abs() < 1e-12, "{row} {column}");
            }
        }
    }

    #[test]
    fn solutions_and_the_inverse_are_right() {
        let matrix = matrix(27);
        let factor = factor(&matrix);
        let right: Vec<f64> = (0..27).map(|at| f64::from(at) - 9.0).collect();
        let mut solved = right.clone();
        factor.forward(&mut solved);
        let length: f64 = solved.iter().map(|value| value * value).sum();
        let mut lanes: Vec<[f64; LANES]> = right.iter().map(|&value| [value; LANES]).collect();
        assert!((factor.squared_lengths(&mut lanes)[LANES - 1] - length).abs() < 1e-9 * length);
        factor.backward(&mut solved);
        let inverse = factor.inverse();
        for row in 0..27 {
            let back = dot(&matrix[row], &solved);
            assert!((back - right[row]).abs() < 1e-10, "{row}: {back}");
            let entry = |a: usize, b: usize| inverse[start(a.max(b)) + a.min(b)];
            for column in 0..27 {
                let unit: f64 = (0..27).map(|at| matrix[row][at] * entry(at, column)).sum();
                assert!((unit - f64::from(u8::from(row == column))).abs() < 1e-10, "{row} {column}");
            }
        }
    }

    #[test]
    fn an_extended_factor_is_the_same_bit_for_bit() {
        let matrix = matrix(40);
        let (mut extended, whole) = (factor(&matrix[..20]), factor(&matrix));
        extended.push(&matrix[3][..=20]);
        extended.truncate(20);
        for (row, values) in matrix.iter().enumerate().skip(20) {
            extended.push(&values[..=row]);
        }
        assert_eq!(extended, whole);
    }

    #[test]
    fn a_row_that_repeats_another_does_no_harm() {
        let mut factor = factor(&matrix(5));
        let row: Vec<f64> = matrix(5)[4].clone();
        factor.push(&[row.clone(), vec![row[4]]].concat());
        assert!(factor.packed.iter().all(|value| value.is_finite()));
    }
}
