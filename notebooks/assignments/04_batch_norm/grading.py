"""How assignment 4 is graded. The answers are loops over the definitions, as in `reference`."""

import numpy as np

from minires.coursework import Draws, question
from minires.kernels import reference

RTOL = 1e-4
"""Computing in float32 is fine, as the text says."""

EPS = 1e-5
TINY = 2.0**-12
"""With values of this size, variances are far below the usual eps."""

draw = Draws(seed=4)


def nonzero(draw, channels, scale=1.0):
    """A value for each channel that is far from 0 and from 1; positive and negative by turns."""
    sign = (-1) ** (np.arange(channels) + draw.size(0, 1))
    return sign * (draw.integers(channels, below=32) / 16 + 1.25) * scale


def negative_and_zero(draw):
    """Three gammas, of which only the second is not negative."""
    return -abs(nonzero(draw, 3)) * np.array([1, 0, 1])


def with_equal_values(draw, rows):
    """Three channels, of which the second's values are all equal."""
    x = draw.normal(rows, 3, mean=1.0)
    x[:, 1] = draw.size(1, 4)
    return x


def cotangent(draw, x, scale=1.0):
    """An upstream gradient that leans towards x: no sum over it is near 0 by chance."""
    towards = x / abs(x).max()
    return (draw.normal(*x.shape, mean=0.5) + towards) * scale


# ---------------------------------------------------------------------- 1 forward, in training


@question(points=3, returns="y", rtol=RTOL)
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


def train_inputs(draw, rows, channels, eps, scale=1.0):
    x = draw.normal(rows, channels, scale=scale) + nonzero(draw, channels, scale)
    return x, nonzero(draw, channels), nonzero(draw, channels), eps


@batch_norm_train.hidden("a small variance, a large eps", weight=2)
def train_large_eps(draw):
    return train_inputs(draw, draw.size(3, 6), 2, draw.choice(7.0, 8.0), scale=0.25)


@batch_norm_train.hidden("a tiny eps")
def train_tiny_eps(draw):
    return train_inputs(draw, draw.size(3, 6), 2, 1e-10, scale=TINY)


@batch_norm_train.hidden("a channel with equal values")
def train_equal_values(draw):
    x = with_equal_values(draw, draw.size(2, 6))
    return x, nonzero(draw, 3), nonzero(draw, 3), draw.choice(1e-3, 0.25)


@batch_norm_train.hidden("negative gammas and a gamma of 0")
def train_negative(draw):
    x = draw.normal(draw.size(3, 6), 3, mean=-1.0)
    return x, negative_and_zero(draw), nonzero(draw, 3), EPS


@batch_norm_train.hidden("one row")
def train_one_row(draw):
    return train_inputs(draw, 1, draw.size(2, 4), draw.choice(EPS, 0.25))


def far_out(draw, inputs):
    """Inputs of which the last value lies beyond six standard deviations of its many rows."""
    x = inputs[0]
    x[-1] = draw.choice(-50, 50)
    return inputs


@batch_norm_train.hidden("one channel of many rows, one far out")
def train_one_channel(draw):
    return far_out(draw, train_inputs(draw, draw.size(45, 50), 1, EPS))


@batch_norm_train.hidden("as many rows as channels")
def train_square(draw):
    size = draw.size(3, 5)
    return train_inputs(draw, size, size, EPS)


@batch_norm_train.hidden("values in the thousands")
def train_thousands(draw):
    x, *_ = train_inputs(draw, 6, 3, EPS, 1000.0)
    return x, nonzero(draw, 3, 1000.0), nonzero(draw, 3, 1000.0), EPS


# ---------------------------------------------------------------------- 2 running statistics


@question(points=2, returns="running_mean running_var", rtol=RTOL)
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


def a_momentum(draw):
    return draw.size(1, 3) / 8


def statistics_inputs(draw, rows, channels, momentum, scale=1.0):
    x = draw.normal(rows, channels, scale=scale) + nonzero(draw, channels, scale)
    mean, var = nonzero(draw, channels, scale), abs(nonzero(draw, channels, scale**2))
    return mean, var, x, momentum


