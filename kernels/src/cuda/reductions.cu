//! Moments and extremes of segments, in one pass.
//!
//! Each lane sums `x - shift` and its square in f64, where `shift` is the first finite value it meets; so cancellation costs at
//! most a factor of the lane's count. The lanes' results are merged by the rule of Chan et al. (1979). Extremes are found per group
//! of four neighbours; only at the end is the best group read again for the first of its values that is the extreme.

/// What is known of a range. The same words as `partial.rs`.
struct Partial {
    u64 count;
    double sum, mean, m2;
    double low;
    u64 low_at;
    double high;
    u64 high_at;
};

__device__ __forceinline__ Partial empty_partial() {
    Partial none = {0, 0.0, 0.0, 0.0, NOT_A_NUMBER, NONE, NOT_A_NUMBER, NONE};
    return none;
}

/// Both ranges together. At equal values the lower place wins.
__device__ __forceinline__ Partial merged(const Partial& a, const Partial& b) {
    Partial both = a;
    if (a.count == 0) {
        both.count = b.count;
        both.sum = b.sum;
        both.mean = b.mean;
        both.m2 = b.m2;
    } else if (b.count != 0) {
        const double part = (double)b.count / (double)(a.count + b.count);
        const double apart = b.mean - a.mean;
        both.count = a.count + b.count;
        both.sum = a.sum + b.sum;
        both.mean = a.mean + apart * part;
        both.m2 = a.m2 + b.m2 + apart * apart * ((double)a.count * part);
    }
    if (b.low_at != NONE &&
        (a.low_at == NONE || b.low < a.low || (b.low == a.low && b.low_at < a.low_at))) {
        both.low = b.low;
        both.low_at = b.low_at;
    }
    if (b.high_at != NONE &&
        (a.high_at == NONE || b.high > a.high || (b.high == a.high && b.high_at < a.high_at))) {
        both.high = b.high;
        both.high_at = b.high_at;
    }
    return both;
}

/// Merges over groups of `lanes` neighbours of a warp (a power of two up to 32). The first lane of each group has the result.
__device__ __forceinline__ Partial across_lanes(Partial mine, u32 lanes) {
    for (u32 mask = lanes / 2; mask > 0; mask /= 2) {
        Partial other;
        other.count = exchange(mine.count, mask);
        other.sum = exchange(mine.sum, mask);
        other.mean = exchange(mine.mean, mask);
        other.m2 = exchange(mine.m2, mask);
        other.low = exchange(mine.low, mask);
        other.low_at = exchange(mine.low_at, mask);
        other.high = exchange(mine.high, mask);
        other.high_at = exchange(mine.high_at, mask);
        mine = merged(mine, other);
    }
    return mine;
}

/// Merges over the block. Thread 0 has the result.
__device__ __forceinline__ Partial across_block(Partial mine) {
    __shared__ Partial of_warp[WARPS];
    mine = across_lanes(mine, 32);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = mine;
    __syncthreads();
    Partial all = threadIdx.x < WARPS ? of_warp[threadIdx.x] : empty_partial();
    if (threadIdx.x < 32) all = across_lanes(all, WARPS);
    __syncthreads();
    return all;
}

/// One lane's work.
template <class T, bool MOMENTS, bool EXTREMES>
struct Accumulator {
    T shift;
    u32 count;
    double sum, squares;
    T low, high;
    u64 low_group, high_group;

    __device__ __forceinline__ void start() {
        shift = (T)0;
        count = 0;
        sum = 0.0;
        squares = 0.0;
        low = (T)NOT_A_NUMBER;
        high = (T)NOT_A_NUMBER;
        low_group = NONE;
        high_group = NONE;
    }

    __device__ __forceinline__ void moment(T value) {
        const bool finite = is_finite(value);
        const double apart = (double)(finite ? value : shift) - (double)shift;
        sum += apart;
        squares = fma(apart, apart, squares);
        count += finite ? 1u : 0u;
    }

    __device__ __forceinline__ void extreme(T least, T most, u64 group) {
        if (least == least && !(low <= least)) {
            low = least;
            low_group = group;
        }
        if (most == most && !(high >= most)) {
            high = most;
            high_group = group;
        }
    }

    __device__ __forceinline__ void one(T value, u64 at) {
        if (MOMENTS) {
            if (count == 0 && is_finite(value)) shift = value;
            moment(value);
        }
        if (EXTREMES) extreme(value, value, at & ~3ull);
    }

    __device__ __forceinline__ void four(const T* values, u64 at) {
        if (MOMENTS) {
            if (count == 0) {
                for (int i = 3; i >= 0; i--) {
                    if (is_finite(values[i])) shift = values[i];
                }
            }
            for (int i = 0; i < 4; i++) moment(values[i]);
        }
        if (EXTREMES) {
            extreme(smaller(smaller(values[0], values[1]), smaller(values[2], values[3])),
                    larger(larger(values[0], values[1]), larger(values[2], values[3])), at);
        }
    }

    /// The first place of `begin..end` in a group of four that holds a value.
    __device__ __forceinline__ u64 place(const T* values, u64 begin, u64 end, u64 group, T value) const {
        if (group == NONE) return NONE;
        const u64 last = group + 4 < end ? group + 4 : end;
        u64 at = group > begin ? group : begin;
        while (at + 1 < last && values[at] != value) at++;
        return at;
    }

