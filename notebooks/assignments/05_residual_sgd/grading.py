"""How assignment 5 is graded."""

import numpy as np

from minires.coursework import Draws, Separate, question

draw = Draws(seed=5)

LARGE, TINY = 2.0**14, 2.0**-60
"""Scales of values beyond 6, 100 and 1000, and of values that are nearly 0."""


def small(values):
    return np.minimum(values, 1000.0)


def axes(draw):
    """A shape that is not that of images."""
    return tuple(draw.size(2, 4) for _ in range(draw.choice(1, 2, 3, 5)))


# ---------------------------------------------------------------------- 1 the sum, forward


@question(points=1, returns="y")
def add_forward(x, f):
    out = [max(a + b, 0.0) for a, b in zip(x.ravel(), f.ravel(), strict=True)]
    return np.array(out).reshape(x.shape)


IMAGES = 2, 3, 4, 2
add_forward.case("random images", draw.normal(*IMAGES), draw.normal(*IMAGES), visible=True)


def summands(draw, shape, scale=1.0):
    """An x and an f of which some sums are positive and some negative."""
    while True:
        x, f = draw.normal(*shape, scale=scale), draw.normal(*shape, scale=scale)
        if mixed(x + f):
            return x, f


def large_summands(draw, shape):
    """As `summands`; without what is beyond 1000, of either, other sums would be positive."""
    while True:
        x, f = summands(draw, shape, LARGE)
        masks = [x + f > 0, small(x) + f > 0, x + small(f) > 0]
        if (masks[0] != masks[1]).any() and (masks[0] != masks[2]).any():
            return x, f


def opposite(draw):
    """An x and an f, and where their sums are 0: somewhere, but not everywhere."""
    x, f = summands(draw, (draw.size(2, 4), draw.size(6, 9)))
    zero = draw.integers(*x.shape, below=2)
    zero[:, 0], zero[:, 1] = 1, 0
    x[0, 0] = 0.0
    return x, np.where(zero == 1, -x, f), zero


def mixed(values):
    return bool((values > 0).any() and (values < 0).any())


@add_forward.hidden("other images of the same shape")
def _(draw):
    return summands(draw, IMAGES)


@add_forward.hidden("other numbers of axes")
def _(draw):
    return summands(draw, axes(draw))


@add_forward.hidden("one image, one channel")
def _(draw):
    return summands(draw, (1, draw.size(2, 4), draw.size(2, 4), 1))


@add_forward.hidden("sums that are 0")
def _(draw):
    return opposite(draw)[:2]


@add_forward.hidden("values beyond 6, 100 and 1000")
def _(draw):
    return large_summands(draw, (2, draw.size(3, 5), 3))


@add_forward.hidden("values that are nearly 0")
def _(draw):
    return summands(draw, (draw.size(3, 5), 4), TINY)


# ---------------------------------------------------------------------- 2 the sum, backward


@question(points=3, returns="dx df separate")
def add_backward(g, x, f):
    flat = [a if b + c > 0 else 0.0 for a, b, c in zip(g.flat, x.flat, f.flat, strict=True)]
    expected = np.array(flat).reshape(g.shape)
    return expected, expected, Separate([g, x, f])


@add_backward.drive
def drive_add(student, g, x, f):
    dx, df = student.add_backward(g, x, f)
    again = student.add_backward(g, x, f)
    places = [memory(array) for array in (dx, df, *again, g, x, f)]
    return dx, df, [places, [g, x, f]]


add_backward.case(
    "random images", draw.normal(*IMAGES), draw.normal(*IMAGES), draw.normal(*IMAGES), visible=True
)


@add_backward.hidden("other images of the same shape")
def _(draw):
    return draw.normal(*IMAGES), *summands(draw, IMAGES)


@add_backward.hidden("other numbers of axes")
def _(draw):
    shape = axes(draw)
    return draw.normal(*shape), *summands(draw, shape)


@add_backward.hidden("one image, one channel")
def _(draw):
    shape = 1, draw.size(2, 4), draw.size(2, 4), 1
    return draw.normal(*shape), *summands(draw, shape)


@add_backward.hidden("no sum that the ReLU stops")
def _(draw):
    shape = draw.size(2, 4), draw.size(2, 4)
    return [draw.normal(*shape), *(draw.normal(*shape, mean=8.0) for _ in range(2))]


