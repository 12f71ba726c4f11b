//! The kernel sources on the host: a small GPU that runs one block after the other.
//!
//! Every thread of a block is a fiber. A fiber runs until it comes to a step that its warp or block takes together (a shuffle, a
//! barrier) and waits there until all have come; a thread that returned counts as come. So the sources run as they are, with the same
//! arithmetic, and the address sanitiser watches every access. What it cannot show: races between blocks, and speed.
//!
//! Commands on standard input, each a letter and little-endian words of 64 bits:
//!   A bytes -> address      allocates, filled with 0xA5
//!   F address               frees
//!   W address bytes data    writes
//!   R address bytes -> data reads
//!   C from to bytes         copies
//!   L blocks arguments length name words... -> 0, or 1 if there is no such kernel, 2 if it has another number of parameters

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(threads)
#define __shared__ static

struct Index {
    unsigned x;
};
static Index threadIdx, blockIdx, gridDim;

struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) double2 {
    double x, y;
};

static const unsigned THREADS = 256;

enum State { READY, AT_WARP, AT_BLOCK, DONE };

#if defined(__x86_64__)
/// A stack that waits to be gone on with. (`swapcontext` would ask the kernel for the signal mask at every step.)
struct Context {
    void* stack;
};

extern "C" void switch_stack(void** from, void* to);
__asm__(R"(
.text
.globl switch_stack
switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");

static void switch_context(Context& from, Context& to) { switch_stack(&from.stack, to.stack); }

static void prepare_context(Context& context, char* stack, size_t size, void (*start)()) {
    void** top = (void**)(((size_t)(stack + size) & ~(size_t)15) - 8);
    *--top = (void*)start;
    context.stack = top - 6;
}
#else
#include <ucontext.h>
typedef ucontext_t Context;

static void switch_context(Context& from, Context& to) { swapcontext(&from, &to); }

static void prepare_context(Context& context, char* stack, size_t size, void (*start)()) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = size;
    context.uc_link = nullptr;
    makecontext(&context, start, 0);
}
#endif

struct Fiber {
    Context context;
    char* stack;
    State state;
    void* fake_stack;
    /// Which of the two buffers its next shuffle uses; so one wait is enough for each.
    unsigned buffer;
};

static Fiber fibers[THREADS];
static Context scheduler;
static unsigned running;
static unsigned exchanged[2][THREADS];
static void (*body)(const unsigned long long*);
static const unsigned long long* words;
static const size_t STACK = 256 * 1024;
#if defined(__SANITIZE_ADDRESS__)
static const void* scheduler_stack;
static size_t scheduler_size;
static void* scheduler_fake;
#endif

/// Goes on with the scheduler; `fake` is null when the fiber ends.
static void leave_fiber(Fiber& self, void** fake) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(fake, scheduler_stack, scheduler_size);
#else
    (void)fake;
#endif
    switch_context(self.context, scheduler);
}

/// Lets the others run until all of the warp or block have come here.
static void wait_for_others(State state) {
    Fiber& self = fibers[running];
    self.state = state;
    leave_fiber(self, &self.fake_stack);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(self.fake_stack, &scheduler_stack, &scheduler_size);
#endif
}

static void start_fiber() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_size);
#endif
    body(words);
    fibers[running].state = DONE;
    leave_fiber(fibers[running], nullptr);
}

static void resume(unsigned thread) {
    running = thread;
    threadIdx.x = thread;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&scheduler_fake, fibers[thread].stack, STACK);
#endif
    switch_context(scheduler, fibers[thread].context);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(scheduler_fake, nullptr, nullptr);
#endif
}

/// Sets threads first..last free if all of them wait for the same, or are done.
static bool release(unsigned first, unsigned last, State state) {
    bool any = false;
    for (unsigned thread = first; thread < last; thread++) {
        if (fibers[thread].state != state && fibers[thread].state != DONE) return false;
        any |= fibers[thread].state == state;
    }
    for (unsigned thread = first; thread < last; thread++) {
        if (fibers[thread].state == state) fibers[thread].state = READY;
    }
    return any;
}

static void run_block() {
    for (unsigned thread = 0; thread < THREADS; thread++) {
        Fiber& fiber = fibers[thread];
        fiber.state = READY;
        fiber.fake_stack = nullptr;
        fiber.buffer = 0;
        prepare_context(fiber.context, fiber.stack, STACK, start_fiber);
    }
    for (;;) {
        bool ran = false;
        for (unsigned thread = 0; thread < THREADS; thread++) {
            if (fibers[thread].state == READY) {
                resume(thread);
                ran = true;
            }
        }
        for (unsigned warp = 0; warp < THREADS; warp += 32) ran |= release(warp, warp + 32, AT_WARP);
        ran |= release(0, THREADS, AT_BLOCK);
        if (!ran) break;
    }
    for (unsigned thread = 0; thread < THREADS; thread++) {
        if (fibers[thread].state != DONE) {
            fprintf(stderr, "block %u: thread %u waits for others that never come\n", blockIdx.x, thread);
            abort();
        }
    }
}

static void __syncthreads() { wait_for_others(AT_BLOCK); }

static void check_mask(unsigned mask) {
    if (mask != 0xffffffffu) {
        fprintf(stderr, "only whole warps are emulated\n");
        abort();
    }
}

static unsigned shuffled(unsigned mask, unsigned value, unsigned source) {
    check_mask(mask);
    const unsigned thread = running, buffer = fibers[thread].buffer;
    fibers[thread].buffer = 1 - buffer;
    exchanged[buffer][thread] = value;
    wait_for_others(AT_WARP);
    return exchanged[buffer][(thread & ~31u) + source];
}

