//! The order of floating-point values as integers: the twin of `exact_key` and `order_key` in `cuda/prelude.cu`.

/// Which end of the order is the best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Best {
    /// The smallest number is the best. NaN is the worst.
    #[default]
    Smallest,
    /// The largest number is the best. NaN is the worst.
    Largest,
}

impl Best {
    /// How the kernels are told.
    pub(crate) fn flag(self) -> u64 {
        u64::from(self == Self::Largest)
    }
}

const SIGN: u64 = 1 << 63;

/// Best first, -0 just before +0 (after it for the largest), NaN last.
pub(crate) fn exact_key(value: f64, best: Best) -> u64 {
    if value.is_nan() {
        return u64::MAX;
    }
    let bits = value.to_bits();
    let key = if bits & SIGN == 0 { bits | SIGN } else { !bits };
    if best == Best::Largest { !key } else { key }
}

/// Best first, -0 and +0 equal, NaN last.
pub(crate) fn order_key(value: f64, best: Best) -> u64 {
    exact_key(value + 0.0, best)
}

/// The value of a key of the smallest; of 64 bits, or of 32 if the elements are `f32`.
pub(crate) fn value_of_key(key: u64, bits: u32) -> f64 {
    if bits == 32 {
        let key = key as u32;
        if key == u32::MAX {
            return f64::NAN;
        }
        return f64::from(f32::from_bits(if key >> 31 == 0 { !key } else { key & !(1 << 31) }));
    }
    if key == u64::MAX { f64::NAN } else { f64::from_bits(if key & SIGN == 0 { !key } else { key & !SIGN }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASCENDING: [f64; 8] =
        [f64::NEG_INFINITY, -1.5, -f64::MIN_POSITIVE, -0.0, 0.0, 1e-300, 2.0, f64::INFINITY];

    #[test]
    fn keys_keep_the_order_and_put_nan_last() {
        let keys: Vec<u64> = ASCENDING.iter().map(|&value| exact_key(value, Best::Smallest)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b) && keys[7] < exact_key(-f64::NAN, Best::Smallest));
        let keys: Vec<u64> = ASCENDING.iter().rev().map(|&value| exact_key(value, Best::Largest)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b) && keys[7] < exact_key(f64::NAN, Best::Largest));
        assert_eq!(order_key(-0.0, Best::Largest), order_key(0.0, Best::Largest));
    }

    #[test]
    fn a_key_gives_its_value_back() {
        for value in ASCENDING {
            assert_eq!(value_of_key(exact_key(value, Best::Smallest), 64).to_bits(), value.to_bits());
        }
        assert!(value_of_key(u64::MAX, 64).is_nan() && value_of_key(u64::from(u32::MAX), 32).is_nan());
        let key = |value: f32| {
            u64::from(if value.is_sign_negative() { !value.to_bits() } else { value.to_bits() | 1 << 31 })
        };
        for value in [f32::NEG_INFINITY, -3.25, 0.0, 1e-40, f32::INFINITY] {
            assert_eq!(value_of_key(key(value), 32), f64::from(value));
        }
    }
}
