// CUDA C++ for g++: what a kernel that CuPy generates expects of its compiler, on the processor.
//
// Threads are run by driver.cpp, one at a time, so atomics are plain reads and writes.
#pragma once

#include <algorithm>
#include <cassert>
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>

using std::isfinite;
using std::isinf;
using std::isnan;
using std::max;
using std::min;
using std::signbit;

// ------------------------------------------------------------------ the language

#define __CUDA_ARCH__ 900
#define __global__
#define __device__
#define __host__
#define __constant__
#define __shared__ static  // blocks run one after the other
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct Index {
    unsigned x, y, z;
};

extern "C" {
extern Index emulated_threadIdx, emulated_blockIdx, emulated_blockDim, emulated_gridDim;
void emulated_block_barrier();
void emulated_warp_barrier();
int emulated_thread();
}

#define threadIdx emulated_threadIdx
#define blockIdx emulated_blockIdx
#define blockDim emulated_blockDim
#define gridDim emulated_gridDim
#define __syncthreads() emulated_block_barrier()
#define __syncwarp(...) emulated_warp_barrier()
static const int warpSize = 32;
inline void __threadfence() {}
inline void __threadfence_block() {}

// RUNNER(f) makes run_f, which calls kernel f for one thread with its arguments from an array, and
// sizes_f, which says how many bytes each of them has, with 0 at the end.
namespace emulated {
template <class... A, size_t... I>
inline void run_thread(void (*kernel)(A...), void **arguments, std::index_sequence<I...>) {
    kernel(*(typename std::decay<A>::type *)arguments[I]...);
}
template <class... A> inline void run_thread(void (*kernel)(A...), void **arguments) {
    run_thread(kernel, arguments, std::index_sequence_for<A...>());
}
template <class... A> inline const int *sizes_of(void (*)(A...)) {
    static const int sizes[] = {sizeof(typename std::decay<A>::type)..., 0};
    return sizes;
}
}  // namespace emulated
#define RUNNER(kernel)                                                                        \
    extern "C" void run_##kernel(void **arguments) { emulated::run_thread(&kernel, arguments); } \
    extern "C" const int *sizes_##kernel() { return emulated::sizes_of(&kernel); }

// ------------------------------------------------------------------ warps

// Each thread puts its value up, waits for its warp, and reads another's.
namespace emulated {
template <class T> inline T exchange(T value, int source) {
    static char values[1024][16];
    int self = emulated_thread();
    memcpy(values[self], &value, sizeof(T));
    emulated_warp_barrier();
    memcpy(&value, values[(self & ~31) | (source & 31)], sizeof(T));
    emulated_warp_barrier();
    return value;
}
}  // namespace emulated
template <class T> inline T __shfl_sync(unsigned long long, T value, int source, int width = 32) {
    int lane = emulated_thread() & 31;
    return emulated::exchange(value, lane / width * width + source % width);
}
template <class T> inline T __shfl_xor_sync(unsigned long long, T value, int mask, int = 32) {
    return emulated::exchange(value, (emulated_thread() & 31) ^ mask);
}
template <class T> inline T __shfl_down_sync(unsigned long long, T value, int by, int width = 32) {
    int lane = emulated_thread() & 31;
    return emulated::exchange(value, lane % width + by < width ? lane + by : lane);
}
template <class T> inline T __shfl_up_sync(unsigned long long, T value, int by, int width = 32) {
    int lane = emulated_thread() & 31;
    return emulated::exchange(value, lane % width >= by ? lane - by : lane);
}

// ------------------------------------------------------------------ functions

namespace emulated {
template <class To, class From> inline To bits(From value) {
    To result;
    memcpy(&result, &value, sizeof(To));
    return result;
}
}  // namespace emulated
inline int __float_as_int(float v) { return emulated::bits<int>(v); }
inline float __int_as_float(int v) { return emulated::bits<float>(v); }
inline unsigned __float_as_uint(float v) { return emulated::bits<unsigned>(v); }
inline float __uint_as_float(unsigned v) { return emulated::bits<float>(v); }
inline long long __double_as_longlong(double v) { return emulated::bits<long long>(v); }
inline double __longlong_as_double(long long v) { return emulated::bits<double>(v); }
inline unsigned short __float2half_rn(float v) {
    return emulated::bits<unsigned short>((_Float16)v);
}
inline float __half2float(unsigned short v) { return emulated::bits<_Float16>(v); }
struct half;
unsigned short __half_as_ushort(const half &);
half __ushort_as_half(unsigned short);

inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline int __clz(int v) { return v ? __builtin_clz(v) : 32; }
inline int __clzll(long long v) { return v ? __builtin_clzll(v) : 64; }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline double rsqrt(double v) { return 1 / std::sqrt(v); }
inline float rsqrt(float v) { return 1 / std::sqrt(v); }
inline float rsqrtf(float v) { return 1 / std::sqrt(v); }
template <class T> inline T __ldg(const T *address) { return *address; }
inline long long max(int a, long long b) { return a > b ? a : b; }
inline long long max(long long a, int b) { return a > b ? a : b; }
inline long long min(int a, long long b) { return a < b ? a : b; }
inline long long min(long long a, int b) { return a < b ? a : b; }

// ------------------------------------------------------------------ atomics

namespace emulated {
template <class T, class Change> inline T atomic(T *address, Change change) {
    T old = *address;
    *address = change(old);
    return old;
}
}  // namespace emulated
#define ATOMIC emulated::atomic
#define FOR_TYPE(T)                                                                         \
    inline T atomicAdd(T *a, T v) { return ATOMIC(a, [v](T old) { return old + v; }); }     \
    inline T atomicExch(T *a, T v) { return ATOMIC(a, [v](T) { return v; }); }
FOR_TYPE(int)
FOR_TYPE(unsigned)
FOR_TYPE(unsigned long long)
FOR_TYPE(float)
FOR_TYPE(double)
#undef FOR_TYPE
#define FOR_TYPE(T)                                                                         \
    inline T atomicMax(T *a, T v) { return ATOMIC(a, [v](T old) { return max(old, v); }); } \
    inline T atomicMin(T *a, T v) { return ATOMIC(a, [v](T old) { return min(old, v); }); } \
    inline T atomicSub(T *a, T v) { return ATOMIC(a, [v](T old) { return old - v; }); }     \
    inline T atomicAnd(T *a, T v) { return ATOMIC(a, [v](T old) { return old & v; }); }     \
    inline T atomicOr(T *a, T v) { return ATOMIC(a, [v](T old) { return old | v; }); }      \
    inline T atomicXor(T *a, T v) { return ATOMIC(a, [v](T old) { return old ^ v; }); }
FOR_TYPE(int)
FOR_TYPE(unsigned)
FOR_TYPE(long long)
FOR_TYPE(unsigned long long)
#undef FOR_TYPE
template <class T> inline T atomicCAS(T *a, T wanted, T v) {
    return emulated::atomic(a, [=](T old) { return old == wanted ? v : old; });
}
