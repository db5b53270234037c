"""How assignment 2 is graded."""

import math

import numpy as np

from minires.coursework import Draws, question

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

linear_forward.mistake(201, "the bias forgotten", "Add b to every row.", " + b", "")
linear_forward.mistake(
    202, "the weights transposed", "w is (C, O) here: x @ w.", "x @ w", "x @ w.T"
)
linear_forward.mistake(203, "the bias subtracted", "b is added.", "+ b", "- b")
linear_forward.mistake(
    204, "element by element", "A linear layer is a matrix product.", "x @ w", "x[:, :1] * w[0]"
)


@linear_forward.wrong(205, "x changed in place", "x is the caller's: make a new array.")
def linear_in_place(x, w, b):
    out = x @ w + b
    x *= 0
    return out


@linear_forward.correct("loops")
def linear_loops(x, w, b):
    out = np.zeros((x.shape[0], w.shape[1]))
    for n in range(x.shape[0]):
        for o in range(w.shape[1]):
            for c in range(x.shape[1]):
                out[n, o] += x[n, c] * w[c, o]
            out[n, o] += b[o]
    return out


@linear_forward.correct("einsum")
def linear_einsum(x, w, b):
    return np.einsum("nc,co->no", x, w) + b[np.newaxis]


@linear_forward.correct("a column of ones")
def linear_ones(x, w, b):
    return np.hstack([x, np.ones((len(x), 1))]) @ np.vstack([w, b])


@linear_forward.correct("a sum of outer products, Fortran order")
def linear_outer(x, w, b):
    return np.asfortranarray(sum(np.outer(x[:, c], w[c]) for c in range(len(w))) + b)


@linear_forward.correct("float32")
def linear_float32(x, w, b):
    return np.float32(x).dot(np.float32(w)) + np.float32(b)


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

for number, name, hint, old, new in [
    (206, "the weights not transposed", "(N, O) times (O, C): g @ w.T.", "g @ w.T", "g @ w"),
    (207, "dw transposed", "dw has the shape of w, (C, O).", "x.T @ g", "g.T @ x"),
    (5, "dw averaged over the batch", "A sum over rows.", "x.T @ g", "x.T @ g / len(x)"),
    (7, "db a mean", "b was added to every row: sum.", "g.sum(axis=0)", "g.mean(axis=0)"),
    (8, "db of the first row", "Sum over all rows.", "g.sum(axis=0)", "g[0]"),
    (208, "db over the wrong axis", "b is (O,): sum over rows.", "sum(axis=0)", "sum(axis=1)"),
    (14, "the upstream gradient ignored", "Use g.", "dx = g @", "dx = np.ones_like(g) @"),
    (4, "dw of the last row only", "Sum over all rows.", "x.T @ g", "x[-1:].T @ g[-1:]"),
    (209, "a sign", "The derivatives of a product are positive.", "x.T @ g", "-x.T @ g"),
]:
    linear_backward.mistake(number, name, hint, old, new)


@linear_backward.correct("loops")
def linear_backward_loops(g, x, w):
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[1])
    for n in range(len(x)):
        for o in range(w.shape[1]):
            db[o] += g[n, o]
            dx[n] += g[n, o] * w[:, o]
            dw[:, o] += g[n, o] * x[n]
    return dx, dw, db


@linear_backward.correct("einsum")
def linear_backward_einsum(g, x, w):
    return np.einsum("no,co->nc", g, w), np.einsum("nc,no->co", x, g), np.einsum("no->o", g)


@linear_backward.correct("transposed twice")
def linear_backward_transposed(g, x, w):
    return (w @ g.T).T, (g.T @ x).T, np.ones(len(g)) @ g


@linear_backward.correct("outer products")
def linear_backward_outer(g, x, w):
    dw = sum(np.outer(a, b) for a, b in zip(x, g, strict=True))
    return [np.inner(g, w), dw, np.add.reduce(g)]


@linear_backward.correct("float32, Fortran order")
def linear_backward_float32(g, x, w):
    g, x, w = (np.asfortranarray(a, dtype=np.float32) for a in (g, x, w))
    return g @ w.T, x.T @ g, g.sum(axis=0)


# ---------------------------------------------------------------------- 3 ReLU, backward


@question(points=3, returns="dx")
def relu_backward(g, x):
    flat = [a if b > 0 else 0.0 for a, b in zip(g.flat, x.flat, strict=True)]
    return np.array(flat).reshape(x.shape)


relu_backward.case("random", draw.normal(3, 4), draw.normal(3, 4), visible=True)
relu_backward.case("at 0", np.array([1.0, -2.0, 3.0, 4.0]), np.array([0.0, 0.0, 1.0, -1.0]))
relu_backward.case("an image", draw.normal(2, 3, 2, 2), draw.normal(2, 3, 2, 2))

