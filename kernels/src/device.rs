//! An opened device, and how an operation gets to it.

use crate::array::{DeviceArray, Element, Input, Store};
use crate::choice::DeviceChoice;
use crate::cuda;
use crate::error::Error;
use crate::gpu::{Gpu, Memory, upload};
use std::sync::{Arc, Mutex, PoisonError};

/// The most elements an array may have: places are 32 bits in the selection kernels.
const MOST_ELEMENTS: usize = u32::MAX as usize;

/// Where operations run. Clones are the same device.
#[derive(Clone, Debug)]
pub struct Device {
    gpu: Option<Arc<dyn Gpu>>,
    /// Whether the CPU takes over what the GPU fails at.
    yields: bool,
    note: Arc<Mutex<Option<String>>>,
}

/// An input on a GPU.
pub(crate) struct OnGpu<'a> {
    pub gpu: &'a Arc<dyn Gpu>,
    /// Where its first element is.
    pub address: u64,
    pub length: usize,
}

impl Device {
    /// The CPU.
    pub fn cpu() -> Self {
        Self { gpu: None, yields: false, note: Arc::default() }
    }

    /// Opens what was chosen. Only `auto` falls back to the CPU; [`Device::note`] then says why.
    pub fn open(choice: DeviceChoice) -> Result<Self, Error> {
        match choice {
            DeviceChoice::Cpu => Ok(Self::cpu()),
            DeviceChoice::Cuda(index) => {
                Ok(Self { gpu: Some(cuda::open(index)?), yields: false, note: Arc::default() })
            }
            DeviceChoice::Auto => Ok(match cuda::open(0) {
                Ok(gpu) => Self { gpu: Some(gpu), yields: true, note: Arc::default() },
                Err(error) => {
                    let device = Self::cpu();
                    device.set_note(&error);
                    device
                }
            }),
        }
    }

    /// A device on any implementation of the GPU's side.
    #[cfg(test)]
    pub(crate) fn with(gpu: Arc<dyn Gpu>, yields: bool) -> Self {
        Self { gpu: Some(gpu), yields, note: Arc::default() }
    }

    /// Its name for people: `cpu`, or the GPU's number and name.
    pub fn label(&self) -> String {
        self.gpu.as_ref().map_or_else(|| "cpu".to_owned(), |gpu| gpu.label())
    }

    /// Whether it is a GPU.
    pub fn is_gpu(&self) -> bool {
        self.gpu.is_some()
    }

    /// Why the CPU was taken (the last time, for a GPU that failed at an operation) although `auto` might have meant a GPU.
    pub fn note(&self) -> Option<String> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_note(&self, error: &Error) {
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }

    /// Copies values to the device.
    pub fn upload<T: Element>(&self, values: &[T]) -> Result<DeviceArray<T>, Error> {
        check_length(values.len())?;
        let store = match &self.gpu {
            None => Store::Host(values.to_vec()),
            Some(gpu) => Store::Gpu { gpu: Arc::clone(gpu), memory: upload(&**gpu, values)? },
        };
        Ok(DeviceArray { length: values.len(), store })
    }

    /// Waits until everything that was asked of the device is done.
    pub fn synchronize(&self) -> Result<(), Error> {
        self.gpu.as_ref().map_or(Ok(()), |gpu| gpu.synchronize())
    }

    /// Copies an array on the device; the yardstick of `benches/bandwidth.rs`.
    pub fn copy<T: Element>(&self, array: &DeviceArray<T>) -> Result<DeviceArray<T>, Error> {
        let input = Input::Array(array);
        let on_gpu = |on: OnGpu<'_>| {
            let memory = on.gpu.allocate(on.length * size_of::<T>())?;
            on.gpu.copy(on.address, &memory, on.length * size_of::<T>())?;
            Ok(gpu_array(on.gpu, memory, on.length))
        };
        self.run(input, on_gpu, |values| DeviceArray {
            length: values.len(),
            store: Store::Host(values.to_vec()),
        })
    }

    /// Does an operation that has one input, on the GPU or on the CPU.
    pub(crate) fn run<T: Element, R>(
        &self,
        input: Input<'_, T>,
        on_gpu: impl FnOnce(OnGpu<'_>) -> Result<R, Error>,
        on_cpu: impl FnOnce(&[T]) -> R,
    ) -> Result<R, Error> {
        check_length(input.len())?;
        let place = match input {
            Input::Host(values) => Ok(values),
            Input::Array(array) => match &array.store {
                Store::Host(values) => Ok(&values[..]),
                Store::Gpu { gpu, memory } => Err((array, gpu, memory)),
            },
        };
        match (place, &self.gpu) {
            (Ok(values), None) => Ok(on_cpu(values)),
            (Ok(values), Some(gpu)) => {
                let uploaded = || {
                    let memory = upload(&**gpu, values)?;
                    on_gpu(OnGpu { gpu, address: memory.address, length: values.len() })
                };
                self.or_yield(uploaded, || on_cpu(values))
            }
            (Err((array, its, memory)), Some(gpu)) if Arc::ptr_eq(gpu, its) => {
                on_gpu(OnGpu { gpu, address: memory.address, length: array.length })
            }
            (Err((array, ..)), _) => Err(Error::OtherDevice { array: array.place(), device: self.label() }),
        }
    }

    /// Does several operations on one device: all on the GPU, or, if one fails and the CPU may take over, all on the CPU.
    pub(crate) fn whole<R>(&self, work: impl Fn(&Self) -> Result<R, Error>) -> Result<R, Error> {
        let strict = Self { yields: false, ..self.clone() };
        match work(&strict) {
            Err(error) if self.yields => {
                self.set_note(&error);
                work(&Self::cpu())
            }
            done => done,
        }
    }

    /// The GPU, if it is one.
    pub(crate) fn gpu(&self) -> Option<&Arc<dyn Gpu>> {
        self.gpu.as_ref()
    }

    fn or_yield<R>(
        &self,
        on_gpu: impl FnOnce() -> Result<R, Error>,
        on_cpu: impl FnOnce() -> R,
    ) -> Result<R, Error> {
        match on_gpu() {
            Err(error) if self.yields => {
                self.set_note(&error);
                Ok(on_cpu())
            }
            done => done,
        }
    }
}

impl<T> DeviceArray<T> {
    fn place(&self) -> String {
        match &self.store {
            Store::Host(_) => "cpu".to_owned(),
            Store::Gpu { gpu, .. } => gpu.label(),
        }
    }
}

/// An array of memory that an operation has filled.
pub(crate) fn gpu_array<T>(gpu: &Arc<dyn Gpu>, memory: Memory, length: usize) -> DeviceArray<T> {
    DeviceArray { length, store: Store::Gpu { gpu: Arc::clone(gpu), memory } }
}

fn check_length(length: usize) -> Result<(), Error> {
    if length <= MOST_ELEMENTS {
        Ok(())
    } else {
        Err(Error::input("the number of elements", length, "fewer than 2^32; cut the array into parts"))
    }
}
