//! Makes `docs/searcher-quality.md` and its pictures: all searchers on all tasks, losses included.
//!
//! `cargo run --release -p toprung-simulations --example quality -- [--tables DIR] [--seeds 30] [--out FILE]`
//!
//! The tables are in `--tables`, else in `$TOPRUNG_BENCHMARKS`, else in `../shared/benchmarks` beside the repository. Without
//! `--out` the page goes to standard output and no picture is drawn. Pictures go into `pictures/` beside the page.
//!
//! | file | holds |
//! |---|---|
//! | `contestants` | all searchers: a new one is added there |
//! | `tasks` | the tasks |
//! | `play` | the runs |
//! | `page` | the page |
//! | `standings`, `namesakes`, `caution`, `losses` | its parts |
//! | `pictures` | the pictures |
//! | `figures` | medians and how numbers are written |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod caution;
mod contestants;
mod figures;
mod losses;
mod namesakes;
mod page;
mod pictures;
mod play;
mod standings;
mod tasks;

use page::Scene;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// What the command line says.
struct Options {
    tables: PathBuf,
    seeds: u32,
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|options| make(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/benchmarks");
    let tables = std::env::var_os("TOPRUNG_BENCHMARKS").map_or(folder, PathBuf::from);
    let mut options = Options { tables, seeds: 30, out: None };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--tables" => options.tables = value.into(),
            "--out" => options.out = Some(value.into()),
            "--seeds" => {
                let allowed = || format!("--seeds is {value}, allowed is 2 to 1000");
                options.seeds = value.parse().ok().filter(|s| (2..=1000).contains(s)).ok_or_else(allowed)?;
            }
            _ => return Err(format!("{name} is not known; allowed are --tables DIR, --seeds N, --out FILE")),
        }
    }
    Ok(options)
}

fn make(options: &Options) -> Result<(), String> {
    if !options.tables.is_dir() {
        let folder = options.tables.display();
        return Err(format!("there are no tables in {folder}: say where they are with --tables DIR"));
    }
    let mut grounds = tasks::recorded(&options.tables).map_err(|error| error.to_string())?;
    grounds.extend(tasks::made().map_err(|error| error.to_string())?);
    let contestants = contestants::all();
    let began = Instant::now();
    let played = play::play(&grounds, &contestants, options.seeds).map_err(|error| error.to_string())?;
    eprintln!("played in {} s", began.elapsed().as_secs());
    let scene = Scene { grounds: &grounds, contestants: &contestants, played: &played };
    let page = page::page(&scene);
    let Some(out) = &options.out else {
        println!("{page}");
        return Ok(());
    };
    let pictures = pictures::all(&scene).map_err(|error| error.to_string())?;
    let folder = out.parent().unwrap_or(Path::new("")).join("pictures");
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| format!("{path}: {error}")
    };
    fs::create_dir_all(&folder).map_err(failed(&folder))?;
    fs::write(out, page).map_err(failed(out))?;
    for (name, svg) in pictures {
        let path = folder.join(format!("{name}.svg"));
        fs::write(&path, svg).map_err(failed(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two made tasks, two seeds, everybody: the page comes out the same twice and has all that it promises.
    #[test]
    fn a_small_page() {
        let mut grounds: Vec<tasks::Ground> = tasks::made().unwrap().into_iter().take(2).collect();
        grounds[0].recorded = true;
        let contestants = contestants::all();
        let one = play::play(&grounds, &contestants, 2).unwrap();
        let scene = Scene { grounds: &grounds, contestants: &contestants, played: &one };
        let page = page::page(&scene);
        let again = play::play(&grounds, &contestants, 2).unwrap();
        assert_eq!(page, page::page(&Scene { grounds: &grounds, contestants: &contestants, played: &again }));
        for part in ["only 2 seeds", "## Mean ranks", "## Paired tests", "## Losses", "power-crossing"] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("NaN"), "{page}");
        let pictures = pictures::all(&scene).unwrap();
        assert!(pictures.iter().all(|(_, svg)| svg.len() < 60_000 && svg.contains("random")));
        assert_eq!(pictures.len(), 3 + usize::from(scene.searcher("auto").is_some()));
    }

    #[test]
    fn labels_are_unique_and_everyone_trains() {
        let contestants = contestants::all();
        let grounds: Vec<tasks::Ground> = tasks::made().unwrap().into_iter().take(1).collect();
        let played = play::play(&grounds, &contestants, 2).unwrap();
        for (place, contestant) in contestants.iter().enumerate() {
            assert!(contestants[..place].iter().all(|other| other.label != contestant.label));
            let run = played.run(0, place, 1);
            assert_eq!((run.searcher.as_str(), run.seed), (contestant.label, 1));
            // Waiting for the last of a rung leaves slots idle, so utilisation has no bound here.
            assert!(run.reports > 8 && run.trials >= 8, "{}: {run:?}", contestant.label);
        }
    }

    #[test]
    fn options_are_checked() {
        let parse = |words: &[&str]| options(words.iter().map(|word| (*word).to_owned()));
        assert_eq!(parse(&["--seeds", "5"]).unwrap().seeds, 5);
        assert!(parse(&["--seeds", "1"]).err().unwrap().contains("2 to 1000"));
        assert!(parse(&["--frob", "1"]).err().unwrap().contains("--tables"));
        assert!(parse(&["--out"]).err().unwrap().contains("needs a value"));
    }
}
