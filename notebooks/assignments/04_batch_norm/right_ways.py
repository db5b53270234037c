"""Other right ways to solve assignment 4; they run in the names of `grading.py`."""

# ---------------------------------------------------------------------- 1 forward, in training


@batch_norm_train.correct("loops")
def train_loops(x, gamma, beta, eps):
    out = np.empty(x.shape)
    rows, channels = x.shape
    for c in range(channels):
        mean = 0.0
        for i in range(rows):
            mean += x[i, c] / rows
        var = 0.0
        for i in range(rows):
            var += (x[i, c] - mean) ** 2 / rows
        for i in range(rows):
            out[i, c] = gamma[c] * (x[i, c] - mean) / (var + eps) ** 0.5 + beta[c]
    return out


@batch_norm_train.correct("scale and shift")
def train_scale_and_shift(x, gamma, beta, eps):
    scale = gamma / np.sqrt(x.var(0) + eps)
    return x * scale + (beta - x.mean(0) * scale)


@batch_norm_train.correct("mean of squares")
def train_squares(x, gamma, beta, eps):
    centred = x - np.sum(x, axis=0, keepdims=True) / len(x)
    power = np.einsum("mc,mc->c", centred, centred) / len(x)
    return np.multiply(centred, gamma * (power + eps) ** -0.5) + beta


@batch_norm_train.correct("float32")
def train_float32(x, gamma, beta, eps):
    x = x.astype(np.float32)
    normal = (x - x.mean(0)) / np.sqrt(x.var(0) + np.float32(eps))
    return (normal * gamma + beta).astype(np.float32)


@batch_norm_train.correct("channels first inside")
def train_channels_first(x, gamma, beta, eps):
    columns = np.ascontiguousarray(x.T)
    columns = columns - columns.mean(axis=1)[:, None]
    columns *= (gamma / np.sqrt((columns**2).mean(axis=1) + eps))[:, None]
    return (columns + beta[:, None]).T


@batch_norm_train.correct("float32 inside only")
def train_float32_inside(x, gamma, beta, eps):
    x = x.astype(np.float32)
    return gamma * ((x - x.mean(0)) / np.sqrt(x.var(0) + np.float32(eps))) + beta


# ---------------------------------------------------------------------- 2 running statistics


@update_statistics.correct("by the difference")
def statistics_difference(running_mean, running_var, x, momentum):
    return (
        running_mean + momentum * (x.mean(0) - running_mean),
        running_var + momentum * (np.atleast_2d(np.cov(x.T)).diagonal() - running_var),
    )


@update_statistics.correct("loops")
def statistics_loops(running_mean, running_var, x, momentum):
    mean, var = running_mean.copy(), running_var.copy()
    for c in range(x.shape[1]):
        centre = sum(x[:, c]) / len(x)
        mean[c] = (1 - momentum) * mean[c] + momentum * centre
        spread = sum((v - centre) ** 2 for v in x[:, c]) / (len(x) - 1)
        var[c] = (1 - momentum) * var[c] + momentum * spread
    return mean, var


@update_statistics.correct("Bessel's factor")
def statistics_factor(running_mean, running_var, x, momentum):
    M = len(x)
    var = ((x - x.mean(0)) ** 2).mean(0) * M / (M - 1)
    keep = 1 - momentum
    return keep * running_mean + momentum * x.mean(0), keep * running_var + momentum * var


@update_statistics.correct("float32")
def statistics_float32(running_mean, running_var, x, momentum):
    x = np.float32(x)
    mean = np.float32((1 - momentum) * running_mean) + np.float32(momentum) * x.mean(0)
    var = np.float32((1 - momentum) * running_var) + np.float32(momentum) * x.var(0, ddof=1)
    return mean, var


@update_statistics.correct("a stacked average, as a list")
def statistics_average(running_mean, running_var, x, momentum):
    weights = [1 - momentum, momentum]
    new = np.stack([x.mean(axis=0), x.var(axis=0, ddof=1)])
    old = np.stack([running_mean, running_var])
    return list(np.average([old, new], axis=0, weights=weights))


@update_statistics.correct("float32 inside only")
def statistics_float32_inside(running_mean, running_var, x, momentum):
    x = x.astype(np.float32)
    mean, var = x.mean(axis=0).astype(float), x.var(axis=0, ddof=1).astype(float)
    return (
        running_mean + momentum * (mean - running_mean),
        running_var + momentum * (var - running_var),
    )


# ---------------------------------------------------------------------- 3 forward, in evaluation


@batch_norm_eval.correct("scale and shift")
def eval_scale_and_shift(x, gamma, beta, running_mean, running_var, eps):
    scale = gamma / np.sqrt(running_var + eps)
    return scale * x + (beta - scale * running_mean)


