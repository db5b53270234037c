"""How assignment 4 is graded. The answers are loops over the definitions, as in `reference`."""

import numpy as np

from minires.coursework import Draws, question
from minires.kernels import reference

EPS = 1e-5
draw = Draws(seed=4)

# ---------------------------------------------------------------------- 1 forward, in training


@question(points=3, returns="y", rtol=1e-8)
def batch_norm_train(x, gamma, beta, eps):
    return reference.batch_norm(x, gamma, beta, eps)


batch_norm_train.case(
    "gamma 1, beta 0", draw.normal(5, 3), np.ones(3), np.zeros(3), EPS, visible=True
)
batch_norm_train.case(
    "a gamma and a beta",
    draw.normal(6, 3, mean=2.0),
    draw.normal(3, mean=1.5),
    draw.normal(3),
    EPS,
    visible=True,
)
batch_norm_train.case(
    "a channel with hardly any variance",
    draw.normal(4, 2, scale=1 / 256) + np.array([1.0, -2.0]),
    draw.normal(2, mean=2.0),
    draw.normal(2),
    1e-3,
    weight=2,
)
batch_norm_train.case(
    "a channel with equal values, eps 0.25",
    np.array([[3.0, 1.0], [3.0, 2.0], [3.0, 4.0]]),
    np.array([2.0, -1.5]),
    np.array([0.5, 0.25]),
    0.25,
)

batch_norm_train.mistake(
    29,
    "eps outside the root",
    "sqrt(var) + eps is not sqrt(var + eps): eps belongs to the variance, inside the root.",
    "np.sqrt(var + eps)",
    "(np.sqrt(var) + eps)",
)
batch_norm_train.mistake(
    30,
    "eps omitted",
    "eps must be added to the variance, or a channel of equal values divides by zero.",
    "np.sqrt(var + eps)",
    "np.sqrt(var)",
)
batch_norm_train.mistake(
    32,
    "normalised with the unbiased variance",
    "The variance that normalises is divided by M; M - 1 is for the running average only.",
    "x.var(axis=0)",
    "x.var(axis=0, ddof=1)",
)
batch_norm_train.mistake(
    401,
    "divided by the variance",
    "Divide by the standard deviation, the root of the variance, so that y has variance gamma^2.",
    "np.sqrt(var + eps)",
    "(var + eps)",
)
batch_norm_train.mistake(
    402,
    "statistics of each row",
    "Mean and variance go over the rows (axis 0), one pair a channel; axis 1 gives layer norm.",
    "mean = x.mean(axis=0)\n    var = x.var(axis=0)",
    "mean = x.mean(axis=1, keepdims=True)\n    var = x.var(axis=1, keepdims=True)",
)
batch_norm_train.mistake(
    403,
    "one mean and variance for all channels",
    "Each channel has its own statistics: x.mean(axis=0), not x.mean().",
    "mean = x.mean(axis=0)\n    var = x.var(axis=0)",
    "mean = x.mean()\n    var = x.var()",
)
batch_norm_train.mistake(
    404,
    "beta scaled by gamma",
    "gamma scales the normalised input only; beta is added after it.",
    "gamma * (x - mean) / np.sqrt(var + eps) + beta",
    "gamma * ((x - mean) / np.sqrt(var + eps) + beta)",
)


@batch_norm_train.wrong(405, "input normalised in place", "x is still needed in the backward pass.")
def in_place(x, gamma, beta, eps):
    x -= x.mean(axis=0)
    x /= np.sqrt(np.mean(x * x, axis=0) + eps)
    return gamma * x + beta


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


# ---------------------------------------------------------------------- 2 running statistics


@question(points=2, returns="running_mean running_var", rtol=1e-9)
def update_statistics(running_mean, running_var, x, momentum):
    mean, var = [], []
    for column, old_mean, old_var in zip(x.T, running_mean, running_var, strict=True):
        of_batch = sum(column) / len(column)
        spread = sum((value - of_batch) ** 2 for value in column) / (len(column) - 1)
        mean.append(old_mean + momentum * (of_batch - old_mean))
        var.append(old_var + momentum * (spread - old_var))
    return np.array(mean), np.array(var)