for number, name, hint, new in [
    (38, "the gradient of the identity", "Where x is negative, nothing flows back.", "1.0 * g"),
    (39, "the mask taken from the gradient", "The mask is where x > 0.", "g * (g > 0)"),
    (40, "leaky", "The slope below 0 is 0.", "g * np.where(x > 0, 1, 0.01)"),
    (41, "the upstream gradient ignored", "Multiply with g.", "1.0 * (x > 0)"),
    (42, ">= at zero", "The derivative at 0 is 0 here.", "g * (x >= 0)"),
    (210, "ReLU of the gradient, masked", "g may be negative.", "np.maximum(g, 0) * (x > 0)"),
    (211, "times x", "The derivative is 1, not x.", "g * np.maximum(x, 0)"),
    (212, "the mask inverted", "It flows where x is positive.", "g * (x < 0)"),
]:
    relu_backward.mistake(number, name, hint, "g * (x > 0)", new)


@relu_backward.correct("where")
def relu_where(g, x):
    return np.where(x > 0, g, 0.0)


@relu_backward.correct("assignment through a mask")
def relu_masked(g, x):
    dx = g.copy()
    dx[x <= 0] = 0
    return dx


@relu_backward.correct("heaviside")
def relu_heaviside(g, x):
    return np.heaviside(x, 0) * g


@relu_backward.correct("loops")
def relu_loops(g, x):
    dx = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        if x[i] > 0:
            dx[i] = g[i]
    return dx


@relu_backward.correct("the sign, float32, Fortran order")
def relu_sign(g, x):
    return np.asfortranarray(np.maximum(np.sign(x), 0) * g, dtype=np.float32)


# ---------------------------------------------------------------------- 4 ReLU, forward


@question(points=1, returns="y fresh")
def relu_forward(x):
    return np.array([max(v, 0.0) for v in x.flat]).reshape(x.shape), True


@relu_forward.drive
def drive_relu(student, x):
    before = x.copy()
    y = student.relu_forward(x)
    return y, bool((x == before).all()) and not np.shares_memory(x, y)


relu_forward.case("random", draw.normal(3, 4), visible=True)
relu_forward.case("positive values only", abs(draw.normal(2, 3)) + 1)

for number, name, hint, new in [
    (47, "ReLU in place", "Others still need x: return a new array.", "np.maximum(x, 0, out=x)"),
    (213, "the absolute value", "Negative values become 0.", "abs(x)"),
    (214, "leaky", "Negative values become 0.", "np.where(x > 0, x, 0.01 * x)"),
    (215, "the identity", "Negative values become 0.", "x.copy()"),
]:
    relu_forward.mistake(number, name, hint, "np.maximum(x, 0)", new)


@relu_forward.wrong(216, "x itself where nothing is negative", "Return a new array in every case.")
def sometimes_new(x):
    return x if x.min() >= 0 else np.maximum(x, 0)


@relu_forward.correct("mask")
def relu_mask(x):
    return x * (x > 0)


@relu_forward.correct("where")
def relu_forward_where(x):
    return np.where(x < 0, 0.0, x)


@relu_forward.correct("clip")
def relu_clip(x):
    return x.clip(min=0)


@relu_forward.correct("absolute value")
def relu_absolute(x):
    return (abs(x) + x) / 2


@relu_forward.correct("a copy that is changed, float32")
def relu_copy(x):
    y = np.array(x, dtype=np.float32, order="F")
    y[y < 0] = 0
    return y


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

for number, name, hint, old, new in [
    (
        48,
        "no maximum subtracted",
        "exp overflows: subtract each row's maximum first.",
        "z = z - z.max(axis=1, keepdims=True)",
        "z = z + 0.0",
    ),
    (
        49,
        "softmax over the batch axis",
        "Each row's probabilities sum to 1: axis 1.",
        "np.exp(z).sum(axis=1, keepdims=True)",
        "np.exp(z).sum(axis=0, keepdims=True)",
    ),
    (50, "the sum instead of the mean", "Divide by N.", ".mean()", ".sum()"),
    (
        221,
        "the whole array's maximum",
        "Each row's own maximum: rows far below the largest underflow.",
        "z.max(axis=1, keepdims=True)",
        "z.max()",
    ),
    (
        51,
        "divided by the number of classes",
        "Divide by N, the number of rows.",
        ".mean()",
        ".sum() / z.shape[1]",
    ),
    (53, "a sign", "The loss is minus the mean logarithm.", "return -logs", "return logs"),
    (
        217,
        "the logarithm of a rounded probability",
        "log(p + tiny) is wrong where p is small: take the logarithm on paper.",
        "logs = z - np.log(np.exp(z).sum(axis=1, keepdims=True))",
        "logs = np.log(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) + 1e-12)",
    ),
    (
        218,
        "all classes averaged",
        "Only the right class's probability counts.",
        "logs[np.arange(len(y)), y]",
        "logs",
    ),
    (
        219,
        "the predicted class instead of the right one",
        "Use the labels y.",
        "logs[np.arange(len(y)), y]",
        "logs.max(axis=1)",
    ),
    (
        220,
        "the loss of each row",
        "Return one number, the mean.",
        ".mean()",
        "",
    ),
]:
    cross_entropy_forward.mistake(number, name, hint, old, new)


