"""1 to 17: convolution."""

import numpy as np
from helpers import normal

from mutants.mutant import Subject

STRIDE, PADDING = (2, 3), (1, 2)
# (7 + 2 - 3) / 2 leaves no remainder, (5 + 4 - 2) / 3 leaves one; windows overlap in height
X, W, B = normal(2, 7, 5, 3), normal(3, 2, 3, 4), normal(4)


def padded(x):
    """(N, H + 2 PH, W + 2 PW, C)."""
    (ph, pw) = PADDING
    return np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)))


def windows(out_shape, w, stride=STRIDE):
    """Each output place, with the rows and columns that it sees."""
    for i, j in np.ndindex(out_shape[1:3]):
        top, left = i * stride[0], j * stride[1]
        yield i, j, slice(top, top + w.shape[0]), slice(left, left + w.shape[1])


def forward(x, w, b):
    """By the definition."""
    xp = padded(x)
    ho = (xp.shape[1] - w.shape[0]) // STRIDE[0] + 1
    wo = (xp.shape[2] - w.shape[1]) // STRIDE[1] + 1
    out = np.zeros((len(x), ho, wo, w.shape[3]))
    for i, j, rows, columns in windows(out.shape, w):
        out[:, i, j] = np.einsum("nklc,klco->no", xp[:, rows, columns], w) + b
    return out


def crop(dxp, shape):
    """The padding taken off again."""
    (ph, pw) = PADDING
    return dxp[:, ph : ph + shape[1], pw : pw + shape[2]]


def add_to(array, place, part):
    array[place] += part


def assign_to(array, place, part):
    array[place] = part


def backward(
    g, x, w, *, stride=STRIDE, put=add_to, put_w=add_to, crop=crop, seen=None, kernel=None
):
    """The right gradients of x and w; each keyword replaces one piece by a wrong one."""
    xp = padded(x)
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    seen = g if seen is None else seen
    kernel = w if kernel is None else kernel
    for i, j, rows, columns in windows(g.shape, w, stride):
        here = (slice(None), rows, columns)
        put(dxp, here, np.einsum("no,klco->nklc", g[:, i, j], kernel))
        put_w(dw, ..., np.einsum("nklc,no->klco", xp[here], seen[:, i, j]))
    return crop(dxp, x.shape), dw


def bias(g):
    return g.sum(axis=(0, 1, 2))


conv = Subject("convolution", forward, X, W, B)


@conv.right
def right(g, x, w):
    return *backward(g, x, w), bias(g)


@conv.mutant(
    1,
    "stride ignored",
    "the backward slides the filter by one, whatever the stride",
    "does not depend on|wrong entries",
)
def stride_ignored(g, x, w):
    return *backward(g, x, w, stride=(1, 1)), bias(g)


@conv.mutant(2, "dx assigned", "where windows overlap, the last one wins", r"zero at \d+")
def dx_assigned(g, x, w):
    return *backward(g, x, w, put=assign_to), bias(g)


@conv.mutant(
    3,
    "dw of the last position",
    "dw = in place of dw +=",
    "right only at index 3 of axis 1 .*zero at the others",
)
def dw_last_position(g, x, w):
    return *backward(g, x, w, put_w=assign_to), bias(g)


@conv.mutant(
    4,
    "dw of the last sample",
    "the loop over the batch overwrites",
    "right only at index 1 of axis 0 of the output",
)
def dw_last_sample(g, x, w):
    last = np.zeros_like(g)
    last[-1] = g[-1]
    return *backward(g, x, w, seen=last), bias(g)


@conv.mutant(
    5,
    "dw averaged",
    "a mean over the batch, which the loss has taken already",
    "factor of 1/2: .*axis 0",
)
def dw_averaged(g, x, w):
    dx, dw = backward(g, x, w)
    return dx, dw / len(x), bias(g)


@conv.mutant(
    6,
    "db not summed over space",
    "the bias is added at every place",
    "right only at index 0 of axis 1 of the output",
)
def db_one_place(g, x, w):
    return *backward(g, x, w), g[:, 0, 0].sum(axis=0)


@conv.mutant(7, "db a mean", "a mean in place of a sum", "factor of 1/24: .*axes 0, 1, 2 of")
def db_mean(g, x, w):
    return *backward(g, x, w), g.mean(axis=(0, 1, 2))


@conv.mutant(
    8,
    "db of the first sample",
    "the batch forgotten",
    "right only at index 0 of axis 0 of the output",
)
def db_first_sample(g, x, w):
    return *backward(g, x, w), g[0].sum(axis=(0, 1))


@conv.mutant(
    9,
    "kernel flipped",
    "a convolution is flipped, a cross-correlation's dx is not",
    "kernel flipped",
)
def kernel_flipped(g, x, w):
    return *backward(g, x, w, kernel=w[::-1, ::-1]), bias(g)


@conv.mutant(
    10,
    "kernel's height and width swapped",
    "the weights read in the wrong order",
    "axis exchanged|transposed",
)
def kernel_swapped(g, x, w):
    swapped = w.transpose(1, 0, 2, 3).reshape(w.shape)
    return *backward(g, x, w, kernel=swapped), bias(g)


@conv.mutant(
    11,
    "padding not cropped",
    "dx cut to size from the corner, padding and all",
    r"shifted by \(-1, -2\).*cropped",
)
def not_cropped(g, x, w):
    return *backward(g, x, w, crop=lambda d, s: d[:, : s[1], : s[2]]), bias(g)


@conv.mutant(
    12,
    "cropped on the wrong side",
    "all of the padding taken off the top and left",
    r"shifted by \(1, 2\).*cropped",
)
def cropped_twice(g, x, w):
    return *backward(g, x, w, crop=lambda d, s: d[:, -s[1] :, -s[2] :]), bias(g)


@conv.mutant(
    13,
    "height and width mixed up",
    "right for square images only",
    "axis exchanged|does not depend on",
)
def sides_mixed_up(g, x, w):
    def mixed(dxp, shape):
        return crop(dxp.transpose(0, 2, 1, 3).reshape(dxp.shape), shape)

    return *backward(g, x, w, crop=mixed), bias(g)


@conv.mutant(
    14,
    "upstream ignored",
    "as if the loss were the sum of the output",
    "upstream gradient is ignored",
)
def upstream_ignored(g, x, w):
    ones = np.ones_like(g)
    return *backward(ones, x, w), bias(ones)


@conv.mutant(
    15,
    "channel 0 only",
    "one channel's gradient for all",
    r"constant along axes \(3,\)|right only at index 0 of axis 3",
)
def one_channel(g, x, w):
    dx, dw = backward(g, x, w)
    return dx[..., :1] + np.zeros_like(dx), dw, bias(g)


@conv.mutant(
    16,
    "remainder mishandled",
    "columns that no window sees thought to be on the left",
    "shifted by 1 along axis 2",
)
def remainder_on_the_left(g, x, w):
    def shifted(dxp, shape):
        left_over = (dxp.shape[2] - w.shape[1]) % STRIDE[1]
        return crop(np.roll(dxp, left_over, axis=2), shape)

    return *backward(g, x, w, crop=shifted), bias(g)


def forward_in_place(x, w, b):
    """The mean taken out of the images in place, as preprocessing."""
    x -= x.mean()
    return forward(x, w, b)


@conv.mutant(
    17,
    "input modified",
    "x -= mean writes into the caller's array",
    "modified its input",
    forward_in_place,
)
def input_modified(g, x, w):
    return *backward(g, x, w), bias(g)
