//! `toprung simulate`: searchers in virtual time on learning curves that are there already.

use super::source;
use crate::args::{Global, Outputs, Simulate, Source};
use crate::commands::source::Loaded;
use crate::errors::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupts;
use crate::output::{self, simulation as text, table};
use crate::simulation::arena::{Arena, usual_budget};
use crate::simulation::judging;
use crate::simulation::playing::{self, Played};
use crate::simulation::replicates::{self, Replicated};
use crate::simulation::spec::{self, Spec};
use crate::simulation::tasks::{self, SimulatedTask};
use std::path::Path;
use std::sync::Arc;
use toprung_simulations::judge::Comparison;
use toprung_simulations::report::Report;

/// Resamples of the bootstrap.
pub(super) const RESAMPLES: u32 = 2_000;
/// Who takes part if nobody is named.
const USUAL: [&str; 5] = ["async_halving", "adaptive_asha", "hyperband", "tpe", "bohb"];
/// The same by the rules of the comparison protocol.
const BY_PROTOCOL: [&str; 5] = [
    "async_halving:divisor=3,min_length=1",
    "adaptive_asha:divisor=3,min_length=1",
    "hyperband:divisor=3,min_length=1",
    "tpe",
    "bohb:divisor=3,min_length=1",
];

/// Simulates and shows who did best.
pub(super) async fn run(global: &Global, args: &Simulate) -> Result<Exit, Error> {
    let loaded = load(args.file.as_deref())?;
    let tasks = tasks::all(global, &args.curves, loaded.as_ref()).await?;
    let specs = specs(args, loaded.as_ref(), &tasks)?;
    let budget = usual_budget(&args.cluster, loaded.as_ref(), &tasks);
    let arena = Arc::new(Arena::new(tasks, specs, &args.cluster, budget, args.protocol)?);
    introduce(&arena, &args.show);
    let mut interrupts = Interrupts::start()?;
    let who: Vec<usize> = (0..arena.contestants.len()).collect();
    let seeds = arena.seeds.clone();
    let (played, interrupted) =
        playing::play(&arena, who.clone(), seeds, &mut interrupts, args.show.quiet).await?;
    if played.is_empty() {
        output::note("interrupted before a seed was complete: there is nothing to compare");
        return Ok(Exit::Interrupted);
    }
    let comparison = judging::comparison(&arena, &who, &played, RESAMPLES)?;
    let replicated = replicate(&arena, args).await?;
    show(&arena, &comparison, &played, &replicated, interrupted, &args.show)?;
    Ok(if interrupted { Exit::Interrupted } else { Exit::Ok })
}

/// The replicates that --replicates asks for.
async fn replicate(arena: &Arc<Arena>, args: &Simulate) -> Result<Vec<Replicated>, Error> {
    let Some(count) = args.replicates else { return Ok(Vec::new()) };
    let (arena, choice, slots) = (Arc::clone(arena), args.device, args.cluster.slots);
    let work = tokio::task::spawn_blocking(move || replicates::play(&arena, choice, slots, count));
    work.await.map_err(|error| Error::Engine(format!("the replicates failed: {error}")))?
}

/// The experiment file, if one is named.
pub(super) fn load(file: Option<&Path>) -> Result<Option<Loaded>, Error> {
    let source = |file: &Path| Source { file: file.to_owned(), sets: Vec::new(), template: None };
    file.map(|file| source::load(&source(file), None)).transpose()
}

/// Who takes part: those of the command line, the file's, and the one that ran.
fn specs(args: &Simulate, loaded: Option<&Loaded>, tasks: &[SimulatedTask]) -> Result<Vec<Spec>, Error> {
    let mut specs = own(loaded, tasks, !args.searchers.is_empty())?;
    let usual: &[&str] = if args.protocol { &BY_PROTOCOL } else { &USUAL };
    if args.searchers.is_empty() && (specs.is_empty() || loaded.is_none()) {
        for text in usual {
            specs.push(Spec::parse(text)?);
        }
    }
    for text in &args.searchers {
        specs.push(Spec::parse(text)?);
    }
    Ok(specs)
}

