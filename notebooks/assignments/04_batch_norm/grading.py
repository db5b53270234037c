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
    outputs = array([layer.forward(batch) for batch in batches])
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
