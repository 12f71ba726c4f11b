//! The settings of population based training.

use serde::{Deserialize, Serialize};

/// The settings of population based training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Population {
    /// How many trials there are in a round, 1 to [`super::MAX_POPULATION`].
    pub population_size: u32,
    /// How many rounds, at least 1.
    pub num_rounds: u32,
    /// How long a trial trains in a round, at least 1.
    pub length_per_round: u64,
    /// The fraction of the population that is replaced after a round, `0.0 ..= 0.5`.
    pub truncate_fraction: f64,
    /// The probability with which a child's hyperparameter is drawn anew, `0.0 ..= 1.0`.
    pub resample_probability: f64,
    /// How far it moves else, relative to its value, `0.0 ..= 1.0`.
    pub perturb_factor: f64,
}

impl Population {
    /// The length at the end of the last round.
    pub fn max_length(&self) -> u64 {
        self.length_per_round.saturating_mul(u64::from(self.num_rounds))
    }

    /// How many are replaced after a round: the fraction of the population, floored.
    pub fn replaced(&self) -> u32 {
        // A fraction such as 0.29 of 100 must not lose one by rounding.
        let exact = self.truncate_fraction * f64::from(self.population_size) * (1.0 + 1e-12);
        (exact.floor() as u32).min(self.population_size / 2)
    }

    /// How many trials there are if none is lost.
    pub fn trials(&self) -> u64 {
        u64::from(self.population_size)
            + u64::from(self.replaced()) * u64::from(self.num_rounds).saturating_sub(1)
    }
}
