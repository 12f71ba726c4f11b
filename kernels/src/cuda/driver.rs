//! One GPU: memory, copies and launches, all on the default stream of its primary context, so in the order they were asked for.

use super::compile::{Target, compile};
use crate::error::Error;
use crate::gpu::{BLOCK, Gpu, Memory, Source};
use cudarc::driver::result::{self, DriverError};
use cudarc::driver::{CudaContext, CudaFunction, CudaModule, CudaStream, DevicePtr, sys};
use cudarc::nvrtc::Ptx;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What memory holds before its first use, in tests.
#[cfg(test)]
const POISON: u8 = 0xA5;

/// Whether the driver can be loaded.
pub(super) fn is_present() -> bool {
    // SAFETY: the call only loads the library; the driver's initialisers have no conditions.
    unsafe { sys::is_culib_present() }
}

/// A GPU, with the kernels that were used so far.
pub(super) struct Cuda {
    index: usize,
    name: String,
    processors: u64,
    target: Target,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    kernels: Mutex<Kernels>,
}

#[derive(Default)]
struct Kernels {
    modules: BTreeMap<Source, Arc<CudaModule>>,
    functions: BTreeMap<String, CudaFunction>,
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label())
    }
}

/// What a refused call says.
fn failed(call: &'static str) -> impl Fn(DriverError) -> Error {
    move |error| {
        let name = error
            .error_name()
            .map_or_else(|_| format!("{:?}", error.0), |name| name.to_string_lossy().into_owned());
        Error::Driver { call, code: error.0 as u32, name }
    }
}

impl Cuda {
    pub(super) fn open(index: usize) -> Result<Self, Error> {
        result::init().map_err(failed("cuInit"))?;
        let count = CudaContext::device_count().map_err(failed("cuDeviceGetCount"))?.max(0) as usize;
        if index >= count {
            return Err(Error::NoSuchDevice { index, count });
        }
        let context = CudaContext::new(index).map_err(failed("cuDevicePrimaryCtxRetain"))?;
        let (major, minor) = context.compute_capability().map_err(failed("cuDeviceGetAttribute"))?;
        let processors = context
            .attribute(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
            .map_err(failed("cuDeviceGetAttribute"))?;
        keep_freed_memory(&context)?;
        Ok(Self {
            index,
            name: context.name().map_err(failed("cuDeviceGetName"))?,
            processors: processors.max(1) as u64,
            target: Target::of(10 * major + minor)?,
            stream: context.default_stream(),
            kernels: Mutex::default(),
            context,
        })
    }

    /// A kernel; its source is compiled and loaded when first needed.
    fn kernel(&self, source: Source, name: &str) -> Result<CudaFunction, Error> {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = kernels.functions.get(name) {
            return Ok(function.clone());
        }
        let module = match kernels.modules.get(&source) {
            Some(module) => Arc::clone(module),
            None => {
                let image = Ptx::from_binary(compile(source, self.target)?);
                let module = self.context.load_module(image).map_err(failed("cuModuleLoadData"))?;
                kernels.modules.insert(source, Arc::clone(&module));
                module
            }
        };
        let function = module.load_function(name).map_err(failed("cuModuleGetFunction"))?;
        kernels.functions.insert(name.to_owned(), function.clone());
        Ok(function)
    }

    fn bind(&self) -> Result<(), Error> {
        self.context.bind_to_thread().map_err(failed("cuCtxSetCurrent"))
    }
}

/// Lets freed memory stay with the process, so that the next small allocation costs no call into the kernel.
fn keep_freed_memory(context: &CudaContext) -> Result<(), Error> {
    if !context.has_async_alloc() {
        return Ok(());
    }
    let mut pool = std::ptr::null_mut();
    // SAFETY: the device is one of the driver's; the call writes one handle to `pool`.
    unsafe { sys::cuDeviceGetDefaultMemPool(&raw mut pool, context.cu_device()) }
        .result()
        .map_err(failed("cuDeviceGetDefaultMemPool"))?;
    let mut most = u64::MAX;
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the pool is the device's own, and this attribute is a 64-bit integer, read during the call.
    unsafe { sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut most).cast()) }
        .result()
        .map_err(failed("cuMemPoolSetAttribute"))
}

