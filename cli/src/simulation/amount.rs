//! An amount of virtual time as it is written: `90`, `90s`, `5m`, `2h`, or `2%` of a full training.

use std::fmt;
use std::str::FromStr;

/// Virtual time, at least 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Amount {
    /// In seconds (or in the unit of the task's costs).
    Seconds(f64),
    /// As a part of the mean time of a full training: 0.02 is 2 %.
    OfTraining(f64),
}

impl Amount {
    /// In seconds where a full training takes so many.
    pub(crate) fn seconds(self, training: f64) -> f64 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::OfTraining(part) => part * training,
        }
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, scale) = match text.chars().last() {
            Some('s') => (&text[..text.len() - 1], 1.0),
            Some('m') => (&text[..text.len() - 1], 60.0),
            Some('h') => (&text[..text.len() - 1], 3_600.0),
            Some('%') => (&text[..text.len() - 1], 0.01),
            _ => (text, 1.0),
        };
        let number = number.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        let number = number
            .ok_or("a time is a number of seconds (90, 90s, 5m, 2h) or a part of a full training (2%)")?;
        Ok(if text.ends_with('%') { Self::OfTraining(number * scale) } else { Self::Seconds(number * scale) })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(formatter, "{seconds}"),
            Self::OfTraining(part) => write!(formatter, "{} % of a full training", part * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let seconds = |text: &str| text.parse::<Amount>().unwrap().seconds(200.0);
        assert_eq!(["90", "90s", "5m", "2h", "2%"].map(seconds), [90.0, 90.0, 300.0, 7_200.0, 4.0]);
        for wrong in ["", "s", "-1", "5 parsecs", "inf", "m5", "é"] {
            assert!(wrong.parse::<Amount>().unwrap_err().contains("2%"), "{wrong}");
        }
    }
}