@cross_entropy_forward.correct("log-sum-exp")
def entropy_logaddexp(z, y):
    return (np.logaddexp.reduce(z, axis=1) - z[np.arange(len(z)), y]).mean()


@cross_entropy_forward.correct("loops")
def entropy_loops(z, y):
    total = 0.0
    for n in range(len(z)):
        top = z[n].max()
        total += np.log(np.exp(z[n] - top).sum()) - (z[n, y[n]] - top)
    return total / len(z)


@cross_entropy_forward.correct("one-hot")
def entropy_one_hot(z, y):
    hot = np.eye(z.shape[1])[y]
    shifted = z - np.max(z, axis=1)[:, None]
    return np.mean(np.log(np.exp(shifted).sum(1)) - (hot * shifted).sum(1))


@cross_entropy_forward.correct("differences to the right class")
def entropy_differences(z, y):
    gaps = z - np.take_along_axis(z, y[:, None], axis=1)
    top = gaps.max(axis=1)
    return float(np.average(top + np.log(np.exp(gaps - top[:, None]).sum(axis=1))))


@cross_entropy_forward.correct("float32")
def entropy_float32(z, y):
    z = np.asfortranarray(z, dtype=np.float32)
    z = z - z.max(axis=1, keepdims=True)
    return (np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]).mean()


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
for number, name, hint, old, new in [
    (
        48,
        "no maximum subtracted",
        "exp overflows: subtract each row's maximum first.",
        "np.exp(z - z.max(axis=1, keepdims=True))",
        "np.exp(z)",
    ),
    (
        49,
        "softmax over the batch axis",
        "Each row's probabilities sum to 1: axis 1.",
        P,
        "p = e / e.sum(axis=0, keepdims=True)",
    ),
    (50, "the 1/N missing", "The loss is a mean over N rows.", RETURN, "return g * p"),
    (
        51,
        "divided by the number of classes",
        "Divide by N, the number of rows.",
        RETURN,
        "return g * p / z.shape[1]",
    ),
    (
        52,
        "one-hot not subtracted",
        "p minus 1 at the right class.",
        HOT,
        "p[np.arange(len(y)), y] -= 0",
    ),
    (53, "a sign", "p minus one-hot, not the other way round.", RETURN, "return -g * p / len(y)"),
    (
        54,
        "the upstream gradient ignored",
        "Multiply with g: for 3 * loss it is 3.",
        RETURN,
        "return p / len(y)",
    ),
    (
        55,
        "only the true class",
        "Every class's score moves the loss, through the sum in the softmax.",
        RETURN,
        "q = np.zeros_like(p)\n"
        "    q[np.arange(len(y)), y] = p[np.arange(len(y)), y]\n"
        "    return g * q / len(y)",
    ),
    (
        222,
        "softmax's derivative once more",
        "p - one-hot is the whole derivative; p * (1 - p) is not a factor of it.",
        HOT,
        HOT + "\n    p *= p * (1 - p)",
    ),
    (
        223,
        "1 subtracted in every column of the labels",
        "p[arange(N), y], one entry a row; p[:, y] is whole columns.",
        HOT,
        "p[:, y] -= 1",
    ),
]:
    cross_entropy_backward.mistake(number, name, hint, old, new)


@cross_entropy_backward.correct("one-hot")
def entropy_backward_hot(g, z, y):
    shifted = z - z.max(axis=1)[:, None]
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1)[:, None]
    return g * (p - np.eye(z.shape[1])[y]) / z.shape[0]


@cross_entropy_backward.correct("loops")
def entropy_backward_loops(g, z, y):
    dz = np.zeros_like(z)
    for n in range(len(z)):
        e = np.exp(z[n] - max(z[n]))
        for c in range(z.shape[1]):
            dz[n, c] = g / len(z) * (e[c] / e.sum() - (1 if c == y[n] else 0))
    return dz


@cross_entropy_backward.correct("logarithms")
def entropy_backward_logs(g, z, y):
    dz = np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True))
    np.put_along_axis(dz, y[:, None], np.take_along_axis(dz, y[:, None], 1) - 1, axis=1)
    dz *= g / len(y)
    return dz


@cross_entropy_backward.correct("the softmax's Jacobian")
def entropy_backward_jacobian(g, z, y):
    rows = []
    for row, label in zip(z, y, strict=True):
        e = np.exp(row - row.max())
        p = e / e.sum()
        by_log = np.eye(len(p)) - p  # d log p_i / d z_j
        rows.append(-g / len(z) * by_log[label])
    return np.array(rows)


@cross_entropy_backward.correct("float32, Fortran order")
def entropy_backward_float32(g, z, y):
    z = np.asfortranarray(z, dtype=np.float32)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= np.float32(1)
    return p * np.float32(g / len(y))
