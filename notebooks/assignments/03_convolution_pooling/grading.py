"""How assignment 3 is graded."""

from dataclasses import dataclass, replace

import numpy as np

from minires.coursework import Draws, question
from minires.kernels import reference

RTOL = 1e-4
"""Computing in float32 is fine, as the text says."""

draw = Draws(seed=3)


# ---------------------------------------------------------------------- the domain


@dataclass(frozen=True)
class Windows:
    """Windows of `kernel` in padded images: `places` of them, and what is `left` at the far edge.

    All but `stride` and `padding` are pairs, of the rows and of the columns.
    """

    kernel: tuple
    places: tuple
    stride: int = 1
    padding: int = 0
    left: tuple = (0, 0)
    n: int = 2
    c: int = 3
    o: int = 2
    scale: float = 1.0

    @property
    def image(self):
        sizes = zip(self.kernel, self.places, self.left, strict=True)
        return tuple((p - 1) * self.stride + k + r - 2 * self.padding for k, p, r in sizes)

    @property
    def shape(self):
        return self.n, *self.image, self.c

    @property
    def weights(self):
        return *self.kernel, self.c, self.o

    @property
    def square(self):
        """A pooling window's size, and the stride."""
        return self.kernel[0], self.stride


SHOWN = {
    "3x3, stride 1, padding 1": Windows((3, 3), (4, 5), padding=1),
    "3x2, stride 2, padding 1": Windows((3, 2), (4, 3), 2, 1, left=(0, 1)),
}
DOMAIN = {}


def domain(name):
    """Add windows that every question must get right, drawn by the decorated function."""

    def declare(windows):
        DOMAIN[name] = windows
        return windows

    return declare


def either(draw, low, high):
    """Two sizes that differ, either first."""
    return draw.choice((low, high), (high, low))


def numbers(draw):
    """How many images, channels and filters, all different."""
    n, c, o = draw.choice((2, 3, 4), (3, 2, 4), (2, 4, 3), (3, 4, 2))
    return {"n": n, "c": c, "o": o}


@domain("stride 2, padding 2")
def same_shapes(draw):
    """In shapes as the first test has them, with another stride and padding."""
    return Windows((3, 3), (3, 4), 2, 2, left=(1, 0))


@domain("a remainder, no padding")
def remainder(draw):
    stride = draw.size(2, 3)
    left = stride - 1, stride - 1
    return Windows(either(draw, 2, 3), either(draw, 1, 3), stride, left=left, **numbers(draw))


@domain("a remainder that is larger than the padding")
def remainder_and_padding(draw):
    stride = draw.size(3, 4)
    kernel, left = either(draw, 2, 3), (stride - 1, stride - 1)
    return Windows(kernel, either(draw, 2, 3), stride, 1, left, **numbers(draw))


@domain("stride larger than the kernel")
def large_stride(draw):
    return Windows((1, 2), either(draw, 2, 3), draw.size(12, 13), **numbers(draw))


@domain("padding as large as the kernel, or larger")
def large_padding(draw):
    padding, kernel = draw.size(7, 8), (2, 1)  # and (1, 2) above, so each side is the longer once
    rows, columns = either(draw, 1, 2)
    places = rows + 2 * padding + 1 - kernel[0], columns + 2 * padding + 1 - kernel[1]
    return Windows(kernel, places, padding=padding, n=1, c=2, o=1)


@domain("a kernel of one pixel, with padding")
def one_pixel(draw):
    return Windows((1, 1), either(draw, 6, 7), draw.size(1, 2), draw.size(1, 2), **numbers(draw))


@domain("one image, one row")
def one_row(draw):
    stride, padding = draw.size(1, 2), draw.size(0, 1)
    kernel = 1 + 2 * padding, draw.size(2, 3)
    return Windows(kernel, (1, draw.size(8, 9)), stride, padding, n=1, c=7, o=8)


@domain("one column, one channel, one filter")
def one_column(draw):
    stride, padding = draw.size(1, 2), draw.size(0, 1)
    kernel = draw.size(2, 3), 1 + 2 * padding
    return Windows(kernel, (draw.size(8, 9), 1), stride, padding, n=8, c=1, o=1)


@domain("a single window, larger than the image")
def single_window(draw):
    return Windows(either(draw, 9, 10), (1, 1), padding=1, **numbers(draw))


@domain("all sizes equal")
def equal_sizes(draw):
    k = draw.size(2, 3)
    return Windows((k, k), (3, 3), padding=1, n=k, c=k, o=k)


