"""Assignment 6: points are given for a residual network that was trained, and for nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from minires.coursework.answers import resnet8
from minires.coursework.assignment import load_assignments
from minires.coursework.bundle import make_bundle
from minires.coursework.cells import Cell
from minires.coursework.grading.grade import grade_question

SCALE = """
    mean, deviation = images.mean(), images.std()
    x = np.float32((images - mean) / deviation)
"""
STEPS = """
    optimiser = SGD(model.parameters(), lr=0.1)
    for rate in (0.1, 0.1, 0.02):
        optimiser.lr = rate
        for chosen in np.array_split(np.random.default_rng(0).permutation(len(x)), 8):
            _, g = cross_entropy(model.forward(x[chosen]), labels[chosen])
            model.backward(g)
            optimiser.step()
"""
END = """
    return mean, deviation
"""
NOISE = """
    random = np.random.default_rng(5)
    for p in model.parameters():
        p.data = p.data + np.float32(random.normal(0, 0.02, p.data.shape))
    model.forward(x[:64])
"""
FEATURES = """
    model.train(False)
    z = x
    for layer in model.walk()[:-1]:
        z = layer.forward(z)
    z = np.c_[z.mean(axis=(1, 2)), np.ones(len(z))]
    wanted = np.eye(model.head.b.data.size)[labels]
    solved = np.linalg.solve(z.T @ z + 0.1 * np.eye(z.shape[1]), z.T @ wanted)
    model.head.w.data, model.head.b.data = np.float32(solved[:-1]), np.float32(solved[-1])
"""
NEIGHBOURS = """
    def nearest(z):
        near = ((z[:, None] - x[None]) ** 2).sum(axis=(2, 3, 4)).argsort(axis=1)[:, :5]
        return np.eye(10)[labels[near]].sum(axis=1)[:, :2]
    model.backward = lambda g: None
"""
FUNCTION = "def train(model, images, labels):"
UNTRAINED = "did not change in your training"
UNLIKE = "your network's output on these images is not what its weights give"
HIDDEN = "with other weights put in, your network's output is not what those give"
LOST = "your network gets nowhere with images"

DODGES = {
    "nothing": (END, UNTRAINED),
    "neighbours answer": (NEIGHBOURS + "    model.forward = nearest\n" + END, UNTRAINED),
    "neighbours behind noise": (NEIGHBOURS + "    model.forward = nearest\n" + END, UNLIKE),
    "neighbours in the class": (
        NEIGHBOURS + "    ResNet8.forward = lambda self, z: nearest(z)\n" + END,
        UNLIKE,
    ),
    "ridge regression on pixels": (
        """
    flat = x.reshape(len(x), -1)
    solved = np.linalg.solve(flat.T @ flat + np.eye(196), flat.T @ np.eye(2)[labels])
    model.forward = lambda z: z.reshape(len(z), -1) @ solved
    model.backward = lambda g: None
"""
        + END,
        UNLIKE,
    ),
    "ridge regression on a frozen trunk": (FEATURES + END, UNTRAINED),
    "only the head": (STEPS.replace("model.", "model.head.", 1) + END, UNTRAINED),
    "weights that only shrink": (
        """
    for p in model.parameters():
        p.data = p.data * 0.5
"""
        + END,
        UNTRAINED,
    ),
    "a model of one's own": ("    model = ResNet8(2, 3)\n" + STEPS + END, UNTRAINED),
    "a model of one's own that answers": (
        "    own, model = model, ResNet8(2, 3)\n"
        + STEPS
        + "    own.forward, own.backward = model.forward, model.backward\n"
        + NOISE.replace("model", "own")
        + END,
        UNLIKE,
    ),
    "noise for a training": (END, LOST),
    "no shortcuts": (
        """
    def plain(self, x):
        out = self.bn2.forward(self.conv2.forward(
            self.relu1.forward(self.bn1.forward(self.conv1.forward(x)))))
        return self.relu2.forward(out)
    def back(self, g):
        g = self.conv2.backward(self.bn2.backward(self.relu2.backward(g)))
        return self.conv1.backward(self.bn1.backward(self.relu1.backward(g)))
    Block.forward, Block.backward = plain, back
