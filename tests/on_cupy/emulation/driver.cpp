// A CUDA driver whose device is this process's own memory and processor.
//
// It becomes `libcuda.so.1`, with the entry points that CuPy calls. A "module" is a shared library
// that `compiler.py` made of a kernel's source with g++ and `device.h`; loading one is `dlopen`.
//
// A launch runs the blocks of its grid one after the other. If the kernel synchronises, each thread
// of a block is a fiber with a stack of its own that is switched at every barrier; if it does not,
// the threads are plain calls, one after the other. Either way nothing ever runs at the same time;
// what depends on the order shows where `emulated_backwards` has the last block and thread go first.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <vector>

#include <dlfcn.h>
#include <sys/mman.h>
#include <ucontext.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

enum Status {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    INVALID_IMAGE = 200,
    NOT_FOUND = 500,
    NOT_SUPPORTED = 801,
};

struct Index {
    unsigned x, y, z;
};

// What device.h calls threadIdx and so on.
EXPORT Index emulated_threadIdx, emulated_blockIdx, emulated_blockDim, emulated_gridDim;
Index emulated_threadIdx, emulated_blockIdx, emulated_blockDim, emulated_gridDim;

EXPORT long long emulated_launches;
long long emulated_launches = 0;
EXPORT int emulated_launches_only;
int emulated_launches_only = 0;  // count, but compute nothing
EXPORT int emulated_backwards;
int emulated_backwards = 0;  // the last block and the last thread run first

// What is known of a launch.
struct Launch {
    const char *kernel;
    unsigned blocks, threads;
    int meets;        // whether threads of a block wait for each other, as in a reduction
    long long bytes;  // from where the first argument points to the end of that memory
    long long moved;  // the same of all arguments: what the kernel reads and writes, each once
};
static std::vector<Launch> launches;
EXPORT int emulated_logging;
int emulated_logging = 0;
EXPORT const Launch *emulated_log() { return launches.data(); }
EXPORT long long emulated_log_size() { return launches.size(); }
EXPORT void emulated_forget_log() { launches.clear(); }

// ------------------------------------------------------------------ memory

static std::map<char *, size_t> on_device;  // allocations by where they begin
static const size_t FENCE = 512;            // bytes before and after each that nobody may write
static long long overruns = 0;              // in memory that has been freed

static bool fences_stand(const char *memory, size_t size) {
    bool stand = true;
    for (size_t i = 0; i < FENCE; i++)
        stand &= memory[-(long)FENCE + (long)i] == (char)0xff && memory[size + i] == (char)0xff;
    return stand;
}

// Fresh memory and fences are all ones: NaN as floating-point numbers, so that reading is noticed.
EXPORT void *emulated_malloc(size_t size, bool for_device) {
    void *memory = nullptr;
    size += size == 0;
    if (posix_memalign(&memory, 512, size + 2 * FENCE) != 0) return nullptr;
    memset(memory, 0xff, size + 2 * FENCE);
    char *inner = (char *)memory + FENCE;
    if (for_device) on_device[inner] = size;
    return inner;
}

EXPORT void emulated_free(void *memory) {
    if (!memory) return;
    auto found = on_device.find((char *)memory);
    if (found != on_device.end()) {
        overruns += !fences_stand(found->first, found->second);
        on_device.erase(found);
    }
    free((char *)memory - FENCE);
}

// How many arrays, freed or not, had something written before their beginning or after their end.
EXPORT long long emulated_overruns() {
    long long count = overruns;
    for (auto &[memory, size] : on_device) count += !fences_stand(memory, size);
    return count;
}

// Bytes from an address to the end of the memory that it lies in; 0 if that is not the device's.
static long long bytes_from(char *address) {
    auto after = on_device.upper_bound(address);
    if (after == on_device.begin()) return 0;
    auto found = std::prev(after);
    char *end = found->first + found->second;
    return address < end ? end - address : 0;
}

EXPORT bool emulated_is_on_device(char *address) { return bytes_from(address) > 0; }

// ------------------------------------------------------------------ the threads of a block

struct Kernel {
    void (*run)(void **arguments);  // one thread; made by device.h's RUNNER
    bool synchronises;
    const char *name;
    const int *sizes;  // of its arguments in bytes, then 0
};

