// The optimisers' updates: one launch for many parameters, whose addresses come as an argument.
//
// Row y of the grid is parameter y; its blocks share the numbers. `x` changes in place, and so does
// what the optimiser remembers, an array for each name that it has and null for others.

struct Parameter {
    float *x;
    const float *grad;
    float *first, *second, *third;
    long long size;
};

#define MOST 80  // with the other arguments not more than the 4 KB that a launch may have

struct Parameters {
    Parameter of[MOST];
};

#define FOR_EACH_NUMBER(i, size)                                             \
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < size; \
         i += (long long)gridDim.x * blockDim.x)

// first: the velocity. kept: 1 - dampening.
extern "C" __global__ void sgd(const Parameters parameters, float lr, float momentum, float kept,
                               float decay, int nesterov) {
    const Parameter &p = parameters.of[blockIdx.y];
    FOR_EACH_NUMBER(i, p.size) {
        float x = p.x[i], direction = p.grad[i] + decay * x;
        if (p.first) {
            float velocity = momentum * p.first[i] + kept * direction;
            p.first[i] = velocity;
            direction = nesterov ? direction + momentum * velocity : velocity;
        }
        p.x[i] = x - lr * direction;
    }
}

// first, second: means of gradients and of their squares; third: the largest of these, if kept.
// rest1 is 1 - beta1; step and eps have the corrections of both means in them; shrink is AdamW's.
extern "C" __global__ void adam(const Parameters parameters, float beta1, float rest1, float beta2,
                                float rest2, float step, float eps, float decay, float shrink) {
    const Parameter &p = parameters.of[blockIdx.y];
    FOR_EACH_NUMBER(i, p.size) {
        float x = shrink * p.x[i], g = p.grad[i] + decay * x;
        float mean = beta1 * p.first[i] + rest1 * g, square = beta2 * p.second[i] + rest2 * (g * g);
        p.first[i] = mean, p.second[i] = square;
        if (p.third) {
            if (square > p.third[i] || square != square) p.third[i] = square;
            square = p.third[i];
        }
        p.x[i] = x - step * (mean / (sqrtf(square) + eps));
    }
}

// first: the mean of squares; second: of gradients, if centred; third: the velocity, if there is one.
extern "C" __global__ void rmsprop(const Parameters parameters, float lr, float alpha, float rest,
                                   float eps, float decay, float momentum) {
    const Parameter &p = parameters.of[blockIdx.y];
    FOR_EACH_NUMBER(i, p.size) {
        float x = p.x[i], g = p.grad[i] + decay * x;
        float square = alpha * p.first[i] + rest * (g * g);
        p.first[i] = square;
        if (p.second) {
            float mean = alpha * p.second[i] + rest * g;
            p.second[i] = mean, square -= mean * mean;
            if (square < 0) square = 0;  // rounding may go below
        }
        float direction = g / (sqrtf(square) + eps);
        if (p.third) direction = p.third[i] = momentum * p.third[i] + direction;
        p.x[i] = x - lr * direction;
    }
}