@update_statistics.hidden("a later batch, a small variance so far")
def statistics_later(draw):
    momentum = draw.size(2, 3) / 8
    mean, var, x, _ = statistics_inputs(draw, draw.size(4, 6), 3, momentum)
    return mean, var / 16, x, momentum


@update_statistics.hidden("two rows")
def statistics_two_rows(draw):
    return statistics_inputs(draw, 2, 3, a_momentum(draw))


@update_statistics.hidden("one channel")
def statistics_one_channel(draw):
    return statistics_inputs(draw, draw.size(3, 6), 1, a_momentum(draw))


@update_statistics.hidden("as many rows as channels")
def statistics_square(draw):
    size = draw.size(3, 5)
    return statistics_inputs(draw, size, size, a_momentum(draw))


@update_statistics.hidden("a channel with equal values")
def statistics_equal_values(draw):
    x = with_equal_values(draw, draw.size(3, 6))
    return nonzero(draw, 3), abs(nonzero(draw, 3)), x, a_momentum(draw)


@update_statistics.hidden("momentum 0")
def statistics_momentum_0(draw):
    return statistics_inputs(draw, draw.size(3, 6), 2, 0.0)


@update_statistics.hidden("momentum 1")
def statistics_momentum_1(draw):
    return statistics_inputs(draw, draw.size(3, 6), 2, 1.0)


@update_statistics.hidden("values in the thousands")
def statistics_thousands(draw):
    return statistics_inputs(draw, 5, 3, 0.1, scale=1000.0)


# ---------------------------------------------------------------------- 3 forward, in evaluation


@question(points=2, returns="y", rtol=RTOL)
def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps):
    out = np.zeros(x.shape)
    for i, c in np.ndindex(x.shape):
        deviation = (running_var[c] + eps) ** 0.5
        out[i, c] = (x[i, c] - running_mean[c]) / deviation * gamma[c] + beta[c]
    return out


def statistics(draw, channels, scale=1.0):
    """A gamma, beta, mean and variance that are nowhere 0 or 1."""
    return (
        nonzero(draw, channels),
        nonzero(draw, channels),
        nonzero(draw, channels, scale),
        abs(nonzero(draw, channels, scale**2)),
    )


batch_norm_eval.case("five rows", draw.normal(5, 3), *statistics(draw, 3), EPS, visible=True)


def eval_inputs(draw, rows, channels, eps, scale=1.0):
    x = draw.normal(rows, channels, scale=scale)
    return x, *statistics(draw, channels, scale), eps


@batch_norm_eval.hidden("a large eps")
def eval_large_eps(draw):
    return eval_inputs(draw, draw.size(2, 6), 2, draw.choice(7.0, 8.0))


@batch_norm_eval.hidden("a tiny eps")
def eval_tiny_eps(draw):
    return eval_inputs(draw, draw.size(2, 6), 2, 1e-10, scale=TINY)


@batch_norm_eval.hidden("a variance of 0")
def eval_no_variance(draw):
    x, gamma, beta, mean, _, eps = eval_inputs(draw, draw.size(2, 6), 2, 0.25)
    return x, gamma, beta, mean, np.zeros(2), eps


@batch_norm_eval.hidden("negative gammas and a gamma of 0")
def eval_negative(draw):
    x, _, *rest = eval_inputs(draw, draw.size(2, 6), 3, EPS)
    return x, negative_and_zero(draw), *rest


@batch_norm_eval.hidden("one row")
def eval_one_row(draw):
    return eval_inputs(draw, 1, draw.size(2, 4), EPS)


@batch_norm_eval.hidden("one channel")
def eval_one_channel(draw):
    return eval_inputs(draw, draw.size(2, 6), 1, EPS)


@batch_norm_eval.hidden("as many rows as channels")
def eval_square(draw):
    size = draw.size(2, 5)
    return eval_inputs(draw, size, size, EPS)


