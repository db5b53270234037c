"""How assignment 7 is graded: the bugs are those of scripts found on blogs."""

import numpy as np

from minires.coursework import Draws, question
from minires.kernels import reference

draw = Draws(seed=7)

# ---------------------------------------------------------------------- 1 the block


@question(points=5, returns="y")
def block(x, w1, w2, w_shortcut, stride):
    def conv(x, w, stride):
        padding = w.shape[0] // 2, w.shape[1] // 2
        return reference.conv2d(x, w, stride=(stride, stride), padding=padding)

    out = conv(np.where((hidden := conv(x, w1, stride)) > 0, hidden, 0.0), w2, 1)
    total = out + (x if w_shortcut is None else conv(x, w_shortcut, stride))
    return np.where(total > 0, total, 0.0)


block.case(
    "an identity shortcut",
    draw.normal(2, 4, 3, 2),
    draw.normal(3, 3, 2, 2),
    draw.normal(3, 3, 2, 2),
    None,
    1,
    visible=True,
)
block.case(
    "a projection, stride 2",
    draw.normal(2, 4, 6, 2),
    draw.normal(3, 3, 2, 3),
    draw.normal(3, 3, 3, 3),
    draw.normal(1, 1, 2, 3),
    2,
)
block.case(
    "a projection, stride 2, odd sizes",
    draw.normal(1, 5, 3, 3),
    draw.normal(3, 3, 3, 4),
    draw.normal(3, 3, 4, 4),
    draw.normal(1, 1, 3, 4),
    2,
)

OUT = "out = conv(relu(conv(x, w1, stride)), w2)"
for number, name, hint, old, new in [
    (
        701,
        "nothing is added",
        "Layers one after the other are a plain network: add the block's input.",
        "relu(out + x)",
        "relu(out)",
    ),
    (
        60,
        "the ReLU before the add",
        "The second ReLU comes after the sum.",
        "relu(out + x)",
        "relu(out) + x",
    ),
    (
        702,
        "the input added twice",
        "Once is enough: y = relu(F(x) + x).",
        "relu(out + x)",
        "relu(out + x + x)",
    ),
    (
        703,
        "a ReLU before and after the add",
        "Between the second convolution and the sum there is no ReLU.",
        OUT,
        "out = relu(conv(relu(conv(x, w1, stride)), w2))",
    ),
    (
        704,
        "no ReLU between the convolutions",
        "Without a ReLU between them two convolutions are one.",
        OUT,
        "out = conv(conv(x, w1, stride), w2)",
    ),
    (
        705,
        "no ReLU at the end",
        "The sum passes a ReLU.",
        "relu(out + x)",
        "out + x",
    ),
    (
        706,
        "the stride in the second convolution",
        "The first convolution has the stride.",
        OUT,
        "out = conv(relu(conv(x, w1)), w2, stride)",
    ),
    (
        707,
        "the projection with a ReLU",
        "The projection is linear: its output is added as it is.",
        "x = conv(x, w_shortcut, stride)",
        "x = relu(conv(x, w_shortcut, stride))",
    ),
    (
        708,
        "the projection without the stride",
        "The shortcut has to shrink the image as the branch does.",
        "x = conv(x, w_shortcut, stride)",
        "x = conv(x, w_shortcut)",
    ),
    (
        709,
        "the projected input never added",
        "x after the projection is what is added.",
        "    return relu(out + x)",
        "        return relu(out)\n    return relu(out + x)",
    ),
]:
    block.mistake(number, name, hint, old, new)


@block.wrong(
    710,
    "the projection behind the block",
    "The projection stands beside the two convolutions, on the block's input, not behind them.",
)
def projection_behind(x, w1, w2, w_shortcut, stride):
    out = relu(conv(relu(conv(x, w1, stride)), w2))
    if w_shortcut is not None:
        out = conv(out[..., : w_shortcut.shape[2]], w_shortcut, stride)
    return out


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


@question(points=3, returns="logits")
def head(features, w, b):
    n, height, width, channels = features.shape
    logits = np.zeros((n, len(b)))
    for i, k in np.ndindex(logits.shape):
        logits[i, k] = b[k]
        for y, x, c in np.ndindex(height, width, channels):
            logits[i, k] += features[i, y, x, c] * w[c, k] / (height * width)
    return logits


