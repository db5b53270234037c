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
conv_forward.mistake(
    301, "the bias forgotten", "Add b to every place.", ", window, w) + b", ", window, w)"
)
conv_forward.mistake(
    302,
    "the kernel flipped",
    "Networks do not flip the kernel: window element (k, l) meets w[k, l].",
    ", window, w) + b",
    ", window, w[::-1, ::-1]) + b",
)
conv_forward.mistake(
    303,
    "padding on one side only",
    "Zeros go on all four sides.",
    "((0, 0), (padding, padding), (padding, padding), (0, 0))",
    "((0, 0), (0, 2 * padding), (0, 2 * padding), (0, 0))",
)
conv_forward.mistake(
    304,
    "the stride ignored",
    "The window of place (i, j) begins at (i * stride, j * stride).",
    "top, left = i * stride, j * stride",
    "top, left = i, j",
)
conv_forward.mistake(
    10,
    "kernel height and width swapped",
    "w is (KH, KW, C, O): height first.",
    "kh, kw = w.shape[:2]",
    "kw, kh = w.shape[:2]",
)
conv_forward.mistake(
    16,
    "the remainder at the wrong edge",
    "Windows begin at the upper left; what is left over is at the lower and right edge.",
    "top, left = i * stride, j * stride",
    "top = i * stride + (padded.shape[1] - kh) % stride\n"
    "            left = j * stride + (padded.shape[2] - kw) % stride",
)
conv_forward.mistake(
    305,
    "one place too many",
    "The number of places is (H + 2p - KH) // stride + 1: the floor, then 1.",
    "height = (padded.shape[1] - kh) // stride + 1",
    "height = -(-(padded.shape[1] - kh) // stride) + 1",
)
conv_forward.mistake(
    15,
    "only channel 0",
    "Sum over all input channels.",
    ", window, w) + b",
    ", window[..., :1], w[:, :, :1]) + b",
)
conv_forward.mistake(
    306,
    "H and W mixed up",
    "Rows are axis 1, columns axis 2.",
    WINDOW,
    "window = padded.transpose(0, 2, 1, 3)[:, top : top + kh, left : left + kw]",
)


@conv_forward.wrong(17, "the input modified in place", "Padding must make a copy of x.")
def forward_in_place(x, w, b, stride, padding):
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    x[:, -1:] = 0
    kh, kw = w.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))
    return np.einsum("nijchw,hwco->nijo", windows[:, ::stride, ::stride], w) + b


@conv_forward.correct("loops over everything")
def forward_loops(x, w, b, stride, padding):
    (N, H, W, C), (KH, KW, _, O) = x.shape, w.shape
    Ho, Wo = (H + 2 * padding - KH) // stride + 1, (W + 2 * padding - KW) // stride + 1
    out = np.zeros((N, Ho, Wo, O))
    for i, j, k, l in np.ndindex(Ho, Wo, KH, KW):
        row, column = i * stride + k - padding, j * stride + l - padding
        if 0 <= row < H and 0 <= column < W:
            for c in range(C):
                for o in range(O):
                    out[:, i, j, o] += x[:, row, column, c] * w[k, l, c, o]
    for o in range(O):
        out[..., o] += b[o]
    return out


@conv_forward.correct("a sum over kernel places")
def forward_kernel_places(x, w, b, stride, padding):
    padded = np.pad(x, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    KH, KW = w.shape[:2]
    down = (padded.shape[1] - KH) // stride * stride + 1
    right = (padded.shape[2] - KW) // stride * stride + 1
    out = b
    for k in range(KH):
        for l in range(KW):
            out = out + padded[:, k : k + down : stride, l : l + right : stride] @ w[k, l]
    return out


@conv_forward.correct("sliding windows")
def forward_windows(x, w, b, stride, padding):
    padded = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[:2], axis=(1, 2))
    return np.einsum("nijckl,klco->nijo", windows[:, ::stride, ::stride], w) + b


@conv_forward.correct("lowered")
def forward_lowered(x, w, b, stride, padding):
    KH, KW, C, O = w.shape
    N = len(x)
    padded = np.zeros((N, x.shape[1] + 2 * padding, x.shape[2] + 2 * padding, C))
    padded[:, padding : padding + x.shape[1], padding : padding + x.shape[2]] = x
    Ho, Wo = (padded.shape[1] - KH) // stride + 1, (padded.shape[2] - KW) // stride + 1
    rows = [
        padded[:, i * stride : i * stride + KH, j * stride : j * stride + KW].reshape(N, -1)
        for i in range(Ho)
        for j in range(Wo)
    ]
    return (np.stack(rows, axis=1) @ w.reshape(-1, O) + b).reshape(N, Ho, Wo, O)


