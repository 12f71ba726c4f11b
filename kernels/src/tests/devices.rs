//! What becomes of a device that fails, and of arrays on the wrong one.

use crate::error::Error;
use crate::gpu::{Gpu, Memory, Source};
use crate::replicates::{Judge, run};
use crate::segments::{Segments, moments};
use crate::summary::summary;
use crate::tests::searches;
use crate::{Device, DeviceChoice};
use std::sync::Arc;

/// A GPU whose memory is used up.
#[derive(Debug)]
struct Full;

fn refused<T>() -> Result<T, Error> {
    Err(Error::Driver { call: "cuMemAllocAsync", code: 2, name: "CUDA_ERROR_OUT_OF_MEMORY".to_owned() })
}

impl Gpu for Full {
    fn label(&self) -> String {
        "cuda:0 (full)".to_owned()
    }

    fn processors(&self) -> u64 {
        1
    }

    fn free_bytes(&self) -> Result<u64, Error> {
        refused()
    }

    fn allocate(&self, _: usize) -> Result<Memory, Error> {
        refused()
    }

    fn write(&self, _: &Memory, _: &[u8]) -> Result<(), Error> {
        refused()
    }

    fn read(&self, _: &Memory, _: &mut [u8]) -> Result<(), Error> {
        refused()
    }

    fn copy(&self, _: u64, _: &Memory, _: usize) -> Result<(), Error> {
        refused()
    }

    fn launch(&self, _: Source, _: &str, _: u64, _: &[u64]) -> Result<(), Error> {
        refused()
    }

    fn synchronize(&self) -> Result<(), Error> {
        refused()
    }
}

#[test]
fn a_gpu_that_was_asked_for_by_name_fails_with_call_and_code() {
    let device = Device::with(Arc::new(Full), false);
    let error = summary(&device, &[1.0, 2.0]).unwrap_err().to_string();
    assert_eq!(error, "cuMemAllocAsync failed with code 2 (CUDA_ERROR_OUT_OF_MEMORY)");
    assert!(run(&device, &searches::small(), &Judge::default()).is_err());
    assert_eq!(device.note(), None);
}

#[test]
fn the_cpu_takes_over_from_a_gpu_that_auto_chose_and_says_so() {
    let device = Device::with(Arc::new(Full), true);
    assert_eq!(summary(&device, &[1.0, 2.0]).unwrap().moments.mean(), 1.5);
    assert!(device.note().unwrap().contains("CUDA_ERROR_OUT_OF_MEMORY"));
    let expected = run(&Device::cpu(), &searches::small(), &Judge::default()).unwrap();
    let found = run(&device, &searches::small(), &Judge::default()).unwrap();
    // As text, since the mean before the first number is NaN.
    assert_eq!(format!("{found:?}"), format!("{expected:?}"));
}

#[test]
fn auto_always_opens_and_says_why_it_is_the_cpu() {
    let device = Device::open(DeviceChoice::Auto).unwrap();
    assert_eq!(device.note().is_some(), !device.is_gpu());
    let absent = Device::open(DeviceChoice::Cuda(999)).unwrap_err();
    match absent {
        Error::LibraryMissing { .. } | Error::NoSuchDevice { index: 999, .. } | Error::Driver { .. } => {}
        other => panic!("{other}"),
    }
    assert_eq!(Device::open(DeviceChoice::Cpu).unwrap().label(), "cpu");
}

#[test]
fn an_array_of_the_cpu_serves_on_a_gpu_but_not_the_other_way() {
    let values = [1.0_f32, 2.0, 6.0];
    let segments = Segments::whole(3);
    let cpu = Device::cpu();
    let here = cpu.upload(&values).unwrap();
    for device in super::devices().iter().filter(|device| device.is_gpu()) {
        assert_eq!(moments(device, &here, &segments).unwrap()[0].mean(), 3.0);
        let there = device.upload(&values).unwrap();
        let error = moments(&cpu, &there, &segments).unwrap_err().to_string();
        assert!(error.contains("upload the array"), "{error}");
        let copy = device.copy(&there).unwrap();
        assert_eq!(copy.to_vec().unwrap(), values);
    }
}
