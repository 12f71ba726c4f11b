//! The slots of this node: GPUs by NVML where the driver is there, else CPU slots.

use nvml_wrapper::Nvml;
use std::thread::available_parallelism;
use toprung_proto::v1::{Slot, SlotKind};

/// More CPU slots than this on one agent is a slip of the keyboard.
const MOST_SLOTS: u32 = 4096;

/// The slots this agent offers: `requested` CPU slots if given (at most 4096), else the GPUs that are visible, else one
/// CPU slot per core. Indexes are unique; those of GPUs are NVML's.
pub fn detect_slots(requested: Option<u32>) -> Vec<Slot> {
    if let Some(count) = requested {
        return cpu_slots(count.min(MOST_SLOTS));
    }
    let gpus = match Nvml::init().and_then(|nvml| gpu_slots(&nvml)) {
        Ok(gpus) => visible(gpus, std::env::var("CUDA_VISIBLE_DEVICES").ok().as_deref()),
        Err(error) => {
            tracing::debug!(%error, "no GPUs by NVML");
            Vec::new()
        }
    };
    if gpus.is_empty() { cpu_slots(cores()) } else { gpus }
}

/// Cores this process may use, at least 1.
pub(crate) fn cores() -> u32 {
    available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(MOST_SLOTS))
}

fn cpu_slots(count: u32) -> Vec<Slot> {
    (0..count)
        .map(|index| Slot {
            index,
            kind: SlotKind::Cpu.into(),
            name: "cpu".to_owned(),
            uuid: String::new(),
            memory_bytes: 0,
        })
        .collect()
}

fn gpu_slots(nvml: &Nvml) -> Result<Vec<Slot>, nvml_wrapper::error::NvmlError> {
    (0..nvml.device_count()?)
        .map(|index| {
            let device = nvml.device_by_index(index)?;
            Ok(Slot {
                index,
                kind: SlotKind::Gpu.into(),
                name: device.name()?,
                uuid: device.uuid()?,
                memory_bytes: device.memory_info()?.total,
            })
        })
        .collect()
}

/// The GPUs that the agent's own `CUDA_VISIBLE_DEVICES` leaves: indexes or UUIDs (also shortened); unset leaves all.
fn visible(gpus: Vec<Slot>, setting: Option<&str>) -> Vec<Slot> {
    let Some(setting) = setting else { return gpus };
    let wanted: Vec<&str> = setting.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    gpus.into_iter()
        .filter(|gpu| {
            wanted.iter().any(|name| {
                name.parse::<u32>() == Ok(gpu.index)
                    || (name.starts_with("GPU-") && gpu.uuid.starts_with(name))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(index: u32, uuid: &str) -> Slot {
        Slot { index, kind: SlotKind::Gpu.into(), uuid: uuid.to_owned(), ..Slot::default() }
    }

    #[test]
    fn requested_slots_are_cpu_slots() {
        let slots = detect_slots(Some(3));
        assert_eq!(slots.iter().map(|slot| slot.index).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(slots.iter().all(|slot| slot.kind() == SlotKind::Cpu && slot.name == "cpu"));
    }

    #[test]
    fn every_node_has_a_slot() {
        let slots = detect_slots(None);
        assert!(!slots.is_empty());
        let driver = std::path::Path::new("/proc/driver/nvidia/version").exists();
        if driver && std::env::var_os("CUDA_VISIBLE_DEVICES").is_none() {
            let is_whole = |slot: &Slot| slot.uuid.starts_with("GPU-") && slot.memory_bytes > 0;
            assert!(slots.iter().all(|slot| slot.kind() == SlotKind::Gpu && is_whole(slot)), "{slots:?}");
        }
    }

    #[test]
    fn cuda_visible_devices_limits_the_gpus() {
        let gpus = || vec![gpu(0, "GPU-aa"), gpu(1, "GPU-bb"), gpu(2, "GPU-bc")];
        let left = |setting| visible(gpus(), setting).iter().map(|gpu| gpu.index).collect::<Vec<_>>();
        assert_eq!(left(None), [0, 1, 2]);
        assert_eq!(left(Some("2, 0")), [0, 2]);
        assert_eq!(left(Some("GPU-b")), [1, 2]);
        assert!(left(Some("")).is_empty());
    }
}