@conv_forward.correct("float32, Fortran order")
def forward_float32(x, w, b, stride, padding):
    padded = np.pad(x.astype(np.float32), ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[:2], axis=(1, 2))
    out = np.tensordot(windows[:, ::stride, ::stride], np.float32(w), ([3, 4, 5], [2, 0, 1]))
    return np.asfortranarray(out + np.float32(b))


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
for number, name, hint, old, new in [
    (
        1,
        "the stride ignored in the backward pass",
        "The window of place (i, j) begins at (i * stride, j * stride), backwards too.",
        "top, left = i * stride, j * stride",
        "top, left = i, j",
    ),
    (
        2,
        "dx assigned instead of added to",
        "Windows overlap: add to what other windows brought, +=.",
        DX,
        DX.replace("+=", "="),
    ),
    (
        3,
        "dw of the last place only",
        "The weights are used at every place: add up.",
        DW,
        DW.replace("dw +=", "dw ="),
    ),
    (
        4,
        "dw of the last image only",
        "The weights are used for every image: sum over n.",
        DW,
        DW.replace("columns], up", "columns][-1:], up[-1:]"),
    ),
    (
        5,
        "dw averaged over the batch",
        "A sum, not a mean: the mean is in the loss already.",
        DW,
        DW + " / len(x)",
    ),
    (
        6,
        "db not summed over the places",
        "b is added at every place: sum over N, H and W.",
        DB,
        "db = g[:, 0, 0].sum(axis=0)",
    ),
    (
        7,
        "db a mean",
        "A sum over N, H and W, not a mean.",
        DB,
        "db = g.mean(axis=(0, 1, 2))",
    ),
    (
        8,
        "db of the first image",
        "b is used for every image.",
        DB,
        "db = g[0].sum(axis=(0, 1))",
    ),
    (
        9,
        "the kernel flipped in dx",
        "Window element (k, l) was multiplied by w[k, l], so it gets w[k, l] * g.",
        'np.einsum("hwco,no->nhwc", w, up)',
        'np.einsum("hwco,no->nhwc", w[::-1, ::-1], up)',
    ),
    (
        10,
        "kernel height and width swapped",
        "w is (KH, KW, C, O): do not transpose it.",
        'np.einsum("hwco,no->nhwc", w, up)',
        'np.einsum("whco,no->nhwc", w, up)',
    ),
    (
        11,
        "the padding not cropped",
        "dx has the shape of x: cut off what belongs to the padding.",
        CROP,
        "dx = dpadded",
    ),
    (
        12,
        "cropped on the wrong side",
        "The padding is on both sides: begin at row and column `padding`.",
        CROP,
        "dx = dpadded[:, :height, :width]",
    ),
    (
        13,
        "height and width mixed up",
        "x is (N, H, W, C): height is axis 1, width axis 2.",
        "height, width = x.shape[1:3]",
        "width, height = x.shape[1:3]",
    ),
    (
        14,
        "the upstream gradient ignored",
        "Everything is multiplied by g.",
        "up = g[:, i, j]",
        "up = np.ones_like(g[:, i, j])",
    ),
    (
        15,
        "only channel 0",
        "Each input channel has a gradient of its own.",
        CROP,
        CROP + "[..., :1]\n    dx = np.repeat(dx, x.shape[3], axis=3)",
    ),
    (
        16,
        "the remainder at the wrong edge",
        "What no window reaches is at the lower and right edge; its gradient is 0.",
        "top, left = i * stride, j * stride",
        "top = i * stride + (padded.shape[1] - kh) % stride\n"
        "            left = j * stride + (padded.shape[2] - kw) % stride",
    ),
    (
        307,
        "cropped at the end",
        "Crop `padding` from both sides, not twice from one.",
        CROP,
        "dx = dpadded[:, 2 * padding :, 2 * padding :]",
    ),
    (
        308,
        "dx summed over the output channels with one weight",
        "Each output channel has weights of its own.",
        'np.einsum("hwco,no->nhwc", w, up)',
        'np.einsum("hwc,n->nhwc", w.mean(axis=3), up.sum(axis=1))',
    ),
]:
    conv_backward.mistake(number, name, hint, old, new)


