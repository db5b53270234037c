"""How assignment 7 is graded: the bugs are those of scripts found on blogs."""

import numpy as np

from minires.coursework import Draws, question
from minires.kernels import reference

draw = Draws(seed=7)

LARGE = 2.0**14
"""A scale of values beyond 6, 100 and 1000."""


def small(values):
    return np.minimum(values, 1000.0)


def mixed(values):
    return bool((values > 0).any() and (values < 0).any())


# ---------------------------------------------------------------------- 1 the block


@question(points=5, returns="y")
def block(x, w1, w2, w_shortcut, stride):
    total = _sums(x, w1, w2, w_shortcut, stride)[1]
    return np.where(total > 0, total, 0.0)


def _sums(x, w1, w2, w_shortcut, stride):
    """What goes into either ReLU."""

    def conv(x, w, stride):
        padding = w.shape[0] // 2, w.shape[1] // 2
        return reference.conv2d(x, w, stride=(stride, stride), padding=padding)

    hidden = conv(x, w1, stride)
    out = conv(np.where(hidden > 0, hidden, 0.0), w2, 1)
    return hidden, out + (x if w_shortcut is None else conv(x, w_shortcut, stride))


def block_inputs(draw, images, wide=None, stride=1, kernels=((3, 3), (3, 3)), scale=1.0):
    """Inputs for which each ReLU passes some values and stops some.

    Without `wide`, the channels behind a projection, there is none.
    """
    c = images[-1]
    out = c if wide is None else wide
    while True:
        x = draw.normal(*images, scale=scale)
        w1, w2 = draw.normal(*kernels[0], c, out), draw.normal(*kernels[1], out, out)
        projection = None if wide is None else draw.normal(1, 1, c, out)
        hidden, total = _sums(x, w1, w2, projection, stride)
        if mixed(hidden) and mixed(total):
            return x, w1, w2, projection, stride


block.case("an identity shortcut", *block_inputs(draw, (2, 4, 3, 2)), visible=True)
block.case("a projection, stride 2", *block_inputs(draw, (2, 4, 6, 2), 3, 2), visible=True)


@block.hidden("other values of the same shapes")
def _(draw):
    return block_inputs(draw, (2, 4, 3, 2))


@block.hidden("an identity shortcut, one image, one channel")
def _(draw):
    return block_inputs(draw, (1, draw.choice(3, 5), draw.choice(2, 4), 1))


@block.hidden("all axes of one length")
def _(draw):
    return block_inputs(draw, (3, 3, 3, 3), draw.choice(None, 3))


@block.hidden("a projection, stride 2, odd sizes")
def _(draw):
    return block_inputs(draw, (1, 5, draw.choice(3, 7), 2), 3, 2)


@block.hidden("a projection where only the channels change")
def _(draw):
    c = draw.size(1, 3)
    return block_inputs(draw, (2, 3, draw.choice(2, 4), c), c + draw.choice(1, 2))


@block.hidden("a projection where only the size changes")
def _(draw):
    c = draw.size(1, 3)
    return block_inputs(draw, (2, 4, draw.choice(3, 5), c), c, 2)


@block.hidden("a projection where nothing changes")
def _(draw):
    c = draw.size(2, 3)
    return block_inputs(draw, (2, 3, draw.choice(2, 4), c), c)


@block.hidden("a projection, stride 7, fewer channels")
def _(draw):
    return block_inputs(draw, (1, draw.choice(8, 9), draw.choice(7, 8), 3), 2, 7)


@block.hidden("one row or column, two images")
def _(draw):
    size = draw.size(3, 5)
    return block_inputs(draw, (2, *draw.choice((1, size), (size, 1)), 2), 3, draw.size(1, 2))


@block.hidden("kernels of other sizes")
def _(draw):
    kernels = draw.choice(((3, 5), (1, 1)), ((5, 3), (1, 3)), ((3, 5), (3, 1)))
    return block_inputs(draw, (1, 4, 5, 2), draw.choice(None, 2), kernels=kernels)


@block.hidden("an identity shortcut, values beyond 6, 100 and 1000")
def _(draw):
    return block_inputs(draw, (1, 3, draw.size(2, 4), 2), scale=LARGE)


@block.hidden("a projection, values and weights beyond 6, 100 and 1000")
def _(draw):
    x, *weights, stride = block_inputs(draw, (1, 3, draw.size(2, 4), 2), 3, scale=LARGE)
    return [x, *(w * LARGE for w in weights), stride]


