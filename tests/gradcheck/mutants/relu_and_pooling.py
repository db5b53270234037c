"""38 to 47 without the conventions: ReLU and max pooling."""

import numpy as np
from helpers import normal

from minires import ops
from mutants.mutant import MUTANTS, Mutant, Subject, operation


def relu_forward(x):
    return np.maximum(x, 0)


relu = Subject("relu", relu_forward, normal(3, 4))


@relu.right
def relu_right(g, x):
    return (g * (x > 0),)


@relu.mutant(
    38, "identity", "the gradient of relu passed through unchanged", "passed on unchanged|mask"
)
def identity(g):
    return (g,)


@relu.mutant(
    39, "mask of the gradient", "positive gradients passed, as in a deconvnet", "not linear.*mask"
)
def mask_of_gradient(g):
    return (g * (g > 0),)


@relu.mutant(
    40, "leaky", "a slope that the forward does not have", "numeric gradient is zero.*mask"
)
def leaky(g, x):
    return (g * np.where(x > 0, 1, 0.01),)


@relu.mutant(
    41, "upstream ignored", "the derivative without the chain rule", "upstream gradient is ignored"
)
def upstream_ignored(g, x):
    return ((x > 0) * 1.0,)


def forward_in_place(x):
    np.maximum(x, 0, out=x)
    return x


relu_in_place = operation(forward_in_place, lambda g, out: (g * (out > 0),))


def square_beside_relu(x):
    """y * y + relu(y), whose square remembers a y that the ReLU then overwrites."""
    y = ops.tanh(x)
    square = y * y
    return square + relu_in_place(y)


MUTANTS.append(
    Mutant(
        47,
        "relu: in place",
        "it overwrites what another operation has saved",
        "overw|modified",
        square_beside_relu,
        (normal(3, 4),),
    )
)

# ---------------------------------------------------------------------- max pooling, 3x2 by (2, 1)

KERNEL, STRIDE = (3, 2), (2, 1)


def windows(shape):
    """Each output place, with its window's rows and columns."""
    for i in range((shape[1] - KERNEL[0]) // STRIDE[0] + 1):
        for j in range((shape[2] - KERNEL[1]) // STRIDE[1] + 1):
            top, left = i * STRIDE[0], j * STRIDE[1]
            yield i, j, slice(top, top + KERNEL[0]), slice(left, left + KERNEL[1])


def pool_forward(x):
    """By the definition."""
    places = list(windows(x.shape))
    out = np.zeros((len(x), places[-1][0] + 1, places[-1][1] + 1, x.shape[3]))
    for i, j, rows, columns in places:
        out[:, i, j] = x[:, rows, columns].max(axis=(1, 2))
    return out


def pool_backward(g, x, mask=None, overwrite=False):
    """`mask(window)` says where the gradient goes."""
    dx = np.zeros_like(x)
    for i, j, rows, columns in windows(x.shape):
        window = x[:, rows, columns]
        chosen = mask(window) if mask else window == window.max(axis=(1, 2), keepdims=True)
        share = chosen * g[:, i : i + 1, j : j + 1]
        dx[:, rows, columns] = share if overwrite else dx[:, rows, columns] + share
    return (dx,)


pool = Subject("max pooling", pool_forward, normal(2, 6, 4, 3))


@pool.right
def pool_right(g, x):
    return pool_backward(g, x)


@pool.mutant(43, "overlapping windows overwrite", "= in place of +=", r"zero at \d+")
def overwrite(g, x):
    return pool_backward(g, x, overwrite=True)


@pool.mutant(
    45, "global maximum", "the maximum of the window over all channels", r"zero at \d+|maximum"
)
def global_maximum(g, x):
    return pool_backward(g, x, lambda window: window == window.max(axis=(1, 2, 3), keepdims=True))


@pool.mutant(
    46, "average", "spread over the window, as for average pooling", "maximum|does not depend on"
)
def average(g, x):
    return pool_backward(g, x, lambda window: np.full(window.shape, 1 / 6))