@conv_backward.wrong(17, "the gradient written into x", "Use a new array: x is the caller's.")
def backward_in_place(g, x, w, stride, padding):
    kh, kw = w.shape[:2]
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    dw, original = np.zeros(w.shape), padded.copy()
    padded[...] = 0
    for i in range(g.shape[1]):
        for j in range(g.shape[2]):
            rows = slice(i * stride, i * stride + kh)
            columns = slice(j * stride, j * stride + kw)
            dw += np.einsum("nhwc,no->hwco", original[:, rows, columns], g[:, i, j])
            padded[:, rows, columns] += np.einsum("hwco,no->nhwc", w, g[:, i, j])
    x[...] = padded[:, padding : padding + x.shape[1], padding : padding + x.shape[2]]
    return x.copy(), dw, g.sum(axis=(0, 1, 2))


@conv_backward.correct("loops over everything")
def backward_loops(g, x, w, stride, padding):
    dx, dw, db = np.zeros(x.shape), np.zeros(w.shape), np.zeros(w.shape[3])
    for i, j, k, l in np.ndindex(*g.shape[1:3], *w.shape[:2]):
        row, column = i * stride + k - padding, j * stride + l - padding
        if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
            for n in range(len(x)):
                for o in range(w.shape[3]):
                    dx[n, row, column] += w[k, l, :, o] * g[n, i, j, o]
                    dw[k, l, :, o] += x[n, row, column] * g[n, i, j, o]
    for n, i, j in np.ndindex(g.shape[:3]):
        db += g[n, i, j]
    return dx, dw, db


@conv_backward.correct("a sum over kernel places")
def backward_kernel_places(g, x, w, stride, padding):
    padded = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    dpadded, dw = np.zeros_like(padded), np.empty_like(w)
    down, right = stride * (g.shape[1] - 1) + 1, stride * (g.shape[2] - 1) + 1
    for k in range(w.shape[0]):
        for l in range(w.shape[1]):
            here = (slice(None), slice(k, k + down, stride), slice(l, l + right, stride))
            dw[k, l] = np.tensordot(padded[here], g, ((0, 1, 2), (0, 1, 2)))
            dpadded[here] += g @ w[k, l].T
    end = [-padding or None] * 2
    return dpadded[:, padding : end[0], padding : end[1]], dw, g.reshape(-1, g.shape[3]).sum(0)


@conv_backward.correct("a convolution with the flipped kernel")
def backward_flipped(g, x, w, stride, padding):
    (N, H, W, _), (KH, KW, _, O) = x.shape, w.shape
    spread = np.zeros((N, H + 2 * padding + KH - 1, W + 2 * padding + KW - 1, O))
    rows = slice(KH - 1, KH - 1 + stride * g.shape[1], stride)
    columns = slice(KW - 1, KW - 1 + stride * g.shape[2], stride)
    spread[:, rows, columns][:, : g.shape[1], : g.shape[2]] = g
    windows = np.lib.stride_tricks.sliding_window_view(spread, (KH, KW), axis=(1, 2))
    dx = np.einsum("nijokl,klco->nijc", windows, w[::-1, ::-1])
    padded = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    own = np.lib.stride_tricks.sliding_window_view(padded, (KH, KW), axis=(1, 2))
    own = own[:, ::stride, ::stride]
    dw = np.einsum("nijckl,nijo->klco", own, g)
    return dx[:, padding : padding + H, padding : padding + W], dw, np.einsum("nijo->o", g)


@conv_backward.correct("image by image")
def backward_images(g, x, w, stride, padding):
    kh, kw = w.shape[:2]
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for n in range(len(x)):
        padded = np.pad(x[n], ((padding, padding), (padding, padding), (0, 0)))
        back = np.zeros(padded.shape)
        for i in range(g.shape[1]):
            for j in range(g.shape[2]):
                here = np.s_[i * stride : i * stride + kh, j * stride : j * stride + kw]
                dw += padded[here][..., None] * g[n, i, j]
                back[here] += w @ g[n, i, j]
        dx[n] = back[padding : padding + x.shape[1], padding : padding + x.shape[2]]
    return dx, dw, np.sum(g, axis=(0, 1, 2))