OUT = "out = conv(relu(conv(x, w1, stride)), w2)"


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


def head_inputs(draw, images, classes, scale=1.0):
    """Features with a mean, or the average would be about 0."""
    features = draw.normal(*images, mean=0.5, scale=scale)
    return features, draw.normal(images[-1], classes), draw.normal(classes)


head.case("random", *head_inputs(draw, (2, 3, 4, 3), 5), visible=True)


@head.hidden("other values of the same shapes")
def _(draw):
    return head_inputs(draw, (2, 3, 4, 3), 5)


@head.hidden("one place")
def _(draw):
    return head_inputs(draw, (3, 1, 1, draw.size(2, 4)), draw.size(2, 5))


@head.hidden("one row or column")
def _(draw):
    size = draw.size(2, 5)
    return head_inputs(draw, (2, *draw.choice((1, size), (size, 1)), 3), 4)


@head.hidden("one image")
def _(draw):
    return head_inputs(draw, (1, draw.size(2, 4), draw.size(2, 4), 3), draw.size(2, 5))


@head.hidden("one channel")
def _(draw):
    return head_inputs(draw, (2, draw.size(2, 4), draw.size(2, 4), 1), draw.size(2, 5))


@head.hidden("one class")
def _(draw):
    return head_inputs(draw, (3, draw.size(2, 4), draw.size(2, 4), 2), 1)


@head.hidden("all axes of one length")
def _(draw):
    size = draw.size(2, 4)
    return head_inputs(draw, (size,) * 4, size)


@head.hidden("values beyond 6, 100 and 1000")
def _(draw):
    while True:
        features, w, b = head_inputs(draw, (2, 3, draw.size(2, 4), 3), draw.size(2, 5), LARGE)
        if mixed(b):
            return features, w * LARGE, b * LARGE**2


MEAN = "features.mean(axis=(1, 2)) @ w + b"


# ---------------------------------------------------------------------- 3 the architecture


@question(points=4, returns={"blocks": 3, "refused": 1})
def plan(depths, wrong):
    plans = []
    for depth in depths:
        n = (depth - 2) // 6
        stages = [[[channels, 1] for _ in range(n)] for channels in (16, 32, 64)]
        stages[1][0][1] = stages[2][0][1] = 2
        plans.append([pair for stage in stages for pair in stage])
    return plans, [True] * len(wrong)


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


@plan.hidden("even numbers of blocks a stage")
def _(draw):
    n = 2 * draw.size(1, 4)
    return [6 * n + 2, 14, 6 * n + 2], []


@plan.hidden("odd numbers of blocks a stage")
def _(draw):
    n = 2 * draw.size(2, 5) + 1
    return [6 * n + 2, 8], []


@plan.hidden("deep networks")
def _(draw):
    return [6 * draw.size(16, 40) + 2, 1202], []


@plan.hidden("depths between those that there are")
def _(draw):
    n = draw.size(1, 9)
    return [8], [6 * n + rest for rest in (0, 1, 3, 4, 5)] + [6 * n + 9, 6 * n + 12]


@plan.hidden("depths less than 8")
def _(draw):
    return [8], [*range(8), *range(-1 - draw.size(10, 20), 0)]


STRIDE = "2 if stage > 0 and i == 0 else 1"


# ---------------------------------------------------------------------- 4 the learning rate


