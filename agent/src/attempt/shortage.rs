//! Whether an error says that memory ran out, and which memory: the node's or a device's. Pure.

/// Which memory ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// Of the node, or of the container.
    Host,
    /// Of a GPU or another accelerator.
    Device,
}

const DEVICE: [&str; 15] = [
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "cudaErrorMemoryAllocation",
    "cudaMalloc failed: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "HIP out of memory",
    "hipErrorOutOfMemory",
    "MPS backend out of memory",
    "XPU out of memory",
    "torch.OutOfMemoryError",
    "torch.cuda.OutOfMemoryError",
    "c10::OutOfMemoryError",
    "RESOURCE_EXHAUSTED: Out of memory",
    "OOM when allocating tensor",
];

const HOST: [&str; 5] = [
    "std::bad_alloc",
    "Cannot allocate memory",
    "can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "_ArrayMemoryError",
];

/// What a line of an error says of memory.
pub(crate) fn of_line(line: &str) -> Option<Shortage> {
    let has = |words: &&str| line.contains(*words);
    if DEVICE.iter().any(has) {
        return Some(Shortage::Device);
    }
    let named = line.trim_start().strip_prefix("MemoryError");
    let python = named.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
    (python || HOST.iter().any(has)).then_some(Shortage::Host)
}

/// What a worker's death looks like to the process that waits for it.
pub(crate) fn of_worker(line: &str) -> bool {
    ["killed by signal: Killed", "exitcode: -9", "exit code -9", "SIGKILL", "terminated abruptly"]
        .iter()
        .any(|words| line.contains(words))
}

/// The first of an error's lines that speaks of memory. A device's shortage goes first: what follows it on the host is
/// often only its consequence.
pub(crate) fn of_error<'lines>(lines: &[&'lines str]) -> Option<(Shortage, &'lines str)> {
    let said =
        |wanted| lines.iter().find(|line| of_line(line) == Some(wanted)).map(|line| (wanted, line.trim()));
    said(Shortage::Device).or_else(|| said(Shortage::Host))
}

impl Shortage {
    /// What happened and what to do about it. `said`: the words of the error, or of the system.
    pub(crate) fn message(self, said: &str) -> String {
        const LONGEST: usize = 400;
        let end = said.floor_char_boundary(LONGEST);
        let said = said.get(..end).unwrap_or_default();
        match self {
            Self::Host => format!(
                "out of memory on the node: {said}; use a smaller batch, fewer data loader workers, or fewer slots on \
                 this agent"
            ),
            Self::Device => format!(
                "out of GPU memory: {said}; use a smaller batch or model, or more GPUs for each trial \
                 (resources.slots_per_trial)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_device_are_told_apart() {
        for line in [
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1 GiB",
            "RuntimeError: CUDA error: out of memory",
            "pycuda._driver.MemoryError: cuMemAlloc failed: CUDA_ERROR_OUT_OF_MEMORY",
            "cupy: cudaErrorMemoryAllocation: out of memory",
            "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.",
            "torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2.00 GiB",
        ] {
            assert_eq!(of_line(line), Some(Shortage::Device), "{line}");
        }
        for line in [
            "MemoryError",
            "MemoryError: Unable to allocate 7.45 GiB",
            "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.45 GiB for an array with shape (1,)",
            "  what():  std::bad_alloc",
            "OSError: [Errno 12] Cannot allocate memory",
            "RuntimeError: [enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory: you tried",
        ] {
            assert_eq!(of_line(line), Some(Shortage::Host), "{line}");
        }
        for line in ["ValueError: MemoryError", "MemoryErrors", "memory is fine", "ValueError: no"] {
            assert_eq!(of_line(line), None, "{line}");
        }
    }

    #[test]
    fn the_message_is_bounded_and_says_what_to_do() {
        let long = Shortage::Device.message(&"é".repeat(5000));
        assert!(long.len() < 700 && long.contains("resources.slots_per_trial"), "{long}");
        assert!(Shortage::Host.message("x").contains("smaller batch"));
    }
}
