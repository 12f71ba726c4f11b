//! `toprung run`

use super::source::{self, Loaded};
use super::watch;
use crate::args::{Global, Run, Showing};
use crate::connect::{self, Mode, Need, Session};
use crate::errors::Error;
use crate::exit::Exit;
use crate::model::archive;
use crate::model::entry;
use crate::model::listing::Listing;
use crate::output::{self, format, json};
use crate::spinner;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toprung_proto::v1;

/// An agent without trials ends at once.
const CLOSE: Duration = Duration::from_secs(5);

/// Submits a search and follows it. Everything that can be wrong here is found before an engine is asked.
pub(super) async fn run(global: &Global, args: &Run) -> Result<Exit, Error> {
    check(global, args.slots)?;
    let loaded = source::load(&args.source, args.name.as_deref())?;
    let archive = pack(global, args.model_dir.as_deref(), &args.source.file, &loaded)?;
    if loaded.config.searcher.method.is_custom() {
        output::note("a program decides: `toprung decide ID`, or `toprung.CustomSearch(ID)` in Python");
    }
    let session =
        spinner::waiting("starting", connect::open(global, Need::Train { slots: args.slots })).await?;
    let request = v1::CreateExperimentRequest {
        config_yaml: loaded.text.clone(),
        config_file: loaded.file.clone(),
        model_archive: archive,
        request_id: request_id(),
        ..Default::default()
    };
    let manner = Manner { detach: args.detach, show: args.show, slots_given: args.slots.is_some() };
    submit_and_follow(global, &manner, session, request, |error| source::drawn(error, &loaded)).await
}

/// `slots`: as given. Refuses what does not fit together.
pub(super) fn check(global: &Global, slots: Option<u32>) -> Result<(), Error> {
    if global.server.is_some() && slots.is_some() {
        return Err(Error::Usage {
            message: "--slots is for the agent of this process, and with --server there is none".to_owned(),
            help: "limit the search with --set resources.max_slots=N, or an agent with `toprung agent --slots N`"
                .to_owned(),
        });
    }
    Ok(())
}

/// The model that goes along with an experiment file.
pub(super) fn pack(
    global: &Global,
    model_dir: Option<&Path>,
    file: &Path,
    loaded: &Loaded,
) -> Result<Vec<u8>, Error> {
    if matches!(loaded.config.entrypoint, toprung_config::Entrypoint::External { .. }) {
        output::note("programs run its trials: `toprung ask-tell ID --client NAME`, `toprung.Search(ID)`");
        return archive::pack(&Listing::none(), |_| ());
    }
    let directory = model_dir.map_or_else(|| directory_of(file), Path::to_path_buf);
    let listing = Listing::of(&directory, &global.data_dir)?;
    for skipped in &listing.skipped {
        output::note(&format!("not sent: {skipped}"));
    }
    entry::check(&loaded.config, &listing)?;
    let bar = spinner::Bytes::start("packing", listing.size());
    archive::pack(&listing, |bytes| bar.done(bytes))
}

fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// How an experiment is submitted.
pub(super) struct Manner {
    /// It is not followed.
    pub detach: bool,
    /// How it is shown; not followed, what is said of it is JSON or text.
    pub show: Showing,
    /// Slots of this machine were named.
    pub slots_given: bool,
}

/// Submits, and follows it if that is wanted. `drawn`: how an error of the submission is shown.
pub(super) async fn submit_and_follow(
    global: &Global,
    manner: &Manner,
    session: Session,
    request: v1::CreateExperimentRequest,
    drawn: impl FnOnce(Error) -> Error,
) -> Result<Exit, Error> {
    match submit(global, manner, &session, request).await {
        Ok(Some(id)) => watch::watch(global, session, id, manner.show).await,
        Ok(None) => {
            session.close(CLOSE).await?;
            Ok(Exit::Ok)
        }
        Err(error) => {
            if let Err(second) = session.close(CLOSE).await {
                tracing::warn!(error = %second, "closing after a failed submission");
            }
            Err(drawn(error))
        }
    }
}

/// Submits. The id to follow; none if it is not followed.
async fn submit(
    global: &Global,
    manner: &Manner,
    session: &Session,
    request: v1::CreateExperimentRequest,
) -> Result<Option<u64>, Error> {
    if manner.detach && session.mode == Mode::Embedded {
        return Err(Error::Usage {
            message: "--detach needs an engine that goes on after this command".to_owned(),
            help: "start one with `toprung serve --agent` and pass --server URL".to_owned(),
        });
    }
    let text =
        format!("sending {} to {}", format::bytes(request.model_archive.len() as u64), session.client.url());
    let answer = spinner::waiting(&text, session.client.create(request)).await?;
    // Those of the file were drawn already; the engine may know more.
    let experiment = answer.experiment.unwrap_or_default();
    announce(session, &experiment, manner.slots_given);
    let hint = global.in_hints();
    watch::say_what_goes_on(session, experiment.id, &hint).await?;
    if !manner.detach {
        return Ok(Some(experiment.id));
    }
    if manner.show.json {
        output::print_json(&serde_json::json!({"experiment": json::experiment(&experiment)}))?;
    } else {
        output::print(&format!("watch it with: toprung show {} --follow{hint}\n", experiment.id))?;
    }
    Ok(None)
}

fn announce(session: &Session, experiment: &v1::Experiment, slots_given: bool) {
    let name = format::printable(&experiment.name);
    let id = experiment.id;
    match session.mode {
        Mode::Embedded => output::note(&format!("experiment {id}: {name}")),
        Mode::Server => output::note(&format!("experiment {id}: {name}, on {}", session.client.url())),
        Mode::Discovered => {
            let url = session.client.url();
            output::note(&format!(
                "experiment {id}: {name}, submitted to the engine that runs already ({url})"
            ));
            if slots_given {
                output::note("--slots counts only where this command brings its own agent");
            }
        }
    }
}

/// 128 bits that no other submission has.
pub(super) fn request_id() -> String {
    // Each RandomState is keyed by the system's randomness.
    let part = || RandomState::new().hash_one((std::process::id(), format::now_ms()));
    format!("{:016x}{:016x}", part(), part())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_lies_beside_its_file() {
        assert_eq!(directory_of(Path::new("search.yaml")), Path::new("."));
        assert_eq!(directory_of(Path::new("a/b/search.yaml")), Path::new("a/b"));
    }

    #[test]
    fn submissions_are_told_apart() {
        assert_eq!(request_id().len(), 32);
        assert_ne!(request_id(), request_id());
    }
}
