//! The `checkpoint_storage` section.

use crate::config::{CheckpointStorage, StoragePlace};
use crate::context::{Context, Place, Table};
use crate::language::surroundings::CHECKPOINT_STORAGE;
use crate::nearest::listed;
use std::path::{Component, Path};

/// The fields that belong to one type of storage only.
const BY_TYPE: &[(&str, &[&str])] = &[
    (
        "shared_fs",
        &[
            "host_path",
            "storage_path",
            "propagation",
            "checkpoint_path",
            "tensorboard_path",
            "container_path",
        ],
    ),
    ("directory", &["container_path"]),
];

/// Fields of types that are not built.
const REMOTE: &[&str] = &[
    "bucket",
    "prefix",
    "endpoint_url",
    "access_key",
    "secret_key",
    "container",
    "connection_string",
    "account_url",
    "credential",
];

/// Reads the section.
pub(crate) fn read(cx: &mut Context, place: Option<&Place<'_>>) -> CheckpointStorage {
    let table = Table::open(cx, place, &CHECKPOINT_STORAGE, "checkpoint_storage");
    let kind = table.choice(cx, "type");
    CheckpointStorage {
        place: storage_place(cx, &table, kind),
        save_experiment_best: table.small(cx, "save_experiment_best"),
        save_trial_best: table.small(cx, "save_trial_best"),
        save_trial_latest: table.small(cx, "save_trial_latest"),
    }
}

fn storage_place(cx: &mut Context, table: &Table<'_>, kind: Option<&'static str>) -> StoragePlace {
    match kind {
        Some("shared_fs") => {
            refuse_others(cx, table, "shared_fs");
            let host_path = absolute(cx, table, "host_path", "shared_fs");
            let storage_path = storage_path(cx, table, &host_path);
            StoragePlace::SharedFs { host_path, storage_path }
        }
        Some("directory") => {
            refuse_others(cx, table, "directory");
            StoragePlace::Directory(absolute(cx, table, "container_path", "directory"))
        }
        Some(remote) => {
            if let Some(place) = table.get("type") {
                let message = format!("checkpoint storage in `{remote}` is not supported yet");
                cx.error(place.node.span, &place.path, message, "use `shared_fs` or `directory`");
            }
            StoragePlace::BesideStore
        }
        None => {
            if !table.has("type") {
                refuse_without_type(cx, table);
            }
            StoragePlace::BesideStore
        }
    }
}

fn absolute(cx: &mut Context, table: &Table<'_>, name: &str, kind: &str) -> String {
    let Some(place) = table.get(name) else {
        let path = format!("{}.{name}", table.path);
        cx.error(
            table.key,
            &path,
            format!("`{name}` is missing with `type: {kind}`"),
            "it is an absolute path",
        );
        return String::new();
    };
    let path = table.text(cx, name).unwrap_or_default();
    if !path.starts_with('/') {
        let message = format!("found {}, expected an absolute path", place.node.described());
        cx.error(place.node.span, &place.path, message, "begin it with `/`");
    }
    path
}

/// A path below `host_path`, relative to it.
fn storage_path(cx: &mut Context, table: &Table<'_>, host_path: &str) -> Option<String> {
    let place = table.get("storage_path")?;
    let path = table.text(cx, "storage_path")?;
    let below = Path::new(&path);
    let relative = if below.is_absolute() { below.strip_prefix(host_path).ok() } else { Some(below) };
    let inside =
        |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    match relative.filter(|path| inside(path)) {
        Some(path) => path.to_str().filter(|path| !path.is_empty()).map(str::to_owned),
        None => {
            let message = format!("{} is not below `host_path`", place.node.described());
            cx.error(
                place.node.span,
                &place.path,
                message,
                "give a path relative to `host_path`, without `..`",
            );
            None
        }
    }
}

fn refuse_others(cx: &mut Context, table: &Table<'_>, kind: &str) {
    let allowed = BY_TYPE.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, fields)| fields);
    let known = BY_TYPE.iter().flat_map(|(_, fields)| fields.iter()).chain(REMOTE);
    let mut seen = std::collections::BTreeSet::new();
    for name in known.filter(|name| !allowed.contains(name)) {
        if let Some(place) = table.get(name).filter(|_| seen.insert(*name)) {
            let help = format!("with `type: {kind}` there are {}", listed(allowed.iter().copied()));
            cx.error(place.key, &place.path, format!("`{name}` does not belong to `type: {kind}`"), help);
        }
    }
}

fn refuse_without_type(cx: &mut Context, table: &Table<'_>) {
    let mut known = BY_TYPE.iter().flat_map(|(_, fields)| fields.iter()).chain(REMOTE);
    if let Some(place) = known.find_map(|name| table.get(name)) {
        cx.error(
            place.key,
            &place.path,
            "`type` is missing in `checkpoint_storage`",
            "such as `type: shared_fs`",
        );
    }
}