    __device__ __forceinline__ Partial finish(const T* values, u64 begin, u64 end) const {
        Partial all = empty_partial();
        if (MOMENTS && count > 0) {
            const double n = (double)count;
            const double m2 = squares < INFINITE ? squares - sum * (sum / n) : INFINITE;
            all.count = count;
            all.sum = fma((double)shift, n, sum);
            all.mean = (double)shift + sum / n;
            all.m2 = m2 > 0.0 ? m2 : 0.0;
        }
        if (EXTREMES) {
            all.low_at = place(values, begin, end, low_group, low);
            all.high_at = place(values, begin, end, high_group, high);
            if (all.low_at != NONE) all.low = (double)values[all.low_at];
            if (all.high_at != NONE) all.high = (double)values[all.high_at];
        }
        return all;
    }
};

/// What lane `lane` of `lanes` finds in `begin..end`.
template <class T, bool MOMENTS, bool EXTREMES>
__device__ __forceinline__ Partial reduced(const T* values, u64 begin, u64 end, u32 lane, u32 lanes) {
    Accumulator<T, MOMENTS, EXTREMES> found;
    found.start();
    u64 first = (begin + 3) & ~3ull;
    if (first > end) first = end;
    u64 last = end & ~3ull;
    if (last < first) last = first;
    for (u64 at = begin + lane; at < first; at += lanes) found.one(values[at], at);
    // 64 bytes of each lane are on their way at once.
    const u32 ahead = 16 / sizeof(T);
    const u64 stride = 4ull * lanes;
    u64 at = first + 4ull * lane;
    for (; at + (ahead - 1) * stride < last; at += ahead * stride) {
        T batch[16 / sizeof(T)][4];
#pragma unroll
        for (u32 i = 0; i < ahead; i++) load_four(values + at + i * stride, batch[i]);
#pragma unroll
        for (u32 i = 0; i < ahead; i++) found.four(batch[i], at + i * stride);
    }
    for (; at < last; at += stride) {
        T group[4];
        load_four(values + at, group);
        found.four(group, at);
    }
    for (u64 tail = last + lane; tail < end; tail += lanes) found.one(values[tail], tail);
    return found.finish(values, begin, end);
}

/// Segments of at most `longest` values, each by `lanes` lanes of a warp. Longer ones are left alone.
template <class T, bool MOMENTS, bool EXTREMES>
__device__ __forceinline__ void reduce_short(const T* values, const u64* offsets, u64 segments, u64 longest,
                                             u32 lanes, Partial* out) {
    const u64 segment = thread_number() / lanes;
    const u32 lane = threadIdx.x % lanes;
    u64 begin = 0, end = 0;
    if (segment < segments) {
        begin = offsets[segment];
        end = offsets[segment + 1];
    }
    const bool is_short = end - begin <= longest;
    const Partial mine =
        reduced<T, MOMENTS, EXTREMES>(values, begin, is_short ? end : begin, lane, lanes);
    const Partial all = across_lanes(mine, lanes);
    if (segment < segments && is_short && lane == 0) out[segment] = all;
}

/// One piece of a long segment by each block. Without `begins` the one segment `first..last` is cut every `piece` values.
template <class T, bool MOMENTS, bool EXTREMES>
__device__ __forceinline__ void reduce_piece(const T* values, const u64* begins, const u64* ends, u64 first, u64 last,
                                             u64 piece, Partial* out) {
    u64 begin = first + blockIdx.x * piece;
    u64 end = begin + piece < last ? begin + piece : last;
    if (begins) {
        begin = begins[blockIdx.x];
        end = ends[blockIdx.x];
    }
    const Partial mine = reduced<T, MOMENTS, EXTREMES>(values, begin, end, threadIdx.x, BLOCK);
    const Partial all = across_block(mine);
    if (threadIdx.x == 0) out[blockIdx.x] = all;
}

/// The pieces of one long segment by each block. Without `offsets` all `count` pieces are of the one segment.
extern "C" __global__ void __launch_bounds__(256) merge_pieces(const Partial* pieces, const u64* offsets,
                                                               const u64* segments, u64 count, Partial* out) {
    const u64 begin = offsets ? offsets[blockIdx.x] : 0;
    const u64 end = offsets ? offsets[blockIdx.x + 1] : count;
    Partial mine = empty_partial();
    for (u64 at = begin + threadIdx.x; at < end; at += BLOCK) mine = merged(mine, pieces[at]);
    const Partial all = across_block(mine);
    if (threadIdx.x == 0) out[offsets ? segments[blockIdx.x] : 0] = all;
}

#define REDUCTION(name, T, MOMENTS, EXTREMES)                                                               \
    extern "C" __global__ void __launch_bounds__(256)                                                        \
        name##_short(const T* values, const u64* offsets, u64 segments, u64 longest, u32 lanes, Partial* out) { \
        reduce_short<T, MOMENTS, EXTREMES>(values, offsets, segments, longest, lanes, out);                  \
    }                                                                                                        \
    extern "C" __global__ void __launch_bounds__(256)                                                        \
        name##_piece(const T* values, const u64* begins, const u64* ends, u64 first, u64 last, u64 piece,    \
                     Partial* out) {                                                                         \
        reduce_piece<T, MOMENTS, EXTREMES>(values, begins, ends, first, last, piece, out);                   \
    }

REDUCTION(moments_f32, float, true, false)
REDUCTION(moments_f64, double, true, false)
REDUCTION(extremes_f32, float, false, true)
REDUCTION(extremes_f64, double, false, true)
REDUCTION(summary_f32, float, true, true)
REDUCTION(summary_f64, double, true, true)
