"""How assignment 6 is graded: a block by the definitions, a training by the network it made."""

import numpy as np

from minires import data
from minires.coursework import Draws, Limits, ResNet8, question
from minires.kernels import reference

draw = Draws(seed=6)

# ---------------------------------------------------------------------- 1 the block


@question(
    points=8,
    returns={
        "y": 2,
        "dx": 2,
        "dw1": 1,
        "dw2": 1,
        "dw_s": 0.5,
        "evaluated": 1,
        "shapes": 0.25,
        "layers": 0.25,
    },
    rtol=1e-4,
)
def Block(x, g, other, weights, gammas, betas, stride):
    """Everything from `reference`, in float64; weights of conv1, conv2 and, if any, conv_s."""
    norms = list(zip(gammas, betas, strict=True))

    def conv(x, w, stride):
        return reference.conv2d(x, w, stride=(stride, stride), padding=(w.shape[0] // 2,) * 2)

    def conv_back(g, x, w, stride):
        options = {"stride": (stride, stride), "padding": (w.shape[0] // 2,) * 2}
        dx = reference.conv2d_dx(g, w, input_size=x.shape[1:3], **options)
        return dx, reference.conv2d_dw(x, g, kernel_size=w.shape[:2], **options)

    def block(x, norm):
        """With every convolution's result; norm(i, z) is the i-th batch norm."""
        found = [conv(x, weights[0], stride)]
        active = np.maximum(norm(0, found[0]), 0)
        found.append(conv(active, weights[1], 1))
        same = x
        if len(weights) == 3:
            found.append(conv(x, weights[2], stride))
            same = norm(2, found[2])
        return np.maximum(norm(1, found[1]) + same, 0), active, found

    def in_training(i, z):
        return reference.batch_norm(z, *norms[i])

    y, active, found = block(x, in_training)
    rows = [z.reshape(-1, z.shape[-1]) for z in found]
    means = [0.1 * r.mean(axis=0) for r in rows]
    variances = [0.9 + 0.1 * r.var(axis=0, ddof=1) for r in rows]

    def in_evaluation(i, z):
        return (z - means[i]) / np.sqrt(variances[i] + 1e-5) * gammas[i] + betas[i]

    g = g * (y > 0)
    back, dw2 = conv_back(
        reference.batch_norm_backward(g, found[1], gammas[1])[0], active, weights[1], 1
    )
    back = reference.batch_norm_backward(back * (active > 0), found[0], gammas[0])[0]
    dx, dw1 = conv_back(back, x, weights[0], stride)
    dw_s = None
    if len(weights) == 2:
        dx = dx + g
    else:
        back = reference.batch_norm_backward(g, found[2], gammas[2])[0]
        through, dw_s = conv_back(back, x, weights[2], stride)
        dx = dx + through
    evaluated = block(other, in_evaluation)[0]
    shapes = [[list(w.shape) for w in weights], [len(gamma) for gamma in gammas]]
    return y, dx, dw1, dw2, dw_s, evaluated, shapes, list(range(3 * len(weights)))


@Block.drive
def drive_block(student, x, g, other, weights, gammas, betas, stride):
    channels = x.shape[3], weights[0].shape[3]
    random = define("__import__('numpy').random.default_rng(0)")
    block = student.Block(*channels, stride, random)
    beside = student.Block(*channels, stride, random)
    convs = [c for c in (block.conv1, block.conv2, block.conv_s) if c is not None]
    norms = [n for n in (block.bn1, block.bn2, block.bn_s) if n is not None]
    shapes = [list(conv.w.data.shape) for conv in convs], [len(norm.gamma.data) for norm in norms]
    parameters = [conv.w for conv in convs] + [p for n in norms for p in (n.gamma, n.beta)]
    listed = [p for layer in block.layers() for p in layer.parameters()]
    layers = sorted([which(p, parameters) for p in listed])
    for conv, w in zip(convs, weights, strict=False):
        conv.w.data = array(w)
    for norm, gamma, beta in zip(norms, gammas, betas, strict=False):
        norm.gamma.data, norm.beta.data = array(gamma), array(beta)
    y = block.forward(array(x))
    beside.forward(array(other))
    dx = block.backward(array(g))
    found = [array(conv.w.grad) for conv in convs] + [None]
    for norm in norms:
        norm.training = False
    evaluated = block.forward(array(other))
    return y, dx, found[0], found[1], found[2], evaluated, shapes, layers


def block_inputs(draw, c_in, c_out, stride, images, height, width, kinks=False):
    """With `kinks`, zeros before both ReLUs, which a backward pass must not let through."""
    size = -(-height // stride), -(-width // stride)
    x, other = draw.normal(images, height, width, c_in), draw.normal(images, height, width, c_in)
    g = draw.normal(images, *size, c_out)
    weights = [draw.normal(3, 3, c_in, c_out), draw.normal(3, 3, c_out, c_out)]
    if stride != 1 or c_in != c_out:
        weights.append(draw.normal(1, 1, c_in, c_out))
    gammas, betas = ([draw.normal(c_out) for _ in weights] for _ in range(2))
    gammas = [np.where(abs(gamma) < 0.25, 1.25, gamma) for gamma in gammas]
    if kinks:
        x = x * draw.integers(*x.shape, below=2)
        for i, weight in enumerate(weights):
            weight[..., 0], betas[i][0] = 0, 0
    return x, g, other, weights, gammas, betas, stride


def drawn(draw, c_in, c_out, stride, **options):
    """Of a height and a width that differ, odd and even, in either order.

    Drawn anew where the weights hardly matter, so that their gradient would be little but rounding:
    behind one channel a projection's never matter, since batch norm undoes its only factor.
    """
    inputs = sized(draw, c_in, c_out, stride, **options)
    _, dx, *gradients = Block.answer(*inputs)[:5]
    if any(abs(dw).max() < 0.05 * abs(dx).max() for dw in gradients if dw is not None):
        return drawn(draw, c_in, c_out, stride, **options)
    return inputs


def sized(draw, c_in, c_out, stride, **options):
    sizes = {1: [(3, 4), (5, 4), (3, 6)], 2: [(5, 6), (7, 4), (5, 8)], 3: [(7, 8), (9, 5), (7, 6)]}
    height, width = draw.choice(*sizes[stride])
    if draw.choice(True, False):
        height, width = width, height
    options = {"images": draw.size(1, 2)} | options
    return block_inputs(draw, c_in, c_out, stride, height=height, width=width, **options)


Block.case(
    "an identity shortcut",
    *block_inputs(draw, 3, 3, 1, images=2, height=4, width=5),
    visible=True,
)
Block.case(
    "a projection, stride 2",
    *block_inputs(draw, 2, 3, 2, images=2, height=4, width=5),
    visible=True,
)


@Block.hidden("the input itself as the shortcut")
def identity(draw):
    channels = draw.size(2, 4)
    return drawn(draw, channels, channels, 1)


@Block.hidden("a projection because of the stride")
def because_of_the_stride(draw):
    channels = draw.size(2, 4)
    return drawn(draw, channels, channels, draw.choice(2, 3))


@Block.hidden("a projection because of more channels")
def more_channels(draw):
    channels = draw.size(2, 3)
    return drawn(draw, channels, channels + draw.size(1, 2), 1)


@Block.hidden("a projection because of fewer channels")
def fewer_channels(draw):
    channels = draw.size(1, 3)
    return drawn(draw, channels + draw.size(1, 2), channels, 1)


@Block.hidden("stride and channels both")
def both(draw):
    c_in, c_out = draw.choice((2, 4), (3, 2), (4, 3))
    return drawn(draw, c_in, c_out, draw.choice(2, 3))


@Block.hidden("one image, one channel")
def one(draw):
    return drawn(draw, 1, 1, 1, images=1)


@Block.hidden("zeros before each ReLU")
def zeros(draw):
    return drawn(draw, 3, 3, draw.choice(1, 2), images=2, kinks=True)


# ---------------------------------------------------------------------- 2 the training


@question(
    points=12,
    returns="network",
    needs=["Block"],
    withheld=["test_images", "test_labels", "at_least", "none_below"],
    seconds=120,
    limits=Limits(memory=2 << 30),
)
def train(
    images, labels, classes, seed, probe, g, factors, test_images, test_labels, at_least, none_below
):
    factors = factors[:, 0]
    return ResNet8(test_images, test_labels, classes, at_least, none_below, probe, g, factors)


@train.drive
def drive_train(student, images, labels, classes, seed, probe, g, factors):
    model = student.ResNet8(classes, seed)

    def parts():
        """Where each array is, as an object and an attribute; and the parameters."""
        found = [(model.stem[0].w, "data")]
        norms = [model.stem[1]]
        for block in model.blocks:
            for conv, norm in (
                (block.conv1, block.bn1),
                (block.conv2, block.bn2),
                (block.conv_s, block.bn_s),
            ):
                if conv is not None:
                    found.append((conv.w, "data"))
                    norms.append(norm)
        places = []
        for conv, norm in zip(found, norms, strict=False):
            places += [conv, (norm.gamma, "data"), (norm.beta, "data")]
            places += [(norm, "mean"), (norm, "var")]
        return [*places, (model.head.w, "data"), (model.head.b, "data")]

    before = [array(getattr(owner, name)) for owner, name in parts()]
    scaling = student.train(model, images, labels)
    mean, deviation = scaling if type(scaling) in (tuple, list) else (scaling, None)
    after = [array(getattr(owner, name)) for owner, name in parts()]
    model.train(False)
    logits = model.forward(array(probe))
    for (owner, name), value, factor in zip(parts(), after, factors, strict=False):
        setattr(owner, name, value * factor)
    other_logits = model.forward(array(probe))
    model.train(True)
    model.forward(array(probe))
    model.backward(array(g))
    gradients = [array(owner.grad) for owner, name in parts() if name == "data"]
    return [before, after, mean, deviation, logits, other_logits, gradients]


ARRAYS = 47
"""Of a ResNet-8: nine convolutions with batch norm, of five arrays each, and a head of two."""


def half_size(images):
    """28x28 to 14x14, by the mean of four pixels, rounded."""
    n = len(images)
    return np.rint(images.reshape(n, 14, 2, 14, 2, 1).mean(axis=(2, 4))).astype(np.uint8)


def halves(draw, count):
    """Images that are brighter in the upper (0) or the lower half (1)."""
    labels = draw.integers(count, below=2)
    images = draw.integers(count, 14, 14, 1, below=100)
    images[labels == 0, :7] += 100
    images[labels == 1, 7:] += 100
    return images.astype(np.uint8), labels


def patterns(draw, count):
    """Noise with small patterns, anywhere; of three classes, by which pattern it is.

    Neighbours, linear models and a head on random layers cannot tell them: who can has learned what
    the patterns are.
    """
    kinds = []
    while len(kinds) < 3:
        kind = np.ones(16, np.int64)
        kind[np.argsort(draw.integers(16, below=1 << 40))[:8]] = -1
        if all(abs(kind @ other) <= 4 for other in kinds):
            kinds.append(kind)
    labels = np.sort(draw.integers(count, below=3))
    images = draw.integers(count, 14, 14, below=100) + 78
    places = draw.integers(count, 6, 2, below=11)
    for image, label, corners in zip(images, labels, places, strict=True):
        for i, j in corners:
            image[i : i + 4, j : j + 4] += 60 * kinds[label].reshape(4, 4)
    return np.clip(images, 0, 255).astype(np.uint8)[..., None], labels


def training(draw, images, labels, classes, test_images, test_labels, at_least, none_below):
    """A case: what the network is trained on, and what the grader does with it."""
    factors = draw.integers(ARRAYS, 1, below=65) / 64 + 0.5
    probe = draw.normal(6, 14, 14, 1), draw.normal(6, classes)
    test = test_images, test_labels, at_least, none_below
    return images, labels, classes, draw.size(0, 1 << 30), *probe, factors, *test


HALVES, HALVES_TEST = halves(draw, 300), halves(draw, 101)
TRAIN, TEST = data.fashion_mini(), data.fashion_mini(train=False)

train.case("two halves", *training(draw, *HALVES, 2, *HALVES_TEST, 0.9, 0.6), visible=True)


@train.hidden("patterns, sorted by class", weight=3)
def small_patterns(draw):
    images, labels = patterns(draw, 2000)
    test = np.arange(len(labels)) % 5 == 0
    return training(draw, images[~test], labels[~test], 3, images[test], labels[test], 0.9, 0.75)


@train.hidden("Fashion-MNIST", weight=8)
def fashion(draw):
    images, test_images = half_size(TRAIN.images), half_size(TEST.images)
    labels, test_labels = TRAIN.labels.astype(np.int64), TEST.labels.astype(np.int64)
    case = training(draw, images, labels, 10, test_images, test_labels, 0.78, 0.75)
    return *case[:3], 1, *case[4:]  # where all courses' networks begin, so that none is unlucky


train.mutants_quickly(without=["Fashion-MNIST"], inputs=3)