update_statistics.case(
    "the first batch", np.zeros(3), np.ones(3), draw.normal(5, 3, mean=2.0), 0.1, visible=True
)
update_statistics.case(
    "a later batch", draw.normal(3), draw.normal(3, mean=8.0), draw.normal(4, 3), 0.25
)
update_statistics.case(
    "two rows only", draw.normal(2), draw.normal(2, mean=8.0), draw.normal(2, 2), 0.125
)

update_statistics.mistake(
    31,
    "running variance biased",
    "The running variance takes the unbiased variance, divided by M - 1.",
    "x.var(axis=0, ddof=1)",
    "x.var(axis=0)",
)
update_statistics.mistake(
    33,
    "momentum reversed",
    "momentum is the weight of the new batch: (1 - momentum) * old + momentum * new.",
    "    running_mean = (1 - momentum) * running_mean + momentum * mean\n"
    "    running_var = (1 - momentum) * running_var + momentum * var\n",
    "    running_mean = momentum * running_mean + (1 - momentum) * mean\n"
    "    running_var = momentum * running_var + (1 - momentum) * var\n",
)
update_statistics.mistake(
    406,
    "running deviation",
    "The running average is of the variance, not of its root.",
    "var = x.var(axis=0, ddof=1)",
    "var = x.std(axis=0, ddof=1)",
)
update_statistics.mistake(
    407,
    "old statistics overwritten",
    "Return new arrays: whoever holds the old ones must still find them unchanged.",
    "    running_mean = (1 - momentum) * running_mean + momentum * mean\n",
    "    running_mean *= 1 - momentum\n    running_mean += momentum * mean\n",
)
update_statistics.mistake(
    408,
    "old statistics forgotten",
    "It is an average over steps: the old value stays in it with the weight 1 - momentum.",
    "(1 - momentum) * running_mean + momentum * mean",
    "mean",
)


@update_statistics.correct("by the difference")
def statistics_difference(running_mean, running_var, x, momentum):
    return (
        running_mean + momentum * (x.mean(0) - running_mean),
        running_var + momentum * (np.cov(x.T).diagonal() - running_var),
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


# ---------------------------------------------------------------------- 3 forward, in evaluation


@question(points=2, returns="y", rtol=1e-8)
def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps):
    out = np.zeros(x.shape)
    for i, c in np.ndindex(x.shape):
        deviation = (running_var[c] + eps) ** 0.5
        out[i, c] = (x[i, c] - running_mean[c]) / deviation * gamma[c] + beta[c]
    return out


def statistics(channels):
    """A gamma, beta, mean and variance that are nowhere 0 or 1."""
    return (
        draw.normal(channels, mean=2.0),
        draw.normal(channels, mean=-1.0),
        draw.normal(channels, mean=1.0),
        draw.integers(channels, below=16) / 8 + 1.125,
    )


batch_norm_eval.case("five rows", draw.normal(5, 3), *statistics(3), EPS, visible=True)
batch_norm_eval.case("a single row", draw.normal(1, 3), *statistics(3), EPS)
batch_norm_eval.case("a large eps", draw.normal(4, 2), *statistics(2), 0.25)

batch_norm_eval.mistake(
    35,
    "the batch's statistics in evaluation",
    "In evaluation the running statistics normalise, so that a row does not depend on its batch.",
    "(x - running_mean) / np.sqrt(running_var + eps)",
    "(x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)",
)
batch_norm_eval.mistake(
    34,
    "statistics updated in evaluation",
    "Evaluation must leave the running statistics alone; only training moves them.",
    "    return gamma",
    "    running_mean *= 0.9\n    running_mean += 0.1 * x.mean(axis=0)\n    return gamma",
)
batch_norm_eval.mistake(
    29,
    "eps outside the root",
    "sqrt(var) + eps is not sqrt(var + eps): eps belongs to the variance, inside the root.",
    "np.sqrt(running_var + eps)",
    "(np.sqrt(running_var) + eps)",
)
batch_norm_eval.mistake(
    30,
    "eps omitted",
    "The same eps as in training belongs under the root.",
    "running_var + eps",
    "running_var",
)
batch_norm_eval.mistake(
    409,
    "divided by the variance",
    "Divide by the root of the running variance.",
    "np.sqrt(running_var + eps)",
    "(running_var + eps)",
)


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


