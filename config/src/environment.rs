//! The `environment` section.

use crate::config::{Environment, Images};
use crate::context::{Context, Place, Table};
use crate::language::surroundings::{BY_DEVICE, BY_DEVICE_LISTS, ENVIRONMENT};
use crate::node::Kind;
use crate::value;
use serde_json::Value as Json;
use std::collections::BTreeMap;

type Variables = BTreeMap<String, String>;

/// Reads the section.
pub(crate) fn read(cx: &mut Context, place: Option<&Place<'_>>) -> Environment {
    let table = Table::open(cx, place, &ENVIRONMENT, "environment");
    let [variables, gpu_variables, rocm_variables] = all_variables(cx, &table);
    Environment {
        variables,
        gpu_variables,
        rocm_variables,
        requirements: requirements(cx, &table),
        python: table.text(cx, "python"),
        setup: table.text(cx, "setup"),
        image: images(cx, &table),
        pod_spec: object(cx, &table, "pod_spec"),
        proxy_ports: proxy_ports(cx, &table),
        ports: object(cx, &table, "ports"),
        force_pull_image: table.flag(cx, "force_pull_image"),
        registry_auth: object(cx, &table, "registry_auth"),
        add_capabilities: table.texts(cx, "add_capabilities"),
        drop_capabilities: table.texts(cx, "drop_capabilities"),
    }
}

/// Variables on CPU slots, NVIDIA GPUs and AMD GPUs.
fn all_variables(cx: &mut Context, table: &Table<'_>) -> [Variables; 3] {
    let Some(place) = table.get("environment_variables") else {
        return Default::default();
    };
    if let Kind::List(_) = place.node.kind {
        let all = variables(cx, &place);
        return [all.clone(), all.clone(), all];
    }
    let by_device = Table::open(cx, Some(&place), &BY_DEVICE_LISTS, &place.path);
    refuse_both_names(cx, &by_device);
    let cuda = if by_device.has("cuda") { "cuda" } else { "gpu" };
    ["cpu", cuda, "rocm"]
        .map(|name| by_device.get(name).map(|place| variables(cx, &place)).unwrap_or_default())
}

fn refuse_both_names(cx: &mut Context, table: &Table<'_>) {
    if let Some(place) = table.get("gpu").filter(|_| table.has("cuda")) {
        cx.error(
            place.key,
            &place.path,
            "is another name of `cuda`, which is given too",
            "remove one of them",
        );
    }
}

fn variables(cx: &mut Context, place: &Place<'_>) -> Variables {
    let mut variables = Variables::new();
    for element in place.list(cx, "a list of `NAME=value`") {
        let Some(text) = element.text(cx) else {
            continue;
        };
        // The value may be secret: messages name the variable only.
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            let help = "write `NAME=value`; an empty value is written `NAME=`";
            cx.error(element.node.span, &element.path, "is not of the form `NAME=value`", help);
            continue;
        };
        if text.contains('\0') {
            cx.error(
                element.node.span,
                &element.path,
                format!("`{}` holds a zero byte", name.escape_debug()),
                "",
            );
        }
        if name.starts_with("TOPRUNG_") {
            let message =
                format!("`{name}` begins with `TOPRUNG_`, which is kept for the trial's own variables");
            cx.error(element.node.span, &element.path, message, "choose another name");
        }
        if variables.insert(name.to_owned(), value.to_owned()).is_some() {
            let message = format!("`{name}` is given twice");
            cx.warning(element.node.span, &element.path, message, "the later one counts");
        }
    }
    variables
}

fn requirements(cx: &mut Context, table: &Table<'_>) -> Vec<String> {
    let Some(place) = table.get("requirements") else {
        return Vec::new();
    };
    if !matches!(place.node.kind, Kind::List(_)) {
        let file = place.text(cx).filter(|file| !file.is_empty());
        return file.into_iter().map(|file| format!("-r {file}")).collect();
    }
    let mut lines = Vec::new();
    for element in place.list(cx, "a list of pip requirements") {
        let Some(line) = element.text(cx) else {
            continue;
        };
        if line.trim().is_empty() || line.contains(['\n', '\r', '\0']) {
            let message = "is not one line of a requirements file";
            cx.error(
                element.node.span,
                &element.path,
                message,
                "write one package in each element, such as `numpy>=2`",
            );
        }
        lines.push(line);
    }
    lines
}

fn images(cx: &mut Context, table: &Table<'_>) -> Images {
    let Some(place) = table.get("image") else {
        return Images::default();
    };
    if !matches!(place.node.kind, Kind::Map(_)) {
        let image = place.text(cx).filter(|image| !image.is_empty());
        return Images { cpu: image.clone(), cuda: image.clone(), rocm: image };
    }
    let by_device = Table::open(cx, Some(&place), &BY_DEVICE, &place.path);
    refuse_both_names(cx, &by_device);
    let cuda = if by_device.has("cuda") { "cuda" } else { "gpu" };
    Images {
        cpu: by_device.text(cx, "cpu"),
        cuda: by_device.text(cx, cuda),
        rocm: by_device.text(cx, "rocm"),
    }
}

fn object(cx: &mut Context, table: &Table<'_>, name: &str) -> Option<Json> {
    let place = table.get(name)?;
    place.map(cx, "a map");
    Some(value::json(cx, place.node, &place.path)).filter(Json::is_object)
}

fn proxy_ports(cx: &mut Context, table: &Table<'_>) -> Vec<Json> {
    let Some(place) = table.get("proxy_ports") else {
        return Vec::new();
    };
    let mut ports = Vec::new();
    for element in place.list(cx, "a list of maps") {
        element.map(cx, "a map such as `{proxy_port: 8080}`");
        ports.push(value::json(cx, element.node, &element.path));
    }
    ports
}
