//! What can go wrong: a choice of device that makes no sense, a device that fails, an input that is out of range.

/// Why an operation was not done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The device was named in a way that is not known: write one of the allowed names.
    #[error(
        "device {found:?} is not known, allowed are auto, cpu, and cuda:N with the number of a GPU, such as cuda:0"
    )]
    Choice {
        /// What was written.
        found: String,
    },
    /// A library of CUDA is not on this machine: install it, or choose `auto` or `cpu`.
    #[error(
        "device {device} needs {library}, which the loader does not find; install it or add its folder to \
         LD_LIBRARY_PATH, or choose auto or cpu"
    )]
    LibraryMissing {
        /// The device that was asked for.
        device: String,
        /// The library's name.
        library: &'static str,
    },
    /// There is no GPU of this number: choose a lower one.
    #[error("device cuda:{index} does not exist; the driver shows {count} (numbers begin at 0)")]
    NoSuchDevice {
        /// The number asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The driver refused a call: the code says why.
    #[error("{call} failed with code {code} ({name})")]
    Driver {
        /// The call.
        call: &'static str,
        /// The driver's result code.
        code: u32,
        /// The code's name, such as `CUDA_ERROR_OUT_OF_MEMORY`.
        name: String,
    },
    /// NVRTC did not compile a kernel source: its version may be too old for the GPU.
    #[error("{call} failed with code {code} ({name}) on {file}: {log}")]
    Compile {
        /// The call.
        call: &'static str,
        /// NVRTC's result code.
        code: u32,
        /// The code's name.
        name: String,
        /// The source file.
        file: &'static str,
        /// The compiler's log.
        log: String,
    },
    /// The array lies on another device than the operation: upload it to this one.
    #[error("the array lies on {array}, the operation runs on {device}; upload the array to that device")]
    OtherDevice {
        /// Where the array is.
        array: String,
        /// Where the operation runs.
        device: String,
    },
    /// An input is out of range: change it to an allowed value.
    #[error("{input} is {found}, allowed is {allowed}")]
    Input {
        /// What it is.
        input: &'static str,
        /// What it was.
        found: String,
        /// What it may be.
        allowed: &'static str,
    },
}

impl Error {
    pub(crate) fn input(input: &'static str, found: impl std::fmt::Display, allowed: &'static str) -> Self {
        Self::Input { input, found: found.to_string(), allowed }
    }
}
