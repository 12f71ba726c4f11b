//! The `checkpoint_storage` section.

use crate::config::{CheckpointStorage, StoragePlace};
use crate::context::{Context, Place, Table};
use crate::language::surroundings::CHECKPOINT_STORAGE;
use crate::nearest::listed;
use crate::resources;
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
    ("s3", &["bucket", "prefix", "endpoint_url", "access_key", "secret_key"]),
    ("gcs", &["bucket", "prefix"]),
    ("azure", &["container", "connection_string", "account_url", "credential"]),
];

/// Fields that are masked in every answer.
pub(crate) const SECRET: [&str; 4] = ["access_key", "secret_key", "connection_string", "credential"];

/// Reads the section.
pub(crate) fn read(cx: &mut Context, place: Option<&Place<'_>>) -> CheckpointStorage {
    let table = Table::open(cx, place, &CHECKPOINT_STORAGE, "checkpoint_storage");
    let kind = table.choice(cx, "type");
    CheckpointStorage {
        place: storage_place(cx, &table, kind),
        save_experiment_best: table.small(cx, "save_experiment_best"),
        save_trial_best: table.small(cx, "save_trial_best"),
        save_trial_latest: table.small(cx, "save_trial_latest"),
        max_size: table.get("max_size").and_then(|place| resources::bytes(cx, &place)),
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
        Some("s3") => {
            let [bucket, prefix, endpoint_url, access_key, secret_key] = remote(cx, table, "s3", "bucket");
            together(cx, table, "access_key", "secret_key");
            check_endpoint(cx, table, &endpoint_url);
            StoragePlace::S3 { bucket, prefix, endpoint_url, access_key, secret_key }
        }
        Some("gcs") => {
            let [bucket, prefix] = remote(cx, table, "gcs", "bucket");
            StoragePlace::Gcs { bucket, prefix }
        }
        Some("azure") => {
            let [container, connection_string, account_url, credential] =
                remote(cx, table, "azure", "container");
            StoragePlace::Azure { container, connection_string, account_url, credential }
        }
        Some(_) => StoragePlace::BesideStore,
        None => {
            if !table.has("type") {
                refuse_without_type(cx, table);
            }
            StoragePlace::BesideStore
        }
    }
}

/// The texts of a type of object store, in the order of [`BY_TYPE`]; `needed` must be there.
fn remote<const N: usize>(cx: &mut Context, table: &Table<'_>, kind: &str, needed: &str) -> [String; N] {
    refuse_others(cx, table, kind);
    let mut texts = fields_of(kind).iter().map(|name| table.text(cx, name).unwrap_or_default());
    let texts = std::array::from_fn(|_| texts.next().unwrap_or_default());
    if table.text(cx, needed).is_none_or(|text| text.is_empty()) {
        let path = format!("{}.{needed}", table.path);
        cx.error(
            table.key,
            &path,
            format!("`{needed}` is missing with `type: {kind}`"),
            "it must exist already",
        );
    }
    for place in SECRET.iter().filter_map(|name| table.get(name)) {
        let message = "credentials in the file are kept with the experiment";
        let help = "better are those in the environment of the agents, or of the machines they run on";
        cx.warning(place.key, &place.path, message, help);
    }
    texts
}

fn together(cx: &mut Context, table: &Table<'_>, one: &str, other: &str) {
    for (given, missing) in [(one, other), (other, one)] {
        if let Some(place) = table.get(given).filter(|_| !table.has(missing)) {
            let message = format!("`{given}` needs `{missing}`");
            cx.error(place.key, &place.path, message, "give both, or neither: then the environment has them");
        }
    }
}

fn check_endpoint(cx: &mut Context, table: &Table<'_>, url: &str) {
    let known = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
    if let Some(place) = table.get("endpoint_url").filter(|_| !known) {
        let message = format!("found {}, expected a URL", place.node.described());
        cx.error(place.node.span, &place.path, message, "such as `https://minio.example.org:9000`");
    }
}

fn fields_of(kind: &str) -> &'static [&'static str] {
    BY_TYPE.iter().find(|(name, _)| *name == kind).map_or(&[], |(_, fields)| fields)
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
    let allowed = fields_of(kind);
    let known = BY_TYPE.iter().flat_map(|(_, fields)| fields.iter());
    let mut seen = std::collections::BTreeSet::new();
    for name in known.filter(|name| !allowed.contains(name)) {
        if let Some(place) = table.get(name).filter(|_| seen.insert(*name)) {
            let help = format!("with `type: {kind}` there are {}", listed(allowed.iter().copied()));
            cx.error(place.key, &place.path, format!("`{name}` does not belong to `type: {kind}`"), help);
        }
    }
}

fn refuse_without_type(cx: &mut Context, table: &Table<'_>) {
    let mut known = BY_TYPE.iter().flat_map(|(_, fields)| fields.iter());
    if let Some(place) = known.find_map(|name| table.get(name)) {
        cx.error(
            place.key,
            &place.path,
            "`type` is missing in `checkpoint_storage`",
            "such as `type: shared_fs`",
        );
    }
}