head.case("random", draw.normal(2, 3, 4, 3), draw.normal(3, 5), draw.normal(5), visible=True)
head.case("one place", draw.normal(3, 1, 1, 2), draw.normal(2, 4), draw.normal(4))

MEAN = "features.mean(axis=(1, 2)) @ w + b"
for number, name, hint, old, new in [
    (
        711,
        "softmax in the model",
        "The loss takes logits and applies the softmax itself.",
        f"return {MEAN}",
        f"logits = {MEAN}\n"
        "    e = np.exp(logits - logits.max(axis=1, keepdims=True))\n"
        "    return e / e.sum(axis=1, keepdims=True)",
    ),
    (
        712,
        "softmax over the batch",
        "No softmax here; and if there were, it would go over the classes.",
        f"return {MEAN}",
        f"e = np.exp({MEAN})\n    return e / e.sum(axis=0)",
    ),
    (
        713,
        "one place instead of the average",
        "Average each channel over all places.",
        "features.mean(axis=(1, 2))",
        "features[:, 0, 0]",
    ),
    (
        714,
        "a sum instead of the average",
        "Average: the sum grows with the image.",
        "features.mean(axis=(1, 2))",
        "features.sum(axis=(1, 2))",
    ),
    (
        715,
        "the maximum instead of the average",
        "A ResNet ends with average pooling.",
        "features.mean(axis=(1, 2))",
        "features.max(axis=(1, 2))",
    ),
    (
        716,
        "the bias forgotten",
        "Add b.",
        " @ w + b",
        " @ w",
    ),
    (
        717,
        "one place, softmax over the batch",
        "That is the code as found: average the places and return logits.",
        f"return {MEAN}",
        "e = np.exp(features[:, 0, 0] @ w + b)\n    return e / e.sum(axis=0)",
    ),
    (
        718,
        "averaged over height only",
        "Average over height and width.",
        "features.mean(axis=(1, 2)) @ w + b",
        "(features.mean(axis=1) @ w + b)[:, 0]",
    ),
]:
    head.mistake(number, name, hint, old, new)


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


@question(points=4, returns={"blocks": 3, "refused": 1})
def plan(depths, wrong):
    known = {
        8: [(16, 1), (32, 2), (64, 2)],
        14: [(16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1)],
        20: [(16, 1)] * 3 + [(32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1)],
        56: [(16, 1)] * 9 + [(32, 2)] + [(32, 1)] * 8 + [(64, 2)] + [(64, 1)] * 8,
    }
    blocks = [[list(pair) for pair in known[depth]] for depth in depths]
    return blocks, [True] * len(wrong)


@plan.drive
def drive_plan(student, depths, wrong):
    refused = []
    for depth in wrong:
        try:
            student.plan(depth)
            refused.append(False)
        except ValueError:
            refused.append(True)
    return [student.plan(depth) for depth in depths], refused


plan.case("ResNet-8 and ResNet-20", [8, 20], [], visible=True)
plan.case("ResNet-14 and ResNet-56", [14, 56], [])
plan.case("depths that there are not", [8], [18, 2, 0, 21, -4])

STRIDE = "2 if stage > 0 and i == 0 else 1"
for number, name, hint, old, new in [
    (
        719,
        "as many blocks as layers",
        "depth counts layers: 6n + 2, with n blocks a stage.",
        "for i in range(n):",
        "for i in range(depth):",
    ),
    (
        720,
        "stride 2 in every block",
        "Only the first block of the second and third stage halves the image.",
        STRIDE,
        "2",
    ),
    (
        721,
        "stride 2 in the first stage too",
        "The first stage keeps the size.",
        STRIDE,
        "2 if i == 0 else 1",
    ),
    (
        722,
        "never a stride",
        "The second and third stage begin with stride 2.",
        STRIDE,
        "1",
    ),
    (
        723,
        "other channels",
        "The CIFAR networks have 16, 32 and 64 channels.",
        "[16, 32, 64]",
        "[64, 128, 256]",
    ),
    (
        724,
        "the first and last layer forgotten",
        "Two of the layers are outside the blocks: n = (depth - 2) / 6.",
        "divmod(depth - 2, 6)",
        "divmod(depth, 6)",
    ),
    (
        725,
        "any depth accepted",
        "A depth that is not 6n + 2 cannot be built: say so.",
        '    if rest or n < 1:\n        raise ValueError(f"depth is 6n + 2, not {depth}")\n',
        "",
    ),
    (
        726,
        "a stage at a time, not a block",
        "One pair for each block.",
        "for i in range(n):",
        "for i in range(1):",
    ),
    (
        727,
        "stride 2 at the end of a stage",
        "The first block of a stage has the stride, so that the rest is cheap.",
        "i == 0 else 1",
        "i == n - 1 else 1",
    ),
]:
    plan.mistake(number, name, hint, old, new)


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