# ---------------------------------------------------------------------- 4 backward, in training


@question(points=6, returns={"dx": 4, "dgamma": 1, "dbeta": 1}, rtol=1e-8)
def batch_norm_train_backward(g, x, gamma, eps):
    return reference.batch_norm_backward(g, x, gamma, eps)


batch_norm_train_backward.case(
    "a random cotangent, gamma 1",
    draw.normal(5, 3),
    draw.normal(5, 3, mean=1.0),
    np.ones(3),
    EPS,
    visible=True,
)
batch_norm_train_backward.case(
    "a gamma that is not 1",
    draw.normal(6, 3),
    draw.normal(6, 3, mean=3.0),
    draw.normal(3, mean=2.0),
    EPS,
    visible=True,
)
batch_norm_train_backward.case(
    "a small variance, a large eps",
    draw.normal(4, 2),
    draw.normal(4, 2, scale=1 / 16),
    draw.normal(2, mean=-2.0),
    0.0625,
)
batch_norm_train_backward.case(
    "two rows", draw.normal(2, 3), draw.normal(2, 3), draw.normal(3, mean=2.0), EPS
)

SECOND_LINE = "dx = inverse * (h - h.mean(axis=0) - normal * (h * normal).mean(axis=0))"

for number, name, hint, new in [
    (
        18,
        "batch norm's backward without the mean's term",
        "x also moves the mean, which is in every row: subtract h.mean(axis=0).",
        "dx = inverse * (h - normal * (h * normal).mean(axis=0))",
    ),
    (
        19,
        "batch norm's backward without the variance's term",
        "x also moves the variance: subtract normal * (h * normal).mean(axis=0).",
        "dx = inverse * (h - h.mean(axis=0))",
    ),
    (
        20,
        "the statistics treated as constants",
        "That is the backward of evaluation. In training mean and variance depend on x.",
        "dx = inverse * h",
    ),
    (
        22,
        "gamma twice",
        "gamma enters once, through h = gamma * g.",
        "dx = gamma * inverse * (h - h.mean(axis=0) - normal * (h * normal).mean(axis=0))",
    ),
    (
        26,
        "N - 1 in the backward pass",
        "The forward divides the variance by M, so its derivative has M too.",
        "dx = inverse * (h - h.mean(axis=0) - normal * (h * normal).sum(axis=0) / (len(x) - 1))",
    ),
    (
        27,
        "the 1/M missing",
        "Both terms are means over the rows, not sums: mean and variance divide by M.",
        "dx = inverse * (h - h.sum(axis=0) - normal * (h * normal).sum(axis=0))",
    ),
    (
        28,
        "a sign wrong",
        "Both terms are subtracted.",
        "dx = inverse * (h - h.mean(axis=0) + normal * (h * normal).mean(axis=0))",
    ),
    (
        410,
        "divided by the variance",
        "The factor in front is 1 / sqrt(var + eps).",
        "dx = inverse**2 * (h - h.mean(axis=0) - normal * (h * normal).mean(axis=0))",
    ),
    (
        411,
        "the upstream gradient ignored",
        "The chain rule multiplies with g, which is not 1.",
        "h = np.ones_like(g) * gamma\n    " + SECOND_LINE,
    ),
    (
        412,
        "gradients over the channels",
        "The means go over the rows, axis 0.",
        "dx = inverse * (h - h.mean(axis=1, keepdims=True)"
        " - normal * (h * normal).mean(axis=1, keepdims=True))",
    ),
]:
    batch_norm_train_backward.mistake(number, name, hint, SECOND_LINE, new)

