//! Several models side by side: each new trial is placed by one of them, by lot.
//!
//! **Rule.** A share `random_fraction` of all trials stays as drawn at random. Of [`LOTS`] others, [`OF_TPE`] are placed by
//! `tpe`, [`OF_GP`] by `gp` and the rest by `evolution`; over more than [`FEW_AXES`] hyperparameters `tpe` takes the part of
//! `gp` too. All learn from all trials, whoever placed them. TPE compares [`CANDIDATES`] points only: more of them pick near
//! copies of one another.
//!
//! Which model suits a task shows late, and differs: on smooth tasks a Gaussian process is far ahead, on rough ones it
//! proposes near copies of what looked good in the lowest rungs. A portfolio loses little to the best of its members and is
//! spared the worst (C. Gomes, B. Selman, *Algorithm portfolios*, Artificial Intelligence 2001; of models: M. Hoffman,
//! E. Brochu, N. de Freitas, UAI 2011, whose shares follow success). Ours are fixed, because success shows
//! in the low rungs first, and that is what misleads on rough tasks.
//!
//! The lot is drawn from the trial's own random numbers. Cost of a suggestion: that of the model, of which `gp` is the dearest;
//! it holds [`GP_POINTS`] reports here.

use super::{EvolutionConfig, FEW_AXES, GpConfig, TpeConfig, View, evolution::Evolution, gp::Gp, tpe::Tpe};
use crate::config::check::fraction;
use crate::error::Error;
use crate::space::Assignment;
use crate::stream::{Purpose, Stream};
use serde::{Deserialize, Serialize};

/// Trials that are not random are shared out in lots.
const LOTS: u64 = 14;
/// So many of them are those of `tpe`.
const OF_TPE: u64 = 7;
/// And of `gp`.
const OF_GP: u64 = 2;
/// The points that TPE compares for a trial.
const CANDIDATES: u32 = 8;
/// The reports that the Gaussian process holds.
const GP_POINTS: u32 = 96;
/// Which decision this is, among those of a search: the letters of "port".
const DECISION: u64 = 0x706F_7274;

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PortfolioConfig {
    /// The part of the trials that stay as drawn at random, `0.0 ..= 1.0`.
    pub random_fraction: f64,
}

impl Default for PortfolioConfig {
    fn default() -> Self {
        Self { random_fraction: 0.3 }
    }
}

impl PortfolioConfig {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as other models have it")]
    pub(crate) fn check(&self) -> Result<(), Error> {
        fraction("portfolio.random_fraction", self.random_fraction, 1.0, "0 to 1")
    }
}

/// The model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Portfolio {
    config: PortfolioConfig,
    evolution: Evolution,
    tpe: Tpe,
    gp: Gp,
}

/// Who places a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Chance,
    Evolution,
    Tpe,
    Gp,
}

impl Portfolio {
    pub(crate) fn new(config: PortfolioConfig) -> Self {
        Self {
            config,
            evolution: Evolution::new(EvolutionConfig { random_fraction: 0.0 }),
            tpe: Tpe::new(TpeConfig { random_fraction: 0.0, candidates: CANDIDATES, ..TpeConfig::default() }),
            gp: Gp::new(GpConfig { random_fraction: 0.0, max_points: GP_POINTS, ..GpConfig::default() }),
        }
    }

    /// Hyperparameters for a trial; none: as drawn.
    pub(crate) fn suggest(&mut self, view: View<'_>) -> Option<Assignment> {
        match self.member(view) {
            Member::Chance => None,
            Member::Evolution => self.evolution.suggest(view),
            Member::Tpe => self.tpe.suggest(view),
            Member::Gp => self.gp.suggest(view),
        }
    }

    /// Takes note of a trial, as the model that placed it does.
    pub(crate) fn recall(&mut self, view: View<'_>) {
        match self.member(view) {
            // They keep nothing.
            Member::Chance | Member::Evolution => {}
            Member::Tpe => self.tpe.recall(view),
            Member::Gp => self.gp.recall(view),
        }
    }

    fn member(&self, view: View<'_>) -> Member {
        let mut stream = Stream::new(view.seed, view.trial, Purpose::Decision(DECISION));
        if stream.unit() < self.config.random_fraction {
            return Member::Chance;
        }
        match stream.index(LOTS - 1) {
            ..OF_TPE => Member::Tpe,
            lot if lot >= OF_TPE + OF_GP => Member::Evolution,
            _ if view.encoding.axes().len() > FEW_AXES => Member::Tpe,
            _ => Member::Gp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;
    use crate::method::TrialId;
    use crate::space::encoding::Encoding;
    use crate::space::{Dimension, Domain, Space};
    use std::collections::BTreeMap;

    /// Who places the first `trials` trials over so many hyperparameters.
    fn placed(random_fraction: f64, axes: usize, trials: u32) -> BTreeMap<Member, u32> {
        let number = || {
            Dimension::always(Domain::Double { min: 0.0, max: 1.0, log: false, count: None, quantize: None })
        };
        let space = Space::new((0..axes).map(|axis| (format!("x{axis}"), number())).collect());
        let (encoding, history) = (Encoding::new(&space), History::new(vec![1, 3]));
        let portfolio = Portfolio::new(PortfolioConfig { random_fraction });
        let drawn = space.draw(7, TrialId(1));
        let mut placed = BTreeMap::new();
        for trial in (1..=trials).map(TrialId) {
            let view =
                View { space: &space, encoding: &encoding, history: &history, seed: 7, trial, drawn: &drawn };
            *placed.entry(portfolio.member(view)).or_insert(0) += 1;
        }
        placed
    }

    #[test]
    fn each_has_its_share() {
        let placed = placed(0.3, 3, 10_000);
        for (member, share) in
            [(Member::Chance, 0.3), (Member::Evolution, 0.25), (Member::Tpe, 0.35), (Member::Gp, 0.1)]
        {
            // Five standard deviations.
            let (found, wide) = (f64::from(placed[&member]) / 10_000.0, 0.025);
            assert!((found - share).abs() < wide, "{member:?}: {found}");
        }
    }

    #[test]
    fn over_many_hyperparameters_there_is_no_gaussian_process() {
        let few = placed(0.0, FEW_AXES, 1000);
        let many = placed(0.0, FEW_AXES + 1, 1000);
        assert!(few.contains_key(&Member::Gp) && !many.contains_key(&Member::Gp));
        assert_eq!(many[&Member::Tpe], few[&Member::Tpe] + few[&Member::Gp]);
        assert_eq!(placed(1.0, 2, 100), BTreeMap::from([(Member::Chance, 100)]));
    }
}