@conv_backward.correct("float32")
def backward_float32(g, x, w, stride, padding):
    g, x, w = (np.asfortranarray(a, dtype=np.float32) for a in (g, x, w))
    padded = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for k, l in np.ndindex(w.shape[:2]):
        rows = k + stride * np.arange(g.shape[1])
        columns = l + stride * np.arange(g.shape[2])
        grid = np.ix_(range(len(x)), rows, columns, range(x.shape[3]))
        dw[k, l] = np.einsum("nijc,nijo->co", padded[grid], g)
        dpadded[grid] += np.einsum("nijo,co->nijc", g, w[k, l])
    inner = dpadded[:, padding : padding + x.shape[1], padding : padding + x.shape[2]]
    return inner, dw, g.sum(axis=(0, 1, 2))


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
for number, name, hint, old, new in [
    (
        309,
        "channels before pixels",
        "In a row the channels of a pixel stand together: (KH, KW, C).",
        "transpose(0, 1, 2, 4, 5, 3)",
        "transpose(0, 1, 2, 3, 4, 5)",
    ),
    (
        310,
        "columns before rows",
        "Row by row of the window: (KH, KW, C).",
        "transpose(0, 1, 2, 4, 5, 3)",
        "transpose(0, 1, 2, 5, 4, 3)",
    ),
    (311, "no padding", "Put zeros around the image first.", PAD, "x"),
    (
        312,
        "the stride ignored",
        "Take every stride-th window.",
        "windows[:, ::stride, ::stride]",
        "windows",
    ),
    (
        16,
        "the remainder at the wrong edge",
        "Windows begin at the upper left.",
        "windows[:, ::stride, ::stride]",
        "windows[:, (windows.shape[1] - 1) % stride :: stride, "
        "(windows.shape[2] - 1) % stride :: stride]",
    ),
    (
        313,
        "the windows flipped",
        "As they stand in the image: no flip.",
        ".transpose(0, 1, 2, 4, 5, 3)",
        "[..., ::-1, ::-1].transpose(0, 1, 2, 4, 5, 3)",
    ),
]:
    lower.mistake(number, name, hint, old, new)


@lower.correct("loops over places")
def lower_loops(x, kh, kw, stride, padding):
    padded = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    down = (padded.shape[1] - kh) // stride + 1
    right = (padded.shape[2] - kw) // stride + 1
    rows = np.zeros((len(x), down, right, kh * kw * x.shape[3]))
    for n, i, j in np.ndindex(len(x), down, right):
        top, left = i * stride, j * stride
        rows[n, i, j] = padded[n, top : top + kh, left : left + kw].ravel()
    return rows


@lower.correct("concatenated kernel places")
def lower_concatenated(x, kh, kw, stride, padding):
    padded = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    down = (padded.shape[1] - kh) // stride * stride + 1
    right = (padded.shape[2] - kw) // stride * stride + 1
    pieces = [
        padded[:, k : k + down : stride, l : l + right : stride]
        for k in range(kh)
        for l in range(kw)
    ]
    return np.concatenate(pieces, axis=-1)


