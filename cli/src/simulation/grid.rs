//! Settings of searchers to try.

use super::listed;
use super::spec::Spec;
use super::tasks::SimulatedTask;
use crate::errors::Error;

/// A key with the values to try.
pub(crate) type Axis = (String, Vec<String>);

/// A setting to try: its base with these values of the grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The searcher.
    pub spec: Spec,
    /// Which base it comes from.
    pub base: usize,
    /// What the grid has set.
    pub values: Vec<(String, String)>,
    /// It is the base as it is.
    pub is_base: bool,
}

/// More settings than that say little: each comparison costs certainty of all others.
const MOST: usize = 200;

/// `KEY=V1,V2`, each.
pub(crate) fn axes(texts: &[String]) -> Result<Vec<Axis>, Error> {
    let wrong = |text: &str, what: &str| Error::Usage {
        message: format!("--grid {text}: {what}"),
        help: "write it like divisor=2,3,4 or model=none,tpe, with the fields of the experiment file"
            .to_owned(),
    };
    let mut axes: Vec<Axis> = Vec::new();
    for text in texts {
        let (key, values) = text.split_once('=').ok_or_else(|| wrong(text, "there is no `=`"))?;
        let values: Vec<String> =
            listed::parts(values).into_iter().map(|value| value.trim().to_owned()).collect();
        let key = key.trim().to_owned();
        if key.is_empty() || values.iter().any(String::is_empty) {
            return Err(wrong(text, "a name or a value is empty"));
        }
        if axes.iter().any(|(known, _)| *known == key) {
            return Err(wrong(text, &format!("`{key}` is given twice")));
        }
        axes.push((key, values));
    }
    Ok(axes)
}

/// Every combination for every base, and each base as it is. `given`: the axes of the command line; empty: the usual ones.
pub(crate) fn settings(bases: &[Spec], given: &[Axis], task: &SimulatedTask) -> Result<Vec<Setting>, Error> {
    let mut all = Vec::new();
    for (place, base) in bases.iter().enumerate() {
        let axes = if given.is_empty() { usual(base, task)? } else { given.to_vec() };
        let prefix = (bases.len() > 1).then(|| base.label.clone());
        all.push(Setting {
            spec: base.with(&[], plain_label(base)),
            base: place,
            values: Vec::new(),
            is_base: true,
        });
        for values in combinations(&axes) {
            let label = label(prefix.as_deref(), &values);
            all.push(Setting { spec: base.with(&values, label), base: place, values, is_base: false });
        }
    }
    if all.len() > MOST {
        return Err(Error::Usage {
            message: format!("the grid has {} settings, allowed are {MOST}", all.len()),
            help: "try fewer values, or fewer keys at a time: every comparison makes all others less certain"
                .to_owned(),
        });
    }
    Ok(all)
}

/// What a base is called among its settings.
fn plain_label(base: &Spec) -> String {
    if base.label.contains('(') { base.label.clone() } else { format!("{} as it is", base.label) }
}

fn label(prefix: Option<&str>, values: &[(String, String)]) -> String {
    let pairs = values.iter().map(|(key, value)| format!("{key}={value}"));
    prefix.map(str::to_owned).into_iter().chain(pairs).collect::<Vec<_>>().join(" ")
}