impl Gpu for Cuda {
    fn label(&self) -> String {
        format!("cuda:{} ({})", self.index, self.name)
    }

    fn processors(&self) -> u64 {
        self.processors
    }

    fn free_bytes(&self) -> Result<u64, Error> {
        let (free, _) = self.context.mem_get_info().map_err(failed("cuMemGetInfo"))?;
        Ok(free as u64)
    }

    fn allocate(&self, bytes: usize) -> Result<Memory, Error> {
        // SAFETY: the content is undefined; every operation writes what it reads.
        let slice = unsafe { self.stream.alloc::<u8>(bytes.max(1)) }.map_err(failed("cuMemAllocAsync"))?;
        let address = slice.device_ptr(&self.stream).0;
        // SAFETY: the address is that of an allocation of at least so many bytes, on the same stream.
        #[cfg(test)]
        unsafe { result::memset_d8_async(address, POISON, bytes.max(1), self.stream.cu_stream()) }
            .map_err(failed("cuMemsetD8Async"))?;
        Ok(Memory { address, bytes, _keep: Box::new(slice) })
    }

    fn write(&self, to: &Memory, bytes: &[u8]) -> Result<(), Error> {
        assert!(bytes.len() <= to.bytes, "a copy stays within its memory");
        self.bind()?;
        // SAFETY: the memory is alive and large enough, and `bytes` is borrowed until the stream has been waited for.
        unsafe { result::memcpy_htod_async(to.address, bytes, self.stream.cu_stream()) }
            .map_err(failed("cuMemcpyHtoDAsync"))?;
        self.synchronize()
    }

    fn read(&self, from: &Memory, bytes: &mut [u8]) -> Result<(), Error> {
        assert!(bytes.len() <= from.bytes, "a copy stays within its memory");
        self.bind()?;
        // SAFETY: the memory is alive and large enough, and `bytes` is borrowed until the stream has been waited for.
        unsafe { result::memcpy_dtoh_async(bytes, from.address, self.stream.cu_stream()) }
            .map_err(failed("cuMemcpyDtoHAsync"))?;
        self.synchronize()
    }

    fn copy(&self, from: u64, to: &Memory, bytes: usize) -> Result<(), Error> {
        assert!(bytes <= to.bytes, "a copy stays within its memory");
        self.bind()?;
        // SAFETY: the caller holds the source of so many bytes; the target is alive and large enough.
        unsafe { result::memcpy_dtod_async(to.address, from, bytes, self.stream.cu_stream()) }
            .map_err(failed("cuMemcpyDtoDAsync"))
    }

    fn launch(&self, source: Source, kernel: &str, blocks: u64, arguments: &[u64]) -> Result<(), Error> {
        if blocks == 0 {
            return Ok(());
        }
        let Ok(grid) = i32::try_from(blocks) else {
            return Err(Error::input(
                "the number of blocks of a kernel",
                blocks,
                "below 2^31; take fewer segments at once",
            ));
        };
        self.bind()?;
        let function = self.kernel(source, kernel)?;
        let mut words = arguments.to_vec();
        let mut pointers: Vec<*mut c_void> = words.iter_mut().map(|word| (&raw mut *word).cast()).collect();
        // SAFETY: the function belongs to a module that `kernels` keeps loaded. Each kernel reads of each pointer as many
        // bytes as its parameter has, at most the eight of a word (integers are little-endian on both sides), and the driver copies
        // them during the call. The modules beside this one pass as many words as the kernel has parameters, and addresses of
        // memory that stays alive on this stream: it is freed in stream order.
        unsafe {
            result::launch_kernel(
                function.cu_function(),
                (grid as u32, 1, 1),
                (BLOCK as u32, 1, 1),
                0,
                self.stream.cu_stream(),
                &mut pointers,
            )
        }
        .map_err(failed("cuLaunchKernel"))
    }

    fn synchronize(&self) -> Result<(), Error> {
        self.stream.synchronize().map_err(failed("cuStreamSynchronize"))
    }
}