/// The searchers of the file and of the experiments that ran. `named`: others take part, so that one which a program decides
/// can be left out.
pub(super) fn own(loaded: Option<&Loaded>, tasks: &[SimulatedTask], named: bool) -> Result<Vec<Spec>, Error> {
    let mut specs = Vec::new();
    if let Some(loaded) = loaded {
        let complete = loaded.config.complete();
        if let Some(section) = complete["searcher"].as_object() {
            let label = format!("{} (as in the file)", loaded.config.searcher.method.name());
            let spec = Spec::of_section(section, &label, &loaded.file);
            match spec.name.as_str() {
                spec::CUSTOM if !named => return Err(spec::decided_by_a_program(&loaded.file)),
                spec::CUSTOM => leave_out(&label),
                _ => specs.push(spec),
            }
        }
    }
    for ran in tasks.iter().filter_map(|task| task.recorded.as_ref()) {
        let name = ran.searcher.get("name").and_then(serde_json::Value::as_str).unwrap_or_default();
        let label = format!("{name} (as in experiment {})", ran.id);
        match name {
            spec::CUSTOM => leave_out(&label),
            _ => specs.push(Spec::of_section(&ran.searcher, &label, &format!("experiment {}", ran.id))),
        }
    }
    Ok(specs)
}

fn leave_out(label: &str) {
    output::note(&format!("{label} is left out: a program decides it, which does not run here"));
}

/// Says on standard error what is simulated.
pub(super) fn introduce(arena: &Arena, show: &Outputs) {
    for warning in arena.warnings() {
        output::note(&format!("warning: {warning}"));
    }
    if show.quiet {
        return;
    }
    for field in &arena.fields {
        output::note(&field.task.described);
        if !field.task.caution.is_empty() {
            output::note(&format!("  {}", field.task.caution));
        }
    }
    output::note(&text::runs(arena));
}

/// Prints the result in the form that was asked for, and writes the files.
fn show(
    arena: &Arena,
    comparison: &Comparison,
    played: &[Played],
    replicated: &[Replicated],
    interrupted: bool,
    show: &Outputs,
) -> Result<(), Error> {
    let report = Report::new(comparison);
    if show.json {
        let document = serde_json::json!({
            "simulation": judging::document(arena, played, interrupted),
            "comparison": json(&report)?,
            "replicates": replicated.iter().map(Replicated::json).collect::<Vec<_>>(),
        });
        output::print_json(&document)?;
    } else if show.csv {
        output::print(&report.csv().map_err(unwritten)?)?;
    } else {
        output::print(&report.table(table::terminal_width().unwrap_or(text::WIDTH)))?;
        output::print(&text::replicates(replicated, table::terminal_width()))?;
    }
    for line in judging::beyond_lines(arena, played) {
        output::note(&line);
    }
    write(&report, show)
}

/// The comparison as JSON.
pub(super) fn json(report: &Report<'_>) -> Result<serde_json::Value, Error> {
    let text = report.json().map_err(unwritten)?;
    serde_json::from_str(&text).map_err(|error| Error::Engine(format!("the comparison is no JSON: {error}")))
}

/// Writes the files of --out, and says where to look first.
pub(super) fn write(report: &Report<'_>, show: &Outputs) -> Result<(), Error> {
    let Some(folder) = &show.out else { return Ok(()) };
    let written = report.write(folder).map_err(unwritten)?;
    let page = written.iter().find(|path| path.extension().is_some_and(|ending| ending == "html"));
    output::note(&format!(
        "{} files in {}; open {}",
        written.len(),
        folder.display(),
        page.unwrap_or(folder).display()
    ));
    Ok(())
}

/// A report that could not be made or written.
pub(super) fn unwritten(error: toprung_simulations::report::Error) -> Error {
    Error::Usage {
        message: format!("the report cannot be written: {error}"),
        help: "choose another directory with --out".to_owned(),
    }
}
