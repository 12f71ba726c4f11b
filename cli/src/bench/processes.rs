//! Trials that print their metric and end, as real processes of the real agent on two slots, against a loop that starts
//! the same command, two at a time. The loop runs before and after: other work on the machine falls on both.

use super::figure::{Figure, Target, Unit};
use super::place::{Place, Setting};
use super::{failed, joined, search};
use crate::embed::RunningAgent;
use crate::errors::Error;
use crate::model::archive;
use crate::model::listing::Listing;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::task::JoinSet;

/// Slots of the agent, and commands of the loop at a time.
const SLOTS: u32 = 2;
/// Trials that run before the clock does, so that the agent has its model.
const WARM: u64 = 4;
/// So much longer than the loop it may take.
const SLOWER: f64 = 1.3;
/// An agent without trials ends at once.
const STOP: Duration = Duration::from_secs(10);

pub(super) async fn measure(setting: &Setting) -> Result<Vec<Figure>, Error> {
    let sh = one(setting, "/bin/sh", "echo loss=0.5\n", setting.size(300, 4)).await?;
    // Beside a wrapper that chooses among versions every cost would look small.
    let python = interpreter().await?;
    let python = one(setting, &python, "print('loss=0.5')\n", setting.size(150, 4)).await?;
    Ok(vec![sh, python])
}

async fn one(setting: &Setting, program: &str, script: &str, trials: u64) -> Result<Figure, Error> {
    let place = Place::start(setting).await?;
    let model = place.directory().join("model");
    let failed = || Error::io(format!("cannot write in {}", model.display()));
    std::fs::create_dir(&model).map_err(failed())?;
    std::fs::write(model.join("trial"), script).map_err(failed())?;
    let before = bare(program, &model, trials).await?;
    let agent = start_agent(&place);
    searched(&place, program, &model, WARM).await?;
    let took = searched(&place, program, &model, trials).await?;
    agent.stop(STOP).await?;
    place.stop().await?;
    let scratch = setting.scratch()?;
    std::fs::write(scratch.path().join("trial"), script).map_err(failed())?;
    let after = bare(program, scratch.path(), trials).await?;
    let bare = (before + after) / 2;
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let a_second = |took: Duration| trials as f64 / took.as_secs_f64();
    let what = format!("no-op trials as processes ({name}), {SLOTS} slots, at most {SLOWER}× the bare time");
    let target = Target::AtLeast(a_second(bare) / SLOWER);
    let figure = Figure::new(what, a_second(took), Unit::PerSecond, target);
    Ok(figure.against("a bare loop that starts the same command", a_second(bare)))
}

fn start_agent(place: &Place) -> RunningAgent {
    let mut options = toprung_agent::Options::new(place.url(), place.directory().join("agent"));
    options.token = Some(place.token().to_owned());
    options.slots = Some(SLOTS);
    RunningAgent::start(options)
}

/// Time of a search from its submission to its end.
async fn searched(place: &Place, program: &str, model: &Path, trials: u64) -> Result<Duration, Error> {
    let archive = archive::pack(&Listing::of(model, &place.directory().join("data"))?, |_| {})?;
    let file = search::file(&format!("[{program}, trial]"), &search::random(trials, 1));
    let started = Instant::now();
    let id = search::create(&place.client, file, archive).await?;
    search::completed(&place.client, id, trials).await?;
    Ok(started.elapsed())
}

/// Time of the same commands without an engine.
async fn bare(program: &str, model: &Path, trials: u64) -> Result<Duration, Error> {
    let started = Instant::now();
    let mut set = JoinSet::new();
    for _ in 0..SLOTS {
        let (program, model) = (program.to_owned(), model.to_owned());
        set.spawn(async move {
            for _ in 0..trials / u64::from(SLOTS) {
                let output = Command::new(&program).arg("trial").current_dir(&model).output().await;
                let output = output.map_err(Error::io(format!("cannot start {program}")))?;
                if !output.stdout.starts_with(b"loss=") {
                    return Err(failed(format!("{program} printed no metric")));
                }
            }
            Ok(())
        });
    }
    while let Some(task) = set.join_next().await {
        joined(task)?;
    }
    Ok(started.elapsed())
}

/// The interpreter that `python3` on the PATH ends up in.
async fn interpreter() -> Result<String, Error> {
    let mut command = Command::new("python3");
    let output = command.args(["-c", "import sys; print(sys.executable)"]).output().await;
    let output = output.map_err(Error::io("cannot start python3"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