@add_backward.hidden("sums that are 0")
def _(draw):
    x, f, zero = opposite(draw)
    return draw.normal(*x.shape) + np.where(zero == 1, 8.0, 0.0), x, f


@add_backward.hidden("sums beyond 6, 100 and 1000")
def _(draw):
    shape = draw.size(2, 4), 8
    return draw.normal(*shape), *large_summands(draw, shape)


@add_backward.hidden("an upstream gradient beyond 6, 100 and 1000")
def _(draw):
    shape = draw.size(2, 4), 8
    return draw.normal(*shape, scale=LARGE), *summands(draw, shape)


@add_backward.hidden("sums that are nearly 0")
def _(draw):
    shape = draw.size(2, 4), 8
    return draw.normal(*shape), *summands(draw, shape, TINY)


# ---------------------------------------------------------------------- 3 a whole block, backward


@question(points=5, returns={"dx": 3, "dw1": 1, "dw2": 1})
def block_backward(g, x, w1, w2):
    """Place by place, channel by channel."""
    dx, dw1, dw2 = np.zeros_like(x), np.zeros_like(w1), np.zeros_like(w2)
    for n, h, w in np.ndindex(x.shape[:3]):
        before = [sum(x[n, h, w, i] * w1[i, j] for i in range(len(w1))) for j in range(len(w2))]
        hidden = [max(value, 0.0) for value in before]
        for k in range(w2.shape[1]):
            if x[n, h, w, k] + sum(hidden[j] * w2[j, k] for j in range(len(w2))) <= 0:
                continue
            upstream = g[n, h, w, k]
            dx[n, h, w, k] += upstream
            for j in range(len(w2)):
                dw2[j, k] += hidden[j] * upstream
                if before[j] > 0:
                    for i in range(len(w1)):
                        dw1[i, j] += x[n, h, w, i] * w2[j, k] * upstream
                        dx[n, h, w, i] += w1[i, j] * w2[j, k] * upstream
    return dx, dw1, dw2


def block_inputs(draw, images, hidden, scale=1.0, change=lambda x, w1, w2: None):
    """Inputs for which each ReLU passes some values and stops some, and some pass both."""
    c = images[-1]
    while True:
        x = draw.normal(*images, scale=scale)
        w1, w2 = draw.normal(c, hidden), draw.normal(hidden, c)
        change(x, w1, w2)
        before, total = sums(x, w1, w2)
        both = (before > 0)[..., None] & (total > 0)[..., None, :]
        if mixed(before) and mixed(total) and both.any():
            return draw.normal(*images), x, w1, w2


def sums(x, w1, w2):
    """What goes into either ReLU."""
    before = x @ w1
    return before, x + np.maximum(before, 0) @ w2


block_backward.case("two images", *block_inputs(draw, (2, 3, 4, 2), 5), visible=True)


@block_backward.hidden("other values of the same shapes")
def _(draw):
    return block_inputs(draw, (2, 3, 4, 2), 5)


@block_backward.hidden("one image, a narrow branch")
def _(draw):
    return block_inputs(draw, (1, draw.choice(2, 4), 3, 4), 2)


@block_backward.hidden("one place")
def _(draw):
    return block_inputs(draw, (1, 1, 1, draw.size(3, 4)), draw.size(2, 4))


@block_backward.hidden("one row or column, three images")
def _(draw):
    size = draw.size(2, 4)
    return block_inputs(draw, (3, *draw.choice((1, size), (size, 1)), 2), 3)


@block_backward.hidden("one channel")
def _(draw):
    return block_inputs(draw, (2, 3, draw.choice(2, 4), 1), draw.size(2, 3))


@block_backward.hidden("all axes of one length")
def _(draw):
    size = draw.size(2, 3)
    return block_inputs(draw, (size,) * 4, size)


@block_backward.hidden("zeros before the inner ReLU")
def _(draw):
    def change(x, w1, w2):  # the first hidden channel is a difference of two equal ones
        x[..., 1] = x[..., 0]
        w1[:, 0] = [1.0, -1.0, 0.0]

    return block_inputs(draw, (2, 2, draw.size(2, 3), 3), draw.size(2, 4), change=change)


