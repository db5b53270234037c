"""How assignment 6 is graded: a block by the definitions, a training by its accuracy."""

import numpy as np

from minires import data
from minires.coursework import Accuracy, Draws, Limits, question
from minires.kernels import reference

draw = Draws(seed=6)

# ---------------------------------------------------------------------- 1 the block


@question(
    points=8,
    returns={"y": 3, "dx": 3, "dw1": 1, "dw2": 1, "shapes": 1},
    rtol=1e-4,
)
def Block(x, g, w1, w2, w_shortcut, stride):
    """Everything from `reference`, in float64."""

    def conv(x, w, stride):
        return reference.conv2d(x, w, stride=(stride, stride), padding=(w.shape[0] // 2,) * 2)

    def conv_back(g, x, w, stride):
        options = {"stride": (stride, stride), "padding": (w.shape[0] // 2,) * 2}
        dx = reference.conv2d_dx(g, w, input_size=x.shape[1:3], **options)
        return dx, reference.conv2d_dw(x, g, kernel_size=w.shape[:2], **options)

    gamma, beta = np.linspace(0.5, 1.5, w1.shape[3]), np.linspace(-0.5, 0.5, w1.shape[3])
    first = conv(x, w1, stride)
    active = np.maximum(reference.batch_norm(first, gamma, beta), 0)
    second = conv(active, w2, 1)
    same = x
    if w_shortcut is not None:
        projected = conv(x, w_shortcut, stride)
        same = reference.batch_norm(projected, gamma, beta)
    y = np.maximum(reference.batch_norm(second, gamma, beta) + same, 0)
    g = g * (y > 0)
    back, dw2 = conv_back(reference.batch_norm_backward(g, second, gamma)[0], active, w2, 1)
    back = reference.batch_norm_backward(back * (active > 0), first, gamma)[0]
    dx, dw1 = conv_back(back, x, w1, stride)
    if w_shortcut is None:
        dx = dx + g
    else:
        back = reference.batch_norm_backward(g, projected, gamma)[0]
        dx = dx + conv_back(back, x, w_shortcut, stride)[0]
    shapes = [list(w1.shape), [len(gamma)], [len(gamma)], list(w2.shape), *[[len(gamma)]] * 2]
    if w_shortcut is not None:
        shapes += [list(w_shortcut.shape), [len(gamma)], [len(gamma)]]
    return y, dx, dw1, dw2, sorted(shapes)


@Block.drive
def drive_block(student, x, g, w1, w2, w_shortcut, stride):
    channels = w1.shape[3]
    random = define("__import__('numpy').random.default_rng(0)")
    block = student.Block(x.shape[3], channels, stride, random)
    pairs = [(block.conv1, block.bn1, w1), (block.conv2, block.bn2, w2)]
    if w_shortcut is not None:
        pairs.append((block.conv_s, block.bn_s, w_shortcut))
    for conv, norm, w in pairs:
        conv.w.data = array(w)
        norm.gamma.data = array([0.5 + k / (channels - 1) for k in range(channels)])
        norm.beta.data = array([k / (channels - 1) - 0.5 for k in range(channels)])
    y = block.forward(array(x))
    dx = block.backward(array(g))
    shapes = [list(p.data.shape) for layer in block.layers() for p in layer.parameters()]
    return y, dx, block.conv1.w.grad, block.conv2.w.grad, sorted(shapes)


Block.case(
    "an identity shortcut",
    draw.normal(2, 4, 5, 3),
    draw.normal(2, 4, 5, 3),
    draw.normal(3, 3, 3, 3),
    draw.normal(3, 3, 3, 3),
    None,
    1,
    visible=True,
)
Block.case(
    "a projection, stride 2",
    draw.normal(2, 4, 5, 2),
    draw.normal(2, 2, 3, 3),
    draw.normal(3, 3, 2, 3),
    draw.normal(3, 3, 3, 3),
    draw.normal(1, 1, 2, 3),
    2,
)


# ---------------------------------------------------------------------- 2 the training


@question(
    points=12,
    returns="classes",
    needs=["Block"],
    seconds=120,
    limits=Limits(memory=2 << 30),
)
def train_and_predict(images, labels, test_images):
    share = {len(LABELS): (LABELS, 0.8, 0.6), len(HALVES_TEST[1]): (HALVES_TEST[1], 0.9, 0.6)}
    return Accuracy(*share[len(test_images)])


def half_size(images):
    """28x28 to 14x14, by the mean of four pixels, rounded."""
    n = len(images)
    return np.rint(images.reshape(n, 14, 2, 14, 2, 1).mean(axis=(2, 4))).astype(np.uint8)


def halves(count):
    """Images that are brighter in the upper (0) or the lower half (1)."""
    labels = draw.integers(count, below=2)
    images = draw.integers(count, 14, 14, 1, below=100)
    images[labels == 0, :7] += 100
    images[labels == 1, 7:] += 100
    return images.astype(np.uint8), labels


TRAIN, TEST = data.fashion_mini(), data.fashion_mini(train=False)
LABELS = TEST.labels.astype(np.int64)
HALVES_TRAIN, HALVES_TEST = halves(300), halves(101)

train_and_predict.case("two halves", *HALVES_TRAIN, HALVES_TEST[0], visible=True)
train_and_predict.case(
    "Fashion-MNIST",
    half_size(TRAIN.images),
    TRAIN.labels.astype(np.int64),
    half_size(TEST.images),
    weight=5,
)


def short_training(name, setup, change):
    """Another right training: the solution with other choices, written in full for the child."""
    source = (
        "def train_and_predict(images, labels, test_images):\n"
        "    rng = np.random.default_rng(1)\n"
        f"{setup}"
        "    model = ResNet8(seed=1)\n"
        "    optimiser = SGD(model.parameters(), lr=rate)\n"
        "    for epoch in range(epochs):\n"
        "        shuffled = rng.permutation(len(x))\n"
        "        for chosen in np.array_split(shuffled, max(1, len(x) // batch)):\n"
        "            images_now = x[chosen]\n"
        f"{change}"
        "            _, g = cross_entropy(model.forward(images_now), labels[chosen])\n"
        "            model.backward(g)\n"
        "            optimiser.step()\n"
        "    model.train(False)\n"
        "    parts = [model.forward(part) for part in np.array_split(test, 4)]\n"
        "    return np.argmax(np.concatenate(parts), axis=1)\n"
    )
    train_and_predict.right_source(name, source)


SCALED = "    x, test = (np.float32(a) / 128 - 1 for a in (images, test_images))\n"
NORMALISED = (
    "    mean, deviation = images.mean(axis=0), images.std() \n"
    "    x, test = (np.float32((a - mean) / deviation) for a in (images, test_images))\n"
)
LINEAR = "            optimiser.lr = rate * (1 - epoch / epochs)\n"
STEPS = "            optimiser.lr = rate if epoch < epochs - 1 else rate / 10\n"
COSINE = "            optimiser.lr = rate * (1 + np.cos(np.pi * epoch / epochs)) / 2\n"
FLIPS = STEPS + (
    "            flipped = rng.random(len(chosen)) < 0.25\n"
    "            images_now = np.where(flipped[:, None, None, None], images_now[:, :, ::-1], "
    "images_now)\n"
)

short_training("a linear schedule", f"{SCALED}    batch, epochs, rate = 50, 3, 0.1\n", LINEAR)
short_training("a step at the end", f"{SCALED}    batch, epochs, rate = 40, 3, 0.05\n", STEPS)
short_training(
    "a cosine, pixel means", f"{NORMALISED}    batch, epochs, rate = 50, 3, 0.1\n", COSINE
)
short_training("flips", f"{NORMALISED}    batch, epochs, rate = 50, 3, 0.1\n", FLIPS)
short_training("small batches", f"{NORMALISED}    batch, epochs, rate = 25, 2, 0.05\n", STEPS)
