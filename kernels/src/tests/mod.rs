//! Every operation on every device that is here, against an independent reference.
//!
//! | device | when |
//! |---|---|
//! | the CPU | always |
//! | the kernels on an emulated GPU | if there is a C++ compiler (`c++`, or `TOPRUNG_CXX`) |
//! | the kernels on a GPU | if the driver and NVRTC are there |
//!
//! What is not there is skipped and said on the error output (`cargo test -- --nocapture`).

mod compiling;
mod devices;
mod emulator;
mod inputs;
mod order;
mod reductions;
mod reference;
mod searches;

use crate::{Device, DeviceChoice};
use std::sync::OnceLock;

/// Every device that is here.
pub(crate) fn devices() -> &'static [Device] {
    static DEVICES: OnceLock<Vec<Device>> = OnceLock::new();
    DEVICES.get_or_init(|| {
        let mut devices = vec![Device::cpu()];
        match emulator::Emulator::start() {
            Ok(emulator) => devices.push(Device::with(emulator, false)),
            Err(reason) => eprintln!("skipped on an emulated GPU: {reason}"),
        }
        match Device::open(DeviceChoice::Cuda(0)) {
            Ok(device) => devices.push(device),
            Err(reason) => eprintln!("skipped on a GPU: {reason}"),
        }
        let labels: Vec<String> = devices.iter().map(Device::label).collect();
        eprintln!("kernels are tested on: {}", labels.join(", "));
        devices
    })
}