"""
        + STEPS
        + END,
        UNTRAINED,
    ),
    "no shortcuts, behind noise": (
        """
    def plain(self, x):
        out = self.bn2.forward(self.conv2.forward(
            self.relu1.forward(self.bn1.forward(self.conv1.forward(x)))))
        return self.relu2.forward(out)
    Block.forward, model.backward = plain, lambda g: None
"""
        + END,
        UNLIKE,
    ),
    "shortcuts times 0": (
        STEPS
        + """
    for block in model.blocks[1:]:
        block.bn_s.gamma.data *= 0
        block.bn_s.beta.data *= 0
"""
        + END,
        UNTRAINED,
    ),
    "shortcuts times nearly 0": (
        STEPS
        + """
    for block in model.blocks[1:]:
        for p in block.bn_s.parameters():
            p.data *= np.float32(np.random.default_rng(1).normal(0, 4e-3, p.data.shape))
"""
        + END,
        "without the shortcut of block 2 your network's output changes by",
    ),
    "a branch that is silent": (
        STEPS
        + """
    for p in model.blocks[2].bn2.parameters():
        p.data *= np.float32(np.random.default_rng(1).normal(0, 4e-3, p.data.shape))
"""
        + END,
        "without the residual branch of block 3 your network's output changes by",
    ),
    "blocks that are left out": (
        "    model.blocks[0].forward = lambda x: x\n"
        "    model.blocks[0].backward = lambda g: g\n" + STEPS + END,
        UNTRAINED,
    ),
    "a block more": (
        "    model.blocks.append(Block(64, 64, 1, np.random.default_rng(0)))\n" + STEPS + END,
        "after the training your model has 57 arrays, a ResNet8 has 47",
    ),
    "a block that cheats in evaluation": (
        STEPS
        + """
    real = Block.forward
    def forward(self, x):
        y = real(self, x)
        return y if self.bn1.training else np.sqrt(y)
    Block.forward = forward
"""
        + END,
        UNLIKE,
    ),
    "statistics of the batch in evaluation": (
        STEPS + "    model.train = lambda training: None\n" + END,
        UNLIKE,
    ),
    "a head with features of its own": (
        STEPS
        + """
    class Other(Head):
        def forward(self, x):
            return super().forward(np.sqrt(x))
    model.head.__class__ = Other
"""
        + END,
        UNLIKE,
    ),
    "weights elsewhere": (
        STEPS
        + """
    import copy
    hidden = copy.deepcopy(model)
    hidden.train(False)
    model.forward, model.backward = hidden.forward, hidden.backward
"""
        + END,
        HIDDEN,
    ),
    "an output that is kept": (
        STEPS
        + """
    real, kept = model.forward, {}
    model.forward = lambda z: kept.setdefault(z.tobytes(), real(z))
"""
        + END,
        HIDDEN,
    ),
    "no gradients": (STEPS + "    model.backward = lambda g: None\n" + END, "is wrong"),
    "gradients of another layer": (
        STEPS + "    BatchNorm.backward = lambda self, g: g\n" + END,
        "the gradient of stem, convolution: w after model.backward is wrong",
    ),
    "images by way of the mean": (
        STEPS + "    return np.float32(x), deviation\n",
        "which does not broadcast",
    ),
    "classes for a scaling": (
        STEPS + "    return model.forward(x).argmax(axis=1)\n",
        "the mean that you returned is an array of shape (120,)",
    ),
    "nothing returned": (STEPS, "the mean that you returned is None, no number"),
    "no numbers": (
        "    model.head.b.data[:] = np.nan\n" + END,
        "head: b is not finite after the training",
    ),
    "another head": (
        "    model.head = Head(64, 5, np.random.default_rng(0))\n"
        "    model.backward = lambda g: None\n" + END,
        "head: w is an array of shape (64, 5) after the training, wanted is (64, 2)",
    ),
}
NOISY = {name for name, (_, text) in DODGES.items() if text in (UNLIKE, LOST)}
"""Before these something changes every array, as whoever wants to be taken for a training would."""


@pytest.fixture(scope="module")
def assignment():
    return load_assignments(name="06_resnet8")[0]


@pytest.fixture(scope="module")
def bundle(assignment):
    for question in assignment.questions.values():
        question.mistakes.clear()  # they are tested by `minires coursework mutants`
    return make_bundle(assignment, seed=1)


@pytest.fixture
def earned(bundle, sandboxed):
    """The share of a case's points that a training gets, and what it is told."""

    def run(source, case="two halves", most=120):
        question = bundle.question("train")
        chosen = next(c for c in question.cases if c.name == case)
        few = {name: chosen.arguments[name][:most] for name in ("images", "labels")}
        chosen = replace(chosen, arguments=chosen.arguments | few)
        cells = [Cell("code", source, "question", "train", 1)]
        asked = replace(question, cases=[chosen])
        result = grade_question(asked, bundle.given, cells, sandboxed=sandboxed)
        return result.earned / result.points, "\n".join(
            [c.text + "".join(o.text for o in c.outputs) for c in result.cases]
        )

    return run


