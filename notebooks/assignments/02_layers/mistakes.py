"""The known mistakes of assignment 2; they run in the names of `grading.py`."""

# ---------------------------------------------------------------------- 1 linear, forward

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


# ---------------------------------------------------------------------- 2 linear, backward


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

# ---------------------------------------------------------------------- 3 ReLU, backward


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

# ---------------------------------------------------------------------- 4 ReLU, forward


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


# ---------------------------------------------------------------------- 5 cross-entropy, forward


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

# ---------------------------------------------------------------------- 6 cross-entropy, backward


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
