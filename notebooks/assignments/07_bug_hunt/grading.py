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