batch_norm_train_backward.mistake(
    21,
    "gamma missing",
    "y = gamma * normal + beta, so what arrives at normal is gamma * g. Try a gamma that is not 1.",
    "h = g * gamma",
    "h = g",
)
batch_norm_train_backward.mistake(
    23,
    "dgamma from x",
    "gamma multiplies the normalised x, so dgamma sums g * normal.",
    "dgamma = (g * normal).sum(axis=0)",
    "dgamma = (g * x).sum(axis=0)",
)
batch_norm_train_backward.mistake(
    24,
    "dgamma from the output",
    "gamma multiplies the normalised x, not the layer's output.",
    "dgamma = (g * normal).sum(axis=0)",
    "dgamma = (g * gamma * normal).sum(axis=0)",
)
batch_norm_train_backward.mistake(
    25,
    "dgamma and dbeta averaged",
    "gamma and beta are used in every row: their gradients are sums, not means.",
    "dgamma = (g * normal).sum(axis=0)\n    dbeta = g.sum(axis=0)",
    "dgamma = (g * normal).mean(axis=0)\n    dbeta = g.mean(axis=0)",
)
batch_norm_train_backward.mistake(
    29,
    "eps outside the root",
    "The forward divides by sqrt(var + eps), and so must the backward.",
    "1 / np.sqrt(x.var(axis=0) + eps)",
    "1 / (np.sqrt(x.var(axis=0)) + eps)",
)
batch_norm_train_backward.mistake(
    30,
    "eps omitted",
    "The forward divides by sqrt(var + eps), and so must the backward.",
    "1 / np.sqrt(x.var(axis=0) + eps)",
    "1 / np.sqrt(x.var(axis=0))",
)


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


# ---------------------------------------------------------------------- 5 backward, in evaluation


@question(points=3, returns="dx dgamma dbeta", rtol=1e-8)
def batch_norm_eval_backward(g, x, gamma, running_mean, running_var, eps):
    dx, dgamma, dbeta = np.zeros(x.shape), np.zeros(x.shape[-1]), np.zeros(x.shape[-1])
    for n, h, w, c in np.ndindex(x.shape):
        deviation = (running_var[c] + eps) ** 0.5
        dx[n, h, w, c] = g[n, h, w, c] * gamma[c] / deviation
        dgamma[c] += g[n, h, w, c] * (x[n, h, w, c] - running_mean[c]) / deviation
        dbeta[c] += g[n, h, w, c]
    return dx, dgamma, dbeta


def without_beta(channels):
    gamma, _, mean, var = statistics(channels)
    return gamma, mean, var


batch_norm_eval_backward.case(
    "two images",
    draw.normal(2, 3, 4, 3),
    draw.normal(2, 3, 4, 3),
    *without_beta(3),
    EPS,
    visible=True,
)
batch_norm_eval_backward.case(
    "one image, one channel, a large eps",
    draw.normal(1, 3, 2, 1),
    draw.normal(1, 3, 2, 1),
    *without_beta(1),
    0.25,
)

batch_norm_eval_backward.mistake(
    36,
    "the training formula in evaluation",
    "The running statistics are constants: no gradient flows through them.",
    "    return g * gamma * inverse",
    "    h = g * gamma\n"
    "    mean = h.mean(axis=(0, 1, 2))\n"
    "    projected = (h * normal).mean(axis=(0, 1, 2))\n"
    "    return inverse * (h - mean - normal * projected)",
)
batch_norm_eval_backward.mistake(
    37,
    "summed over the batch only",
    "A channel's gamma and beta are used at every place of every image: sum over N, H and W.",
    "(g * normal).sum(axis=(0, 1, 2)), g.sum(axis=(0, 1, 2))",
    "(g * normal).sum(axis=0), g.sum(axis=0)",
)
batch_norm_eval_backward.mistake(
    21,
    "gamma missing",
    "y = gamma * normal + beta, so dx has a factor gamma.",
    "g * gamma * inverse",
    "g * inverse",
)
batch_norm_eval_backward.mistake(
    413,
    "the batch's statistics",
    "normal is made from the running statistics here.",
    "(x - running_mean) * inverse",
    "(x - x.mean(axis=(0, 1, 2))) / np.sqrt(x.var(axis=(0, 1, 2)) + eps)",
)
batch_norm_eval_backward.mistake(
    25,
    "dgamma and dbeta averaged",
    "gamma and beta are used at every place: their gradients are sums, not means.",
    "(g * normal).sum(axis=(0, 1, 2)), g.sum(axis=(0, 1, 2))",
    "(g * normal).mean(axis=(0, 1, 2)), g.mean(axis=(0, 1, 2))",
)


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


