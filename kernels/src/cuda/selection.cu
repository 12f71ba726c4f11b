//! Order statistics and the best k of segments.
//!
//! Order is by (value, place): -0 equals +0, NaN is last, and the lower place is first at equal values. Segments of at most 128
//! values: one warp counts for each value how many come before it. Longer ones: radix selection by digits of 8 bits, all queries
//! at once; each block counts the digits of one piece.

/// A rank that is looked for in a long segment, and what is known of the entry that has it.
struct Query {
    /// The digits of the entry's key found so far.
    u64 key;
    /// The digits of its place in the segment found so far.
    u64 place;
    /// Its rank among the entries that share these digits.
    u64 rank;
};

/// Segments of at most 128 values, one by each warp. `ranks[queries[s]..queries[s + 1]]` are looked for in segment s.
template <class T>
__device__ __forceinline__ void select_short(const T* values, const u64* offsets, u64 segments, u32 largest,
                                             const u64* queries, const u64* ranks, double* found, u64* places) {
    const u64 segment = thread_number() / 32;
    if (segment >= segments) return;
    const u64 begin = offsets[segment], end = offsets[segment + 1];
    if (end - begin > 128) return;
    const u64 first = queries[segment], last = queries[segment + 1];
    if (first == last) return;
    for (u64 at = begin + threadIdx.x % 32; at < end; at += 32) {
        const u64 key = order_key(values[at], largest);
        u64 before = 0;
        for (u64 other = begin; other < end; other++) {
            const u64 rival = order_key(values[other], largest);
            before += rival < key || (rival == key && other < at) ? 1 : 0;
        }
        for (u64 query = first; query < last; query++) {
            if (ranks[query] == before) {
                found[query] = (double)values[at];
                places[query] = at - begin;
            }
        }
    }
}

/// Whether all digits above `shift + 8` bits are the same.
__device__ __forceinline__ bool same_above(u64 a, u64 b, u32 shift) {
    return shift >= 56 || a >> (shift + 8) == b >> (shift + 8);
}

/// Counts the digit at `shift` of all entries that can still be the one a query looks for. A block has one piece; its queries
/// are `firsts[b]..lasts[b]`. `by_place` counts digits of places instead of keys.
template <class T>
__device__ __forceinline__ void count_digits(const T* values, const u64* begins, const u64* ends, const u64* starts,
                                             const u64* firsts, const u64* lasts, const Query* queries, u32 shift,
                                             u32 by_place, u32 largest, u32* counts) {
    __shared__ u32 mine[256];
    const u64 begin = begins[blockIdx.x], end = ends[blockIdx.x], start = starts[blockIdx.x];
    for (u64 query = firsts[blockIdx.x]; query < lasts[blockIdx.x]; query++) {
        const Query wanted = queries[query];
        mine[threadIdx.x] = 0;
        __syncthreads();
        for (u64 at = begin + threadIdx.x; at < end; at += BLOCK) {
            const u64 key = order_key(values[at], largest);
            if (by_place) {
                const u64 place = at - start;
                if (key == wanted.key && same_above(place, wanted.place, shift)) {
                    atomicAdd(&mine[place >> shift & 255], 1u);
                }
            } else if (same_above(key, wanted.key, shift)) {
                atomicAdd(&mine[key >> shift & 255], 1u);
            }
        }
        __syncthreads();
        if (mine[threadIdx.x] != 0) atomicAdd(&counts[query * 256 + threadIdx.x], mine[threadIdx.x]);
        __syncthreads();
    }
}

/// Finds each query's next digit and clears its counts; one query by each block.
extern "C" __global__ void __launch_bounds__(256) narrow_queries(u32* counts, Query* queries, u32 shift, u32 by_place) {
    __shared__ u32 up_to[256];
    const u64 slot = (u64)blockIdx.x * 256 + threadIdx.x;
    const u32 mine = counts[slot];
    const u64 rank = queries[blockIdx.x].rank;
    up_to[threadIdx.x] = mine;
    __syncthreads();
    for (u32 distance = 1; distance < 256; distance *= 2) {
        const u32 earlier = threadIdx.x >= distance ? up_to[threadIdx.x - distance] : 0;
        __syncthreads();
        up_to[threadIdx.x] += earlier;
        __syncthreads();
    }
    const u64 last = up_to[threadIdx.x], first = last - mine;
    if (first <= rank && rank < last) {
        const u64 digit = (u64)threadIdx.x << shift;
        if (by_place) {
            queries[blockIdx.x].place |= digit;
        } else {
            queries[blockIdx.x].key |= digit;
        }
        queries[blockIdx.x].rank = rank - first;
    }
    counts[slot] = 0;
}

/// Writes down all entries up to the one each query found, in any order, from `outputs[query]` on. A block has one piece.
template <class T>
__device__ __forceinline__ void gather_best(const T* values, const u64* begins, const u64* ends, const u64* starts,
                                            const u64* firsts, const u64* lasts, const Query* queries,
                                            const u64* outputs, u32 largest, u32* taken, double* found, u64* places) {
    const u64 begin = begins[blockIdx.x], end = ends[blockIdx.x], start = starts[blockIdx.x];
    for (u64 query = firsts[blockIdx.x]; query < lasts[blockIdx.x]; query++) {
        const Query last = queries[query];
        for (u64 at = begin + threadIdx.x; at < end; at += BLOCK) {
            const u64 key = order_key(values[at], largest), place = at - start;
            if (key < last.key || (key == last.key && place <= last.place)) {
                const u64 to = outputs[query] + atomicAdd(&taken[query], 1u);
                found[to] = (double)values[at];
                places[to] = place;
            }
        }
    }
}

#define SELECTION(T, suffix)                                                                                  \
    extern "C" __global__ void __launch_bounds__(256) select_short_##suffix(                                  \
        const T* values, const u64* offsets, u64 segments, u32 largest, const u64* queries, const u64* ranks, \
        double* found, u64* places) {                                                                         \
        select_short<T>(values, offsets, segments, largest, queries, ranks, found, places);                   \
    }                                                                                                         \
    extern "C" __global__ void __launch_bounds__(256) count_digits_##suffix(                                  \
        const T* values, const u64* begins, const u64* ends, const u64* starts, const u64* firsts,            \
        const u64* lasts, const Query* queries, u32 shift, u32 by_place, u32 largest, u32* counts) {          \
        count_digits<T>(values, begins, ends, starts, firsts, lasts, queries, shift, by_place, largest, counts); \
    }                                                                                                         \
    extern "C" __global__ void __launch_bounds__(256) gather_best_##suffix(                                   \
        const T* values, const u64* begins, const u64* ends, const u64* starts, const u64* firsts,            \
        const u64* lasts, const Query* queries, const u64* outputs, u32 largest, u32* taken, double* found,   \
        u64* places) {                                                                                        \
        gather_best<T>(values, begins, ends, starts, firsts, lasts, queries, outputs, largest, taken, found, places); \
    }

SELECTION(float, f32)
SELECTION(double, f64)