@domain("values in the thousands")
def thousands(draw):
    return replace(SHOWN["3x3, stride 1, padding 1"], scale=1000.0)


def by_turns(draw, channels):
    """1 and -1 by turns, either first."""
    return (-1.0) ** (np.arange(channels) + draw.size(0, 1))


def upstream(draw, windows, channels):
    """An upstream gradient; its sum over a channel is not near 0, and of both signs."""
    noise = draw.normal(windows.n, *windows.places, channels)
    return (noise + by_turns(draw, channels)) * windows.scale


def ask(question, inputs):
    """Add the tests: `inputs` makes a question's arguments of numbers and windows."""
    for name, windows in SHOWN.items():
        question.case(name, *inputs(draw, windows), visible=True)
    for name, windows in DOMAIN.items():
        question.hidden(name)(lambda draw, windows=windows: inputs(draw, windows(draw)))


# ---------------------------------------------------------------------- 1 convolution, forward


@question(points=4, returns="y", rtol=RTOL)
def conv_forward(x, w, b, stride, padding):
    return reference.conv2d(x, w, stride=(stride, stride), padding=(padding, padding)) + b


def forward_inputs(draw, windows):
    x = draw.normal(*windows.shape, scale=windows.scale)
    w = draw.normal(*windows.weights, scale=windows.scale)
    b = (draw.normal(windows.o, scale=0.25) + by_turns(draw, windows.o)) * windows.scale**2
    return x, w, b, windows.stride, windows.padding


ask(conv_forward, forward_inputs)

WINDOW = "window = padded[:, top : top + kh, left : left + kw]"


# ---------------------------------------------------------------------- 2 convolution, backward


@question(points=7, returns={"dx": 4, "dw": 2, "db": 1}, rtol=RTOL)
def conv_backward(g, x, w, stride, padding):
    options = {"stride": (stride, stride), "padding": (padding, padding)}
    dx = reference.conv2d_dx(g, w, input_size=x.shape[1:3], **options)
    dw = reference.conv2d_dw(x, g, kernel_size=w.shape[:2], **options)
    return dx, dw, np.array([g[..., o].sum() for o in range(g.shape[3])])


def backward_inputs(draw, windows):
    g = upstream(draw, windows, windows.o)
    x = draw.normal(*windows.shape, scale=windows.scale)
    w = draw.normal(*windows.weights, scale=windows.scale)
    return g, x, w, windows.stride, windows.padding


ask(conv_backward, backward_inputs)

DW = 'dw += np.einsum("nhwc,no->hwco", padded[:, rows, columns], up)'
DX = 'dpadded[:, rows, columns] += np.einsum("hwco,no->nhwc", w, up)'
CROP = "dx = dpadded[:, padding : padding + height, padding : padding + width]"
DB = "db = g.sum(axis=(0, 1, 2))"


# ---------------------------------------------------------------------- 3 lowering


@question(points=3, returns="rows", rtol=RTOL)
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


def lower_inputs(draw, windows):
    x = draw.normal(*windows.shape, scale=windows.scale)
    return x, *windows.kernel, windows.stride, windows.padding


ask(lower, lower_inputs)

PAD = "np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))"


# ---------------------------------------------------------------------- 4 and back


@question(points=3, returns="dx", rtol=RTOL)
def raise_back(rows, x_shape, kh, kw, stride, padding):
    n, height, width, channels = x_shape
    dx = np.zeros((n, height, width, channels))
    for a, i, j, k, l, c in np.ndindex(n, *rows.shape[1:3], kh, kw, channels):
        row, column = i * stride + k - padding, j * stride + l - padding
        if 0 <= row < height and 0 <= column < width:
            dx[a, row, column, c] += rows[a, i, j, (k * kw + l) * channels + c]
    return dx


def raise_inputs(draw, windows):
    kh, kw = windows.kernel
    rows = draw.normal(windows.n, *windows.places, kh * kw * windows.c, scale=windows.scale)
    return rows, list(windows.shape), kh, kw, windows.stride, windows.padding


ask(raise_back, raise_inputs)

CROPPED = "return padded[:, padding : padding + height, padding : padding + width]"


# ---------------------------------------------------------------------- 5 and 6 max pooling


@question(points=2, returns="y", rtol=RTOL)
def pool_forward(x, size, stride):
    return reference.max_pool(x, kernel_size=(size, size), stride=(stride, stride))[0]


