// Convolution of channels-last images and its two gradients, each a matrix product whose left factor
// is never laid out in memory: a block of threads gathers the tiles that it multiplies.
//
//     forward   out[m, o] = sum_k window[m, k] * w[k, o]      m = (n, i, j), k = (kh, kw, c)
//     dx        dx[m, c]  = sum_k seen_by[m, k] * w'[k, c]    m = (n, h, w), k = (kh, kw, o)
//     dw        dw[m, o]  = sum_k window[k, m] * g[k, o]      m = (kh, kw, c), k = (n, i, j)
//
// A block computes BM x BN numbers of the result, BK terms at a time, from two tiles in shared
// memory; each thread TM x TN of them, in registers. While one pair of tiles is multiplied, the next
// is on its way. VEC says that channels and filters of a group are multiples of 4: then four numbers
// are read at once.
//
// Strides in dx: the pixels (h, w) with the same remainders are one product each ("phase"), which
// only the taps that reach them take part in; so nothing is multiplied by a zero between strides.

#ifndef BM
#define BM 128
#define BN 64
#define BK 8
#define TM 8
#define TN 4
#endif
#ifndef VEC
#define VEC 0
#endif
#define THREADS (BM * BN / (TM * TN))

// As many blocks a multiprocessor must have room for, which leaves each thread enough registers: left
// to itself (0) the compiler spills some of wide tiles' for one block more.
#define AT_ONCE (BN > 64 ? 1 : BN > 32 ? 2 : 0)

struct Problem {  // N images of H x W, C and O per group
    int N, H, W, C, Ho, Wo, O, KH, KW, sh, sw, ph, pw, dh, dw, groups;
};

struct __align__(16) Four {
    float v[4];
};

__device__ inline Four zeros() { return Four{{0, 0, 0, 0}}; }

// Four numbers at an address, of which the first `count` exist.
__device__ inline Four read(const float *from, int count) {
#if VEC
    return count > 0 ? *(const Four *)from : zeros();
#else
    Four four;
    for (int e = 0; e < 4; e++) four.v[e] = e < count ? from[e] : 0;
    return four;
#endif
}

// ------------------------------------------------------------------ where the numbers come from

// Windows of x: row m = (n, i, j), column k = (kh, kw, c). fetch gives columns k to k+3 of a row.
struct Windows {
    const float *x;
    const Problem &p;
    int group, rows, columns;

    struct Row { const float *image; int h, w; };
    struct Column { int c, h, w; };  // a channel, and how far its tap is from the window's first
    __device__ Row row(int m) const {
        int n = m / (p.Ho * p.Wo), i = m / p.Wo % p.Ho, j = m % p.Wo;
        const float *image = x + ((size_t)n * p.H * p.W * p.groups + group) * p.C;
        return Row{m < rows ? image : nullptr, i * p.sh - p.ph, j * p.sw - p.pw};
    }
    __device__ Column column(int k) const {
        int tap = k / p.C;
        return Column{k < columns ? k % p.C : -1, tap / p.KW * p.dh, tap % p.KW * p.dw};
    }
    template <class T> __device__ T at(const Row &r, const Column &tap) const {
        int h = r.h + tap.h, w = r.w + tap.w;
        bool inside = r.image && tap.c >= 0 && (unsigned)h < p.H && (unsigned)w < p.W;
        return inside ? *(const T *)(r.image + ((size_t)h * p.W + w) * p.groups * p.C + tap.c) : T();
    }
    __device__ Four fetch(const Row &r, int k) const {
#if VEC
        return at<Four>(r, column(k));
#else
        return Four{{at<float>(r, column(k)), at<float>(r, column(k + 1)),
                     at<float>(r, column(k + 2)), at<float>(r, column(k + 3))}};
#endif
    }
};

// What pixels of dx get: row m = (n, h, w) of a phase, column k = (tap, o), taps those of the phase.
struct Phase {
    int h, w;            // the first pixel
    int rows, columns;   // pixels of an image
    int kh, kw, KH, KW;  // the first tap, and how many
    int step_h, step_w;  // from a tap to the next
};

__device__ inline int taps_of(int first, int K, int s, int pad, int d, int *start, int *step) {
    int found = 0;
    *start = 0, *step = 1;
    for (int k = 0; k < K; k++)
        if ((first + pad - k * d) % s == 0) {
            if (found == 0) *start = k;
            if (found == 1) *step = k - *start;
            found++;
        }
    return found;
}

