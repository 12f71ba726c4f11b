//! Histogram of equal bins.
//!
//! The bin of a value is `(x - low) * scale` in f64, rounded toward zero, in this order and without contraction, as on the CPU.
//! Behind the bins come three more counters: below, above, NaN.

#define SHARED_BINS 8192u

template <class T>
__device__ __forceinline__ u64 bin_of(T value, double low, double high, double scale, u64 bins) {
    const double number = (double)value;
    if (number != number) return bins + 2;
    if (number < low) return bins;
    if (number > high) return bins + 1;
    const u64 bin = (u64)__dmul_rn(__dadd_rn(number, -low), scale);
    return bin < bins ? bin : bins - 1;
}

/// Counts in shared memory, then adds to `counts`. A block sees fewer than 2^32 values.
template <class T>
__device__ __forceinline__ void histogram_shared(const T* values, u64 length, double low, double high, double scale,
                                                 u64 bins, u64* counts) {
    __shared__ u32 mine[SHARED_BINS];
    for (u32 bin = threadIdx.x; bin < bins + 3; bin += BLOCK) mine[bin] = 0;
    __syncthreads();
    const u64 stride = 4ull * BLOCK * gridDim.x;
    const u64 last = length & ~3ull;
    for (u64 at = 4 * thread_number(); at < last; at += stride) {
        T group[4];
        load_four(values + at, group);
        for (int i = 0; i < 4; i++) atomicAdd(&mine[bin_of(group[i], low, high, scale, bins)], 1u);
    }
    if (blockIdx.x == 0 && last + threadIdx.x < length) {
        atomicAdd(&mine[bin_of(values[last + threadIdx.x], low, high, scale, bins)], 1u);
    }
    __syncthreads();
    for (u32 bin = threadIdx.x; bin < bins + 3; bin += BLOCK) {
        if (mine[bin] != 0) atomicAdd(&counts[bin], (u64)mine[bin]);
    }
}

/// For more bins than shared memory holds.
template <class T>
__device__ __forceinline__ void histogram_global(const T* values, u64 length, double low, double high, double scale,
                                                 u64 bins, u64* counts) {
    for (u64 at = thread_number(); at < length; at += (u64)BLOCK * gridDim.x) {
        atomicAdd(&counts[bin_of(values[at], low, high, scale, bins)], 1ull);
    }
}

#define HISTOGRAM(T, suffix)                                                                                  \
    extern "C" __global__ void __launch_bounds__(256) histogram_shared_##suffix(                              \
        const T* values, u64 length, double low, double high, double scale, u64 bins, u64* counts) {          \
        histogram_shared<T>(values, length, low, high, scale, bins, counts);                                  \
    }                                                                                                         \
    extern "C" __global__ void __launch_bounds__(256) histogram_global_##suffix(                              \
        const T* values, u64 length, double low, double high, double scale, u64 bins, u64* counts) {          \
        histogram_global<T>(values, length, low, high, scale, bins, counts);                                  \
    }

HISTOGRAM(float, f32)
HISTOGRAM(double, f64)

/// Zeros.
extern "C" __global__ void __launch_bounds__(256) clear_words(u64* words, u64 count) {
    for (u64 at = thread_number(); at < count; at += (u64)BLOCK * gridDim.x) words[at] = 0;
}