// An argument is a pointer, or begins with one as CuPy's arrays do; others point to no memory here.
static long long bytes_of_all(const Kernel *kernel, void **arguments) {
    long long sum = 0;
    for (int i = 0; kernel->sizes[i]; i++)
        if (kernel->sizes[i] >= (int)sizeof(char *)) sum += bytes_from(*(char **)arguments[i]);
    return sum;
}

static const size_t STACK = 64 * 1024;
static const int WARP = 32;

enum State { READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, FINISHED };

struct Fiber {
    ucontext_t context;
    State state;
};

static std::vector<Fiber> fibers;  // as many as the largest block so far has threads
static char *stacks;
static ucontext_t scheduler;
static int current = -1;  // the thread that runs; -1 where threads are plain calls
static const Kernel *running;
static void **running_arguments;

static void become(int thread) {
    const Index &size = emulated_blockDim;
    emulated_threadIdx = {thread % size.x, thread / size.x % size.y, thread / (size.x * size.y)};
}

static void wait(State barrier) {
    if (current < 0) return;
    int self = current;
    fibers[self].state = barrier;
    swapcontext(&fibers[self].context, &scheduler);
    become(self);
}

// What device.h calls __syncthreads, __syncwarp and the place of a thread in its block.
EXPORT void emulated_block_barrier() { wait(AT_BLOCK_BARRIER); }
EXPORT void emulated_warp_barrier() { wait(AT_WARP_BARRIER); }
EXPORT int emulated_thread() { return current < 0 ? 0 : current; }

static void fiber_main() {
    become(current);
    running->run(running_arguments);
    fibers[current].state = FINISHED;
    swapcontext(&fibers[current].context, &scheduler);
}

static void prepare_fibers(int count) {
    if (count > (int)fibers.size()) {
        if (stacks) munmap(stacks, fibers.size() * STACK);
        stacks = (char *)mmap(nullptr, count * STACK, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        fibers.resize(count);
    }
    for (int i = 0; i < count; i++) {
        Fiber &fiber = fibers[i];
        fiber.state = READY;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = stacks + i * STACK;
        fiber.context.uc_stack.ss_size = STACK;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, fiber_main, 0);
    }
}

// Let each warp go on whose unfinished threads have all come to a warp barrier.
static void open_warp_barriers(int count) {
    for (int first = 0; first < count; first += WARP) {
        int last = first + WARP < count ? first + WARP : count;
        bool complete = true;
        for (int i = first; i < last; i++)
            complete &= fibers[i].state == AT_WARP_BARRIER || fibers[i].state == FINISHED;
        for (int i = first; complete && i < last; i++)
            if (fibers[i].state == AT_WARP_BARRIER) fibers[i].state = READY;
    }
}

static int count_of(State state, int threads) {
    int count = 0;
    for (int i = 0; i < threads; i++) count += fibers[i].state == state;
    return count;
}

static void release(State barrier, int threads) {
    for (int i = 0; i < threads; i++)
        if (fibers[i].state == barrier) fibers[i].state = READY;
}

static void run_block_of_fibers(int threads) {
    prepare_fibers(threads);
    while (true) {
        for (int step = 0; step < threads; step++) {
            int i = emulated_backwards ? threads - 1 - step : step;
            if (fibers[i].state != READY) continue;
            current = i;
            swapcontext(&scheduler, &fibers[i].context);
        }
        open_warp_barriers(threads);
        if (count_of(FINISHED, threads) == threads) break;
        if (count_of(READY, threads)) continue;
        bool all_there = count_of(AT_WARP_BARRIER, threads) == 0;
        release(all_there ? AT_BLOCK_BARRIER : AT_WARP_BARRIER, threads);  // else a warp diverged
    }
    current = -1;
}

static void run_block_of_calls(void **arguments) {
    const Index &size = emulated_blockDim;
    Index &thread = emulated_threadIdx;
    for (thread.z = 0; thread.z < size.z; thread.z++)
        for (thread.y = 0; thread.y < size.y; thread.y++)
            for (thread.x = 0; thread.x < size.x; thread.x++) running->run(arguments);
}