@lower.correct("strides")
def lower_strides(x, kh, kw, stride, padding):
    padded = np.ascontiguousarray(np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0))))
    n, h, w, c = padded.strides
    shape = (len(x), (padded.shape[1] - kh) // stride + 1, (padded.shape[2] - kw) // stride + 1)
    view = np.lib.stride_tricks.as_strided(
        padded, (*shape, kh, kw, x.shape[3]), (n, h * stride, w * stride, h, w, c)
    )
    return view.reshape(*shape, kh * kw * x.shape[3])


@lower.correct("indices")
def lower_indices(x, kh, kw, stride, padding):
    padded = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    down = np.arange(0, padded.shape[1] - kh + 1, stride)
    right = np.arange(0, padded.shape[2] - kw + 1, stride)
    rows = down[:, None, None, None] + np.arange(kh)[None, None, :, None]
    columns = right[None, :, None, None] + np.arange(kw)
    return padded[:, rows, columns].reshape(len(x), len(down), len(right), -1)


@lower.correct("float32, Fortran order")
def lower_float32(x, kh, kw, stride, padding):
    padded = np.pad(np.float32(x), ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))
    moved = np.moveaxis(windows[:, ::stride, ::stride], 3, -1)
    return np.asfortranarray(moved.reshape(*moved.shape[:3], kh * kw * x.shape[3]))


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
for number, name, hint, old, new in [
    (
        2,
        "assigned instead of added to",
        "A pixel in several windows gets the sum of all of them.",
        "] += windows",
        "] = windows",
    ),
    (
        11,
        "the padding not cropped",
        "The result has the shape of x.",
        CROPPED,
        "return padded",
    ),
    (
        12,
        "cropped on the wrong side",
        "Crop from both sides.",
        CROPPED,
        "return padded[:, :height, :width]",
    ),
    (
        314,
        "the windows averaged",
        "The backward of a copy is a sum, not a mean.",
        CROPPED,
        "counts = np.zeros(padded.shape)\n"
        "    for k in range(kh):\n"
        "        for l in range(kw):\n"
        "            counts[:, k : k + down : stride, l : l + right : stride] += 1\n"
        "    padded = padded / np.maximum(counts, 1)\n"
        f"    {CROPPED}",
    ),
    (
        315,
        "channels before pixels",
        "The rows are (KH, KW, C), as `lower` wrote them.",
        "rows.reshape(*rows.shape[:3], kh, kw, channels)",
        "np.moveaxis(rows.reshape(*rows.shape[:3], channels, kh, kw), 3, -1)",
    ),
    (
        316,
        "the windows flipped",
        "Element (k, l) of a window goes back to where it came from.",
        "windows[:, :, :, k, l]",
        "windows[:, :, :, kh - 1 - k, kw - 1 - l]",
    ),
]:
    raise_back.mistake(number, name, hint, old, new)


@raise_back.correct("loops over places")
def raise_loops(rows, x_shape, kh, kw, stride, padding):
    n, height, width, channels = x_shape
    padded = np.zeros((n, height + 2 * padding, width + 2 * padding, channels))
    for i in range(rows.shape[1]):
        for j in range(rows.shape[2]):
            top, left = i * stride, j * stride
            window = rows[:, i, j].reshape(n, kh, kw, channels)
            padded[:, top : top + kh, left : left + kw] += window
    return padded[:, padding : padding + height, padding : padding + width]


@raise_back.correct("np.add.at")
def raise_add_at(rows, x_shape, kh, kw, stride, padding):
    n, height, width, channels = x_shape
    padded = np.zeros((n, height + 2 * padding, width + 2 * padding, channels))
    down = stride * np.arange(rows.shape[1])[:, None, None, None]
    right = stride * np.arange(rows.shape[2])[None, :, None, None]
    across = down + np.arange(kh)[:, None], right + np.arange(kw)
    windows = rows.reshape(*rows.shape[:3], kh, kw, channels)
    np.add.at(padded, (slice(None), *across), windows)
    return padded[:, padding : padding + height, padding : padding + width]


@raise_back.correct("skipping the padding")
def raise_skipping(rows, x_shape, kh, kw, stride, padding):
    dx = np.zeros(x_shape)
    windows = rows.reshape(*rows.shape[:3], kh, kw, x_shape[3])
    for i, j, k, l in np.ndindex(*rows.shape[1:3], kh, kw):
        row, column = i * stride + k - padding, j * stride + l - padding
        if 0 <= row < x_shape[1] and 0 <= column < x_shape[2]:
            dx[:, row, column] += windows[:, i, j, k, l]
    return dx


@raise_back.correct("the transposed matrix")
def raise_matrix(rows, x_shape, kh, kw, stride, padding):
    n, height, width, channels = x_shape
    count = rows[0, ..., :1].size * kh * kw
    matrix = np.zeros((count, height * width))
    for q, (i, j, k, l) in enumerate(np.ndindex(*rows.shape[1:3], kh, kw)):
        row, column = i * stride + k - padding, j * stride + l - padding
        if 0 <= row < height and 0 <= column < width:
            matrix[q, row * width + column] = 1
    flat = rows.reshape(n, count, channels)
    return np.einsum("qp,nqc->npc", matrix, flat).reshape(n, height, width, channels)


@raise_back.correct("float32")
def raise_float32(rows, x_shape, kh, kw, stride, padding):
    n, height, width, channels = x_shape
    size = (n, height + 2 * padding + stride, width + 2 * padding + stride, channels)
    padded = np.zeros(size, np.float32, order="F")
    windows = rows.astype(np.float32).reshape(*rows.shape[:3], kh * kw, channels)
    for place in range(kh * kw):
        k, l = place // kw, place % kw
        target = padded[:, k::stride, l::stride][:, : rows.shape[1], : rows.shape[2]]
        target += windows[:, :, :, place]
    return padded[:, padding : padding + height, padding : padding + width]