@question(points=2, returns="rates")
def learning_rate(epochs):
    rates = []
    for epoch in range(epochs):
        quarters = 4 * epoch // epochs  # whole quarters that are over
        rates.append({0: 0.1, 1: 0.1, 2: 0.01, 3: 0.001}[quarters])
    return rates


@learning_rate.drive
def drive_rate(student, epochs):
    return [student.learning_rate(epoch, epochs) for epoch in range(epochs)]


learning_rate.case("of 8 epochs", 8, visible=True)
learning_rate.case("of 20 epochs", 20)
learning_rate.case("of 10 epochs", 10)

for number, name, hint, old, new in [
    (
        728,
        "one rate for all epochs",
        "At half and at three quarters of the training, divide by 10.",
        "    if epoch >= 0.75 * epochs:\n"
        "        return 0.001\n"
        "    return 0.01 if epoch >= 0.5 * epochs else 0.1",
        "    return 0.1",
    ),
    (
        729,
        "an epoch late",
        "Epochs count from 0: epoch number epochs / 2 is the first of the second half.",
        "    if epoch >= 0.75 * epochs:\n"
        "        return 0.001\n"
        "    return 0.01 if epoch >= 0.5 * epochs else 0.1",
        "    if epoch > 0.75 * epochs:\n"
        "        return 0.001\n"
        "    return 0.01 if epoch > 0.5 * epochs else 0.1",
    ),
    (
        730,
        "divided by a hundred after a tenth",
        "A hundredth of 0.1 from three quarters on, not a thousandth.",
        "return 0.001",
        "return 0.0001",
    ),
    (
        731,
        "the second drop missing",
        "At three quarters the rate drops once more.",
        "return 0.001",
        "return 0.01",
    ),
    (
        732,
        "halved instead of divided by ten",
        "Each drop is to a tenth.",
        "    if epoch >= 0.75 * epochs:\n"
        "        return 0.001\n"
        "    return 0.01 if epoch >= 0.5 * epochs else 0.1",
        "    return 0.025 if epoch >= 0.75 * epochs else 0.05 if epoch >= 0.5 * epochs else 0.1",
    ),
]:
    learning_rate.mistake(number, name, hint, old, new)


@learning_rate.wrong(
    733, "the later code as found", "> is an epoch late, and the second drop divides by 1000."
)
def as_found(epoch, epochs):
    rate = 0.1
    if epoch > epochs // 2:
        rate = rate / 10
    if epoch > epochs * 3 // 4:
        rate = rate / 100
    return rate


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


@question(points=5, returns="share")
def accuracy(images, labels, w, mean, var, batch_size):
    right = 0
    for image, label in zip(images, labels, strict=True):
        scores = [
            sum((image[c] - mean[c]) / (var[c] + 1e-5) ** 0.5 * w[c, k] for c in range(len(image)))
            for k in range(w.shape[1])
        ]
        right += scores.index(max(scores)) == label
    return right / len(images)


def accuracy_case(count, channels, classes, batch_size):
    images = draw.normal(count, channels, mean=1.5)
    w = draw.normal(channels, classes)
    mean, var = draw.normal(channels), draw.integers(channels, below=16) / 4 + 0.5
    scores = (images - mean) / np.sqrt(var + 1e-5) @ w
    labels = scores.argmax(axis=1)
    labels[::3] = draw.integers(len(labels[::3]), below=classes)
    return images, labels, w, mean, var, batch_size


accuracy.case("batches that fit", *accuracy_case(24, 4, 5, 6), visible=True)
accuracy.case("a last batch that is smaller", *accuracy_case(23, 3, 4, 5))
accuracy.case("one batch, larger than all", *accuracy_case(17, 3, 6, 64))
accuracy.case("one image at a time", *accuracy_case(11, 4, 4, 1))