__device__ inline Phase phase_of(const Problem &p, int number) {
    Phase f;
    f.h = number / p.sw, f.w = number % p.sw;
    f.rows = (p.H - f.h + p.sh - 1) / p.sh, f.columns = (p.W - f.w + p.sw - 1) / p.sw;
    f.KH = taps_of(f.h, p.KH, p.sh, p.ph, p.dh, &f.kh, &f.step_h);
    f.KW = taps_of(f.w, p.KW, p.sw, p.pw, p.dw, &f.kw, &f.step_w);
    return f;
}

struct SeenBy {
    const float *g;
    const Problem &p;
    const Phase &f;
    int group, rows, columns;

    struct Row { const float *image; int h, w; };
    __device__ Row row(int m) const {
        int n = m / (f.rows * f.columns), i = m / f.columns % f.rows, j = m % f.columns;
        const float *image = g + ((size_t)n * p.Ho * p.Wo * p.groups + group) * p.O;
        return Row{m < rows ? image : nullptr, f.h + i * p.sh + p.ph, f.w + j * p.sw + p.pw};
    }
    __device__ const float *cell(const Row &r, int k) const {
        int o = k % p.O, tap = k / p.O;
        int h = r.h - (f.kh + tap / f.KW * f.step_h) * p.dh;  // a multiple of the stride
        int w = r.w - (f.kw + tap % f.KW * f.step_w) * p.dw;
        bool inside = r.image && k < columns && h >= 0 && w >= 0 && h / p.sh < p.Ho && w / p.sw < p.Wo;
        return inside ? r.image + ((size_t)(h / p.sh) * p.Wo + w / p.sw) * p.groups * p.O + o : nullptr;
    }
    __device__ Four fetch(const Row &r, int k) const {
#if VEC
        const float *from = cell(r, k);
        return from ? *(const Four *)from : zeros();
#else
        Four four;
        for (int e = 0; e < 4; e++) {
            const float *from = cell(r, k + e);
            four.v[e] = from ? *from : 0;
        }
        return four;
#endif
    }
};

// Weights for dx: column k = (tap, o) of row c, which lies along o.
struct Backwards {
    const float *w;
    const Problem &p;
    const Phase &f;
    int group, rows, columns;

    struct Row { int c; };
    __device__ Row row(int c) const { return Row{c < rows ? c : -1}; }
    __device__ const float *cell(const Row &r, int k) const {
        int o = k % p.O, tap = k / p.O;
        int kh = f.kh + tap / f.KW * f.step_h, kw = f.kw + tap % f.KW * f.step_w;
        bool inside = r.c >= 0 && k < columns;
        return inside ? w + (((size_t)kh * p.KW + kw) * p.C + r.c) * p.groups * p.O + group * p.O + o
                      : nullptr;
    }
    __device__ Four fetch(const Row &r, int k) const {
#if VEC
        const float *from = cell(r, k);
        return from ? *(const Four *)from : zeros();
#else
        Four four;
        for (int e = 0; e < 4; e++) {
            const float *from = cell(r, k + e);
            four.v[e] = from ? *from : 0;
        }
        return four;
#endif
    }
};

// A matrix as it lies in memory: fetch gives columns n to n+3 of row k.
struct Matrix {
    const float *data;
    int pitch, rows, columns;

    typedef int Columns;
    __device__ Columns at(int n) const { return n; }
    __device__ Four fetch(int k, Columns n) const {
        return k < rows ? read(data + (size_t)k * pitch + n, columns - n) : zeros();
    }
};

// Windows read the other way: columns m to m+3, m = (kh, kw, c), of position k.
struct WindowsAcross {
    Windows windows;

    struct Columns { Windows::Column of[VEC ? 1 : 4]; };
    __device__ Columns at(int m) const {
        Columns columns;
        for (int e = 0; e < (VEC ? 1 : 4); e++) columns.of[e] = windows.column(m + e);
        return columns;
    }
    __device__ Four fetch(int k, const Columns &columns) const {
        Windows::Row row = windows.row(k);
#if VEC
        return windows.at<Four>(row, columns.of[0]);
#else
        Four four;
        for (int e = 0; e < 4; e++) four.v[e] = windows.at<float>(row, columns.of[e]);
        return four;
#endif
    }
};

// ------------------------------------------------------------------ tiles in shared memory

