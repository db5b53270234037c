// Max pooling of (N, H, W, C) images: one launch each for the maxima, for where they stand, and for
// sending gradients there. A thread has one number of the result at a time.

struct Pool {
    int N, H, W, C, Ho, Wo, KH, KW, sh, sw, ph, pw;
};

#define FOR_EACH_NUMBER(at, size)                                                      \
    for (long long at = blockIdx.x * (long long)blockDim.x + threadIdx.x; at < (size); \
         at += (long long)gridDim.x * blockDim.x)

// The largest number of the window (i, j), and its place kh*KW + kw: the first of several. NaN counts
// as larger than any number.
__device__ inline float winner(const float *image, const Pool &p, int i, int j, int c, int *place) {
    float best = 0;
    *place = -1;
    for (int kh = 0; kh < p.KH; kh++)
        for (int kw = 0; kw < p.KW; kw++) {
            int h = i * p.sh - p.ph + kh, w = j * p.sw - p.pw + kw;
            if (h < 0 || w < 0 || h >= p.H || w >= p.W) continue;
            float v = image[((size_t)h * p.W + w) * p.C + c];
            if (*place < 0 || v > best || (v != v && best == best))
                best = v, *place = kh * p.KW + kw;
        }
    return best;
}

// Either of `out` and `places` may be null.
extern "C" __global__ void max_pool(const float *x, float *out, unsigned char *places,
                                    const Pool p) {
    FOR_EACH_NUMBER(at, (long long)p.N * p.Ho * p.Wo * p.C) {
        int c = at % p.C, j = at / p.C % p.Wo, i = at / p.C / p.Wo % p.Ho;
        size_t n = at / p.C / p.Wo / p.Ho;
        int place;
        float best = winner(x + n * p.H * p.W * p.C, p, i, j, c, &place);
        if (out) out[at] = best;
        if (places) places[at] = place;
    }
}

// Each pixel looks at the windows that hold it and adds the gradients of those that it won.
extern "C" __global__ void max_pool_scatter(const float *g, const unsigned char *places, float *dx,
                                            const Pool p) {
    FOR_EACH_NUMBER(at, (long long)p.N * p.H * p.W * p.C) {
        int c = at % p.C, w = at / p.C % p.W, h = at / p.C / p.W % p.H;
        size_t n = at / p.C / p.W / p.H;
        float sum = 0;
        int top = max(0, (h + p.ph - p.KH + p.sh) / p.sh);  // the first windows that hold it
        int left = max(0, (w + p.pw - p.KW + p.sw) / p.sw);
        for (int i = top; i < p.Ho && i * p.sh - p.ph <= h; i++)
            for (int j = left; j < p.Wo && j * p.sw - p.pw <= w; j++) {
                size_t window = ((n * p.Ho + i) * p.Wo + j) * p.C + c;
                int place = (h + p.ph - i * p.sh) * p.KW + w + p.pw - j * p.sw;
                if (places[window] == place) sum += g[window];
            }
        dx[at] = sum;
    }
}
