//! Replicate searches: successive halving in asynchronous order by promotion, one replicate by each thread.
//!
//! The same steps as `replicates/play.rs`, in the same order; nothing here is rounded but one subtraction, so the results are
//! the same bits. A thread's state is in global memory, element i of it at `base[i * stride]`.
//!
//! The rule: a free slot goes, from the top rung down, to the best trial that waits in a rung if it is among the best
//! floor(n/d) of the n that arrived there, else to a new one. Once nothing can come to a rung any more, at least one goes on.
//!
//! A rung is one array: the trials that wait are a binary heap at its front, the promoted ones are in order from its back.
//! An entry is one word: key of the metric (24 bits), arrival (20), trial (20).

#define MAX_RUNGS 32

/// Element i is at `base[i * step]`; the least is first.
struct Heap {
    u64* base;
    i64 step;
    u32 length;
};

__device__ __forceinline__ void heap_push(Heap& heap, u64 value) {
    u32 at = heap.length++;
    while (at > 0) {
        const u32 parent = (at - 1) / 2;
        const u64 above = heap.base[parent * heap.step];
        if (above <= value) break;
        heap.base[at * heap.step] = above;
        at = parent;
    }
    heap.base[at * heap.step] = value;
}

__device__ __forceinline__ u64 heap_pop(Heap& heap) {
    const u64 least = heap.base[0];
    const u64 value = heap.base[--heap.length * heap.step];
    u32 at = 0;
    while (2 * at + 1 < heap.length) {
        u32 child = 2 * at + 1;
        u64 below = heap.base[child * heap.step];
        if (child + 1 < heap.length) {
            const u64 right = heap.base[(child + 1) * heap.step];
            if (right < below) {
                below = right;
                child++;
            }
        }
        if (value <= below) break;
        heap.base[at * heap.step] = below;
        at = child;
    }
    heap.base[at * heap.step] = value;
    return least;
}