// A tile of SIZE columns whose source gives four terms k of one column: they are turned.
template <class Source, int SIZE> struct Turned {
    static const int COUNT = (SIZE * BK / 4 + THREADS - 1) / THREADS;
    static const int PASS = THREADS / (BK / 4);  // columns that all threads fetch at once
    const Source &source;
    typename Source::Row row[COUNT];
    Four next[COUNT];
    __device__ Turned(const Source &s, int first) : source(s) {
        for (int l = 0; l < COUNT; l++) row[l] = s.row(first + threadIdx.x / (BK / 4) + l * PASS);
    }
    __device__ void fetch(int k) {
#pragma unroll
        for (int l = 0; l < COUNT; l++) next[l] = source.fetch(row[l], k + threadIdx.x % (BK / 4) * 4);
    }
    __device__ void put(float (*tile)[SIZE + 4]) const {
#pragma unroll
        for (int l = 0; l < COUNT; l++) {
            int column = threadIdx.x / (BK / 4) + l * PASS, k = threadIdx.x % (BK / 4) * 4;
            if (column < SIZE)
                for (int e = 0; e < 4; e++) tile[k + e][column] = next[l].v[e];
        }
    }
};

// A tile whose source gives four columns of one term k.
template <class Source, int SIZE> struct Straight {
    static const int COUNT = (SIZE * BK / 4 + THREADS - 1) / THREADS;
    static_assert(THREADS % (SIZE / 4) == 0, "a thread stays with its columns");
    const Source &source;
    typename Source::Columns columns;
    Four next[COUNT];
    __device__ Straight(const Source &s, int first)
        : source(s), columns(s.at(first + threadIdx.x % (SIZE / 4) * 4)) {}
    __device__ void fetch(int k) {
#pragma unroll
        for (int l = 0; l < COUNT; l++) {
            int at = threadIdx.x + l * THREADS;
            if (at < SIZE * BK / 4) next[l] = source.fetch(k + at / (SIZE / 4), columns);
        }
    }
    __device__ void put(float (*tile)[SIZE + 4]) const {
#pragma unroll
        for (int l = 0; l < COUNT; l++) {
            int at = threadIdx.x + l * THREADS;
            if (at < SIZE * BK / 4) *(Four *)&tile[at / (SIZE / 4)][at % (SIZE / 4) * 4] = next[l];
        }
    }
};

// ------------------------------------------------------------------ the product

// Thread (ty, tx) has rows ty*4 + 0..3 of every BM/TM*4, and columns likewise.
__device__ inline int my_row(int i) { return i / 4 * (BM / TM * 4) + threadIdx.x / (BN / TN) * 4 + i % 4; }
__device__ inline int my_column(int j) { return j / 4 * (BN / TN * 4) + threadIdx.x % (BN / TN) * 4 + j % 4; }

struct Sums {
    float of[TM][TN];
    __device__ Sums() {
        for (int i = 0; i < TM; i++)
            for (int j = 0; j < TN; j++) of[i][j] = 0;
    }
    __device__ void add(float (*a)[BM + 4], float (*b)[BN + 4]) {
#pragma unroll
        for (int k = 0; k < BK; k++) {
            Four left[TM / 4], right[TN / 4];
#pragma unroll
            for (int i = 0; i < TM / 4; i++) left[i] = *(Four *)&a[k][my_row(4 * i)];
#pragma unroll
            for (int j = 0; j < TN / 4; j++) right[j] = *(Four *)&b[k][my_column(4 * j)];
#pragma unroll
            for (int i = 0; i < TM; i++)
#pragma unroll
                for (int j = 0; j < TN; j++) of[i][j] += left[i / 4].v[i % 4] * right[j / 4].v[j % 4];
        }
    }
    // out(row, column, four numbers) for all of the block's numbers.
    template <class Out> __device__ void put(const Out &out) const {
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
            for (int j = 0; j < TN; j += 4)
                out(my_row(i), my_column(j), Four{{of[i][j], of[i][j + 1], of[i][j + 2], of[i][j + 3]}});
    }
};

struct Tiles {  // two of each: one is multiplied while the other is filled
    float a[2][BK][BM + 4], b[2][BK][BN + 4];
};
// The sums over terms first <= k < last of left[k][m] * right[k][n], handed to `out`.
template <class Left, class Right, class Out>
__device__ void product(Left &left, Right &right, int first, int last, const Out &out) {
    __shared__ __align__(16) Tiles tiles;
    auto &a = tiles.a;
    auto &b = tiles.b;
    Sums sums;
    if (first < last) {
        left.fetch(first), right.fetch(first);
        left.put(a[0]), right.put(b[0]);
        __syncthreads();
        for (int k = first, now = 0;; now ^= 1) {
            k += BK;
            if (k < last) left.fetch(k), right.fetch(k);
            sums.add(a[now], b[now]);
            if (k >= last) break;
            left.put(a[now ^ 1]), right.put(b[now ^ 1]);
            __syncthreads();
        }
    }
    sums.put(out);
}

