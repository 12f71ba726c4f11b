//! `toprung run` of a small search, from its start until the user's script has written the time. The agent's caches are
//! warm: one run comes before those that count.

use super::figure::{Figure, Target, Unit};
use super::place::Setting;
use super::times::Percentiles;
use super::{child, failed, search};
use crate::errors::Error;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::process::Command;

/// The user's script.
const SCRIPT: &str = "import time\nopen('STAMP', 'w').write(str(time.time_ns()))\nprint('loss=0.5')\n";
/// The search and its script end within this.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) async fn measure(setting: &Setting) -> Result<Vec<Figure>, Error> {
    let scratch = setting.scratch()?;
    let model = scratch.path().join("model");
    let stamp = scratch.path().join("stamp");
    prepare(&model, &stamp)?;
    let runs = setting.size(9, 1);
    let (mut times, mut bare) = (Vec::new(), Vec::new());
    run(scratch.path(), &model, &stamp).await?;
    for _ in 0..runs {
        times.push(run(scratch.path(), &model, &stamp).await?);
        let mut command = Command::new("python3");
        command.arg("train.py").current_dir(&model).stdout(Stdio::null());
        bare.push(until_stamp(command, &stamp).await?);
    }
    let median = |times: &[Duration]| Percentiles::of(times.to_vec()).map_or(f64::NAN, |times| times.p50);
    let what = "from Enter to the first line of the script, caches warm";
    let figure = Figure::new(what, median(&times), Unit::Milliseconds, Target::AtMost(1_000.0))
        .against("the script alone, from its start", median(&bare))
        .with_times(Percentiles::of(times));
    Ok(vec![figure])
}

fn prepare(model: &Path, stamp: &Path) -> Result<(), Error> {
    let failed = || Error::io(format!("cannot write in {}", model.display()));
    std::fs::create_dir_all(model).map_err(failed())?;
    let script = SCRIPT.replace("STAMP", &stamp.display().to_string());
    std::fs::write(model.join("train.py"), script).map_err(failed())?;
    let file = search::file("[python3, train.py]", "name: single, max_length: {batches: 1}");
    std::fs::write(model.join("search.yaml"), file).map_err(failed())
}

async fn run(scratch: &Path, model: &Path, stamp: &Path) -> Result<Duration, Error> {
    let mut command = child::program(scratch)?;
    command.args(["run", "search.yaml", "--quiet", "--slots", "1", "--data-dir"]);
    command.arg(scratch.join("data")).current_dir(model);
    until_stamp(command, stamp).await
}

/// Runs a command to its end; answers when, after its start, the script wrote the time.
async fn until_stamp(mut command: Command, stamp: &Path) -> Result<Duration, Error> {
    let started = SystemTime::now();
    let mut process = command.spawn().map_err(Error::io("cannot start a command"))?;
    let ended = tokio::time::timeout(PATIENCE, process.wait()).await;
    let late = |_| failed(format!("a run took longer than {} s", PATIENCE.as_secs()));
    let status = ended.map_err(late)?.map_err(Error::io("cannot wait for a command"))?;
    if !status.success() {
        return Err(failed(format!("a run ended with {status}")));
    }
    let written = std::fs::read_to_string(stamp).map_err(Error::io("the script wrote no time"))?;
    let written = UNIX_EPOCH + Duration::from_nanos(written.trim().parse().map_err(failed)?);
    std::fs::remove_file(stamp).map_err(Error::io("cannot remove the script's time"))?;
    written.duration_since(started).map_err(failed)
}
