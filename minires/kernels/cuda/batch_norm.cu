// Batch norm's sums over all rows of (rows, C) numbers, two for each channel, in one launch.
//
// The blocks share the rows. The last block to finish adds up what all have found, in the order of
// the blocks: so the result is the same every time, whichever block that is. Sums are double; the
// reading takes longer than the adding.

#define THREADS 256

// terms(at, c, first, second) adds number `at`, of channel c, to two sums; finish(c, first, second)
// gets them. A row of `lanes` threads takes `lanes` channels; row y of block b takes rows b*high + y,
// then those gridDim.x*high further on, and so forth.
// partial: (gridDim.x, 2, C); arrived: gridDim.y zeros, which are zeros again at the end.
template <class Terms, class Finish>
__device__ void channel_sums(int rows, int C, int lanes, volatile double *partial,
                             unsigned *arrived, const Terms &terms, const Finish &finish) {
    __shared__ double found[2][THREADS];
    __shared__ bool last;
    int lane = threadIdx.x % lanes, y = threadIdx.x / lanes, high = THREADS / lanes;
    int c = blockIdx.y * lanes + lane;
    double first = 0, second = 0;

    auto over_rows_of_threads = [&]() {  // leaves the block's sums in the threads of row 0
        found[0][threadIdx.x] = first, found[1][threadIdx.x] = second;
        __syncthreads();
        if (y == 0)
            for (int other = 1; other < high; other++) {
                first += found[0][other * lanes + lane];
                second += found[1][other * lanes + lane];
            }
        __syncthreads();
    };

    if (c < C) {
#pragma unroll 4
        for (int row = blockIdx.x * high + y; row < rows; row += gridDim.x * high)
            terms((size_t)row * C + c, c, first, second);
    }
    over_rows_of_threads();
    if (y == 0 && c < C) {
        partial[2 * (size_t)blockIdx.x * C + c] = first;
        partial[(2 * (size_t)blockIdx.x + 1) * C + c] = second;
    }

    __threadfence();  // the partial sums are in memory before the block is counted
    __syncthreads();
    if (threadIdx.x == 0) last = atomicAdd(arrived + blockIdx.y, 1u) == gridDim.x - 1;
    __syncthreads();
    if (!last) return;
    __threadfence();

    first = second = 0;
    if (c < C)
        for (int block = y; block < (int)gridDim.x; block += high) {
            first += partial[2 * (size_t)block * C + c];
            second += partial[(2 * (size_t)block + 1) * C + c];
        }
    over_rows_of_threads();
    if (y == 0 && c < C) finish(c, first, second);
    if (threadIdx.x == 0) arrived[blockIdx.y] = 0;
}

// statistics: (3, C): mean, biased variance, 1 / sqrt(variance + eps). Where there are running
// statistics they move towards the batch's, the variance as its unbiased estimate.
extern "C" __global__ void __launch_bounds__(THREADS) norm_statistics(
    const float *x, int rows, int C, int lanes, double *partial, unsigned *arrived,
    float *statistics, double eps, float *running_mean, float *running_var, float momentum) {
    channel_sums(
        rows, C, lanes, partial, arrived,
        [&](size_t at, int c, double &sum, double &squares) {
            double v = x[at];
            sum += v, squares += v * v;
        },
        [&](int c, double sum, double squares) {
            double mean = sum / rows, var = squares / rows - mean * mean;
            if (var < 0) var = 0;  // rounding may go below; NaN stays
            statistics[c] = mean, statistics[C + c] = var;
            statistics[2 * C + c] = 1 / sqrt(var + eps);
            if (running_mean) running_mean[c] += momentum * ((float)mean - running_mean[c]);
            if (running_var) {
                float unbiased = var * rows / (rows - 1.0);
                running_var[c] += momentum * (unbiased - running_var[c]);
            }
        });
}

// sums: (2, C): of g, which is beta's gradient, and of g times the normalised x, which is gamma's.
extern "C" __global__ void __launch_bounds__(THREADS) norm_gradient_sums(
    const float *g, const float *x, const float *mean, const float *inv_std, int rows, int C,
    int lanes, double *partial, unsigned *arrived, float *sums) {
    channel_sums(
        rows, C, lanes, partial, arrived,
        [&](size_t at, int c, double &sum, double &products) {
            sum += g[at], products += g[at] * ((double)x[at] - mean[c]);
        },
        [&](int c, double sum, double products) {
            sums[c] = sum, sums[C + c] = products * inv_std[c];
        });
}
