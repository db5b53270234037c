"""How assignment 3 is graded."""

import numpy as np

from minires.coursework import Draws, question
from minires.kernels import reference

draw = Draws(seed=3)

# ---------------------------------------------------------------------- 1 convolution, forward


@question(points=4, returns="y")
def conv_forward(x, w, b, stride, padding):
    return reference.conv2d(x, w, stride=(stride, stride), padding=(padding, padding)) + b


def images_and_weights(n, h, w, c, kh, kw, o):
    return draw.normal(n, h, w, c), draw.normal(kh, kw, c, o)


for name, sizes, stride, padding, visible in [
    ("3x3, stride 1, padding 1", (2, 4, 5, 3, 3, 3, 2), 1, 1, True),
    ("3x2, stride 2, padding 1", (2, 7, 6, 3, 3, 2, 4), 2, 1, False),
    ("2x3, stride 3, a remainder", (2, 6, 8, 2, 2, 3, 3), 3, 0, False),
    ("1x1, stride 2", (1, 5, 4, 3, 1, 1, 2), 2, 0, False),
]:
    x, w = images_and_weights(*sizes)
    conv_forward.case(name, x, w, draw.normal(sizes[-1]), stride, padding, visible=visible)

WINDOW = "window = padded[:, top : top + kh, left : left + kw]"


# ---------------------------------------------------------------------- 2 convolution, backward


@question(points=7, returns={"dx": 4, "dw": 2, "db": 1})
def conv_backward(g, x, w, stride, padding):
    options = {"stride": (stride, stride), "padding": (padding, padding)}
    dx = reference.conv2d_dx(g, w, input_size=x.shape[1:3], **options)
    dw = reference.conv2d_dw(x, g, kernel_size=w.shape[:2], **options)
    return dx, dw, np.array([g[..., o].sum() for o in range(g.shape[3])])


for name, sizes, stride, padding, visible in [
    ("3x3, stride 1, padding 1", (2, 4, 5, 3, 3, 3, 2), 1, 1, True),
    ("3x2, stride 2, padding 1", (2, 7, 6, 3, 3, 2, 4), 2, 1, False),
    ("2x3, stride 3, a remainder", (3, 6, 8, 2, 2, 3, 3), 3, 0, False),
    ("2x2, stride 1, padding 2", (2, 3, 4, 2, 2, 2, 3), 1, 2, False),
]:
    x, w = images_and_weights(*sizes)
    n, height, width, _, kh, kw, out = sizes
    places = (height + 2 * padding - kh) // stride + 1, (width + 2 * padding - kw) // stride + 1
    conv_backward.case(name, draw.normal(n, *places, out), x, w, stride, padding, visible=visible)

DW = 'dw += np.einsum("nhwc,no->hwco", padded[:, rows, columns], up)'
DX = 'dpadded[:, rows, columns] += np.einsum("hwco,no->nhwc", w, up)'
CROP = "dx = dpadded[:, padding : padding + height, padding : padding + width]"
DB = "db = g.sum(axis=(0, 1, 2))"


# ---------------------------------------------------------------------- 3 lowering


@question(points=3, returns="rows")
def lower(x, kh, kw, stride, padding):
    n, height, width, channels = x.shape
    down = (height + 2 * padding - kh) // stride + 1
    right = (width + 2 * padding - kw) // stride + 1
    rows = np.zeros((n, down, right, kh * kw * channels))
    for a, i, j, k, l, c in np.ndindex(n, down, right, kh, kw, channels):
        row, column = i * stride + k - padding, j * stride + l - padding
        if 0 <= row < height and 0 <= column < width:
            rows[a, i, j, (k * kw + l) * channels + c] = x[a, row, column, c]
    return rows


lower.case("3x2, stride 1, padding 1", draw.normal(2, 4, 5, 3), 3, 2, 1, 1, visible=True)
lower.case("2x3, stride 2, a remainder", draw.normal(2, 5, 6, 2), 2, 3, 2, 0)
lower.case("3x3, stride 3, padding 2", draw.normal(1, 6, 4, 2), 3, 3, 3, 2)

PAD = "np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))"


# ---------------------------------------------------------------------- 4 and back


@question(points=3, returns="dx")
def raise_back(rows, x_shape, kh, kw, stride, padding):
    n, height, width, channels = x_shape
    dx = np.zeros((n, height, width, channels))
    for a, i, j, k, l, c in np.ndindex(n, *rows.shape[1:3], kh, kw, channels):
        row, column = i * stride + k - padding, j * stride + l - padding
        if 0 <= row < height and 0 <= column < width:
            dx[a, row, column, c] += rows[a, i, j, (k * kw + l) * channels + c]
    return dx


for name, shape, kh, kw, stride, padding, visible in [
    ("3x2, stride 1, padding 1", (2, 4, 5, 3), 3, 2, 1, 1, True),
    ("2x3, stride 2, a remainder", (2, 5, 6, 2), 2, 3, 2, 0, False),
    ("3x3, stride 2, padding 2", (1, 6, 4, 2), 3, 3, 2, 2, False),
]:
    n, height, width, channels = shape
    places = (height + 2 * padding - kh) // stride + 1, (width + 2 * padding - kw) // stride + 1
    rows = draw.normal(n, *places, kh * kw * channels)
    raise_back.case(name, rows, list(shape), kh, kw, stride, padding, visible=visible)

CROPPED = "return padded[:, padding : padding + height, padding : padding + width]"


# ---------------------------------------------------------------------- 5 max pooling, forward


@question(points=2, returns="y")
def pool_forward(x, size, stride):
    return reference.max_pool(x, kernel_size=(size, size), stride=(stride, stride))[0]


pool_forward.case("2x2, stride 2", draw.normal(2, 4, 6, 3), 2, 2, visible=True)
pool_forward.case("3x3, stride 2, overlapping, a remainder", draw.normal(2, 6, 8, 2), 3, 2)
pool_forward.case("negative values only", -1 - abs(draw.normal(1, 5, 3, 2)), 2, 1)

MAXIMUM = "x[:, top : top + size, left : left + size].max(axis=(1, 2))"


# ---------------------------------------------------------------------- 6 max pooling, backward


@question(points=5, returns="dx")
def pool_backward(g, x, size, stride):
    _, places = reference.max_pool(x, kernel_size=(size, size), stride=(stride, stride))
    dx = np.zeros(x.shape)
    for n, i, j, c in np.ndindex(g.shape):
        k, l = divmod(int(places[n, i, j, c]), size)
        dx[n, i * stride + k, j * stride + l, c] += g[n, i, j, c]
    return dx


for name, shape, size, stride, ties, visible in [
    ("2x2, stride 2", (2, 4, 6, 3), 2, 2, False, True),
    ("3x3, stride 2, overlapping, a remainder", (2, 6, 8, 2), 3, 2, False, False),
    ("2x2, stride 1", (1, 5, 4, 2), 2, 1, False, False),
    ("ties", (2, 6, 4, 3), 2, 2, True, False),
]:
    n, height, width, channels = shape
    places = (height - size) // stride + 1, (width - size) // stride + 1
    x = draw.integers(*shape, below=3) * 1.0 if ties else draw.normal(*shape)
    pool_backward.case(name, draw.normal(n, *places, channels), x, size, stride, visible=visible)

ADD = "dx[n, i * stride + k, j * stride + l, c] += g[n, i, j, c]"
ARGMAX = "k, l = divmod(int(window.argmax()), size)"