@batch_norm_eval.hidden("values in the thousands")
def eval_thousands(draw):
    x, gamma, beta, mean, var, eps = eval_inputs(draw, 5, 3, EPS, scale=1000.0)
    return x, gamma * 1000, beta * 1000, mean, var / 1000**2, eps


# ---------------------------------------------------------------------- 4 backward, in training


@question(points=6, returns={"dx": 4, "dgamma": 1, "dbeta": 1}, rtol=RTOL)
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


def backward_inputs(draw, rows, channels, eps, scale=1.0):
    x, gamma, _, eps = train_inputs(draw, rows, channels, eps, scale)
    return cotangent(draw, x), x, gamma, eps


@batch_norm_train_backward.hidden("a small variance, a large eps")
def backward_large_eps(draw):
    return backward_inputs(draw, draw.size(4, 6), 2, draw.choice(7.0, 8.0), scale=0.25)


@batch_norm_train_backward.hidden("a tiny eps")
def backward_tiny_eps(draw):
    return backward_inputs(draw, draw.size(4, 6), 2, 1e-10, scale=TINY)


@batch_norm_train_backward.hidden("a channel with equal values")
def backward_equal_values(draw):
    x = with_equal_values(draw, draw.size(4, 6))
    return cotangent(draw, x), x, nonzero(draw, 3), draw.choice(1e-3, 0.25)


@batch_norm_train_backward.hidden("negative gammas and a gamma of 0")
def backward_negative(draw):
    x = draw.normal(draw.size(4, 6), 3, mean=-1.0)
    return cotangent(draw, x), x, negative_and_zero(draw), EPS


@batch_norm_train_backward.hidden("two rows, a large eps")
def backward_two_rows(draw):
    return backward_inputs(draw, 2, 3, draw.choice(0.25, 0.5))


@batch_norm_train_backward.hidden("one row")
def backward_one_row(draw):
    return backward_inputs(draw, 1, 3, 0.25)


@batch_norm_train_backward.hidden("one channel of many rows, one far out")
def backward_one_channel(draw):
    x, gamma, _, eps = far_out(draw, train_inputs(draw, draw.size(45, 50), 1, EPS))
    return cotangent(draw, x), x, gamma, eps


@batch_norm_train_backward.hidden("as many rows as channels")
def backward_square(draw):
    size = draw.size(4, 5)
    return backward_inputs(draw, size, size, EPS)


@batch_norm_train_backward.hidden("values in the thousands")
def backward_thousands(draw):
    """Every sum is large too, and of both signs: of g, of g times gamma, along x-hat."""
    x, *_ = train_inputs(draw, 6, 3, EPS, 1000.0)
    order = draw.shuffled(3)
    signs, gamma_signs = np.array([1, 1, -1])[order], np.array([1, -1, 1])[order]
    g = cotangent(draw, x, 1000.0) + signs * (3000.0 + 3 * (x - x.mean(axis=0)))
    return g, x, gamma_signs * abs(nonzero(draw, 3, 1000.0)), EPS


SECOND_LINE = "dx = inverse * (h - h.mean(axis=0) - normal * (h * normal).mean(axis=0))"


# ---------------------------------------------------------------------- 5 backward, in evaluation


@question(points=3, returns="dx dgamma dbeta", rtol=RTOL)
def batch_norm_eval_backward(g, x, gamma, running_mean, running_var, eps):
    dx, dgamma, dbeta = np.zeros(x.shape), np.zeros(x.shape[-1]), np.zeros(x.shape[-1])
    for n, h, w, c in np.ndindex(x.shape):
        deviation = (running_var[c] + eps) ** 0.5
        dx[n, h, w, c] = g[n, h, w, c] * gamma[c] / deviation
        dgamma[c] += g[n, h, w, c] * (x[n, h, w, c] - running_mean[c]) / deviation
        dbeta[c] += g[n, h, w, c]
    return dx, dgamma, dbeta


def images_inputs(draw, shape, eps, scale=1.0):
    gamma, _, mean, var = statistics(draw, shape[-1], scale)
    x = draw.normal(*shape, scale=scale)
    return cotangent(draw, x - mean), x, gamma, mean, var, eps


