"""How assignment 2 is graded."""

import math

import numpy as np

from minires.coursework import Draws, Separate, question

draw = Draws(seed=2)


def different(draw, count):
    """Sizes from 2 on, all different, in any order."""
    return (2 + draw.shuffled(count)).tolist()


LARGE, SMALL = 2.0**13, 2.0**-40
"""Factors that make numbers of about 1 larger than 1000, and next to nothing."""


# ---------------------------------------------------------------------- 1 linear, forward


@question(points=1, returns="y")
def linear_forward(x, w, b):
    out = np.zeros((len(x), len(b)))
    for n, o in np.ndindex(out.shape):
        out[n, o] = b[o] + sum(x[n, c] * w[c, o] for c in range(len(w)))
    return out


linear_forward.case("random", draw.normal(3, 4), draw.normal(4, 2), draw.normal(2), visible=True)


def rows_weights_biases(draw, n, c, o, scale=1.0):
    x, w = draw.signed(n, c, scale=scale), draw.signed(c, o, scale=scale)
    return x, w, draw.signed(o, scale=scale**2)


@linear_forward.hidden("the same shapes, other numbers")
def linear_again(draw):
    return rows_weights_biases(draw, 3, 4, 2)


@linear_forward.hidden("other shapes")
def linear_shapes(draw):
    return rows_weights_biases(draw, *different(draw, 3))


@linear_forward.hidden("as many rows as numbers in and out", weight=2)
def linear_square(draw):
    return rows_weights_biases(draw, *[draw.size(2, 4)] * 3)


@linear_forward.hidden("one row")
def linear_row(draw):
    return rows_weights_biases(draw, 1, *different(draw, 2))


@linear_forward.hidden("one number in, one number out")
def linear_one(draw):
    return rows_weights_biases(draw, draw.size(2, 4), 1, 1)


@linear_forward.hidden("large numbers")
def linear_large(draw):
    return rows_weights_biases(draw, 3, 2, 4, scale=LARGE)


@linear_forward.hidden("small numbers")
def linear_small(draw):
    return rows_weights_biases(draw, 3, 2, 4, scale=SMALL)


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


def upstream_rows_weights(draw, n, c, o, scale=1.0):
    return [draw.signed(*shape, scale=scale) for shape in ((n, o), (n, c), (c, o))]


@linear_backward.hidden("the same shapes, other numbers")
def linear_backward_again(draw):
    return upstream_rows_weights(draw, 3, 4, 2)


@linear_backward.hidden("other shapes")
def linear_backward_shapes(draw):
    return upstream_rows_weights(draw, *different(draw, 3))


@linear_backward.hidden("as many rows as numbers in and out", weight=2)
def linear_backward_square(draw):
    return upstream_rows_weights(draw, *[draw.size(2, 4)] * 3)


@linear_backward.hidden("one row")
def linear_backward_row(draw):
    return upstream_rows_weights(draw, 1, *different(draw, 2))


@linear_backward.hidden("one number in, one number out")
def linear_backward_one(draw):
    return upstream_rows_weights(draw, draw.size(2, 4), 1, 1)


@linear_backward.hidden("rows of zeros")
def linear_backward_zeros(draw):
    g, x, w = upstream_rows_weights(draw, 4, 3, 2)
    for array, row in ((x, 0), (g, 1), (w, 2)):
        array[row] = 0
    return g, x, w


@linear_backward.hidden("large numbers")
def linear_backward_large(draw):
    return upstream_rows_weights(draw, 3, 2, 4, scale=LARGE)


@linear_backward.hidden("small numbers")
def linear_backward_small(draw):
    return upstream_rows_weights(draw, 3, 2, 4, scale=SMALL)


# ---------------------------------------------------------------------- 3 ReLU, backward


@question(points=3, returns="dx")
def relu_backward(g, x):
    flat = [a if b > 0 else 0.0 for a, b in zip(g.flat, x.flat, strict=True)]
    return np.array(flat).reshape(x.shape)


relu_backward.case("random", draw.normal(3, 4), draw.normal(3, 4), visible=True)


@relu_backward.hidden("the same shape, other numbers")
def relu_backward_again(draw):
    return draw.signed(3, 4), draw.signed(3, 4)


