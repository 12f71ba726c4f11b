//! Names at the ends of lines, moved apart so that none covers another.

/// Heights for labels that want to be at the given heights, at least `gap` apart, between `top` and `bottom`. Labels stay
/// as near to their wishes as the others allow. If there is not room for all, they are spread evenly.
pub(super) fn spread(wishes: &[f32], gap: f32, top: f32, bottom: f32) -> Vec<f32> {
    let mut order: Vec<usize> = (0..wishes.len()).collect();
    order.sort_by(|&one, &other| wishes[one].total_cmp(&wishes[other]).then(one.cmp(&other)));
    let gap = if wishes.len() > 1 { gap.min((bottom - top) / (wishes.len() - 1) as f32) } else { gap };
    // Blocks of touching labels: how many, and the sum of where their first label would like to be.
    let mut blocks: Vec<(usize, f32)> = Vec::new();
    let start =
        |&(count, sum): &(usize, f32)| (sum / count as f32).clamp(top, bottom - gap * (count - 1) as f32);
    for &place in &order {
        blocks.push((1, wishes[place]));
        while let [.., before, last] = blocks.as_slice() {
            let end = start(before) + gap * before.0 as f32;
            if start(last) >= end {
                break;
            }
            let merged = (before.0 + last.0, before.1 + last.1 - gap * (before.0 * last.0) as f32);
            blocks.truncate(blocks.len() - 2);
            blocks.push(merged);
        }
    }
    let mut heights = vec![0.0; wishes.len()];
    let mut places = order.into_iter();
    for block in &blocks {
        let first = start(block);
        for (step, place) in places.by_ref().take(block.0).enumerate() {
            heights[place] = first + gap * step as f32;
        }
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels_make_room() {
        assert_eq!(spread(&[50.0, 10.0], 14.0, 0.0, 100.0), [50.0, 10.0]);
        assert_eq!(spread(&[50.0, 50.0], 14.0, 0.0, 100.0), [43.0, 57.0]);
        assert_eq!(spread(&[100.0, 100.0, 100.0], 14.0, 0.0, 100.0), [72.0, 86.0, 100.0]);
        assert_eq!(spread(&[0.0; 5], 30.0, 0.0, 100.0), [0.0, 25.0, 50.0, 75.0, 100.0]);
    }

    proptest! {
        #[test]
        fn labels_never_touch_and_keep_their_order(wishes in prop::collection::vec(-50.0_f32..250.0, 0..14)) {
            let heights = spread(&wishes, 14.0, 0.0, 200.0);
            let mut order: Vec<usize> = (0..wishes.len()).collect();
            order.sort_by(|&one, &other| wishes[one].total_cmp(&wishes[other]).then(one.cmp(&other)));
            for pair in order.windows(2) {
                prop_assert!(heights[pair[1]] - heights[pair[0]] > 13.9, "{:?}", heights);
            }
            prop_assert!(heights.iter().all(|height| (-0.01..=200.01).contains(height)), "{:?}", heights);
        }
    }
}