batch_norm_eval_backward.case("two images", *images_inputs(draw, (2, 3, 4, 3), EPS), visible=True)


def some_images(draw, channels):
    return draw.size(2, 3), draw.size(3, 4), draw.size(2, 3), channels


@batch_norm_eval_backward.hidden("a large eps")
def images_large_eps(draw):
    return images_inputs(draw, some_images(draw, 2), draw.choice(7.0, 8.0))


@batch_norm_eval_backward.hidden("a tiny eps")
def images_tiny_eps(draw):
    return images_inputs(draw, some_images(draw, 2), 1e-10, scale=TINY)


@batch_norm_eval_backward.hidden("negative gammas and a gamma of 0")
def images_negative(draw):
    g, x, _, *rest = images_inputs(draw, some_images(draw, 3), EPS)
    return g, x, negative_and_zero(draw), *rest


@batch_norm_eval_backward.hidden("one image, one channel")
def images_one_channel(draw):
    return images_inputs(draw, (1, draw.size(3, 4), draw.size(2, 3), 1), EPS)


@batch_norm_eval_backward.hidden("images of one row")
def images_one_row(draw):
    return images_inputs(draw, (draw.size(2, 3), 1, draw.size(2, 4), 3), EPS)


@batch_norm_eval_backward.hidden("one image of one place")
def images_one_place(draw):
    return images_inputs(draw, (1, 1, 1, draw.size(2, 4)), EPS)


@batch_norm_eval_backward.hidden("all sizes equal")
def images_equal_sizes(draw):
    return images_inputs(draw, (draw.size(2, 3),) * 4, EPS)


@batch_norm_eval_backward.hidden("values in the thousands")
def images_thousands(draw):
    g, x, gamma, mean, var, eps = images_inputs(draw, (2, 3, 4, 3), EPS, scale=1000.0)
    return g * 1000, x, gamma * 1000, mean, var / 1000**2, eps


# ---------------------------------------------------------------------- 6 the layer


@question(
    points=4,
    returns={"outputs": 2, "evaluated": 1, "running_mean": 1, "running_var": 1},
    needs=["batch_norm_train", "update_statistics", "batch_norm_eval"],
    rtol=RTOL,
)
def BatchNorm(batches, images, gamma, beta, options, passes, before, beside):
    channels = images.shape[-1]
    eps, momentum = options or (1e-5, 0.1)
    gamma, beta = (np.ones(channels), np.zeros(channels)) if gamma is None else (gamma, beta)
    mean, var, outputs, evaluated = np.zeros(channels), np.ones(channels), [], None
    for step, batch in enumerate([*batches * passes, None]):
        if step == before:
            evaluated = batch_norm_eval.answer(
                images.reshape(-1, channels), gamma, beta, mean, var, eps
            ).reshape(images.shape)
        if batch is not None:
            outputs.append(reference.batch_norm(batch, gamma, beta, eps))
            rows = batch.reshape(-1, channels)
            mean, var = update_statistics.answer(mean, var, rows, momentum)
    alike = len({batch.shape for batch in batches}) == 1
    return np.stack(outputs) if alike else outputs, evaluated, mean, var


@BatchNorm.drive
def drive(student, batches, images, gamma, beta, options, passes, before, beside):
    """Evaluate the images after so many batches; `beside` has other layers' options."""
    channels, outputs, evaluated = images.shape[-1], [], None
    layer, *others = [student.BatchNorm(channels, *each) for each in [options, *beside]]
    if gamma is not None:
        layer.gamma, layer.beta = gamma, beta
    for step, batch in enumerate([*batches * passes, None]):
        if step == before:
            layer.training = False
            if gamma is not None:  # others at first
                layer.gamma, layer.beta = beta, gamma
            layer.forward(images)
            if gamma is not None:
                layer.gamma, layer.beta = gamma, beta
            evaluated = layer.forward(images)
            layer.training = True
        if batch is not None:
            outputs.append(layer.forward(batch))
            for other in others:
                other.forward(images)
    alike = len({batch.shape for batch in batches}) == 1
    return array(outputs) if alike else outputs, evaluated, layer.running_mean, layer.running_var