# ---------------------------------------------------------------------- 5 max pooling, forward


@question(points=2, returns="y")
def pool_forward(x, size, stride):
    return reference.max_pool(x, kernel_size=(size, size), stride=(stride, stride))[0]


pool_forward.case("2x2, stride 2", draw.normal(2, 4, 6, 3), 2, 2, visible=True)
pool_forward.case("3x3, stride 2, overlapping, a remainder", draw.normal(2, 6, 8, 2), 3, 2)
pool_forward.case("negative values only", -1 - abs(draw.normal(1, 5, 3, 2)), 2, 1)

MAXIMUM = "x[:, top : top + size, left : left + size].max(axis=(1, 2))"
for number, name, hint, old, new in [
    (
        46,
        "the average",
        "The largest value of the window, not the mean.",
        ".max(axis=(1, 2))",
        ".mean(axis=(1, 2))",
    ),
    (
        45,
        "the maximum over all channels",
        "Each channel has its own maximum: axes 1 and 2 only.",
        MAXIMUM,
        "x[:, top : top + size, left : left + size].max(axis=(1, 2, 3))[:, None]",
    ),
    (
        317,
        "the stride ignored",
        "Windows begin every `stride` rows and columns.",
        "top, left = i * stride, j * stride",
        "top, left = i * size, j * size",
    ),
    (
        16,
        "the remainder at the wrong edge",
        "Windows begin at the upper left.",
        "top, left = i * stride, j * stride",
        "top = i * stride + (x.shape[1] - size) % stride\n"
        "            left = j * stride + (x.shape[2] - size) % stride",
    ),
    (
        318,
        "never below 0",
        "A window of negative values has a negative maximum.",
        ".max(axis=(1, 2))",
        ".max(axis=(1, 2), initial=0)",
    ),
    (
        319,
        "the largest absolute value",
        "The largest value, not the one farthest from 0.",
        MAXIMUM,
        "abs(x[:, top : top + size, left : left + size]).max(axis=(1, 2))",
    ),
]:
    pool_forward.mistake(number, name, hint, old, new)


@pool_forward.correct("windows")
def pool_windows(x, size, stride):
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return windows[:, ::stride, ::stride].max(axis=(-1, -2))


@pool_forward.correct("loops")
def pool_loops(x, size, stride):
    shape = (x.shape[1] - size) // stride + 1, (x.shape[2] - size) // stride + 1
    out = np.full((len(x), *shape, x.shape[3]), -np.inf)
    for n, i, j, c in np.ndindex(out.shape):
        for k in range(size):
            for l in range(size):
                value = x[n, i * stride + k, j * stride + l, c]
                if value > out[n, i, j, c]:
                    out[n, i, j, c] = value
    return out


@pool_forward.correct("a maximum over places in the window")
def pool_places(x, size, stride):
    down = (x.shape[1] - size) // stride * stride + 1
    right = (x.shape[2] - size) // stride * stride + 1
    out = x[:, :down:stride, :right:stride]
    for k in range(size):
        for l in range(size):
            out = np.maximum(out, x[:, k : k + down : stride, l : l + right : stride])
    return out


@pool_forward.correct("rows, then columns")
def pool_rows_columns(x, size, stride):
    rows = [x[:, i : i + size].max(axis=1) for i in range(0, x.shape[1] - size + 1, stride)]
    tall = np.stack(rows, axis=1)
    both = [tall[:, :, j : j + size].max(2) for j in range(0, x.shape[2] - size + 1, stride)]
    return np.stack(both, axis=2)