@relu_backward.hidden("zeros in x", weight=2)
def relu_backward_zeros(draw):
    """So many that both a positive and a negative g meet one."""
    return draw.signed(12), np.where(draw.shuffled(12) < 8, 0.0, draw.signed(12))


@relu_backward.hidden("one number, negative")
def relu_backward_number(draw):
    shape = [1] * draw.size(1, 2)
    return draw.signed(*shape), -abs(draw.signed(*shape))


@relu_backward.hidden("zeros only")
def relu_backward_only_zeros(draw):
    n = draw.size(2, 5)
    return draw.signed(n), np.zeros(n)


@relu_backward.hidden("an image, all sizes equal")
def relu_backward_image(draw):
    return draw.signed(2, 2, 2, 2), draw.signed(2, 2, 2, 2)


@relu_backward.hidden("one axis, or axes of size 1")
def relu_backward_line(draw):
    shape = draw.choice([draw.size(2, 7)], [1, draw.size(2, 7)], [draw.size(2, 7), 1, 1])
    return draw.signed(*shape), draw.signed(*shape)


@relu_backward.hidden("nothing negative")
def relu_backward_positive(draw):
    return draw.signed(3, 2), abs(draw.signed(3, 2))


@relu_backward.hidden("nothing positive")
def relu_backward_negative(draw):
    return draw.signed(3, 2), -abs(draw.signed(3, 2))


@relu_backward.hidden("x beyond 1000")
def relu_backward_large(draw):
    return draw.signed(3, 4), draw.signed(3, 4, scale=LARGE)


@relu_backward.hidden("x close to 0")
def relu_backward_small(draw):
    return draw.signed(3, 4), draw.signed(3, 4, scale=SMALL)


@relu_backward.hidden("g beyond 1000")
def relu_backward_large_g(draw):
    return draw.signed(3, 4, scale=LARGE), draw.signed(3, 4)


@relu_backward.hidden("g close to 0")
def relu_backward_small_g(draw):
    return draw.signed(3, 4, scale=SMALL), draw.signed(3, 4)


# ---------------------------------------------------------------------- 4 ReLU, forward


@question(points=1, returns="y fresh")
def relu_forward(x):
    return np.array([max(v, 0.0) for v in x.flat]).reshape(x.shape), Separate([x])


@relu_forward.drive
def drive_relu(student, x):
    """It is called again, of which nothing is seen in what it returned."""
    y = student.relu_forward(x)
    other = student.relu_forward(1.0 - x)
    return y, [[memory(x), memory(y), memory(other)], [x]]


relu_forward.case("random", draw.normal(3, 4), visible=True)


@relu_forward.hidden("the same shape, other numbers")
def relu_again(draw):
    return (draw.signed(3, 4),)


@relu_forward.hidden("positive values only")
def relu_positive(draw):
    return (abs(draw.signed(2, draw.size(2, 4))),)


@relu_forward.hidden("negative values only")
def relu_negative(draw):
    return (-abs(draw.signed(2, draw.size(2, 4))),)


@relu_forward.hidden("one number, negative")
def relu_number(draw):
    return (-abs(draw.signed(*[1] * draw.size(1, 2))),)


@relu_forward.hidden("zeros, and nothing negative")
def relu_zeros(draw):
    return (abs(draw.signed(8)) * (draw.shuffled(8) % 2),)


@relu_forward.hidden("an image, all sizes equal")
def relu_image(draw):
    return (draw.signed(2, 2, 2, 2),)


@relu_forward.hidden("one axis, or axes of size 1")
def relu_line(draw):
    n = draw.size(2, 7)
    return (draw.signed(*draw.choice([n], [1, n], [n, 1, 1])),)


@relu_forward.hidden("values beyond 1000")
def relu_large(draw):
    return (draw.signed(3, 4, scale=LARGE),)


@relu_forward.hidden("values close to 0")
def relu_small(draw):
    return (draw.signed(3, 4, scale=SMALL),)


# ---------------------------------------------------------------------- 5 cross-entropy, forward


@question(points=4, returns="loss")
def cross_entropy_forward(z, y):
    losses = []
    for row, label in zip(z, y, strict=True):
        top = max(row)
        total = math.fsum(math.exp(value - top) for value in row)
        losses.append(math.log(total) + top - row[label])
    return np.array(math.fsum(losses) / len(losses))