@batch_norm_eval.correct("loops")
def eval_loops(x, gamma, beta, running_mean, running_var, eps):
    out = x.copy()
    for row in out:
        for c in range(len(row)):
            row[c] = (row[c] - running_mean[c]) / (running_var[c] + eps) ** 0.5
            row[c] = row[c] * gamma[c] + beta[c]
    return out


@batch_norm_eval.correct("a matrix product")
def eval_product(x, gamma, beta, running_mean, running_var, eps):
    scale = np.diag(gamma * (running_var + eps) ** -0.5)
    return (x - running_mean) @ scale + beta


@batch_norm_eval.correct("float32")
def eval_float32(x, gamma, beta, running_mean, running_var, eps):
    x, mean, var = np.float32(x), np.float32(running_mean), np.float32(running_var)
    return np.float32(gamma) * (x - mean) / np.sqrt(var + np.float32(eps)) + np.float32(beta)


@batch_norm_eval.correct("Fortran order")
def eval_fortran(x, gamma, beta, running_mean, running_var, eps):
    normal = (x - running_mean[None]) / np.sqrt(running_var[None] + eps)
    return np.asfortranarray(normal * gamma[None] + beta[None])


@batch_norm_eval.correct("float32 inside only")
def eval_float32_inside(x, gamma, beta, running_mean, running_var, eps):
    deviation = np.sqrt(running_var.astype(np.float32) + np.float32(eps))
    return gamma * ((x.astype(np.float32) - running_mean.astype(np.float32)) / deviation) + beta


# ---------------------------------------------------------------------- 4 backward, in training


@batch_norm_train_backward.correct("one formula")
def backward_one_formula(g, x, gamma, eps):
    M = len(x)
    deviation = np.sqrt(x.var(axis=0) + eps)
    normal = (x - x.mean(axis=0)) / deviation
    dgamma, dbeta = np.sum(g * normal, axis=0), np.sum(g, axis=0)
    return gamma / (M * deviation) * (M * g - dbeta - normal * dgamma), dgamma, dbeta


@batch_norm_train_backward.correct("step by step")
def backward_steps(g, x, gamma, eps):
    M = x.shape[0]
    centred = x - x.mean(axis=0)
    var = (centred**2).mean(axis=0)
    root = np.sqrt(var + eps)
    dnormal = g * gamma
    dvar = (dnormal * centred).sum(axis=0) * -0.5 * (var + eps) ** -1.5
    dmean = (dnormal * -1 / root).sum(axis=0) + dvar * (-2 * centred).mean(axis=0)
    dx = dnormal / root + dvar * 2 * centred / M + dmean / M
    return dx, (g * centred / root).sum(axis=0), g.sum(axis=0)


@batch_norm_train_backward.correct("loops over the Jacobian")
def backward_loops(g, x, gamma, eps):
    M, C = x.shape
    dx, dgamma, dbeta = np.zeros((M, C)), np.zeros(C), np.zeros(C)
    for c in range(C):
        root = np.sqrt(np.var(x[:, c]) + eps)
        normal = (x[:, c] - np.mean(x[:, c])) / root
        for i in range(M):
            dgamma[c] += g[i, c] * normal[i]
            dbeta[c] += g[i, c]
            for j in range(M):
                slope = (float(i == j) - 1 / M - normal[i] * normal[j] / M) / root
                dx[j, c] += g[i, c] * gamma[c] * slope
    return dx, dgamma, dbeta


@batch_norm_train_backward.correct("the Jacobian as a matrix")
def backward_matrix(g, x, gamma, eps):
    M, C = x.shape
    dx = np.empty_like(x)
    inverse = (x.var(0) + eps) ** -0.5
    normal = (x - x.mean(0)) * inverse
    for c in range(C):
        n = normal[:, c]
        jacobian = (np.eye(M) - np.full((M, M), 1 / M) - np.outer(n, n) / M) * inverse[c]
        dx[:, c] = gamma[c] * (jacobian.T @ g[:, c])
    return dx, np.einsum("mc,mc->c", g, normal), np.ones(M) @ g


@batch_norm_train_backward.correct("float32")
def backward_float32(g, x, gamma, eps):
    g, x, gamma = (a.astype(np.float32) for a in (g, x, gamma))
    inverse = 1 / np.sqrt(x.var(axis=0) + np.float32(eps))
    normal = (x - x.mean(axis=0)) * inverse
    dbeta, dgamma = g.sum(axis=0), (g * normal).sum(axis=0)
    return (g - dbeta / len(x) - normal * dgamma / len(x)) * gamma * inverse, dgamma, dbeta


