//! Arrays that lie on a device, and slices of the host, as inputs of an operation.

use crate::error::Error;
use crate::gpu::{Gpu, Memory, download};
use std::sync::Arc;

/// A type of elements: `f32` or `f64`.
pub trait Element: bytemuck::Pod + Send + Sync + PartialOrd + sealed::Sealed {
    /// What the kernels' names end in.
    #[doc(hidden)]
    const SUFFIX: &'static str;
    /// How many bits an order key has.
    #[doc(hidden)]
    const BITS: u32;
    /// NaN.
    const NAN: Self;

    /// The same number as `f64`.
    fn widen(self) -> f64;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Element for f32 {
    const SUFFIX: &'static str = "f32";
    const BITS: u32 = 32;
    const NAN: Self = Self::NAN;

    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl Element for f64 {
    const SUFFIX: &'static str = "f64";
    const BITS: u32 = 64;
    const NAN: Self = Self::NAN;

    fn widen(self) -> f64 {
        self
    }
}

/// An array on a device; made by [`crate::Device::upload`] or by an operation.
#[derive(Debug)]
pub struct DeviceArray<T> {
    pub(crate) length: usize,
    pub(crate) store: Store<T>,
}

/// Where the elements are.
#[derive(Debug)]
pub(crate) enum Store<T> {
    Host(Vec<T>),
    Gpu { gpu: Arc<dyn Gpu>, memory: Memory },
}

impl<T: Element> DeviceArray<T> {
    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A copy on the host.
    pub fn to_vec(&self) -> Result<Vec<T>, Error> {
        match &self.store {
            Store::Host(values) => Ok(values.clone()),
            Store::Gpu { gpu, memory } => download(&**gpu, memory, self.length),
        }
    }

    /// The elements on the host; they are moved if they lie there already.
    pub fn into_vec(self) -> Result<Vec<T>, Error> {
        match self.store {
            Store::Host(values) => Ok(values),
            Store::Gpu { gpu, memory } => download(&*gpu, &memory, self.length),
        }
    }
}

/// What an operation works on. A slice, or an array of the CPU, is copied to a GPU at each call; an array of that GPU is there already.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a, T> {
    /// Values on the host.
    Host(&'a [T]),
    /// Values on a device.
    Array(&'a DeviceArray<T>),
}

impl<T: Element> Input<'_, T> {
    /// How many elements it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Host(values) => values.len(),
            Self::Array(array) => array.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a, T> From<&'a [T]> for Input<'a, T> {
    fn from(values: &'a [T]) -> Self {
        Self::Host(values)
    }
}

impl<'a, T> From<&'a Vec<T>> for Input<'a, T> {
    fn from(values: &'a Vec<T>) -> Self {
        Self::Host(values)
    }
}

impl<'a, T, const N: usize> From<&'a [T; N]> for Input<'a, T> {
    fn from(values: &'a [T; N]) -> Self {
        Self::Host(values)
    }
}

impl<'a, T> From<&'a DeviceArray<T>> for Input<'a, T> {
    fn from(array: &'a DeviceArray<T>) -> Self {
        Self::Array(array)
    }
}
