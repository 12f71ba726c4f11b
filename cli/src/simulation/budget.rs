//! When a simulated search ends: after so much slot time, length or virtual time.

use super::amount::Amount;
use std::fmt;
use std::str::FromStr;
use toprung_simulations::{Limits, Scale};

/// What a search may use up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Budget {
    /// So many full trainings' worth of slot time: with S slots the search ends when a slot could have done `n / S`.
    Trainings(f64),
    /// Trained by all trials together, in the unit of the curves.
    Length(u64),
    /// The length of so many full trainings, trained by all trials together.
    Work(f64),
    /// Virtual time.
    Time(Amount),
}

/// A budget on one task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Allowance {
    /// What ends a search.
    pub limits: Limits,
    /// The virtual time at which it is judged, if that is what ends it.
    pub time: Option<f64>,
    /// How many full trainings it pays for.
    pub trainings: f64,
}

/// No search is let go on for longer than this many times what its length takes without faults.
const PATIENCE: f64 = 1_000.0;

impl Budget {
    /// On a task of this scale. `full_length`: that of a full training, in the unit of the budget; `unit`: how much of it
    /// one length of the task is.
    pub(crate) fn on(self, scale: &Scale, full_length: u64, unit: u64, slots: u32) -> Allowance {
        let training = scale.mean_full_cost;
        let in_time = |time: f64, trainings: f64| Allowance {
            limits: Limits { time, ..Limits::default() },
            time: Some(time),
            trainings,
        };
        match self {
            Self::Trainings(trainings) => in_time(trainings * training / f64::from(slots), trainings),
            Self::Time(amount) => {
                let time = amount.seconds(training);
                in_time(time, time * f64::from(slots) / training)
            }
            Self::Length(length) => by_length(length, full_length, unit, training),
            Self::Work(trainings) => {
                by_length((trainings * full_length as f64).ceil() as u64, full_length, unit, training)
            }
        }
    }
}

/// `training`: the time of a full training.
fn by_length(length: u64, full_length: u64, unit: u64, training: f64) -> Allowance {
    let trainings = length as f64 / full_length.max(1) as f64;
    let time = PATIENCE * (trainings + 1.0) * training;
    let limits = Limits { length: length.div_ceil(unit.max(1)).max(1), time, ..Limits::default() };
    Allowance { limits, time: None, trainings }
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = "a budget is a number of full trainings (32), length:N (such as length:500), or time:TIME (such as time:2h)";
        let found = match text.split_once(':') {
            Some(("length", length)) => {
                length.trim().parse().ok().filter(|length| *length > 0).map(Self::Length)
            }
            Some(("time", time)) => {
                time.parse().ok().filter(|time: &Amount| time.seconds(1.0) > 0.0).map(Self::Time)
            }
            Some(_) => None,
            None => {
                let number = text.trim().parse::<f64>().ok();
                number.filter(|number| number.is_finite() && *number > 0.0).map(Self::Trainings)
            }
        };
        found.ok_or_else(|| wrong.to_owned())
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trainings(number) => write!(formatter, "{} full trainings", rounded(*number)),
            Self::Work(number) => write!(formatter, "the length of {} full trainings", rounded(*number)),
            Self::Length(length) => write!(formatter, "a length of {length}"),
            Self::Time(amount) => write!(formatter, "a time of {amount}"),
        }
    }
}

/// Without digits that mean nothing.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: Scale =
        Scale { cap: 1.0, best_any: 0.0, best_final: 0.0, median_final: 0.5, mean_full_cost: 270.0 };

    fn on(text: &str) -> Allowance {
        text.parse::<Budget>().unwrap().on(&SCALE, 2_700, 100, 4)
    }

    #[test]
    fn budgets_of_different_kinds_say_how_many_trainings_they_pay() {
        assert_eq!((on("32").limits.time, on("32").trainings), (2_160.0, 32.0));
        assert_eq!((on("time:1h").limits.time, on("time:800%").limits.time), (3_600.0, 2_160.0));
        assert_eq!(on("time:2160").trainings, 32.0);
        let length = on("length:5400");
        assert_eq!((length.limits.length, length.time, length.trainings), (54, None, 2.0));
        assert!(length.limits.time.is_finite(), "preemption needs an end");
    }

    #[test]
    fn what_is_no_budget_is_told_what_one_is() {
        for wrong in ["", "0", "-3", "many", "length:0", "length:x", "time:0", "epochs:3"] {
            assert!(wrong.parse::<Budget>().unwrap_err().contains("length:500"), "{wrong}");
        }
    }
}
