"""Other right ways to solve assignment 7; they run in the names of `grading.py`."""

# ---------------------------------------------------------------------- 1 the block


@block.correct("branches")
def block_branches(x, w1, w2, w_shortcut, stride):
    shortcut = x if w_shortcut is None else conv(x, w_shortcut, stride)
    hidden = conv(x, w1, stride)
    hidden = hidden * (hidden > 0)
    return relu(shortcut + conv(hidden, w2))


@block.correct("projection by sampling and a matrix product")
def block_sampled(x, w1, w2, w_shortcut, stride):
    out = conv(relu(conv(x, w1, stride)), w2)
    shortcut = x
    if w_shortcut is not None:
        shortcut = x[:, ::stride, ::stride] @ w_shortcut[0, 0]
    out += shortcut
    return np.where(out > 0, out, 0.0)


@block.correct("image by image")
def block_images(x, w1, w2, w_shortcut, stride):
    results = []
    for image in x:
        one = image[None]
        same = one if w_shortcut is None else conv(one, w_shortcut, stride)
        results.append(relu(same + conv(relu(conv(one, w1, stride)), w2))[0])
    return np.array(results)


@block.correct("own convolution, by windows")
def block_windows(x, w1, w2, w_shortcut, stride):
    def convolve(x, w, stride):
        kh, kw = w.shape[:2]
        padded = np.pad(x, ((0, 0), (kh // 2, kh // 2), (kw // 2, kw // 2), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))
        return np.einsum("nhwcij,ijco->nhwo", windows[:, ::stride, ::stride], w)

    out = convolve(np.maximum(convolve(x, w1, stride), 0), w2, 1)
    out = out + (x if w_shortcut is None else convolve(x, w_shortcut, stride))
    return np.maximum(out, 0)


@block.correct("float32")
def block_float32(x, w1, w2, w_shortcut, stride):
    out = conv(relu(conv(x, w1, stride)), w2)
    if w_shortcut is not None:
        x = conv(x, w_shortcut, stride)
    return relu(np.float32(out) + np.float32(x))


# ---------------------------------------------------------------------- 2 the head


@head.correct("einsum")
def head_einsum(features, w, b):
    return np.einsum("nhwc,ck->nk", features, w) / (features.shape[1] * features.shape[2]) + b


@head.correct("linear layer first")
def head_linear_first(features, w, b):
    return (features @ w).mean(axis=1).mean(axis=1) + b


@head.correct("flattened")
def head_flat(features, w, b):
    flat = features.reshape(len(features), -1, features.shape[-1])
    return flat.sum(axis=1) / flat.shape[1] @ w + b[None]


@head.correct("loops")
def head_loops(features, w, b):
    rows = []
    for image in features:
        average = np.array([image[..., c].mean() for c in range(image.shape[-1])])
        rows.append([float(average @ w[:, k] + b[k]) for k in range(len(b))])
    return np.array(rows)


@head.correct("float32, Fortran order")
def head_float32(features, w, b):
    average = np.float32(features).mean(axis=(1, 2))
    return np.asfortranarray(average @ np.float32(w) + np.float32(b))


# ---------------------------------------------------------------------- 3 the architecture


@plan.correct("comprehension")
def plan_comprehension(depth):
    if depth < 8 or depth % 6 != 2:
        raise ValueError(depth)
    n = depth // 6
    return [(16 * 2**s, 1 + (s > 0 and i == 0)) for s in range(3) for i in range(n)]


@plan.correct("concatenated lists")
def plan_lists(depth):
    n = (depth - 2) // 6
    if n < 1 or 6 * n + 2 != depth:
        raise ValueError("no such network")
    return [(16, 1)] * n + [(32, 2)] + [(32, 1)] * (n - 1) + [(64, 2)] + [(64, 1)] * (n - 1)


@plan.correct("generator")
def plan_generator(depth):
    def blocks(n):
        for channels, first in ((16, 1), (32, 2), (64, 2)):
            yield (channels, first)
            for _ in range(n - 1):
                yield (channels, 1)

    if depth not in range(8, 10_000, 6):
        raise ValueError
    return list(blocks((depth - 2) // 6))


@plan.correct("a change at a time")
def plan_changes(depth):
    assert_depth = (depth - 2) / 6
    if assert_depth < 1 or assert_depth != int(assert_depth):
        raise ValueError("depth")
    n, blocks, channels = int(assert_depth), [], 16
    while len(blocks) < 3 * n:
        halves = len(blocks) > 0 and len(blocks) % n == 0
        channels *= 2 if halves else 1
        blocks.append([channels, 2 if halves else 1])
    return blocks


@plan.correct("arrays")
def plan_arrays(depth):
    n, rest = divmod(depth - 2, 6)
    if rest != 0 or n <= 0:
        raise ValueError("depth must be 6n + 2")
    channels = np.repeat([16, 32, 64], n)
    strides = np.ones(3 * n, int)
    strides[[n, 2 * n]] = 2
    return tuple(zip(channels.tolist(), strides.tolist(), strict=True))


# ---------------------------------------------------------------------- 4 the learning rate


@learning_rate.correct("powers")
def rate_powers(epoch, epochs):
    return 0.1 * 10.0 ** -((2 * epoch >= epochs) + (4 * epoch >= 3 * epochs))


@learning_rate.correct("in order")
def rate_in_order(epoch, epochs):
    rate = 0.1
    if epoch >= epochs / 2:
        rate /= 10
    if epoch >= epochs * 3 / 4:
        rate /= 10
    return rate


@learning_rate.correct("a table")
def rate_table(epoch, epochs):
    table = [0.1, 0.1, 0.01, 0.001]
    return table[int(4 * epoch / epochs)]


@learning_rate.correct("NumPy's piecewise")
def rate_searched(epoch, epochs):
    place = np.searchsorted([0.5, 0.75], epoch / epochs, side="right")
    return np.array([0.1, 0.01, 0.001])[place]


@learning_rate.correct("from the end")
def rate_from_the_end(epoch, epochs):
    left = (epochs - epoch) / epochs
    return 0.1 if left > 0.5 else 0.01 if left > 0.25 else 0.001


# ---------------------------------------------------------------------- 5 the accuracy


@accuracy.correct("all at once")
def accuracy_at_once(images, labels, w, mean, var, batch_size):
    return np.mean(np.argmax(normalise(images, mean, var) @ w, axis=-1) == labels)


@accuracy.correct("loops")
def accuracy_loops(images, labels, w, mean, var, batch_size):
    right = 0
    for image, label in zip(images, labels, strict=True):
        scores = (image - mean) / np.sqrt(var + 1e-5) @ w
        best = 0
        for k in range(1, len(scores)):
            if scores[k] > scores[best]:
                best = k
        right += int(best == label)
    return right / len(labels)


@accuracy.correct("weighted batches")
def accuracy_weighted(images, labels, w, mean, var, batch_size):
    share = 0.0
    for start in range(0, len(images), batch_size):
        x, y = images[start:][:batch_size], labels[start:][:batch_size]
        predicted = (normalise(x, mean, var) @ w).argmax(1)
        share += (predicted == y).mean() * len(x) / len(images)
    return share


@accuracy.correct("split")
def accuracy_split(images, labels, w, mean, var, batch_size):
    cuts = np.arange(batch_size, len(images), batch_size)
    batches = zip(np.split(images, cuts), np.split(labels, cuts), strict=True)
    return sum(
        np.count_nonzero((normalise(x, mean, var) @ w).argmax(axis=1) == y) for x, y in batches
    ) / len(images)


@accuracy.correct("weights folded")
def accuracy_folded(images, labels, w, mean, var, batch_size):
    scale = 1 / np.sqrt(var + 1e-5)
    folded, shift = w * scale[:, None], (mean * scale) @ w
    errors = ((images @ folded - shift).argmax(axis=1) != labels).sum()
    return 1 - errors / len(images)


# ---------------------------------------------------------------------- 6 the gradient


@through.correct("matrices")
def through_matrices(g, jacobians):
    for jacobian in jacobians[::-1]:
        g = g @ (np.eye(len(g)) + jacobian)
    return g


@through.correct("recursion")
def through_recursion(g, jacobians):
    if len(jacobians) == 0:
        return g.copy()
    *first, last = jacobians
    return through(g + last.T @ g, first)


@through.correct("the product first")
def through_product(g, jacobians):
    product = np.eye(g.size)
    for jacobian in jacobians:
        product = product + jacobian @ product
    return np.einsum("i,ij->j", g, product)


@through.correct("loops")
def through_loops(g, jacobians):
    now = list(g)
    for jacobian in reversed(jacobians):
        size = len(now)
        now = [now[j] + sum(now[i] * jacobian[i, j] for i in range(size)) for j in range(size)]
    return np.array(now)


@through.correct("float32")
def through_float32(g, jacobians):
    g = g.astype(np.float32)
    for k in range(len(jacobians) - 1, -1, -1):
        g = g + np.dot(g, jacobians[k].astype(np.float32))
    return g
