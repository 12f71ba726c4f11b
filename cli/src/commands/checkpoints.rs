//! `toprung checkpoints`

use super::look;
use crate::args::{CheckpointsCommand, Download, Global, ListCheckpoints};
use crate::client::Client;
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, format, json, table};
use crate::spinner::Bytes;
use std::path::{Path, PathBuf};
use toprung_checkpoints::{File, Key, Limits, Place, Remote, Secret};
use toprung_config::StoragePlace;
use toprung_proto::v1;

/// What is written instead of a secret.
const MASK: &str = "********";

/// Lists checkpoints, or fetches one.
pub(super) async fn run(global: &Global, command: CheckpointsCommand) -> Result<Exit, Error> {
    match command {
        CheckpointsCommand::List(args) => list(global, args).await,
        CheckpointsCommand::Download(args) => download(global, args).await,
    }
}

async fn list(global: &Global, args: ListCheckpoints) -> Result<Exit, Error> {
    let mut found = look(global, |client, _| async move {
        if let Some(trial) = args.trial {
            // Says so if there is none.
            client.trial(args.id, trial).await?;
        }
        client.checkpoints(args.id, args.trial).await
    })
    .await?;
    found.sort_by(|a, b| (a.trial, a.length, &a.uuid).cmp(&(b.trial, b.length, &b.uuid)));
    if args.json {
        let all: Vec<_> = found.iter().map(json::checkpoint).collect();
        output::print_json(&serde_json::json!({"checkpoints": all}))?;
    } else {
        output::print(&text(&args, &found, table::terminal_width()))?;
    }
    Ok(Exit::Ok)
}

fn text(args: &ListCheckpoints, found: &[v1::Checkpoint], width: table::Width) -> String {
    if !found.is_empty() {
        return table::checkpoints(found, width);
    }
    let trial = args.trial.map(|trial| format!("trial {trial} of ")).unwrap_or_default();
    format!("{trial}experiment {} has no checkpoints\n", args.id)
}

async fn download(global: &Global, args: Download) -> Result<Exit, Error> {
    may_be_written(&args)?;
    let uuid = args.uuid.clone();
    let found = look(global, |client, _| async move {
        let (experiment, checkpoint) = find(&client, &uuid).await?;
        let config = client.experiment(experiment).await?.config_json;
        Ok((experiment, checkpoint, config))
    });
    let (experiment, checkpoint, config) = found.await?;
    let storage = toprung_config::parse(&config)
        .map_err(|problems| Error::Conflict(format!("experiment {experiment} is not readable: {problems}")))?
        .config
        .checkpoint_storage;
    let bar = Bytes::start("fetching the checkpoint", checkpoint.total_size);
    let progress = move |done: u64, _: u64| bar.done(done);
    let fetched = match place(storage.place) {
        Some(place) => from_store(place, experiment, &checkpoint, &args.output, &progress).await,
        None => copied(checkpoint.clone(), args.output.clone(), progress).await,
    };
    fetched?;
    let v1::Checkpoint { uuid, trial, length, total_size, .. } = checkpoint;
    if args.json {
        output::print_json(
            &serde_json::json!({"uuid": uuid, "path": args.output, "total_size": total_size}),
        )?;
    } else {
        output::print(&format!(
            "{}: checkpoint {uuid} of trial {trial} at length {length}, {}\n",
            args.output.display(),
            format::bytes(total_size)
        ))?;
    }
    Ok(Exit::Ok)
}

/// Before anything is asked for or fetched.
fn may_be_written(args: &Download) -> Result<(), Error> {
    let usage = |message: String, help: &str| Err(Error::Usage { message, help: help.to_owned() });
    if args.uuid.is_empty() {
        return usage(
            "the name of the checkpoint is empty".to_owned(),
            "`toprung checkpoints list ID` shows them",
        );
    }
    if args.output.symlink_metadata().is_ok() {
        return usage(
            format!("{} exists already", args.output.display()),
            "name a directory that does not exist",
        );
    }
    Ok(())
}

async fn from_store(
    place: Place,
    experiment: u64,
    checkpoint: &v1::Checkpoint,
    output: &Path,
    progress: toprung_checkpoints::Progress<'_>,
) -> Result<(), Error> {
    let key = Key { experiment, trial: checkpoint.trial, uuid: checkpoint.uuid.clone() };
    let remote = Remote::open(place, Limits::default()).map_err(failed)?;
    let manifest = remote.download(&key, output, progress).await.map_err(failed)?;
    // The store's own list could have been changed together with the files.
    let saved = files(checkpoint);
    if !saved.is_empty() && saved != manifest.files {
        return Err(Error::Conflict(format!(
            "{} is not what was saved: its list of files differs from the one in the journal",
            output.display()
        )));
    }
    Ok(())
}

