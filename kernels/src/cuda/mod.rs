//! The CUDA driver and NVRTC through cudarc, loaded at run time; the only module with `unsafe`.
//!
//! cudarc panics when it calls a library that is not there, so [`open`] asks for both libraries before anything else.

#![allow(unsafe_code)]

mod compile;
mod driver;

#[cfg(test)]
pub(crate) use compile::{Target, compile};

use crate::error::Error;
use crate::gpu::Gpu;
use std::sync::Arc;

/// Opens a GPU.
pub(crate) fn open(index: usize) -> Result<Arc<dyn Gpu>, Error> {
    let missing = |library| Error::LibraryMissing { device: format!("cuda:{index}"), library };
    if !driver::is_present() {
        return Err(missing("libcuda (the NVIDIA driver)"));
    }
    if !compile::is_present() {
        return Err(missing("libnvrtc (the CUDA run-time compiler, 12.0 or newer)"));
    }
    compile::check_version()?;
    Ok(Arc::new(driver::Cuda::open(index)?))
}

/// Whether kernel sources can be compiled here.
#[cfg(test)]
pub(crate) fn can_compile() -> bool {
    compile::is_present()
}