fn combinations(axes: &[Axis]) -> Vec<Vec<(String, String)>> {
    let mut all: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for (key, values) in axes {
        let longer = |before: &Vec<(String, String)>| -> Vec<Vec<(String, String)>> {
            let with =
                |value: &String| before.iter().cloned().chain([(key.clone(), value.clone())]).collect();
            values.iter().map(with).collect()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// What is usually worth trying of a searcher, without what its base says already.
fn usual(base: &Spec, task: &SimulatedTask) -> Result<Vec<Axis>, Error> {
    let axis = |key: &str, values: &[&str]| -> Axis {
        (key.to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
    };
    let (least, thrice) = (task.unit.to_string(), (task.unit * 3).to_string());
    let lengths: &[&str] =
        if task.task.max_length() >= 9 { &[least.as_str(), thrice.as_str()] } else { &[least.as_str()] };
    let axes = match base.name.as_str() {
        "async_halving" | "asha" => vec![
            axis("divisor", &["2", "3", "4"]),
            axis("min_length", lengths),
            axis("stop_once", &["false", "true"]),
        ],
        "adaptive_asha" => vec![
            axis("mode", &["aggressive", "standard", "conservative"]),
            axis("divisor", &["3", "4"]),
            axis("stop_once", &["false", "true"]),
        ],
        "hyperband" | "bohb" | "sync_halving" | "pasha" => {
            vec![axis("divisor", &["2", "3", "4"]), axis("min_length", lengths)]
        }
        "random" => vec![axis("model", &["none", "tpe", "gp"])],
        name => {
            return Err(Error::Usage {
                message: format!("there are no usual settings of {name} to try"),
                help: "say which with --grid KEY=V1,V2".to_owned(),
            });
        }
    };
    Ok(axes.into_iter().filter(|(key, _)| !base.written.contains(key)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::tasks::of_tests;

    fn of(bases: &[&str], grid: &[&str]) -> Result<Vec<Setting>, Error> {
        let bases: Vec<Spec> = bases.iter().map(|text| Spec::parse(text).unwrap()).collect();
        let grid: Vec<String> = grid.iter().map(|text| (*text).to_owned()).collect();
        settings(&bases, &axes(&grid)?, &of_tests())
    }

    fn labels(settings: &[Setting]) -> Vec<&str> {
        settings.iter().map(|setting| setting.spec.label.as_str()).collect()
    }

    #[test]
    fn all_combinations_are_tried_and_the_base_itself() {
        let found = of(&["asha:stop_once=true"], &["divisor=2,3", "min_length=1,3"]).unwrap();
        let expected = [
            "asha stop_once=true as it is",
            "divisor=2 min_length=1",
            "divisor=2 min_length=3",
            "divisor=3 min_length=1",
            "divisor=3 min_length=3",
        ];
        assert_eq!(labels(&found), expected);
        assert!(found[4].spec.has("stop_once") && found[4].spec.has("min_length"));
    }

    #[test]
    fn the_usual_grid_leaves_alone_what_is_written() {
        assert_eq!(of(&["asha"], &[]).unwrap().len(), 1 + 12);
        assert_eq!(of(&["asha:divisor=3,stop_once=false"], &[]).unwrap().len(), 1 + 2);
        let two = of(&["asha", "adaptive_asha"], &[]).unwrap();
        assert_eq!(two.len(), 1 + 12 + 1 + 12);
        assert!(labels(&two).contains(&"adaptive_asha mode=standard divisor=4 stop_once=false"));
    }

    #[test]
    fn lists_in_brackets_are_one_value() {
        let found = of(&["adaptive_asha"], &["bracket_rungs=[4],[4, 3]"]).unwrap();
        assert_eq!(found[2].values, [("bracket_rungs".to_owned(), "[4, 3]".to_owned())]);
    }

    #[test]
    fn mistakes_say_how_a_grid_is_written() {
        for (grid, said) in [("divisor", "no `=`"), ("divisor=3,", "empty"), ("=3", "empty")] {
            assert!(of(&["asha"], &[grid]).unwrap_err().to_string().contains(said), "{grid}");
        }
        assert!(of(&["asha"], &["divisor=2", "divisor=3"]).unwrap_err().to_string().contains("given twice"));
        assert!(of(&["single"], &[]).unwrap_err().help().contains("--grid"));
        let many = (2..20).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
        let many = [format!("divisor={many}"), format!("min_length={many}")];
        let error = of(&["asha"], &[&many[0], &many[1]]).unwrap_err().to_string();
        assert!(error.contains("325 settings, allowed are 200"), "{error}");
    }
}
