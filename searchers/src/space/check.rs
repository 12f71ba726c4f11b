//! What can be wrong with a space. `toprung-config` finds the same mistakes earlier, with their lines; this is for those who
//! build a space in code.

use super::{Dimension, Domain, Space, Value};
use crate::error::Error;
use std::collections::{BTreeMap, BTreeSet};

impl Space {
    /// Checks every domain, condition, prior and constraint; the first mistake is the error.
    pub fn check(&self) -> Result<(), Error> {
        check_group(&self.dimensions, "")?;
        for constraint in &self.constraints {
            constraint.check(&self.dimensions).map_err(|mistake| Error::Constraint {
                constraint: constraint.text().to_owned(),
                problem: mistake.message,
            })?;
        }
        Ok(())
    }
}

fn check_group(dimensions: &BTreeMap<String, Dimension>, path: &str) -> Result<(), Error> {
    for (name, dimension) in dimensions {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let of_prior = || dimension.prior.as_ref().and_then(|prior| prior.problem(&dimension.domain));
        if let Some(problem) = problem(&dimension.domain).or_else(of_prior) {
            return Err(Error::Domain { path, problem });
        }
        for sibling in dimension.condition.keys() {
            let known =
                dimensions.get(sibling).is_some_and(|known| !matches!(known.domain, Domain::Group(_)));
            if !known {
                return Err(Error::ConditionUnknown { path, sibling: sibling.clone() });
            }
        }
        if depends_on_itself(dimensions, name) {
            return Err(Error::ConditionCycle { path });
        }
        if let Domain::Group(inner) = &dimension.domain {
            check_group(inner, &path)?;
        }
    }
    Ok(())
}

fn problem(domain: &Domain) -> Option<&'static str> {
    match domain {
        Domain::Const(value) => (!value.is_finite()).then_some("its value is not finite"),
        Domain::Group(_) => None,
        Domain::Int { min, max, .. } if min > max => Some("the minimum is greater than the maximum"),
        Domain::Int { min, log: true, .. } if *min < 1 => {
            Some("on a logarithmic scale the minimum must be at least 1")
        }
        Domain::Int { .. } => None,
        Domain::Double { min, max, .. } if !(min.is_finite() && max.is_finite() && min <= max) => {
            Some("bounds must be finite, the minimum not greater than the maximum")
        }
        Domain::Double { min, log: true, .. } if *min <= 0.0 => {
            Some("on a logarithmic scale the minimum must be greater than 0")
        }
        Domain::Double { quantize: Some(step), .. } if !(step.is_finite() && *step > 0.0) => {
            Some("quantize must be a finite number greater than 0")
        }
        Domain::Double { .. } => None,
        Domain::Log { base, minval, maxval, .. } => {
            let sound = base.is_finite()
                && *base > 0.0
                && minval.is_finite()
                && maxval.is_finite()
                && minval <= maxval;
            let finite = base.powf(*minval).is_finite() && base.powf(*maxval).is_finite();
            (!sound || !finite)
                .then_some("base must be greater than 0, exponents in order, and both powers finite")
        }
        Domain::Categorical(values) | Domain::Ordinal(values) => {
            if values.iter().all(Value::is_finite) {
                values.is_empty().then_some("it has no values")
            } else {
                Some("one of its values is not finite")
            }
        }
    }
}

fn depends_on_itself(dimensions: &BTreeMap<String, Dimension>, name: &str) -> bool {
    let named =
        |name: &str| dimensions.get(name).into_iter().flat_map(|dimension| dimension.condition.keys());
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&String> = named(name).collect();
    while let Some(next) = open.pop() {
        if next == name {
            return true;
        }
        if seen.insert(next) {
            open.extend(named(next));
        }
    }
    false
}
