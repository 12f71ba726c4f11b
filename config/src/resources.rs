//! The `resources` section.

use crate::config::{Device, Resources};
use crate::context::{Context, Place, Table};
use crate::language::LARGEST;
use crate::language::surroundings::{DEVICE, RESOURCES};
use crate::node::Kind;

/// Reads the section.
pub(crate) fn read(cx: &mut Context, place: Option<&Place<'_>>) -> Resources {
    let table = Table::open(cx, place, &RESOURCES, "resources");
    let slots_per_trial = slots(cx, &table);
    let max_slots = table.optional_int(cx, "max_slots").and_then(|slots| u32::try_from(slots).ok());
    if let (Some(max), Some(place)) = (max_slots, table.get("max_slots"))
        && max < slots_per_trial.max(1)
    {
        let message =
            format!("is {max}, but a trial needs {}: none could ever start", slots_per_trial.max(1));
        cx.error(place.node.span, &place.path, message, "");
    }
    Resources {
        slots_per_trial,
        max_slots,
        priority: u8::try_from(table.int(cx, "priority")).unwrap_or_default(),
        weight: table.number(cx, "weight"),
        resource_pool: table.text(cx, "resource_pool"),
        is_single_node: table.get("is_single_node").and_then(|place| place.flag(cx)),
        cpus: table.optional_number(cx, "cpus"),
        memory_bytes: table.get("memory").and_then(|place| bytes(cx, &place)),
        shm_bytes: table.get("shm_size").and_then(|place| bytes(cx, &place)),
        devices: devices(cx, &table),
    }
}

fn slots(cx: &mut Context, table: &Table<'_>) -> u32 {
    if let Some(place) = table.get("slots_per_trial")
        && let Kind::Float(value) = place.node.kind
        && value.fract() != 0.0
    {
        let help = "give a whole number; 0 needs no GPU";
        cx.error(place.node.span, &place.path, "fractions of slots are not supported yet", help);
        return 1;
    }
    table.small(cx, "slots_per_trial")
}

fn devices(cx: &mut Context, table: &Table<'_>) -> Vec<Device> {
    let Some(place) = table.get("devices") else {
        return Vec::new();
    };
    let mut devices = Vec::new();
    for element in place.list(cx, "a list of maps") {
        let device = Table::open(cx, Some(&element), &DEVICE, &element.path);
        devices.push(Device {
            host_path: device.text(cx, "host_path").unwrap_or_default(),
            container_path: device.text(cx, "container_path").unwrap_or_default(),
            mode: device.text(cx, "mode").unwrap_or_else(|| "mrw".to_owned()),
        });
    }
    devices
}

/// A number of bytes: an integer, or one with a unit such as `8GiB`, `512m`, `1.5 GB`.
pub(crate) fn bytes(cx: &mut Context, place: &Place<'_>) -> Option<u64> {
    if matches!(place.node.kind, Kind::Int(_) | Kind::Float(_)) {
        return place.int(cx, 1, LARGEST).and_then(|bytes| u64::try_from(bytes).ok());
    }
    let text = place.text(cx)?;
    let read = parse_bytes(&text);
    if read.is_none() {
        let message = format!("found {}, expected a number of bytes such as `8GiB`", place.node.described());
        cx.error(
            place.node.span,
            &place.path,
            message,
            "units are k, m, g, t and Ki, Mi, Gi, Ti, with or without `B`",
        );
    }
    read
}

fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().to_lowercase();
    // Of old, `4g` is a binary unit to Docker and Determined; `GB` is decimal and `GiB` binary.
    let factor: u64 = match unit.as_str() {
        "" | "b" => 1,
        "k" | "ki" | "kib" => 1 << 10,
        "m" | "mi" | "mib" => 1 << 20,
        "g" | "gi" | "gib" => 1 << 30,
        "t" | "ti" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    let value = number.parse::<f64>().ok()? * factor as f64;
    (value >= 1.0 && value <= LARGEST as f64).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn sizes_with_units() {
        for (text, expected) in [
            ("1", Some(1)),
            ("4g", Some(4 << 30)),
            ("8GiB", Some(8 << 30)),
            ("8 GB", Some(8_000_000_000)),
            ("1.5k", Some(1536)),
            ("512M", Some(512 << 20)),
            ("0", None),
            ("-1", None),
            ("g", None),
            ("4x", None),
            ("", None),
            ("99999999999999999999t", None),
        ] {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
    }
}