@question(points=5, returns="dx", rtol=RTOL)
def pool_backward(g, x, size, stride):
    _, places = reference.max_pool(x, kernel_size=(size, size), stride=(stride, stride))
    dx = np.zeros(x.shape)
    for n, i, j, c in np.ndindex(g.shape):
        k, l = divmod(int(places[n, i, j, c]), size)
        dx[n, i * stride + k, j * stride + l, c] += g[n, i, j, c]
    return dx


def squares(size, *rest, **options):
    """Windows as pooling has them."""
    return Windows((size, size), *rest, **options)


POOLS = {
    "2x2, stride 2": squares(2, (2, 3), 2),
    "3x3, stride 2, overlapping": squares(3, (3, 2), 2, c=2),
}
for name, windows in POOLS.items():
    x = draw.normal(*windows.shape)
    pool_forward.case(name, x, *windows.square, visible=True)
    pool_backward.case(name, upstream(draw, windows, windows.c), x, *windows.square, visible=True)


def pooling(name, *, both=True):
    """Add a test of both directions, or of the second; the decorated function draws them."""

    def declare(values):
        def forward(draw):
            windows, x = values(draw)
            return x, *windows.square

        def backward(draw):
            windows, x = values(draw)
            return upstream(draw, windows, windows.c), x, *windows.square

        if both:
            pool_forward.hidden(name)(forward)
        pool_backward.hidden(name)(backward)
        return values

    return declare


def with_numbers(draw, windows):
    return windows, draw.normal(*windows.shape, scale=windows.scale)


@pooling("overlapping windows, a remainder")
def pool_overlapping(draw):
    size = draw.size(3, 4)
    left = size - 2, size - 2
    return with_numbers(draw, squares(size, either(draw, 2, 3), size - 1, left=left, c=2))


@pooling("windows side by side, a remainder")
def pool_side_by_side(draw):
    size = draw.size(2, 3)
    return with_numbers(draw, squares(size, either(draw, 2, 3), size, left=(1, size - 1), c=2))


@pooling("stride larger than the window")
def pool_large_stride(draw):
    return with_numbers(draw, squares(2, either(draw, 2, 3), draw.choice(12, 14)))


@pooling("negative values only")
def pool_negative(draw):
    windows = squares(draw.size(2, 3), either(draw, 2, 3), draw.size(1, 2))
    return windows, -2000 - abs(draw.normal(*windows.shape, scale=1000.0))


@pooling("one image, one row")
def pool_one_row(draw):
    return with_numbers(draw, squares(1, (1, draw.size(8, 9)), draw.size(1, 2), n=1, c=8))


@pooling("one column, one channel")
def pool_one_column(draw):
    return with_numbers(draw, squares(1, (draw.size(8, 9), 1), draw.size(1, 2), n=8, c=1))


@pooling("a single window")
def pool_single_window(draw):
    windows, x = with_numbers(draw, squares(draw.size(8, 9), (1, 1), draw.size(1, 2), n=8, c=8))
    x[0, -1, -1, 0] = 10  # the last place is the largest
    return windows, x


@pooling("all sizes equal")
def pool_equal_sizes(draw):
    return with_numbers(draw, squares(2, (2, 2), 1, n=3, c=3))


@pooling("values in the thousands")
def pool_thousands(draw):
    return with_numbers(draw, replace(POOLS["2x2, stride 2"], scale=1000.0))


@pooling("values that are nearly equal")
def pool_nearly_equal(draw):
    windows = squares(draw.size(2, 3), either(draw, 2, 3), 2)
    return windows, 1 + draw.integers(*windows.shape, below=16) / 2**20


def tied(draw, windows):
    """Few values, so that windows tie; in the first the upper right and the lower left, too."""
    x = draw.integers(*windows.shape, below=3) * 1.0
    x[0, :2, :2, 0] = [[0, 2], [2, 0]]
    x[..., -1] = 0
    return windows, x


@pooling("ties", both=False)
def pool_ties(draw):
    size = draw.size(2, 3)
    return tied(draw, squares(size, either(draw, 2, 3), size))


@pooling("ties in overlapping windows", both=False)
def pool_overlapping_ties(draw):
    size = draw.size(2, 3)
    return tied(draw, squares(size, either(draw, 3, 4), size - 1))


MAXIMUM = "x[:, top : top + size, left : left + size].max(axis=(1, 2))"
ADD = "dx[n, i * stride + k, j * stride + l, c] += g[n, i, j, c]"
ARGMAX = "k, l = divmod(int(window.argmax()), size)"
