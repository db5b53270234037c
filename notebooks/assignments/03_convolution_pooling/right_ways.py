"""Other right ways to solve assignment 3; they run in the names of `grading.py`."""

# ---------------------------------------------------------------------- 1 convolution, forward


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


@conv_forward.correct("float32 inside only")
def forward_float32_inside(x, w, b, stride, padding):
    padded = np.pad(np.float32(x), ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[:2], axis=(1, 2))
    return np.tensordot(windows[:, ::stride, ::stride], np.float32(w), ([4, 5, 3], [0, 1, 2])) + b


# ---------------------------------------------------------------------- 2 convolution, backward


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


@conv_backward.correct("float32 inside only")
def backward_float32_inside(g, x, w, stride, padding):
    down, right = stride * (g.shape[1] - 1) + 1, stride * (g.shape[2] - 1) + 1
    g, x, w = (a.astype(np.float32) for a in (g, x, w))
    padded = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for k, l in np.ndindex(w.shape[:2]):
        here = np.s_[:, k : k + down : stride, l : l + right : stride]
        dw[k, l] = np.einsum("nijc,nijo->co", padded[here], g)
        dpadded[here] += g @ w[k, l].T
    dx = dpadded[:, padding : padding + x.shape[1], padding : padding + x.shape[2]]
    return dx.astype(float), dw.astype(float), g.sum(axis=(0, 1, 2)).astype(float)


# ---------------------------------------------------------------------- 3 lowering


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