def layer_inputs(
    draw, shapes, images, *, options=(EPS, 0.1), passes=1, before=None, beside=(), scale=1.0
):
    """What `drive` is given; the images are evaluated last if not said otherwise."""
    channels = images[-1]
    mean = nonzero(draw, channels, scale)
    return (
        [draw.normal(*shape, scale=scale) + mean for shape in shapes],
        draw.normal(*images, scale=scale) + mean,
        nonzero(draw, channels),
        nonzero(draw, channels),
        list(options),
        passes,
        passes * len(shapes) if before is None else before,
        list(beside),
    )


def a_shape(draw, channels):
    """Of images, two sizes of which differ in any case."""
    return draw.size(1, 2), 3, draw.size(1, 2), channels


BatchNorm.case(
    "three batches, then an image",
    *layer_inputs(draw, [(2, 3, 2, 3)] * 3, (1, 3, 2, 3)),
    visible=True,
)


@BatchNorm.hidden("a large momentum and eps")
def layer_large(draw):
    options = draw.choice(7.0, 8.0), draw.choice(0.5, 0.75)
    return layer_inputs(draw, [a_shape(draw, 2)] * 2, a_shape(draw, 2), options=options)


@BatchNorm.hidden("momentum 0")
def layer_momentum_0(draw):
    return layer_inputs(draw, [a_shape(draw, 2)] * 2, a_shape(draw, 2), options=(EPS, 0.0))


def as_made(inputs):
    """With a layer of which nothing is set."""
    batches, images, _, _, _, *rest = inputs
    return batches, images, None, None, [], *rest


@BatchNorm.hidden("a layer as it is made")
def layer_as_made(draw):
    return as_made(layer_inputs(draw, [a_shape(draw, 3)] * 2, a_shape(draw, 3), scale=TINY))


@BatchNorm.hidden("a new layer, evaluated only")
def layer_new(draw):
    return as_made(layer_inputs(draw, [], a_shape(draw, 7)))


@BatchNorm.hidden("evaluation, then training")
def layer_evaluated_first(draw):
    return layer_inputs(draw, [a_shape(draw, 3)] * 2, a_shape(draw, 3), before=0)


@BatchNorm.hidden("training, evaluation, training again")
def layer_again(draw):
    return layer_inputs(draw, [a_shape(draw, 3)] * 4, a_shape(draw, 3), before=2)


@BatchNorm.hidden("another layer beside it")
def layer_beside(draw):
    return layer_inputs(draw, [a_shape(draw, 2)] * 2, a_shape(draw, 2), beside=[[0.25, 0.5]])


@BatchNorm.hidden("the same batches twice")
def layer_twice(draw):
    return layer_inputs(draw, [a_shape(draw, 2)] * 2, a_shape(draw, 2), passes=2, before=3)


@BatchNorm.hidden("a smaller last batch")
def layer_smaller(draw):
    return layer_inputs(draw, [(3, 2, 3, 2), (3, 2, 3, 2), (1, 2, 3, 2)], a_shape(draw, 2))


@BatchNorm.hidden("one image, one row, one channel")
def layer_one_row(draw):
    shape = 1, 1, draw.size(3, 5), 1
    return layer_inputs(draw, [shape] * 2, shape)


@BatchNorm.hidden("all sizes equal")
def layer_equal_sizes(draw):
    shape = (draw.size(2, 3),) * 4
    return layer_inputs(draw, [shape] * 2, shape)


@BatchNorm.hidden("negative gammas and a gamma of 0")
def layer_negative(draw):
    batches, images, _, *rest = layer_inputs(draw, [a_shape(draw, 3)] * 2, a_shape(draw, 3))
    return batches, images, negative_and_zero(draw), *rest


@BatchNorm.hidden("values in the thousands")
def layer_thousands(draw):
    batches, images, gamma, beta, *rest = layer_inputs(
        draw, [a_shape(draw, 3)] * 2, a_shape(draw, 3), scale=1000.0
    )
    return batches, images, gamma * 1000, beta * 1000, *rest