# ---------------------------------------------------------------------- 6 the layer


@question(
    points=4,
    returns={"outputs": 2, "evaluated": 1, "running_mean": 1, "running_var": 1},
    needs=["batch_norm_train", "update_statistics", "batch_norm_eval"],
    rtol=1e-8,
)
def BatchNorm(batches, images, gamma, beta, eps, momentum):
    channels = images.shape[-1]
    mean, var, outputs = np.zeros(channels), np.ones(channels), []
    for batch in batches:
        outputs.append(reference.batch_norm(batch, gamma, beta, eps))
        rows = batch.reshape(-1, channels)
        mean, var = update_statistics.answer(mean, var, rows, momentum)
    rows = images.reshape(-1, channels)
    evaluated = batch_norm_eval.answer(rows, gamma, beta, mean, var, eps)
    return np.stack(outputs), evaluated.reshape(images.shape), mean, var


@BatchNorm.drive
def drive(student, batches, images, gamma, beta, eps, momentum):
    layer = student.BatchNorm(len(gamma), eps, momentum)
    layer.gamma, layer.beta = gamma, beta
    outputs = np.stack([layer.forward(batch) for batch in batches])
    layer.training = False
    evaluated = layer.forward(images)
    layer.forward(images[:1])
    return outputs, evaluated, layer.running_mean, layer.running_var


BatchNorm.case(
    "three batches, then an image",
    draw.normal(3, 2, 3, 2, 3, mean=1.0),
    draw.normal(1, 3, 2, 3),
    draw.normal(3, mean=2.0),
    draw.normal(3),
    EPS,
    0.1,
    visible=True,
)
BatchNorm.case(
    "a large momentum and eps",
    draw.normal(2, 2, 2, 3, 2, mean=-1.0),
    draw.normal(2, 2, 3, 2),
    draw.normal(2, mean=2.0),
    draw.normal(2),
    0.25,
    0.75,
)

BatchNorm.mistake(
    34,
    "statistics updated in evaluation",
    "Evaluation must leave the running statistics alone.",
    "        return out",
    "        if not self.training:\n"
    "            self.running_mean, self.running_var = update_statistics(\n"
    "                self.running_mean, self.running_var, rows, self.momentum\n"
    "            )\n"
    "        return out",
)
BatchNorm.mistake(
    35,
    "the batch's statistics in evaluation",
    "Look at self.training: in evaluation the running statistics normalise.",
    "        if self.training:\n",
    "        if not self.training:\n"
    "            out = batch_norm_train(rows, self.gamma, self.beta, self.eps)\n"
    "        elif self.training:\n",
)
BatchNorm.mistake(
    37,
    "statistics over the batch only",
    "A channel has one mean over all places of all images, not one for each place.",
    "rows = x.reshape(-1, x.shape[-1])",
    "rows = x.reshape(len(x), -1)\n"
    "        if self.training:\n"
    "            normal = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + self.eps)\n"
    "            return self.gamma * normal + self.beta\n"
    "        rows = x.reshape(-1, x.shape[-1])",
)
BatchNorm.mistake(
    414,
    "statistics never updated",
    "While training, each batch moves the running statistics.",
    "            self.running_mean, self.running_var = update_statistics(",
    "            update_statistics(",
)
BatchNorm.mistake(
    415,
    "normalised with the running statistics in training",
    "In training the batch's own statistics normalise; the running ones are for evaluation.",
    "out = batch_norm_train(rows, self.gamma, self.beta, self.eps)",
    "out = batch_norm_eval(rows, self.gamma, self.beta, "
    "self.running_mean, self.running_var, self.eps)",
)


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
