//! Tasks made from formulae, by name: families of power-law curves, and Hartmann functions.

use super::tasks::SimulatedTask;
use super::{listed, refused};
use crate::errors::Error;
use toprung_config::suggestion;
use toprung_simulations::Task;
use toprung_simulations::synthetic::{Hartmann, PowerLaw, Shape};

/// The names, with what they are.
const NAMES: [&str; 6] = ["power", "crossing", "hard", "hartmann3", "hartmann4", "hartmann6"];
/// What power laws can be told.
const OF_POWER: [&str; 9] =
    ["name", "seed", "dimensions", "max_length", "crossings", "plateaus", "divergence", "noise", "uneven"];
/// What Hartmann functions can be told.
const OF_HARTMANN: [&str; 4] = ["name", "max_length", "bias", "noise"];

/// The task that `text` describes.
pub(super) fn task(text: &str) -> Result<SimulatedTask, Error> {
    let (name, pairs) =
        listed::named(text).map_err(|part| wrong(text, &format!("`{part}` is no KEY=VALUE")))?;
    let hartmann = name.strip_prefix("hartmann").and_then(|dimensions| dimensions.parse::<u32>().ok());
    let allowed: &[&str] = if hartmann.is_some() { &OF_HARTMANN } else { &OF_POWER };
    if !NAMES.contains(&name.as_str()) {
        return Err(wrong(text, &format!("there is no `{name}`; {}", suggestion(&name, NAMES))));
    }
    let settings = Settings { text, pairs };
    settings.check(allowed)?;
    match hartmann {
        Some(dimensions) => of_hartmann(dimensions, &settings),
        None => of_power(&name, &settings),
    }
}

fn of_hartmann(dimensions: u32, settings: &Settings<'_>) -> Result<SimulatedTask, Error> {
    let (length, bias) = (settings.number("max_length", 27)?, settings.number("bias", 0.1)?);
    let task = Hartmann::new(dimensions, length, bias, settings.number("noise", 0.0)?).map_err(refused)?;
    let described = format!("a Hartmann function of {dimensions} dimensions, {length} epochs long");
    Ok(simulated(Box::new(task), described))
}

fn of_power(name: &str, settings: &Settings<'_>) -> Result<SimulatedTask, Error> {
    let usual = match name {
        "crossing" => Shape { crossings: 0.7, noise: 0.01, ..Shape::default() },
        "hard" => Shape { crossings: 0.5, plateaus: 0.2, divergence: 0.1, noise: 0.03, uneven: 0.7 },
        _ => Shape { noise: 0.01, ..Shape::default() },
    };
    let shape = Shape {
        crossings: settings.number("crossings", usual.crossings)?,
        plateaus: settings.number("plateaus", usual.plateaus)?,
        divergence: settings.number("divergence", usual.divergence)?,
        noise: settings.number("noise", usual.noise)?,
        uneven: settings.number("uneven", usual.uneven)?,
    };
    let (seed, dimensions) = (settings.number("seed", 0)?, settings.number("dimensions", 4)?);
    let length = settings.number("max_length", 27)?;
    let called = settings.get("name").unwrap_or(name);
    let task = PowerLaw::new(called, seed, dimensions, length, shape).map_err(refused)?;
    Ok(simulated(
        Box::new(task),
        format!("power-law curves of {dimensions} dimensions, {length} epochs long"),
    ))
}

fn simulated(task: Box<dyn Task + Send>, described: String) -> SimulatedTask {
    SimulatedTask {
        described: format!("{}: {described}", task.name()),
        task,
        metric: "value".to_owned(),
        smaller_is_better: true,
        length_unit: "epochs".to_owned(),
        unit: 1,
        time_unit: "epochs".to_owned(),
        caution: "made from formulae: no task of yours".to_owned(),
        rows: None,
        recorded: None,
    }
}

struct Settings<'a> {
    text: &'a str,
    pairs: Vec<(String, String)>,
}

impl Settings<'_> {
    fn check(&self, allowed: &[&str]) -> Result<(), Error> {
        let Some((key, _)) = self.pairs.iter().find(|(key, _)| !allowed.contains(&key.as_str())) else {
            return Ok(());
        };
        let near = suggestion(key, allowed.iter().copied());
        Err(wrong(self.text, &format!("there is no `{key}`; {near}")))
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
    }

    fn number<T: std::str::FromStr>(&self, key: &str, usual: T) -> Result<T, Error> {
        self.get(key).map_or(Ok(usual), |value| {
            value.parse().map_err(|_| wrong(self.text, &format!("{key} is `{value}`; it must be a number")))
        })
    }
}

fn wrong(text: &str, what: &str) -> Error {
    Error::Usage {
        message: format!("--synthetic {text}: {what}"),
        help: format!("write it like power:dimensions=6,noise=0.05; there are {}", NAMES.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_makes_a_task() {
        for name in NAMES {
            let made = task(name).unwrap();
            assert_eq!((made.task.name(), made.full_length()), (name, 27));
        }
        assert_eq!(task("hard:max_length=9,name=mine").unwrap().task.name(), "mine");
    }

    #[test]
    fn mistakes_name_what_is_near() {
        let said = |text: &str| task(text).err().unwrap().to_string();
        assert!(said("pover").contains("did you mean `power`?"), "{}", said("pover"));
        assert!(said("power:nois=1").contains("did you mean `noise`?"), "{}", said("power:nois=1"));
        assert!(said("power:noise=much").contains("noise is `much`; it must be a number"));
        assert!(said("power:crossings=2").contains("crossings is 2, allowed is 0 to 1"));
        assert!(said("hartmann6:dimensions=3").contains("there is no `dimensions`"));
        assert!(said("hartmann5").contains("there is no `hartmann5`"));
    }
}