def logits_and_labels(n, c):
    return draw.normal(n, c), draw.integers(n, below=c)


cross_entropy_forward.case("random", *logits_and_labels(4, 3), visible=True)


def signed_and_labels(draw, n, c, scale=1.0):
    """Every class is a label, or as many as there are rows."""
    return draw.signed(n, c, scale=scale), draw.shuffled(max(n, c))[:n] % c


def same_shape(draw):
    return signed_and_labels(draw, 4, 3)


def wide(draw):
    return signed_and_labels(draw, draw.size(2, 3), draw.size(5, 8))


def many_rows(draw):
    return signed_and_labels(draw, draw.size(8, 12), draw.size(2, 4))


def many_classes(draw):
    """All about equally likely, and the label of the first row is the last."""
    z, y = signed_and_labels(draw, 2, draw.size(1050, 1100), scale=1 / 16)
    y[0] = z.shape[1] - 1
    return z, y


def square(draw):
    return signed_and_labels(draw, *[draw.size(3, 5)] * 2)


def one_row(draw):
    return signed_and_labels(draw, 1, draw.size(2, 5))


def one_class(draw):
    return signed_and_labels(draw, draw.size(2, 4), 1)


def one_label(draw):
    """Of all rows, and not class 0."""
    n, c = draw.size(2, 5), draw.size(2, 4)
    return draw.signed(n, c), np.full(n, draw.size(1, c - 1))


def ties(draw):
    """The largest logit of each row is there twice, and of the first it is the label's."""
    z, y = signed_and_labels(draw, 4, 5)
    top = np.array([draw.shuffled(5)[:2] for _ in range(4)])
    np.put_along_axis(z, top, z.max() + draw.size(0, 1), axis=1)
    y[0] = top[0, 0]
    return z, y


def wrong_and_sure(draw):
    """A label's probability is about e**-64, far from 0 where numbers are concerned."""
    z, y = signed_and_labels(draw, draw.size(2, 4), 4)
    np.put_along_axis(z, y[:, None], -64.0, axis=1)
    return z, y


def large(draw):
    """The label's is the smallest in the first row, the largest in the last."""
    z, y = signed_and_labels(draw, 3, 4, scale=2.0**11)
    y[0], y[-1] = z[0].argmin(), z[-1].argmax()
    return z, y


def rows_apart(draw):
    z, y = signed_and_labels(draw, 5, 3)
    return z + 2.0**11 * (draw.shuffled(5) - 2)[:, None], y


ENTROPIES = {
    "the same shape, other numbers": same_shape,
    "more classes than rows": wide,
    "more rows than classes": many_rows,
    "as many rows as classes": square,
    "more than 1000 classes": many_classes,
    "one row": one_row,
    "one class": one_class,
    "one label for all rows": one_label,
    "the largest logit twice": ties,
    "sure and wrong": wrong_and_sure,
    "large logits": large,
    "rows that lie far apart": rows_apart,
}
WEIGHTS = {"large logits": 4, "rows that lie far apart": 2}

for name, draw_entropy in ENTROPIES.items():
    cross_entropy_forward.hidden(name, weight=WEIGHTS.get(name, 1))(draw_entropy)


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

for name, draw_entropy in ENTROPIES.items():
    cross_entropy_backward.hidden(name, weight=WEIGHTS.get(name, 1))(
        lambda draw, own=draw_entropy: (1.0, *own(draw))
    )


@cross_entropy_backward.hidden("of a multiple of the loss", weight=2)
def multiple(draw):
    return draw.choice(3.0, 2.5, 1.5), *signed_and_labels(draw, 4, 3)


@cross_entropy_backward.hidden("of minus the loss")
def minus(draw):
    return draw.choice(-0.5, -1.0, -2.0), *signed_and_labels(draw, 4, 3)


@cross_entropy_backward.hidden("of a very large multiple")
def large_multiple(draw):
    return LARGE, *signed_and_labels(draw, 4, 3)


@cross_entropy_backward.hidden("of a very small multiple")
def small_multiple(draw):
    return SMALL, *signed_and_labels(draw, 4, 3)


P = "p = e / e.sum(axis=1, keepdims=True)"
HOT = "p[np.arange(len(y)), y] -= 1"
RETURN = "return g * p / len(y)"