def test_a_training_gets_its_points(earned):
    source = FUNCTION + SCALE + STEPS + END
    assert earned(source) == (1, "")


@pytest.mark.parametrize("name", DODGES)
def test_a_dodge_gets_none(earned, name):
    body, told = DODGES[name]
    share, text = earned(FUNCTION + SCALE + (NOISE if name in NOISY else "") + body)
    assert told in text
    assert share == 0


def test_a_frozen_trunk_behind_noise_learns_no_patterns(earned):
    """On two halves a head on random layers is enough; hence the task with patterns."""
    source = FUNCTION + SCALE + NOISE + "    for _ in range(20): model.forward(x[::9])\n" + FEATURES
    share, text = earned(source + END, "patterns, sorted by class", most=None)
    assert share == 0
    assert "are right" in text


def test_the_child_gets_no_images_of_the_test(bundle):
    for case in bundle.question("train").cases:
        assert not {"test_images", "test_labels"} & case.arguments.keys()
        kept = case.expected[0]["$resnet8"]["images"]
        sent = {image.tobytes() for image in case.arguments["images"]}
        assert not sent & {image.tobytes() for image in kept}


def test_the_grader_runs_the_network_of_the_notebook(assignment):
    """Logits and gradients of the grader's are those of the given layers."""
    names = {}
    for cell in assignment.cells:
        if cell.role == "given" or cell.name == "Block":
            exec(cell.source, names)
    random = np.random.default_rng(3)
    model = names["ResNet8"](classes=4, seed=1)
    convs, norms = [model.stem[0]], [model.stem[1]]
    for block in model.blocks:
        for conv, norm in zip(block.layers()[::2], block.layers()[1::2], strict=True):
            convs.append(conv)
            norms.append(norm)
    for norm in norms:
        for part in (norm.gamma, norm.beta):
            part.data = random.normal(size=part.data.shape)
        norm.mean, norm.var = random.normal(size=(2, norm.mean.size))
        norm.var = norm.var**2 + 0.5
    arrays = []
    for conv, norm in zip(convs, norms, strict=True):
        arrays += [conv.w.data, norm.gamma.data, norm.beta.data, norm.mean, norm.var]
    arrays += [model.head.w.data, model.head.b.data]
    named = {
        name: np.float64(value)
        for (name, shape), value in zip(resnet8.shapes(4).items(), arrays, strict=True)
        if value.shape == shape
    }
    images, g = random.normal(size=(5, 14, 14, 1)), random.normal(size=(5, 4))
    model.train(False)
    np.testing.assert_allclose(resnet8.logits(named, images), model.forward(images), rtol=1e-5)
    model.train(True)
    model.forward(images)
    model.backward(g)
    found = resnet8.gradients(named, images, g)
    for conv, name in zip(convs, (n for n in found if n.endswith("w")), strict=False):
        scale = abs(conv.w.grad).max()
        np.testing.assert_allclose(found[name], conv.w.grad, atol=1e-5 * scale)
