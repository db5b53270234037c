"""How assignment 5 is graded."""

import numpy as np

from minires.coursework import Draws, Separate, question

draw = Draws(seed=5)

# ---------------------------------------------------------------------- 1 the sum, forward


@question(points=1, returns="y")
def add_forward(x, f):
    out = [max(a + b, 0.0) for a, b in zip(x.ravel(), f.ravel(), strict=True)]
    return np.array(out).reshape(x.shape)


add_forward.case("random images", draw.normal(2, 3, 4, 2), draw.normal(2, 3, 4, 2), visible=True)
add_forward.case("sums that are 0", np.array([1.0, -2.0, 0.0]), np.array([-1.0, 2.0, 0.0]))


# ---------------------------------------------------------------------- 2 the sum, backward


@question(points=3, returns="dx df separate")
def add_backward(g, x, f):
    flat = [a if b + c > 0 else 0.0 for a, b, c in zip(g.flat, x.flat, f.flat, strict=True)]
    expected = np.array(flat).reshape(g.shape)
    return expected, expected, Separate([g])


@add_backward.drive
def drive_add(student, g, x, f):
    dx, df = student.add_backward(g, x, f)
    return dx, df, [[memory(dx), memory(df), memory(g)], [g]]


add_backward.case(
    "random images",
    draw.normal(2, 3, 4, 2),
    draw.normal(2, 3, 4, 2),
    draw.normal(2, 3, 4, 2),
    visible=True,
)
add_backward.case(
    "sums that are 0",
    np.array([1.0, 2.0, -3.0, 4.0]),
    np.array([1.0, -2.0, 0.0, 3.0]),
    np.array([-1.0, 2.0, 0.0, -1.0]),
)
add_backward.case(
    "nothing is cut off",
    draw.normal(3, 4),
    draw.normal(3, 4, mean=16.0),
    draw.normal(3, 4),
)


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


def block_case(n, h, w, c, hidden):
    images = (n, h, w, c)
    weights = draw.normal(c, hidden), draw.normal(hidden, c)
    return draw.normal(*images), draw.normal(*images), *weights


block_backward.case("two images", *block_case(2, 3, 4, 2, 5), visible=True)
block_backward.case("one image, a narrow branch", *block_case(1, 2, 3, 4, 2))
block_backward.case("one place", *block_case(1, 1, 1, 3, 2))


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
shortcut.case("odd sizes", draw.normal(1, 5, 3, 2), 3)
shortcut.case("no new channels", draw.normal(1, 4, 3, 2), 2)


# ---------------------------------------------------------------------- 5 SGD


@question(points=9, returns={"weights": 6, "data_in_place": 1, "grads_kept": 1, "cleared": 1})
def SGD(weights, gradients, rates, momentum, weight_decay, nesterov):
    """Number by number."""
    path, now = [], [list(w.ravel()) for w in weights]
    velocity = [[0.0] * w.size for w in weights]
    for rate, step in zip(rates, gradients, strict=True):
        for k, gradient in enumerate(step):
            if gradient is None:
                continue
            for i, g in enumerate(gradient.ravel()):
                g = g + weight_decay * now[k][i]
                velocity[k][i] = momentum * velocity[k][i] + g
                move = g + momentum * velocity[k][i] if nesterov else velocity[k][i]
                now[k][i] -= rate * move
        path.append([np.array(v).reshape(w.shape) for v, w in zip(now, weights, strict=True)])
    numbers = list(range(len(weights)))
    return path, numbers, gradients, [None] * len(weights)


@SGD.drive
def drive_sgd(student, weights, gradients, rates, momentum, weight_decay, nesterov):
    parameters = [student.Parameter(w) for w in weights]
    options = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
    optimiser = student.SGD(parameters, rates[0], **options)
    path, kept = [], []
    for rate, step in zip(rates, gradients, strict=True):
        optimiser.lr = rate
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = None if gradient is None else gradient.copy()
        optimiser.step()
        kept.append([parameter.grad for parameter in parameters])
        path.append([parameter.data.copy() for parameter in parameters])
    same = [which(parameter.data, weights) for parameter in parameters]
    optimiser.zero_grad()
    return path, same, kept, [parameter.grad for parameter in parameters]


def steps(count, *shapes):
    return [[draw.normal(*shape) for shape in shapes] for _ in range(count)]


def weights(*shapes):
    return [draw.normal(*shape, mean=2.0) for shape in shapes]


SGD.case(
    "plain, the learning rate changes",
    weights((3, 2), (2,)),
    steps(3, (3, 2), (2,)),
    [0.5, 0.25, 0.125],
    0.0,
    0.0,
    False,
    visible=True,
)
SGD.case(
    "momentum, the learning rate changes",
    weights((2, 3), (3,)),
    steps(4, (2, 3), (3,)),
    [0.5, 0.5, 0.125, 0.0625],
    0.75,
    0.0,
    False,
    visible=True,
)
SGD.case(
    "momentum, two parameters of one shape",
    weights((3,), (3,)),
    steps(3, (3,), (3,)),
    [0.25, 0.25, 0.25],
    0.5,
    0.0,
    False,
)
SGD.case("weight decay", weights((2, 2)), steps(3, (2, 2)), [0.5, 0.25, 0.25], 0.0, 0.125, False)
SGD.case(
    "weight decay and momentum",
    weights((2, 3)),
    steps(4, (2, 3)),
    [0.5, 0.25, 0.25, 0.125],
    0.75,
    0.125,
    False,
)
SGD.case(
    "Nesterov and weight decay",
    weights((2, 2), (2,)),
    steps(4, (2, 2), (2,)),
    [0.5, 0.25, 0.25, 0.125],
    0.75,
    0.0625,
    True,
)
SGD.case(
    "a parameter without gradient",
    weights((2,), (2,)),
    [[g, None if i == 1 else h] for i, (g, h) in enumerate(steps(3, (2,), (2,)))],
    [0.5, 0.25, 0.25],
    0.5,
    0.125,
    False,
)

VELOCITY = "v[...] = self.momentum * v + g"
MOVE = "p.data -= self.lr * (g + self.momentum * v if self.nesterov else v)"
GRADIENT = "g = p.grad + self.weight_decay * p.data"