/// How many of `count` ordered elements are before `value`.
__device__ __forceinline__ u32 count_before(const u64* base, i64 step, u32 count, u64 value) {
    u32 low = 0, high = count;
    while (low < high) {
        const u32 middle = (low + high) / 2;
        if (base[middle * step] < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/// Adds an element to `count` ordered ones.
__device__ __forceinline__ void insert_ordered(u64* base, i64 step, u32 count, u64 value) {
    u32 at = count;
    while (at > 0 && base[(at - 1) * step] > value) {
        base[at * step] = base[(at - 1) * step];
        at--;
    }
    base[at * step] = value;
}

/// Random words of one replicate, one after the other.
struct Words {
    u64 seed, replicate;
    u32 block, left;
    u32 four[4];
};

__device__ __forceinline__ u32 next_word(Words& words) {
    if (words.left == 0) {
        words.four[0] = words.block++;
        words.four[1] = PURPOSE_ORDER;
        words.four[2] = (u32)words.replicate;
        words.four[3] = (u32)(words.replicate >> 32);
        philox(words.four, words.seed);
        words.left = 4;
    }
    return words.four[4 - words.left--];
}

/// Uniform in `0..range`, without bias (Lemire 2019).
__device__ __forceinline__ u32 word_below(Words& words, u32 range) {
    u64 product = (u64)next_word(words) * range;
    if ((u32)product < range) {
        const u32 reject_below = (0u - range) % range;
        while ((u32)product < reject_below) product = (u64)next_word(words) * range;
    }
    return (u32)(product >> 32);
}

/// What all replicates share.
struct Search {
    const u32* keys;
    const double* metrics;
    const u32* lengths;
    const u32* shares;
    const u64* budgets;
    u32 configurations, trials, slots, rungs, budget_count, places;
    u64 seed;
    double reference;
};

/// Finds a displaced configuration: the place in the hash table of `position`, or the free one where it belongs.
__device__ __forceinline__ u32 displaced(const u64* table, i64 stride, u32 places, u32 position) {
    u32 at = position * 0x9E3779B1u & (places - 1);
    while (table[at * stride] != 0 && (u32)(table[at * stride] >> 32) != position + 1) at = (at + 1) & (places - 1);
    return at;
}

/// Draws the order of the configurations: the beginning of a Fisher-Yates shuffle, which keeps only what it has displaced.
__device__ __forceinline__ void draw_order(const Search& search, u64 replicate, u64* table, u32* order, i64 stride) {
    Words words;
    words.seed = search.seed;
    words.replicate = replicate;
    words.block = 0;
    words.left = 0;
    for (u32 at = 0; at < search.places; at++) table[at * stride] = 0;
    for (u32 at = 0; at < search.trials; at++) {
        const u32 other = at + word_below(words, search.configurations - at);
        const u32 here = displaced(table, stride, search.places, at);
        const u32 there = displaced(table, stride, search.places, other);
        const u64 mine = table[here * stride], its = table[there * stride];
        order[at * stride] = its == 0 ? other : (u32)its;
        table[there * stride] = (u64)(other + 1) << 32 | (mine == 0 ? at : (u32)mine);
    }
}

/// One replicate while it runs.
struct Play {
    u32 arrived[MAX_RUNGS], waiting[MAX_RUNGS], promoted[MAX_RUNGS], heading[MAX_RUNGS];
    u32 unsettled, created;
};

#define NO_JOB 0xffffffffu

/// How many of a rung rank before the best that waits there; all of them were promoted.
__device__ __forceinline__ u32 rank_of_best(const Search& search, const Play& play, const u64* rungs, i64 stride,
                                            int rung) {
    const u64* front = rungs + (i64)rung * search.trials * stride;
    return count_before(front + (i64)(search.trials - 1) * stride, -stride, play.promoted[rung], front[0]);
}

/// Whether nothing can come to a rung any more.
__device__ __forceinline__ bool is_sealed(const Search& search, const Play& play, const u64* rungs, i64 stride,
                                          int rung) {
    if (play.created < search.trials) return false;
    for (int below = 0; below <= rung; below++) {
        if (play.heading[below] > 0) return false;
        if (below < rung && play.waiting[below] > 0) {
            const u32 share = search.shares[play.arrived[below]];
            if (rank_of_best(search, play, rungs, stride, below) < (share > 0 ? share : 1)) return false;
        }
    }
    return true;
}

/// Whether the best that waits in a rung is to be promoted.
__device__ __forceinline__ bool promotes(const Search& search, const Play& play, const u64* rungs, i64 stride,
                                         int rung) {
    if (play.waiting[rung] == 0) return false;
    const u32 share = search.shares[play.arrived[rung]];
    if (share == 0) {
        return is_sealed(search, play, rungs, stride, rung) && rank_of_best(search, play, rungs, stride, rung) == 0;
    }
    return rank_of_best(search, play, rungs, stride, rung) < share;
}

/// The next job by the promotion rule, as trial * 32 + rung; NO_JOB if there is none.
__device__ __forceinline__ u32 next_job(const Search& search, Play& play, u64* rungs, i64 stride) {
    for (int rung = (int)search.rungs - 2; rung >= 0; rung--) {
        if (!(play.unsettled >> rung & 1)) continue;
        if (promotes(search, play, rungs, stride, rung)) {
            u64* front = rungs + (i64)rung * search.trials * stride;
            Heap heap = {front, stride, play.waiting[rung]};
            const u64 entry = heap_pop(heap);
            play.waiting[rung] = heap.length;
            insert_ordered(front + (i64)(search.trials - 1) * stride, -stride, play.promoted[rung]++, entry);
            play.heading[rung + 1]++;
            return (u32)(entry & 0xfffff) * 32 + rung + 1;
        }
        play.unsettled &= ~(1u << rung);
    }
    if (play.created == search.trials) return NO_JOB;
    play.heading[0]++;
    return play.created++ * 32;
}

/// Enters a trial in the rung it trained for.
__device__ __forceinline__ void arrive(const Search& search, Play& play, u64* rungs, i64 stride, u32 trial, u32 rung,
                                       u32 configuration) {
    play.heading[rung]--;
    if (rung + 1 < search.rungs) {
        const u64 key = search.keys[(u64)rung * search.configurations + configuration];
        Heap heap = {rungs + (i64)rung * search.trials * stride, stride, play.waiting[rung]};
        heap_push(heap, key << 40 | (u64)play.arrived[rung]++ << 20 | trial);
        play.waiting[rung] = heap.length;
        play.unsettled |= 1u << rung;
    }
    // At the end any arrival may seal the rungs above it.
    if (play.created == search.trials) play.unsettled = 0xffffffffu;
}

/// Plays replicate `replicate` and writes its regret at each budget to `out[budget * out_stride]`.
__device__ __forceinline__ void play_replicate(const Search& search, u64 replicate, u64* wide, u32* narrow, i64 stride,
                                               double* out, u64 out_stride) {
    u64* clock = wide;
    u64* rungs = wide + (i64)search.slots * stride;
    u32* job_of = narrow;
    u32* order = narrow + (i64)search.slots * stride;
    draw_order(search, replicate, rungs, order, stride);
    Play play;
    for (u32 rung = 0; rung < search.rungs; rung++) {
        play.arrived[rung] = play.waiting[rung] = play.promoted[rung] = play.heading[rung] = 0;
    }
    play.unsettled = 0;
    play.created = 0;
    // Busy slots from the front by (time, slot), idle ones from the back by slot.
    Heap busy = {clock, stride, 0};
    Heap idle = {clock + (i64)(search.slots - 1) * stride, -stride, search.slots};
    for (u32 slot = 0; slot < search.slots; slot++) idle.base[slot * idle.step] = slot;
    const u64 last_budget = search.budgets[search.budget_count - 1];
    double best = INFINITE;
    u32 budget = 0;
    u64 now = 0;
    while (true) {
        while (idle.length > 0) {
            const u32 job = next_job(search, play, rungs, stride);
            if (job == NO_JOB) break;
            const u32 slot = (u32)heap_pop(idle), rung = job % 32;
            job_of[slot * stride] = job;
            const u32 cost = search.lengths[rung] - (rung > 0 ? search.lengths[rung - 1] : 0);
            heap_push(busy, (now + cost) << 24 | slot);
        }
        if (busy.length == 0) break;
        const u64 event = heap_pop(busy);
        now = event >> 24;
        const u32 slot = (u32)(event & 0xffffff);
        if (now > last_budget) break;
        while (search.budgets[budget] < now) out[budget++ * out_stride] = best - search.reference;
        const u32 job = job_of[slot * stride], trial = job / 32, rung = job % 32;
        const u32 configuration = order[trial * stride];
        const double metric = search.metrics[(u64)rung * search.configurations + configuration];
        if (metric < best) best = metric;
        arrive(search, play, rungs, stride, trial, rung, configuration);
        heap_push(idle, slot);
    }
    while (budget < search.budget_count) out[budget++ * out_stride] = best - search.reference;
}

/// Replicates `first..first + count` of `total`.
extern "C" __global__ void __launch_bounds__(256) play_replicates(
    const u32* keys, const double* metrics, const u32* lengths, const u32* shares, const u64* budgets,
    u32 configurations, u32 trials, u32 slots, u32 rungs, u32 budget_count, u32 places, u64 seed, double reference,
    u64 first, u64 count, u64 total, u64* wide, u32* narrow, double* out) {
    const u64 thread = thread_number();
    if (thread >= count) return;
    const Search search = {keys,  metrics, lengths,      shares, budgets, configurations, trials,
                           slots, rungs,   budget_count, places, seed,    reference};
    play_replicate(search, first + thread, wide + thread, narrow + thread, (i64)count, out + first + thread, total);
}

/// Means of resamples of each budget's regrets; block `budget * resamples + resample`. Resample r draws the same replicates at
/// every budget. Sums are taken in 256 lanes and then by halves, as on the CPU.
extern "C" __global__ void __launch_bounds__(256) bootstrap_means(const double* regrets, u32 replicates, u32 resamples,
                                                                  u64 seed, double* out) {
    __shared__ double sums[BLOCK];
    __shared__ u32 counts[BLOCK];
    const double* row = regrets + (u64)(blockIdx.x / resamples) * replicates;
    double sum = 0.0;
    u32 count = 0;
    for (u32 block = threadIdx.x; (u64)block * 4 < replicates; block += BLOCK) {
        u32 four[4] = {block, PURPOSE_BOOTSTRAP, blockIdx.x % resamples, 0};
        philox(four, seed);
        for (u32 i = 0; i < 4 && (u64)block * 4 + i < replicates; i++) {
            const double value = row[__umulhi(four[i], replicates)];
            if (is_finite(value)) {
                sum += value;
                count++;
            }
        }
    }
    sums[threadIdx.x] = sum;
    counts[threadIdx.x] = count;
    __syncthreads();
    for (u32 half = BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            sums[threadIdx.x] += sums[threadIdx.x + half];
            counts[threadIdx.x] += counts[threadIdx.x + half];
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) out[blockIdx.x] = counts[0] > 0 ? sums[0] / counts[0] : NOT_A_NUMBER;
}