__device__ inline void write(float *to, const Four &four, int count) {
#if VEC
    if (count > 0) *(Four *)to = four;
#else
    for (int e = 0; e < 4; e++)
        if (e < count) to[e] = four.v[e];
#endif
}

// ------------------------------------------------------------------ the three kernels

// Grid: (tiles of positions, tiles of filters, groups). At its end, each where it is given: a factor
// and a term for each filter, a residual to add, ReLU.
extern "C" __global__ void __launch_bounds__(THREADS, AT_ONCE) conv_forward(
    const float *x, const float *w, float *out, const Problem p,
    const float *scale, const float *shift, const float *residual, int relu) {
    int group = blockIdx.z, positions = p.N * p.Ho * p.Wo, terms = p.KH * p.KW * p.C;
    int pitch = p.groups * p.O;
    Windows windows{x, p, group, positions, terms};
    Matrix weights{w + group * p.O, pitch, terms, p.O};
    Turned<Windows, BM> left(windows, blockIdx.x * BM);
    Straight<Matrix, BN> right(weights, blockIdx.y * BN);
    auto finish = [&](int i, int j, Four four) {
        int m = blockIdx.x * BM + i, o = blockIdx.y * BN + j, count = m < positions ? p.O - o : 0;
        size_t at = (size_t)m * pitch + group * p.O + o;
        for (int e = 0; e < 4; e++)
            if (e < count) {
                int filter = group * p.O + o + e;
                float y = four.v[e];
                if (scale) y *= scale[filter];
                if (shift) y += shift[filter];
                if (residual) y += residual[at + e];
                four.v[e] = relu && y <= 0 ? 0 : y;  // NaN stays
            }
        write(out + at, four, count);
    };
    product(left, right, 0, terms, finish);
}

// Grid: (tiles of pixels, tiles of channels, groups * phases). Every number of dx is written.
extern "C" __global__ void __launch_bounds__(THREADS, AT_ONCE) conv_dx(
    const float *g, const float *w, float *dx, const Problem p) {
    int group = blockIdx.z % p.groups;
    Phase f = phase_of(p, blockIdx.z / p.groups);
    int pixels = p.N * f.rows * f.columns, terms = f.KH * f.KW * p.O;
    if ((int)blockIdx.x * BM >= pixels) return;  // phases differ in size
    SeenBy seen{g, p, f, group, pixels, terms};
    Backwards weights{w, p, f, group, p.C, terms};
    Turned<SeenBy, BM> left(seen, blockIdx.x * BM);
    Turned<Backwards, BN> right(weights, blockIdx.y * BN);
    auto finish = [&](int i, int j, Four four) {
        int m = blockIdx.x * BM + i, c = blockIdx.y * BN + j;
        if (m >= pixels) return;
        int n = m / (f.rows * f.columns), h = m / f.columns % f.rows, column = m % f.columns;
        size_t pixel = ((size_t)n * p.H + f.h + h * p.sh) * p.W + f.w + column * p.sw;
        write(dx + (pixel * p.groups + group) * p.C + c, four, p.C - c);
    };
    product(left, right, 0, terms, finish);
}

// Grid: (tiles of weights, tiles of filters, groups * shares): each share of the positions makes a
// partial sum of its own, which `add_shares` adds up, always in the same order.
extern "C" __global__ void __launch_bounds__(THREADS, AT_ONCE) conv_dw(
    const float *x, const float *g, float *partial, const Problem p, int shares, int share) {
    int group = blockIdx.z % p.groups, number = blockIdx.z / p.groups;
    int positions = p.N * p.Ho * p.Wo, taps = p.KH * p.KW * p.C;
    int first = number * share, last = min(positions, first + share);
    int pitch = p.groups * p.O;
    WindowsAcross windows{Windows{x, p, group, last, taps}};
    Matrix gradient{g + group * p.O, pitch, last, p.O};
    Straight<WindowsAcross, BM> left(windows, blockIdx.x * BM);
    Straight<Matrix, BN> right(gradient, blockIdx.y * BN);
    auto finish = [&](int i, int j, Four four) {
        int m = blockIdx.x * BM + i, o = blockIdx.y * BN + j;
        size_t at = ((size_t)number * taps + m) * pitch + group * p.O + o;
        write(partial + at, four, m < taps ? p.O - o : 0);
    };
    product(left, right, first, last, finish);
}

extern "C" __global__ void add_shares(const float *partial, float *dw, int size, int shares) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size) return;
    float sum = 0;
#pragma unroll 8
    for (int s = 0; s < shares; s++) sum += partial[(size_t)s * size + i];
    dw[i] = sum;
}