@pool_forward.correct("float32, sorted")
def pool_float32(x, size, stride):
    windows = np.lib.stride_tricks.sliding_window_view(np.float32(x), (size, size), axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    return np.asfortranarray(np.sort(windows.reshape(*windows.shape[:4], -1), axis=-1)[..., -1])


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
for number, name, hint, old, new in [
    (
        43,
        "overlapping windows overwrite",
        "A pixel may be the maximum of several windows: += .",
        ADD,
        ADD.replace("+=", "="),
    ),
    (
        44,
        "all ties get the gradient",
        "Of several largest values the first gets the gradient, the others nothing.",
        f"{ARGMAX}\n        {ADD}",
        "for k, l in np.argwhere(window == window.max()):\n            " + ADD,
    ),
    (
        45,
        "the maximum of all channels",
        "Each channel has a maximum of its own.",
        ARGMAX,
        "whole = x[n, i * stride : i * stride + size, j * stride : j * stride + size]\n"
        "        if window.max() < whole.max():\n"
        "            continue\n"
        f"        {ARGMAX}",
    ),
    (
        46,
        "spread as for an average",
        "Only the maximum moved the output; it gets everything.",
        f"{ARGMAX}\n        {ADD}",
        "for k, l in np.ndindex(size, size):\n            " + ADD + " / size**2",
    ),
    (
        41,
        "the upstream gradient ignored",
        "The place of the maximum gets g, not 1.",
        "+= g[n, i, j, c]",
        "+= 1",
    ),
    (
        320,
        "the last of several ties",
        "The first gets the gradient, going row by row.",
        ARGMAX,
        "k, l = divmod(size * size - 1 - int(window.ravel()[::-1].argmax()), size)",
    ),
    (
        321,
        "the stride ignored",
        "The window of place (i, j) begins at (i * stride, j * stride).",
        ADD,
        "dx[n, i + k, j + l, c] += g[n, i, j, c]",
    ),
    (
        322,
        "the gradient shared among ties",
        "The first gets all of it; others share in other libraries, not here.",
        f"{ARGMAX}\n        {ADD}",
        "ties = np.argwhere(window == window.max())\n"
        "        for k, l in ties:\n"
        "            " + ADD + " / len(ties)",
    ),
    (
        323,
        "rows and columns swapped",
        "argmax counts row by row: divmod gives the row first.",
        "k, l = divmod",
        "l, k = divmod",
    ),
]:
    pool_backward.mistake(number, name, hint, old, new)


@pool_backward.correct("windows flattened")
def backward_flat(g, x, size, stride):
    dx = np.zeros_like(x)
    for i in range(g.shape[1]):
        for j in range(g.shape[2]):
            top, left = i * stride, j * stride
            window = x[:, top : top + size, left : left + size]
            flat = window.reshape(len(x), -1, x.shape[3])
            share = np.zeros(flat.shape)
            np.put_along_axis(share, flat.argmax(axis=1)[:, None], g[:, i, j][:, None], axis=1)
            dx[:, top : top + size, left : left + size] += share.reshape(window.shape)
    return dx


@pool_backward.correct("np.add.at")
def backward_add_at(g, x, size, stride):
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].reshape(*g.shape, size * size)
    place = windows.argmax(axis=-1)
    n, i, j, c = np.indices(g.shape)
    dx = np.zeros(x.shape)
    np.add.at(dx, (n, i * stride + place // size, j * stride + place % size, c), g)
    return dx


@pool_backward.correct("loops")
def backward_loops_pool(g, x, size, stride):
    dx = np.zeros(x.shape)
    for n, i, j, c in np.ndindex(g.shape):
        best, where = -np.inf, None
        for k in range(i * stride, i * stride + size):
            for l in range(j * stride, j * stride + size):
                if x[n, k, l, c] > best:
                    best, where = x[n, k, l, c], (n, k, l, c)
        dx[where] += g[n, i, j, c]
    return dx


@pool_backward.correct("place by place, first come first served")
def backward_places(g, x, size, stride):
    dx, left = np.zeros(x.shape), np.array(g)
    down, right = stride * (g.shape[1] - 1) + 1, stride * (g.shape[2] - 1) + 1
    views = [
        np.s_[:, k : k + down : stride, l : l + right : stride]
        for k in range(size)
        for l in range(size)
    ]
    top = np.max([x[view] for view in views], axis=0)
    for view in views:
        hit = x[view] == top
        dx[view] += hit * left
        left = np.where(hit, 0.0, left)
    return dx


@pool_backward.correct("float32")
def backward_float32_pool(g, x, size, stride):
    dx = np.zeros(x.shape, np.float32, order="F")
    for n, c in np.ndindex(len(x), x.shape[3]):
        for i, j in np.ndindex(g.shape[1:3]):
            top, left = i * stride, j * stride
            window = x[n, top : top + size, left : left + size, c]
            k, l = np.unravel_index(np.argmax(window), window.shape)
            dx[n, top + k, left + l, c] += np.float32(g[n, i, j, c])
    return dx