@block_backward.hidden("sums that are 0")
def _(draw):
    def change(x, w1, w2):  # the first channel has its own positive part taken away
        w1[:, 0] = [1.0, 0.0]
        w2[:, 0] = 0.0
        w2[0, 0] = -1.0

    return block_inputs(draw, (2, draw.size(2, 3), 3, 2), draw.size(2, 4), change=change)


@block_backward.hidden("values beyond 6, 100 and 1000")
def _(draw):
    while True:  # until either ReLU's mask would be another without what is beyond 1000
        g, x, w1, w2 = block_inputs(draw, (1, 3, draw.size(2, 3), 2), draw.size(2, 4), LARGE)
        hidden = np.maximum(x @ w1, 0)
        branch = hidden @ w2
        others = [small(x) + branch, x + small(branch), x + small(hidden) @ w2]
        if all(((other > 0) != (x + branch > 0)).any() for other in others):
            return g * LARGE, x, w1, w2


@block_backward.hidden("weights beyond 6, 100 and 1000")
def _(draw):
    def change(x, w1, w2):
        w1 *= LARGE
        w2 *= LARGE

    while True:  # until such weights, of either sort, decide about a mask and stand on a path
        inputs = block_inputs(draw, (2, 2, draw.size(2, 3), 2), draw.size(2, 4), change=change)
        before, total = sums(*inputs[1:])
        path = (before > 0)[..., None] & (total > 0)[..., None, :] & (inputs[3] > 1000)
        path &= (inputs[2].max(axis=0) > 1000)[:, None]
        other = sums(*inputs[1:3], small(inputs[3]))[1]
        if path.any() and ((total > 0) != (other > 0)).any():
            return inputs


@block_backward.hidden("values that are nearly 0")
def _(draw):
    return block_inputs(draw, (2, draw.size(2, 3), 2, 2), draw.size(2, 4), TINY)


# ---------------------------------------------------------------------- 4 a shortcut


