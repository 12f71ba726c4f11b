//! Which settings of a searcher are out of range.

use super::{MAX_BRACKETS, MAX_POPULATION, MAX_RUNGS, MAX_TRIALS, Population, SearcherConfig};
use crate::divisor::Divisor;
use crate::error::Error;

impl SearcherConfig {
    /// Checks every setting; the first one out of range is the error.
    pub fn check(&self) -> Result<(), Error> {
        if !matches!(self.base(), Self::Pbt(_)) {
            within("max_length", self.max_length(), 1, u64::MAX, "at least 1")?;
        }
        self.check_min_length()?;
        match self {
            Self::Single { .. } | Self::Grid { .. } | Self::Custom { .. } => Ok(()),
            Self::Random { max_trials, .. } | Self::Auto { max_trials, .. } => check_trials(*max_trials),
            Self::AsyncHalving { num_rungs, max_trials, divisor, .. } => {
                check_trials(*max_trials)?;
                Divisor::new(*divisor)?;
                check_rungs("num_rungs", *num_rungs)
            }
            Self::AdaptiveAsha { max_trials, divisor, max_rungs, bracket_rungs, .. } => {
                check_trials(*max_trials)?;
                Divisor::new(*divisor)?;
                check_rungs("max_rungs", *max_rungs)?;
                bracket_rungs.iter().try_for_each(|&rungs| check_rungs("bracket_rungs", rungs))?;
                let most = (*max_trials).min(MAX_BRACKETS as u64);
                let allowed = "at most 64 brackets, and no more than max_trials";
                within("bracket_rungs", bracket_rungs.len() as u64, 0, most, allowed)
            }
            Self::SyncHalving { max_trials, divisor, .. } | Self::Hyperband { max_trials, divisor, .. } => {
                check_trials(*max_trials)?;
                Divisor::new(*divisor).map(drop)
            }
            Self::Pasha { max_trials, divisor, max_rungs, .. } => {
                check_trials(*max_trials)?;
                Divisor::new(*divisor)?;
                check_rungs("max_rungs", *max_rungs)
            }
            Self::Pbt(population) => population.check(),
            Self::MedianStopping { inner, min_trials, .. } => {
                within("median_stopping.min_trials", *min_trials, 1, MAX_TRIALS, "1 to 100000000")?;
                if matches!(**inner, Self::MedianStopping { .. }) {
                    let found = "within another".to_owned();
                    return Err(Error::Setting { setting: "median_stopping", found, allowed: "only once" });
                }
                if inner.is_custom() {
                    let found = "around custom".to_owned();
                    let allowed = "around any other searcher: the program itself stops trials";
                    return Err(Error::Setting { setting: "median_stopping", found, allowed });
                }
                inner.check()
            }
            Self::ModelBased { inner, model } => {
                if !inner.draws_at_random() {
                    let found = format!("around {}", inner.name());
                    let allowed =
                        "around a searcher that draws its trials at random, such as random, asha, hyperband";
                    return Err(Error::Setting { setting: "model", found, allowed });
                }
                model.check()?;
                inner.check()
            }
        }
    }

    /// The least length, where one is given, must not be beyond the greatest.
    fn check_min_length(&self) -> Result<(), Error> {
        let Some(min_length) = self.min_length() else { return Ok(()) };
        within("min_length", min_length, 1, self.max_length(), "1 to max_length")
    }
}

impl Population {
    fn check(&self) -> Result<(), Error> {
        let most = u64::from(MAX_POPULATION);
        within("population_size", u64::from(self.population_size), 1, most, "1 to 10000")?;
        within("num_rounds", u64::from(self.num_rounds), 1, u64::from(u32::MAX), "at least 1")?;
        within("length_per_round", self.length_per_round, 1, u64::MAX, "at least 1")?;
        // A trial may refuse its hyperparameters in place of each that is trained.
        check_trials(self.trials())?;
        fraction("replace_function.truncate_fraction", self.truncate_fraction, 0.5, "0 to 0.5")?;
        fraction("explore_function.resample_probability", self.resample_probability, 1.0, "0 to 1")?;
        fraction("explore_function.perturb_factor", self.perturb_factor, 1.0, "0 to 1")
    }
}

fn check_trials(trials: u64) -> Result<(), Error> {
    within("max_trials", trials, 1, MAX_TRIALS, "1 to 100000000")
}

fn check_rungs(setting: &'static str, rungs: u32) -> Result<(), Error> {
    within(setting, u64::from(rungs), 1, u64::from(MAX_RUNGS), "1 to 64")
}

pub(crate) fn fraction(
    setting: &'static str,
    found: f64,
    most: f64,
    allowed: &'static str,
) -> Result<(), Error> {
    if (0.0..=most).contains(&found) {
        Ok(())
    } else {
        Err(Error::Setting { setting, found: found.to_string(), allowed })
    }
}

pub(crate) fn within(
    setting: &'static str,
    found: u64,
    min: u64,
    max: u64,
    allowed: &'static str,
) -> Result<(), Error> {
    if (min..=max).contains(&found) {
        Ok(())
    } else {
        Err(Error::Setting { setting, found: found.to_string(), allowed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named() {
        let halving = |num_rungs, max_trials, divisor, max_length| SearcherConfig::AsyncHalving {
            num_rungs,
            max_trials,
            divisor,
            min_length: None,
            max_length,
            max_concurrent_trials: 0,
            stop_once: false,
        };
        assert_eq!(halving(3, 9, 3.0, 9).check(), Ok(()));
        for (config, name) in [
            (halving(0, 9, 3.0, 9), "num_rungs"),
            (halving(65, 9, 3.0, 9), "num_rungs"),
            (halving(3, 0, 3.0, 9), "max_trials"),
            (halving(3, MAX_TRIALS + 1, 3.0, 9), "max_trials"),
            (halving(3, 9, 1.0, 9), "divisor"),
            (halving(3, 9, 3.0, 0), "max_length"),
        ] {
            let error = config.check().unwrap_err();
            assert!(matches!(error, Error::Setting { setting, .. } if setting == name), "{error}");
        }
    }

    #[test]
    fn the_least_length_is_no_longer_than_the_greatest() {
        let pasha = |min_length| SearcherConfig::Pasha {
            max_trials: 9,
            divisor: 3.0,
            max_rungs: 5,
            min_length,
            max_length: 9,
            max_concurrent_trials: 0,
        };
        for (min_length, fits) in
            [(None, true), (Some(1), true), (Some(9), true), (Some(0), false), (Some(10), false)]
        {
            assert_eq!(pasha(min_length).check().is_ok(), fits, "{min_length:?}");
        }
    }
}
