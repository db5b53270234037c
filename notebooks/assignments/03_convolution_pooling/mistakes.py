"""The known mistakes of assignment 3; they run in the names of `grading.py`."""

# ---------------------------------------------------------------------- 1 convolution, forward

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


# ---------------------------------------------------------------------- 2 convolution, backward


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


# ---------------------------------------------------------------------- 3 lowering


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

# ---------------------------------------------------------------------- 4 and back


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

# ---------------------------------------------------------------------- 5 max pooling, forward


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

# ---------------------------------------------------------------------- 6 max pooling, backward


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
