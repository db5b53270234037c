// Cross-entropy of rows of logits with the probabilities of their classes: a warp for each row.

#define WARPS 4
#define ALL 0xffffffffu

__device__ inline float largest_of(const float *z, int classes, int lane) {
    float most = z[0];
    for (int c = lane; c < classes; c += 32) most = z[c] > most ? z[c] : most;
    for (int step = 16; step; step /= 2) {
        float other = __shfl_xor_sync(ALL, most, step);
        most = other > most ? other : most;
    }
    return most;
}

__device__ inline float sum_of(float mine) {  // over the warp, in the same order for every lane
    for (int step = 16; step; step /= 2) mine += __shfl_xor_sync(ALL, mine, step);
    return mine;
}

// loss[row] = log(sum(exp(z - most))) - sum(target * (z - most))
extern "C" __global__ void cross_entropy(const float *logits, const float *target, float *loss,
                                         int rows, int classes) {
    int row = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;  // a warp as a whole
    const float *z = logits + (size_t)row * classes, *t = target + (size_t)row * classes;
    float most = largest_of(z, classes, lane), total = 0, dot = 0;
    for (int c = lane; c < classes; c += 32) {
        total += expf(z[c] - most);
        if (t[c] != 0) dot += (z[c] - most) * t[c];  // -inf, a class ruled out, times 0 is 0
    }
    total = sum_of(total), dot = sum_of(dot);
    if (lane == 0) loss[row] = logf(total) - dot;
}

// dz = (softmax(z) - target) * g[row]
extern "C" __global__ void cross_entropy_gradient(const float *g, const float *logits,
                                                  const float *target, float *dz, int rows,
                                                  int classes) {
    int row = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    const float *z = logits + (size_t)row * classes, *t = target + (size_t)row * classes;
    float most = largest_of(z, classes, lane), total = 0, upstream = g[row];
    for (int c = lane; c < classes; c += 32) total += expf(z[c] - most);
    total = sum_of(total);
    for (int c = lane; c < classes; c += 32)
        dz[(size_t)row * classes + c] = (expf(z[c] - most) / total - t[c]) * upstream;
}