@question(points=2, returns="rates")
def learning_rate(calls):
    """By the quarters of the training that are over, in whole numbers."""
    return [{0: 0.1, 1: 0.1, 2: 0.01, 3: 0.001}[4 * epoch // epochs] for epoch, epochs in calls]


@learning_rate.drive
def drive_rate(student, calls):
    return [student.learning_rate(epoch, epochs) for epoch, epochs in calls]


def whole(*lengths):
    """Every epoch of trainings."""
    return [[[epoch, epochs] for epochs in lengths for epoch in range(epochs)]]


learning_rate.case("of 8 epochs", *whole(8), visible=True)


@learning_rate.hidden("multiples of 4")
def _(draw):
    n = draw.size(1, 4)
    return whole(8 * n, 8 * n + 4)


@learning_rate.hidden("even, no multiple of 4")
def _(draw):
    n = draw.size(1, 4)
    return whole(8 * n + 2, 8 * n + 6)


@learning_rate.hidden("odd numbers of epochs")
def _(draw):
    n = draw.size(1, 4)
    return whole(8 * n + 1, 8 * n + 3, 8 * n + 5, 8 * n + 7)


@learning_rate.hidden("1 to 7 epochs")
def _(draw):
    return whole(*range(1, 8))


@learning_rate.hidden("hundreds and thousands of epochs")
def _(draw):
    calls = []
    for epochs in (draw.size(200, 300), draw.size(2000, 4000), 4 * draw.size(500, 1000)):
        for quarter in range(5):
            near = [epochs * quarter // 4 + k for k in range(-2, 3)]
            calls += [[epoch, epochs] for epoch in near if 0 <= epoch < epochs]
    return [calls]


@learning_rate.hidden("not in order")
def _(draw):
    [calls] = whole(12, 20)
    return [[call for k in (3, 1, 4, 2, 0) for call in calls[draw.size(0, 1) + k :: 5]]]


# ---------------------------------------------------------------------- 5 the accuracy


@question(points=5, returns={"share": 4, "arguments_kept": 1})
def accuracy(images, labels, w, mean, var, batch_size):
    """The share for each of several rows of labels, of the same images."""
    best = []
    for image in images:
        scores = [
            sum((image[c] - mean[c]) / (var[c] + 1e-5) ** 0.5 * w[c, k] for c in range(len(image)))
            for k in range(w.shape[1])
        ]
        best.append(scores.index(max(scores)))
    shares = [sum(a == b for a, b in zip(best, row, strict=True)) / len(best) for row in labels]
    return shares, [images, labels, w, mean, var]


@accuracy.drive
def drive_accuracy(student, images, labels, w, mean, var, batch_size):
    rows = [array(row) for row in labels.tolist()]
    shares = [student.accuracy(images, row, w, mean, var, batch_size) for row in rows]
    return shares, [images, array(rows), w, mean, var]


def labelled(draw, images, w, mean, var, batch_size, gap=1e-3):
    """With three rows of labels: all right, all but the last, and as it comes.

    None if the two best scores of an image are nearly equal.
    """
    scores = (images - mean) / np.sqrt(var + 1e-5) @ w
    if np.diff(np.sort(scores, axis=1)[:, -2:]).min() < gap:
        return None
    best, classes = scores.argmax(axis=1), w.shape[1]
    wrong = draw.integers(3, len(images), below=2)
    wrong[0], wrong[1] = 0, 0
    wrong[1, -1] = 1
    shift = 1 + draw.integers(3, len(images), below=classes - 1)
    return images, (best + wrong * shift) % classes, w, mean, var, batch_size


def accuracy_inputs(draw, count, channels, classes, batch_size):
    """Several classes are best for some image, unless there is only one image."""
    while True:
        images, w = draw.normal(count, channels, mean=1.5), draw.normal(channels, classes)
        mean, var = draw.normal(channels), draw.integers(channels, below=16) / 4 + 0.25
        found = labelled(draw, images, w, mean, var, batch_size)
        if found is not None and (count == 1 or len(set(found[1][0])) > 1):
            return found


accuracy.case("batches that fit", *accuracy_inputs(draw, 24, 4, 5, 6), visible=True)


@accuracy.hidden("other values of the same shapes")
def _(draw):
    return accuracy_inputs(draw, 24, 4, 5, 6)


@accuracy.hidden("a last batch that is smaller")
def _(draw):
    return accuracy_inputs(draw, 5 * draw.size(3, 5) + draw.size(2, 3), 3, draw.size(3, 5), 5)


@accuracy.hidden("a last batch of one image")
def _(draw):
    return accuracy_inputs(draw, 4 * draw.size(3, 5) + 1, 3, draw.size(3, 5), 4)


@accuracy.hidden("one batch, larger than all")
def _(draw):
    return accuracy_inputs(draw, draw.size(13, 20), 3, draw.size(3, 6), 64)


@accuracy.hidden("one batch of all")
def _(draw):
    count = draw.size(13, 20)
    return accuracy_inputs(draw, count, 4, draw.size(3, 6), count)


@accuracy.hidden("one image at a time")
def _(draw):
    return accuracy_inputs(draw, draw.size(11, 15), draw.size(3, 4), 4, 1)


@accuracy.hidden("one image")
def _(draw):
    return accuracy_inputs(draw, 1, 3, draw.size(3, 5), draw.size(1, 3))


@accuracy.hidden("images that occur several times")
def _(draw):
    while True:
        images, _, w, mean, var, size = accuracy_inputs(draw, draw.size(7, 9), 3, 4, 4)
        found = labelled(draw, np.concatenate([images, images[::2]]), w, mean, var, size)
        if found is not None:
            return found


@accuracy.hidden("all axes of one length")
def _(draw):
    size = draw.size(6, 9)
    return accuracy_inputs(draw, size, size, size, size)


@accuracy.hidden("one channel, two classes")
def _(draw):
    return accuracy_inputs(draw, draw.size(13, 17), 1, 2, draw.size(4, 6))


@accuracy.hidden("a channel that never varies")
def _(draw):
    while True:
        images, _, w, mean, var, size = accuracy_inputs(draw, draw.size(16, 20), 3, 4, 5)
        images[:, 0], var[0] = mean[0], 0.0
        found = labelled(draw, images, w, mean, var, size)
        if found is not None:
            return found


@accuracy.hidden("values beyond 6, 100 and 1000")
def _(draw):
    count = draw.size(16, 20)
    scale = 16 * LARGE  # so that what is normalised is beyond 1000 as well as its variance
    while True:  # until each of the numbers beyond 1000 decides about some image
        images = draw.normal(count, 3, mean=1.5 * scale, scale=scale)
        w, mean = draw.normal(3, 4, scale=LARGE), draw.normal(3, scale=scale)
        var = (draw.integers(3, below=16) + 1) * 1024.0
        found = labelled(draw, images, w, mean, var, draw.size(4, 6), LARGE)
        others = [
            (small(images) - mean) / np.sqrt(var) @ w,
            (images - small(mean)) / np.sqrt(var) @ w,
            (images - mean) / np.sqrt(small(var)) @ w,
            small((images - mean) / np.sqrt(var)) @ w,
            (images - mean) / np.sqrt(var) @ small(w),
        ]
        if found and all((other.argmax(axis=1) != found[1][0]).any() for other in others):
            return found


@accuracy.hidden("more than a thousand classes")
def _(draw):
    count = draw.size(11, 13)
    while True:
        images, w = draw.normal(count, 2), draw.integers(2, 1500, below=4096) / 1024 - 2
        found = labelled(draw, images, w, draw.normal(2), draw.integers(2, below=4) + 0.5, 4)
        if found and found[1][0].max() > 1000:
            return found


BATCH = "normalise(images[start : start + batch_size], mean, var)"


# ---------------------------------------------------------------------- 6 the gradient


@question(points=3, returns={"dh": 4, "arguments_kept": 1})
def through(g, jacobians):
    """The product of whole matrices, first block last."""
    product = np.eye(len(g))
    for jacobian in jacobians:
        product = (np.eye(len(g)) + jacobian) @ product
    dh = np.array([sum(g[i] * product[i, j] for i in range(len(g))) for j in range(len(g))])
    return dh, [g, jacobians]


@through.drive
def drive_through(student, g, jacobians):
    call = define("lambda through, g, jacobians: (through(g, jacobians), jacobians)")
    dh, after = call(student.through, g, jacobians)
    return dh, [g, after]


def through_inputs(draw, size, count, scale=0.5):
    return draw.normal(size), [draw.normal(size, size, scale=scale) for _ in range(count)]


through.case("two blocks", *through_inputs(draw, 3, 2), visible=True)


@through.hidden("other values of the same shapes")
def _(draw):
    return through_inputs(draw, 3, 2)


@through.hidden("no block")
def _(draw):
    return through_inputs(draw, draw.size(2, 4), 0)


@through.hidden("one block")
def _(draw):
    return through_inputs(draw, draw.size(2, 4), 1)


@through.hidden("many blocks")
def _(draw):
    return through_inputs(draw, draw.size(2, 3), draw.size(5, 9))


@through.hidden("one number")
def _(draw):
    return through_inputs(draw, 1, draw.size(2, 4))


@through.hidden("as many blocks as numbers")
def _(draw):
    size = draw.size(3, 5)
    return through_inputs(draw, size, size)


@through.hidden("values beyond 6, 100 and 1000")
def _(draw):
    g, jacobians = through_inputs(draw, draw.size(2, 4), 3, LARGE)
    return g * LARGE, jacobians


@through.hidden("Jacobians whose entries cancel")
def _(draw):
    g, jacobians = through_inputs(draw, draw.size(2, 4), draw.size(2, 4))
    for jacobian in jacobians:
        jacobian[-1, -1] -= jacobian.sum()
    return g, jacobians


@through.hidden("Jacobians that are nearly 0")
def _(draw):
    return through_inputs(draw, draw.size(2, 4), draw.size(2, 4), 2.0**-12)
