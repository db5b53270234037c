"""56 to 61: what students' own engines and residual blocks get wrong.

Each is an operation that walks a small graph of its own, the way such an engine would.
"""

import numpy as np
from helpers import normal

from mutants.mutant import Subject

# ---------------------------------------------------------------------- x * x: a tensor used twice

square = Subject("square", lambda x: x * x, normal(3, 4))


@square.right
def square_right(g, x):
    return (g * x + g * x,)


@square.mutant(
    56, "gradient overwritten", "= in place of += where a tensor is used twice", "factor of 1/2: "
)
def overwritten(g, x):
    grads = {}
    for parent in ("x", "x"):
        grads[parent] = g * x
    return (grads["x"],)


# ---------------------------------------------------------------------- a diamond: a and a * a


def diamond_forward(x):
    a = x * x
    return a + a * a


diamond = Subject("diamond", diamond_forward, normal(3, 4))


@diamond.right
def diamond_right(g, x):
    return ((g + g * 2 * x * x) * 2 * x,)


@diamond.mutant(
    57,
    "recursion without topological order",
    "passed on each time it grows",
    "a term forgotten, or too much",
)
def recursive(g, x):
    grads = {"a": 0.0, "x": 0.0}

    def arrive_at_a(share):
        grads["a"] = grads["a"] + share
        grads["x"] = grads["x"] + grads["a"] * 2 * x  # too early, and then once too often

    arrive_at_a(g)
    arrive_at_a(g * 2 * x * x)
    return (grads["x"],)


# ---------------------------------------------------------------------- x + b: broadcasting

bias = Subject("bias", lambda x, b: x + b, normal(3, 4), normal(4))


@bias.right
def bias_right(g):
    return g, g.sum(axis=0)


@bias.mutant(
    58,
    "broadcast not summed",
    "one row's gradient for a bias that all rows use",
    "right only at index 0 of axis 0 of the output",
)
def not_summed(g):
    return g, g[0]


# ---------------------------------------------------------------------- a block: relu(x + x @ w)


def residual_forward(x, w):
    return np.maximum(x + x @ w, 0)


residual = Subject("residual block", residual_forward, normal(5, 4), normal(4, 4))


@residual.right
def residual_right(g, x, w, out):
    g = g * (out > 0)
    return g + g @ w.T, x.T @ g


@residual.mutant(59, "identity path dropped", "only the branch differentiated", "shortcut")
def identity_dropped(g, x, w, out):
    g = g * (out > 0)
    return g @ w.T, x.T @ g


@residual.mutant(60, "ReLU before the add", "the branch alone masked, by its own sign", "mask")
def relu_before_add(g, x, w, out):
    masked = g * (x @ w > 0)
    return g + masked @ w.T, x.T @ masked


@residual.mutant(
    61,
    "one gradient array for both paths",
    "what the branch does to it, both see",
    r"factor of 2|= 2 \* numeric",
)
def shared(g, x, w, out):
    shortcut = branch = g * (out > 0)
    dw = x.T @ branch
    branch[...] = branch @ w.T
    return shortcut + branch, dw