@question(points=2, returns="y")
def shortcut(x, channels):
    n, h, w, c = x.shape
    out = np.zeros((n, (h + 1) // 2, (w + 1) // 2, channels))
    for a, i, j, k in np.ndindex(out.shape):
        if k < c:
            out[a, i, j, k] = x[a, 2 * i, 2 * j, k]
    return out


shortcut.case("even sizes", draw.normal(2, 4, 6, 3), 6, visible=True)


@shortcut.hidden("other values of the same shapes")
def _(draw):
    return draw.normal(2, 4, 6, 3), 6


@shortcut.hidden("odd height and width")
def _(draw):
    c = draw.size(2, 3)
    return draw.normal(2, 5, draw.choice(3, 7), c), 2 * c


@shortcut.hidden("odd height, one new channel")
def _(draw):
    c = draw.size(1, 4)
    return draw.normal(2, draw.choice(3, 5), 4, c), c + 1


@shortcut.hidden("odd width, three new channels")
def _(draw):
    c = draw.size(1, 4)
    return draw.normal(2, draw.choice(2, 6), 5, c), c + 3


@shortcut.hidden("no new channels")
def _(draw):
    c = draw.size(1, 4)
    return draw.normal(2, draw.size(3, 6), draw.size(3, 6), c), c


@shortcut.hidden("one image, one channel, many new ones")
def _(draw):
    return draw.normal(1, draw.size(2, 4), 3, 1), draw.size(1010, 1030)


@shortcut.hidden("one row")
def _(draw):
    return draw.normal(2, 1, draw.size(2, 5), 2), draw.size(3, 5)


@shortcut.hidden("one column")
def _(draw):
    return draw.normal(2, draw.size(2, 5), 1, 2), draw.size(3, 5)


@shortcut.hidden("all axes of one length")
def _(draw):
    size = draw.size(2, 4)
    return draw.normal(*(size,) * 4), size + draw.size(1, 3)


@shortcut.hidden("values beyond 6, 100 and 1000")
def _(draw):
    return draw.normal(1, draw.size(3, 5), 4, 2, scale=LARGE), draw.size(3, 5)


# ---------------------------------------------------------------------- 5 SGD


@question(points=9, returns={"weights": 6, "data_in_place": 1, "grads_kept": 1, "cleared": 1})
def SGD(weights, script):
    """Number by number; a script is what a training does, one thing after another.

    "make": an optimiser of these parameters, with a rate and options. "rate": set an optimiser's.
    "grads": set every parameter's. "fill": write into the gradients that are there. "data": put
    another array into a parameter. "step" and "zero": of an optimiser.
    """
    now, grads = [w.copy() for w in weights], [None] * len(weights)
    optimisers, path, kept, cleared = [], [], [], []
    for action, which, *what in script:
        if action == "make":
            velocities = {k: np.zeros(weights[k].shape) for k in which}
            optimisers.append([velocities, *what])
        elif action == "rate":
            optimisers[which][1] = what[0]
        elif action in ("grads", "fill"):
            grads = list(which)
        elif action == "data":
            now[which] = what[0].copy()
        elif action == "zero":
            grads = [None if k in optimisers[which][0] else g for k, g in enumerate(grads)]
            cleared.append(grads)
        else:
            velocities, rate, options = optimisers[which]
            for k, velocity in velocities.items():
                if grads[k] is not None:
                    _move(now[k], velocity, grads[k], rate, **options)
            path.append([w.copy() for w in now])
            kept.append(grads)
    return path, list(range(len(weights))), kept, cleared


def _move(w, v, gradient, rate, momentum=0.0, weight_decay=0.0, nesterov=False):
    for i in np.ndindex(w.shape):
        g = gradient[i] + weight_decay * w[i]
        v[i] = momentum * v[i] + g
        w[i] -= rate * (g + momentum * v[i] if nesterov else v[i])


@SGD.drive
def drive_sgd(student, weights, script):
    parameters = [student.Parameter(w) for w in weights]
    arrays, optimisers, path, kept, cleared = [*weights], [], [], [], []
    for action, number, *what in script:
        if action == "make":
            rate, options = what
            optimisers.append(student.SGD([parameters[k] for k in number], rate, **options))
        elif action == "rate":
            optimisers[number].lr = what[0]
        elif action == "grads":
            for parameter, gradient in zip(parameters, number, strict=True):
                parameter.grad = None if gradient is None else gradient.copy()
        elif action == "fill":
            for parameter, gradient in zip(parameters, number, strict=True):
                parameter.grad[...] = gradient
        elif action == "data":
            arrays[number] = parameters[number].data = what[0]
        elif action == "zero":
            optimisers[number].zero_grad()
            cleared.append([parameter.grad for parameter in parameters])
        else:
            optimisers[number].step()
            path.append([parameter.data.copy() for parameter in parameters])
            grads = [parameter.grad for parameter in parameters]
            kept.append([None if grad is None else grad.copy() for grad in grads])
    same = [which(parameter.data, arrays) for parameter in parameters]
    return path, same, kept, cleared


def weights(draw, *shapes):
    return [draw.normal(*shape) for shape in shapes]


def training(draw, rates, *shapes, **options):
    """One optimiser, a step for each rate, and gradients set to None in the end."""
    script = [["make", list(range(len(shapes))), rates[0], options]]
    for rate in rates:
        script += [["rate", 0, rate], ["grads", weights(draw, *shapes)], ["step", 0]]
    return weights(draw, *shapes), [*script, ["zero", 0]]


RATES = [0.5, 0.125, 0.25, 0.0625]
SGD.case("plain, the learning rate changes", *training(draw, RATES, (3, 2), (2,)), visible=True)
SGD.case(
    "momentum, the learning rate changes",
    *training(draw, RATES, (2, 3), (3,), momentum=0.75),
    visible=True,
)


def momentum(draw):
    return draw.choice(0.5, 0.75, 0.875)


def decay(draw):
    return draw.choice(0.125, 0.25, 0.375)


@SGD.hidden("weight decay")
def _(draw):
    shapes = (draw.size(1, 3), 2), (draw.size(2, 4),)
    return training(draw, RATES[:3], *shapes, weight_decay=decay(draw))


@SGD.hidden("momentum and weight decay, a learning rate of 0 once")
def _(draw):
    rates = [0.5, draw.choice(0.25, 0.125), 0.0, 0.25, 0.125]
    shape = draw.size(1, 3), 1, draw.size(2, 3)
    return training(draw, rates, shape, momentum=momentum(draw), weight_decay=decay(draw))


@SGD.hidden("Nesterov and weight decay")
def _(draw):
    options = {"momentum": momentum(draw), "weight_decay": decay(draw), "nesterov": True}
    return training(draw, RATES, (2, 1, draw.size(1, 3), 2), (2,), **options)


@SGD.hidden("momentum, parameters of one shape")
def _(draw):
    shapes = [(draw.size(1, 2), 2)] * draw.size(8, 9)
    return training(draw, [0.25] * 3, *shapes, momentum=momentum(draw))


@SGD.hidden("parameters without gradient at first and later, and one with zeros")
def _(draw):
    options = {"momentum": momentum(draw), "weight_decay": decay(draw)}
    script = [["make", [0, 1, 2], 0.25, options]]
    shapes = (2,), (draw.size(1, 3), 2), (3,)
    for step in range(5):
        grads = weights(draw, *shapes)
        if step in (0, 3):
            grads[0] = None
        if step in (2, 3):
            grads[1] = None
        if step == 2:
            grads[2][:] = 0.0
        if step == 3:
            grads[2] = None
        script += [["grads", grads], ["step", 0]]
    return weights(draw, *shapes), [*script, ["zero", 0]]


@SGD.hidden("zero_grad before each step")
def _(draw):
    shapes = (draw.size(1, 3), 2), (2,)
    script = [["make", [0, 1], 0.25, {"momentum": momentum(draw), "weight_decay": decay(draw)}]]
    for step in range(4):
        script += [["zero", 0], ["grads", weights(draw, *shapes)], ["step", 0]]
        if step == 1:
            script += [["zero", 0], ["step", 0]]
    return weights(draw, *shapes), [*script, ["zero", 0]]


@SGD.hidden("several optimisers in turns, one made anew")
def _(draw):
    shapes = (2, 2), (2, 2), (draw.size(1, 3),)
    script = [
        ["make", [0], 0.5, {"momentum": 0.75, "weight_decay": decay(draw)}],
        ["make", [2, 1], 0.125, {"momentum": 0.5, "nesterov": True}],
    ]
    for number in (0, 1, 0, 1, 1, 0):
        script += [["grads", weights(draw, *shapes)], ["step", number]]
    script += [["zero", 1], ["make", [0], 0.25, {"momentum": 0.875}]]
    for number in (2, 1, 2):
        script += [["grads", weights(draw, *shapes)], ["step", number]]
    return weights(draw, *shapes), [*script, ["zero", 2]]


@SGD.hidden("data that is another array from a step on")
def _(draw):
    shapes = (draw.size(1, 3), 2), (2,)
    script = [["make", [0, 1], 0.25, {"momentum": momentum(draw), "weight_decay": decay(draw)}]]
    for step in range(4):
        if step == 2:
            script += [["data", k, draw.normal(*shape)] for k, shape in enumerate(shapes)]
        script += [["grads", weights(draw, *shapes)], ["step", 0]]
    return weights(draw, *shapes), [*script, ["zero", 0]]


@SGD.hidden("gradients written into the same arrays")
def _(draw):
    shapes = (draw.size(1, 3), 2), (2,)
    script = [["make", [0, 1], 0.25, {"momentum": momentum(draw)}]]
    for step in range(4):
        script += [["fill" if step else "grads", weights(draw, *shapes)], ["step", 0]]
    return weights(draw, *shapes), [*script, ["step", 0], ["zero", 0]]


@SGD.hidden("numbers beyond 1000, and others nearly 0")
def _(draw):
    shapes, scales = ((2, 2), (draw.size(2, 4),)) * 2, (LARGE, TINY) * 2

    def scaled():
        return [w * scale for w, scale in zip(weights(draw, *shapes), scales, strict=True)]

    options = {"momentum": momentum(draw), "weight_decay": LARGE, "nesterov": True}
    script = [["make", [0, 1], LARGE, options], ["make", [2, 3], 0.25, {"momentum": 0.5}]]
    for _step in range(3):
        script += [["grads", scaled()], ["step", 0], ["step", 1]]
    return scaled(), [*script, ["zero", 0]]


VELOCITY = "v[...] = self.momentum * v + g"
MOVE = "p.data -= self.lr * (g + self.momentum * v if self.nesterov else v)"
GRADIENT = "g = p.grad + self.weight_decay * p.data"
