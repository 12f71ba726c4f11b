//! Holm's step-down correction (Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979).

/// The p values corrected for their number, in the order given: the smallest times their count, the next times one
/// less, and so on; never falling, at most 1.
pub fn adjusted(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&one, &other| p[one].total_cmp(&p[other]));
    let mut adjusted = vec![1.0; p.len()];
    let mut largest = 0.0_f64;
    for (place, &index) in order.iter().enumerate() {
        largest = largest.max(p[index] * (p.len() - place) as f64).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        // Sorted: 0.005 × 4, 0.01 × 3, 0.03 × 2, and 0.04 × 1, which may not fall below the one before.
        assert_eq!(adjusted(&[0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]);
        assert_eq!(adjusted(&[0.9, 0.8]), [1.0, 1.0]);
        assert_eq!(adjusted(&[]), [0.0; 0]);
    }

    proptest! {
        #[test]
        fn between_nothing_and_bonferroni(p in prop::collection::vec(0.0_f64..1.0, 1..30)) {
            for (adjusted, p) in adjusted(&p).iter().zip(&p) {
                prop_assert!(adjusted >= p);
            }
            let count = p.len() as f64;
            for (adjusted, p) in adjusted(&p).iter().zip(&p) {
                prop_assert!(*adjusted <= (p * count).min(1.0) + 1e-12 || p * count < 1.0);
            }
        }
    }
}
