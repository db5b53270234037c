"""How assignment 2 is graded."""

import math

import numpy as np

from minires.coursework import Draws, Separate, question

draw = Draws(seed=2)

# ---------------------------------------------------------------------- 1 linear, forward


@question(points=1, returns="y")
def linear_forward(x, w, b):
    out = np.zeros((len(x), len(b)))
    for n, o in np.ndindex(out.shape):
        out[n, o] = b[o] + sum(x[n, c] * w[c, o] for c in range(len(w)))
    return out


linear_forward.case("random", draw.normal(3, 4), draw.normal(4, 2), draw.normal(2), visible=True)
linear_forward.case("as many in as out", draw.normal(5, 3), draw.normal(3, 3), draw.normal(3))


# ---------------------------------------------------------------------- 2 linear, backward


@question(points=3, returns="dx dw db")
def linear_backward(g, x, w):
    dx, dw, db = np.zeros(x.shape), np.zeros(w.shape), np.zeros(w.shape[1])
    for n, c, o in np.ndindex(len(x), *w.shape):
        dx[n, c] += g[n, o] * w[c, o]
        dw[c, o] += g[n, o] * x[n, c]
    for n, o in np.ndindex(g.shape):
        db[o] += g[n, o]
    return dx, dw, db


linear_backward.case(
    "random", draw.normal(3, 2), draw.normal(3, 4), draw.normal(4, 2), visible=True
)
linear_backward.case("square", draw.normal(3, 3), draw.normal(3, 3), draw.normal(3, 3))


# ---------------------------------------------------------------------- 3 ReLU, backward


@question(points=3, returns="dx")
def relu_backward(g, x):
    flat = [a if b > 0 else 0.0 for a, b in zip(g.flat, x.flat, strict=True)]
    return np.array(flat).reshape(x.shape)


relu_backward.case("random", draw.normal(3, 4), draw.normal(3, 4), visible=True)
relu_backward.case("at 0", np.array([1.0, -2.0, 3.0, 4.0]), np.array([0.0, 0.0, 1.0, -1.0]))
relu_backward.case("an image", draw.normal(2, 3, 2, 2), draw.normal(2, 3, 2, 2))


# ---------------------------------------------------------------------- 4 ReLU, forward


@question(points=1, returns="y fresh")
def relu_forward(x):
    return np.array([max(v, 0.0) for v in x.flat]).reshape(x.shape), Separate([x])


@relu_forward.drive
def drive_relu(student, x):
    y = student.relu_forward(x)
    return y, [[memory(x), memory(y)], [x]]


relu_forward.case("random", draw.normal(3, 4), visible=True)
relu_forward.case("positive values only", abs(draw.normal(2, 3)) + 1)


# ---------------------------------------------------------------------- 5 cross-entropy, forward


@question(points=4, returns="loss")
def cross_entropy_forward(z, y):
    losses = []
    for row, label in zip(z, y, strict=True):
        top = max(row)
        total = math.fsum(math.exp(value - top) for value in row)
        losses.append(math.log(total) + top - row[label])
    return np.array(math.fsum(losses) / len(losses))


def logits_and_labels(n, c, scale=1.0):
    return draw.normal(n, c, scale=scale), draw.integers(n, below=c)


cross_entropy_forward.case("random", *logits_and_labels(4, 3), visible=True)
cross_entropy_forward.case("more classes than rows", *logits_and_labels(2, 7))
cross_entropy_forward.case("large logits", *logits_and_labels(3, 4, scale=1024.0), weight=2)
z, y = logits_and_labels(5, 3)
rows_apart = 2048.0 * np.arange(5)[:, None]
cross_entropy_forward.case("rows that lie far apart", z - rows_apart, y)


# ---------------------------------------------------------------------- 6 cross-entropy, backward


@question(points=6, returns="dz")
def cross_entropy_backward(g, z, y):
    dz = np.zeros(z.shape)
    for n, (row, label) in enumerate(zip(z, y, strict=True)):
        top = max(row)
        total = math.fsum(math.exp(value - top) for value in row)
        for c, value in enumerate(row):
            dz[n, c] = g * (math.exp(value - top) / total - (c == label)) / len(z)
    return dz


cross_entropy_backward.case("of the loss itself", 1.0, *logits_and_labels(4, 3), visible=True)
cross_entropy_backward.case("of 3 times the loss", 3.0, *logits_and_labels(5, 7))
cross_entropy_backward.case("of minus the loss", -0.5, *logits_and_labels(3, 5))
cross_entropy_backward.case("large logits", 2.0, *logits_and_labels(2, 4, scale=1024.0))

P = "p = e / e.sum(axis=1, keepdims=True)"
HOT = "p[np.arange(len(y)), y] -= 1"
RETURN = "return g * p / len(y)"
