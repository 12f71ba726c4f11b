//! Random numbers of the simulated world, by counters: each is a function of seed, purpose, and who it is for.
//!
//! So no number depends on how many were drawn before or in which order things happened, and compared searchers meet the
//! same bad luck: trial 7's second attempt crashes after as long whoever asked for it.

/// What a number is for. Different purposes never share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// How much slower an attempt of a trial is.
    Straggler = 1,
    /// When an attempt crashes.
    Crash = 2,
    /// When an attempt is preempted.
    Preemption = 3,
    /// When a node is lost.
    NodeLoss = 4,
    /// The shape of a trial's curve.
    Shape = 5,
    /// The noise of a curve at a length.
    Report = 6,
}

/// Uniform in 0 … 1, both left out: a number for the `count`-th time of `whom`.
pub fn unit(seed: u32, purpose: Purpose, whom: u64, count: u64) -> f64 {
    let start = mix(u64::from(seed) ^ (purpose as u64) << 32);
    let word = mix(mix(start ^ whom).wrapping_add(count.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    ((word >> 12) as f64 + 0.5) * (1.0 / (1_u64 << 52) as f64)
}

/// Exponential of mean 1.
pub fn exponential(seed: u32, purpose: Purpose, whom: u64, count: u64) -> f64 {
    -unit(seed, purpose, whom, count).ln()
}

/// Normal of mean 0 and deviation 1 (Box and Muller 1958, one of the pair).
pub fn normal(seed: u32, purpose: Purpose, whom: u64, count: u64) -> f64 {
    let (first, second) = (unit(seed, purpose, whom, 2 * count), unit(seed, purpose, whom, 2 * count + 1));
    (-2.0 * first.ln()).sqrt() * (std::f64::consts::TAU * second).cos()
}

/// The output function of SplitMix64 (Steele, Lea, Flood 2014) on the next state: a bijection whose bits all depend on
/// all.
fn mix(state: u64) -> u64 {
    let word = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_distributions() {
        let count = 200_000;
        let (mut sum, mut squares, mut exponentials, mut units) = (0.0, 0.0, 0.0, 0.0);
        for whom in 0..count {
            let number = normal(3, Purpose::Report, whom, whom % 5);
            sum += number;
            squares += number * number;
            exponentials += exponential(3, Purpose::Crash, whom, 0);
            units += unit(3, Purpose::Crash, 7, whom);
        }
        let count = count as f64;
        assert!((sum / count).abs() < 0.01, "{}", sum / count);
        assert!((squares / count - 1.0).abs() < 0.02, "{}", squares / count);
        assert!((exponentials / count - 1.0).abs() < 0.01, "{}", exponentials / count);
        assert!((units / count - 0.5).abs() < 0.005, "{}", units / count);
    }

    #[test]
    fn seed_purpose_and_counter_all_matter() {
        let all = [
            unit(1, Purpose::Crash, 1, 0),
            unit(2, Purpose::Crash, 1, 0),
            unit(1, Purpose::Straggler, 1, 0),
            unit(1, Purpose::Crash, 2, 0),
            unit(1, Purpose::Crash, 1, 1),
        ];
        for (place, number) in all.iter().enumerate() {
            assert!(!all[..place].contains(number), "{place}");
        }
    }
}
