//! `toprung tune-searcher`: which settings of a searcher suit a budget and a number of slots.

use super::simulate;
use crate::args::{Global, TuneSearcher};
use crate::errors::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupts;
use crate::output::{self, table, tuning as text};
use crate::simulation::advice::{self, Advice};
use crate::simulation::arena::{Arena, usual_budget};
use crate::simulation::grid::{self, Setting};
use crate::simulation::judging;
use crate::simulation::spec::Spec;
use crate::simulation::tasks::{self, SimulatedTask};
use crate::simulation::tuning::{self, Tuned};
use std::sync::Arc;
use toprung_simulations::judge::Comparison;
use toprung_simulations::report::Report;

/// What is tuned if nothing is named.
const USUAL: [&str; 2] = ["async_halving", "adaptive_asha"];

/// Tunes, and says what to take.
pub(super) async fn run(global: &Global, args: &TuneSearcher) -> Result<Exit, Error> {
    let loaded = simulate::load(args.file.as_deref())?;
    let tasks = tasks::all(global, &args.curves, loaded.as_ref()).await?;
    let bases = bases(args, simulate::own(loaded.as_ref(), &tasks, !args.searchers.is_empty())?)?;
    let axes = grid::axes(&args.grid)?;
    let budget = usual_budget(&args.cluster, loaded.as_ref(), &tasks);
    let first: &SimulatedTask = tasks.first().ok_or_else(nothing)?;
    let mut settings = grid::settings(&bases, &axes, first)?;
    let specs = |settings: &[Setting]| settings.iter().map(|setting| setting.spec.clone()).collect();
    let trial = Arena::new(tasks, specs(&settings), &args.cluster, budget, false)?;
    let kept = advice::without_twins(&trial, &mut settings);
    let settings: Vec<Setting> = kept.iter().map(|&place| settings[place].clone()).collect();
    let arena = Arc::new(trial.keep(&kept));
    simulate::introduce(&arena, &args.show);
    let mut interrupts = Interrupts::start()?;
    let tuned = tuning::play(&arena, args.all, &mut interrupts, args.show.quiet).await?;
    let whole = tuned.played.iter().any(|played| tuned.left.contains(&played.contestant));
    if !whole {
        output::note("interrupted before a seed was complete: there is nothing to compare");
        return Ok(Exit::Interrupted);
    }
    let comparison = judging::comparison(&arena, &tuned.left, &tuned.played, simulate::RESAMPLES)?;
    let advice = Advice::new(&comparison, &tuned.left, &tuned.out).ok_or_else(nothing)?;
    show(args, &arena, &settings, &comparison, &tuned, &advice)?;
    Ok(if tuned.interrupted { Exit::Interrupted } else { Exit::Ok })
}

fn nothing() -> Error {
    Error::Usage {
        message: "there is nothing to tune".to_owned(),
        help: "name a searcher with --searcher and values with --grid KEY=V1,V2".to_owned(),
    }
}

fn bases(args: &TuneSearcher, own: Vec<Spec>) -> Result<Vec<Spec>, Error> {
    if !args.searchers.is_empty() {
        return args.searchers.iter().map(|text| Spec::parse(text)).collect();
    }
    if !own.is_empty() {
        return Ok(own);
    }
    USUAL.iter().map(|text| Spec::parse(text)).collect()
}

fn show(
    args: &TuneSearcher,
    arena: &Arena,
    settings: &[Setting],
    comparison: &Comparison,
    tuned: &Tuned,
    advice: &Advice,
) -> Result<(), Error> {
    let report = Report::new(comparison);
    let section = text::section(arena, advice);
    if args.show.json {
        let document = serde_json::json!({
            "simulation": judging::document(arena, &tuned.played, tuned.interrupted),
            "advice": text::json(arena, settings, advice, &section),
            "comparison": simulate::json(&report)?,
        });
        output::print_json(&document)?;
    } else if args.show.csv {
        output::print(&report.csv().map_err(simulate::unwritten)?)?;
    } else {
        let width = table::terminal_width().unwrap_or(output::simulation::WIDTH);
        output::print(&text::table(arena, advice, width))?;
        output::print(&text::words(arena, settings, comparison, advice, usize::from(width)))?;
        output::print(&format!("\n{section}"))?;
    }
    for line in judging::beyond_lines(arena, &tuned.played) {
        output::note(&line);
    }
    simulate::write(&report, &args.show)
}
