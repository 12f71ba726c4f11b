//! What every kernel source begins with: integer names, loads of four values, order keys, Philox, warp and block steps.
//! (Put in front of each source before NVRTC compiles it. All kernels run with blocks of 256 threads, whole warps,
//! and no thread leaves before the last step that its warp or block takes together.)

typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define BLOCK 256u
#define WARPS (BLOCK / 32u)
#define WHOLE_WARP 0xffffffffu
#define NONE 0xffffffffffffffffull
#define INFINITE __longlong_as_double(0x7ff0000000000000ll)
#define NOT_A_NUMBER __longlong_as_double(0x7ff8000000000000ll)

/// The number of this thread in the grid.
__device__ __forceinline__ u64 thread_number() {
    return (u64)blockIdx.x * BLOCK + threadIdx.x;
}

/// Four neighbours from a place that is a multiple of four, in loads of 16 bytes.
__device__ __forceinline__ void load_four(const float* from, float* to) {
    const float4 four = *reinterpret_cast<const float4*>(from);
    to[0] = four.x;
    to[1] = four.y;
    to[2] = four.z;
    to[3] = four.w;
}

__device__ __forceinline__ void load_four(const double* from, double* to) {
    const double2 low = *reinterpret_cast<const double2*>(from);
    const double2 high = *reinterpret_cast<const double2*>(from + 2);
    to[0] = low.x;
    to[1] = low.y;
    to[2] = high.x;
    to[3] = high.y;
}

__device__ __forceinline__ bool is_finite(float value) {
    return fabsf(value) < __uint_as_float(0x7f800000u);
}

__device__ __forceinline__ bool is_finite(double value) {
    return fabs(value) < INFINITE;
}

/// The smaller of two; the other one if one is NaN.
__device__ __forceinline__ float smaller(float a, float b) { return fminf(a, b); }
__device__ __forceinline__ double smaller(double a, double b) { return fmin(a, b); }
__device__ __forceinline__ float larger(float a, float b) { return fmaxf(a, b); }
__device__ __forceinline__ double larger(double a, double b) { return fmax(a, b); }

/// An integer in the order of the values: minus infinity first, -0 just before +0, NaN last. `largest` turns the order of
/// the numbers around and leaves NaN last.
__device__ __forceinline__ u64 exact_key(float value, u32 largest) {
    if (value != value) return 0xffffffffull;
    const u32 bits = __float_as_uint(value);
    const u32 key = bits >> 31 ? ~bits : bits | 0x80000000u;
    return largest ? (u32)~key : key;
}

__device__ __forceinline__ u64 exact_key(double value, u32 largest) {
    if (value != value) return NONE;
    const u64 bits = (u64)__double_as_longlong(value);
    const u64 key = bits >> 63 ? ~bits : bits | 0x8000000000000000ull;
    return largest ? ~key : key;
}

/// The same with -0 and +0 equal.
template <class T>
__device__ __forceinline__ u64 order_key(T value, u32 largest) {
    return exact_key(value + (T)0, largest);
}

/// A value of another lane, `mask` being what the lane numbers differ in.
__device__ __forceinline__ u64 exchange(u64 value, u32 mask) {
    const u32 low = __shfl_xor_sync(WHOLE_WARP, (u32)value, mask);
    const u32 high = __shfl_xor_sync(WHOLE_WARP, (u32)(value >> 32), mask);
    return (u64)high << 32 | low;
}

__device__ __forceinline__ double exchange(double value, u32 mask) {
    return __longlong_as_double((i64)exchange((u64)__double_as_longlong(value), mask));
}

/// What random numbers are for; the same numbers as in `philox.rs`.
#define PURPOSE_ORDER 1u
#define PURPOSE_BOOTSTRAP 2u

/// Philox4x32-10 (Salmon et al., SC 2011): four random words of a counter under a key.
__device__ __forceinline__ void philox(u32* counter, u64 seed) {
    u32 key_low = (u32)seed, key_high = (u32)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        const u64 first = (u64)0xD2511F53u * counter[0];
        const u64 second = (u64)0xCD9E8D57u * counter[2];
        counter[0] = (u32)(second >> 32) ^ counter[1] ^ key_low;
        counter[1] = (u32)second;
        counter[2] = (u32)(first >> 32) ^ counter[3] ^ key_high;
        counter[3] = (u32)first;
        key_low += 0x9E3779B9u;
        key_high += 0xBB67AE85u;
    }
}