EXPORT int cuLaunchKernel(const Kernel *kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                          unsigned by, unsigned bz, unsigned shared_bytes, void *stream,
                          void **arguments, void **extra) {
    emulated_launches++;
    if (!gx || !gy || !gz || !bx || !by || !bz || bx * by * bz > 1024) return INVALID_VALUE;
    if (emulated_logging)
        launches.push_back({kernel->name, gx * gy * gz, bx * by * bz, kernel->synchronises,
                            bytes_from(*(char **)arguments[0]), bytes_of_all(kernel, arguments)});
    if (emulated_launches_only) return SUCCESS;
    emulated_gridDim = {gx, gy, gz};
    emulated_blockDim = {bx, by, bz};
    running = kernel;
    running_arguments = arguments;
    for (size_t step = 0, count = (size_t)gx * gy * gz; step < count; step++) {
        size_t block = emulated_backwards ? count - 1 - step : step;
        emulated_blockIdx = {(unsigned)(block % gx), (unsigned)(block / gx % gy),
                             (unsigned)(block / ((size_t)gx * gy))};
        if (kernel->synchronises)
            run_block_of_fibers(bx * by * bz);
        else
            run_block_of_calls(arguments);
    }
    return SUCCESS;
}

// ------------------------------------------------------------------ modules

static const char PREFIX[] = "emulated:";  // then the library's path: see compiler.py

EXPORT int cuModuleLoadData(void **module, const char *image) {
    if (strncmp(image, PREFIX, strlen(PREFIX)) != 0) return INVALID_IMAGE;  // real device code
    *module = dlopen(image + strlen(PREFIX), RTLD_NOW | RTLD_LOCAL);
    if (!*module) fprintf(stderr, "%s\n", dlerror());
    return *module ? SUCCESS : INVALID_IMAGE;
}

EXPORT int cuModuleGetFunction(void **function, void *module, const char *name) {
    char symbol[1024];
    snprintf(symbol, sizeof symbol, "run_%s", name);
    void *run = dlsym(module, symbol);
    snprintf(symbol, sizeof symbol, "sizes_%s", name);
    void *sizes = dlsym(module, symbol);
    void *synchronises = dlsym(module, "kernel_synchronises");
    if (!run || !sizes || !synchronises) return NOT_FOUND;
    *function = new Kernel{(void (*)(void **))run, *(bool *)synchronises, strdup(name),
                           ((const int *(*)())sizes)()};
    return SUCCESS;
}

EXPORT int cuModuleGetGlobal_v2(void **address, size_t *size, void *module, const char *name) {
    *address = dlsym(module, name);
    *size = 0;
    return *address ? SUCCESS : NOT_FOUND;
}

EXPORT int cuModuleUnload(void *) { return SUCCESS; }
EXPORT int cuModuleLoad(void **, const char *) { return INVALID_IMAGE; }
EXPORT int cuLinkCreate_v2() { return NOT_SUPPORTED; }
EXPORT int cuLinkAddData_v2() { return NOT_SUPPORTED; }
EXPORT int cuLinkAddFile_v2() { return NOT_SUPPORTED; }
EXPORT int cuLinkComplete() { return NOT_SUPPORTED; }
EXPORT int cuLinkDestroy() { return NOT_SUPPORTED; }
EXPORT int cuLaunchCooperativeKernel() { return NOT_SUPPORTED; }

// ------------------------------------------------------------------ one device, one context

static void *const CONTEXT = (void *)1;

EXPORT int cuCtxGetCurrent(void **context) { return *context = CONTEXT, SUCCESS; }
EXPORT int cuCtxCreate_v2(void **context, unsigned, int) { return *context = CONTEXT, SUCCESS; }
EXPORT int cuStreamGetCtx(void *, void **context) { return *context = CONTEXT, SUCCESS; }
EXPORT int cuCtxSetCurrent(void *) { return SUCCESS; }
EXPORT int cuCtxDestroy_v2(void *) { return SUCCESS; }
EXPORT int cuCtxGetDevice(int *device) { return *device = 0, SUCCESS; }
EXPORT int cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }

EXPORT int cuGetErrorName(int, const char **text) { return *text = "EMULATED_ERROR", SUCCESS; }
EXPORT int cuGetErrorString(int, const char **text) {
    return *text = "the emulated driver cannot do this", SUCCESS;
}

EXPORT int cuFuncGetAttribute(int *value, int attribute, void *) {
    const int MAX_THREADS_PER_BLOCK = 0;
    return *value = attribute == MAX_THREADS_PER_BLOCK ? 1024 : 0, SUCCESS;
}
EXPORT int cuFuncSetAttribute(void *, int, int) { return SUCCESS; }
EXPORT int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, void *, int, size_t) {
    return *blocks = 2, SUCCESS;
}
EXPORT int cuOccupancyMaxPotentialBlockSize(int *grid, int *block, void *, void *, size_t, int) {
    return *grid = 64, *block = 256, SUCCESS;
}