@batch_norm_train_backward.correct("channels first inside")
def backward_channels_first(g, x, gamma, eps):
    g, x = g.T, x.T
    root = np.sqrt(x.var(axis=1, keepdims=True) + eps)
    normal = (x - x.mean(axis=1, keepdims=True)) / root
    h = gamma[:, None] * g
    dx = (
        h - h.mean(axis=1, keepdims=True) - normal * (h * normal).mean(axis=1, keepdims=True)
    ) / root
    return dx.T, (g * normal).sum(axis=1), g.sum(axis=1)


@batch_norm_train_backward.correct("float32 inside only")
def backward_float32_inside(g, x, gamma, eps):
    dtype = x.dtype
    g, x, gamma = (a.astype(np.float32) for a in (g, x, gamma))
    deviation = np.sqrt(x.var(axis=0) + np.float32(eps))
    normal = (x - x.mean(axis=0)) / deviation
    h = g * gamma
    dx = (h - h.mean(axis=0) - normal * (h * normal).mean(axis=0)) / deviation
    return tuple(a.astype(dtype) for a in (dx, (g * normal).sum(axis=0), g.sum(axis=0)))


# ---------------------------------------------------------------------- 5 backward, in evaluation


@batch_norm_eval_backward.correct("rows")
def eval_backward_rows(g, x, gamma, running_mean, running_var, eps):
    rows, places = g.reshape(-1, g.shape[-1]), x.reshape(-1, x.shape[-1])
    deviation = np.sqrt(running_var + eps)
    dgamma = (rows * (places - running_mean)).sum(axis=0) / deviation
    return (rows * (gamma / deviation)).reshape(g.shape), dgamma, rows.sum(axis=0)


@batch_norm_eval_backward.correct("einsum")
def eval_backward_einsum(g, x, gamma, running_mean, running_var, eps):
    inverse = (running_var + eps) ** -0.5
    dx = np.einsum("nhwc,c,c->nhwc", g, gamma, inverse)
    dgamma = np.einsum("nhwc,nhwc,c->c", g, x - running_mean, inverse)
    return dx, dgamma, np.einsum("nhwc->c", g)


@batch_norm_eval_backward.correct("loops over channels")
def eval_backward_loops(g, x, gamma, running_mean, running_var, eps):
    dx, dgamma, dbeta = np.zeros_like(x), np.zeros_like(gamma), np.zeros_like(gamma)
    for c in range(x.shape[-1]):
        deviation = np.sqrt(running_var[c] + eps)
        dx[..., c] = gamma[c] * g[..., c] / deviation
        dgamma[c] = np.sum(g[..., c] * (x[..., c] - running_mean[c])) / deviation
        dbeta[c] = np.sum(g[..., c])
    return dx, dgamma, dbeta


@batch_norm_eval_backward.correct("float32")
def eval_backward_float32(g, x, gamma, running_mean, running_var, eps):
    g, x, gamma, mean, var = (np.float32(a) for a in (g, x, gamma, running_mean, running_var))
    inverse = 1 / np.sqrt(var + np.float32(eps))
    return g * (gamma * inverse), (g * (x - mean) * inverse).sum((0, 1, 2)), g.sum((0, 1, 2))


@batch_norm_eval_backward.correct("Fortran order")
def eval_backward_fortran(g, x, gamma, running_mean, running_var, eps):
    inverse = 1 / np.sqrt(running_var + eps)
    axes = tuple(range(x.ndim - 1))
    moved = np.moveaxis(g, -1, 0) * np.reshape(gamma * inverse, (-1, 1, 1, 1))
    centred = (x - running_mean) * inverse
    return np.moveaxis(moved, 0, -1), np.sum(centred * g, axis=axes), np.sum(g, axis=axes)


@batch_norm_eval_backward.correct("float32 inside only")
def eval_backward_float32_inside(g, x, gamma, running_mean, running_var, eps):
    deviation = np.sqrt(running_var + eps).astype(np.float32)
    normal = (x.astype(np.float32) - running_mean.astype(np.float32)) / deviation
    single = g.astype(np.float32)
    dgamma = (single * normal).sum(axis=(0, 1, 2)).astype(float)
    return gamma * (single / deviation), dgamma, single.sum(axis=(0, 1, 2)).astype(float)


# ---------------------------------------------------------------------- 6 the layer


@BatchNorm.correct("by hand, over three axes")
class ThreeAxes:
    def __init__(self, channels, eps=1e-5, momentum=0.1):
        self.gamma, self.beta = np.ones(channels), np.zeros(channels)
        self.running_mean, self.running_var = np.zeros(channels), np.ones(channels)
        self.eps, self.momentum, self.training = eps, momentum, True

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            count = x[..., 0].size
            mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
            unbiased = var * count / (count - 1)
            self.running_mean = self.running_mean + self.momentum * (mean - self.running_mean)
            self.running_var = self.running_var + self.momentum * (unbiased - self.running_var)
        return self.gamma * (x - mean) / np.sqrt(var + self.eps) + self.beta