static unsigned __shfl_xor_sync(unsigned mask, unsigned value, unsigned lanes) {
    return shuffled(mask, value, (running & 31) ^ lanes);
}

static unsigned __shfl_up_sync(unsigned mask, unsigned value, unsigned distance) {
    const unsigned lane = running & 31;
    return shuffled(mask, value, lane >= distance ? lane - distance : lane);
}

static unsigned __shfl_sync(unsigned mask, unsigned value, unsigned lane) { return shuffled(mask, value, lane); }

template <class T>
static T bits_of(const void* from) {
    T to;
    memcpy(&to, from, sizeof to);
    return to;
}

static float __uint_as_float(unsigned bits) { return bits_of<float>(&bits); }
static unsigned __float_as_uint(float value) { return bits_of<unsigned>(&value); }
static double __longlong_as_double(long long bits) { return bits_of<double>(&bits); }
static long long __double_as_longlong(double value) { return bits_of<long long>(&value); }
static double __dadd_rn(double a, double b) { return a + b; }
static double __dmul_rn(double a, double b) { return a * b; }
static unsigned __umulhi(unsigned a, unsigned b) { return (unsigned long long)a * b >> 32; }

template <class T>
static T atomicAdd(T* place, T value) {
    const T before = *place;
    *place += value;
    return before;
}

#include "prelude.cu"
#include "reductions.cu"
#include "running_best.cu"
#include "histogram.cu"
#include "selection.cu"
#include "replicates.cu"

template <class T>
static T argument(unsigned long long word) {
    return bits_of<T>(&word);
}

template <class... A, size_t... I>
static void call(void (*kernel)(A...), const unsigned long long* from, std::index_sequence<I...>) {
    kernel(argument<typename std::remove_cv<A>::type>(from[I])...);
}

template <class... A>
static constexpr size_t count_parameters(void (*)(A...)) {
    return sizeof...(A);
}

template <class... A>
static void call_all(void (*kernel)(A...), const unsigned long long* from) {
    call(kernel, from, std::index_sequence_for<A...>());
}

struct Kernel {
    const char* name;
    size_t parameters;
    void (*body)(const unsigned long long*);
};

#define KERNEL(name)                                                                              \
    {                                                                                             \
#name, count_parameters(&name), [](const unsigned long long* from) { call_all(&name, from); } \
    }

static const Kernel kernels[] = {
    KERNEL(moments_f32_short),    KERNEL(moments_f32_piece),    KERNEL(moments_f64_short),    KERNEL(moments_f64_piece),
    KERNEL(extremes_f32_short),   KERNEL(extremes_f32_piece),   KERNEL(extremes_f64_short),   KERNEL(extremes_f64_piece),
    KERNEL(summary_f32_short),    KERNEL(summary_f32_piece),    KERNEL(summary_f64_short),    KERNEL(summary_f64_piece),
    KERNEL(merge_pieces),         KERNEL(best_short_f32),       KERNEL(best_short_f64),       KERNEL(best_of_piece_f32),
    KERNEL(best_of_piece_f64),    KERNEL(best_before_f32),      KERNEL(best_before_f64),      KERNEL(best_piece_f32),
    KERNEL(best_piece_f64),       KERNEL(histogram_shared_f32), KERNEL(histogram_shared_f64), KERNEL(histogram_global_f32),
    KERNEL(histogram_global_f64), KERNEL(clear_words),          KERNEL(select_short_f32),     KERNEL(select_short_f64),
    KERNEL(count_digits_f32),     KERNEL(count_digits_f64),     KERNEL(narrow_queries),       KERNEL(gather_best_f32),
    KERNEL(gather_best_f64),      KERNEL(play_replicates),      KERNEL(bootstrap_means),
};

static void receive(void* to, size_t bytes) {
    if (bytes > 0 && fread(to, 1, bytes, stdin) != bytes) exit(0);
}

static unsigned long long receive_word() {
    unsigned long long word;
    receive(&word, sizeof word);
    return word;
}

static void answer(const void* from, size_t bytes) {
    fwrite(from, 1, bytes, stdout);
    fflush(stdout);
}

static void answer_word(unsigned long long word) { answer(&word, sizeof word); }

static unsigned long long launch() {
    const unsigned long long blocks = receive_word(), count = receive_word(), length = receive_word();
    std::string name(length, ' ');
    receive(&name[0], length);
    std::vector<unsigned long long> from(count + 1);
    receive(from.data(), count * sizeof(unsigned long long));
    for (const Kernel& kernel : kernels) {
        if (name != kernel.name) continue;
        if (kernel.parameters != count) return 2;
        body = kernel.body;
        words = from.data();
        gridDim.x = (unsigned)blocks;
        for (unsigned block = 0; block < blocks; block++) {
            blockIdx.x = block;
            run_block();
        }
        return 0;
    }
    return 1;
}

int main() {
    for (Fiber& fiber : fibers) fiber.stack = (char*)malloc(STACK);
    for (;;) {
        char command;
        receive(&command, 1);
        if (command == 'A') {
            const unsigned long long bytes = receive_word();
            void* memory = nullptr;
            if (posix_memalign(&memory, 256, bytes > 0 ? bytes : 1) != 0) abort();
            memset(memory, 0xA5, bytes);
            answer_word((unsigned long long)memory);
        } else if (command == 'F') {
            free((void*)receive_word());
        } else if (command == 'W') {
            void* to = (void*)receive_word();
            receive(to, receive_word());
        } else if (command == 'R') {
            const void* from = (const void*)receive_word();
            answer(from, receive_word());
        } else if (command == 'C') {
            const void* from = (const void*)receive_word();
            void* to = (void*)receive_word();
            memcpy(to, from, receive_word());
        } else if (command == 'L') {
            answer_word(launch());
        } else {
            return 1;
        }
    }
}
