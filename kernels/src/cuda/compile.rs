//! Kernel sources to machine code by NVRTC.
//!
//! Code is made for the very GPU (`sm_90`): it loads with any driver of the same major version, while PTX of a newer NVRTC needs a newer
//! driver. Only for a GPU that NVRTC does not know yet, PTX for the newest one it knows is made, which the driver translates.

use crate::error::Error;
use crate::gpu::Source;
use cudarc::nvrtc::result::{self, NvrtcError};
use cudarc::nvrtc::sys;
use std::ffi::{CStr, CString};

/// Whether the library can be loaded.
pub(crate) fn is_present() -> bool {
    // SAFETY: the call only loads the library; NVRTC's initialisers have no conditions.
    unsafe { sys::is_culib_present() }
}

/// Refuses a version without machine code as output; a function that it lacks would panic in cudarc.
pub(crate) fn check_version() -> Result<(), Error> {
    let (mut major, mut minor) = (0, 0);
    // SAFETY: both integers outlive the call, which writes to them. Every version has this function.
    unsafe { sys::nvrtcVersion(&raw mut major, &raw mut minor) }
        .result()
        .map_err(|error| failure("nvrtcVersion", "the library", error, String::new()))?;
    if (major, minor) >= (11, 2) {
        return Ok(());
    }
    Err(Error::input("the version of libnvrtc", format!("{major}.{minor}"), "11.2 or newer, better 12.0"))
}

/// What code is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Machine code of GPUs of this compute capability (90 for 9.0).
    Machine(i32),
    /// PTX for GPUs of this compute capability and newer ones.
    Virtual(i32),
}

impl Target {
    /// The best that NVRTC can make for a GPU of this compute capability.
    pub(crate) fn of(capability: i32) -> Result<Self, Error> {
        let known = known_capabilities()?;
        if known.contains(&capability) {
            return Ok(Self::Machine(capability));
        }
        Ok(Self::Virtual(known.into_iter().filter(|&known| known < capability).max().unwrap_or(capability)))
    }

    fn option(self) -> String {
        match self {
            Self::Machine(capability) => format!("--gpu-architecture=sm_{capability}"),
            Self::Virtual(capability) => format!("--gpu-architecture=compute_{capability}"),
        }
    }
}

fn known_capabilities() -> Result<Vec<i32>, Error> {
    let failed = |call| move |error| failure(call, "the list of GPUs", error, String::new());
    let mut count = 0;
    // SAFETY: `count` outlives the call, which writes one integer to it.
    unsafe { sys::nvrtcGetNumSupportedArchs(&raw mut count) }
        .result()
        .map_err(failed("nvrtcGetNumSupportedArchs"))?;
    let mut known = vec![0; count.max(0) as usize];
    // SAFETY: the call writes as many integers as it said before, and `known` has room for these.
    unsafe { sys::nvrtcGetSupportedArchs(known.as_mut_ptr()) }
        .result()
        .map_err(failed("nvrtcGetSupportedArchs"))?;
    Ok(known)
}

/// Compiles a source: an image that the driver loads.
pub(crate) fn compile(source: Source, target: Target) -> Result<Vec<u8>, Error> {
    compile_text(source.file(), &source.text(), target)
}

fn compile_text(file: &'static str, text: &str, target: Target) -> Result<Vec<u8>, Error> {
    let program = Program::new(file, text)?;
    // Without contraction, so that products and sums round as on the CPU; `fma` is written where it is meant.
    let options = [target.option(), "--fmad=false".to_owned(), "--std=c++14".to_owned()];
    // SAFETY: the program is alive, and the options are strings without zero bytes.
    unsafe { result::compile_program(program.handle, &options) }
        .map_err(|error| failure("nvrtcCompileProgram", file, error, program.log()))?;
    program.image(target)
}

fn failure(call: &'static str, file: &'static str, error: NvrtcError, log: String) -> Error {
    let name = format!("{:?}", error.0);
    let log = if log.trim().is_empty() { "no log".to_owned() } else { log.trim().to_owned() };
    Error::Compile { call, code: error.0 as u32, name, file, log }
}

/// A program of NVRTC, destroyed when dropped.
struct Program {
    handle: sys::nvrtcProgram,
    file: &'static str,
}

impl Program {
    fn new(file: &'static str, text: &str) -> Result<Self, Error> {
        let invalid = |_| {
            failure(
                "nvrtcCreateProgram",
                file,
                NvrtcError(sys::nvrtcResult::NVRTC_ERROR_INVALID_INPUT),
                "zero byte".to_owned(),
            )
        };
        let text = CString::new(text).map_err(invalid)?;
        let name = CString::new(file).map_err(invalid)?;
        let handle = result::create_program(&text, Some(&name))
            .map_err(|error| failure("nvrtcCreateProgram", file, error, String::new()))?;
        Ok(Self { handle, file })
    }

    fn log(&self) -> String {
        // SAFETY: the program is alive.
        let Ok(log) = (unsafe { result::get_program_log(self.handle) }) else {
            return String::new();
        };
        let bytes: Vec<u8> = log.into_iter().map(|byte| byte as u8).collect();
        CStr::from_bytes_until_nul(&bytes)
            .map_or_else(|_| String::new(), |log| log.to_string_lossy().into_owned())
    }

    /// Machine code, or PTX with its closing zero.
    fn image(&self, target: Target) -> Result<Vec<u8>, Error> {
        let failed = |call| move |error| failure(call, self.file, error, String::new());
        if let Target::Virtual(_) = target {
            // SAFETY: the program is alive and was compiled.
            let text = unsafe { result::get_ptx(self.handle) }.map_err(failed("nvrtcGetPTX"))?;
            return Ok(text.into_iter().map(|byte| byte as u8).collect());
        }
        let mut size = 0;
        // SAFETY: the program is alive and was compiled; the call writes one integer to `size`.
        unsafe { sys::nvrtcGetCUBINSize(self.handle, &raw mut size) }
            .result()
            .map_err(failed("nvrtcGetCUBINSize"))?;
        let mut image = vec![0_u8; size];
        // SAFETY: the call writes as many bytes as it said before, and `image` has room for these.
        unsafe { sys::nvrtcGetCUBIN(self.handle, image.as_mut_ptr().cast()) }
            .result()
            .map_err(failed("nvrtcGetCUBIN"))?;
        Ok(image)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: the program is alive, and nothing uses it after this. A failure would only leak it.
        let _ = unsafe { result::destroy_program(self.handle) };
    }
}