BATCH = "normalise(images[start : start + batch_size], mean, var)"
for number, name, hint, old, new in [
    (
        35,
        "the batch's statistics",
        "Without model.eval() batch norm normalises with each test batch: results depend on it.",
        f"scores = {BATCH} @ w",
        "x = images[start : start + batch_size]\n"
        "        scores = normalise(x, x.mean(axis=0), x.var(axis=0)) @ w",
    ),
    (
        34,
        "the running statistics updated",
        "Testing must leave the model as it is.",
        f"scores = {BATCH} @ w",
        "mean *= 0.9\n"
        "        mean += 0.1 * images[start : start + batch_size].mean(axis=0)\n"
        f"        scores = {BATCH} @ w",
    ),
    (
        734,
        "the last batch left out",
        "Every image counts: range(0, len(images), batch_size).",
        "range(0, len(images), batch_size)",
        "range(0, len(images) - batch_size + 1, batch_size)",
    ),
    (
        735,
        "one batch too few",
        "The last full batch counts too.",
        "range(0, len(images), batch_size)",
        "range(0, len(images) - batch_size, batch_size)",
    ),
    (
        736,
        "argmax over the batch",
        "The class with the highest score, for each image: axis 1.",
        "(scores.argmax(axis=1) == labels[start : start + batch_size]).sum()",
        "sum(a == b for a, b in zip(scores.argmax(axis=0), labels[start : start + batch_size]))",
    ),
    (
        737,
        "batches averaged",
        "Count right images and divide once; a mean of batches weighs the last one's too much.",
        "right += (scores.argmax(axis=1) == labels[start : start + batch_size]).sum()\n"
        "    return right / len(images)",
        "right += (scores.argmax(axis=1) == labels[start : start + batch_size]).mean()\n"
        "    return right / -(-len(images) // batch_size)",
    ),
    (
        738,
        "a count instead of a share",
        "Divide by the number of images.",
        "return right / len(images)",
        "return right",
    ),
    (
        739,
        "the variance where the deviation belongs",
        "Normalise divides by the root of var; use it with var as it is.",
        "mean, var) @ w",
        "mean, var**2) @ w",
    ),
    (
        740,
        "the lowest score",
        "The class with the highest score is predicted.",
        "scores.argmax(axis=1)",
        "scores.argmin(axis=1)",
    ),
    (
        741,
        "percent",
        "Return a share between 0 and 1.",
        "return right / len(images)",
        "return 100 * right / len(images)",
    ),
]:
    accuracy.mistake(number, name, hint, old, new)


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


@question(points=3, returns="dh")
def through(g, jacobians):
    """The product of whole matrices, first block last."""
    product = np.eye(len(g))
    for jacobian in jacobians:
        product = (np.eye(len(g)) + jacobian) @ product
    return np.array([sum(g[i] * product[i, j] for i in range(len(g))) for j in range(len(g))])


def jacobians(count, size):
    return [draw.normal(size, size, scale=0.5) for _ in range(count)]


through.case("two blocks", draw.normal(3), jacobians(2, 3), visible=True)
through.case("five blocks", draw.normal(2), jacobians(5, 2))
through.case("no block", draw.normal(4), [])

for number, name, hint, old, new in [
    (
        59,
        "the identity dropped",
        "h + F(h) has the derivative I + J: the shortcut passes the gradient on.",
        "g = g + g @ jacobian",
        "g = g @ jacobian",
    ),
    (
        742,
        "in the wrong order",
        "Backwards: the last block's Jacobian comes first.",
        "in reversed(jacobians)",
        "in jacobians",
    ),
    (
        743,
        "element by element",
        "A chain rule of vectors multiplies matrices.",
        "g = g + g @ jacobian",
        "g = g * jacobian.sum(axis=0)",
    ),
    (
        744,
        "transposed",
        "g is a row: g @ J. J @ g would be the derivative the other way.",
        "g @ jacobian",
        "jacobian @ g",
    ),
    (
        745,
        "the upstream gradient added in every block",
        "Each block starts from what the block behind it handed on.",
        "    for jacobian in reversed(jacobians):\n        g = g + g @ jacobian",
        "    upstream = g\n"
        "    for jacobian in reversed(jacobians):\n"
        "        g = upstream + g @ jacobian",
    ),
    (
        746,
        "diagonals only",
        "Every output of a branch may depend on every input.",
        "g @ jacobian",
        "g * jacobian.diagonal()",
    ),
]:
    through.mistake(number, name, hint, old, new)


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