/// From a directory that this machine sees.
async fn copied(
    checkpoint: v1::Checkpoint,
    output: PathBuf,
    progress: impl Fn(u64, u64) + Send + Sync + 'static,
) -> Result<(), Error> {
    let from = PathBuf::from(&checkpoint.path);
    if !from.is_dir() {
        return Err(Error::NotFound(format!(
            "{} is not on this machine: it lies on the node of agent {}; run the command there",
            checkpoint.path, checkpoint.agent
        )));
    }
    let saved = files(&checkpoint);
    let copying =
        tokio::task::spawn_blocking(move || toprung_checkpoints::copy(&from, &output, &saved, &progress));
    let copied = copying.await.map_err(|error| Error::Conflict(error.to_string()))?;
    copied.map_err(failed)
}

fn files(checkpoint: &v1::Checkpoint) -> Vec<File> {
    let regular = checkpoint.files.iter().filter(|file| !file.sha256.is_empty());
    regular
        .map(|v1::CheckpointFile { path, size, sha256 }| File {
            path: path.clone(),
            size: *size,
            sha256: sha256.clone(),
        })
        .collect()
}

fn failed(error: toprung_checkpoints::Error) -> Error {
    Error::Conflict(error.to_string())
}

/// The checkpoint whose name begins so, of the newest experiment that has one.
async fn find(client: &Client, uuid: &str) -> Result<(u64, v1::Checkpoint), Error> {
    let mut page_token = String::new();
    loop {
        let page = client.experiments_from(page_token).await?;
        for experiment in &page.experiments {
            let all = client.checkpoints(experiment.id, None).await?;
            let mut found = all.into_iter().filter(|checkpoint| checkpoint.uuid.starts_with(uuid));
            match (found.next(), found.next()) {
                (Some(one), None) => return Ok((experiment.id, one)),
                (Some(_), Some(_)) => {
                    return Err(Error::Usage {
                        message: format!(
                            "several checkpoints of experiment {} begin with {uuid}",
                            experiment.id
                        ),
                        help: "write more of its name".to_owned(),
                    });
                }
                (None, _) => {}
            }
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Err(Error::NoCheckpoint(uuid.to_owned()));
        }
    }
}

/// The object store of an experiment, with the credentials of this user's environment. `None`: it is a directory.
fn place(place: StoragePlace) -> Option<Place> {
    // The server keeps its secrets to itself.
    let own = |text: String| if text == MASK { Secret::default() } else { Secret(text) };
    match place {
        StoragePlace::BesideStore | StoragePlace::SharedFs { .. } | StoragePlace::Directory(_) => None,
        StoragePlace::S3 { bucket, prefix, endpoint_url, access_key, secret_key } => Some(Place::S3 {
            bucket,
            prefix,
            endpoint_url,
            access_key: own(access_key),
            secret_key: own(secret_key),
        }),
        StoragePlace::Gcs { bucket, prefix } => Some(Place::Gcs { bucket, prefix }),
        StoragePlace::Azure { container, connection_string, account_url, credential } => Some(Place::Azure {
            container,
            connection_string: own(connection_string),
            account_url,
            credential: own(credential),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_secrets_are_left_to_the_environment() {
        let masked = StoragePlace::S3 {
            bucket: "b".into(),
            prefix: String::new(),
            endpoint_url: String::new(),
            access_key: MASK.into(),
            secret_key: MASK.into(),
        };
        let Some(Place::S3 { access_key, secret_key, .. }) = place(masked) else { panic!("an object store") };
        assert_eq!((access_key, secret_key), (Secret::default(), Secret::default()));
        assert_eq!(place(StoragePlace::BesideStore), None);
    }

    #[test]
    fn each_checkpoint_is_a_row() {
        let mut args = ListCheckpoints { id: 3, trial: None, json: false };
        assert_eq!(text(&args, &[], None), "experiment 3 has no checkpoints\n");
        args.trial = Some(2);
        assert_eq!(text(&args, &[], None), "trial 2 of experiment 3 has no checkpoints\n");
        let one = v1::Checkpoint {
            uuid: "ab".into(),
            trial: 2,
            length: 9,
            total_size: 2048,
            agent: "gpu-1".into(),
            ..v1::Checkpoint::default()
        };
        let shown = text(&args, &[one], None);
        let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["checkpoint", "trial", "length", "size", "agent"]);
        assert_eq!(rows[1], ["ab", "2", "9", "2.0", "KiB", "gpu-1"]);
    }

    #[test]
    fn nothing_is_overwritten() {
        let args = |uuid: &str, output: PathBuf| Download { uuid: uuid.into(), output, json: false };
        let here = tempfile::tempdir().unwrap();
        assert!(may_be_written(&args("ab", here.path().join("new"))).is_ok());
        assert!(matches!(may_be_written(&args("ab", here.path().into())), Err(Error::Usage { .. })));
        assert!(may_be_written(&args("", here.path().join("new"))).is_err());
    }
}
