//! Running best: at each place of a segment the best value so far, NaN before the first number.
//!
//! The order is that of `exact_key`, so the result depends on nothing but the values. Long segments are cut into pieces: the best of each
//! piece, the best before each piece, then the pieces.

template <class T>
__device__ __forceinline__ T better(T earlier, T later, u32 largest) {
    return exact_key(later, largest) < exact_key(earlier, largest) ? later : earlier;
}

__device__ __forceinline__ float lower_lane(float value, u32 distance) {
    return __uint_as_float(__shfl_up_sync(WHOLE_WARP, __float_as_uint(value), distance));
}

__device__ __forceinline__ double lower_lane(double value, u32 distance) {
    const u64 bits = (u64)__double_as_longlong(value);
    const u32 low = __shfl_up_sync(WHOLE_WARP, (u32)bits, distance);
    const u32 high = __shfl_up_sync(WHOLE_WARP, (u32)(bits >> 32), distance);
    return __longlong_as_double((i64)((u64)high << 32 | low));
}

__device__ __forceinline__ float of_lane(float value, u32 lane) {
    return __uint_as_float(__shfl_sync(WHOLE_WARP, __float_as_uint(value), lane));
}

__device__ __forceinline__ double of_lane(double value, u32 lane) {
    const u64 bits = (u64)__double_as_longlong(value);
    const u32 low = __shfl_sync(WHOLE_WARP, (u32)bits, lane);
    const u32 high = __shfl_sync(WHOLE_WARP, (u32)(bits >> 32), lane);
    return __longlong_as_double((i64)((u64)high << 32 | low));
}

/// The best of the lanes up to this one.
template <class T>
__device__ __forceinline__ T best_up_to(T value, u32 largest) {
    for (u32 distance = 1; distance < 32; distance *= 2) {
        const T earlier = lower_lane(value, distance);
        if (threadIdx.x % 32 >= distance) value = better(earlier, value, largest);
    }
    return value;
}

/// Segments of at most `longest` values, one by each warp.
template <class T>
__device__ __forceinline__ void best_short(const T* values, const u64* offsets, u64 segments, u64 longest,
                                           u32 largest, T* out) {
    const u64 segment = thread_number() / 32;
    const u32 lane = threadIdx.x % 32;
    u64 begin = 0, end = 0;
    if (segment < segments) {
        begin = offsets[segment];
        end = offsets[segment + 1];
    }
    if (end - begin > longest) end = begin;
    T before = (T)NOT_A_NUMBER;
    for (u64 tile = begin; tile < end; tile += 32) {
        const u64 at = tile + lane;
        T best = best_up_to(at < end ? values[at] : (T)NOT_A_NUMBER, largest);
        best = better(before, best, largest);
        if (at < end) out[at] = best;
        before = of_lane(best, 31);
    }
}

/// The best of the piece of each block.
template <class T>
__device__ __forceinline__ void best_of_piece(const T* values, const u64* begins, const u64* ends, u32 largest,
                                              T* out) {
    __shared__ T of_warp[WARPS];
    T best = (T)NOT_A_NUMBER;
    for (u64 at = begins[blockIdx.x] + threadIdx.x; at < ends[blockIdx.x]; at += BLOCK) {
        best = better(best, values[at], largest);
    }
    best = best_up_to(best, largest);
    if (threadIdx.x % 32 == 31) of_warp[threadIdx.x / 32] = best;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (u32 warp = 1; warp < WARPS; warp++) of_warp[0] = better(of_warp[0], of_warp[warp], largest);
        out[blockIdx.x] = of_warp[0];
    }
}

/// The best before each piece of a long segment, in place; one segment by each warp.
template <class T>
__device__ __forceinline__ void best_before(const u64* offsets, u64 segments, u32 largest, T* pieces) {
    const u64 segment = thread_number() / 32;
    const u32 lane = threadIdx.x % 32;
    u64 begin = 0, end = 0;
    if (segment < segments) {
        begin = offsets[segment];
        end = offsets[segment + 1];
    }
    T before = (T)NOT_A_NUMBER;
    for (u64 tile = begin; tile < end; tile += 32) {
        const u64 at = tile + lane;
        T best = best_up_to(at < end ? pieces[at] : (T)NOT_A_NUMBER, largest);
        best = better(before, best, largest);
        const T earlier = lower_lane(best, 1);
        if (at < end) pieces[at] = lane == 0 ? before : earlier;
        before = of_lane(best, 31);
    }
}

/// The piece of each block, from the best before it.
template <class T>
__device__ __forceinline__ void best_piece(const T* values, const u64* begins, const u64* ends, const T* pieces,
                                           u32 largest, T* out) {
    __shared__ T of_warp[WARPS];
    T before = pieces[blockIdx.x];
    for (u64 tile = begins[blockIdx.x]; tile < ends[blockIdx.x]; tile += BLOCK) {
        const u64 at = tile + threadIdx.x;
        const bool inside = at < ends[blockIdx.x];
        T best = best_up_to(inside ? values[at] : (T)NOT_A_NUMBER, largest);
        if (threadIdx.x % 32 == 31) of_warp[threadIdx.x / 32] = best;
        __syncthreads();
        T earlier = before;
        for (u32 warp = 0; warp < WARPS; warp++) {
            if (warp < threadIdx.x / 32) earlier = better(earlier, of_warp[warp], largest);
            before = better(before, of_warp[warp], largest);
        }
        if (inside) out[at] = better(earlier, best, largest);
        __syncthreads();
    }
}

#define RUNNING_BEST(T, suffix)                                                                              \
    extern "C" __global__ void __launch_bounds__(256) best_short_##suffix(                                    \
        const T* values, const u64* offsets, u64 segments, u64 longest, u32 largest, T* out) {                \
        best_short<T>(values, offsets, segments, longest, largest, out);                                      \
    }                                                                                                         \
    extern "C" __global__ void __launch_bounds__(256)                                                         \
        best_of_piece_##suffix(const T* values, const u64* begins, const u64* ends, u32 largest, T* out) {    \
        best_of_piece<T>(values, begins, ends, largest, out);                                                 \
    }                                                                                                         \
    extern "C" __global__ void __launch_bounds__(256)                                                         \
        best_before_##suffix(const u64* offsets, u64 segments, u32 largest, T* pieces) {                      \
        best_before<T>(offsets, segments, largest, pieces);                                                   \
    }                                                                                                         \
    extern "C" __global__ void __launch_bounds__(256) best_piece_##suffix(                                    \
        const T* values, const u64* begins, const u64* ends, const T* pieces, u32 largest, T* out) {          \
        best_piece<T>(values, begins, ends, pieces, largest, out);                                            \
    }

RUNNING_BEST(float, f32)
RUNNING_BEST(double, f64)