@BatchNorm.correct("statistics updated in place")
class InPlace:
    def __init__(self, channels, eps=1e-5, momentum=0.1):
        self.gamma, self.beta = np.ones(channels), np.zeros(channels)
        self.running_mean, self.running_var = np.zeros(channels), np.ones(channels)
        self.eps, self.momentum, self.training = eps, momentum, True

    def forward(self, x):
        if not self.training:
            root = np.sqrt(self.running_var + self.eps)
            return (x - self.running_mean) / root * self.gamma + self.beta
        rows = x.reshape(-1, len(self.gamma))
        self.running_mean *= 1 - self.momentum
        self.running_mean += self.momentum * rows.mean(axis=0)
        self.running_var *= 1 - self.momentum
        self.running_var += self.momentum * rows.var(axis=0, ddof=1)
        return batch_norm_train(rows, self.gamma, self.beta, self.eps).reshape(x.shape)


@BatchNorm.correct("loops over the channels")
class Loops:
    def __init__(self, channels, eps=1e-5, momentum=0.1):
        self.gamma, self.beta = np.ones(channels), np.zeros(channels)
        self.running_mean, self.running_var = np.zeros(channels), np.ones(channels)
        self.eps, self.momentum, self.training = eps, momentum, True

    def forward(self, x):
        out = np.empty_like(x)
        for c in range(len(self.gamma)):
            values = x[..., c]
            mean, var = self.running_mean[c], self.running_var[c]
            if self.training:
                spread = ((values - values.mean()) ** 2).sum() / (values.size - 1)
                self.running_mean[c] += self.momentum * (values.mean() - mean)
                self.running_var[c] += self.momentum * (spread - var)
                mean, var = values.mean(), values.var()
            out[..., c] = self.gamma[c] * (values - mean) / (var + self.eps) ** 0.5 + self.beta[c]
        return out


@BatchNorm.correct("float32")
class Float32:
    def __init__(self, channels, eps=1e-5, momentum=0.1):
        self.gamma, self.beta = np.ones(channels), np.zeros(channels)
        self.running_mean = np.zeros(channels, np.float32)
        self.running_var = np.ones(channels, np.float32)
        self.eps, self.momentum, self.training = eps, momentum, True

    def forward(self, x):
        rows = np.float32(x).reshape(-1, x.shape[-1])
        mean, var = self.running_mean, self.running_var
        if self.training:
            m = np.float32(self.momentum)
            self.running_mean = mean + m * (rows.mean(axis=0) - mean)
            self.running_var = var + m * (rows.var(axis=0, ddof=1) - var)
            mean, var = rows.mean(axis=0), rows.var(axis=0)
        out = (rows - mean) / np.sqrt(var + np.float32(self.eps))
        return np.float32(out * self.gamma + self.beta).reshape(x.shape)


@BatchNorm.correct("channels first inside")
class ChannelsFirst:
    def __init__(self, channels, eps=1e-5, momentum=0.1):
        self.gamma, self.beta = np.ones(channels), np.zeros(channels)
        self.running_mean, self.running_var = np.zeros(channels), np.ones(channels)
        self.eps, self.momentum, self.training = eps, momentum, True

    def forward(self, x):
        columns = np.moveaxis(x, -1, 0).reshape(x.shape[-1], -1)
        if self.training:
            normalised = batch_norm_train(columns.T, self.gamma, self.beta, self.eps)
            self.running_mean, self.running_var = update_statistics(
                self.running_mean, self.running_var, columns.T, self.momentum
            )
        else:
            scale = self.gamma / np.sqrt(self.running_var + self.eps)
            normalised = ((columns - self.running_mean[:, None]) * scale[:, None]).T + self.beta
        return normalised.reshape(x.shape)


@BatchNorm.correct("float32 inside only")
class Float32Inside:
    def __init__(self, channels, eps=1e-5, momentum=0.1):
        self.gamma, self.beta = np.ones(channels), np.zeros(channels)
        self.running_mean, self.running_var = np.zeros(channels), np.ones(channels)
        self.eps, self.momentum, self.training = eps, momentum, True

    def forward(self, x):
        rows = x.astype(np.float32).reshape(-1, x.shape[-1])
        if self.training:
            out = batch_norm_train(rows, self.gamma, self.beta, self.eps)
            self.running_mean, self.running_var = update_statistics(
                self.running_mean, self.running_var, rows, self.momentum
            )
        else:
            normal = (rows - self.running_mean) / np.sqrt(self.running_var + self.eps)
            out = self.gamma * normal + self.beta
        return out.reshape(x.shape)
